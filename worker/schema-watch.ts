/** What this worker has met of records that differ from the schema of their source: for heartbeats and metrics. */
import type { FieldDrift } from '../engine/formats/field-drift.ts';
import type { SchemaChange } from '../proto/gen/control.ts';

/** Of one job; beyond, nothing more is told until its next run. */
const CHANGES_MAX = 64;
const JOBS_MAX = 256;

interface JobChanges {
  readonly run: number;
  readonly byKey: Map<string, SchemaChange>;
}

export class SchemaWatch {
  readonly #jobs = new Map<string, JobChanges>();
  readonly #onNew: (job: string, source: string, kind: FieldDrift['kind']) => void;

  /** `onNew`: told of every difference once per run of the job, whatever threads meet it. */
  constructor(onNew: (job: string, source: string, kind: FieldDrift['kind']) => void) {
    this.#onNew = onNew;
  }

  readonly note = (job: string, run: number, source: string, drift: FieldDrift): void => {
    let known = this.#jobs.get(job);
    if (known !== undefined && known.run > run) return;
    if (known === undefined || known.run < run) {
      known = { run, byKey: new Map() };
      this.#jobs.delete(job);
      this.#jobs.set(job, known);
      // Whose last run began longest ago is forgotten: it may well be gone.
      const [oldest = ''] = this.#jobs.keys();
      if (this.#jobs.size > JOBS_MAX) this.#jobs.delete(oldest);
    }
    const { kind, column, before, after, partition, offset } = drift;
    const key = `${source} ${kind} ${column}`;
    if (known.byKey.has(key) || known.byKey.size >= CHANGES_MAX) return;
    const change = { job, run, source, kind, column, before: before ?? '', after: after ?? '', partition, offset };
    known.byKey.set(key, change);
    this.#onNew(job, source, kind);
  };

  /** All that is known: every heartbeat carries it, since a new master knows nothing of it. */
  changes(): SchemaChange[] {
    return [...this.#jobs.values()].flatMap(({ byKey }) => [...byKey.values()]);
  }
}
