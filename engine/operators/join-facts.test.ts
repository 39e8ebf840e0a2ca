/**
 * What Spark's own suites say of stream-stream joins (StreamingJoinSuite, MultiStatefulOperatorsSuite), and what Spark
 * gave where they say nothing, in seconds: rows in, rows out, rows in state, the watermark after each step.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../../core/ast.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { type JoinType, windowFields } from '../plan/logical-plan.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { Join } from './join.ts';
import { call, column } from './test-epoch.ts';
import { Epochs } from './test-state.ts';

const INT: DataType = { kind: 'int' };
const BOOLEAN: DataType = { kind: 'boolean' };
const TIME: DataType = { kind: 'timestamp' };
const SECOND = 1_000_000;

type Plan = ConstructorParameters<typeof Join>[0];

/** One side in these tests: key, time, value, and the 10 s window around the time. */
const side: Schema = [
  { name: 'key', type: INT, nullable: true },
  { name: 'ts', type: TIME, nullable: true },
  { name: 'v', type: INT, nullable: true },
  { name: 'window', type: { kind: 'struct', fields: windowFields }, nullable: true },
];
const both: Schema = [...side, ...side];
const KEY = 0;
const WINDOW = 3;

interface Step {
  /** Key, time in seconds, value. */
  readonly left?: readonly (readonly [number, number, number?])[];
  readonly right?: readonly (readonly [number, number, number?])[];
  readonly out: readonly (readonly unknown[])[];
  readonly rows: number;
  /** Seconds. */
  readonly watermark?: number;
  readonly late?: number;
}

interface Case {
  readonly type: JoinType;
  readonly keys: readonly number[];
  readonly plan?: Partial<Plan>;
  /** Delays of the two watermarks, seconds; absent = no watermark. */
  readonly delays?: readonly [number, number];
  /** What a row of the output is shown as. */
  readonly show: (row: readonly BoxedValue[]) => unknown[];
  readonly steps: readonly Step[];
}

const sorted = (rows: readonly (readonly unknown[])[]) => rows.map((row) => JSON.stringify(row)).toSorted();

/** Steps as Spark takes them: a batch, and an empty one behind it when the watermark moved. */
function check({ type, keys, plan, delays, show, steps }: Case): void {
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
  const ports = [0, 1].map(() => ({ schema: port, keys: places }));
  const epochs = new Epochs(() => new Join(full, [port, port]), ports);
  const greatest = [-Infinity, -Infinity];
  let watermark = -Infinity;
  let former = -Infinity;
  for (const step of steps) {
    let late = 0;
    const arrivals = [step.left ?? [], step.right ?? []].map((rows, of) =>
      rows.flatMap(([key, seconds, v = 0]) => {
        const ts = seconds * SECOND;
        const start = Math.floor(seconds / 10) * 10 * SECOND;
        greatest[of] = Math.max(greatest[of]!, ts);
        const judged = full.equalTime ? start + 10 * SECOND : ts;
        if (delays !== undefined && judged <= former) {
          late++;
          return [];
        }
        const own = [key, ts, v, [start, start + 10 * SECOND]];
        return [[...keys.map((index) => own[index]), ...own]];
      }),
    );
    const out = [...epochs.run(arrivals, { lateUs: former, evictUs: watermark }).rows];
    former = watermark;
    const times = greatest.map((time, of) => time - (delays?.[of] ?? Infinity) * SECOND);
    const next = Math.max(watermark, Math.min(...times));
    if (next > watermark) {
      watermark = next;
      out.push(...epochs.run([[], []], { lateUs: former, evictUs: watermark }).rows);
      former = watermark;
    }
    assert.deepEqual(sorted(out.map(show)), sorted(step.out));
    assert.equal(epochs.operator.figures().rows, step.rows);
    if (step.watermark !== undefined) assert.equal(Math.max(watermark, 0) / SECOND, step.watermark);
    assert.equal(late, step.late ?? 0);
    epochs.restart();
  }
}

const windowed: Partial<Plan> = {
  equalTime: true,
  leftTime: { column: WINDOW, kind: 'window' },
  rightTime: { column: WINDOW, kind: 'window' },
};
const within = (lower: number, upper: number): Partial<Plan> => ({
  leftTime: { column: 1, kind: 'timestamp' },
  rightTime: { column: 1, kind: 'timestamp' },
  bounds: { left: 1, right: 1, lowerUs: lower * SECOND, upperUs: upper * SECOND },
});
const seconds = (time: BoxedValue | undefined): unknown => (typeof time === 'number' ? time / SECOND : time);
const endOf = (window: BoxedValue | undefined): unknown => (Array.isArray(window) ? seconds(window[1]) : window);
const above = (index: number, value: number): Expr =>
  call('>', BOOLEAN, column(both, index), { kind: 'literal', type: INT, nullable: false, value });
const doubled = (keys: readonly number[], by: number) => keys.map((key) => [key, key, key * by] as const);

test('windowed left outer join', () => {
  check({
    type: 'left',
    keys: [KEY, WINDOW],
    plan: windowed,
    delays: [10, 10],
    show: ([key, , lv, window, , , rv]) => [key, endOf(window), lv, rv],
    steps: [
      {
        left: doubled([1, 2, 3, 4, 5], 2),
        right: doubled([3, 4, 5, 6, 7], 3),
        out: [
          [3, 10, 6, 9],
          [4, 10, 8, 12],
          [5, 10, 10, 15],
        ],
        rows: 10,
        watermark: 0,
      },
      {
        left: [[21, 21, 42]],
        right: [[22, 22, 66]],
        out: [
          [1, 10, 2, null],
          [2, 10, 4, null],
        ],
        rows: 2,
        watermark: 11,
      },
      { left: [[22, 22, 44]], out: [[22, 30, 44, 66]], rows: 3, watermark: 12 },
    ],
  });
});

test('windowed left semi join, with a late row on each side', () => {
  check({
    type: 'semi',
    keys: [KEY, WINDOW],
    plan: windowed,
    delays: [10, 10],
    show: ([key, , lv, window]) => [key, endOf(window), lv],
    steps: [
      {
        left: doubled([1, 2, 3, 4, 5], 2),
        right: doubled([3, 4, 5, 6, 7], 3),
        out: [
          [3, 10, 6],
          [4, 10, 8],
          [5, 10, 10],
        ],
        rows: 7,
      },
      { left: [[21, 21, 42]], right: [[22, 22, 66]], out: [], rows: 2, watermark: 11 },
      { left: [[22, 21, 44]], out: [[22, 30, 44]], rows: 2, watermark: 11 },
      { left: [[1, 1, 2]], out: [], rows: 2, watermark: 11, late: 1 },
      { right: [[5, 5, 15]], out: [], rows: 2, watermark: 11, late: 1 },
    ],
  });
});

test('full outer join: rows that a condition on one side rules out are not kept', () => {
  const show: Case['show'] = ([lk, , lv, lw, rk, , rv, rw]) => [lk, endOf(lw), lv, rk, endOf(rw), rv];
  check({
    type: 'full',
    keys: [KEY, WINDOW],
    plan: { ...windowed, residual: above(2, 4) },
    delays: [10, 10],
    show,
    steps: [
      {
        left: doubled([1, 2, 3], 2),
        right: doubled([3, 4, 5], 3),
        out: [
          [1, 10, 2, null, null, null],
          [2, 10, 4, null, null, null],
          [3, 10, 6, 3, 10, 9],
        ],
        rows: 4,
      },
      {
        left: [[20, 20, 40]],
        right: [[21, 21, 63]],
        out: [
          [null, null, null, 4, 10, 12],
          [null, null, null, 5, 10, 15],
        ],
        rows: 2,
        watermark: 10,
      },
      { right: [[20, 20, 60]], out: [[20, 30, 40, 20, 30, 60]], rows: 3, watermark: 10 },
    ],
  });
  check({
    type: 'full',
    keys: [KEY, WINDOW],
    plan: { ...windowed, residual: above(6, 7) },
    delays: [10, 10],
    show,
    steps: [
      {
        left: doubled([3, 4, 5], 2),
        right: doubled([1, 2, 3], 3),
        out: [
          [null, null, null, 1, 10, 3],
          [null, null, null, 2, 10, 6],
          [3, 10, 6, 3, 10, 9],
        ],
        rows: 4,
      },
      {
        left: [[20, 20, 40]],
        right: [[21, 21, 63]],
        out: [
          [4, 10, 8, null, null, null],
          [5, 10, 10, null, null, null],
        ],
        rows: 2,
      },
    ],
  });
});

const keysAndTimes: Case['show'] = ([lk, lt, , , rk, rt]) => [lk, rk, seconds(lt), seconds(rt)];

test('right outer join within ±5 s', () => {
  check({
    type: 'right',
    keys: [KEY],
    plan: within(-5, 5),
    delays: [10, 10],
    show: keysAndTimes,
    steps: [
      {
        left: [
          [1, 5],
          [3, 5],
        ],
        out: [],
        rows: 2,
      },
      {
        right: [
          [1, 10],
          [2, 5],
        ],
        out: [[1, 1, 5, 10]],
        rows: 4,
        watermark: 0,
      },
      { right: [[1, 11]], out: [], rows: 5 },
      {
        left: [
          [1, 7],
          [1, 30],
        ],
        out: [
          [1, 1, 7, 10],
          [1, 1, 7, 11],
        ],
        rows: 7,
        watermark: 1,
      },
      { right: [[0, 30]], out: [[null, 2, null, 5]], rows: 2, watermark: 20 },
    ],
  });
});

test('self left outer join: what matched never also comes out with NULLs', () => {
  const ids = (from: number) => [0, 1, 2, 3, 4].map((step) => [from + step, from + step] as const);
  const step = (from: number, nulls: readonly number[], rows: number, watermark: number): Step => ({
    left: ids(from),
    right: ids(from).filter(([id]) => id % 2 === 0),
    out: [
      ...ids(from).flatMap(([id]) => (id % 2 === 0 ? [[id, id, id, id]] : [])),
      ...nulls.map((id) => [id, null, id, null]),
    ],
    rows,
    watermark,
  });
  check({
    type: 'left',
    keys: [KEY],
    plan: within(-5, 0),
    delays: [5, 5],
    show: keysAndTimes,
    steps: [step(1, [], 7, 0), step(6, [], 13, 5), step(11, [1, 3], 15, 9)],
  });
});

test('left outer join: a row beyond the new watermark meets its own batch first', () => {
  const day = 86_400;
  check({
    type: 'left',
    keys: [KEY],
    plan: within(-30, 30),
    delays: [120, 240],
    show: ([, lt, lv, , , rt, rv]) => [seconds(lt), lv, seconds(rt), rv],
    steps: [
      {
        left: [
          [7, 0, 1],
          [7, day, 2],
          [7, day + 3600, 3],
        ],
        right: [
          [7, day + 10, 4],
          [7, day + 3599, 5],
          [7, day + 7200, 6],
        ],
        out: [
          [0, 1, null, null],
          [day, 2, day + 10, 4],
          [day + 3600, 3, day + 3599, 5],
        ],
        rows: 3,
        watermark: day + 3600 - 120,
      },
    ],
  });
});

test('a range ahead, without delay: the bounds belong to it, late rows on both sides are dropped', () => {
  const steps = (out: readonly (readonly (readonly unknown[])[])[], rows: readonly number[]): Step[] => [
    {
      left: [
        [1, 1],
        [2, 2],
      ],
      right: [[1, 5]],
      out: out[0]!,
      rows: rows[0]!,
      watermark: 2,
    },
    {
      left: [[3, 8]],
      right: [
        [2, 12],
        [2, 13],
      ],
      out: out[1]!,
      rows: rows[1]!,
      watermark: 8,
    },
    { left: [[9, 20]], right: [[9, 20]], out: out[2]!, rows: rows[2]!, watermark: 20 },
    { left: [[3, 9]], right: [[3, 18]], out: [], rows: rows[3]!, watermark: 20, late: 2 },
    { left: [[9, 40]], right: [[8, 40]], out: [], rows: rows[4]!, watermark: 40 },
    { left: [[9, 70]], right: [[8, 70]], out: [], rows: rows[5]!, watermark: 70 },
  ];
  const plan = within(-10, 0);
  check({
    type: 'inner',
    keys: [KEY],
    plan,
    delays: [0, 0],
    show: keysAndTimes,
    steps: steps([[[1, 1, 1, 5]], [[2, 2, 2, 12]], [[9, 9, 20, 20]]], [3, 5, 2, 2, 2, 2]),
  });
  check({
    type: 'semi',
    keys: [KEY],
    plan,
    delays: [0, 0],
    show: ([key, ts]) => [key, seconds(ts)],
    steps: steps([[[1, 1]], [[2, 2]], [[9, 20]]], [2, 3, 1, 1, 2, 2]),
  });
});

test('inner join on windows without watermark: nothing is late, nothing is forgotten', () => {
  check({
    type: 'inner',
    keys: [KEY, WINDOW],
    plan: { equalTime: false },
    show: ([key, , lv, window, , , rv]) => [key, endOf(window), lv, rv],
    steps: [
      { left: [[1, 1, 2]], out: [], rows: 1 },
      { right: [[1, 1, 3]], out: [[1, 10, 2, 3]], rows: 2 },
      { left: [[25, 25, 50]], out: [], rows: 3 },
      { right: [[25, 25, 75]], out: [[25, 30, 50, 75]], rows: 4 },
      { left: [[1, 1, 2]], out: [[1, 10, 2, 3]], rows: 5 },
      { left: [[5, 5, 10]], out: [], rows: 6 },
      { right: [[5, 5, 15]], out: [[5, 10, 10, 15]], rows: 7 },
    ],
  });
});

test('an inner join in which only one side has times that matter keeps the other for ever', () => {
  check({
    type: 'inner',
    keys: [KEY],
    plan: { ...within(0, 0), bounds: { left: 1, right: 1, lowerUs: 0, upperUs: null } },
    delays: [0, 0],
    show: keysAndTimes,
    steps: [
      {
        left: [[1, 5]],
        right: [
          [1, 4],
          [1, 6],
        ],
        out: [[1, 1, 5, 4]],
        rows: 3,
        watermark: 5,
      },
      {
        left: [[1, 20]],
        right: [[1, 20]],
        out: [
          [1, 1, 20, 4],
          [1, 1, 20, 6],
          [1, 1, 20, 20],
        ],
        rows: 4,
        watermark: 20,
      },
    ],
  });
});
