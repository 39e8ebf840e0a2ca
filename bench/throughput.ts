/**
 * Throughput of several systems over the same topic: one after the other, several rounds, medians. A line per system,
 * then the ratio of ours to the peer's.
 */
import { availableParallelism, loadavg } from 'node:os';
import { PeerMissing } from './peers/install.ts';
import type { PeerName, SuiteOptions } from './suite-options.ts';
import type { CpuSeconds } from './measure/process-usage.ts';
import { median, megabytes, round } from './measure/statistics.ts';

/** Records that a system may take to get warm, unless there are too few: then the first half. */
export function warmUpRecords(records: number): number {
  return Math.min(2_000_000, Math.floor(records / 2));
}

/** One run of one system. */
export interface Run {
  readonly wallSeconds: number;
  /** Of the system's processes, from the submit (of a peer without a cluster: the start of its process). */
  readonly cpu: CpuSeconds;
  /** What came after the warm-up. */
  readonly warm: { readonly records: number; readonly cpuSeconds: number; readonly wallSeconds: number };
  readonly serverCpuSeconds: number;
  readonly peakRssBytes: number;
  /** From the start of the system's first process until it takes work. */
  readonly readySeconds: number;
  /** From the submit until the first record is through. */
  readonly firstRecordSeconds: number;
  readonly problems: readonly string[];
  /** Further figures of the line. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export interface System {
  readonly name: string;
  readonly version: string;
  /** What is left out as warm-up, in words. */
  readonly warmUp: string;
  run(round: number): Promise<Run>;
}

/**
 * The systems that were asked for. A peer that cannot run here is named on stderr and left out; Weir and the floor always
 * run, unless `--no-weir` is given.
 */
export function systemsOf(
  options: SuiteOptions,
  makers: Readonly<Partial<Record<PeerName | 'weir' | 'floor', () => System>>>,
): System[] {
  const names = [...(options.weir ? (['weir', 'floor'] as const) : []), ...options.peers];
  return names.flatMap((name) => {
    try {
      const system = makers[name]?.();
      return system === undefined ? [] : [system];
    } catch (error) {
      if (!(error instanceof PeerMissing)) throw error;
      note(`${name} is missing: ${error.message}`);
      print({ system: name, missing: error.message });
      return [];
    }
  });
}

export interface ThroughputBench {
  readonly bench: string;
  readonly records: number;
  readonly rounds: number;
  /** Of a line: what the ratio is taken of. */
  readonly figure: string;
}

export type Line = Readonly<Record<string, unknown>>;

export function print(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** Runs everything and prints it; false when a result was wrong. */
export async function compare(bench: ThroughputBench, systems: readonly System[]): Promise<boolean> {
  const runs = new Map<string, Run[]>(systems.map(({ name }) => [name, []]));
  for (let index = 0; index < bench.rounds; index++) {
    for (const system of systems) {
      const run = await system.run(index);
      runs.get(system.name)?.push(run);
      const rate = Math.round(run.warm.records / run.warm.cpuSeconds);
      note(
        `${system.name}, round ${index + 1} of ${bench.rounds}: ${rate} records per CPU-second warm, ` +
          `${Math.round(bench.records / (run.cpu.user + run.cpu.system))} in total, ${round(run.wallSeconds, 1)} s` +
          (run.problems.length === 0 ? '' : `; PROBLEMS: ${run.problems.join('; ')}`),
      );
    }
  }
  const lines = systems.map((system) => lineOf(bench, system, runs.get(system.name) ?? []));
  for (const line of lines) print(line);
  printRatios(bench, lines);
  return lines.every((line) => (line['problems'] as readonly string[]).length === 0);
}

function lineOf(bench: ThroughputBench, system: System, runs: readonly Run[]): Line {
  const of = (figure: (run: Run) => number): number => median(runs.map(figure));
  const cpu = (run: Run): number => run.cpu.user + run.cpu.system;
  return {
    bench: bench.bench,
    system: system.name,
    version: system.version,
    records: bench.records,
    rounds: runs.length,
    warmUp: system.warmUp,
    wallSeconds: round(
      of((run) => run.wallSeconds),
      2,
    ),
    cpuSeconds: round(of(cpu), 2),
    cpuUserSeconds: round(
      of((run) => run.cpu.user),
      2,
    ),
    cpuSystemSeconds: round(
      of((run) => run.cpu.system),
      2,
    ),
    recordsPerSecond: Math.round(of((run) => bench.records / run.wallSeconds)),
    recordsPerSecondWarm: Math.round(of((run) => run.warm.records / run.warm.wallSeconds)),
    recordsPerCpuSecond: Math.round(of((run) => bench.records / cpu(run))),
    recordsPerCpuSecondWarm: Math.round(of((run) => run.warm.records / run.warm.cpuSeconds)),
    warmOfEachRound: runs.map((run) => Math.round(run.warm.records / run.warm.cpuSeconds)),
    warmRecords: Math.round(of((run) => run.warm.records)),
    serverCpuSeconds: round(
      of((run) => run.serverCpuSeconds),
      2,
    ),
    peakRssMb: megabytes(of((run) => run.peakRssBytes)),
    readySeconds: round(
      of((run) => run.readySeconds),
      3,
    ),
    firstRecordSeconds: round(
      of((run) => run.firstRecordSeconds),
      3,
    ),
    ...runs.at(-1)?.more,
    cores: availableParallelism(),
    load: round(loadavg()[0] ?? 0, 2),
    problems: runs.flatMap((run) => run.problems),
  };
}

/** The last line: ours to each peer's, in the bench's main figure. */
function printRatios(bench: ThroughputBench, lines: readonly Line[]): void {
  const ours = lines.find((line) => line['system'] === 'weir');
  const peers = lines.filter((line) => line['system'] !== 'weir');
  if (ours === undefined || peers.length === 0) return;
  const ratioTo = (line: Line, figure: string): number => round(Number(ours[figure]) / Number(line[figure]), 2);
  const [first] = peers;
  if (first === undefined) return;
  print({
    bench: bench.bench,
    figure: bench.figure,
    ratio: ratioTo(first, bench.figure),
    ratios: Object.fromEntries(peers.map((line) => [String(line['system']), ratioTo(line, bench.figure)])),
    ratiosInTotal: Object.fromEntries(
      peers.map((line) => [String(line['system']), ratioTo(line, 'recordsPerCpuSecond')]),
    ),
    ratiosOfWall: Object.fromEntries(peers.map((line) => [String(line['system']), ratioTo(line, 'recordsPerSecond')])),
  });
}
