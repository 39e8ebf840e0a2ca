/**
 * Takes snapshots: what changed in the key groups of a worker since it was last taken goes into blobs, which the master
 * names in a manifest. Groups that were brought here by replay have changed since the blob that their former owner stored.
 */
import type { BlobStore, Failpoints } from '../../core/ports.ts';
import type { EpochExecutor, GroupState } from '../../engine/epoch/contract.ts';
import type { StoredGroup } from '../../proto/gen/control.ts';
import { threadOf } from './assignment-view.ts';
import type { Cohort } from './cohort.ts';
import type { AttemptKey } from './frame-sender.ts';

const BLOBS_AT_ONCE = 8;

export class GroupStore {
  readonly #executor: EpochExecutor;
  readonly #blobs: () => BlobStore;
  readonly #failpoints: Failpoints;
  readonly #signal: AbortSignal;
  readonly #stateStages: readonly number[];
  /** Groups that joined since the last snapshot, as they were then: stored with the next one unless they change before. */
  readonly #joined = new Map<string, GroupState>();

  constructor(
    executor: EpochExecutor,
    blobs: () => BlobStore,
    failpoints: Failpoints,
    stateStages: readonly number[],
    signal: AbortSignal,
  ) {
    this.#executor = executor;
    this.#blobs = blobs;
    this.#failpoints = failpoints;
    this.#stateStages = stateStages;
    this.#signal = signal;
  }

  /** All that a cohort holds, on its way into another host. */
  async takeJoining(cohort: Cohort): Promise<GroupState[]> {
    const states = await this.#take(cohort, true);
    for (const stage of this.#stateStages)
      for (const group of cohort.groups) this.#joined.set(keyOf({ stage, group }), { stage, group, bytes: null });
    for (const state of states) this.#joined.set(keyOf(state), state);
    return states;
  }

  /** These groups are elsewhere now. */
  forget(groups: Iterable<number>): void {
    for (const group of groups) for (const stage of this.#stateStages) this.#joined.delete(keyOf({ stage, group }));
  }

  /**
   * Takes what changed (or, with `all`, everything) now; the promise within resolves when it is stored. The cohorts
   * must stand still until the outer promise resolves.
   */
  async take(
    cohorts: readonly Cohort[],
    all: boolean,
    key: AttemptKey,
  ): Promise<{ readonly stored: Promise<StoredGroup[]> }> {
    // Of everything, only groups that hold something are taken: the others are stored as empty, whatever they joined with.
    const states = all ? this.#emptyStates(cohorts) : new Map(this.#joined);
    this.#joined.clear();
    const taken = await Promise.all(cohorts.map((cohort) => this.#take(cohort, all)));
    for (const state of taken.flat()) states.set(keyOf(state), state);
    return { stored: this.#put([...states.values()], key) };
  }

  #emptyStates(cohorts: readonly Cohort[]): Map<string, GroupState> {
    const states = new Map<string, GroupState>();
    for (const stage of this.#stateStages)
      for (const { groups } of cohorts)
        for (const group of groups) states.set(keyOf({ stage, group }), { stage, group, bytes: null });
    return states;
  }

  async #take(cohort: Cohort, all: boolean): Promise<GroupState[]> {
    const threads = new Set([...cohort.groups].map((group) => threadOf(group, this.#executor.threadCount)));
    const taken = await Promise.all([...threads].map((thread) => this.#executor.takeChanged(cohort.key, thread, all)));
    return taken.flat().filter(({ group }) => cohort.groups.has(group));
  }

  async #put(states: readonly GroupState[], key: AttemptKey): Promise<StoredGroup[]> {
    const blobs = this.#blobs();
    const stored: StoredGroup[] = [];
    const queue = states.values();
    const put = async (): Promise<void> => {
      for (const { stage, group, bytes } of queue) {
        const blob = bytes === null ? '' : blobId(key, stage, group);
        if (bytes !== null) await blobs.put(blob, bytes, this.#signal);
        await this.#failpoints.hit('epoch.midSnapshot');
        stored.push({ stage, group, blob, bytes: bytes?.byteLength ?? 0 });
      }
    };
    await Promise.all(Array.from({ length: BLOBS_AT_ONCE }, put));
    return stored;
  }
}

function blobId(key: AttemptKey, stage: number, group: number): string {
  return `${key.job}/${key.run}/${stage}/${group}/${key.epoch}-${key.token}-${key.attempt}`;
}

function keyOf(place: { readonly stage: number; readonly group: number }): string {
  return `${place.stage}/${place.group}`;
}
