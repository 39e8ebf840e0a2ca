import assert from 'node:assert/strict';
import { test } from 'node:test';
import avsc from 'avsc';
import type { Schema as AvscSchema } from 'avsc';
import fc from 'fast-check';
import type { ByteBuffer } from '../byte-buffer.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { avroColumns, parseAvro } from './avro-schema.ts';
import { decodeAll, decodeOne, fieldsOf } from './test-values.ts';
import type { Decoded } from './test-values.ts';
import type { ValueField } from './value-decoder.ts';
import type { AvroFormat, SchemaText, WriterSchema } from './value-format.ts';

const DEPTH_MAX = 64;

const textOf = (schema: unknown): SchemaText => ({ schema: JSON.stringify(schema), references: [] });

const fixedFormat = (schema: unknown): AvroFormat => ({
  kind: 'avro',
  framing: 'none',
  registry: null,
  schema: textOf(schema),
});

const own = (schema: unknown): ValueField[] => fieldsOf(avroColumns(parseAvro(textOf(schema))));

const encode = (schema: unknown, value: unknown): Uint8Array =>
  avsc.Type.forSchema(schema as AvscSchema, { registry: {}, wrapUnions: false }).toBuffer(value);

function record(...fields: readonly unknown[]): Record<string, unknown> {
  return { type: 'record', name: 'R', fields };
}

function decode(schema: unknown, value: unknown, fields: readonly ValueField[] = own(schema)): Decoded {
  return decodeBytes(schema, encode(schema, value), fields);
}

function decodeBytes(schema: unknown, bytes: Uint8Array, fields: readonly ValueField[] = own(schema)): Decoded {
  return decodeOne((arena) => new AvroDecoder(fixedFormat(schema), fields, DEPTH_MAX, arena), fields, bytes);
}

/** Reads records of a registry where each writer schema has its index as id. */
function resolve(
  writers: readonly unknown[],
  reader: unknown,
  values: readonly { readonly id: number; readonly value: unknown }[],
  fields: readonly ValueField[] = own(reader),
): Decoded[] {
  const make = (arena: ByteBuffer): AvroDecoder => {
    const schema = reader === null ? null : textOf(reader);
    const decoder = new AvroDecoder(
      { kind: 'avro', framing: 'confluent', registry: '', schema },
      fields,
      DEPTH_MAX,
      arena,
    );
    decoder.learn(writers.map((writer, id): WriterSchema => ({ id, type: 'AVRO', ...textOf(writer) })));
    return decoder;
  };
  const framed = values.map(({ id, value }) =>
    Buffer.concat([Buffer.from([0, 0, 0, 0, id]), encode(writers[id], value)]),
  );
  return decodeAll(make, fields, framed);
}

// ---- any schema, any value --------------------------------------------------------------------------------------

/** A type, values of it for avsc, and what the column has for such a value. */
interface Case {
  readonly type: unknown;
  readonly values: fc.Arbitrary<unknown>;
  readonly expected: (value: never) => unknown;
}

const same = (value: unknown): unknown => value;
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 12 }));
const bytes = fc.uint8Array({ maxLength: 20 }).map((value) => Buffer.from(value));
const plainBytes = (value: Uint8Array): Uint8Array => Uint8Array.from(value);
/** The other encoder computes with doubles, and zigzag takes one more bit. */
const safe = fc.oneof(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), fc.integer(), fc.integer({ min: -70, max: 70 }));

const scalars: readonly Case[] = [
  { type: 'boolean', values: fc.boolean(), expected: same },
  { type: 'int', values: fc.oneof(fc.integer(), fc.integer({ min: -70, max: 70 })), expected: same },
  { type: 'long', values: safe, expected: (value: number) => BigInt(value) },
  { type: 'float', values: fc.float({ noNaN: true }), expected: same },
  { type: 'double', values: fc.double({ noNaN: true }), expected: same },
  { type: 'string', values: text, expected: (value: string) => Buffer.from(value).toString() },
  { type: 'bytes', values: bytes, expected: plainBytes },
];

let names = 0;

function schemaCase(depth: number): fc.Arbitrary<Case> {
  const scalar = fc.constantFrom(...scalars);
  const named = fc.constantFrom('enum', 'fixed').map((kind): Case => {
    const name = `N${names++}`;
    if (kind === 'enum') {
      const symbols = ['RED', 'GREEN', 'BLUE'];
      return { type: { type: 'enum', name, symbols }, values: fc.constantFrom(...symbols), expected: same };
    }
    const values = fc.uint8Array({ minLength: 5, maxLength: 5 }).map((value) => Buffer.from(value));
    return { type: { type: 'fixed', name, size: 5 }, values, expected: plainBytes };
  });
  if (depth === 0) return fc.oneof(scalar, named);
  const inner = schemaCase(depth - 1);
  return fc.oneof(
    scalar,
    named,
    inner.map(optional),
    inner.map(({ type, values, expected }): Case => ({
      type: { type: 'array', items: type },
      values: fc.array(values, { maxLength: 4 }),
      expected: (value: never[]) => value.map((item) => expected(item)),
    })),
    inner.map(({ type, values, expected }): Case => ({
      type: { type: 'map', values: type },
      values: fc.dictionary(
        fc.string({ maxLength: 4 }).filter((key) => key !== '__proto__'),
        values,
        { maxKeys: 4 },
      ),
      expected: (value: Record<string, never>) =>
        new Map(Object.entries(value).map(([key, item]) => [Buffer.from(key).toString(), expected(item)])),
    })),
    fc.array(inner, { minLength: 1, maxLength: 4 }).map((fields) => recordCase(fields)),
  );
}

/** A union with null; a union cannot be within another. */
function optional({ type, values, expected }: Case): Case {
  if (Array.isArray(type)) return { type, values, expected };
  return {
    type: ['null', type],
    values: fc.option(values),
    expected: (value: never) => (value === null ? null : expected(value)),
  };
}

function recordCase(fields: readonly Case[]): Case {
  const type = {
    type: 'record',
    name: `N${names++}`,
    fields: fields.map((field, index) => ({ name: `f${index}`, type: field.type })),
  };
  return {
    type,
    values: fc
      .tuple(...fields.map(({ values }) => values))
      .map((values) => Object.fromEntries(values.map((value, index) => [`f${index}`, value]))),
    expected: (value: Record<string, never>) =>
      fields.map((field, index) => field.expected(value[`f${index}`] as never)),
  };
}

const documents = fc
  .array(schemaCase(2), { minLength: 1, maxLength: 5 })
  .map((fields) => recordCase(fields))
  .chain(({ type, values, expected }) =>
    fc.array(values, { minLength: 1, maxLength: 5 }).map((all) => ({ type, all, expected })),
  );

test('records of any schema become the values that another encoder wrote', () => {
  fc.assert(
    fc.property(documents, ({ type, all, expected }) => {
      const fields = own(type);
      const make = (arena: ByteBuffer): AvroDecoder => new AvroDecoder(fixedFormat(type), fields, DEPTH_MAX, arena);
      const decoded = decodeAll(
        make,
        fields,
        all.map((value) => encode(type, value)),
      );
      assert.deepEqual(
        decoded,
        all.map((value) => expected(value as never)),
      );
    }),
    { numRuns: 300 },
  );
});

test('any columns may be left out, and the others are the same', () => {
  fc.assert(
    fc.property(documents, fc.infiniteStream(fc.boolean()), ({ type, all, expected }, choice) => {
      const every = own(type);
      const kept = every.filter(() => choice.next().value);
      const decoded = all.map((value) => decode(type, value, kept));
      const places = kept.map((field) => every.indexOf(field));
      assert.deepEqual(
        decoded,
        all.map((value) => places.map((place) => (expected(value as never) as unknown[])[place])),
      );
    }),
    { numRuns: 150 },
  );
});

test('bytes that were cut, changed or made up never throw, and never read beyond the record', () => {
  fc.assert(
    fc.property(documents, fc.nat(), fc.nat({ max: 255 }), ({ type, all: [value] }, at, byte) => {
      const good = encode(type, value);
      const cut = good.subarray(0, at % Math.max(1, good.byteLength));
      if (good.byteLength > 0) assert.equal(typeof decodeBytes(type, cut), 'string');
      const changed = Uint8Array.from(good);
      if (changed.byteLength > 0) changed[at % changed.byteLength] = byte;
      decodeBytes(type, changed);
      assert.equal(decodeBytes(type, Buffer.concat([good, Buffer.from([0])])), 'RECORD_MALFORMED');
    }),
    { numRuns: 150 },
  );
});

// ---- logical types ----------------------------------------------------------------------------------------------

test('logical types', () => {
  const decimal = { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 };
  const schema = record(
    { name: 'd', type: { type: 'int', logicalType: 'date' } },
    { name: 'ms', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'us', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'ns', type: { type: 'long', logicalType: 'timestamp-nanos' } },
    { name: 'p', type: decimal },
    { name: 'big', type: { type: 'fixed', name: 'F', size: 12, logicalType: 'decimal', precision: 25, scale: 3 } },
    { name: 'u', type: { type: 'string', logicalType: 'uuid' } },
    { name: 't', type: { type: 'int', logicalType: 'time-millis' } },
  );
  assert.deepEqual(
    own(schema).map(({ type }) => type.kind),
    ['date', 'timestamp', 'timestamp', 'timestamp', 'decimal', 'decimal', 'string', 'int'],
  );
  const big = Buffer.alloc(12, 0xff);
  big.writeInt32BE(-5, 8);
  const uuid = '3b241101-e2bb-4255-8caf-4136c566a962';
  const value = { d: -1, ms: 1500, us: -7, ns: -1, p: Buffer.from([0xfe, 0xd4]), big, u: uuid, t: 9 };
  assert.deepEqual(decode(schema, value), [-1, 1_500_000, -7, -1, -300n, -5n, uuid, 9]);
});

test('a decimal takes the scale of its column, and must fit it', () => {
  const schema = record({ name: 'p', type: { type: 'bytes', logicalType: 'decimal', precision: 20, scale: 2 } });
  const p = Buffer.from([0x30, 0x39]); // 123.45
  assert.deepEqual(decode(schema, { p }, fieldsOf('p DECIMAL(10,4)')), [1_234_500n]);
  assert.deepEqual(decode(schema, { p }, fieldsOf('p DECIMAL(10,1)')), [1235n]);
  assert.equal(decode(schema, { p }, fieldsOf('p DECIMAL(4,2)')), 'FIELD_OUT_OF_RANGE p');
});

test('a uuid of sixteen bytes is text', () => {
  const schema = record({ name: 'u', type: { type: 'fixed', name: 'U', size: 16, logicalType: 'uuid' } });
  const u = Buffer.from('3b241101e2bb42558caf4136c566a962', 'hex');
  assert.deepEqual(decode(schema, { u }), ['3b241101-e2bb-4255-8caf-4136c566a962']);
});

test('64-bit numbers are exact', () => {
  const schema = record({ name: 'n', type: 'long' });
  const zigzag = (value: bigint): Uint8Array => {
    const out: number[] = [];
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
    return Uint8Array.from([...out, Number(rest)]);
  };
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      assert.deepEqual(decodeBytes(schema, zigzag(value)), [value]);
    }),
  );
  assert.equal(decodeBytes(schema, Buffer.from('ffffffffffffffffff02', 'hex')), 'RECORD_MALFORMED');
});

// ---- unions and other shapes ------------------------------------------------------------------------------------

test('unions of numbers widen, other unions become members', () => {
  const schema = record({ name: 'n', type: ['int', 'long'] }, { name: 'x', type: ['null', 'int', 'string'] });
  const fields = own(schema);
  assert.deepEqual(
    fields.map(({ type }) => type.kind),
    ['bigint', 'struct'],
  );
  const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values);
  assert.deepEqual(decodeBytes(schema, bytesOf(0, 6, 2, 8)), [3n, [4, null]]);
  assert.deepEqual(decodeBytes(schema, bytesOf(2, 5, 4, 2, 0x61)), [-3n, [null, 'a']]);
  assert.deepEqual(decodeBytes(schema, bytesOf(2, 5, 0)), [-3n, null]);
  assert.equal(decodeBytes(schema, bytesOf(4, 5, 0)), 'RECORD_MALFORMED');
  // A branch that the column cannot hold is its record's fault alone.
  assert.deepEqual(decodeBytes(schema, bytesOf(0, 6, 2, 8), fieldsOf('n BIGINT, x INT')), [3n, 4]);
  assert.equal(decodeBytes(schema, bytesOf(0, 6, 4, 2, 0x61), fieldsOf('n BIGINT, x INT')), 'FIELD_WRONG_TYPE x');
});

test('a value that is no record is the column value', () => {
  assert.deepEqual(decode('string', 'hello'), ['hello']);
  assert.deepEqual(decode(['null', 'long'], null), [null]);
});

test('a type that contains itself can be stepped over, but not be a column', () => {
  const list = {
    type: 'record',
    name: 'L',
    fields: [
      { name: 'v', type: 'int' },
      { name: 'next', type: ['null', 'L'] },
    ],
  };
  assert.throws(() => own(list), /contains itself/);
  const nested = (levels: number): unknown => (levels === 0 ? null : { v: levels, next: nested(levels - 1) });
  assert.deepEqual(decode(list, nested(5), fieldsOf('v INT')), [5]);
  assert.equal(decode(list, nested(200), fieldsOf('v INT')), 'RECORD_TOO_DEEP');
});

test('blocks of a list may say their size, and counts that cannot be are malformed', () => {
  const schema = record({ name: 'a', type: { type: 'array', items: 'int' } }, { name: 'n', type: 'int' });
  assert.deepEqual(decodeBytes(schema, Uint8Array.of(3, 4, 2, 4, 2, 6, 0, 10)), [[1, 2, 3], 5]);
  assert.deepEqual(decodeBytes(schema, Uint8Array.of(3, 4, 2, 4, 2, 6, 0, 10), fieldsOf('n INT')), [5]);
  assert.equal(decodeBytes(schema, Uint8Array.of(0x80, 0x80, 0x80, 0x08, 2)), 'RECORD_MALFORMED');
  const empty = record({ name: 'a', type: { type: 'array', items: 'null' } });
  const hostile = Buffer.from('80808080f0ffffff0f', 'hex');
  assert.equal(decodeBytes(empty, hostile, fieldsOf('a ARRAY<INT>')), 'RECORD_MALFORMED');
  assert.equal(decodeBytes(empty, hostile, []), 'RECORD_MALFORMED');
});

test('of a key that comes twice the last value counts', () => {
  const schema = record({ name: 'm', type: { type: 'map', values: 'int' } });
  const entries = [6, 2, 0x61, 2, 2, 0x62, 4, 2, 0x61, 6, 0];
  assert.deepEqual(decodeBytes(schema, Uint8Array.from(entries)), [new Map([['b', 2], ['a', 3]])]); // prettier-ignore
});

test('text that is not UTF-8 and required fields that are null', () => {
  const schema = record({ name: 's', type: ['null', 'string'] });
  assert.equal(decodeBytes(schema, Uint8Array.of(2, 2, 0xff)), 'RECORD_INVALID_UTF8 s');
  assert.equal(decodeBytes(schema, Uint8Array.of(0), fieldsOf('s STRING NOT NULL')), 'FIELD_MISSING s');
  assert.equal(decodeBytes(schema, Uint8Array.of(0), fieldsOf('s STRING, other INT NOT NULL')), 'FIELD_MISSING other');
});

// ---- writer and reader ------------------------------------------------------------------------------------------

test('a reader takes fields by name and alias, in any order, with defaults for those that are missing', () => {
  const first = record({ name: 'gone', type: { type: 'array', items: 'string' } }, { name: 'years', type: 'int' });
  const second = record({ name: 'age', type: 'long' }, { name: 'name', type: 'string' });
  const reader = record(
    { name: 'name', type: 'string', default: 'nobody' },
    { name: 'age', type: 'long', aliases: ['years'] },
    { name: 'tags', type: { type: 'map', values: 'string' }, default: { a: 'ü' } },
    { name: 'note', type: ['null', 'string'], default: null },
  );
  const tags = new Map([['a', 'ü']]);
  assert.deepEqual(
    resolve([first, second], reader, [
      { id: 0, value: { gone: ['x', 'y'], years: 7 } },
      { id: 1, value: { age: 8, name: 'Ada' } },
      { id: 0, value: { gone: [], years: -1 } },
    ]),
    [
      ['nobody', 7n, tags, null],
      ['Ada', 8n, tags, null],
      ['nobody', -1n, tags, null],
    ],
  );
});

test('numbers, text and bytes are promoted as the specification has it, and nothing else', () => {
  const kinds = ['int', 'long', 'float', 'double', 'string', 'bytes'] as const;
  const values = { int: 5, long: 5, float: 5, double: 5, string: '5', bytes: Buffer.from('5') };
  for (const writer of kinds) {
    for (const reader of kinds) {
      const [decoded] = resolve([record({ name: 'x', type: writer })], record({ name: 'x', type: reader }), [
        { id: 0, value: { x: values[writer] } },
      ]);
      const allowed = (() => {
        try {
          const to = avsc.Type.forSchema(record({ name: 'x', type: reader }) as unknown as AvscSchema);
          to.createResolver(avsc.Type.forSchema(record({ name: 'x', type: writer }) as unknown as AvscSchema));
          return true;
        } catch {
          return false;
        }
      })();
      assert.equal(typeof decoded !== 'string', allowed, `${writer} as ${reader}: ${JSON.stringify(decoded, String)}`);
    }
  }
});

test('a symbol that the reader does not know is its default, or wrong', () => {
  const colour = (symbols: readonly string[], extra = {}): unknown =>
    record({ name: 'c', type: { type: 'enum', name: 'C', symbols, ...extra } });
  const writer = colour(['RED', 'TEAL']);
  const values = [
    { id: 0, value: { c: 'TEAL' } },
    { id: 0, value: { c: 'RED' } },
  ];
  assert.deepEqual(resolve([writer], colour(['OTHER', 'RED'], { default: 'OTHER' }), values), [['OTHER'], ['RED']]);
  assert.deepEqual(resolve([writer], colour(['RED']), values), ['FIELD_WRONG_TYPE c', ['RED']]);
});

test('ids that are unknown, missing or of another kind of schema kill their record alone', () => {
  const fields = fieldsOf('x INT');
  const decoded = decodeAll(
    (arena) => {
      const format: AvroFormat = { kind: 'avro', framing: 'confluent', registry: '', schema: null };
      const decoder = new AvroDecoder(format, fields, DEPTH_MAX, arena);
      decoder.learn([
        { id: 1, type: 'AVRO', ...textOf(record({ name: 'x', type: 'int' })) },
        { id: 2, type: 'UNKNOWN' },
        { id: 3, type: 'JSON', schema: '{}', references: [] },
        { id: 4, type: 'AVRO', schema: '{"type": "nonsense"}', references: [] },
      ]);
      return decoder;
    },
    fields,
    [
      [0, 0, 0, 0, 1, 8],
      [0, 0, 0, 0, 2, 8],
      [0, 0, 0, 0, 3, 8],
      [0, 0, 0, 0, 4, 8],
      [1, 0, 0, 0, 1, 8],
      [0, 0],
      [],
    ].map((value) => Uint8Array.from(value)),
  );
  const unknown = 'RECORD_SCHEMA_UNKNOWN';
  assert.deepEqual(decoded, [
    [4],
    unknown,
    unknown,
    unknown,
    'RECORD_MALFORMED',
    'RECORD_MALFORMED',
    'RECORD_MALFORMED',
  ]);
});

test('types of references are known', () => {
  const references = [{ name: 'a', schema: JSON.stringify({ type: 'enum', name: 'shop.Size', symbols: ['S', 'M'] }) }];
  const schema = JSON.stringify(record({ name: 'size', type: 'shop.Size' }));
  const fields = fieldsOf(avroColumns(parseAvro({ schema, references })));
  const format: AvroFormat = { kind: 'avro', framing: 'none', registry: null, schema: { schema, references } };
  const decoded = decodeOne((arena) => new AvroDecoder(format, fields, DEPTH_MAX, arena), fields, Uint8Array.of(2));
  assert.deepEqual(decoded, ['M']);
  assert.throws(() => parseAvro({ schema, references: [] }), /there is no type shop\.Size/);
});
