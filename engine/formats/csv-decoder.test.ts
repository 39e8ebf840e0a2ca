import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { timeZoneOf } from '../scan/time-zone.ts';
import { utc } from '../sql/runtime/time.ts';
import { CsvDecoder } from './csv-decoder.ts';
import { decodeAll, decodeOne, fieldsOf } from './test-values.ts';
import type { Decoded } from './test-values.ts';
import type { CsvFormat } from './value-format.ts';

const plain: Omit<CsvFormat, 'header'> = { kind: 'csv', delimiter: ',', quote: '"', nullText: '' };

function decode(columns: string, line: string | Uint8Array, changes: Partial<CsvFormat> = {}): Decoded {
  const fields = fieldsOf(columns);
  const format: CsvFormat = { ...plain, header: fields.map(({ path }) => path), ...changes };
  const bytes = typeof line === 'string' ? Buffer.from(line) : line;
  return decodeOne((arena) => new CsvDecoder(format, fields, utc, arena), fields, bytes);
}

const texts = fc.oneof(fc.string(), fc.constantFrom('', '"', '""', ',', 'a,b', '"a"', 'ü', '1\n2', '\r\n'));
const quoted = (value: string): string => `"${value.replaceAll('"', '""')}"`;
const isPlain = (value: string): boolean => !/[",\r\n]/.test(value);

test('any text survives in quotes, and without them where it needs none', () => {
  const line = fc.array(fc.tuple(fc.option(texts), fc.boolean()), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(line, fc.constantFrom('', '\n', '\r\n'), (values, ending) => {
      const columns = values.map((_, index) => `c${index} STRING`).join(', ');
      const written = values.map(([value, bare]) =>
        value === null ? '' : bare && value !== '' && isPlain(value) ? value : quoted(value),
      );
      const expected = values.map(([value]) => (value === null ? null : Buffer.from(value).toString()));
      assert.deepEqual(decode(columns, written.join(',') + ending), expected);
    }),
  );
});

test('values of every type', () => {
  const columns =
    'a TINYINT, b SMALLINT, c INT, d BIGINT, e FLOAT, f DOUBLE, g DECIMAL(6,2), h BOOLEAN, i DATE, j TIMESTAMP, k BINARY';
  const line = '-128,32767,-7,9223372036854775807,0.1,-1e3,12.345,TRUE,1970-01-02,1970-01-01T00:00:01Z,ab';
  const expected = [-128, 32767, -7, 2n ** 63n - 1n, Math.fround(0.1), -1000, 1235n, true, 1, 1_000_000];
  assert.deepEqual(decode(columns, line), [...expected, Uint8Array.of(0x61, 0x62)]);
  assert.deepEqual(
    decode(columns, ',,,,,,,,,,'),
    Array.from({ length: 11 }, () => null),
  );
});

test('what is not of its type names its column', () => {
  for (const [type, value] of [
    ['INT', '1.0'],
    ['INT', 'x'],
    ['BOOLEAN', 'yes'],
    ['DATE', '2020-13-01'],
    ['TIMESTAMP', 'noon'],
    ['DECIMAL(4,2)', '1,2x'],
    ['DOUBLE', '0x10'],
    ['DOUBLE', 'Infinity'],
  ])
    assert.equal(decode(`n ${type}`, quoted(value ?? '')), 'FIELD_WRONG_TYPE n', `${value} as ${type}`);
  assert.equal(decode('n TINYINT', '128'), 'FIELD_OUT_OF_RANGE n');
  assert.equal(decode('n BIGINT', '9223372036854775808'), 'FIELD_OUT_OF_RANGE n');
  assert.equal(decode('n BIGINT', '1'.repeat(5000)), 'FIELD_OUT_OF_RANGE n');
  assert.equal(decode('n DECIMAL(4,2)', '100'), 'FIELD_OUT_OF_RANGE n');
  assert.equal(decode('n STRING', Uint8Array.of(0xff)), 'RECORD_INVALID_UTF8 n');
});

test('a line is one row, and quotes are closed', () => {
  for (const line of ['a\nb', '"a', '"a"b', 'a"b', '"a""', 'a,b,c'])
    assert.equal(decode('x STRING, y STRING', line), 'RECORD_MALFORMED', line);
  assert.deepEqual(decode('x STRING, y STRING', 'a'), ['a', null], 'too few values are NULL');
  assert.equal(decode('x STRING, y STRING NOT NULL', 'a'), 'FIELD_MISSING y');
  assert.deepEqual(decode('x STRING, y INT', ''), [null, null]);
});

test('names of a header choose their values, whatever their order', () => {
  const header = ['id', 'skipped', 'Price'];
  assert.deepEqual(decode('price INT, id STRING, other INT', 'a,b,7', { header }), [7, 'a', null]);
});

test('another delimiter, quote and text for NULL', () => {
  const options = { delimiter: ';', quote: "'", nullText: 'NA' };
  assert.deepEqual(decode('a STRING, b STRING, c STRING, d INT', `NA;'NA';'it''s';NA`, options), [
    null,
    'NA',
    "it's",
    null,
  ]);
  assert.deepEqual(decode('a STRING, b STRING', `"x;`, { ...options, quote: null }), ['"x', '']);
});

test('a bad line leaves nothing in the row that the next one fills', () => {
  const fields = fieldsOf('a STRING, b INT');
  const decoded = decodeAll(
    (arena) => new CsvDecoder({ ...plain, header: ['a', 'b'] }, fields, utc, arena),
    fields,
    ['x,bad', ',', '"y""z",2'].map((line) => Buffer.from(line)),
  );
  assert.deepEqual(decoded, ['FIELD_WRONG_TYPE b', [null, null], ['y"z', 2]]);
});

test('times without a zone are of the job’s', () => {
  const zone = timeZoneOf('+02:00');
  assert(zone !== undefined);
  const fields = fieldsOf('t TIMESTAMP');
  const make = (arena: ConstructorParameters<typeof CsvDecoder>[3]): CsvDecoder =>
    new CsvDecoder({ ...plain, header: ['t'] }, fields, zone, arena);
  assert.deepEqual(decodeOne(make, fields, Buffer.from('1970-01-01 02:00:00')), [0]);
});

test('a list is no CSV value', () => {
  assert.throws(() => decode('a ARRAY<INT>', ''), /ARRAY<INT>, which no CSV value can hold/);
});
