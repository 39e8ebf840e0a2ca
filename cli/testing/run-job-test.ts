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
  readonly durationMs: number;
}

/** Runs one test; `tag` is unique within the cluster. Never throws for what the job or the test does. */
export async function runJobTest(
  cluster: SteppedCluster,
  jobText: string,
  test: JobTest,
  tag: string,
): Promise<JobTestOutcome> {
  const startedAt = performance.now();
  const difference = await differenceOf(cluster, jobText, test, tag);
  return { name: test.name, difference, durationMs: performance.now() - startedAt };
}

async function differenceOf(
  cluster: SteppedCluster,
  jobText: string,
  test: JobTest,
  tag: string,
): Promise<string | null> {
  let job: SteppedJob;
  try {
    job = await SteppedJob.submit(cluster, jobText, tag, test.tables);
  } catch (error) {
    return error instanceof JobRefused ? `the job is refused: ${error.message}` : describe(error);
  }
  try {
    const run = new TestRun(job, test);
    for (const [index, step] of test.steps.entries()) {
      const difference = await run.step(step);
      if (difference !== null) return `step ${index + 1}: ${difference}`;
    }
    return null;
  } catch (error) {
    return describe(error);
  } finally {
    await job.remove();
  }
}

function describe(error: unknown): string {
  return isWeirError(error) ? `${error.code}: ${error.message}` : messageOf(error);
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

  /** null when everything is as the step says. */
  async step(step: JobTestStep): Promise<string | null> {
    if (step.restart === true) await this.#job.restart();
    const { rows } = await this.#job.step(new Map(Object.entries(step.input ?? {})));
    const view = await this.#job.view();
    return (
      (step.expect === undefined ? null : differenceOfRows(this.#test, step.expect, rows, this.#job.outputMode)) ??
      (step.deadLetters === undefined ? null : await this.#compareDeadLetters(step.deadLetters)) ??
      (step.watermark === undefined ? null : compareWatermark(step.watermark, view)) ??
      (step.late === undefined ? null : this.#compareLate(step.late, view))
    );
  }

  async #compareDeadLetters(expected: NonNullable<JobTestStep['deadLetters']>): Promise<string | null> {
    const all = new Map<string, number>();
    for (const { reason } of await this.#job.deadLetters()) all.set(reason, (all.get(reason) ?? 0) + 1);
    const fresh = [...all].map(([reason, count]): [string, number] => [
      reason,
      count - (this.#deadLetters.get(reason) ?? 0),
    ]);
    this.#deadLetters = all;
    const print = (entries: readonly (readonly [string, number])[]): string =>
      entries
        .filter(([, count]) => count > 0)
        .map(([reason, count]) => `${count} × ${reason}`)
        .toSorted()
        .join(', ') || 'none';
    const [wanted, got] = [print(expected.map(({ reason, count }) => [reason, count])), print(fresh)];
    return wanted === got ? null : `dead letters: expected ${wanted}; came ${got}`;
  }

  #compareLate(expected: number, view: JobView): string | null {
    const total = Object.values(view.epochs?.late ?? {}).reduce((sum, rows) => sum + rows, 0);
    const late = total - this.#late;
    this.#late = total;
    return late === expected ? null : `${expected} late rows expected, ${late} came`;
  }
}

/** What differs between the rows a step should emit and those that came, for people; null = nothing. */
export function differenceOfRows(
  test: JobTest,
  expected: readonly JsonRow[],
  emitted: readonly EmittedRow[],
  outputMode: string,
): string | null {
  const named = test.steps.flatMap((step) => (step.expect ?? []).flatMap((row) => Object.keys(row)));
  const columns = test.columns ?? [...new Set(named)];
  // In complete mode every epoch gives the whole result: the newest counts.
  const newest = emitted.reduce((last, { epoch }) => Math.max(last, epoch), -1);
  const actual = outputMode === 'complete' ? emitted.filter(({ epoch }) => epoch === newest) : emitted;
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

function compareWatermark(expected: string | null, view: JobView): string | null {
  const wanted = expected === null ? null : Date.parse(expected);
  const actual = view.epochs?.watermarkMs ?? null;
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
