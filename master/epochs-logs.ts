/** What the coordinator of a stateful job knows of the logs it reads: partitions, positions, marks, contributions. */
import type { Clock } from '../core/clock.ts';
import { WeirError } from '../core/errors.ts';
import type { JobName, LaneId, Offset, Partition, WorkerId } from '../core/ids.ts';
import { laneId, offset, parseLaneId } from '../core/ids.ts';
import type { Pending } from '../core/epoch/admission.ts';
import { LaneMarks } from '../core/epoch/marks.ts';
import type { EpochSize } from '../core/epoch/epoch-size.ts';
import { nextSpanMs } from '../core/epoch/epoch-size.ts';
import type { LaneReach } from '../core/epoch/extend-ranges.ts';
import { extendRanges } from '../core/epoch/extend-ranges.ts';
import type { LaneFacts, Ranges, SourceFacts } from '../core/epoch/plan-ranges.ts';
import { horizonMs, planRanges, planRangesTo } from '../core/epoch/plan-ranges.ts';
import type { EpochPlan } from '../core/epoch/types.ts';
import type { OffsetQuery, Source } from '../core/ports.ts';
import type { EpochSource, EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { PartitionEnd } from '../proto/gen/control.ts';

/** Ends of one epoch differ by no more record time than this, ms, however long the watermark's delay is. */
const SLACK_MS_MAX = 5000;
/** A source that could not say where records of a time begin is asked again after so long, ms. */
const ASK_AGAIN_MS = 1000;

/** Steps known ahead: a log without records for years is not asked through at once. */
const STEPS_MAX = 64;

export type Offsets = Readonly<Record<LaneId, Offset>>;

/** Where the records before a moment end in every partition; `spanMs` after those of the step before. */
interface AlignedStep {
  readonly timestampMs: number;
  readonly spanMs: number;
  readonly ends: Offsets;
}

/** What one look at the logs starts from. */
interface Known {
  readonly positions: Offsets;
  /** Record time up to which every partition was read. */
  readonly horizonMs: number;
  readonly size: EpochSize;
}

export class EpochLogs {
  readonly #job: JobName;
  readonly #plan: EpochsPlan;
  readonly #clock: Clock;
  readonly #sourceOf: (source: EpochSource) => Source;
  readonly #marks = new Map<LaneId, LaneMarks>();
  /** Who has told where a partition's log ends, and reads it without hindrance. */
  readonly #readers = new Map<LaneId, Set<WorkerId>>();
  readonly #topics = new Map<string, string>();
  /** Monotonic ms of the last epoch that a source contributed to. */
  readonly #contributedAt = new Map<string, number>();
  /** Monotonic ms when a source last had records. */
  readonly #activeAt = new Map<string, number>();
  readonly #slackMs: number | null;
  /** Ahead of the positions, by time. */
  #steps: AlignedStep[] = [];
  /** Record time of the next step, ms. */
  #spanMs = 0;
  #asking = false;
  /** Monotonic ms. */
  #askAt = Number.NEGATIVE_INFINITY;

  constructor(job: JobName, plan: EpochsPlan, clock: Clock, sourceOf: (source: EpochSource) => Source) {
    this.#job = job;
    this.#plan = plan;
    this.#clock = clock;
    this.#sourceOf = sourceOf;
    const delays = plan.watermarks.map((watermark) => watermark.delayUs);
    this.#slackMs = delays.length === 0 ? null : Math.min(SLACK_MS_MAX, Math.min(...delays) / 4000);
    for (const source of plan.sources) this.#activeAt.set(source.name, clock.mono());
  }

  /** Lanes of all partitions as they are now. Throws: TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE; TOPIC_RECREATED against `known`. */
  async describe(known: Iterable<LaneId>): Promise<LaneId[]> {
    const lanes: LaneId[] = [];
    for (const epochSource of this.#plan.sources) {
      const { topic, topicId, partitions } = await this.#sourceOf(epochSource).describe(epochSource.topic);
      this.#topics.set(epochSource.name, topic);
      for (const partition of partitions) lanes.push(laneId({ source: epochSource.name, topicId, partition }));
    }
    const former = new Map([...known].map((lane) => [placeOf(lane), lane]));
    for (const lane of lanes) {
      const before = former.get(placeOf(lane));
      if (before !== undefined && before !== lane) throw recreated(this.#job, this.topicOf(parseLaneId(lane).source));
    }
    return lanes;
  }

  /** Where new partitions begin: at the run's start point, or at their beginning when they came later. */
  async starts(lanes: readonly LaneId[], point: 'initial' | 'earliest' | 'latest'): Promise<Offsets> {
    return this.#ask(lanes, (source) => (point === 'initial' ? startingQuery(source) : point));
  }

  /** Ends of the logs now. Throws: LOG_TRUNCATED when one lies below the position. */
  async ends(positions: Offsets): Promise<Offsets> {
    const lanes = Object.keys(positions) as LaneId[];
    const ends = await this.#ask(lanes, () => 'latest');
    for (const lane of lanes) {
      const end = ends[lane] ?? offset(0);
      const position = positions[lane] ?? offset(0);
      if (end < position) throw truncated(this.#job, this.topicOf(parseLaneId(lane).source), lane, position, end);
    }
    return ends;
  }

  async #ask(lanes: readonly LaneId[], query: (source: EpochSource) => OffsetQuery): Promise<Offsets> {
    const found: [LaneId, Offset][] = [];
    for (const source of this.#plan.sources) {
      const mine = new Map<Partition, LaneId>();
      for (const lane of lanes) {
        const parsed = parseLaneId(lane);
        if (parsed.source === source.name) mine.set(parsed.partition, lane);
      }
      if (mine.size === 0) continue;
      const offsets = await this.#sourceOf(source).offsets(source.topic, [...mine.keys()], query(source));
      for (const [partition, lane] of mine) found.push([lane, offsets.get(partition) ?? offset(0)]);
    }
    return Object.fromEntries(found) as Offsets;
  }

  topicOf(source: string): string {
    return this.#topics.get(source) ?? this.#plan.sources.find(({ name }) => name === source)?.topic ?? source;
  }

  /** A worker's report on its reading ahead. */
  report(positions: Offsets, end: PartitionEnd, worker: WorkerId): void {
    const lane = end.lane as LaneId;
    const position = positions[lane];
    if (position === undefined) return;
    let marks = this.#marks.get(lane);
    if (marks === undefined) this.#marks.set(lane, (marks = new LaneMarks()));
    marks.add(position, end.offsets, end.timestampsMs, end.logEnd, end.recordBytes);
    const readers = this.#readers.get(lane) ?? new Set<WorkerId>();
    this.#readers.set(lane, readers);
    if (end.code === '') readers.add(worker);
    else readers.delete(worker);
    if (marks.logEnd > position) this.#activeAt.set(parseLaneId(lane).source, this.#clock.mono());
  }

  /** Nobody's report counts any more: all who are told to read will tell anew. */
  forgetReaders(): void {
    this.#readers.clear();
  }

  /** Reports of those who read a partition before do not count for those who read it now. */
  keepReaders(ownerOf: (lane: LaneId) => WorkerId | undefined): void {
    for (const [lane, readers] of this.#readers)
      for (const reader of readers) if (reader !== ownerOf(lane)) readers.delete(reader);
  }

  /**
   * Ranges of what workers have read ahead. What nobody has reported on since it came to its owner, or cannot be read at
   * the moment, may hold records of any time: the others do not run ahead of it.
   */
  readable(positions: Offsets, ownerOf: (lane: LaneId) => WorkerId | undefined, size: EpochSize): Ranges {
    const facts = this.#sourceFacts();
    const lanesOf = new Map<string, Map<LaneId, LaneFacts>>(facts.map(({ name }) => [name, new Map()]));
    for (const [lane, position] of Object.entries(positions) as [LaneId, Offset][]) {
      const marks = this.#marks.get(lane);
      const seen: LaneFacts = {
        position,
        marks: marks?.marks ?? [],
        logEnd: marks?.logEnd ?? position,
        known: this.#isRead(lane, ownerOf(lane)),
      };
      lanesOf.get(parseLaneId(lane).source)?.set(lane, seen);
    }
    const sources = facts.map((source): SourceFacts => ({ ...source, lanes: lanesOf.get(source.name) ?? new Map() }));
    const ranges = planRanges({ sources, slackMs: this.#slackMs });
    const mayExtend = sources.every(
      ({ lanes, limits }) =>
        limits.maxOffsetsPerTrigger === null &&
        limits.minOffsetsPerTrigger === null &&
        [...lanes.values()].every(({ known }) => known),
    );
    if (!mayExtend || size.records === 0) return ranges;
    const known: Known = { positions, horizonMs: horizonMs(sources), size };
    this.#lookAhead(known, ranges);
    return this.#extend(known, ranges);
  }

  /**
   * Behind what was read, step by step: a step is taken whole or, when all of it lies within the slack, in part. So ends
   * differ by no more record time than without.
   */
  #extend({ positions, size }: Known, ranges: Ranges): Ranges {
    if (this.#leftBehind(positions, ranges) <= recordsIn(ranges)) return ranges;
    let extended = ranges;
    for (const { ends, spanMs } of this.#stepsFrom(positions)) {
      const next = extendRanges(extended, this.#reachOf(positions, ends), size);
      const isWhole = [...this.#reachOf(positions, ends)].every(
        ([lane, { position, limit }]) => limit <= (next.get(lane)?.to ?? position),
      );
      if (isWhole || spanMs <= (this.#slackMs ?? 0)) extended = next;
      if (!isWhole) break;
    }
    return extended;
  }

  /** What is known of the logs by time; without a watermark all of it is one step. */
  #stepsFrom(positions: Offsets): readonly AlignedStep[] {
    if (this.#slackMs !== null) return this.#steps;
    const ends = Object.fromEntries(
      (Object.entries(positions) as [LaneId, Offset][]).map(([lane, at]) => [lane, this.logEnd(lane) ?? at]),
    ) as Offsets;
    return [{ timestampMs: Number.POSITIVE_INFINITY, spanMs: 0, ends }];
  }

  /** How far each partition may be planned, whether or not it was read so far. */
  #reachOf(positions: Offsets, ends: Offsets): Map<LaneId, LaneReach> {
    const reach = new Map<LaneId, LaneReach>();
    for (const [lane, position] of Object.entries(positions) as [LaneId, Offset][]) {
      const marks = this.#marks.get(lane);
      const limit = offset(Math.max(position, Math.min(marks?.logEnd ?? position, ends[lane] ?? position)));
      reach.set(lane, { position, limit, recordBytes: marks?.recordBytes ?? 0 });
    }
    return reach;
  }

  /** Records behind the ranges. */
  #leftBehind(positions: Offsets, ranges: Ranges): number {
    let left = 0;
    for (const [lane, position] of Object.entries(positions) as [LaneId, Offset][])
      left += Math.max(0, (this.logEnd(lane) ?? position) - (ranges.get(lane)?.to ?? position));
    return left;
  }

  /**
   * Asks the sources, beside everything else, where the records of the next stretch of time end, until enough for two
   * epochs is known. What they answer stays right: what comes later is behind it.
   */
  #lookAhead({ positions, horizonMs: horizon, size }: Known, ranges: Ranges): void {
    const slack = this.#slackMs;
    if (slack === null || this.#asking || this.#clock.mono() < this.#askAt) return;
    this.#steps = this.#steps.filter(({ ends }) =>
      (Object.entries(positions) as [LaneId, Offset][]).some(([lane, at]) => (ends[lane] ?? at) > at),
    );
    const left = this.#leftBehind(positions, ranges);
    const last = this.#steps.at(-1);
    const told = last === undefined ? 0 : recordsBetween(positions, last.ends);
    if (left <= recordsIn(ranges) || told >= Math.min(left, 2 * size.records)) return;
    const from = Math.max(last?.timestampMs ?? Number.NEGATIVE_INFINITY, horizon);
    if (!Number.isFinite(from) || this.#steps.length >= STEPS_MAX) return;
    const before = last?.ends ?? positions;
    const spanMs = Math.max(1, this.#spanMs, slack);
    const timestampMs = Math.floor(from + spanMs) + 1;
    this.#asking = true;
    this.#ask(Object.keys(positions) as LaneId[], () => ({ timestampMs }))
      .then(
        (ends) => {
          const records = recordsBetween(before, ends);
          // What is more than an epoch is only good when it may be taken in part.
          if (records <= size.records || spanMs <= slack) this.#steps.push({ timestampMs, spanMs, ends });
          this.#spanMs = nextSpanMs(spanMs, records, size);
        },
        // Epochs are as large as what is read ahead, then.
        () => {
          this.#askAt = this.#clock.mono() + ASK_AGAIN_MS;
        },
      )
      .finally(() => {
        this.#asking = false;
        if (this.#clock.mono() >= this.#askAt) this.#lookAhead({ positions, horizonMs: horizon, size }, ranges);
      });
  }

  #isRead(lane: LaneId, owner: WorkerId | undefined): boolean {
    return owner !== undefined && this.#readers.get(lane)?.has(owner) === true;
  }

  /** Ranges up to given ends. */
  upTo(positions: Offsets, ends: Offsets, waitForMinimum: boolean): Ranges {
    const facts = this.#sourceFacts().map((source) =>
      waitForMinimum ? source : { ...source, limits: { ...source.limits, minOffsetsPerTrigger: null } },
    );
    return planRangesTo(facts, (source) => {
      const pending = new Map<LaneId, Pending>();
      for (const [lane, from] of Object.entries(positions) as [LaneId, Offset][]) {
        if (parseLaneId(lane).source === source) pending.set(lane, { from, end: ends[lane] ?? from });
      }
      return pending;
    });
  }

  /** Records that wait above the positions, as far as is known. */
  lag(positions: Offsets): number {
    let lag = 0;
    for (const [lane, position] of Object.entries(positions) as [LaneId, Offset][])
      lag += Math.max(0, (this.#marks.get(lane)?.logEnd ?? position) - position);
    return lag;
  }

  logEnd(lane: LaneId): Offset | undefined {
    return this.#marks.get(lane)?.logEnd;
  }

  /** An epoch was planned: what it takes is no longer ahead. */
  planned(plan: EpochPlan, positions: Offsets): void {
    const now = this.#clock.mono();
    for (const lane of Object.keys(plan.ranges) as LaneId[]) {
      this.#contributedAt.set(parseLaneId(lane).source, now);
      this.#activeAt.set(parseLaneId(lane).source, now);
      this.#marks.get(lane)?.planned(positions[lane] ?? offset(0));
    }
  }

  /** Sources that have had no records for longer than their idleTimeout. */
  idle(positions: Offsets): string[] {
    const now = this.#clock.mono();
    const waiting = new Set<string>();
    for (const [lane, marks] of this.#marks)
      if (marks.logEnd > (positions[lane] ?? marks.logEnd)) waiting.add(parseLaneId(lane).source);
    return this.#plan.sources
      .filter(({ name, idleTimeoutMs }) => {
        if (idleTimeoutMs === null || waiting.has(name)) return false;
        return now - (this.#activeAt.get(name) ?? now) >= idleTimeoutMs;
      })
      .map(({ name }) => name);
  }

  /** Monotonic ms when the next source becomes idle by silence; infinite when none can. */
  get idleAt(): number {
    const now = this.#clock.mono();
    const times = this.#plan.sources.map(({ name, idleTimeoutMs }) =>
      idleTimeoutMs === null ? Number.POSITIVE_INFINITY : (this.#activeAt.get(name) ?? now) + idleTimeoutMs,
    );
    return Math.min(Number.POSITIVE_INFINITY, ...times.filter((at) => at > now));
  }

  #sourceFacts(): Omit<SourceFacts, 'lanes'>[] {
    const now = this.#clock.mono();
    return this.#plan.sources.map(({ name, limits }) => {
      const at = this.#contributedAt.get(name);
      return { name, limits, sinceLastMs: at === undefined ? null : now - at };
    });
  }
}

function startingQuery({ startingOffsets }: EpochSource): OffsetQuery {
  return startingOffsets.kind === 'timestamp' ? { timestampMs: startingOffsets.timestampMs } : startingOffsets.kind;
}

/** A partition whatever life its topic is in. */
function placeOf(lane: LaneId): string {
  const { source, partition } = parseLaneId(lane);
  return `${source}/${partition}`;
}

function recreated(job: JobName, topic: string): WeirError {
  return new WeirError(
    'TOPIC_RECREATED',
    `job ${job}: topic ${topic} was deleted and created again, so the committed offsets mean nothing in it; ` +
      'submit the job with --from earliest or --from latest to begin a new run on the new topic',
  );
}

function truncated(job: JobName, topic: string, lane: LaneId, position: Offset, end: Offset): WeirError {
  const { partition } = parseLaneId(lane);
  return new WeirError(
    'LOG_TRUNCATED',
    `job ${job}: partition ${partition} of topic ${topic} ends at ${end}, below the planned position ${position}; ` +
      'submit the job with --from earliest or --from latest to begin a new run on what is there',
    { facts: { partition, position, end } },
  );
}

function recordsIn(ranges: Ranges): number {
  return [...ranges.values()].reduce((sum, { from, to }) => sum + to - from, 0);
}

function recordsBetween(from: Offsets, to: Offsets): number {
  let records = 0;
  for (const [lane, end] of Object.entries(to) as [LaneId, Offset][]) records += Math.max(0, end - (from[lane] ?? end));
  return records;
}
