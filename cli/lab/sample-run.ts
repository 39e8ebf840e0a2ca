/** Runs a job's plan on a few records and shows the rows as they leave a place of it: for taps, dry runs and `weir eval`. */
import { WeirError, deadLetterReasons } from '../../core/errors.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { windowFields } from '../../engine/plan/logical-plan.ts';
import type { Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { LocalInput, LocalResult } from '../../engine/epoch/local-run.ts';
import { LocalRun } from '../../engine/epoch/local-run.ts';
import type { Branch, EpochsPlan, EpochStage } from '../../engine/plan/epoch-plan.ts';
import type { JobPlan, LanesPlan } from '../../engine/plan/job-plan.ts';
import { withoutPanes } from '../../engine/plan/panes.ts';
import type { StageOperator, StagePlan } from '../../engine/plan/stage-plan.ts';
import { compileStage } from '../../engine/run-stage.ts';
import type { SinkOutput } from '../../engine/stage.ts';
import type { LogPiece, SampleRecord, SampleRows, TapPlace } from '../../master/lab.ts';

const consoleSink = { kind: 'console', name: 'sample' } as const;
/** µs between the write times of neighbouring records; nothing is written. */
const STRIDE = 32;
/** A watermark that has passed everything, µs. */
const END_OF_TIME_US = 2 ** 52;

/** Records of a source as a piece of a log: `timeMs` is the first one's time, the others follow a ms apart. */
export function pieceOf(source: string, records: readonly SampleRecord[], timeMs: number): LogPiece {
  const bytes = encodeRecordBatch(
    records.map((record, index) => ({ key: null, value: valueOf(record), timestampMs: timeMs + index })),
  );
  const batches = readBatchHeaders(bytes).map(({ start, end, baseOffset, maxTimestampMs }) => ({
    start,
    end,
    baseOffset,
    maxTimestampMs,
  }));
  return { source, partition: 0, bytes, batches, from: 0, to: records.length };
}

function valueOf(record: SampleRecord): Uint8Array | null {
  if (record === null) return null;
  return new TextEncoder().encode(typeof record === 'string' ? record : JSON.stringify(record));
}

/**
 * Rows at a place of the plan, or at the sinks (null), the first `limit` of them. State begins empty; in append mode what
 * it holds comes out at the end, as if the watermark had passed everything.
 *
 * Throws: NOT_FOUND for a place that the plan does not have; UNSUPPORTED for what needs more than the plan and the
 * records: tables that are read, code of the job.
 */
export function sampleRun(plan: JobPlan, pieces: readonly LogPiece[], at: TapPlace | null, limit: number): SampleRows {
  return plan.protocol === 'lanes' ? runLanes(plan, pieces, at, limit) : runEpochs(plan, pieces, at, limit);
}

// -------------------------------------------------------------------------------------------------------------- lanes

function runLanes(plan: LanesPlan, pieces: readonly LogPiece[], at: TapPlace | null, limit: number): SampleRows {
  const [lookup] = plan.sources.flatMap(({ lookups = [] }) => lookups);
  if (lookup !== undefined)
    throw new WeirError(
      'UNSUPPORTED',
      `Job ${plan.job} looks rows of ${lookup.table.name} up, which is not done for samples.`,
    );
  const chosen = at === null ? plan.sources : plan.sources.slice(at.stage, at.stage + 1);
  if (chosen.length === 0) throw noStage(plan.job, at?.stage ?? 0, plan.sources.length);
  const outputs: SinkOutput[] = [];
  const dead = new Map<string, number>();
  let filtered = 0;
  let schema: Schema = [];
  for (const { name, stage } of chosen) {
    const cut = cutOperators(stage.operators, at?.operator ?? null);
    schema = schemaAfter(startSchema(stage.columns), stage.operators, cut.length, stage.output);
    const compiled = compileStage(tapStage({ ...stage, operators: cut, output: schema }));
    for (const piece of pieces.filter(({ source }) => source === name)) {
      const { sinks, deadByReason, counters } = compiled.run({
        bytes: piece.bytes,
        batches: batchNumbers(piece),
        fromOffset: piece.from,
        toOffset: piece.to,
        partition: piece.partition,
        stride: STRIDE,
        run: 1,
        logPartitions: [],
      });
      outputs.push(...sinks);
      countDead(dead, deadByReason);
      filtered += counters.filtered;
    }
  }
  return sampleOf(schema, outputs, dead, filtered, limit);
}

function tapStage(stage: StagePlan): StagePlan {
  const onBadRecord = stage.onBadRecord === 'fail' ? 'deadLetter' : stage.onBadRecord;
  return { ...stage, onBadRecord, onNullValue: 'skip', sinks: [consoleSink] };
}

function startSchema(columns: StagePlan['columns']): Schema {
  return columns.map(({ name, type }) => ({ name, type, nullable: true }));
}

/** Up to and with `last`; null = all of them. */
/** What a partial aggregate sends on are its buffers: the rows that go into it are shown instead. */
function cutOperators(operators: readonly StageOperator[], last: number | null): readonly StageOperator[] {
  const cut = last === null ? operators : operators.slice(0, last + 1);
  return cut.at(-1)?.kind === 'partialAggregate' ? withoutPanes(cut.slice(0, -1)) : withoutPanes(cut);
}

const windowColumn: Schema[number] = {
  name: 'window',
  type: { kind: 'struct', fields: windowFields },
  nullable: false,
};

/** Columns behind the first `count` operators; `output` = behind all of them. */
function schemaAfter(input: Schema, operators: readonly StageOperator[], count: number, output: Schema): Schema {
  if (count === operators.length) return output;
  let schema = input;
  for (const operator of operators.slice(0, count)) {
    switch (operator.kind) {
      case 'filter':
      case 'late':
      case 'watermark':
        break;
      case 'project':
        schema = operator.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
        break;
      case 'generate':
        schema = [...schema, ...operator.output];
        break;
      case 'staticJoin':
        schema = operator.output;
        break;
      case 'assignWindow':
        schema = [...schema, windowColumn];
        break;
      default:
        throw new WeirError(
          'UNSUPPORTED',
          `Rows cannot be shown behind an operator of kind ${operator.kind}; look at the one before it or at the whole stage.`,
        );
    }
  }
  return schema;
}

// ------------------------------------------------------------------------------------------------------------- epochs

function runEpochs(plan: EpochsPlan, pieces: readonly LogPiece[], at: TapPlace | null, limit: number): SampleRows {
  if (plan.module !== undefined)
    throw new WeirError(
      'UNSUPPORTED',
      `Job ${plan.job} runs code of its own, which is not run on samples; "weir test" runs it.`,
    );
  const table = plan.statics.find(({ rows }) => rows.kind === 'table');
  if (table !== undefined)
    throw new WeirError('UNSUPPORTED', `Job ${plan.job} reads the table ${table.name}, which is not read for samples.`);
  const cut = cutPlan(plan, at);
  const run = new LocalRun(cut.plan, { logPartitions: [] });
  const inputs = pieces.map((piece): LocalInput => ({
    source: piece.source,
    partition: piece.partition,
    bytes: piece.bytes,
    batches: batchNumbers(piece),
    from: piece.from,
    to: piece.to,
  }));
  const nowUs = Math.max(0, ...pieces.flatMap(({ batches }) => batches.map((batch) => batch.maxTimestampMs))) * 1000;
  const env = { run: 1, epochTsUs: nowUs, lateUs: Number.NEGATIVE_INFINITY, writeTimeUs: nowUs };
  const results: LocalResult[] = [
    run.runEpoch({ env: { ...env, epoch: 0, evictUs: Number.NEGATIVE_INFINITY }, inputs }),
  ];
  if (plan.outputMode === 'append' && cut.hasState)
    results.push(run.runEpoch({ env: { ...env, epoch: 1, evictUs: END_OF_TIME_US }, inputs: [] }));
  const dead = new Map<string, number>();
  for (const { deadByReason } of results) countDead(dead, deadByReason);
  const outputs = results.flatMap((result) => result.outputs[0] ?? []);
  const filtered = results.reduce((sum, { counters }) => sum + counters.filtered, 0);
  return sampleOf(cut.schema, outputs, dead, filtered, limit);
}

interface CutPlan {
  readonly plan: EpochsPlan;
  readonly schema: Schema;
  readonly hasState: boolean;
}

/** The plan up to a place, whose rows go to the console. */
function cutPlan(plan: EpochsPlan, at: TapPlace | null): CutPlan {
  const sinks = { sinks: [{ connector: 'console', options: {}, description: 'console' }], sinkPlans: [consoleSink] };
  const ends = plan.stages.findIndex((stage) => branchesOf(stage).some(({ target }) => target.kind === 'sink'));
  const place = at ?? { stage: ends, operator: null };
  const stage = plan.stages[place.stage];
  if (stage === undefined) throw noStage(plan.job, place.stage, plan.stages.length);
  if (stage.kind === 'map') {
    const [branch] = stage.branches;
    if (branch === undefined) throw noStage(plan.job, place.stage, plan.stages.length);
    const operators = cutOperators(branch.operators, place.operator);
    const output = schemaAfter(startSchema(stage.scan.columns), branch.operators, operators.length, branch.output);
    const cut: Branch = { operators, output, target: { kind: 'sink' } };
    const stages: EpochStage[] = [{ ...withoutFail(stage), branches: [cut] }];
    return { plan: { ...plan, ...sinks, stages }, schema: output, hasState: false };
  }
  const operators = cutOperators(stage.branch.operators, place.operator);
  const schema =
    place.operator === null ? stage.branch.output : schemaAfterState(plan.job, stage.branch, operators.length);
  const last: EpochStage = { ...stage, branch: { operators, output: schema, target: { kind: 'sink' } } };
  const before = plan.stages.slice(0, place.stage).map((each): EpochStage => {
    if (each.kind === 'map') {
      const branches = each.branches.filter((branch) => leadsTo(branch, place.stage));
      return { ...withoutFail(each), branches };
    }
    if (leadsTo(each.branch, place.stage)) return each;
    throw new WeirError(
      'UNSUPPORTED',
      `Rows of stage ${place.stage} of job ${plan.job} cannot be shown by themselves.`,
    );
  });
  return { plan: { ...plan, ...sinks, stages: [...before, last] }, schema, hasState: true };
}

function withoutFail<S extends Extract<EpochStage, { readonly kind: 'map' }>>(stage: S): S {
  return stage.scan.onBadRecord === 'fail' ? { ...stage, scan: { ...stage.scan, onBadRecord: 'deadLetter' } } : stage;
}

function branchesOf(stage: EpochStage): readonly Branch[] {
  return stage.kind === 'map' ? stage.branches : [stage.branch];
}

function leadsTo({ target }: Branch, stage: number): boolean {
  return target.kind === 'exchange' && target.stage <= stage;
}

/** What a state operator gives is known to the engine alone; from its first projection on it is in the plan. */
function schemaAfterState(job: string, { operators, output }: Branch, count: number): Schema {
  const first = operators.findIndex(({ kind }) => kind === 'project');
  if (first >= 0 && first < count) return schemaAfter([], operators, count, output);
  if (count === operators.length) return output;
  throw new WeirError('UNSUPPORTED', `Rows of job ${job} cannot be shown there; look at the whole stage.`);
}

// -------------------------------------------------------------------------------------------------------------- rows

function batchNumbers({ batches }: LogPiece): Float64Array {
  return Float64Array.from(
    batches.flatMap(({ start, end, baseOffset, maxTimestampMs }) => [
      start,
      end,
      baseOffset,
      Math.max(0, maxTimestampMs) * 1000,
      maxTimestampMs,
    ]),
  );
}

function countDead(dead: Map<string, number>, byReason: readonly number[]): void {
  for (const [reason, count] of byReason.entries()) {
    const code = deadLetterReasons[reason] ?? 'INTERNAL';
    if (count > 0) dead.set(code, (dead.get(code) ?? 0) + count);
  }
}

function sampleOf(
  schema: Schema,
  outputs: readonly SinkOutput[],
  dead: ReadonlyMap<string, number>,
  filtered: number,
  limit: number,
): SampleRows {
  const lines = outputs.flatMap((output) =>
    output.kind === 'console' ? output.text.split('\n').filter((line) => line !== '') : [],
  );
  const names = schema.map(({ name }) => name);
  return {
    columns: schema.map(({ name, type }) => ({ name, type: formatType(type) })),
    // A row that is taken away has a minus before it.
    rows: lines
      .filter((line) => !line.startsWith('-'))
      .slice(0, limit)
      .map((line) => {
        const row = new Map(Object.entries(JSON.parse(line, exactly) as Record<string, unknown>));
        return names.map((name) => row.get(name) ?? null);
      }),
    deadLetters: [...dead].map(([code, count]) => ({ code, count })),
    filtered,
  };
}

const DOUBLE_DIGITS = 15;

/** Numbers that a double does not hold, BIGINT and DECIMAL with many digits, as text. */
function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || source.length <= DOUBLE_DIGITS) return value;
  return /^-?[\d.]+$/.test(source) && String(value) !== source ? source : value;
}

function noStage(job: string, stage: number, count: number): WeirError {
  return new WeirError('NOT_FOUND', `Job ${job} has no stage ${stage}; it has ${count}.`);
}
