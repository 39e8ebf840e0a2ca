/** Feeds into topics of real Kafka, by transactions, while workers are killed and Kafka goes away; executions that end. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { readLog } from '../../cli/testing/read-log.ts';
import type { Source, TableStore } from '../../core/ports.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Service } from '../services/services.ts';
import { startKafka } from '../services/services.ts';
import { Cluster, until } from '../support/cluster.ts';
import type { TestApi } from '../support/test-api.ts';
import { person, startTestApi } from '../support/test-api.ts';

describe('feeds into Kafka', () => {
  let kafka: Service;
  let cluster: Cluster;
  let api: TestApi;
  let tables: TableStore;
  let logs: Source;
  let connections: ReturnType<typeof makeConnections>;

  before(async () => {
    kafka = await startKafka();
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}`, KAFKA_BROKERS: kafka.address };
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    tables = connections.tables('cassandra', {});
    logs = connections.source('kafka', {});
    await until('the embedded process answers', 60_000, async () => await tables.describe('a', 'b').then(() => true));
    await cluster.startMaster();
    api = await startTestApi(300);
  });
  after(async () => {
    await api?.close();
    await connections?.close();
    await cluster?.close();
    await kafka?.dispose();
  });

  test('each row is there once', async () => {
    let worker = await cluster.startWorker();
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
    every: 100ms
    schema: 'login STRUCT<uuid: STRING>, name STRUCT<first: STRING>'
query: SELECT login.uuid AS id, name.first AS first FROM people
sinks:
  - { connector: cassandra, keyspace: feeds, table: people, primaryKey: [id], create: true }
`,
    );
    const asked = async (more: number): Promise<void> => {
      const before = api.requests.length;
      await until(
        'some pages were asked for',
        120_000,
        async () => await Promise.resolve(api.requests.length >= before + more),
      );
    };
    for (const more of [4, 9]) {
      await asked(more);
      await worker.kill9();
      worker = await cluster.startWorker();
    }
    await asked(3);
    await kafka.kill9();
    await kafka.restart();
    api.people = 330;
    const count = async (): Promise<number> =>
      Number((await tables.query('SELECT count(*) FROM feeds.people')).rows[0]?.[0]);
    await until('all are in the table', 240_000, async () => (await count()) === 330);
    await asked(40);
    const keys = (await readLog(logs, 'weir.people.people', 0)).map(({ key }) => key);
    const expected = Array.from({ length: 330 }, (_, index) => (person(index)['login'] as { uuid: string }).uuid);
    assert.deepEqual(keys, expected);
  });

  test('an execution of a job with state ends behind the last transaction of its feed', async () => {
    const worker = await cluster.startWorker();
    api.people = 330;
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
    schema: 'login STRUCT<uuid: STRING>, location STRUCT<country: STRING>'
query: SELECT location.country AS country, count(*) AS n FROM people GROUP BY location.country
outputMode: update
trigger: availableNow
sinks:
  - { connector: cassandra, keyspace: feeds, table: countries, primaryKey: [country], create: true }
`,
    );
    const sum = async (): Promise<number> => {
      const { rows } = await tables.query('SELECT n FROM feeds.countries');
      return rows.reduce((total, [n]) => total + Number(n), 0);
    };
    const finished = (): Promise<boolean> =>
      until('it is finished', 120_000, async () => (await cluster.job('countries')).row.state === 'finished');
    await finished();
    assert.equal(await sum(), 330);
    // Short executions: what is read last was committed a moment before.
    for (const people of [331, 332, 340]) {
      api.people = people;
      await cluster.request('POST', '/v1/jobs/countries/start');
      await until('it is started', 30_000, async () => (await cluster.job('countries')).row.state !== 'finished');
      await finished();
      assert.equal(await sum(), people);
    }
    await worker.stop();
  });
});
