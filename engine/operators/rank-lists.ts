import type { ByteBuffer } from '../byte-buffer.ts';
import { ByteCells } from '../state/byte-cells.ts';
import { compareBytes } from './sort-keys.ts';

/**
 * Rows per key in the order of their sort keys, equal ones in the order in which they came, with the numbers that say
 * where each stands. Linked lists in typed arrays; rows and keys are small whole numbers of others' making.
 *
 * Invariant: a row's numbers are right up to the first row that was added since they were counted.
 */
export class RankLists {
  /** By row: its sort key's bytes. */
  readonly #order = new ByteCells();
  #previous = new Int32Array(0);
  #next = new Int32Array(0);
  /** By row: row_number, rank and dense_rank as last counted; 0 = not yet. */
  #place = new Int32Array(0);
  #rank = new Int32Array(0);
  #denseRank = new Int32Array(0);
  /** By key: the first and the last row, plus one, and how many there are. */
  #first = new Int32Array(0);
  #last = new Int32Array(0);
  #count = new Int32Array(0);

  /** Memory held. */
  get bytes(): number {
    return this.#order.bytes + 20 * this.#next.length + 12 * this.#first.length;
  }

  countOf(key: number): number {
    return this.#count[key] ?? 0;
  }

  /** The first row of a key; -1 = none. */
  firstOf(key: number): number {
    return (this.#first[key] ?? 0) - 1;
  }

  lastOf(key: number): number {
    return (this.#last[key] ?? 0) - 1;
  }

  /** The row `offset` places behind another one, before it when negative; -1 = there is none. */
  at(row: number, offset: number): number {
    let found = row;
    for (let step = offset; step > 0 && found >= 0; step--) found = this.#next[found] as number;
    for (let step = offset; step < 0 && found >= 0; step++) found = this.#previous[found] as number;
    return found;
  }

  placeOf(row: number): number {
    return this.#place[row] as number;
  }

  rankOf(row: number): number {
    return this.#rank[row] as number;
  }

  denseRankOf(row: number): number {
    return this.#denseRank[row] as number;
  }

  /** The row behind which one with this sort key belongs; -1 = it is the first. */
  findPlace(key: number, sortKey: ByteBuffer): number {
    let row = this.lastOf(key);
    while (row >= 0 && this.#compareTo(row, sortKey) > 0) row = this.#previous[row] as number;
    return row;
  }

  /** Puts a row behind another one of its key (-1 = first). Its numbers are 0. */
  insert(key: number, row: number, behind: number, sortKey: ByteBuffer): void {
    this.#ensure(key, row);
    this.#order.set(row, sortKey.bytes, 0, sortKey.length);
    const next = behind < 0 ? this.firstOf(key) : (this.#next[behind] as number);
    this.#previous[row] = behind;
    this.#next[row] = next;
    if (behind < 0) this.#first[key] = row + 1;
    else this.#next[behind] = row;
    if (next < 0) this.#last[key] = row + 1;
    else this.#previous[next] = row;
    this.#place[row] = 0;
    this.#count[key] = (this.#count[key] as number) + 1;
  }

  /** Takes the last row of a key out; its numbers and its sort key can still be read. */
  dropLast(key: number): number {
    const row = this.lastOf(key);
    const previous = this.#previous[row] as number;
    if (previous < 0) this.#first[key] = 0;
    else this.#next[previous] = -1;
    this.#last[key] = previous + 1;
    this.#count[key] = (this.#count[key] as number) - 1;
    return row;
  }

  /** Forgets a row that is in no list any more. */
  forget(row: number): void {
    this.#order.clear(row);
  }

  /** Empties a key's list; its rows, which are to be forgotten. */
  clear(key: number): number[] {
    const rows: number[] = [];
    for (let row = this.firstOf(key); row >= 0; row = this.#next[row] as number) rows.push(row);
    if (rows.length > 0) {
      this.#first[key] = 0;
      this.#last[key] = 0;
      this.#count[key] = 0;
    }
    return rows;
  }

  /** Puts a key's rows, which stand in the order in which they came, in the order of their sort keys. */
  sort(key: number): void {
    const rows = this.clear(key).sort((a, b) => this.#compare(a, b));
    rows.forEach((row, index) => {
      this.#previous[row] = rows[index - 1] ?? -1;
      this.#next[row] = rows[index + 1] ?? -1;
    });
    this.#first[key] = (rows[0] ?? -1) + 1;
    this.#last[key] = (rows.at(-1) ?? -1) + 1;
    this.#count[key] = rows.length;
  }

  /** Whether a row has this sort key. */
  isEqual(row: number, sortKey: ByteBuffer): boolean {
    return this.#compareTo(row, sortKey) === 0;
  }

  /** How many rows at the end of a key's list are equal, the last one among them. */
  countEqualToLast(key: number): number {
    const last = this.lastOf(key);
    let count = 0;
    for (let row = last; row >= 0 && this.#compare(row, last) === 0; row = this.#previous[row] as number) count++;
    return count;
  }

  /** Whether a row comes before another one of its key, by sort key alone. */
  isBefore(row: number, other: number): boolean {
    return this.#compare(row, other) < 0;
  }

  /** Counts a row anew, behind the one before it. */
  number(row: number): void {
    const before = this.#previous[row] as number;
    const place = before < 0 ? 1 : (this.#place[before] as number) + 1;
    const isTied = before >= 0 && this.#compare(before, row) === 0;
    this.#place[row] = place;
    this.#rank[row] = isTied ? (this.#rank[before] as number) : place;
    const denseBefore = before < 0 ? 0 : (this.#denseRank[before] as number);
    this.#denseRank[row] = isTied ? denseBefore : denseBefore + 1;
  }

  #compare(a: number, b: number): number {
    const { data, start, length } = this.#order;
    return compareBytes(data, start[a] as number, length[a] as number, data, start[b] as number, length[b] as number);
  }

  #compareTo(row: number, { bytes, length }: ByteBuffer): number {
    const { data, start } = this.#order;
    return compareBytes(data, start[row] as number, this.#order.length[row] as number, bytes, 0, length);
  }

  #ensure(key: number, row: number): void {
    if (row >= this.#next.length) {
      const size = Math.max(64, row + 1, Math.ceil(this.#next.length * 1.5));
      this.#previous = widened(this.#previous, size);
      this.#next = widened(this.#next, size);
      this.#place = widened(this.#place, size);
      this.#rank = widened(this.#rank, size);
      this.#denseRank = widened(this.#denseRank, size);
    }
    if (key >= this.#first.length) {
      const size = Math.max(64, key + 1, Math.ceil(this.#first.length * 1.5));
      this.#first = widened(this.#first, size);
      this.#last = widened(this.#last, size);
      this.#count = widened(this.#count, size);
    }
  }
}

function widened(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(array);
  return larger;
}
