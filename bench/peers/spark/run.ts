/** Spark's Structured Streaming over a topic that lies there: a fresh process each round. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { System } from '../../throughput.ts';
import { warmUpRecords } from '../../run-meter.ts';
import type { PeerJob } from '../run-peer.ts';
import { runPeer } from '../run-peer.ts';
import type { SparkVersion } from './spark.ts';
import { installSpark } from './spark.ts';

const script = fileURLToPath(new URL('job.py', import.meta.url));

/**
 * Two cores, no web page, as many state partitions as cores, state in memory (quicker here than RocksDB), a heap in which
 * collections do not matter.
 */
const conf = {
  'spark.driver.memory': '4g',
  'spark.ui.enabled': 'false',
  'spark.driver.host': '127.0.0.1',
  'spark.driver.bindAddress': '127.0.0.1',
  'spark.sql.shuffle.partitions': '2',
  'spark.sql.session.timeZone': 'UTC',
  'spark.sql.streaming.numRecentProgressUpdates': '100000',
} as const;

/** A million, or so few that the warm-up ends between two triggers. */
function perTrigger(records: number): number {
  return Math.min(1_000_000, Math.ceil(records / 8));
}

/** Arguments of `python`. */
export function sparkArgs(
  jars: readonly string[],
  settings: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
): string[] {
  return [script, JSON.stringify({ ...settings, conf: { ...conf, 'spark.jars': jars.join(','), ...more } })];
}

/** Installs Spark when it is not there. Throws PeerMissing. */
export function sparkSystem(
  spark: SparkVersion,
  job: PeerJob & { readonly conf?: Readonly<Record<string, string>> },
): System {
  const { python, jars } = installSpark(spark);
  const maxOffsetsPerTrigger = perTrigger(job.records);
  return {
    name: spark.name,
    version: `${spark.version}, local[2], Java 17, ${conf['spark.driver.memory']} heap, ${maxOffsetsPerTrigger} records per trigger`,
    warmUp: `process started before each round; warm figures leave out the first ${warmUpRecords(job.records)} records`,
    run: async (index) => {
      await job.prepare?.(index);
      const checkpoint = await mkdtemp(join(tmpdir(), 'weir-bench-spark-'));
      try {
        const { bench, brokers, topic, records } = job;
        const settings = { bench, brokers, topic, records, checkpoint, maxOffsetsPerTrigger, ...job.settings?.(index) };
        return await runPeer(
          `Spark ${spark.version}`,
          python,
          sparkArgs(jars, settings, job.conf),
          job,
          index,
          'asked',
        );
      } finally {
        await rm(checkpoint, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
      }
    },
  };
}
