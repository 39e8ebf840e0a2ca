/** What the benches over users share: servers with the users in a topic, how a Weir job reads them, who competes. */
import { BenchCluster } from './cluster.ts';
import type { Preload } from './data/preload.ts';
import { preload } from './data/preload.ts';
import { BenchUsers } from './data/users.ts';
import type { PeerJob } from './peers/run-peer.ts';
import type { SuiteOptions } from './suite-options.ts';
import type { SystemMakers } from './throughput.ts';
import { compare, systemsOf } from './throughput.ts';

export const USERS_TOPIC = 'bench_users';

/** The users as they are preloaded. */
export function usersOf(seed: number, partitions: number, records: number): Preload {
  const users = new BenchUsers(seed);
  const recordAt: Preload['recordAt'] = (index) => users.bytesAt(index);
  return { topic: USERS_TOPIC, partitions, records, dataset: `users-${seed}`, recordAt };
}

/** Servers with the users preloaded. */
export async function clusterWithUsers(options: SuiteOptions, cassandra = false): Promise<BenchCluster> {
  const { records, seed, partitions } = options;
  const cluster = await BenchCluster.start({ cassandra, store: 'real' });
  try {
    await preload(cluster.writer, usersOf(seed, partitions, records));
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

export interface UsersBench {
  readonly cluster: BenchCluster;
  /** What every peer is told. */
  readonly peer: Pick<PeerJob, 'bench' | 'brokers' | 'topic' | 'records' | 'serverPids'>;
  /** Runs and prints those of the systems that were asked for; false when a result was wrong. */
  compare(makers: SystemMakers): Promise<boolean>;
}

/** Servers with the users preloaded, for as long as `run` takes. */
export async function benchOverUsers(
  name: string,
  options: SuiteOptions,
  run: (bench: UsersBench) => Promise<boolean>,
  cassandra = false,
): Promise<boolean> {
  const { records } = options;
  await using cluster = await clusterWithUsers(options, cassandra);
  const { brokers = '', serverPids } = cluster;
  return await run({
    cluster,
    peer: { bench: name, brokers, topic: USERS_TOPIC, records, serverPids },
    compare: async (makers) =>
      await compare({ bench: name, figure: 'recordsPerCpuSecondWarm', ...options }, systemsOf(options, makers)),
  });
}

/** A job's name of a round ends in it. */
export function roundOf(job: string): number {
  return Number(job.slice(job.lastIndexOf('-') + 1));
}

export interface UsersJob {
  readonly name: string;
  readonly query: string;
  readonly sink: string;
  readonly outputMode?: 'append' | 'update';
  /** {@link USERS_TOPIC} unless another one is said. */
  readonly topic?: string;
  /** Further lines of the source. */
  readonly source?: string;
}

/** A job file over the users. */
export function usersJob({
  name,
  query,
  sink,
  outputMode = 'append',
  topic = USERS_TOPIC,
  source = '',
}: UsersJob): string {
  return `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  users:
    connector: kafka
    topic: ${topic}
    startingOffsets: earliest
    schema: >
      id STRING NOT NULL, first_name STRING, last_name STRING, gender STRING, address STRING, post_code INT,
      email STRING, username STRING, dob TIMESTAMP, registered_date TIMESTAMP, phone STRING, picture STRING
${source === '' ? '' : `    ${source}\n`}query: |
  ${query.trim().replaceAll('\n', '\n  ')}
sinks: [${sink}]
outputMode: ${outputMode}
`;
}

/** The main job's projection: twelve columns. */
export const ALL_COLUMNS = `SELECT id, first_name, upper(last_name) AS last_name, gender, address, post_code, email, username,
  dob, registered_date, phone, picture
FROM users WHERE post_code IS NOT NULL`;
