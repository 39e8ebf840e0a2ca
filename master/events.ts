/**
 * What happened in the cluster, as sentences with a number each: made by comparing what the master shows from one look
 * to the next, kept in a ring.
 */
import type { LaneView, JobView, WorkerView } from './views.ts';

export interface ClusterEvent {
  /** Grows by one; starts anew when another master leads. */
  readonly seq: number;
  /** ms since 1970. */
  readonly at: number;
  readonly level: 'info' | 'warn' | 'error';
  /** audit: what somebody asked for, and whether it was done. */
  readonly kind: 'job' | 'worker' | 'lane' | 'leader' | 'audit';
  readonly job: string | null;
  readonly worker: string | null;
  readonly code: string | null;
  /** A whole sentence. */
  readonly message: string;
}

type EventFacts = Pick<ClusterEvent, 'level' | 'kind' | 'message'> &
  Partial<Pick<ClusterEvent, 'job' | 'worker' | 'code'>>;

const EVENTS_KEPT = 2000;
/** Lanes whose owners are named one by one; a larger move is one event. */
const MOVES_NAMED = 3;

/** What of a job is compared. */
interface JobMark {
  readonly state: string;
  readonly revision: number;
  readonly run: number;
  readonly reason: string | null;
  readonly workersMax: number | null;
  readonly owners: ReadonlyMap<string, string | null>;
  /** Lanes that are blocked or failed, with the message. */
  readonly troubles: ReadonlyMap<string, string>;
  /** How records differ from the schemas of the sources. */
  readonly shapes: ReadonlySet<string>;
}

export class EventLog {
  readonly #events: ClusterEvent[] = [];
  readonly #jobs = new Map<string, JobMark>();
  readonly #workers = new Map<string, WorkerView['state']>();
  #seq = 0;
  /** Last one that a look has given. */
  #told = 0;
  #looked = false;

  /** Compares with the look before; what is new since. The first look only takes note. `now`: ms since 1970. */
  look(jobs: readonly JobView[], workers: readonly WorkerView[], now: number): readonly ClusterEvent[] {
    const from = this.#told;
    const first = !this.#looked;
    this.#looked = true;
    if (first) this.#add(now, { level: 'info', kind: 'leader', message: 'This master leads.' });
    const seen = new Set<string>();
    for (const view of jobs) {
      seen.add(view.row.name);
      this.#lookAt(view, now, first);
    }
    for (const name of [...this.#jobs.keys()].filter((one) => !seen.has(one))) {
      this.#jobs.delete(name);
      this.#add(now, { level: 'info', kind: 'job', job: name, message: `Job ${name} was deleted.` });
    }
    this.#lookAtWorkers(workers, now, first);
    this.#told = this.#seq;
    return this.since(from);
  }

  /** Between looks: a state that does not last until the next one is an event too. */
  lookAtJob(view: JobView, now: number): void {
    if (this.#looked) this.#lookAt(view, now, false);
  }

  #lookAt(view: JobView, now: number, first: boolean): void {
    const mark = markOf(view);
    const before = this.#jobs.get(view.row.name);
    this.#jobs.set(view.row.name, mark);
    if (!first) for (const event of changesOfJob(view, mark, before)) this.#add(now, event);
  }

  #lookAtWorkers(workers: readonly WorkerView[], now: number, first: boolean): void {
    const gone = new Set(this.#workers.keys());
    for (const { id, state } of workers) {
      gone.delete(id);
      const before = this.#workers.get(id);
      this.#workers.set(id, state);
      if (before === state || (first && before === undefined)) continue;
      const level = state === 'silent' ? 'warn' : 'info';
      const what = before === undefined && state === 'alive' ? 'joined' : `is ${state}`;
      this.#add(now, { level, kind: 'worker', worker: id, message: `Worker ${id} ${what}.` });
    }
    for (const id of gone) {
      const drained = this.#workers.get(id) === 'draining';
      this.#workers.delete(id);
      const message = drained ? `Worker ${id} left.` : `Worker ${id} is gone; what it had moves to others.`;
      this.#add(now, { level: drained ? 'info' : 'warn', kind: 'worker', worker: id, message });
    }
  }

  /** Something that a look does not show. */
  note(now: number, facts: EventFacts): void {
    this.#add(now, facts);
  }

  /** Events after `seq`, oldest first, as far as they are kept; all when it is the number of another master. */
  since(seq: number): readonly ClusterEvent[] {
    if (seq > this.#seq) return this.#events;
    return this.#events.filter((event) => event.seq > seq);
  }

  /** The last ones, oldest first. */
  last(count: number, job?: string): readonly ClusterEvent[] {
    const mine = job === undefined ? this.#events : this.#events.filter((event) => event.job === job);
    return count === 0 ? [] : mine.slice(-count);
  }

  #add(at: number, facts: EventFacts): void {
    this.#seq += 1;
    this.#events.push({ seq: this.#seq, at, job: null, worker: null, code: null, ...facts });
    if (this.#events.length > EVENTS_KEPT) this.#events.splice(0, this.#events.length - EVENTS_KEPT);
  }
}

function markOf({ row, lanes, schemaChanges }: JobView): JobMark {
  const troubles = lanes.filter((lane) => lane.message !== null);
  return {
    state: row.state,
    revision: row.revision,
    run: row.run,
    reason: row.reason?.message ?? null,
    workersMax: row.workersMax ?? null,
    owners: new Map(lanes.map((lane) => [lane.lane, lane.owner])),
    shapes: new Set(schemaChanges.map(({ source, message }) => `${source}: ${message}`)),
    troubles: new Map(troubles.map((lane) => [lane.lane, lane.message ?? ''])),
  };
}

function changesOfJob(view: JobView, mark: JobMark, before: JobMark | undefined): EventFacts[] {
  const { row, lanes } = view;
  const job = row.name;
  const events: EventFacts[] = [];
  const about = (level: ClusterEvent['level'], message: string, code: string | null = null): void => {
    events.push({ level, kind: 'job', job, code, message });
  };
  if (before === undefined) about('info', `Job ${job} was created (revision ${row.revision}).`);
  else if (before.revision !== row.revision)
    about('info', `Job ${job} was changed: revision ${row.revision}, run ${row.run}.`);
  else if (before.run !== row.run) about('info', `Job ${job} begins run ${row.run}.`);
  if (before !== undefined && before.workersMax !== mark.workersMax)
    about('info', `Job ${job} may use ${mark.workersMax === null ? 'all workers' : `${mark.workersMax} workers`}.`);
  const because = row.reason === null ? '.' : `: ${row.reason.message}`;
  if (before?.state !== row.state)
    about(row.state === 'failed' ? 'error' : 'info', `Job ${job} is ${row.state}${because}`, row.reason?.code);
  else if (row.reason !== null && before.reason !== mark.reason)
    about('warn', `Job ${job} waits: ${row.reason.message}`, row.reason.code);
  for (const shape of mark.shapes)
    if (before?.shapes.has(shape) !== true)
      about('warn', `Records of job ${job} differ from the schema of ${shape}.`, 'RECORD_SCHEMA_CHANGED');
  if (before !== undefined) events.push(...changesOfLanes(view, mark, before), ...troublesOf(job, lanes, before));
  return events;
}

function changesOfLanes({ row, lanes }: JobView, mark: JobMark, before: JobMark): EventFacts[] {
  if (before.run !== mark.run) return [];
  const job = row.name;
  const moved = lanes.filter((lane) => before.owners.has(lane.lane) && before.owners.get(lane.lane) !== lane.owner);
  if (moved.length > MOVES_NAMED)
    return [{ level: 'info', kind: 'lane', job, message: `${moved.length} partitions of job ${job} move.` }];
  return moved.map(({ topic, partition, owner }) => ({
    level: 'info',
    kind: 'lane',
    job,
    worker: owner,
    message: `Partition ${partition} of ${topic} in job ${job} ${owner === null ? 'has no worker' : `goes to worker ${owner}`}.`,
  }));
}

function troublesOf(job: string, lanes: readonly LaneView[], before: JobMark): EventFacts[] {
  return lanes
    .filter((lane) => lane.message !== null && before.troubles.get(lane.lane) !== lane.message)
    .map(({ topic, partition, state, owner, code, message }) => ({
      level: state === 'failed' ? 'error' : 'warn',
      kind: 'lane',
      job,
      worker: owner,
      code,
      message: `Partition ${partition} of ${topic} in job ${job} is ${state}: ${message}`,
    }));
}
