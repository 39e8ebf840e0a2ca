/**
 * What becomes of the records of a chunk. Every record ends in exactly one way: passed (it gave rows), filtered (it gave
 * none), skipped (by policy) or dead; the first thing that goes wrong with it is the one that is told.
 */
import { assert } from '../core/assert.ts';
import { deadLetterReasons } from '../core/errors.ts';
import type { RecordIndex } from './codecs/decode-records.ts';
import type { DeadLetterEncoder } from './dead-letters.ts';
import type { EncodeContext } from './encode/sink-encoder.ts';
import { shapeReasons } from './formats/field-drift.ts';
import type { BadRecordPolicy, StagePlan } from './plan/stage-plan.ts';
import type { StageFailure, StageResult } from './stage.ts';

type Policies = Pick<StagePlan, 'onBadRecord' | 'onNullValue' | 'drift'>;

const OPEN = 0;
const PASSED = 1;
const SKIPPED = 2;
const DEAD = 3;

const NULL_VALUE = deadLetterReasons.indexOf('RECORD_NULL_VALUE');
const isOfShape = deadLetterReasons.map((reason) => shapeReasons.has(reason));

/** The fates of the records in an index, and what encoders need to know of them. */
export class RecordFates implements EncodeContext {
  deletes: Uint8Array | null = null;
  /** Records that died since somebody set it to 0. */
  newFailures = 0;
  readonly #records: RecordIndex;
  readonly #policies: Policies;
  #fate = new Uint8Array(0);
  #reason = new Uint8Array(0);
  #place: string[] = [];

  constructor(records: RecordIndex, policies: Policies) {
    this.#records = records;
    this.#policies = policies;
  }

  get writeTimeUs(): Float64Array {
    return this.#records.writeTimeUs;
  }

  /** Forgets the former chunk: all records of this one are open. */
  begin(): void {
    const { count } = this.#records;
    if (count > this.#fate.length) {
      this.#fate = new Uint8Array(count * 2);
      this.#reason = new Uint8Array(count * 2);
      this.#place = [];
    }
    this.#fate.fill(OPEN, 0, count);
    this.newFailures = 0;
  }

  /** Decides over the records without a value, under a policy other than `delete`. */
  settleNullValues(): void {
    const { valueLength, count } = this.#records;
    for (let record = 0; record < count; record++) {
      if (valueLength[record]! >= 0) continue;
      if (this.#policies.onNullValue === 'skip') this.#fate[record] = SKIPPED;
      else this.fail(record, NULL_VALUE, '');
    }
  }

  readonly fail = (record: number, reason: number, place: string): void => {
    if (this.#fate[record] === DEAD) return;
    this.#fate[record] = DEAD;
    this.#reason[record] = reason;
    this.#place[record] = place;
    this.newFailures++;
  };

  readonly isSettled = (record: number): boolean => this.#fate[record] !== OPEN;

  isDead(record: number): boolean {
    return this.#fate[record] === DEAD;
  }

  /** Notes that the records of rows gave rows, but for dead ones; how many rows count. `selection`: those rows alone. */
  pass(record: Int32Array, rowCount: number, selection: Int32Array | null = null): number {
    let rows = 0;
    for (let index = 0; index < rowCount; index++) {
      const row = selection === null ? index : selection[index]!;
      if (this.#fate[record[row]!] === DEAD) continue;
      this.#fate[record[row]!] = PASSED;
      rows++;
    }
    return rows;
  }

  /** What becomes of records of another shape: what the source says goes before what the job says. */
  #onShape(): BadRecordPolicy {
    const { onBadRecord, drift } = this.#policies;
    return drift?.policy === 'deadLetter' || drift?.policy === 'fail' ? drift.policy : onBadRecord;
  }

  /** Counts what became of the records and writes the dead letters; the failure that stops the job, if it has to. */
  settle(totals: Totals, deadLetters: DeadLetterEncoder, bytes: Uint8Array): StageFailure | null {
    const records = this.#records;
    const { onBadRecord } = this.#policies;
    const onShape = this.#onShape();
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
          const policy = isOfShape[reason] === true ? onShape : onBadRecord;
          if (policy === 'fail')
            return { offset: records.offset[record]!, code: deadLetterReasons[reason] ?? '', place };
          if (policy === 'skip') {
            totals.skipped++;
            break;
          }
          totals.dead++;
          deadLetters.append(records, record, bytes, reason, place);
        }
      }
    }
    return null;
  }
}

/** Counters of one task. */
export class Totals {
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
