import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readValue, rowTimestamp, rowsOf } from '../core/row-block.ts';
import { decodeValue } from '../core/table/values.ts';
import { deadLetterShape } from './dead-letters.ts';
import { encodeGapLetter } from './gap-letter.ts';

test('a gap becomes one dead letter at its first offset, with the range as its place', () => {
  const block = encodeGapLetter({
    job: 'j',
    run: 2,
    topic: 't',
    partition: 3,
    from: 70_000,
    to: 70_010,
    timeUs: 1_700_000_000_000_123,
  });
  const [row] = [...rowsOf(block)];
  assert.ok(row !== undefined);
  const values: Record<string, unknown> = {};
  let at = row.bodyStart;
  for (const column of deadLetterShape.columns) {
    const { value, next } = readValue(block.bytes, at);
    values[column.name] = value === undefined ? 'unset' : decodeValue(column.type, value);
    at = next;
  }
  assert.deepEqual(values, {
    job: 'j',
    run: 2,
    topic: 't',
    partition: 3,
    bucket: 1,
    offset: 70_000,
    code: 'OFFSETS_LOST',
    place: 'offsets 70000 to 70009',
    record_time: null,
    key: null,
    value: null,
    value_bytes: null,
  });
  assert.equal(rowTimestamp(block.bytes, row), 1_700_000_000_000_123);
});
