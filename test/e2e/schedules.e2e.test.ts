/**
 * A job with a schedule fetches an API again and again: runs, their history over a change of masters, retries. Real
 * processes on the embedded store.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { TableStore } from '../../core/ports.ts';
import type { RunsDocument } from '../../master/schedules.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import type { TestApi } from '../support/test-api.ts';
import { startTestApi } from '../support/test-api.ts';

describe('schedules', () => {
  let cluster: Cluster;
  let master: Process;
  let worker: Process;
  let api: TestApi;
  let tables: TableStore;
  let connections: ReturnType<typeof makeConnections>;

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    tables = connections.tables('cassandra', {});
    await until('the embedded process answers', 30_000, async () => await tables.describe('a', 'b').then(() => true));
    master = await cluster.startMaster();
    worker = await cluster.startWorker();
    api = await startTestApi(25);
  });
  after(async () => {
    await api?.close();
    await connections?.close();
    await cluster?.close();
  });

  const runs = async (): Promise<RunsDocument> =>
    (await cluster.request('GET', '/v1/jobs/people/runs')) as RunsDocument;
  const count = async (): Promise<number> =>
    Number((await tables.query('SELECT count(*) FROM schedules.people')).rows[0]?.[0]);
  const succeeded = async (): Promise<number> =>
    (await runs()).runs.filter(({ state }) => state === 'succeeded').length;

  test('runs at its times, fetches what there is each time, and keeps its history', async () => {
    await cluster.apply(
      'people',
      `
apiVersion: weir/v1
kind: Job
name: people
sources:
  people:
    connector: http
    url: ${api.url}/people
    records: results
    paging: { next: info.next }
    id: login.uuid
    schema: 'login STRUCT<uuid: STRING>, name STRUCT<first: STRING>'
query: SELECT login.uuid AS id, name.first AS first FROM people
sinks:
  - { connector: cassandra, keyspace: schedules, table: people, primaryKey: [id], create: true }
trigger: availableNow
schedule: { cron: '*/2 * * * * *', retries: 1, retryDelay: 100ms, timeout: 60s }
`,
    );
    assert.equal((await runs()).schedule?.cron, '*/2 * * * * *');
    await until('a run succeeded', 60_000, async () => (await succeeded()) >= 1);
    assert.equal(await count(), 25);
    api.people = 40;
    const before = await succeeded();
    await until('two more', 60_000, async () => (await succeeded()) >= before + 2);
    assert.equal(await count(), 40);

    const known = (await runs()).runs.map(({ number }) => number);
    await master.kill9();
    master = await cluster.startMaster();
    await until('it goes on', 60_000, async () => (await runs()).runs[0]?.number !== known[0]);
    assert.ok((await runs()).runs.some(({ number }) => number === known[0]));

    const listed = await cluster.weir(['runs', 'people']);
    assert.equal(listed.code, 0, listed.output);
    assert.match(listed.output, /\*\/2 \* \* \* \* \* \(UTC\), next at \d{4}-/);
    assert.match(listed.output, /RUN +SCHEDULED FOR +STATE/);
    assert.match(listed.output, /succeeded/);

    await cluster.request('POST', '/v1/jobs/people/stop');
    await until('it rests', 60_000, async () => (await cluster.job('people')).row.state === 'stopped');
    const rested = (await runs()).runs.length;
    await until(
      'a time passes',
      60_000,
      async () => Date.now() > Number((await runs()).next ?? 0) - 1000 && (await runs()).runs.length === rested,
    );
  });

  test('a job rests when it is told to, though its worker says nothing and its times go on', async () => {
    await cluster.request('POST', '/v1/jobs/people/start');
    await until('it runs', 60_000, async () => (await cluster.job('people')).row.state !== 'stopped');
    worker.signal('SIGSTOP');
    try {
      await until('a run waits for the worker', 60_000, async () =>
        ['starting', 'running'].includes((await cluster.job('people')).row.state),
      );
      await cluster.request('POST', '/v1/jobs/people/stop');
      await until('it rests', 30_000, async () => (await cluster.job('people')).row.state === 'stopped');
    } finally {
      worker.signal('SIGCONT');
    }
  });

  test('a schedule that cannot be is refused with its place', async () => {
    const file = (trigger: string, cron: string): string => `
apiVersion: weir/v1
kind: Job
name: wrong
sources: { made: { connector: generator, fields: { id: { sequence: {} } }, schema: 'id INT' } }
query: SELECT id FROM made
sinks: [{ connector: blackhole }]
trigger: ${trigger}
schedule: { cron: '${cron}' }
`;
    await assert.rejects(
      cluster.apply('wrong', file('asap', '* * * * *')),
      /a schedule starts a job that ends by itself/,
    );
    await assert.rejects(cluster.apply('wrong', file('availableNow', '99 * * * *')), /is no schedule/);
  });
});
