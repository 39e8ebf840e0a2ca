/**
 * Snapshots of a stateful job: asks for one with an epoch, collects what the workers stored, writes the manifest, and
 * deletes what nobody names any more. A snapshot counts when the head names it; a half-made one leaves only garbage.
 */
import type { Rng } from '../core/clock.ts';
import type { Epoch, Fence, JobName, Run, WorkerId } from '../core/ids.ts';
import { epoch as epochOf } from '../core/ids.ts';
import { must } from '../core/assert.ts';
import { isWeirError, messageOf } from '../core/errors.ts';
import type { HeadFacts, Manifest, StoredEntry } from '../core/epoch/manifest.ts';
import { blobsOf, decodeManifest, encodeManifest, manifestBytes, nextManifest } from '../core/epoch/manifest.ts';
import type { EpochHead, SnapshotRef } from '../core/epoch/types.ts';
import type { MetaStore } from '../core/meta.ts';
import type { BlobStore, Log } from '../core/ports.ts';
import type { StoredGroup } from '../proto/gen/control.ts';

export interface SnapshotParts {
  readonly store: MetaStore;
  readonly blobs: BlobStore;
  readonly log: Log;
  readonly job: JobName;
  readonly run: Run;
  readonly definition: string;
  readonly token: Fence;
  readonly rng: Rng;
  /** Called when a manifest has been written and waits to be named. */
  readonly onWritten: () => void;
  readonly signal: AbortSignal;
}

interface Pending {
  readonly epoch: Epoch;
  /** Everything is stored anew, not only what changed. */
  readonly all: boolean;
  readonly missing: Set<WorkerId>;
  readonly stored: StoredEntry[];
  /** Where the job stood; null until the epoch is committed. */
  at: HeadFacts | null;
  writing: boolean;
}

export class EpochSnapshots {
  readonly #parts: SnapshotParts;
  #pending: Pending | null = null;
  /** Manifest of the newest named snapshot; null = none. */
  #newest: Manifest | null = null;
  #written: { readonly ref: SnapshotRef; readonly manifest: Manifest } | null = null;
  /** Snapshots that the head no longer names. */
  readonly #dropped: string[] = [];
  #collecting = false;
  #needsAll = true;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  /** Reads what the head names; a damaged one is replaced by the next, which holds everything. Throws: STORE_UNAVAILABLE. */
  async open(head: EpochHead): Promise<void> {
    if (head.snapshot === null) return;
    try {
      this.#newest = await readManifest(this.#parts.blobs, head.snapshot.manifest);
    } catch (error) {
      if (!isWeirError(error, 'STATE_DAMAGED')) throw error;
      this.#parts.log.warn(
        { job: this.#parts.job, code: error.code },
        `the newest snapshot is damaged: ${error.message}`,
      );
    }
  }

  get bytes(): number {
    return this.#newest === null ? 0 : manifestBytes(this.#newest);
  }

  /** Being made, up to the moment it is named. */
  get busy(): boolean {
    return this.#pending !== null || this.#written !== null;
  }

  /** True when the next one must hold every group: some worker's idea of what was stored may not be ours. */
  get needsAll(): boolean {
    return this.#needsAll;
  }

  /** A snapshot is asked of `workers` with the run order of `epoch`. */
  request(epoch: Epoch, workers: Iterable<WorkerId>): void {
    this.#pending = {
      epoch,
      all: this.#needsAll,
      missing: new Set(workers),
      stored: [],
      at: null,
      writing: false,
    };
  }

  /** A worker stored its groups. */
  stored(worker: WorkerId, epoch: Epoch, groups: readonly StoredGroup[]): void {
    const pending = this.#pending;
    if (pending === null || pending.epoch !== epoch || !pending.missing.delete(worker)) return;
    for (const { stage, group, blob, bytes } of groups) pending.stored.push({ stage, group, blob, bytes });
    this.#writeSoon();
  }

  /** The epoch is durable; the job then stood at `at`. */
  committed(epoch: Epoch, at: HeadFacts): void {
    if (this.#pending === null || this.#pending.epoch !== epoch) return;
    this.#pending.at = at;
    this.#writeSoon();
  }

  /** An attempt failed: what was stored meanwhile may not be whole. */
  abandon(): void {
    this.#pending = null;
    this.#needsAll = true;
  }

  /** The snapshot to be named with the next change of the head. */
  get written(): SnapshotRef | null {
    return this.#written?.ref ?? null;
  }

  /** The head that names {@link written} is durable. */
  named(before: EpochHead): Manifest {
    const { manifest } = must(this.#written, () => 'no snapshot waits to be named');
    this.#written = null;
    this.#newest = manifest;
    if (before.formerSnapshot !== null) this.#dropped.push(before.formerSnapshot.manifest);
    return manifest;
  }

  /** Nobody needs these manifests any more, but for blobs that others name too. */
  drop(manifests: readonly string[]): void {
    this.#dropped.push(...manifests);
  }

  /** Deletes what dropped snapshots alone named. Not while a worker may still restore from one of them. */
  collect(head: EpochHead): void {
    if (this.#collecting || this.#dropped.length === 0 || head.snapshot === null) return;
    this.#collecting = true;
    void this.#collect(head)
      .catch((error: unknown) =>
        this.#parts.log.warn({ job: this.#parts.job, err: error }, `old snapshots stay for now: ${messageOf(error)}`),
      )
      .finally(() => {
        this.#collecting = false;
      });
  }

  async #collect(head: EpochHead): Promise<void> {
    const { store, blobs, job } = this.#parts;
    const dropped = this.#dropped.slice();
    await deleteSnapshots({ store, blobs, job }, dropped, [head.snapshot, head.formerSnapshot]);
    this.#dropped.splice(0, dropped.length);
  }

  #writeSoon(): void {
    const pending = this.#pending;
    if (pending === null || pending.writing || pending.missing.size > 0 || pending.at === null) return;
    pending.writing = true;
    void this.#write(pending, pending.at);
  }

  async #write(pending: Pending, at: HeadFacts): Promise<void> {
    const { blobs, job, run, definition, token, rng, log, onWritten, signal } = this.#parts;
    const manifest = nextManifest(pending.all ? null : this.#newest, pending.epoch, pending.stored, at, definition);
    const id = `${job}/${run}/manifest/${pending.epoch}-${token}-${rng.uuid().slice(0, 8)}`;
    try {
      await blobs.put(id, encodeManifest(manifest), signal);
    } catch (error) {
      log.warn({ job, err: error }, `the snapshot of epoch ${pending.epoch} is not taken: ${messageOf(error)}`);
      if (this.#pending === pending) this.abandon();
      onWritten();
      return;
    }
    if (this.#pending !== pending) return;
    this.#pending = null;
    this.#needsAll = false;
    this.#written = { ref: { epoch: epochOf(pending.epoch), manifest: id }, manifest };
    onWritten();
  }
}

/**
 * Deletes snapshots by their manifests, except for blobs that `kept` or a savepoint of the job names too. Repeating it
 * does no harm. Throws: STATE_DAMAGED, STORE_UNAVAILABLE.
 */
export async function deleteSnapshots(
  { store, blobs, job }: Pick<SnapshotParts, 'store' | 'blobs' | 'job'>,
  manifests: readonly string[],
  kept: readonly (SnapshotRef | null)[],
): Promise<void> {
  const needed = new Set<string>();
  const savepoints = (await store.listSavepoints(job)).map((savepoint) => savepoint.head.snapshot);
  for (const ref of [...kept, ...savepoints]) {
    if (ref === null) continue;
    for (const blob of blobsOf(ref.manifest, await readManifest(blobs, ref.manifest))) needed.add(blob);
  }
  for (const id of manifests) {
    if (needed.has(id)) continue;
    const gone = (await blobsNamedBy(blobs, id)).filter((blob) => !needed.has(blob));
    // The manifest goes last: without it nobody finds the others again.
    await blobs.delete(gone.filter((blob) => blob !== id));
    await blobs.delete([id]);
  }
}

/**
 * What a manifest that nobody needs names. A damaged one cannot say: its blobs stay, and it does not keep others from
 * being deleted. Throws: STORE_UNAVAILABLE.
 */
async function blobsNamedBy(blobs: BlobStore, id: string): Promise<string[]> {
  try {
    const bytes = await blobs.get(id);
    return bytes === undefined ? [] : [...blobsOf(id, decodeManifest(bytes))];
  } catch (error) {
    if (!isWeirError(error, 'STATE_DAMAGED')) throw error;
    return [];
  }
}

/** Throws: STATE_DAMAGED, STORE_UNAVAILABLE, and an invariant when a named manifest is missing. */
export async function readManifest(blobs: BlobStore, id: string): Promise<Manifest> {
  return decodeManifest(must(await blobs.get(id), () => `the manifest ${id} of a snapshot is gone`));
}
