/** Looks at a topic from outside, with a client that is not ours. */
import kafkajs from 'kafkajs';

const FIRST_WAIT_MS = 60_000;
const SILENCE_MS = 3000;

function kafkaOf(brokers: string): kafkajs.Kafka {
  return new kafkajs.Kafka({ clientId: 'bench-check', brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
}

/** Ends of the partitions, by partition. */
async function endsOf(kafka: kafkajs.Kafka, topic: string): Promise<Map<number, number>> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
  } finally {
    await admin.disconnect();
  }
}

/** Records of a topic that nothing was deleted from and that no transaction wrote to. */
export async function recordsIn(brokers: string, topic: string): Promise<number> {
  const ends = await endsOf(kafkaOf(brokers), topic);
  return [...ends.values()].reduce((sum, end) => sum + end, 0);
}

/** Makes room. */
export async function removeTopic(brokers: string, topic: string): Promise<void> {
  const admin = kafkaOf(brokers).admin();
  await admin.connect();
  try {
    await admin.deleteTopics({ topics: [topic] });
  } finally {
    await admin.disconnect();
  }
}

/**
 * Calls `onRecord` with each record there is at the call, in order within a partition. A topic may end in markers of
 * transactions, which no consumer sees: then it ends `silenceMs` after the last record.
 */
export async function readWholeTopic(
  brokers: string,
  topic: string,
  onRecord: (value: Buffer | null, key: Buffer | null) => void,
  silenceMs = SILENCE_MS,
): Promise<void> {
  const kafka = kafkaOf(brokers);
  const open = new Map([...(await endsOf(kafka, topic))].filter(([, end]) => end > 0));
  if (open.size === 0) return;
  const consumer = kafka.consumer({ groupId: `check-${topic}-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const ended = Promise.withResolvers<void>();
  let timer = setTimeout(() => ended.resolve(), FIRST_WAIT_MS);
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      clearTimeout(timer);
      for (const { value, key } of batch.messages) onRecord(value, key);
      if (Number(batch.lastOffset()) + 1 >= (open.get(batch.partition) ?? 0)) open.delete(batch.partition);
      timer = setTimeout(() => ended.resolve(), open.size === 0 ? 0 : silenceMs);
      await Promise.resolve();
    },
  });
  await ended.promise;
  await consumer.disconnect();
}
