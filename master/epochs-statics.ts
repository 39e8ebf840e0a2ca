/**
 * Versions of the static tables that a stateful job reads: the master reads a table, puts its rows into a blob, and
 * from then on plans name that version, so that every attempt and replay of an epoch joins with the same rows.
 */
import type { Clock, Rng } from '../core/clock.ts';
import { WeirError, codeOf, messageOf } from '../core/errors.ts';
import { staticBlob } from '../core/epoch/static-blob.ts';
import type { EpochHead, EpochPlan } from '../core/epoch/types.ts';
import type { Epoch, Fence, JobName, Run } from '../core/ids.ts';
import type { BlobStore, Log, TableStore } from '../core/ports.ts';
import type { EpochsPlan, StaticTable } from '../engine/plan/epoch-plan.ts';

const RETRY_MS = 1000;

export interface StaticParts {
  readonly job: JobName;
  readonly run: Run;
  readonly plan: EpochsPlan;
  readonly token: Fence;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly blobs: BlobStore;
  readonly tables: (connector: string) => TableStore;
  readonly onRead: () => void;
  readonly signal: AbortSignal;
}

type StoredTable = StaticTable & { readonly rows: { readonly kind: 'table' } };

interface Version {
  readonly version: number;
  /** Monotonic ms when it is read anew. */
  readonly dueAt: number;
}

export class EpochStatics {
  readonly #parts: StaticParts;
  readonly #tables: readonly StoredTable[];
  readonly #versions = new Map<string, Version>();
  readonly #reading = new Set<string>();
  /** Replaced versions with the last epoch that may have used them. */
  #replaced: { readonly blob: string; readonly last: Epoch }[] = [];
  #planned = -1 as Epoch;
  waiting: { readonly code: string; readonly message: string } | null = null;

  constructor(parts: StaticParts) {
    this.#parts = parts;
    this.#tables = parts.plan.statics.filter((table): table is StoredTable => table.rows.kind === 'table');
  }

  /** Goes on with the versions of the last plan. */
  open(last: EpochPlan | undefined): void {
    const now = this.#parts.clock.mono();
    for (const { name, rows } of this.#tables) {
      const version = last?.statics[name];
      if (version !== undefined) this.#versions.set(name, { version, dueAt: now + (rows.refreshMs ?? Infinity) });
    }
  }

  /** Every table has a version. */
  get ready(): boolean {
    return this.#tables.every(({ name }) => this.#versions.has(name));
  }

  get versions(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#versions].map(([name, { version }]) => [name, version]));
  }

  /** Begins to read what is due, beside the loop. Monotonic ms of the next look. */
  refresh(head: EpochHead): number {
    this.#planned = head.planned;
    this.#collect(head);
    const now = this.#parts.clock.mono();
    let next = Number.POSITIVE_INFINITY;
    for (const table of this.#tables) {
      const dueAt = this.#versions.get(table.name)?.dueAt ?? now;
      if (this.#reading.has(table.name)) continue;
      if (dueAt <= now) void this.#read(table);
      else next = Math.min(next, dueAt);
    }
    return next;
  }

  async #read(table: StoredTable): Promise<void> {
    const { job, run, token, rng, clock, blobs, log, onRead, signal } = this.#parts;
    const { name, rows } = table;
    this.#reading.add(name);
    const before = this.#versions.get(name);
    try {
      const content = await this.#rowsOf(table);
      // Unlike any that a leader before may have stored without a plan to name it.
      const version = token * 2 ** 32 + rng.u32();
      await blobs.put(staticBlob(job, run, name, version), new TextEncoder().encode(JSON.stringify(content)), signal);
      this.#versions.set(name, { version, dueAt: clock.mono() + (rows.refreshMs ?? Infinity) });
      if (before !== undefined)
        this.#replaced.push({ blob: staticBlob(job, run, name, before.version), last: this.#planned });
      this.waiting = null;
    } catch (error) {
      const message = `job ${job} cannot read the table ${rows.keyspace}.${rows.table}: ${messageOf(error)}`;
      this.waiting = { code: codeOf(error), message };
      log.warn({ job, code: codeOf(error) }, message);
      if (before !== undefined) this.#versions.set(name, { ...before, dueAt: clock.mono() + RETRY_MS });
      else await clock.sleep(RETRY_MS, signal).catch(() => undefined);
    } finally {
      this.#reading.delete(name);
      onRead();
    }
  }

  async #rowsOf({ schema, rows }: StoredTable): Promise<readonly (readonly unknown[])[]> {
    const names = schema.map(({ name }) => name);
    const list = names.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ');
    const result = await this.#parts.tables(rows.connector).query(`SELECT ${list} FROM ${rows.keyspace}.${rows.table}`);
    const order = names.map((name) => result.columns.findIndex((column) => column.name === name));
    if (order.some((index) => index < 0))
      throw new WeirError('SINK_SCHEMA', `it has no column "${names[order.findIndex((index) => index < 0)]}"`);
    return result.rows.map((row) => order.map((index) => row[index] ?? null));
  }

  /** Versions that no recovery can ask for any more. */
  #collect(head: EpochHead): void {
    if (head.formerSnapshot === null) return;
    const covered = head.formerSnapshot.epoch;
    const gone = this.#replaced.filter(({ last }) => last <= covered && last < head.committed);
    if (gone.length === 0) return;
    this.#replaced = this.#replaced.filter((version) => !gone.includes(version));
    void this.#parts.blobs.delete(gone.map(({ blob }) => blob)).catch(() => undefined);
  }
}
