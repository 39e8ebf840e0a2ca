import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Schema } from '../../core/types.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import type { StaticRows } from './operator.ts';
import { StaticJoin } from './static-join.ts';
import { batchOf } from './test-batch.ts';
import { call, column, runOperator, scopeOf } from './test-epoch.ts';

type StaticJoinPlan = Extract<EpochOperator, { kind: 'staticJoin' }>;

const stream: Schema = [
  { name: 'id', type: { kind: 'int' }, nullable: false },
  { name: 'code', type: { kind: 'string' }, nullable: true },
];
const table: Schema = [
  { name: 'code', type: { kind: 'string' }, nullable: true },
  { name: 'limit', type: { kind: 'int' }, nullable: true },
];
const both: Schema = [...stream, ...table.map((field) => ({ ...field, nullable: true }))];

const tableRow = (row: readonly (readonly unknown[])[]): StaticRows => ({ batch: batchOf(table, row) });

function planOf(type: StaticJoinPlan['type'], change: Partial<StaticJoinPlan> = {}): StaticJoinPlan {
  return {
    kind: 'staticJoin',
    table: 'codes',
    type,
    equi: [{ left: column(stream, 1), right: column(table, 0), nullSafe: false }],
    residual: null,
    output: type === 'semi' || type === 'anti' ? stream : both,
    ...change,
  };
}

function join(
  plan: StaticJoinPlan,
  rows: readonly (readonly unknown[])[],
  codes: readonly (readonly unknown[])[],
  selected?: number[],
) {
  const epoch = scopeOf({ statics: new Map([['codes', tableRow(codes)]]) });
  return runOperator(
    (runtime) => new StaticJoin(plan, runtime),
    { input: stream, output: plan.output },
    rows,
    epoch,
    selected,
  );
}

const rows = [
  [1, 'a'],
  [2, 'b'],
  [3, null],
  [4, 'c'],
  [5, 'a'],
];
const codes = [
  ['a', 10],
  ['c', 30],
  ['a', 11],
  [null, 99],
];

test('inner: each row with its matches in the table’s order; NULL matches nothing', () => {
  const ran = join(planOf('inner'), rows, codes);
  assert.deepEqual(ran.rows, [
    [1, 'a', 'a', 10],
    [1, 'a', 'a', 11],
    [4, 'c', 'c', 30],
    [5, 'a', 'a', 10],
    [5, 'a', 'a', 11],
  ]);
  assert.deepEqual([...ran.batch.origins.index], [0, 1, 0, 0, 1]);
  assert.deepEqual([...ran.batch.origins.record], [0, 0, 3, 4, 4]);
  assert.deepEqual(join(planOf('inner'), rows, codes, [1, 3]).rows, [[4, 'c', 'c', 30]]);
});

test('left keeps every row, semi those with a match, anti the others', () => {
  assert.deepEqual(
    join(planOf('left'), rows, codes).rows.map(([id, , , limit]) => [id, limit]),
    [
      [1, 10],
      [1, 11],
      [2, null],
      [3, null],
      [4, 30],
      [5, 10],
      [5, 11],
    ],
  );
  assert.deepEqual(
    join(planOf('semi'), rows, codes).rows.map(([id]) => id),
    [1, 4, 5],
  );
  assert.deepEqual(
    join(planOf('anti'), rows, codes).rows.map(([id]) => id),
    [2, 3],
  );
});

test('a null-safe equality matches NULL with NULL', () => {
  const plan = planOf('semi', { equi: [{ left: column(stream, 1), right: column(table, 0), nullSafe: true }] });
  assert.deepEqual(
    join(plan, rows, codes).rows.map(([id]) => id),
    [1, 3, 4, 5],
  );
});

test('the residual condition decides about pairs, and only then whether a row has a match', () => {
  const residual = call('<', { kind: 'boolean' }, column(both, 3), column(both, 0));
  const codesBelow = [
    ['a', 1],
    ['a', 2],
    ['a', 4],
    ['c', 9],
  ];
  assert.deepEqual(join(planOf('left', { residual }), rows, codesBelow).rows, [
    [1, 'a', null, null],
    [2, 'b', null, null],
    [3, null, null, null],
    [4, 'c', null, null],
    [5, 'a', 'a', 1],
    [5, 'a', 'a', 2],
    [5, 'a', 'a', 4],
  ]);
});

test('without equalities the condition alone decides, also over more pairs than are tried at once', () => {
  const residual = call('<', { kind: 'boolean' }, column(both, 3), column(both, 0));
  const many = Array.from({ length: 300 }, (_, id): [number, string] => [id, 'x']);
  const limits = Array.from({ length: 300 }, (_, limit): [string, number] => ['y', limit]);
  const ran = join(planOf('inner', { equi: [], residual }), many, limits);
  const expected = many.flatMap(([id]) => limits.flatMap(([, limit]) => (limit < id ? [[id, limit]] : [])));
  assert.deepEqual(
    ran.rows.map(([id, , , limit]) => [id, limit]),
    expected,
  );
});

test('a table that was read anew is joined as it is now', () => {
  let statics = new Map([['codes', tableRow([['a', 1]])]]);
  const epoch = {
    ...scopeOf(),
    get statics() {
      return statics;
    },
  };
  const seen: unknown[] = [];
  runOperator(
    (runtime) => {
      const operator = new StaticJoin(planOf('semi'), runtime);
      return {
        apply(input, context) {
          seen.push(operator.apply(input, context).count);
          statics = new Map([['codes', tableRow([['b', 1]])]]);
          seen.push(operator.apply(input, context).count);
          return input;
        },
      };
    },
    { input: stream, output: stream },
    rows,
    epoch,
  );
  assert.deepEqual(seen, [2, 1]);
});

test('property: the same pairs as a nested loop, in order, for every type', () => {
  const code = fc.option(fc.constantFrom('', 'a', 'b', 'ab', '1:a'));
  const sides = fc.tuple(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), code), { maxLength: 12 }),
    fc.array(fc.tuple(code, fc.option(fc.integer({ min: 0, max: 9 }))), { maxLength: 12 }),
  );
  const residual = call('<', { kind: 'boolean' }, column(both, 3), column(both, 0));
  fc.assert(
    fc.property(
      sides,
      fc.constantFrom('inner', 'left', 'semi', 'anti'),
      fc.boolean(),
      fc.boolean(),
      ([left, right], type, nullSafe, isConditional) => {
        const expected = left.flatMap((row): unknown[] => {
          const matches = right.filter(
            ([key, limit]) =>
              (row[1] === null || key === null ? nullSafe && row[1] === key : row[1] === key) &&
              (!isConditional || (limit !== null && limit < row[0])),
          );
          if (type === 'semi') return matches.length > 0 ? [row] : [];
          if (type === 'anti') return matches.length > 0 ? [] : [row];
          if (matches.length === 0) return type === 'left' ? [[...row, null, null]] : [];
          return matches.map((match) => [...row, ...match]);
        });
        const equi = [{ left: column(stream, 1), right: column(table, 0), nullSafe }];
        const plan = planOf(type, { equi, residual: isConditional ? residual : null });
        assert.deepEqual(join(plan, left, right).rows, expected);
      },
    ),
  );
});
