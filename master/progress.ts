/**
 * What a job did lately, batch by batch, under the names of Spark's StreamingQueryProgress (sql/streaming/progress.scala),
 * so that scripts and dashboards that read those go on working. A stateful job's batches are its epochs, the newest of
 * each look; a stateless job has none, so each look that saw records counts as one.
 */
import { createHash } from 'node:crypto';
import type { EpochProgressView } from './epochs-progress.ts';
import type { JobView } from './views.ts';

type Offsets = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface SourceProgress {
  readonly description: string;
  /** By topic and partition. */
  readonly startOffset: Offsets;
  readonly endOffset: Offsets;
  readonly latestOffset: Offsets;
  readonly numInputRows: number;
  readonly inputRowsPerSecond: number;
  readonly processedRowsPerSecond: number;
  readonly metrics: Readonly<Record<string, string>>;
}

/** What one batch took from one partition; not Spark's. */
export interface PartitionProgress {
  readonly source: string;
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly ms: number | null;
  readonly attempts: number;
  readonly worker: string | null;
}

export interface StreamingQueryProgress {
  readonly id: string;
  readonly runId: string;
  readonly name: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly batchId: number;
  /** ms. */
  readonly batchDuration: number;
  readonly numInputRows: number;
  readonly inputRowsPerSecond: number;
  readonly processedRowsPerSecond: number;
  /** `addBatch` is exchange, state and sinks; reading and mapping is `map`, which Spark counts as part of addBatch. */
  readonly durationMs: Readonly<Record<string, number>>;
  readonly eventTime: Readonly<Record<string, string>>;
  readonly stateOperators: readonly Readonly<Record<string, unknown>>[];
  readonly sources: readonly SourceProgress[];
  /** `busyRatio` in its metrics: part of the last seconds in which rows waited to be acknowledged; as Spark's, text. */
  readonly sink: {
    readonly description: string;
    readonly numOutputRows: number;
    readonly metrics: Readonly<Record<string, string>>;
  };
  readonly observedMetrics: Readonly<Record<string, never>>;
  readonly partitions: readonly PartitionProgress[];
}

/** Batches kept of all jobs together, and of one. */
const KEPT_IN_ALL = 6000;
const KEPT_MAX = 200;
const KEPT_MIN = 5;

interface Followed {
  readonly ids: QueryIds;
  readonly batches: StreamingQueryProgress[];
  run: number;
  batchId: number;
  /** Monotonic ms. */
  at: number;
  read: number;
  rowsOut: number;
  committed: ReadonlyMap<string, number>;
}

export class ProgressLog {
  readonly #jobs = new Map<string, Followed>();

  /** New batches since the look before. `mono` and `now`: ms, monotonic and since 1970. */
  look(jobs: readonly JobView[], mono: number, now: number): readonly StreamingQueryProgress[] {
    const kept = Math.min(KEPT_MAX, Math.max(KEPT_MIN, Math.floor(KEPT_IN_ALL / Math.max(1, jobs.length))));
    const seen = new Set<string>();
    const fresh: StreamingQueryProgress[] = [];
    for (const view of jobs) {
      seen.add(view.row.name);
      const progress = this.#follow(view, mono, now);
      if (progress === null) continue;
      fresh.push(progress);
      const batches = this.#jobs.get(view.row.name)?.batches ?? [];
      batches.push(progress);
      if (batches.length > kept) batches.splice(0, batches.length - kept);
    }
    for (const name of this.#jobs.keys()) if (!seen.has(name)) this.#jobs.delete(name);
    return fresh;
  }

  /** Oldest first. */
  last(job: string, count: number): readonly StreamingQueryProgress[] {
    return count === 0 ? [] : (this.#jobs.get(job)?.batches ?? []).slice(-count);
  }

  #follow(view: JobView, mono: number, now: number): StreamingQueryProgress | null {
    const { row, counters, epochs } = view;
    const known = this.#jobs.get(row.name);
    const progress = epochs?.lastProgress ?? null;
    const committed = new Map(view.lanes.map((lane) => [lane.lane, lane.committedOffset]));
    const next: Followed = {
      ids: known?.run === row.run ? known.ids : queryIds(row),
      batches: known?.batches ?? [],
      run: row.run,
      batchId: known?.batchId ?? -1,
      at: mono,
      read: counters.read,
      rowsOut: counters.rowsOut,
      committed,
    };
    if (known === undefined || known.run !== row.run) {
      // What was done before this master looked is not one batch.
      this.#jobs.set(row.name, { ...next, batchId: progress?.batchId ?? -1 });
      return null;
    }
    if (epochs !== null) {
      if (progress === null || progress.batchId === known.batchId) return null;
      this.#jobs.set(row.name, { ...next, batchId: progress.batchId });
      return ofEpoch(view, known.ids, progress, (mono - known.at) / 1000, counters.rowsOut - known.rowsOut, now);
    }
    if (counters.read <= known.read) return null;
    this.#jobs.set(row.name, { ...next, batchId: known.batchId + 1 });
    return ofLanes(view, known, mono - known.at, now);
  }
}

function ofEpoch(
  view: JobView,
  ids: QueryIds,
  progress: EpochProgressView,
  sinceSeconds: number,
  rowsOut: number,
  now: number,
): StreamingQueryProgress {
  const { numInputRows, batchDuration } = progress;
  const topics = new Map(view.sources.map(({ name, topic }) => [`${name} (${topic})`, { name, topic }]));
  const rates = (rows: number): Pick<SourceProgress, 'inputRowsPerSecond' | 'processedRowsPerSecond'> => ({
    inputRowsPerSecond: perSecond(rows, sinceSeconds),
    processedRowsPerSecond: perSecond(rows, batchDuration / 1000),
  });
  const partitions = progress.sources.flatMap(({ description, startOffset, endOffset }) => {
    const { name, topic } = topics.get(description) ?? { name: description, topic: description };
    return Object.entries(endOffset).map(([partition, to]): PartitionProgress => {
      const from = startOffset[partition] ?? to;
      const rows = to - from;
      return {
        source: name,
        topic,
        partition: Number(partition),
        from,
        to,
        rows,
        ms: null,
        attempts: progress.attempts,
        worker: null,
      };
    });
  });
  return {
    ...identity(view, ids, now),
    batchId: progress.batchId,
    batchDuration: round(batchDuration),
    numInputRows,
    ...rates(numInputRows),
    durationMs: Object.fromEntries(Object.entries(progress.durationMs).map(([phase, ms]) => [phase, round(ms)])),
    eventTime: watermarkOf(view),
    stateOperators: (view.epochs?.stateOperators ?? []).map((operator) => ({
      ...operator,
      numRowsUpdated: 0,
      allUpdatesTimeMs: round(progress.durationMs.addBatch),
      commitTimeMs: round(progress.durationMs.commitOffsets),
      customMetrics: {},
    })),
    sources: progress.sources.map(({ description, startOffset, endOffset, latestOffset }) => {
      const topic = topics.get(description)?.topic ?? description;
      const rows = sum(Object.entries(endOffset).map(([partition, to]) => to - (startOffset[partition] ?? to)));
      return {
        description: kafkaDescription(topic),
        startOffset: { [topic]: startOffset },
        endOffset: { [topic]: endOffset },
        latestOffset: { [topic]: latestOffset },
        numInputRows: rows,
        ...rates(rows),
        metrics: behind(endOffset, latestOffset),
      };
    }),
    sink: sinkProgress(view, rowsOut),
    partitions,
  };
}

function ofLanes(view: JobView, before: Followed, ms: number, now: number): StreamingQueryProgress {
  const rows = view.counters.read - before.read;
  const partitions = view.lanes.flatMap((lane): PartitionProgress[] => {
    const from = before.committed.get(lane.lane) ?? lane.committedOffset;
    const to = lane.committedOffset;
    if (from < 0 || to <= from) return [];
    const { source, topic, partition, owner } = lane;
    return [{ source, topic, partition, from, to, rows: to - from, ms: null, attempts: 1, worker: owner }];
  });
  const sources = view.sources.map(({ name, topic }, index): SourceProgress => {
    const lanes = view.lanes.filter((lane) => lane.source === name);
    const offsets = (of: (lane: JobView['lanes'][number]) => number): Record<string, number> =>
      Object.fromEntries(lanes.map((lane) => [String(lane.partition), of(lane)]).filter(([, at]) => Number(at) >= 0));
    const mine = sum(partitions.filter((one) => one.source === name).map((one) => one.rows));
    const end = offsets((lane) => lane.committedOffset);
    const latest = offsets((lane) => lane.endOffset);
    return {
      description: kafkaDescription(topic),
      startOffset: { [topic]: offsets((lane) => before.committed.get(lane.lane) ?? lane.committedOffset) },
      endOffset: { [topic]: end },
      latestOffset: { [topic]: latest },
      numInputRows: mine,
      inputRowsPerSecond: perSecond(mine, ms / 1000),
      processedRowsPerSecond: perSecond(mine, ms / 1000),
      metrics: { ...behind(end, latest), ...blockedMetric(view, index) },
    };
  });
  return {
    ...identity(view, before.ids, now),
    batchId: before.batchId + 1,
    batchDuration: round(ms),
    numInputRows: rows,
    inputRowsPerSecond: perSecond(rows, ms / 1000),
    processedRowsPerSecond: perSecond(rows, ms / 1000),
    durationMs: { triggerExecution: round(ms) },
    eventTime: {},
    stateOperators: [],
    sources,
    sink: sinkProgress(view, view.counters.rowsOut - before.rowsOut),
    partitions,
  };
}

type QueryIds = Pick<StreamingQueryProgress, 'id' | 'runId'>;
type Identity = Pick<StreamingQueryProgress, 'id' | 'runId' | 'name' | 'timestamp' | 'observedMetrics'>;

function identity({ row }: JobView, ids: QueryIds, now: number): Identity {
  return { ...ids, name: row.name, timestamp: new Date(now).toISOString(), observedMetrics: {} };
}

/** Ids as Spark's: one for the life of the job, one per run. */
function queryIds(row: JobView['row']): QueryIds {
  return {
    id: uuidOf(`${row.name} ${row.submittedAt}`),
    runId: uuidOf(`${row.name} ${row.submittedAt} ${row.run}`),
  };
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function watermarkOf({ epochs }: JobView): Record<string, string> {
  return epochs?.watermarkMs == null ? {} : { watermark: new Date(epochs.watermarkMs).toISOString() };
}

function kafkaDescription(topic: string): string {
  return `KafkaV2[Subscribe[${topic}]]`;
}

/** Of several sinks the busiest. */
function sinkProgress({ sinks, operators }: JobView, rowsOut: number): StreamingQueryProgress['sink'] {
  const known = operators.flatMap(({ id, busyRatio }) => (id.startsWith('sink') ? (busyRatio ?? []) : []));
  return {
    description: sinks.map(({ description }) => description).join(', '),
    numOutputRows: Math.max(0, rowsOut),
    metrics: known.length === 0 ? {} : { busyRatio: String(round(Math.max(...known))) },
  };
}

/** Of a source of a job without state. */
function blockedMetric({ operators }: JobView, source: number): Record<string, string> {
  const blocked = operators.find(({ id }) => id === `source${source}`)?.blockedRatio ?? null;
  return blocked === null ? {} : { blockedRatio: String(round(blocked)) };
}

/** Spark's metrics of a Kafka source. */
function behind(
  end: Readonly<Record<string, number>>,
  latest: Readonly<Record<string, number>>,
): Record<string, string> {
  const gaps = Object.entries(latest).map(([partition, at]) => Math.max(0, at - (end[partition] ?? at)));
  if (gaps.length === 0) return {};
  return {
    avgOffsetsBehindLatest: String(sum(gaps) / gaps.length),
    maxOffsetsBehindLatest: String(Math.max(...gaps)),
    minOffsetsBehindLatest: String(Math.min(...gaps)),
  };
}

function perSecond(rows: number, seconds: number): number {
  return seconds <= 0 ? 0 : round(rows / seconds);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
