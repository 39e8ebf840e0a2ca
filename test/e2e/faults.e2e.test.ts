/**
 * Real processes on real Kafka and Cassandra under load, while everything that can be killed, stopped, cut off or
 * changed is. Afterwards every row must be exactly what the generator says, and while it goes on a reader at QUORUM must
 * never see a key of the latest-row table go back to an older offset.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import cassandra from 'cassandra-driver';
import { CassandraClient, cassandraOptionsFromEnv } from '../../connectors/cassandra/client.ts';
import { must } from '../../core/assert.ts';
import { failpointNames } from '../../core/ports.ts';
import type { Service } from '../services/services.ts';
import { startCassandra, startKafka } from '../services/services.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import { FILTER_MODULUS, addToTotals, defaultGenerator, emptyTotals, expectationOf } from '../support/generator.ts';
import type { Totals } from '../support/generator.ts';
import { Load, endOffsets } from '../support/load.ts';

const PARTITIONS = 4;
const RATE = Number(process.env['WEIR_FAULTS_RATE'] ?? 20_000);
const TOPIC = 'faults';
const JOB = 'faults';
const config = { ...defaultGenerator, seed: 20, keysPerPartition: 50 };
/** Offsets per partition of the raw table. */
const BUCKET = 2000;

const jobFile = (rev: number): string => `
apiVersion: weir/v1
kind: Job
name: ${JOB}
sources:
  events:
    connector: kafka
    topic: ${TOPIC}
    startingOffsets: earliest
    format: json
    schema: 'id STRING NOT NULL, k STRING NOT NULL, g INT, v BIGINT, ts BIGINT'
query: |
  SELECT concat(CAST(partition AS STRING), '-', CAST(offset div ${BUCKET} AS STRING)) AS bucket,
         id, k, partition AS kp, v, offset AS off, ${rev} AS rev
  FROM events WHERE v % ${FILTER_MODULUS} <> 0
sinks:
  - { connector: cassandra, keyspace: faults, table: raw, primaryKey: [[bucket], id], create: true }
  - { connector: cassandra, keyspace: faults, table: latest, primaryKey: [[kp], k], create: true }
`;

describe('exactly once under faults on real Kafka and Cassandra', { timeout: 900_000 }, () => {
  let kafka: Service;
  let store: Service;
  let cluster: Cluster;
  let load: Load;
  let reader: LatestReader;
  const workers: Process[] = [];
  let master: Process;
  const alive = (): Process[] => workers.filter((worker) => worker.alive);

  before(async () => {
    [kafka, store] = await Promise.all([startKafka(), startCassandra()]);
    cluster = await Cluster.create({ KAFKA_BROKERS: kafka.address, CASSANDRA_CONTACT_POINTS: store.address });
    load = new Load({ brokers: kafka.address, topic: TOPIC, partitions: PARTITIONS, recordsPerSecond: RATE, config });
    await load.start();
    master = await cluster.startMaster();
    workers.push(await cluster.startWorker());
    await cluster.apply(JOB, jobFile(1));
    await progress('the first rows', 0);
    reader = new LatestReader(store.address);
    reader.start();
  });

  after(async () => {
    await reader?.close();
    await load?.stop().catch(() => undefined);
    await cluster?.close();
    await Promise.all([kafka?.dispose(), store?.dispose()]);
  });

  /** Waits until records beyond `from` are committed; gives the new count. */
  async function progress(what: string, from: number, limitMs = 60_000): Promise<number> {
    return until(what, limitMs, async () => {
      const read = (await cluster.job(JOB)).counters.read;
      return read > from ? read : undefined;
    });
  }

  async function goesOn(what: string): Promise<void> {
    // While its store was away the master could not hold its lease: it answers once it leads again.
    const { counters } = await until('the master answers', 30_000, () => cluster.job(JOB));
    await progress(`records are committed ${what}`, counters.read + RATE / 2);
  }

  for (const failpoint of failpointNames.filter((name) => name.startsWith('lane.'))) {
    test(`kill -9 at ${failpoint}`, async () => {
      const victim = await cluster.startWorker(`${failpoint}=kill@3`);
      const { signal } = await victim.exited;
      assert.equal(signal, 'SIGKILL');
      assert.match(await victim.log(), new RegExp(`failpoint ${failpoint} kill`));
      await goesOn(`after the kill at ${failpoint}`);
    });
  }

  test('1 → 4 → 2 workers', async () => {
    workers.push(...(await Promise.all([cluster.startWorker(), cluster.startWorker(), cluster.startWorker()])));
    await until('every worker has a lane', 15_000, async () => {
      const owners = new Set(
        (await cluster.job(JOB)).lanes.filter((lane) => lane.state === 'running').map((lane) => lane.owner),
      );
      return owners.size === 4;
    });
    await goesOn('with four workers');
    const [first, second] = alive();
    await Promise.all([first?.stop(), second?.stop()]);
    await goesOn('with two workers');
  });

  test('a worker stopped past its term and continued', async () => {
    const [victim] = alive();
    victim?.signal('SIGSTOP');
    await sleep(7000);
    victim?.signal('SIGCONT');
    await goesOn('after the stop');
  });

  test('the master killed for 20 s: rows keep flowing', async () => {
    await master.kill9();
    const seen = await reader.maxOffset();
    await sleep(20_000);
    const later = await reader.maxOffset();
    assert.ok(later > seen + (RATE / PARTITIONS) * 5, `rows went on from offset ${seen} to ${later} only`);
    master = await cluster.startMaster();
    await goesOn('with the master back');
  });

  test('the job changed under load while a worker is cut off', async () => {
    const [victim] = alive();
    victim?.signal('SIGSTOP');
    await cluster.apply(JOB, jobFile(2));
    await sleep(6000);
    victim?.signal('SIGCONT');
    await until(
      'the new run is running',
      30_000,
      async () => (await cluster.job(JOB)).row.run === 2 && (await cluster.job(JOB)).row.state === 'running',
    );
    await goesOn('in the new run');
  });

  test('Kafka restarted', async () => {
    await kafka.restart();
    await goesOn('after the restart of Kafka');
  });

  test('Cassandra stopped for 20 s', async () => {
    await store.stop();
    await sleep(20_000);
    await store.restart();
    await goesOn('after Cassandra came back');
  });

  test('every row is what the generator says, none is lost or double, and no key ever went back', async () => {
    await load.stop();
    const ends = await endOffsets(kafka.address, TOPIC);
    assert.deepEqual(ends, load.counts, 'the load itself wrote every record once');
    await until('everything is committed', 180_000, async () => {
      const { lanes } = await cluster.job(JOB);
      return lanes.every((lane) => lane.committedOffset === ends[lane.partition]);
    });
    await reader.stop();
    const expected = expectationOf(config, load.counts);
    const client = reader.client;
    const found = await readRaw(client, ends);
    assert.equal(found.rows, expected.ids.size, 'rows in the raw table');
    assert.deepEqual(sorted(found.byKey), sorted(expected.byKey), '(count, sum, xor) per key');
    const latest = await reader.readAll();
    assert.deepEqual(sorted(latest), sorted(expected.lastByKey), 'last offset per key');
    const dead = [...expected.dead.values()].reduce((sum, list) => sum + list.length, 0);
    assert.equal(await countDeadLetters(client, ends), dead, 'dead letters');
    assert.deepEqual(reader.wentBack, [], 'keys that went back');
    assert.ok(reader.reads >= 1000, `only ${reader.reads} reads during the faults`);
    process.stdout.write(
      `${load.total} records, ${found.rows} rows exact, ${reader.reads} reads without a key going back\n`,
    );
  });
});

function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

const strong = { consistency: cassandra.types.consistencies.quorum, fetchSize: 5000 };

/** One connection for everything the test reads. */
class TableReader {
  readonly #client: CassandraClient;

  constructor(address: string) {
    this.#client = new CassandraClient({
      ...must(cassandraOptionsFromEnv({ CASSANDRA_CONTACT_POINTS: address }), () => 'no address'),
    });
  }

  async rows(cql: string, params: readonly unknown[]): Promise<readonly cassandra.types.Row[]> {
    return (await this.#client.execute(cql, params, strong, 'SINK_UNAVAILABLE')).rows;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

/** Reads the latest-row table every 50 ms and remembers the largest offset seen by key. */
class LatestReader {
  readonly client: TableReader;
  readonly wentBack: string[] = [];
  reads = 0;
  readonly #seen = new Map<string, number>();
  readonly #stopped = new AbortController();
  #done: Promise<void> = Promise.resolve();

  constructor(address: string) {
    this.client = new TableReader(address);
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.client.close();
  }

  async maxOffset(): Promise<number> {
    return Math.max(...(await this.readAll()).values());
  }

  async readAll(): Promise<Map<string, number>> {
    const offsets = new Map<string, number>();
    for (let kp = 0; kp < PARTITIONS; kp++) {
      const rows = await this.client.rows('SELECT k, off FROM faults.latest WHERE kp = ?', [kp]);
      for (const row of rows) offsets.set(String(row['k']), Number(row['off']));
    }
    return offsets;
  }

  async #run(): Promise<void> {
    for (let kp = 0; !this.#stopped.signal.aborted; kp = (kp + 1) % PARTITIONS) {
      try {
        const rows = await this.client.rows('SELECT k, off FROM faults.latest WHERE kp = ?', [kp]);
        this.reads++;
        for (const row of rows) this.#look(String(row['k']), Number(row['off']));
      } catch {
        // Cassandra is stopped on purpose for a while; reads that fail are not counted.
      }
      await sleep(50);
    }
  }

  #look(key: string, offset: number): void {
    const before = this.#seen.get(key) ?? -1;
    if (offset < before) this.wentBack.push(`${key}: ${before} → ${offset}`);
    this.#seen.set(key, Math.max(before, offset));
  }
}

async function readRaw(
  client: TableReader,
  ends: readonly number[],
): Promise<{ rows: number; byKey: Map<string, Totals> }> {
  const byKey = new Map<string, Totals>();
  let count = 0;
  for (const [partition, end] of ends.entries()) {
    for (let bucket = 0; bucket * BUCKET < end; bucket++) {
      const rows = await client.rows('SELECT id, k, v FROM faults.raw WHERE bucket = ?', [`${partition}-${bucket}`]);
      for (const row of rows) {
        const totals = byKey.get(String(row['k'])) ?? emptyTotals();
        addToTotals(totals, String(row['id']), Number(row['v']));
        byKey.set(String(row['k']), totals);
        count++;
      }
    }
  }
  return { rows: count, byKey };
}

async function countDeadLetters(client: TableReader, ends: readonly number[]): Promise<number> {
  const offsets = new Set<string>();
  for (const run of [1, 2]) {
    for (const [partition, end] of ends.entries()) {
      for (let bucket = 0; bucket * 65536 < end; bucket++) {
        const query =
          'SELECT offset FROM weir.dead_letters WHERE job = ? AND run = ? AND topic = ? AND partition = ? AND bucket = ?';
        const rows = await client.rows(query, [JOB, run, TOPIC, partition, bucket]);
        for (const row of rows) offsets.add(`${partition}-${String(row['offset'])}`);
      }
    }
  }
  return offsets.size;
}
