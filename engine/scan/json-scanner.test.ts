import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBuffer } from '../byte-buffer.ts';
import { JsonScanner } from './json-scanner.ts';
import {
  array,
  decimal,
  encoder,
  field,
  makeScan,
  map,
  one,
  scalar,
  scanText,
  string,
  struct,
} from './json-scans.fixture.ts';
import { timeZoneOf } from './time-zone.ts';

test('integers are exact and bounded', () => {
  assert.equal(one(scalar('bigint'), '9007199254740993'), 9007199254740993n);
  assert.equal(one(scalar('bigint'), '-9223372036854775808'), -(2n ** 63n));
  assert.equal(one(scalar('bigint'), '9223372036854775808'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(scalar('bigint'), '123456789012345678901234567890'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(scalar('bigint'), '-1'), -1n);
  assert.equal(one(scalar('bigint'), '-4294967297'), -4294967297n);
  assert.equal(one(scalar('int'), '2147483647'), 2147483647);
  assert.equal(one(scalar('int'), '-2147483649'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(scalar('int'), '12345678901234567890'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(scalar('smallint'), '-32768'), -32768);
  assert.equal(one(scalar('tinyint'), '128'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(scalar('int'), '-0'), 0);
});

test('a value of another type is wrong', () => {
  for (const json of ['"12"', '5.0', '1e3', 'true', '[]', '{}', '""'])
    assert.equal(one(scalar('int'), json), 'FIELD_WRONG_TYPE', json);
  for (const json of ['"true"', '1', '[]']) assert.equal(one(scalar('boolean'), json), 'FIELD_WRONG_TYPE', json);
  for (const json of ['"1.5"', 'true', '""']) assert.equal(one(scalar('double'), json), 'FIELD_WRONG_TYPE', json);
  for (const json of ['{}', '"a"', '1']) assert.equal(one(array(string), json), 'FIELD_WRONG_TYPE', json);
  for (const json of ['[]', '"a"', '1']) assert.equal(one(struct({ a: string }), json), 'FIELD_WRONG_TYPE', json);
  assert.equal(one(scalar('date'), '1'), 'FIELD_WRONG_TYPE');
  const nested = scanText([field('home', struct({ number: scalar('int') }))], '{"home":{"number":"x"}}');
  assert.deepEqual([nested.reason, nested.place], ['FIELD_WRONG_TYPE', 'home.number']);
});

test('text keeps what is no string as it stands', () => {
  assert.equal(one(string, '{"b": [1, 2.50],"c":"\\u00e9"}'), '{"b": [1, 2.50],"c":"\\u00e9"}');
  assert.equal(one(string, '1.50'), '1.50');
  assert.equal(one(string, 'true'), 'true');
  assert.equal(one(string, 'null'), null);
});

test('numbers that JSON has no word for', () => {
  assert.equal(one(scalar('double'), '"NaN"'), Number.NaN);
  assert.equal(one(scalar('double'), '"-Infinity"'), Number.NEGATIVE_INFINITY);
  assert.equal(one(scalar('float'), '0.1'), Math.fround(0.1));
  assert.equal(one(scalar('double'), '1e400'), Number.POSITIVE_INFINITY);
});

test('decimals are exact', () => {
  assert.equal(one(decimal(12, 2), '1250000'), 125000000n);
  assert.equal(one(decimal(12, 2), '-0.5'), -50n);
  assert.equal(one(decimal(12, 2), '1.005'), 101n);
  assert.equal(one(decimal(12, 2), '"1,250,000.10"'), 125000010n);
  assert.equal(one(decimal(4, 2), '100'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(decimal(4, 2), '99.995'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(decimal(12, 2), '12e-1'), 120n);
  assert.equal(
    one(decimal(38, 10), '1234567890123456789012345678.9012345678'),
    12345678901234567890123456789012345678n,
  );
  assert.equal(one(decimal(10, 0), '1e999999999'), 'FIELD_OUT_OF_RANGE');
  assert.equal(one(decimal(10, 0), '"abc"'), 'FIELD_WRONG_TYPE');
  assert.equal(one(decimal(10, 0), '""'), 'FIELD_WRONG_TYPE');
});

test('timestamps in the forms Spark reads', () => {
  const utc = Date.UTC(2024, 1, 29, 13, 5, 6, 789) * 1000;
  const type = scalar('timestamp');
  for (const text of [
    '2024-02-29 13:05:06.789',
    '2024-02-29T13:05:06.789',
    '2024-02-29T13:05:06.789Z',
    '2024-02-29T14:05:06.789+01:00',
    '2024-02-29T08:05:06.789-0500',
    ' 2024-02-29T13:05:06.789 UTC ',
    '2024-02-29T22:05:06.789 Asia/Tokyo',
  ]) {
    assert.equal(one(type, JSON.stringify(text)), utc, text);
  }
  assert.equal(one(type, '"2024-02-29T13:05:06.7891239"'), utc + 123);
  assert.equal(one(type, '"2024-02-29"'), Date.UTC(2024, 1, 29) * 1000);
  assert.equal(one(type, '"2024\\u002d2-29 1:5"'), Date.UTC(2024, 1, 29, 1, 5) * 1000);
  assert.equal(one(type, '1700000000'), 1_700_000_000_000_000);
  assert.equal(one(type, '"1969-12-31T23:59:59.999999Z"'), -1);
  for (const text of [
    '',
    'x',
    '2024-02-30',
    '2023-02-29',
    '2024-13-01',
    '2024-02-29T24:00:00',
    '2024-02-29T13:05:06Q',
    '2024-02-29x',
  ]) {
    assert.equal(one(type, JSON.stringify(text)), 'FIELD_WRONG_TYPE', text);
  }
});

test('a time without a zone is the session zone’s, through gaps and overlaps', () => {
  const type = scalar('timestamp');
  const paris = (text: string): unknown => one(type, JSON.stringify(text), 'Europe/Paris');
  assert.equal(paris('2024-01-15 12:00:00'), Date.UTC(2024, 0, 15, 11) * 1000);
  assert.equal(paris('2024-07-15 12:00:00'), Date.UTC(2024, 6, 15, 10) * 1000);
  // 02:30 does not exist on this day: as 03:30.
  assert.equal(paris('2024-03-31 02:30:00'), Date.UTC(2024, 2, 31, 1, 30) * 1000);
  // 02:30 exists twice: the first.
  assert.equal(paris('2024-10-27 02:30:00'), Date.UTC(2024, 9, 27, 0, 30) * 1000);
  assert.equal(paris('2024-10-27 03:30:00'), Date.UTC(2024, 9, 27, 2, 30) * 1000);
});

test('dates', () => {
  assert.equal(one(scalar('date'), '"2024-02-29"'), Date.UTC(2024, 1, 29) / 86_400_000);
  assert.equal(one(scalar('date'), '"1969-12-31T10:00"'), -1);
  assert.equal(one(scalar('date'), '"0001-01-01"'), -719_162);
  assert.equal(one(scalar('date'), '"2024-02-30"'), 'FIELD_WRONG_TYPE');
});

test('binary is base64', () => {
  assert.equal(one(scalar('binary'), '"aGVsbG8="'), 'hello');
  assert.equal(one(scalar('binary'), '"aGVsbG8"'), 'hello');
  assert.equal(one(scalar('binary'), '""'), '');
  for (const text of ['a', 'aGVsb*8=', 'a===', 'aGVs='])
    assert.equal(one(scalar('binary'), JSON.stringify(text)), 'FIELD_WRONG_TYPE', text);
});

test('the last of duplicate keys wins, for values and for mistakes', () => {
  assert.equal(one(scalar('int'), '1,"x":2'), 2);
  assert.equal(one(scalar('int'), '"bad","x":2'), 2);
  assert.equal(one(scalar('int'), '2,"x":"bad"'), 'FIELD_WRONG_TYPE');
  assert.equal(one(scalar('int'), '2,"\\u0078":null'), null);
  assert.deepEqual(
    one(map(scalar('int')), '{"a":"bad","b":2,"\\u0061":3}'),
    new Map([
      ['b', 2],
      ['a', 3],
    ]),
  );
  assert.deepEqual(one(struct({ a: scalar('int'), b: string }), '{"a":1,"b":"x"},"x":{"a":2}'), [2, null]);
});

test('required fields', () => {
  const fields = [field('a', string), field('x', scalar('int'), true)];
  for (const text of ['{}', '{"x":null}', '{"a":"1"}', '{"x":1,"x":null}']) {
    const result = scanText(fields, text);
    assert.deepEqual([result.reason, result.place], ['FIELD_MISSING', 'x'], text);
  }
  assert.equal(scanText(fields, '{"x":0}').reason, null);
});

test('nesting has a limit, in fields that nobody reads as well', () => {
  const nested = (levels: number): string => `{"other":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
  assert.equal(scanText([], nested(64)).reason, null);
  assert.equal(scanText([], nested(65)).reason, 'RECORD_TOO_DEEP');
  assert.equal(scanText([field('other', string)], nested(65)).reason, 'RECORD_TOO_DEEP');
  assert.equal(scanText([], `{"other":${'['.repeat(1_000_000)}`).reason, 'RECORD_TOO_DEEP');
});

test('bytes that are not UTF-8 matter where they are read', () => {
  const bytes = (...parts: (string | number[])[]): Uint8Array =>
    Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...encoder.encode(part)] : part)));
  const scan = makeScan([field('x', string)]);
  for (const wrong of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80], [0x80]]) {
    const [used, unused, nested] = scan(
      bytes('{"x":"a', wrong, '"}'),
      bytes('{"y":"a', wrong, '","x":"ok"}'),
      bytes('{"x":["a', wrong, '"]}'),
    );
    assert.deepEqual([used?.reason, used?.place], ['RECORD_INVALID_UTF8', 'x']);
    assert.deepEqual([unused?.reason, unused?.values[0]], [null, 'ok']);
    assert.equal(nested?.reason, 'RECORD_INVALID_UTF8');
  }
});

test('what is no JSON object', () => {
  for (const text of [
    '',
    ' ',
    'null',
    '[]',
    '"x"',
    '1',
    '{',
    '{}x',
    '{"a":1,}',
    '{,}',
    '\ufeff{}',
    "{'a':1}",
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a":tru}',
  ]) {
    assert.equal(scanText([field('a', string)], text).reason, 'RECORD_NOT_JSON', text);
  }
});

test('a document ends where its record ends', () => {
  // The bytes behind would complete the document.
  const arena = new ByteBuffer();
  const timeZone = timeZoneOf('UTC');
  assert.ok(timeZone);
  const scanner = new JsonScanner([field('a', scalar('int'))], { depthMax: 64, timeZone }, arena);
  const whole = encoder.encode('{"a":12,"b":"text","c":[1,2],"d":true}');
  arena.append(whole);
  scanner.begin(1);
  for (let end = 0; end < whole.byteLength; end++) assert.equal(scanner.scan(0, end, 0), 0, String(end));
  assert.equal(scanner.scan(0, whole.byteLength, 0), -1);
});
