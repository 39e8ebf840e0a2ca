/**
 * jobs/people-to-avro.yaml and jobs/people-tables.yaml from end to end: an API is fetched by a schedule, its people go
 * through real Kafka as Avro with schemas at a real registry, into tables of real Cassandra and real PostgreSQL; over a
 * worker that is killed and an API that fails. What Grafana shows of the table is asked as Grafana asks it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { readLog } from '../../cli/testing/read-log.ts';
import type { RunsDocument } from '../../master/schedules.ts';
import type { RegistryService } from '../services/registry.ts';
import { startRegistry } from '../services/registry.ts';
import { until } from '../support/cluster.ts';
import { PostgresServer } from './postgres-server.ts';
import type { ExpectedPerson, RandomUserApi } from './random-user-api.ts';
import { expectedPerson, startRandomUserApi } from './random-user-api.ts';
import { RealCluster } from './real-cluster.ts';
import { resultsPanels } from './results-dashboard.ts';

const fileOf = (job: string): string => readFileSync(new URL(`../../jobs/${job}.yaml`, import.meta.url), 'utf8');

describe('people by a schedule, as Avro, into two databases', { timeout: 1_800_000 }, () => {
  let api: RandomUserApi;
  let registry: RegistryService;
  let postgres: PostgresServer;
  let real: RealCluster;
  before(async () => {
    postgres = await PostgresServer.start();
    registry = await startRegistry();
    api = await startRandomUserApi(40);
    real = await RealCluster.open({ POSTGRES_URL: postgres.url, SCHEMA_REGISTRY_URL: registry.url });
  });
  after(async () => {
    await real?.close();
    await api?.close();
    await registry?.dispose();
    await postgres?.dispose();
  });

  const runs = async (): Promise<RunsDocument> =>
    (await real.cluster.request('GET', '/v1/jobs/people-to-avro/runs')) as RunsDocument;
  const succeeded = async (): Promise<number> =>
    (await runs()).runs.filter(({ state }) => state === 'succeeded').length;
  const inCassandra = async (): Promise<unknown[][]> => {
    const cql = `SELECT ${columns.join(', ')} FROM people.by_id`;
    return (await real.tables.query(cql)).rows.map((row) => row.map(timeAsText)).toSorted(byId);
  };
  const inPostgres = async (): Promise<unknown[][]> => {
    const rows = await postgres.query(`SELECT * FROM people.by_id`);
    return rows.map((row) => columns.map((name) => timeAsText(row[name]))).toSorted(byId);
  };
  const arrived = async (people: number): Promise<void> => {
    const expected = Array.from({ length: people }, (_, number) => rowOf(expectedPerson(number))).toSorted(byId);
    await until('all are in Cassandra', 180_000, async () => (await inCassandra()).length >= people);
    await until('all are in PostgreSQL', 60_000, async () => (await inPostgres()).length >= people);
    assert.deepEqual(await inCassandra(), expected);
    assert.deepEqual(await inPostgres(), expected);
  };

  test('both tables hold everybody, and the runs stand in the history', async () => {
    const scheduled = fileOf('people-to-avro');
    const job = scheduled.replace('https://randomuser.me', api.url).replace('*/10 * * * *', '*/2 * * * * *');
    await real.cluster.apply('people-to-avro', job);
    const { name, fields } = await latest(registry, 'people-value');
    assert.equal(name, 'org.example.Person');
    assert.deepEqual(
      fields.map((field) => field.name),
      ['id', 'first_name', 'last_name', 'gender', 'email', 'location', 'born', 'registered', 'picture'],
    );
    const worker = await real.cluster.startWorker();
    await real.cluster.apply('people-tables', fileOf('people-tables'));
    await until('a run succeeded', 120_000, async () => (await succeeded()) >= 1);
    await arrived(40);

    api.count = 75;
    api.faults.push(503, 500);
    await worker.kill9();
    await real.cluster.startWorker();
    await arrived(75);

    const before = await succeeded();
    await until('runs go on', 120_000, async () => (await succeeded()) >= before + 2);
    // What comes again with every run is known, and not appended again.
    const fetched = await readLog(real.logs, 'weir.people-to-avro.people', 0);
    assert.equal(fetched.length, 75);
    assert.equal(new Set(fetched.map(({ key }) => key)).size, 75);
    await arrived(75);
    const { schedule, runs: history } = await runs();
    assert.equal(schedule?.cron, '*/2 * * * * *');
    const numbers = history.map(({ number }) => number);
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => b - a),
    );
    const listed = await real.cluster.weir(['runs', 'people-to-avro']);
    assert.equal(listed.code, 0, listed.output);
    assert.match(listed.output, /\*\/2 \* \* \* \* \* \(UTC\)[^]*succeeded/);

    const shown = new Map<string, readonly Record<string, unknown>[]>();
    for (const { title, format, sql } of resultsPanels('people.json')) {
      const rows = await postgres.query(sql);
      assert.ok(rows.length > 0, `${title} shows something`);
      if (format === 'time_series') assert.ok(rows.every(({ time }) => time instanceof Date));
      shown.set(title, rows);
    }
    assert.deepEqual(shown.get('People'), [{ people: '75' }]);
    const everybody = Array.from({ length: 75 }, (_, number) => expectedPerson(number));
    const byCountry = Map.groupBy(everybody, ({ country }) => country);
    assert.deepEqual(
      new Map(shown.get('People by country')?.map(({ country, people }) => [country, Number(people)])),
      new Map([...byCountry].map(([country, people]) => [country, people.length])),
    );
    assert.equal(shown.get('Registered last')?.length, 50);

    const { counters } = await real.cluster.job('people-tables');
    assert.equal(counters.dead, 0);
    assert.equal(counters.read, counters.passed);
    // The same file again is the same definition: its schema has its id.
    const applied = (await real.cluster.request('PUT', '/v1/jobs/people-to-avro', job)) as { readonly change: string };
    assert.equal(applied.change, 'unchanged');
  });
});

const columns = [
  'id',
  'first_name',
  'last_name',
  'gender',
  'email',
  'city',
  'country',
  'born',
  'registered',
  'picture',
] as const;

function rowOf(person: ExpectedPerson): unknown[] {
  const { id, first, last, gender, email, city, country, born, registered, picture } = person;
  return [id, first, last.toUpperCase(), gender, email, city, country, born, registered, picture];
}

function timeAsText(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? new Date(value).toISOString() : value;
}

function byId(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}

async function latest(
  registry: RegistryService,
  subject: string,
): Promise<{ readonly name: string; readonly fields: readonly { readonly name: string }[] }> {
  const response = await fetch(`${registry.url}/subjects/${subject}/versions/latest`);
  const { schema } = (await response.json()) as { readonly schema: string };
  return JSON.parse(schema) as { readonly name: string; readonly fields: readonly { readonly name: string }[] };
}
