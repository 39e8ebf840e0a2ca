import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schema } from '../../core/types.ts';
import { runOperator, scopeOf } from './test-epoch.ts';
import { Watermark } from './watermark.ts';

const schema: Schema = [
  { name: 'id', type: { kind: 'int' }, nullable: false },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
];
const watermark = (rows: readonly (readonly unknown[])[], epoch = scopeOf({ watermarks: 2 }), selected?: number[]) => {
  const ran = runOperator(
    (runtime) => new Watermark({ kind: 'watermark', watermark: 1, column: 1 }, runtime),
    { input: schema, output: schema },
    rows,
    epoch,
    selected,
  );
  return { ran, epoch };
};

test('the greatest event time of the rows on their way is observed, and all rows go through', () => {
  const rows = [
    [1, -5],
    [2, null],
    [3, 7],
    [4, 6],
  ];
  const { ran, epoch } = watermark(rows);
  assert.deepEqual(ran.rows, rows);
  assert.deepEqual([...epoch.eventTimes], [-Infinity, 7]);
  watermark([[1, 3]], epoch);
  assert.equal(epoch.eventTimes[1], 7, 'a later batch of the task does not lower it');
});

test('rows that were filtered out and times that are NULL do not move it', () => {
  const rows = [
    [1, 50],
    [2, null],
    [3, 7],
  ];
  assert.deepEqual([...watermark(rows, scopeOf({ watermarks: 2 }), [1, 2]).epoch.eventTimes], [-Infinity, 7]);
  assert.deepEqual([...watermark([[1, null]]).epoch.eventTimes], [-Infinity, -Infinity]);
});
