/**
 * The key groups of one job on one worker, in cohorts: one that has been here for a while and, for a time, others, which
 * come up beside it from a snapshot and by replay and join it where both stand at the same epoch.
 *
 * Invariants: a key group is in one cohort at most. A cohort that waits may be brought on or given up by preparations;
 * from its first epoch on it belongs to whoever folds ({@link Cohorts.align} and what follows), and to nobody else.
 */
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { EpochHead } from '../../core/epoch/types.ts';
import type { AssignmentView } from './assignment-view.ts';
import { Cohort } from './cohort.ts';
import type { EpochAttempt } from './epoch-attempt.ts';
import type { EpochObserver } from './epoch-observer.ts';
import type { GroupStore } from './group-store.ts';
import type { RestoreParts } from './restore.ts';
import { finishReplay, replay, restoreSnapshot } from './restore.ts';

export interface CohortsParts extends Omit<RestoreParts, 'signal'> {
  readonly groups: GroupStore;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly observer: EpochObserver;
  /** The head as it stands in the store. Throws: STORE_UNAVAILABLE. */
  readonly head: () => Promise<EpochHead>;
}

export class Cohorts {
  readonly #parts: CohortsParts;
  readonly #cohorts: Cohort[] = [];
  readonly #ending = new Set<Promise<void>>();
  #closed = false;
  #made = 0;

  constructor(parts: CohortsParts) {
    this.#parts = parts;
  }

  /** Those that epochs are folded with. */
  get active(): readonly Cohort[] {
    return this.#cohorts.filter(({ active }) => active);
  }

  /** The last epoch that all groups here of the assignment stand at; infinite when there is nothing. */
  standsAt(view: AssignmentView): number {
    return Math.min(...this.#cohorts.filter((cohort) => overlaps(cohort, view)).map(({ standsAt }) => standsAt));
  }

  /** Some groups of the assignment wait for their first epoch here. */
  waits(view: AssignmentView): boolean {
    return this.#waiting(view).length > 0;
  }

  /**
   * Brings the groups of an assignment to where the job stands, beside those that fold. Groups that wait here for none
   * of the assignments in `needed` are given up. Throws: what restoring throws.
   */
  async prepare(view: AssignmentView, needed: readonly AssignmentView[], committed: number): Promise<void> {
    for (const cohort of this.#cohorts.slice())
      if (!cohort.active && (cohort.broken || !needed.some((each) => overlaps(cohort, each)))) this.#end(cohort);
    const missing = this.#missing(view);
    if (missing.length > 0) this.#bring(missing);
    await this.follow(view, committed);
  }

  /** Brings waiting groups of an assignment to where the job has gone on to since. Throws: what replaying throws. */
  async follow(view: AssignmentView, committed: number): Promise<void> {
    const done = this.#waiting(view).map(async (cohort) => {
      try {
        await this.#catchUp(cohort, committed);
      } catch (error) {
        // Somebody else found that it is of no use.
        if (!cohort.signal.aborted) throw error;
      }
    });
    await Promise.all(done);
  }

  /**
   * Makes the cohorts those of the attempt's assignment, each standing right before its epoch, or beyond it with what
   * the epoch gave at hand. Throws: what restoring throws; the attempt's end.
   */
  async align(attempt: EpochAttempt): Promise<readonly Cohort[]> {
    const { view } = attempt;
    const { epoch } = attempt.env;
    const { open } = this.#parts;
    if (open.graph.stateStages.length === 0) return [];
    for (const cohort of this.#cohorts.slice()) {
      if (!cohort.active && !overlaps(cohort, view)) continue;
      cohort.active = true;
      const lost = [...cohort.groups].filter((group) => !view.groups.has(group));
      if (lost.length < cohort.groups.size) await attempt.meanwhile(quiet(cohort));
      if (lost.length === cohort.groups.size || !this.#canGoOn(cohort, epoch, lost)) this.#end(cohort);
      else if (lost.length > 0) {
        this.#parts.groups.forget(lost);
        await attempt.meanwhile(cohort.drop(lost));
      }
    }
    const missing = this.#missing(view);
    if (missing.length > 0) this.#bring(missing).active = true;
    for (const cohort of this.active) {
      if (cohort.reaches < epoch) await attempt.meanwhile(this.#catchUp(cohort, epoch - 1));
      await attempt.meanwhile(cohort.do(() => finishReplay(this.#restoring(cohort), cohort)));
    }
    await this.merge();
    return this.active;
  }

  /** Cohorts that stand at the same epoch become one. */
  async merge(): Promise<void> {
    const { groups } = this.#parts;
    const whole = this.active.filter((cohort) => !cohort.holdsAll && cohort.standsAt === cohort.reaches);
    const [home, ...others] = whole.sort((a, b) => b.groups.size - a.groups.size);
    for (const cohort of others) {
      if (home === undefined || cohort.standsAt !== home.standsAt) continue;
      await home.join(cohort, await cohort.do(() => groups.takeJoining(cohort)));
      this.#remove(cohort);
    }
  }

  /** Lets go what was kept of epochs up to `epoch`. */
  forget(epoch: number): void {
    for (const cohort of this.#cohorts) cohort.forget(epoch);
  }

  /** Everything here ends. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cohort of this.#cohorts.slice()) this.#remove(cohort);
    await Promise.all(this.#ending);
  }

  #waiting(view: AssignmentView): Cohort[] {
    return this.#cohorts.filter((cohort) => !cohort.active && overlaps(cohort, view));
  }

  #missing(view: AssignmentView): number[] {
    const held = new Set(this.#cohorts.flatMap(({ groups }) => [...groups]));
    return [...view.groups].filter((group) => !held.has(group));
  }

  #canGoOn(cohort: Cohort, epoch: number, lost: readonly number[]): boolean {
    if (cohort.broken) return false;
    const { stateStages, deep } = this.#parts.open.graph;
    const folded = stateStages.filter((stage) => cohort.epochOf(stage) >= epoch);
    // What the epoch gave is not told apart by group: it cannot be sent again without the groups that are elsewhere now.
    if (folded.length > 0) return lost.length === 0 && folded.every((stage) => cohort.kept(epoch, stage) !== null);
    // What a stage gave in an epoch that others have gone beyond is lost.
    if (cohort.reaches > cohort.standsAt) return false;
    // Stages behind stages are replayed for all groups; here are only its own.
    return cohort.holdsAll || !deep || cohort.standsAt >= epoch - 1;
  }

  /** Begins to restore groups in a host of their own. */
  #bring(groups: readonly number[]): Cohort {
    const { executor, open, observer, clock, job, log } = this.#parts;
    if (this.#closed) throw new WeirError('FENCED', `job ${job} holds no key groups here any more`);
    const cohort = new Cohort(`${open.hostKey}/groups-${this.#made++}`, executor, open.graph.stateStages, groups);
    this.#cohorts.push(cohort);
    const startedAt = clock.mono();
    cohort
      .do(async () => {
        await executor.openEpochs(cohort.key, open.plan);
        const openedAt = clock.mono();
        const { snapshotMs, from } = await this.#restore(cohort);
        const ms = clock.mono() - startedAt;
        observer.restored(cohort.groups.size, ms);
        const times = { ms: Math.round(ms), openMs: Math.round(openedAt - startedAt), snapshotMs };
        const epochs = { snapshot: from, epoch: cohort.standsAt };
        log.info({ job, groups: cohort.groups.size, ...epochs, ...times }, 'key groups restored');
      })
      // Whoever waits for the cohort learns of it.
      .catch(() => undefined);
    return cohort;
  }

  /** Gives the epoch of the snapshot, -1 = none, and how long it took to take it. */
  async #restore(cohort: Cohort): Promise<{ readonly from: number; readonly snapshotMs: number }> {
    const { clock } = this.#parts;
    const parts = this.#restoring(cohort);
    for (;;) {
      const head = await this.#insist(cohort, () => this.#parts.head());
      try {
        const startedAt = clock.mono();
        await this.#insist(cohort, () => restoreSnapshot(parts, cohort, head));
        const taken = { from: cohort.standsAt, snapshotMs: Math.round(clock.mono() - startedAt) };
        await this.#replay(cohort, head.committed);
        return taken;
      } catch (error) {
        if (!isWeirError(error, 'STATE_DAMAGED')) throw error;
        // Blobs go when two newer snapshots are there: then those are to be taken.
        const { snapshot } = await this.#insist(cohort, () => this.#parts.head());
        if (snapshot?.manifest === head.snapshot?.manifest) throw error;
      }
    }
  }

  #catchUp(cohort: Cohort, to: number): Promise<void> {
    return cohort.do(() => this.#replay(cohort, to));
  }

  async #replay(cohort: Cohort, to: number): Promise<void> {
    await replay(this.#restoring(cohort), cohort, to, (work) => this.#insist(cohort, work));
  }

  /** Tries again what may come right by itself, until the cohort ends. */
  async #insist<T>(cohort: Cohort, work: () => Promise<T>): Promise<T> {
    const { clock, rng, log } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      cohort.signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!isWeirError(error) || !error.retryable) throw error;
        if (attempt === 0) log.warn({ code: error.code }, error.message);
        await clock.sleep(backoffMs(rng, attempt), cohort.signal);
      }
    }
  }

  #restoring(cohort: Cohort): RestoreParts {
    return { ...this.#parts, signal: cohort.signal };
  }

  /** Forgets a cohort: its groups are brought here anew when they are needed. */
  #end(cohort: Cohort): void {
    this.#parts.groups.forget(cohort.groups);
    this.#remove(cohort);
  }

  #remove(cohort: Cohort): void {
    this.#cohorts.splice(this.#cohorts.indexOf(cohort), 1);
    const ended = cohort
      .end()
      .catch((error: unknown) => this.#parts.log.warn({ err: error }, `the host ${cohort.key} is not closed`))
      .finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}

/** Resolves when nothing is being done to the cohort, broken or not. */
async function quiet(cohort: Cohort): Promise<void> {
  await cohort.do(() => Promise.resolve()).catch(() => undefined);
}

function overlaps(cohort: Cohort, view: AssignmentView): boolean {
  for (const group of cohort.groups) if (view.groups.has(group)) return true;
  return false;
}
