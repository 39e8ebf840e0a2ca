/** The map side of an epoch on one worker: reads the ranges of its partitions, runs the map stages, sends frames on. */
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { OffsetRange } from '../../core/epoch/types.ts';
import type { LaneId } from '../../core/ids.ts';
import { parseLaneId, timestampUs } from '../../core/ids.ts';
import type { Clock } from '../../core/clock.ts';
import { stillAtIt } from '../../core/clock.ts';
import type { MemoryPool } from '../../core/memory-pool.ts';
import type { Failpoints } from '../../core/ports.ts';
import { recordTimes } from '../../core/epoch/row-times.ts';
import type { RecordTimes } from '../../core/epoch/row-times.ts';
import type { EpochExecutor, MapResult, RangePart, TaskBytes } from '../../engine/epoch/contract.ts';
import { encodeGapLetter } from '../../engine/gap-letter.ts';
import type { LookedUp } from '../../engine/lookups/lookup-rows.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import { tableStagesOf } from '../../engine/plan/table-stages.ts';
import type { AskingTask } from '../lookups/epoch-lookups.ts';
import type { EpochAttempt } from './epoch-attempt.ts';
import type { EpochObserver } from './epoch-observer.ts';
import { MappedLogRows } from './log-rows.ts';
import type { OpenJob } from './open-job.ts';
import type { PartitionFeeds } from './partition-feeds.ts';
import type { Gap, HeldBatch } from './read-range.ts';
import { TaskCutter, copied, giveBack, taken } from './read-range.ts';

export interface MapParts {
  readonly open: OpenJob;
  readonly feeds: PartitionFeeds;
  readonly executor: EpochExecutor;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  readonly observer: EpochObserver;
  readonly memory?: MemoryPool;
  /** Writes a result to the sinks under the attempt's permit; failures are told elsewhere. */
  readonly write: (attempt: EpochAttempt, result: MapResult) => void;
  /** Told of every time that a place did not answer which a task needs. */
  readonly waits: (attempt: EpochAttempt, error: WeirError) => void;
  /** Closes the flow from a stage to another. */
  readonly end: (attempt: EpochAttempt, stage: number, receiver: number) => void;
}

/** What the master needs of the map side before it plans the next epoch. */
export interface Mapped {
  /** Greatest event time per watermark of the plan, µs; -Infinity = none. */
  readonly eventTimesUs: readonly number[];
  /** Sources that brought records. */
  readonly sources: ReadonlySet<string>;
}

/** Tasks of one epoch at once, per thread. */
const TASKS_PER_THREAD = 2;
/** While a table is asked, the receivers hear so often that rows are still to come, ms. */
const STILL_HERE_MS = 10_000;

/**
 * Maps this worker's share of the epoch. When it resolves, all frames are on their way and every flow out of a map stage
 * is closed.
 *
 * Throws: what reading throws; the code of a bad record under onBadRecord: fail; PEER_UNREACHABLE.
 */
export async function mapEpoch(parts: MapParts, attempt: EpochAttempt): Promise<Mapped> {
  const { open, failpoints } = parts;
  const { plan, view } = attempt;
  const lanes = (Object.keys(plan.ranges).sort() as LaneId[]).filter((lane) => view.partitions.has(lane));
  const mapped = new MapRun(parts, attempt);
  // A lane that waits for its next records does not see a task fail.
  await Promise.race([Promise.all(lanes.map((lane, index) => mapped.runLane(lane, index))), mapped.failed]);
  await mapped.logRows.send(attempt.sender, view);
  await failpoints.hit('epoch.midExchange');
  for (const stage of open.graph.mapStages)
    for (const receiver of open.graph.receiversOf(stage)) parts.end(attempt, stage, receiver);
  return mapped;
}

class MapRun implements Mapped {
  readonly eventTimesUs: number[];
  readonly sources = new Set<string>();
  readonly logRows: MappedLogRows;
  readonly #parts: MapParts;
  readonly #attempt: EpochAttempt;
  readonly #slots: number;
  readonly #rowTimes: ReadonlyMap<LaneId, RecordTimes> | null;
  readonly #running = new Set<Promise<void>>();
  readonly #failure = Promise.withResolvers<never>();

  constructor(parts: MapParts, attempt: EpochAttempt) {
    this.#parts = parts;
    this.#attempt = attempt;
    this.#slots = TASKS_PER_THREAD * Math.max(1, parts.executor.threadCount);
    const { plan, graph } = parts.open;
    this.logRows = new MappedLogRows(graph);
    this.eventTimesUs = plan.watermarks.map(() => Number.NEGATIVE_INFINITY);
    const lanes = lanesInOrder(Object.keys(attempt.plan.ranges) as LaneId[], plan);
    this.#rowTimes = recordTimes(attempt.plan, lanes, tableStagesOf(plan), attempt.env.writeTimeUs);
    this.#failure.promise.catch(() => undefined);
  }

  /** Rejects with the first task that fails. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  /** Maps records as they come: of what is read, only the tasks under way and the next one are in memory. */
  async runLane(lane: LaneId, index: number): Promise<void> {
    const { feeds, failpoints } = this.#parts;
    const attempt = this.#attempt;
    const range = attempt.plan.ranges[lane];
    if (range === undefined) return;
    const cutter = new TaskCutter(this.#parts.open.placesOf(attempt.plan, range.from));
    const { job, run, epoch, attempt: number, token } = attempt.key;
    // Another master counts attempts from the beginning.
    const name = `job ${job}, run ${run}, epoch ${epoch}, attempt ${number} by token ${token}, ${lane}`;
    let isFirst = true;
    const begin = async (own: readonly HeldBatch[], isLast: boolean): Promise<void> => {
      await this.#begin(lane, index, own, range, { range: name, isFirst, isLast });
      isFirst = false;
    };
    for await (const { batches, gaps } of feeds.read(lane, range.from, range.to, attempt.signal)) {
      this.#recordGaps(lane, gaps);
      for (const own of cutter.add(batches)) await begin(own, false);
    }
    await failpoints.hit('epoch.afterFetch');
    // Whatever was cut before left at least a batch behind.
    const rest = cutter.rest();
    if (rest.length > 0) await begin(rest, true);
    await Promise.all(this.#running);
  }

  /** Begins the tasks of all stages over these batches, as soon as there is a place for each. */
  async #begin(
    lane: LaneId,
    index: number,
    own: readonly HeldBatch[],
    range: OffsetRange,
    part: RangePart,
  ): Promise<void> {
    const { open, memory } = this.#parts;
    const stages = open.mapStagesOf(lane);
    for (const stage of stages) {
      while (this.#running.size >= this.#slots) await Promise.race(this.#running);
      this.#attempt.check();
      const isLast = stage === stages.at(-1);
      const isWhole = !isLast || memory === undefined || open.lookups?.has(stage) === true;
      const pieces = isWhole ? [copied(own, memory)] : taken(own, range.to, memory);
      const run = this.#runTask(lane, index, stage, pieces, range, part)
        // Before it is missing from those that run: a lane that waits for these alone must not end well.
        .catch((error: unknown) => this.#failure.reject(error))
        .finally(() => this.#running.delete(run));
      this.#running.add(run);
    }
    // Of an attempt that goes wrong the bytes are left to the garbage collector.
    if (memory !== undefined) giveBack(own, range.to, memory);
  }

  async #runTask(
    lane: LaneId,
    index: number,
    stage: number,
    pieces: readonly TaskBytes[],
    { from, to }: OffsetRange,
    part: RangePart,
  ): Promise<void> {
    const { open, executor, observer, write } = this.#parts;
    const attempt = this.#attempt;
    const { source, partition } = parseLaneId(lane);
    const rowTimes = this.#rowTimes?.get(lane);
    const [first, ...more] = pieces;
    const { bytes, batches } = must(first, () => 'a task without bytes');
    const tables = await this.#tablesOf({ stage, lane, bytes, batches });
    const result = await executor.map(open.hostKey, {
      stage,
      env: attempt.env,
      routing: attempt.view.routing,
      partition,
      bytes,
      batches,
      ...(more.length === 0 ? {} : { more }),
      fromOffset: from,
      toOffset: to,
      logPartitions: open.sinks.logPartitions,
      ...(rowTimes === undefined ? {} : { rowTimes }),
      ...(tables === null ? {} : { tables }),
      ...((part.isFirst && part.isLast) || !open.graph.partedStages.has(stage) ? {} : { part }),
    });
    attempt.check();
    if (result.failure !== null) throw badRecord(open, lane, result.failure);
    attempt.addMapped(result);
    observer.mapped(source, result);
    if (result.counters.read > 0) this.sources.add(source);
    result.eventTimes.forEach((time, watermark) => {
      if (time > (this.eventTimesUs[watermark] ?? Number.NEGATIVE_INFINITY)) this.eventTimesUs[watermark] = time;
    });
    attempt.staged.add(result.sinks, `m${stage}/${lane}`, batches[2] ?? 0);
    this.logRows.add(stage, index, batches[2] ?? 0, result.sinks);
    write(attempt, result);
    await attempt.sender.send(stage, index, result.frames);
  }

  /** Rows for a task of a stage that looks some up; null = it does not. */
  async #tablesOf(task: Omit<AskingTask, 'plan' | 'run'>): Promise<readonly LookedUp[] | null> {
    const { lookups } = this.#parts.open;
    if (lookups?.has(task.stage) !== true) return null;
    const attempt = this.#attempt;
    const { plan, key, signal, sender } = attempt;
    const isFirst = key.attempt === 0 && key.token === plan.token && plan.repeats === undefined;
    const tables = lookups.tablesOf({ ...task, plan, run: key.run }, isFirst ? 'nothing' : 'perhaps', signal, (error) =>
      this.#parts.waits(attempt, error),
    );
    return await stillAtIt(this.#parts.clock, STILL_HERE_MS, () => sender.stillHere(), attempt.meanwhile(tables));
  }

  /** Offsets that are gone become a dead letter of the epoch that was planned over them. */
  #recordGaps(lane: LaneId, gaps: readonly Gap[]): void {
    const { open, observer } = this.#parts;
    const attempt = this.#attempt;
    const { partition } = parseLaneId(lane);
    for (const { from, to } of gaps) {
      const gap = { job: attempt.key.job, run: attempt.key.run, topic: open.topicOf(lane), partition, from, to };
      const letter = encodeGapLetter({ ...gap, timeUs: timestampUs(attempt.env.writeTimeUs) });
      attempt.writes.push(open.sinks.bury(letter, attempt));
      observer.lost(to - from);
    }
  }
}

/** By source in the order of the plan, and by partition. */
function lanesInOrder(lanes: readonly LaneId[], { sources }: EpochsPlan): LaneId[] {
  const places = lanes.map((lane) => {
    const { source, partition } = parseLaneId(lane);
    return { lane, source: sources.findIndex(({ name }) => name === source), partition };
  });
  places.sort((a, b) => a.source - b.source || a.partition - b.partition || (a.lane < b.lane ? -1 : 1));
  return places.map(({ lane }) => lane);
}

function badRecord(open: OpenJob, lane: LaneId, failure: { offset: number; code: string; place: string }): WeirError {
  const { offset, code, place } = failure;
  const where = `job ${open.plan.job}, topic ${open.topicOf(lane)}, partition ${parseLaneId(lane).partition}`;
  return new WeirError(
    code as ErrorCode,
    `${where}: the record at offset ${offset} is bad (${code}${place === '' ? '' : ` at ${place}`}) and onBadRecord is ` +
      `fail; correct the producer, or set onBadRecord: deadLetter`,
    { facts: { offset } },
  );
}
