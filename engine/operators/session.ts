import { must } from '../../core/assert.ts';
import { formatType, type Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch, Float64Column, Int64Column } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import { concatBatches, copyOf } from '../epoch/frame.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putF64, putText, putVarint } from '../state/bytes-out.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { grownCapacity } from '../state/state-columns.ts';
import { checkKeyTypes, encodeSections, restoreSections } from './aggregate-sections.ts';
import { AggregateSet } from './aggregate-set.ts';
import { AGAIN, FORMER, GIVEN, presentRows, SAME, type Wanted, WITHDRAWN } from './changes.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { GivenRows } from './given-rows.ts';
import { checkFormat } from './group-format.ts';
import { ListedGroupStates } from './group-states.ts';
import type { FailureLog } from './operator.ts';
import { noOrigins } from './picked-rows.ts';
import { type Arrival, Arrivals, SessionMerge, SessionTable, NO_SESSION } from './session-table.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

type SessionPlan = Extract<StatePlan, { kind: 'session' }>;

const FORMAT = 1;
const WORD = 0x1_0000_0000;

/**
 * Sessions: a row covers `[time, time + gap)`; rows of a key whose intervals overlap or touch are one session, which
 * covers them all. Within a session rows are aggregated in the order of their times. State: per key its sessions, in
 * order, each with the buffers of all aggregates. A session is final when its end is at or below the watermark: append
 * gives it out then; append and update forget it then; complete forgets nothing. update, which Spark refuses here,
 * gives out each session that rows came for, and withdraws first what it gave before under other bounds. Rows without
 * a time or with a gap that is not positive are left out. (Spark: MergingSessionsExec, SessionWindowStateStoreSaveExec.)
 *
 * Invariant: the sessions of a key neither overlap nor touch, and their list is in the order of time; a key without
 * sessions is not kept.
 */
export class Session extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: SessionPlan;
  readonly #encoder: KeyEncoder;
  readonly #set: AggregateSet;
  readonly #key = new ByteBuffer(256);
  readonly #keys = new KeyDictionary('byGroup');
  readonly #expiry: ExpiryQueue | null;
  readonly #table = new SessionTable();
  /** By key: its first session, its turn among all keys ever, and the fold that touched it last. */
  #first = new Int32Array(0);
  #turn = new Float64Array(0);
  #touchedIn = new Uint32Array(0);
  /** By key, while a fold runs: its place among the touched keys. */
  #place = new Int32Array(0);
  #turns = 0;
  #fold = 0;
  readonly #wanted: Wanted;
  /** Groups taken over since the last fold: what they have given before may be unknown to those who get it now. */
  readonly #restored = new Set<number>();
  #evicted = 0;

  /** `inputs[0]`: the keys, event time, gap, then what the aggregates name. */
  constructor(plan: SessionPlan, inputs: readonly Schema[], wanted: Wanted = presentRows) {
    super();
    this.#plan = plan;
    this.#wanted = wanted;
    const keys = must(inputs[0], () => 'a session has no input').slice(0, plan.keyCount);
    this.output = [
      ...keys,
      { name: 'session_window', type: { kind: 'struct', fields: windowFields }, nullable: false },
      ...plan.aggregates.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ];
    this.#encoder = new KeyEncoder(keys.map(({ type }) => type));
    this.#set = new AggregateSet(plan.aggregates);
    this.#expiry = plan.mode === 'complete' ? null : new ExpiryQueue();
  }

  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput {
    this.#fold++;
    this.#evicted = 0;
    const input = joined(inputs);
    const merge = new SessionMerge();
    let former: ColumnBatch | null = null;
    if (input !== null) {
      const arrivals = this.#arrivals(input);
      for (let place = 0; place < arrivals.keys.length; place++) this.#mergeKey(place, arrivals, merge);
      // Before anything is added: what is withdrawn comes as it was given.
      if (this.#keepsFormer && merge.formerSlots.length > 0) former = this.#former(merge);
      const { rows, slots, count } = arrivals.sorted();
      this.#set.update(input.batch.columns, rows, slots, count, (row, reason, aggregate) =>
        failures.add(input.batch.origins.record[row]!, reason, aggregate),
      );
      for (const [index, slot] of merge.absorbed.entries()) {
        this.#set.absorb(merge.into[index]!, slot);
        this.#table.give(slot);
      }
    }
    const watermark = env.evictUs - this.#plan.watermarkLagUs;
    switch (this.#plan.mode) {
      case 'complete': {
        const output = this.#giveResult(merge, former);
        this.#restored.clear();
        return output;
      }
      case 'append': {
        const due = this.#due(watermark);
        const output = this.#give(due);
        this.#forget(due);
        return output;
      }
      case 'update': {
        const output = this.#giveChanges(merge, former);
        this.#forget(this.#due(watermark));
        return output;
      }
    }
  }

  // ---- rows into sessions ---------------------------------------------------------------------------------------

  /** The rows that count, by key and time; new keys are added. */
  #arrivals({ batch, groups }: StateInput): Arrivals {
    const arrivals = new Arrivals(batch.rowCount);
    const { keyCount } = this.#plan;
    const times = batch.columns[keyCount] as Float64Column;
    const gaps = batch.columns[keyCount + 1] as Int64Column;
    const key = this.#key;
    this.#encoder.bind(batch.columns);
    for (let row = 0; row < batch.rowCount; row++) {
      if (times.valid[row] === 0 || gaps.valid[row] === 0) continue;
      const gap = gaps.words[2 * row + 1]! * WORD + (gaps.words[2 * row]! >>> 0);
      if (gap <= 0) continue;
      key.length = 0;
      this.#encoder.encode(row, key);
      const known = this.#keys.size;
      const id = this.#keys.add(key.bytes, 0, key.length);
      if (this.#keys.size > known) this.#begin(id, groups[row]!);
      if (this.#touchedIn[id] !== this.#fold) {
        this.#touchedIn[id] = this.#fold;
        this.#place[id] = arrivals.keys.length;
        arrivals.keys.push(id);
        this.changed.add(groups[row]!);
      }
      arrivals.add(row, this.#place[id]!, times.values[row]!, times.values[row]! + gap);
    }
    arrivals.sort();
    return arrivals;
  }

  #begin(id: number, group: number): void {
    if (id >= this.#first.length) {
      const size = grownCapacity(this.#first.length, id + 1);
      this.#first = widened(this.#first, new Int32Array(size));
      this.#turn = widened(this.#turn, new Float64Array(size));
      this.#touchedIn = widened(this.#touchedIn, new Uint32Array(size));
      this.#place = widened(this.#place, new Int32Array(size));
    }
    this.#first[id] = NO_SESSION;
    this.#turn[id] = this.#turns++;
    this.#touchedIn[id] = 0;
    this.byGroup.add(group, id);
  }

  /** A new session without rows. */
  #take(key: number, start: number, end: number): number {
    const slot = this.#table.take(key, start, end);
    this.#set.ensure(this.#table.capacity);
    this.#set.clear(slot);
    return slot;
  }

  /**
   * Goes through a key's sessions and new rows together, in the order of time, and decides for each row which slot it is
   * added to and which slots then become one. A row behind a session that another one swallows cannot be added before
   * that is done: it gets a slot of its own, swallowed next.
   */
  #mergeKey(place: number, arrivals: Arrivals, merge: SessionMerge): void {
    const table = this.#table;
    const key = arrivals.keys[place]!;
    const { from, to } = arrivals.range(place);
    let at = from;
    let kept = this.#first[key]!;
    let open: OpenSession | null = null;
    let last = NO_SESSION;
    for (;;) {
      const next: Arrival | null = at < to ? arrivals.at(at) : null;
      if (kept !== NO_SESSION && (next === null || table.start[kept]! <= next.start)) {
        const following = table.next[kept]!;
        if (open !== null && table.start[kept]! <= open.end) {
          this.#swallow(open, kept, merge);
        } else {
          last = this.#close(key, open, last, merge);
          open = { slot: kept, end: table.end[kept]!, tail: kept, isNew: false, isTouched: false };
        }
        kept = following;
        continue;
      }
      if (next === null) break;
      if (open === null || next.start > open.end) {
        last = this.#close(key, open, last, merge);
        const slot = this.#take(key, next.start, next.end);
        open = { slot, end: next.end, tail: slot, isNew: true, isTouched: true };
      } else if (open.tail === NO_SESSION) {
        open.tail = this.#take(key, next.start, next.end);
        merge.absorb(open.slot, open.tail);
      }
      open.end = Math.max(open.end, next.end);
      open.isTouched = true;
      arrivals.assign(at++, open.tail);
    }
    last = this.#close(key, open, last, merge);
    table.next[last] = NO_SESSION;
  }

  #swallow(open: OpenSession, kept: number, merge: SessionMerge): void {
    const table = this.#table;
    merge.absorb(open.slot, kept);
    merge.former(kept, open.slot, table.start[kept]!, table.end[kept]!);
    this.#expiry?.remove(kept);
    open.end = Math.max(open.end, table.end[kept]!);
    open.tail = NO_SESSION;
  }

  /** Puts a session behind `last` in its key's list; it is the last one then. */
  #close(key: number, open: OpenSession | null, last: number, merge: SessionMerge): number {
    if (open === null) return last;
    const table = this.#table;
    const { slot, end } = open;
    if (last === NO_SESSION) this.#first[key] = slot;
    else table.next[last] = slot;
    if (!open.isTouched) return slot;
    merge.changed.push(slot);
    if (open.isNew || table.end[slot] !== end) {
      if (!open.isNew) {
        merge.former(slot, slot, table.start[slot]!, table.end[slot]!);
        this.#expiry?.remove(slot);
      }
      table.end[slot] = end;
      this.#expiry?.add(slot, end);
    } else if (this.#wanted.former) merge.former(slot, slot, table.start[slot]!, end);
    return slot;
  }

  // ---- what is final --------------------------------------------------------------------------------------------

  /** Sessions that are final, taken out of the queue: by end, then by the age of their keys. */
  #due(watermark: number): number[] {
    const due: number[] = [];
    if (this.#expiry === null || watermark === -Infinity) return due;
    for (let slot = this.#expiry.take(watermark, true); slot >= 0; slot = this.#expiry.take(watermark, true))
      due.push(slot);
    const { end, key } = this.#table;
    return due.sort((a, b) => end[a]! - end[b]! || this.#turn[key[a]!]! - this.#turn[key[b]!]!);
  }

  #forget(due: readonly number[]): void {
    for (const slot of due) {
      const key = this.#table.key[slot]!;
      this.changed.add(this.byGroup.groupOf(key));
      this.#unlink(key, slot);
      this.#release(slot);
      if (this.#first[key] === NO_SESSION) this.#removeKey(key);
    }
    this.#evicted = due.length;
  }

  #unlink(key: number, slot: number): void {
    const { next } = this.#table;
    if (this.#first[key] === slot) {
      this.#first[key] = next[slot]!;
      return;
    }
    let before = this.#first[key]!;
    while (next[before] !== slot) before = next[before]!;
    next[before] = next[slot]!;
  }

  #release(slot: number): void {
    this.#set.clear(slot);
    this.#table.give(slot);
  }

  #removeKey(key: number): void {
    this.byGroup.remove(key);
    this.#keys.remove(key);
  }

  // ---- what comes out -------------------------------------------------------------------------------------------

  #sessionsOf(group: number): number[] {
    const slots: number[] = [];
    for (let key = this.byGroup.first(group); key >= 0; key = this.byGroup.next(key))
      for (let slot = this.#first[key]!; slot !== NO_SESSION; slot = this.#table.next[slot]!) slots.push(slot);
    return slots;
  }

  /** Bounds that change make another row of a table, whoever wants to know what stood there before. */
  get #keepsFormer(): boolean {
    return this.#plan.mode === 'update' || (this.#plan.mode === 'complete' && this.#wanted.former);
  }

  /** update: the sessions that rows came for; what is gone comes first. */
  #giveChanges(merge: SessionMerge, former: ColumnBatch | null): StateOutput {
    if (former === null) return this.#give(merge.changed);
    const out = new GivenRows();
    const kept = new Map<number, number>();
    for (const [place, slot] of merge.formerSlots.entries()) {
      if (this.#isKept(merge, place)) kept.set(slot, place);
      else out.withdraw(merge.formerInto[place]!, place, WITHDRAWN);
    }
    for (const slot of merge.changed) {
      const place = kept.get(slot);
      if (place !== undefined) out.withdraw(slot, place, FORMER);
      out.give(slot, GIVEN);
    }
    return this.#assemble(out, former);
  }

  /** complete: all sessions in their order, each behind those that are part of it now. */
  #giveResult(merge: SessionMerge, former: ColumnBatch | null): StateOutput {
    const out = new GivenRows();
    const changed = new Set(merge.changed);
    const parts = new Map<number, number[]>();
    for (const [place, slot] of former === null ? [] : merge.formerInto.entries()) {
      const known = parts.get(slot);
      if (known === undefined) parts.set(slot, [place]);
      else known.push(place);
    }
    const starts = merge.formerStarts;
    for (const group of this.byGroup.groups()) {
      const isRestored = this.#restored.has(group);
      for (const slot of this.#sessionsOf(group)) {
        if (!changed.has(slot)) {
          if (this.#wanted.whole || isRestored) out.give(slot, isRestored ? AGAIN : SAME);
          continue;
        }
        const places = (parts.get(slot) ?? []).sort((a, b) => starts[a]! - starts[b]!);
        for (const place of places) out.withdraw(slot, place, this.#isKept(merge, place) ? FORMER : WITHDRAWN);
        out.give(slot, GIVEN);
      }
    }
    return this.#assemble(out, former);
  }

  /** Is a former session one with the same bounds now? */
  #isKept(merge: SessionMerge, place: number): boolean {
    const slot = merge.formerSlots[place]!;
    return merge.formerInto[place] === slot && merge.formerEnds[place] === this.#table.end[slot];
  }

  #assemble(out: GivenRows, former: ColumnBatch | null): StateOutput {
    const slots = Int32Array.from(out.ids);
    return {
      batch: out.batch(former, this.#give(out.present).batch),
      groups: this.#groupsOf(slots),
      changes: Uint8Array.from(out.changes),
    };
  }

  #give(sessions: readonly number[]): StateOutput {
    const slots = Int32Array.from(sessions);
    const { start, end } = this.#table;
    const starts = Float64Array.from(slots, (slot) => start[slot]!);
    const ends = Float64Array.from(slots, (slot) => end[slot]!);
    return { batch: this.#rows(slots, starts, ends), groups: this.#groupsOf(slots), changes: null };
  }

  #rows(slots: Int32Array, starts: Float64Array, ends: Float64Array): ColumnBatch {
    const { length } = slots;
    return { rowCount: length, columns: this.#columns(slots, starts, ends), origins: noOrigins(length) };
  }

  #columns(slots: Int32Array, starts: Float64Array, ends: Float64Array): Column[] {
    const count = slots.length;
    const valid = new Uint8Array(count).fill(1);
    const keys = slots.map((slot) => this.#table.key[slot]!);
    const fields: Column[] = [starts, ends].map((values) => ({ kind: 'f64', values, valid }));
    return [
      ...this.#encoder.decodeAll(this.#keys.data, this.#keys.start, keys, count),
      { kind: 'struct', valid, fields },
      ...this.#set.results(slots, count),
    ];
  }

  #groupsOf(slots: Int32Array): Uint8Array {
    return Uint8Array.from(slots, (slot) => this.byGroup.groupOf(this.#table.key[slot]!));
  }

  /** Sessions under the bounds that they had when they were last given out; a copy: their cells are about to change. */
  #former({ formerSlots, formerStarts, formerEnds }: SessionMerge): ColumnBatch {
    const slots = Int32Array.from(formerSlots);
    return copyOf(this.#rows(slots, Float64Array.from(formerStarts), Float64Array.from(formerEnds)));
  }

  // ---- snapshots ------------------------------------------------------------------------------------------------

  /** Format, types of the keys, each key with its length, number and bounds of sessions, then the aggregates' sections. */
  encodeGroup(group: number): Uint8Array | null {
    const ids = this.byGroup.idsOf(group);
    if (ids.length === 0) return null;
    const out = new ByteBuffer();
    putByte(out, FORMAT);
    putText(out, this.#keyTypes());
    putVarint(out, ids.length);
    const { data, start, length } = this.#keys;
    const { start: starts, end: ends, next } = this.#table;
    for (const id of ids) {
      putVarint(out, length[id]!);
      out.append(data, start[id], start[id]! + length[id]!);
      let count = 0;
      for (let slot = this.#first[id]!; slot !== NO_SESSION; slot = next[slot]!) count++;
      putVarint(out, count);
      for (let slot = this.#first[id]!; slot !== NO_SESSION; slot = next[slot]!) {
        putF64(out, starts[slot]!);
        putF64(out, ends[slot]!);
      }
    }
    encodeSections(this.#set, Int32Array.from(this.#sessionsOf(group)), out);
    return out.copy();
  }

  /** Throws: STATE_DAMAGED, STATE_INCOMPATIBLE. */
  restoreGroup(group: number, bytes: Uint8Array | null, places: readonly number[] | null = null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    this.#restored.add(group);
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, FORMAT);
    checkKeyTypes(reader.text(), this.#keyTypes());
    const slots: number[] = [];
    for (let keys = reader.varint(); keys > 0; keys--) {
      const length = reader.varint();
      const from = reader.skip(length);
      const id = this.#keys.add(bytes, from, from + length);
      this.#begin(id, group);
      let last = NO_SESSION;
      for (let sessions = reader.varint(); sessions > 0; sessions--) {
        const slot = this.#take(id, reader.f64(), reader.f64());
        if (last === NO_SESSION) this.#first[id] = slot;
        else this.#table.next[last] = slot;
        this.#expiry?.add(slot, this.#table.end[slot]!);
        last = slot;
        slots.push(slot);
      }
    }
    restoreSections(this.#set, Int32Array.from(slots), reader, places);
  }

  #keyTypes(): string {
    return this.#encoder.types.map(formatType).join(', ');
  }

  dropGroup(group: number): void {
    for (const slot of this.#sessionsOf(group)) {
      this.#expiry?.remove(slot);
      this.#release(slot);
    }
    for (const key of this.byGroup.idsOf(group)) this.#removeKey(key);
    this.changed.delete(group);
    this.#restored.delete(group);
  }

  figures(): StateFigures {
    const perKey = this.#first.byteLength + this.#turn.byteLength + this.#touchedIn.byteLength + this.#place.byteLength;
    const lists = this.#keys.bytes + this.byGroup.bytes + this.#table.bytes + (this.#expiry?.bytes ?? 0);
    return { rows: this.#table.size, bytes: perKey + lists + this.#set.bytes, evicted: this.#evicted };
  }
}

/** A session while its key's rows are gone through. */
interface OpenSession {
  readonly slot: number;
  end: number;
  /** The slot that rows are added to; NO_SESSION = one that is yet to be taken. */
  tail: number;
  readonly isNew: boolean;
  isTouched: boolean;
}

/** All inputs as one, or null when there is no row. */
function joined(inputs: readonly StateInput[]): StateInput | null {
  const own = inputs.filter(({ batch }) => batch.rowCount > 0);
  const [first, second] = own;
  if (first === undefined || second === undefined) return first ?? null;
  const batch = concatBatches(own.map((input) => input.batch));
  const record = new Int32Array(batch.rowCount);
  const groups = new Uint8Array(batch.rowCount);
  let at = 0;
  for (const input of own) {
    record.set(input.batch.origins.record.subarray(0, input.batch.rowCount), at);
    groups.set(input.groups.subarray(0, input.batch.rowCount), at);
    at += input.batch.rowCount;
  }
  return { port: first.port, batch: { ...batch, origins: { ...batch.origins, record } }, groups };
}

function widened<T extends Int32Array | Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
