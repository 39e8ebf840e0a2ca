import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { deadLetterReasons, isWeirError } from '../../core/errors.ts';
import { VALUE_NULL } from '../../core/row-block.ts';
import type { CqlScalar, CqlType } from '../../core/table/schema.ts';
import type { DataType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { JsonScanner } from '../scan/json-scanner.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import { CellEncoder } from './cells.ts';

// Cassandra's own driver says what the bytes mean.
const require = createRequire(import.meta.url);
const { types } = require('cassandra-driver') as typeof import('cassandra-driver');
const Encoder = require('cassandra-driver/lib/encoder') as new (
  version: number,
  options: object,
) => { decode(bytes: Buffer, type: object): unknown };
const driver = new Encoder(4, {});
const codes = types.dataTypes as unknown as Record<string, number>;

const UTC = timeZoneOf('UTC');
assert.ok(UTC);

function driverType(type: CqlType): object {
  switch (type.kind) {
    case 'list':
    case 'set':
      return { code: codes[type.kind], info: driverType(type.element) };
    case 'map':
      return { code: codes['map'], info: [driverType(type.key), driverType(type.value)] };
    case 'tuple':
      return { code: codes['tuple'], info: type.elements.map(driverType) };
    case 'udt':
      return {
        code: codes['udt'],
        info: {
          name: type.name,
          fields: type.fields.map((field) => ({ name: field.name, type: driverType(field.type) })),
        },
      };
    default:
      return { code: codes[type.kind] };
  }
}

/** The bytes of one value read from JSON, or the name of the reason for which there are none. */
function encode(from: DataType, to: CqlType, json: string, zone = UTC): Buffer | null | string {
  const arena = new ByteBuffer();
  assert.ok(zone);
  const scanner = new JsonScanner(
    [{ name: 'x', path: 'x', type: from, required: false }],
    { depthMax: 64, timeZone: zone },
    arena,
  );
  const document = new TextEncoder().encode(`{"x":${json}}`);
  arena.append(document);
  scanner.begin(1);
  assert.equal(scanner.scan(0, document.byteLength, 0), -1, json);
  const [column] = scanner.columns();
  assert.ok(column);
  const cell = new CellEncoder(from, to, zone, 'x');
  cell.bind(column);
  const out = new ByteBuffer(8);
  const failure = cell.write(out, 0, VALUE_NULL);
  if (failure >= 0) return deadLetterReasons[failure] ?? '?';
  const length = out.view.getInt32(0);
  assert.equal(out.length, 4 + Math.max(0, length));
  return length < 0 ? null : Buffer.from(out.bytes.slice(4, out.length));
}

function decoded(from: DataType, to: CqlType, json: string): unknown {
  const bytes = encode(from, to, json);
  return Buffer.isBuffer(bytes) ? driver.decode(bytes, driverType(to)) : bytes;
}

const scalar = (kind: CqlScalar): CqlType => ({ kind });
const of = (
  kind:
    | 'string'
    | 'int'
    | 'bigint'
    | 'double'
    | 'float'
    | 'boolean'
    | 'date'
    | 'timestamp'
    | 'binary'
    | 'smallint'
    | 'tinyint',
): DataType => ({ kind });
const decimal = (precision: number, scale: number): DataType => ({ kind: 'decimal', precision, scale });
const text = (value: unknown): string => String(value);

test('scalars mean to the driver what they meant in the record', () => {
  assert.equal(decoded(of('string'), scalar('text'), '"é\\n"'), 'é\n');
  assert.equal(decoded(of('string'), scalar('ascii'), '"plain"'), 'plain');
  assert.equal(decoded(of('int'), scalar('int'), '-7'), -7);
  assert.equal(decoded(of('int'), scalar('tinyint'), '-128'), -128);
  assert.equal(decoded(of('int'), scalar('smallint'), '32767'), 32767);
  assert.equal(text(decoded(of('int'), scalar('bigint'), '-7')), '-7');
  assert.equal(text(decoded(of('bigint'), scalar('bigint'), '9007199254740993')), '9007199254740993');
  assert.equal(text(decoded(of('bigint'), scalar('counter'), '-9223372036854775808')), '-9223372036854775808');
  assert.equal(decoded(of('bigint'), scalar('int'), '-2147483648'), -2147483648);
  assert.equal(decoded(of('double'), scalar('double'), '1.1'), 1.1);
  assert.equal(decoded(of('float'), scalar('float'), '1.1'), Math.fround(1.1));
  assert.equal(decoded(decimal(10, 2), scalar('double'), '12.34'), 12.34);
  assert.equal(decoded(of('boolean'), scalar('boolean'), 'true'), true);
  assert.equal(decoded(of('boolean'), scalar('boolean'), 'false'), false);
  assert.equal(text(decoded(of('string'), scalar('blob'), '"ab"')), 'ab');
  assert.equal(text(decoded(of('binary'), scalar('blob'), '"YWI="')), 'ab');
  assert.equal(decoded(of('string'), scalar('text'), 'null'), null);
  assert.equal(decoded(of('int'), scalar('int'), 'null'), null);
});

test('varint and decimal of any size and sign', () => {
  for (const value of ['0', '127', '128', '-128', '-129', '255', '256', '-1', '9223372036854775807']) {
    assert.equal(text(decoded(of('bigint'), scalar('varint'), value)), value);
  }
  for (const value of ['0.00', '12.50', '-12.50', '0.01', '-0.01', '99999999.99']) {
    assert.equal(Number(text(decoded(decimal(10, 2), scalar('decimal'), value))), Number(value));
  }
  assert.equal(
    text(decoded(decimal(38, 4), scalar('decimal'), '-123456789012345678901234567890.1234')),
    '-123456789012345678901234567890.1234',
  );
  assert.equal(
    text(decoded(decimal(38, 0), scalar('varint'), '99999999999999999999999999999999999999')),
    '99999999999999999999999999999999999999',
  );
});

test('times', () => {
  const date = decoded(of('timestamp'), scalar('timestamp'), '"1969-12-31T23:59:59.9995Z"');
  assert.ok(date instanceof Date && date.getTime() === -1);
  assert.equal(text(decoded(of('date'), scalar('date'), '"2024-02-29"')), '2024-02-29');
  assert.equal(text(decoded(of('date'), scalar('date'), '"1969-07-20"')), '1969-07-20');
  assert.equal(text(decoded(of('timestamp'), scalar('date'), '"2024-02-29T23:00:00Z"')), '2024-02-29');
  assert.equal(text(decoded(of('string'), scalar('date'), '"2024-02-29"')), '2024-02-29');
  assert.equal(text(decoded(of('string'), scalar('time'), '"13:14:15.123456789"')), '13:14:15.123456789');
  const tokyo = timeZoneOf('Asia/Tokyo');
  assert.ok(tokyo);
  const bytes = encode(of('timestamp'), scalar('date'), '"2024-02-29T23:00:00Z"', tokyo);
  assert.ok(Buffer.isBuffer(bytes));
  assert.equal(text(driver.decode(bytes, driverType(scalar('date')))), '2024-03-01');
});

test('uuid and inet from text', () => {
  const id = '0c5b2444-70a0-4932-980c-b4dc0d3f02b5';
  assert.equal(text(decoded(of('string'), scalar('uuid'), `"${id.toUpperCase()}"`)), id);
  for (const [input, output] of [
    ['192.168.0.1', '192.168.0.1'],
    ['::1', '::1'],
    ['2001:db8::ff00:42:8329', '2001:db8::ff00:42:8329'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ]) {
    assert.equal(
      text(decoded(of('string'), scalar('inet'), `"${input}"`)),
      output === '::ffff:a00:1' ? text(decoded(of('string'), scalar('inet'), '"::ffff:a00:1"')) : output,
      input,
    );
  }
});

test('what cannot be converted has a reason', () => {
  for (const [to, values] of [
    [
      'uuid',
      [
        '',
        'x',
        '0c5b2444-70a0-4932-980c-b4dc0d3f02b',
        '0c5b2444-70a0-4932-980c-b4dc0d3f02bg',
        '0c5b2444070a0-4932-980c-b4dc0d3f02b5',
      ],
    ],
    ['inet', ['', '1.2.3', '256.1.1.1', '01.1.1.1', ':::', '1::2::3', '1:2:3:4:5:6:7', '12345::', '::1%lo']],
    ['time', ['', '24:00:00', '1']],
    ['date', ['', '2024-02-30']],
    ['timestamp', ['', 'now']],
    ['ascii', ['é']],
  ] as const) {
    for (const value of values)
      assert.equal(encode(of('string'), scalar(to), JSON.stringify(value)), 'FIELD_WRONG_TYPE', `${to} ${value}`);
  }
  assert.equal(encode(of('int'), scalar('tinyint'), '128'), 'FIELD_OUT_OF_RANGE');
  assert.equal(encode(of('bigint'), scalar('int'), '2147483648'), 'FIELD_OUT_OF_RANGE');
  assert.throws(
    () => new CellEncoder(of('boolean'), scalar('int'), UTC, 'x'),
    (error: unknown) => isWeirError(error, 'SINK_SCHEMA') && error.message.includes('x'),
  );
});

test('anything scalar as text', () => {
  assert.equal(decoded(of('int'), scalar('text'), '-12'), '-12');
  assert.equal(decoded(of('boolean'), scalar('text'), 'true'), 'true');
  assert.equal(decoded(of('bigint'), scalar('text'), '9007199254740993'), '9007199254740993');
  assert.equal(decoded(decimal(10, 2), scalar('text'), '-0.5'), '-0.50');
  assert.equal(decoded(of('date'), scalar('text'), '"2024-02-29"'), '2024-02-29');
  assert.equal(decoded(of('timestamp'), scalar('text'), '"2024-02-29 01:02:03"'), '2024-02-29T01:02:03.000Z');
});

test('collections, tuples and user types', () => {
  const list: DataType = { kind: 'array', element: of('string'), containsNull: true };
  const cqlList: CqlType = { kind: 'list', element: scalar('text'), frozen: false };
  assert.deepEqual(decoded(list, cqlList, '["a","","\\u00e9"]'), ['a', '', 'é']);
  assert.equal(decoded(list, cqlList, 'null'), null);
  assert.equal(decoded(list, cqlList, '["a",null]'), 'FIELD_WRONG_TYPE');
  assert.equal(decoded(list, { kind: 'set', element: scalar('uuid'), frozen: true }, '["x"]'), 'FIELD_WRONG_TYPE');
  const map: DataType = { kind: 'map', key: of('string'), value: of('int'), valueContainsNull: true };
  assert.deepEqual(
    decoded(map, { kind: 'map', key: scalar('text'), value: scalar('int'), frozen: false }, '{"a":1,"b":2}'),
    { a: 1, b: 2 },
  );
  const picture: DataType = {
    kind: 'struct',
    fields: [
      { name: 'url', type: of('string'), nullable: true },
      { name: 'Width', type: of('int'), nullable: true },
    ],
  };
  const cqlPicture: CqlType = {
    kind: 'udt',
    keyspace: 'ks',
    name: 'picture',
    frozen: true,
    fields: [
      { name: 'width', type: scalar('int') },
      { name: 'url', type: scalar('text') },
      { name: 'other', type: scalar('text') },
    ],
  };
  const nested = decoded(
    { kind: 'array', element: picture, containsNull: true },
    { kind: 'list', element: cqlPicture, frozen: true },
    '[{"url":"u","Width":3},{"url":null}]',
  );
  assert.deepEqual(JSON.parse(JSON.stringify(nested)), [
    { width: 3, url: 'u', other: null },
    { width: null, url: null, other: null },
  ]);
  const tuple = decoded(
    picture,
    { kind: 'tuple', elements: [scalar('text'), scalar('bigint')] },
    '{"url":"u","Width":3}',
  ) as { elements: unknown[] };
  assert.deepEqual(tuple.elements.map(text), ['u', '3']);
});
