/**
 * Writes to the sinks that take epochs as a whole, in the order of the epochs.
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

export interface WholeWritesParts {
  readonly clock: Clock;
  /** The last epoch that is known to be committed; -1 = none. */
  readonly knownCommitted: () => number;
  /** The last epoch that is committed. Throws: STORE_UNAVAILABLE. */
  readonly readCommitted: () => Promise<number>;
}

export class WholeWrites {
  readonly #parts: WholeWritesParts;
  readonly #changed = new Gate();
  /** The last epoch that was written here, and the assignment that divided it. */
  #wrote: { readonly epoch: number; readonly assignment: string } | null = null;
  #committed = -1;

  constructor(parts: WholeWritesParts) {
    this.#parts = parts;
  }

  /**
   * Writes what the attempt staged, and `logs` (see {@link SinkSet.writeEpoch}), once it is its turn. Throws: what the
   * sinks throw; why the attempt ended.
   */
  async write(sinks: SinkSet, attempt: EpochAttempt, logs: ReadonlyMap<number, EpochRows>): Promise<void> {
    if (!sinks.takesEpochs) return;
    const { key, view, plan, staged } = attempt;
    const assignment = `${key.token}/${view.assignment.version}`;
    await this.#turn(attempt, plan.epoch - 1, assignment);
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
    this.#wrote = { epoch: plan.epoch, assignment };
    this.#changed.open();
  }

  /** Waits until `before` is written: by this worker, or by all, for it is committed. */
  async #turn(attempt: EpochAttempt, before: number, assignment: string): Promise<void> {
    const { clock, knownCommitted, readCommitted } = this.#parts;
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
