import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { TopPlan } from '../plan/epoch-plan.ts';
import { keyTableOf } from './key-table.ts';
import type { KeyTable } from './key-table.ts';
import { RowOrder } from './row-order.ts';

/**
 * Of some rows those that may be among the first of their key: with `most` rows of its key before it, a row is not, whoever
 * else comes. Equal rows stand as they came; with `ties` all rows stay that are equal to the last of the first. So an
 * operator that keeps the first rows of each key gets no more of a batch than it may keep. Keeps nothing between batches.
 */
export class TopRows {
  readonly #keys: readonly number[];
  readonly #table: KeyTable;
  readonly #order: RowOrder;
  readonly #most: number;
  readonly #ties: boolean;
  #ids = new Int32Array(0);
  /** By key: how many of its first rows are known so far, and `most` places for these, the first one first. */
  #held = new Int32Array(0);
  #first = new Int32Array(0);

  /** `keys`: columns of `schema` that make up the key. */
  constructor(keys: readonly number[], { by, most, ties }: TopPlan, schema: Schema) {
    this.#keys = keys;
    this.#table = keyTableOf(keys.map((index) => must(schema[index], () => `key ${index} is no column`).type));
    this.#order = new RowOrder(schema, by);
    this.#most = most;
    this.#ties = ties === true;
  }

  /** The rows of the batch that stay, of `rows` (ascending), in their order. */
  select({ columns }: ColumnBatch, rows: Int32Array): Int32Array {
    if (this.#ids.length < rows.length) this.#ids = new Int32Array(Math.max(rows.length, 2 * this.#ids.length));
    const ids = this.#ids;
    this.#table.reset();
    this.#table.assign(
      this.#keys.map((index) => must(columns[index], () => `key ${index} is missing`)),
      rows,
      rows.length,
      ids,
    );
    if (this.#table.size === rows.length) return rows;
    this.#order.bind(columns);
    this.#findFirst(rows, ids, this.#table.size);
    return this.#staying(rows, ids);
  }

  #findFirst(rows: Int32Array, ids: Int32Array, keys: number): void {
    const most = this.#most;
    const order = this.#order;
    if (this.#held.length < keys) {
      this.#held = new Int32Array(Math.max(keys, 2 * this.#held.length));
      this.#first = new Int32Array(this.#held.length * most);
    }
    const [held, first] = [this.#held, this.#first];
    held.fill(0, 0, keys);
    for (let index = 0; index < rows.length; index++) {
      const id = ids[index]!;
      const row = rows[index]!;
      const count = held[id]!;
      const from = id * most;
      if (count === most && order.compare(row, first[from + most - 1]!) >= 0) continue;
      let at = from + (count === most ? most - 1 : count);
      if (count < most) held[id] = count + 1;
      for (; at > from && order.compare(row, first[at - 1]!) < 0; at--) first[at] = first[at - 1]!;
      first[at] = row;
    }
  }

  #staying(rows: Int32Array, ids: Int32Array): Int32Array {
    const most = this.#most;
    const kept = new Int32Array(rows.length);
    let count = 0;
    for (let index = 0; index < rows.length; index++) {
      const id = ids[index]!;
      const row = rows[index]!;
      const last = this.#first[id * most + most - 1]!;
      if (this.#held[id] === most && row !== last) {
        const order = this.#order.compare(row, last);
        if (order > 0 || (order === 0 && row > last && !this.#ties)) continue;
      }
      kept[count++] = row;
    }
    return kept.subarray(0, count);
  }
}
