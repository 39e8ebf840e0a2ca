/** Functions of a job within whole epochs: late rows, dead letters, placement, replays. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import type { ListState, UserContext, UserFunctions, ValueState } from '../../core/job/user-functions.ts';
import { jobText, planOf, TestRun } from './test-run.ts';

const module = { hash: '0'.repeat(64), entry: 'job.ts', files: [{ path: 'job.ts', source: '' }] };
const keyedState = {
  key: ['k'],
  state: { state: { value: 'n BIGINT, seen ARRAY<STRING>' } },
  single: true,
  output: 'k STRING NOT NULL, n BIGINT, seen ARRAY<STRING>',
  timers: 'eventTime',
  functions: ['onRow', 'onTimer'],
};

interface Kept {
  readonly n: bigint;
  readonly seen: readonly (string | null)[];
}
type Row = Readonly<Record<'k' | 'v', string>> & { readonly ts: number };
const functions: UserFunctions = {
  onRow(given, handle, context) {
    const { k, v, ts } = given as Row;
    const state = handle as ValueState<Kept>;
    if (v === 'bad') throw new Error('bad');
    const { n, seen } = state.get() ?? { n: 0n, seen: [] };
    state.set({ n: n + 1n, seen: [...seen, v] });
    context.registerTimer(ts + 10_000);
    if (v === 'show') context.emit({ k, ...state.get() });
  },
  onTimer(key, _time, handle, context: UserContext<unknown>) {
    const { k } = key as Row;
    const state = handle as ValueState<Kept>;
    const kept = state.get();
    if (kept?.seen.at(-1) === 'break') throw new Error('broken');
    context.emit({ k, ...kept });
    state.clear();
  },
};

const QUERY = 'SELECT k, v, ts FROM rows WATERMARK ts DELAY OF INTERVAL 5 SECONDS';
function planned(changes: Readonly<Record<string, unknown>> = {}) {
  const text = jobText(
    QUERY,
    { rows: 'k STRING NOT NULL, v STRING, ts TIMESTAMP' },
    { keyedState, module, ...changes },
  );
  return planOf(text);
}

const row = (k: string, v: string, second: number) => ({
  k,
  v,
  ts: new Date(1_700_000_000_000 + second * 1000).toISOString(),
});

suite('functions within epochs', () => {
  test('rows, late ones, timers with the watermark; the same in any number of hosts and after restarts', () => {
    const outcomes = [1, 2, 5].map((hosts) => {
      const run = new TestRun(planned(), { functions, hosts });
      const first = run.step({ rows: [row('a', 'x', 0), row('b', 'y', 1), row('a', 'show', 2)] });
      assert.deepEqual(first.rows, [{ k: 'a', n: 2, seen: ['x', 'show'] }]);
      run.restart(hosts === 2 ? 3 : 1);
      const second = run.step({ rows: [row('c', 'z', 16), row('c', 'show', 16)] });
      const late = run.step({ rows: [row('d', 'late', 3)] });
      assert.deepEqual(late.late, { 'user-1': 1 });
      assert.deepEqual(run.replay(2), run.run.states());
      return [...second.rows].toSorted((a, b) => (String(a['k']) < String(b['k']) ? -1 : 1));
    });
    assert.deepEqual(outcomes[0], [
      { k: 'a', n: 2, seen: ['x', 'show'] },
      { k: 'b', n: 1, seen: ['y'] },
      { k: 'c', n: 2, seen: ['z', 'show'] },
    ]);
    assert.deepEqual(outcomes[1], outcomes[0]);
    assert.deepEqual(outcomes[2], outcomes[0]);
  });

  test('behind an aggregate: final groups come in, by the time of their windows', () => {
    const plan = planOf(
      jobText(
        "SELECT k, window, count(*) AS n FROM rows WATERMARK ts DELAY OF INTERVAL 5 SECONDS GROUP BY k, window(ts, '10 seconds')",
        { rows: 'k STRING NOT NULL, ts TIMESTAMP' },
        {
          module,
          keyedState: {
            ...keyedState,
            state: { state: { list: 'n BIGINT', ttl: '10s' } },
            output: 'k STRING, n BIGINT',
            functions: ['onRow', 'onExpire'],
          },
        },
      ),
    );
    const summing: UserFunctions = {
      onRow(given, handle, context) {
        const { k, n } = given as { readonly k: string; readonly n: bigint };
        const state = handle as ListState<{ n: bigint }>;
        state.append({ n });
        context.emit({ k, n: state.get().reduce((sum, one) => sum + one.n, 0n) });
      },
      onExpire: (key, handle, context) =>
        context.emit({ k: (key as Row).k, n: -(handle as ListState<{ n: bigint }>).length }),
    };
    const run = new TestRun(plan, { functions: summing, hosts: 2 });
    assert.deepEqual(run.step({ rows: [row('a', '', 0), row('a', '', 1), row('a', '', 11)] }).rows, []);
    // The windows end at 10 and 20; what they wrote is forgotten 10 s after their ends.
    assert.deepEqual(run.step({ rows: [row('b', '', 24)] }).rows, [{ k: 'a', n: 2 }]);
    run.restart();
    assert.deepEqual(
      run.step({ rows: [row('b', '', 36)] }).rows.filter(({ k }) => k === 'a'),
      [
        { k: 'a', n: 3 },
        { k: 'a', n: -2 },
      ],
    );
    assert.deepEqual(run.replay(1), run.run.states());
  });

  test('what throws is a dead letter of its own, of rows and of timers', () => {
    const run = new TestRun(planned(), { functions, hosts: 2 });
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
    const first = run.step({ rows: keys.flatMap((k) => [row(k, 'bad', 0), row(k, 'break', 0), row(k, 'bad', 0)]) });
    assert.equal(first.deadLetters.length, 40);
    const second = run.step({ rows: [row('last', 'bad', 100)] });
    const letters = [...first.deadLetters, ...second.deadLetters];
    assert.equal(letters.length, 61);
    assert.equal(new Set(letters.map(({ partition, offset }) => `${partition}/${offset}`)).size, letters.length);
    assert.deepEqual(
      new Set(letters.map(({ topic, code, place }) => `${topic} ${code} ${place}`)),
      new Set(['user-1 EXPRESSION_FAILED onRow', 'user-1 EXPRESSION_FAILED onTimer']),
    );
    assert.equal(second.deadLetters.filter(({ place }) => place === 'onTimer').length, 20);
  });

  test('with onBadRecord: fail the job ends', () => {
    const run = new TestRun(planned({ onBadRecord: 'fail' }), { functions });
    assert.throws(
      () => run.step({ rows: [row('a', 'bad', 0)] }),
      (error: unknown) => isWeirError(error, 'EXPRESSION_FAILED') && error.message.includes('onRow'),
    );
  });

  test('a plan with functions does not run without them', () => {
    assert.throws(
      () => new TestRun(planned(), {}),
      (error: unknown) => isWeirError(error, 'USER_CODE_FAILED'),
    );
    const { onTimer: _, ...fewer } = functions;
    assert.throws(
      () => new TestRun(planned(), { functions: fewer }),
      (error: unknown) => isWeirError(error, 'USER_CODE_FAILED') && error.message.includes('no onTimer'),
    );
  });
});
