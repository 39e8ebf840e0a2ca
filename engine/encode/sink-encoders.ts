/** The encoders of all sinks of a stage, in the order of the plan. */
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { KernelArena } from '../kernels/kernel-arena.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { BlackholeEncoder } from './blackhole.ts';
import { ConsoleEncoder } from './console.ts';
import { KeysEncoder } from './lookup-keys.ts';
import { LogEncoder } from './log-batches.ts';
import { RowsEncoder } from './row-parts.ts';
import type { EncodeContext, EncodeTask, FallibleSinkEncoder, RowCheck, SinkEncoder } from './sink-encoder.ts';
import { TableEncoder } from './table-rows.ts';

/**
 * Encodes rows for every sink. Whoever may find a record bad comes first: `mark`, `tryRows`, then, when records turned
 * out bad, `takeBack` and once more without them, and `encodeRest` when the fate of all records is known.
 */
export class SinkEncoders {
  readonly #sinks: readonly SinkEncoder[];
  readonly #fallible: readonly RowCheck[];
  readonly #rest: readonly SinkEncoder[];

  /**
   * `arena`: the one that the rows are made in, if there is one. Throws: SINK_SCHEMA for a column that cannot be written
   * as a table's type.
   */
  constructor(plans: readonly SinkPlan[], output: Schema, timeZone: TimeZone, arena: KernelArena | null = null) {
    let logs = 0;
    const fallible: RowCheck[] = [];
    const rest: SinkEncoder[] = [];
    const added = (encoder: SinkEncoder): SinkEncoder => {
      rest.push(encoder);
      return encoder;
    };
    this.#sinks = plans.map((plan): SinkEncoder => {
      switch (plan.kind) {
        case 'table': {
          const encoder: FallibleSinkEncoder = new TableEncoder(plan, timeZone);
          fallible.push(encoder);
          return encoder;
        }
        case 'log': {
          const encoder = new LogEncoder(plan, output, logs++, timeZone, arena);
          if (encoder.check !== null) fallible.push(encoder.check);
          return added(encoder);
        }
        case 'rows': {
          const encoder = new RowsEncoder(plan, output, timeZone);
          // Only what has types of its own may refuse a value.
          if (plan.format.kind === 'postgres') fallible.push(encoder);
          else rest.push(encoder);
          return encoder;
        }
        case 'keys':
          return added(new KeysEncoder(output.length, timeZone));
        case 'blackhole':
          return added(new BlackholeEncoder());
        case 'console':
          return added(new ConsoleEncoder(output, timeZone));
      }
    });
    this.#fallible = fallible;
    this.#rest = rest;
  }

  begin(task: EncodeTask): void {
    for (const sink of this.#sinks) sink.begin(task);
  }

  mark(): void {
    for (const sink of this.#fallible) sink.mark();
  }

  tryRows(rows: ColumnBatch, context: EncodeContext): void {
    for (const sink of this.#fallible) sink.encode(rows, context);
  }

  /** Undoes what {@link tryRows} did since {@link mark}. */
  takeBack(): void {
    for (const sink of this.#fallible) sink.rollback();
  }

  encodeRest(rows: ColumnBatch, context: EncodeContext): void {
    for (const sink of this.#rest) sink.encode(rows, context);
  }

  finish(): SinkOutput[] {
    return this.#sinks.map((sink) => sink.finish());
  }
}
