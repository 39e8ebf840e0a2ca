/**
 * Makes the checkpoints of cli/spark/testdata anew: `node test/support/spark/make-checkpoints.ts`. Runs Spark 4.2.0 and
 * 3.5.7 against a Kafka of its own; about three minutes.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SparkVersion } from '../../../bench/peers/spark/spark.ts';
import { spark35, spark4 } from '../../../bench/peers/spark/spark.ts';
import { startKafka } from '../../services/services.ts';
import { createTopic, sendValues } from '../load.ts';
import type { SparkQuery } from './run-query.ts';
import { runSparkQuery } from './run-query.ts';

const testdata = fileURLToPath(new URL('../../../cli/spark/testdata/', import.meta.url));
/** State on disk, ids of state in commits, names of sources in offsets: what newer versions are moving to. */
const formats2 = {
  'spark.sql.streaming.stateStore.checkpointFormatVersion': '2',
  'spark.sql.streaming.stateStore.providerClass':
    'org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider',
  'spark.sql.streaming.offsetLog.formatVersion': '2',
};

/** A user every five seconds of event time. */
export function users(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => {
    const at = new Date(Date.UTC(2024, 4, 1, 12, 0, (from + index) * 5)).toISOString();
    return JSON.stringify({ id: `user-${from + index}`, at });
  });
}

async function make(
  spark: SparkVersion,
  name: string,
  kind: SparkQuery['kind'],
  brokers: string,
  conf: Readonly<Record<string, string>> = {},
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'weir-checkpoints-'));
  const topic = `${name}-${spark.version}`;
  const other = `${topic}-b`;
  await createTopic(brokers, topic, 2);
  await sendValues(brokers, topic, users(25));
  await createTopic(brokers, other, 1);
  await sendValues(brokers, other, users(4, 100));
  const [checkpoint, input] = [join(scratch, 'checkpoint'), join(scratch, 'in')];
  await mkdir(input);
  await writeFile(join(input, 'users.json'), users(3).join('\n'));
  await runSparkQuery(spark, { kind, brokers, topic, other, input, checkpoint, output: join(scratch, 'out'), conf });
  const target = join(testdata, `spark-${spark.version}`, name);
  await rm(target, { recursive: true, force: true });
  for (const part of ['metadata', 'offsets', 'commits', 'sources'])
    // Without the checksums that Hadoop puts beside every file.
    await cp(join(checkpoint, part), join(target, part), {
      recursive: true,
      filter: (path) => !basename(path).startsWith('.'),
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  await rm(scratch, { recursive: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kafka = await startKafka();
  try {
    for (const spark of [spark4, spark35])
      for (const kind of ['project', 'window', 'fails', 'union', 'files'] as const)
        await make(spark, kind, kind, kafka.address);
    await make(spark4, 'window-v2', 'window', kafka.address, formats2);
  } finally {
    await kafka.dispose();
  }
}
