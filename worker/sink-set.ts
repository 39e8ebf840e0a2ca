/** All places the rows of one stage go to, dead letters included; one write is acknowledged when all of them are. */
import { assert, must } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { partition } from '../core/ids.ts';
import type { LaneId, Offset } from '../core/ids.ts';
import type { Cursor } from '../core/lane/chunk.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { MemoryPool } from '../core/memory-pool.ts';
import type { LaneKey } from '../core/meta.ts';
import type { SinkStats, TableWriter } from '../core/ports.ts';
import type { RowBlock } from '../core/row-block.ts';
import type { EpochPlace, LanePlace, RowSink } from '../core/row-sink.ts';
import { encodeGapLetter } from '../engine/gap-letter.ts';
import type { SinkOutput, StageResult } from '../engine/stage.ts';
import { BusyTime } from './busy-time.ts';
import type { DeadLetterTopic } from './dead-letter-copy.ts';
import { copyDeadLetters } from './dead-letter-copy.ts';
import type { GatheredAppends } from './gathered-appends.ts';
import type { EpochRows, EpochTransactions } from './epoch-transactions.ts';
import type { LaneBatches } from './lane-batches.ts';
import type { LaneOpening, LaneTransactions } from './lane-transactions.ts';
import type { StagedRows } from './staged-rows.ts';

/** One open sink, in the order of the plan. */
export type OpenSink =
  | { readonly kind: 'table'; readonly name: string; readonly writer: TableWriter }
  | {
      readonly kind: 'log';
      readonly name: string;
      readonly topic: string;
      readonly partitions: number;
      readonly appends: GatheredAppends;
    }
  /** A topic that lanes write exactly once. */
  | {
      readonly kind: 'laneLog';
      readonly name: string;
      readonly topic: string;
      readonly partitions: number;
      readonly transactions: LaneTransactions;
    }
  /** A topic that epochs write exactly once: the rows of all workers come to one, by {@link SinkSet.writeEpoch}. */
  | {
      readonly kind: 'epochLog';
      readonly name: string;
      readonly partitions: number;
      readonly transactions: EpochTransactions;
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
  readonly #memory: MemoryPool | null;
  readonly #transactions: readonly LaneTransactions[];
  readonly #clock: Clock;
  readonly #waiting: readonly BusyTime[];
  /** Partition counts of the log sinks, in order: what the encoder needs to choose partitions. */
  readonly logPartitions: readonly number[];
  /** Whether rows are written at the times the lane computes; a lane without such sinks may run any distance ahead of the clock. */
  readonly usesWriteTimes: boolean;

  /** With a `deadLetterTopic`, dead letters are appended there too; memory that rows were in goes to `memory`. */
  constructor(
    sinks: readonly OpenSink[],
    deadLetters: TableWriter,
    deadLetterTopic: DeadLetterTopic | null,
    clock: Clock,
    memory: MemoryPool | null = null,
  ) {
    this.#memory = memory;
    this.#clock = clock;
    this.#waiting = sinks.map(() => new BusyTime());
    this.#sinks = sinks;
    this.#deadLetters = deadLetters;
    this.#deadLetterTopic = deadLetterTopic;
    this.#transactions = sinks.flatMap((sink) => (sink.kind === 'laneLog' ? [sink.transactions] : []));
    this.usesWriteTimes = sinks.some((sink) => sink.kind === 'table');
    this.logPartitions = sinks.flatMap((sink) =>
      sink.kind === 'log' || sink.kind === 'laneLog' || sink.kind === 'epochLog' ? [sink.partitions] : [],
    );
  }

  /** Whether some sinks take the rows of an epoch as a whole, by {@link writeEpoch}. */
  get takesEpochs(): boolean {
    return this.#sinks.some(({ kind }) => kind === 'rows' || kind === 'epochLog');
  }

  /** Whether the rows are for sinks where what is written last holds, and nothing else says which came later. */
  keepsOrder(outputs: readonly SinkOutput[]): boolean {
    return outputs.some((output, index) => {
      const kind = this.#sinks[index]?.kind;
      return (
        (kind === 'log' || kind === 'laneLog' || kind === 'console') && output.kind !== 'rows' && output.rowCount > 0
      );
    });
  }

  /** Whether some sinks put what several chunks gave into one write: chunks need not be large for them. */
  get gathers(): boolean {
    return this.usesTransactions || this.#sinks.some(({ kind }) => kind === 'rows');
  }

  /** Whether some sinks acknowledge what they were given together, after an interval. */
  get usesTransactions(): boolean {
    return this.#transactions.length > 0;
  }

  /**
   * Before the first write of a lane: takes it over at the sinks that keep a position themselves. Where these stand, if
   * beyond the lane's start: no chunk may reach over one of them. Throws: SINK_UNAVAILABLE, UNAUTHORIZED,
   * CONFIG_INVALID, UNSUPPORTED, FENCED.
   */
  async openLane(opening: LaneOpening): Promise<readonly Offset[]> {
    const positions = await Promise.all(this.#transactions.map((transactions) => transactions.open(opening)));
    return positions.filter((position) => position > opening.start);
  }

  /** The lane waits for what it wrote. */
  commitNow(lane: LaneId): void {
    for (const transactions of this.#transactions) transactions.commitNow(lane);
  }

  /** After the last write of a lane. Never rejects. */
  async closeLane(lane: LaneId): Promise<void> {
    await Promise.all(this.#transactions.map((transactions) => transactions.close(lane)));
  }

  /**
   * Resolves when every sink has acknowledged everything; without a `place`, those that take epochs as a whole are left
   * out. Calls for one lane come in the order of its offsets. Throws what the writers throw: FENCED, SINK_SCHEMA,
   * SINK_REFUSED, UNAUTHORIZED. What a lane appends to a topic goes out chunk by chunk: the last record of a key
   * is the one that was read last.
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
    const writes = result.sinks.map(async (output, index) => {
      const sink = must(this.#sinks[index], () => 'no such sink');
      await this.#waitFor(index, () => this.#writeTo(sink, index, output, permit, place));
      if (output.kind === 'log' && output.memory !== undefined) this.#memory?.give(output.memory);
    });
    if (result.deadLetters.rowCount > 0) writes.push(this.bury(result.deadLetters, permit));
    await Promise.all(writes);
  }

  /** The topic of a sink that epochs write exactly once. */
  epochTopic(index: number): string {
    const sink = this.#sinks[index];
    assert(sink?.kind === 'epochLog', () => `sink ${index} is no topic that epochs write exactly once`);
    return sink.transactions.topic;
  }

  /**
   * Writes what one attempt of an epoch gave on this worker to the sinks that take epochs as a whole, and to topics that
   * are written exactly once `logs`: what it gave on all workers, by sink; nothing where another worker writes. Throws as
   * {@link write}.
   */
  async writeEpoch(
    rows: StagedRows,
    place: EpochPlace,
    permit: WritePermit,
    logs: ReadonlyMap<number, EpochRows> = new Map(),
  ): Promise<void> {
    await Promise.all(
      this.#sinks.flatMap((sink, index) => {
        if (sink.kind === 'rows')
          return [this.#waitFor(index, () => sink.sink.write({ place, parts: rows.of(index) }, permit))];
        const all = logs.get(index);
        if (sink.kind !== 'epochLog' || all === undefined) return [];
        return [this.#waitFor(index, () => sink.transactions.write(all, permit))];
      }),
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

  async #waitFor(sink: number, write: () => Promise<void>): Promise<void> {
    const waiting = must(this.#waiting[sink], () => `no sink ${sink}`);
    waiting.begin(this.#clock.mono());
    try {
      await write();
    } finally {
      waiting.end(this.#clock.mono());
    }
  }

  /** ms in which rows waited to be acknowledged so far, by sink in the order of the plan. */
  waitedMs(): number[] {
    const now = this.#clock.mono();
    return this.#waiting.map((waiting) => waiting.total(now));
  }

  stats(): NamedStats[] {
    return this.#sinks.flatMap((sink) => {
      if (sink.kind === 'table') return [{ name: sink.name, ...sink.writer.stats() }];
      if (sink.kind === 'laneLog' || sink.kind === 'epochLog')
        return [{ name: sink.name, ...sink.transactions.stats() }];
      return sink.kind === 'rows' ? [{ name: sink.name, ...sink.sink.stats() }] : [];
    });
  }

  async close(): Promise<void> {
    await Promise.all([
      this.#deadLetters.close(),
      ...this.#sinks.map((sink) => {
        if (sink.kind === 'table') return sink.writer.close();
        if (sink.kind === 'laneLog') return sink.transactions.closeAll();
        if (sink.kind === 'epochLog') return sink.transactions.close();
        return sink.kind === 'rows' ? sink.sink.close() : undefined;
      }),
    ]);
  }

  async #writeTo(
    sink: OpenSink,
    index: number,
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
      case 'log': {
        // The rows of an epoch are written once all of them are there.
        if (sink.kind === 'epochLog') return undefined;
        assert(sink.kind === 'log' || sink.kind === 'laneLog', () => `sink ${sink.name} is no log`);
        const { topic } = sink;
        const appends = output.appends.map((append) => ({ ...append, topic, partition: partition(append.partition) }));
        // Rows of epochs wait for their epoch's turn; those of a lane for the chunk before them.
        if (sink.kind === 'log') return sink.appends.append(place?.lane ?? null, appends, permit);
        const { lane, from, to } = must(place, () => `sink ${sink.name} writes rows of lanes`);
        return sink.transactions.write(lane as LaneId, from as Offset, to as Offset, appends);
      }
      case 'console':
        assert(sink.kind === 'console', () => `sink ${sink.name} is no console`);
        permit.check();
        return sink.print(output.text);
      case 'keys':
      case 'blackhole':
        return undefined;
    }
  }
}
