/** A sink that takes its time: workers measure how long rows wait for it, and the page names it as what the job waits for. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { JobView, OperatorView } from '../../master/views.ts';
import { limitsOf } from '../../ui/model/limits.ts';
import { Shop, order } from '../ui/cluster.ts';
import { until } from '../support/cluster.ts';

const RECORDS = 20_000;
/** So that all rows take minutes: the test looks while they wait. */
const ANSWER_MS = 200;

const jobOf = (name: string, query: string, url: string): string => `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  orders:
    connector: kafka
    topic: orders
    startingOffsets: earliest
    schema: id STRING NOT NULL, customer STRING, amount INT
query: ${query}
outputMode: ${query.includes('GROUP BY') ? 'update' : 'append'}
sinks:
  - { connector: webhook, url: '${url}', batchRows: 50 }
`;

describe('a slow sink', { timeout: 180_000 }, () => {
  const slow = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.writeHead(204).end(), ANSWER_MS);
  });
  let shop: Shop;
  let url: string;
  before(async () => {
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}/`;
    shop = await Shop.open();
    await shop.cluster.startWorker();
    const ids = Array.from({ length: RECORDS }, (_, index) => String(index));
    await shop.produce(
      'orders',
      0,
      ids.map((id) => order(id)),
    );
  });
  after(async () => {
    await shop?.close();
    slow.closeAllConnections();
    slow.close();
  });

  const operator = ({ operators }: JobView, id: string): OperatorView | undefined =>
    operators.find((one) => one.id === id);

  for (const [name, query] of [
    ['lanes', 'SELECT id, amount FROM orders'],
    ['epochs', 'SELECT id, count(*) AS n FROM orders GROUP BY id'],
  ] as const) {
    test(`${name}: rows wait for it nearly all of the time, its threads rest, and it is named`, async () => {
      await shop.cluster.apply(name, jobOf(name, query, url));
      const view = await until('the sink is named', 60_000, async () => {
        const now = await shop.cluster.job(name);
        const [sink, stage] = [operator(now, 'sink0'), operator(now, 'stage0')];
        if ((sink?.busyRatio ?? 0) < 0.9) throw new Error(JSON.stringify(now.operators));
        assert.ok((stage?.busyRatio ?? 0) < 0.5, 'threads have nothing to do meanwhile');
        const workers = await shop.cluster.workers();
        const found = limitsOf({ view: now, workers, lagTrend: 0, plan: null, progress: [] });
        if (!found.some(({ title }) => title === 'A sink is what this job waits for.'))
          throw new Error(JSON.stringify([now.lag, found]));
        return now;
      });
      assert.equal(view.protocol, name);
      await shop.cluster.request('POST', `/v1/jobs/${name}/cancel`);
    });
  }
});
