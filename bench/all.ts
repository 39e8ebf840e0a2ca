/**
 * `all`: every bench one after the other, each in a process of its own, as far as the budget goes. What a bench printed is
 * kept in bench/results/NAME.json, and bench/RESULTS.md is written from these files after each one, so that a single
 * bench can be repeated (`--only count`) and a run that is ended leaves what it had. The budget begins when peers, topics
 * and answers are in the cache; `--budget 0` only prepares.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchCache } from './cache.ts';
import { machineFacts } from './measure/machine.ts';
import { treeOf } from './measure/process-usage.ts';
import { round } from './measure/statistics.ts';
import { writePage } from './report/page.ts';
import { resultsDirectory, saveResult, savedResults } from './report/stored.ts';
import { installPeers, preparations } from './prepare.ts';
import type { Line } from './throughput.ts';
import { note } from './throughput.ts';

interface Planned {
  /** Also the name of its file. */
  readonly name: string;
  readonly args: readonly string[];
  /** On a quiet machine with two cores, the data of the topics in the cache. */
  readonly minutes: number;
  readonly records?: number;
  /** Rounds fit themselves to the time there is; else the bench runs whole or not at all. */
  readonly rounds?: number;
}

/**
 * Record counts let Spark be past its first 2 M records, which the warm figures leave out, in each round; of `cassandra`
 * that would take a quarter of an hour a round: there the first half is left out.
 */
const plan: readonly Planned[] = [
  {
    name: 'noop',
    records: 4_000_000,
    args: ['--peer', 'spark,kafka-streams,bento'],
    minutes: 8,
    rounds: 3,
  },
  { name: 'count', records: 16_000_000, args: ['--peer', 'spark,kafka-streams'], minutes: 14, rounds: 3 },
  { name: 'cassandra', records: 1_000_000, args: ['--peer', 'spark35,bento'], minutes: 14, rounds: 3 },
  { name: 'kafka', records: 4_000_000, args: ['--peer', 'spark,kafka-streams'], minutes: 8, rounds: 3 },
  { name: 'start', args: [], minutes: 2 },
  { name: 'guard', args: [], minutes: 0.5 },
  { name: 'path', args: [], minutes: 1 },
  {
    name: 'latency',
    args: ['--rates', '10000', '--peer', 'spark,kafka-streams', '--warm-up', '15', '--seconds', '20'],
    minutes: 12,
  },
  { name: 'noop-spark35', records: 4_000_000, args: ['--peer', 'spark35', '--rounds', '1'], minutes: 4 },
  { name: 'scale', records: 16_000_000, args: [], minutes: 4, rounds: 3 },
  { name: 'memory', records: 10_000_000, args: [], minutes: 5 },
  { name: 'nexmark', records: 4_000_000, args: ['--rounds', '1'], minutes: 9 },
  { name: 'latency-rates', args: ['--rates', '1000,100000', '--warm-up', '10', '--seconds', '20'], minutes: 9 },
];

/** A bench that takes so many times as long as it may is ended. */
const PATIENCE = 1.6;
const PATIENCE_MINUTES = 6;
/** Until servers are up and the records are in the topic. */
const SERVERS_MINUTES = 0.7;

export const allUsage = `npm run bench -- all [--budget MINUTES] [--only NAME,…] [--rehearse]
  NAME is one of ${plan.map(({ name }) => name).join(', ')}`;

export interface AllOptions {
  readonly budgetMinutes: number;
  /** A fortieth of the records, one round, seconds instead of half minutes; kept apart: does everything still run? */
  readonly rehearse: boolean;
  readonly only: readonly string[];
}

/** Throws a TypeError for what does not exist. */
export function parseAllOptions(args: readonly string[]): AllOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      budget: { type: 'string', default: '90m' },
      only: { type: 'string', default: '' },
      rehearse: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(/^(\d+(?:\.\d+)?)m?$/.exec(values.budget)?.[1] ?? Number.NaN);
  if (!(minutes >= 0)) throw new TypeError(`--budget is ${values.budget}; it takes minutes, such as 40m`);
  const only = values.only.split(',').filter((name) => name !== '');
  const unknown = only.find((wanted) => !plan.some(({ name }) => name === wanted));
  if (unknown !== undefined) throw new TypeError(`there is no part ${unknown}\n${allUsage}`);
  return { budgetMinutes: minutes, only, rehearse: values.rehearse };
}

/** Minutes for each bench of the plan: those with rounds share what there is by what they need, the others take theirs. */
export function minutesFor(bench: Planned, rest: readonly Planned[], left: number): number {
  if (bench.rounds === undefined) return bench.minutes;
  const withRounds = [bench, ...rest].filter(({ rounds }) => rounds !== undefined);
  const needed = withRounds.reduce((sum, { minutes }) => sum + minutes, 0);
  return needed <= left ? bench.minutes : (left * bench.minutes) / needed;
}

/** False when a bench failed or a result was wrong. */
export async function benchAll(options: AllOptions): Promise<boolean> {
  const planned = options.rehearse ? plan.map(rehearsed) : plan;
  const wanted = planned.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const scratch = join(benchCache(), 'rehearsal');
  const [results, page] = options.rehearse ? [scratch, join(scratch, 'RESULTS.md')] : [resultsDirectory, undefined];
  mkdirSync(results, { recursive: true });
  await prepare(wanted);
  const startedAt = performance.now();
  let right = true;
  for (const [index, bench] of wanted.entries()) {
    const left = options.budgetMinutes - (performance.now() - startedAt) / 60_000;
    const minutes = minutesFor(bench, wanted.slice(index + 1), left);
    if (left <= 0 || (bench.rounds === undefined && bench.minutes > left)) {
      note(`${bench.name} is left out: it takes ${bench.minutes} minutes, and ${round(Math.max(0, left), 1)} are left`);
      continue;
    }
    note(`${bench.name}: ${round(minutes, 1)} of ${round(left, 1)} minutes`);
    right = (await runPlanned(results, bench, minutes)) && right;
    writePage(results, page);
  }
  writePage(results, page);
  return right;
}

/** The bench of a part of the plan: its name up to the first dash. */
function commandOf(name: string): string {
  return name.split('-')[0] ?? name;
}

function rehearsed(bench: Planned): Planned {
  const { records, rounds, args } = bench;
  return {
    ...bench,
    ...(records === undefined ? {} : { records: Math.max(50_000, Math.ceil(records / 40)) }),
    ...(rounds === undefined ? {} : { rounds: 1 }),
    args: [...args, ...(records === undefined && bench.name !== 'guard' ? ['--warm-up', '3', '--seconds', '5'] : [])],
  };
}

/** Not part of the budget. */
async function prepare(benches: readonly Planned[]): Promise<void> {
  installPeers();
  const known: Readonly<Record<string, (records: number) => Promise<void>>> = preparations;
  for (const { name, records } of benches) {
    if (records === undefined) continue;
    note(`preparing ${name}`);
    await known[commandOf(name)]?.(records);
  }
}

async function runPlanned(results: string, bench: Planned, minutes: number): Promise<boolean> {
  const rounds = bench.rounds === undefined ? [] : ['--rounds', String(bench.rounds)];
  const limit =
    bench.rounds === undefined ? [] : ['--minutes', String(Math.max(1, Math.round(minutes - SERVERS_MINUTES)))];
  const records = bench.records === undefined ? [] : ['--records', String(bench.records)];
  const args = [commandOf(bench.name), ...records, ...bench.args, ...rounds];
  const startedAt = performance.now();
  const { lines, failure } = await collect([...args, ...limit], minutes * PATIENCE + PATIENCE_MINUTES);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  note(`${bench.name}: ${failure ?? 'done'} after ${seconds} s`);
  // What an earlier run found stays when this one found nothing.
  if (lines.length === 0 && failure !== null && savedResults(results).has(bench.name)) return false;
  saveResult(results, { name: bench.name, args, machine: machineFacts(), seconds, failure, lines });
  return failure === null;
}

/** Lines of a bench's process; its progress goes on to stderr. Temporary files of all its processes go with it. */
async function collect(
  args: readonly string[],
  limitMinutes: number,
): Promise<{ readonly lines: readonly Line[]; readonly failure: string | null }> {
  const directory = mkdtempSync(join(tmpdir(), 'weir-bench-all-'));
  const program = fileURLToPath(new URL('main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: directory },
  });
  const lines: Line[] = [];
  let tooLong = false;
  const timer = setTimeout(() => {
    tooLong = true;
    for (const pid of treeOf([child.pid ?? 0]).toReversed()) endProcess(pid);
  }, limitMinutes * 60_000);
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  for await (const line of createInterface({ input: child.stdout })) {
    process.stdout.write(`${line}\n`);
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Line);
  }
  const code = await exited;
  clearTimeout(timer);
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  if (tooLong) return { lines, failure: `ended after ${round(limitMinutes, 1)} minutes` };
  return { lines, failure: code === 0 ? null : `exit code ${code}` };
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended by itself
  }
}
