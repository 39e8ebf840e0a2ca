/** One job by its seed, on several inputs. */
import { SimRng } from '../sim/rng.ts';
import { JobCheck } from './check-case.ts';
import { drawInput, drawJob } from './generator.ts';
import type { Job } from './queries.ts';
import { jobFile, weirQuery } from './queries.ts';
import { type Case, shrink } from './shrink.ts';
import { sqliteQuery } from './sqlite.ts';

export interface SeedOutcome {
  /** Inputs on which both sides agree. */
  readonly passed: number;
  /** What went wrong, for people; null = nothing. */
  readonly failure: string | null;
}

/** Stops at the first input that fails. `small`: makes what failed smaller before it is told. */
export function checkSeed(seed: number, inputs: number, small: boolean): SeedOutcome {
  const rng = new SimRng(seed);
  const drawn = drawJob(rng);
  let check: JobCheck;
  try {
    check = new JobCheck(drawn.job);
  } catch (error) {
    return { passed: 0, failure: `seed ${seed}: refused\n${describeJob(drawn.job)}\n${textOf(error)}` };
  }
  try {
    for (let index = 0; index < inputs; index++) {
      const input = drawInput(drawn, rng);
      const wrong = wrongWith(check, input);
      if (wrong === null) continue;
      const found = { job: drawn.job, input };
      const told = small ? shrink(found, (candidate) => kindOf(wrongOf(candidate)) === kindOf(wrong)) : found;
      return {
        passed: index,
        failure: describe(seed, inputs, told, wrongOf(told) ?? `only after other inputs: ${wrong}`),
      };
    }
    return { passed: inputs, failure: null };
  } finally {
    check.close();
  }
}

/** Of a case by itself; null also where the job is refused. */
function wrongOf({ job, input }: Case): string | null {
  let check: JobCheck;
  try {
    check = new JobCheck(job);
  } catch {
    return null;
  }
  try {
    return wrongWith(check, input);
  } finally {
    check.close();
  }
}

function wrongWith(check: JobCheck, input: Case['input']): string | null {
  try {
    return check.mismatch(input);
  } catch (error) {
    return `threw ${textOf(error)}`;
  }
}

/** A smaller case fails in the same way, not in another. */
function kindOf(wrong: string | null): string | null {
  if (wrong === null) return null;
  return wrong.startsWith('threw') ? (wrong.split('\n')[0] ?? '') : wrong.startsWith('columns') ? 'rows' : 'fault';
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function describeJob(job: Job): string {
  const sources = (
    JSON.parse(jobFile(job)) as { sources: Record<string, { schema: string; watermark?: { delay: string } }> }
  ).sources;
  const lines = Object.entries(sources).map(
    ([name, { schema, watermark }]) =>
      `${name}: ${schema}${watermark === undefined ? '' : ` watermark ${watermark.delay}`}`,
  );
  const tables = job.tables.map(({ name, rows }) => `${name}: ${JSON.stringify(rows)}`);
  return [
    `${job.mode}, noDataEpochs ${job.noDataEpochs}, watermarkPolicy ${job.watermarkPolicy}`,
    ...lines,
    ...tables,
    weirQuery(job),
    sqliteQuery(job),
  ].join('\n');
}

function describe(seed: number, inputs: number, { job, input }: Case, wrong: string): string {
  const epochs = input.epochs.map(
    ({ rows, restart }) => `${restart > 0 ? `(${restart} hosts) ` : ''}${JSON.stringify(rows)}`,
  );
  return [
    `seed ${seed}: node test/oracle/main.ts --seed ${seed} --inputs ${inputs}`,
    describeJob(job),
    `${input.hosts} hosts${input.replay ? ', replayed' : ''}; epochs:`,
    ...epochs.map((text) => `  ${text}`),
    wrong,
  ].join('\n');
}
