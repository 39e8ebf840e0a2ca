/**
 * The rows of static tables that are read anew from time to time. An epoch's plan pins a version of each; the master has
 * put the rows of that version into a blob, so that every worker, attempt and replay joins with the same.
 */
import { must } from '../../core/assert.ts';
import { staticBlob } from '../../core/epoch/static-blob.ts';
import type { JobName, Run } from '../../core/ids.ts';
import type { BlobStore } from '../../core/ports.ts';
import type { EpochExecutor } from '../../engine/epoch/contract.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';

export class StaticTables {
  readonly #tables: readonly string[];
  readonly #executor: EpochExecutor;
  readonly #blobs: () => BlobStore;
  readonly #job: JobName;
  readonly #run: Run;
  /** Version in each host: `host table`. */
  readonly #versions = new Map<string, number>();

  constructor(plan: EpochsPlan, executor: EpochExecutor, blobs: () => BlobStore, job: JobName, run: Run) {
    this.#tables = plan.statics.flatMap(({ name, rows }) => (rows.kind === 'table' ? [name] : []));
    this.#executor = executor;
    this.#blobs = blobs;
    this.#job = job;
    this.#run = run;
  }

  /** True when the job has no such tables. */
  get none(): boolean {
    return this.#tables.length === 0;
  }

  /**
   * Gives the hosts the versions that an epoch's plan names. `before` is waited for first, whatever version the hosts
   * have: an earlier epoch that is ordered once more may be about to give them another one for its own tasks.
   */
  async use(
    versions: Readonly<Record<string, number>>,
    hosts: readonly string[],
    before: () => Promise<void>,
  ): Promise<void> {
    if (this.none) return;
    await before();
    for (const table of this.#tables) {
      const version = must(versions[table], () => `the plan names no version of table ${table}`);
      const stale = hosts.filter((host) => this.#versions.get(`${host} ${table}`) !== version);
      if (stale.length === 0) continue;
      const id = staticBlob(this.#job, this.#run, table, version);
      const bytes = must(await this.#blobs().get(id), () => `the rows of table ${table}, version ${version}, are gone`);
      const rows = JSON.parse(new TextDecoder().decode(bytes)) as readonly (readonly unknown[])[];
      for (const host of stale) {
        await this.#executor.setStatic(host, table, rows);
        this.#versions.set(`${host} ${table}`, version);
      }
    }
  }
}
