/**
 * What a topic of the cluster holds, read by Kafka's own tools in a container of their own: nobody's group, each partition
 * from offset 0 to the end that was listed before. Every offset in between must come, or reading throws; so a record that is
 * not found is not there.
 */
import assert from 'node:assert/strict';
import { command } from './docker.ts';

const BROKER = 'kafka:19092';
/** A record has to come within this time, ms. */
const PATIENCE_MS = 60_000;

/** How the tools reach the broker. */
export interface TopicPlace {
  /** Docker network of the project. */
  readonly network: string;
  /** Image of Kafka. */
  readonly image: string;
}

/** A record, without its value. */
export interface TopicKey {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
}

/** The offset behind the last record, by partition. Throws: Error with the tool's words. */
export async function endOffsets(place: TopicPlace, topic: string): Promise<ReadonlyMap<number, number>> {
  const output = await kafkaTool(place, `kafka-get-offsets.sh --bootstrap-server ${BROKER} --topic ${topic}`);
  const lines = output.split('\n').filter((line) => line.startsWith(`${topic}:`));
  assert.ok(lines.length > 0, `no partition of ${topic} in: ${output}`);
  return new Map(
    lines.map((line) => {
      const [, partition, offset] = line.split(':');
      return [Number(partition), Number(offset)];
    }),
  );
}

/** Keys of all records before `ends`, from topics without transactions. Throws: Error when an offset does not come. */
export async function readKeys(
  place: TopicPlace,
  topic: string,
  ends: ReadonlyMap<number, number>,
): Promise<readonly TopicKey[]> {
  const keys: TopicKey[] = [];
  for (const [partition, end] of ends) {
    if (end === 0) continue;
    const output = await kafkaTool(
      place,
      `kafka-console-consumer.sh --bootstrap-server ${BROKER} --topic ${topic} --partition ${partition} --offset 0 ` +
        `--max-messages ${end} --timeout-ms ${PATIENCE_MS} ` +
        '--property print.offset=true --property print.key=true --property print.value=false',
    );
    let next = 0;
    for (const line of output.split('\n')) {
      const [, offset, key] = /^Offset:(\d+)\t(.*)$/.exec(line) ?? [];
      if (offset === undefined || key === undefined) continue;
      assert.equal(Number(offset), next, `the record after offset ${next - 1} of ${topic}/${partition}`);
      keys.push({ partition, offset: next, key });
      next += 1;
    }
    assert.equal(next, end, `the end of what was read of ${topic}/${partition}`);
  }
  return keys;
}

/** Standard output of one of the tools. Throws: Error with its words when it failed. */
async function kafkaTool({ network, image }: TopicPlace, line: string): Promise<string> {
  const tool = ['--entrypoint', '/bin/bash', image, '-c', `/opt/kafka/bin/${line}`];
  const limits = ['--memory', '400m', '--env', 'KAFKA_HEAP_OPTS=-Xmx128m', '--cap-drop', 'ALL'];
  const { code, stdout, stderr } = await command('docker', ['run', '--rm', '--network', network, ...limits, ...tool]);
  if (code !== 0) throw new Error(`${line} ended with ${code}: ${stderr.slice(-2000)}`);
  return stdout;
}
