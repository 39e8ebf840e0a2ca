import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema } from '../core/job/spec.ts';
import type { JobSpecInput } from '../core/job/spec.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { compareState } from '../engine/plan/state-compat.ts';
import { explainJob } from '../engine/plan/explain.ts';
import { defineJob } from './job.ts';
import { keyedState } from './keyed-state.ts';
import type { KeyedState, KeyOf, StateOf } from './keyed-state.ts';
import type { GivenRow, RowOf, UnknownRow } from './schema-types.ts';
import type { ListState, MapState, ValueState } from '../core/job/user-functions.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only for `true`. */
function holds<Fact extends true>(): Fact | undefined {
  return undefined;
}

suite('types from schemas', () => {
  test('rows as functions get them', () => {
    holds<Same<RowOf<'id BIGINT NOT NULL, name STRING'>, { readonly id: bigint; readonly name: string | null }>>();
    holds<
      Same<
        RowOf<`a int, b double not null,
               c DECIMAL(12, 2), d DATE, e TIMESTAMP NOT NULL, f BOOLEAN, \`g h\` BINARY`>,
        {
          readonly a: number | null;
          readonly b: number;
          readonly c: string | null;
          readonly d: string | null;
          readonly e: number;
          readonly f: boolean | null;
          readonly 'g h': Uint8Array | null;
        }
      >
    >();
    holds<
      Same<
        RowOf<'tags ARRAY<STRING> NOT NULL, m MAP<STRING, DECIMAL(9,2)>, s STRUCT<a: INT, b: ARRAY<BIGINT>>'>,
        {
          readonly tags: readonly (string | null)[];
          readonly m: ReadonlyMap<string, string | null> | null;
          readonly s: { readonly a: number | null; readonly b: readonly (bigint | null)[] | null } | null;
        }
      >
    >();
    holds<Same<RowOf<string>, UnknownRow>>();
    assert.ok(true, 'the compiler has looked');
  });

  test('rows as functions give them', () => {
    holds<
      Same<
        GivenRow<'id BIGINT NOT NULL, at TIMESTAMP, price DECIMAL(9,2)'>,
        {
          readonly id: bigint | number;
          readonly at?: number | Date | null | undefined;
          readonly price?: string | bigint | number | null | undefined;
        }
      >
    >();
    assert.ok(true, 'the compiler has looked');
  });

  test('state and keys', () => {
    type D<State> = { key: readonly ['k']; input: 'k STRING NOT NULL, n INT'; state: State; output: 'k STRING' };
    type Row = { readonly n: bigint | null };
    type Given = { readonly n?: bigint | number | null | undefined };
    holds<Same<StateOf<D<{ value: 'n BIGINT'; ttl: '1h' }>>, ValueState<Row, Given>>>();
    holds<Same<StateOf<D<{ list: 'n BIGINT' }>>, ListState<Row, Given>>>();
    holds<Same<StateOf<D<{ map: { key: 'STRING'; value: 'n BIGINT' } }>>, MapState<string, Row, Given>>>();
    holds<Same<StateOf<D<{ value: { value: 'n BIGINT' } }>>, { readonly value: ValueState<Row, Given> }>>();
    holds<Same<KeyOf<D<{ list: 'n BIGINT' }>>, { readonly k: string }>>();
    assert.ok(true, 'the compiler has looked');
  });
});

const base: Omit<JobSpecInput, 'apiVersion' | 'kind'> = {
  name: 'typed',
  sources: {
    rows: {
      connector: 'kafka',
      topic: 'rows',
      schema: 'k STRING, n INT, tags MAP<STRING, INT>, ts TIMESTAMP',
      watermark: { column: 'ts', delay: '1m' },
    },
  },
  query: 'SELECT k, n, tags, ts FROM rows',
  sinks: [{ connector: 'console' }],
};
const module = { hash: '0'.repeat(64), entry: 'job.ts', files: [{ path: 'job.ts', source: '' }] };

function outcomeOf(then: KeyedState, change: Partial<typeof base> = {}): ReturnType<typeof planJob> {
  const { document } = defineJob({ ...base, ...change, then });
  return planJob(jobSpecSchema.parse({ ...document, module }), { tables: null });
}

function problemsOf(then: KeyedState, change: Partial<typeof base> = {}): string[] {
  return outcomeOf(then, change).problems.map(({ path, message }) => `${path}: ${message}`);
}

/** A definition that is right but for the change, with functions of the names given. */
function keyed(change: object, ...names: readonly ('onTimer' | 'onExpire')[]): KeyedState {
  const definition = { key: ['k'], state: { value: 'n BIGINT' }, output: 'k STRING', ...change };
  const nothing = (): undefined => undefined;
  return keyedState(definition, { onRow: nothing, ...Object.fromEntries(names.map((name) => [name, nothing])) });
}

suite('keyedState', () => {
  test('becomes a part of the job file, and its functions keep their object', () => {
    const emitted: unknown[] = [];
    const then = keyedState(
      { key: ['k'], state: { n: { value: 'n BIGINT', ttl: '1h' } }, output: 'k STRING', timers: 'processingTime' },
      {
        onRow(row, state, context) {
          state.n.set({ n: 1 });
          this.onTimer?.({ k: row['k'] }, 1, state, context);
        },
        onTimer: ({ k }, _time, _state, context) => context.emit({ k: String(k) }),
      },
    );
    assert.deepEqual(then.spec, {
      key: ['k'],
      state: { n: { value: 'n BIGINT', ttl: '1h' } },
      single: false,
      output: 'k STRING',
      timers: 'processingTime',
      functions: ['onRow', 'onTimer'],
      deadline: '10s',
    });
    const context = { emit: (row: unknown) => emitted.push(row) };
    then.functions.onRow({ k: 'a' }, { n: { set: () => undefined } }, context as never);
    assert.deepEqual(emitted, [{ k: 'a' }]);
    assert.equal(then.functions.onExpire, undefined);
  });

  test('a state without a name, a state called value', () => {
    assert.deepEqual([keyed({}).spec.single, keyed({}).spec.state], [true, { state: { value: 'n BIGINT' } }]);
    const named = keyed({ state: { value: { list: 'n BIGINT' }, map: { map: { key: 'INT', value: 'n INT' } } } });
    assert.equal(named.spec.single, false);
    assert.deepEqual(Object.keys(named.spec.state), ['value', 'map']);
    assert.equal(keyed({ state: { map: { key: 'INT', value: 'n INT' } } }).spec.single, true);
  });

  test('is planned: rows by key, late ones dropped with timers by event time', () => {
    const { plan, problems } = outcomeOf(
      keyed({ timers: 'eventTime', state: { list: 'n BIGINT', ttl: '1 hour' } }, 'onTimer'),
    );
    assert.deepEqual(problems, []);
    assert.ok(plan?.protocol === 'epochs');
    assert.equal(plan.noDataEpochs, true);
    assert.deepEqual(plan.module, module);
    const text = explainJob(plan);
    assert.match(text, /late: drops rows that come too late for user-1, by timestamp/);
    assert.match(text, /-> stage 1, by \(k\)/);
    assert.match(text, /forgets: state when the time it was written \+ 1h <= the watermark/);
    const lasting = outcomeOf(keyed({}));
    assert.match(lasting.plan?.warnings.join() ?? '', /user-1 keeps a row of every key until a function clears it/);
  });

  test('mistakes stand at their places', () => {
    const cases: readonly (readonly [then: KeyedState, problem: RegExp, change?: Partial<typeof base>])[] = [
      [keyed({ key: ['K', 'other'] }), /^keyedState\.key\[1\]: the query gives no column other$/],
      [keyed({ key: ['tags'] }), /^keyedState\.key\[0\]: rows cannot be brought together by tags/],
      [keyed({ input: 'k STRING, n BIGINT' }), /^keyedState\.input: the query gives n as INT, not as BIGINT$/],
      [keyed({ input: 'k STRING NOT NULL' }), /^keyedState\.input: the query may give NULL as k/],
      [keyed({ input: 'x STRING' }), /^keyedState\.input: the query gives no column x$/],
      [keyed({ state: { value: 'n BIG' } }), /^keyedState\.state\.state\.value: /],
      [keyed({ state: { a: { list: 'n INT, n INT' } } }), /^keyedState\.state\.a\.list: /],
      [keyed({ state: { map: { key: 'MAP<INT, INT>', value: 'n INT' } } }), /^keyedState\.state\.state\.map\.key: /],
      [keyed({ state: { value: 'n INT', ttl: '0s' } }), /^keyedState\.state\.state\.ttl: /],
      [keyed({ output: 'k' }), /^keyedState\.output: /],
      [keyed({}, 'onTimer'), /^keyedState\.timers: onTimer never comes with timers: none$/],
      [keyed({}, 'onExpire'), /^keyedState\.state: onExpire never comes: no state has a ttl$/],
      [
        keyed({ timers: 'eventTime' }),
        /^keyedState\.timers: timers by event time need/,
        { query: 'SELECT k, n, tags FROM rows' },
      ],
      [keyed({}), /^outputMode: what functions emit is final/, { outputMode: 'update' }],
      [keyed({ deadline: '0s' }), /^keyedState\.deadline: /],
    ];
    for (const [then, problem, change] of cases) {
      const found = problemsOf(then, change);
      assert.equal(found.filter((one) => problem.test(one)).length, 1, `${problem}: ${found.join('; ')}`);
    }
  });

  test('a changed job goes on with its state where the state stays what it is', () => {
    const planned = (then: KeyedState) => {
      const { plan } = outcomeOf(then);
      assert.ok(plan?.protocol === 'epochs');
      return plan;
    };
    const before = planned(keyed({ state: { a: { value: 'n BIGINT' }, b: { list: 'n INT' } } }));
    const compare = (change: object) => {
      const found = compareState(before, planned(keyed({ ...change })));
      return found.kind === 'incompatible' ? found.reasons : found.kind;
    };
    const states = { a: { value: 'n BIGINT', ttl: '1h' }, c: { map: { key: 'INT', value: 'n INT' } } };
    assert.equal(compare({ state: states, output: 'other INT' }), 'compatible');
    assert.match(
      String(compare({ state: { a: { list: 'n BIGINT' } } })),
      /keeps a as a list of .*, kept it as a value/,
    );
    assert.match(String(compare({ state: { a: { value: 'n INT' } } })), /keeps a as a value of STRUCT<n: INT>/);
    assert.match(String(compare({ state: { a: { value: 'n BIGINT' } }, key: ['n'] })), /is keyed by/);
    assert.match(String(compare({ state: states, timers: 'eventTime' })), /has timers by eventTime, had them by none/);
  });

  test('functions and their code go together', () => {
    const { document } = defineJob({ ...base, then: keyed({}) });
    const without = planJob(jobSpecSchema.parse(document), { tables: null });
    assert.match(
      without.problems[0]?.message ?? '',
      /keyedState, forEachBatch and the module with their functions go together/,
    );
  });
});
