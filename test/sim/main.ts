/**
 * `npm run sim -- [SEED] [--seeds N] [--engine real|small] [--mutation NAME] [--verbose]`: simulated lives of a cluster,
 * one per seed. With `--epochs [--jobs agg,win,…]` it runs jobs with epochs instead of the stateless one.
 * Prints what failed with the command that repeats it; the exit code is 1 when anything did.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../../core/errors.ts';
import { jobsOfSeed, simEpochJobs } from './epochs/jobs.ts';
import type { EpochMutation } from './epochs/mutations.ts';
import { epochMutations, mutate } from './epochs/mutations.ts';
import { simulateEpochs } from './epochs/run.ts';
import type { RunOptions } from './run.ts';
import { simulate } from './run.ts';

/** Every so many seeds one is run twice and the two traces are held against each other. */
const REPEAT_EVERY = 20;

interface Settings {
  readonly first: number;
  readonly count: number;
  readonly verbose: boolean;
  readonly engine: 'real' | 'small' | undefined;
  readonly mutation: string | undefined;
  /** Stateful jobs to run (none named = by turns); null = the stateless one. */
  readonly epochs: readonly string[] | null;
}

/** What both kinds of lives tell. */
interface LifeResult {
  readonly seed: number;
  readonly violation: string | null;
  readonly faults: readonly string[];
  readonly traceHash: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly commits: number;
  readonly rowsSent: number;
  readonly runs: number;
  readonly settledMs: number;
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
  const first = Number(seed ?? 1);
  const count = Number(values.seeds ?? (seed === undefined ? 100 : 1));
  if (!Number.isSafeInteger(first) || first < 0 || !Number.isSafeInteger(count) || count < 1)
    throw new Error('usage: npm run sim -- [SEED] [--seeds N]');
  if (values.engine !== undefined && values.engine !== 'real' && values.engine !== 'small')
    throw new Error('--engine is real or small');
  return {
    first,
    count,
    verbose: values.verbose,
    engine: values.engine,
    mutation: values.mutation,
    epochs: values.epochs ? epochJobs(values.jobs, values.mutation) : null,
  };
}

function epochJobs(wanted: string | undefined, mutation: string | undefined): readonly string[] {
  const known = simEpochJobs.map(({ name }) => name);
  const jobs = wanted?.split(',') ?? [];
  if (!jobs.every((job) => known.includes(job))) throw new Error(`--jobs takes some of ${known.join(',')}`);
  if (mutation !== undefined && !(epochMutations as readonly string[]).includes(mutation))
    throw new Error(`--mutation is one of ${epochMutations.join(', ')}`);
  return jobs;
}

async function live(seed: number, settings: Settings): Promise<LifeResult> {
  const { mutation } = settings;
  if (settings.epochs === null) return simulate(seed, optionsOf(settings));
  const epochs = settings.epochs.length === 0 ? jobsOfSeed(seed) : settings.epochs;
  const print = optionsOf(settings).print;
  if (mutation === undefined) return simulateEpochs(seed, { jobs: epochs, ...(print && { print }) });
  const undo = mutate(mutation as EpochMutation);
  try {
    return await simulateEpochs(seed, { jobs: epochs, mutation: mutation as EpochMutation, ...(print && { print }) });
  } finally {
    undo();
  }
}

function optionsOf({ engine, mutation, verbose }: Settings): RunOptions {
  return {
    ...(engine === undefined ? {} : { engine }),
    ...(mutation === undefined ? {} : { mutations: { [mutation]: true } }),
    ...(verbose ? { print: (line: string) => process.stdout.write(`${line}\n`) } : {}),
  };
}

function commandFor(seed: number, { engine, mutation, epochs }: Settings): string {
  const jobs = epochs === null || epochs.length === 0 ? '' : ` --jobs ${epochs.join(',')}`;
  const what = epochs === null ? '' : ` --epochs${jobs}`;
  return `npm run sim -- ${seed}${what}${engine === undefined ? '' : ` --engine ${engine}`}${mutation === undefined ? '' : ` --mutation ${mutation}`} --verbose`;
}

/** What is wrong with the seed, or null. */
async function tryTwice(result: LifeResult, settings: Settings): Promise<string | null> {
  if (result.violation !== null) return result.violation;
  if (result.seed % REPEAT_EVERY !== 0) return null;
  const again = await live(result.seed, { ...settings, verbose: false });
  return again.traceHash === result.traceHash
    ? null
    : `a second run went another way: trace ${again.traceHash}, not ${result.traceHash}`;
}

async function main(): Promise<number> {
  const settings = settingsFrom(process.argv.slice(2));
  const results: LifeResult[] = [];
  let failed = 0;
  for (let seed = settings.first; seed < settings.first + settings.count; seed++) {
    const result = await live(seed, settings);
    results.push(result);
    const wrong = await tryTwice(result, settings);
    if (wrong === null) continue;
    failed++;
    process.stdout.write(
      `seed ${seed} (${result.faults.join(', ')}): ${wrong}\n  again: ${commandFor(seed, settings)}\n`,
    );
  }
  const sum = (figure: (result: LifeResult) => number): number =>
    results.reduce((total, result) => total + figure(result), 0);
  const settled = results.map((result) => result.settledMs).sort((a, b) => a - b);
  process.stdout.write(
    `${(sum((result) => result.virtualMs) / 1000).toFixed(0)} virtual seconds, ${sum((result) => result.events)} events, ` +
      `${sum((result) => result.commits)} commits, ${sum((result) => result.rowsSent)} rows sent, ${sum((result) => result.runs)} runs; ` +
      `everything committed after the healing: p50 ${at(settled, 0.5)} ms, p99 ${at(settled, 0.99)} ms\n`,
  );
  process.stdout.write(`${settings.count - failed} passed, ${failed} failed\n`);
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
