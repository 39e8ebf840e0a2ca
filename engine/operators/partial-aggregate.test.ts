import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schema } from '../../core/types.ts';
import { partialSchema, planOf } from './aggregate-reference.fixture.ts';
import { PartialAggregate } from './partial-aggregate.ts';
import { overOneBatch, type Ran, runOperator, scopeOf } from './test-epoch.ts';

const input: Schema = [
  { name: 'k', type: { kind: 'string' }, nullable: true },
  { name: 'l', type: { kind: 'bigint' }, nullable: true },
];
const most = 2n ** 63n - 1n;

function run(rows: readonly (readonly unknown[])[], keyCount: number, selected?: readonly number[]): Ran {
  const aggregates = planOf(input, [
    { name: 'count', inputs: [] },
    { name: 'sum', inputs: [1] },
  ]);
  const output = partialSchema(input.slice(0, keyCount), aggregates);
  const plan = { kind: 'partialAggregate', keyCount, aggregates } as const;
  return runOperator(
    () => overOneBatch(new PartialAggregate(plan, output)),
    { input, output },
    rows,
    scopeOf(),
    selected,
  );
}

test('one row per key, in the order of first rows; NULL is a key', () => {
  const rows = [
    ['b', 1n],
    [null, 2n],
    ['a', null],
    ['b', 3n],
    [null, 4n],
  ];
  assert.deepEqual(run(rows, 1).rows, [
    ['b', 2n, 4n],
    [null, 2n, 6n],
    ['a', 1n, null],
  ]);
});

test('only rows that are on their way count', () => {
  const rows = [
    ['b', 1n],
    ['a', 2n],
    ['a', 4n],
    ['b', 8n],
  ];
  assert.deepEqual(run(rows, 1, [1, 3]).rows, [
    ['a', 1n, 2n],
    ['b', 1n, 8n],
  ]);
});

test('no rows make no groups, but for a global aggregate', () => {
  assert.deepEqual(run([], 1).rows, []);
  assert.deepEqual(run([['a', 1n]], 1, []).rows, []);
  assert.deepEqual(run([], 0).rows, [[0n, null]]);
  assert.deepEqual(
    run(
      [
        ['a', 1n],
        ['b', 2n],
      ],
      0,
    ).rows,
    [[2n, 3n]],
  );
});

test('rows that fail leave everything else as if they were not there', () => {
  const { rows, failures } = run(
    [
      ['a', most],
      ['b', most],
      ['a', 1n],
      ['c', 5n],
      ['b', 2n],
      ['a', -1n],
    ],
    1,
  );
  assert.deepEqual(rows, [
    ['a', 2n, most - 1n],
    ['b', 1n, most],
    ['c', 1n, 5n],
  ]);
  assert.deepEqual(
    failures.map(({ record, place }) => [record, place]),
    [
      [2, 'sum_1'],
      [4, 'sum_1'],
    ],
  );
});
