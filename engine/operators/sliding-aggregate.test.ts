import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { AggregatePlan, StatePlan } from '../plan/epoch-plan.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import { Aggregate } from './aggregate.ts';
import { SlidingAggregate } from './sliding-aggregate.ts';
import { Epochs } from './test-state.ts';

const BIGINT: DataType = { kind: 'bigint' };
const WINDOW: DataType = { kind: 'struct', fields: windowFields };
const SIZE = 10;
const SLIDE = 2;

function call(name: string, inputs: readonly number[]): AggregatePlan {
  const inputTypes = inputs.map(() => BIGINT);
  return { function: name, distinct: false, inputs, inputTypes, filter: -1, name, type: BIGINT, nullable: true };
}

const aggregates = [call('count', []), call('max', [2])];

/** Keys in front of the buffers; the window is the last of the keys. */
function inputOf(others: Schema, of: readonly AggregatePlan[]): Schema {
  return [...others, { name: 'w', type: WINDOW, nullable: false }, ...bufferSchemaOf(of)];
}

function planOf(keyCount: number, of: readonly AggregatePlan[]): Extract<StatePlan, { kind: 'aggregate' }> {
  return {
    kind: 'aggregate',
    keyCount,
    aggregates: of,
    eventTime: { column: keyCount - 1, kind: 'window' },
    mode: 'append',
    watermarkLagUs: 0,
    panes: { sizeUs: SIZE, slideUs: SLIDE },
  };
}

const byName: Schema = [{ name: 'k', type: { kind: 'string' }, nullable: true }];
const byNumber: Schema = [{ name: 'k', type: BIGINT, nullable: true }];

function epochsOf(others: Schema, of: readonly AggregatePlan[] = aggregates): Epochs {
  const schema = inputOf(others, of);
  const keys = others.map((_, index) => index);
  return new Epochs(() => new SlidingAggregate(planOf(others.length + 1, of), [schema]), [{ schema, keys }]);
}

type Pane = readonly [key: string | bigint | null, start: number, count: number, most: number];

const rowOf = ([key, start, count, most]: Pane): readonly unknown[] => [
  key,
  [start, start + SLIDE],
  BigInt(count),
  BigInt(most),
];
const text = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)));

test('a window comes out once, when the watermark has passed its end, and its last pane goes with the last window over it', () => {
  const epochs = epochsOf(byName);
  const none = { rows: [] as string[], held: 1 };
  const step = (rows: readonly Pane[], lateUs: number, evictUs: number) => {
    const { rows: given, changes } = epochs.run([rows.map(rowOf)], { lateUs, evictUs });
    assert.ok(changes.every((change) => change === 0));
    return { rows: text(given), held: epochs.operator.figures().rows };
  };
  assert.deepEqual(step([['a', 20, 3, 7]], -Infinity, -Infinity), none);
  // Windows over the pane begin from 12 to 20 on.
  assert.deepEqual(step([], -Infinity, 21), none);
  assert.deepEqual(step([], 21, 22), { rows: ['["a",[12,22],3,7]'], held: 1 });
  assert.deepEqual(step([], 22, 22), none);
  // A row that comes now counts in the windows that are not out yet.
  assert.deepEqual(step([['a', 20, 1, 9]], 22, 26), {
    rows: ['["a",[14,24],4,9]', '["a",[16,26],4,9]'],
    held: 1,
  });
  assert.deepEqual(step([], 26, 100), { rows: ['["a",[18,28],4,9]', '["a",[20,30],4,9]'], held: 0 });
  assert.equal(epochs.operator.figures().evicted, 1);
  assert.deepEqual(epochs.operator.groups(), []);
});

test('windows without panes between two that have some are left out, however far they lie apart', () => {
  const epochs = epochsOf(byName);
  epochs.run([[rowOf(['a', 0, 1, 1]), rowOf(['a', 2_000_000_000_000, 1, 1])]], {});
  const { rows } = epochs.run([[]], { evictUs: 3_000_000_000_000 });
  assert.equal(rows.length, 2 * (SIZE / SLIDE));
});

test('without other keys a window is one row of all its panes', () => {
  const epochs = epochsOf([]);
  const rowsOf = (rows: readonly Pane[]) => rows.map((row) => rowOf(row).slice(1));
  epochs.run(
    [
      rowsOf([
        [null, 8, 2, 5],
        [null, 0, 1, 9],
        [null, 8, 1, 6],
      ]),
    ],
    {},
  );
  assert.deepEqual(text(epochs.run([[]], { evictUs: 10 }).rows), [
    '[[-8,2],1,9]',
    '[[-6,4],1,9]',
    '[[-4,6],1,9]',
    '[[-2,8],1,9]',
    '[[0,10],4,9]',
  ]);
});

test('a sum that no window can hold is reported with the group, and the window comes without the pane', () => {
  const epochs = epochsOf(byName, [call('sum', [2])]);
  const most = 2n ** 63n - 1n;
  epochs.run(
    [
      [
        ['a', [0, 2], most],
        ['a', [2, 4], 1n],
      ],
    ],
    {},
  );
  const { rows, groupFailures } = epochs.run([[]], { evictUs: 4 });
  assert.deepEqual(
    rows.map((row) => row[2]),
    [most, most],
  );
  assert.deepEqual(
    groupFailures.map(({ place }) => place),
    ['sum'],
  );
});

test('property: what comes out is what windows kept one by one give, whatever is restored in between', () => {
  const key = fc.constantFrom<string | null>('a', 'b', 'c', null);
  const pane = fc.tuple(key, fc.nat(30), fc.integer({ min: 1, max: 5 }), fc.integer({ min: -9, max: 9 }));
  const epoch = fc.record({
    frames: fc.array(fc.array(pane, { maxLength: 8 }), { maxLength: 3 }),
    advance: fc.nat(12),
    restart: fc.boolean(),
  });
  for (const others of [byName, byNumber]) {
    const schema = inputOf(others, aggregates);
    const { panes: _, ...whole } = planOf(2, aggregates);
    fc.assert(
      fc.property(fc.array(epoch, { maxLength: 8 }), (list) => {
        const keyOf = (name: string | null): string | bigint | null =>
          others === byName || name === null ? name : BigInt(name.charCodeAt(0));
        const sliding = epochsOf(others);
        const windows = new Epochs(() => new Aggregate(whole, [schema]), [{ schema, keys: [0] }]);
        let [lateUs, evictUs] = [-Infinity, -Infinity];
        let expected = 0;
        let given = 0;
        for (const [index, { frames, advance, restart }] of list.entries()) {
          if (restart) sliding.restart((groups) => groups.toReversed());
          // What is late in all its windows is dropped before.
          const rows = frames.map((frame) =>
            frame
              .map(([name, at, count, most]): Pane => [keyOf(name), SLIDE * at, count, most])
              .filter(([, start]) => start + SIZE > lateUs),
          );
          const out = sliding.runFrames(
            rows.map((frame) => ({ port: 0, rows: frame.map(rowOf) })),
            { lateUs, evictUs },
          );
          const each = rows.map((frame) => ({
            port: 0,
            rows: frame.flatMap(([name, start, count, most]) =>
              Array.from({ length: SIZE / SLIDE }, (_unused, at) => start - at * SLIDE)
                .filter((first) => first + SIZE > lateUs)
                .map((first) => [name, [first, first + SIZE], BigInt(count), BigInt(most)]),
            ),
          }));
          const reference = windows.runFrames(each, { lateUs, evictUs });
          assert.deepEqual(text(out.rows).toSorted(), text(reference.rows).toSorted());
          given += out.rows.length;
          expected += reference.rows.length;
          lateUs = evictUs;
          evictUs = Math.max(evictUs, (index + 1) * 6 + advance);
        }
        assert.equal(given, expected);
        sliding.run([[]], { lateUs, evictUs: 1000 });
        assert.equal(sliding.operator.figures().rows, 0);
      }),
      { numRuns: 200 },
    );
  }
});

test('property: a restored group gives its windows in the same order and is stored the same', () => {
  const pane = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(8), fc.constant(1), fc.nat(3));
  fc.assert(
    fc.property(fc.array(pane, { maxLength: 20 }), (list) => {
      const rows = list.map(([name, at, count, most]) => rowOf([name, SLIDE * at, count, most]));
      const [stayed, moved] = [epochsOf(byName), epochsOf(byName)];
      for (const epochs of [stayed, moved]) epochs.run([rows], {});
      moved.restart((groups) => groups.toReversed());
      for (const group of stayed.operator.groups())
        assert.deepEqual(moved.operator.encodeGroup(group), stayed.operator.encodeGroup(group));
      const [a, b] = [stayed, moved].map((epochs) => epochs.run([[]], { evictUs: 15 }));
      const ofGroup = (folded: typeof a, group: number) =>
        text(folded!.rows.filter((_, row) => folded!.groups[row] === group));
      for (const group of new Set(a!.groups)) assert.deepEqual(ofGroup(b, group), ofGroup(a, group));
    }),
    { numRuns: 200 },
  );
});

test('state of whole windows is no state of panes', () => {
  const schema = inputOf(byName, aggregates);
  const { panes: _, ...whole } = planOf(2, aggregates);
  const windows = new Epochs(() => new Aggregate(whole, [schema]), [{ schema, keys: [0] }]);
  windows.run([[['a', [0, 10], 1n, 1n]]], {});
  const [group = 0] = windows.operator.groups();
  const bytes = windows.operator.encodeGroup(group);
  assert.throws(
    () => new SlidingAggregate(planOf(2, aggregates), [schema]).restoreGroup(group, bytes),
    (error) => isWeirError(error) && error.code === 'STATE_DAMAGED',
  );
});

test('only groups with rows of their own, or with panes that are forgotten, are stored again', () => {
  const epochs = epochsOf(byName);
  epochs.run([[rowOf(['a', 0, 1, 1])]], {});
  const groups = epochs.operator.groups();
  assert.deepEqual(epochs.operator.changedGroups(), groups);
  epochs.operator.clearChanged();
  assert.equal(epochs.run([[]], { evictUs: 4 }).rows.length, 2);
  assert.deepEqual(epochs.operator.changedGroups(), []);
  epochs.run([[]], { lateUs: 4, evictUs: 10 });
  assert.deepEqual(epochs.operator.changedGroups(), groups);
});
