/** The goals of the benches, and what the stored results say of them. */
import { round } from '../measure/statistics.ts';
import type { Line } from '../throughput.ts';
import type { StoredResult } from './stored.ts';

export type Results = ReadonlyMap<string, StoredResult>;

export interface Goal {
  readonly what: string;
  /** The goal, and in brackets what it may be stretched to. */
  readonly goal: string;
  /** Undefined: not measured. */
  readonly measured: number | undefined;
  readonly met: boolean | undefined;
  /** Digits behind the point. */
  readonly digits: number;
}

export function lineOf(results: Results, name: string, wanted: Readonly<Record<string, unknown>>): Line | undefined {
  return results.get(name)?.lines.find((line) => Object.entries(wanted).every(([key, value]) => line[key] === value));
}

/** A finite number, else undefined. */
export function numberOf(line: Line | undefined, figure: string): number | undefined {
  const value = line?.[figure];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The same of a line whose values were right: with wrong ones a figure says nothing. */
function soundNumber(line: Line | undefined, figure: string): number | undefined {
  const problems = line?.['problems'];
  return Array.isArray(problems) && problems.length === 0 ? numberOf(line, figure) : undefined;
}

/** Our figure to the other system's. */
function ratioOf(results: Results, name: string, peer: string, figure: string): number | undefined {
  const ours = soundNumber(lineOf(results, name, { system: 'weir' }), figure);
  const theirs = soundNumber(lineOf(results, name, { system: peer }), figure);
  return ours === undefined || theirs === undefined || theirs === 0 ? undefined : ours / theirs;
}

function atLeast(what: string, least: number, stretch: number | null, measured: number | undefined, digits = 2): Goal {
  const goal = `≥ ${least.toLocaleString('en')}${stretch === null ? '' : ` (${stretch.toLocaleString('en')})`}`;
  return { what, goal, measured, met: measured === undefined ? undefined : measured >= least, digits };
}

function atMost(what: string, most: number, stretch: number | null, measured: number | undefined, digits = 2): Goal {
  const goal = `≤ ${round(most, digits).toLocaleString('en')}${stretch === null ? '' : ` (${stretch.toLocaleString('en')})`}`;
  return { what, goal, measured, met: measured === undefined ? undefined : measured <= most, digits };
}

const WARM = 'recordsPerCpuSecondWarm';

function throughputGoals(results: Results): Goal[] {
  return [
    atLeast('noop: records per CPU-second, warm, to Spark 4.2', 10, 18, ratioOf(results, 'noop', 'spark', WARM)),
    atLeast('noop: the same to Bento', 7, null, ratioOf(results, 'noop', 'bento', WARM)),
    atLeast('count: records per CPU-second, warm, to Spark 4.2', 12, 20, ratioOf(results, 'count', 'spark', WARM)),
    atLeast(
      'cassandra: rows per client CPU-second, warm, to Spark 3.5',
      5,
      10,
      ratioOf(results, 'cassandra', 'spark35', WARM),
    ),
    atLeast(
      'cassandra: rows per second, end to end, to Spark 3.5',
      1.5,
      null,
      ratioOf(results, 'cassandra', 'spark35', 'recordsPerSecond'),
    ),
    atLeast(
      "cassandra: rows per second to the bare batch writer's",
      0.9,
      null,
      ratioOf(results, 'cassandra', 'floor', 'recordsPerSecond'),
    ),
    atLeast(
      'cassandra: rows per client CPU-second, warm, to Bento',
      1.8,
      null,
      ratioOf(results, 'cassandra', 'bento', WARM),
    ),
    atLeast('kafka: records per CPU-second, warm, to Spark 4.2', 6, 12, ratioOf(results, 'kafka', 'spark', WARM)),
  ];
}

const latencyFiles = ['latency', 'latency-rates'] as const;

/** The line of a point, whichever file has it. */
export function latencyLine(results: Results, shape: string, rate: number, system: string): Line | undefined {
  return latencyFiles
    .map((name) => lineOf(results, name, { bench: 'latency', shape, rate, system }))
    .find((line) => line !== undefined);
}

function latencyGoals(results: Results): Goal[] {
  const p99 = (shape: string, system: string): number | undefined =>
    soundNumber(
      latencyLine(results, system === 'floor' && shape !== 'table' ? 'topic' : shape, 10_000, system),
      'p99Ms',
    );
  const above = (shape: string, ms: number): number => (p99(shape, 'floor') ?? Number.NaN) + ms;
  const limits = [
    ['stateless', 'the floor + 3 ms', above('stateless', 3)],
    ['window', 'the floor + 10 ms', above('window', 10)],
    ['table', "twice the bare writer's", 2 * (p99('table', 'floor') ?? Number.NaN)],
  ] as const;
  return limits.map(([shape, limit, most]) => {
    const measured = Number.isNaN(most) ? undefined : p99(shape, 'weir');
    const goal = atMost(`latency at 10,000 records/s, ${shape}: p99, ms (${limit})`, most, null, measured);
    return measured === undefined ? { ...goal, goal: `≤ ${limit}` } : goal;
  });
}

function memoryGoals(results: Results): Goal[] {
  const peaks = ['noop', 'count', 'cassandra', 'kafka'].map((name): Goal => {
    const list = lineOf(results, name, { system: 'weir' })?.['workerPeakRssMb'];
    const peak = Array.isArray(list) ? Math.max(...list.map(Number)) : undefined;
    return atMost(`${name}: resident memory of the worker at its largest, MB`, 250, null, peak, 0);
  });
  const flat = ['backlog', 'overload'].map((part) =>
    atMost(
      `memory, ${part}: largest of the second half to that of the quarter before`,
      1.1,
      null,
      numberOf(lineOf(results, 'memory', { part }), 'ratio'),
    ),
  );
  return [...peaks, ...flat];
}

function nexmarkGoals(results: Results): Goal[] {
  const lines = results.get('nexmark')?.lines ?? [];
  return lines.flatMap((line) => {
    const goal = numberOf(line, 'goal');
    if (goal === undefined) return [];
    const measured = soundNumber(line, 'eventsPerCpuSecondWarm');
    return [atLeast(`nexmark ${String(line['query'])}: events per CPU-second, warm`, goal, null, measured, 0)];
  });
}

/** All goals, met or not. */
export function goalsOf(results: Results): readonly Goal[] {
  const start = lineOf(results, 'start', { bench: 'start' });
  const ratio = (name: string): number | undefined =>
    numberOf(
      results.get(name)?.lines.find((line) => line['ratio'] !== undefined),
      'ratio',
    );
  return [
    ...throughputGoals(results),
    ...latencyGoals(results),
    ...memoryGoals(results),
    atMost('start: processes ready, s', 0.7, null, numberOf(start, 'processesReadySeconds'), 3),
    atMost('start: submit to the first row, s', 0.5, null, numberOf(start, 'submitToFirstRowSeconds'), 3),
    atMost('scale: cost of a record on 2 or 4 workers to that on 1', 1.15, null, ratio('scale')),
    atMost('guard: the largest figure to its baseline', 1.1, null, ratio('guard')),
    ...nexmarkGoals(results),
  ];
}
