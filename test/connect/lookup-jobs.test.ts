/**
 * The jobs of docs/connectors/lookups.md that look up in databases, as the page shows them, on real Kafka, Cassandra and
 * PostgreSQL: what comes out, over a worker that is killed and a database that crashes, stands still and lets nobody in.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CassandraClient } from '../../connectors/cassandra/client.ts';
import type { LaneView } from '../../master/views.ts';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { PostgresServer } from './postgres-server.ts';
import { RealCluster } from './real-cluster.ts';

const PARTITIONS = 2;
/** So many customers are known, and as many again order. */
const KNOWN = 40;
const ORDERS = 1200;

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe('jobs with lookups in databases', { timeout: 1_800_000 }, () => {
  let real: RealCluster;
  let postgres: PostgresServer;
  before(async () => {
    postgres = await PostgresServer.start();
    process.env['WEIR_SECRET_PG'] = 'guessed';
    real = await RealCluster.open({ POSTGRES_URL: postgres.url });
  });
  after(async () => {
    delete process.env['WEIR_SECRET_PG'];
    await real?.close();
    await postgres?.dispose();
  });

  const taken = async (job: string, records: number): Promise<void> => {
    await until(`${job} takes ${records} records`, 120_000, async () => {
      const { counters, row } = await real.cluster.job(job);
      if (row.state === 'failed') throw new Error(JSON.stringify(row.reason));
      return counters.read >= records;
    });
  };
  const blocked = (job: string): Promise<LaneView> =>
    until(`${job} is blocked`, 90_000, async () => {
      const { lanes } = await real.cluster.job(job);
      return lanes.find(({ state, code }) => state === 'blocked' && code === 'LOOKUP_UNAVAILABLE');
    });

  test('Cassandra: orders of customers who are known, each once, over a worker that is killed', async () => {
    const client = new CassandraClient({ contactPoints: real.cassandra.address.split(','), replicationFactor: 1 });
    const driver = await client.driver('SINK_UNAVAILABLE');
    await driver.execute(
      "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    );
    await driver.execute('CREATE TABLE shop.customers (id text PRIMARY KEY, name text, country text)');
    for (const id of numbers(0, KNOWN))
      await driver.execute(`INSERT INTO shop.customers (id, name, country) VALUES ('c${id}', 'Customer ${id}', 'NO')`);
    await client.close();

    const orders = numbers(0, ORDERS).map((id) => {
      return { id: `o${id}`, customer: `c${id % (2 * KNOWN)}`, amount: id + 0.25, at: '2024-05-01T00:00:00Z' };
    });
    await real.createTopic('orders', PARTITIONS);
    await real.produce('orders', PARTITIONS, orders);
    const victim = await real.cluster.startWorker('lane.midWrite=kill@1');
    await real.cluster.apply('orders-with-customers', docJob('orders-with-customers'));
    await until('the worker died', 90_000, () => Promise.resolve(!victim.alive));
    const worker = await real.cluster.startWorker();
    await taken('orders-with-customers', ORDERS);
    const { rows } = await real.tables.query(
      'SELECT id, amount, customer, country FROM shop.orders_with_customers LIMIT 5000',
    );
    const expected = numbers(0, ORDERS)
      .filter((id) => id % (2 * KNOWN) < KNOWN)
      .map((id) => [`o${id}`, `${id}.25`, `Customer ${id % (2 * KNOWN)}`, 'NO']);
    assert.deepEqual(rows.toSorted(byFirst), expected.toSorted(byFirst));
    const { counters } = await real.cluster.job('orders-with-customers');
    const counted = [counters.read, counters.passed, counters.filtered, counters.dead];
    assert.deepEqual(counted, [ORDERS, ORDERS / 2, ORDERS / 2, 0]);
    await real.cluster.request('POST', '/v1/jobs/orders-with-customers/stop');
    await worker.stop();
  });

  // ------------------------------------------------------------------------------------------ PostgreSQL

  /** Readings of ten devices; of every second one the room is known. */
  const readings = (device: number, celsius: number): object[] =>
    numbers(device, device + 10).map((each) => ({ site: 'oslo', device: each, celsius, at: '2024-05-01T00:00:00Z' }));
  const written = async (): Promise<unknown[][]> => {
    const rows = await postgres.query('SELECT device, celsius, room, too_hot FROM plant.readings ORDER BY device');
    return rows.map((row) => [row['device'], row['celsius'], row['room'], row['too_hot']]);
  };
  const expectedRows = (to: number): unknown[][] =>
    numbers(0, to).map((device) =>
      device % 2 === 0 ? [device, 50, `room ${device}`, true] : [device, 50, null, null],
    );

  test('PostgreSQL: a key of two columns; a server that crashes or stands still delays rows and loses none', async () => {
    await postgres.query(`CREATE SCHEMA plant;
      CREATE TABLE plant.devices (site text, device integer, room text NOT NULL, celsius_max double precision,
        PRIMARY KEY (site, device));
      INSERT INTO plant.devices SELECT 'oslo', n, 'room ' || n, 40 FROM generate_series(0, 100, 2) AS n`);
    await real.createTopic('device_readings', 1);
    await real.produce('device_readings', 1, readings(0, 50));
    await real.cluster.startWorker();
    await real.cluster.apply('readings-with-devices', docJob('readings-with-devices').replace('5s', '500ms'));
    await taken('readings-with-devices', 10);
    assert.deepEqual(await written(), expectedRows(10));

    await postgres.crash();
    await real.produce('device_readings', 1, readings(10, 50));
    const down = await blocked('readings-with-devices');
    assert.match(
      down.message ?? '',
      /lookup devices \(.*plant\.devices.*does not answer.*the job waits until it does/s,
    );
    await postgres.restart();
    await taken('readings-with-devices', 20);
    assert.deepEqual(await written(), expectedRows(20));

    postgres.pause();
    await real.produce('device_readings', 1, readings(20, 50));
    const slow = await blocked('readings-with-devices');
    assert.match(slow.message ?? '', /did not answer within 500 ms/);
    postgres.resume();
    await taken('readings-with-devices', 30);
    assert.deepEqual(await written(), expectedRows(30));
  });

  test('PostgreSQL: a wrong password fails the job at once, and says which table', async () => {
    const url = postgres.url.replace('weir-test', '${env:WEIR_SECRET_PG}');
    const job = docJob('readings-with-devices')
      .replaceAll('readings-with-devices', 'locked-out')
      .replace('table: plant.devices', `table: plant.devices\n    url: '${url}'`)
      .replace('plant.readings', 'plant.locked_out');
    await real.cluster.apply('locked-out', job);
    const { row } = await until('the job failed', 60_000, async () => {
      const view = await real.cluster.job('locked-out');
      return view.row.state === 'failed' && view;
    });
    assert.equal(row.reason?.code, 'UNAUTHORIZED');
    assert.match(row.reason?.message ?? '', /table plant\.devices: PostgreSQL says: password authentication failed/);
  });
});

function byFirst(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}
