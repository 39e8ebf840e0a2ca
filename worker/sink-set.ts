/** All places the rows of one stage go to, dead letters included; one write is acknowledged when all of them are. */
import { assert, must } from '../core/assert.ts';
import { partition } from '../core/ids.ts';
import type { Offset } from '../core/ids.ts';
import type { Cursor } from '../core/lane/chunk.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LaneKey } from '../core/meta.ts';
import type { LogWriter, SinkStats, TableWriter } from '../core/ports.ts';
import type { RowBlock } from '../core/row-block.ts';
import type { EpochPlace, LanePlace, RowSink } from '../core/row-sink.ts';
import { encodeGapLetter } from '../engine/gap-letter.ts';
import type { SinkOutput, StageResult } from '../engine/stage.ts';
import type { DeadLetterTopic } from './dead-letter-copy.ts';
import { copyDeadLetters } from './dead-letter-copy.ts';
import type { LaneBatches } from './lane-batches.ts';
import type { StagedRows } from './staged-rows.ts';

/** One open sink, in the order of the plan. */
export type OpenSink =
  | { readonly kind: 'table'; readonly name: string; readonly writer: TableWriter }
  | {
      readonly kind: 'log';
      readonly name: string;
      readonly topic: string;
      readonly writer: LogWriter;
      readonly partitions: number;
    }
  | { readonly kind: 'rows'; readonly name: string; readonly sink: RowSink; readonly batches: LaneBatches }
  | { readonly kind: 'discard'; readonly name: string }
  | { readonly kind: 'console'; readonly name: string; readonly print: (text: string) => void };

export interface NamedStats extends SinkStats {
  readonly name: string;
}

export class SinkSet {
  readonly #sinks: readonly OpenSink[];
  readonly #deadLetters: TableWriter;
  readonly #deadLetterTopic: DeadLetterTopic | null;
  /** Partition counts of the log sinks, in order: what the encoder needs to choose partitions. */
  readonly logPartitions: readonly number[];
  /** Whether rows are written at the times the lane computes; a lane without such sinks may run any distance ahead of the clock. */
  readonly usesWriteTimes: boolean;

  /** With a `deadLetterTopic`, dead letters are appended there too. */
  constructor(sinks: readonly OpenSink[], deadLetters: TableWriter, deadLetterTopic: DeadLetterTopic | null) {
    this.#sinks = sinks;
    this.#deadLetters = deadLetters;
    this.#deadLetterTopic = deadLetterTopic;
    this.usesWriteTimes = sinks.some((sink) => sink.kind === 'table');
    this.logPartitions = sinks.flatMap((sink) => (sink.kind === 'log' ? [sink.partitions] : []));
  }

  /** Whether some sinks take the rows of an epoch as a whole, by {@link writeEpoch}. */
  get takesEpochs(): boolean {
    return this.#sinks.some(({ kind }) => kind === 'rows');
  }

  /**
   * Resolves when every sink has acknowledged everything; without a `place`, those that take epochs as a whole are left
   * out. Calls for one lane come in the order of its offsets. Throws what the writers throw: FENCED, SINK_SCHEMA,
   * SINK_REFUSED, UNAUTHORIZED.
   */
  async write(
    result: Pick<StageResult, 'sinks' | 'deadLetters'>,
    permit: WritePermit,
    place: LanePlace | null = null,
  ): Promise<void> {
    assert(
      result.sinks.length === this.#sinks.length,
      () => `the stage has ${result.sinks.length} sinks, ${this.#sinks.length} are open`,
    );
    const writes = result.sinks.map((output, index) =>
      writeTo(
        must(this.#sinks[index], () => 'no such sink'),
        output,
        permit,
        place,
      ),
    );
    if (result.deadLetters.rowCount > 0) writes.push(this.bury(result.deadLetters, permit));
    await Promise.all(writes);
  }

  /** Writes what one attempt of an epoch gave on this worker to the sinks that take epochs as a whole. Throws as {@link write}. */
  async writeEpoch(rows: StagedRows, place: EpochPlace, permit: WritePermit): Promise<void> {
    await Promise.all(
      this.#sinks.flatMap((sink, index) =>
        sink.kind === 'rows' ? [sink.sink.write({ place, parts: rows.of(index) }, permit)] : [],
      ),
    );
  }

  /** Records that the offsets [from.offset, to) were gone before they were read, as one dead letter at the gap's start. */
  async recordGap(key: LaneKey, topic: string, from: Cursor, to: Offset, permit: WritePermit): Promise<void> {
    const letter = {
      job: key.job,
      run: key.run,
      topic,
      partition: key.partition,
      from: from.offset,
      to,
      timeUs: from.clock.bound,
    };
    await this.bury(encodeGapLetter(letter), permit);
  }

  /** Resolves when the dead letters are in the table, and in the topic of copies if there is one. */
  async bury(letters: RowBlock, permit: WritePermit): Promise<void> {
    const copies = this.#deadLetterTopic;
    await Promise.all([
      this.#deadLetters.write(letters, permit),
      copies === null ? undefined : copies.writer.append(copyDeadLetters(letters, copies), permit),
    ]);
  }

  stats(): NamedStats[] {
    return this.#sinks.flatMap((sink) => {
      if (sink.kind === 'table') return [{ name: sink.name, ...sink.writer.stats() }];
      return sink.kind === 'rows' ? [{ name: sink.name, ...sink.sink.stats() }] : [];
    });
  }

  async close(): Promise<void> {
    await Promise.all([
      this.#deadLetters.close(),
      ...this.#sinks.map((sink) => {
        if (sink.kind === 'table') return sink.writer.close();
        return sink.kind === 'rows' ? sink.sink.close() : undefined;
      }),
    ]);
  }
}

async function writeTo(
  sink: OpenSink,
  output: SinkOutput,
  permit: WritePermit,
  place: LanePlace | null,
): Promise<void> {
  if (output.kind === 'rows') {
    assert(sink.kind === 'rows', () => `sink ${sink.name} takes no parts`);
    return place === null || output.parts.length === 0 ? undefined : sink.batches.write(output.parts, place, permit);
  }
  if (output.rowCount === 0) return;
  switch (output.kind) {
    case 'table':
      assert(sink.kind === 'table', () => `sink ${sink.name} is no table`);
      return sink.writer.write(output, permit);
    case 'log':
      assert(sink.kind === 'log', () => `sink ${sink.name} is no log`);
      return sink.writer.append(
        output.appends.map((append) => ({
          topic: sink.topic,
          partition: partition(append.partition),
          batch: append.batch,
        })),
        permit,
      );
    case 'console':
      assert(sink.kind === 'console', () => `sink ${sink.name} is no console`);
      permit.check();
      return sink.print(output.text);
    case 'blackhole':
      return undefined;
  }
}
