/** Runs one conformance case through the public front door and says how it went. */
import { isWeirError, messageOf } from '../../../core/errors.ts';
import type { SteppedCluster } from '../../../cli/testing/stepped-cluster.ts';
import { JobRefused } from '../../../cli/testing/job-refused.ts';
import { SteppedJob } from '../../../cli/testing/stepped-job.ts';
import type { EmittedRow, InputRecord, StepInput } from '../../../cli/testing/stepped-job.ts';
import { type CaseStep, isLongNumber, type StreamCase } from './cases.ts';
import { jsonRow, renderCase } from './render.ts';

export type Verdict =
  | { readonly kind: 'ok'; readonly note: string }
  | { readonly kind: 'refusedAsExpected'; readonly note: string }
  | { readonly kind: 'fail'; readonly what: string };

/** `tag` is unique within the cluster. `afterStep` is awaited after every step that went well. */
export async function judgeStreamCase(
  cluster: SteppedCluster,
  one: StreamCase,
  tag: string,
  afterStep: () => Promise<void> = () => Promise.resolve(),
): Promise<Verdict> {
  const { text, columnCount } = renderCase(one);
  let job: SteppedJob;
  try {
    job = await SteppedJob.submit(cluster, text, tag);
  } catch (error) {
    if (isFirstFailure(error, one)) return { kind: 'refusedAsExpected', note: messageOf(error) };
    if (!(error instanceof JobRefused)) return { kind: 'fail', what: `${messageOf(error)}\n${text}` };
    if (one.expectedRefusal !== undefined) return { kind: 'refusedAsExpected', note: error.message };
    return { kind: 'fail', what: `refused: ${error.message}\n${text}` };
  }
  try {
    if (one.expectedRefusal !== undefined) return await judgeLifted(job, one);
    let restarted = false;
    for (const [index, step] of one.steps.entries()) {
      restarted ||= step.restart !== undefined;
      const problem = await judgeStep(job, one, step, columnCount, restarted);
      if (problem !== null) return { kind: 'fail', what: `step ${index + 1}: ${problem}\n${text}` };
      await afterStep();
    }
    return { kind: 'ok', note: '' };
  } catch (error) {
    if (isFirstFailure(error, one)) return { kind: 'refusedAsExpected', note: messageOf(error) };
    return { kind: 'fail', what: `${isWeirError(error) ? error.code : ''} ${messageOf(error)}\n${text}` };
  } finally {
    await job.remove();
  }
}

/** What Spark refuses, or fails at in its first batch, may be a job here that fails as soon as it runs. */
function isFirstFailure(error: unknown, one: StreamCase): boolean {
  return one.expectedRefusal !== undefined && isWeirError(error) && error.code === 'CONFLICT';
}

/** What Spark refuses and we do not must be a limit of Spark's alone, and must run. */
async function judgeLifted(job: SteppedJob, one: StreamCase): Promise<Verdict> {
  if (one.sparkLimit !== true)
    return { kind: 'fail', what: `accepted, but must be refused: ${one.expectedRefusal ?? ''}` };
  for (const step of one.steps) if (step.input !== undefined) await job.step(inputOf(one, step.input));
  return { kind: 'ok', note: 'a limit of Spark that Weir lifts' };
}

async function judgeStep(
  job: SteppedJob,
  one: StreamCase,
  step: CaseStep,
  columnCount: number,
  restarted: boolean,
): Promise<string | null> {
  let input: StepInput = new Map();
  if (step.restart !== undefined) {
    await job.restart();
    if (step.restart === true) return null;
    // What was committed is not done again: the second effect that Spark's sink must swallow does not come about.
    if (step.restart.forgetLastCommit === true) return null;
    input = inputOf(one, step.restart.inputWhileDown ?? {});
  }
  const { rows, epochs } = await job.step(input.size > 0 ? input : inputOf(one, step.input ?? {}));
  if (step.expectedOutput !== undefined) {
    const problem = compareOutput(step.expectedOutput, epochs === 0 ? [] : rows, one, columnCount);
    if (problem !== null) return problem;
  }
  if (step.watermarkAfterMs === undefined) return null;
  // Spark's watermark starts at 0 and never falls below; ours starts at minus infinity.
  const watermark = Math.max(0, (await job.view()).epochs?.watermarkMs ?? 0);
  // Spark forgets at a restart how far each of several watermarks was, and stands still until all have seen data again.
  const remembered = restarted && Object.keys(one.streams).length > 1 && watermark > step.watermarkAfterMs;
  return watermark === step.watermarkAfterMs || remembered
    ? null
    : `the watermark is ${watermark}, it should be ${step.watermarkAfterMs}`;
}

/** Rows of a case as records, by stream. */
export function inputOf(one: StreamCase, input: NonNullable<CaseStep['input']>): StepInput {
  return new Map(
    Object.entries(input).map(([stream, rows]): [string, InputRecord[]] => {
      const columns = one.streams[stream] ?? [];
      return [
        stream,
        rows.map((row) =>
          Object.fromEntries(jsonRow(columns, row).map((value, at) => [columns[at]?.[0] ?? '', value])),
        ),
      ];
    }),
  );
}

/** What differs, or null. append and update: everything emitted counts; complete: the result of the newest epoch. */
export function compareOutput(
  expected: readonly (readonly unknown[])[],
  rows: readonly EmittedRow[],
  one: StreamCase,
  columnCount: number,
): string | null {
  const newest = Math.max(...rows.map(({ epoch }) => epoch));
  const result = one.outputMode === 'complete' ? rows.filter(({ epoch }) => epoch === newest) : rows;
  const actual = result.map(({ row }) => Array.from({ length: columnCount }, (_, at) => row[`c${at}`]));
  return compare(expected, actual, one);
}

function compare(
  expected: readonly (readonly unknown[])[],
  actual: readonly (readonly unknown[])[],
  one: StreamCase,
): string | null {
  const shape = (rows: readonly (readonly unknown[])[]): string[] => {
    const texts = rows.map((row) => JSON.stringify(row.map(canonical)));
    return one.ordered === true ? texts : texts.toSorted();
  };
  const [wanted, got] = [shape(expected), shape(actual)];
  if (wanted.join('\n') === got.join('\n')) return null;
  if (one.ordered !== true && sameRows(expected, actual)) return null;
  // Which of the rows comes first is not specified: as many as expected, all different, is what can be judged.
  if (one.anyOf !== undefined && wanted.length === got.length && new Set(got).size === got.length) return null;
  return `\n  expected ${wanted.join(' ')}\n  actual   ${got.join(' ')}`;
}

/** JSON leaves out the fields of a struct that are NULL: those are not looked for. */
function sameRows(expected: readonly (readonly unknown[])[], actual: readonly (readonly unknown[])[]): boolean {
  const left = [...actual];
  for (const row of expected) {
    const place = left.findIndex((other) => isSame(row, other));
    if (place < 0) return false;
    left.splice(place, 1);
  }
  return left.length === 0;
}

function isSame(expected: unknown, actual: unknown): boolean {
  if (typeof expected === 'number' && typeof actual === 'string' && timePattern.test(actual))
    return expected === Date.parse(actual) || Math.abs(expected - exactMs(actual)) < 5e-4;
  if (!Array.isArray(expected) || actual === null || typeof actual !== 'object')
    return JSON.stringify(canonical(expected)) === JSON.stringify(canonical(actual));
  const values: readonly unknown[] = Array.isArray(actual) ? actual : Object.values(actual);
  const wanted: readonly unknown[] = Array.isArray(actual) ? expected : expected.filter((value) => value !== null);
  return wanted.length === values.length && wanted.every((value, index) => isSame(value, values[index]));
}

const timePattern = /^-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d/;

/** A time's ms with what it has of microseconds behind the point. */
function exactMs(text: string): number {
  const [, micros = ''] = /\.\d{3}(\d{1,3})/.exec(text) ?? [];
  return Date.parse(text) + Number(`0.${micros.padEnd(3, '0')}`);
}

/** Times as ms, numbers that JSON carries as text as numbers, structs as lists. */
function canonical(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (isLongNumber(value)) return Number(value.rawJSON);
  if (typeof value === 'string' && timePattern.test(value)) return Date.parse(value);
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value === 'object') return Object.values(value).map(canonical);
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return value;
  return Object.is(value, -0) ? 0 : value;
}
