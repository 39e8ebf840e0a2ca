/**
 * PostgreSQL as a sink, on a real server: rows and position in one transaction, by lanes and by epochs, while workers are
 * killed at every point of a batch's life and the server goes away.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { failpointNames } from '../../core/ports.ts';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { PostgresServer } from './postgres-server.ts';
import { Testbed } from './testbed.ts';

const head = (name: string): string => `apiVersion: weir/v1
kind: Job
name: ${name}
`;

const orders = (topic: string, ...more: string[]): string => `sources:
  orders:
    connector: kafka
    topic: ${topic}
    startingOffsets: earliest
    schema: 'id INT NOT NULL, customer STRING, amount DECIMAL(12,2), at TIMESTAMP, tags ARRAY<STRING>'
${more.map((line) => `    ${line}\n`).join('')}`;

interface Order {
  readonly id: number;
  readonly customer: string;
  readonly amount: number;
  readonly at: string;
  readonly tags: readonly string[];
}

function someOrders(from: number, to: number): Order[] {
  return Array.from({ length: to - from }, (_, index) => {
    const id = from + index;
    const at = new Date(Date.UTC(2024, 4, 1) + id * 1000).toISOString();
    return { id, customer: `c${id % 17}`, amount: (id % 1000) + 0.25, at, tags: ['a', `t${id % 3}`] };
  });
}

describe('PostgreSQL sink', { timeout: 1_800_000 }, () => {
  let server: PostgresServer;
  let bed: Testbed;

  before(async () => {
    server = await PostgresServer.start();
    bed = await Testbed.open({ POSTGRES_URL: server.url });
  });

  after(async () => {
    await bed?.close();
    await server?.dispose();
  });

  const count = async (table: string): Promise<number> =>
    Number((await server.query(`SELECT count(*) AS n FROM ${table}`))[0]?.['n'] ?? 0);

  test('the example of its page', async () => {
    await bed.createTopic('orders', 1);
    await bed.produce('orders', 1, [...someOrders(0, 20), { ...someOrders(3, 4)[0], customer: 'changed' }]);
    const worker = await bed.cluster.startWorker();
    await bed.cluster.apply('orders-to-postgres', docJob('orders-to-postgres'));
    await until('all orders are there', 60_000, async () => (await count('shop.orders')) === 20);
    await bed.taken('orders-to-postgres', 21);
    const [row] = await server.query('SELECT customer, amount::text, at, tags FROM shop.orders WHERE id = 3');
    const expected = { customer: 'changed', amount: '3.25', at: new Date('2024-05-01T00:00:03Z'), tags: ['a', 't0'] };
    assert.deepEqual(row, expected);
    await bed.cluster.request('POST', '/v1/jobs/orders-to-postgres/stop');
    await worker.stop();
  });

  test('appends exactly once by lanes while workers are killed', async () => {
    await bed.createTopic('appended', 3);
    await bed.produce('appended', 3, someOrders(0, 3000));
    await bed.cluster.apply(
      'appended',
      `${head('appended')}${orders('appended')}query: SELECT id, customer, amount, at, tags FROM orders WHERE id % 10 <> 0
sinks:
  - { connector: postgres, table: shop.appended, create: true }
`,
    );
    let produced = 3000;
    for (const failpoint of failpointNames.filter((name) => name.startsWith('lane.'))) {
      const victim = await bed.cluster.startWorker(`${failpoint}=kill@3`, false);
      for (; victim.alive; produced += 600) {
        await bed.produce('appended', 3, someOrders(produced, produced + 600));
        await sleep(50);
      }
      assert.match(await victim.log(), new RegExp(`failpoint ${failpoint} kill`));
    }
    const worker = await bed.cluster.startWorker('', false);
    await bed.taken('appended', produced, 180_000);
    await until('every row is there', 30_000, async () => (await count('shop.appended')) >= produced * 0.9);
    await sleep(500);
    const [row] = await server.query(
      `SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(amount) AS amount, min(at) AS first FROM shop.appended`,
    );
    const expected = someOrders(0, produced).filter(({ id }) => id % 10 !== 0);
    assert.equal(Number(row?.['n']), expected.length);
    assert.equal(Number(row?.['ids']), expected.length);
    assert.equal(row?.['amount'], (expected.reduce((sum, { amount }) => sum + amount * 100, 0) / 100).toFixed(2));
    assert.deepEqual(row?.['first'], new Date(expected[0]?.at ?? ''));
    const tags = await server.query(`SELECT tags FROM shop.appended WHERE id = 1`);
    assert.deepEqual(tags, [{ tags: ['a', 't1'] }]);
    await bed.cluster.request('POST', '/v1/jobs/appended/stop');
    await worker.stop();
  });
});
