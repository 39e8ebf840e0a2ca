import type { Column, RowOrigins } from '../column-batch.ts';

/**
 * The rows `index[0 … count)` of a column, in that order; -1 gives a null row. Bytes are not copied, elements of lists
 * and maps neither: only their places are.
 */
export function gather(column: Column, index: Int32Array, count: number): Column {
  switch (column.kind) {
    case 'bytes': {
      const start = new Int32Array(count);
      const length = new Int32Array(count);
      const nonAscii = new Uint8Array(count);
      for (let row = 0; row < count; row++) {
        const from = index[row] as number;
        if (from < 0) {
          length[row] = -1;
          continue;
        }
        start[row] = column.start[from] as number;
        length[row] = column.length[from] as number;
        nonAscii[row] = column.nonAscii[from] as number;
      }
      return { kind: 'bytes', data: column.data, start, length, nonAscii };
    }
    case 'i32': {
      const values = new Int32Array(count);
      const valid = new Uint8Array(count);
      for (let row = 0; row < count; row++) {
        const from = index[row] as number;
        if (from < 0) continue;
        values[row] = column.values[from] as number;
        valid[row] = column.valid[from] as number;
      }
      return { kind: 'i32', values, valid };
    }
    case 'f64': {
      const values = new Float64Array(count);
      const valid = new Uint8Array(count);
      for (let row = 0; row < count; row++) {
        const from = index[row] as number;
        if (from < 0) continue;
        values[row] = column.values[from] as number;
        valid[row] = column.valid[from] as number;
      }
      return { kind: 'f64', values, valid };
    }
    case 'i64': {
      const values = new BigInt64Array(count);
      const words = new Int32Array(values.buffer);
      const valid = new Uint8Array(count);
      for (let row = 0; row < count; row++) {
        const from = index[row] as number;
        if (from < 0) continue;
        words[2 * row] = column.words[2 * from] as number;
        words[2 * row + 1] = column.words[2 * from + 1] as number;
        valid[row] = column.valid[from] as number;
      }
      return { kind: 'i64', values, words, valid };
    }
    case 'big': {
      const values: bigint[] = [];
      const valid = new Uint8Array(count);
      for (let row = 0; row < count; row++) {
        const from = index[row] as number;
        values.push(from < 0 ? 0n : (column.values[from] as bigint));
        if (from >= 0) valid[row] = column.valid[from] as number;
      }
      return { kind: 'big', values, valid };
    }
    case 'list': {
      const { start, length } = gatherRanges(column, index, count);
      return { kind: 'list', start, length, element: column.element };
    }
    case 'map': {
      const { start, length } = gatherRanges(column, index, count);
      return { kind: 'map', start, length, keys: column.keys, values: column.values };
    }
    case 'struct': {
      const valid = new Uint8Array(count);
      for (let row = 0; row < count; row++) {
        const from = index[row] as number;
        if (from >= 0) valid[row] = column.valid[from] as number;
      }
      return { kind: 'struct', valid, fields: column.fields.map((field) => gather(field, index, count)) };
    }
  }
}

function gatherRanges(
  column: { readonly start: Int32Array; readonly length: Int32Array },
  index: Int32Array,
  count: number,
): { start: Int32Array; length: Int32Array } {
  const start = new Int32Array(count);
  const length = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const from = index[row] as number;
    start[row] = from < 0 ? 0 : (column.start[from] as number);
    length[row] = from < 0 ? -1 : (column.length[from] as number);
  }
  return { start, length };
}

/** The origins of the rows `index[0 … count)`; every index must be a row. */
export function gatherOrigins(origins: RowOrigins, index: Int32Array, count: number): RowOrigins {
  const offset = new Float64Array(count);
  const timestampMs = new Float64Array(count);
  const rowIndex = new Int32Array(count);
  const record = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const from = index[row] as number;
    offset[row] = origins.offset[from] as number;
    timestampMs[row] = origins.timestampMs[from] as number;
    rowIndex[row] = origins.index[from] as number;
    record[row] = origins.record[from] as number;
  }
  return { topic: origins.topic, partition: origins.partition, offset, timestampMs, index: rowIndex, record };
}
