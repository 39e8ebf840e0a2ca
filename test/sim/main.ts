/**
 * `npm run sim -- [SEED] [--seeds N] [--engine real|small] [--mutation NAME] [--verbose]`: simulated lives of a cluster,
 * one per seed, in as many threads as there are processors. With `--epochs [--jobs agg,win,…]` it runs jobs with epochs
 * instead of the stateless one. Prints what failed with the command that repeats it; the exit code is 1 when anything did.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../core/errors.ts';
import { simEpochJobs } from './epochs/jobs.ts';
import { epochMutations } from './epochs/mutations.ts';
import type { LifeResult, LifeSettings } from './life.ts';
import { commandFor, liveTwice } from './life.ts';
import { lives } from './lives.ts';

interface Settings {
  readonly first: number;
  readonly count: number;
  readonly verbose: boolean;
  readonly life: LifeSettings;
}

function settingsFrom(args: readonly string[]): Settings {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seeds: { type: 'string' },
      engine: { type: 'string' },
      mutation: { type: 'string' },
      epochs: { type: 'boolean', default: false },
      jobs: { type: 'string' },
      verbose: { type: 'boolean', short: 'v', default: false },
    },
  });
  const [seed] = positionals;
  const { mutation } = values;
  const engine = values.engine === undefined ? undefined : engineOf(values.engine);
  const first = Number(seed ?? 1);
  const count = Number(values.seeds ?? (seed === undefined ? 100 : 1));
  if (!Number.isSafeInteger(first) || first < 0 || !Number.isSafeInteger(count) || count < 1)
    throw new Error('usage: npm run sim -- [SEED] [--seeds N]');
  const life = {
    epochs: values.epochs ? epochJobs(values.jobs, mutation) : null,
    ...(engine === undefined ? {} : { engine }),
    ...(mutation === undefined ? {} : { mutation }),
  };
  return { first, count, verbose: values.verbose, life };
}

function engineOf(name: string): 'real' | 'small' {
  if (name !== 'real' && name !== 'small') throw new Error('--engine is real or small');
  return name;
}

function epochJobs(wanted: string | undefined, mutation: string | undefined): readonly string[] {
  const known = simEpochJobs.map(({ name }) => name);
  const jobs = wanted?.split(',') ?? [];
  if (!jobs.every((job) => known.includes(job))) throw new Error(`--jobs takes some of ${known.join(',')}`);
  if (mutation !== undefined && !(epochMutations as readonly string[]).includes(mutation))
    throw new Error(`--mutation is one of ${epochMutations.join(', ')}`);
  return jobs;
}

/** One after another, telling all. */
async function tellAll({ first, count, life }: Settings, each: (result: LifeResult) => void): Promise<LifeResult[]> {
  const results: LifeResult[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const result = await liveTwice(seed, life, (line) => process.stdout.write(`${line}\n`));
    results.push(result);
    each(result);
  }
  return results;
}

async function main(): Promise<number> {
  const settings = settingsFrom(process.argv.slice(2));
  const { first, count, life, verbose } = settings;
  let failed = 0;
  const each = ({ seed, faults, violation }: LifeResult): void => {
    if (violation === null) return;
    failed++;
    process.stdout.write(`seed ${seed} (${faults.join(', ')}): ${violation}\n  again: ${commandFor(seed, life)}\n`);
  };
  const results = verbose ? await tellAll(settings, each) : await lives(first, count, life, each);
  const sum = (figure: (result: LifeResult) => number): number =>
    results.reduce((total, result) => total + figure(result), 0);
  const settled = results.map((result) => result.settledMs).sort((a, b) => a - b);
  process.stdout.write(
    `${(sum((result) => result.virtualMs) / 1000).toFixed(0)} virtual seconds, ${sum((result) => result.events)} events, ` +
      `${sum((result) => result.commits)} commits, ${sum((result) => result.rowsSent)} rows sent, ${sum((result) => result.runs)} runs; ` +
      `everything committed after the healing: p50 ${at(settled, 0.5)} ms, p99 ${at(settled, 0.99)} ms\n`,
  );
  process.stdout.write(`${count - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

function at(sorted: readonly number[], q: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(0);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 2;
}
