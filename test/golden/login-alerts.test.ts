/** The TypeScript golden job from its file to its rows: evaluated, planned, its code loaded, run epoch by epoch. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { join } from 'node:path';
import { evaluateJob } from '../../cli/job-module.ts';
import { must } from '../../core/assert.ts';
import { planOf, TestRun } from '../../engine/epoch/test-run.ts';
import { loadModule } from '../../worker/load-module.ts';

const plan = planOf(evaluateJob(join(import.meta.dirname, 'login-alerts.ts')));
const functions = await loadModule(must(plan.module, () => 'the job has no module'));

const login = (user: string, ok: boolean, minute: number, ip = '10.0.0.1') => {
  return { user, ok, ip, ts: new Date(Date.UTC(2024, 4, 1, 12) + minute * 60_000).toISOString() };
};

/** Logins of each epoch, and whose alerts come out. */
const epochs: readonly { readonly logins: ReturnType<typeof login>[]; readonly alerts: readonly string[] }[] = [
  { logins: [login('ann', false, 0), login('bob', false, 0), login('ann', false, 1, '10.0.0.2')], alerts: [] },
  { logins: [login('bob', true, 2), login('bob', false, 3), login('ann', false, 4)], alerts: ['ann'] },
  { logins: [login('ann', false, 5), login('bob', false, 5), login('cid', false, 6)], alerts: [] },
  // Of bob's failures those at 3 and 5 are too long ago by now, and 8 is late.
  { logins: [login('bob', false, 16), login('cid', false, 8), login('cid', false, 15)], alerts: ['cid'] },
  { logins: [login('cid', false, 8), login('bob', false, 17), login('dan', false, 40)], alerts: [] },
  { logins: [login('bob', false, 41)], alerts: [] },
];

function run(hosts: number, restarts: boolean): { readonly rows: readonly unknown[]; readonly run: TestRun } {
  const test = new TestRun(plan, { functions, hosts });
  const rows: unknown[] = [];
  for (const { logins, alerts } of epochs) {
    const step = test.step({ logins });
    assert.deepEqual(step.rows.map(({ user }) => user).toSorted(), [...alerts].toSorted());
    assert.deepEqual(step.deadLetters, []);
    rows.push(...step.rows);
    if (restarts) test.restart(1 + (rows.length % 3));
  }
  return { rows, run: test };
}

suite('login-alerts', () => {
  test('three failures within ten minutes are an alert', () => {
    const { rows, run: done } = run(1, false);
    assert.deepEqual(rows[0], {
      user: 'ann',
      first: '2024-05-01T12:00:00.000Z',
      last: '2024-05-01T12:04:00.000Z',
      ips: ['10.0.0.1', '10.0.0.2'],
    });
    // What is left: the last failure of bob and of dan with a timer each, and timers of bob's older ones are gone.
    assert.equal(done.run.hosts[0]?.figures().rows, 4);
  });

  test('restarts between epochs and other numbers of hosts change nothing', () => {
    const once = run(1, false);
    const often = run(3, true);
    assert.deepEqual(often.rows, once.rows);
    assert.deepEqual(often.run.run.states(), once.run.run.states());
    assert.deepEqual(once.run.replay(2), once.run.run.states());
  });
});
