import type { Schema } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import { ColumnBuilder } from '../scan/column-builder.ts';
import { ByteReader } from './byte-reader.ts';
import type { ValueCodec } from './value-codec.ts';
import { buildable, codecOf, measureAll, putAll } from './value-codec.ts';

/** Encodes rows of one schema. `canonical` as {@link KeyEncoder} needs it; otherwise values come back as they were. */
export class RowCodec {
  readonly schema: Schema;
  readonly #codecs: readonly ValueCodec[];
  readonly #reader = new ByteReader();
  /** Of {@link encodeAll}: sizes of rows, then where their next value goes. */
  #at = new Int32Array(0);

  constructor(schema: Schema, canonical = false) {
    this.schema = schema;
    this.#codecs = schema.map((field) => codecOf(field.type, canonical));
  }

  /** Says which columns {@link encode} reads: one per field, until the next call. */
  bind(columns: readonly Column[]): this {
    for (let index = 0; index < this.#codecs.length; index++) this.#codecs[index]!.bind(columns[index]!);
    return this;
  }

  /** Appends the bytes of a row of the bound columns; the position where they begin. */
  encode(row: number, out: ByteBuffer): number {
    const at = out.length;
    const codecs = this.#codecs;
    for (let index = 0; index < codecs.length; index++) codecs[index]!.write(row, out);
    return at;
  }

  /**
   * Appends the bytes of `rows[0 … count)` one behind the other; where each begins goes into `starts`, and where the last
   * one ends into its entry `count`. Column by column where the values allow it, which is several times as fast.
   */
  encodeAll(rows: Int32Array, count: number, out: ByteBuffer, starts: Int32Array): void {
    if (this.#at.length < count) this.#at = new Int32Array(Math.ceil(count / 512) * 1024);
    const at = this.#at;
    at.fill(0, 0, count);
    if (!measureAll(this.#codecs, rows, count, at)) {
      for (let index = 0; index < count; index++) starts[index] = this.encode(rows[index]!, out);
      starts[count] = out.length;
      return;
    }
    let end = out.length;
    for (let index = 0; index < count; index++) {
      const size = at[index]!;
      starts[index] = end;
      at[index] = end;
      end += size;
    }
    starts[count] = end;
    out.reserve(end - out.length);
    putAll(this.#codecs, rows, count, at, out.bytes, out.view);
    out.length = end;
  }

  /** Begins a batch of decoded rows. The decoder's columns point into the bytes they are decoded from. */
  decoder(): RowDecoder {
    return new RowDecoder(this.schema, this.#codecs);
  }

  /** Reads rows of `data`; one reader per codec, good until the next call. */
  reader(data: Uint8Array): ByteReader {
    return this.#reader.reset(data);
  }

  /** Columns of the rows `ids[0 … count)` whose bytes stand at `start[id]` of `data`. They point into `data`. */
  decodeAll(data: Uint8Array, start: ArrayLike<number>, ids: ArrayLike<number>, count: number): Column[] {
    const decoder = this.decoder();
    const reader = this.#reader.reset(data);
    for (let index = 0; index < count; index++) {
      reader.at = start[ids[index]!]!;
      decoder.add(reader);
    }
    return decoder.columns(data);
  }
}

/** Collects decoded rows as columns. All rows must come from one byte array. */
export class RowDecoder {
  readonly #codecs: readonly ValueCodec[];
  readonly #builders: readonly ColumnBuilder[];
  #count = 0;

  constructor(schema: Schema, codecs: readonly ValueCodec[]) {
    this.#codecs = codecs;
    this.#builders = schema.map((field) => new ColumnBuilder(buildable(field.type), field.name, false));
  }

  get rowCount(): number {
    return this.#count;
  }

  /** Reads one row at the reader's place and moves it behind the row. Throws: STATE_DAMAGED. */
  add(reader: ByteReader): void {
    const row = this.#count++;
    for (let index = 0; index < this.#codecs.length; index++) {
      const builder = this.#builders[index]!;
      builder.ensure(row + 1);
      this.#codecs[index]!.read(reader, builder, row);
    }
  }

  /** A row of NULLs. */
  addNulls(): void {
    const row = this.#count++;
    for (const builder of this.#builders) {
      builder.ensure(row + 1);
      builder.setNull(row);
    }
  }

  /** The rows so far; `data` is what they were read from. */
  columns(data: Uint8Array): Column[] {
    for (const builder of this.#builders) builder.ensure(1);
    return this.#builders.map((builder) => builder.column(data));
  }
}
