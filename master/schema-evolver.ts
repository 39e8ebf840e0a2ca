/**
 * Sources with `onSchemaChange: evolve`: what workers tell of new fields becomes the job's next revision, by the same way
 * as a changed job file. Runs wherever jobs are looked at; only a leader has jobs to look at.
 */
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import { loadJobFile } from '../core/job/file.ts';
import type { ClusterEvent } from './events.ts';
import type { JobService } from './service.ts';
import type { JobView, SchemaChangeView } from './views.ts';

/** Fields come together, and are met one after the other: one revision is for all that come within this time, ms. */
const SETTLE_MS = 2000;
/** After a failure that may pass. */
const RETRY_MS = 30_000;

/** What of a job was met, and when it was acted on or is to be. */
interface Seen {
  readonly changes: readonly SchemaChangeView[];
  /** Monotonic ms; Infinity = done with these. */
  dueAt: number;
}

type Note = (event: Pick<ClusterEvent, 'level' | 'kind' | 'message'> & { readonly job: string }) => void;

export class SchemaEvolver {
  readonly #service: Pick<JobService, 'definition' | 'apply'>;
  readonly #clock: Clock;
  readonly #note: Note;
  readonly #seen = new Map<string, Seen>();
  #working: Promise<void> | null = null;

  constructor(service: Pick<JobService, 'definition' | 'apply'>, clock: Clock, note: Note) {
    this.#service = service;
    this.#clock = clock;
    this.#note = note;
  }

  /** Resolves when what is under way is done. */
  get settled(): Promise<void> {
    return this.#working ?? Promise.resolve();
  }

  /** To be called again and again. Never throws, never waits; one job is changed at a time. */
  look(jobs: readonly JobView[]): void {
    const now = this.#clock.mono();
    for (const { row, schemaChanges } of jobs) {
      const known = this.#seen.get(row.name);
      if (schemaChanges.length === 0) {
        if (known !== undefined) this.#seen.delete(row.name);
        continue;
      }
      if (known === undefined || known.changes !== schemaChanges) {
        this.#seen.set(row.name, { changes: schemaChanges, dueAt: now + SETTLE_MS });
        continue;
      }
      if (known.dueAt > now || this.#working !== null || row.state !== 'running') continue;
      known.dueAt = Infinity;
      this.#working = this.#evolve(row.name, row.revision, known).finally(() => {
        this.#working = null;
      });
    }
  }

  async #evolve(job: string, revision: number, seen: Seen): Promise<void> {
    try {
      const { source: text } = await this.#service.definition(job, revision);
      const { spec } = loadJobFile(text);
      if (spec === null) return;
      const { evolvedJobFile } = await import('./evolved-job-file.ts');
      const { text: evolved, added, left } = evolvedJobFile(text, spec, seen.changes);
      if (left.length > 0) this.#tell('warn', job, `Job ${job} does not take these fields: ${left.join(', ')}.`);
      if (added.length === 0) return;
      const outcome = await this.#service.apply(evolved, { expectedRevision: revision });
      if (outcome.kind === 'refused') {
        const why = outcome.problems.map(({ message }) => message).join('; ');
        this.#tell('warn', job, `Job ${job} cannot take the new fields ${added.join(', ')}: ${why}.`);
      } else if (outcome.kind === 'applied' && outcome.change === 'updated')
        this.#tell('info', job, `Job ${job} takes new fields as revision ${outcome.revision}: ${added.join(', ')}.`);
    } catch (error) {
      seen.dueAt = this.#clock.mono() + RETRY_MS;
      this.#tell('warn', job, `Job ${job} does not take new fields yet: ${messageOf(error)}`);
    }
  }

  #tell(level: ClusterEvent['level'], job: string, message: string): void {
    this.#note({ level, kind: 'job', job, message });
  }
}
