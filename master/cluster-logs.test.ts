import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Clock } from '../core/clock.ts';
import { workerId } from '../core/ids.ts';
import { makeRedactor } from '../core/security/redact.ts';
import { LogRing } from '../core/telemetry/log-ring.ts';
import { noLog } from '../test/conformance/no-log.ts';
import { LogOutbox } from '../worker/log-outbox.ts';
import { ClusterLogs } from './cluster-logs.ts';

/** A clock that says what it is told. */
function clockAt(): Clock & { time: number } {
  return {
    time: 1000,
    now() {
      return this.time;
    },
    mono: () => 0,
    sleep: () => Promise.resolve(),
    timer: () => () => undefined,
  };
}

suite('logs of a cluster', () => {
  const clock = clockAt();
  const own = new LogRing(clock, 'master');
  const logs = new ClusterLogs(own);
  const log = own.tee(noLog);
  const worker = (name: string, redact: (text: string) => string = (text) => text) => {
    const id = workerId(name);
    const ring = new LogRing(clock, id, redact);
    const outbox = new LogOutbox(ring);
    const send = (): boolean => {
      const sent = outbox.take();
      if (sent !== null) logs.take(id, sent);
      return sent !== null;
    };
    return { id, log: ring.tee(noLog), outbox, send };
  };
  const messages = (...args: Parameters<ClusterLogs['last']>): string[] =>
    logs.last(...args).map(({ message }) => message);

  test('lines of master and workers come in the order of time, chosen by job, worker, process, level and time', () => {
    const [one, two] = [worker('w1-aaaa'), worker('w2-bbbb')];
    log.info({}, 'm1');
    clock.time = 1001;
    one.log.child({ job: 'users' }).warn({ part: 3 }, 'a1');
    clock.time = 1002;
    log.info({ worker: one.id }, 'm2');
    two.log.error({ job: 'sales', error: new Error('no') }, 'b1');
    clock.time = 1003;
    one.log.info({}, 'a2');
    assert.equal(one.send() && two.send(), true);
    assert.equal(one.send(), false, 'everything is sent');
    assert.deepEqual(messages(10, {}), ['m1', 'a1', 'm2', 'b1', 'a2']);
    assert.deepEqual(messages(2, {}), ['b1', 'a2']);
    assert.deepEqual(messages(0, {}), []);
    assert.deepEqual(messages(10, { job: 'users' }), ['a1']);
    assert.deepEqual(messages(10, { worker: 'w1' }), ['a1', 'm2', 'a2']);
    assert.deepEqual(messages(10, { worker: 'w1-aaaa', level: 'warn' }), ['a1']);
    assert.deepEqual(messages(10, { process: 'w1' }), ['a1', 'a2']);
    assert.deepEqual(messages(10, { process: 'master' }), ['m1', 'm2']);
    assert.deepEqual(messages(10, { process: 'w' }), []);
    assert.deepEqual(messages(10, { since: 1002 }), ['m2', 'b1', 'a2']);
    assert.deepEqual(messages(10, { masterOnly: true }), ['m1', 'm2']);
    assert.deepEqual(logs.last(1, { job: 'sales' }), [
      { at: 1002, level: 'error', process: 'w2-bbbb', job: 'sales', message: 'b1', fields: { error: 'no' } },
    ]);
  });

  test('a worker that finds a new master sends all it has, and nothing stands there twice', () => {
    const one = worker('w3-cccc');
    one.log.info({}, 'first');
    one.send();
    one.outbox.rewind();
    one.log.info({}, 'second');
    const told: string[] = [];
    const end = logs.subscribe(({ message }) => told.push(message));
    one.send();
    end();
    assert.deepEqual(messages(10, { process: 'w3' }), ['first', 'second']);
    assert.deepEqual(told, ['second']);
    const fresh = new ClusterLogs(new LogRing(clock, 'master'));
    one.outbox.rewind();
    fresh.take(one.id, one.outbox.take() ?? { first: 0, lines: [] });
    assert.deepEqual(
      fresh.last(10, {}).map(({ message }) => message),
      ['first', 'second'],
    );
  });

  test('what came faster than it is sent is said to be missing', () => {
    const one = worker('w4-dddd');
    one.log.info({}, 'before');
    one.send();
    for (let line = 0; line < 1500; line++) one.log.info({}, `line ${line}`);
    while (one.send());
    const all = messages(2000, { process: 'w4' });
    assert.match(all.find((text) => text.includes('missing')) ?? '', /^500 lines are missing here/);
    assert.equal(all.at(-1), 'line 1499');
    assert.equal(all[0], 'before');
    assert.ok(all.length <= 1100);
  });

  test('many workers have as many lines each, and those of gone ones make room', () => {
    for (let number = 0; number < 60; number++) {
      const one = worker(`many${number}-eeee`);
      for (let line = 0; line < 300; line++) one.log.info({}, `${number}/${line}`);
      while (one.send());
    }
    assert.deepEqual(messages(10, { process: 'many3' }), []);
    assert.equal(messages(1000, { process: 'many59' }).length, 100);
    assert.equal(messages(1000, { process: 'many20' }).length, 100);
  });

  test('secrets of a worker do not leave it: not in objects, and not where a long text is cut', () => {
    const secret = 'open"sesame\\0123456789';
    const one = worker('w5-ffff', makeRedactor([secret]));
    one.log.warn({ url: `x ${secret} y`, error: new Error(secret), config: { deep: { secret } } }, `with ${secret}`);
    for (const length of [1990, 3990]) {
      const long = 'x'.repeat(length);
      one.log.warn({ text: `${long}${secret}`, config: { [long]: secret } }, `${long}${secret}`);
    }
    one.send();
    const lines = logs.last(5, { process: 'w5' });
    assert.equal(lines.length, 3);
    assert.deepEqual(lines[0]?.fields, { url: 'x *** y', error: '***', config: '{"deep":{"secret":"***"}}' });
    assert.doesNotMatch(JSON.stringify(lines), /open|sesame|xo/);
  });
});
