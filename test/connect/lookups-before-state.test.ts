/**
 * The job of docs/connectors/lookups.md that counts by what it looked up, on real Kafka and Cassandra, while rows of the
 * table change and workers are killed: every order once, and a replay is told what the first attempt was told.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'cassandra-driver';
import { CassandraClient } from '../../connectors/cassandra/client.ts';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { RealCluster } from './real-cluster.ts';

const CUSTOMERS = 40;
/** They are known; of the others nobody knows anything. */
const KNOWN = 30;

interface Counted {
  readonly orders: number;
  readonly amount: number;
}

describe('lookups before an aggregation, with real servers', { timeout: 1_800_000 }, () => {
  let real: RealCluster;
  let client: CassandraClient;
  let cassandra: Client;
  let made = 0;
  before(async () => {
    real = await RealCluster.open();
    client = new CassandraClient({ contactPoints: real.cassandra.address.split(','), replicationFactor: 1 });
    cassandra = await client.driver('SINK_UNAVAILABLE');
    await cassandra.execute(
      "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    );
    await cassandra.execute('CREATE TABLE shop.customers (id text PRIMARY KEY, name text, country text)');
  });
  after(async () => {
    await client?.close();
    await real?.close();
  });

  const move = async (country: string, from = 0, to = KNOWN): Promise<void> => {
    for (let id = from; id < to; id++) {
      const cql = `INSERT INTO shop.customers (id, name, country) VALUES ('c${id}', 'C', '${country}')`;
      await until(`customer ${id} moves`, 60_000, async () => {
        await cassandra.execute(cql);
        return true;
      });
    }
  };
  /** Each customer in turn orders for 2. */
  const order = async (topic: string, count: number, partitions = 1): Promise<void> => {
    const orders = Array.from({ length: count }, () => {
      const id = made++;
      return { id: `o${id}`, customer: `c${id % CUSTOMERS}`, amount: 2, at: '2024-05-01T12:00:00Z' };
    });
    await real.produce(topic, partitions, orders);
  };
  const job = (name: string): string =>
    docJob('spending-by-country')
      .replaceAll('spending-by-country', name)
      .replace('topic: orders', `topic: ${name}`)
      .replace('table: spending_by_country', `table: ${name}`)
      .replace('ttl: 5m', 'ttl: 0s, missTtl: 0s');
  const counted = async (table: string): Promise<ReadonlyMap<string, Counted>> => {
    const { rows } = await real.tables.query(`SELECT country, orders, amount FROM shop.${table}`);
    return new Map(
      rows.map(([country, orders, amount]) => [String(country), { orders: Number(orders), amount: Number(amount) }]),
    );
  };
  const sumIs = async (table: string, orders: number): Promise<void> => {
    await until(`${orders} orders are counted`, 120_000, async () => {
      const { row } = await real.cluster.job(table);
      assert.notEqual(row.state, 'failed', JSON.stringify(row.reason));
      return [...(await counted(table)).values()].reduce((sum, each) => sum + each.orders, 0) === orders;
    });
  };
  const kept = async (name: string): Promise<string[]> => {
    const { rows } = await cassandra.execute('SELECT DISTINCT id FROM weir.blob');
    return rows.map((row) => String(row['id'])).filter((id) => id.startsWith(`${name}/lookup/`));
  };

  test('what the first attempt was told counts, whatever the table says when another worker goes on', async () => {
    await move('NO');
    await real.createTopic('moving', 1);
    await order('moving', 200);
    const dying = await real.cluster.startWorker('epoch.afterFold=kill@1');
    await real.cluster.apply('moving', job('moving'));
    await until('the worker died', 90_000, () => Promise.resolve(!dying.alive));
    assert.ok((await kept('moving')).length > 0, 'what it was told outlives it');
    assert.equal((await counted('moving')).size, 0, 'nothing was written yet');

    await move('SE');
    const next = await real.cluster.startWorker();
    await sumIs('moving', 200);
    assert.deepEqual(
      await counted('moving'),
      new Map([
        ['?', { orders: 50, amount: 100 }],
        ['NO', { orders: 150, amount: 300 }],
      ]),
    );

    // The epoch is committed. Who folds it again sees it in state alone, and shows it with the next order of a country.
    await next.kill9();
    await move('DK', 0, 20);
    await move('NO', 20, KNOWN);
    const last = await real.cluster.startWorker();
    await order('moving', CUSTOMERS);
    await sumIs('moving', 200 + CUSTOMERS);
    assert.deepEqual(
      await counted('moving'),
      new Map([
        ['?', { orders: 60, amount: 120 }],
        ['NO', { orders: 160, amount: 320 }],
        ['DK', { orders: 20, amount: 40 }],
      ]),
    );
    await real.cluster.request('POST', '/v1/jobs/moving/stop');
    await last.kill9();
  });

  test('workers killed at every point of an epoch while customers move all the time: every order once', async () => {
    const points = [
      'epoch.afterFetch',
      'epoch.afterMap',
      'epoch.midExchange',
      'epoch.afterFold',
      'epoch.midWrite',
      'epoch.afterAck',
      'epoch.afterDone',
      'epoch.midSnapshot',
    ];
    await real.cluster.startWorker();
    await real.createTopic('restless', 2);
    await real.cluster.apply('restless', job('restless'));
    const first = made;
    let moving = true;
    const mover = (async () => {
      for (let round = 0; moving; round++) await move(`x${round % 7}`, 0, KNOWN);
    })();
    try {
      for (const point of points) {
        const dying = await real.cluster.startWorker(`${point}=kill@3`);
        await until(`a worker died at ${point}`, 180_000, async () => {
          // Two batches: every partition has some, and so has every worker.
          await order('restless', 400, 2);
          await sleep(300);
          if (!dying.alive) return true;
          const { row, lanes } = await real.cluster.job('restless');
          throw new Error(`${row.state}: ${JSON.stringify([row.reason, lanes])}`);
        });
      }
    } finally {
      moving = false;
      await mover;
    }
    const all = made - first;
    await sumIs('restless', all);
    const counts = await counted('restless');
    for (const { orders, amount } of counts.values()) assert.equal(amount, 2 * orders);
    assert.ok(counts.size > 3, `customers moved while they ordered: ${[...counts.keys()].join(', ')}`);
    const unknown = Array.from({ length: all }, (_, index) => (first + index) % CUSTOMERS).filter((id) => id >= KNOWN);
    assert.equal(counts.get('?')?.orders, unknown.length, 'the rows of those who are not known never changed');
    const { counters } = await real.cluster.job('restless');
    assert.deepEqual([counters.read, counters.passed, counters.dead], [all, all, 0]);
  });
});
