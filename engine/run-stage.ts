/**
 * A stage: record batches in, encoded rows out. `decode → scan → program → encode`, over chunks of about a megabyte so
 * that the bytes stay in the processor's cache. Nothing is made per record: arenas, columns and encoders are used again.
 *
 * Every record ends in exactly one way: passed (it gave rows), filtered (it gave none), skipped (by policy) or dead.
 */
import { assert } from '../core/assert.ts';
import { deadLetterReasons, isWeirError, WeirError } from '../core/errors.ts';
import { COMPRESSION_MASK } from '../core/record-batch.ts';
import { ByteBuffer } from './byte-buffer.ts';
import { decodeBatch, RecordIndex } from './codecs/decode-records.ts';
import type { ColumnBatch, RowFailure } from './column-batch.ts';
import { DeadLetterEncoder } from './dead-letters.ts';
import { BlackholeEncoder } from './encode/blackhole.ts';
import { ConsoleEncoder } from './encode/console.ts';
import { LogEncoder } from './encode/log-batches.ts';
import type { EncodeContext, FallibleSinkEncoder, SinkEncoder } from './encode/sink-encoder.ts';
import { TableEncoder } from './encode/table-rows.ts';
import { compileProgram } from './operators/program.ts';
import type { Program } from './operators/program.ts';
import type { StagePlan } from './plan/stage-plan.ts';
import { RecordScanner } from './scan/scan-records.ts';
import { timeZoneOf } from './scan/time-zone.ts';
import { BATCH_STRIDE } from './stage.ts';
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

const CHUNK_BYTES = 1024 * 1024;
/** Memory kept between runs for decoded bytes. */
const ARENA_KEPT_BYTES = 16 * 1024 * 1024;

/** What became of a record. */
const OPEN = 0;
const PASSED = 1;
const SKIPPED = 2;
const DEAD = 3;

const NULL_VALUE = deadLetterReasons.indexOf('RECORD_NULL_VALUE');

class Stage implements EncodeContext {
  readonly records = new RecordIndex();
  readonly #plan: StagePlan;
  readonly #arena = new ByteBuffer(CHUNK_BYTES);
  readonly #scanner: RecordScanner;
  readonly #program: Program;
  /** For records without a value under `onNullValue: delete`: the projections alone, so that keys come out. */
  readonly #deleteProgram: Program | null;
  readonly #sinks: readonly SinkEncoder[];
  readonly #fallible: readonly FallibleSinkEncoder[];
  readonly #others: readonly SinkEncoder[];
  readonly #deadLetters: DeadLetterEncoder;
  readonly #failures: RowFailure[] = [];
  #fate = new Uint8Array(0);
  #reason = new Uint8Array(0);
  #place: string[] = [];
  #newFailures = 0;

  constructor(plan: StagePlan) {
    this.#plan = plan;
    const timeZone = timeZoneOf(plan.timeZone);
    if (timeZone === undefined)
      throw new WeirError('CONFIG_INVALID', `job ${plan.job}: there is no time zone ${plan.timeZone}`);
    this.#scanner = new RecordScanner(plan, timeZone, this.#arena);
    this.#program = compileProgram(plan);
    this.#deleteProgram = plan.onNullValue === 'delete' ? compileDeletes(plan) : null;
    let logs = 0;
    const fallible: FallibleSinkEncoder[] = [];
    this.#sinks = plan.sinks.map((sink) => {
      switch (sink.kind) {
        case 'table': {
          const encoder = new TableEncoder(sink, timeZone);
          fallible.push(encoder);
          return encoder;
        }
        case 'log':
          return new LogEncoder(sink, plan.output, logs++, plan.job, timeZone);
        case 'blackhole':
          return new BlackholeEncoder();
        case 'console':
          return new ConsoleEncoder(plan.output, timeZone);
      }
    });
    this.#fallible = fallible;
    this.#others = this.#sinks.filter((_, index) => plan.sinks[index]?.kind !== 'table');
    this.#deadLetters = new DeadLetterEncoder(plan.job, plan.topic);
  }

  isDead(record: number): boolean {
    return this.#fate[record] === DEAD;
  }

  /** The first thing that goes wrong with a record is the one that is told. */
  readonly fail = (record: number, reason: number, place: string): void => {
    if (this.#fate[record] === DEAD) return;
    this.#fate[record] = DEAD;
    this.#reason[record] = reason;
    this.#place[record] = place;
    this.#newFailures++;
  };

  readonly #isSettled = (record: number): boolean => this.#fate[record] !== OPEN;

  run(task: StageTask): StageResult {
    for (const sink of this.#sinks) sink.begin(task);
    this.#deadLetters.begin(task.run, task.partition);
    const totals = new Totals();
    let failure: StageFailure | null = null;
    for (let batch = 0; batch < task.batches.length && failure === null;) {
      const next = this.#chunkEnd(task, batch);
      this.#decode(task, batch, next);
      this.#process(task.partition, totals);
      failure = this.#settle(totals);
      batch = next;
    }
    this.#arena.shrink(ARENA_KEPT_BYTES);
    this.#arena.clear();
    if (failure !== null) return this.#failed(task, failure);
    const { countByReason, ...deadLetters } = this.#deadLetters.finish();
    return {
      ...totals.result(),
      sinks: this.#sinks.map((sink) => sink.finish()),
      deadLetters,
      deadByReason: countByReason,
      failure: null,
    };
  }

  /** Under `onBadRecord: fail` nothing of the task may be written. */
  #failed(task: StageTask, failure: StageFailure): StageResult {
    for (const sink of this.#sinks) sink.begin(task);
    this.#deadLetters.begin(task.run, task.partition);
    const { countByReason, ...deadLetters } = this.#deadLetters.finish();
    return {
      ...new Totals().result(),
      sinks: this.#sinks.map((sink) => sink.finish()),
      deadLetters,
      deadByReason: countByReason,
      failure,
    };
  }

  /** Batches of one chunk: about a megabyte, all of them compressed or all of them not. */
  #chunkEnd(task: StageTask, first: number): number {
    const start = task.batches[first]!;
    const plain = isPlain(task.bytes, start);
    let next = first + BATCH_STRIDE;
    while (
      next < task.batches.length &&
      task.batches[next + 1]! - start <= (plain ? CHUNK_BYTES : CHUNK_BYTES / 4) &&
      isPlain(task.bytes, task.batches[next]!) === plain
    ) {
      next += BATCH_STRIDE;
    }
    return next;
  }

  #decode(task: StageTask, first: number, end: number): void {
    const { batches } = task;
    const start = batches[first]!;
    const stop = batches[end - BATCH_STRIDE + 1]!;
    const source = task.bytes.subarray(start, stop);
    this.records.clear();
    this.#arena.clear();
    if (isPlain(task.bytes, start)) this.#arena.adopt(source);
    for (let batch = first; batch < end; batch += BATCH_STRIDE) {
      const baseOffset = batches[batch + 2]!;
      try {
        decodeBatch(
          source,
          {
            // As machine integers: the loops over bytes start from them.
            start: (batches[batch]! - start) | 0,
            end: (batches[batch + 1]! - start) | 0,
            baseOffset,
            baseTimeUs: batches[batch + 3]!,
            stride: task.stride,
            fromOffset: task.fromOffset,
            toOffset: task.toOffset,
          },
          this.#arena,
          this.records,
        );
      } catch (error) {
        if (!isWeirError(error, 'BATCH_CORRUPT')) throw error;
        throw new WeirError(
          'BATCH_CORRUPT',
          `job ${this.#plan.job}: topic ${this.#plan.topic}, partition ${task.partition}: the record batch at offset ${baseOffset} cannot be read: ${error.message}`,
          { cause: error, facts: { topic: this.#plan.topic, partition: task.partition, offset: baseOffset } },
        );
      }
    }
  }

  #process(partition: number, totals: Totals): void {
    const { records } = this;
    this.#ensure(records.count);
    this.#fate.fill(OPEN, 0, records.count);
    if (this.#deleteProgram === null) {
      this.#settleNullValues();
      this.#rows(partition, 0, records.count, false, totals);
      return;
    }
    // Runs of records with and without a value in turn, so that logs keep the order of each key.
    for (let from = 0; from < records.count;) {
      const isDelete = records.valueLength[from]! < 0;
      let to = from + 1;
      while (to < records.count && records.valueLength[to]! < 0 === isDelete) to++;
      this.#rows(partition, from, to, isDelete, totals);
      from = to;
    }
  }

  #settleNullValues(): void {
    const { valueLength, count } = this.records;
    for (let record = 0; record < count; record++) {
      if (valueLength[record]! >= 0) continue;
      if (this.#plan.onNullValue === 'skip') this.#fate[record] = SKIPPED;
      else this.fail(record, NULL_VALUE, '');
    }
  }

  /** Scans, computes and encodes the records `[from, to)`. */
  #rows(partition: number, from: number, to: number, isDelete: boolean, totals: Totals): void {
    const input = this.#scanner.scan(this.records, partition, from, to, isDelete, this.#isSettled, this.fail);
    this.#failures.length = 0;
    const program = isDelete ? this.#deleteProgram : this.#program;
    assert(program !== null, () => 'no program for deletes');
    const rows = program.run(input, this.#failures);
    for (const { record, reason, place } of this.#failures) this.fail(record, reason, place);
    // Whoever may find a record bad comes first, once more without the bad ones where there were any.
    for (const sink of this.#fallible) sink.mark();
    this.#newFailures = 0;
    for (const sink of this.#fallible) encodeTo(sink, rows, this, isDelete);
    if (this.#newFailures > 0) {
      this.#newFailures = 0;
      for (const sink of this.#fallible) {
        sink.rollback();
        encodeTo(sink, rows, this, isDelete);
      }
      assert(this.#newFailures === 0, () => 'a record that could be encoded cannot be any more');
    }
    for (const sink of this.#others) encodeTo(sink, rows, this, isDelete);
    const { record } = rows.origins;
    for (let row = 0; row < rows.rowCount; row++) {
      if (this.#fate[record[row]!] === DEAD) continue;
      this.#fate[record[row]!] = PASSED;
      totals.rowsOut++;
    }
  }

  /** Counts what became of the records and writes the dead letters; the failure that stops the job, if it has to. */
  #settle(totals: Totals): StageFailure | null {
    const { records } = this;
    const { onBadRecord } = this.#plan;
    totals.read += records.count;
    for (let record = 0; record < records.count; record++) {
      totals.see(records, record);
      switch (this.#fate[record]) {
        case PASSED:
          totals.passed++;
          break;
        case OPEN:
          totals.filtered++;
          break;
        case SKIPPED:
          totals.skipped++;
          break;
        default: {
          const reason = this.#reason[record]!;
          const place = this.#place[record] ?? '';
          if (onBadRecord === 'fail')
            return { offset: records.offset[record]!, code: deadLetterReasons[reason] ?? '', place };
          if (onBadRecord === 'skip') {
            totals.skipped++;
            break;
          }
          totals.dead++;
          this.#deadLetters.append(records, record, this.#arena.bytes, reason, place);
        }
      }
    }
    return null;
  }

  #ensure(records: number): void {
    if (records <= this.#fate.length) return;
    this.#fate = new Uint8Array(records * 2);
    this.#reason = new Uint8Array(records * 2);
    this.#place = [];
  }
}

function encodeTo(sink: SinkEncoder, rows: ColumnBatch, context: EncodeContext, isDelete: boolean): void {
  if (isDelete) sink.encodeDeletes(rows, context);
  else sink.encode(rows, context);
}

function isPlain(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + 22]! & COMPRESSION_MASK) === 0;
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

/** Counters of one task. */
class Totals {
  read = 0;
  passed = 0;
  filtered = 0;
  skipped = 0;
  dead = 0;
  rowsOut = 0;
  inputBytes = 0;
  timestampMsMin = 0;
  timestampMsMax = 0;

  see(records: RecordIndex, record: number): void {
    this.inputBytes += Math.max(0, records.keyLength[record]!) + Math.max(0, records.valueLength[record]!);
    const timestampMs = records.timestampMs[record]!;
    if (timestampMs < 0) return;
    if (this.timestampMsMin === 0 || timestampMs < this.timestampMsMin) this.timestampMsMin = timestampMs;
    if (timestampMs > this.timestampMsMax) this.timestampMsMax = timestampMs;
  }

  result(): Pick<StageResult, 'counters' | 'inputBytes' | 'timestampMsMin' | 'timestampMsMax'> {
    const { read, passed, filtered, skipped, dead, rowsOut, inputBytes, timestampMsMin, timestampMsMax } = this;
    assert(read === passed + filtered + skipped + dead, () => `records do not add up: ${JSON.stringify(this)}`);
    return { counters: { read, passed, filtered, skipped, dead, rowsOut }, inputBytes, timestampMsMin, timestampMsMax };
  }
}
