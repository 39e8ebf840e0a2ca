/**
 * Boxed values: how nested values and the arguments of functions without a kernel look in JavaScript. boolean →
 * boolean; tinyint … double, date, timestamp → number; bigint and decimal → bigint (decimal: unscaled); string →
 * string; binary → Uint8Array; array → array; struct → array of its fields; map → {@link BoxedMap}; NULL → null.
 */
import { unreachable } from '../../../core/assert.ts';
import type { DataType } from '../../../core/types.ts';
import type { BytesColumn, Column } from '../../column-batch.ts';
import type { Runtime } from './runtime.ts';

export interface BoxedMap {
  readonly keys: readonly BoxedValue[];
  readonly values: readonly BoxedValue[];
}

export type BoxedValue = null | boolean | number | bigint | string | Uint8Array | readonly BoxedValue[] | BoxedMap;

/** The value at `row` of a column. */
export function readValue(rt: Runtime, column: Column, row: number, type: DataType): BoxedValue {
  switch (column.kind) {
    case 'bytes': {
      const length = column.length[row] as number;
      if (length < 0) return null;
      const start = column.start[row] as number;
      if (type.kind === 'binary') return column.data.slice(start, start + length);
      return rt.text(column.data, start, length, column.nonAscii[row] as number);
    }
    case 'i32':
      if (column.valid[row] === 0) return null;
      return type.kind === 'boolean' ? column.values[row] !== 0 : (column.values[row] as number);
    case 'f64':
    case 'i64':
    case 'big':
      return column.valid[row] === 0 ? null : (column.values[row] as number | bigint);
    case 'list': {
      const length = column.length[row] as number;
      if (length < 0) return null;
      const element = type.kind === 'array' ? type.element : type;
      return readRange(rt, column.element, column.start[row] as number, length, element);
    }
    case 'map': {
      const length = column.length[row] as number;
      if (length < 0 || type.kind !== 'map') return null;
      const start = column.start[row] as number;
      return {
        keys: readRange(rt, column.keys, start, length, type.key),
        values: readRange(rt, column.values, start, length, type.value),
      };
    }
    case 'struct':
      if (column.valid[row] === 0 || type.kind !== 'struct') return null;
      return type.fields.map((field, index) => readValue(rt, column.fields[index] as Column, row, field.type));
  }
}

function readRange(rt: Runtime, column: Column, start: number, length: number, type: DataType): BoxedValue[] {
  const values: BoxedValue[] = new Array<BoxedValue>(length);
  for (let index = 0; index < length; index++) values[index] = readValue(rt, column, start + index, type);
  return values;
}

/** Makes a column of boxed values, all of `type`. Texts go to the runtime's arena. */
export function buildColumn(rt: Runtime, type: DataType, values: readonly BoxedValue[]): Column {
  const pending: { data: Uint8Array }[] = [];
  const column = build(rt, type, values, pending);
  // The arena may have moved while the column grew.
  for (const bytes of pending) bytes.data = rt.data;
  return column;
}

function build(rt: Runtime, type: DataType, values: readonly BoxedValue[], pending: { data: Uint8Array }[]): Column {
  const count = values.length;
  switch (type.kind) {
    case 'string':
    case 'binary': {
      const column = {
        kind: 'bytes' as const,
        data: rt.data as Uint8Array,
        start: new Int32Array(count),
        length: new Int32Array(count),
        nonAscii: new Uint8Array(count),
      };
      values.forEach((value, row) => {
        if (value === null) {
          column.length[row] = -1;
          return;
        }
        if (typeof value === 'string') rt.put(value);
        else rt.putBytes(value as Uint8Array);
        column.start[row] = rt.s;
        column.length[row] = rt.l;
        column.nonAscii[row] = rt.f;
      });
      pending.push(column);
      return column satisfies BytesColumn;
    }
    case 'null':
    case 'boolean':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'date': {
      const column = { kind: 'i32' as const, values: new Int32Array(count), valid: new Uint8Array(count) };
      values.forEach((value, row) => {
        if (value === null) return;
        column.values[row] = Number(value);
        column.valid[row] = 1;
      });
      return column;
    }
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval': {
      const column = { kind: 'f64' as const, values: new Float64Array(count), valid: new Uint8Array(count) };
      values.forEach((value, row) => {
        if (value === null) return;
        column.values[row] = value as number;
        column.valid[row] = 1;
      });
      return column;
    }
    case 'bigint':
    case 'decimal': {
      const valid = Uint8Array.from(values, (value) => (value === null ? 0 : 1));
      if (type.kind === 'decimal' && type.precision > 18) {
        return { kind: 'big', values: values.map((value) => (value ?? 0n) as bigint), valid };
      }
      const longs = BigInt64Array.from(values, (value) => (value ?? 0n) as bigint);
      return { kind: 'i64', values: longs, words: new Int32Array(longs.buffer), valid };
    }
    case 'array': {
      const { start, length } = ranges(values, (value) => (value as readonly BoxedValue[]).length);
      const elements: BoxedValue[] = [];
      for (const value of values)
        if (value !== null) for (const element of value as readonly BoxedValue[]) elements.push(element);
      return { kind: 'list', start, length, element: build(rt, type.element, elements, pending) };
    }
    case 'map': {
      const { start, length } = ranges(values, (value) => (value as BoxedMap).keys.length);
      const keys: BoxedValue[] = [];
      const mapped: BoxedValue[] = [];
      for (const value of values) {
        if (value === null) continue;
        const map = value as BoxedMap;
        for (const key of map.keys) keys.push(key);
        for (const item of map.values) mapped.push(item);
      }
      return {
        kind: 'map',
        start,
        length,
        keys: build(rt, type.key, keys, pending),
        values: build(rt, type.value, mapped, pending),
      };
    }
    case 'struct': {
      const valid = Uint8Array.from(values, (value) => (value === null ? 0 : 1));
      const fields = type.fields.map((field, index) =>
        build(
          rt,
          field.type,
          values.map((value) => (value === null ? null : ((value as readonly BoxedValue[])[index] ?? null))),
          pending,
        ),
      );
      return { kind: 'struct', valid, fields };
    }
    default:
      return unreachable(type);
  }
}

function ranges(
  values: readonly BoxedValue[],
  lengthOf: (value: BoxedValue) => number,
): { start: Int32Array; length: Int32Array } {
  const start = new Int32Array(values.length);
  const length = new Int32Array(values.length);
  let total = 0;
  values.forEach((value, row) => {
    start[row] = total;
    length[row] = value === null ? -1 : lengthOf(value);
    if (value !== null) total += length[row];
  });
  return { start, length };
}
