import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Schema } from '../../core/types.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { WeirError } from '../../core/errors.ts';
import { Dedup } from './dedup.ts';
import { Epochs } from './test-state.ts';

const schema: Schema = [
  { name: 'k', type: { kind: 'string' }, nullable: true },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
  { name: 'f', type: { kind: 'double' }, nullable: true },
  { name: 'window', type: { kind: 'struct', fields: windowFields }, nullable: true },
];
const row = (k: string | null, ts: number | null = null, f: number | null = null, window: unknown = null) => [
  k,
  ts,
  f,
  window,
];

type Plan = ConstructorParameters<typeof Dedup>[0];

function dedup(change: Partial<Plan>): Epochs {
  const plan: Plan = {
    kind: 'dedup',
    keys: [0],
    eventTime: null,
    withinWatermark: null,
    watermarkLagUs: 0,
    ...change,
  };
  return new Epochs(() => new Dedup(plan, [schema]), [{ schema, keys: plan.keys }]);
}

test('without event time the first row of each key comes out once and keys stay for ever', () => {
  const epochs = dedup({});
  const first = epochs.run([[row('a', 1), row('a', 2), row('b', 3), row(null, 4), row(null, 5)]], {});
  assert.deepEqual(first.rows, [row('a', 1), row('b', 3), row(null, 4)]);
  assert.deepEqual(epochs.run([[row('b', 6), row('c', 7)]], { evictUs: 1000 }).rows, [row('c', 7)]);
  assert.deepEqual(epochs.operator.figures().rows, 4);
  epochs.restart();
  assert.deepEqual(epochs.run([[row('a', 8), row('d', 9)]], { evictUs: 1000 }).rows, [row('d', 9)]);
});

test('0.0 and -0.0 are the same key, and so are all NaN', () => {
  const epochs = dedup({ keys: [2] });
  const { rows } = epochs.run(
    [[row('a', 1, 0), row('b', 2, -0), row('c', 3, Number.NaN), row('d', 4, Number.NaN)]],
    {},
  );
  assert.deepEqual(
    rows.map(([k]) => k),
    ['a', 'c'],
  );
});

test('event time in the key: forgotten at the watermark, not before', () => {
  const epochs = dedup({ keys: [0, 1], eventTime: { column: 1, kind: 'timestamp' } });
  epochs.run([[row('a', 5), row('a', 6), row('a', 7), row('a', null)]], {});
  assert.deepEqual(epochs.run([[row('a', 5)]], { evictUs: 6 }).rows, [], 'rows of the epoch come before forgetting');
  assert.deepEqual(epochs.operator.figures().rows, 2);
  assert.deepEqual(epochs.operator.figures().evicted, 2);
  assert.deepEqual(epochs.run([[row('a', 7), row('a', null)]], { lateUs: 6, evictUs: 6 }).rows, []);
  assert.equal(epochs.operator.figures().evicted, 0);
});

test('a window in the key is forgotten at its end, against a watermark that may lie lower than the job’s', () => {
  const epochs = dedup({ keys: [3], eventTime: { column: 3, kind: 'window' }, watermarkLagUs: 2 });
  epochs.run([[row('a', 1, null, [0, 10]), row('b', 1, null, [10, 20])]], { evictUs: 11 });
  assert.equal(epochs.operator.figures().rows, 2);
  epochs.run([], { evictUs: 12 });
  assert.equal(epochs.operator.figures().rows, 1);
});

test('within the watermark a key lives until its first row’s time plus the delay', () => {
  const epochs = dedup({ withinWatermark: { column: 1, delayUs: 10 } });
  assert.deepEqual(epochs.run([[row('a', 1), row('a', 2), row('b', 3)]], {}).rows, [row('a', 1), row('b', 3)]);
  epochs.restart();
  assert.deepEqual(epochs.run([[row('a', 9), row('c', 9)]], { evictUs: 10 }).rows, [row('c', 9)]);
  assert.equal(epochs.operator.figures().rows, 3);
  epochs.run([], { evictUs: 11 });
  assert.equal(epochs.operator.figures().rows, 2);
  assert.deepEqual(epochs.run([[row('a', 12)]], { lateUs: 11, evictUs: 11 }).rows, [row('a', 12)]);
});

test('within the watermark a row without a time is remembered until the watermark moves', () => {
  const epochs = dedup({ withinWatermark: { column: 1, delayUs: 10 } });
  assert.deepEqual(epochs.run([[row('a'), row('a')]], {}).rows, [row('a')]);
  assert.deepEqual(epochs.run([[row('a')]], {}).rows, []);
  epochs.run([], { evictUs: -50 });
  assert.equal(epochs.operator.figures().rows, 0);
});

test('groups that changed are listed, evictions included', () => {
  const epochs = dedup({ keys: [0, 1], eventTime: { column: 1, kind: 'timestamp' } });
  const { groups } = epochs.run([[row('a', 5), row('b', 6)]], {});
  assert.deepEqual(
    epochs.operator.changedGroups(),
    [...new Set(groups)].toSorted((a, b) => a - b),
  );
  epochs.operator.clearChanged();
  epochs.run([[row('a', 5)]], {});
  assert.deepEqual(epochs.operator.changedGroups(), []);
  epochs.run([], { evictUs: 5 });
  assert.deepEqual(epochs.operator.changedGroups(), [groups[0]]);
  assert.deepEqual(epochs.operator.groups(), [groups[1]]);
  epochs.operator.dropGroup(groups[1] as number);
  assert.deepEqual([epochs.operator.groups(), epochs.operator.encodeGroup(groups[1] as number)], [[], null]);
});

test('state that is cut short or of another format is refused', () => {
  const epochs = dedup({});
  const { groups } = epochs.run([[row('abc')]], {});
  const bytes = epochs.operator.encodeGroup(groups[0] as number) as Uint8Array;
  const isDamaged = (thrown: unknown) => thrown instanceof WeirError && thrown.code === 'STATE_DAMAGED';
  assert.throws(() => epochs.operator.restoreGroup(0, bytes.subarray(0, -1)), isDamaged);
  assert.throws(() => epochs.operator.restoreGroup(0, Uint8Array.of(9, ...bytes.subarray(1))), isDamaged);
});

test('property: as if all rows had been kept, over epochs, frames, watermarks and restarts', () => {
  const arrival = fc.tuple(fc.option(fc.constantFrom('a', 'b', 'c', 'd')), fc.option(fc.integer({ min: 0, max: 40 })));
  const epoch = fc.record({
    frames: fc.array(fc.array(arrival, { maxLength: 6 }), { maxLength: 3 }),
    moved: fc.integer({ min: 0, max: 12 }),
    restart: fc.boolean(),
  });
  const kind = fc.constantFrom('none', 'eventTime', 'within');
  fc.assert(
    fc.property(fc.array(epoch, { maxLength: 10 }), kind, (steps, kind) => {
      const delayUs = 10;
      const plans: Readonly<Record<string, Partial<Plan>>> = {
        none: {},
        eventTime: { keys: [0, 1], eventTime: { column: 1, kind: 'timestamp' } },
        within: { withinWatermark: { column: 1, delayUs } },
      };
      const epochs = dedup(plans[kind] as Partial<Plan>);
      const held = new Map<string, number>();
      let watermark = -Infinity;
      for (const { frames, moved, restart } of steps) {
        const expected: unknown[] = [];
        for (const [k, ts] of frames.flat()) {
          const key = kind === 'eventTime' ? `${k}/${ts}` : `${k}`;
          if (held.has(key)) continue;
          held.set(
            key,
            kind === 'none' ? Infinity : kind === 'within' ? (ts ?? -Infinity) + delayUs : (ts ?? Infinity),
          );
          expected.push([k, ts, null, null]);
        }
        if (moved > 0) watermark = Math.max(watermark, 0) + moved;
        for (const [key, time] of held) if (watermark !== -Infinity && time <= watermark) held.delete(key);
        const { rows } = epochs.runFrames(
          frames.map((rows) => ({ port: 0, rows: rows.map(([k, ts]) => row(k, ts)) })),
          { evictUs: watermark },
        );
        assert.deepEqual(rows, expected);
        assert.equal(epochs.operator.figures().rows, held.size);
        if (!restart) continue;
        const before = epochs.operator;
        epochs.restart((groups) => groups.toReversed());
        assert.deepEqual(epochs.operator.groups(), before.groups());
        for (const group of before.groups())
          assert.deepEqual(epochs.operator.encodeGroup(group), before.encodeGroup(group));
      }
    }),
  );
});
