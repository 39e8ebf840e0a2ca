/**
 * What the page knows of the cluster, kept fresh by one stream of server-sent events. A master without the stream is
 * asked once a second instead. Screens follow the stores and never ask by themselves for what is here.
 */
import { ApiError, ask, jobPath, locked, open } from './api.ts';
import type { Series } from './model/series.ts';
import { addPoint, emptySeries, seed } from './model/series.ts';
import { Store } from './store.ts';
import type { ClusterEvent, HistoryDocument, JobSummary, JobView, LogLine, WorkerView } from './wire.ts';
import { summaryOf } from './wire.ts';

export type Connection = 'connecting' | 'live' | 'asking' | 'lost' | 'paused';

const EVENTS_KEPT = 500;
const POLL_MS = 1000;
const POLL_HIDDEN_MS = 5000;

export const connection = new Store<Connection>('connecting');
/** null = not heard yet. */
export const jobs = new Store<readonly JobSummary[] | null>(null);
export const workers = new Store<readonly WorkerView[] | null>(null);
/** The job that is looked at. */
export const watched = new Store<JobView | null>(null);
/** Newest first. */
export const events = new Store<readonly ClusterEvent[]>([]);
export const logs = new Store<readonly LogLine[]>([]);
/** ms since 1970 of the last news. */
export const heardAt = new Store(0);

const seriesByJob = new Map<string, Series>();
const total = emptySeries();

export function seriesOf(job: string): Series {
  let series = seriesByJob.get(job);
  if (series === undefined) seriesByJob.set(job, (series = emptySeries()));
  return series;
}

/** All jobs together. */
export function totalSeries(): Series {
  return total;
}

let watching: string | null = null;
let follow: readonly string[] = [];
let current: AbortController | null = null;
let paused = false;
let noStream = false;

/** Names the job whose view is wanted and further topics (`events`, `logs`); reopens the stream when that changes. */
export function watch(job: string | null, topics: readonly string[] = []): void {
  if (job === watching && topics.join() === follow.join()) return;
  if (job !== watching) watched.set(null);
  watching = job;
  follow = topics;
  restart();
}

export function setPaused(value: boolean): void {
  paused = value;
  if (value) {
    current?.abort();
    current = null;
    connection.set('paused');
  } else restart();
}

/** Opens the stream; called once. */
export function start(): void {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && connection.value === 'lost') restart();
  });
  locked.subscribe(() => {
    if (!locked.value) restart();
  });
  restart();
}

/** Asks at once instead of at the next tick: after an action. */
export async function refresh(): Promise<void> {
  await poll(new AbortController().signal).catch(() => undefined);
}

/** Reads what the master remembers of a job's figures ('' = all together). A master that remembers nothing is no error. */
export async function loadHistory(job: string): Promise<void> {
  const series = job === '' ? total : seriesOf(job);
  if (series.at.length > 120) return;
  try {
    const history = await ask<HistoryDocument>(`/v1/ui/history?job=${encodeURIComponent(job)}`);
    seed(series, history);
    heardAt.set(Date.now());
  } catch {
    // The charts begin now.
  }
}

function restart(): void {
  if (paused) return;
  current?.abort();
  current = new AbortController();
  void run(current.signal);
}

async function run(signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (noStream) {
        await poll(signal);
        connection.set('asking');
        await pause(document.hidden ? POLL_HIDDEN_MS : POLL_MS, signal);
      } else await stream(signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) {
        connection.set('lost');
        return;
      }
      if (error instanceof ApiError && error.unserved && !noStream) {
        noStream = true;
        continue;
      }
      failures++;
      connection.set(failures > 1 ? 'lost' : 'connecting');
      await pause(Math.min(5000, 500 * failures), signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function poll(signal: AbortSignal): Promise<void> {
  const job = watching;
  const [list, crew, view] = await Promise.all([
    ask<{ jobs: readonly (JobSummary | JobView)[] }>('/v1/jobs?fields=summary', { signal }),
    ask<{ workers: readonly WorkerView[] }>('/v1/workers', { signal }),
    job === null ? null : ask<JobView>(jobPath(job), { signal }).catch(gone),
  ]);
  takeJobs({ full: true, jobs: list.jobs.map((entry) => ('row' in entry ? summaryOf(entry) : entry)) });
  workers.set(crew.workers);
  if (view !== null && job === watching) watched.set(view);
}

function gone(error: unknown): null {
  if (error instanceof ApiError && error.status === 404) return null;
  throw error;
}

async function stream(signal: AbortSignal): Promise<void> {
  const topics = ['jobs', 'workers', ...(watching === null ? [] : [`job:${watching}`]), ...follow];
  const answer = await open(`/v1/events?topics=${encodeURIComponent(topics.join(','))}`, { signal });
  if (answer.body === null || !(answer.headers.get('content-type') ?? '').startsWith('text/event-stream'))
    throw new ApiError(501, 'UNSUPPORTED', 'The master streams no events.');
  connection.set('live');
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const frames = rest.split(/\r?\n\r?\n/);
    rest = frames.pop() ?? '';
    if (signal.aborted) return;
    for (const frame of frames) takeFrame(frame);
  }
}

function takeFrame(frame: string): void {
  let kind = 'message';
  const data: string[] = [];
  for (const line of frame.split(/\r?\n/)) {
    if (line.startsWith('event:')) kind = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
  }
  if (data.length === 0) return;
  const body: unknown = JSON.parse(data.join('\n'));
  heardAt.set(Date.now());
  if (kind === 'jobs') takeJobs(body as JobsFrame);
  else if (kind === 'workers') workers.set((body as { workers: readonly WorkerView[] }).workers);
  else if (kind === 'job') {
    const view = body as JobView;
    if (view.row.name === watching) watched.set(view);
  } else if (kind === 'event') events.update((list) => [body as ClusterEvent, ...list].slice(0, EVENTS_KEPT));
  else if (kind === 'log') logs.update((list) => [body as LogLine, ...list].slice(0, EVENTS_KEPT));
}

interface JobsFrame {
  readonly full?: boolean;
  readonly jobs: readonly JobSummary[];
  readonly removed?: readonly string[];
}

function takeJobs({ full, jobs: changed, removed = [] }: JobsFrame): void {
  const byName = new Map<string, JobSummary>();
  if (full !== true) for (const job of jobs.value ?? []) byName.set(job.name, job);
  for (const job of changed) byName.set(job.name, job);
  for (const name of removed) byName.delete(name);
  const list = [...byName.values()].filter(({ state }) => state !== 'deleted');
  list.sort((one, other) => (one.name < other.name ? -1 : 1));
  const now = Date.now() / 1000;
  for (const job of list) addPoint(seriesOf(job.name), now, job);
  addPoint(total, now, together(list));
  heardAt.set(Date.now());
  jobs.set(list);
}

/** Sums, and the worst latencies. */
export function together(list: readonly JobSummary[]): JobSummary {
  const sum = (pick: (job: JobSummary) => number): number => list.reduce((so, job) => so + Math.max(0, pick(job)), 0);
  const worst = (pick: (job: JobSummary) => number | null): number | null =>
    list.reduce<number | null>((so, job) => {
      const value = pick(job);
      return value === null || (so !== null && so > value) ? so : value;
    }, null);
  const counters = { read: 0, passed: 0, filtered: 0, skipped: 0, dead: 0, rowsOut: 0 };
  for (const job of list)
    for (const name of Object.keys(counters) as (keyof typeof counters)[]) counters[name] += job.counters[name];
  return {
    name: '',
    state: '',
    reason: null,
    revision: 0,
    run: 0,
    submittedAt: 0,
    changedAt: 0,
    partitionCount: sum((job) => job.partitionCount),
    counters,
    lag: sum((job) => job.lag),
    recordsPerSecond: sum((job) => job.recordsPerSecond),
    rowsPerSecond: sum((job) => job.rowsPerSecond),
    latencyMsP50: worst((job) => job.latencyMsP50),
    latencyMsP99: worst((job) => job.latencyMsP99),
  };
}
