/**
 * Spans of what a worker does: one per batch of a lane and one per epoch and worker, with their phases below them and
 * links to the spans of the producers whose records they hold (messaging conventions of OpenTelemetry). Loaded only where
 * an endpoint is set; without it no line of this runs.
 */
import { createHash } from 'node:crypto';
import type { Clock, Rng } from '../../core/clock.ts';
import type { JobName } from '../../core/ids.ts';
import { parseLaneId } from '../../core/ids.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import type { Connections } from '../../core/ports.ts';
import type { Span, SpanAttribute, SpanSink } from '../../core/telemetry/span.ts';
import type { TraceContext } from '../../core/telemetry/trace-context.ts';
import { isSampled } from '../../core/telemetry/trace-context.ts';
import type { StageResult } from '../../engine/stage.ts';
import type { EpochObserver, EpochPhase, FinishedEpoch } from '../epochs/epoch-observer.ts';
import type { LaneObserver } from '../observer.ts';
import { SeenContexts } from './seen-contexts.ts';

/** Links of one span, as the conventions advise. */
const LINKS_MAX = 128;
/** Epochs whose phases are kept while they run. */
const OPEN_EPOCHS_MAX = 64;

export interface TracingParts {
  readonly sink: SpanSink;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Part of all traces, 0 to 1. */
  readonly ratio: number;
}

/** Of a phase, ms since 1970. */
interface Piece {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

interface Whole extends Piece {
  readonly traceId: string;
  readonly attributes: Readonly<Record<string, SpanAttribute>>;
  readonly links: readonly TraceContext[];
  readonly pieces: readonly Piece[];
}

export class WorkerTracing {
  readonly #parts: TracingParts;
  readonly #seen = new SeenContexts();

  constructor(parts: TracingParts) {
    this.#parts = parts;
  }

  /** Sends what it has. */
  async close(): Promise<void> {
    await this.#parts.sink.close();
  }

  /** Must be what jobs read with, or no span has links. */
  watch(connections: Connections): Connections {
    return this.#seen.watch(connections);
  }

  /** Tells `inner` everything, and makes spans of batches. `topic`: of the lane's source. */
  lanes(job: JobName, topic: string, inner: LaneObserver): LaneObserver {
    const pieces = new WeakMap<StageResult, Piece[]>();
    return {
      read: (bytes) => inner.read(bytes),
      latency: (ms, records) => inner.latency(ms, records),
      blocked: (ms) => inner.blocked(ms),
      fenced: () => inner.fenced(),
      lost: (offsets) => inner.lost(offsets),
      phase: (phase, ms, result) => {
        inner.phase(phase, ms, result);
        if (result === undefined) return;
        const known = pieces.get(result) ?? [];
        known.push(this.#piece(phase, ms));
        pieces.set(result, known);
      },
      batch: (result, durationMs, place) => {
        inner.batch(result, durationMs, place);
        const traceId = this.#id();
        if (!isSampled(traceId, this.#parts.ratio)) return;
        const { partition, from, to } = place;
        this.#add({
          ...this.#piece(`process ${job}`, durationMs),
          traceId,
          attributes: {
            ...processing,
            'messaging.destination.name': topic,
            'messaging.destination.partition.id': String(partition),
            'weir.offset.from': from,
            'weir.offset.to': to,
            ...countersOf(job, result.counters),
          },
          links: this.#seen.within(topic, partition, from, to, LINKS_MAX),
          pieces: pieces.get(result) ?? [],
        });
      },
    };
  }

  /** Tells `inner` everything, and makes spans of epochs. */
  epochs(job: JobName, inner: EpochObserver): EpochObserver {
    const open = new Map<number, Piece[]>();
    return {
      ...inner,
      phase: (phase: EpochPhase, ms: number, epoch: number) => {
        inner.phase(phase, ms, epoch);
        const known = open.get(epoch) ?? [];
        // An epoch that was tried again begins anew with its map.
        open.set(epoch, [...(phase === 'map' ? [] : known), this.#piece(phase, ms)]);
        // Of epochs that ended elsewhere nobody hears again.
        for (const old of open.keys()) if (open.size > OPEN_EPOCHS_MAX) open.delete(old);
      },
      done: (late, finished, sources) => {
        inner.done(late, finished, sources);
        const pieces = open.get(finished.key.epoch) ?? [];
        open.delete(finished.key.epoch);
        const topics = new Map(sources.map(({ name, topic }) => [name, topic]));
        this.#addEpoch(job, topics, finished, pieces);
      },
    };
  }

  #addEpoch(
    job: JobName,
    topics: ReadonlyMap<string, string>,
    { key, plan, view, counters }: FinishedEpoch,
    pieces: readonly Piece[],
  ): void {
    const { run, epoch, attempt } = key;
    // The same on every worker: an epoch is one trace. Its time tells it from that of another cluster.
    const facts = `${job}/${run}/${epoch}/${plan.epochTsUs}`;
    const traceId = createHash('sha256').update(facts).digest('hex').slice(0, 32);
    const total = pieces.find(({ name }) => name === 'total');
    if (total === undefined || !isSampled(traceId, this.#parts.ratio)) return;
    const links = [...view.partitions].flatMap((lane) => {
      const { source, partition } = parseLaneId(lane);
      const topic = topics.get(source);
      const range = plan.ranges[lane];
      return topic === undefined || range === undefined
        ? []
        : this.#seen.within(topic, partition, range.from, range.to, LINKS_MAX);
    });
    this.#add({
      ...total,
      name: `process ${job}`,
      traceId,
      attributes: {
        ...processing,
        'weir.run': run,
        'weir.epoch': epoch,
        'weir.epoch.attempt': attempt,
        ...countersOf(job, counters),
      },
      links: links.slice(0, LINKS_MAX),
      pieces: pieces.filter(({ name }) => name !== 'total'),
    });
  }

  /** What ended just now, after so long. */
  #piece(name: string, ms: number): Piece {
    const endMs = this.#parts.clock.now();
    return { name, startMs: endMs - ms, endMs };
  }

  #add({ traceId, name, startMs, endMs, attributes, links, pieces }: Whole): void {
    const spanId = this.#id().slice(0, 16);
    const span: Span = {
      traceId,
      spanId,
      parentSpanId: null,
      name,
      kind: 'consumer',
      startMs,
      endMs,
      attributes,
      links,
    };
    this.#parts.sink.add(span);
    for (const piece of pieces)
      this.#parts.sink.add({
        ...piece,
        traceId,
        spanId: this.#id().slice(0, 16),
        parentSpanId: spanId,
        kind: 'internal',
        attributes: {},
        links: [],
      });
  }

  /** 32 hex digits, never all zero. */
  #id(): string {
    return this.#parts.rng.uuid().replaceAll('-', '');
  }
}

const processing = {
  'messaging.system': 'kafka',
  'messaging.operation.name': 'process',
  'messaging.operation.type': 'process',
} as const;

function countersOf(job: JobName, counters: LaneCounters): Record<string, SpanAttribute> {
  return {
    'weir.job': job,
    'messaging.consumer.group.name': job,
    'messaging.batch.message_count': counters.read,
    'weir.rows': counters.rowsOut,
    'weir.dead': counters.dead,
  };
}
