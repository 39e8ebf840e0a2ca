/** Takes the figures of one run of one system, from its submit to its last record. */
import { cpuSecondsOf, treeCpu, treePeakRss } from './measure/process-usage.ts';
import type { CpuSeconds } from './measure/process-usage.ts';
import { machineSeconds } from './measure/machine.ts';

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
  /** Cores that processes other than the system, its servers and the bench kept busy meanwhile, and that the host took. */
  readonly foreignCores: number;
  readonly problems: readonly string[];
  /** Further figures of the line. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export interface Metered {
  readonly pids: readonly number[];
  readonly serverPids: readonly number[];
  readonly records: number;
}

/** Begins with its construction, right before the submit. */
export class RunMeter {
  readonly #metered: Metered;
  readonly #startedAt = performance.now();
  readonly #before: CpuSeconds;
  readonly #serversBefore: number;
  readonly #othersBefore: number;
  #firstAt: number | undefined;
  #warm: { readonly records: number; readonly cpuSeconds: number; readonly at: number } | undefined;

  constructor(metered: Metered) {
    this.#metered = metered;
    this.#serversBefore = cpuSecondsOf(metered.serverPids);
    this.#before = treeCpu(metered.pids);
    this.#othersBefore = machineTotal() - ownSeconds();
  }

  /** CPU-seconds that the system took before: what its start cost. */
  get startCpuSeconds(): number {
    return this.#before.user + this.#before.system;
  }

  /** So many records are through by now. */
  progress(records: number): void {
    if (records <= 0) return;
    this.#firstAt ??= performance.now();
    if (this.#warm !== undefined || records < warmUpRecords(this.#metered.records)) return;
    const { user, system } = treeCpu(this.#metered.pids);
    this.#warm = { records, cpuSeconds: user + system, at: performance.now() };
  }

  /** The last record is through. */
  finish(readySeconds: number): Run {
    const { pids, serverPids, records } = this.#metered;
    const endedAt = performance.now();
    const after = treeCpu(pids);
    const cpu = { user: after.user - this.#before.user, system: after.system - this.#before.system };
    const serverCpuSeconds = cpuSecondsOf(serverPids) - this.#serversBefore;
    const others = machineTotal() - ownSeconds() - this.#othersBefore;
    const wallSeconds = (endedAt - this.#startedAt) / 1000;
    const warm = this.#warm;
    const toldInTime = warm !== undefined && warm.records < records;
    return {
      wallSeconds,
      cpu,
      warm: {
        records: records - (warm?.records ?? 0),
        cpuSeconds: after.user + after.system - (warm?.cpuSeconds ?? 0),
        wallSeconds: (endedAt - (warm?.at ?? this.#startedAt)) / 1000,
      },
      serverCpuSeconds,
      peakRssBytes: treePeakRss(pids),
      readySeconds,
      firstRecordSeconds: ((this.#firstAt ?? endedAt) - this.#startedAt) / 1000,
      foreignCores: Math.max(0, others - cpu.user - cpu.system - serverCpuSeconds) / wallSeconds,
      problems: toldInTime ? [] : ['there was no progress to tell the warm-up from the rest'],
    };
  }
}

function machineTotal(): number {
  const { busy, stolen } = machineSeconds();
  return busy + stolen;
}

/** CPU-seconds of the bench itself. */
function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
