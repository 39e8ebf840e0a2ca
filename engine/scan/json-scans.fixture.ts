/** Documents through the JSON scanner and the kernel, which must agree in everything; values as JavaScript has them. */
import assert from 'node:assert/strict';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DataType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { RecordIndex } from '../codecs/decode-records.ts';
import type { Column } from '../column-batch.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import { JsonScanner, type ScanField } from './json-scanner.ts';
import { RecordScanner } from './scan-records.ts';
import { timeZoneOf } from './time-zone.ts';

export const encoder = new TextEncoder();
export const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
export const scalar = (
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
export const string = scalar('string');
export const array = (element: DataType): DataType => ({ kind: 'array', element, containsNull: true });
export const map = (value: DataType): DataType => ({ kind: 'map', key: string, value, valueContainsNull: true });
export const struct = (fields: Record<string, DataType>): DataType => ({
  kind: 'struct',
  fields: Object.entries(fields).map(([name, type]) => ({ name, type, nullable: true })),
});
export const decimal = (precision: number, scale: number): DataType => ({ kind: 'decimal', precision, scale });
export const field = (name: string, type: DataType, required = false): ScanField => ({
  name,
  path: name,
  type,
  required,
});

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

export interface Scanned {
  readonly reason: string | null;
  readonly place: string;
  readonly values: unknown[];
}

export type Scan = (...documents: Uint8Array[]) => Scanned[];

/** Scans by the kernel and by its twin, which must agree in everything. */
export function makeScan(fields: readonly ScanField[], zone = 'UTC'): Scan {
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

const scans = new Map<string, Scan>();

/** One document by itself; cases of the same fields and zone share their scanners. */
export function scanText(fields: readonly ScanField[], text: string, zone?: string): Scanned {
  const key = JSON.stringify([fields, zone]);
  const scan = scans.get(key) ?? makeScan(fields, zone);
  scans.set(key, scan);
  const [result] = scan(encoder.encode(text));
  assert.ok(result);
  return result;
}

/** One field `x` of the type from a document `{"x": <json>}`. */
export function one(type: DataType, json: string, zone?: string): unknown {
  const result = scanText([field('x', type)], `{"x":${json}}`, zone);
  return result.reason ?? result.values[0];
}
