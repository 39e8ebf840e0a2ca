/** Kafka Streams: one process with a thread per core, compiled from Job.java against the jars of Maven Central. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { System } from '../../throughput.ts';
import { warmUpRecords } from '../../run-meter.ts';
import { installed, mavenJars, runOrMissing } from '../install.ts';
import type { PeerJob } from '../run-peer.ts';
import { runPeer } from '../run-peer.ts';

const VERSION = '4.3.1';
const source = fileURLToPath(new URL('Job.java', import.meta.url));

/** Fetches and compiles what is missing; arguments of `java`. Throws PeerMissing. */
export function kafkaStreamsCommand(settings: Readonly<Record<string, string>>): readonly string[] {
  const jars = join(
    mavenJars(`kafka-streams-${VERSION}`, [
      `org.apache.kafka:kafka-streams:${VERSION}`,
      'com.fasterxml.jackson.core:jackson-databind:2.19.2',
      'org.slf4j:slf4j-nop:1.7.36',
    ]),
    'lib',
  );
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  const classes = installed(`kafka-streams-job-${hash}`, (scratch) => {
    mkdirSync(scratch, { recursive: true });
    runOrMissing('Kafka Streams', 'javac', ['-nowarn', '-cp', join(jars, '*'), '-d', scratch, source]);
  });
  const args = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return ['-Xmx2g', '-cp', `${join(jars, '*')}:${classes}`, 'Job', ...args];
}

/** Throws PeerMissing. */
export function kafkaStreamsSystem(job: PeerJob): System {
  kafkaStreamsCommand({});
  return {
    name: 'kafka-streams',
    version: `${VERSION}, 2 threads, Java 17, 2g heap, at least once, state in memory with changelog`,
    warmUp: `process started before each round; warm figures leave out the first ${warmUpRecords(job.records)} records`,
    run: async (index) => {
      await job.prepare?.(index);
      const state = await mkdtemp(join(tmpdir(), 'weir-bench-streams-'));
      try {
        const { bench, brokers, topic, records } = job;
        const more = Object.entries(job.settings?.(index) ?? {}).map(([name, value]) => [name, String(value)] as const);
        const settings = {
          bench,
          brokers,
          topic,
          records: String(records),
          state,
          application: `bench-${bench}-${index}-${process.pid}`,
          ...Object.fromEntries(more),
        };
        const answers = bench === 'count' ? 'checked' : 'done';
        return await runPeer('Kafka Streams', 'java', kafkaStreamsCommand(settings), job, index, answers);
      } finally {
        await rm(state, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
      }
    },
  };
}
