/**
 * A state stage: all frames of an epoch in, folded at once into the state of their key groups; what comes out goes on to
 * the next exchange or to the sinks.
 *
 * Rows are folded in one order whoever sent them: by port, then by sending stage, and there by partition and offset, or
 * by the key group that they came out of. A row's identity is its key group and its place among the group's rows.
 */
import { assert, must } from '../../core/assert.ts';
import { stateTimes } from '../../core/epoch/row-times.ts';
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { ColumnBatch, RowFailure, RowOrigins } from '../column-batch.ts';
import { DeadLetterEncoder } from '../dead-letters.ts';
import type { EncodeContext } from '../encode/sink-encoder.ts';
import { SinkEncoders } from '../encode/sink-encoders.ts';
import { FORMER, isPast, SAME } from '../operators/changes.ts';
import { FailureLog } from '../operators/operator.ts';
import type { StaticRows } from '../operators/operator.ts';
import type { GroupFailure, StateInput, StateOperator, StateOutput } from '../operators/state-operator.ts';
import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import type { EpochsPlan, StateStage } from '../plan/epoch-plan.ts';
import type { BadRecordPolicy } from '../plan/stage-plan.ts';
import { tableStagesOf } from '../plan/table-stages.ts';
import type { PlanTableStages } from '../plan/table-stages.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { BranchRunner, rowsAt, rowsInGroupOrder } from './branch-runner.ts';
import type { BranchRows, SentBy } from './branch-runner.ts';
import type { EpochEnv, Frame, ReduceResult, ReduceTask } from './contract.ts';
import { EpochReport, lastRows, timesOfEpoch } from './epoch-report.ts';
import { concatBatches, decodeFrame } from './frame.ts';
import type { DecodedFrame } from './frame.ts';

/** Dead letters of one key group in one epoch have offsets of their own up to so many. */
const LETTERS_PER_GROUP = 2 ** 20;

export class ReduceRunner {
  readonly operator: StateOperator;
  readonly #plan: EpochsPlan;
  readonly #stage: StateStage;
  readonly #index: number;
  readonly #branch: BranchRunner;
  readonly #sinks: SinkEncoders | null;
  readonly #letters: LetterWriter;
  readonly #tableStages: PlanTableStages;
  readonly #statics: ReadonlyMap<string, StaticRows>;

  /** Throws: UNSUPPORTED, SINK_SCHEMA. */
  constructor(
    plan: EpochsPlan,
    index: number,
    stage: StateStage,
    operator: StateOperator,
    timeZone: TimeZone,
    statics: ReadonlyMap<string, StaticRows>,
  ) {
    this.operator = operator;
    this.#plan = plan;
    this.#stage = stage;
    this.#index = index;
    this.#statics = statics;
    const { branch } = stage;
    this.#branch = new BranchRunner(branch, 0, operator.output, plan.timeZone);
    this.#sinks = branch.target.kind === 'sink' ? new SinkEncoders(plan.sinkPlans, branch.output, timeZone) : null;
    this.#letters = new LetterWriter(plan, stage);
    this.#tableStages = tableStagesOf(plan);
  }

  /** Throws: STATE_LIMIT; under onBadRecord: fail, the code of what went wrong. */
  run(task: ReduceTask): ReduceResult {
    const { env } = task;
    const { job } = this.#plan;
    this.#sinks?.begin({
      idPrefix: `${job}/${env.run}/${env.epoch}/${this.#index}/`,
      partition: null,
      logPartitions: task.logPartitions,
    });
    this.#letters.begin(env);
    const inputs = this.#inputs(task);
    const failures: RowFailure[] = [];
    const output = this.operator.fold(inputs, env, new FailureLog(failures));
    if (failures.length > 0) this.#letters.write(failures, groupsOf(inputs));
    this.#letters.writeGroups(output.failures ?? []);
    const report = new EpochReport(this.#plan, env, this.#statics);
    const { rows, fates } = this.#rows(output, env, report);
    const frames: Frame[] = [];
    let rowsOut = 0;
    if (this.#sinks === null) {
      const { target } = this.#stage.branch;
      assert(
        (target.kind === 'exchange' && target.changes === true) || rows.changes?.some(isPast) !== true,
        () => `${this.#stage.operatorId} takes rows back that another operator has`,
      );
      const from = { stage: this.#index, partition: -1, sequence: 0 };
      frames.push(...this.#branch.frames(rows, from, task.routing));
    } else {
      this.#sinks.encodeRest(rows.batch, fates.toRest(rows.batch));
      rowsOut = rows.batch.rowCount;
    }
    const { countByReason, ...deadLetters } = this.#letters.finish();
    return {
      ...report.result(),
      frames,
      sinks: this.#sinks === null ? [] : lastRows(this.#sinks.finish(), this.#plan.sinkPlans),
      deadLetters,
      deadByReason: countByReason,
      rowsOut,
      rowsIn: inputs.reduce((sum, { batch }) => sum + batch.rowCount, 0),
      state: this.operator.figures(),
    };
  }

  /** As {@link run} for an epoch whose rows are written already: gives what goes on to other stages. Throws: STATE_LIMIT. */
  replay(task: ReduceTask): readonly Frame[] {
    if (this.#sinks === null) return this.run(task).frames;
    this.operator.fold(this.#inputs(task), task.env, new FailureLog([]));
    return [];
  }

  // ---- what comes in --------------------------------------------------------------------------------------------

  #inputs(task: ReduceTask): StateInput[] {
    const frames = task.inputs.map(({ port, bytes }) => {
      const frame = decodeFrame(bytes);
      assert(
        frame.port === port && frame.stage === this.#index,
        () => `a frame of stage ${frame.stage} came to ${this.#index}`,
      );
      return frame;
    });
    frames.sort(byOrigin);
    let records = 0;
    return runsBySender(frames).map(({ port, batch, groups }) => {
      const width = must(this.#stage.inputs[port], () => `stage ${this.#index} has no port ${port}`).length;
      assert(batch.columns.length === width, () => `a frame has ${batch.columns.length} columns, not ${width}`);
      const origins = this.#originsOfInput(batch.rowCount, records, task.env);
      records += batch.rowCount;
      return { port, batch: { ...batch, origins }, groups };
    });
  }

  #originsOfInput(rowCount: number, firstRecord: number, env: EpochEnv): RowOrigins {
    return {
      topic: this.#stage.operatorId,
      partition: env.epoch,
      offset: new Float64Array(rowCount),
      timestampMs: timesOfEpoch(env, rowCount),
      index: new Int32Array(rowCount),
      record: numbersFrom(firstRecord, rowCount),
    };
  }

  // ---- what goes out --------------------------------------------------------------------------------------------

  /** The branch's rows, without those that it could not compute or encode: these become dead letters. */
  #rows(output: StateOutput, env: EpochEnv, report: EpochReport): { rows: BranchRows; fates: RowFates } {
    const { batch, groups, changes, successors }: Ordered =
      this.#sinks === null ? { ...output, successors: null } : pastFirst(output);
    assert(groups.length >= batch.rowCount, () => `${this.#stage.operatorId} gives rows without key groups`);
    const isWhole = this.#plan.outputMode === 'complete';
    const times = this.#writeTimes(batch.rowCount, env, groups, changes);
    const fates = new RowFates(batch.rowCount, times, { changes, successors, isWhole });
    const origins = originsOfOutput(this.#stage.operatorId, groups, batch.rowCount, env);
    let input: ColumnBatch = { ...batch, origins };
    const from: SentBy = { groups, changes };
    this.#sinks?.mark();
    let rows = this.#tryRows(input, from, fates, report);
    while (rows === null) {
      this.#sinks?.takeBack();
      input = living(input, fates);
      rows = this.#tryRows(input, from, fates, report);
    }
    if (fates.failures.length > 0) this.#letters.write(fates.failures, groups);
    this.#letters.writeAlways(report.keep(), groups);
    return { rows, fates };
  }

  #writeTimes(rowCount: number, env: EpochEnv, groups: Uint8Array, changes: Uint8Array | null): Float64Array {
    const { writeTimeUs, room = 0 } = env;
    const times = new Float64Array(rowCount).fill(writeTimeUs);
    const stage = this.#tableStages.stateStages.indexOf(this.#index);
    if (room === 0 || stage < 0) return times;
    const { givenUs, pastUs } = stateTimes({ room, writeTimeUs }, this.#tableStages, stage);
    for (let row = 0; row < rowCount; row++)
      times[row] = (changes !== null && isPast(changes[row]!) ? pastUs : givenUs) + groups[row]!;
    return times;
  }

  /** null when some rows turned out bad. */
  #tryRows(input: ColumnBatch, from: SentBy, fates: RowFates, report: EpochReport): BranchRows | null {
    const scope = report.begin();
    const before = fates.deaths;
    const failures: RowFailure[] = [];
    const rows = this.#branch.run(input, from, scope, failures);
    this.#sinks?.tryRows(rows.rows.batch, fates.toTables);
    for (const { record, reason, place } of failures) fates.fail(record, reason, place);
    if (fates.deaths > before) return null;
    const finished = this.#branch.finish(rows, failures);
    for (const { record, reason, place } of failures) fates.fail(record, reason, place);
    return fates.deaths > before ? null : finished;
  }
}

function byOrigin(a: DecodedFrame, b: DecodedFrame): number {
  return (
    a.port - b.port ||
    a.fromStage - b.fromStage ||
    a.fromPartition - b.fromPartition ||
    a.sequence - b.sequence ||
    a.fromBranch - b.fromBranch
  );
}

/** Frames of map stages as they are; those of one sending state stage as one, its rows by the group they came out of. */
function runsBySender(
  frames: readonly DecodedFrame[],
): { readonly port: number; readonly batch: ColumnBatch; readonly groups: Uint8Array }[] {
  const runs: { port: number; batch: ColumnBatch; groups: Uint8Array }[] = [];
  for (let from = 0; from < frames.length;) {
    const first = frames[from]!;
    let to = from + 1;
    if (first.fromGroups !== null)
      while (to < frames.length && frames[to]!.port === first.port && frames[to]!.fromStage === first.fromStage) to++;
    runs.push(first.fromGroups === null ? first : byFromGroup(frames.slice(from, to)));
    from = to;
  }
  return runs;
}

function byFromGroup(frames: readonly DecodedFrame[]): { port: number; batch: ColumnBatch; groups: Uint8Array } {
  const all = concatBatches(frames.map(({ batch }) => batch));
  const join = (pick: (frame: DecodedFrame) => Uint8Array | null): Uint8Array =>
    Buffer.concat(frames.map((frame) => must(pick(frame), () => 'frames of two kinds of stages meet')));
  const groups = join((frame) => frame.groups);
  const index = rowsInGroupOrder(join((frame) => frame.fromGroups));
  return { port: frames[0]!.port, batch: rowsAt(all, index), groups: bytesAt(groups, index) };
}

function groupsOf(inputs: readonly StateInput[]): Uint8Array {
  return Buffer.concat(inputs.map(({ groups, batch }) => groups.subarray(0, batch.rowCount)));
}

/** Identities of the rows that come out of a state operator: the epoch, the key group, the place in the group. */
function originsOfOutput(operatorId: string, groups: Uint8Array, rowCount: number, env: EpochEnv): RowOrigins {
  const offset = new Float64Array(rowCount);
  const index = new Int32Array(rowCount);
  const next = new Int32Array(KEY_GROUPS);
  for (let row = 0; row < rowCount; row++) {
    const group = groups[row]!;
    offset[row] = group;
    index[row] = next[group]!++;
  }
  return {
    topic: operatorId,
    partition: env.epoch,
    offset,
    timestampMs: timesOfEpoch(env, rowCount),
    index,
    record: numbersFrom(0, rowCount),
  };
}

function living(input: ColumnBatch, fates: RowFates): ColumnBatch {
  const kept = numbersFrom(0, input.rowCount).filter((row) => !fates.isDead(input.origins.record[row]!));
  return rowsAt(input, kept);
}

/**
 * Rows that hold no more before the others: what is written of a key that leaves one row and is taken up by another one
 * is the latter.
 */
function pastFirst(output: StateOutput): Ordered {
  const { batch, groups, changes } = output;
  if (changes === null) return { ...output, successors: null };
  let pastCount = 0;
  let isFirst = true;
  for (let row = 0; row < batch.rowCount; row++) {
    if (!isPast(changes[row]!)) continue;
    isFirst &&= row === pastCount;
    pastCount++;
  }
  if (pastCount === 0) return { ...output, successors: null };
  const successors = new Int32Array(pastCount).fill(-1);
  if (isFirst) {
    if (changes[pastCount - 1] === FORMER) successors[pastCount - 1] = pastCount;
    return { ...output, successors };
  }
  const order = new Int32Array(batch.rowCount);
  let [past, present] = [0, pastCount];
  for (let row = 0; row < batch.rowCount; row++) {
    if (!isPast(changes[row]!)) {
      order[present++] = row;
      continue;
    }
    // The row that follows has its new values, and is the next of those that hold.
    if (changes[row] === FORMER) successors[past] = present;
    order[past++] = row;
  }
  return { batch: rowsAt(batch, order), groups: bytesAt(groups, order), changes: bytesAt(changes, order), successors };
}

function bytesAt(values: Uint8Array, index: Int32Array): Uint8Array {
  const bytes = new Uint8Array(index.length);
  for (let row = 0; row < index.length; row++) bytes[row] = values[index[row]!]!;
  return bytes;
}

/** `count` numbers from `first` on. */
function numbersFrom(first: number, count: number): Int32Array {
  const numbers = new Int32Array(count);
  for (let index = 0; index < count; index++) numbers[index] = first + index;
  return numbers;
}

interface Ordered extends Pick<StateOutput, 'batch' | 'groups' | 'changes'> {
  /** For each row that holds no more the one that has its new values; -1 = none. null = no row is past. */
  readonly successors: Int32Array | null;
}

/** What becomes of a state operator's rows, each of which is a record of its own. Those that hold no more come first. */
class RowFates {
  readonly failures: RowFailure[] = [];
  /** Rows that failed, those included that held no more and are not reported again. */
  deaths = 0;
  /** What table encoders see: rows that tables have are none of theirs. */
  readonly toTables: EncodeContext;
  readonly #writeTimeUs: Float64Array;
  readonly #deletes: Uint8Array | null;
  readonly #successors: Int32Array | null;
  readonly #dead: Uint8Array;
  readonly #isWhole: boolean;

  constructor(
    rowCount: number,
    writeTimeUs: Float64Array,
    { changes, successors, isWhole }: Pick<Ordered, 'changes' | 'successors'> & { readonly isWhole: boolean },
  ) {
    this.#writeTimeUs = writeTimeUs;
    this.#successors = successors;
    this.#deletes = changes?.some(isPast) === true ? changes.map((change) => (isPast(change) ? 1 : 0)) : null;
    this.#dead = new Uint8Array(rowCount);
    this.#isWhole = isWhole;
    this.toTables = {
      ...this.#context(),
      isDead: (record) => this.isDead(record) || changes?.[record] === SAME,
    };
  }

  /** What the other encoders see. `rows`: all that come to them. */
  toRest(rows: ColumnBatch): EncodeContext {
    const successors = this.#successors;
    if (successors === null) return this.#context();
    const isGiven = new Uint8Array(this.#dead.length);
    for (let row = 0; row < rows.rowCount; row++) isGiven[rows.origins.record[row]!] = 1;
    const replaced = new Uint8Array(this.#dead.length);
    for (const [record, successor] of successors.entries()) if (successor >= 0) replaced[record] = isGiven[successor]!;
    return { ...this.#context(), change: { isWhole: this.#isWhole, replaced } };
  }

  #context(): EncodeContext {
    return {
      writeTimeUs: this.#writeTimeUs,
      deletes: this.#deletes,
      isDead: (record) => this.isDead(record),
      fail: (record, reason, place) => this.fail(record, reason, place),
    };
  }

  isDead(record: number): boolean {
    return this.#dead[record] !== 0;
  }

  fail(record: number, reason: number, place: string): void {
    if (this.#dead[record] !== 0) return;
    this.#dead[record] = 1;
    this.deaths++;
    // A row that failed when it was given has been reported, and stands nowhere.
    if (this.#deletes?.[record] !== 1) this.failures.push({ record, reason, place });
  }
}

/**
 * Dead letters of rows that come from no single record: topic = the operator, partition = the key group, offset = the
 * epoch and a number within group and epoch, in the order of the group's rows.
 */
class LetterWriter {
  readonly #encoder: DeadLetterEncoder;
  readonly #plan: EpochsPlan;
  readonly #operatorId: string;
  readonly #policy: BadRecordPolicy;
  readonly #next = new Int32Array(KEY_GROUPS);
  #env: EpochEnv | null = null;

  constructor(plan: EpochsPlan, stage: StateStage) {
    this.#plan = plan;
    this.#operatorId = stage.operatorId;
    this.#encoder = new DeadLetterEncoder(plan.job, stage.operatorId);
    const policies = plan.stages.flatMap((each) => (each.kind === 'map' ? [each.scan.onBadRecord] : []));
    this.#policy = policies[0] ?? 'deadLetter';
  }

  begin(env: EpochEnv): void {
    this.#env = env;
    this.#next.fill(0);
    this.#encoder.begin(env.run, -1);
  }

  /** `groups`: key groups by record. Throws under onBadRecord: fail. */
  write(failures: readonly RowFailure[], groups: Uint8Array): void {
    if (this.#policy === 'skip') return;
    const [first] = failures;
    if (this.#policy === 'fail' && first !== undefined) {
      const { epoch } = must(this.#env, () => 'dead letters outside of an epoch');
      const code = deadLetterReasons[first.reason] ?? 'EXPRESSION_FAILED';
      throw new WeirError(
        code,
        `job ${this.#plan.job}: operator ${this.#operatorId}, epoch ${epoch}: ${first.place} failed (${code}), and onBadRecord is fail`,
        { facts: { operator: this.#operatorId, epoch, place: first.place } },
      );
    }
    this.writeAlways(failures, groups);
  }

  /** What failed outside of rows. */
  writeGroups(failures: readonly GroupFailure[]): void {
    if (failures.length === 0) return;
    const reason = deadLetterReasons.indexOf('EXPRESSION_FAILED');
    this.write(
      failures.map(({ place }, record) => ({ record, reason, place })),
      Uint8Array.from(failures, ({ group }) => group),
    );
  }

  /** Under any policy. */
  writeAlways(failures: readonly RowFailure[], groups: Uint8Array): void {
    const { epoch, epochTsUs, writeTimeUs } = must(this.#env, () => 'dead letters outside of an epoch');
    for (const { record, reason, place } of failures.toSorted((a, b) => a.record - b.record)) {
      const group = groups[record] ?? 0;
      const offset = epoch * LETTERS_PER_GROUP + (this.#next[group]!++ % LETTERS_PER_GROUP);
      this.#encoder.appendRow(group, offset, Math.floor(epochTsUs / 1000), writeTimeUs, reason, place);
    }
  }

  finish(): ReturnType<DeadLetterEncoder['finish']> {
    return this.#encoder.finish();
  }
}
