/**
 * A topic that the lanes of a job write exactly once: each lane has a writer of its own there, opened when the lane
 * starts, and a position, which may be ahead of what the lane itself has committed. The lane then sends it only what it
 * lacks.
 */
import { assert, must } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import type { LaneId, Offset, Run } from '../core/ids.ts';
import { laneId } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LogTransactions } from '../core/log-transactions.ts';
import type { LaneKey } from '../core/meta.ts';
import type { Failpoints, LogAppend, LogWriter, SinkStats } from '../core/ports.ts';
import type { LogTransactionSettings } from '../engine/plan/stage-plan.ts';

/** A lane that begins. */
export interface LaneOpening {
  readonly key: LaneKey;
  /** Topic that the lane reads. */
  readonly topic: string;
  /** The first of the runs that this one continues; its own when it continues none. */
  readonly since: Run;
  /** When the job was first submitted, ms: tells it from another of the same name whose metadata are gone. */
  readonly submittedAt: number;
  /** Committed position of the lane. */
  readonly start: Offset;
  readonly permit: WritePermit;
  readonly failpoints: Failpoints;
}

interface OpenLane {
  readonly transactions: LogTransactions;
  /** Records before it are there. */
  readonly position: Offset;
}

export class LaneTransactions {
  readonly #topic: string;
  readonly #settings: LogTransactionSettings;
  readonly #writer: LogWriter;
  readonly #lanes = new Map<LaneId, OpenLane>();

  constructor(topic: string, settings: LogTransactionSettings, writer: LogWriter) {
    this.#topic = topic;
    this.#settings = settings;
    this.#writer = writer;
  }

  /** The lane's position here, at or after its start. Throws what opening throws. */
  async open(opening: LaneOpening): Promise<Offset> {
    const { key, topic, since, submittedAt, start, permit, failpoints } = opening;
    const id = laneId(key);
    await this.close(id);
    if (this.#writer.openTransactions === undefined)
      throw new WeirError('UNSUPPORTED', `Job ${key.job}: the log of topic ${this.#topic} has no transactions.`);
    const group = (run: number): string => `weir.${key.job}.${run}.${key.source}.${this.#topic}`;
    const continued = Array.from({ length: key.run - since }, (_, index) => group(key.run - 1 - index));
    const plan = {
      job: key.job,
      topic: this.#topic,
      id: `weir.${key.job}.${key.source}.${key.partition}.${this.#topic}`,
      groups: [group(key.run), ...continued] as const,
      source: { topic, partition: key.partition },
      note: `${submittedAt}/${key.topicId}`,
      ...this.#settings,
    };
    const transactions = await this.#writer.openTransactions(plan, { permit, failpoints });
    const position = Math.max(transactions.position ?? 0, start) as Offset;
    this.#lanes.set(id, { transactions, position });
    return position;
  }

  /** Resolves when the rows of these offsets are committed. Throws what the writer throws. */
  async write(lane: LaneId, from: Offset, to: Offset, appends: readonly LogAppend[]): Promise<void> {
    const { transactions, position } = must(this.#lanes.get(lane), () => `lane ${lane} is not open at ${this.#topic}`);
    if (to <= position) return;
    assert(from >= position, () => `rows of ${from} to ${to} cut the position ${position} of ${lane}`);
    if (appends.length > 0) await transactions.write(appends, to);
  }

  /** The lane waits for what it wrote. */
  commitNow(lane: LaneId): void {
    this.#lanes.get(lane)?.transactions.commitNow();
  }

  stats(): SinkStats {
    const all = [...this.#lanes.values()].map(({ transactions }) => transactions.stats());
    return {
      inFlight: all.reduce((sum, { inFlight }) => sum + inFlight, 0),
      retries: all.reduce((sum, { retries }) => sum + retries, 0),
      blockedBy: all.find(({ blockedBy }) => blockedBy !== null)?.blockedBy ?? null,
    };
  }

  /** Aborts what the lane has not committed. Never rejects. */
  async close(lane: LaneId): Promise<void> {
    const open = this.#lanes.get(lane);
    this.#lanes.delete(lane);
    await open?.transactions.close();
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#lanes.keys()].map((lane) => this.close(lane)));
  }
}
