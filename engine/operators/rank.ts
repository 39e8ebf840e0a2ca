import { must } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { buildColumn, readValue } from '../sql/runtime/boxed.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putVarint } from '../state/bytes-out.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyRows } from '../state/key-rows.ts';
import { RowStore } from '../state/row-store.ts';
import { identity } from './aggregate-accumulator.ts';
import { FORMER, GIVEN, presentRows, type Wanted, WITHDRAWN } from './changes.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { checkFormat } from './group-format.ts';
import { ListedGroupStates } from './group-states.ts';
import { timeReader } from './join-side.ts';
import { noOrigins } from './picked-rows.ts';
import { RankLists } from './rank-lists.ts';
import { SortKeys } from './sort-keys.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

type RankPlan = Extract<StatePlan, { kind: 'rank' }>;
type RankCall = RankPlan['calls'][number];

/** Of a key group's stored state. */
export const RANK_FORMAT = 1;

/**
 * Rows numbered per key: row_number, rank, dense_rank, lag and lead over the rows of a key in order; rows that are equal
 * in it stand as they came. State: the rows of each key, or with a limit the first ones alone (and those behind them
 * that lead reaches, or with `ties` those that are equal to the last of them), for a row that was pushed out never comes
 * back.
 *
 * - update: rows whose values are new come out, where it is wanted behind their former values. Those that a better one
 *   pushed beyond the limit are withdrawn, before the rest.
 * - append: the rows of a key come out once, when its event time is at or below the watermark, and are forgotten.
 * - complete: all rows of all keys.
 */
export class Rank extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: RankPlan;
  readonly #input: Schema;
  readonly #rowKeys: KeyRows;
  readonly #sortKeys: SortKeys;
  readonly #keys = new KeyDictionary();
  readonly #expiry: ExpiryQueue | null;
  readonly #rows: RowStore;
  readonly #lists = new RankLists();
  /** By call and row: what was last given. */
  readonly #given: Int32Array<ArrayBuffer>[];
  /** Rows kept per key: those within the limit, and those that lead reaches from there. */
  readonly #keptMax: number;
  /** How far behind a row its values look. */
  readonly #reach: number;
  readonly #sortKey = new ByteBuffer();
  readonly #runtime = new Runtime(utc);
  readonly #givesFormer: boolean;
  /**
   * Whether a key's rows stand as they came until they come out: with each put in its place at once, a window of n rows
   * would take n² steps.
   */
  readonly #sortsLate: boolean;
  #evicted = 0;

  constructor(plan: RankPlan, inputs: readonly Schema[], wanted: Wanted = presentRows) {
    super();
    this.#plan = plan;
    this.#givesFormer = plan.mode === 'update' && wanted.former;
    this.#sortsLate = plan.mode === 'append' && plan.limit === null;
    this.#input = must(inputs[0], () => 'a rank has no input');
    const calls = plan.calls.map(({ name, type }) => ({ name, type, nullable: true }));
    this.output = [...this.#input.slice(plan.keyCount), ...calls];
    this.#rowKeys = new KeyRows(this.#input.slice(0, plan.keyCount).map(({ type }) => type));
    this.#sortKeys = new SortKeys(this.#input, plan.by);
    this.#expiry = plan.eventTime === null ? null : new ExpiryQueue();
    this.#rows = new RowStore(this.#input);
    this.#given = plan.calls.map(() => new Int32Array(0));
    this.#reach = Math.max(0, ...plan.calls.map(stepOf));
    this.#keptMax = (plan.limit ?? Infinity) + this.#reach;
  }

  fold(inputs: readonly StateInput[], env: EpochEnv): StateOutput {
    const out = new Output();
    this.#evicted = 0;
    this.#runtime.reset(noOrigins(0));
    for (const input of inputs) this.#add(input, out);
    const { mode } = this.#plan;
    if (mode === 'update') for (const [key, earliest] of out.touched) this.#showChanges(key, earliest, out);
    this.#evict(env.evictUs - this.#plan.watermarkLagUs, out);
    if (mode === 'complete')
      for (const group of this.byGroup.groups()) for (const key of this.byGroup.idsOf(group)) this.#showAll(key, out);
    return this.#finish(out, env);
  }

  #add(input: StateInput, out: Output): void {
    const { batch, groups } = input;
    const keys = this.#rowKeys;
    keys.encode(batch.columns, identity(batch.rowCount), batch.rowCount);
    this.#sortKeys.bind(batch.columns);
    this.#rows.bind(batch.columns);
    const timeOf = this.#timeOf(batch.columns);
    for (let row = 0; row < batch.rowCount; row++) {
      const known = this.#keys.size;
      const key = this.#keys.addKey(keys, row);
      const group = groups[row] as number;
      if (this.#keys.size > known) this.#begin(key, group, timeOf(row));
      this.#sortKey.clear();
      this.#sortKeys.encode(row, this.#sortKey);
      const behind = this.#sortsLate ? this.#lists.lastOf(key) : this.#lists.findPlace(key, this.#sortKey);
      const isFull = this.#lists.countOf(key) >= this.#keptMax;
      if (isFull && behind === this.#lists.lastOf(key) && !this.#isTied(behind)) continue;
      const id = this.#rows.add(row);
      this.#insert(key, id, behind);
      const earliest = out.touched.get(key);
      if (earliest === undefined || this.#lists.isBefore(id, earliest)) out.touched.set(key, id);
      if (isFull) this.#dropBeyond(key, group, out);
      this.changed.add(group);
    }
  }

  /** Does the row at hand stay with the last one within the limit, which it is equal to? */
  #isTied(last: number): boolean {
    return last >= 0 && this.#plan.ties === true && this.#lists.isEqual(last, this.#sortKey);
  }

  /** After a row came to a full key: those that are not within its limit any more make room. */
  #dropBeyond(key: number, group: number, out: Output): void {
    if (this.#plan.ties !== true) return this.#dropLast(key, group, out);
    const equal = this.#lists.countEqualToLast(key);
    if (this.#lists.countOf(key) - equal < this.#keptMax) return;
    for (let left = equal; left > 0; left--) this.#dropLast(key, group, out);
  }

  #begin(key: number, group: number, time: number): void {
    this.byGroup.add(group, key);
    this.changed.add(group);
    if (!Number.isNaN(time)) this.#expiry?.add(key, time);
  }

  #insert(key: number, id: number, behind: number): void {
    this.#lists.insert(key, id, behind, this.#sortKey);
    for (const [call, given] of this.#given.entries()) {
      if (id < given.length) continue;
      const larger = new Int32Array(Math.max(64, id + 1, Math.ceil(given.length * 1.5)));
      larger.set(given);
      this.#given[call] = larger;
    }
  }

  /** The last row of a key makes room; it is withdrawn if it has been given out. */
  #dropLast(key: number, group: number, out: Output): void {
    const row = this.#lists.dropLast(key);
    const place = this.#lists.placeOf(row);
    if (this.#plan.mode === 'update' && place > 0 && this.#isShown(row)) this.#emit(row, group, true, out);
    out.dropped.push(row);
  }

  /** By the row's numbers as last counted. */
  #isShown(row: number): boolean {
    const { limit, ties } = this.#plan;
    return limit === null || (ties === true ? this.#lists.rankOf(row) : this.#lists.placeOf(row)) <= limit;
  }

  /** Counts a key's rows from the first new one on, and gives out those with new values. */
  #showChanges(key: number, earliest: number, out: Output): void {
    const group = this.byGroup.groupOf(key);
    let from = earliest;
    for (let step = 0; step < this.#reach; step++) {
      const before = this.#lists.at(from, -1);
      if (before < 0) break;
      from = before;
    }
    for (let row = from; row >= 0; row = this.#lists.at(row, 1)) {
      const wasShown = this.#lists.placeOf(row) > 0 && this.#isShown(row);
      this.#lists.number(row);
      if (this.#isShown(row)) {
        const former = wasShown && this.#givesFormer ? this.#givenTo(row) : null;
        if (this.#give(row) || !wasShown) this.#emit(row, group, false, out, former);
      } else if (wasShown) {
        this.#emit(row, group, true, out);
      }
    }
  }

  #showAll(key: number, out: Output): void {
    const group = this.byGroup.groupOf(key);
    for (let row = this.#lists.firstOf(key); row >= 0; row = this.#lists.at(row, 1)) {
      this.#lists.number(row);
      if (!this.#isShown(row)) return;
      this.#give(row);
      this.#emit(row, group, false, out);
    }
  }

  /** Computes a row's values; true when one differs from what was last given. Rows are given as their id plus one. */
  #give(row: number): boolean {
    let isNew = false;
    for (const [index, call] of this.#plan.calls.entries()) {
      const value = this.#valueOf(call, row);
      const given = must(this.#given[index], () => 'a call has no values');
      if (given[row] === value) continue;
      given[row] = value;
      isNew = true;
    }
    return isNew;
  }

  #valueOf(call: RankCall, row: number): number {
    switch (call.function) {
      case 'row_number':
        return this.#lists.placeOf(row);
      case 'rank':
        return this.#lists.rankOf(row);
      case 'dense_rank':
        return this.#lists.denseRankOf(row);
      case 'lag':
      case 'lead':
        return this.#lists.at(row, stepOf(call)) + 1;
    }
  }

  #givenTo(row: number): number[] {
    return this.#given.map((given) => given[row] as number);
  }

  #emit(row: number, group: number, isDelete: boolean, out: Output, former: readonly number[] | null = null): void {
    out.shown.push({ row, group, isDelete, values: this.#givenTo(row), former });
  }

  #evict(watermark: number, out: Output): void {
    if (this.#expiry === null || watermark === -Infinity || this.#plan.mode === 'complete') return;
    for (let key = this.#expiry.take(watermark, true); key >= 0; key = this.#expiry.take(watermark, true)) {
      if (this.#sortsLate) this.#lists.sort(key);
      if (this.#plan.mode === 'append') this.#showAll(key, out);
      this.#evicted += this.#lists.countOf(key);
      this.changed.add(this.byGroup.groupOf(key));
      out.dropped.push(...this.#remove(key));
    }
  }

  /** Forgets a key; its rows, which are in no list any more. */
  #remove(key: number): number[] {
    this.byGroup.remove(key);
    this.#keys.remove(key);
    this.#expiry?.remove(key);
    return this.#lists.clear(key);
  }

  #forget(rows: readonly number[]): void {
    for (const row of rows) {
      this.#lists.forget(row);
      this.#rows.remove(row);
    }
  }

  #finish(out: Output, env: EpochEnv): StateOutput {
    const deleted = out.shown.filter(({ isDelete }) => isDelete);
    const given = out.shown.filter(({ isDelete }) => !isDelete);
    const shown: Shown[] = [...deleted];
    const changes: number[] = deleted.map(() => WITHDRAWN);
    for (const entry of given) {
      if (entry.former !== null) {
        shown.push({ ...entry, values: entry.former });
        changes.push(FORMER);
      }
      shown.push(entry);
      changes.push(GIVEN);
    }
    const batch = this.#batchOf(shown, env);
    this.#forget(out.dropped);
    const groups = Uint8Array.from(shown, ({ group }) => group);
    return { batch, groups, changes: shown.length === given.length ? null : Uint8Array.from(changes) };
  }

  #batchOf(shown: readonly Shown[], { epochTsUs }: EpochEnv): ColumnBatch {
    const count = shown.length;
    const rows = Int32Array.from(shown, ({ row }) => row);
    const all = this.#rows.gather(rows, count);
    const columns = all.slice(this.#plan.keyCount);
    for (const [index, call] of this.#plan.calls.entries()) {
      const values = Int32Array.from(shown, (entry) => entry.values[index] as number);
      const isOther = call.function === 'lag' || call.function === 'lead';
      columns.push(isOther ? this.#valuesAt(call, values, all) : numbersOf(call, values));
    }
    const origins = noOrigins(count);
    origins.timestampMs.fill(epochTsUs / 1000);
    return { rowCount: count, columns, origins };
  }

  /** The values of lag or lead: of another row's column (id plus one), of the row's own where there is no other. */
  #valuesAt(call: RankCall, sources: Int32Array, own: readonly Column[]): Column {
    const count = sources.length;
    const ids = sources.map((source) => source - 1);
    const found = must(this.#rows.gather(ids, count)[call.column], () => `column ${call.column} is missing`);
    const fallback = call.default < 0 ? undefined : own[call.default];
    if (fallback === undefined || !ids.includes(-1)) return found;
    const values = Array.from(ids, (id, row) => readValue(this.#runtime, id < 0 ? fallback : found, row, call.type));
    return buildColumn(this.#runtime, call.type, values);
  }

  #timeOf(columns: readonly Column[]): (row: number) => number {
    const { eventTime } = this.#plan;
    return eventTime === null ? () => Number.NaN : timeReader(columns, eventTime.column);
  }

  /** Format; then each key in the order of arrival: its length and bytes, its rows' number, and each row in order with its length. */
  encodeGroup(group: number): Uint8Array | null {
    if (this.byGroup.sizeOf(group) === 0) return null;
    const out = new ByteBuffer();
    putByte(out, RANK_FORMAT);
    for (const key of this.byGroup.idsOf(group)) {
      const from = this.#keys.start[key] as number;
      const size = this.#keys.length[key] as number;
      putVarint(out, size);
      out.append(this.#keys.data, from, from + size);
      putVarint(out, this.#lists.countOf(key));
      for (let row = this.#lists.firstOf(key); row >= 0; row = this.#lists.at(row, 1)) {
        putVarint(out, this.#rows.length[row] as number);
        this.#rows.encode(row, out);
      }
    }
    return out.copy();
  }

  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, RANK_FORMAT);
    while (!reader.done) {
      const keySize = reader.varint();
      const keyFrom = reader.skip(keySize);
      const ids: number[] = [];
      for (let left = reader.varint(); left > 0; left--) {
        const size = reader.varint();
        const from = reader.skip(size);
        ids.push(this.#rows.addBytes(bytes, from, from + size));
      }
      this.#restoreKey(this.#keys.add(bytes, keyFrom, keyFrom + keySize), group, ids);
    }
  }

  #restoreKey(key: number, group: number, ids: readonly number[]): void {
    const columns = this.#rows.gather(ids, ids.length);
    this.byGroup.add(group, key);
    const time = ids.length === 0 ? Number.NaN : this.#timeOf(columns)(0);
    if (!Number.isNaN(time)) this.#expiry?.add(key, time);
    this.#sortKeys.bind(columns);
    ids.forEach((id, row) => {
      this.#sortKey.clear();
      this.#sortKeys.encode(row, this.#sortKey);
      this.#insert(key, id, this.#lists.lastOf(key));
    });
    if (this.#plan.mode !== 'update') return;
    for (const id of ids) {
      this.#lists.number(id);
      this.#give(id);
    }
  }

  dropGroup(group: number): void {
    for (const key of this.byGroup.idsOf(group)) this.#forget(this.#remove(key));
    this.changed.delete(group);
  }

  figures(): StateFigures {
    return {
      rows: this.#rows.size,
      bytes:
        this.#rows.bytes +
        this.#keys.bytes +
        this.byGroup.bytes +
        this.#lists.bytes +
        (this.#expiry?.bytes ?? 0) +
        this.#given.reduce((sum, given) => sum + given.byteLength, 0),
      evicted: this.#evicted,
    };
  }
}

/** How many rows behind its own a call looks. */
function stepOf({ function: name, offset }: RankCall): number {
  return name === 'lead' ? offset : name === 'lag' ? -offset : 0;
}

/** The values of a call that counts. */
export function numbersOf({ type }: { readonly type: DataType }, values: Int32Array): Column {
  const valid = new Uint8Array(values.length).fill(1);
  if (type.kind !== 'bigint') return { kind: 'i32', values, valid };
  const longs = BigInt64Array.from(values, BigInt);
  return { kind: 'i64', values: longs, words: new Int32Array(longs.buffer), valid };
}

interface Shown {
  readonly row: number;
  readonly group: number;
  readonly isDelete: boolean;
  /** One per call. */
  readonly values: readonly number[];
  /** What a row that is given anew had before, where that matters. */
  readonly former: readonly number[] | null;
}

/** What an epoch brings out, by rows of the store. */
class Output {
  /** Keys with new rows, in the order in which they came, and the first of the new rows of each. */
  readonly touched = new Map<number, number>();
  readonly shown: Shown[] = [];
  /** Rows to forget once they are out. */
  readonly dropped: number[] = [];
}
