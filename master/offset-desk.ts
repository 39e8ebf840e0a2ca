/** Where jobs stand in their topics, and moving them: a new run that begins elsewhere, without the state of the last. */
import { WeirError } from '../core/errors.ts';
import type { LaneId, Offset, Partition } from '../core/ids.ts';
import { laneId, offset as offsetOf } from '../core/ids.ts';
import type { Connections } from '../core/ports.ts';
import type { RestartPoint } from './job-definition.ts';
import type { JobService } from './service.ts';
import type { JobView } from './views.ts';

export interface PartitionOffset {
  readonly source: string;
  readonly topic: string;
  readonly partition: number;
  /** Next offset to process; -1 = the job has not begun there. */
  readonly committed: number;
  readonly earliest: number;
  readonly end: number;
  readonly lag: number;
}

export interface WantedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Needed where two sources read the same topic. */
  readonly source?: string | undefined;
}

/** `timestampMs`: the first record at or after it; the end where there is none. */
export type RestartFrom = 'earliest' | 'latest' | 'initial' | { readonly timestampMs: number };

interface Standing extends PartitionOffset {
  readonly lane: LaneId;
}

export class OffsetDesk {
  readonly #service: JobService;
  readonly #connections: Connections;

  constructor(service: JobService) {
    this.#service = service;
    this.#connections = service.connections;
  }

  /** Throws: NOT_FOUND, TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE. */
  async get(name: string): Promise<PartitionOffset[]> {
    const standing = await this.#standing(this.#service.job(name));
    return standing.map(({ source, topic, partition, committed, earliest, end, lag }) => ({
      source,
      topic,
      partition,
      committed,
      earliest,
      end,
      lag,
    }));
  }

  /** Of a job at rest; partitions that are not named stay where they are. Throws: NOT_FOUND, CONFLICT, OFFSET_OUT_OF_RANGE. */
  async set(name: string, wanted: readonly WantedOffset[]): Promise<void> {
    const view = this.#service.job(name);
    const standing = await this.#standing(view);
    const offsets = new Map(standing.map((at) => [at.lane, at.committed >= 0 ? at.committed : at.end]));
    for (const one of wanted) {
      const at = find(view, standing, one);
      if (one.offset < at.earliest || one.offset > at.end)
        throw new WeirError(
          'OFFSET_OUT_OF_RANGE',
          `Partition ${one.partition} of ${one.topic} holds offsets ${at.earliest} to ${at.end}, not ${one.offset}; nothing was changed.`,
          { facts: { low: at.earliest, high: at.end } },
        );
      offsets.set(at.lane, one.offset);
    }
    await this.#service.restartFrom(name, pointOf(offsets), { start: false });
  }

  /** `start`: also of a job that runs, and it goes on from there at once. Throws: NOT_FOUND, CONFLICT. */
  async restartFrom(name: string, from: RestartFrom, options: { readonly start: boolean }): Promise<void> {
    await this.#service.restartFrom(name, await this.#pointAt(name, from), options);
  }

  async #pointAt(name: string, from: RestartFrom): Promise<RestartPoint> {
    if (typeof from === 'string') return { kind: from };
    const offsets = new Map<LaneId, number>();
    for (const { name: source, connector, options, topic } of this.#service.job(name).sources) {
      const log = this.#connections.source(connector, options);
      const { topicId, partitions } = await log.describe(topic);
      const found = await log.offsets(topic, partitions, from);
      for (const partition of partitions)
        offsets.set(laneId({ source, topicId, partition }), found.get(partition) ?? 0);
    }
    return pointOf(offsets);
  }

  async #standing(view: JobView): Promise<Standing[]> {
    const committed = new Map<string, number>(view.lanes.map((lane) => [lane.lane, lane.committedOffset]));
    for (const [lane, at] of Object.entries(view.epochs?.positions ?? {})) committed.set(lane, at);
    const all: Standing[] = [];
    for (const { name: source, connector, options, topic } of view.sources) {
      const log = this.#connections.source(connector, options);
      const { topicId, partitions } = await log.describe(topic);
      const [earliest, ends] = await Promise.all([
        log.offsets(topic, partitions, 'earliest'),
        log.offsets(topic, partitions, 'latest'),
      ]);
      for (const partition of partitions) {
        const lane = laneId({ source, topicId, partition });
        const at = committed.get(lane) ?? -1;
        const [low, end] = [known(earliest, partition), known(ends, partition)];
        all.push({
          lane,
          source,
          topic,
          partition,
          committed: at,
          earliest: low,
          end,
          lag: Math.max(0, end - Math.max(at, low)),
        });
      }
    }
    return all;
  }
}

function known(offsets: ReadonlyMap<Partition, Offset>, partition: Partition): number {
  return offsets.get(partition) ?? 0;
}

function find(view: JobView, standing: readonly Standing[], wanted: WantedOffset): Standing {
  const { topic, partition, source } = wanted;
  const found = standing.filter(
    (at) => at.topic === topic && at.partition === partition && (source === undefined || at.source === source),
  );
  const [first] = found;
  if (first === undefined)
    throw new WeirError(
      'NOT_FOUND',
      `Job ${view.row.name} reads no partition ${partition} of ${topic}${source === undefined ? '' : ` as ${source}`}; nothing was changed.`,
    );
  if (found.length > 1)
    throw new WeirError(
      'USAGE',
      `Job ${view.row.name} reads ${topic} as ${found.map((at) => at.source).join(' and ')}; say which source is meant.`,
    );
  return first;
}

function pointOf(offsets: ReadonlyMap<LaneId, number>): RestartPoint {
  return {
    kind: 'offsets',
    offsets: Object.fromEntries([...offsets].map(([lane, at]) => [lane, offsetOf(at)])) as Record<LaneId, Offset>,
  };
}
