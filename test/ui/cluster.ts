/** A small real cluster with known records, for tests of the web page. */
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import type { LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { Cluster, fromSources, until } from '../support/cluster.ts';

export const TOKEN = 'test-token';

/** `where` differs between revisions. */
export function ordersJob(where = 'amount > 0', topic = 'orders', name = 'orders'): string {
  return `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  orders:
    connector: kafka
    topic: ${topic}
    startingOffsets: earliest
    schema: id STRING NOT NULL, customer STRING, amount INT
query: |
  SELECT id, customer, amount
  FROM orders
  WHERE ${where}
sinks:
  - { connector: cassandra, keyspace: shop, table: ${name.replaceAll('-', '_')}, primaryKey: [id], create: true }
`;
}

/** Runs every second, so that a test sees some runs. */
export const nightlyJob = `${ordersJob('amount > 0', 'orders', 'nightly')}trigger: availableNow
schedule: { cron: '* * * * * *' }
`;

export const totalsJob = `apiVersion: weir/v1
kind: Job
name: totals
sources:
  orders:
    connector: kafka
    topic: orders
    startingOffsets: earliest
    schema: id STRING NOT NULL, customer STRING, amount INT
query: |
  SELECT customer, count(*) AS orders, sum(amount) AS amount
  FROM orders
  GROUP BY customer
sinks:
  - { connector: cassandra, keyspace: shop, table: totals, primaryKey: [customer], create: true }
outputMode: update
`;

/** Embedded topics and tables, a master; workers are started by who needs them. */
export class Shop {
  readonly cluster: Cluster;
  readonly #writer: LogWriter;
  readonly #closeConnections: () => Promise<void>;

  private constructor(cluster: Cluster, writer: LogWriter, closeConnections: () => Promise<void>) {
    this.cluster = cluster;
    this.#writer = writer;
    this.#closeConnections = closeConnections;
  }

  /** `command`: of its processes, see {@link Cluster.create}. */
  static async open(command = fromSources): Promise<Shop> {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    const cluster = await Cluster.create(services, 1, command);
    const embedded = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    const writer = connections.logWriter('kafka', {});
    const shop = new Shop(cluster, writer, () => connections.close());
    await until('the embedded process answers', 30_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await shop.createTopic('orders', 4);
      return true;
    });
    await cluster.startMaster();
    return shop;
  }

  get address(): string {
    return this.cluster.address;
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    await this.#writer.createTopic(topic, partitions);
  }

  /** Values as text, all with the same time (ms since 1970). */
  async produce(topic: string, number: number, values: readonly string[], at = Date.now()): Promise<void> {
    const encoder = new TextEncoder();
    for (let from = 0; from < values.length; from += 2000) {
      const records = values
        .slice(from, from + 2000)
        .map((value) => ({ key: null, value: encoder.encode(value), timestampMs: at }));
      const batch = encodeRecordBatch(records);
      const permit = { valid: () => true, check: () => undefined };
      await this.#writer.append([{ topic, partition: partition(number), batch }], permit);
    }
  }

  async close(): Promise<void> {
    await this.#closeConnections();
    await this.cluster.close();
  }
}

/** An order as JSON. */
export function order(id: string, amount: unknown = 5, customer = 'ann'): string {
  return JSON.stringify({ id, customer, amount });
}
