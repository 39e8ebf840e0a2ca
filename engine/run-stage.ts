/**
 * A stage: record batches in, encoded rows out. `decode → scan → program → encode`, over chunks of about a megabyte so
 * that the bytes stay in the processor's cache. Nothing is made per record: arenas, columns and encoders are used again.
 */
import { assert } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import type { RowFailure } from './column-batch.ts';
import { DeadLetterEncoder } from './dead-letters.ts';
import { SinkEncoders } from './encode/sink-encoders.ts';
import { LookupTables } from './lookups/lookup-rows.ts';
import type { EpochScope } from './operators/operator.ts';
import { compileProgram } from './operators/program.ts';
import type { Program } from './operators/program.ts';
import type { StagePlan } from './plan/stage-plan.ts';
import { RecordChunks } from './record-chunks.ts';
import { RecordFates, Totals } from './record-fates.ts';
import { RecordScanner } from './scan/scan-records.ts';
import { timeZoneOf } from './scan/time-zone.ts';
import type { StageFailure, StageResult, StageTask } from './stage.ts';

export interface CompiledStage {
  /** Not reentrant. Throws: BATCH_CORRUPT, naming topic, partition and offset. */
  run(task: StageTask): StageResult;
}

/** Throws: UNSUPPORTED, SINK_SCHEMA or CONFIG_INVALID for a plan that cannot run. */
export function compileStage(plan: StagePlan): CompiledStage {
  const stage = new Stage(plan);
  return { run: (task) => stage.run(task) };
}

class Stage {
  readonly #plan: StagePlan;
  readonly #chunks: RecordChunks;
  readonly #fates: RecordFates;
  readonly #scanner: RecordScanner;
  readonly #program: Program;
  /** For records without a value under `onNullValue: delete`: the projections alone, so that keys come out. */
  readonly #deleteProgram: Program | null;
  readonly #sinks: SinkEncoders;
  readonly #deadLetters: DeadLetterEncoder;
  readonly #failures: RowFailure[] = [];
  readonly #tables: LookupTables | null;
  /** What operators see besides their rows: in lanes only what was looked up. */
  #scope: EpochScope | null = null;

  constructor(plan: StagePlan) {
    this.#plan = plan;
    const timeZone = timeZoneOf(plan.timeZone);
    if (timeZone === undefined)
      throw new WeirError('CONFIG_INVALID', `job ${plan.job}: there is no time zone ${plan.timeZone}`);
    this.#chunks = new RecordChunks(plan.job, plan.topic);
    this.#fates = new RecordFates(this.#chunks.records, plan);
    this.#scanner = new RecordScanner(plan, timeZone, this.#chunks.arena);
    this.#tables = plan.tables === undefined ? null : new LookupTables(plan.tables, timeZone);
    this.#program = compileProgram(plan);
    this.#deleteProgram = plan.onNullValue === 'delete' ? compileDeletes(plan) : null;
    this.#sinks = new SinkEncoders(plan.sinks, plan.output, timeZone, this.#chunks.arena);
    this.#deadLetters = new DeadLetterEncoder(plan.job, plan.topic);
  }

  run(task: StageTask): StageResult {
    this.#scope = this.#tables?.scope(task.tables ?? []) ?? null;
    this.#begin(task);
    let totals = new Totals();
    let failure: StageFailure | null = null;
    this.#scanner.learn(task.schemas);
    for (let batch = 0; batch < task.batches.length && failure === null;) {
      batch = this.#chunks.decode(task, batch);
      this.#process(task.partition, totals);
      failure = this.#fates.settle(totals, this.#deadLetters, this.#chunks.arena.bytes);
    }
    this.#chunks.release();
    if (failure !== null) {
      // Under `onBadRecord: fail` nothing of the task may be written.
      this.#begin(task);
      totals = new Totals();
    }
    const { countByReason, ...deadLetters } = this.#deadLetters.finish();
    const result = {
      ...totals.result(),
      sinks: this.#sinks.finish(),
      deadLetters,
      deadByReason: countByReason,
      failure,
    };
    const drift = this.#scanner.takeDrift();
    return drift === undefined ? result : { ...result, drift };
  }

  #begin({ run, partition, logPartitions, spare }: StageTask): void {
    const idPrefix = `${this.#plan.job}/${run}/${partition}/`;
    this.#sinks.begin({ idPrefix, partition, logPartitions, ...(spare === undefined ? {} : { spare }) });
    this.#deadLetters.begin(run, partition);
  }

  #process(partition: number, totals: Totals): void {
    const { records } = this.#chunks;
    this.#fates.begin();
    if (this.#deleteProgram === null) {
      this.#fates.settleNullValues();
      this.#rows(partition, 0, records.count, false, totals);
      return;
    }
    const { valueLength } = records;
    const deletes = new Uint8Array(records.count);
    for (let record = 0; record < records.count; record++) deletes[record] = valueLength[record]! < 0 ? 1 : 0;
    this.#fates.deletes = deletes;
    // Runs of records with and without a value in turn, so that logs keep the order of each key.
    for (let from = 0; from < records.count;) {
      let to = from + 1;
      while (to < records.count && deletes[to] === deletes[from]) to++;
      this.#rows(partition, from, to, deletes[from] !== 0, totals);
      from = to;
    }
  }

  /** Scans, computes and encodes the records `[from, to)`. */
  #rows(partition: number, from: number, to: number, isDelete: boolean, totals: Totals): void {
    const fates = this.#fates;
    const { records } = this.#chunks;
    const input = this.#scanner.scan(records, partition, from, to, isDelete, fates.isSettled, fates.fail);
    this.#failures.length = 0;
    const program = isDelete ? this.#deleteProgram : this.#program;
    assert(program !== null, () => 'no program for deletes');
    const rows = program.run(input, this.#failures, this.#scope);
    for (const { record, reason, place } of this.#failures) fates.fail(record, reason, place);
    fates.newFailures = 0;
    this.#sinks.mark();
    this.#sinks.tryRows(rows, fates);
    if (fates.newFailures > 0) {
      fates.newFailures = 0;
      this.#sinks.takeBack();
      this.#sinks.tryRows(rows, fates);
      assert(fates.newFailures === 0, () => 'a record that could be encoded cannot be any more');
    }
    this.#sinks.encodeRest(rows, fates);
    totals.rowsOut += fates.pass(rows.origins.record, rows.rowCount);
  }
}

function compileDeletes(plan: StagePlan): Program {
  if (plan.operators.some((operator) => operator.kind === 'generate')) {
    throw new WeirError(
      'UNSUPPORTED',
      `job ${plan.job}: onNullValue: delete cannot be combined with explode; choose skip or deadLetter`,
    );
  }
  return compileProgram({ ...plan, operators: plan.operators.filter((operator) => operator.kind === 'project') });
}
