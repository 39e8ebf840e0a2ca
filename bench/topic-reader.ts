/** Reads a topic from its beginning until nothing more comes. */
import kafkajs from 'kafkajs';

const FIRST_WAIT_MS = 20_000;
const SILENCE_MS = 3000;

/** Calls `onRecord` with each record, in order within a partition. Ends `silenceMs` after the last one. */
export async function readWholeTopic(
  brokers: string,
  topic: string,
  onRecord: (value: Buffer | null, key: Buffer | null) => void,
  silenceMs = SILENCE_MS,
): Promise<void> {
  const kafka = new kafkajs.Kafka({ clientId: 'bench-check', brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING });
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
      timer = setTimeout(() => ended.resolve(), silenceMs);
      await Promise.resolve();
    },
  });
  await ended.promise;
  await consumer.disconnect();
}
