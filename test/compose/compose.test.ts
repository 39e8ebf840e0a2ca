/**
 * The compose file on a real engine: build, two masters and three workers with the pipelines and a stateful job, scaled
 * down and up under load, the leading master killed, then every user that was produced is looked for in the topic and in
 * Cassandra. `npm run test:compose`; needs a Docker engine with the compose plugin and fails, naming what is missing, without.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import cassandra from 'cassandra-driver';
import { LISTING_COUNT, deadlyFaults, makeListings } from '../../jobs/site/listings.ts';
import { UserGenerator } from '../../jobs/producers/random-user.ts';
import type { JobView, WorkerView } from '../../master/views.ts';
import { freePorts } from '../services/java-server.ts';
import { beside } from './beside.ts';
import { ComposeProject, command, missingImages, requireDocker } from './docker.ts';
import {
  CASSANDRA_IMAGE,
  KAFKA_IMAGE,
  NODE_TAGS,
  askAs,
  assertConfined,
  assertHealthy,
  commandsOf,
  eventually as eventuallyIn,
  firstTag,
  requireImages,
} from './testbed.ts';
import type { TopicPlace } from './topics.ts';
import { endOffsets, readKeys } from './topics.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PROJECT = 'weir-compose-test';
const topics: TopicPlace = { network: `${PROJECT}_default`, image: KAFKA_IMAGE };
const USERS_SEED = 20_240;
const USERS_RATE = 2000;
/** As pinned, and what may stand in for it. */
const PROMETHEUS_TAGS = ['v3.5.0', 'latest'];
/** What an image of ours may add to Node's, bytes. */
const IMAGE_BYTES_MAX = 60_000_000;

/** Counts users by gender, for ever: wrong by one when a record is lost or counted twice. */
const genders = `apiVersion: weir/v1
kind: Job
name: genders
sources:
  users:
    connector: kafka
    topic: users_created
    startingOffsets: earliest
    schema: id STRING NOT NULL, gender STRING
query: |
  SELECT gender, count(*) AS users
  FROM users
  GROUP BY gender
sinks:
  - { connector: cassandra, keyspace: spark_streams, table: genders, primaryKey: [gender], create: true }
outputMode: update
`;

interface Ports {
  readonly kafka: number;
  readonly cassandra: number;
  readonly http: number;
  /** Of the second master. */
  readonly http2: number;
  readonly prometheus: number;
}

let project: ComposeProject;
let ports: Ports;
let token: string;
/** Of what runs beside, by setting. */
let besidePorts = new Map<string, number>();
let nodeTag = '';
/** Where requests go: the master that is there. */
let masterPort = 0;

before(async () => {
  await requireDocker();
  const [kafka = 0, cassandraPort = 0, http = 0, http2 = 0, grpc = 0, prometheus = 0, ...others] = await freePorts(
    6 + beside.length,
  );
  besidePorts = new Map(beside.map(({ port }, index) => [port, others[index] ?? 0]));
  ports = { kafka, cassandra: cassandraPort, http, http2, prometheus };
  const missing = await missingImages([KAFKA_IMAGE, CASSANDRA_IMAGE]);
  nodeTag = await firstTag('node', NODE_TAGS);
  if (nodeTag === '') missing.push(`node:${NODE_TAGS[0]}`);
  const prometheusTag = await firstTag('prom/prometheus', PROMETHEUS_TAGS);
  if (prometheusTag === '') missing.push(`prom/prometheus:${PROMETHEUS_TAGS[0]}`);
  project = new ComposeProject(PROJECT, {
    KAFKA_PORT: String(kafka),
    CASSANDRA_PORT: String(cassandraPort),
    WEIR_HTTP_PORT: String(http),
    WEIR_HTTP_PORT_2: String(http2),
    NODE_TAG: nodeTag,
    PROMETHEUS_IMAGE: `prom/prometheus:${prometheusTag}`,
    COMPOSE_PROFILES: 'ha',
    WEIR_GRPC_PORT: String(grpc),
    PROMETHEUS_PORT: String(prometheus),
    ...Object.fromEntries([...besidePorts].map(([name, port]) => [name, String(port)])),
    USERS_RATE: String(USERS_RATE),
    USERS_SEED: String(USERS_SEED),
    USERS_COUNT: '',
  });
  requireImages(missing);
  await project.run('down', '--volumes', '--remove-orphans');
  await project.run('build', 'master', 'worker');
});

after(async () => {
  if (process.env['WEIR_KEEP_COMPOSE'] === undefined)
    await project?.try('down', '--volumes', '--remove-orphans', '--timeout', '5');
});

const services = ['master', 'master-2', 'worker', 'jobs', 'users'];
const eventually = <T>(what: string, check: () => Promise<T>): Promise<T> =>
  eventuallyIn({ project, services }, what, check);

async function ask<T>(method: string, path: string, body?: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${masterPort}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/yaml' },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

const jobOf = (name: string): Promise<JobView> => ask<JobView>('GET', `/v1/jobs/${name}`);

async function aliveWorkers(count: number): Promise<WorkerView[]> {
  const { workers } = await ask<{ workers: WorkerView[] }>('GET', '/v1/workers');
  const alive = workers.filter((worker) => worker.state === 'alive');
  assert.equal(alive.length, count, `alive: ${JSON.stringify(workers)}`);
  return alive;
}

/** Rows keep coming and every lane has a living owner. */
async function assertFlowing(workerCount: number): Promise<void> {
  const workers = await aliveWorkers(workerCount);
  const ids = new Set(workers.map((worker) => worker.id));
  const { row, lanes, counters } = await jobOf('created-users');
  assert.equal(row.state, 'running', JSON.stringify(row.reason));
  for (const lane of lanes)
    assert.ok(lane.owner !== null && ids.has(lane.owner), `lane ${lane.lane} is owned by ${lane.owner}`);
  const before = (await jobOf('genders')).epochs?.committed ?? -1;
  await sleep(1000);
  assert.ok((await jobOf('created-users')).counters.rowsOut > counters.rowsOut, 'rows do not grow');
  const { epochs, row: counting } = await jobOf('genders');
  assert.ok((epochs?.committed ?? -1) > before, `no epoch was committed: ${JSON.stringify(counting.reason)}`);
  const holders = epochs?.workers.filter(({ groups }) => groups > 0).map(({ id }) => id) ?? [];
  assert.deepEqual(new Set(holders), ids, 'key groups are not with all workers');
}

test('the cluster comes up with three workers and both pipelines run', async () => {
  const services = ['kafka', 'cassandra', 'master', 'master-2', 'worker', 'jobs', 'users', 'properties', 'prometheus'];
  await project.run('up', '--detach', '--no-build', '--scale', 'worker=3', ...services);
  token = (
    await eventually('the token', () => project.run('exec', '-T', 'master', 'cat', '/var/lib/weir/token/token'))
  ).trim();
  assert.match(token, /^[0-9a-f]{64}$/);
  masterPort = ports.http;
  await eventually('the jobs are submitted', async () => {
    const jobs = (await project.containers()).find((container) => container.Service === 'jobs');
    assert.ok(jobs?.State === 'exited' && jobs.ExitCode === 0, JSON.stringify(jobs));
  });
  await eventually('the stateful job is submitted', () => ask('PUT', '/v1/jobs/genders', genders));
  await eventually('three workers and growing rows', () => assertFlowing(3));
  await eventually('a row of each pipeline by the command line', async () => {
    for (const table of ['spark_streams.created_users', 'property_streams.properties']) {
      const output = await project.run(
        'exec',
        '-T',
        'master',
        '/app/ops/docker/entrypoint.sh',
        'query',
        `SELECT id FROM ${table} LIMIT 1`,
        '-o',
        'json',
      );
      assert.equal((JSON.parse(output) as unknown[]).length, 1);
    }
  });
});

test('what docs/compose.md says to ask is answered', async () => {
  const page = readFileSync(join(root, 'docs/compose.md'), 'utf8');
  const lines = commandsOf(page, 'Ask it');
  assert.ok(lines.length >= 5, lines.join('\n'));
  const answers = new Map<string, string>();
  for (const line of lines) answers.set(line, await project.line(line));
  const text = [...answers.values()].join('\n');
  for (const expected of [token, /created-users/, /properties/, /running/, /alive/, /weir_\w{8}_/])
    assert.ok(typeof expected === 'string' ? text.includes(expected) : expected.test(text), `${expected} in:\n${text}`);
});

test('everything listens on loopback only, and asks for the token', async () => {
  const published = (await project.containers())
    .flatMap((container) => container.Publishers ?? [])
    .filter((port) => port.PublishedPort > 0);
  assert.ok(published.length >= 5);
  for (const port of published) assert.equal(port.URL, '127.0.0.1');
  const response = await fetch(`http://127.0.0.1:${ports.http}/v1/jobs`);
  assert.equal(response.status, 401);
});

test('a token by name counts at both masters, and at the first one again when it has been away', async () => {
  const made = await project.run(
    'exec',
    '-T',
    'master',
    'weir',
    'token',
    'create',
    'eve',
    '--role',
    'viewer',
    '-o',
    'json',
  );
  const { token: named } = JSON.parse(made) as { readonly token: string };
  for (const port of [ports.http, ports.http2]) {
    await eventually('the token is known', async () => {
      const { status, body } = await askAs(named, port, 'GET', '/v1/whoami');
      assert.equal(status, 200);
      assert.deepEqual(body, { name: 'eve', role: 'viewer' });
    });
  }
  assert.equal((await askAs(named, ports.http, 'PUT', '/v1/jobs/genders', genders)).status, 403);
});

test('Prometheus has a token that shows figures, and no other', async () => {
  const mounted = await project.run('exec', '-T', 'prometheus', 'sh', '-c', 'cd /var/lib/weir && cat */token && ls');
  const [, metricsToken = '', folders] = /^([0-9a-f]{64})([\w-]+)\s*$/.exec(mounted) ?? [];
  assert.equal(folders, 'metrics-token', mounted);
  assert.notEqual(metricsToken, token);
  assert.deepEqual((await askAs(metricsToken, ports.http, 'GET', '/v1/whoami')).body, {
    name: 'metrics',
    role: 'viewer',
  });
  assert.equal((await askAs(metricsToken, ports.http, 'PUT', '/v1/jobs/genders', genders)).status, 403);
  assert.equal(
    (await askAs(metricsToken, ports.http, 'POST', '/v1/query', '{"cql":"SELECT * FROM weir.job"}')).status,
    403,
  );
});

test('containers are confined', async () => {
  for (const service of ['master', 'master-2', 'worker', 'users']) await assertConfined(project, service);
});

test('images are small', async (t) => {
  const sizeOf = async (image: string): Promise<number> => {
    const { code, stdout } = await command('docker', ['image', 'inspect', '--format', '{{.Size}}', image]);
    assert.equal(code, 0, image);
    return Number(stdout);
  };
  const base = await sizeOf(`node:${nodeTag}`);
  for (const image of ['weir-master', 'weir-worker']) {
    const added = (await sizeOf(image)) - base;
    t.diagnostic(`${image}: ${(added / 1e6).toFixed(1)} MB above Node's image`);
    assert.ok(added <= IMAGE_BYTES_MAX, `${image} adds ${added} bytes`);
  }
});

test('workers come and go under load', async () => {
  for (const count of [1, 3, 1, 4]) {
    await project.run('scale', '--no-deps', `worker=${count}`);
    await eventually(`${count} workers and growing rows`, () => assertFlowing(count));
  }
});

test('the leading master is killed: the other one leads, and everything goes on', async () => {
  const name = (await project.containers()).find(({ Service }) => Service === 'master')?.Name ?? '';
  assert.equal((await command('docker', ['kill', '--signal', 'KILL', name])).code, 0);
  masterPort = ports.http2;
  await eventually('the second master leads four workers', async () => {
    const { role } = await ask<{ role: string }>('GET', '/v1/cluster');
    assert.equal(role, 'leader');
    await assertFlowing(4);
  });
  await project.run('start', 'master');
  masterPort = ports.http;
  await eventually('the first one hands requests on', () => assertFlowing(4));
});

test('Prometheus finds the masters and every worker, and the dashboard has something to draw', async () => {
  const prometheus = async <T>(path: string): Promise<T> => {
    const body = (await (await fetch(`http://127.0.0.1:${ports.prometheus}/api/v1/${path}`)).json()) as {
      status: string;
      data: T;
      error?: string;
    };
    assert.equal(body.status, 'success', `${path}: ${body.error}`);
    return body.data;
  };
  await eventually('all targets are up', async () => {
    const { activeTargets } = await prometheus<{
      activeTargets: { labels: Record<string, string>; health: string; lastError: string }[];
    }>('targets?state=active');
    const ours = activeTargets.filter((target) => target.labels['job'] === 'weir');
    assert.deepEqual(ours.map((target) => target.labels['component']).toSorted(), [
      'master',
      'master',
      'worker',
      'worker',
      'worker',
      'worker',
    ]);
    for (const target of ours) assert.equal(target.health, 'up', target.lastError);
  });
  // Only jobs with feeds, and with a watermark, have these.
  const mayBeEmpty = /weir_(feed_|epoch_watermark)/;
  for (const { title, expr } of dashboardQueries()) {
    await eventually(`panel "${title}" has data for ${expr}`, async () => {
      const { result } = await prometheus<{ result: unknown[] }>(`query?query=${encodeURIComponent(expr)}`);
      assert.ok(result.length > 0 || mayBeEmpty.test(expr), 'no series');
    });
  }
});

for (const { service, image, port, check } of beside) {
  test(`${service} starts and works`, async (t) => {
    if ((await missingImages([image])).length > 0) return t.skip(`the image ${image} cannot be had here`);
    await project.run('up', '--detach', '--no-build', '--no-recreate', '--no-deps', service);
    const address = `http://127.0.0.1:${besidePorts.get(port)}`;
    await eventually(`${service} works`, () => check(address));
    await eventually(`${service} is healthy`, () => assertHealthy(project, service));
    await project.run('stop', service);
  });
}

function dashboardQueries(): { readonly title: string; readonly expr: string }[] {
  const folder = join(root, 'ops/grafana/dashboards');
  return readdirSync(folder).flatMap((name) => {
    const { panels } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
      panels: { title: string; targets?: { expr: string }[] }[];
    };
    return panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({
        title: `${name}: ${title}`,
        expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$job_name', '.*'),
      })),
    );
  });
}

test('after all that, every user is there once and the counters add up', async (t) => {
  await project.run('stop', 'users', 'properties');
  const ends = await endOffsets(topics, 'users_created');
  const appended = sum(ends.values());
  await eventually('all lanes are at the end', async () =>
    assert.equal((await jobOf('created-users')).counters.read, appended),
  );

  // A producer that got no answer sends again: the topic may hold a user twice, the table may not.
  const inTopic = new Map<string, number>();
  for (const { key } of await readKeys(topics, 'users_created', ends)) inTopic.set(key, (inTopic.get(key) ?? 0) + 1);
  const acknowledged = await producedUsers();
  const users = new UserGenerator(USERS_SEED);
  const expected = new Set<string>();
  const byGender = new Map<string, number>();
  /** Indexes of users. */
  const lostByProducer: number[] = [];
  let passed = 0;
  for (let index = 0; index < acknowledged; index++) {
    const { key, value } = users.at(index);
    const times = inTopic.get(key) ?? 0;
    if (times === 0) lostByProducer.push(index);
    const { gender } = JSON.parse(value) as { gender: string };
    byGender.set(gender, (byGender.get(gender) ?? 0) + times);
    if (value.includes('"post_code":null')) continue;
    passed += times;
    expected.add(key);
  }
  const few = lostByProducer.slice(0, 5).join(', ');
  assert.equal(
    lostByProducer.length,
    0,
    `of ${acknowledged} acknowledged users, those of index ${few} … are not in the topic`,
  );
  assert.equal(inTopic.size, acknowledged, 'users in the topic that were never acknowledged');
  const { counters } = await jobOf('created-users');
  assert.deepEqual(counters, {
    read: appended,
    passed,
    filtered: appended - passed,
    skipped: 0,
    dead: 0,
    rowsOut: passed,
  });

  await eventually('the stateful job has counted every user', async () => {
    const counted = await readRows('SELECT gender, users FROM spark_streams.genders');
    assert.deepEqual(counted.map((row) => [row['gender'], Number(row['users'])]).toSorted(), [...byGender].toSorted());
  });

  const found = await readIds('spark_streams', 'created_users');
  const distinct = new Set(found);
  assert.equal(found.length, distinct.size);
  const lost = [...expected].filter((id) => !distinct.has(id));
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} users are missing`);
  assert.equal(found.length, expected.size, 'there are users that nobody produced');
  t.diagnostic(
    `${acknowledged} users produced (${appended - acknowledged} sent twice), ${found.length} rows, none lost or doubled`,
  );

  const sent = sum((await endOffsets(topics, 'properties')).values());
  const listings = makeListings(1);
  const clean = listings.filter((listing) => listing.fault === null || !deadlyFaults.includes(listing.fault));
  await eventually('all listings are read', async () => {
    const properties = await jobOf('properties');
    assert.equal(properties.counters.read, sent);
    assert.equal(properties.counters.read, properties.counters.passed + properties.counters.dead);
    assert.ok(properties.counters.dead >= LISTING_COUNT - clean.length);
  });
  assert.deepEqual(
    (await readIds('property_streams', 'properties')).toSorted(),
    clean.map((listing) => listing.id).toSorted(),
  );
});

/** What the producer says it got acknowledged, in its last words. */
async function producedUsers(): Promise<number> {
  const output = await project.run('logs', '--no-color', '--no-log-prefix', '--tail', '20', 'users');
  const done = /"records":(\d+),"msg":"done"/.exec(output);
  assert.ok(done, `the producer did not end well:\n${output}`);
  return Number(done[1]);
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

async function readIds(keyspace: string, table: string): Promise<string[]> {
  return (await readRows(`SELECT id FROM ${keyspace}.${table}`)).map((row) => String(row['id']));
}

async function readRows(cql: string): Promise<cassandra.types.Row[]> {
  const client = new cassandra.Client({
    contactPoints: [`127.0.0.1:${ports.cassandra}`],
    localDataCenter: 'datacenter1',
    socketOptions: { readTimeout: 60_000 },
  });
  try {
    const rows: cassandra.types.Row[] = [];
    for (let pageState: string | undefined, first = true; first || pageState !== undefined; first = false) {
      const options = { prepare: true, fetchSize: 5000, ...(pageState === undefined ? {} : { pageState }) };
      const page = await client.execute(cql, [], options);
      rows.push(...page.rows);
      pageState = page.pageState ?? undefined;
    }
    return rows;
  } finally {
    await client.shutdown();
  }
}
