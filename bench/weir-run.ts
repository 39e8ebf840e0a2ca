/** One run of a Weir job over a topic that lies there: fresh processes, submit, until the last record is committed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isWeirError } from '../core/errors.ts';
import { jobName } from '../core/ids.ts';
import type { LaneCounters } from '../core/lane/position.ts';
import { addCounters, zeroCounters } from '../core/lane/position.ts';
import type { BenchCluster } from './cluster.ts';
import { threadSeconds, usageOf } from './measure/process-usage.ts';
import { megabytes, round as rounded } from './measure/statistics.ts';
import { WEIR_VERSION } from '../cli/version.ts';
import type { Run } from './run-meter.ts';
import { RunMeter, warmUpRecords } from './run-meter.ts';
import type { System } from './throughput.ts';
import { note } from './throughput.ts';

/** Until there is something, to tell when that was. */
const FIRST_POLL_MS = 5;
const POLL_MS = 20;
const STALL_MS = 300_000;

export interface WeirJob {
  readonly cluster: BenchCluster;
  /** Unique per round: a job's name is its place in the store. */
  readonly name: (round: number) => string;
  readonly text: (name: string) => string;
  readonly records: number;
  readonly threads: number | null;
  readonly workers?: number;
  /**
   * ms between two looks at the checkpoints. They lie in Cassandra where it is there, and a look costs it 1 ms of CPU: who
   * measures that looks as rarely as the other systems tell of their progress. Default 20.
   */
  readonly pollMs?: number;
  /** Before the job is submitted: topics of its own. */
  readonly prepare?: (name: string) => Promise<void>;
  /** After the last commit, job and processes still there; what is wrong. */
  readonly check: (name: string, counters: LaneCounters, round: number) => Promise<readonly string[]>;
  /** Further figures, at the same time as `check`. */
  readonly more?: (
    name: string,
    run: Omit<Run, 'problems'>,
    counters: LaneCounters,
  ) => Readonly<Record<string, unknown>>;
}

export function weirSystem(job: WeirJob): System {
  return {
    name: 'weir',
    version: `${WEIR_VERSION}, Node ${process.versions.node}`,
    warmUp: `processes started before each round; warm figures leave out the first ${warmUpRecords(job.records)} records`,
    run: async (round) => await runWeir(job, round),
  };
}

export async function runWeir(job: WeirJob, round: number): Promise<Run> {
  const { cluster, records } = job;
  const name = job.name(round);
  await job.prepare?.(name);
  const started = await cluster.startWeir(job.threads, job.workers);
  const pids = [started.masterPid, ...started.workerPids];
  try {
    const meter = new RunMeter({ pids, serverPids: cluster.serverPids, records });
    await cluster.apply(name, job.text(name));
    let warm: { readonly read: number; readonly seconds: PartSeconds } | undefined;
    const onProgress = (read: number): void => {
      meter.progress(read);
      if (read >= warmUpRecords(records))
        warm ??= { read, seconds: partSeconds(started.masterPid, started.workerPids) };
    };
    const counters = await untilRead(cluster, name, records, onProgress, job.pollMs);
    const run = meter.finish(started.readySeconds);
    const parts = partSeconds(started.masterPid, started.workerPids);
    const problems = [...run.problems, ...(await job.check(name, counters, round))];
    const ofEach = {
      workerPeakRssMb: started.workerPids.map((pid) => megabytes(usageOf(pid).peakRssBytes)),
      masterPeakRssMb: megabytes(usageOf(started.masterPid).peakRssBytes),
      ...(warm === undefined || warm.read >= counters.read
        ? {}
        : { warmMicrosPerRecord: microsBetween(warm.seconds, parts, counters.read - warm.read) }),
    };
    return { ...run, problems, more: { ...ofEach, ...job.more?.(name, run, counters) } };
  } finally {
    await cluster.act(name, 'stop').catch(() => undefined);
    await cluster.stopWeir();
  }
}

const parts = ['master', 'event loop', 'threads', 'V8'] as const;
/** CPU seconds by part: the master; of the workers the event loop, the threads, and V8's own (compiling, collecting). */
type PartSeconds = Readonly<Record<(typeof parts)[number], number>>;

function partSeconds(master: number, workers: readonly number[]): PartSeconds {
  const of = workers.map(threadSeconds);
  const named = (name: string): number => of.reduce((sum, seconds) => sum + (seconds.get(name) ?? 0), 0);
  const all = of.reduce((sum, seconds) => sum + [...seconds.values()].reduce((a, b) => a + b, 0), 0);
  const loop = named('MainThread');
  const threads = named('WorkerThread');
  return { master: usageOf(master).cpuSeconds, 'event loop': loop, threads, V8: all - loop - threads };
}

/** Microseconds of CPU per record. */
function microsBetween(before: PartSeconds, after: PartSeconds, records: number): Readonly<Record<string, number>> {
  return Object.fromEntries(parts.map((part) => [part, rounded(((after[part] - before[part]) * 1e6) / records, 3)]));
}

/** Waits until the job has committed `records`, and tells how many there are each time it has looked. */
export async function untilRead(
  cluster: BenchCluster,
  name: string,
  records: number,
  onProgress: (read: number) => void = () => undefined,
  pollMs = POLL_MS,
): Promise<LaneCounters> {
  let counters = zeroCounters;
  let progressedAt = performance.now();
  let shownAt = progressedAt;
  for (;;) {
    const now = await committedOrFormer(cluster, name, counters);
    const at = performance.now();
    if (now.read > counters.read) progressedAt = at;
    counters = now;
    onProgress(counters.read);
    if (counters.read >= records) return counters;
    if (at - progressedAt > STALL_MS)
      throw new Error(
        `no progress for ${STALL_MS / 1000} s at ${JSON.stringify(counters)}: ${await state(cluster, name)}`,
      );
    if (at - shownAt > 5000) {
      shownAt = at;
      note(`${name}: ${counters.read} of ${records} records`);
    }
    await sleep(counters.read === 0 ? Math.max(FIRST_POLL_MS, pollMs / 4) : pollMs);
  }
}

/** A store that is too busy to answer is asked again. */
export async function committedOrFormer(
  cluster: BenchCluster,
  name: string,
  former: LaneCounters,
): Promise<LaneCounters> {
  try {
    return await committedCounters(cluster, name);
  } catch (error) {
    if (isWeirError(error) && error.retryable) return former;
    throw error;
  }
}

/** What the checkpoints say, straight from the metadata store: of lanes, or of epochs. */
export async function committedCounters(cluster: BenchCluster, name: string): Promise<LaneCounters> {
  const row = await cluster.store.readOwnership(jobName(name));
  if (row === undefined) return zeroCounters;
  // Jobs in epochs have no lanes. To look for their head costs more than to read lanes.
  const head = Object.keys(row.lanes).length > 0 ? undefined : await cluster.store.readEpochs(jobName(name), row.run);
  if (head !== undefined) return head.counters;
  const lanes = await cluster.store.readLanes(jobName(name), row.run);
  return lanes.reduce((sum, lane) => addCounters(sum, lane.position.counters), zeroCounters);
}

async function state(cluster: BenchCluster, name: string): Promise<string> {
  const { row, lanes } = await cluster.job(name);
  return JSON.stringify({
    state: row.state,
    reason: row.reason,
    lanes: lanes.map(({ lane, state: lanesState, message }) => ({ lane, state: lanesState, message })),
  });
}

/** Says what differs. */
export function differences(
  got: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.entries(wanted).flatMap(([what, value]) =>
    got[what] === value ? [] : [`${what}: ${String(got[what])} instead of ${String(value)}`],
  );
}
