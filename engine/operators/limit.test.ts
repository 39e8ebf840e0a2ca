import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schema } from '../../core/types.ts';
import { Limit } from './limit.ts';
import { Epochs } from './test-state.ts';

const schema: Schema = [{ name: 'value', type: { kind: 'int' }, nullable: false }];

const limit = (count: number, mode: 'append' | 'complete') =>
  new Epochs(() => new Limit({ kind: 'limit', count, mode }, [schema]), [{ schema, keys: [] }]);

test('append: the first rows of the query’s whole life, across restarts', () => {
  const epochs = limit(4, 'append');
  assert.deepEqual(epochs.run([[[1]]], {}).rows, [[1]]);
  epochs.restart();
  assert.deepEqual(
    epochs.runFrames(
      [
        { port: 0, rows: [[2], [3]] },
        { port: 0, rows: [[4], [5]] },
      ],
      {},
    ).rows,
    [[2], [3], [4]],
  );
  assert.deepEqual(epochs.operator.changedGroups(), [0]);
  epochs.operator.clearChanged();
  assert.deepEqual(epochs.run([[[6]]], {}).rows, []);
  assert.deepEqual(epochs.operator.changedGroups(), []);
  assert.equal(epochs.operator.figures().rows, 1);
});

test('complete: the first rows of each result, and no state', () => {
  const epochs = limit(2, 'complete');
  const result = [[1], [2], [3]];
  assert.deepEqual(epochs.run([result], {}).rows, [[1], [2]]);
  assert.deepEqual(epochs.run([result], {}).rows, [[1], [2]]);
  assert.deepEqual(epochs.operator.groups(), []);
});

test('a limit of 0 lets nothing through', () => {
  assert.deepEqual(limit(0, 'append').run([[[1]]], {}).rows, []);
});
