/**
 * Jobs with lookups on real processes: the example of docs/connectors/lookups.md as it stands there, a service that goes
 * down, and workers killed at every point of a batch, and of an epoch, while the table outside changes.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Testbed } from '../connect/testbed.ts';
import type { Process } from '../support/cluster.ts';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';

/** Users by id; version by version, so that a row tells which answer it was made of. */
class UserService {
  readonly #server: Server;
  readonly asked = new Map<string, number>();
  /** Status of every answer; 200 = rows. */
  status = 200;
  answered = 0;
  authorization: string | undefined;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.answered++;
      this.authorization = request.headers.authorization;
      const id = Number(request.url?.split('/').at(-1));
      if (this.status !== 200) return void response.writeHead(this.status).end();
      if (id % 10 === 9) return void response.writeHead(404).end();
      const version = (this.asked.get(String(id)) ?? 0) + 1;
      this.asked.set(String(id), version);
      // Of one answer: equal in every row that is not a mixture. Both cells win a tie in turn.
      const even = version % 2 === 0;
      const name = `${even ? 'b' : 'a'}${version}`;
      const country = `${even ? 'a' : 'b'}${version}`;
      response.end(JSON.stringify({ id, name, country, unknown: [1] }));
    });
  }

  static async start(): Promise<UserService> {
    const service = new UserService();
    await once(service.#server.listen(0, '127.0.0.1'), 'listening');
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe('lookups', { timeout: 900_000 }, () => {
  let bed: Testbed;
  let service: UserService;
  let worker: Process;
  before(async () => {
    process.env['WEIR_SECRET_API'] = 'sesame';
    service = await UserService.start();
    bed = await Testbed.open();
    worker = await bed.cluster.startWorker();
  });
  after(async () => {
    delete process.env['WEIR_SECRET_API'];
    await bed?.close();
    service?.close();
  });

  const rows = async (cql: string): Promise<readonly (readonly unknown[])[]> => (await bed.tables.query(cql)).rows;
  const clicks = (from: number, to: number): object[] =>
    Array.from({ length: to - from }, (_, index) => ({
      id: `c${from + index}`,
      user_id: (from + index) % 50,
      page: '/',
      at: '2024-05-01T00:00:00Z',
    }));

  test('the example of the page', async () => {
    await bed.createTopic('clicks', 1);
    await bed.produce('clicks', 1, [...clicks(0, 20), { id: 'none', page: '/', at: null }]);
    await bed.cluster.apply(
      'clicks-with-users',
      docJob('clicks-with-users').replace('https://api.example.com', service.url),
    );
    await bed.taken('clicks-with-users', 21);
    await until('the rows are there', 30_000, async () => {
      const [[count] = []] = await rows('SELECT count(*) FROM web.clicks');
      return Number(count) === 21;
    });
    assert.deepEqual(await rows("SELECT name, country FROM web.clicks WHERE id = 'c3'"), [['a1', 'b1']]);
    assert.deepEqual(await rows("SELECT name, country FROM web.clicks WHERE id = 'c9'"), [[null, '?']]);
    assert.deepEqual(await rows("SELECT name, country FROM web.clicks WHERE id = 'none'"), [[null, '?']]);
    assert.equal(service.authorization, 'Bearer sesame');
  });

  test('a service that is down blocks the lane; it goes on when the service does', async () => {
    service.status = 503;
    const job = docJob('clicks-with-users')
      .replaceAll('clicks-with-users', 'waiting')
      .replace('table: clicks', 'table: waiting')
      .replace('https://api.example.com', service.url)
      .replace('inFlight: 16', 'retries: 1');
    await bed.cluster.apply('waiting', job);
    const blocked = await until('the lane is blocked', 30_000, async () => {
      const { lanes } = await bed.cluster.job('waiting');
      return lanes.find(({ state }) => state === 'blocked');
    });
    assert.equal(blocked.code, 'LOOKUP_UNAVAILABLE');
    assert.match(blocked.message ?? '', /lookup users .*answered 503.*the job waits until it does/);
    service.status = 200;
    await bed.taken('waiting', 21);
  });

  test('wrong credentials fail the job at once, and name it', async () => {
    service.status = 401;
    const job = docJob('clicks-with-users')
      .replaceAll('clicks-with-users', 'refused')
      .replace('table: clicks', 'table: refused')
      .replace('https://api.example.com', service.url);
    await bed.cluster.apply('refused', job);
    const { row } = await until('the job failed', 30_000, async () => {
      const view = await bed.cluster.job('refused');
      return view.row.state === 'failed' && view;
    });
    assert.equal(row.reason?.code, 'UNAUTHORIZED');
    service.status = 200;
  });

  test('workers killed at every point: every record once, every row of one answer', async () => {
    const records = 4000;
    await bed.createTopic('many', 2);
    const job = docJob('clicks-with-users')
      .replaceAll('clicks-with-users', 'killed')
      .replace('topic: clicks', 'topic: many')
      .replace('table: clicks', 'table: killed')
      .replace('https://api.example.com', service.url)
      .replace('ttl: 1m', 'ttl: 0s');
    await bed.cluster.apply('killed', job);
    const points = ['lane.afterParse', 'lane.midWrite', 'lane.beforeCommit', 'lane.afterCommit'];
    await worker.kill9();
    let made = 0;
    for (const point of points) {
      // The only one there is: every lane is its own.
      const dying = await bed.cluster.startWorker(`${point}=kill@2`);
      await bed.produce('many', 2, clicks(made, (made += records / points.length)));
      await until(`a worker died at ${point}`, 60_000, () => Promise.resolve(!dying.alive));
    }
    await bed.cluster.startWorker();
    await bed.taken('killed', records, 120_000);
    await until('every row is there', 60_000, async () => {
      const [[count] = []] = await rows('SELECT count(*) FROM web.killed');
      return Number(count) === records;
    });
    const { counters } = await bed.cluster.job('killed');
    assert.deepEqual([counters.read, counters.passed, counters.filtered, counters.dead], [records, records, 0, 0]);
    for (const [id, name, country] of await rows('SELECT id, name, country FROM web.killed')) {
      if (Number(String(id).slice(1)) % 10 === 9) assert.deepEqual([name, country], [null, '?']);
      else assert.equal(String(name).slice(1), String(country).slice(1), `${String(id)} is a mixture of two answers`);
    }
  });

  test('before an aggregation: workers killed at every point of an epoch, every record once with one answer', async () => {
    await bed.createTopic('orders', 2);
    const job = docJob('spending-by-country')
      .replace(
        /connector: cassandra\n    keyspace: shop\n    table: customers/,
        `connector: http\n    url: ${service.url}/{id}`,
      )
      .replace('name STRING NOT NULL, country STRING', 'name STRING, country STRING')
      .replace('ttl: 5m', 'ttl: 0s, missTtl: 0s')
      // `a` and `b` in turn: who asks twice for one record counts it for the other one. Every worker has groups of some.
      .replaceAll("coalesce(c.country, '?')", "coalesce(concat(c.id, substr(c.country, 1, 1)), '?')");
    await bed.cluster.apply('spending-by-country', job);
    let all = 0;
    for (const point of [
      'epoch.afterFetch',
      'epoch.midExchange',
      'epoch.afterFold',
      'epoch.midWrite',
      'epoch.afterDone',
    ]) {
      const dying = await bed.cluster.startWorker(`${point}=kill@3`);
      await until(`a worker died at ${point}`, 60_000, async () => {
        // Two batches: every partition has some, and so has every worker.
        const orders = Array.from({ length: 400 }, (_, index) => {
          return { id: `${all + index}`, customer: String(index % 50), amount: 1, at: '2024-05-01T12:00:00Z' };
        });
        all += orders.length;
        await bed.produce('orders', 2, orders);
        return !dying.alive;
      });
    }
    await bed.taken('spending-by-country', all, 120_000);
    const counts = (): Promise<readonly (readonly unknown[])[]> =>
      rows('SELECT country, orders, amount FROM shop.spending_by_country');
    await until('the counts are there', 60_000, async () => {
      return (await counts()).reduce((sum, [, orders]) => sum + Number(orders), 0) === all;
    });
    for (const [country, orders, amount] of await counts()) {
      assert.equal(Number(amount), Number(orders));
      if (country === '?') assert.equal(Number(orders), all / 10, 'of every tenth the service knows nothing');
    }
    const { counters } = await bed.cluster.job('spending-by-country');
    assert.deepEqual([counters.read, counters.passed, counters.dead], [all, all, 0]);
  });
});
