import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readValue, rowsOf, rowTimestamp } from '../core/row-block.ts';
import { deadLetterShape } from '../engine/dead-letters.ts';
import { encodeRefusedLetters } from './refused-letters.ts';

const rows = [
  { bytes: Buffer.from('{"id":1}'), record: { partition: 3, offset: 70_000 }, place: 'answered 422' },
  { bytes: Buffer.from('{"id":2}'), record: null, place: 'answered 400' },
];

function read(letters: ReturnType<typeof encodeRefusedLetters>): unknown[][] {
  return [...rowsOf(letters)].map((row) => {
    let at = row.bodyStart;
    const values = deadLetterShape.columns.map(({ type }) => {
      const { value, next } = readValue(letters.bytes, at);
      at = next;
      if (value === null || value === undefined) return null;
      const bytes = Buffer.from(value);
      if (type.kind === 'int') return bytes.readInt32BE();
      return type.kind === 'bigint' ? Number(bytes.readBigInt64BE()) : bytes.toString();
    });
    return [...values, rowTimestamp(letters.bytes, row)];
  });
}

test('a refused row is a letter at the place of its record, or where its bytes lead', () => {
  const letters = encodeRefusedLetters({ job: 'j', run: 2, sink: 'webhook', timeUs: 5, rows });
  assert.equal(letters.rowCount, 2);
  const [first, second] = read(letters);
  const head = ['j', 2, 'sink:webhook'];
  assert.deepEqual(first, [...head, 3, 1, 70_000, 'SINK_REFUSED', 'answered 422', null, null, '{"id":1}', 8, 5]);
  const [offset] = (second ?? []).slice(5);
  assert.deepEqual(second?.slice(0, 4), [...head, 0]);
  assert.deepEqual(second?.slice(6), ['SINK_REFUSED', 'answered 400', null, null, '{"id":2}', 8, 5]);
  assert.ok(Number.isSafeInteger(offset) && second?.[4] === Math.floor(Number(offset) / 65_536));
  // The same row again, by whatever attempt, is the same letter.
  const [again] = read(encodeRefusedLetters({ job: 'j', run: 2, sink: 'webhook', timeUs: 9, rows: rows.slice(1) }));
  assert.deepEqual(again?.slice(0, 12), second?.slice(0, 12));
});
