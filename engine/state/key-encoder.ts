import type { DataType } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { RowCodec } from './row-codec.ts';

/**
 * Turns the key columns of a row into bytes that are equal when SQL groups the rows together: NULL is a value of its
 * own, zeros are alike, NaN is one value, maps have no order. The bytes are stable: snapshots and the key groups of
 * rows rest on them.
 *
 *     encoder.bind(batch.columns);  const at = encoder.encode(row, out);  keyGroupOf(out.bytes, at, out.length)
 */
export class KeyEncoder {
  readonly types: readonly DataType[];
  readonly #codec: RowCodec;

  constructor(types: readonly DataType[]) {
    this.types = types;
    this.#codec = new RowCodec(
      types.map((type, index) => ({ name: `key${index}`, type, nullable: true })),
      true,
    );
  }

  /** Says which columns {@link encode} reads: the keys, in order (more may follow). */
  bind(columns: readonly Column[]): this {
    this.#codec.bind(columns);
    return this;
  }

  /** Appends the key of a row of the bound columns; the position where it begins. */
  encode(row: number, out: ByteBuffer): number {
    return this.#codec.encode(row, out);
  }

  /** Appends the keys of rows of the bound columns, as `RowCodec.encodeAll` does. */
  encodeAll(rows: Int32Array, count: number, out: ByteBuffer, starts: Int32Array): void {
    this.#codec.encodeAll(rows, count, out, starts);
  }

  /** The key columns of the keys at `start[id]` of `data`, for `ids[0 … count)`. They point into `data`. */
  decodeAll(data: Uint8Array, start: ArrayLike<number>, ids: ArrayLike<number>, count: number): Column[] {
    return this.#codec.decodeAll(data, start, ids, count);
  }
}

/** 32 bits of the bytes (Murmur3, x86 variant, seed 0). Fixed for ever: see {@link keyGroupOf}. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  return hashView(viewOf(bytes), bytes, start, end);
}

/** As {@link hashBytes}; `view` is of the same bytes. */
export function hashView(view: DataView, bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  const aligned = start + ((end - start) & ~3);
  let at = start;
  for (; at < aligned; at += 4) {
    let word = view.getInt32(at, true);
    word = Math.imul(word, 0xcc9e2d51);
    word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
    hash ^= word;
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  if (at < end) {
    let word = bytes[at]!;
    if (at + 1 < end) word |= bytes[at + 1]! << 8;
    if (at + 2 < end) word |= bytes[at + 2]! << 16;
    word = Math.imul(word, 0xcc9e2d51);
    hash ^= Math.imul((word << 15) | (word >>> 17), 0x1b873593);
  }
  hash ^= end - start;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The key group, 0 to 255, of a key's bytes. */
export function keyGroupOf(bytes: Uint8Array, start: number, end: number): number {
  return keyGroupOfHash(hashBytes(bytes, start, end));
}

/** The key group of a key by its {@link hashBytes}. */
export function keyGroupOfHash(hash: number): number {
  return hash >>> 24;
}

let lastBytes = new Uint8Array(0);
let lastView = new DataView(lastBytes.buffer);

/** A view of the bytes: the same one as long as the same array is asked for. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== lastBytes) {
    lastBytes = bytes as Uint8Array<ArrayBuffer>;
    lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) as DataView<ArrayBuffer>;
  }
  return lastView;
}
