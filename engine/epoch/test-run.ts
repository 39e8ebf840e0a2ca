/**
 * Runs jobs epoch by epoch on rows given as JSON, for tests: rows in, rows out, with the watermarks that a master would
 * plan. `new TestRun(planOf(jobText)).step({ events: [{ id: 1 }] })`.
 */
import { mergeEventTimes, needsNoDataEpoch, nextWatermark } from '../../core/epoch/watermark.ts';
import { loadJobFile } from '../../core/job/file.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import { readValue, rowsOf } from '../../core/row-block.ts';
import type { RowBlock } from '../../core/row-block.ts';
import type { Schema } from '../../core/types.ts';
import { deadLetterShape } from '../dead-letters.ts';
import type { EpochsPlan } from '../plan/epoch-plan.ts';
import { planJob } from '../plan/plan-job.ts';
import { BATCH_STRIDE } from '../stage.ts';
import type { LocalInput, LocalOptions, LocalResult } from './local-run.ts';
import { LocalRun } from './local-run.ts';

/** A row as JSON: fields that are NULL are null. */
export type JsonRow = Readonly<Record<string, unknown>>;

/** Rows for one epoch by source (others than the plan's are left out): of partition 0, or one list per partition. null = a record without a value. */
export type EpochInput = Readonly<
  Record<string, readonly (JsonRow | null)[] | readonly (readonly (JsonRow | null)[])[]>
>;

export interface EpochOutput {
  readonly epoch: number;
  /** Rows that came out, in their order, but for deletes. */
  readonly rows: readonly JsonRow[];
  /** Rows that were taken back. */
  readonly deletes: readonly JsonRow[];
  readonly deadLetters: readonly TestLetter[];
  readonly result: LocalResult;
}

export interface TestLetter {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly code: string;
  readonly place: string;
}

export interface StepOutput {
  /** One, or two when a no-data epoch followed. */
  readonly epochs: readonly EpochOutput[];
  /** Rows of all of them. */
  readonly rows: readonly JsonRow[];
  readonly deletes: readonly JsonRow[];
  readonly deadLetters: readonly TestLetter[];
  /** Rows dropped as late, by operator. */
  readonly late: Readonly<Record<string, number>>;
  /** In force in the next epoch, ms; null = none yet. */
  readonly watermarkMs: number | null;
}

/** The plan of a job file. Throws with all problems when it has any, or when the job runs as lanes. */
export function planOf(jobText: string): EpochsPlan {
  const { spec, problems } = loadJobFile(jobText);
  if (spec === null) throw new Error(`the job file has problems: ${JSON.stringify(problems, null, 1)}`);
  const outcome = planJob(spec, { tables: null });
  if (outcome.plan === null) throw new Error(`the job cannot be planned: ${JSON.stringify(outcome.problems, null, 1)}`);
  if (outcome.plan.protocol !== 'epochs') throw new Error('the job runs as lanes');
  return outcome.plan;
}

/** A job file around a query: sources by name with their columns (those that the query does not name are left out), one sink. */
export function jobText(
  query: string,
  sources: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'test',
    sources: Object.fromEntries(
      Object.entries(sources)
        .filter(([name]) => new RegExp(`\\b${name}\\b`).test(query))
        .map(([name, schema]) => [
          name,
          { connector: 'kafka', topic: name, startingOffsets: 'earliest', format: 'json', schema },
        ]),
    ),
    query,
    sinks: [{ connector: 'console' }],
    trigger: 'manual',
    ...changes,
  });
}

/** `new TestRun(planOf(jobText(query, sources, changes)), options)` */
export function runSql(
  query: string,
  sources: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, unknown>> = {},
  options: TestOptions = {},
): TestRun {
  return new TestRun(planOf(jobText(query, sources, changes)), options);
}

export interface TestOptions extends LocalOptions {
  /** Leaves the job's sinks as they are: outputs are then read from `EpochOutput.result` alone. */
  readonly ownSinks?: boolean;
}

export class TestRun {
  /** The job's plan with one sink, the console. */
  readonly plan: EpochsPlan;
  readonly #options: LocalOptions;
  /** Where the next records of `source/partition` go. */
  readonly #offsets = new Map<string, number>();
  /** Epochs that ran, for {@link replay}. */
  readonly #history: { readonly env: ReturnType<TestRun['env']>; readonly inputs: readonly LocalInput[] }[] = [];
  #run: LocalRun;
  #epoch = 0;
  #eventTimes: readonly (number | null)[] = [];
  #watermarkUs: number | null = null;
  #lateUs: number | null = null;

  constructor(plan: EpochsPlan, options: TestOptions = {}) {
    this.plan =
      options.ownSinks === true
        ? plan
        : { ...plan, sinkPlans: [{ kind: 'console', name: 'console' }], sinks: plan.sinks.slice(0, 1) };
    this.#options = options;
    this.#run = new LocalRun(this.plan, options);
  }

  get run(): LocalRun {
    return this.#run;
  }

  get watermarkMs(): number | null {
    return this.#watermarkUs === null ? null : this.#watermarkUs / 1000;
  }

  /** One epoch with the rows, and one without data when the watermark moved and an operator needs it. */
  step(input: EpochInput): StepOutput {
    const epochs = [this.epoch(input)];
    const wanted = { noDataEpochs: this.plan.noDataEpochs, evicts: true };
    if (needsNoDataEpoch(wanted, this.#lateUs, this.#watermarkUs)) epochs.push(this.epoch({}));
    const late: Record<string, number> = {};
    for (const { result } of epochs)
      for (const [id, rows] of Object.entries(result.late)) late[id] = (late[id] ?? 0) + rows;
    return {
      epochs,
      rows: epochs.flatMap(({ rows }) => rows),
      deletes: epochs.flatMap(({ deletes }) => deletes),
      deadLetters: epochs.flatMap(({ deadLetters }) => deadLetters),
      late,
      watermarkMs: this.watermarkMs,
    };
  }

  /** Exactly one epoch. */
  epoch(input: EpochInput): EpochOutput {
    const read = new Set(this.plan.sources.map(({ name }) => name));
    const inputs = Object.entries(input).flatMap(([source, rows]) =>
      read.has(source) ? this.#encode(source, rows) : [],
    );
    const env = this.env();
    const result = this.#run.runEpoch({ env, inputs });
    this.#history.push({ env, inputs });
    this.#lateUs = this.#watermarkUs;
    this.#eventTimes = mergeEventTimes(
      this.#eventTimes,
      result.eventTimes.map((time) => (time === -Infinity ? null : time)),
    );
    this.#watermarkUs = nextWatermark({
      rules: this.plan.watermarks,
      policy: this.plan.watermarkPolicy,
      eventTimes: this.#eventTimes,
      idle: new Set(),
      current: this.#watermarkUs,
    });
    return { epoch: this.#epoch++, ...decoded(this.plan, result), result };
  }

  /** What the next epoch's plan would fix. */
  env() {
    const epochTsUs = 1_700_000_000_000_000 + this.#epoch * 1024;
    return {
      run: 1,
      epoch: this.#epoch,
      epochTsUs,
      lateUs: this.#lateUs ?? -Infinity,
      evictUs: this.#watermarkUs ?? -Infinity,
      writeTimeUs: epochTsUs,
    };
  }

  /** Goes on in new hosts (as many as `hosts` says) that are given the state. */
  restart(hosts?: number): void {
    const states = this.#run.states();
    this.#run = new LocalRun(this.plan, hosts === undefined ? this.#options : { ...this.#options, hosts });
    this.#run.restore(states);
  }

  /** The states that folding all epochs again gives, in as many hosts as wanted. */
  replay(hosts: number, keep?: (stage: number, group: number) => boolean): ReturnType<LocalRun['states']> {
    const run = new LocalRun(this.plan, { ...this.#options, hosts });
    for (const epoch of this.#history) run.runEpoch(keep === undefined ? epoch : { ...epoch, keep });
    return run.states();
  }

  #encode(source: string, rows: EpochInput[string]): LocalInput[] {
    const partitions = (Array.isArray(rows[0]) ? rows : [rows]) as readonly (readonly (JsonRow | null)[])[];
    return partitions.flatMap((records, partition) => {
      const key = `${source}/${partition}`;
      const from = this.#offsets.get(key) ?? 0;
      if (records.length === 0) return [];
      this.#offsets.set(key, from + records.length);
      const input = recordInput(records, from);
      return [{ source, partition, ...input, from, to: from + records.length }];
    });
  }
}

/** JSON rows as one record batch from an offset on, with its table of batches. */
export function recordInput(
  rows: readonly (JsonRow | null)[],
  baseOffset: number,
): { readonly bytes: Uint8Array; readonly batches: Float64Array } {
  const records = rows.map((row, index) => ({
    key: null,
    value: row === null ? null : Buffer.from(JSON.stringify(row), 'utf8'),
    timestampMs: 1_700_000_000_000 + baseOffset + index,
  }));
  if (records.length === 0) return { bytes: new Uint8Array(0), batches: new Float64Array(0) };
  const bytes = encodeRecordBatch(records, { baseOffset });
  const batches = readBatchHeaders(bytes).flatMap(({ start, end, baseOffset: first, maxTimestampMs }) => [
    start,
    end,
    first,
    0,
    maxTimestampMs,
  ]);
  if (batches.length % BATCH_STRIDE !== 0) throw new Error('the table of batches has another width');
  return { bytes, batches: Float64Array.from(batches) };
}

function decoded(plan: EpochsPlan, result: LocalResult): Pick<EpochOutput, 'rows' | 'deletes' | 'deadLetters'> {
  const schema = outputOf(plan);
  const lines = (result.outputs[0] ?? []).flatMap((output) =>
    output.kind === 'console' ? output.text.split('\n').filter((line) => line !== '') : [],
  );
  const rowOf = (line: string): JsonRow => {
    const given = JSON.parse(line) as Record<string, unknown>;
    return Object.fromEntries(schema.map(({ name }) => [name, given[name] ?? null]));
  };
  return {
    rows: lines.filter((line) => !line.startsWith('-')).map(rowOf),
    deletes: lines.filter((line) => line.startsWith('-')).map((line) => rowOf(line.slice(1))),
    deadLetters: result.deadLetters.flatMap(lettersOf),
  };
}

function outputOf(plan: EpochsPlan): Schema {
  for (const stage of plan.stages)
    for (const { target, output } of stage.kind === 'map' ? stage.branches : [stage.branch])
      if (target.kind === 'sink') return output;
  throw new Error('no branch of the plan ends in the sinks');
}

function lettersOf(block: RowBlock): TestLetter[] {
  return [...rowsOf(block)].map((row) => {
    const values = new Map<string, Buffer>();
    let at = row.bodyStart;
    for (const { name } of deadLetterShape.columns) {
      const { value, next } = readValue(block.bytes, at);
      if (value !== null && value !== undefined) values.set(name, Buffer.from(value));
      at = next;
    }
    return {
      topic: String(values.get('topic')),
      partition: values.get('partition')?.readInt32BE() ?? -1,
      offset: Number(values.get('offset')?.readBigInt64BE() ?? -1n),
      code: String(values.get('code')),
      place: String(values.get('place')),
    };
  });
}
