/** Savepoints of stateful jobs: state and positions that are kept under a name. */
import { manifestBytes } from '../core/epoch/manifest.ts';
import type { EpochHead, SavepointRow } from '../core/epoch/types.ts';
import type { Clock } from '../core/clock.ts';
import { WeirError, messageOf } from '../core/errors.ts';
import type { JobName } from '../core/ids.ts';
import type { JobRow, MetaStore } from '../core/meta.ts';
import { META_FORMAT_VERSION } from '../core/meta.ts';
import type { BlobStore, Log } from '../core/ports.ts';
import { deleteSnapshots, readManifest } from './epochs-snapshots.ts';

export interface SavepointParts {
  readonly store: MetaStore;
  readonly blobs: () => BlobStore;
  readonly clock: Clock;
  readonly log: Log;
}

export class Savepoints {
  readonly #parts: SavepointParts;

  constructor(parts: SavepointParts) {
    this.#parts = parts;
  }

  /** Throws: NOT_FOUND. */
  async get(job: JobName, name: string): Promise<SavepointRow> {
    const found = await this.#parts.store.getSavepoint(job, name);
    if (found === undefined)
      throw new WeirError(
        'NOT_FOUND',
        `job ${job} has no savepoint ${name}; 'weir savepoint list ${job}' lists those there are`,
      );
    return found;
  }

  /** Newest first; also of jobs that were deleted. */
  async list(job: JobName): Promise<readonly SavepointRow[]> {
    return (await this.#parts.store.listSavepoints(job)).toSorted((a, b) => b.createdAt - a.createdAt);
  }

  /** Throws: CONFLICT when the name is taken. */
  async requireFree(job: JobName, name: string): Promise<void> {
    if ((await this.#parts.store.getSavepoint(job, name)) !== undefined)
      throw new WeirError('CONFLICT', `job ${job} has a savepoint ${name} already; choose another name`);
  }

  /** Keeps the last snapshot of the row's run. Throws: CONFLICT when there is none; STATE_DAMAGED. */
  async keep(row: JobRow, name: string): Promise<SavepointRow> {
    const { store, blobs, clock } = this.#parts;
    const head = await store.readEpochs(row.name, row.run);
    if (head === undefined || head.snapshot === null)
      throw new WeirError('CONFLICT', `job ${row.name} has no snapshot yet; start it and try again when it runs`);
    const manifest = await readManifest(blobs(), head.snapshot.manifest);
    const at = head.snapshot.epoch;
    const kept: SavepointRow = {
      formatVersion: META_FORMAT_VERSION,
      job: row.name,
      name,
      run: row.run,
      revision: row.revision,
      definition: row.definition,
      head: {
        ...head,
        ...manifest.at,
        planned: at,
        committed: at,
        formerSnapshot: null,
        base: head.snapshot,
        ends: null,
      },
      createdAt: clock.now(),
      bytes: manifestBytes(manifest),
    };
    await store.putSavepoint(kept);
    return kept;
  }

  /** Its state goes too, but for what `now`, the head of the job's present run, still needs. Throws: NOT_FOUND. */
  async delete(job: JobName, name: string, now: () => Promise<EpochHead | undefined>): Promise<void> {
    const { store, blobs, log } = this.#parts;
    const { head } = await this.get(job, name);
    await store.deleteSavepoint(job, name);
    const current = await now();
    const kept = [current?.snapshot ?? null, current?.formerSnapshot ?? null];
    if (head.snapshot === null || kept.some((ref) => ref?.manifest === head.snapshot?.manifest)) return;
    await deleteSnapshots({ store, blobs: blobs(), job }, [head.snapshot.manifest], kept).catch((error: unknown) =>
      log.warn({ job, err: error }, `the savepoint's state stays: ${messageOf(error)}`),
    );
  }
}
