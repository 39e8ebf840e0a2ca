import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { UserFunctions, ValueState } from '../../core/job/user-functions.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { partialSchema, planOf } from './aggregate-reference.fixture.ts';
import { Aggregate } from './aggregate.ts';
import { Dedup } from './dedup.ts';
import { FirstRow } from './first-row.ts';
import { Join } from './join.ts';
import { KeyedState } from './keyed-state.ts';
import { Limit } from './limit.ts';
import { Rank } from './rank.ts';
import { Session } from './session.ts';
import { SlidingAggregate } from './sliding-aggregate.ts';
import type { StateOperator } from './state-operator.ts';
import { Epochs } from './test-state.ts';

const STRING: DataType = { kind: 'string' };
const INT: DataType = { kind: 'int' };
const BIGINT: DataType = { kind: 'bigint' };
const timed: Schema = [
  { name: 'k', type: STRING, nullable: false },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: false },
  { name: 'n', type: INT, nullable: false },
];
const windowed: Schema = [
  { name: 'k', type: STRING, nullable: false },
  { name: 'w', type: { kind: 'struct', fields: windowFields }, nullable: false },
];
const sessions: Schema = [...timed.slice(0, 2), { name: 'gap', type: BIGINT, nullable: false }];
const counts = planOf(windowed, [{ name: 'count', inputs: [] }]);
const ofCounts = partialSchema(windowed, counts);
const counter: Schema = [{ name: 'n', type: BIGINT, nullable: false }];

/** What all of the operators below read of a row. */
interface Given {
  readonly k: string;
  readonly time: number;
  readonly n: number;
}

interface Case {
  readonly make: () => StateOperator;
  readonly schema: Schema;
  readonly keys: readonly number[];
  readonly rowOf: (given: Given) => readonly unknown[];
  /** Two = rows go to both in turn. Default 1. */
  readonly ports?: number;
}

const event = { column: 1, kind: 'timestamp' } as const;
const window = { column: 1, kind: 'window' } as const;
const timedRow = ({ k, time, n }: Given): readonly unknown[] => [k, time, n];
const append = { mode: 'append', watermarkLagUs: 0 } as const;

const functions = {
  onRow(row: { n: number }, state: ValueState<{ n: bigint }, { n: bigint }>) {
    if (row.n > 0) state.set({ n: (state.get()?.n ?? 0n) + 1n });
  },
} as unknown as UserFunctions;

const rankPlan = (limit: number): ConstructorParameters<typeof Rank>[0] => ({
  kind: 'rank',
  keyCount: 2,
  by: [{ column: 2, descending: true, nullsFirst: false }],
  calls: [{ function: 'row_number', column: -1, offset: 1, default: -1, name: 'number', type: INT }],
  limit,
  eventTime: event,
  ...append,
});

const joinPlan: ConstructorParameters<typeof Join>[0] = {
  kind: 'join',
  type: 'left',
  keyCount: 1,
  nullSafe: [false],
  residual: null,
  leftTime: event,
  rightTime: event,
  bounds: { left: 1, right: 1, lowerUs: -5, upperUs: 5 },
  equalTime: false,
  timeZone: 'UTC',
  ...append,
};

const aggregatePlan: ConstructorParameters<typeof Aggregate>[0] = {
  kind: 'aggregate',
  keyCount: 2,
  aggregates: counts,
  eventTime: window,
  ...append,
};

const cases: Readonly<Record<string, Case>> = {
  Aggregate: {
    make: () => new Aggregate(aggregatePlan, [ofCounts]),
    schema: ofCounts,
    keys: [0],
    rowOf: ({ k, time }) => [k, [time, time + 4], 1n],
  },
  SlidingAggregate: {
    make: () => new SlidingAggregate({ ...aggregatePlan, panes: { sizeUs: 6, slideUs: 2 } }, [ofCounts]),
    schema: ofCounts,
    keys: [0],
    rowOf: ({ k, time }) => [k, [time - (time % 2), time - (time % 2) + 2], 1n],
  },
  Session: {
    make: () =>
      new Session(
        { kind: 'session', keyCount: 1, aggregates: planOf(sessions, [{ name: 'count', inputs: [] }]), ...append },
        [sessions],
      ),
    schema: sessions,
    keys: [0],
    rowOf: ({ k, time, n }) => [k, time, BigInt(n)],
  },
  FirstRow: { make: () => new FirstRow(rankPlan(1), [timed]), schema: timed, keys: [0, 1], rowOf: timedRow },
  Rank: { make: () => new Rank(rankPlan(2), [timed]), schema: timed, keys: [0, 1], rowOf: timedRow },
  Dedup: {
    make: () =>
      new Dedup({ kind: 'dedup', keys: [0, 1], eventTime: event, withinWatermark: null, watermarkLagUs: 0 }, [timed]),
    schema: timed,
    keys: [0, 1],
    rowOf: timedRow,
  },
  KeyedState: {
    make: () =>
      new KeyedState(
        {
          kind: 'user',
          keys: [0],
          variables: [{ name: 'state', kind: 'value', schema: counter, key: null, ttlUs: 5 }],
          single: true,
          output: counter,
          timers: 'eventTime',
          functions: ['onRow'],
          deadlineMs: 10_000,
          eventTime: event,
          watermarkLagUs: 0,
        },
        [timed],
        functions,
      ),
    schema: timed,
    keys: [0],
    rowOf: timedRow,
  },
  Join: {
    make: () =>
      new Join(joinPlan, [
        [timed[0]!, ...timed],
        [timed[0]!, ...timed],
      ]),
    schema: [timed[0]!, ...timed],
    keys: [0],
    rowOf: (given) => [given.k, ...timedRow(given)],
    ports: 2,
  },
  Limit: {
    make: () => new Limit({ kind: 'limit', count: 3, mode: 'append' }, [timed]),
    schema: timed,
    keys: [],
    rowOf: timedRow,
  },
};

const all = Array.from({ length: KEY_GROUPS }, (_, group) => group);
const stored = (operator: StateOperator): (string | null)[] =>
  all.map((group) => {
    const bytes = operator.encodeGroup(group);
    return bytes === null ? null : Buffer.from(bytes).toString('hex');
  });
const bytesOf = (hex: string | null | undefined): Uint8Array | null =>
  hex === null || hex === undefined ? null : Buffer.from(hex, 'hex');

const epoch = fc.record({
  /** Times count from the watermark of the epoch before: no row is late. */
  rows: fc.array(fc.record({ k: fc.constantFrom('a', 'b', 'c', 'd', 'e'), time: fc.nat(6), n: fc.nat(4) }), {
    maxLength: 4,
  }),
  advance: fc.nat(6),
  then: fc.constantFrom('stored', 'notStored', 'restored', 'dropped'),
});

suite('groups that a snapshot takes again', () => {
  for (const [name, { make, schema, keys, rowOf, ports = 1 }] of Object.entries(cases)) {
    test(`${name}: those whose bytes have changed, until they are stored, restored or dropped`, () => {
      const seen = { changed: 0, emptied: 0 };
      fc.assert(
        fc.property(fc.array(epoch, { minLength: 1, maxLength: 8 }), (epochs) => {
          const runner = new Epochs(
            make,
            Array.from({ length: ports }, () => ({ schema, keys })),
          );
          const { operator } = runner;
          let last = stored(operator);
          let [lateUs, isStored] = [0, true];
          assert.deepEqual(operator.changedGroups(), []);
          for (const { rows, advance, then } of epochs) {
            const evictUs = lateUs + advance;
            const given = rows.map((row) => rowOf({ ...row, time: lateUs + 1 + row.time }));
            runner.run(
              Array.from({ length: ports }, (_, port) => given.filter((_row, index) => index % ports === port)),
              { lateUs, evictUs },
            );
            lateUs = evictUs;
            const now = stored(operator);
            const differ = all.filter((group) => now[group] !== last[group]);
            const changed = operator.changedGroups();
            assert.deepEqual(
              operator.groups(),
              all.filter((group) => now[group] !== null),
            );
            assert.deepEqual(
              differ.filter((group) => !changed.includes(group)),
              [],
            );
            // Rows may come for a group and leave it as it is.
            if (rows.length === 0 && isStored) assert.deepEqual(changed, differ);
            seen.changed += differ.length;
            seen.emptied += differ.filter((group) => now[group] === null).length;
            isStored = then !== 'notStored';
            if (then === 'stored') operator.clearChanged();
            if (then === 'restored') for (const group of changed) operator.restoreGroup(group, bytesOf(last[group]));
            if (then === 'dropped') for (const group of changed) operator.dropGroup(group);
            if (!isStored) continue;
            assert.deepEqual(operator.changedGroups(), []);
            const left = stored(operator);
            if (then === 'stored') assert.deepEqual(left, now);
            if (then === 'restored') assert.deepEqual(left, last);
            if (then === 'dropped') assert.ok(changed.every((group) => left[group] === null));
            last = left;
          }
        }),
        { numRuns: 60 },
      );
      assert.ok(seen.changed > 0);
      assert.ok(seen.emptied > 0 || name === 'Limit');
    });
  }
});
