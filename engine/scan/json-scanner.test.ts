import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DataType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { RecordIndex } from '../codecs/decode-records.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import { JsonScanner } from './json-scanner.ts';
import type { ScanField } from './json-scanner.ts';
import { RecordScanner } from './scan-records.ts';
import { timeZoneOf } from './time-zone.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const scalar = (
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
const string = scalar('string');
const array = (element: DataType): DataType => ({ kind: 'array', element, containsNull: true });
const map = (value: DataType): DataType => ({ kind: 'map', key: string, value, valueContainsNull: true });
const struct = (fields: Record<string, DataType>): DataType => ({
  kind: 'struct',
  fields: Object.entries(fields).map(([name, type]) => ({ name, type, nullable: true })),
});
const decimal = (precision: number, scale: number): DataType => ({ kind: 'decimal', precision, scale });
const field = (name: string, type: DataType, required = false): ScanField => ({ name, path: name, type, required });

/** A value of a column as JavaScript has it: text as string, bigint and decimal (unscaled) as bigint. */
function valueAt(column: Column, row: number): unknown {
  switch (column.kind) {
    case 'bytes': {
      const length = column.length[row] ?? 0;
      const start = column.start[row] ?? 0;
      if (length < 0) return null;
      const bytes = column.data.subarray(start, start + length);
      if (column.nonAscii[row] === 0) assert.ok(bytes.every((byte) => byte < 0x80));
      return decoder.decode(bytes);
    }
    case 'list':
      return (column.length[row] ?? -1) < 0
        ? null
        : Array.from({ length: column.length[row] ?? 0 }, (_, index) =>
            valueAt(column.element, (column.start[row] ?? 0) + index),
          );
    case 'map':
      return (column.length[row] ?? -1) < 0
        ? null
        : new Map(
            Array.from({ length: column.length[row] ?? 0 }, (_, index) => {
              const at = (column.start[row] ?? 0) + index;
              return [valueAt(column.keys, at), valueAt(column.values, at)];
            }),
          );
    case 'struct':
      return column.valid[row] === 1 ? column.fields.map((child) => valueAt(child, row)) : null;
    default:
      return column.valid[row] === 1 ? column.values[row] : null;
  }
}

interface Scanned {
  readonly reason: string | null;
  readonly place: string;
  readonly values: unknown[];
}

type Scan = (...documents: Uint8Array[]) => Scanned[];

/** Scans by the kernel and by its twin, which must agree in everything. */
function makeScan(fields: readonly ScanField[], zone = 'UTC'): Scan {
  const twin = makeTwinScan(fields, zone);
  const kernel = makeKernelScan(fields, zone);
  return (...documents) => {
    const results = twin(...documents);
    assert.deepEqual(kernel(...documents), results);
    return results;
  };
}

function makeTwinScan(fields: readonly ScanField[], zone: string): Scan {
  const arena = new ByteBuffer();
  const timeZone = timeZoneOf(zone);
  assert.ok(timeZone);
  const scanner = new JsonScanner(fields, { depthMax: 64, timeZone }, arena);
  return (...documents) => {
    arena.clear();
    const starts = documents.map((document) => arena.append(document));
    scanner.begin(documents.length);
    const results = documents.map((document, row) => {
      const start = starts[row] ?? 0;
      const reason = scanner.scan(start, start + document.byteLength, row);
      return { reason: reason < 0 ? null : (deadLetterReasons[reason] ?? '?'), place: scanner.place };
    });
    const columns = scanner.columns();
    return results.map((result, row) => ({
      reason: result.reason,
      place: result.reason === null ? '' : result.place,
      values: result.reason === null ? columns.map((column) => valueAt(column, row)) : [],
    }));
  };
}

/** Documents that stand around the others, so that there are enough for the kernel, and their keys are learned. */
const neighbours = [
  '{}',
  '{"a":"b"}',
  '{"x":null,"a":1}',
  '{"zz":[1,{"a":"]"}],"x":null}',
  '[',
  '{"a":"',
  '{"x":1',
  '',
].map((text) => encoder.encode(text));

function makeKernelScan(fields: readonly ScanField[], zone: string): Scan {
  const arena = new KernelArena();
  const timeZone = timeZoneOf(zone);
  assert.ok(timeZone);
  const columns = fields.map((each) => ({ ...each, kind: 'field' as const }));
  const scanner = new RecordScanner(
    { topic: 't', format: 'json', columns, recordBytesMax: 2 ** 20, recordDepthMax: 64 },
    timeZone,
    arena,
  );
  return (...documents) => {
    assert.ok(arena.enter());
    try {
      const all = [...neighbours, ...documents, ...neighbours];
      const records = new RecordIndex();
      records.ensure(all.length);
      records.keyLength.fill(-1);
      all.forEach((document, record) => {
        records.valueStart[record] = arena.append(document);
        records.valueLength[record] = document.byteLength;
      });
      records.count = all.length;
      const failures = new Map<number, Omit<Scanned, 'values'>>();
      const fail = (record: number, reason: number, place: string): void => {
        failures.set(record, { reason: deadLetterReasons[reason] ?? '?', place });
      };
      const batch = scanner.scan(records, 0, 0, all.length, false, () => false, fail);
      const rowOf = new Map([...batch.origins.record.subarray(0, batch.rowCount)].map((record, row) => [record, row]));
      assert.equal(batch.rowCount + failures.size, all.length);
      return documents.map((_, index) => {
        const record = neighbours.length + index;
        const row = rowOf.get(record);
        if (row === undefined) return { reason: null, place: '?', ...failures.get(record), values: [] };
        return { reason: null, place: '', values: batch.columns.map((column) => valueAt(column, row)) };
      });
    } finally {
      arena.leave();
    }
  };
}

function scanText(fields: readonly ScanField[], text: string, zone?: string): Scanned {
  const [result] = makeScan(fields, zone)(encoder.encode(text));
  assert.ok(result);
  return result;
}

/** One field `x` of the type from a document `{"x": <json>}`. */
function one(type: DataType, json: string, zone?: string): unknown {
  const result = scanText([field('x', type)], `{"x":${json}}`, zone);
  return result.reason ?? result.values[0];
}

// ------------------------------------------------------------------------------------------------ against JSON.parse

/** Deepest nesting of brackets outside strings in as much of the text as was read as JSON. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

const textFields = ['a', 'b', 'name', '__proto__', 'key\u00e9', 'with "quotes"\\'].map((name) => field(name, string));

/**
 * Some versions of V8 confuse a key that begins with a backslash with a later one that begins with an escape
 * (`{"\ud800":1,"\\":1}` and then `{"\ud800":1,"\u0000":1}`): JSON.parse must not see such keys here.
 */
const confusesV8 = (text: string): boolean => /"\\\\[^"]*"\s*:/.test(text);

/** What a STRING column must hold by JSON.parse: the string itself, or the text of another value (compared parsed). */
function checkAgainstJsonParse(document: Uint8Array, result: Scanned): void {
  let parsed: unknown;
  let bad = false;
  try {
    parsed = JSON.parse(decoder.decode(document));
  } catch {
    bad = true;
  }
  if (!bad && (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))) bad = true;
  if (result.reason === 'RECORD_TOO_DEEP') {
    assert.ok(depthOf(decoder.decode(document)) > 64);
    return;
  }
  if (result.reason === 'RECORD_INVALID_UTF8') {
    assert.ok(decoder.decode(document).includes('\ufffd'));
    assert.equal(bad, false);
    return;
  }
  assert.equal(result.reason, bad ? 'RECORD_NOT_JSON' : null);
  if (bad) return;
  const entries = new Map(Object.entries(parsed as object));
  textFields.forEach(({ path }, index) => {
    const expected = entries.get(path) ?? null;
    const actual = result.values[index];
    if (expected === null) assert.equal(actual, null);
    else if (typeof expected === 'string') assert.equal(actual, expected.toWellFormed());
    else assert.deepEqual(JSON.parse(String(actual)), expected);
  });
}

/** See {@link confusesV8}. */
const plainKey = (key: string): boolean => !key.includes('\\');

const anyKey = fc.oneof(
  fc.constantFrom(...textFields.map(({ path }) => path)),
  fc.constantFrom('other', 'a\u0000', 'A', '', 'an unknown key that is longer than the others', 'constructor'),
  fc.string({ unit: 'grapheme', maxLength: 6 }).filter(plainKey),
);
const anyString = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.constantFrom('\ud800', 'x\udc00y', '\u{1f600}', '\\', '"', '/', '\b\f\n\r\t', '\u007f\u0080\u07ff\u0800\uffff'),
);

interface Node {
  readonly text: string;
}

/** JSON text of a string in one of the many ways it can be written. */
function writeString(value: string, style: number): string {
  if (style % 3 === 0) return JSON.stringify(value);
  let text = '"';
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    if (
      (unit * 7 + style + index) % 4 === 0 ||
      unit < 0x20 ||
      unit === 0x22 ||
      unit === 0x5c ||
      (unit >= 0xd800 && unit <= 0xdfff)
    ) {
      const hex = unit.toString(16).padStart(4, '0');
      text += `\\u${style % 2 === 0 ? hex : hex.toUpperCase()}`;
    } else if (unit === 0x2f && style % 2 === 0) text += '\\/';
    else text += value[index];
  }
  return `${text}"`;
}

const blank = fc.constantFrom('', '', '', '', ' ', '\n', '\t\r\n  ');
const numberText = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('0', '-0', '1e5', '1E+5', '1.5e-7', '0.10', '9007199254740993', '-12345678901234567890', '1e400'),
  fc.constantFrom('01', '+1', '.5', '1.', '1e', '-', '0x10', 'NaN', '1_000'),
);
const documentNode = fc.letrec<{ value: Node; object: Node }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'null', 'nul', 'True').map((text) => ({ text })),
    numberText.map((text) => ({ text })),
    fc.tuple(anyString, fc.nat(5)).map(([value, style]) => ({ text: writeString(value, style) })),
    fc.tuple(fc.array(tie('value'), { maxLength: 4 }), blank).map(([items, gap]) => ({
      text: `[${gap}${items.map((item) => item.text).join(`${gap},${gap}`)}${gap}]`,
    })),
    tie('object'),
  ),
  object: fc
    .tuple(fc.array(fc.tuple(anyKey, tie('value'), fc.nat(5)), { maxLength: 7 }), blank)
    .map(([entries, gap]) => ({
      text: `{${gap}${entries.map(([key, value, style]) => `${writeString(key, style)}${gap}:${gap}${value.text}`).join(`${gap},${gap}`)}${gap}}`,
    })),
})).object;

test('documents of any shape are read as JSON.parse reads them', () => {
  const scan = makeScan(textFields);
  fc.assert(
    fc.property(fc.array(documentNode, { minLength: 1, maxLength: 4 }), (nodes) => {
      fc.pre(!nodes.some((node) => confusesV8(node.text)));
      const documents = nodes.map((node) => encoder.encode(node.text));
      scan(...documents).forEach((result, index) =>
        checkAgainstJsonParse(documents[index] ?? new Uint8Array(), result),
      );
    }),
    { numRuns: 3000 },
  );
});

test('damaged documents are refused exactly when JSON.parse refuses them, and harm no neighbour', () => {
  const scan = makeScan(textFields);
  const damage = fc.record({
    at: fc.nat(),
    kind: fc.nat(3),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(...encoder.encode('{}[]",:\\u0e-. \n'))),
  });
  const good = encoder.encode('{"a":"left alone","b":null}');
  fc.assert(
    fc.property(documentNode, fc.array(damage, { minLength: 1, maxLength: 3 }), (node, damages) => {
      let document = encoder.encode(node.text);
      for (const { at, kind, byte } of damages) {
        const place = at % (document.byteLength + 1);
        const [before, after] = [document.subarray(0, place), document.subarray(place)];
        if (kind === 0) document = Uint8Array.from(before);
        else if (kind === 1) document = Uint8Array.from([...before, byte, ...after]);
        else if (kind === 2) document = Uint8Array.from([...before, ...after.subarray(1)]);
        else document = Uint8Array.from([...before, byte, ...after.subarray(1)]);
      }
      fc.pre(!confusesV8(decoder.decode(document)));
      const [first, second, third] = scan(good, document, good);
      assert.ok(first && second && third);
      checkAgainstJsonParse(document, second);
      for (const neighbour of [first, third])
        assert.deepEqual([neighbour.reason, neighbour.values[0]], [null, 'left alone']);
    }),
    { numRuns: 6000 },
  );
});

test('typed values are those of JSON.parse', () => {
  const shape: ScanField[] = [
    field('i', scalar('int')),
    field('d', scalar('double')),
    field('b', scalar('boolean')),
    field('s', string),
    field('tags', array(string)),
    field('grid', array(array(scalar('int')))),
    field(
      'home',
      struct({ street: string, number: scalar('int'), geo: struct({ lat: scalar('double'), names: array(string) }) }),
    ),
    field('people', array(struct({ name: string, age: scalar('int') }))),
    field('counts', map(scalar('int'))),
  ];
  const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 5 });
  const jsonValue = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('\\\\'));
  const geo = fc.record(
    {
      lat: optional(fc.double({ noNaN: true, noDefaultInfinity: true })),
      names: optional(fc.array(optional(anyString))),
    },
    { requiredKeys: [] },
  );
  const documents = fc.record(
    {
      i: optional(fc.integer()),
      d: optional(fc.double({ noNaN: true, noDefaultInfinity: true })),
      b: optional(fc.boolean()),
      s: optional(anyString),
      tags: optional(fc.array(optional(anyString))),
      grid: optional(fc.array(optional(fc.array(optional(fc.integer()))))),
      home: optional(
        fc.record(
          { street: optional(anyString), number: optional(fc.integer()), geo: optional(geo), more: jsonValue },
          { requiredKeys: [] },
        ),
      ),
      people: optional(
        fc.array(
          optional(
            fc.record({ name: optional(anyString), age: optional(fc.integer()), '': jsonValue }, { requiredKeys: [] }),
          ),
        ),
      ),
      counts: optional(fc.dictionary(anyString.filter(plainKey), optional(fc.integer()))),
      extra: jsonValue,
    },
    { requiredKeys: [] },
  );
  const scan = makeScan(shape);
  const plain = (value: unknown): unknown =>
    typeof value === 'string' ? value.toWellFormed() : typeof value === 'boolean' ? Number(value) : value;
  const expected = (type: DataType, value: unknown): unknown => {
    if (value === null || value === undefined) return null;
    if (type.kind === 'array') return (value as unknown[]).map((item) => expected(type.element, item));
    if (type.kind === 'map')
      return new Map(Object.entries(value).map(([key, item]) => [key.toWellFormed(), expected(type.value, item)]));
    if (type.kind === 'struct')
      return type.fields.map((child) => expected(child.type, (value as Record<string, unknown>)[child.name]));
    return plain(value);
  };
  fc.assert(
    fc.property(fc.array(documents, { minLength: 1, maxLength: 5 }), (values) => {
      const results = scan(...values.map((value) => encoder.encode(JSON.stringify(value))));
      results.forEach((result, row) => {
        assert.equal(result.reason, null);
        const parsed = JSON.parse(JSON.stringify(values[row])) as Record<string, unknown>;
        assert.deepEqual(
          result.values,
          shape.map(({ name, type }) => expected(type, parsed[name])),
        );
      });
    }),
    { numRuns: 1000 },
  );
});

test('any double written as JSON comes back exactly', () => {
  const scan = makeScan([field('x', scalar('double'))]);
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.nat(2), (value, style) => {
      const json =
        style === 0 ? JSON.stringify(value) : style === 1 ? value.toExponential() : String(value.toPrecision(17));
      const [result] = scan(encoder.encode(`{"x":${json}}`));
      assert.ok(Object.is(result?.values[0], JSON.parse(json)), json);
    }),
    { numRuns: 2000 },
  );
});

// ------------------------------------------------------------------------------------------------------ field by field

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
