/**
 * Feeds end to end: an API is polled into a topic and the topic into a table, by lanes and by epochs, while workers are
 * killed and the API misbehaves. Real processes on the embedded store.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { Source, TableStore } from '../../core/ports.ts';
import { readLog } from '../../cli/testing/read-log.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import type { TestApi } from '../support/test-api.ts';
import { person, startTestApi } from '../support/test-api.ts';

const head = (name: string): string => `
apiVersion: weir/v1
kind: Job
name: ${name}`;

const people = (url: string, every = '100ms'): string => `
sources:
  people:
    connector: http
    url: ${url}/people
    records: results
    paging: { next: info.next }
    id: login.uuid
    every: ${every}
    schema: >
      login STRUCT<uuid: STRING, username: STRING>, name STRUCT<first: STRING, last: STRING>, email STRING,
      location STRUCT<country: STRING, postcode: INT>, seq INT`;

describe('feeds', () => {
  let cluster: Cluster;
  let api: TestApi;
  let tables: TableStore;
  let logs: Source;
  let connections: ReturnType<typeof makeConnections>;

  before(async () => {
    const [port = 0] = await freePorts(1);
    cluster = await Cluster.create({ WEIR_EMBEDDED: `127.0.0.1:${port}` });
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(
      { WEIR_EMBEDDED: `127.0.0.1:${port}` },
      { clock: systemClock, rng: systemRng, log: noLog },
    );
    tables = connections.tables('cassandra', {});
    logs = connections.source('kafka', {});
    await until('the embedded process answers', 30_000, async () => await tables.describe('a', 'b').then(() => true));
    await cluster.startMaster();
    api = await startTestApi(300);
  });
  after(async () => {
    await api?.close();
    await connections?.close();
    await cluster?.close();
  });

  const count = async (table: string): Promise<number> =>
    Number((await tables.query(`SELECT count(*) FROM feeds.${table}`)).rows[0]?.[0]);

  async function allOnce(topic: string, number: number): Promise<void> {
    const keys = (await readLog(logs, topic, 0)).map(({ key }) => key);
    const expected = Array.from({ length: number }, (_, index) => (person(index)['login'] as { uuid: string }).uuid);
    assert.deepEqual(keys, expected);
  }

  test('an API into a table, while its worker is killed again and again', async () => {
    let worker: Process = await cluster.startWorker();
    await cluster.apply(
      'people',
      `${head('people')}${people(api.url)}
query: SELECT login.uuid AS id, name.first AS first, email, location.country AS country FROM people
sinks:
  - { connector: cassandra, keyspace: feeds, table: people, primaryKey: [id], create: true }
`,
    );
    for (const part of [0.1, 0.4, 0.7]) {
      const asked = api.requests.length;
      await until(
        'some pages were asked for',
        30_000,
        async () => await Promise.resolve(api.requests.length > asked + 30 * part),
      );
      await worker.kill9();
      worker = await cluster.startWorker();
    }
    api.faults.push(
      { status: 500 },
      { status: 200, body: '{"results":' },
      { status: 429, headers: { 'retry-after': '0' } },
    );
    api.people = 330;
    await until('all are there', 60_000, async () => (await count('people')) === 330);
    await allOnce('weir.people.people', 330);
    const view = await cluster.job('people');
    assert.equal(view.row.state, 'running');
    const metrics = await (await fetch(`http://${(await cluster.workers())[0]?.httpAddress}/metrics`)).text();
    assert.match(metrics, /weir_feed_rows_total\{job_name="people",source="people",outcome="appended"\} \d+/);
    await cluster.request('POST', '/v1/jobs/people/stop');
    await worker.stop();
  });

  test('counts by epochs are exact too', async () => {
    let worker: Process = await cluster.startWorker();
    await cluster.apply(
      'countries',
      `${head('countries')}${people(api.url)}
query: SELECT location.country AS country, count(*) AS n FROM people GROUP BY location.country
outputMode: update
sinks:
  - { connector: cassandra, keyspace: feeds, table: countries, primaryKey: [country], create: true }
`,
    );
    await until('it counts', 60_000, async () => (await count('countries')) > 0);
    await worker.kill9();
    worker = await cluster.startWorker();
    const sum = async (): Promise<number> => {
      const { rows } = await tables.query('SELECT n FROM feeds.countries');
      return rows.reduce((total, [n]) => total + Number(n), 0);
    };
    await until('all are counted', 60_000, async () => (await sum()) === 330);
    await allOnce('weir.countries.people', 330);
    // Nothing new comes of further rounds.
    const asked = api.requests.length;
    await until('it was all asked again', 60_000, async () => await Promise.resolve(api.requests.length > asked + 70));
    assert.equal(await sum(), 330);
    await cluster.request('POST', '/v1/jobs/countries/stop');
    await worker.stop();
  });

  test('an API that refuses: the job says why and goes on when it is let in', async () => {
    const worker = await cluster.startWorker();
    api.faults.push({ status: 401 });
    await cluster.apply(
      'refused',
      `${head('refused')}${people(api.url)}
query: SELECT login.uuid AS id FROM people
sinks:
  - { connector: cassandra, keyspace: feeds, table: refused, primaryKey: [id], create: true }
`,
    );
    const reason = async (): Promise<string> => JSON.stringify(await cluster.job('refused'));
    await until('it says so', 30_000, async () => /answered 401: the credentials were refused/.test(await reason()));
    await until('all are there', 60_000, async () => (await count('refused')) === 330);
    await cluster.request('POST', '/v1/jobs/refused/stop');
    await worker.stop();
  });

  test('generated rows', async () => {
    const worker = await cluster.startWorker();
    await cluster.apply(
      'made-up',
      `${head('made-up')}
sources:
  made:
    connector: generator
    rowsPerSecond: 5000
    rows: 2000
    fields: { id: { sequence: { start: 1 } }, kind: { oneOf: [a, b] }, price: { number: { min: 1, max: 9 } } }
    schema: 'id INT NOT NULL, kind STRING, price DOUBLE'
query: SELECT id, kind, price FROM made
sinks:
  - { connector: cassandra, keyspace: feeds, table: made, primaryKey: [id], create: true }
`,
    );
    await until('all are there', 60_000, async () => (await count('made')) === 2000);
    assert.deepEqual(
      (await readLog(logs, 'weir.made-up.made', 0)).map(({ key }) => Number(key)),
      Array.from({ length: 2000 }, (_, index) => index),
    );
    await worker.stop();
  });
});
