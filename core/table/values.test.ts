import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../errors.ts';
import { parseCqlType } from './cql-type.ts';
import type { CqlType } from './schema.ts';
import { decodeValue, encodeLiteral, encodeValue, type CqlLiteral } from './values.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const udt: CqlType = {
  kind: 'udt',
  keyspace: 'k',
  name: 'point',
  fields: [
    { name: 'x', type: { kind: 'int' } },
    { name: '__proto__', type: { kind: 'text' } },
  ],
  frozen: true,
};
const typeOf = (text: string): CqlType => parseCqlType(text, () => udt);

// Bytes as Cassandra's serializers write them.
const known: readonly (readonly [type: string, hex: string, printable: unknown])[] = [
  ['text', '68c3a9', 'hé'],
  ['text', '', ''],
  ['boolean', '01', true],
  ['tinyint', 'ff', -1],
  ['smallint', '8000', -32768],
  ['int', '000000ff', 255],
  ['bigint', '0020000000000001', '9007199254740993'],
  ['bigint', 'ffffffffffffffff', -1],
  ['varint', 'ff', -1],
  ['varint', '00ff', 255],
  ['varint', '010000000000000000', '18446744073709551616'],
  ['decimal', '000000020131', '3.05'],
  ['decimal', '00000003ff', '-0.001'],
  ['decimal', 'fffffffe05', '500'],
  ['decimal', '7fffffff01', '1E-2147483647'],
  ['float', '3dcccccd', 0.1],
  ['double', '3fb999999999999a', 0.1],
  ['double', '7ff8000000000000', 'NaN'],
  ['double', 'fff0000000000000', '-Infinity'],
  ['timestamp', '0000018f2f3b5a00', '2024-04-30T13:39:29.920Z'],
  ['timestamp', '7fffffffffffffff', '9223372036854775807 ms'],
  ['date', '80000000', '1970-01-01'],
  ['date', '7fffffff', '1969-12-31'],
  ['time', '00004e94914effff', '23:59:59.999999999'],
  ['uuid', '00112233445566778899aabbccddeeff', '00112233-4455-6677-8899-aabbccddeeff'],
  ['blob', '00ff', '0x00ff'],
  ['inet', '7f000001', '127.0.0.1'],
  ['inet', '00000000000000000000000000000001', '::1'],
  ['inet', '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['inet', '00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
  ['inet', 'fe800000000000000000000000000000', 'fe80::'],
  ['list<int>', '00000002000000040000000100000004ffffffff', [1, -1]],
  ['set<text>', '00000000', []],
  ['map<text, int>', '0000000100000009' + '5f5f70726f746f5f5f' + '0000000400000007', JSON.parse('{"__proto__": 7}')],
  ['map<int, text>', '000000010000000400000005' + '0000000161', { 5: 'a' }],
  ['tuple<int, text>', '0000000400000001ffffffff', [1, null]],
  ['point', '0000000400000001' + '0000000161', JSON.parse('{"x": 1, "__proto__": "a"}')],
  ['duration', '0246', '0x0246'],
];

test('bytes to printable values and back', () => {
  for (const [type, hex, printable] of known) {
    assert.deepEqual(decodeValue(typeOf(type), bytes(hex)), printable, `${type} ${hex}`);
    if (hex === 'fffffffe05') continue; // 500 has a shorter scale, below
    assert.equal(Buffer.from(encodeValue(typeOf(type), printable)!).toString('hex'), hex, `${type} ${hex}`);
  }
  assert.equal(decodeValue(typeOf('int'), null), null);
  assert.equal(decodeValue(typeOf('int'), bytes('')), null);
  assert.equal(Buffer.from(encodeValue(typeOf('decimal'), '5e2')!).toString('hex'), 'fffffffe05');
});

test('a user-defined type that grew a field reads old values', () => {
  assert.deepEqual(decodeValue(udt, bytes('0000000400000001')), JSON.parse('{"x": 1, "__proto__": null}'));
});

test('damaged collections do not exhaust memory', () => {
  assert.throws(() => decodeValue(typeOf('list<int>'), bytes('7fffffff')), RangeError);
  assert.throws(() => decodeValue(typeOf('list<int>'), bytes('000000010000ffff00')), RangeError);
});

test('literals suit the types Cassandra accepts them for', () => {
  const ok: readonly (readonly [string, CqlLiteral, string])[] = [
    ['text', { kind: 'string', text: 'a' }, '61'],
    ['int', { kind: 'number', text: '-2' }, 'fffffffe'],
    ['double', { kind: 'number', text: '1e3' }, '408f400000000000'],
    ['boolean', { kind: 'boolean', value: true }, '01'],
    ['uuid', { kind: 'uuid', text: '00112233-4455-6677-8899-aabbccddeeff' }, '00112233445566778899aabbccddeeff'],
    ['blob', { kind: 'blob', text: '0xCAFE' }, 'cafe'],
    ['timestamp', { kind: 'string', text: '1970-01-01' }, '0000000000000000'],
    ['timestamp', { kind: 'string', text: '1970-01-01 01:00:00.001+0100' }, '0000000000000001'],
    ['timestamp', { kind: 'string', text: '1970-01-01T00:00Z' }, '0000000000000000'],
    ['timestamp', { kind: 'number', text: '5' }, '0000000000000005'],
    ['date', { kind: 'string', text: '1970-01-02' }, '80000001'],
    ['date', { kind: 'number', text: '2147483648' }, '80000000'],
  ];
  for (const [type, literal, hex] of ok) {
    assert.equal(
      Buffer.from(encodeLiteral(typeOf(type), literal)!).toString('hex'),
      hex,
      `${type} ${JSON.stringify(literal)}`,
    );
  }
  assert.equal(encodeLiteral(typeOf('text'), { kind: 'null' }), null);
  const bad: readonly (readonly [string, CqlLiteral])[] = [
    ['text', { kind: 'number', text: '1' }],
    ['int', { kind: 'string', text: '1' }],
    ['int', { kind: 'number', text: '2147483648' }],
    ['int', { kind: 'number', text: '1.5' }],
    ['tinyint', { kind: 'number', text: '128' }],
    ['uuid', { kind: 'string', text: '00112233-4455-6677-8899-aabbccddeeff' }],
    ['timestamp', { kind: 'string', text: 'yesterday' }],
    ['date', { kind: 'string', text: '1970-13-01' }],
    ['ascii', { kind: 'string', text: 'é' }],
    ['inet', { kind: 'string', text: '256.0.0.1' }],
    ['inet', { kind: 'string', text: '1::2::3' }],
    ['list<int>', { kind: 'number', text: '1' }],
  ];
  for (const [type, literal] of bad) {
    assert.throws(
      () => encodeLiteral(typeOf(type), literal),
      (error) => isWeirError(error, 'SQL_SEMANTIC') && error.message.includes(type),
      type,
    );
  }
});

test('every printable value survives the way to bytes and back', () => {
  const check = (type: string, values: fc.Arbitrary<unknown>): void => {
    const parsed = typeOf(type);
    fc.assert(fc.property(values, (value) => assert.deepEqual(decodeValue(parsed, encodeValue(parsed, value)), value)));
  };
  check('text', fc.string({ unit: 'grapheme' }));
  check(
    'bigint',
    fc
      .bigInt(-(2n ** 63n), 2n ** 63n - 1n)
      .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value))),
  );
  check(
    'varint',
    fc.bigInt().map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value))),
  );
  check(
    'decimal',
    fc
      .tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 9 }))
      .map(([a, scale]) => (scale === 0 ? String(a) : `${a}.${'1'.repeat(scale)}`)),
  );
  check('double', fc.double({ noNaN: true, noDefaultInfinity: true }));
  check(
    'float',
    fc.integer({ min: -999999, max: 999999 }).map((value) => value / 1000),
  );
  check(
    'timestamp',
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  );
  check('inet', fc.oneof(fc.ipV4(), fc.constantFrom('::', '1::', '::1', 'a:b::c', '1:0:2:3:4:5:6:7')));
  check(
    'map<text, list<int>>',
    fc.dictionary(fc.string(), fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), { noNullPrototype: true }),
  );
});
