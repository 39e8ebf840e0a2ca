import type { DataType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { hashView, KeyEncoder } from './key-encoder.ts';

/** What is kept of the memory of an unusually large batch. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The keys of many rows at once: their bytes one behind the other, and the hash of each. Everything in it is good until
 * the next {@link encode}.
 *
 *     keys.encode(batch.columns, rows, count);
 *     for (let i = 0; i < count; i++) dictionary.addKey(keys, i);
 */
export class KeyRows {
  readonly encoder: KeyEncoder;
  /** Where the bytes of the key `i` begin; those of the last one end at entry `count`. */
  start = new Int32Array(1);
  /** Of the key `i` (see `hashBytes`). */
  hash = new Int32Array(0);
  readonly #out = new ByteBuffer(1024);

  constructor(types: readonly DataType[]) {
    this.encoder = new KeyEncoder(types);
  }

  /** Storage of all keys. */
  get data(): Uint8Array {
    return this.#out.bytes;
  }

  get view(): DataView {
    return this.#out.view;
  }

  /** Encodes the keys of `rows[0 … count)`; `columns`: the keys, in order (more may follow). */
  encode(columns: readonly Column[], rows: Int32Array, count: number): void {
    if (this.hash.length < count) {
      this.hash = new Int32Array(Math.ceil(count / 512) * 1024);
      this.start = new Int32Array(this.hash.length + 1);
    }
    const out = this.#out;
    if (out.bytes.byteLength > KEPT_BYTES_MAX) out.shrink(KEPT_BYTES_MAX);
    out.length = 0;
    const { start, hash } = this;
    this.encoder.bind(columns).encodeAll(rows, count, out, start);
    const { bytes, view } = out;
    for (let index = 0; index < count; index++) hash[index] = hashView(view, bytes, start[index]!, start[index + 1]!);
  }
}
