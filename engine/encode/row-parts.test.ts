import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import type { FormatColumn, RowFormat, RowsPart } from '../../core/row-sink.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import { utc } from '../sql/runtime/time.ts';
import { postgresCell } from './postgres-cells.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { RowsEncoder } from './row-parts.ts';
import type { EncodeContext } from './sink-encoder.ts';

function text(values: readonly (string | null)[]): Column {
  const pieces = values.map((value) => Buffer.from(value ?? ''));
  const start = new Int32Array(values.length);
  let at = 0;
  pieces.forEach((piece, row) => {
    start[row] = at;
    at += piece.byteLength;
  });
  return {
    kind: 'bytes',
    data: Buffer.concat(pieces),
    start,
    length: Int32Array.from(values, (value, row) => (value === null ? -1 : pieces[row]!.byteLength)),
    nonAscii: new Uint8Array(values.length).fill(1),
  };
}

function integers(values: readonly (number | null)[]): Column {
  return {
    kind: 'i32',
    values: Int32Array.from(values, (value) => value ?? 0),
    valid: Uint8Array.from(values, (value) => (value === null ? 0 : 1)),
  };
}

function longs(values: readonly bigint[]): Column {
  const own = BigInt64Array.from(values);
  return { kind: 'i64', values: own, words: new Int32Array(own.buffer), valid: new Uint8Array(values.length).fill(1) };
}

function doubles(values: readonly number[]): Column {
  return { kind: 'f64', values: Float64Array.from(values), valid: new Uint8Array(values.length).fill(1) };
}

function batchOf(columns: readonly Column[], rowCount: number): ColumnBatch {
  return {
    rowCount,
    columns,
    origins: {
      topic: 't',
      partition: 0,
      offset: Float64Array.from({ length: rowCount }, (_, row) => 100 + row),
      timestampMs: new Float64Array(rowCount),
      index: new Int32Array(rowCount),
      record: Int32Array.from({ length: rowCount }, (_, row) => row),
    },
  };
}

const schema: Schema = [
  { name: 'id', type: { kind: 'int' }, nullable: true },
  { name: 'name', type: { kind: 'string' }, nullable: true },
];

function columnsOf(fields: Schema, to: readonly string[] = []): FormatColumn[] {
  return fields.map(({ name, type }, input) => ({ input, name, from: type, to: to[input] ?? '' }));
}

function planOf(
  format: RowFormat,
  more: Partial<Extract<SinkPlan, { kind: 'rows' }>> = {},
): Extract<SinkPlan, { kind: 'rows' }> {
  const base = {
    kind: 'rows',
    name: 's',
    connector: 'files',
    settings: {},
    creates: null,
    guarantee: 'exactlyOnce',
  } as const;
  return { ...base, format, keys: [], partitionBy: [], ...more };
}

/** Encodes as a stage does: what failed is taken back and left out. */
function encode(
  plan: Extract<SinkPlan, { kind: 'rows' }>,
  fields: Schema,
  batch: ColumnBatch,
  deletes: Uint8Array | null = null,
): { readonly parts: readonly RowsPart[]; readonly failed: ReadonlyMap<number, string> } {
  const failed = new Map<number, string>();
  const context: EncodeContext = {
    writeTimeUs: new Float64Array(batch.rowCount),
    deletes,
    isDead: (record) => failed.has(record),
    fail: (record, _, place) => failed.set(record, place),
  };
  const encoder = new RowsEncoder(plan, fields, utc);
  encoder.begin({ idPrefix: '', partition: 0, logPartitions: [] });
  encoder.mark();
  encoder.encode(batch, context);
  if (failed.size > 0) {
    encoder.rollback();
    encoder.encode(batch, context);
  }
  const output = encoder.finish();
  assert.ok(output.kind === 'rows');
  return { parts: output.parts, failed };
}

const textOf = ({ bytes }: RowsPart): string => Buffer.from(bytes).toString();

describe('rows as text', () => {
  test('JSON lines leave NULLs out and know where each row ends', () => {
    const batch = batchOf([integers([1, null]), text(['a"b', 'ü'])], 2);
    const { parts } = encode(planOf({ kind: 'json', columns: columnsOf(schema) }), schema, batch);
    assert.equal(textOf(parts[0]!), '{"id":1,"name":"a\\"b"}\n{"name":"ü"}\n');
    assert.deepEqual([...(parts[0]?.ends ?? [])], [23, 37]);
    assert.deepEqual([...(parts[0]?.offsets ?? [])], [100, 101]);
  });

  test('CSV quotes what a reader would take for something else', () => {
    const batch = batchOf([integers([1, 2, 3, null]), text(['a,b', 'say "hi"\nnow', '', null])], 4);
    const format: RowFormat = { kind: 'csv', columns: columnsOf(schema), delimiter: ',', nullText: '' };
    assert.equal(textOf(encode(planOf(format), schema, batch).parts[0]!), '1,"a,b"\n2,"say ""hi""\nnow"\n3,""\n,\n');
  });

  test('values become directories, and what a path could misread is escaped', () => {
    const batch = batchOf([integers([1, 2, 3, 4]), text(['x', 'a/b=c', null, 'x'])], 4);
    const plan = planOf({ kind: 'json', columns: columnsOf(schema).slice(0, 1) }, { partitionBy: [1] });
    const { parts } = encode(plan, schema, batch);
    assert.deepEqual(
      parts.map((part) => [part.directory, textOf(part)]),
      [
        ['name=x', '{"id":1}\n{"id":4}\n'],
        ['name=a%2Fb%3Dc', '{"id":2}\n'],
        ['name=__HIVE_DEFAULT_PARTITION__', '{"id":3}\n'],
      ],
    );
  });
});

describe('rows as Parquet', () => {
  test('another reader gets every value back', async () => {
    const fields: Schema = [
      { name: 'id', type: { kind: 'int' }, nullable: true },
      { name: 'name', type: { kind: 'string' }, nullable: true },
      { name: 'at', type: { kind: 'timestamp' }, nullable: true },
      { name: 'price', type: { kind: 'decimal', precision: 12, scale: 2 }, nullable: true },
      { name: 'n', type: { kind: 'bigint' }, nullable: true },
    ];
    const columns = [
      integers([7, null]),
      text(['ü', null]),
      doubles([1e15 + 1, 0]),
      longs([-1250n, 5n]),
      longs([2n ** 60n, 0n]),
    ];
    const format: RowFormat = { kind: 'parquet', columns: columnsOf(fields), compression: 'snappy' };
    const [part] = encode(planOf(format), fields, batchOf(columns, 2)).parts;
    assert.equal(part?.ends, null);
    const rows = await parquetReadObjects({ file: Uint8Array.from(part?.bytes ?? []).buffer });
    assert.deepEqual(rows, [
      { id: 7, name: 'ü', at: new Date(1e12), price: -12.5, n: 2n ** 60n },
      { id: null, name: null, at: new Date(0), price: 0.05, n: 0n },
    ]);
  });
});

describe('rows as PostgreSQL tuples', () => {
  const format: RowFormat = {
    kind: 'postgres',
    columns: columnsOf(schema, ['integer', 'character varying(3)']),
    keyCount: 1,
  };

  test('the last row of a key stays, and rows that go have their key alone', () => {
    const batch = batchOf([integers([1, 2, 1, 3]), text(['a', 'b', 'c', 'd'])], 4);
    const [part] = encode(planOf(format, { keys: [0] }), schema, batch, Uint8Array.of(0, 0, 0, 1)).parts;
    assert.deepEqual([...(part?.offsets ?? [])], [101, 102, 103]);
    assert.deepEqual([...(part?.deletes ?? [])], [0, 0, 1]);
    const hex = Buffer.from(part!.bytes).toString('hex');
    assert.equal(
      hex,
      [
        '0002',
        '00000004',
        '00000002',
        '00000001',
        '62',
        '0002',
        '00000004',
        '00000001',
        '00000001',
        '63',
        '0001',
        '00000004',
        '00000003',
      ].join(''),
    );
  });

  test('a row that the table cannot hold fails with its column and takes nothing with it', () => {
    const batch = batchOf([integers([1, null, 3, 4]), text(['abc', 'x', 'abcd', 'a\0b'])], 4);
    const { parts, failed } = encode(planOf(format, { keys: [0] }), schema, batch);
    assert.deepEqual(
      [...failed],
      [
        [1, 'id'],
        [2, 'name'],
        [3, 'name'],
      ],
    );
    assert.equal(parts[0]?.rowCount, 1);
  });

  test('values as the server reads them', () => {
    const bytesOf = (type: DataType, to: string, column: Column, zone = 'UTC'): string => {
      const out = new ByteBuffer();
      postgresCell(type, to, timeZoneOf(zone) ?? utc)!(out, column, 0);
      return Buffer.from(out.bytes.subarray(0, out.length)).toString('hex');
    };
    assert.equal(bytesOf({ kind: 'date' }, 'date', integers([10_957])), '0000000400000000');
    assert.equal(
      bytesOf({ kind: 'timestamp' }, 'timestamp with time zone', doubles([946_684_800_000_001])),
      '000000080000000000000001',
    );
    assert.equal(
      bytesOf({ kind: 'timestamp' }, 'timestamp(6) without time zone', doubles([946_684_800_000_000]), '+01:00'),
      '0000000800000000d693a400',
    );
    const decimal = (scale: number): DataType => ({ kind: 'decimal', precision: 18, scale });
    // 12345.67 = 1 | 2345 | 6700 in base 10000, weight 1, scale 2.
    assert.equal(bytesOf(decimal(2), 'numeric', longs([1_234_567n])), '0000000e000300010000000200010929' + '1a2c');
    assert.equal(bytesOf(decimal(2), 'numeric(18,2)', longs([-5n])), '0000000a0001ffff4000000201f4');
    assert.equal(bytesOf(decimal(2), 'numeric', longs([0n])), '000000080000000000000002');
    assert.equal(bytesOf({ kind: 'bigint' }, 'bigint', longs([-2n])), '00000008fffffffffffffffe');
    assert.equal(
      bytesOf({ kind: 'string' }, 'uuid', text(['00010203-0405-0607-0809-0a0b0c0d0e0f'])),
      '00000010000102030405060708090a0b0c0d0e0f',
    );
  });

  test('types that would lose something have no writer', () => {
    const refused: readonly (readonly [DataType, string])[] = [
      [{ kind: 'bigint' }, 'integer'],
      [{ kind: 'double' }, 'real'],
      [{ kind: 'string' }, 'integer'],
      [{ kind: 'decimal', precision: 12, scale: 3 }, 'numeric(12,2)'],
      [{ kind: 'timestamp' }, 'date'],
      [{ kind: 'string' }, 'jsonb'],
    ];
    for (const [type, to] of refused) assert.equal(postgresCell(type, to, utc), undefined, `${type.kind} → ${to}`);
  });
});
