import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putVarint } from '../state/bytes-out.ts';
import { IdList } from '../state/id-list.ts';
import { GroupedIdPool } from '../state/id-pool.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyRows } from '../state/key-rows.ts';
import { RowCodec } from '../state/row-codec.ts';
import { grownCapacity, type StateColumn, stateColumnOf } from '../state/state-columns.ts';
import { identity } from './aggregate-accumulator.ts';
import { compareOf, type CompareCell } from './aggregate-values.ts';
import { isThere } from './aggregate-sums.ts';
import { WITHDRAWN } from './changes.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { checkFormat } from './group-format.ts';
import { ListedGroupStates } from './group-states.ts';
import { timeReader } from './join-side.ts';
import { noOrigins } from './picked-rows.ts';
import { numbersOf, RANK_FORMAT } from './rank.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

/** What is kept of the memory of an unusually large group. */
const KEPT_BYTES_MAX = 1024 * 1024;

type RankPlan = Extract<StatePlan, { kind: 'rank' }>;

/** Whether one row is all that a rank keeps of a key. */
export function keepsOneRow({ limit, ties, calls, by }: RankPlan, input: Schema): boolean {
  const isPlain = ({ column }: RankPlan['by'][number]): boolean => {
    const kind = input[column]?.type.kind;
    return kind !== 'array' && kind !== 'struct' && kind !== 'map';
  };
  const isOwn = ({ function: name }: RankPlan['calls'][number]): boolean => name !== 'lag' && name !== 'lead';
  return limit === 1 && ties !== true && calls.every(isOwn) && by.every(isPlain);
}

/**
 * `Rank` where it keeps the first row of each key alone: the newest state of a thing, the best of a window. No lists and
 * no numbers: a cell per key and column, and what is stored is the same. A row takes the place of the one before only if
 * it stands before it, so that of equal ones the first to come stays.
 *
 * - update: the new first rows come out, behind the withdrawal of those whose places they took.
 * - append: a row comes out once, when the event time of its key is at or below the watermark, and is forgotten.
 * - complete: all rows.
 *
 * Invariant: a key of the dictionary is in one group's list and has one slot, and it is in the expiry queue if and only
 * if it has a time; other slots are free.
 */
export class FirstRow extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: RankPlan;
  readonly #input: Schema;
  readonly #rowKeys: KeyRows;
  readonly #keys = new KeyDictionary('byGroup');
  readonly #expiry: ExpiryQueue | null;
  /** What is kept of the input: what comes out, and by what rows are told apart. The keys are in the dictionary. */
  readonly #kept: readonly Kept[];
  readonly #order: readonly Order[];
  /** Those of a group lie together: snapshots walk it. */
  readonly #slots = new GroupedIdPool();
  #capacity = 0;
  /** By key: its row's slot, that of the row which it had before the epoch (-1 = none), and the fold that changed it. */
  #slotOf = new Int32Array(0);
  #formerOf = new Int32Array(0);
  #changedIn = new Uint32Array(0);
  #fold = 0;
  /** Of the rows of one input that are kept: slots, and rows. */
  #to = new Int32Array(0);
  #from = new Int32Array(0);
  /** Of the columns behind the keys. */
  readonly #codec: RowCodec;
  /** Of one group on its way into a snapshot. */
  readonly #rowBytes = new ByteBuffer();
  #rowStart = new Int32Array(0);
  readonly #out = new ByteBuffer();
  #evicted = 0;

  /** A plan that `keepsOneRow` is true of. */
  constructor(plan: RankPlan, inputs: readonly Schema[]) {
    super();
    this.#plan = plan;
    this.#input = must(inputs[0], () => 'a rank has no input');
    const calls = plan.calls.map(({ name, type }) => ({ name, type, nullable: true }));
    this.output = [...this.#input.slice(plan.keyCount), ...calls];
    this.#rowKeys = new KeyRows(this.#input.slice(0, plan.keyCount).map(({ type }) => type));
    this.#codec = new RowCodec(this.#input.slice(plan.keyCount));
    this.#expiry = plan.eventTime === null ? null : new ExpiryQueue();
    const isOrdered = new Set(plan.by.map(({ column }) => column));
    this.#kept = this.#input.flatMap(({ type }, column): Kept[] =>
      column < plan.keyCount && !isOrdered.has(column)
        ? []
        : [{ column, cells: stateColumnOf(type), isOrdered: isOrdered.has(column) }],
    );
    this.#order = plan.by.map(({ column, descending, nullsFirst }) => {
      const { cells } = must(
        this.#kept.find((kept) => kept.column === column),
        () => `sort column ${column} is no column`,
      );
      const type = must(this.#input[column], () => `sort column ${column} is no column`).type;
      const compare = compareOf(type, cells);
      return { column, cells, compare, sign: descending ? -1 : 1, nullsFirst };
    });
  }

  fold(inputs: readonly StateInput[], env: EpochEnv): StateOutput {
    this.#fold++;
    this.#evicted = 0;
    const touched = new IdList();
    for (const input of inputs) this.#add(input, touched);
    const watermark = env.evictUs - this.#plan.watermarkLagUs;
    const output = this.#give(touched, watermark);
    this.#forgetFormer(touched);
    return output;
  }

  #add({ batch, groups }: StateInput, touched: IdList): void {
    const { columns, rowCount } = batch;
    const keys = this.#rowKeys;
    keys.encode(columns, identity(rowCount), rowCount);
    const timeOf = this.#timeOf(columns);
    if (this.#to.length < rowCount) {
      this.#to = new Int32Array(Math.max(rowCount, 2 * this.#to.length));
      this.#from = new Int32Array(this.#to.length);
    }
    let count = 0;
    for (let row = 0; row < rowCount; row++) {
      const known = this.#keys.size;
      const key = this.#keys.addKey(keys, row);
      const isNew = this.#keys.size > known;
      if (isNew) this.#begin(key, groups[row]!, timeOf(row));
      else if (!this.#isBefore(columns, row, this.#slotOf[key]!)) continue;
      if (this.#changedIn[key] !== this.#fold) this.#touch(key, groups[row]!, isNew, touched);
      const slot = this.#slotOf[key]!;
      this.changed.add(groups[row]!);
      // The rows that follow are compared to it.
      for (const { cells, column } of this.#order) cells.set(slot, columns[column]!, row);
      this.#to[count] = slot;
      this.#from[count++] = row;
    }
    for (const { cells, column, isOrdered } of this.#kept) {
      if (isOrdered) continue;
      const values = must(columns[column], () => `column ${column} is missing`);
      for (let index = 0; index < count; index++) cells.set(this.#to[index]!, values, this.#from[index]!);
    }
  }

  /** The first change of a key in an epoch: the row that it had stays until it is withdrawn. */
  #touch(key: number, group: number, isNew: boolean, touched: IdList): void {
    this.#changedIn[key] = this.#fold;
    touched.add(key);
    if (isNew) return;
    this.#formerOf[key] = this.#slotOf[key]!;
    this.#slotOf[key] = this.#takeSlot(group);
  }

  #isBefore(columns: readonly Column[], row: number, slot: number): boolean {
    const order = this.#order;
    for (let index = 0; index < order.length; index++) {
      const { column, cells, compare, sign, nullsFirst } = order[index]!;
      const values = columns[column]!;
      const hasValue = isThere(values, row);
      const hadValue = !cells.isNull(slot);
      if (!hasValue || !hadValue) {
        if (hasValue === hadValue) continue;
        return hasValue !== nullsFirst;
      }
      const difference = compare(cells, slot, values, row) * sign;
      if (difference !== 0) return difference > 0;
    }
    return false;
  }

  #begin(key: number, group: number, time: number): void {
    if (key >= this.#slotOf.length) {
      const size = grownCapacity(this.#slotOf.length, key + 1);
      this.#slotOf = widened(this.#slotOf, new Int32Array(size));
      this.#formerOf = widened(this.#formerOf, new Int32Array(size));
      this.#changedIn = widened(this.#changedIn, new Uint32Array(size));
    }
    this.#slotOf[key] = this.#takeSlot(group);
    this.#formerOf[key] = -1;
    this.#changedIn[key] = 0;
    this.byGroup.add(group, key);
    if (!Number.isNaN(time)) this.#expiry?.add(key, time);
  }

  #takeSlot(group: number): number {
    const slot = this.#slots.take(group);
    if (slot >= this.#capacity) {
      this.#capacity = grownCapacity(this.#capacity, slot + 1);
      for (const { cells } of this.#kept) cells.ensure(this.#capacity);
    }
    return slot;
  }

  #timeOf(columns: readonly Column[]): (row: number) => number {
    const { eventTime } = this.#plan;
    return eventTime === null ? () => Number.NaN : timeReader(columns, eventTime.column);
  }

  // ---- what comes out -------------------------------------------------------------------------------------------

  #give(touched: IdList, watermark: number): StateOutput {
    const { mode } = this.#plan;
    const [former, given] = [new IdList(), new IdList()];
    const groups: number[] = [];
    const put = (list: IdList, key: number, slot: number): void => {
      list.add(slot);
      groups.push(this.byGroup.groupOf(key));
    };
    if (mode === 'update') {
      for (let index = 0; index < touched.count; index++) {
        const key = touched.ids[index]!;
        if (this.#formerOf[key]! >= 0) put(former, key, this.#formerOf[key]!);
      }
      for (let index = 0; index < touched.count; index++)
        put(given, touched.ids[index]!, this.#slotOf[touched.ids[index]!]!);
    }
    const due = mode === 'complete' ? new IdList() : this.#due(watermark);
    if (mode === 'append')
      for (let index = 0; index < due.count; index++) put(given, due.ids[index]!, this.#slotOf[due.ids[index]!]!);
    if (mode === 'complete')
      for (const group of this.byGroup.groups())
        for (const key of this.byGroup.idsOf(group)) put(given, key, this.#slotOf[key]!);
    const withdrawn = former.count;
    former.addAll(given);
    const changes = withdrawn === 0 ? null : new Uint8Array(former.count).fill(WITHDRAWN, 0, withdrawn);
    const output = { batch: this.#batchOf(former), groups: Uint8Array.from(groups), changes };
    this.#forget(due);
    return output;
  }

  #batchOf({ ids, count }: IdList): StateOutput['batch'] {
    const { keyCount, calls } = this.#plan;
    const own = this.#kept.filter(({ column }) => column >= keyCount).map(({ cells }) => cells.gather(ids, count));
    const numbers = calls.map((call) => numbersOf(call, new Int32Array(count).fill(1)));
    return { rowCount: count, columns: [...own, ...numbers], origins: noOrigins(count) };
  }

  /** Keys whose rows are final, taken out of the queue. */
  #due(watermark: number): IdList {
    const due = new IdList();
    if (this.#expiry === null || watermark === -Infinity) return due;
    for (let key = this.#expiry.take(watermark, true); key >= 0; key = this.#expiry.take(watermark, true)) due.add(key);
    return due;
  }

  #forget({ ids, count }: IdList): void {
    for (let index = 0; index < count; index++) {
      this.changed.add(this.byGroup.groupOf(ids[index]!));
      this.#remove(ids[index]!);
    }
    this.#evicted += count;
  }

  #forgetFormer({ ids, count }: IdList): void {
    for (let index = 0; index < count; index++) {
      const key = ids[index]!;
      if (this.#formerOf[key]! >= 0) this.#freeSlot(this.#formerOf[key]!, this.byGroup.groupOf(key));
      this.#formerOf[key] = -1;
    }
  }

  #remove(key: number): void {
    this.#expiry?.remove(key);
    this.byGroup.remove(key);
    this.#keys.remove(key);
    this.#freeSlot(this.#slotOf[key]!, this.byGroup.groupOf(key));
  }

  #freeSlot(slot: number, group: number): void {
    for (const { cells } of this.#kept) cells.clear(slot);
    this.#slots.give(slot, group);
  }

  // ---- snapshots ------------------------------------------------------------------------------------------------

  /** As `Rank` stores keys of one row. */
  encodeGroup(group: number): Uint8Array | null {
    if (this.byGroup.sizeOf(group) === 0) return null;
    const keys = this.byGroup.idsOf(group);
    const rows = this.#rowBytes;
    if (this.#rowStart.length <= keys.length) this.#rowStart = new Int32Array(2 * keys.length + 2);
    rows.clear();
    this.#codec.bind(this.#ownOf(keys)).encodeAll(identity(keys.length), keys.length, rows, this.#rowStart);
    const out = this.#out;
    out.clear();
    putByte(out, RANK_FORMAT);
    this.#putKeys(keys, out);
    const stored = out.copy();
    rows.shrink(KEPT_BYTES_MAX);
    out.shrink(KEPT_BYTES_MAX);
    return stored;
  }

  /** Each key with its length, then one row with its length: the key, which rows begin with, and the other columns. */
  #putKeys(keys: Int32Array, out: ByteBuffer): void {
    const { data, start, length } = this.#keys;
    const rows = this.#rowBytes.bytes;
    const rowStart = this.#rowStart;
    let total = rowStart[keys.length]! + 11 * keys.length;
    for (let index = 0; index < keys.length; index++) total += 2 * length[keys[index]!]!;
    out.reserve(total);
    const { bytes } = out;
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index]!;
      const size = length[key]!;
      const from = start[key]!;
      const [first, last] = [rowStart[index]!, rowStart[index + 1]!];
      putVarint(out, size);
      let at = out.length;
      for (let byte = 0; byte < size; byte++) bytes[at++] = data[from + byte]!;
      bytes[at++] = 1;
      out.length = at;
      putVarint(out, size + last - first);
      at = out.length;
      for (let byte = 0; byte < size; byte++) bytes[at++] = data[from + byte]!;
      for (let byte = first; byte < last; byte++) bytes[at++] = rows[byte]!;
      out.length = at;
    }
  }

  /** The rows of keys without the keys. */
  #ownOf(keys: Int32Array): Column[] {
    const slots = new Int32Array(keys.length);
    for (let index = 0; index < slots.length; index++) slots[index] = this.#slotOf[keys[index]!]!;
    return this.#kept
      .filter(({ column }) => column >= this.#plan.keyCount)
      .map(({ cells }) => cells.gather(slots, slots.length));
  }

  /** Throws: STATE_DAMAGED. */
  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, RANK_FORMAT);
    const keys: { readonly from: number; readonly size: number }[] = [];
    const starts: number[] = [];
    while (!reader.done) {
      const size = reader.varint();
      const from = reader.skip(size);
      if (reader.varint() !== 1) throw damaged();
      keys.push({ from, size });
      starts.push(reader.skip(reader.varint()));
    }
    const columns = new RowCodec(this.#input).decodeAll(bytes, starts, identity(keys.length), keys.length);
    const timeOf = this.#timeOf(columns);
    for (const [row, { from, size }] of keys.entries()) {
      const key = this.#keys.add(bytes, from, from + size);
      this.#begin(key, group, timeOf(row));
      for (const { cells, column } of this.#kept) cells.set(this.#slotOf[key]!, columns[column]!, row);
    }
  }

  dropGroup(group: number): void {
    for (const key of this.byGroup.idsOf(group)) this.#remove(key);
    this.changed.delete(group);
  }

  figures(): StateFigures {
    let bytes = this.#keys.bytes + this.byGroup.bytes + this.#slots.bytes + 12 * this.#slotOf.length;
    for (const { cells } of this.#kept) bytes += cells.bytes;
    return { rows: this.#keys.size, bytes: bytes + (this.#expiry?.bytes ?? 0), evicted: this.#evicted };
  }
}

/** A column of the input that is kept. */
interface Kept {
  readonly column: number;
  readonly cells: StateColumn;
  readonly isOrdered: boolean;
}

interface Order {
  readonly column: number;
  readonly cells: StateColumn;
  readonly compare: CompareCell;
  /** -1 = the greatest first. */
  readonly sign: 1 | -1;
  readonly nullsFirst: boolean;
}

function damaged(): WeirError {
  return new WeirError(
    'STATE_DAMAGED',
    'The stored state of a key holds another number of rows than the one that its job keeps; restore an older snapshot or savepoint.',
  );
}

function widened<T extends Int32Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
