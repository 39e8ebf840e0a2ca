/** For tests of decoders: values laid into an arena, and columns as plain JavaScript values. */
import assert from 'node:assert/strict';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { parseColumns } from '../sql/parser.ts';
import type { ValueDecoder, ValueField } from './value-decoder.ts';

/** Fields of the columns, as SQL writes them. */
export function fieldsOf(columns: string | Schema): ValueField[] {
  const schema = typeof columns === 'string' ? parseColumns(columns) : columns;
  return schema.map(({ name, type, nullable }) => ({ name, path: name, type, required: !nullable }));
}

/** What decoding a value gave: its row, or why there is none (`REASON place`). */
export type Decoded = readonly unknown[] | string;

/** Decodes the values as one batch, each in a row of its own, in an arena with other bytes around them. */
export function decodeAll(
  make: (arena: ByteBuffer) => ValueDecoder,
  fields: readonly ValueField[],
  values: readonly Uint8Array[],
): Decoded[] {
  const arena = new ByteBuffer(16);
  arena.append(Uint8Array.of(0xff, 0x22, 0x01));
  const places = values.map((bytes) => ({ start: arena.append(bytes), end: arena.length }));
  const decoder = make(arena);
  decoder.begin(values.length);
  const outcomes: (string | number)[] = [];
  let row = 0;
  for (const { start, end } of places) {
    const failure = decoder.scan(start, end, row);
    outcomes.push(failure < 0 ? row++ : `${deadLetterReasons[failure]} ${decoder.place}`.trim());
  }
  const columns = decoder.columns(arena.bytes.subarray(0, arena.length));
  return outcomes.map((outcome) =>
    typeof outcome === 'string' ? outcome : columns.map((column, at) => valueOf(column, fields[at]!.type, outcome)),
  );
}

/** Decodes one value; its row, or why there is none. */
export function decodeOne(
  make: (arena: ByteBuffer) => ValueDecoder,
  fields: readonly ValueField[],
  value: Uint8Array,
): Decoded {
  const [decoded] = decodeAll(make, fields, [value]);
  assert(decoded !== undefined);
  return decoded;
}

/** Text as text, bytes as `Uint8Array`, 64-bit numbers and decimals as bigint (unscaled), structs as lists. */
export function valueOf(column: Column, type: DataType, row: number): unknown {
  switch (column.kind) {
    case 'bytes': {
      const length = column.length[row]!;
      if (length < 0) return null;
      const bytes = column.data.slice(column.start[row], column.start[row]! + length);
      if (type.kind === 'binary') return bytes;
      if (column.nonAscii[row] === 0) assert(bytes.every((byte) => byte < 0x80));
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    }
    case 'i32': {
      const value = column.values[row]!;
      return column.valid[row] === 0 ? null : type.kind === 'boolean' ? value !== 0 : value;
    }
    case 'f64':
    case 'i64':
    case 'big':
      return column.valid[row] === 0 ? null : column.values[row]!;
    case 'list': {
      if (column.length[row]! < 0) return null;
      assert(type.kind === 'array');
      return rowsOf(column, row).map((item) => valueOf(column.element, type.element, item));
    }
    case 'map': {
      if (column.length[row]! < 0) return null;
      assert(type.kind === 'map');
      return new Map(
        rowsOf(column, row).map((item) => [
          valueOf(column.keys, type.key, item),
          valueOf(column.values, type.value, item),
        ]),
      );
    }
    case 'struct':
      if (column.valid[row] === 0) return null;
      assert(type.kind === 'struct');
      return column.fields.map((field, at) => valueOf(field, type.fields[at]!.type, row));
  }
}

function rowsOf({ start, length }: { readonly start: Int32Array; readonly length: Int32Array }, row: number): number[] {
  return Array.from({ length: length[row]! }, (_, index) => start[row]! + index);
}
