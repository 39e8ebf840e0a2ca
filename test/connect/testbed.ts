/** A cluster on embedded topics for tests of connectors: master and workers as processes, records by the thousand. */
import assert from 'node:assert/strict';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { LogWriter, Source, TableStore } from '../../core/ports.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { ClusterServices, Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import { appendJson } from './append-json.ts';

export class Testbed {
  readonly cluster: Cluster;
  readonly tables: TableStore;
  readonly logs: Source;
  readonly #writer: LogWriter;
  readonly #close: () => Promise<void>;

  private constructor(cluster: Cluster, connections: ReturnType<typeof makeConnections>) {
    this.cluster = cluster;
    this.tables = connections.tables('cassandra', {});
    this.logs = connections.source('kafka', {});
    this.#writer = connections.logWriter('kafka', {});
    this.#close = () => connections.close();
  }

  /** A master and no worker. `env`: more for all processes. */
  static async open(env: Readonly<Record<string, string>> = {}): Promise<Testbed> {
    const [port = 0] = await freePorts(1);
    const services: ClusterServices = { ...env, WEIR_EMBEDDED: `127.0.0.1:${port}` };
    const cluster = await Cluster.create(services);
    const embedded = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections({ ...services }, { clock: systemClock, rng: systemRng, log: noLog });
    const bed = new Testbed(cluster, connections);
    try {
      await until('the embedded process answers', 30_000, async () => {
        if (!embedded.alive) throw new Error(await embedded.log());
        await bed.createTopic('ready', 1);
        return true;
      });
      await cluster.startMaster();
    } catch (error) {
      await bed.close();
      throw error;
    }
    return bed;
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    await this.#writer.createTopic(topic, partitions);
  }

  /** JSON documents, spread over the partitions in turns of a batch. */
  async produce(topic: string, partitions: number, values: readonly unknown[], at = Date.now()): Promise<void> {
    await appendJson(this.#writer, topic, partitions, values, at);
  }

  /** Until the job has taken so many records. */
  async taken(job: string, records: number, limitMs = 60_000): Promise<void> {
    await until(`${job} takes ${records} records`, limitMs, async () => {
      const { counters, row } = await this.cluster.job(job);
      assert.notEqual(row.state, 'failed', JSON.stringify(row.reason));
      return counters.read >= records;
    });
  }

  /** Kills a worker at once and starts another. */
  async replace(worker: Process, failpoints = ''): Promise<Process> {
    await worker.kill9();
    return await this.cluster.startWorker(failpoints);
  }

  async close(keep = false): Promise<void> {
    await this.#close();
    await this.cluster.close(keep);
  }
}
