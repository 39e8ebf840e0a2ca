/** Runs the tests of one job test file on a cluster, and says of each what differs. */
import type { JobTest, JobTestStep } from '../../core/job/job-test.ts';
import { isWeirError, messageOf } from '../../core/errors.ts';
import type { JobView } from '../../master/views.ts';
import type { SteppedCluster } from './stepped-cluster.ts';
import type { EmittedRow, JsonRow } from './stepped-job.ts';
import { JobRefused } from './job-refused.ts';
import { SteppedJob } from './stepped-job.ts';

export interface JobTestOutcome {
  readonly name: string;
  /** null = passed; else what differs, for people. */
  readonly difference: string | null;
  /** Every step as it was: what the test could expect. null where the job did not get through all of them. */
  readonly observed: readonly JobTestStep[] | null;
  readonly durationMs: number;
}

/**
 * Runs one test; `tag` is unique within the cluster. With `toTheEnd` the steps after one that differs run too, so that
 * all are observed. Never throws for what the job or the test does.
 */
export async function runJobTest(
  cluster: SteppedCluster,
  jobText: string,
  test: JobTest,
  tag: string,
  { toTheEnd }: { readonly toTheEnd: boolean } = { toTheEnd: false },
): Promise<JobTestOutcome> {
  const startedAt = performance.now();
  const outcome = await outcomeOf(cluster, jobText, test, tag, toTheEnd);
  return { name: test.name, ...outcome, durationMs: performance.now() - startedAt };
}

async function outcomeOf(
  cluster: SteppedCluster,
  jobText: string,
  test: JobTest,
  tag: string,
  toTheEnd: boolean,
): Promise<Pick<JobTestOutcome, 'difference' | 'observed'>> {
  const failed = (difference: string) => ({ difference, observed: null });
  let job: SteppedJob;
  try {
    job = await SteppedJob.submit(cluster, jobText, tag, test.tables);
  } catch (error) {
    return failed(error instanceof JobRefused ? `the job is refused: ${error.message}` : describe(error));
  }
  try {
    const run = new TestRun(job, test);
    const observed: JobTestStep[] = [];
    let first: string | null = null;
    for (const [index, step] of test.steps.entries()) {
      const { difference, seen } = await run.step(step);
      observed.push(seen);
      if (difference !== null) first ??= `step ${index + 1}: ${difference}`;
      if (first !== null && !toTheEnd) return failed(first);
    }
    return { difference: first, observed };
  } catch (error) {
    return failed(describe(error));
  } finally {
    await job.remove();
  }
}

function describe(error: unknown): string {
  return isWeirError(error) ? `${error.code}: ${error.message}` : messageOf(error);
}

/** A step that was run. */
interface StepRun {
  /** null when everything is as the step says. */
  readonly difference: string | null;
  /** The step with what came out where it says what should. */
  readonly seen: JobTestStep;
}

class TestRun {
  readonly #job: SteppedJob;
  readonly #test: JobTest;
  #deadLetters = new Map<string, number>();
  #late = 0;

  constructor(job: SteppedJob, test: JobTest) {
    this.#job = job;
    this.#test = test;
  }

  async step(step: JobTestStep): Promise<StepRun> {
    if (step.restart === true) await this.#job.restart();
    const { rows } = await this.#job.step(new Map(Object.entries(step.input ?? {})));
    const view = await this.#job.view();
    const { expect, watermark, late } = step;
    const mode = this.#job.outputMode;
    const dead = step.deadLetters === undefined ? null : await this.#newDeadLetters();
    const watermarkMs = view.epochs?.watermarkMs ?? null;
    const lateRows = this.#newLateRows(view);
    // A step that says nothing of what comes out could say which rows.
    const saysNothing = [expect, dead ?? undefined, watermark, late].every((said) => said === undefined);
    return {
      difference:
        (expect === undefined ? null : differenceOfRows(this.#test, expect, rows, mode)) ??
        (dead === null ? null : differenceOfLetters(step.deadLetters ?? [], dead)) ??
        (watermark === undefined ? null : compareWatermark(watermark, watermarkMs)) ??
        (late === undefined || late === lateRows ? null : `${late} late rows expected, ${lateRows} came`),
      seen: {
        ...step,
        ...(expect === undefined && !saysNothing ? {} : { expect: observedRows(this.#test, rows, mode) }),
        ...(dead === null ? {} : { deadLetters: dead }),
        ...(watermark === undefined
          ? {}
          : { watermark: watermarkMs === null ? null : new Date(watermarkMs).toISOString() }),
        ...(late === undefined ? {} : { late: lateRows }),
      },
    };
  }

  /** By reason, those since the last call. */
  async #newDeadLetters(): Promise<Letters> {
    const all = new Map<string, number>();
    for (const { reason } of await this.#job.deadLetters()) all.set(reason, (all.get(reason) ?? 0) + 1);
    const fresh = [...all].map(([reason, count]): [string, number] => [
      reason,
      count - (this.#deadLetters.get(reason) ?? 0),
    ]);
    this.#deadLetters = all;
    return fresh.filter(([, count]) => count > 0).map(([reason, count]) => ({ reason, count }));
  }

  #newLateRows(view: JobView): number {
    const total = Object.values(view.epochs?.late ?? {}).reduce((sum, rows) => sum + rows, 0);
    const late = total - this.#late;
    this.#late = total;
    return late;
  }
}

type Letters = NonNullable<JobTestStep['deadLetters']>;

function differenceOfLetters(expected: Letters, came: Letters): string | null {
  const print = (letters: Letters): string =>
    letters
      .map(({ reason, count }) => `${count} × ${reason}`)
      .toSorted()
      .join(', ') || 'none';
  const [wanted, got] = [print(expected), print(came)];
  return wanted === got ? null : `dead letters: expected ${wanted}; came ${got}`;
}

/** What differs between the rows a step should emit and those that came, for people; null = nothing. */
export function differenceOfRows(
  test: JobTest,
  expected: readonly JsonRow[],
  emitted: readonly EmittedRow[],
  outputMode: string,
): string | null {
  const columns = comparedColumns(test);
  const actual = counted(emitted, outputMode);
  const text = (row: JsonRow): string =>
    JSON.stringify(Object.fromEntries(columns.map((column) => [column, canonical(row[column])])));
  const missing = expected.map(text);
  const unexpected: string[] = [];
  for (const row of actual.map(({ row: values }) => text(values))) {
    const at = missing.indexOf(row);
    if (at < 0) unexpected.push(row);
    else missing.splice(at, 1);
  }
  if (missing.length === 0 && unexpected.length === 0) return null;
  return [
    `${expected.length} rows expected, ${actual.length} came`,
    ...missing.map((row) => `  - missing     ${row}`),
    ...unexpected.map((row) => `  + unexpected  ${row}`),
  ].join('\n');
}

/** The rows that a step could expect: the columns that its test compares, or all of them where it names none. */
export function observedRows(test: JobTest, emitted: readonly EmittedRow[], outputMode: string): JsonRow[] {
  const columns = comparedColumns(test);
  return counted(emitted, outputMode).map(({ row }) =>
    Object.fromEntries(
      (columns.length === 0 ? Object.keys(row) : columns).map((column) => [column, canonical(row[column])]),
    ),
  );
}

function comparedColumns(test: JobTest): readonly string[] {
  const named = test.steps.flatMap((step) => (step.expect ?? []).flatMap((row) => Object.keys(row)));
  return test.columns ?? [...new Set(named)];
}

/** In complete mode every epoch gives the whole result: the newest counts. */
function counted(emitted: readonly EmittedRow[], outputMode: string): readonly EmittedRow[] {
  const newest = emitted.reduce((last, { epoch }) => Math.max(last, epoch), -1);
  return outputMode === 'complete' ? emitted.filter(({ epoch }) => epoch === newest) : emitted;
}

function compareWatermark(expected: string | null, actual: number | null): string | null {
  const wanted = expected === null ? null : Date.parse(expected);
  const print = (ms: number | null): string => (ms === null ? 'none' : new Date(ms).toISOString());
  return wanted === actual ? null : `the watermark is ${print(actual)}, expected ${print(wanted)}`;
}

/** Times compare as times however they are written; an absent column is NULL. */
function canonical(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(value) && !Number.isNaN(Date.parse(value)))
    return new Date(value).toISOString();
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, inner]) => inner !== null)
        .map(([name, inner]) => [name, canonical(inner)])
        .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    );
  return value;
}
