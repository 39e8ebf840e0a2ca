import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { ByteCells } from './byte-cells.ts';
import { IdPool } from './id-pool.ts';
import { RowCodec } from './row-codec.ts';

/** Whole rows by id, as bytes in one arena. Ids of removed rows are used again. */
export class RowStore {
  readonly #codec: RowCodec;
  readonly #cells = new ByteCells();
  readonly #ids = new IdPool();
  readonly #row = new ByteBuffer();

  constructor(schema: Schema) {
    this.#codec = new RowCodec(schema);
  }

  get size(): number {
    return this.#ids.size;
  }

  /** All ids are below it. */
  get limit(): number {
    return this.#ids.limit;
  }

  /** Memory held. */
  get bytes(): number {
    return this.#cells.bytes + this.#ids.bytes;
  }

  /** The arena that {@link start} and {@link length} point into; another one after a change. */
  get data(): Uint8Array {
    return this.#cells.data;
  }

  /** By id: where the row's bytes begin. */
  get start(): Uint32Array {
    return this.#cells.start;
  }

  /** By id: bytes of the row, -1 = the id is not out. */
  get length(): Int32Array {
    return this.#cells.length;
  }

  /** Says which columns {@link add} and {@link set} read: one per field of the schema, until the next call. */
  bind(columns: readonly Column[]): this {
    this.#codec.bind(columns);
    return this;
  }

  /** Keeps a row of the bound columns; its id. */
  add(row: number): number {
    const id = this.#ids.take();
    this.set(id, row);
    return id;
  }

  /** Keeps a row given as the bytes that `RowCodec` made of it; its id. */
  addBytes(bytes: Uint8Array, from: number, to: number): number {
    const id = this.#ids.take();
    this.#cells.set(id, bytes, from, to);
    return id;
  }

  /** Replaces a row by one of the bound columns. */
  set(id: number, row: number): void {
    this.#row.clear();
    this.#codec.encode(row, this.#row);
    this.#cells.set(id, this.#row.bytes, 0, this.#row.length);
  }

  remove(id: number): void {
    this.#cells.clear(id);
    this.#ids.give(id);
  }

  /** The rows `ids[0 … count)` as columns; id -1 gives a row of NULLs. They point into `data` as it is now. */
  gather(ids: ArrayLike<number>, count: number): Column[] {
    const decoder = this.#codec.decoder();
    const { data } = this.#cells;
    const reader = this.#codec.reader(data);
    for (let index = 0; index < count; index++) {
      const id = ids[index]!;
      if (id < 0) {
        decoder.addNulls();
        continue;
      }
      reader.at = this.#cells.start[id]!;
      decoder.add(reader);
    }
    return decoder.columns(data);
  }

  /** Appends a row's bytes, as `RowCodec` reads them. */
  encode(id: number, out: ByteBuffer): void {
    const at = this.#cells.start[id]!;
    out.append(this.#cells.data, at, at + this.#cells.length[id]!);
  }

  reset(): void {
    this.#cells.reset();
    this.#ids.reset();
  }
}
