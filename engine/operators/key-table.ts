/** Keys of rows to dense ids, for as long as a task runs. */
import type { DataType } from '../../core/types.ts';
import type { Column } from '../column-batch.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyRows } from '../state/key-rows.ts';
import { identity } from './aggregate-accumulator.ts';
import { FixedKeys, isFixedKey } from './fixed-keys.ts';

export interface KeyTable {
  /** Keys held: their ids are below. */
  readonly size: number;
  /** Forgets all keys; memory of moderate size stays. */
  reset(): void;
  /** The ids of the keys of `rows[0 … count)`; new keys get the next ones. `columns`: the keys (more may follow). */
  assign(columns: readonly Column[], rows: Int32Array, count: number, ids: Int32Array): void;
  /** The key columns of all ids, in order; good until the table is used again. */
  columns(): Column[];
}

/** Keys equal when SQL groups the rows together (see `KeyEncoder`). */
export function keyTableOf(types: readonly DataType[]): KeyTable {
  return types.every(isFixedKey) ? new FixedKeys(types) : new ByteKeys(types);
}

/** Keys of any type, by their bytes. */
export class ByteKeys implements KeyTable {
  readonly #rows: KeyRows;
  readonly #known = new KeyDictionary();

  constructor(types: readonly DataType[]) {
    this.#rows = new KeyRows(types);
  }

  get size(): number {
    return this.#known.size;
  }

  reset(): void {
    this.#known.reset();
  }

  assign(columns: readonly Column[], rows: Int32Array, count: number, ids: Int32Array): void {
    const keys = this.#rows;
    const known = this.#known;
    keys.encode(columns, rows, count);
    for (let index = 0; index < count; index++) ids[index] = known.addKey(keys, index);
  }

  columns(): Column[] {
    const { data, start, size } = this.#known;
    return this.#rows.encoder.decodeAll(data, start, identity(size), size);
  }
}
