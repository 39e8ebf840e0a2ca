/** `weir doctor`: what is wrong with a cluster, in words, most important first. */
import { isWeirError, messageOf } from '../../core/errors.ts';
import type { JobView, WorkerView } from '../../master/views.ts';
import { MasterClient } from '../client.ts';
import { paintWord } from '../colour.ts';
import { exitCodes } from '../exit.ts';
import { formatCount, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { WEIR_VERSION } from '../version.ts';

interface Finding {
  readonly level: 'ok' | 'warn' | 'bad';
  readonly message: string;
}

interface ClusterAnswer {
  readonly version: string;
  readonly role: string;
  readonly connections: { readonly log: string; readonly tables: string };
}

const NODE_MAJOR_MIN = 22;
const SLOW_ANSWER_MS = 1000;
const LOOP_DELAY_MS_MAX = 200;
const LAG_MAX = 100_000;

/** Returns the exit code: 1 when something is bad. */
export async function doctor(options: GlobalOptions): Promise<number> {
  const format = outputFormat(options, ['table', 'json']);
  const client = new MasterClient(target(options));
  const findings = [nodeFinding(), ...(await clusterFindings(client))];
  const bad = findings.filter(({ level }) => level === 'bad').length;
  if (format === 'json') printJson({ healthy: bad === 0, findings });
  else {
    const marks = { ok: 'ok   ', warn: 'warn ', bad: 'BAD  ' } as const;
    for (const { level, message } of findings) print(paintWord(`${marks[level]} ${message}`));
    tell(bad === 0 ? 'nothing is wrong' : `${bad} ${bad === 1 ? 'thing is' : 'things are'} wrong`);
  }
  return bad === 0 ? exitCodes.ok : exitCodes.failed;
}

function nodeFinding(): Finding {
  const { node } = process.versions;
  const isNew = Number(node.split('.')[0]) >= NODE_MAJOR_MIN;
  return {
    level: isNew ? 'ok' : 'bad',
    message: `Node ${node}${isNew ? '' : `: Weir needs ${NODE_MAJOR_MIN}.18 or newer`}`,
  };
}

async function clusterFindings(client: MasterClient): Promise<Finding[]> {
  const startedAt = performance.now();
  let cluster: ClusterAnswer;
  try {
    cluster = await client.request<ClusterAnswer>('GET', '/v1/cluster');
  } catch (error) {
    if (!isWeirError(error)) throw error;
    return [{ level: 'bad', message: messageOf(error) }];
  }
  const ms = Math.round(performance.now() - startedAt);
  const [jobs, workers] = await Promise.all([client.jobs(), client.workers()]);
  return [
    { level: ms > SLOW_ANSWER_MS ? 'warn' : 'ok', message: `the master at ${client.address} answers in ${ms} ms` },
    versionFinding('the master', cluster.version),
    { level: 'ok', message: `logs: ${cluster.connections.log}; tables: ${cluster.connections.tables}` },
    ...(await topicFindings(client)),
    ...workerFindings(workers, jobs),
    ...jobs.flatMap(jobFindings),
  ];
}

function versionFinding(who: string, version: string): Finding {
  return version === WEIR_VERSION
    ? { level: 'ok', message: `${who} runs version ${version}` }
    : { level: 'warn', message: `${who} runs version ${version}, this command is ${WEIR_VERSION}` };
}

async function topicFindings(client: MasterClient): Promise<Finding[]> {
  const { topics } = await client.request<{ topics: readonly { name: string; problem: string | null }[] }>(
    'GET',
    '/v1/topics',
  );
  return topics.flatMap(({ name, problem }): Finding[] =>
    problem === null ? [] : [{ level: 'bad', message: `topic ${name}: ${problem}` }],
  );
}

function workerFindings(workers: readonly WorkerView[], jobs: readonly JobView[]): Finding[] {
  const alive = workers.filter(({ state }) => state === 'alive');
  const findings: Finding[] = [
    alive.length > 0 || jobs.length === 0
      ? { level: 'ok', message: `${alive.length} of ${workers.length} workers alive` }
      : { level: 'bad', message: 'no worker is alive: nothing runs; start one with "weir worker"' },
  ];
  for (const { id, state, version, eventLoopDelayMs } of workers) {
    if (state === 'silent') findings.push({ level: 'bad', message: `worker ${id} is silent` });
    if (version !== WEIR_VERSION && version !== '') findings.push(versionFinding(`worker ${id}`, version));
    if (eventLoopDelayMs > LOOP_DELAY_MS_MAX)
      findings.push({
        level: 'warn',
        message: `worker ${id} is overloaded: its event loop is ${Math.round(eventLoopDelayMs)} ms late`,
      });
  }
  return findings;
}

function jobFindings({ row, lanes, lag, counters }: JobView): Finding[] {
  const { name, state, reason } = row;
  const why = reason === null ? '' : `: ${reason.message}`;
  if (state === 'failed') return [{ level: 'bad', message: `job ${name} failed${why}` }];
  if (state === 'stopped' || state === 'finished') return [{ level: 'ok', message: `job ${name} is ${state}` }];
  const troubles = lanes.flatMap(({ topic, partition, state: is, message }): Finding[] =>
    message === null
      ? []
      : [
          {
            level: is === 'failed' ? 'bad' : 'warn',
            message: `job ${name}, ${topic}/${partition} is ${is}: ${message}`,
          },
        ],
  );
  const findings: Finding[] = [
    { level: reason === null ? 'ok' : 'warn', message: `job ${name} is ${state}${why}` },
    ...troubles,
  ];
  if (lag > LAG_MAX) findings.push({ level: 'warn', message: `job ${name} is ${formatCount(lag)} records behind` });
  if (counters.dead > 0)
    findings.push({
      level: 'warn',
      message: `job ${name} has ${formatCount(counters.dead)} dead letters: weir dlq list ${name}`,
    });
  return findings;
}
