import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Schema } from '../../core/types.ts';
import type { AggregatePlan, OutputMode, StatePlan } from '../plan/epoch-plan.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { isClose, planOf, referenceOf, type Wanted } from './aggregate-reference.fixture.ts';
import { Session } from './session.ts';
import { Epochs } from './test-state.ts';

const schema: Schema = [
  { name: 'k', type: { kind: 'string' }, nullable: true },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
  { name: 'gap', type: { kind: 'bigint' }, nullable: true },
  { name: 'i', type: { kind: 'int' }, nullable: true },
  { name: 's', type: { kind: 'string' }, nullable: true },
  { name: 'd', type: { kind: 'double' }, nullable: true },
];
const [I, S, D] = [3, 4, 5];

const wanted: readonly Wanted[] = [
  { name: 'count', inputs: [] },
  { name: 'sum', inputs: [I] },
  { name: 'avg', inputs: [D] },
  { name: 'min', inputs: [S] },
  { name: 'max', inputs: [S] },
  { name: 'first', inputs: [S] },
  { name: 'last', inputs: [I] },
  { name: 'collect_list', inputs: [I] },
  { name: 'collect_set', inputs: [S] },
  { name: 'count', inputs: [S], distinct: true },
  { name: 'max_by', inputs: [S, I] },
  { name: 'bit_xor', inputs: [I] },
  { name: 'stddev', inputs: [D] },
  { name: 'corr', inputs: [D, D] },
  { name: 'median', inputs: [D] },
  { name: 'approx_count_distinct', inputs: [S] },
];

type Row = readonly [string | null, number | null, bigint | null, number | null, string | null, number | null];

const row: fc.Arbitrary<Row> = fc.tuple(
  fc.constantFrom('a', 'b', null),
  fc.option(fc.nat(60), { nil: null, freq: 20 }),
  fc.option(fc.bigInt({ min: -1n, max: 8n }), { nil: null, freq: 20 }),
  fc.option(fc.integer({ min: -9, max: 9 }), { nil: null }),
  fc.option(fc.constantFrom('x', 'yy', 'a longer text that takes more room'), { nil: null }),
  fc.option(
    fc.integer({ min: -8, max: 8 }).map((value) => value / 4),
    { nil: null },
  ),
);

const epoch = fc.record({
  rows: fc.array(row, { maxLength: 10 }),
  cut: fc.nat(10),
  advance: fc.nat(12),
  restart: fc.boolean(),
});

function statePlan(aggregates: readonly AggregatePlan[], mode: OutputMode): Extract<StatePlan, { kind: 'session' }> {
  return { kind: 'session', keyCount: 1, aggregates, mode, watermarkLagUs: 0 };
}

interface ModelSession {
  start: number;
  end: number;
  rows: Row[];
}

/** Sessions of one key: rows of earlier epochs that are in a session stay in front of later rows with the same time. */
function merged(sessions: readonly ModelSession[], rows: readonly Row[]): ModelSession[] {
  const parts = [
    ...sessions,
    ...rows.map((own) => ({ start: own[1]!, end: own[1]! + Number(own[2]!), rows: [own] })),
  ].sort((a, b) => a.start - b.start);
  const result: ModelSession[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (last === undefined || part.start > last.end) result.push({ ...part, rows: [...part.rows] });
    else {
      last.end = Math.max(last.end, part.end);
      last.rows.push(...part.rows);
    }
  }
  return result;
}

function assertSame(
  plans: readonly AggregatePlan[],
  actual: BoxedValue[][],
  expected: readonly [string | null, ModelSession][],
): void {
  const name = (key: BoxedValue, start: number, end: number): string => `${String(key)} ${start} ${end}`;
  const groups = new Map(expected.map(([key, session]) => [name(key, session.start, session.end), session]));
  const names = actual.map(([key, bounds]) => name(key!, ...(bounds as unknown as [number, number])));
  assert.deepEqual(names.toSorted(), [...groups.keys()].sort());
  for (const [index, values] of actual.entries()) {
    for (const [at, plan] of plans.entries()) {
      const reference = referenceOf(plan, groups.get(names[index]!)!.rows);
      assert.ok(
        isClose(values[2 + at]!, reference),
        `${plan.name}: ${String(values[2 + at])} instead of ${String(reference)}`,
      );
    }
  }
}

for (const mode of ['append', 'update', 'complete'] as const) {
  test(`${mode}: sessions are those of all rows at once, whatever comes when and however state is moved`, () => {
    const plans = planOf(schema, wanted);
    const make = (): Session => new Session(statePlan(plans, mode), [schema]);
    fc.assert(
      fc.property(fc.array(epoch, { maxLength: 8 }), fc.infiniteStream(fc.nat(99)), (epochs, dice) => {
        const runner = new Epochs(make, [{ schema, keys: [0] }]);
        const twin = new Epochs(make, [{ schema, keys: [0] }]);
        const model = new Map<string | null, ModelSession[]>();
        /** What a table keyed by key and bounds holds in update mode. */
        const table = new Set<string>();
        let late = -Infinity;
        let evict = -Infinity;
        for (const { rows, cut, advance, restart } of epochs) {
          const counted = rows.filter(([, ts, gap]) => ts === null || gap === null || ts + Number(gap) > late);
          const living = counted.filter(([, ts, gap]) => ts !== null && gap !== null && gap > 0n);
          const before = new Map([...model].map(([key, list]) => [key, new Set(list)]));
          for (const key of new Set(living.map(([k]) => k))) {
            const own = living.filter(([k]) => k === key);
            const former = model.get(key) ?? [];
            const next = merged(former, own).map(
              (session) =>
                former.find((old) => old.rows.length === session.rows.length && old.start === session.start) ?? session,
            );
            model.set(key, next);
          }
          const all = [...model].flatMap(([key, list]) => list.map((session) => [key, session] as const));
          const frames = [counted.slice(0, cut), counted.slice(cut)].map((part) => ({ port: 0, rows: part }));
          const folded = runner.runFrames(frames, { lateUs: late, evictUs: evict });
          const given = folded.rows.filter((_, index) => !folded.deletes[index]);
          const due = all.filter(([, { end }]) => end <= evict);
          const changed = all.filter(([key, session]) => before.get(key)?.has(session) !== true);
          const expected = mode === 'complete' ? all : mode === 'append' ? due : changed;
          assertSame(plans, given, expected as [string | null, ModelSession][]);
          if (mode !== 'complete')
            for (const [key, session] of due)
              model.set(
                key,
                model.get(key)!.filter((other) => other !== session),
              );
          const held = [...model.values()].reduce((sum, list) => sum + list.length, 0);
          assert.equal(runner.operator.figures().rows, held);

          if (mode === 'update') {
            for (const [index, values] of folded.rows.entries()) {
              const key = JSON.stringify(values.slice(0, 2));
              if (folded.deletes[index] === true) assert.ok(table.delete(key), `${key} was not there`);
              else table.add(key);
            }
            for (const [key, list] of model)
              for (const { start, end } of list) assert.ok(table.has(JSON.stringify([key, [start, end]])));
          } else {
            assert.equal(folded.deletes.some(Boolean), false);
          }

          const other = twin.runFrames(frames, { lateUs: late, evictUs: evict });
          assert.deepEqual(byGroup(other), byGroup(folded));
          if (restart) {
            twin.restart((list) => list.toSorted(() => dice.next().value - 50));
            assert.deepEqual(snapshot(twin), snapshot(runner));
          }
          late = evict;
          if (advance > 0) evict = (evict === -Infinity ? 0 : evict) + advance;
        }
      }),
      { numRuns: 40 },
    );
  });
}

function byGroup({ rows, groups }: { rows: BoxedValue[][]; groups: readonly number[] }): BoxedValue[][][] {
  return Array.from({ length: 256 }, (_, group) => rows.filter((_row, index) => groups[index] === group));
}

function snapshot({ operator }: Epochs): [number, string][] {
  return operator.groups().map((group) => [group, Buffer.from(operator.encodeGroup(group)!).toString('hex')]);
}

function counting(mode: OutputMode): Epochs {
  const plans = planOf(schema, [{ name: 'count', inputs: [] }]);
  return new Epochs(() => new Session(statePlan(plans, mode), [schema]), [{ schema, keys: [0] }]);
}

test('rows exactly one gap apart are one session, one microsecond more makes two', () => {
  const runner = counting('complete');
  assert.deepEqual(
    runner.run(
      [
        [
          ['a', 40, 10n],
          ['a', 50, 10n],
        ],
      ],
      {},
    ).rows,
    [['a', [40, 60], 2n]],
  );
  assert.deepEqual(runner.run([[['a', 71, 10n]]], {}).rows, [
    ['a', [40, 60], 2n],
    ['a', [71, 81], 1n],
  ]);
});

test('a row between two sessions makes them one, and update mode withdraws both', () => {
  const runner = counting('update');
  runner.run(
    [
      [
        ['a', 0, 10n],
        ['a', 20, 10n],
      ],
    ],
    {},
  );
  const { rows, deletes } = runner.run([[['a', 10, 10n]]], {});
  assert.deepEqual(rows, [
    ['a', [20, 30], 1n],
    ['a', [0, 10], 1n],
    ['a', [0, 30], 3n],
  ]);
  assert.deepEqual(deletes, [true, true, false]);
});

test('a row within a session changes it without withdrawing it', () => {
  const runner = counting('update');
  runner.run([[['a', 0, 10n]]], {});
  const { rows, deletes } = runner.run([[['a', 5, 5n]]], {});
  assert.deepEqual(rows, [['a', [0, 10], 2n]]);
  assert.deepEqual(deletes, [false]);
});

test('a session is given out and forgotten when its end is at the watermark', () => {
  const runner = counting('append');
  assert.deepEqual(
    runner.run(
      [
        [
          ['a', 0, 10n],
          ['b', 3, 10n],
        ],
      ],
      { evictUs: 9 },
    ).rows,
    [],
  );
  assert.deepEqual(runner.run([[]], { lateUs: 9, evictUs: 10 }).rows, [['a', [0, 10], 1n]]);
  assert.deepEqual(runner.operator.figures().rows, 1);
  assert.deepEqual(runner.run([[['a', 10, 5n]]], { lateUs: 10, evictUs: 20 }).rows, [
    ['b', [3, 13], 1n],
    ['a', [10, 15], 1n],
  ]);
  assert.deepEqual(runner.operator.groups(), []);
});

test('sessions that end together come out in the order of their keys, before and after a restart', () => {
  const plans = planOf(schema, [{ name: 'count', inputs: [] }]);
  for (const isRestarted of [false, true]) {
    // One key group for all: the order within it counts.
    const runner = new Epochs(() => new Session(statePlan(plans, 'append'), [schema]), [{ schema, keys: [] }]);
    runner.run(
      [
        [
          ['a', 0, 5n],
          ['b', 0, 10n],
        ],
      ],
      {},
    );
    runner.run([[['a', 5, 5n]]], {});
    if (isRestarted) runner.restart();
    assert.deepEqual(runner.run([[]], { evictUs: 10 }).rows, [
      ['a', [0, 10], 2n],
      ['b', [0, 10], 1n],
    ]);
  }
});
