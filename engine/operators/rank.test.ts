import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { DataType, Schema } from '../../core/types.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { FORMER, GIVEN } from './changes.ts';
import { Rank } from './rank.ts';
import { Epochs, type Folded } from './test-state.ts';

const INT: DataType = { kind: 'int' };
const STRING: DataType = { kind: 'string' };
const TIME: DataType = { kind: 'timestamp' };

type Plan = ConstructorParameters<typeof Rank>[0];
type Call = Plan['calls'][number];

/** Keys `k` and `ts`, then a number of the row's own, what it is sorted by, and a text. */
const schema: Schema = [
  { name: 'k', type: STRING, nullable: true },
  { name: 'ts', type: TIME, nullable: true },
  { name: 'u', type: INT, nullable: false },
  { name: 'score', type: INT, nullable: true },
  { name: 'text', type: STRING, nullable: true },
];
const KEYS = 2;

const call = (name: Call['function'], column = -1, offset = 1, fallback = -1): Call => ({
  function: name,
  column,
  offset,
  default: fallback,
  name,
  type: column < 0 ? INT : schema[column]!.type,
});

function rank(change: Partial<Plan>): Epochs {
  const plan: Plan = {
    kind: 'rank',
    keyCount: KEYS,
    by: [{ column: 3, descending: true, nullsFirst: false }],
    calls: [call('row_number')],
    limit: null,
    eventTime: null,
    mode: 'update',
    watermarkLagUs: 0,
    ...change,
  };
  return new Epochs(() => new Rank(plan, [schema]), [{ schema, keys: [0, 1] }]);
}

const row = (u: number, score: number | null, k = 'a', ts: number | null = 0) => [k, ts, u, score, `t${u}`];
/** u, the calls' values, and whether the row is withdrawn. */
const shown = ({ rows, deletes }: Folded) => rows.map(([u, , , ...values], index) => [u, ...values, deletes[index]]);

test('top-N: rows whose number is new come out, those pushed out are withdrawn first with what they had', () => {
  const epochs = rank({ limit: 2 });
  assert.deepEqual(shown(epochs.run([[row(1, 10), row(2, 20), row(3, 5)]], {})), [
    [2, 1, false],
    [1, 2, false],
  ]);
  assert.deepEqual(shown(epochs.run([[row(4, 1)]], {})), []);
  assert.deepEqual(epochs.run([], {}).rows, []);
  epochs.restart();
  assert.deepEqual(shown(epochs.run([[row(5, 15), row(6, 99, 'b')]], {})), [
    [1, 2, true],
    [5, 2, false],
    [6, 1, false],
  ]);
  assert.equal(epochs.operator.figures().rows, 3);
});

test('rows that come and go within one epoch are not seen', () => {
  const epochs = rank({ limit: 1 });
  assert.deepEqual(shown(epochs.run([[row(1, 1), row(2, 2), row(3, 3)]], {})), [[3, 1, false]]);
});

test('rank, dense_rank, and equal rows in the order of arrival', () => {
  const epochs = rank({ calls: [call('row_number'), call('rank'), call('dense_rank')] });
  assert.deepEqual(shown(epochs.run([[row(1, 5), row(2, 7), row(3, 5), row(4, null), row(5, 1)]], {})), [
    [2, 1, 1, 1, false],
    [1, 2, 2, 2, false],
    [3, 3, 2, 2, false],
    [5, 4, 4, 3, false],
    [4, 5, 5, 4, false],
  ]);
  assert.deepEqual(shown(epochs.run([[row(6, 5)]], {})), [
    [6, 4, 2, 2, false],
    [5, 5, 5, 3, false],
    [4, 6, 6, 4, false],
  ]);
});

test('a limit of ranks: rows that are equal to the last one within it stay, and leave together', () => {
  for (const mode of ['update', 'append'] as const) {
    const change = mode === 'append' ? { eventTime: { column: 1, kind: 'timestamp' } as const } : {};
    const epochs = rank({ limit: 2, ties: true, mode, calls: [call('rank')], ...change });
    epochs.run([[row(1, 5), row(2, 5), row(3, 4), row(4, 5)]], {});
    assert.equal(epochs.operator.figures().rows, 3);
    epochs.restart();
    assert.equal(epochs.run([[row(5, 9)]], {}).rows.length, mode === 'update' ? 4 : 0);
    assert.equal(epochs.operator.figures().rows, 4);
    const last = epochs.run([[row(6, 8), row(7, 8)]], {});
    assert.equal(epochs.operator.figures().rows, 3);
    if (mode === 'update')
      assert.deepEqual(shown(last), [
        [4, 2, true],
        [2, 2, true],
        [1, 2, true],
        [6, 2, false],
        [7, 2, false],
      ]);
    else
      assert.deepEqual(shown(epochs.run([], { evictUs: 1 })), [
        [5, 1, false],
        [6, 2, false],
        [7, 2, false],
      ]);
  }
});

test('lag and lead give another row’s value, or the default of the row itself', () => {
  const epochs = rank({ calls: [call('lag', 4, 1), call('lead', 2, 2, 3)] });
  assert.deepEqual(shown(epochs.run([[row(1, 30), row(2, 20), row(3, 10)]], {})), [
    [1, null, 3, false],
    [2, 't1', 20, false],
    [3, 't2', 10, false],
  ]);
  assert.deepEqual(shown(epochs.run([[row(4, 25)]], {})), [
    [1, null, 2, false],
    [4, 't1', 3, false],
    [2, 't4', 20, false],
  ]);
});

test('append: a key’s rows come out once, when its time is final, and are forgotten', () => {
  const epochs = rank({ mode: 'append', limit: 2, eventTime: { column: 1, kind: 'timestamp' } });
  assert.deepEqual(
    epochs.run([[row(1, 1, 'a', 5), row(2, 2, 'a', 5), row(3, 3, 'a', 5), row(4, 4, 'a', 6)]], {}).rows,
    [],
  );
  epochs.restart();
  assert.deepEqual(shown(epochs.run([[row(5, 9, 'a', 5)]], { evictUs: 5 })), [
    [5, 1, false],
    [3, 2, false],
  ]);
  assert.deepEqual(epochs.operator.figures().rows, 1);
  assert.deepEqual(epochs.run([], { lateUs: 5, evictUs: 5 }).rows, []);
});

test('property: append without a limit brings out all rows of a key once, in order, over restarts', () => {
  const arrival = fc.tuple(fc.constantFrom(5, 6), fc.option(fc.integer({ min: 0, max: 5 }), { freq: 8 }));
  const calls = [call('row_number'), call('rank'), call('dense_rank'), call('lag', 4, 1), call('lead', 2, 1)];
  fc.assert(
    fc.property(fc.array(fc.array(arrival, { maxLength: 6 }), { maxLength: 6 }), fc.boolean(), (steps, restarts) => {
      const shape = { limit: null, ties: false, calls, descending: true };
      const epochs = rank({ mode: 'append', calls, eventTime: { column: 1, kind: 'timestamp' } });
      let u = 100;
      const all: BoxedValue[][] = [];
      for (const arrivals of steps) {
        const rows = arrivals.map(([ts, score]) => row(u++, score, 'a', ts));
        all.push(...rows);
        assert.deepEqual(epochs.run([rows], {}).rows, []);
        if (restarts) epochs.restart();
      }
      for (const ts of [5, 6]) {
        const wanted = [
          ...valuesOf(
            all.filter((of) => of[1] === ts),
            shape,
          ),
        ];
        const got = shown(epochs.run([], { evictUs: ts }));
        assert.deepEqual(
          got,
          wanted.map(([id, values]) => [id, ...values, false]),
        );
      }
      assert.equal(epochs.operator.figures().rows, 0);
    }),
  );
});

test('complete: all rows of all keys', () => {
  const epochs = rank({ mode: 'complete', limit: 1 });
  const result = epochs.run([[row(1, 1, 'a'), row(2, 2, 'a'), row(3, 3, 'b')]], {});
  assert.deepEqual(shown(result).toSorted(), [
    [2, 1, false],
    [3, 1, false],
  ]);
  assert.deepEqual(shown(epochs.run([], {})).toSorted(), shown(result).toSorted());
});

test('where former values are wanted, a row that is given anew stands behind what it was', () => {
  const plan: Plan = {
    kind: 'rank',
    keyCount: KEYS,
    by: [{ column: 3, descending: true, nullsFirst: false }],
    calls: [call('rank'), call('lag', 2)],
    limit: null,
    eventTime: null,
    mode: 'update',
    watermarkLagUs: 0,
  };
  const wanted = { former: true, whole: false };
  const epochs = new Epochs(() => new Rank(plan, [schema], wanted), [{ schema, keys: [0, 1] }]);
  assert.deepEqual(shown(epochs.run([[row(1, 10), row(2, 20)]], {})), [
    [2, 1, null, false],
    [1, 2, 2, false],
  ]);
  epochs.restart();
  const folded = epochs.run([[row(3, 20)]], {});
  assert.deepEqual(shown(folded), [
    [3, 1, 2, false],
    [1, 2, 2, true],
    [1, 3, 3, false],
  ]);
  assert.deepEqual(folded.changes, [GIVEN, FORMER, GIVEN]);
});

interface Shape {
  readonly limit: number | null;
  readonly ties: boolean;
  readonly calls: readonly Call[];
  readonly descending: boolean;
}

/** The values of all rows of one key, by definition: u → [values]. */
function valuesOf(
  rows: readonly BoxedValue[][],
  { limit, ties, calls, descending }: Shape,
): Map<BoxedValue, BoxedValue[]> {
  const score = (row: readonly BoxedValue[]) => (row[3] === null ? -Infinity : (row[3] as number));
  const ordered = rows.toSorted((a, b) => {
    const difference = score(a) === score(b) ? 0 : score(a) < score(b) ? -1 : 1;
    return descending ? -difference : difference;
  });
  const values = new Map<BoxedValue, BoxedValue[]>();
  ordered.forEach((row, index) => {
    const isBefore = (other: readonly BoxedValue[]) => score(other) > score(row) === descending;
    const better = ordered.filter((other) => score(other) !== score(row) && isBefore(other)).length;
    if (limit !== null && (ties ? better : index) >= limit) return;
    const other = ({ offset, column, default: fallback }: Call, step: number): BoxedValue => {
      const found = ordered[index + step * offset];
      return found === undefined ? (fallback < 0 ? null : row[fallback]!) : found[column]!;
    };
    const before = ordered
      .filter((candidate) => score(candidate) !== score(row))
      .filter((candidate) => (descending ? score(candidate) > score(row) : score(candidate) < score(row)));
    values.set(
      row[2]!,
      calls.map((called) => {
        switch (called.function) {
          case 'row_number':
            return index + 1;
          case 'rank':
            return before.length + 1;
          case 'dense_rank':
            return new Set(before.map(score)).size + 1;
          case 'lag':
            return other(called, -1);
          case 'lead':
            return other(called, 1);
        }
      }),
    );
  });
  return values;
}

test('property: what changed comes out, and only that, over restarts', () => {
  const calls = fc.subarray(
    [
      call('row_number'),
      call('rank'),
      call('dense_rank'),
      call('lag', 4, 1),
      call('lag', 2, 2, 3),
      call('lead', 2, 1),
      call('lead', 4, 2, 0),
      call('lead', 2, -1),
    ],
    { minLength: 1 },
  );
  const arrival = fc.tuple(fc.constantFrom('a', 'b'), fc.option(fc.integer({ min: 0, max: 5 }), { freq: 8 }));
  const epoch = fc.record({ rows: fc.array(arrival, { maxLength: 6 }), restart: fc.boolean() });
  const numbers = fc.constantFrom([call('rank')], [call('rank'), call('row_number')]);
  const limit = fc.option(fc.integer({ min: 1, max: 4 }));
  const shape = fc.oneof(
    fc.record({ limit, ties: fc.constant(false), calls, descending: fc.boolean() }),
    fc.record({ limit, ties: fc.constant(true), calls: numbers, descending: fc.boolean() }),
  );
  fc.assert(
    fc.property(shape, fc.array(epoch, { maxLength: 8 }), (shape, steps) => {
      const by = [{ column: 3, descending: shape.descending, nullsFirst: !shape.descending }];
      const plan = { limit: shape.limit, calls: shape.calls, by, ...(shape.ties ? ({ ties: true } as const) : {}) };
      const steady = rank(plan);
      const restarted = rank(plan);
      const all = new Map<string, BoxedValue[][]>();
      let u = 100;
      for (const { rows, restart } of steps) {
        const arrived = rows.map(([k, score]) => row(u++, score, k));
        const expected: unknown[] = [];
        for (const k of ['a', 'b']) {
          const former = all.get(k) ?? [];
          const now = [...former, ...arrived.filter((r) => r[0] === k)];
          all.set(k, now);
          const [before, after] = [valuesOf(former, shape), valuesOf(now, shape)];
          // lag and lead look at which row it is, not at its value; rows here differ in their own number and text.
          for (const [id, values] of before) if (!after.has(id)) expected.push([id, ...values, true]);
          for (const [id, values] of after)
            if (!isDeepStrictEqual(before.get(id), values)) expected.push([id, ...values, false]);
        }
        const actual = steady.run([arrived], {});
        const sorted = (list: unknown[]) => list.map((entry) => JSON.stringify(entry)).toSorted();
        assert.deepEqual(sorted(shown(actual)), sorted(expected));
        assert.deepEqual(restarted.run([arrived], {}), actual);
        for (const group of steady.operator.groups())
          assert.deepEqual(restarted.operator.encodeGroup(group), steady.operator.encodeGroup(group));
        if (restart) restarted.restart((groups) => groups.toReversed());
      }
    }),
    { numRuns: 300 },
  );
});
