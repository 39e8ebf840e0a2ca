/**
 * Executions of stateful jobs on feeds: all that is there is fetched, folded and written, and the job ends, while its
 * workers and its master are killed. Real processes on the embedded store.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readLog } from '../../cli/testing/read-log.ts';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { Source, TableStore } from '../../core/ports.ts';
import type { RunsDocument } from '../../master/schedules.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import type { TestApi } from '../support/test-api.ts';
import { person, startTestApi } from '../support/test-api.ts';

const PEOPLE = 300;

describe('executions of stateful jobs on feeds', () => {
  let cluster: Cluster;
  let api: TestApi;
  let tables: TableStore;
  let logs: Source;
  let directory: string;
  let connections: ReturnType<typeof makeConnections>;

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    directory = await mkdtemp(join(tmpdir(), 'weir-executions-'));
    await mkdir(join(directory, 'sales'));
    process.env['WEIR_FILES_DIR'] = directory;
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    tables = connections.tables('cassandra', {});
    logs = connections.source('kafka', {});
    await until('the embedded process answers', 60_000, async () => await tables.describe('a', 'b').then(() => true));
    await cluster.startMaster();
    api = await startTestApi(PEOPLE);
  });
  after(async () => {
    delete process.env['WEIR_FILES_DIR'];
    await api?.close();
    await connections?.close();
    await cluster?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const state = async (name: string): Promise<string> => (await cluster.job(name)).row.state;
  const finished = (name: string): Promise<boolean> =>
    until(`${name} is finished`, 120_000, async () => {
      const { row } = await cluster.job(name);
      assert.notEqual(row.state, 'failed', JSON.stringify(row.reason));
      return row.state === 'finished';
    });
  const rows = async (cql: string): Promise<(readonly unknown[])[]> =>
    [...(await tables.query(cql)).rows].sort((a, b) => String(a[0]).localeCompare(String(b[0])));

  test('an API, counted: exact though the workers and the master are killed', async () => {
    const died = async (worker: Process): Promise<void> => {
      await worker.exited;
    };
    const asked = (more: number): Promise<unknown> => {
      const before = api.requests.length;
      return until('pages were asked for', 60_000, () => Promise.resolve(api.requests.length >= before + more));
    };
    const first = await cluster.startWorker();
    await cluster.apply(
      'countries',
      `
apiVersion: weir/v1
kind: Job
name: countries
sources:
  people:
    connector: http
    url: ${api.url}/people
    records: results
    paging: { next: info.next }
    id: login.uuid
    schema: 'login STRUCT<uuid: STRING>, location STRUCT<country: STRING>, seq BIGINT'
query: SELECT location.country AS country, count(*) AS n, sum(seq) AS seqs FROM people GROUP BY location.country
outputMode: update
trigger: availableNow
sinks:
  - { connector: cassandra, keyspace: runs, table: countries, primaryKey: [country], create: true }
`,
    );
    // While it fetches.
    await asked(4);
    await first.kill9();
    assert.deepEqual(await rows('SELECT country, n FROM runs.countries'), []);
    // While it fetches again, the master with it.
    const second = await cluster.startWorker();
    await asked(4);
    await Promise.all([cluster.process('master').kill9(), second.kill9()]);
    await cluster.startMaster();
    // Rows of the one epoch are on their way; then all are there and nobody knows.
    for (const failpoints of ['epoch.midWrite=kill', 'epoch.afterAck=kill'])
      await died(await cluster.startWorker(failpoints));
    const last = await cluster.startWorker();
    await finished('countries');

    const expected = (people: number): unknown[][] => {
      const counts = new Map<string, { n: number; seqs: number }>();
      for (let seq = 0; seq < people; seq++) {
        const { country } = person(seq)['location'] as { country: string };
        const { n, seqs } = counts.get(country) ?? { n: 0, seqs: 0 };
        counts.set(country, { n: n + 1, seqs: seqs + seq });
      }
      return [...counts].sort().map(([country, { n, seqs }]) => [country, String(n), String(seqs)]);
    };
    const table = async (): Promise<unknown[][]> =>
      (await rows('SELECT country, n, seqs FROM runs.countries')).map((row) => row.map(String));
    assert.deepEqual(await table(), expected(PEOPLE));
    const keys = async (): Promise<(string | null)[]> =>
      (await readLog(logs, 'weir.countries.people', 0)).map(({ key }) => key);
    assert.equal((await keys()).length, PEOPLE);
    assert.equal(new Set(await keys()).size, PEOPLE);

    // What comes later is not for this execution, and is added by the next one.
    api.people = PEOPLE + 30;
    await systemClock.sleep(300);
    assert.equal((await keys()).length, PEOPLE);
    await cluster.request('POST', '/v1/jobs/countries/start');
    await until('it is started', 30_000, async () => (await keys()).length > PEOPLE);
    await finished('countries');
    assert.deepEqual(await table(), expected(PEOPLE + 30));
    await last.stop();
  });

  test('a place that does not let in: the execution waits and says why', async () => {
    const worker = await cluster.startWorker();
    api.faults.push({ status: 401 });
    await cluster.apply(
      'refused',
      `
apiVersion: weir/v1
kind: Job
name: refused
sources:
  people:
    connector: http
    url: ${api.url}/people
    records: results
    paging: { next: info.next }
    schema: 'seq BIGINT'
query: SELECT seq % 2 AS odd, count(*) AS n FROM people GROUP BY seq % 2
outputMode: update
trigger: availableNow
sinks:
  - { connector: cassandra, keyspace: runs, table: refused, primaryKey: [odd], create: true }
`,
    );
    await until('it says so', 30_000, async () =>
      /answered 401: the credentials were refused/.test(JSON.stringify((await cluster.job('refused')).row.reason)),
    );
    assert.notEqual(await state('refused'), 'finished');
    await finished('refused');
    await worker.stop();
  });

  test('files of a directory, by a schedule, as in docs/connectors/feeds.md', async () => {
    const worker = await cluster.startWorker();
    const sales = (name: string, lines: readonly string[]): Promise<void> =>
      writeFile(join(directory, 'sales', name), `${['product,amount', ...lines].join('\n')}\n`);
    await sales('monday.csv', ['tea,3.50', 'tea,3.50', 'cake,12.00']);
    await sales('tuesday.csv', ['coffee,4.20', 'tea,3.60']);
    const text = docJob('sales-by-product').replace("cron: '0 * * * *'", "cron: '*/2 * * * * *'");
    await cluster.apply('sales-by-product', text);
    const table = async (): Promise<unknown[][]> =>
      (await rows('SELECT product, sold, amount FROM shop.sales_by_product')).map((row) => row.map(String));
    await until('a run has written', 60_000, async () => (await table()).length === 3);
    assert.deepEqual(await table(), [
      ['cake', '1', '12.00'],
      ['coffee', '1', '4.20'],
      ['tea', '3', '10.60'],
    ]);
    await sales('wednesday.csv', ['cake,12.00', 'cake,13.00']);
    await appendFile(join(directory, 'sales', 'monday.csv'), 'tea,0.40\n');
    await until('a later run has', 60_000, async () => (await table()).some(([, sold]) => sold === '4'));
    assert.deepEqual(await table(), [
      ['cake', '3', '37.00'],
      ['coffee', '1', '4.20'],
      ['tea', '4', '11.00'],
    ]);
    const states = async (): Promise<string[]> => {
      const document = (await cluster.request('GET', '/v1/jobs/sales-by-product/runs')) as RunsDocument;
      return document.runs.map(({ state: of }) => of);
    };
    const succeeded = async (): Promise<boolean> => (await states()).filter((of) => of === 'succeeded').length >= 2;
    await until('both runs have succeeded', 60_000, succeeded);
    assert.ok(!(await states()).includes('failed'));
    await cluster.request('POST', '/v1/jobs/sales-by-product/stop');
    await worker.stop();
  });
});
