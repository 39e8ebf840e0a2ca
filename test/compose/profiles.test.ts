/**
 * The profiles `airflow` and `notebook` of the compose file on a real engine, beside a small cluster: Airflow runs the DAGs of
 * ops/airflow, Jupyter the notebook of ops/notebook, each with a token of its own. `npm run test:compose`; needs what
 * compose.test.ts needs, and skips both by name where no image of Python can be had.
 */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JobView } from '../../master/views.ts';
import { expectedPerson } from '../connect/random-user-api.ts';
import { freePorts } from '../services/java-server.ts';
import { Airflow } from './airflow.ts';
import { ComposeProject, missingImages, requireDocker } from './docker.ts';
import {
  CASSANDRA_IMAGE,
  KAFKA_IMAGE,
  NODE_TAGS,
  PYTHON_TAGS,
  askAs,
  assertConfined,
  assertHealthy,
  commandsOf,
  eventually as eventuallyIn,
  firstTag,
  requireImages,
} from './testbed.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/compose.md'), 'utf8');
/** As random-user-api.yml has it. */
const PEOPLE = 30;
const people = Array.from({ length: PEOPLE }, (_, number) => expectedPerson(number));
/** Each task of Airflow is a Python that imports Airflow first. */
const AIRFLOW_MS_MAX = 600_000;
const TOKEN_FILE = '/var/lib/weir/named-token/token';

let project: ComposeProject;
let masterPort = 0;
let airflowPort = 0;
let notebookPort = 0;
/** The cluster's own. */
let token = '';
let pythonTag = '';
/** A copy of ops/airflow whose job asks the API of the test. */
let dags = '';

const logged = ['master', 'worker', 'airflow-token', 'airflow', 'notebook-token', 'notebook', 'random-user-api'];
const eventually = <T>(what: string, check: () => Promise<T>, patienceMs?: number): Promise<T> =>
  eventuallyIn({ project, services: logged }, what, check, patienceMs);

before(async () => {
  await requireDocker();
  const missing = await missingImages([KAFKA_IMAGE, CASSANDRA_IMAGE]);
  const nodeTag = await firstTag('node', NODE_TAGS);
  if (nodeTag === '') missing.push(`node:${NODE_TAGS[0]}`);
  requireImages(missing);
  pythonTag = await firstTag('python', PYTHON_TAGS);
  if (pythonTag === '') return;
  dags = mkdtempSync(join(tmpdir(), 'weir-airflow-'));
  chmodSync(dags, 0o755);
  cpSync(join(root, 'ops/airflow'), dags, { recursive: true });
  writeFileSync(join(dags, 'jobs/random-users.yaml'), randomUsers());
  const names = ['KAFKA', 'CASSANDRA', 'WEIR_HTTP', 'WEIR_GRPC', 'AIRFLOW', 'NOTEBOOK'];
  const ports = await freePorts(names.length);
  [, , masterPort = 0, , airflowPort = 0, notebookPort = 0] = ports;
  project = new ComposeProject('weir-profiles-test', {
    ...Object.fromEntries(names.map((name, index) => [`${name}_PORT`, String(ports[index])])),
    COMPOSE_FILE: 'docker-compose.yml:test/compose/random-user-api.yml',
    COMPOSE_PROFILES: 'airflow,notebook',
    NODE_TAG: nodeTag,
    PYTHON_TAG: pythonTag,
    USERS_COUNT: '1000',
    AIRFLOW_DIR: dags,
    WEIR_ALLOWED_HOSTS: 'random-user-api',
  });
  await project.run('down', '--volumes', '--remove-orphans');
  for (const service of ['master', 'worker', 'airflow', 'notebook']) await project.run('build', service);
  await project.run('up', '--detach', '--no-build', 'worker', 'jobs', 'random-user-api');
  token = (await project.run('exec', '-T', 'master', 'cat', '/var/lib/weir/token/token')).trim();
});

after(async () => {
  if (process.env['WEIR_KEEP_COMPOSE'] !== undefined) return;
  await project?.try('down', '--volumes', '--remove-orphans', '--timeout', '5');
  if (dags !== '') rmSync(dags, { recursive: true, force: true });
});

/** A test of a profile, or the word why it cannot be. */
function profileTest(name: string, check: () => Promise<void>): void {
  test(name, async (t) => {
    if (pythonTag === '') return t.skip(`the image python:${PYTHON_TAGS[0]} cannot be had here`);
    await check();
  });
}

/** The job of ops/airflow, asking the API of the test. */
function randomUsers(): string {
  const text = readFileSync(join(root, 'ops/airflow/jobs/random-users.yaml'), 'utf8');
  return text.replace('https://randomuser.me', 'http://random-user-api:8080');
}

async function jobOf(name: string): Promise<JobView> {
  const { status, body } = await askAs(token, masterPort, 'GET', `/v1/jobs/${name}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body as JobView;
}

/** Rows of a SELECT, by REST. */
async function rowsOf(cql: string): Promise<readonly (readonly unknown[])[]> {
  const { status, body } = await askAs(token, masterPort, 'POST', '/v1/query', JSON.stringify({ cql }));
  assert.equal(status, 200, JSON.stringify(body));
  return (body as { readonly rows: readonly (readonly unknown[])[] }).rows;
}

/** What the program of a service asks with: that token counts, is nobody else's, and is the only one its container has. */
async function assertOwnToken(service: string, role: string): Promise<string> {
  const found = await project.run('exec', '-T', service, 'sh', '-c', 'cat /var/lib/weir/*/token && ls /var/lib/weir');
  const [, own = '', folders] = /^(\S+)\s+(\S+)\s*$/.exec(found) ?? [];
  assert.equal(folders, 'named-token', found);
  assert.notEqual(own, token);
  const { body } = await askAs(own, masterPort, 'GET', '/v1/whoami');
  assert.deepEqual(body, { name: service, role });
  return own;
}

/** The commands that docs/compose.md has under a heading, but for those that start services. */
function asked(heading: string): readonly string[] {
  return commandsOf(page, heading).filter((line) => line.startsWith('docker compose exec '));
}

suite('the profile airflow', () => {
  let airflow: Airflow;
  const [showPassword = '', ...trigger] = asked('Airflow');

  profileTest('starts, finds the DAGs of ops/airflow, and asks for a password', async () => {
    await project.run('up', '--detach', '--no-build', 'airflow');
    await eventually('airflow is healthy', () => assertHealthy(project, 'airflow'), AIRFLOW_MS_MAX);
    assert.equal((await fetch(`http://127.0.0.1:${airflowPort}/api/v2/dags`)).status, 401);
    const { admin = '' } = JSON.parse(await project.line(showPassword)) as { readonly admin?: string };
    airflow = await Airflow.login(`http://127.0.0.1:${airflowPort}`, 'admin', admin);
    await eventually('its parts are well', () => airflow.assertHealthy(), AIRFLOW_MS_MAX);
    await eventually(
      'the DAGs are there',
      async () => assert.deepEqual(await airflow.dags(), ['weir_random_users', 'weir_spark_submit']),
      AIRFLOW_MS_MAX,
    );
    assert.deepEqual(await airflow.importErrors(), []);
  });

  profileTest('is confined, and has a token that submits jobs without code', async () => {
    await assertConfined(project, 'airflow');
    const own = await assertOwnToken('airflow', 'submitter-declarative');
    assert.equal((await askAs(own, masterPort, 'GET', '/v1/tokens')).status, 403);
  });

  profileTest('a DAG run submits, waits while the API is away, and ends with success', async () => {
    await project.run('stop', 'random-user-api');
    assert.equal(trigger.length, 2);
    for (const line of trigger) await project.line(line);
    // It may be the one that the schedule has begun, which the triggered one then waits for.
    const run = await eventually(
      'a run waits, and holds no slot',
      async () => {
        for (const one of await airflow.runs('weir_random_users'))
          if ((await airflow.taskState('weir_random_users', one, 'over')) === 'deferred') return one;
        return assert.fail('no run waits');
      },
      AIRFLOW_MS_MAX,
    );
    assert.equal((await jobOf('random-users')).counters.rowsOut, 0);
    await project.run('start', 'random-user-api');
    await eventually('the run ends', async () => airflow.assertSucceeded('weir_random_users', run), AIRFLOW_MS_MAX);
    const { row, counters } = await jobOf('random-users');
    assert.equal(row.state, 'finished');
    assert.equal(counters.passed, PEOPLE);
    assert.deepEqual(
      (await rowsOf('SELECT id, first_name, country FROM people.random_users')).toSorted(),
      people.map(({ id, first, country }) => [id, first, country]).toSorted(),
    );
  });

  profileTest('a DAG run by the way of spark-submit ends with success', async () => {
    const run = await airflow.trigger('weir_spark_submit');
    await eventually('the run ends', async () => airflow.assertSucceeded('weir_spark_submit', run), AIRFLOW_MS_MAX);
    const { row } = await jobOf('users');
    assert.equal(row.state, 'finished');
  });

  profileTest('a token that was taken back is followed by another one at the next start', async () => {
    const old = (await project.run('exec', '-T', 'airflow', 'cat', TOKEN_FILE)).trim();
    await project.run('up', '--detach', '--no-build', '--no-deps', 'airflow-token');
    await tokenMade();
    assert.equal((await project.run('exec', '-T', 'airflow', 'cat', TOKEN_FILE)).trim(), old, 'a good one is kept');
    await project.run('exec', '-T', 'master', 'weir', 'token', 'revoke', 'airflow');
    assert.equal((await askAs(old, masterPort, 'GET', '/v1/whoami')).status, 401);
    await project.run('up', '--detach', '--no-build', '--no-deps', 'airflow-token');
    await tokenMade();
    assert.notEqual(await assertOwnToken('airflow', 'submitter-declarative'), old);
    await project.run('stop', 'airflow');
  });

  const tokenMade = (): Promise<void> =>
    eventually('the token is made', async () => {
      const container = (await project.containers()).find(({ Service }) => Service === 'airflow-token');
      assert.ok(container?.State === 'exited' && container.ExitCode === 0, JSON.stringify(container));
    });
});

interface Output {
  readonly output_type: string;
  readonly text?: string | readonly string[];
  readonly data?: Readonly<Record<string, unknown>>;
}

suite('the profile notebook', () => {
  profileTest('starts, and opens with its token only', async () => {
    await project.run('up', '--detach', '--no-build', 'notebook');
    await eventually('notebook is healthy', () => assertHealthy(project, 'notebook'));
    await assertConfined(project, 'notebook');
    const own = await assertOwnToken('notebook', 'operator');
    const contents = `http://127.0.0.1:${notebookPort}/api/contents`;
    assert.equal((await fetch(contents)).status, 403);
    const opened = await fetch(contents, { headers: { authorization: `token ${own}` } });
    const { content } = (await opened.json()) as { readonly content: readonly { readonly name: string }[] };
    assert.deepEqual(
      content.map(({ name }) => name),
      ['results.ipynb'],
    );
  });

  profileTest('the notebook reads the tables of the cluster and draws its charts', async () => {
    const put = await askAs(token, masterPort, 'PUT', '/v1/jobs/random-users', randomUsers());
    assert.ok(put.status < 300, JSON.stringify(put.body));
    const homes = await eventually('the listings and the people are there', async () => {
      const found = await rowsOf('SELECT price, area FROM property_streams.properties');
      assert.ok(found.length > 0);
      assert.equal((await rowsOf('SELECT id FROM people.random_users')).length, PEOPLE);
      const { counters, lag } = await jobOf('properties');
      assert.equal(lag, 0, JSON.stringify(counters));
      return found;
    });
    const { cells } = JSON.parse(await project.line(asked('Jupyter').at(-1) ?? '')) as {
      readonly cells: { readonly outputs?: readonly Output[] }[];
    };
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    assert.deepEqual(
      outputs.filter(({ output_type: type }) => type === 'error'),
      [],
    );
    assert.equal(outputs.filter(({ data }) => data?.['image/png'] !== undefined).length, 2, 'two charts are drawn');
    const said = outputs.map(({ text = '' }) => (typeof text === 'string' ? text : text.join(''))).join('\n');
    const areas = Map.groupBy(
      homes.filter((home) => home.every((value) => value !== null)),
      ([, area]) => String(area),
    );
    for (const [area, rows] of areas) assert.match(said, new RegExp(`^${area} +[\\d.]+ +${rows.length}$`, 'm'));
    for (const [country, from] of Map.groupBy(people, (person) => person.country))
      assert.match(said, new RegExp(`^${country} +${from.length}$`, 'm'));
  });
});
