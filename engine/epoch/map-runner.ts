/**
 * A map stage: records of one partition in, frames for the state stages behind it (or encoded rows for the sinks) out.
 * Every record goes through all branches and has one fate: what fails in one branch is dead in all of them.
 */
import { assert, must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import { DeadLetterEncoder } from '../dead-letters.ts';
import { SinkEncoders } from '../encode/sink-encoders.ts';
import { LookupTables } from '../lookups/lookup-rows.ts';
import { FailureLog } from '../operators/operator.ts';
import type { StaticRows } from '../operators/operator.ts';
import type { RowsAddedUp } from '../operators/partial-aggregate.ts';
import type { EpochsPlan, MapStage } from '../plan/epoch-plan.ts';
import { RecordChunks } from '../record-chunks.ts';
import { RecordFates, Totals } from '../record-fates.ts';
import { RecordScanner } from '../scan/scan-records.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { BATCH_STRIDE } from '../stage.ts';
import type { StageFailure } from '../stage.ts';
import { BranchRunner, rowsAt } from './branch-runner.ts';
import type { RecordRows } from './branch-runner.ts';
import type { Frame, MapResult, MapTask } from './contract.ts';
import { EpochReport, lastRows, timesOfEpoch } from './epoch-report.ts';
import { OpenRanges } from './range-parts.ts';

/** Rows that a record gives to a branch count from here, so that rows of several branches have ids of their own. */
const BRANCH_INDEX_STEP = 1 << 24;

/** Partial aggregates by branch; null where a branch has none. */
type Sums = readonly (RowsAddedUp | null)[];

/** What is added up of a task, or of the parts of a range so far. */
interface AddedUp {
  readonly sums: Sums;
  /** Offset of the first record; -1 = none yet. */
  firstOffset: number;
}

export class MapRunner {
  readonly #plan: EpochsPlan;
  readonly #index: number;
  readonly #chunks: RecordChunks;
  readonly #fates: RecordFates;
  readonly #scanner: RecordScanner;
  readonly #branches: readonly BranchRunner[];
  /** Memory for partial aggregates that nothing is added to now. */
  readonly #spareSums: Sums[] = [];
  /** By partition, ranges of which some parts were mapped and others are to come. */
  readonly #ranges = new OpenRanges<AddedUp>();
  readonly #sinks: SinkEncoders | null;
  readonly #deadLetters: DeadLetterEncoder;
  /** Of the host; those of a task with lookups have its rows besides. */
  readonly #statics: ReadonlyMap<string, StaticRows>;
  readonly #lookups: LookupTables | null;

  /** Throws: UNSUPPORTED, SINK_SCHEMA. */
  constructor(
    plan: EpochsPlan,
    index: number,
    stage: MapStage,
    timeZone: TimeZone,
    statics: ReadonlyMap<string, StaticRows>,
  ) {
    const { scan, branches, lookups } = stage;
    if (scan.onNullValue === 'delete')
      throw new WeirError(
        'UNSUPPORTED',
        `job ${plan.job}: onNullValue: delete does not go with a query that keeps state`,
      );
    this.#plan = plan;
    this.#index = index;
    this.#statics = statics;
    this.#lookups = lookups === undefined ? null : new LookupTables(lookups.tables, timeZone);
    this.#chunks = new RecordChunks(plan.job, scan.topic);
    this.#fates = new RecordFates(this.#chunks.records, scan);
    this.#scanner = new RecordScanner(scan, timeZone, this.#chunks.arena);
    const input: Schema = scan.columns.map(({ name, type }) => ({ name, type, nullable: true }));
    this.#branches = branches.map((branch, at) => new BranchRunner(branch, at, input, scan.timeZone));
    const toSinks = branches.find(({ target }) => target.kind === 'sink');
    this.#sinks = toSinks === undefined ? null : new SinkEncoders(plan.sinkPlans, toSinks.output, timeZone);
    this.#deadLetters = new DeadLetterEncoder(plan.job, scan.topic);
  }

  run(task: MapTask): MapResult {
    this.#scanner.learn(task.schemas);
    const uncounted = new Map<number, RowFailure>();
    const statics = this.#staticsOf(task);
    for (;;) {
      const added = this.#addedUpBefore(task);
      const result = this.#attempt(task, statics, added, uncounted);
      if (task.part === undefined || task.part.isLast) this.#spareSums.push(added.sums);
      if (result === null) {
        assert(
          task.part === undefined,
          () => `a range of stage ${this.#index} was added up in parts and must begin again`,
        );
        continue;
      }
      const drift = this.#scanner.takeDrift();
      return drift === undefined ? result : { ...result, drift };
    }
  }

  #staticsOf({ tables = [] }: MapTask): ReadonlyMap<string, StaticRows> {
    return this.#lookups === null ? this.#statics : new Map([...this.#statics, ...this.#lookups.scope(tables).statics]);
  }

  /** Where the task goes on: at nothing, or behind the parts of its range before it. */
  #addedUpBefore({ part, partition }: MapTask): AddedUp {
    if (part === undefined) return this.#nothing();
    const { range, isFirst, isLast } = part;
    const place = String(partition);
    if (isFirst) {
      const given = this.#ranges.begin(place, range, this.#nothing());
      if (given !== undefined) this.#spareSums.push(given.sums);
    }
    const added = must(this.#ranges.get(place, range), () => `${range} goes on behind a part that was not mapped here`);
    if (isLast) this.#ranges.end(place, range);
    return added;
  }

  #nothing(): AddedUp {
    const sums = this.#spareSums.pop() ?? this.#branches.map((branch) => branch.newPartial());
    for (const partial of sums) partial?.begin();
    return { sums, firstOffset: -1 };
  }

  /**
   * One pass over the task. null = a partial aggregate could not take some records: they are among `uncounted` now, by
   * offset, and may not count in any, so that all begin again.
   */
  #attempt(
    task: MapTask,
    statics: ReadonlyMap<string, StaticRows>,
    added: AddedUp,
    uncounted: Map<number, RowFailure>,
  ): MapResult | null {
    const { env } = task;
    this.#begin(task);
    const report = new EpochReport(this.#plan, env, statics);
    const frames: Frame[] = [];
    const totals = new Totals();
    const { records } = this.#chunks;
    let failure: StageFailure | null = null;
    for (const piece of [task, ...(task.more ?? [])]) {
      const chunked = { ...task, bytes: piece.bytes, ...withWriteTimes(task, piece.batches) };
      for (let batch = 0; batch < piece.batches.length && failure === null;) {
        batch = this.#chunks.decode(chunked, batch);
        if (records.count === 0) continue;
        if (added.firstOffset < 0) added.firstOffset = records.offset[0]!;
        this.#fates.begin();
        this.#fates.settleNullValues();
        this.#leaveOut(uncounted);
        if (!this.#chunk(task, added.sums, report, frames, totals, uncounted)) {
          this.#chunks.release();
          return null;
        }
        failure = this.#fates.settle(totals, this.#deadLetters, this.#chunks.arena.bytes);
      }
    }
    this.#chunks.release();
    if (failure !== null) return this.#failed(task, failure);
    if (task.part?.isLast ?? true) frames.push(...this.#framesOf(task, added));
    const { countByReason, ...deadLetters } = this.#deadLetters.finish();
    return {
      ...totals.result(),
      ...report.result(),
      frames,
      sinks: this.#sinks === null ? [] : lastRows(this.#sinks.finish(), this.#plan.sinkPlans),
      deadLetters,
      deadByReason: countByReason,
      rowsOut: totals.rowsOut,
      failure: null,
    };
  }

  /** Rows that were added up; none where there were no records. */
  #framesOf(task: MapTask, { sums, firstOffset }: AddedUp): Frame[] {
    if (firstOffset < 0) return [];
    const from = this.#from(task, firstOffset);
    return this.#branches.flatMap((branch, index) => {
      const batch = sums[index]?.finish(task.env.lateUs);
      return batch === undefined ? [] : branch.frames({ batch, fromGroups: null, changes: null }, from, task.routing);
    });
  }

  /** Under `onBadRecord: fail` nothing of the task may be written. */
  #failed(task: MapTask, failure: StageFailure): MapResult {
    this.#begin(task);
    const { countByReason, ...deadLetters } = this.#deadLetters.finish();
    return {
      ...new Totals().result(),
      ...new EpochReport(this.#plan, task.env, this.#statics).result(),
      frames: [],
      sinks: this.#sinks?.finish() ?? [],
      deadLetters,
      deadByReason: countByReason,
      rowsOut: 0,
      failure,
    };
  }

  #begin({ env, partition, logPartitions }: MapTask): void {
    const idPrefix = `${this.#plan.job}/${env.run}/${env.epoch}/${this.#index}/${partition}/`;
    this.#sinks?.begin({ idPrefix, partition, logPartitions });
    this.#deadLetters.begin(env.run, partition);
  }

  #from({ partition }: MapTask, sequence: number): { stage: number; partition: number; sequence: number } {
    return { stage: this.#index, partition, sequence };
  }

  /** Records that no aggregate may count. */
  #leaveOut(uncounted: ReadonlyMap<number, RowFailure>): void {
    if (uncounted.size === 0) return;
    const { offset, count } = this.#chunks.records;
    for (let record = 0; record < count; record++) {
      const failure = uncounted.get(offset[record]!);
      if (failure !== undefined) this.#fates.fail(record, failure.reason, failure.place);
    }
  }

  /** False when a partial aggregate could not take some of the records: they are among `uncounted` then. */
  #chunk(
    task: MapTask,
    sums: Sums,
    report: EpochReport,
    frames: Frame[],
    totals: Totals,
    uncounted: Map<number, RowFailure>,
  ): boolean {
    const fates = this.#fates;
    const { records } = this.#chunks;
    const scanned = this.#scanner.scan(records, task.partition, 0, records.count, false, fates.isSettled, fates.fail);
    const { rowCount, columns, origins } = scanned;
    const timestampMs = timesOfEpoch(task.env, rowCount);
    let input: ColumnBatch = { rowCount, columns, origins: { ...origins, timestampMs } };
    this.#sinks?.mark();
    let rows = this.#branchRows(input, report);
    while (rows === null) {
      input = this.#living(input);
      this.#sinks?.takeBack();
      rows = this.#branchRows(input, report);
    }
    const failures: RowFailure[] = [];
    const log = new FailureLog(failures);
    for (const [branch, given] of rows) sums[branch.index]?.add(given.rows, log);
    for (const failure of failures) uncounted.set(records.offset[failure.record]!, failure);
    if (failures.length > 0) return false;
    for (const { record, reason, place } of report.keep())
      this.#deadLetters.append(records, record, this.#chunks.arena.bytes, reason, place);
    const from = this.#from(task, records.offset[0] ?? 0);
    for (const [branch, given] of rows) {
      if (branch.isPartial) continue;
      const { batch } = given.rows;
      if (branch.branch.target.kind === 'exchange') {
        frames.push(...branch.frames({ batch, fromGroups: null, changes: null }, from, task.routing));
        continue;
      }
      this.#sinks?.encodeRest(batch, fates);
      totals.rowsOut += batch.rowCount;
    }
    return true;
  }

  /** What all branches give for the records; null when some of the records turned out bad on the way. */
  #branchRows(input: ColumnBatch, report: EpochReport): (readonly [BranchRunner, RecordRows])[] | null {
    const fates = this.#fates;
    const failures: RowFailure[] = [];
    const scope = report.begin();
    fates.newFailures = 0;
    const given = this.#branches.map((branch): readonly [BranchRunner, RecordRows] => {
      const rows = branch.run(input, null, scope, failures);
      if (branch.branch.target.kind === 'exchange') return [branch, rows];
      const batch = withIndexesFrom(rows.rows.batch, branch.index * BRANCH_INDEX_STEP);
      this.#sinks?.tryRows(batch, fates);
      return [branch, { ...rows, rows: { ...rows.rows, batch } }];
    });
    for (const { record, reason, place } of failures) fates.fail(record, reason, place);
    if (fates.newFailures > 0) return null;
    for (const [, { rows }] of given) fates.pass(rows.batch.origins.record, rows.count, rows.selection);
    return given;
  }

  /** The rows of records that are not dead. */
  #living(input: ColumnBatch): ColumnBatch {
    const kept = new Int32Array(input.rowCount);
    let count = 0;
    for (let row = 0; row < input.rowCount; row++)
      if (!this.#fates.isDead(input.origins.record[row]!)) kept[count++] = row;
    return rowsAt(input, kept.subarray(0, count));
  }
}

function withIndexesFrom(batch: ColumnBatch, first: number): ColumnBatch {
  if (first === 0) return batch;
  return { ...batch, origins: { ...batch.origins, index: batch.origins.index.map((index) => index + first) } };
}

/** The table of batches with the write times of their records. */
function withWriteTimes(
  { env, fromOffset, rowTimes }: MapTask,
  batches: Float64Array,
): { batches: Float64Array; stride: number } {
  const changed = batches.slice();
  const { firstUs, step } = rowTimes ?? { firstUs: env.writeTimeUs, step: Number.POSITIVE_INFINITY };
  for (let batch = 0; batch < changed.length; batch += BATCH_STRIDE) {
    const delta = changed[batch + 2]! - fromOffset;
    // Records before the range are left out: the first batch may have some.
    changed[batch + 3] = firstUs + (step === 1 ? delta : Math.floor(Math.max(0, delta) / step));
  }
  return { batches: changed, stride: step === 1 ? 1 : 0 };
}
