import { must } from '../../core/assert.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import type { Column, ColumnBatch, Int64Column } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import { copyOf } from '../epoch/frame.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import type { KeyEncoder } from '../state/key-encoder.ts';
import { KeyRows } from '../state/key-rows.ts';
import { grownCapacity } from '../state/state-columns.ts';
import { identity } from './aggregate-accumulator.ts';
import { encodeGroups, restoreGroups } from './aggregate-sections.ts';
import { AggregateSet } from './aggregate-set.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { AGAIN, FORMER, GIVEN, isPast, presentRows, SAME, type Wanted, WITHDRAWN } from './changes.ts';
import { GivenRows } from './given-rows.ts';
import { ListedGroupStates } from './group-states.ts';
import type { FailureLog } from './operator.ts';
import { noOrigins } from './picked-rows.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

type AggregateStatePlan = Extract<StatePlan, { kind: 'aggregate' }>;

const FORMAT = 1;

/**
 * Groups with their partial results. State: a key and the buffers of all aggregates per group, in the order in which
 * groups came. With event time in its key a group is final when that time (a window's end) is at or below the
 * watermark: append gives it out then, update and append forget it then; complete forgets nothing. update gives out the
 * groups that rows came for, final ones too before they go. Without event time groups stay for ever. A partial result
 * that does not fit a sum is left out of that sum and reported. (Spark: StateStoreSaveExec.)
 *
 * What a group gave before is a function of its state before the epoch: where somebody needs to know, it comes out
 * beside what the group gives now. With `signed` rows are withdrawn too, and a group without rows is no group.
 *
 * Invariant: every key of the dictionary is in one group's list, its slot holds its buffers, and it is in the expiry
 * queue if and only if it has a time and the mode forgets.
 */
export class Aggregate extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: AggregateStatePlan;
  readonly #rowKeys: KeyRows;
  readonly #encoder: KeyEncoder;
  readonly #set: AggregateSet;
  readonly #keys = new KeyDictionary('byGroup');
  readonly #expiry: ExpiryQueue | null;
  /** By id: the fold that touched it last. */
  #touchedIn = new Uint32Array(0);
  #fold = 0;
  #slots = new Int32Array(0);
  readonly #wanted: Wanted;
  /** Groups taken over since the last fold: what they have given before may be unknown to those who get it now. */
  readonly #restored = new Set<number>();
  #evicted = 0;

  /** `inputs[0]`: the keys, then the buffers, then with `signed` what became of the rows. */
  constructor(plan: AggregateStatePlan, inputs: readonly Schema[], wanted: Wanted = presentRows) {
    super();
    this.#plan = plan;
    // What of a group that is gone was given is known by its former row alone.
    this.#wanted = { ...wanted, former: plan.mode !== 'append' && (wanted.former || plan.signed === true) };
    const keys = must(inputs[0], () => 'an aggregate has no input').slice(0, plan.keyCount);
    const results = plan.signed === true ? plan.aggregates.slice(0, -1) : plan.aggregates;
    this.output = [...keys, ...results.map(({ name, type, nullable }) => ({ name, type, nullable }))];
    this.#rowKeys = new KeyRows(keys.map(({ type }) => type));
    this.#encoder = this.#rowKeys.encoder;
    this.#set = new AggregateSet(plan.aggregates);
    this.#expiry = plan.eventTime === null || plan.mode === 'complete' ? null : new ExpiryQueue();
  }

  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput {
    this.#fold++;
    this.#evicted = 0;
    const touched = new Touched();
    const slots = this.#assign(inputs, touched);
    // Before anything is added: what is withdrawn comes as it was given.
    const former = touched.known.length > 0 ? copyOf(this.#rows(touched.known)) : null;
    for (const [index, input] of inputs.entries()) this.#merge(input, slots[index]!, failures);
    const watermark = env.evictUs - this.#plan.watermarkLagUs;
    const gone = this.#emptied(touched.ids);
    switch (this.#plan.mode) {
      case 'complete': {
        const output = this.#giveResult(touched, former, gone);
        this.#forget([...gone]);
        this.#restored.clear();
        return output;
      }
      case 'update': {
        const output = this.#giveChanges(touched, former, gone);
        this.#forget([...gone]);
        this.#forget(this.#due(watermark));
        return output;
      }
      case 'append': {
        const due = this.#due(watermark);
        const output = this.#give(due, null);
        this.#forget(due);
        return output;
      }
    }
  }

  /** The slots of all rows, one array per input; groups that are new begin. */
  #assign(inputs: readonly StateInput[], touched: Touched): Int32Array[] {
    const total = inputs.reduce((sum, { batch }) => sum + batch.rowCount, 0);
    if (total > this.#slots.length) this.#slots = new Int32Array(Math.max(total, 2 * this.#slots.length));
    let from = 0;
    return inputs.map((input) => {
      const slots = this.#slots.subarray(from, from + input.batch.rowCount);
      from += input.batch.rowCount;
      this.#assignRows(input, slots, touched);
      return slots;
    });
  }

  #assignRows({ batch, groups }: StateInput, slots: Int32Array, touched: Touched): void {
    const { rowCount, columns } = batch;
    const timeOf = this.#timeOf(columns);
    const rows = this.#rowKeys;
    rows.encode(columns, identity(rowCount), rowCount);
    for (let row = 0; row < rowCount; row++) {
      const known = this.#keys.size;
      const id = this.#keys.addKey(rows, row);
      slots[row] = id;
      const isNew = this.#keys.size > known;
      if (isNew) this.#begin(id, groups[row]!, timeOf === null ? Number.NaN : timeOf(row));
      if (this.#touchedIn[id] === this.#fold) continue;
      this.#touchedIn[id] = this.#fold;
      this.changed.add(groups[row]!);
      if (this.#plan.mode === 'append') continue;
      touched.ids.push(id);
      if (!this.#wanted.former) continue;
      touched.placeOfFormer.push(isNew ? -1 : touched.known.length);
      if (!isNew) touched.known.push(id);
    }
  }

  #merge({ batch }: StateInput, slots: Int32Array, failures: FailureLog): void {
    const { rowCount, columns, origins } = batch;
    const { keyCount, signed } = this.#plan;
    const fail = (row: number, reason: DeadLetterReason, aggregate: string): void =>
      failures.add(origins.record[row]!, reason, aggregate);
    if (signed !== true) {
      this.#set.merge(columns, keyCount, identity(rowCount), slots, rowCount, fail);
      return;
    }
    const changes = columns.at(-1);
    if (changes?.kind !== 'i32') throw new TypeError(`what became of rows is a ${changes?.kind} column`);
    for (const past of [true, false]) {
      const rows = Int32Array.from(identity(rowCount).subarray(0, rowCount)).filter(
        (row) => isPast(changes.values[row]!) === past,
      );
      if (rows.length === 0) continue;
      const own = rows.map((row) => slots[row]!);
      this.#set.merge(columns, keyCount, rows, own, rows.length, fail, past);
    }
  }

  /** Groups whose rows have all been withdrawn. A global aggregate has a result of no rows too. */
  #emptied(ids: readonly number[]): ReadonlySet<number> {
    const gone = new Set<number>();
    if (this.#plan.signed !== true || this.#plan.keyCount === 0) return gone;
    const slots = Int32Array.from(ids);
    const counts = this.#set.result(this.#set.plans.length - 1, slots, slots.length) as Int64Column;
    for (const [index, id] of ids.entries()) if (counts.values[index] === 0n) gone.add(id);
    return gone;
  }

  /** A new group. `time`: when it is final; NaN = never. */
  #begin(id: number, group: number, time: number): void {
    if (id >= this.#touchedIn.length) {
      const touchedIn = new Uint32Array(grownCapacity(this.#touchedIn.length, id + 1));
      touchedIn.set(this.#touchedIn);
      this.#touchedIn = touchedIn;
      this.#set.ensure(touchedIn.length);
    }
    this.#touchedIn[id] = 0;
    this.#set.clear(id);
    this.byGroup.add(group, id);
    if (!Number.isNaN(time)) this.#expiry?.add(id, time);
  }

  #timeOf(columns: readonly Column[]): ((row: number) => number) | null {
    if (this.#expiry === null || this.#plan.eventTime === null) return null;
    const column = columns[this.#plan.eventTime.column];
    const time = column?.kind === 'struct' ? column.fields[1] : column;
    if (time?.kind !== 'f64') throw new TypeError(`event time is a ${time?.kind} column`);
    const { values, valid } = time;
    return (row) => (valid[row] === 0 ? Number.NaN : values[row]!);
  }

  /** Groups that are final, taken out of the queue. */
  #due(watermark: number): number[] {
    const due: number[] = [];
    if (this.#expiry === null || watermark === -Infinity) return due;
    for (let id = this.#expiry.take(watermark, true); id >= 0; id = this.#expiry.take(watermark, true)) due.push(id);
    return due;
  }

  #forget(due: readonly number[]): void {
    for (const id of due) {
      this.changed.add(this.byGroup.groupOf(id));
      this.#remove(id);
    }
    this.#evicted += due.length;
  }

  #remove(id: number): void {
    this.#expiry?.remove(id);
    this.#set.clear(id);
    this.byGroup.remove(id);
    this.#keys.remove(id);
  }

  // ---- what comes out -------------------------------------------------------------------------------------------

  /** update: the groups touched, each behind its former row; what is gone comes first. */
  #giveChanges(touched: Touched, former: ColumnBatch | null, gone: ReadonlySet<number>): StateOutput {
    if (former === null && gone.size === 0) return this.#give(touched.ids, null);
    const out = new GivenRows();
    for (const [index, id] of touched.ids.entries()) {
      const place = touched.placeOfFormer[index]!;
      if (gone.has(id) && place >= 0) out.withdraw(id, place, WITHDRAWN);
    }
    for (const [index, id] of touched.ids.entries()) {
      if (gone.has(id)) continue;
      const place = touched.placeOfFormer[index]!;
      if (place >= 0) out.withdraw(id, place, FORMER);
      out.give(id, GIVEN);
    }
    return this.#assemble(out, former);
  }

  /** complete: all groups in their order, those touched behind their former rows. */
  #giveResult(touched: Touched, former: ColumnBatch | null, gone: ReadonlySet<number>): StateOutput {
    const { whole } = this.#wanted;
    const out = new GivenRows();
    const places = new Map(touched.ids.map((id, index) => [id, touched.placeOfFormer[index] ?? -1]));
    for (const group of this.byGroup.groups()) {
      const isRestored = this.#restored.has(group);
      for (const id of this.byGroup.idsOf(group)) {
        const place = places.get(id);
        if (place === undefined) {
          if (whole || isRestored) out.give(id, isRestored ? AGAIN : SAME);
          continue;
        }
        if (former !== null && place >= 0) out.withdraw(id, place, gone.has(id) ? WITHDRAWN : FORMER);
        if (!gone.has(id)) out.give(id, GIVEN);
      }
    }
    return this.#assemble(out, former);
  }

  #assemble(out: GivenRows, former: ColumnBatch | null): StateOutput {
    return {
      batch: out.batch(former, this.#rows(out.present)),
      groups: Uint8Array.from(out.ids, (id) => this.byGroup.groupOf(id)),
      changes: Uint8Array.from(out.changes),
    };
  }

  #give(ids: readonly number[], changes: Uint8Array | null): StateOutput {
    return { batch: this.#rows(ids), groups: Uint8Array.from(ids, (id) => this.byGroup.groupOf(id)), changes };
  }

  #rows(ids: readonly number[]): ColumnBatch {
    const slots = Int32Array.from(ids);
    const count = slots.length;
    const keys = this.#encoder.decodeAll(this.#keys.data, this.#keys.start, slots, count);
    const columns = [...keys, ...this.#set.results(slots, count)].slice(0, this.output.length);
    return { rowCount: count, columns, origins: noOrigins(count) };
  }

  // ---- snapshots ------------------------------------------------------------------------------------------------

  /** As `encodeGroups` has it. */
  encodeGroup(group: number): Uint8Array | null {
    const ids = this.byGroup.idsOf(group);
    return ids.length === 0 ? null : encodeGroups(FORMAT, this.#encoder, this.#keys, this.#set, ids);
  }

  /** Throws: STATE_DAMAGED, STATE_INCOMPATIBLE. */
  restoreGroup(group: number, bytes: Uint8Array | null, places: readonly number[] | null = null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    this.#restored.add(group);
    restoreGroups(FORMAT, this.#encoder, this.#set, bytes, places, (columns, starts, lengths) => {
      const timeOf = this.#timeOf(columns);
      return lengths.map((length, index) => {
        const from = starts[index]!;
        const id = this.#keys.add(bytes, from, from + length);
        this.#begin(id, group, timeOf === null ? Number.NaN : timeOf(index));
        return id;
      });
    });
  }

  dropGroup(group: number): void {
    for (const id of this.byGroup.idsOf(group)) this.#remove(id);
    this.changed.delete(group);
    this.#restored.delete(group);
  }

  figures(): StateFigures {
    const bytes = this.#keys.bytes + this.byGroup.bytes + this.#set.bytes + (this.#expiry?.bytes ?? 0);
    return { rows: this.#keys.size, bytes: bytes + this.#touchedIn.byteLength, evicted: this.#evicted };
  }
}

/** The groups that an epoch's rows came for, in the order of their first rows. */
class Touched {
  readonly ids: number[] = [];
  /** Those that stood before, where former rows are wanted. */
  readonly known: number[] = [];
  /** Of each of `ids` its place in `known`; -1 = it is new. */
  readonly placeOfFormer: number[] = [];
}
