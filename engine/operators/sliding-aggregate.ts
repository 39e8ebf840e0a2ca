import { must } from '../../core/assert.ts';
import type { DeadLetterReason } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import type { Column, ColumnBatch, StructColumn } from '../column-batch.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { PaneWindows, StatePlan } from '../plan/epoch-plan.ts';
import { IdList } from '../state/id-list.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import type { KeyEncoder } from '../state/key-encoder.ts';
import { KeyRows } from '../state/key-rows.ts';
import { grownCapacity } from '../state/state-columns.ts';
import { identity } from './aggregate-accumulator.ts';
import { encodeGroups, restoreGroups } from './aggregate-sections.ts';
import { AggregateSet } from './aggregate-set.ts';
import { ListedGroupStates } from './group-states.ts';
import { keyTableOf } from './key-table.ts';
import type { KeyTable } from './key-table.ts';
import type { FailureLog } from './operator.ts';
import { noOrigins } from './picked-rows.ts';
import type { GroupFailure, StateInput, StateOperator, StateOutput } from './state-operator.ts';

type AggregateStatePlan = Extract<StatePlan, { kind: 'aggregate' }>;

/** Another one than that of `Aggregate`: its groups are no panes. */
const FORMAT = 2;

/**
 * Groups of windows that overlap, in append mode: partial results are kept by pane, the stretch between two starts of
 * windows, and a window is put together of its panes once, when the watermark has passed its end. So a row changes one
 * group and not one for each of its windows, and the state is as many times smaller. A pane is forgotten with the last
 * window over it. (Flink calls it slices: SliceSharedWindowAggProcessor.)
 *
 * Which windows come out in an epoch follows from its two watermarks alone: those that end above the former and not
 * above the present one. State: per pane and other keys the buffers of all aggregates, in the order in which they came.
 *
 * Invariant: every key of the dictionary is in the list of one group and among the ids of its pane, once.
 */
export class SlidingAggregate extends ListedGroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: AggregateStatePlan;
  readonly #panes: Pick<PaneWindows, 'column' | 'sizeUs' | 'slideUs'>;
  readonly #rowKeys: KeyRows;
  readonly #encoder: KeyEncoder;
  readonly #set: AggregateSet;
  readonly #keys = new KeyDictionary('byGroup');
  /** By start, µs. */
  readonly #idsOfPane = new Map<number, IdList>();
  /** What windows are put together in; nothing stays in them. `null` without keys besides the window. */
  readonly #windowKeys: KeyTable | null;
  readonly #windows: AggregateSet;
  #capacity = 0;
  #slots = new Int32Array(0);
  #evicted = 0;

  /** `inputs[0]`: the keys, panes among them, then the buffers. */
  constructor(plan: AggregateStatePlan, inputs: readonly Schema[]) {
    super();
    this.#plan = plan;
    const { sizeUs, slideUs } = must(plan.panes, () => 'the windows of the panes are not named');
    const { column } = must(plan.eventTime, () => 'panes have no key');
    this.#panes = { column, sizeUs, slideUs };
    const keys = must(inputs[0], () => 'an aggregate has no input').slice(0, plan.keyCount);
    this.output = [...keys, ...plan.aggregates.map(({ name, type, nullable }) => ({ name, type, nullable }))];
    this.#rowKeys = new KeyRows(keys.map(({ type }) => type));
    this.#encoder = this.#rowKeys.encoder;
    this.#set = new AggregateSet(plan.aggregates);
    this.#windows = new AggregateSet(plan.aggregates);
    const others = keys.filter((_, index) => index !== column);
    this.#windowKeys = others.length === 0 ? null : keyTableOf(others.map(({ type }) => type));
  }

  fold(inputs: readonly StateInput[], env: EpochEnv, failures: FailureLog): StateOutput {
    this.#evicted = 0;
    for (const input of inputs) this.#add(input, failures);
    const lag = this.#plan.watermarkLagUs;
    const output = this.#give(this.#windowsDue(env.lateUs - lag, env.evictUs - lag));
    this.#forget(env.evictUs - lag);
    return output;
  }

  #add({ batch, groups }: StateInput, failures: FailureLog): void {
    const { rowCount, columns, origins } = batch;
    if (rowCount > this.#slots.length) this.#slots = new Int32Array(Math.max(rowCount, 2 * this.#slots.length));
    const slots = this.#slots;
    const starts = this.#startsOf(columns);
    const rows = this.#rowKeys;
    rows.encode(columns, identity(rowCount), rowCount);
    for (let row = 0; row < rowCount; row++) {
      const known = this.#keys.size;
      const id = this.#keys.addKey(rows, row);
      slots[row] = id;
      if (this.#keys.size > known) this.#begin(id, groups[row]!, starts[row]!);
      this.changed.add(groups[row]!);
    }
    const fail = (row: number, reason: DeadLetterReason, aggregate: string): void =>
      failures.add(origins.record[row]!, reason, aggregate);
    this.#set.merge(columns, this.#plan.keyCount, identity(rowCount), slots, rowCount, fail);
  }

  #begin(id: number, group: number, start: number): void {
    if (id >= this.#capacity) {
      this.#capacity = grownCapacity(this.#capacity, id + 1);
      this.#set.ensure(this.#capacity);
    }
    this.#set.clear(id);
    this.byGroup.add(group, id);
    let pane = this.#idsOfPane.get(start);
    if (pane === undefined) {
      pane = new IdList();
      this.#idsOfPane.set(start, pane);
    }
    pane.add(id);
  }

  #startsOf(columns: readonly Column[]): Float64Array {
    const pane = columns[this.#panes.column];
    const start = pane?.kind === 'struct' ? pane.fields[0] : undefined;
    if (start?.kind !== 'f64') throw new TypeError(`panes are a ${pane?.kind} column`);
    return start.values;
  }

  // ---- windows --------------------------------------------------------------------------------------------------

  /** Starts of the windows over some pane that end above `late` and at or below `watermark`, ascending. */
  #windowsDue(late: number, watermark: number): number[] {
    const { sizeUs, slideUs } = this.#panes;
    const panes = this.#starts();
    const due: number[] = [];
    const [first] = panes;
    if (first === undefined || watermark === -Infinity) return due;
    let start = first - sizeUs + slideUs;
    if (late >= start + sizeUs) start += (Math.floor((late - start - sizeUs) / slideUs) + 1) * slideUs;
    for (let next = 0; start + sizeUs <= watermark;) {
      while (next < panes.length && panes[next]! < start) next++;
      const pane = panes[next];
      if (pane === undefined) break;
      if (pane < start + sizeUs) {
        due.push(start);
        start += slideUs;
      } else start = pane - sizeUs + slideUs;
    }
    return due;
  }

  /** Of all panes, ascending. */
  #starts(): number[] {
    return [...this.#idsOfPane.keys()].sort((a, b) => a - b);
  }

  /** The groups of whole windows, one window after the other; those of a group in the order in which panes and rows came. */
  #give(windows: readonly number[]): StateOutput {
    const { column, sizeUs } = this.#panes;
    const given = new IdList();
    const starts: number[] = [];
    const failures: GroupFailure[] = [];
    for (const start of windows) {
      this.#putTogether(start, given, failures);
      while (starts.length < given.count) starts.push(start);
    }
    const { count } = given;
    const keys = this.#encoder.decodeAll(this.#keys.data, this.#keys.start, given.ids, count);
    keys[column] = windowColumn(starts, sizeUs);
    const batch: ColumnBatch = {
      rowCount: count,
      columns: [...keys, ...this.#windows.results(identity(count), count)],
      origins: noOrigins(count),
    };
    const groups = new Uint8Array(count);
    for (let row = 0; row < count; row++) groups[row] = this.byGroup.groupOf(given.ids[row]!);
    return { batch, groups, changes: null, ...(failures.length === 0 ? {} : { failures }) };
  }

  /** Adds a window's groups behind those `given`: of each the id of its first pane, and its results in the same slot. */
  #putTogether(start: number, given: IdList, failures: GroupFailure[]): void {
    const ids = this.#idsOver(start);
    const { count } = ids;
    if (count > this.#slots.length) this.#slots = new Int32Array(Math.max(count, 2 * this.#slots.length));
    const slots = this.#slots;
    const first = given.count;
    if (this.#windowKeys === null) slots.fill(0, 0, count);
    else {
      const keys = this.#encoder.decodeAll(this.#keys.data, this.#keys.start, ids.ids, count);
      this.#windowKeys.reset();
      this.#windowKeys.assign(
        keys.filter((_, index) => index !== this.#panes.column),
        identity(count),
        count,
        slots,
      );
    }
    this.#windows.ensure(first + count);
    for (let index = 0; index < count; index++) {
      const slot = first + slots[index]!;
      slots[index] = slot;
      if (slot < given.count) continue;
      this.#windows.clear(slot);
      given.add(ids.ids[index]!);
    }
    this.#windows.merge(this.#set.buffers(ids.ids, count), 0, identity(count), slots, count, (row, _, aggregate) =>
      failures.push({ group: this.byGroup.groupOf(ids.ids[row]!), place: aggregate }),
    );
  }

  /** The ids of a window's panes, earlier panes first. */
  #idsOver(start: number): IdList {
    const { sizeUs, slideUs } = this.#panes;
    const ids = new IdList();
    for (let pane = start; pane < start + sizeUs; pane += slideUs) {
      const of = this.#idsOfPane.get(pane);
      if (of !== undefined) ids.addAll(of);
    }
    return ids;
  }

  /** Forgets the panes that no window to come is over. */
  #forget(watermark: number): void {
    for (const start of this.#starts()) {
      if (start + this.#panes.sizeUs > watermark) return;
      const { ids, count } = must(this.#idsOfPane.get(start), () => `there is no pane from ${start} on`);
      this.#idsOfPane.delete(start);
      for (let index = 0; index < count; index++) {
        const id = ids[index]!;
        this.changed.add(this.byGroup.groupOf(id));
        this.#remove(id);
      }
      this.#evicted += count;
    }
  }

  /** Forgets a key; it is among the ids of no pane any more. */
  #remove(id: number): void {
    this.#set.clear(id);
    this.byGroup.remove(id);
    this.#keys.remove(id);
  }

  // ---- snapshots ------------------------------------------------------------------------------------------------

  /** As that of `Aggregate`: its groups are panes. */
  encodeGroup(group: number): Uint8Array | null {
    const ids = this.byGroup.idsOf(group);
    return ids.length === 0 ? null : encodeGroups(FORMAT, this.#encoder, this.#keys, this.#set, ids);
  }

  /** Throws: STATE_DAMAGED, STATE_INCOMPATIBLE. */
  restoreGroup(group: number, bytes: Uint8Array | null, places: readonly number[] | null = null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    restoreGroups(FORMAT, this.#encoder, this.#set, bytes, places, (columns, starts, lengths) => {
      const paneStarts = this.#startsOf(columns);
      return lengths.map((length, index) => {
        const from = starts[index]!;
        const id = this.#keys.add(bytes, from, from + length);
        this.#begin(id, group, paneStarts[index]!);
        return id;
      });
    });
  }

  dropGroup(group: number): void {
    this.changed.delete(group);
    if (this.byGroup.sizeOf(group) === 0) return;
    for (const [start, ids] of this.#idsOfPane) {
      ids.keep((id) => this.byGroup.groupOf(id) !== group);
      if (ids.count === 0) this.#idsOfPane.delete(start);
    }
    for (const id of this.byGroup.idsOf(group)) this.#remove(id);
  }

  figures(): StateFigures {
    let bytes = this.#keys.bytes + this.byGroup.bytes + this.#set.bytes + this.#windows.bytes;
    for (const ids of this.#idsOfPane.values()) bytes += ids.bytes;
    return { rows: this.#keys.size, bytes, evicted: this.#evicted };
  }
}

function windowColumn(starts: readonly number[], sizeUs: number): StructColumn {
  const valid = new Uint8Array(starts.length).fill(1);
  const start: Column = { kind: 'f64', values: Float64Array.from(starts), valid };
  const end: Column = { kind: 'f64', values: start.values.map((value) => value + sizeUs), valid };
  return { kind: 'struct', valid, fields: [start, end] };
}
