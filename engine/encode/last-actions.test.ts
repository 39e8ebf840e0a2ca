import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ROW_HEADER_BYTES, ROW_OP_DELETE, ROW_OP_UPSERT, rowsOf } from '../../core/row-block.ts';
import type { RowBlock } from '../../core/row-block.ts';
import { lastActions } from './last-actions.ts';

interface Action {
  readonly op: number;
  readonly key: readonly [string, string | null];
  readonly value: string;
  /** A digit. */
  readonly time: string;
}

function bindValue(text: string | null): Buffer {
  const bytes = text === null ? Buffer.alloc(0) : Buffer.from(text, 'latin1');
  const length = Buffer.alloc(4);
  length.writeInt32BE(text === null ? -1 : bytes.length);
  return Buffer.concat([length, bytes]);
}

function blockOf(actions: readonly Action[]): RowBlock {
  const rows = actions.map(({ op, key, value, time }) => {
    const body = Buffer.concat(
      [...key, ...(op === ROW_OP_DELETE ? [] : [value]), `${'\0'.repeat(7)}${time}`].map(bindValue),
    );
    const header = Buffer.alloc(ROW_HEADER_BYTES);
    header.writeUInt32BE(body.length);
    header.writeUInt8(op, 4);
    return Buffer.concat([header, body]);
  });
  return { rowCount: rows.length, bytes: Buffer.concat(rows) };
}

const actions = fc.array(
  fc.record({
    op: fc.constantFrom(ROW_OP_UPSERT, ROW_OP_DELETE),
    // Values whose bytes could be told apart wrongly: lengths decide where one ends.
    key: fc.tuple(fc.constantFrom('', 'a', 'ab', 'b'), fc.constantFrom('', 'a', 'ba', null)),
    value: fc.constantFrom('1', '22', ''),
    time: fc.constantFrom('1', '1', '2'),
  }),
  { maxLength: 60 },
);

test('of the rows of a key the last of the newest stays, upsert or delete, in the order of the rows that stay', () => {
  fc.assert(
    fc.property(actions, (given) => {
      const same = (a: Action, b: Action): boolean =>
        a.key.join('|') === b.key.join('|') && (a.key[1] === null) === (b.key[1] === null);
      const expected = given.filter(
        (one, index) =>
          !given.some(
            (other, at) => same(one, other) && (other.time > one.time || (other.time === one.time && at > index)),
          ),
      );
      const left = lastActions(blockOf(given), 2);
      assert.deepEqual(Buffer.from(left.bytes), blockOf(expected).bytes);
      assert.equal(left.rowCount, expected.length);
      assert.equal([...rowsOf(left)].length, expected.length);
    }),
    { numRuns: 300 },
  );
});

test('rows without a repeated key stay where they are', () => {
  const block = blockOf(
    Array.from({ length: 5000 }, (_, index) => ({ op: 0, key: [`k${index}`, null], value: 'v', time: '1' })),
  );
  assert.equal(lastActions(block, 2), block);
});
