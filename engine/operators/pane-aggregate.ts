import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import type { Column, ColumnBatch, StructColumn } from '../column-batch.ts';
import { noOrigins } from '../epoch/frame.ts';
import type { EpochOperator, PaneWindows } from '../plan/epoch-plan.ts';
import { identity } from './aggregate-accumulator.ts';
import { AggregateSet } from './aggregate-set.ts';
import { gather } from './gather.ts';
import { keyTableOf } from './key-table.ts';
import type { KeyTable } from './key-table.ts';
import type { FailureLog, Rows } from './operator.ts';
import { PartialAggregate, type RowsAddedUp } from './partial-aggregate.ts';

type PartialAggregatePlan = Extract<EpochOperator, { kind: 'partialAggregate' }>;

/**
 * As `PartialAggregate`, for windows that overlap: rows are added up by pane, the stretch between two starts of windows,
 * and windows are put together of panes in the end. So a row is looked at once, and not once for each of its windows.
 * (Li et al., No Pane, No Gain: Efficient Evaluation of Sliding-Window Aggregates over Data Streams, 2005.)
 */
export class PaneAggregate implements RowsAddedUp {
  readonly #windows: PaneWindows;
  readonly #keyCount: number;
  readonly #panes: PartialAggregate;
  readonly #keys: KeyTable;
  readonly #set: AggregateSet;
  #slots = new Int32Array(0);

  /** `output`: the keys, then the buffers. */
  constructor(plan: PartialAggregatePlan, output: Schema) {
    this.#windows = must(plan.panes, () => 'the windows of the panes are not named');
    this.#keyCount = plan.keyCount;
    this.#panes = new PartialAggregate(plan, output);
    this.#keys = keyTableOf(output.slice(0, plan.keyCount).map(({ type }) => type));
    this.#set = new AggregateSet(plan.aggregates);
  }

  begin(): void {
    this.#panes.begin();
  }

  add(rows: Rows, failures: FailureLog): void {
    this.#panes.add(rows, failures);
  }

  /** `lateUs`: the watermark that windows are late by; late ones are left out. */
  finish(lateUs: number): ColumnBatch {
    const { columns, rowCount } = this.#windowsOf(this.#panes.finish(), lateUs);
    if (rowCount > this.#slots.length) this.#slots = new Int32Array(Math.max(rowCount, 2 * this.#slots.length));
    const slots = this.#slots;
    const rows = identity(rowCount);
    this.#keys.reset();
    this.#keys.assign(columns, rows, rowCount, slots);
    const { size } = this.#keys;
    this.#set.ensure(size);
    for (let slot = 0; slot < size; slot++) this.#set.clear(slot);
    this.#set.merge(columns, this.#keyCount, rows, slots, rowCount, (_, reason, aggregate) => {
      throw new TypeError(`${aggregate} refuses partial results: ${reason}`);
    });
    const buffers = this.#set.buffers(identity(size), size);
    return { rowCount: size, columns: [...this.#keys.columns(), ...buffers], origins: noOrigins };
  }

  /** Each pane's row once for every window that it is part of, the latest window first. */
  #windowsOf(
    { columns, rowCount }: ColumnBatch,
    lateUs: number,
  ): { readonly columns: readonly Column[]; readonly rowCount: number } {
    const { column, sizeUs, slideUs, watermarkLagUs } = this.#windows;
    const watermark = lateUs - watermarkLagUs;
    const [paneStarts] = (columns[column] as StructColumn).fields;
    if (paneStarts?.kind !== 'f64') throw new TypeError(`panes are a ${paneStarts?.kind} column`);
    const windows = sizeUs / slideUs;
    const from = new Int32Array(rowCount * windows);
    const starts = new Float64Array(rowCount * windows);
    const ends = new Float64Array(rowCount * windows);
    let count = 0;
    for (let row = 0; row < rowCount; row++) {
      const first = paneStarts.values[row]!;
      for (let window = 0; window < windows; window++) {
        const start = first - window * slideUs;
        if (start + sizeUs <= watermark) break;
        from[count] = row;
        starts[count] = start;
        ends[count++] = start + sizeUs;
      }
    }
    const valid = new Uint8Array(count).fill(1);
    const fields: Column[] = [starts, ends].map((values) => ({
      kind: 'f64',
      values: values.subarray(0, count),
      valid,
    }));
    return {
      columns: columns.map((each, index) =>
        index === column ? { kind: 'struct', valid, fields } : gather(each, from, count),
      ),
      rowCount: count,
    };
  }
}
