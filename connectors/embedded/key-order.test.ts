import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCqlType } from '../../core/table/cql-type.ts';
import { encodeValue } from '../../core/table/values.ts';
import { encodeKey, keyAfter, sortableBytes } from './key-order.ts';

const sign = (n: number | bigint): number => (n < 0 ? -1 : n > 0 ? 1 : 0);

/** Each type with values and how they compare. */
const orders: Readonly<Record<string, readonly [fc.Arbitrary<unknown>, (a: never, b: never) => number]>> = {
  tinyint: [fc.integer({ min: -128, max: 127 }), (a: number, b: number) => a - b],
  int: [fc.integer(), (a: number, b: number) => a - b],
  bigint: [fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (a: bigint, b: bigint) => sign(a - b)],
  varint: [fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (a: bigint, b: bigint) => sign(a - b)],
  double: [
    fc.double({ noNaN: true }).map((value) => value + 0),
    (a: number, b: number) => (a === b ? 0 : a < b ? -1 : 1),
  ],
  text: [fc.string({ unit: 'binary' }), (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))],
  date: [fc.integer({ min: -100_000, max: 100_000 }), (a: number, b: number) => a - b],
  boolean: [fc.boolean(), (a: boolean, b: boolean) => Number(a) - Number(b)],
};

for (const [name, [values, compare]] of Object.entries(orders)) {
  test(`${name} values sort as bytes, upwards and downwards, also beside others`, () => {
    const type = parseCqlType(name);
    const bytes = (value: unknown): Uint8Array => encodeValue(type, value) ?? new Uint8Array(0);
    const key = (value: unknown, after: number, descending: boolean): Uint8Array =>
      encodeKey(
        [
          { name: 'p', type: { kind: 'int' }, descending: false },
          { name: 'c', type, descending },
          { name: 'd', type: { kind: 'int' }, descending: false },
        ],
        1,
        [encodeValue({ kind: 'int' }, 1)!, bytes(value), encodeValue({ kind: 'int' }, after)!],
      );
    fc.assert(
      fc.property(values, values, fc.integer(), fc.integer(), (a, b, afterA, afterB) => {
        const expected = sign(compare(a as never, b as never));
        assert.equal(sign(Buffer.compare(sortableBytes(type, bytes(a)), sortableBytes(type, bytes(b)))), expected);
        const withRest = expected === 0 ? sign(afterA - afterB) : expected;
        assert.equal(sign(Buffer.compare(key(a, afterA, false), key(b, afterB, false))), withRest);
        const downwards = expected === 0 ? sign(afterA - afterB) : -expected;
        assert.equal(sign(Buffer.compare(key(a, afterA, true), key(b, afterB, true))), downwards);
      }),
      { numRuns: 300 },
    );
  });
}

test('decimals sort by value whatever their scale', () => {
  const type = parseCqlType('decimal');
  const sorted = [
    '-1000',
    '-10.5',
    '-10',
    '-9.99',
    '-0.5',
    '-0.05',
    '0',
    '0.00001',
    '0.05',
    '0.5',
    '1',
    '1.01',
    '1.1',
    '9.99',
    '10',
    '10.000001',
    '55',
    '1000',
    '1E+20',
  ];
  const encoded = sorted.map((text) => sortableBytes(type, encodeValue(type, text)!));
  for (let index = 1; index < encoded.length; index++)
    assert.ok(Buffer.compare(encoded[index - 1]!, encoded[index]!) < 0, `${sorted[index - 1]} < ${sorted[index]}`);
  for (const [a, b] of [
    ['1', '1.00'],
    ['-10', '-10.0'],
    ['0', '0.000'],
    ['100', '1E+2'],
  ] as const) {
    assert.deepEqual(sortableBytes(type, encodeValue(type, a)!), sortableBytes(type, encodeValue(type, b)!));
  }
});

test('keyAfter is above every key that begins with the prefix, and above nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (prefix, other) => {
      const before = Uint8Array.from(prefix);
      const after = keyAfter(prefix);
      assert.deepEqual(prefix, before, 'the prefix is left as it is');
      const beginsWith = Buffer.compare(other.subarray(0, prefix.length), prefix) === 0;
      const isBelow = after === undefined || Buffer.compare(other, after) < 0;
      assert.equal(Buffer.compare(other, prefix) >= 0 && isBelow, beginsWith);
    }),
  );
});
