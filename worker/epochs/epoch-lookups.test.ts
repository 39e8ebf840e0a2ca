/**
 * Lookups in jobs with state. The table outside says something else every time it is asked for a key: whatever is
 * asked twice for one record shows in the result.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, test } from 'node:test';
import { must } from '../../core/assert.ts';
import { jobText } from '../../engine/epoch/test-run.ts';
import type { Attempted } from './test-cluster.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

/** Countries of users: `v1` the first time that somebody asks for the user, then `v0` and `v1` in turn. */
class Countries {
  readonly #server: Server;
  readonly #asked = new Map<string, number>();
  /** Of every answer; 200 = a row. */
  status = 200;

  private constructor() {
    this.#server = createServer(({ url = '' }, response) => {
      if (this.status !== 200) return void response.writeHead(this.status).end();
      const id = url.slice(1);
      const times = (this.#asked.get(id) ?? 0) + 1;
      this.#asked.set(id, times);
      response.end(JSON.stringify({ id: Number(id), country: `v${times % 2}` }));
    });
  }

  static async start(): Promise<Countries> {
    const countries = new Countries();
    await once(countries.#server.listen(0, '127.0.0.1'), 'listening');
    return countries;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/{id}`;
  }

  /** How often the user was asked for most. */
  get most(): number {
    return Math.max(...this.#asked.values());
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const SOURCES = { ev: 'id BIGINT, ts TIMESTAMP' };
const COUNTS = 'SELECT country, n FROM app.counts';

function job(url: string, lookup: object = {}, query?: string): string {
  return jobText(
    query ?? 'SELECT u.country, count(*) AS n FROM ev e JOIN users u ON u.id = e.id GROUP BY u.country',
    SOURCES,
    {
      outputMode: 'update',
      tables: {
        users: {
          connector: 'http',
          url,
          schema: 'id BIGINT, country STRING',
          lookup: { key: ['id'], ttl: '0s', missTtl: '0s', retries: 0, ...lookup },
        },
      },
      sinks: [{ connector: 'cassandra', keyspace: 'app', table: 'counts', primaryKey: ['country'], create: true }],
    },
  );
}

const USERS = 40;

/** Each user once, those of a partition in it alone. */
async function feed(cluster: TestCluster): Promise<void> {
  for (const partition of [0, 1]) {
    const rows = Array.from({ length: USERS }, (_, index) => ({
      id: partition * 100 + index,
      ts: '2024-05-01T00:00:00Z',
    }));
    await cluster.append('ev', partition, rows);
  }
}

async function withCluster(
  names: readonly string[],
  body: (cluster: TestCluster, countries: Countries) => Promise<void>,
  lookup: object = {},
  query?: string,
): Promise<void> {
  const countries = await Countries.start();
  try {
    const cluster = await TestCluster.start(job(countries.url, lookup, query));
    try {
      for (const name of names) cluster.addWorker(name);
      await cluster.use(names);
      await body(cluster, countries);
    } finally {
      await cluster.close();
    }
  } finally {
    countries.close();
  }
}

async function finish(cluster: TestCluster, attempted: Attempted): Promise<void> {
  cluster.order(attempted);
  await cluster.mapped(attempted);
  await cluster.commit(attempted.plan, await cluster.done(attempted));
}

async function counted(cluster: TestCluster): Promise<number> {
  return (await cluster.rows(COUNTS)).reduce((sum, [, n]) => sum + Number(n), 0);
}

suite('lookups before an aggregation', () => {
  test('rows are counted by what was looked up, epoch by epoch', () =>
    withCluster(['a', 'b'], async (cluster) => {
      await feed(cluster);
      await cluster.step();
      assert.deepEqual(await cluster.rows(COUNTS), [['v1', 80]]);
      await feed(cluster);
      await cluster.step();
      assert.deepEqual(await cluster.rows(COUNTS), [
        ['v0', 80],
        ['v1', 80],
      ]);
      assert.deepEqual(cluster.troubles(), []);
    }));

  for (const point of ['epoch.midExchange', 'epoch.afterMap', 'epoch.afterFold'] as const) {
    test(`another attempt, after a worker died at ${point}, counts what the first one was told`, () =>
      withCluster(['a', 'b'], async (cluster, countries) => {
        await feed(cluster);
        const plan = await cluster.planNext();
        const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const b = must(cluster.workers.get('b'), () => 'no worker b');
        b.failpoints.set(point, () => {
          reached.resolve();
          return released.promise;
        });
        cluster.order({ plan, attempt: 0 });
        await reached.promise;
        // Nobody hears of it any more; it goes on when the epoch has long been committed.
        await b.transport.close();
        cluster.workers.delete('b');
        cluster.addWorker('c');
        await cluster.use(['a', 'c']);
        await finish(cluster, { plan, attempt: 1 });
        assert.deepEqual(await cluster.rows(COUNTS), [['v1', 80]]);
        released.resolve();
        await b.runner.close('it was gone');
        assert.deepEqual(await cluster.rows(COUNTS), [['v1', 80]]);
        assert.equal(countries.most, 1, 'nobody was asked again');
        await feed(cluster);
        await cluster.step();
        await feed(cluster);
        await cluster.step();
        assert.equal(await counted(cluster), 3 * 80, 'every record once');
      }));
  }

  test('a new owner folds again what the former one was told, and asks nobody', () =>
    withCluster(['a', 'b'], async (cluster, countries) => {
      for (let round = 0; round < 2; round++) {
        await feed(cluster);
        await cluster.step(round === 0 ? 'all' : 'no');
      }
      assert.equal(countries.most, 2);
      await cluster.kill('b');
      cluster.addWorker('c');
      await cluster.use(['a', 'c']);
      assert.equal(countries.most, 2, 'a replay asks nobody');
      for (let round = 0; round < 2; round++) {
        await feed(cluster);
        await cluster.step();
      }
      assert.deepEqual(await cluster.rows(COUNTS), [
        ['v0', 160],
        ['v1', 160],
      ]);
    }));

  test('answers of a committed epoch that are gone stop the replay: asking again would count otherwise', () =>
    withCluster(['a', 'b'], async (cluster) => {
      await feed(cluster);
      const plan = await cluster.planNext();
      await finish(cluster, { plan, attempt: 0 });
      const definition = cluster.plan.stages.flatMap((stage) =>
        stage.kind === 'map' && stage.lookups !== undefined ? [stage.lookups.definition] : [],
      );
      const ids = Object.keys(plan.ranges).map((lane) => `test/lookup/${definition[0]}/${plan.epochTsUs}/${lane}`);
      assert.equal(ids.length, 2);
      await cluster.connections.blobs().delete(ids);
      await cluster.kill('b');
      cluster.addWorker('c');
      await assert.rejects(
        cluster.use(['a', 'c']),
        /STATE_DAMAGED job test: answers of the committed epoch .* are gone/,
      );
    }));

  test('while the place is away the attempt waits and says so; then it goes on by itself', () =>
    withCluster(['a', 'b'], async (cluster, countries) => {
      await feed(cluster);
      countries.status = 503;
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await waitFor('a worker to say what it waits for', () =>
        cluster.troubles().some(({ code, retry }) => code === 'LOOKUP_UNAVAILABLE' && retry),
      );
      countries.status = 200;
      await waitFor('the epoch to be done', () =>
        [...cluster.workers.values()].every(({ reports }) => reports.some(({ done }) => done?.attempt === 0)),
      );
      const reports = [...cluster.workers.values()].flatMap(({ reports: of }) => of);
      await cluster.commit(
        plan,
        reports.flatMap(({ done }) => done ?? []),
      );
      assert.equal(await counted(cluster), 80);
    }));

  test('records of keys that nobody answers for are dead letters, and those are the same in every attempt', () =>
    withCluster(
      ['a'],
      async (cluster, countries) => {
        await feed(cluster);
        countries.status = 500;
        const plan = await cluster.planNext();
        cluster.order({ plan, attempt: 0 });
        await cluster.done({ plan, attempt: 0 });
        countries.status = 200;
        await finish(cluster, { plan, attempt: 1 });
        const { read, passed, dead } = cluster.head.counters;
        assert.deepEqual([read, passed, dead], [80, 0, 80]);
        const letters = await cluster.rows('SELECT code, place FROM weir.dead_letters');
        assert.equal(letters.length, 80);
        assert.deepEqual(letters[0], ['LOOKUP_FAILED', 'users']);
      },
      { onError: 'deadLetter' },
    ));

  test('a table that two branches join is asked once for a key', () =>
    withCluster(
      ['a'],
      async (cluster, countries) => {
        await feed(cluster);
        await cluster.step();
        assert.deepEqual(await cluster.rows(COUNTS), [['v1', 160]]);
        assert.equal(countries.most, 1);
      },
      {},
      `SELECT country, count(*) AS n FROM
         (SELECT u.country FROM ev e JOIN users u ON u.id = e.id
          UNION ALL SELECT u.country FROM ev e LEFT JOIN users u ON u.id = e.id)
       GROUP BY country`,
    ));
});
