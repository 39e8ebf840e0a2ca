import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32cAfterChange } from './crc32c-change.ts';
import { crc32c } from './crc32c.ts';

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => Uint8Array.of(...a, ...b);

test('a changed beginning gives the checksum that reading everything gives', () => {
  const heads = fc
    .integer({ min: 0, max: 60 })
    .chain((length) =>
      fc.tuple(
        fc.uint8Array({ minLength: length, maxLength: length }),
        fc.uint8Array({ minLength: length, maxLength: length }),
      ),
    );
  fc.assert(
    fc.property(heads, fc.uint8Array({ maxLength: 3000 }), ([before, after], rest) => {
      const whole = crc32c(concat(before, rest));
      const changed = crc32cAfterChange(whole, crc32c(before), crc32c(after), rest.byteLength);
      assert.equal(changed, crc32c(concat(after, rest)));
    }),
  );
});

test('a megabyte behind it', () => {
  const bytes = new Uint8Array(1_000_003).map((_, index) => index * 31);
  const whole = crc32c(bytes);
  const before = crc32c(bytes, 0, 36);
  bytes.fill(7, 3, 36);
  assert.equal(crc32cAfterChange(whole, before, crc32c(bytes, 0, 36), bytes.byteLength - 36), crc32c(bytes));
});
