/**
 * The worker's metrics (core/metrics/table.ts) and the figures of its heartbeats. Counted once per batch, never per
 * record.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Registry } from 'prom-client';
import { Instruments } from '../connectors/system/instruments.ts';
import { deadLetterReasons } from '../core/errors.ts';
import { latencyBucket } from '../core/histogram.ts';
import type { JobName } from '../core/ids.ts';
import { parseLaneId } from '../core/ids.ts';
import { must } from '../core/assert.ts';
import type { RegistryOutcome } from '../connectors/schema-registry/registry-client.ts';
import type { LanesPlan } from '../engine/plan/job-plan.ts';
import type { TaskResult } from '../engine/epoch/contract.ts';
import type { JobFigures, SinkTime } from '../proto/gen/control.ts';
import type { EpochObserver } from './epochs/epoch-observer.ts';
import type { FeedObserver } from './feeds/feed-observer.ts';
import type { LookupObserver } from './lookups/lookup-observer.ts';
import type { LaneObserver } from './observer.ts';
import type { NamedStats, SinkSet } from './sink-set.ts';
import type { ThreadWork } from './threads.ts';
import type { Worker } from './worker.ts';

/** Series by partition that one process shows; beyond, a job's partitions are one series. */
const PARTITION_SERIES_MAX = 1000;

interface Figures {
  records: number;
  rows: number;
  dead: number;
  latency: number[];
  /** ms of threads, by stage. */
  readonly busy: Map<number, number>;
  blockedMs: number;
}

export interface WorkerMetricsOptions {
  /** Default {@link PARTITION_SERIES_MAX}; 0 = none by partition. */
  readonly partitionSeriesMax?: number;
}

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #instruments: Instruments;
  readonly #partitionSeriesMax: number;
  readonly #figures = new Map<JobName, Figures>();
  /** For heartbeats, which begin it anew; what is scraped has its own. */
  readonly #eventLoop = monitorEventLoopDelay({ resolution: 10 });
  /** Places in the plan, by job and source, of stages of lanes. */
  readonly #laneStages = new Map<string, number>();
  readonly #threadMs: number[] = [];
  /** The values of the gauge of hashes, by labels: a gauge cannot be read back. */
  readonly #blackholeHashes = new Map<string, number>();
  /** What sinks had waited when the master was told last. */
  readonly #waitedMs = new WeakMap<SinkSet, readonly number[]>();
  #worker: Worker | null = null;
  readonly #counters;

  constructor(version: string, options: WorkerMetricsOptions = {}) {
    this.#partitionSeriesMax = options.partitionSeriesMax ?? PARTITION_SERIES_MAX;
    const make = new Instruments(this.registry, version);
    this.#instruments = make;
    make.eventLoop();
    this.#eventLoop.enable();
    this.#counters = {
      read: make.counter('weir_records_read_total'),
      bytes: make.counter('weir_input_bytes_total'),
      rows: make.counter('weir_rows_written_total'),
      dead: make.counter('weir_dead_letters_total'),
      filtered: make.counter('weir_records_filtered_total'),
      skipped: make.counter('weir_records_skipped_total'),
      fenced: make.counter('weir_fenced_writes_total'),
      lost: make.counter('weir_lost_offsets_total'),
      blocked: make.counter('weir_lane_blocked_seconds_total'),
      phase: make.histogram('weir_batch_duration_seconds'),
      blackholeHash: make.gauge('weir_blackhole_hash'),
      latency: make.histogram('weir_end_to_end_latency_seconds'),
      epochs: make.counter('weir_epochs_total'),
      epochPhase: make.histogram('weir_epoch_duration_seconds'),
      late: make.counter('weir_late_rows_total'),
      exchanged: make.counter('weir_exchange_bytes_total'),
      stateRows: make.gauge('weir_state_rows'),
      stateBytes: make.gauge('weir_state_bytes'),
      evicted: make.counter('weir_state_evicted_total'),
      snapshot: make.histogram('weir_snapshot_duration_seconds'),
      snapshotBytes: make.counter('weir_snapshot_written_bytes_total'),
      restoredGroups: make.counter('weir_restored_key_groups_total'),
      restore: make.histogram('weir_restore_duration_seconds'),
      stageBusy: make.counter('weir_stage_busy_seconds_total'),
      registry: make.counter('weir_registry_requests_total'),
      schemaChanges: make.counter('weir_schema_changes_total'),
      lookupKeys: make.counter('weir_lookup_keys_total'),
      lookupMs: make.histogram('weir_lookup_duration_seconds'),
      lookupErrors: make.counter('weir_lookup_errors_total'),
      lookupFailed: make.counter('weir_lookup_failed_keys_total'),
      lookupInFlight: make.gauge('weir_lookup_in_flight'),
      lookupKept: make.gauge('weir_lookup_kept_keys'),
      lookupBytes: make.gauge('weir_lookup_kept_bytes'),
      feedPolls: make.counter('weir_feed_polls_total'),
      feedRows: make.counter('weir_feed_rows_total'),
      feedErrors: make.counter('weir_feed_errors_total'),
      feedSuccess: make.gauge('weir_feed_last_success_timestamp_seconds'),
      feedBlocked: make.gauge('weir_feed_blocked'),
    };
    make.counter('weir_thread_busy_seconds_total', (counter) => {
      counter.reset();
      this.#threadMs.forEach((ms, thread) => counter.inc({ thread: String(thread) }, ms / 1000));
    });
    for (const outcome of ['ok', 'unknown', 'failed'] as const) this.#counters.registry.inc({ outcome }, 0);
  }

  /** Gauges that are read off the worker when somebody scrapes. */
  watch(worker: Worker): void {
    this.#worker = worker;
    const make = this.#instruments;
    make.read('weir_consumer_lag_records', (set) => {
      let left = this.#partitionSeriesMax;
      for (const [job, lags] of lagsOf(worker)) {
        const apart = lags.length <= left;
        if (apart) left -= lags.length;
        const sums = new Map<string, number>();
        for (const { topic, partition, lag } of lags) {
          if (apart) set({ job_name: job, topic, partition: String(partition) }, lag);
          else sums.set(topic, (sums.get(topic) ?? 0) + lag);
        }
        for (const [topic, lag] of sums) set({ job_name: job, topic, partition: 'all' }, lag);
      }
    });
    make.read('weir_lane_state', (_, add) => {
      for (const { job, lanes } of worker.snapshots()) for (const { state } of lanes) add({ job_name: job, state }, 1);
    });
    make.read('weir_write_time_ahead_seconds', (set) => {
      for (const { job, lanes } of worker.snapshots())
        if (lanes.length > 0) set({ job_name: job }, Math.max(...lanes.map((lane) => lane.aheadMs)) / 1000);
    });
    make.read('weir_sink_in_flight', (_, add) => {
      for (const { job, stats } of sinkStats(worker)) add({ job_name: job, sink: stats.name }, stats.inFlight);
    });
    make.read('weir_sink_blocked', (set) => {
      const blocked = new Map<string, { readonly job: JobName; readonly sink: string; value: number }>();
      for (const { job, stats } of sinkStats(worker)) {
        const key = `${job}/${stats.name}`;
        const before = blocked.get(key)?.value ?? 0;
        blocked.set(key, { job, sink: stats.name, value: Math.max(before, stats.blockedBy === null ? 0 : 1) });
      }
      for (const { job, sink, value } of blocked.values()) set({ job_name: job, sink }, value);
    });
    make.counter('weir_sink_refused_rows_total', (counter) => {
      counter.reset();
      for (const { job, stats } of sinkStats(worker))
        if (stats.refused !== undefined) counter.inc({ job_name: job, sink: stats.name }, stats.refused);
    });
    make.counter('weir_sink_retries_total', (counter) => {
      counter.reset();
      for (const { job, stats } of sinkStats(worker)) counter.inc({ job_name: job, sink: stats.name }, stats.retries);
    });
  }

  /** A thread, or the event loop in its place, worked for a stage. */
  worked({ thread, key, stage, ms }: ThreadWork): void {
    if (thread !== null) this.#threadMs[thread] = (this.#threadMs[thread] ?? 0) + ms;
    const [job = '', , , ...source] = key.split('/');
    const place = stage ?? this.#laneStages.get(`${job}/${source.join('/')}`) ?? 0;
    this.#counters.stageBusy.inc({ job_name: job, stage: String(place) }, ms / 1000);
    const { busy } = this.#figuresOf(job as JobName);
    busy.set(place, (busy.get(place) ?? 0) + ms);
  }

  /** So many threads are there. */
  hasThreads(count: number): void {
    for (let thread = 0; thread < count; thread++) this.#threadMs[thread] ??= 0;
  }

  /** A schema registry was asked. */
  asked(outcome: RegistryOutcome): void {
    this.#counters.registry.inc({ outcome });
  }

  /** Records of a source differ from its schema in a way that was not met before. */
  metChange(job: string, source: string, kind: 'new' | 'missing' | 'retyped'): void {
    this.#counters.schemaChanges.inc({ job_name: job, source, kind });
  }

  observer(job: JobName, source: string, plan: LanesPlan): LaneObserver {
    const figures = this.#figuresOf(job);
    const index = plan.sources.findIndex((candidate) => candidate.name === source);
    this.#laneStages.set(`${job}/${source}`, Math.max(0, index));
    // A rate has a beginning, and an alert something to look at, only with a first value.
    for (const counter of [this.#counters.fenced, this.#counters.lost, this.#counters.blocked])
      counter.inc({ job_name: job }, 0);
    const blocked = this.#counters.blocked.labels({ job_name: job });
    const stage = plan.sources.find((candidate) => candidate.name === source)?.stage;
    const sinkRows = (stage?.sinks ?? []).map((sink) => this.#counters.rows.labels({ job_name: job, sink: sink.name }));
    const read = this.#counters.read.labels({ job_name: job, source });
    const bytesRead = this.#counters.bytes.labels({ job_name: job, source });
    const latency = this.#counters.latency.labels({ job_name: job });
    const filtered = this.#counters.filtered.labels({ job_name: job });
    const skipped = this.#counters.skipped.labels({ job_name: job });
    return {
      read: (bytes) => bytesRead.inc(bytes),
      batch: (result, durationMs) => {
        read.inc(result.counters.read);
        filtered.inc(result.counters.filtered);
        skipped.inc(result.counters.skipped);
        figures.records += result.counters.read;
        figures.rows += result.counters.rowsOut;
        figures.dead += result.counters.dead;
        result.sinks.forEach((output, index) => {
          sinkRows[index]?.inc(output.rowCount);
          const sink = stage?.sinks[index];
          if (output.kind === 'blackhole' && sink !== undefined) this.#addHash(job, sink.name, output.hash);
        });
        this.#countDead(job, result.deadByReason);
        this.#counters.phase.observe({ job_name: job, phase: 'total' }, durationMs / 1000);
      },
      phase: (phase, ms) => this.#counters.phase.observe({ job_name: job, phase }, ms / 1000),
      latency: (ms, records) => {
        // One observation per record batch: its records were appended and acknowledged together.
        latency.observe(Math.max(0, ms) / 1000);
        const bucket = latencyBucket(ms);
        figures.latency[bucket] = (figures.latency[bucket] ?? 0) + records;
      },
      blocked: (ms) => {
        blocked.inc(ms / 1000);
        figures.blockedMs += ms;
      },
      fenced: () => this.#counters.fenced.inc({ job_name: job }),
      lost: (offsets) => this.#counters.lost.inc({ job_name: job }, offsets),
    };
  }

  /** For the feed of a source. */
  feedObserver(job: JobName, source: string): FeedObserver {
    const { feedPolls, feedRows, feedErrors, feedSuccess, feedBlocked } = this.#counters;
    const labels = { job_name: job, source };
    let blocked: string | null = null;
    const unblock = (): void => {
      if (blocked !== null) feedBlocked.remove({ ...labels, code: blocked });
      blocked = null;
    };
    for (const outcome of ['appended', 'known', 'refused'] as const) feedRows.inc({ ...labels, outcome }, 0);
    return {
      polled: (appended, known, nowMs) => {
        feedPolls.inc(labels);
        feedRows.inc({ ...labels, outcome: 'appended' }, appended);
        feedRows.inc({ ...labels, outcome: 'known' }, known);
        feedSuccess.set(labels, nowMs / 1000);
        unblock();
      },
      failed: (code) => {
        feedErrors.inc({ ...labels, code });
        unblock();
        blocked = code;
        feedBlocked.set({ ...labels, code }, 1);
      },
      refused: () => feedRows.inc({ ...labels, outcome: 'refused' }),
      left: () => {
        unblock();
        feedSuccess.remove(labels);
      },
    };
  }

  /** For the lookups of one table. */
  lookupObserver(job: string, table: string): LookupObserver {
    const labels = { job_name: job, table };
    const { lookupKeys, lookupMs, lookupErrors, lookupFailed, lookupInFlight, lookupKept, lookupBytes } =
      this.#counters;
    for (const outcome of ['hit', 'joined', 'miss'] as const) lookupKeys.inc({ ...labels, outcome }, 0);
    lookupFailed.inc(labels, 0);
    return {
      keys: (hits, joined, misses) => {
        lookupKeys.inc({ ...labels, outcome: 'hit' }, hits);
        lookupKeys.inc({ ...labels, outcome: 'joined' }, joined);
        lookupKeys.inc({ ...labels, outcome: 'miss' }, misses);
      },
      request: (ms, code) => {
        lookupMs.observe(labels, ms / 1000);
        if (code !== null) lookupErrors.inc({ ...labels, code });
      },
      failed: (count) => lookupFailed.inc(labels, count),
      inFlight: (requests) => lookupInFlight.set(labels, requests),
      kept: (entries, bytes) => {
        lookupKept.set(labels, entries);
        lookupBytes.set(labels, bytes);
      },
      left: () => {
        for (const gauge of [lookupInFlight, lookupKept, lookupBytes]) gauge.remove(labels);
      },
    };
  }

  /** For the epochs of a stateful job. */
  epochObserver(job: JobName): EpochObserver {
    const figures = this.#figuresOf(job);
    const labels = { job_name: job };
    const operators = new Set<string>();
    const { lost, exchanged, restoredGroups, blocked } = this.#counters;
    for (const counter of [lost, exchanged, restoredGroups, blocked]) counter.inc(labels, 0);
    this.#counters.snapshotBytes.inc(labels, 0);
    const countDead = ({ deadByReason, deadLetters }: Pick<TaskResult, 'deadByReason' | 'deadLetters'>): void => {
      figures.dead += deadLetters.rowCount;
      this.#countDead(job, deadByReason);
    };
    return {
      read: (source, bytes) => this.#counters.bytes.inc({ ...labels, source }, bytes),
      blocked: (ms, partitions) => {
        this.#counters.blocked.inc(labels, ms / 1000);
        figures.blockedMs += ms / Math.max(1, partitions);
      },
      mapped: (source, result) => {
        const { read, filtered, skipped } = result.counters;
        this.#counters.read.inc({ ...labels, source }, read);
        this.#counters.filtered.inc(labels, filtered);
        this.#counters.skipped.inc(labels, skipped);
        figures.records += read;
        countDead(result);
      },
      folded: countDead,
      written: (sinks, result) => {
        result.sinks.forEach((output, index) => {
          const sink = must(sinks[index], () => `no sink ${index}`);
          this.#counters.rows.inc({ ...labels, sink }, output.rowCount);
          figures.rows += output.rowCount;
          if (output.kind === 'blackhole') this.#addHash(job, sink, output.hash);
        });
      },
      done: (late) => {
        this.#counters.epochs.inc(labels);
        for (const [operator, rows] of late) if (rows > 0) this.#counters.late.inc({ ...labels, operator }, rows);
      },
      phase: (phase, ms) => this.#counters.epochPhase.observe({ ...labels, phase }, ms / 1000),
      latency: (ms, records) => {
        this.#counters.latency.observe(labels, Math.max(0, ms) / 1000);
        const bucket = latencyBucket(ms);
        figures.latency[bucket] = (figures.latency[bucket] ?? 0) + records;
      },
      sent: (bytes) => this.#counters.exchanged.inc(labels, bytes),
      state: (operator, { rows, bytes, evicted }) => {
        operators.add(operator);
        this.#counters.stateRows.set({ ...labels, operator }, rows);
        this.#counters.stateBytes.set({ ...labels, operator }, bytes);
        this.#counters.evicted.inc({ ...labels, operator }, evicted);
        this.#counters.late.inc({ ...labels, operator }, 0);
      },
      snapshot: (ms, bytes) => {
        this.#counters.snapshot.observe(labels, ms / 1000);
        this.#counters.snapshotBytes.inc(labels, bytes);
      },
      restored: (groups, ms) => {
        this.#counters.restoredGroups.inc(labels, groups);
        this.#counters.restore.observe(labels, ms / 1000);
      },
      lost: (offsets) => this.#counters.lost.inc(labels, offsets),
      left: () => {
        for (const operator of operators) {
          this.#counters.stateRows.remove({ ...labels, operator });
          this.#counters.stateBytes.remove({ ...labels, operator });
        }
        operators.clear();
      },
    };
  }

  /** What happened since the last call. */
  takeFigures(): JobFigures[] {
    const taken: JobFigures[] = [];
    const threads = Math.max(1, this.#threadMs.length);
    const lanes = this.#laneCountsNow();
    const waited = this.#takeWaited();
    for (const [job, figures] of this.#figures) {
      const { records, rows, dead, busy, blockedMs } = figures;
      const sinks = waited.get(job) ?? [];
      const rested = records === 0 && figures.latency.length === 0 && busy.size === 0 && blockedMs === 0;
      if (rested && sinks.every(({ ms }) => ms === 0)) continue;
      taken.push({
        job,
        records,
        rows,
        dead,
        latencyBuckets: Array.from(figures.latency, (count) => count ?? 0),
        busy: [...busy].map(([stage, ms]) => ({ stage, ms: ms / threads })),
        blockedMs: blockedMs / Math.max(1, lanes.get(job) ?? 1),
        sinks: [...sinks],
      });
      busy.clear();
      Object.assign(figures, { records: 0, rows: 0, dead: 0, latency: [], blockedMs: 0 });
    }
    return taken;
  }

  /** Since the last call; of a sink that several sources write to, the one that waited longest. */
  #takeWaited(): ReadonlyMap<JobName, readonly SinkTime[]> {
    const taken = new Map<JobName, SinkTime[]>();
    for (const { job, set } of sinkSets(this.#worker)) {
      const before = this.#waitedMs.get(set);
      const now = set.waitedMs();
      this.#waitedMs.set(set, now);
      const times = taken.get(job) ?? now.map((_, sink) => ({ sink, ms: 0 }));
      taken.set(job, times);
      for (const time of times) time.ms = Math.max(time.ms, (now[time.sink] ?? 0) - (before?.[time.sink] ?? 0));
    }
    return taken;
  }

  #laneCountsNow(): ReadonlyMap<JobName, number> {
    return new Map((this.#worker?.snapshots() ?? []).map(({ job, lanes }) => [job, lanes.length]));
  }

  /** p99 since the last call, and the process's memory. */
  vitals(): { readonly eventLoopDelayMs: number; readonly rssBytes: number } {
    const eventLoopDelayMs = Math.max(0, this.#eventLoop.percentile(99) / 1e6 - 10);
    this.#eventLoop.reset();
    return { eventLoopDelayMs, rssBytes: process.memoryUsage.rss() };
  }

  #countDead(job: JobName, deadByReason: readonly number[]): void {
    deadByReason.forEach((count, index) => {
      if (count === 0) return;
      this.#counters.dead.inc(
        { job_name: job, reason: must(deadLetterReasons[index], () => `no reason ${index}`) },
        count,
      );
    });
  }

  #addHash(job: JobName, sink: string, hash: number): void {
    const key = `${job}/${sink}`;
    const sum = ((this.#blackholeHashes.get(key) ?? 0) ^ hash) >>> 0;
    this.#blackholeHashes.set(key, sum);
    this.#counters.blackholeHash.set({ job_name: job, sink }, sum);
  }

  #figuresOf(job: JobName): Figures {
    const known = this.#figures.get(job);
    if (known !== undefined) return known;
    const fresh: Figures = { records: 0, rows: 0, dead: 0, latency: [], busy: new Map(), blockedMs: 0 };
    this.#figures.set(job, fresh);
    return fresh;
  }
}

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly lag: number;
}

/** Of every partition that is read here, by job. */
function lagsOf(worker: Worker): Map<JobName, PartitionLag[]> {
  const lags = new Map<JobName, PartitionLag[]>();
  const add = (job: JobName, lag: PartitionLag): void => {
    const known = lags.get(job);
    if (known === undefined) lags.set(job, [lag]);
    else known.push(lag);
  };
  for (const { job, lanes } of worker.snapshots())
    for (const { lane, topic, position, endOffset } of lanes)
      if (position !== null) {
        const { partition } = parseLaneId(lane);
        add(job, { topic, partition, lag: Math.max(0, endOffset - position.nextOffset) });
      }
  for (const runner of worker.epochRunners())
    for (const { lane, topic, committed, logEnd } of runner.positions()) {
      const { partition } = parseLaneId(lane);
      add(runner.job, { topic, partition, lag: Math.max(0, logEnd - committed) });
    }
  return lags;
}

/** Open sinks by job; of lanes a set for each source. */
function sinkSets(worker: Worker | null): { readonly job: JobName; readonly set: SinkSet }[] {
  const lanes = (worker?.snapshots() ?? []).flatMap(({ job, runner }) =>
    runner.sinkSets().map((set) => ({ job, set })),
  );
  const epochs = (worker?.epochRunners() ?? []).flatMap(({ job, opened }) =>
    opened === null ? [] : [{ job, set: opened.sinks }],
  );
  return [...lanes, ...epochs];
}

/** Of every open sink; a sink that several sources write to comes once for each. */
function sinkStats(worker: Worker): { readonly job: JobName; readonly stats: NamedStats }[] {
  return sinkSets(worker).flatMap(({ job, set }) => set.stats().map((stats) => ({ job, stats })));
}
