/** Messages that the sink writes, read by protobufjs and by the decoder of sources. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { protoOfColumns } from '../formats/proto-of-columns.ts';
import { messageNamed, parseProto, protoColumns } from '../formats/proto-schema.ts';
import { ProtobufDecoder } from '../formats/protobuf-decoder.ts';
import { decodeOne, fieldsOf } from '../formats/test-values.ts';
import { batchOf } from '../operators/test-batch.ts';
import { parseColumns } from '../sql/parser.ts';
import { utc } from '../sql/runtime/time.ts';
import { LogEncoder } from './log-batches.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

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
  new ProtobufWriter().write(out, of, decoder.columns(arena.bytes.subarray(0, arena.length)), 0);
  return out.copy();
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
      new ProtobufWriter().write(out, some, batchOf(some, [values]).columns, 0);
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
