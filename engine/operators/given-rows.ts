import type { ColumnBatch } from '../column-batch.ts';
import { concatBatches } from '../epoch/frame.ts';
import { isPast } from './changes.ts';
import { gather } from './gather.ts';
import { noOrigins } from './picked-rows.ts';

/** What an operator gives in an epoch: present rows by their ids in its state, and former ones, in one order. */
export class GivenRows {
  /** Of each row; a former one has the id of what it was a row of. */
  readonly ids: number[] = [];
  readonly changes: number[] = [];
  /** Ids of the present rows alone. */
  readonly present: number[] = [];
  /** Of each row its place among the former rows, or among the present ones. */
  readonly #places: number[] = [];

  give(id: number, change: number): void {
    this.#add(id, change, this.present.length);
    this.present.push(id);
  }

  /** `place`: among the former rows. */
  withdraw(id: number, place: number, change: number): void {
    this.#add(id, change, place);
  }

  #add(id: number, change: number, place: number): void {
    this.ids.push(id);
    this.changes.push(change);
    this.#places.push(place);
  }

  /** All rows, of both kinds of rows as columns. */
  batch(former: ColumnBatch | null, present: ColumnBatch): ColumnBatch {
    if (former === null) return present;
    const all = concatBatches([former, present]);
    const index = Int32Array.from(this.#places, (place, row) =>
      isPast(this.changes[row] as number) ? place : former.rowCount + place,
    );
    const columns = all.columns.map((column) => gather(column, index, index.length));
    return { rowCount: index.length, columns, origins: noOrigins(index.length) };
  }
}
