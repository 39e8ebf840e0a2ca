/** One run of a peer that talks in JSON lines: `ready`, after `go` `progress` and `done`, after `check` `checked`. */
import { round } from '../measure/statistics.ts';
import type { Run } from '../run-meter.ts';
import { RunMeter } from '../run-meter.ts';
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
  /** Compares the answer: see {@link runPeer}. */
  readonly check?: (answer: PeerEvent) => readonly string[];
  /** Compares what is in the sink, after every round. */
  readonly checkRound?: (round: number) => Promise<readonly string[]>;
}

/**
 * Starts the peer's program and follows it. Its answer comes with `done`, or as `checked` by itself afterwards, or as
 * `checked` when it is asked, which costs as much as the run: then it is asked after the first round.
 */
export async function runPeer(
  name: string,
  command: string,
  args: readonly string[],
  job: PeerJob,
  index: number,
  answers: 'done' | 'checked' | 'asked' = 'done',
): Promise<Run> {
  const startedAt = performance.now();
  await using peer = new PeerProcess(name, command, args);
  await peer.until('ready');
  const readySeconds = (performance.now() - startedAt) / 1000;
  const meter = new RunMeter({ pids: [peer.pid], serverPids: job.serverPids, records: job.records });
  peer.say('go');
  const done = await peer.until('done', (event) => {
    if (event.event === 'progress') meter.progress(Number(event['read']));
  });
  const run = meter.finish(readySeconds);
  const read = Number(done['read']);
  const problems = [
    ...run.problems,
    ...(read === job.records ? [] : [`${read} records read instead of ${job.records}`]),
  ];
  if (job.check !== undefined && answers === 'done') problems.push(...job.check(done));
  if (job.check !== undefined && (answers === 'checked' || (answers === 'asked' && index === 0))) {
    if (answers === 'asked') peer.say('check');
    problems.push(...job.check(await peer.until('checked')));
  }
  problems.push(...((await job.checkRound?.(index)) ?? []));
  return { ...run, problems, more: { startCpuSeconds: round(meter.startCpuSeconds, 2) } };
}
