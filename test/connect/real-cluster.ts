/** A cluster on real Kafka and real Cassandra, for pipelines: no embedded part. */
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { LogWriter, Source, TableStore } from '../../core/ports.ts';
import { noLog } from '../conformance/no-log.ts';
import type { Service } from '../services/services.ts';
import { startCassandra, startKafka } from '../services/services.ts';
import { Cluster } from '../support/cluster.ts';
import { appendJson } from './append-json.ts';

export class RealCluster {
  readonly cluster: Cluster;
  readonly kafka: Service;
  readonly cassandra: Service;
  readonly tables: TableStore;
  readonly logs: Source;
  readonly #writer: LogWriter;
  readonly #close: () => Promise<void>;

  private constructor(cluster: Cluster, kafka: Service, cassandra: Service, env: Readonly<Record<string, string>>) {
    const connections = makeConnections(env, { clock: systemClock, rng: systemRng, log: noLog });
    this.cluster = cluster;
    this.kafka = kafka;
    this.cassandra = cassandra;
    this.tables = connections.tables('cassandra', {});
    this.logs = connections.source('kafka', {});
    this.#writer = connections.logWriter('kafka', {});
    this.#close = async () => {
      await connections.close();
      await cluster.close();
      await Promise.all([kafka.dispose(), cassandra.dispose()]);
    };
  }

  /** A master and no worker. `env`: more for all processes. */
  static async open(env: Readonly<Record<string, string>> = {}): Promise<RealCluster> {
    const [kafka, cassandra] = await Promise.all([startKafka(), startCassandra()]);
    const services = { ...env, KAFKA_BROKERS: kafka.address, CASSANDRA_CONTACT_POINTS: cassandra.address };
    const opened = new RealCluster(await Cluster.create(services), kafka, cassandra, services);
    try {
      await opened.cluster.startMaster();
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    await this.#writer.createTopic(topic, partitions);
  }

  /** JSON documents, spread over the partitions in turns of a batch. */
  async produce(topic: string, partitions: number, values: readonly unknown[]): Promise<void> {
    await appendJson(this.#writer, topic, partitions, values);
  }

  /** Ends every process of it. */
  async close(): Promise<void> {
    await this.#close();
  }
}
