import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import type { ByteBuffer } from '../byte-buffer.ts';
import { messageNamed, parseProto, protoColumns } from './proto-schema.ts';
import { ProtobufDecoder } from './protobuf-decoder.ts';
import { decodeAll, decodeOne, fieldsOf } from './test-values.ts';
import type { Decoded } from './test-values.ts';
import type { ValueField } from './value-decoder.ts';
import type { ProtobufFormat } from './value-format.ts';

const DEPTH_MAX = 64;

const fixed = (schema: string, message: string | null = null): ProtobufFormat => ({
  kind: 'protobuf',
  framing: 'none',
  registry: null,
  schema: { schema, references: [] },
  message,
});

const own = (schema: string, message: string | null = null): ValueField[] =>
  fieldsOf(protoColumns(messageNamed(parseProto({ schema, references: [] }), message)));

function decode(schema: string, bytes: Uint8Array, fields: readonly ValueField[] = own(schema)): Decoded {
  return decodeOne((arena) => new ProtobufDecoder(fixed(schema), fields, DEPTH_MAX, arena), fields, bytes);
}

const everything = `
  syntax = "proto3";
  package shop;
  import "google/protobuf/timestamp.proto";
  import "google/protobuf/wrappers.proto";
  message Everything {
    double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; sint32 s32 = 7;
    sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10; sfixed32 sf32 = 11; sfixed64 sf64 = 12; bool b = 13;
    string s = 14; bytes y = 15; Colour c = 16;
    optional int32 maybe = 17;
    Inner inner = 18;
    repeated sint32 packed = 19;
    repeated int32 loose = 20 [packed = false];
    repeated string texts = 21;
    repeated Inner inners = 22;
    map<string, int32> counts = 23;
    map<int32, Inner> byNumber = 2024;
    google.protobuf.Timestamp at = 25;
    google.protobuf.StringValue note = 26;
    oneof choice { string left = 27; int32 right = 28; }
  }
  message Inner { int32 n = 1; repeated string tags = 2; }
  enum Colour { NONE = 0; RED = 1; BLUE = 5; }
`;

const Everything = protobuf
  .parse(everything, { keepCase: true })
  .root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')!.nested!);
Everything.addJSON(protobuf.common.get('google/protobuf/wrappers.proto')!.nested!);
const Message = Everything.lookupType('shop.Everything');

const u32 = fc.nat({ max: 2 ** 32 - 1 });
const bits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const text = fc.string({ unit: 'binary', maxLength: 8 }).map((value) => Buffer.from(value).toString());
const int = fc.integer();
const inner = fc.record({ n: int, tags: fc.array(text, { maxLength: 3 }) });
const key = fc.string({ maxLength: 3 }).filter((name) => name !== '__proto__');

const values = fc.record({
  d: fc.double({ noNaN: true }),
  f: fc.float({ noNaN: true }),
  i32: int,
  i64: bits,
  u32,
  u64: bits,
  s32: int,
  s64: bits,
  f32: u32,
  f64: bits,
  sf32: int,
  sf64: bits,
  b: fc.boolean(),
  s: text,
  y: fc.uint8Array({ maxLength: 8 }),
  c: fc.constantFrom(0, 1, 5, 9),
  maybe: fc.option(int),
  inner: fc.option(inner),
  packed: fc.array(int, { maxLength: 4 }),
  loose: fc.array(int, { maxLength: 4 }),
  texts: fc.array(text, { maxLength: 3 }),
  inners: fc.array(inner, { maxLength: 3 }),
  counts: fc.dictionary(key, int, { maxKeys: 3 }),
  byNumber: fc.array(fc.tuple(int, inner), { maxLength: 3 }).map((entries) => new Map(entries)),
  at: fc.option(fc.record({ seconds: fc.integer({ min: -1e9, max: 1e9 }), nanos: fc.nat({ max: 999_999_999 }) })),
  note: fc.option(text),
  left: fc.option(text),
  right: fc.option(int),
});
type Value = typeof values extends fc.Arbitrary<infer T> ? T : never;

const long = (value: bigint): { readonly low: number; readonly high: number; readonly unsigned: boolean } => ({
  low: Number(value & 0xffffffffn) | 0,
  high: Number(value >> 32n) | 0,
  unsigned: false,
});

/** Through another library's encoder, which writes defaults as well when they are given. */
function encode(value: Value, withDefaults: boolean): Uint8Array {
  const given = {
    ...value,
    i64: long(value.i64),
    u64: long(value.u64),
    s64: long(value.s64),
    f64: long(value.f64),
    sf64: long(value.sf64),
    byNumber: Object.fromEntries([...value.byNumber].map(([number, each]) => [String(number), each])),
    note: value.note === null ? null : { value: value.note },
    right: value.left === null ? value.right : null,
  };
  const isDefault = (each: unknown): boolean => each === 0 || each === '' || each === false;
  const present = new Set(['maybe', 'left', 'right']);
  const entries = Object.entries(given).filter(
    ([name, each]) => each !== null && (withDefaults || present.has(name) || !isDefault(each)),
  );
  return Message.encode(Message.create(Object.fromEntries(entries))).finish();
}

function expected(value: Value): unknown[] {
  const signed = (number: bigint): bigint => BigInt.asIntN(64, number);
  const names = new Map([
    [0, 'NONE'],
    [1, 'RED'],
    [5, 'BLUE'],
    [9, '9'],
  ]);
  const innerOf = ({ n, tags }: { n: number; tags: readonly string[] }): unknown[] => [n, tags];
  return [
    value.d,
    value.f,
    value.i32,
    signed(value.i64),
    BigInt(value.u32),
    value.u64,
    value.s32,
    signed(value.s64),
    BigInt(value.f32),
    value.f64,
    value.sf32,
    signed(value.sf64),
    value.b,
    value.s,
    Uint8Array.from(value.y),
    names.get(value.c),
    value.maybe,
    value.inner === null ? null : innerOf(value.inner),
    value.packed,
    value.loose,
    value.texts,
    value.inners.map(innerOf),
    new Map(Object.entries(value.counts).map(([name, each]) => [Buffer.from(name).toString(), each])),
    new Map([...value.byNumber].map(([number, each]) => [number, innerOf(each)])),
    value.at === null ? null : value.at.seconds * 1_000_000 + Math.floor(value.at.nanos / 1000),
    value.note,
    value.left,
    value.left === null ? value.right : null,
  ];
}

/** -0 is written as 0 where defaults are left out. */
const plusZero = (value: unknown): unknown => (value === 0 ? 0 : value);

test('messages with fields of all types become the values that another encoder wrote', () => {
  const fields = own(everything);
  const make = (arena: ByteBuffer): ProtobufDecoder => new ProtobufDecoder(fixed(everything), fields, DEPTH_MAX, arena);
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 4 }), fc.boolean(), (all, withDefaults) => {
      const decoded = decodeAll(
        make,
        fields,
        all.map((value) => encode(value, withDefaults)),
      );
      const rows = decoded.map((row) => (typeof row === 'string' ? row : row.map(plusZero)));
      assert.deepEqual(
        rows,
        all.map((value) => expected(value).map(plusZero)),
      );
    }),
    { numRuns: 200 },
  );
});

test('any columns may be left out, and bytes that were cut or changed never throw', () => {
  const every = own(everything);
  fc.assert(
    fc.property(values, fc.infiniteStream(fc.boolean()), fc.nat(), fc.nat({ max: 255 }), (value, choice, at, byte) => {
      const kept = every.filter(() => choice.next().value);
      const good = encode(value, false);
      const row = decode(everything, good, kept);
      assert(typeof row !== 'string');
      const all = expected(value);
      assert.deepEqual(
        row.map(plusZero),
        kept.map((field) => plusZero(all[every.indexOf(field)])),
      );
      decode(everything, good.subarray(0, at % (good.byteLength + 1)));
      const changed = Uint8Array.from(good);
      if (changed.byteLength > 0) changed[at % changed.byteLength] = byte;
      decode(everything, changed);
    }),
    { numRuns: 150 },
  );
});

test('the last of several values counts, and messages add up', () => {
  const schema =
    'syntax = "proto3"; message A { int32 n = 1; B b = 2; } message B { int32 x = 1; repeated int32 y = 2; }';
  assert.deepEqual(decode(schema, Uint8Array.of(8, 1, 8, 2)), [2, null]);
  const twice = Uint8Array.of(0x12, 5, 8, 7, 0x12, 1, 1, 0x12, 3, 0x12, 1, 2);
  assert.deepEqual(decode(schema, twice), [0, [7, [1, 2]]]);
});

test('of a key that comes twice the last value counts', () => {
  const schema = 'syntax = "proto3"; message A { map<int32, int32> n = 1; map<string, int32> s = 2; }';
  const numbers = [10, 4, 8, 1, 16, 5, 10, 4, 8, 2, 16, 6, 10, 4, 8, 1, 16, 7];
  const texts = [18, 5, 10, 1, 97, 16, 1, 18, 3, 10, 1, 98, 18, 5, 10, 1, 97, 16, 2];
  const expected = [
    [
      [2, 6],
      [1, 7],
    ],
    [
      ['b', 0],
      ['a', 2],
    ],
  ];
  const decoded = decode(schema, Uint8Array.from([...numbers, ...texts]));
  assert(typeof decoded !== 'string');
  assert.deepEqual(
    decoded.map((map) => [...(map as Map<unknown, unknown>)]),
    expected,
  );
});

test('unknown fields of every wire type, groups included, are stepped over', () => {
  const schema = 'syntax = "proto3"; message A { int32 n = 1; }';
  const unknown = [
    0x50, 0x96, 1, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x52, 2, 1, 2, 0x55, 1, 2, 3, 4, 0x53, 0x5b, 0x5c, 8, 1, 0x54,
  ];
  assert.deepEqual(decode(schema, Uint8Array.from([...unknown, 8, 9])), [9]);
  for (const bytes of [[0x53], [0x54], [0x53, 0x5c], [0x50], [0x52, 5, 1], [0x07], [0x00, 1]])
    assert.equal(decode(schema, Uint8Array.from(bytes)), 'RECORD_MALFORMED', String(bytes));
  const deep = Uint8Array.from([
    ...Array.from({ length: 5000 }, () => 0x53),
    ...Array.from({ length: 5000 }, () => 0x54),
  ]);
  assert.equal(decode(schema, deep), 'RECORD_TOO_DEEP');
});

test('values that their columns cannot hold', () => {
  const schema = 'syntax = "proto3"; message A { int64 n = 1; string s = 2; }';
  assert.equal(decode(schema, Uint8Array.of(8, 0x80, 1), fieldsOf('n TINYINT')), 'FIELD_OUT_OF_RANGE n');
  assert.equal(decode(schema, Uint8Array.of(8, 1), fieldsOf('n STRING')), 'FIELD_WRONG_TYPE n');
  assert.equal(decode(schema, Uint8Array.of(0x12, 1, 0xff), fieldsOf('s STRING')), 'RECORD_INVALID_UTF8 s');
  assert.equal(decode(schema, new Uint8Array(0), fieldsOf('other INT NOT NULL')), 'FIELD_MISSING other');
});

test('proto2 has presence, and a message that contains itself can be stepped over', () => {
  const schema = 'syntax = "proto2"; message A { required int32 n = 1; optional int32 m = 2; optional A next = 3; }';
  assert.deepEqual(decode(schema, Uint8Array.of(8, 1), fieldsOf('n INT, m INT')), [1, null]);
  assert.deepEqual(decode(schema, Uint8Array.of(8, 1, 0x1a, 2, 8, 2), fieldsOf('n INT, next STRUCT<n: INT>')), [
    1,
    [2],
  ]);
  assert.throws(() => own(schema), /contains itself/);
});

test('the wire format names the schema and the message in it', () => {
  const schema =
    'syntax = "proto3"; package p; message A { int32 n = 1; message B { int32 n = 2; } } message C { int32 n = 3; }';
  const fields = fieldsOf('n INT');
  const read = (message: string | null, ...values: number[][]): Decoded[] =>
    decodeAll(
      (arena) => {
        const format: ProtobufFormat = { kind: 'protobuf', framing: 'confluent', registry: '', schema: null, message };
        const decoder = new ProtobufDecoder(format, fields, DEPTH_MAX, arena);
        decoder.learn([{ id: 7, type: 'PROTOBUF', schema, references: [] }]);
        return decoder;
      },
      fields,
      values.map((value) => Uint8Array.from([0, 0, 0, 0, 7, ...value])),
    );
  // Zigzag: 0 = the first message, else a count and as many indexes.
  const [a, b, c] = [[0, 8, 1], [4, 0, 0, 16, 2], [2, 2, 24, 3]] as const; // prettier-ignore
  assert.deepEqual(read(null, [...a], [...b], [...c], [2, 8, 1]), [[1], [2], [3], 'RECORD_MALFORMED']);
  assert.deepEqual(read('p.C', [...a], [...c]), ['RECORD_MALFORMED', [3]]);
});

test('a text that cannot be read says why', () => {
  assert.throws(() => parseProto({ schema: 'message {', references: [] }), /The \.proto cannot be read: .*line 1/);
  assert.throws(
    () => parseProto({ schema: 'syntax = "proto3"; import "x.proto";', references: [] }),
    /imports x\.proto/,
  );
  assert.throws(() => own('syntax = "proto3"; enum E { A = 0; }'), /declares no message/);
});
