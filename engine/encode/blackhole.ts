/**
 * The sink that keeps nothing but a count and a hash: every projected value is read, so that measuring it measures the
 * whole path. The hash of a row depends on its values alone and rows are combined by xor, so neither order nor
 * batching matters.
 */
import type { Column, ColumnBatch } from '../column-batch.ts';
import type { SinkOutput } from '../stage.ts';
import { isNull } from './json-writer.ts';
import type { EncodeContext, SinkEncoder } from './sink-encoder.ts';

const MULTIPLIER = 0x5bd1e995;
const NULL_WORD = 0x6e756c6c;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

export class BlackholeEncoder implements SinkEncoder {
  #rowCount = 0;
  #hash = 0;
  /** Hash of each row of the batch while its columns are mixed in. */
  #rows = new Int32Array(0);

  begin(): void {
    this.#rowCount = 0;
    this.#hash = 0;
  }

  encode(rows: ColumnBatch, context: EncodeContext): void {
    const { rowCount } = rows;
    if (this.#rows.length < rowCount) this.#rows = new Int32Array(rowCount * 2);
    const hashes = this.#rows.fill(0, 0, rowCount);
    for (const column of rows.columns) mixColumn(hashes, column, rowCount);
    const { record } = rows.origins;
    for (let row = 0; row < rowCount; row++) {
      if (context.isDead(record[row]!)) continue;
      this.#hash ^= finished(hashes[row]!);
      this.#rowCount++;
    }
  }

  finish(): SinkOutput {
    return { kind: 'blackhole', rowCount: this.#rowCount, hash: this.#hash >>> 0 };
  }
}

function mixColumn(hashes: Int32Array, column: Column, rowCount: number): void {
  switch (column.kind) {
    case 'bytes': {
      const view = new DataView(column.data.buffer, column.data.byteOffset, column.data.byteLength);
      for (let row = 0; row < rowCount; row++)
        hashes[row] = mixBytes(hashes[row]!, view, column.start[row]!, column.length[row]!);
      return;
    }
    case 'i32':
      for (let row = 0; row < rowCount; row++) {
        hashes[row] = mix(hashes[row]!, column.valid[row] === 0 ? NULL_WORD : column.values[row]!);
      }
      return;
    default:
      for (let row = 0; row < rowCount; row++) hashes[row] = mixValue(hashes[row]!, column, row);
  }
}

const doubleWords = new DataView(new ArrayBuffer(8));

function mixValue(hash: number, column: Column, row: number): number {
  if (isNull(column, row)) return mix(hash, NULL_WORD);
  switch (column.kind) {
    case 'bytes':
      return mixBytes(
        hash,
        new DataView(column.data.buffer, column.data.byteOffset, column.data.byteLength),
        column.start[row]!,
        column.length[row]!,
      );
    case 'i32':
      return mix(hash, column.values[row]!);
    case 'f64':
      doubleWords.setFloat64(0, column.values[row]!);
      return mix(mix(hash, doubleWords.getInt32(0)), doubleWords.getInt32(4));
    case 'i64':
      return mix(mix(hash, column.words[2 * row]!), column.words[2 * row + 1]!);
    case 'big': {
      let mixed = hash;
      const value = column.values[row]!;
      if (value <= SAFE && value >= -SAFE) {
        for (let rest = Number(value); rest !== 0 && rest !== -1; rest = Math.floor(rest / 0x1_0000_0000))
          mixed = mix(mixed, rest | 0);
        return mixed;
      }
      for (let rest = column.values[row]!; rest !== 0n && rest !== -1n; rest >>= 32n)
        mixed = mix(mixed, Number(BigInt.asIntN(32, rest)));
      return mixed;
    }
    case 'list': {
      let mixed = mix(hash, column.length[row]!);
      const start = column.start[row]!;
      for (let element = start; element < start + column.length[row]!; element++)
        mixed = mixValue(mixed, column.element, element);
      return mixed;
    }
    case 'map': {
      let mixed = mix(hash, column.length[row]!);
      const start = column.start[row]!;
      for (let entry = start; entry < start + column.length[row]!; entry++) {
        mixed = mixValue(mixValue(mixed, column.keys, entry), column.values, entry);
      }
      return mixed;
    }
    case 'struct': {
      let mixed = hash;
      for (const field of column.fields) mixed = mixValue(mixed, field, row);
      return mixed;
    }
  }
}

function mixBytes(hash: number, view: DataView, start: number, length: number): number {
  if (length < 0) return mix(hash, NULL_WORD);
  let mixed = mix(hash, length);
  let at = start;
  const end = start + length;
  for (; at + 4 <= end; at += 4) mixed = mix(mixed, view.getInt32(at, true));
  for (; at < end; at++) mixed = mix(mixed, view.getUint8(at));
  return mixed;
}

/** One round of MurmurHash2. */
function mix(hash: number, word: number): number {
  const product = Math.imul(word, MULTIPLIER);
  return Math.imul(hash, MULTIPLIER) ^ Math.imul(product ^ (product >>> 24), MULTIPLIER);
}

function finished(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return mixed ^ (mixed >>> 15);
}
