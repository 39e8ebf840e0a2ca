/** One run of a peer that talks in JSON lines: `ready`, after `go` `progress` and `done`, after `check` `checked`. */
import { cpuSecondsOf, treeCpu, treePeakRss } from '../measure/process-usage.ts';
import { round } from '../measure/statistics.ts';
import type { Run } from '../throughput.ts';
import { warmUpRecords } from '../throughput.ts';
import type { PeerEvent } from './process.ts';
import { PeerProcess } from './process.ts';

export interface PeerJob {
  readonly bench: string;
  readonly brokers: string;
  readonly topic: string;
  readonly records: number;
  readonly serverPids: readonly number[];
  /** Settings of this bench and round, by the names that the peer's program has for them. */
  readonly settings?: (round: number) => Readonly<Record<string, unknown>>;
  readonly prepare?: (round: number) => Promise<void>;
  /** Compares the answer: of a peer that checks in batch, after the first round; else of every round. */
  readonly check?: (answer: PeerEvent) => readonly string[];
  /** Compares what is in the sink, after every round. */
  readonly checkRound?: (round: number) => Promise<readonly string[]>;
}

export async function runPeer(
  name: string,
  command: string,
  args: readonly string[],
  job: PeerJob,
  index: number,
  checksInBatch = false,
): Promise<Run> {
  const startedAt = performance.now();
  await using peer = new PeerProcess(name, command, args);
  await peer.until('ready');
  const readySeconds = (performance.now() - startedAt) / 1000;
  const serversBefore = cpuSecondsOf(job.serverPids);
  const before = treeCpu([peer.pid]);
  const submittedAt = performance.now();
  peer.say('go');
  let firstAt: number | undefined;
  let warm: { readonly read: number; readonly cpuSeconds: number; readonly at: number } | undefined;
  const done = await peer.until('done', (event) => {
    if (event.event !== 'progress') return;
    firstAt ??= performance.now();
    const read = Number(event['read']);
    if (warm !== undefined || read < warmUpRecords(job.records)) return;
    const { user, system } = treeCpu([peer.pid]);
    warm = { read, cpuSeconds: user + system, at: performance.now() };
  });
  const endedAt = performance.now();
  const after = treeCpu([peer.pid]);
  const read = Number(done['read']);
  const problems = read === job.records ? [] : [`${read} records read instead of ${job.records}`];
  if (warm === undefined) problems.push('there was no progress to tell the warm-up from the rest');
  const run = {
    wallSeconds: (endedAt - submittedAt) / 1000,
    cpu: { user: after.user - before.user, system: after.system - before.system },
    warm: {
      records: job.records - (warm?.read ?? 0),
      cpuSeconds: after.user + after.system - (warm?.cpuSeconds ?? 0),
      wallSeconds: (endedAt - (warm?.at ?? submittedAt)) / 1000,
    },
    serverCpuSeconds: cpuSecondsOf(job.serverPids) - serversBefore,
    peakRssBytes: treePeakRss([peer.pid]),
    readySeconds,
    firstRecordSeconds: ((firstAt ?? endedAt) - submittedAt) / 1000,
    more: { startCpuSeconds: round(before.user + before.system, 2) },
  };
  if (job.check !== undefined && !checksInBatch) problems.push(...job.check(done));
  if (job.check !== undefined && checksInBatch && index === 0) {
    peer.say('check');
    problems.push(...job.check(await peer.until('checked')));
  }
  problems.push(...((await job.checkRound?.(index)) ?? []));
  return { ...run, problems };
}
