import assert from 'node:assert/strict';
import { test } from 'node:test';
import avsc from 'avsc';
import type { Schema as AvscSchema } from 'avsc';
import fc from 'fast-check';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import { AvroDecoder } from '../formats/avro-decoder.ts';
import { avroOfColumns } from '../formats/avro-of-columns.ts';
import { decodeOne, fieldsOf } from '../formats/test-values.ts';
import type { AvroFormat } from '../formats/value-format.ts';
import { batchOf } from '../operators/test-batch.ts';
import { parseColumns } from '../sql/parser.ts';
import { utc } from '../sql/runtime/time.ts';
import { LogEncoder } from './log-batches.ts';
import { writeAvroRow, writeSchemaId } from './avro-writer.ts';

const columns = parseColumns(
  `b BOOLEAN NOT NULL, t TINYINT, i INT NOT NULL, l BIGINT, f FLOAT, d DOUBLE NOT NULL, s STRING, x BINARY, day DATE,
   at TIMESTAMP NOT NULL, p DECIMAL(9,2), huge DECIMAL(38,4), list ARRAY<STRING>, bag MAP<STRING, INT> NOT NULL,
   who STRUCT<name: STRING, born: STRUCT<at: TIMESTAMP, town: STRING>>, all ARRAY<STRUCT<n: INT>>`,
);

function schemaOf(of: Schema): string {
  const { schema, problems } = avroOfColumns(of, 'Row');
  assert(schema !== null, JSON.stringify(problems));
  return schema;
}

const formatOf = (of: Schema): AvroFormat => ({
  kind: 'avro',
  framing: 'none',
  registry: null,
  schema: { schema: schemaOf(of), references: [] },
});

function written(of: Schema, { columns: cells }: Pick<ColumnBatch, 'columns'>, row = 0): Uint8Array {
  const out = new ByteBuffer(1);
  writeAvroRow(out, of, cells, row);
  return out.copy();
}

/** The columns of one record, as the decoder of sources makes them. */
function decoded(of: Schema, bytes: Uint8Array): Pick<ColumnBatch, 'columns'> {
  const arena = new ByteBuffer(1);
  const start = arena.append(bytes);
  const decoder = new AvroDecoder(formatOf(of), fieldsOf(of), 64, arena);
  decoder.begin(1);
  assert.equal(decoder.scan(start, arena.length, 0), -1, decoder.place);
  return { columns: decoder.columns(arena.bytes.subarray(0, arena.length)) };
}

/** The other encoder refuses the outermost two. */
const long = fc.maxSafeInteger().filter((value) => Math.abs(value) < Number.MAX_SAFE_INTEGER);
const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary);
const unscaled = (bytesMax: number): fc.Arbitrary<Buffer> =>
  fc.bigInt({ min: -(2n ** BigInt(bytesMax * 8 - 1)), max: 2n ** BigInt(bytesMax * 8 - 1) - 1n }).map((value) => {
    let bytes = 1;
    while (BigInt.asIntN(bytes * 8, value) !== value) bytes++;
    const hex = BigInt.asUintN(bytes * 8, value).toString(16);
    return Buffer.from(hex.padStart(bytes * 2, '0'), 'hex');
  });
const micros = fc.integer({ min: -8e15, max: 8e15 });

const row = fc.record({
  b: fc.boolean(),
  t: orNull(fc.integer({ min: -128, max: 127 })),
  i: fc.integer(),
  l: orNull(long),
  f: orNull(fc.float()),
  d: fc.double(),
  s: orNull(fc.string({ unit: 'grapheme' })),
  x: orNull(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
  day: orNull(fc.integer({ min: -500_000, max: 500_000 })),
  at: micros,
  p: orNull(unscaled(3)),
  huge: orNull(unscaled(15)),
  list: orNull(fc.array(orNull(fc.string()))),
  bag: fc.dictionary(fc.string(), orNull(fc.integer()), { noNullPrototype: true }),
  who: orNull(
    fc.record({
      name: orNull(fc.string()),
      born: orNull(fc.record({ at: orNull(micros), town: orNull(fc.string()) })),
    }),
  ),
  all: orNull(fc.array(orNull(fc.record({ n: orNull(fc.integer()) })))),
});

test('rows of every type are the bytes that another encoder writes for the schema', () => {
  const type = avsc.Type.forSchema(JSON.parse(schemaOf(columns)) as AvscSchema, { wrapUnions: false });
  fc.assert(
    fc.property(row, (value) => {
      const bytes = type.toBuffer(value);
      assert.deepEqual(Buffer.from(written(columns, decoded(columns, bytes))), bytes);
    }),
    { numRuns: 300 },
  );
});

test('numbers of 64 bits keep every bit', () => {
  const longs = parseColumns('l BIGINT NOT NULL');
  const extremes = [0n, -1n, 63n, 64n, -64n, -65n, 2n ** 31n, 2n ** 52n, 2n ** 52n + 1n, -(2n ** 52n) - 1n];
  for (const value of [...extremes, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n]) {
    const bytes = written(longs, batchOf(longs, [[value]]));
    assert.deepEqual(
      decodeOne((arena) => new AvroDecoder(formatOf(longs), fieldsOf(longs), 4, arena), fieldsOf(longs), bytes),
      [value],
    );
  }
});

test('of a batch the one row, and the id of its schema before it', () => {
  const words = parseColumns('w STRING');
  const batch = batchOf(words, [['a'], [null], ['é']]);
  assert.deepEqual([...written(words, batch, 1)], [0]);
  assert.deepEqual([...written(words, batch, 2)], [2, 4, 0xc3, 0xa9]);
  const out = new ByteBuffer(1);
  writeSchemaId(out, 0x01020304);
  assert.deepEqual([...out.copy()], [0, 1, 2, 3, 4]);
});

test('records of a topic begin with the id, few and many at a time', () => {
  const words = parseColumns('w STRING, n BIGINT NOT NULL');
  const registration = { registry: '', subject: 's', id: 77 };
  for (const count of [3, 300]) {
    const rows = Array.from({ length: count }, (_, n) => [n % 7 === 0 ? null : `word ${n} é`, BigInt(n) << 33n]);
    const batch = batchOf(words, rows);
    const value = { kind: 'avro' as const, schema: schemaOf(words), registration };
    const plan = { kind: 'log' as const, name: 'l', topic: 't', compression: 'none' as const, key: -1, headers: false };
    const encoder = new LogEncoder({ ...plan, value }, words, 0, utc);
    encoder.begin({ idPrefix: 'j/1/', partition: 0, logPartitions: [1] });
    const context = { writeTimeUs: new Float64Array(count), deletes: null, isDead: () => false, fail: () => undefined };
    encoder.encode(batch, context);
    const output = encoder.finish();
    assert.ok(output.kind === 'log' && output.rowCount === count);
    const bytes = Buffer.concat(output.appends.map((append) => append.batch));
    let from = 0;
    for (let row = 0; row < count; row++) {
      const record = Buffer.concat([Uint8Array.of(0, 0, 0, 0, 77), written(words, batch, row)]);
      from = bytes.indexOf(record, from);
      assert.ok(from >= 0, `row ${row} of ${count}`);
    }
  }
});

test('NULL where the schema has none is no row', () => {
  const words = parseColumns('w STRING NOT NULL');
  assert.throws(() => written(words, batchOf(words, [[null]])), /never NULL/);
});
