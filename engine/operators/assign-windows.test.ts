import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Expr } from '../../core/ast.ts';
import type { Schema } from '../../core/types.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { AssignWindows } from './assign-windows.ts';
import { column, runOperator } from './test-epoch.ts';

const schema: Schema = [
  { name: 'id', type: { kind: 'int' }, nullable: false },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
  { name: 'window', type: { kind: 'struct', fields: windowFields }, nullable: true },
];
const output: Schema = [...schema, { name: 'w', type: { kind: 'struct', fields: windowFields }, nullable: false }];

interface Sizes {
  readonly sizeUs: number;
  readonly slideUs: number;
  readonly startUs: number;
}

function windows(sizes: Sizes, rows: readonly (readonly unknown[])[], on = 1, selected?: number[]) {
  const ran = runOperator(
    (runtime) => new AssignWindows({ kind: 'assignWindow', on: column(schema, on), ...sizes }, runtime),
    { input: schema, output },
    rows,
    null,
    selected,
  );
  return { rows: ran.rows.map((row) => [row[0], row[3]]), index: [...ran.batch.origins.index] };
}

test('tumbling windows start at multiples of their size, below zero too; rows without a time have none', () => {
  const rows = [
    [1, 0],
    [2, 9],
    [3, null],
    [4, -1],
    [5, 10],
  ];
  const expected = [
    [1, [0, 10]],
    [2, [0, 10]],
    [4, [-10, 0]],
    [5, [10, 20]],
  ];
  const tumbling = { sizeUs: 10, slideUs: 10, startUs: 0 };
  assert.deepEqual(windows(tumbling, rows).rows, expected);
  assert.deepEqual(windows(tumbling, rows, 1, [1, 2, 4]).rows, [expected[1], expected[3]]);
  assert.deepEqual(
    windows({ ...tumbling, startUs: 13 }, [
      [1, 2],
      [2, 3],
    ]).rows,
    [
      [1, [-7, 3]],
      [2, [3, 13]],
    ],
  );
});

test('a row lies in every sliding window around it, the latest first, and counts up within its record', () => {
  const { rows, index } = windows({ sizeUs: 10, slideUs: 4, startUs: 0 }, [
    [1, 9],
    [2, 12],
  ]);
  assert.deepEqual(rows, [
    [1, [8, 18]],
    [1, [4, 14]],
    [1, [0, 10]],
    [2, [12, 22]],
    [2, [8, 18]],
    [2, [4, 14]],
  ]);
  assert.deepEqual(index, [0, 1, 2, 0, 1, 2]);
});

test('the time of a window is its last microsecond', () => {
  const { rows } = windows(
    { sizeUs: 10, slideUs: 10, startUs: 0 },
    [
      [1, null, [0, 5]],
      [2, null, [5, 10]],
      [3, null, [5, 11]],
      [4, null, null],
    ],
    2,
  );
  assert.deepEqual(rows, [
    [1, [0, 10]],
    [2, [0, 10]],
    [3, [10, 20]],
  ]);
});

test('a row whose time cannot be computed is a failure of its record', () => {
  const input: Schema = [{ name: 'text', type: { kind: 'string' }, nullable: true }];
  const on: Expr = { kind: 'cast', type: { kind: 'timestamp' }, nullable: true, input: column(input, 0), mode: 'ansi' };
  const ran = runOperator(
    (runtime) => new AssignWindows({ kind: 'assignWindow', on, sizeUs: 10, slideUs: 5, startUs: 0 }, runtime),
    { input, output: [...input, ...output.slice(3)] },
    [['1970-01-01 00:00:00'], ['noon'], [null]],
    null,
  );
  assert.deepEqual(
    ran.rows.map(([, window]) => window),
    [
      [0, 10],
      [-5, 5],
    ],
  );
  assert.deepEqual(
    ran.failures.map(({ record, place }) => [record, place]),
    [[1, 'window']],
  );
});

test('property: the windows of a time are those of the plain definition', () => {
  const time = fc.oneof(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -1e15, max: 1e15 }));
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: -40, max: 40 }),
      fc.array(fc.option(time), { maxLength: 8 }),
      (sizeUs, slideUs, startUs, times) => {
        const expected: unknown[] = [];
        times.forEach((at, id) => {
          if (at === null) return;
          const last = Math.floor((at - startUs) / slideUs) + 1;
          for (let n = last; n >= last - 2 - sizeUs / slideUs; n--) {
            const start = startUs + n * slideUs;
            if (start <= at && at < start + sizeUs) expected.push([id, [start, start + sizeUs]]);
          }
        });
        const actual = windows(
          { sizeUs, slideUs, startUs },
          times.map((at, id) => [id, at]),
        ).rows;
        assert.deepEqual(actual, expected);
      },
    ),
  );
});
