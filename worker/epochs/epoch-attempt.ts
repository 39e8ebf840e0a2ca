/** One attempt of one epoch on one worker: its plan, what arrives for it, what it writes, and the right to write it. */
import { WeirError } from '../../core/errors.ts';
import type { EpochPlan } from '../../core/epoch/types.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import { addCounters, zeroCounters } from '../../core/lane/position.ts';
import type { EpochEnv, MapResult, StateFigures, TaskResult } from '../../engine/epoch/contract.ts';
import type { EpochMapped } from '../../proto/gen/control.ts';
import type { StoredGroup } from '../../proto/gen/control.ts';
import type { AssignmentView } from './assignment-view.ts';
import { StagedRows } from '../staged-rows.ts';
import type { KeptPart } from './cohort.ts';
import type { EpochInbox } from './epoch-inbox.ts';
import type { AttemptKey, FrameSender } from './frame-sender.ts';

export interface AttemptParts {
  readonly key: AttemptKey;
  readonly plan: EpochPlan;
  readonly env: EpochEnv;
  readonly view: AssignmentView;
  readonly snapshot: 'none' | 'changed' | 'all';
  readonly inbox: EpochInbox;
  readonly sender: FrameSender;
  /** Monotonic ms. */
  readonly orderedAt: number;
}

export class EpochAttempt implements AttemptParts, WritePermit {
  readonly key: AttemptKey;
  readonly plan: EpochPlan;
  readonly env: EpochEnv;
  readonly view: AssignmentView;
  readonly snapshot: AttemptParts['snapshot'];
  readonly inbox: EpochInbox;
  readonly sender: FrameSender;
  readonly orderedAt: number;
  readonly #abort = new AbortController();
  /** Parts that were sent on and handed to the sinks under this attempt. */
  readonly emitted = new Set<KeptPart>();
  /** Flows that were closed under this attempt: `fromStage/stage`. */
  readonly ended = new Set<string>();
  readonly late = new Map<string, number>();
  readonly state = new Map<number, StateFigures>();
  /** Rows for sinks that take the epoch as a whole. */
  readonly staged = new StagedRows();
  /** Work that has to succeed before the epoch is done: writes, ends of flows. */
  readonly writes: Promise<void>[] = [];
  /** When records were appended, ms, and how many: one entry per map task. */
  readonly appended: [timestampMs: number, records: number][] = [];
  /** What the snapshot of this epoch stored; null = none was taken. */
  storing: Promise<StoredGroup[]> | null = null;
  counters: LaneCounters = zeroCounters;
  /** The report that was sent, for a master that did not get it. */
  mapped: EpochMapped | null = null;
  isFolded = false;
  isDone = false;

  constructor(parts: AttemptParts) {
    this.key = parts.key;
    this.plan = parts.plan;
    this.env = parts.env;
    this.view = parts.view;
    this.snapshot = parts.snapshot;
    this.inbox = parts.inbox;
    this.sender = parts.sender;
    this.orderedAt = parts.orderedAt;
  }

  /** Aborts when a newer attempt replaces this one, when it failed, or when the job stops here. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Nothing more is done or written for this attempt. */
  end(reason: string): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(new WeirError('FENCED', `${this.#name()} ended: ${reason}`));
  }

  valid(): boolean {
    return !this.#abort.signal.aborted;
  }

  check(): void {
    this.#abort.signal.throwIfAborted();
  }

  /** Waits for work, but not beyond the attempt's end. Throws: what the work throws; why the attempt ended. */
  async meanwhile<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#abort;
    const ended = Promise.withResolvers<never>();
    const end = (): void => ended.reject(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    try {
      return await Promise.race([work, ended.promise]);
    } finally {
      signal.removeEventListener('abort', end);
      this.check();
    }
  }

  addMapped(result: MapResult): void {
    // Rows that go to the sinks are counted where they leave, the same for map and state stages.
    this.counters = addCounters(this.counters, { ...result.counters, rowsOut: 0 });
    if (result.timestampMsMax > 0) this.appended.push([result.timestampMsMax, result.counters.read]);
    this.addResult(result);
  }

  addResult(result: TaskResult): void {
    this.counters = { ...this.counters, rowsOut: this.counters.rowsOut + result.rowsOut };
    for (const [operator, rows] of Object.entries(result.late))
      this.late.set(operator, (this.late.get(operator) ?? 0) + rows);
  }

  addState(stage: number, figures: StateFigures): void {
    const { rows, bytes, evicted } = this.state.get(stage) ?? { rows: 0, bytes: 0, evicted: 0 };
    this.state.set(stage, {
      rows: rows + figures.rows,
      bytes: bytes + figures.bytes,
      evicted: evicted + figures.evicted,
    });
  }

  #name(): string {
    const { job, epoch, attempt } = this.key;
    return `job ${job}, epoch ${epoch}, attempt ${attempt}`;
  }
}
