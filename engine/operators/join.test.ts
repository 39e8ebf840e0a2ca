import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Expr } from '../../core/ast.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { type JoinType, windowFields } from '../plan/logical-plan.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { Join } from './join.ts';
import { splitJoinCondition } from './join-condition.ts';
import { call, column } from './test-epoch.ts';
import { Epochs, type Folded } from './test-state.ts';

const INT: DataType = { kind: 'int' };
const BOOLEAN: DataType = { kind: 'boolean' };
const TIME: DataType = { kind: 'timestamp' };
const WINDOW: DataType = { kind: 'struct', fields: windowFields };

type Plan = ConstructorParameters<typeof Join>[0];
type Row = readonly BoxedValue[];

/** A side's own columns in these tests. */
const side: Schema = [
  { name: 'k', type: INT, nullable: true },
  { name: 'ts', type: TIME, nullable: true },
  { name: 'v', type: INT, nullable: true },
];
const both: Schema = [...side, ...side];
const literal = (value: number): Expr => ({ kind: 'literal', type: INT, nullable: false, value });

/** `keys`: the own columns that are equal. */
function join(type: JoinType, change: Partial<Plan> & { readonly keys?: readonly number[] } = {}): Epochs {
  const { keys = [0], ...plan } = change;
  const port: Schema = [...keys.map((index) => side[index]!), ...side];
  const full: Plan = {
    kind: 'join',
    type,
    keyCount: keys.length,
    nullSafe: keys.map(() => false),
    residual: null,
    leftTime: null,
    rightTime: null,
    bounds: null,
    equalTime: false,
    mode: 'append',
    watermarkLagUs: 0,
    timeZone: 'UTC',
    ...plan,
  };
  const places = keys.map((_, index) => index);
  const ports = [
    { schema: port, keys: places },
    { schema: port, keys: places },
  ];
  return new Epochs(() => new Join(full, [port, port]), ports);
}

/** Runs an epoch over rows of the own columns. */
function run(
  epochs: Epochs,
  keys: readonly number[],
  left: readonly Row[],
  right: readonly Row[],
  marks: { lateUs?: number; evictUs?: number } = {},
): Folded {
  const keyed = (rows: readonly Row[]) => rows.map((row) => [...keys.map((index) => row[index]), ...row]);
  return epochs.run([keyed(left), keyed(right)], marks);
}

/** Each row once more, in an order of its own. */
const sorted = (rows: readonly (readonly unknown[])[]) => rows.map((row) => JSON.stringify(row)).toSorted();

const bounds = (lowerUs: number | null, upperUs: number | null): Partial<Plan> => ({
  bounds: { left: 1, right: 1, lowerUs, upperUs },
  leftTime: { column: 1, kind: 'timestamp' },
  rightTime: { column: 1, kind: 'timestamp' },
});
const equalTime: Partial<Plan> & { keys: readonly number[] } = {
  keys: [0, 1],
  equalTime: true,
  leftTime: { column: 1, kind: 'timestamp' },
  rightTime: { column: 1, kind: 'timestamp' },
};

test('inner without time: every pair once, duplicates multiply, rows stay for ever', () => {
  const epochs = join('inner');
  const pair = (l: Row, r: Row) => [...l, ...r];
  const [a1, a10, b1, b10] = [
    [1, null, 2],
    [10, null, 20],
    [1, null, 3],
    [10, null, 30],
  ] as const;
  assert.deepEqual(run(epochs, [0], [a1], []).rows, []);
  assert.deepEqual(run(epochs, [0], [], [b1, b10]).rows, [pair(a1, b1)]);
  assert.deepEqual(run(epochs, [0], [a10], []).rows, [pair(a10, b10)]);
  assert.deepEqual(run(epochs, [0], [], [b1]).rows, [pair(a1, b1)]);
  epochs.restart();
  assert.deepEqual(run(epochs, [0], [a1], [], { evictUs: 1000 }).rows, [pair(a1, b1), pair(a1, b1)]);
  assert.deepEqual(run(epochs, [0], [[100, null, 200]], [[100, null, 300]]).rows, [[100, null, 200, 100, null, 300]]);
  assert.equal(epochs.operator.figures().rows, 8);
});

test('NULL keys match nothing, unless the equality is null-safe', () => {
  const rows = [[null, null, 1]];
  assert.deepEqual(run(join('inner'), [0], rows, rows).rows, []);
  assert.equal(run(join('inner', { nullSafe: [true] }), [0], rows, rows).rows.length, 1);
});

test('outer with bounds: a row comes out with NULLs when no partner can come any more, and not before', () => {
  // left − right in [−5, 5].
  const epochs = join('right', bounds(-5, 5));
  const key = [0];
  assert.deepEqual(
    run(
      epochs,
      key,
      [
        [1, 5, 0],
        [3, 5, 0],
      ],
      [],
    ).rows,
    [],
  );
  assert.deepEqual(
    run(
      epochs,
      key,
      [],
      [
        [1, 10, 0],
        [2, 5, 0],
      ],
    ).rows,
    [[1, 5, 0, 1, 10, 0]],
  );
  assert.deepEqual(run(epochs, key, [], [[1, 11, 0]]).rows, []);
  const { rows } = run(
    epochs,
    key,
    [
      [1, 7, 0],
      [1, 30, 0],
    ],
    [],
  );
  assert.deepEqual(rows, [
    [1, 7, 0, 1, 10, 0],
    [1, 7, 0, 1, 11, 0],
  ]);
  assert.equal(epochs.operator.figures().rows, 7);
  epochs.restart();
  assert.deepEqual(run(epochs, key, [], [[0, 30, 0]], { evictUs: 1 }).rows, []);
  assert.deepEqual(run(epochs, key, [], [], { lateUs: 1, evictUs: 10 }).rows, [], 'a left row at 10 + 1 − … may come');
  assert.deepEqual(run(epochs, key, [], [], { lateUs: 10, evictUs: 11 }).rows, [[null, null, null, 2, 5, 0]]);
  assert.deepEqual(run(epochs, key, [], [], { lateUs: 11, evictUs: 20 }).rows, []);
  assert.equal(epochs.operator.figures().rows, 2);
});

test('the epoch that evicts a row still matches it first', () => {
  const epochs = join('left', bounds(-5, 5));
  run(
    epochs,
    [0],
    [
      [1, 5, 0],
      [2, 5, 0],
    ],
    [],
  );
  assert.deepEqual(run(epochs, [0], [], [[1, 8, 0]], { evictUs: 50 }).rows, [
    [1, 5, 0, 1, 8, 0],
    [2, 5, 0, null, null, null],
  ]);
});

test('equal event times: rows live until that time, on both sides', () => {
  const epochs = join('full', equalTime);
  run(
    epochs,
    [0, 1],
    [
      [1, 10, 0],
      [1, 11, 0],
    ],
    [
      [2, 10, 0],
      [1, 11, 1],
    ],
  );
  assert.deepEqual(run(epochs, [0, 1], [], [], { evictUs: 9 }).rows, []);
  assert.deepEqual(run(epochs, [0, 1], [], [], { evictUs: 11 }).rows, [
    [1, 10, 0, null, null, null],
    [null, null, null, 2, 10, 0],
  ]);
  assert.deepEqual(
    [epochs.operator.figures(), epochs.operator.groups()].map((x) => ('rows' in x ? x.rows : x)),
    [0, []],
  );
});

test('equal windows: rows live until the window’s end', () => {
  const own: Schema = [...side, { name: 'window', type: WINDOW, nullable: false }];
  const port: Schema = [{ name: 'window', type: WINDOW, nullable: false }, ...own];
  const plan: Plan = {
    kind: 'join',
    type: 'left',
    keyCount: 1,
    nullSafe: [false],
    residual: null,
    leftTime: { column: 3, kind: 'window' },
    rightTime: { column: 3, kind: 'window' },
    bounds: null,
    equalTime: true,
    mode: 'append',
    watermarkLagUs: 1,
    timeZone: 'UTC',
  };
  const ports = [0, 1].map(() => ({ schema: port, keys: [0] }));
  const epochs = new Epochs(() => new Join(plan, [port, port]), ports);
  const row = (start: number, v: number) => [[start, start + 10], v, null, null, [start, start + 10]];
  epochs.run([[row(0, 1), row(10, 2)], [row(10, 3)]], {});
  assert.equal(epochs.run([], { evictUs: 10 }).rows.length, 0, 'its watermark lies one below the job’s');
  assert.deepEqual(
    epochs.run([], { evictUs: 11 }).rows.map(([k, , , , right]) => [k, right]),
    [[1, null]],
  );
});

test('a row that its own columns rule out is not kept, and comes out at once where it has to', () => {
  const residual = call('>', BOOLEAN, column(both, 2), literal(4));
  const left: Row[] = [
    [1, 1, 2],
    [2, 1, 4],
    [3, 1, 6],
  ];
  const right: Row[] = [
    [3, 1, 9],
    [4, 1, 12],
    [5, 1, 15],
  ];
  const epochs = join('full', { ...equalTime, residual });
  assert.deepEqual(run(epochs, [0, 1], left, right).rows, [
    [1, 1, 2, null, null, null],
    [2, 1, 4, null, null, null],
    [3, 1, 6, 3, 1, 9],
  ]);
  assert.equal(epochs.operator.figures().rows, 4);
  const inner = join('inner', { ...equalTime, residual });
  assert.deepEqual(run(inner, [0, 1], left, right).rows, [[3, 1, 6, 3, 1, 9]]);
  assert.equal(inner.operator.figures().rows, 4);
  const anti = join('anti', { ...equalTime, residual });
  assert.deepEqual(run(anti, [0, 1], left, right).rows, [
    [1, 1, 2],
    [2, 1, 4],
  ]);
});

test('semi: a left row comes out at its first match and is forgotten', () => {
  const epochs = join('semi', equalTime);
  const rows = [1, 2, 3].map((k): Row => [k, 1, k]);
  assert.deepEqual(
    run(epochs, [0, 1], rows, [
      [3, 1, 0],
      [3, 1, 1],
      [4, 1, 0],
    ]).rows,
    [[3, 1, 3]],
  );
  assert.equal(epochs.operator.figures().rows, 5);
  epochs.restart();
  assert.deepEqual(
    run(
      epochs,
      [0, 1],
      [[4, 1, 7]],
      [
        [2, 1, 0],
        [2, 1, 1],
      ],
    ).rows,
    [
      [4, 1, 7],
      [2, 1, 2],
    ],
  );
  assert.deepEqual(run(epochs, [0, 1], [], [], { evictUs: 1 }).rows, []);
});

test('anti: a left row comes out when it is evicted unmatched', () => {
  const epochs = join('anti', equalTime);
  run(
    epochs,
    [0, 1],
    [
      [1, 1, 0],
      [2, 1, 0],
      [null, 1, 0],
    ],
    [[1, 1, 0]],
  );
  assert.deepEqual(run(epochs, [0, 1], [], [], { evictUs: 1 }).rows, [
    [2, 1, 0],
    [null, 1, 0],
  ]);
});

test('a row without the time that would make it final comes out at once', () => {
  const epochs = join('left', bounds(0, 5));
  assert.deepEqual(
    run(
      epochs,
      [0],
      [
        [1, null, 0],
        [null, 3, 0],
      ],
      [],
    ).rows,
    [[1, null, 0, null, null, null]],
  );
  assert.deepEqual(run(epochs, [0], [], [], { evictUs: 4 }).rows, [[null, 3, 0, null, null, null]]);
});

test('a row whose condition fails is a failure, brings nothing out and is not kept', () => {
  const bigint = (input: Expr): Expr => ({
    kind: 'cast',
    type: { kind: 'bigint' },
    nullable: true,
    input,
    mode: 'ansi',
  });
  const quotient = call('div', { kind: 'bigint' }, bigint(column(both, 2)), bigint(column(both, 5)));
  const residual = call('isnotnull', BOOLEAN, quotient);
  const epochs = join('inner', { residual });
  run(epochs, [0], [[1, null, 6]], []);
  const { rows, failures } = run(
    epochs,
    [0],
    [],
    [
      [1, null, 0],
      [1, null, 2],
    ],
  );
  assert.deepEqual(rows, [[1, null, 6, 1, null, 2]]);
  assert.deepEqual(
    failures.map(({ record }) => record),
    [0],
  );
  assert.equal(epochs.operator.figures().rows, 2);
});

test('more pairs than are tried at once come out as they would one by one', () => {
  const residual = call('<', BOOLEAN, column(both, 2), column(both, 5));
  const epochs = join('inner', { residual });
  const rows = (count: number): Row[] => Array.from({ length: count }, (_, v) => [1, null, v]);
  run(epochs, [0], rows(250), []);
  const { rows: pairs } = run(epochs, [0], [], rows(200));
  const expected = Array.from({ length: 200 }, (_, r) => Array.from({ length: r }, (__, l) => [l, r])).flat();
  assert.deepEqual(
    pairs.map((pair) => [pair[2], pair[5]]),
    expected,
  );
});

test('a condition is split into what each side decides and the rest', () => {
  const and = (a: Expr, b: Expr) => call('and', BOOLEAN, a, b);
  const ofLeft = call('>', BOOLEAN, column(both, 2), literal(1));
  const ofRight = call('>', BOOLEAN, column(both, 5), literal(2));
  const ofBoth = call('>', BOOLEAN, column(both, 2), column(both, 5));
  const constant = call('>', BOOLEAN, literal(1), literal(2));
  const random = call('>', BOOLEAN, call('rand', { kind: 'double' }), literal(0));
  const past = call('<', BOOLEAN, column(both, 1), call('current_timestamp', TIME));
  const condition = and(and(and(ofLeft, ofRight), past), and(ofBoth, and(constant, random)));
  const split = splitJoinCondition(condition, side.length);
  assert.deepEqual(split.left, and(and(ofLeft, past), constant));
  assert.deepEqual(
    split.right,
    and(call('>', BOOLEAN, { ...column(both, 5), index: 2 } as Expr, literal(2)), constant),
  );
  assert.deepEqual(split.both, and(ofBoth, random));
});

test('property: as a nested loop over all rows ever, with rows final by time, over restarts', () => {
  const small = fc.integer({ min: 0, max: 3 });
  const row = fc.tuple(fc.option(small, { freq: 9 }), fc.option(fc.integer({ min: 0, max: 14 }), { freq: 9 }), small);
  const epoch = fc.record({
    left: fc.array(row, { maxLength: 5 }),
    right: fc.array(row, { maxLength: 5 }),
    offset: fc.integer({ min: -4, max: 4 }),
    moved: fc.integer({ min: 0, max: 6 }),
    restart: fc.boolean(),
  });
  const shape = fc.record({
    type: fc.constantFrom<JoinType>('inner', 'left', 'right', 'full', 'semi', 'anti'),
    time: fc.constantFrom('none', 'equal', 'bounds', 'lower', 'upper'),
    lower: fc.integer({ min: -4, max: 2 }),
    width: fc.integer({ min: 0, max: 6 }),
    residual: fc.constantFrom('none', 'left', 'right', 'both'),
    nullSafe: fc.boolean(),
  });
  fc.assert(
    fc.property(shape, fc.array(epoch, { minLength: 1, maxLength: 9 }), (shape, steps) => {
      const { type, time } = shape;
      const isEqual = time === 'equal';
      const keys = isEqual ? [0, 1] : [0];
      const lower = time === 'bounds' || time === 'lower' ? shape.lower : null;
      const upper = time === 'bounds' || time === 'upper' ? shape.lower + shape.width : null;
      const residuals: Readonly<Record<string, Expr | null>> = {
        none: null,
        left: call('>', BOOLEAN, column(both, 2), literal(0)),
        right: call('>', BOOLEAN, column(both, 5), literal(0)),
        both: call('<', BOOLEAN, column(both, 2), column(both, 5)),
      };
      const nullSafe = [shape.nullSafe, false];
      const change = {
        ...(isEqual ? equalTime : time === 'none' ? {} : bounds(lower, upper)),
        keys,
        nullSafe: nullSafe.slice(0, keys.length),
        residual: residuals[shape.residual] as Expr | null,
      };
      const steady = join(type, change);
      const restarted = join(type, change);
      const reference = new Reference({
        type,
        isEqual,
        lower,
        upper,
        residual: shape.residual,
        nullSafe: shape.nullSafe,
      });
      const stored = new Map<number, Uint8Array | null>();
      let base = 0;
      let late = -Infinity;
      for (const { left, right, offset, moved, restart } of steps) {
        // Times near the watermark, those at or below the former one dropped as late rows are.
        const onTime = (rows: readonly Row[]) =>
          rows
            .map(([k, ts, v]): Row => [k!, ts === null ? null : (ts as number) + base + offset, v!])
            .filter(([, ts]) => time === 'none' || ts === null || (ts as number) > late);
        const [l, r] = [onTime(left), onTime(right)];
        base += moved;
        const evict = moved > 0 || late > -Infinity ? base : -Infinity;
        const actual = run(steady, keys, l, r, { lateUs: late, evictUs: evict });
        assert.deepEqual(sorted(actual.rows), sorted(reference.run(l, r, evict)));
        const other = run(restarted, keys, l, r, { lateUs: late, evictUs: evict });
        assert.deepEqual(byGroup(other), byGroup(actual), 'rows of one group stand in one order');
        assert.deepEqual(restarted.operator.groups(), steady.operator.groups());
        for (let group = 0; group < 256; group++) {
          const state = steady.operator.encodeGroup(group);
          assert.deepEqual(restarted.operator.encodeGroup(group), state);
          if (!isDeepStrictEqual(state, stored.get(group) ?? null))
            assert.ok(steady.operator.changedGroups().includes(group), 'a group that changed is listed');
          stored.set(group, state);
        }
        steady.operator.clearChanged();
        late = evict;
        if (restart) restarted.restart((groups) => groups.toReversed());
      }
    }),
    { numRuns: 250 },
  );
});

function byGroup({ rows, groups }: Folded): Map<number, unknown[]> {
  const lists = new Map<number, unknown[]>();
  for (const group of [...new Set(groups)].toSorted((a, b) => a - b))
    lists.set(
      group,
      rows.filter((_, index) => groups[index] === group),
    );
  return lists;
}

interface Shape {
  readonly type: JoinType;
  readonly isEqual: boolean;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly residual: string;
  readonly nullSafe: boolean;
}

interface Kept {
  readonly row: Row;
  isMatched: boolean;
  isOver: boolean;
}

/** Keeps every row ever and tries every pair: which epochs bring out what is then a matter of definition. */
class Reference {
  readonly #shape: Shape;
  readonly #left: Kept[] = [];
  readonly #right: Kept[] = [];

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  run(left: readonly Row[], right: readonly Row[], evict: number): unknown[][] {
    const { type } = this.#shape;
    const out: unknown[][] = [];
    const keep = (row: Row): Kept => ({ row, isMatched: false, isOver: false });
    const [newLeft, newRight] = [left.map(keep), right.map(keep)];
    for (const l of [...this.#left, ...newLeft]) {
      for (const r of [...this.#right, ...newRight]) {
        if (!newLeft.includes(l) && !newRight.includes(r)) continue;
        if (!this.#matches(l.row, r.row)) continue;
        assert.ok(
          type === 'semi' || type === 'anti' || (!l.isOver && !r.isOver),
          'no row meets another when it is over',
        );
        if (type === 'semi' && !l.isMatched) out.push([...l.row]);
        if (type !== 'semi' && type !== 'anti') out.push([...l.row, ...r.row]);
        l.isMatched = true;
        r.isMatched = true;
      }
    }
    this.#left.push(...newLeft);
    this.#right.push(...newRight);
    const none = [null, null, null];
    for (const l of this.#left) {
      if (l.isOver || !this.#isOver(l.row, evict, 'left')) continue;
      l.isOver = true;
      if (l.isMatched) continue;
      if (type === 'left' || type === 'full') out.push([...l.row, ...none]);
      if (type === 'anti') out.push([...l.row]);
    }
    for (const r of this.#right) {
      if (r.isOver || !this.#isOver(r.row, evict, 'right')) continue;
      r.isOver = true;
      if (!r.isMatched && (type === 'right' || type === 'full')) out.push([...none, ...r.row]);
    }
    return out;
  }

  #matches([lk, lt, lv]: Row, [rk, rt, rv]: Row): boolean {
    const { isEqual, lower, upper, residual, nullSafe } = this.#shape;
    if (lk === null || rk === null ? !nullSafe || lk !== rk : lk !== rk) return false;
    if (isEqual && (lt === null || lt !== rt)) return false;
    if (lower !== null || upper !== null) {
      if (lt === null || rt === null) return false;
      const difference = (lt as number) - (rt as number);
      if ((lower !== null && difference < lower) || (upper !== null && difference > upper)) return false;
    }
    if (residual === 'left') return (lv as number) > 0;
    if (residual === 'right') return (rv as number) > 0;
    return residual === 'none' || (lv as number) < (rv as number);
  }

  #isOver([k, t, v]: Row, evict: number, of: 'left' | 'right'): boolean {
    const { isEqual, lower, upper, residual, nullSafe } = this.#shape;
    if (residual === of && (v as number) <= 0) return true;
    const isBound = lower !== null || upper !== null;
    const shift = of === 'left' ? lower : upper === null ? null : -upper;
    const isEvicted = isEqual || shift !== null;
    const cannotMatch = (k === null && !nullSafe) || (t === null && (isEqual || isBound));
    if (cannotMatch && (t === null || !isEvicted)) return true;
    if (!isEvicted) return false;
    return isEqual ? (t as number) <= evict : (t as number) < evict + (shift as number);
  }
}
