import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { identity } from './aggregate-accumulator.ts';
import { AggregateSet } from './aggregate-set.ts';
import { gather, gatherOrigins } from './gather.ts';
import type { Operator, Rows, RunContext } from './operator.ts';

type PartialAggregatePlan = Extract<EpochOperator, { kind: 'partialAggregate' }>;

/**
 * One row per key of the batch: the keys, then the buffers of all aggregates, so that an exchange carries a row per key
 * instead of one per record. Groups come in the order of their first rows, whose origins they get. Without keys there
 * is one row, of an empty group where no row came: a global aggregate has a result from the first epoch on. Keeps
 * nothing between batches but memory. Rows that an aggregate cannot take fail, and count in no aggregate then.
 */
export class PartialAggregate implements Operator {
  readonly #keyCount: number;
  readonly #set: AggregateSet;
  readonly #encoder: KeyEncoder;
  readonly #keys = new KeyDictionary();
  readonly #key = new ByteBuffer(256);
  #slots = new Int32Array(0);
  #firstRows = new Int32Array(64);

  /** `output`: the keys, then the buffers. */
  constructor(plan: PartialAggregatePlan, output: Schema) {
    this.#keyCount = plan.keyCount;
    this.#set = new AggregateSet(plan.aggregates);
    this.#encoder = new KeyEncoder(output.slice(0, plan.keyCount).map(({ type }) => type));
  }

  apply(rows: Rows, context: RunContext): Rows {
    const { batch } = rows;
    let { count } = rows;
    let places = rows.selection ?? identity(count);
    let groups = this.#fold(batch, places, count, context);
    while (groups < 0) {
      // The records that failed must not have counted anywhere.
      const { record } = batch.origins;
      places = places.slice(0, count).filter((row) => !context.failures.has(record[row]!));
      count = places.length;
      groups = this.#fold(batch, places, count, context);
    }
    return { batch: this.#output(batch, groups), selection: null, count: groups };
  }

  /** Aggregates the rows; the number of groups, or -1 when some of them failed. */
  #fold(batch: ColumnBatch, rows: Int32Array, count: number, { failures }: RunContext): number {
    const groups = this.#assign(batch, rows, count);
    this.#set.ensure(Math.max(groups, 1));
    for (let slot = 0; slot < groups; slot++) this.#set.clear(slot);
    const failed = failures.size;
    this.#set.update(batch.columns, rows, this.#slots, count, (row, reason, aggregate) =>
      failures.add(batch.origins.record[row]!, reason, aggregate),
    );
    return failures.size > failed ? -1 : groups;
  }

  /** Gives every row the slot of its key; the number of slots. */
  #assign(batch: ColumnBatch, rows: Int32Array, count: number): number {
    if (count > this.#slots.length) this.#slots = new Int32Array(Math.max(count, 2 * this.#slots.length));
    const slots = this.#slots;
    if (this.#keyCount === 0) {
      slots.fill(0, 0, count);
      this.#firstRows[0] = count === 0 ? -1 : rows[0]!;
      return 1;
    }
    const keys = this.#keys;
    keys.reset();
    this.#encoder.bind(batch.columns);
    const key = this.#key;
    let groups = 0;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      key.length = 0;
      this.#encoder.encode(row, key);
      const slot = keys.add(key.bytes, 0, key.length);
      slots[index] = slot;
      if (slot < groups) continue;
      if (slot === this.#firstRows.length) {
        const larger = new Int32Array(2 * slot);
        larger.set(this.#firstRows);
        this.#firstRows = larger;
      }
      this.#firstRows[slot] = row;
      groups = slot + 1;
    }
    return groups;
  }

  #output(batch: ColumnBatch, groups: number): ColumnBatch {
    const firstRows = this.#firstRows;
    const columns = Array.from({ length: this.#keyCount }, (_, key) =>
      gather(
        must(batch.columns[key], () => `the key ${key} is missing`),
        firstRows,
        groups,
      ),
    );
    columns.push(...this.#set.buffers(identity(groups), groups));
    return { rowCount: groups, columns, origins: originsOf(batch, firstRows, groups) };
  }
}

/** An empty global group has a first row of no record: it fails with none. */
function originsOf(batch: ColumnBatch, firstRows: Int32Array, groups: number): ColumnBatch['origins'] {
  if (groups !== 1 || firstRows[0]! >= 0) return gatherOrigins(batch.origins, firstRows, groups);
  const { topic, partition } = batch.origins;
  return {
    topic,
    partition,
    offset: new Float64Array(1),
    timestampMs: new Float64Array(1),
    index: new Int32Array(1),
    record: Int32Array.of(-1),
  };
}
