import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schema } from '../../core/types.ts';
import { batchOf } from '../operators/test-batch.ts';
import { utc } from '../sql/runtime/time.ts';
import { ConsoleEncoder } from './console.ts';
import type { EncodeContext } from './sink-encoder.ts';

const schema: Schema = [{ name: 'n', type: { kind: 'int' }, nullable: true }];
const rows = batchOf(schema, [[1], [2], [3], [4]]);
const context: EncodeContext = {
  writeTimeUs: new Float64Array(4),
  deletes: Uint8Array.of(1, 1, 0, 0),
  isDead: (record) => record === 3,
  fail: assert.fail,
};

function lines(given: EncodeContext): string[] {
  const encoder = new ConsoleEncoder(schema, utc);
  encoder.begin();
  encoder.encode(rows, given);
  const output = encoder.finish();
  assert.ok(output.kind === 'console');
  return output.text.split('\n').filter((line) => line !== '');
}

test('what is taken away has a minus before it', () => {
  assert.deepEqual(lines(context), ['-{"n":1}', '-{"n":2}', '{"n":3}']);
});

test('what is given anew, or is no part of a whole result, is not shown', () => {
  const replaced = Uint8Array.of(0, 1, 0, 0);
  assert.deepEqual(lines({ ...context, change: { isWhole: false, replaced } }), ['-{"n":1}', '{"n":3}']);
  assert.deepEqual(lines({ ...context, change: { isWhole: true, replaced } }), ['{"n":3}']);
});
