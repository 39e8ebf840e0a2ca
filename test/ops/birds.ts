/** A small real cluster that has work for ever: a job with lanes and one with epochs read the same topic of birds. */
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import type { LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';

/** Of the cluster that test/support starts. */
export const TOKEN = 'test-token';

const PARTITIONS = 4;
const PATIENCE_MS = 120_000;

const source = `sources:
  birds:
    connector: kafka
    topic: birds
    startingOffsets: earliest
    schema: id STRING NOT NULL, species STRING, ts TIMESTAMP NOT NULL`;

/** With filtered records and dead letters. */
const sightings = `apiVersion: weir/v1
kind: Job
name: sightings
${source}
query: |
  SELECT id, upper(species) AS species, ts
  FROM birds
  WHERE species <> 'pigeon'
sinks:
  - { connector: cassandra, keyspace: birds, table: sightings, primaryKey: [id], create: true }
`;

/** With a watermark, late rows and state that is forgotten. */
const perSecond = `apiVersion: weir/v1
kind: Job
name: per-second
${source}
    watermark: { column: ts, delay: 1s }
query: |
  SELECT window.start AS second, species, count(*) AS seen
  FROM birds
  GROUP BY window(ts, '1 second'), species
sinks:
  - { connector: cassandra, keyspace: birds, table: per_second, primaryKey: [species, second], create: true }
outputMode: append
`;

/** With a feed that works and one that cannot. */
const eggs = (refusing: number): string => `apiVersion: weir/v1
kind: Job
name: eggs
sources:
  nests:
    connector: generator
    rowsPerSecond: 20
    fields: { id: { uuid: true }, found: { now: true } }
    schema: id STRING NOT NULL, found TIMESTAMP
  none:
    connector: http
    url: http://127.0.0.1:${refusing}/eggs
    every: 1s
    schema: id STRING NOT NULL, found TIMESTAMP
query: |
  SELECT id, found FROM nests
  UNION ALL
  SELECT id, found FROM none
sinks:
  - { connector: cassandra, keyspace: birds, table: eggs, primaryKey: [id], create: true }
`;

/** With a lookup that fails for some keys, a sink that refuses some rows, and records of another shape now and then. */
const weighed = (port: number): string => `apiVersion: weir/v1
kind: Job
name: weighed
${source}
    onSchemaChange: report
tables:
  weights:
    connector: http
    url: http://127.0.0.1:${port}/weights/{species}
    schema: species STRING, grams DOUBLE
    lookup: { key: [species], ttl: 1s, retries: 0, onError: 'null' }
query: |
  SELECT b.id, b.species, w.grams
  FROM birds b LEFT JOIN weights w ON w.species = b.species
  WHERE b.id LIKE '%-7'
sinks:
  - { connector: webhook, url: 'http://127.0.0.1:${port}/scales', onRejected: deadLetter }
`;

/** Knows weights, but of no heron; takes rows, but of no swift. */
async function startScales(): Promise<Server> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const species = /^\/weights\/(\w+)$/.exec(request.url ?? '')?.[1];
      if (species === undefined) response.statusCode = body.includes('swift') ? 422 : 204;
      else if (species === 'heron') response.statusCode = 503;
      else response.setHeader('content-type', 'application/json').write(JSON.stringify({ species, grams: 9.5 }));
      response.end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}

export class Birds {
  readonly cluster: Cluster;
  #scales: Server | null = null;
  readonly #services: { readonly WEIR_EMBEDDED: string };
  readonly #stopping = new AbortController();
  #produced: Promise<void> = Promise.resolve();

  private constructor(cluster: Cluster, services: { readonly WEIR_EMBEDDED: string }) {
    this.cluster = cluster;
    this.#services = services;
  }

  /** Nothing runs yet. */
  static async create(): Promise<Birds> {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    return new Birds(await Cluster.create(services), services);
  }

  /** Starts the embedded process and a master, then both jobs; records come at once. Workers are the caller's to start. */
  async start(): Promise<void> {
    const embedded = this.cluster.spawn('embedded', [
      'embedded',
      '--port',
      this.#services.WEIR_EMBEDDED.split(':')[1] ?? '',
    ]);
    const connections = makeConnections(this.#services, { clock: systemClock, rng: systemRng, log: noLog });
    const writer = connections.logWriter('kafka', {});
    await until('the embedded process answers', 30_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await writer.createTopic('birds', PARTITIONS);
      return true;
    });
    this.#produced = (async () => {
      try {
        await this.#produce(writer);
      } finally {
        await connections.close();
      }
    })();
    await this.cluster.startMaster();
    const [refusing = 0] = await freePorts(1);
    await this.#apply('sightings', sightings);
    await this.#apply('per-second', perSecond);
    await this.#apply('eggs', eggs(refusing));
    this.#scales = await startScales();
    await this.#apply('weighed', weighed((this.#scales.address() as AddressInfo).port));
  }

  /** A worker; resolves when the master has it. */
  async startWorker(): Promise<Process> {
    const count = async (): Promise<number> =>
      (await this.cluster.workers()).filter(({ state }) => state === 'alive').length;
    const before = await until('the master answers', PATIENCE_MS, async () => ({ count: await count() }));
    const worker = await this.cluster.startWorker('', false);
    await until('a worker joins', PATIENCE_MS, async () => {
      if (!worker.alive) throw new Error(await worker.log());
      return (await count()) > before.count;
    });
    return worker;
  }

  /** On a machine that has too much to do, a master may lose its lease for a moment. */
  async #apply(name: string, yaml: string): Promise<void> {
    await until(`job ${name} is taken`, PATIENCE_MS, async () => {
      await this.cluster.apply(name, yaml);
      return true;
    });
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#produced.catch(() => undefined);
    await this.cluster.close();
    this.#scales?.close();
  }

  /** Some 200 records a second, of which some are filtered, some are not JSON and some come late. */
  async #produce(writer: LogWriter): Promise<void> {
    const species = ['wren', 'pigeon', 'heron', 'swift'];
    const encoder = new TextEncoder();
    const permit = { valid: () => true, check: () => undefined };
    for (let number = 0; !this.#stopping.signal.aborted; number++) {
      const now = Date.now();
      const bird = (id: string, ts: number): string =>
        JSON.stringify({
          id,
          species: species[number % species.length],
          ts: new Date(ts).toISOString(),
          ...(number % 20 === 0 ? { ringed: true } : {}),
        });
      const values = Array.from({ length: 20 }, (_, index) => bird(`${number}-${index}`, now));
      if (number % 5 === 0) values.push('no JSON', bird(`late-${number}`, now - 60_000));
      const batch = encodeRecordBatch(
        values.map((value) => ({ key: null, value: encoder.encode(value), timestampMs: now })),
      );
      await writer.append([{ topic: 'birds', partition: partition(number % PARTITIONS), batch }], permit);
      await sleep(100);
    }
  }
}
