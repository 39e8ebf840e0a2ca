/**
 * The worker's metrics and the figures of its heartbeats. Counted once per batch, never per record; names and labels are
 * listed in docs/metrics.md.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { deadLetterReasons } from '../core/errors.ts';
import { latencyBucket } from '../core/histogram.ts';
import type { JobName } from '../core/ids.ts';
import { parseLaneId } from '../core/ids.ts';
import { must } from '../core/assert.ts';
import type { LanesPlan } from '../engine/plan/job-plan.ts';
import type { TaskResult } from '../engine/epoch/contract.ts';
import type { JobFigures } from '../proto/gen/control.ts';
import type { EpochObserver } from './epochs/epoch-observer.ts';
import type { LaneObserver } from './observer.ts';
import type { NamedStats } from './sink-set.ts';
import type { Worker } from './worker.ts';

const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Figures {
  records: number;
  rows: number;
  dead: number;
  latency: number[];
}

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #figures = new Map<JobName, Figures>();
  readonly #eventLoop = monitorEventLoopDelay({ resolution: 10 });
  readonly #read = this.#counter('weir_records_read_total', 'Records read', ['job_name', 'source']);
  readonly #bytes = this.#counter('weir_input_bytes_total', 'Bytes of fetched record batches', ['job_name', 'source']);
  readonly #rows = this.#counter('weir_rows_written_total', 'Rows acknowledged by a sink', ['job_name', 'sink']);
  readonly #dead = this.#counter('weir_dead_letters_total', 'Records that became dead letters', ['job_name', 'reason']);
  readonly #filtered = this.#counter('weir_records_filtered_total', 'Records the query dropped', ['job_name']);
  readonly #skipped = this.#counter('weir_records_skipped_total', 'Records dropped by policy', ['job_name']);
  readonly #fenced = this.#counter(
    'weir_fenced_writes_total',
    'Times a lane stopped because its ownership was not confirmed',
    ['job_name'],
  );
  readonly #lost = this.#counter('weir_lost_offsets_total', 'Offsets that were gone before they were read', [
    'job_name',
  ]);
  readonly #phase = this.#histogram('weir_batch_duration_seconds', 'Time of a batch by phase', ['job_name', 'phase']);
  readonly #blackholeHash = this.#gauge(
    'weir_blackhole_hash',
    'Xor of the hashes of all rows a blackhole sink was given',
    ['job_name', 'sink'],
  );
  /** The values of that gauge, by labels: a gauge cannot be read back. */
  readonly #blackholeHashes = new Map<string, number>();
  readonly #latency = this.#histogram(
    'weir_end_to_end_latency_seconds',
    'From append to the log to acknowledgement by the sink',
    ['job_name'],
  );
  readonly #epochs = this.#counter('weir_epochs_total', 'Epochs of stateful jobs done by this worker', ['job_name']);
  readonly #epochPhase = this.#histogram('weir_epoch_duration_seconds', 'Time of an epoch by phase', [
    'job_name',
    'phase',
  ]);
  readonly #late = this.#counter('weir_late_rows_total', 'Rows dropped because they came after the watermark', [
    'job_name',
    'operator',
  ]);
  readonly #exchanged = this.#counter('weir_exchange_bytes_total', 'Bytes of rows sent to other workers', ['job_name']);
  readonly #stateRows = this.#gauge('weir_state_rows', 'Rows of state held', ['job_name', 'stage']);
  readonly #stateBytes = this.#gauge('weir_state_bytes', 'Bytes of state held', ['job_name', 'stage']);
  readonly #evicted = this.#counter('weir_state_evicted_total', 'Rows of state that became final and were forgotten', [
    'job_name',
    'stage',
  ]);
  readonly #restoredGroups = this.#counter('weir_restored_key_groups_total', 'Key groups brought to this worker', [
    'job_name',
  ]);
  readonly #restore = this.#histogram('weir_restore_duration_seconds', 'Time of a restore: snapshot and replay', [
    'job_name',
  ]);

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    this.#gauge('weir_build_info', 'Version of Weir and Node', ['version', 'node']).set(
      { version, node: process.version },
      1,
    );
    this.#eventLoop.enable();
    this.#gauge('weir_event_loop_delay_seconds', 'Delay of the event loop', ['quantile'], (gauge) => {
      for (const quantile of [0.5, 0.99]) gauge.set({ quantile }, this.#eventLoop.percentile(quantile * 100) / 1e9);
    });
  }

  /** Gauges that are read off the worker when somebody scrapes. */
  watch(worker: Worker): void {
    this.#gauge(
      'weir_consumer_lag_records',
      'Records behind the end of the log',
      ['job_name', 'topic', 'partition'],
      (gauge) => {
        gauge.reset();
        for (const { job, lanes } of worker.snapshots()) {
          for (const { lane, topic, position, endOffset } of lanes) {
            if (position === null) continue;
            gauge.set(
              { job_name: job, topic, partition: parseLaneId(lane).partition },
              Math.max(0, endOffset - position.nextOffset),
            );
          }
        }
        for (const runner of worker.epochRunners()) {
          for (const { lane, topic, committed, logEnd } of runner.positions())
            gauge.set(
              { job_name: runner.job, topic, partition: parseLaneId(lane).partition },
              Math.max(0, logEnd - committed),
            );
        }
      },
    );
    this.#gauge('weir_lane_state', 'Lanes by state', ['job_name', 'state'], (gauge) => {
      gauge.reset();
      for (const { job, lanes } of worker.snapshots())
        for (const { state } of lanes) gauge.inc({ job_name: job, state });
    });
    this.#gauge(
      'weir_write_time_ahead_seconds',
      'How far write times run ahead of the clock (t - now)',
      ['job_name'],
      (gauge) => {
        gauge.reset();
        for (const { job, lanes } of worker.snapshots()) {
          if (lanes.length > 0) gauge.set({ job_name: job }, Math.max(...lanes.map((lane) => lane.aheadMs)) / 1000);
        }
      },
    );
    this.#gauge('weir_sink_in_flight', 'Requests to a sink that wait for an answer', ['job_name', 'sink'], (gauge) => {
      gauge.reset();
      for (const { job, stats } of sinkStats(worker)) gauge.inc({ job_name: job, sink: stats.name }, stats.inFlight);
    });
    this.#counter(
      'weir_sink_retries_total',
      'Requests to a sink that were sent again since it was opened',
      ['job_name', 'sink'],
      (counter) => {
        counter.reset();
        for (const { job, stats } of sinkStats(worker)) counter.inc({ job_name: job, sink: stats.name }, stats.retries);
      },
    );
  }

  observer(job: JobName, source: string, plan: LanesPlan): LaneObserver {
    const figures = this.#figuresOf(job);
    const stage = plan.sources.find((candidate) => candidate.name === source)?.stage;
    const sinkRows = (stage?.sinks ?? []).map((sink) => this.#rows.labels({ job_name: job, sink: sink.name }));
    const read = this.#read.labels({ job_name: job, source });
    const bytesRead = this.#bytes.labels({ job_name: job, source });
    const latency = this.#latency.labels({ job_name: job });
    const filtered = this.#filtered.labels({ job_name: job });
    const skipped = this.#skipped.labels({ job_name: job });
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
        this.#phase.observe({ job_name: job, phase: 'total' }, durationMs / 1000);
      },
      phase: (phase, ms) => this.#phase.observe({ job_name: job, phase }, ms / 1000),
      latency: (ms, records) => {
        // One observation per record batch: its records were appended and acknowledged together.
        latency.observe(Math.max(0, ms) / 1000);
        const bucket = latencyBucket(ms);
        figures.latency[bucket] = (figures.latency[bucket] ?? 0) + records;
      },
      fenced: () => this.#fenced.inc({ job_name: job }),
      lost: (offsets) => this.#lost.inc({ job_name: job }, offsets),
    };
  }

  /** For the epochs of a stateful job. */
  epochObserver(job: JobName): EpochObserver {
    const figures = this.#figuresOf(job);
    const labels = { job_name: job };
    const stages = new Set<number>();
    const countDead = ({ deadByReason, deadLetters }: Pick<TaskResult, 'deadByReason' | 'deadLetters'>): void => {
      figures.dead += deadLetters.rowCount;
      this.#countDead(job, deadByReason);
    };
    return {
      read: (source, bytes) => this.#bytes.inc({ ...labels, source }, bytes),
      mapped: (source, result) => {
        const { read, filtered, skipped } = result.counters;
        this.#read.inc({ ...labels, source }, read);
        this.#filtered.inc(labels, filtered);
        this.#skipped.inc(labels, skipped);
        figures.records += read;
        countDead(result);
      },
      folded: countDead,
      written: (sinks, result) => {
        result.sinks.forEach((output, index) => {
          const sink = must(sinks[index], () => `no sink ${index}`);
          this.#rows.inc({ ...labels, sink }, output.rowCount);
          figures.rows += output.rowCount;
          if (output.kind === 'blackhole') this.#addHash(job, sink, output.hash);
        });
      },
      done: (late) => {
        this.#epochs.inc(labels);
        for (const [operator, rows] of late) if (rows > 0) this.#late.inc({ ...labels, operator }, rows);
      },
      phase: (phase, ms) => this.#epochPhase.observe({ ...labels, phase }, ms / 1000),
      latency: (ms, records) => {
        this.#latency.observe(labels, Math.max(0, ms) / 1000);
        const bucket = latencyBucket(ms);
        figures.latency[bucket] = (figures.latency[bucket] ?? 0) + records;
      },
      sent: (bytes) => this.#exchanged.inc(labels, bytes),
      state: (stage, { rows, bytes, evicted }) => {
        stages.add(stage);
        this.#stateRows.set({ ...labels, stage }, rows);
        this.#stateBytes.set({ ...labels, stage }, bytes);
        this.#evicted.inc({ ...labels, stage }, evicted);
      },
      restored: (groups, ms) => {
        this.#restoredGroups.inc(labels, groups);
        this.#restore.observe(labels, ms / 1000);
      },
      lost: (offsets) => this.#lost.inc(labels, offsets),
      left: () => {
        for (const stage of stages) {
          this.#stateRows.remove({ ...labels, stage });
          this.#stateBytes.remove({ ...labels, stage });
        }
        stages.clear();
      },
    };
  }

  /** What happened since the last call. */
  takeFigures(): JobFigures[] {
    const taken: JobFigures[] = [];
    for (const [job, figures] of this.#figures) {
      const { records, rows, dead } = figures;
      if (records === 0 && figures.latency.length === 0) continue;
      taken.push({ job, records, rows, dead, latencyBuckets: Array.from(figures.latency, (count) => count ?? 0) });
      Object.assign(figures, { records: 0, rows: 0, dead: 0, latency: [] });
    }
    return taken;
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
      this.#dead.inc({ job_name: job, reason: must(deadLetterReasons[index], () => `no reason ${index}`) }, count);
    });
  }

  #addHash(job: JobName, sink: string, hash: number): void {
    const key = `${job}/${sink}`;
    const sum = ((this.#blackholeHashes.get(key) ?? 0) ^ hash) >>> 0;
    this.#blackholeHashes.set(key, sum);
    this.#blackholeHash.set({ job_name: job, sink }, sum);
  }

  #figuresOf(job: JobName): Figures {
    const known = this.#figures.get(job);
    if (known !== undefined) return known;
    const fresh: Figures = { records: 0, rows: 0, dead: 0, latency: [] };
    this.#figures.set(job, fresh);
    return fresh;
  }

  #counter<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect?: (counter: Counter<L>) => void,
  ): Counter<L> {
    const counter: Counter<L> = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect === undefined ? {} : { collect: () => collect(counter) }),
    });
    return counter;
  }

  #histogram<L extends string>(name: string, help: string, labelNames: readonly L[]): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames: [...labelNames],
      buckets: LATENCY_SECONDS,
      registers: [this.registry],
    });
  }

  #gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    collect?: (gauge: Gauge<L>) => void,
  ): Gauge<L> {
    const gauge: Gauge<L> = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
    });
    return gauge;
  }
}

/** Of every open sink; a sink that several sources write to comes once for each. */
function sinkStats(worker: Worker): { readonly job: JobName; readonly stats: NamedStats }[] {
  const lanes = worker
    .snapshots()
    .flatMap(({ job, runner }) => runner.sinkSets().flatMap((set) => set.stats().map((stats) => ({ job, stats }))));
  const epochs = worker
    .epochRunners()
    .flatMap(({ job, opened }) => (opened?.sinks.stats() ?? []).map((stats) => ({ job, stats })));
  return [...lanes, ...epochs];
}
