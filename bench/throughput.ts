/**
 * Throughput of several systems over the same topic: one after the other, several rounds, medians. A line per system,
 * then the ratio of ours to the peer's.
 */
import { availableParallelism } from 'node:os';
import { PeerMissing } from './peers/install.ts';
import type { PeerName, SuiteOptions } from './suite-options.ts';
import { median, megabytes, round } from './measure/statistics.ts';
import type { Run } from './run-meter.ts';

export interface System {
  readonly name: string;
  readonly version: string;
  /** What is left out as warm-up, in words. */
  readonly warmUp: string;
  run(round: number): Promise<Run>;
}

export type SystemMakers = Readonly<Partial<Record<PeerName | 'weir' | 'floor', () => System>>>;

/**
 * The systems that were asked for. A peer that cannot run here is named on stderr and left out; Weir and the floor always
 * run, unless `--no-weir` is given.
 */
export function systemsOf(options: SuiteOptions, makers: SystemMakers): System[] {
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
  /** No round begins that would probably not be over so many minutes after the first one began; the first always runs. */
  readonly minutes: number;
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
  const rounds = new RoundsInTime(bench);
  for (let index = 0; rounds.next(); index++) {
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

/** Counts rounds, as many as there is time for. */
export class RoundsInTime {
  readonly #limits: { readonly rounds: number; readonly minutes: number };
  readonly #startedAt = performance.now();
  #roundAt = this.#startedAt;
  #longestMs = 0;
  #done = -1;

  constructor(limits: { readonly rounds: number; readonly minutes: number }) {
    this.#limits = limits;
  }

  /** Called before each round: whether it is to run. */
  next(): boolean {
    const now = performance.now();
    if (this.#done >= 0) this.#longestMs = Math.max(this.#longestMs, now - this.#roundAt);
    this.#roundAt = now;
    this.#done++;
    const { rounds, minutes } = this.#limits;
    if (this.#done >= rounds) return false;
    if (this.#done === 0 || now - this.#startedAt + this.#longestMs <= minutes * 60_000) return true;
    note(`time for ${this.#done} of ${rounds} rounds`);
    return false;
  }
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
    foreignCores: round(
      of((run) => run.foreignCores),
      2,
    ),
    problems: runs.flatMap((run) => run.problems),
  };
}

/** The last line: ours to each peer's, in the bench's main figure. */
function printRatios(bench: ThroughputBench, lines: readonly Line[]): void {
  const ours = lines.find((line) => line['system'] === 'weir');
  const peers = lines.filter((line) => line['system'] !== 'weir');
  if (ours === undefined || peers.length === 0) return;
  const ratioTo = (line: Line, figure: string): number => round(Number(ours[figure]) / Number(line[figure]), 2);
  const first = peers.find((line) => line['system'] !== 'floor') ?? peers[0];
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
