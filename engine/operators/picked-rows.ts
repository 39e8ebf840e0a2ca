import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch, RowOrigins } from '../column-batch.ts';
import { RowCodec } from '../state/row-codec.ts';
import { gather } from './gather.ts';
import type { StateInput } from './state-operator.ts';

/** Rows of an epoch's inputs, collected one by one and then made into one batch. */
export class PickedRows {
  readonly #codec: RowCodec;
  readonly #inputs: StateInput[] = [];
  readonly #places = new Map<StateInput, number>();
  /** For each row: the place of its input in the list, and the row there. */
  readonly #from: number[] = [];
  readonly #rows: number[] = [];

  constructor(schema: Schema) {
    this.#codec = new RowCodec(schema);
  }

  get count(): number {
    return this.#rows.length;
  }

  add(input: StateInput, row: number): void {
    this.#from.push(this.#placeOf(input));
    this.#rows.push(row);
  }

  groups(): Uint8Array {
    const groups = new Uint8Array(this.count);
    for (let index = 0; index < groups.length; index++) {
      const input = this.#inputs[this.#from[index] as number] as StateInput;
      groups[index] = input.groups[this.#rows[index] as number] as number;
    }
    return groups;
  }

  batch(): ColumnBatch {
    return { rowCount: this.count, columns: this.#columns(), origins: noOrigins(this.count) };
  }

  #columns(): readonly Column[] {
    const [only, other] = this.#inputs;
    if (only !== undefined && other === undefined) {
      const index = Int32Array.from(this.#rows);
      return only.batch.columns.map((column) => gather(column, index, index.length));
    }
    // Columns of several batches point into several memories: their rows meet as bytes.
    const bytes = new ByteBuffer();
    const start = new Float64Array(this.count);
    const places = Int32Array.from(start, (_, index) => index);
    for (const [place, input] of this.#inputs.entries()) {
      this.#codec.bind(input.batch.columns);
      for (const index of places)
        if (this.#from[index] === place) start[index] = this.#codec.encode(this.#rows[index] as number, bytes);
    }
    return this.#codec.decodeAll(bytes.bytes, start, places, this.count);
  }

  #placeOf(input: StateInput): number {
    const known = this.#places.get(input);
    if (known !== undefined) return known;
    this.#places.set(input, this.#inputs.length);
    return this.#inputs.push(input) - 1;
  }
}

/** For rows that come out of a state and not of a record: the host gives them others. */
export function noOrigins(count: number): RowOrigins {
  const record = new Int32Array(count);
  for (let row = 0; row < count; row++) record[row] = row;
  return {
    topic: '',
    partition: 0,
    offset: new Float64Array(count),
    timestampMs: new Float64Array(count),
    index: new Int32Array(count),
    record,
  };
}
