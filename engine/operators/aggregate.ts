import { must } from '../../core/assert.ts';
import { formatType, type Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putText, putVarint } from '../state/bytes-out.ts';
import { GroupLists } from '../state/group-lists.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { grownCapacity } from '../state/state-columns.ts';
import { identity } from './aggregate-accumulator.ts';
import { checkKeyTypes, encodeSections, restoreSections } from './aggregate-sections.ts';
import { AggregateSet } from './aggregate-set.ts';
import { ChangedGroups } from './changed-groups.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import { checkFormat } from './group-format.ts';
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
 * Invariant: every key of the dictionary is in one group's list, its slot holds its buffers, and it is in the expiry
 * queue if and only if it has a time and the mode forgets.
 */
export class Aggregate implements StateOperator {
  readonly output: Schema;
  readonly #plan: AggregateStatePlan;
  readonly #encoder: KeyEncoder;
  readonly #set: AggregateSet;
  readonly #key = new ByteBuffer(256);
  readonly #keys = new KeyDictionary('byGroup');
  readonly #byGroup = new GroupLists();
  readonly #expiry: ExpiryQueue | null;
  readonly #changed = new ChangedGroups();
  /** By id: the fold that touched it last. */
  #touchedIn = new Uint32Array(0);
  #fold = 0;
  #slots = new Int32Array(0);
  #evicted = 0;

  /** `inputs[0]`: the keys, then the buffers. */
  constructor(plan: AggregateStatePlan, inputs: readonly Schema[]) {
    this.#plan = plan;
    const keys = must(inputs[0], () => 'an aggregate has no input').slice(0, plan.keyCount);
    this.output = [...keys, ...plan.aggregates.map(({ name, type, nullable }) => ({ name, type, nullable }))];
    this.#encoder = new KeyEncoder(keys.map(({ type }) => type));
    this.#set = new AggregateSet(plan.aggregates);
    this.#expiry = plan.eventTime === null || plan.mode === 'complete' ? null : new ExpiryQueue();
  }

  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput {
    this.#fold++;
    this.#evicted = 0;
    const touched: number[] = [];
    for (const input of inputs) this.#merge(input, touched, failures);
    const watermark = env.evictUs - this.#plan.watermarkLagUs;
    switch (this.#plan.mode) {
      case 'complete':
        return this.#give(this.#byGroup.groups().flatMap((group) => [...this.#byGroup.idsOf(group)]));
      case 'update': {
        const output = this.#give(touched);
        this.#forget(this.#due(watermark));
        return output;
      }
      case 'append': {
        const due = this.#due(watermark);
        const output = this.#give(due);
        this.#forget(due);
        return output;
      }
    }
  }

  #merge({ batch, groups }: StateInput, touched: number[], failures: FailureLog): void {
    const { rowCount, columns, origins } = batch;
    if (rowCount > this.#slots.length) this.#slots = new Int32Array(Math.max(rowCount, 2 * this.#slots.length));
    const slots = this.#slots;
    const timeOf = this.#timeOf(columns);
    this.#encoder.bind(columns);
    const key = this.#key;
    for (let row = 0; row < rowCount; row++) {
      key.length = 0;
      this.#encoder.encode(row, key);
      const known = this.#keys.size;
      const id = this.#keys.add(key.bytes, 0, key.length);
      slots[row] = id;
      if (this.#keys.size > known) this.#begin(id, groups[row]!, timeOf === null ? Number.NaN : timeOf(row));
      if (this.#touchedIn[id] === this.#fold) continue;
      this.#touchedIn[id] = this.#fold;
      this.#changed.add(groups[row]!);
      touched.push(id);
    }
    this.#set.merge(columns, this.#plan.keyCount, identity(rowCount), slots, rowCount, (row, reason, aggregate) =>
      failures.add(origins.record[row]!, reason, aggregate),
    );
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
    this.#byGroup.add(group, id);
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
      this.#changed.add(this.#byGroup.groupOf(id));
      this.#remove(id);
    }
    this.#evicted = due.length;
  }

  #remove(id: number): void {
    this.#set.clear(id);
    this.#byGroup.remove(id);
    this.#keys.remove(id);
  }

  #give(ids: readonly number[]): StateOutput {
    const slots = Int32Array.from(ids);
    const count = slots.length;
    const keys = this.#encoder.decodeAll(this.#keys.data, this.#keys.start, slots, count);
    return {
      batch: { rowCount: count, columns: [...keys, ...this.#set.results(slots, count)], origins: noOrigins(count) },
      groups: Uint8Array.from(slots, (id) => this.#byGroup.groupOf(id)),
      deletes: null,
    };
  }

  changedGroups(): readonly number[] {
    return this.#changed.list();
  }

  clearChanged(): void {
    this.#changed.clear();
  }

  groups(): readonly number[] {
    return this.#byGroup.groups();
  }

  /** Format, types of the keys, number of groups, each key with its length, then the aggregates' sections. */
  encodeGroup(group: number): Uint8Array | null {
    const ids = this.#byGroup.idsOf(group);
    if (ids.length === 0) return null;
    const out = new ByteBuffer();
    putByte(out, FORMAT);
    putText(out, this.#keyTypes());
    putVarint(out, ids.length);
    const { data, start, length } = this.#keys;
    for (const id of ids) {
      putVarint(out, length[id]!);
      out.append(data, start[id], start[id]! + length[id]!);
    }
    encodeSections(this.#set, ids, out);
    return out.copy();
  }

  /** Throws: STATE_DAMAGED, STATE_INCOMPATIBLE. */
  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, FORMAT);
    checkKeyTypes(reader.text(), this.#keyTypes());
    const count = reader.varint();
    const starts = new Float64Array(count);
    const lengths = new Int32Array(count);
    for (let index = 0; index < count; index++) {
      lengths[index] = reader.varint();
      starts[index] = reader.skip(lengths[index]!);
    }
    const timeOf = this.#timeOf(this.#encoder.decodeAll(bytes, starts, identity(count), count));
    const ids = new Int32Array(count);
    for (let index = 0; index < count; index++) {
      const from = starts[index]!;
      const id = this.#keys.add(bytes, from, from + lengths[index]!);
      this.#begin(id, group, timeOf === null ? Number.NaN : timeOf(index));
      ids[index] = id;
    }
    restoreSections(this.#set, ids, reader);
  }

  #keyTypes(): string {
    return this.#encoder.types.map(formatType).join(', ');
  }

  dropGroup(group: number): void {
    for (const id of this.#byGroup.idsOf(group)) {
      this.#expiry?.remove(id);
      this.#remove(id);
    }
    this.#changed.delete(group);
  }

  figures(): StateFigures {
    const bytes = this.#keys.bytes + this.#byGroup.bytes + this.#set.bytes + (this.#expiry?.bytes ?? 0);
    return { rows: this.#keys.size, bytes: bytes + this.#touchedIn.byteLength, evicted: this.#evicted };
  }
}
