/** What the benches over users share: servers with the users in a topic, and how a Weir job reads them. */
import { BenchCluster } from './cluster.ts';
import { preload } from './data/preload.ts';
import { BenchUsers } from './data/users.ts';
import type { SuiteOptions } from './suite-options.ts';

export const USERS_TOPIC = 'bench_users';

/** Servers with the users preloaded. */
export async function clusterWithUsers(options: SuiteOptions, cassandra = false): Promise<BenchCluster> {
  const { records, seed, partitions } = options;
  const cluster = await BenchCluster.start({ cassandra, store: 'real' });
  try {
    const users = new BenchUsers(seed);
    await preload(cluster.writer, {
      topic: USERS_TOPIC,
      partitions,
      records,
      dataset: `users-${seed}`,
      recordAt: (index) => users.bytesAt(index),
    });
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

export interface UsersJob {
  readonly name: string;
  readonly query: string;
  readonly sink: string;
  readonly outputMode?: 'append' | 'update';
  /** Further lines of the source. */
  readonly source?: string;
}

/** A job file over the users. */
export function usersJob({ name, query, sink, outputMode = 'append', source = '' }: UsersJob): string {
  return `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  users:
    connector: kafka
    topic: ${USERS_TOPIC}
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
