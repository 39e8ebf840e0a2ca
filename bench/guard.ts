/**
 * `guard`: what a change may not make worse without being seen: bytes allocated on the heap and outside per record by a
 * thread's work, and messages between the event loop and its threads per batch. Both are counts, not times, so they hold
 * on a busy machine. `--update` writes the baseline.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { round } from './measure/statistics.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { print } from './throughput.ts';

export const defaults: SuiteDefaults = { records: 50_000, rounds: 3, peers: [] };

const program = fileURLToPath(new URL('guard/measure-main.ts', import.meta.url));
const baselineFile = fileURLToPath(new URL('guard/baseline.json', import.meta.url));
/** More than so much above the baseline fails. */
const TOLERANCE = 0.1;
/** What garbage of the measuring itself comes to: smaller figures are not told apart. */
const NOISE_BYTES = 0.5;

const nodeMajor = Number(process.versions.node.split('.')[0]);

interface Baseline {
  readonly node: number;
  /** Measured per figure: what a buffer that has grown comes to per record depends on it. */
  readonly records: number;
  readonly figures: GuardFigures;
}

/** By figure, such as `blackhole.heapBytesPerRecord`. */
export type GuardFigures = Readonly<Record<string, number>>;

/** False when a figure is more than a tenth above its baseline. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const runs = Array.from({ length: options.rounds }, () => measured(options.records));
  const figures: Record<string, number> = {};
  for (const name of Object.keys(runs[0] ?? {}))
    figures[name] = round(Math.min(...runs.map((run) => run[name] ?? Number.NaN)), 3);
  const spread = Math.max(...Object.keys(figures).map((name) => spreadOf(runs.map((run) => run[name] ?? Number.NaN))));
  const here = { node: nodeMajor, records: options.records };
  if (options.update) writeFileSync(baselineFile, `${JSON.stringify({ ...here, figures }, null, 2)}\n`);
  const stored = JSON.parse(readFileSync(baselineFile, 'utf8')) as Baseline;
  const baseline = stored.figures;
  const problems: string[] = [];
  if (stored.node !== here.node || stored.records !== here.records)
    problems.push(`the baseline is of Node ${stored.node} and ${stored.records} records: see --update`);
  let ratio = 0;
  for (const name of new Set([...Object.keys(baseline), ...Object.keys(figures)])) {
    const now = figures[name];
    const before = baseline[name];
    if (now === undefined || before === undefined) {
      problems.push(`${name} is ${now === undefined ? 'not measured any more' : 'not in the baseline'}`);
      continue;
    }
    if (before > NOISE_BYTES) ratio = Math.max(ratio, now / before);
    if (now > before * (1 + TOLERANCE) + NOISE_BYTES) problems.push(`${name} is ${now}, was ${before}`);
  }
  print({ bench: 'guard', system: 'weir', records: options.records, figures, baseline, spread, problems });
  print({ bench: 'guard', figure: 'the largest of all to its baseline', ratio: round(ratio, 3), limit: 1 + TOLERANCE });
  return await Promise.resolve(problems.length === 0);
}

/** How far the largest is above the smallest, as a share of it. */
function spreadOf(values: readonly number[]): number {
  const least = Math.min(...values);
  return least === 0 ? 0 : round(Math.max(...values) / least - 1, 4);
}

/**
 * V8 without helpers of its own: when optimised code takes over and when garbage is collected then depends on what was
 * executed alone, not on how busy the machine is, and two runs of the same code give the same bytes.
 */
const flags = [
  '--expose-gc',
  '--max-semi-space-size=64',
  '--min-semi-space-size=64',
  '--no-concurrent-recompilation',
  '--no-concurrent-osr',
  '--single-threaded-gc',
  '--hash-seed=1',
  '--random-seed=1',
] as const;

/** In a process of its own: nothing else allocates there. */
function measured(records: number): GuardFigures {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...flags, program, String(records)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the measuring process failed:\n${stderr}`);
  return JSON.parse(stdout) as GuardFigures;
}
