/** The contract suites of Source and LogWriter on real Kafka. */
import { Kafka, logLevel } from 'kafkajs';
import { exclusiveWriterContract } from '../../test/conformance/exclusive-writer.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { logWriterContract } from '../../test/conformance/log-writer.ts';
import type { LogFixture } from '../../test/conformance/source.ts';
import { sourceContract } from '../../test/conformance/source.ts';
import { globalServices } from '../../test/services/services.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { KafkaLogWriter } from './kafka-log-writer.ts';
import { KafkaSource } from './kafka-source.ts';

const services = globalServices();

async function fixture(): Promise<LogFixture> {
  const { address } = await services.kafka();
  const brokers = address.split(',');
  const parts = { clock: systemClock, rng: systemRng, log: noLog };
  const options = { brokers, clientId: 'weir-test' };
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const source = new KafkaSource(options, parts);
  const writer = new KafkaLogWriter(options, parts);
  return {
    source,
    writer,
    deleteTopic: (topic) => admin.deleteTopics({ topics: [topic] }),
    deleteRecords: async (topic, partition, before) => {
      // Makes the admin client learn where the topic is, which deleting alone does not.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
    },
    close: async () => {
      await Promise.all([source.close(), writer.close(), admin.disconnect()]);
    },
  };
}

sourceContract('Kafka', fixture);
logWriterContract('Kafka', fixture);
exclusiveWriterContract('Kafka', fixture);
