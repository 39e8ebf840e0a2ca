/** What a reader that is not Weir's sees of a topic of Kafka: its own console consumer, with read_committed. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { LogWriter, Source } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { always } from '../conformance/source.ts';
import { javaCommand, jars } from '../services/jars.ts';
import { kafkaJars } from '../services/services.ts';
import { until } from './cluster.ts';

/** For one read, ms. */
const PATIENCE_MS = 120_000;
/** The topic's cluster, as Weir reaches it. */
export interface LogEnds {
  readonly source: Source;
  readonly writer: LogWriter;
}

const MARK = 'end of what is read: ';

/**
 * Values of all committed records that the topic holds now, each partition's in its order. A mark is appended to every
 * partition, so that the consumer is known to have come to the end: reads of one topic leave their marks in it.
 */
export async function readCommitted(brokers: string, topic: string, log: LogEnds): Promise<string[]> {
  await untilDecided(log.source, topic);
  const lib = await jars(...kafkaJars);
  const mark = `${MARK}${randomUUID()}`;
  const { partitions } = await log.source.describe(topic);
  const batch = encodeRecordBatch([{ key: null, value: new TextEncoder().encode(mark), timestampMs: 0 }]);
  for (const partition of partitions) await log.writer.append([{ topic, partition, batch }], always);
  const args = [
    '-XX:TieredStopAtLevel=1',
    '-Xmx128m',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
    '-cp',
    join(lib, '*'),
  ];
  const options = ['--bootstrap-server', brokers, '--topic', topic, '--from-beginning'];
  // A consumer that is taken for dead begins from the start again: on a machine that has too much to do it may seem so.
  const isolation = ['--isolation-level', 'read_committed', '--consumer-property', 'session.timeout.ms=300000'];
  const child = spawn(
    javaCommand("Kafka's consumer"),
    [...args, 'org.apache.kafka.tools.consumer.ConsoleConsumer', ...options, ...isolation],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const patience = setTimeout(() => child.kill(), PATIENCE_MS);
  const values: string[] = [];
  let marks = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === mark) marks++;
    else if (!line.startsWith(MARK)) values.push(line);
    if (marks === partitions.length) child.kill();
  }
  clearTimeout(patience);
  if (marks < partitions.length) throw new Error(`Kafka's consumer did not come to the end of ${topic}`);
  return values;
}

/** Resolves when every transaction in the topic is decided and its markers stand in the log. */
export async function untilDecided(source: Source, topic: string): Promise<void> {
  const description = await source.describe(topic);
  const reader = source.open(description);
  try {
    for (const partition of description.partitions) {
      await until(`${topic}/${partition} is decided`, 60_000, async () => {
        const offset = (await source.offsets(topic, [partition], 'latest')).get(partition);
        if (offset === undefined) return false;
        const fetched = await reader.fetch({ partition, offset, maxBytes: 1024, maxWaitMs: 0 });
        return fetched.lastStableOffset === fetched.highWatermark;
      });
    }
  } finally {
    await reader.close();
  }
}
