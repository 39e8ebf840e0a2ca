/**
 * Writes to the sinks that keep no order of their own, in the order of the epochs: those that take an epoch as a whole, and
 * topics that are appended to, where the record that comes last of a key is the one that holds.
 *
 * Invariant: what came out of a partition or a key group is written before what comes out of it later. While an assignment
 * lasts, one worker writes both, one after the other; under another one the epoch before has to be committed first.
 */
import type { Clock } from '../../core/clock.ts';
import type { EpochPlace } from '../../core/row-sink.ts';
import type { EpochRows } from '../epoch-transactions.ts';
import type { SinkSet } from '../sink-set.ts';
import type { EpochAttempt } from './epoch-attempt.ts';
import { Gate } from './gate.ts';

/** Whoever waits for others looks so often whether they are through, ms. */
const LOOK_INTERVAL_MS = 50;

export interface OrderedWritesParts {
  readonly clock: Clock;
  /** The last epoch that is known to be committed; -1 = none. */
  readonly knownCommitted: () => number;
  /** The last epoch that is committed. Throws: STORE_UNAVAILABLE. */
  readonly readCommitted: () => Promise<number>;
}

export class OrderedWrites {
  readonly #parts: OrderedWritesParts;
  readonly #changed = new Gate();
  /** The last epoch that was written here, all of it, and the assignment that divided it. */
  #wrote: { readonly epoch: number; readonly assignment: string } | null = null;
  #committed = -1;

  constructor(parts: OrderedWritesParts) {
    this.#parts = parts;
  }

  /**
   * Writes what the attempt staged, and `logs` (see {@link SinkSet.writeEpoch}), once it is its turn. Throws: what the
   * sinks throw; why the attempt ended.
   */
  async writeWhole(sinks: SinkSet, attempt: EpochAttempt, logs: ReadonlyMap<number, EpochRows>): Promise<void> {
    if (!sinks.takesEpochs) return;
    await this.turn(attempt);
    const { key, view, plan, staged } = attempt;
    const place: EpochPlace = {
      kind: 'epoch',
      job: key.job,
      run: key.run,
      epoch: plan.epoch,
      epochTsUs: plan.epochTsUs,
      token: key.token,
      attempt: key.attempt,
      worker: view.self,
      workers: view.workerCount,
    };
    await sinks.writeEpoch(staged, place, attempt, logs);
  }

  /** Everything of the attempt is written: it is the next one's turn. */
  wrote(attempt: EpochAttempt): void {
    this.#wrote = { epoch: attempt.plan.epoch, assignment: assignmentOf(attempt) };
    this.#changed.open();
  }

  /** Waits until the epoch before is written: by this worker, or by all, for it is committed. Throws: why the attempt ended. */
  async turn(attempt: EpochAttempt): Promise<void> {
    const { clock, knownCommitted, readCommitted } = this.#parts;
    const before = attempt.plan.epoch - 1;
    const assignment = assignmentOf(attempt);
    const isWritten = (): boolean =>
      Math.max(this.#committed, knownCommitted()) >= before ||
      (this.#wrote?.epoch === before && this.#wrote.assignment === assignment);
    while (!isWritten()) {
      attempt.check();
      const cancel = clock.timer(LOOK_INTERVAL_MS, () => this.#changed.open());
      await this.#changed.wait(attempt.signal);
      cancel();
      if (isWritten()) break;
      this.#committed = await readCommitted().catch(() => this.#committed);
    }
    attempt.check();
  }
}

function assignmentOf({ key, view }: EpochAttempt): string {
  return `${key.token}/${view.assignment.version}`;
}
