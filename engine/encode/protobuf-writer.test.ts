/** Messages that the sink writes, read by protobufjs and by the decoder of sources. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import Long from 'long';
import protobuf from 'protobufjs';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { protoOfColumns } from '../formats/proto-of-columns.ts';
import { messageNamed, parseProto, pathOfMessage, protoColumns } from '../formats/proto-schema.ts';
import type { ProtoTarget } from '../formats/proto-target.ts';
import { protoTarget } from '../formats/proto-target.ts';
import { ProtobufDecoder } from '../formats/protobuf-decoder.ts';
import { decodeOne, fieldsOf } from '../formats/test-values.ts';
import { batchOf } from '../operators/test-batch.ts';
import { parseColumns } from '../sql/parser.ts';
import { utc } from '../sql/runtime/time.ts';
import { LogEncoder } from './log-batches.ts';
import { ProtobufWriter, writeMessagePath } from './protobuf-writer.ts';

const columns = parseColumns(
  `b BOOLEAN NOT NULL, t TINYINT, i INT NOT NULL, l BIGINT, f FLOAT, d DOUBLE NOT NULL, s STRING, x BINARY,
   at TIMESTAMP, list ARRAY<STRING>, nums ARRAY<INT>, bag MAP<STRING, BIGINT>, byId MAP<INT, STRUCT<n: INT>>,
   who STRUCT<name: STRING, born: STRUCT<at: TIMESTAMP, town: STRING>>, inners ARRAY<STRUCT<n: INT, tags: ARRAY<STRING>>>`,
);

function protoOf(of: Schema, name = 'shop.Row'): string {
  const { schema, problems } = protoOfColumns(of, name);
  assert(schema !== null, JSON.stringify(problems));
  return schema;
}

function typeOf(of: Schema): protobuf.Type {
  const { root } = protobuf.parse(protoOf(of), { keepCase: true });
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')?.nested ?? {});
  return root.lookupType('shop.Row');
}

const formatOf = (of: Schema): ConstructorParameters<typeof ProtobufDecoder>[0] => ({
  kind: 'protobuf',
  framing: 'none',
  registry: null,
  schema: { schema: protoOf(of), references: [] },
  message: null,
});

/** What the sink writes of the message, after a source has read it. */
function again(of: Schema, bytes: Uint8Array): Uint8Array {
  const arena = new ByteBuffer(1);
  const start = arena.append(bytes);
  const decoder = new ProtobufDecoder(formatOf(of), fieldsOf(of), 64, arena);
  decoder.begin(1);
  assert.equal(decoder.scan(start, arena.length, 0), -1, decoder.place);
  const out = new ByteBuffer(1);
  writerFor(of).write(out, decoder.columns(arena.bytes.subarray(0, arena.length)), 0);
  return out.copy();
}

function targetOf(of: Schema, text: string, message: string | null = null): ProtoTarget {
  return protoTarget(of, messageNamed(parseProto({ schema: text, references: [] }), message), text);
}

function writerFor(of: Schema, text = protoOf(of), name: string | null = null): ProtobufWriter {
  const { message, problems } = targetOf(of, text, name);
  assert.deepEqual(problems, []);
  return new ProtobufWriter(message);
}

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const time = fc
  .integer({ min: -8_000_000_000, max: 8_000_000_000 })
  .chain((seconds) =>
    fc.record({ seconds: fc.constant(seconds), nanos: fc.integer({ min: 0, max: 999_999 }).map((us) => us * 1000) }),
  );
const row = fc.record({
  b: fc.boolean(),
  t: optional(fc.integer({ min: -128, max: 127 })),
  i: fc.integer(),
  l: optional(fc.maxSafeInteger()),
  f: optional(fc.float()),
  d: fc.double(),
  s: optional(fc.string({ unit: 'grapheme' })),
  x: optional(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
  at: optional(time),
  list: fc.array(fc.string()),
  nums: fc.array(fc.integer()),
  bag: fc.dictionary(fc.string(), fc.maxSafeInteger(), { noNullPrototype: true }),
  who: optional(
    fc.record({
      name: optional(fc.string()),
      born: optional(fc.record({ at: optional(time), town: optional(fc.string()) })),
    }),
  ),
  inners: fc.array(fc.record({ n: optional(fc.integer()), tags: fc.array(fc.string()) })),
});

suite('rows as Protobuf', () => {
  test('what is written is the message that was read, for a decoder of others', () => {
    const type = typeOf(columns);
    fc.assert(
      fc.property(row, (value) => {
        const bytes = type.encode(type.fromObject(value)).finish();
        const plain = { longs: Number, bytes: String, defaults: true, arrays: true, objects: true } as const;
        assert.deepEqual(
          type.toObject(type.decode(again(columns, bytes)), plain),
          type.toObject(type.decode(bytes), plain),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('the columns of the message are those of the result, for a source that reads it', () => {
    const read = protoColumns(messageNamed(parseProto({ schema: protoOf(columns), references: [] }), null));
    assert.deepEqual(
      read.map(({ name }) => name),
      columns.map(({ name }) => name),
    );
    assert.deepEqual(
      read.filter(({ type }) => type.kind === 'timestamp').map(({ name }) => name),
      ['at'],
    );
  });

  test('numbers of 64 bits keep every bit; NULL is left out, and so is NULL within lists and maps', () => {
    const some = parseColumns('l BIGINT, list ARRAY<STRING>, nums ARRAY<INT>, bag MAP<STRING, INT>');
    const fields = fieldsOf(some);
    const write = (values: readonly unknown[]): unknown => {
      const out = new ByteBuffer(1);
      writerFor(some).write(out, batchOf(some, [values]).columns, 0);
      return decodeOne((arena) => new ProtobufDecoder(formatOf(some), fields, 8, arena), fields, out.copy());
    };
    for (const value of [0n, -1n, 127n, 128n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)])
      assert.deepEqual(write([value, [], [], { keys: [], values: [] }]), [value, [], [], new Map()]);
    const gaps = [null, ['a', null, 'b'], [1, null, -1], { keys: ['x', 'y'], values: [null, 2] }];
    assert.deepEqual(write(gaps), [null, ['a', 'b'], [1, -1], new Map([['y', 2]])]);
  });

  test('records of a topic begin with the id of their schema and the first message of it', () => {
    const words = parseColumns('w STRING, n BIGINT NOT NULL');
    const value = {
      kind: 'protobuf',
      schema: protoOf(words),
      registration: { registry: '', subject: 's', id: 77 },
    } as const;
    const plan = { kind: 'log', name: 'l', topic: 't', compression: 'none', key: -1, headers: false } as const;
    const encoder = new LogEncoder({ ...plan, value }, words, 0, utc);
    encoder.begin({ idPrefix: 'j/1/', partition: 0, logPartitions: [1] });
    const context = { writeTimeUs: new Float64Array(1), deletes: null, isDead: () => false, fail: () => undefined };
    encoder.encode(batchOf(words, [['é', 300n]]), context);
    const output = encoder.finish();
    assert.ok(output.kind === 'log');
    const bytes = Buffer.concat(output.appends.map(({ batch }) => batch));
    assert.ok(bytes.includes(Buffer.of(0, 0, 0, 0, 77, 0, 0x0a, 2, 0xc3, 0xa9, 0x10, 0xac, 2)));
  });

  test('columns are numbered by their places, and what has no type is refused with what to write', () => {
    assert.equal(
      protoOf(parseColumns('id BIGINT NOT NULL, at TIMESTAMP, who STRUCT<name: STRING>'), 'a.b.Person'),
      `syntax = "proto3";
package a.b;
import "google/protobuf/timestamp.proto";
message Person {
  int64 id = 1;
  optional google.protobuf.Timestamp at = 2;
  message Field3 {
    optional string name = 1;
  }
  optional Field3 who = 3;
}
`,
    );
    const { problems } = protoOfColumns(
      parseColumns('p DECIMAL(9,2), day DATE, deep ARRAY<ARRAY<INT>>, m MAP<DOUBLE, INT>, `a b` INT'),
      'Row',
    );
    assert.deepEqual(
      problems.map(({ column }) => column),
      ['p', 'day', 'deep', 'm', 'a b'],
    );
    assert.match(problems[0]?.hint ?? '', /CAST\(… AS STRING\)/);
  });
});

/** Every type that a .proto can have, with numbers in another order than the names. */
const own = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Size { option allow_alias = true; SIZE_UNKNOWN = 0; SMALL = 1; TINY = 1; LARGE = -7; }
message Other { string nothing = 1; }
message Row {
  int32 i32 = 30; sint32 s32 = 2; sfixed32 sf32 = 3; uint32 u32 = 4; fixed32 f32 = 5;
  int64 i64 = 6; sint64 s64 = 7; sfixed64 sf64 = 8; uint64 u64 = 9; fixed64 f64 = 10;
  optional float fl = 11; double db = 12; bool bo = 13; string st = 14; bytes by = 15;
  Size size = 16; google.protobuf.Timestamp at = 17;
  google.protobuf.Int64Value wl = 18; google.protobuf.StringValue ws = 19;
  Inner inner = 20; repeated Inner inners = 21;
  repeated sint64 packed = 22; repeated uint32 loose = 23 [packed = false]; repeated string texts = 24; repeated Size sizes = 25;
  map<string, Inner> by_name = 26; map<uint32, sint32> by_number = 27;
  oneof choice { string left = 28; int32 right = 29; }
  message Inner { sint32 n = 2; repeated string tags = 1; }
  string never_given = 100;
}`;
const ownColumns = parseColumns(
  `i32 INT NOT NULL, s32 SMALLINT NOT NULL, sf32 INT NOT NULL, u32 BIGINT NOT NULL, f32 BIGINT NOT NULL, i64 BIGINT NOT NULL,
   s64 BIGINT NOT NULL, sf64 BIGINT NOT NULL, u64 DECIMAL(20, 0) NOT NULL, f64 DECIMAL(20, 0) NOT NULL, fl FLOAT,
   db DOUBLE NOT NULL, bo BOOLEAN NOT NULL, ST STRING NOT NULL, \`by\` BINARY NOT NULL, size STRING NOT NULL, \`at\` TIMESTAMP,
   wl BIGINT, ws STRING, \`inner\` STRUCT<tags: ARRAY<STRING>, n: INT>, inners ARRAY<STRUCT<tags: ARRAY<STRING>, n: INT>>,
   packed ARRAY<BIGINT>, loose ARRAY<BIGINT>, texts ARRAY<STRING>, sizes ARRAY<STRING>,
   by_name MAP<STRING, STRUCT<tags: ARRAY<STRING>, n: INT>>, by_number MAP<BIGINT, INT>, \`left\` STRING, \`right\` INT`,
);
const { root: ownRoot } = protobuf.parse(own, { keepCase: true });
for (const name of ['timestamp', 'wrappers'])
  ownRoot.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {});
ownRoot.resolveAll();
const ownType = ownRoot.lookupType('shop.Row');

const int32 = fc.integer();
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const size = fc.constantFrom('SIZE_UNKNOWN', 'SMALL', 'TINY', 'LARGE');
const inner = fc.tuple(fc.array(fc.string()), int32);
const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary);
const keyed = <K, V>(key: fc.Arbitrary<K>, value: fc.Arbitrary<V>): fc.Arbitrary<{ keys: K[]; values: V[] }> =>
  fc.uniqueArray(fc.tuple(key, value), { selector: ([each]) => each }).map((entries) => {
    // In the order of an object's properties, which is how protobufjs takes maps.
    const byText = new Map(entries.map((entry) => [String(entry[0]), entry]));
    const names = Object.keys(Object.fromEntries(byText)).filter((name) => name !== '__proto__');
    const sorted = names.flatMap((name) => [byText.get(name)].filter((entry) => entry !== undefined));
    return { keys: sorted.map(([each]) => each), values: sorted.map(([, each]) => each) };
  });
const ownRow = fc
  .tuple(
    fc.tuple(
      int32,
      fc.integer({ min: -32768, max: 32767 }),
      int32,
      u32.map(BigInt),
      u32.map(BigInt),
      int64,
      int64,
      int64,
      u64,
      u64,
    ),
    fc.tuple(
      nullable(fc.float()),
      fc.double(),
      fc.boolean(),
      fc.string(),
      fc.uint8Array(),
      size,
      nullable(fc.integer()),
    ),
    fc.tuple(nullable(int64), nullable(fc.string()), nullable(inner), fc.array(inner)),
    fc.tuple(fc.array(int64), fc.array(u32.map(BigInt)), fc.array(fc.string()), fc.array(size)),
    fc.tuple(keyed(fc.string(), inner), keyed(u32.map(BigInt), int32)),
    fc.oneof(fc.tuple(fc.string(), fc.constant(null)), fc.tuple(fc.constant(null), int32), fc.constant([null, null])),
  )
  .map((parts) => parts.flat() as unknown[]);

suite('rows as a message of the job', () => {
  const writer = writerFor(ownColumns, own, 'shop.Row');
  const bytesOf = (values: readonly unknown[]): Uint8Array => {
    const out = new ByteBuffer(1);
    const { columns: given } = batchOf(ownColumns, [values]);
    assert.equal(writer.check(given, 0), -1, writer.failedAt);
    writer.write(out, given, 0);
    return out.copy();
  };
  /** The row as protobufjs takes it. */
  const plainOf = (values: readonly unknown[]): Record<string, unknown> => {
    const plain: Record<string, unknown> = {};
    for (const [index, { name, type }] of ownColumns.entries()) {
      const value = asPlain(values[index], type);
      const field = name === 'ST' ? 'st' : name;
      if (value !== undefined) plain[field] = field.startsWith('w') ? { value } : value;
    }
    return plain;
  };

  test('are what protobufjs writes of all but defaults, byte for byte', () => {
    fc.assert(
      fc.property(ownRow, (values) => {
        const expected = ownType.encode(ownType.fromObject(withoutDefaults(ownType, plainOf(values)))).finish();
        assert.equal(Buffer.from(bytesOf(values)).toString('hex'), Buffer.from(expected).toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  test('texts that are no UTF-8 have U+FFFD where it breaks, as readers refuse the record otherwise', () => {
    const texts = parseColumns('s STRING, list ARRAY<STRING>, m MAP<STRING, STRING>');
    const out = new ByteBuffer(1);
    const broken = Buffer.of(0xff, 0x61);
    const { columns: given } = batchOf(texts, [[broken, [broken, 'é'], { keys: [broken], values: [broken] }]]);
    const text = 'string s = 1; repeated string list = 2; map<string, string> m = 3;';
    writerFor(texts, `syntax = "proto3"; message M { ${text} }`).write(out, given, 0);
    const mended = '04efbfbd61';
    assert.equal(Buffer.from(out.copy()).toString('hex'), `0a${mended}12${mended}1202c3a91a0c0a${mended}12${mended}`);
  });

  const textOf = (fields: string, syntax = 'proto3'): string => `syntax = "${syntax}";\nmessage M {\n  ${fields}\n}`;
  const checked = (columnText: string, fields: string, values: readonly unknown[], syntax?: string): string => {
    const of = parseColumns(columnText);
    const made = writerFor(of, textOf(fields, syntax));
    const failure = made.check(batchOf(of, [values]).columns, 0);
    return failure < 0 ? 'fits' : `${deadLetterReasons[failure]} ${made.failedAt}`;
  };

  test('a row that the message cannot hold says where', () => {
    assert.equal(checked('n BIGINT', 'uint32 n = 1;', [2n ** 32n - 1n]), 'fits');
    assert.equal(checked('n BIGINT', 'uint32 n = 1;', [2n ** 32n]), 'FIELD_OUT_OF_RANGE n');
    assert.equal(checked('n INT', 'uint64 n = 1;', [-1]), 'FIELD_OUT_OF_RANGE n');
    assert.equal(checked('n DECIMAL(20,0)', 'fixed64 n = 1;', [2n ** 64n]), 'FIELD_OUT_OF_RANGE n');
    assert.equal(checked('e STRING', 'enum E { A = 0; } E e = 1;', ['A']), 'fits');
    assert.equal(checked('e STRING', 'enum E { A = 0; } E e = 1;', ['7']), 'fits');
    assert.equal(checked('e STRING', 'enum E { A = 0; } E e = 1;', ['b']), 'FIELD_OUT_OF_RANGE e');
    assert.equal(checked('n INT', 'required int32 n = 1;', [null], 'proto2'), 'FIELD_MISSING n');
    assert.equal(checked('n INT', 'required int32 n = 1;', [0], 'proto2'), 'fits');
    const either = 'oneof o { int32 a = 1; int32 b = 2; }';
    assert.equal(checked('a INT, b INT', either, [1, null]), 'fits');
    assert.equal(checked('a INT, b INT', either, [1, 2]), 'FIELD_WRONG_TYPE b');
    const within = 'message I { uint32 n = 1; } repeated I list = 1; map<string, uint32> m = 2;';
    const columnsWithin = 'list ARRAY<STRUCT<n: INT>>, m MAP<STRING, INT>';
    assert.equal(checked(columnsWithin, within, [[[1], [-1]], null]), 'FIELD_OUT_OF_RANGE list.n');
    assert.equal(checked(columnsWithin, within, [[null, [1]], { keys: ['a'], values: [-1] }]), 'FIELD_OUT_OF_RANGE m');
  });

  const problems = (columnText: string, fields: string, syntax?: string): readonly string[] =>
    targetOf(parseColumns(columnText), textOf(fields, syntax)).problems.map(
      ({ message, hint }) => `${message}: ${hint}`,
    );

  test('columns that do not go with the message are named, with the place of the field', () => {
    assert.deepEqual(problems('price DECIMAL(10, 2), ID INT', 'int32 id = 1;\n  int64 price = 2;'), [
      'the column price is DECIMAL(10,2), and the field price of M (line 4, column 9) is int64: write CAST(price AS BIGINT) in the query, or change the field',
    ]);
    assert.deepEqual(problems('id INT, colour STRING', 'int32 id = 1; string color = 2;'), [
      'the column colour has no field in the message M: its fields are: id, color; name one of them with AS, or take the column away',
    ]);
    assert.deepEqual(problems('id INT', 'optional int32 id = 1;\n  required bool ok = 2;', 'proto2'), [
      'the message M requires the field ok (line 4, column 17), and the result has no such column: add it to the select list: … AS ok',
    ]);
    assert.deepEqual(problems('g STRUCT<a: INT>', 'optional group G = 1 { optional int32 a = 2; }', 'proto2'), [
      'the column g is STRUCT<a: INT>, and the field g of M is a group, which is read and not written: write struct(… AS name, …) in the query, or change the field',
    ]);
    assert.equal(problems('a BIGINT', 'int32 a = 1;').length, 1, 'a number is not cut');
    assert.equal(problems('a DOUBLE', 'float a = 1;').length, 1);
    assert.equal(problems('a STRING', 'bytes a = 1;').length, 1);
    assert.equal(problems('a INT', 'repeated int32 a = 1;').length, 1);
    assert.equal(problems('a ARRAY<INT>', 'int32 a = 1;').length, 1);
    assert.equal(problems('a MAP<INT, INT>', 'map<string, int32> a = 1;').length, 1);
    assert.deepEqual(
      problems('s STRUCT<n: BIGINT>', 'message I { int32 n = 1; } I s = 1;').map((text) => text.slice(0, 28)),
      ['the column s.n is BIGINT, an'],
    );
  });

  test('columns that may be NULL and become a default are told', () => {
    const text = textOf('int32 a = 1; optional int32 b = 2; string c = 3; repeated int32 d = 4;');
    const { defaulted } = targetOf(parseColumns('a INT, b INT, c STRING NOT NULL, d ARRAY<INT>'), text);
    assert.deepEqual(defaulted, ['a']);
  });

  test('behind the id of the schema stands the way to the message in its text', () => {
    const path = (...indexes: number[]): string => {
      const out = new ByteBuffer(1);
      writeMessagePath(out, indexes);
      return Buffer.from(out.copy()).toString('hex');
    };
    assert.equal(path(0), '00');
    assert.equal(path(1), '0202');
    assert.equal(path(2, 0), '040400');
    const file = parseProto({ schema: own, references: [] });
    assert.deepEqual(pathOfMessage(file, messageNamed(file, 'shop.Row.Inner')), [1, 0]);
    assert.equal(pathOfMessage(file, messageNamed(file, 'google.protobuf.Timestamp')), undefined);
  });
});

/** What is left of a message when defaults of fields without presence are left out; protobufjs would write those. */
function withoutDefaults(type: protobuf.Type, message: object): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message) as [string, unknown][]) {
    const field = type.fields[name];
    assert.ok(field, name);
    const inner = field.resolvedType;
    const within = (each: unknown): unknown =>
      inner instanceof protobuf.Type ? withoutDefaults(inner, each as object) : each;
    if (field instanceof protobuf.MapField)
      plain[name] = Object.fromEntries(Object.entries(value as object).map(([key, each]) => [key, within(each)]));
    else if (Array.isArray(value)) plain[name] = value.map(within);
    else if (field.hasPresence || !isDefault(value)) plain[name] = within(value);
  }
  return plain;
}

function isDefault(value: unknown): boolean {
  if (Long.isLong(value)) return value.isZero();
  if (value instanceof Uint8Array) return value.length === 0;
  return ['', false, 'SIZE_UNKNOWN'].includes(value as string) || Object.is(value, 0);
}

/** undefined = left out. */
function asPlain(value: unknown, type: DataType): unknown {
  if (value === null || value === undefined) return undefined;
  switch (type.kind) {
    case 'bigint':
    case 'decimal':
      return Long.fromString(String(value), type.kind === 'decimal');
    case 'timestamp': {
      const us = value as number;
      const seconds = Math.floor(us / 1e6);
      const nanos = (us - seconds * 1e6) * 1000;
      return nanos === 0 ? { seconds } : { seconds, nanos };
    }
    case 'array':
      return (value as unknown[]).map((each) => asPlain(each, type.element));
    case 'struct':
      return Object.fromEntries(
        type.fields.map(({ name, type: of }, index) => [name, asPlain((value as unknown[])[index], of)]),
      );
    case 'map': {
      const { keys, values } = value as { keys: unknown[]; values: unknown[] };
      return Object.fromEntries(keys.map((key, index) => [String(key), asPlain(values[index], type.value)]));
    }
    default:
      return value;
  }
}
