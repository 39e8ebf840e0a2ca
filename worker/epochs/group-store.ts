/**
 * Takes snapshots: what changed in the key groups of a worker since it was last taken goes into blobs, which the master
 * names in a manifest. Groups that were brought here by replay have changed since the blob that their former owner stored.
 *
 * Small groups share a blob: what a store asks for a blob, two writes, two reads and a delete, is more than their bytes
 * are worth. A blob goes when no snapshot names any group of it, so a shared one is bounded in size.
 */
import { formatPlace } from '../../core/epoch/manifest.ts';
import type { BlobStore, Failpoints } from '../../core/ports.ts';
import type { EpochExecutor, GroupState } from '../../engine/epoch/contract.ts';
import type { StoredGroup } from '../../proto/gen/control.ts';
import { threadOf } from './assignment-view.ts';
import type { Cohort } from './cohort.ts';
import type { AttemptKey } from './frame-sender.ts';

const BLOBS_AT_ONCE = 8;
/** Of a blob that several groups share: half a chunk of the stores. */
const SHARED_BYTES_MAX = 256 * 1024;

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
    for (const { stage, group, bytes } of states) if (bytes === null) stored.push({ stage, group, blob: '', bytes: 0 });
    const queue = shared(states).values();
    const put = async (): Promise<void> => {
      for (const some of queue) {
        const [first] = some;
        if (first === undefined) continue;
        const blob = blobId(key, first.stage, first.group);
        await blobs.put(blob, some.length === 1 ? first.bytes : concat(some), this.#signal);
        await this.#failpoints.hit('epoch.midSnapshot');
        let offset = 0;
        for (const { stage, group, bytes } of some) {
          const part = some.length === 1 ? null : { offset, length: bytes.byteLength };
          stored.push({ stage, group, blob: formatPlace({ blob, part }), bytes: bytes.byteLength });
          offset += bytes.byteLength;
        }
      }
    };
    await Promise.all(Array.from({ length: BLOBS_AT_ONCE }, put));
    return stored;
  }
}

type Held = GroupState & { readonly bytes: Uint8Array };

/** Groups that go into one blob together, in the order of stage and group. */
function shared(states: readonly GroupState[]): Held[][] {
  const held = states.filter((state): state is Held => state.bytes !== null);
  const packs: Held[][] = [];
  let size = SHARED_BYTES_MAX;
  for (const state of held.sort((a, b) => a.stage - b.stage || a.group - b.group)) {
    const { byteLength } = state.bytes;
    // A large group stays alone: it would be read with others that are wanted elsewhere.
    if (size + byteLength > SHARED_BYTES_MAX) {
      packs.push([]);
      size = 0;
    }
    packs.at(-1)?.push(state);
    size += byteLength;
  }
  return packs;
}

function concat(states: readonly Held[]): Uint8Array {
  const whole = new Uint8Array(states.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
  let offset = 0;
  for (const { bytes } of states) {
    whole.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return whole;
}

function blobId(key: AttemptKey, stage: number, group: number): string {
  return `${key.job}/${key.run}/${stage}/${group}/${key.epoch}-${key.token}-${key.attempt}`;
}

function keyOf(place: { readonly stage: number; readonly group: number }): string {
  return `${place.stage}/${place.group}`;
}
