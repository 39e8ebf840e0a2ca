/**
 * Every route of REST against real processes: what it answers has the shape that the table of routes (and with it the
 * OpenAPI document) promises, and does what it says.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import type { LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { RouteId, RouteSpec } from '../../master/http/routes.ts';
import { routes } from '../../master/http/routes.ts';
import { problemSchema } from '../../master/http/schemas.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { Cluster, until } from '../support/cluster.ts';

const users = (where = 'age > 0'): string => `apiVersion: weir/v1
kind: Job
name: users
sources:
  users: { connector: kafka, topic: users, startingOffsets: earliest, schema: 'id STRING NOT NULL, age INT' }
query: SELECT id, age + 1 AS age FROM users WHERE ${where}
sinks:
  - { connector: cassandra, keyspace: rest, table: users, primaryKey: [id], create: true }
`;

const counts = `apiVersion: weir/v1
kind: Job
name: counts
sources:
  users: { connector: kafka, topic: users, startingOffsets: earliest, schema: 'id STRING NOT NULL, age INT' }
query: SELECT age, count(*) AS n FROM users GROUP BY age
sinks:
  - { connector: cassandra, keyspace: rest, table: counts, primaryKey: [age], create: true }
outputMode: update
`;

interface Reply {
  readonly status: number;
  // The tests look into answers whose shapes were checked.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
  readonly headers: Headers;
}

suite('REST on a real cluster', { timeout: 240_000 }, () => {
  let cluster: Cluster;
  let writer: LogWriter;
  let close: () => Promise<void>;
  const asked = new Set<RouteId>();

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    cluster = await Cluster.create(services);
    const embedded = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    close = () => connections.close();
    writer = connections.logWriter('kafka', {});
    await until('the embedded process answers', 30_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await writer.createTopic('users', 2);
      return true;
    });
    await cluster.startMaster();
    await cluster.startWorker();
    await cluster.startWorker();
  });

  after(async () => {
    await close?.();
    await cluster?.close();
  });

  /** Asks by the table of routes and checks the answer against it. `path`: parameters and query. */
  async function ask(
    id: RouteId,
    {
      params = {},
      query = '',
      body,
      headers = {},
    }: {
      readonly params?: Readonly<Record<string, string>>;
      readonly query?: string;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Reply> {
    asked.add(id);
    const spec: RouteSpec = routes[id];
    const path = spec.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
    const response = await fetch(`${cluster.address}${path}${query === '' ? '' : `?${query}`}`, {
      method: spec.method,
      headers: { authorization: 'Bearer test-token', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const promised = spec.answers[response.status];
    const where = `${spec.method} ${path}?${query} → ${response.status} ${text}`;
    if (promised === undefined) {
      assert.ok(response.status >= 400, where);
      assert.match(response.headers.get('content-type') ?? '', /problem\+json/);
      const parsed = problemSchema.safeParse(JSON.parse(text));
      assert.ok(parsed.success, where);
      assert.ok([400, 401, 403, 503, ...(spec.problems ?? [])].includes(response.status), where);
    } else if (promised === null) assert.equal(text, '', where);
    else if (typeof promised !== 'string') {
      const parsed = promised.safeParse(JSON.parse(text));
      assert.ok(parsed.success, `${where}: ${parsed.success ? '' : z.prettifyError(parsed.error)}`);
    }
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      body: text === '' ? null : isJson ? JSON.parse(text) : text,
      headers: response.headers,
    };
  }

  const named = (name: string): { readonly params: { readonly name: string } } => ({ params: { name } });

  async function append(to: number, values: readonly string[], timestampMs = 1_700_000_000_000): Promise<void> {
    const records = values.map((value, index) => ({
      key: Buffer.from(`k${index}`),
      value: Buffer.from(value),
      timestampMs: timestampMs + index,
    }));
    const permit = { valid: () => true, check: () => undefined };
    await writer.append([{ topic: 'users', partition: partition(to), batch: encodeRecordBatch(records) }], permit);
  }

  async function reached(name: string, state: string): Promise<void> {
    const { status, body } = await ask('waitForJob', { ...named(name), query: `state=${state}&timeout=30s` });
    assert.equal(status, 200, JSON.stringify(body));
  }

  async function caughtUp(name: string, read: number): Promise<void> {
    await until(`${name} has read ${read}`, 30_000, async () => {
      const { body } = await ask('getStatus', named(name));
      return body.counters.read >= read && body.lag === 0;
    });
  }

  test('submit, apply with revisions, validate, look', async () => {
    assert.equal((await ask('health')).status, 200);
    assert.equal((await ask('ready')).status, 200);
    assert.equal((await ask('validateJob', { body: users() })).body.valid, true);
    const wrong = await ask('validateJob', { body: users('agee > 0') });
    assert.deepEqual([wrong.body.valid, wrong.body.problems[0].line], [false, 6]);
    const nowhere = users().replace(
      /  - \{ connector: cassandra.*/,
      '  - { connector: postgres, table: users, primaryKey: [id] }',
    );
    const unplaced = await ask('validateJob', { body: nowhere });
    assert.equal(unplaced.body.valid, false, 'nobody has said which database');
    assert.match(unplaced.body.problems[0].message, /names no database; set POSTGRES_URL/);
    assert.equal(unplaced.body.problems[0].path, 'sinks.0');

    const first = await ask('submitJob', { body: users() });
    assert.deepEqual([first.status, first.headers.get('location')], [201, '/v1/jobs/users']);
    assert.equal(first.headers.get('etag'), '"1"');
    assert.equal((await ask('submitJob', { body: users() })).body.change, 'unchanged', 'the same file again');
    assert.equal((await ask('submitJob', { body: users('age > 1') })).status, 409, 'another job of that name');

    const put = { ...named('users'), body: users('age > 1') };
    assert.equal((await ask('applyJob', { ...put, headers: { 'if-match': '"7"' } })).status, 412);
    assert.equal((await ask('applyJob', { ...put, headers: { 'if-match': 'x' } })).status, 400);
    const dry = await ask('applyJob', { ...put, query: 'dryRun=true' });
    assert.deepEqual([dry.body.kind, dry.body.changed, dry.body.stateCompatible], ['valid', true, true]);
    const changed = await ask('applyJob', { ...put, headers: { 'if-match': '"1"' } });
    assert.deepEqual([changed.status, changed.body.revision, changed.body.changed], [200, 2, true]);
    await reached('users', 'running');

    const diff = await ask('diffRevisions', named('users'));
    assert.deepEqual([diff.body.from, diff.body.to, diff.body.same], [1, 2, false]);
    const lines = diff.body.lines.filter((line: { kind: string }) => line.kind !== 'same');
    assert.deepEqual(
      lines.map(({ kind }: { kind: string }) => kind),
      ['removed', 'added'],
    );
    assert.match(lines[1].text, /WHERE age > 1$/);
    assert.equal((await ask('diffJob', { ...named('users'), body: users('age > 1') })).body.same, true);
    const revisions = (await ask('getRevisions', named('users'))).body.revisions;
    assert.deepEqual(
      revisions.map((one: { revision: number; current: boolean }) => [one.revision, one.current]),
      [
        [2, true],
        [1, false],
      ],
    );
    assert.equal((await ask('getPlan', { ...named('users'), query: 'revision=1' })).body.source, users());
    assert.equal((await ask('getPlan', { ...named('users'), query: 'revision=9' })).status, 404);

    const back = await ask('rollbackJob', { ...named('users'), query: 'to=1' });
    assert.deepEqual([back.status, back.body.revision], [202, 3]);
    const patch = { ...named('users'), body: { labels: { team: 'a' } } };
    const type = { 'content-type': 'application/merge-patch+json' };
    const tried = await ask('patchJob', { ...patch, query: 'dryRun=true', headers: type });
    assert.deepEqual([tried.body.kind, tried.body.changed], ['valid', true]);
    assert.equal((await ask('patchJob', { ...patch, headers: { ...type, 'if-match': '"1"' } })).status, 412);
    assert.equal((await ask('patchJob', { ...patch, ...named('nobody'), headers: type })).status, 404);
    assert.match((await ask('explainJob', { ...named('users'), query: 'format=dot' })).body, /^digraph/);
    assert.match((await ask('explainJob', named('users'))).body, /^job users\n/);
    assert.equal((await ask('getJob', named('nobody'))).status, 404);
    assert.equal((await ask('listJobs', { query: 'limit=1&fields=summary' })).body.jobs[0].name, 'users');
    assert.deepEqual((await ask('listJobs', { query: 'state=failed' })).body.jobs, []);
  });

  test('rows flow: status, progress, rows, topics, tables, offsets', async () => {
    await append(0, ['{"id":"a","age":1}', '{"id":"b","age":2}', 'bad', '{"id":"c","age":-1}']);
    await append(1, ['{"id":"d","age":4}', 'worse']);
    await caughtUp('users', 6);
    const waited = await ask('waitForJob', { ...named('users'), query: 'state=running&lag=0&timeout=20s' });
    assert.equal(waited.status, 200);
    assert.equal((await ask('waitForJob', { ...named('users'), query: 'state=finished' })).status, 404);
    assert.equal((await ask('waitForJob', { ...named('users'), query: 'timeout=soon' })).status, 400);

    const view = (await ask('getJob', named('users'))).body;
    assert.deepEqual([view.protocol, view.topics, view.lanes.length], ['lanes', ['users'], 2]);
    const progress = await until('progress is there', 10_000, async () => {
      const { body } = await ask('getProgress', { ...named('users'), query: 'last=50' });
      const rows = body.progress.reduce((sum: number, one: { numInputRows: number }) => sum + one.numInputRows, 0);
      return rows === 6 && body.progress;
    });
    const last = progress.at(-1);
    assert.equal(last.sources[0].description, 'KafkaV2[Subscribe[users]]');
    assert.equal(last.sink.description, 'rest.users');
    assert.deepEqual(last.sources[0].endOffset, { users: { 0: 4, 1: 2 } });

    const rows = (await ask('tapRows', { ...named('users'), query: 'sink=0' })).body;
    assert.deepEqual(rows.rows.map((row: unknown[]) => row[0]).toSorted(), ['a', 'b', 'd']);
    const tapped = (await ask('tapRows', { ...named('users'), query: 'stage=0&limit=10' })).body;
    assert.deepEqual(tapped.rows.toSorted(), [
      ['a', 2],
      ['b', 3],
      ['d', 5],
    ]);
    assert.equal((await ask('tapRows', { ...named('users'), query: 'stage=5' })).status, 404);
    assert.equal(tapped.next, 'users/0:4,users/1:2');
    const none = (await ask('tapRows', { ...named('users'), query: `stage=0&after=${tapped.next}` })).body;
    assert.deepEqual(none, { columns: [], rows: [], next: tapped.next, skipped: 0 });
    const again = (await ask('tapRows', { ...named('users'), query: 'stage=0&after=users/0:0,users/1:2' })).body;
    assert.equal(again.next, tapped.next);
    assert.ok(again.rows.length > 0 && again.rows.length < tapped.rows.length, 'of one partition alone');
    const newest = (await ask('tapRows', { ...named('users'), query: 'stage=0&limit=2&after=users/0:0,users/1:0' }))
      .body;
    assert.deepEqual([newest.skipped, newest.next], [4, tapped.next], 'one of each partition');
    assert.equal((await ask('tapRows', { ...named('users'), query: 'after=users' })).status, 400);
    const tried = await ask('tryJob', { body: { job: users(), rows: { users: [{ id: 'x', age: 9 }, '{'] } } });
    assert.deepEqual([tried.body.rows, tried.body.deadLetters], [[['x', 10]], [{ code: 'RECORD_NOT_JSON', count: 1 }]]);
    assert.equal((await ask('tryJob', { body: { job: 'name: 1', rows: {} } })).body.problems.length > 0, true);
    assert.equal((await ask('tryJob', { body: { rows: {} } })).status, 400);

    const { topics } = (await ask('listTopics')).body;
    assert.deepEqual(topics, [{ name: 'users', jobs: ['users'], sinks: [], partitions: 2, records: 6, problem: null }]);
    const topic = (await ask('getTopic', { params: { topic: 'users' } })).body;
    assert.deepEqual(topic.partitions[0], {
      partition: 0,
      startOffset: 0,
      endOffset: 4,
      lags: [{ job: 'users', committedOffset: 4, lag: 0 }],
    });
    assert.equal((await ask('getTopic', { params: { topic: 'none' } })).status, 404);
    const read = async (query: string): Promise<string[]> => {
      const { body } = await ask('readTopic', { params: { topic: 'users' }, query });
      return body.records.map(({ value }: { value: string }) => Buffer.from(value, 'base64').toString());
    };
    assert.deepEqual(await read('partition=0&from=2&limit=10'), ['bad', '{"id":"c","age":-1}']);
    assert.deepEqual(await read('partition=1&from=latest&limit=1'), ['worse']);
    assert.deepEqual((await read('from=earliest&limit=100')).length, 6);
    assert.deepEqual(await read('partition=0&from=ts:1700000000003&limit=100'), ['{"id":"c","age":-1}']);
    assert.equal((await ask('readTopic', { params: { topic: 'users' }, query: 'partition=9' })).status, 404);
    assert.equal((await ask('readTopic', { params: { topic: 'users' }, query: 'from=x' })).status, 400);
    const behind = (await ask('readTopic', { params: { topic: 'users' }, query: 'after=0:3,1:2' })).body;
    assert.deepEqual(
      [
        behind.records.map(({ partition, offset }: { partition: number; offset: number }) => [partition, offset]),
        behind.next,
      ],
      [[[0, 3]], { 0: 4, 1: 2 }],
    );

    const { functions } = (await ask('listFunctions')).body;
    assert.ok(functions.length > 100);
    assert.deepEqual(functions.find(({ name }: { name: string }) => name === 'upper').examples[0], {
      sql: "upper('straße')",
      result: 'STRASSE',
    });
    const { tables } = (await ask('listTables')).body;
    assert.deepEqual(
      tables.map(({ keyspace, table, jobs }: Record<string, unknown>) => [keyspace, table, jobs]),
      [
        ['rest', 'users', ['users']],
        ['weir', 'dead_letters', []],
      ],
    );
    assert.equal((await ask('queryTables', { body: { cql: 'SELECT count(*) FROM rest.users' } })).body.rows[0][0], 3);
    assert.equal((await ask('queryTables', { body: {} })).status, 400);
    assert.equal((await ask('queryTables', { body: 'SELECT' })).status, 400);
    const { offsets } = (await ask('getOffsets', named('users'))).body;
    assert.deepEqual(
      offsets.map(({ partition: at, committed, end }: Record<string, number>) => [at, committed, end]),
      [
        [0, 4, 4],
        [1, 2, 2],
      ],
    );
  });

  test('dead letters: list, replay as it was and edited, purge', async () => {
    const list = async (query = ''): Promise<Record<string, unknown>[]> =>
      (await ask('listDeadLetters', { ...named('users'), query })).body.letters;
    const all = await list();
    assert.deepEqual(all.map(({ partition: at, offset, code }) => [at, offset, code]).toSorted(), [
      [0, 2, 'RECORD_NOT_JSON'],
      [1, 1, 'RECORD_NOT_JSON'],
    ]);
    assert.equal(Buffer.from(String(all.find(({ partition: at }) => at === 0)?.['value']), 'base64').toString(), 'bad');
    assert.equal((await list('partition=0&topic=users')).length, 1);
    assert.equal((await list('partition=0&topic=users&before=2')).length, 0);
    const more = (await ask('listDeadLetters', { ...named('users'), query: 'limit=1' })).body;
    assert.deepEqual([more.letters.length, more.more], [1, true]);

    const key = ({ run, topic, partition: at, offset }: Record<string, unknown>): object => ({
      run,
      topic,
      partition: at,
      offset,
    });
    const value = Buffer.from('{"id":"mended","age":7}').toString('base64');
    const letters = all.map((letter, index) => (index === 0 ? { ...key(letter), value } : key(letter)));
    const replayed = await ask('replayDeadLetters', { ...named('users'), body: { letters } });
    assert.deepEqual(replayed.body, { replayed: 2, to: ['users'] });
    await caughtUp('users', 8);
    assert.equal(
      (await ask('queryTables', { body: { cql: "SELECT age FROM rest.users WHERE id = 'mended'" } })).body.rows[0][0],
      8,
    );
    const missing = { letters: [{ run: 1, topic: 'users', partition: 0, offset: 999 }] };
    assert.equal((await ask('replayDeadLetters', { ...named('users'), body: missing })).status, 404);
    const before = (await list()).length;
    assert.equal(
      (await ask('purgeDeadLetters', { ...named('users'), body: { letters: all.map(key) } })).body.purged,
      2,
    );
    assert.equal((await list()).length, before - 2);
    assert.equal((await ask('purgeDeadLetters', { ...named('users'), body: missing })).body.purged, 0);
  });

  test('actions, operations, offsets of a job at rest, replay from a time', async () => {
    assert.equal((await ask('pauseJob', named('users'))).status, 202);
    await reached('users', 'stopped');
    assert.equal((await ask('resumeJob', named('users'))).status, 202);
    await reached('users', 'running');
    const body = { offsets: [{ topic: 'users', partition: 0, offset: 3 }] };
    assert.equal((await ask('setOffsets', { ...named('users'), body })).status, 409, 'while it runs');
    assert.equal((await ask('resetOffsets', named('users'))).status, 409, 'while it runs');
    await ask('stopJob', named('users'));
    await reached('users', 'stopped');
    const far = { offsets: [{ topic: 'users', partition: 0, offset: 300 }] };
    assert.equal((await ask('setOffsets', { ...named('users'), body: far })).status, 400);
    assert.equal(
      (await ask('setOffsets', { ...named('users'), body: { offsets: [{ topic: 'x', partition: 0, offset: 0 }] } }))
        .status,
      404,
    );
    assert.equal((await ask('setOffsets', { ...named('users'), body })).status, 200);
    await ask('startJob', named('users'));
    await reached('users', 'running');
    // Partition 0 from offset 3 on; partition 1 where it stood.
    const { offsets } = (await ask('getOffsets', named('users'))).body;
    const expected = offsets[0].end - 3;
    await caughtUp('users', expected);
    assert.equal((await ask('getStatus', named('users'))).body.counters.read, expected);

    await ask('cancelJob', named('users'));
    await reached('users', 'stopped');
    assert.equal((await ask('resetOffsets', { ...named('users'), query: 'to=never' })).status, 400);
    assert.equal((await ask('resetOffsets', { ...named('users'), query: 'to=earliest' })).status, 200);
    const restarted = await ask('restartJob', named('users'));
    assert.equal(restarted.status, 202);
    const done = await ask('getOperation', { params: { id: restarted.body.id }, query: 'wait=30s' });
    assert.deepEqual([done.body.state, done.body.error], ['done', null]);
    assert.equal((await ask('getOperation', { params: { id: 'none' } })).status, 404);
    await reached('users', 'running');
    await caughtUp('users', 8);

    const before = (await ask('getStatus', named('users'))).body.run;
    const replay = await ask('replayJob', { ...named('users'), body: { from: { timestamp: 1_700_000_000_003 } } });
    assert.deepEqual([replay.status, replay.body.run], [202, before + 1]);
    await caughtUp('users', 1);
    assert.equal((await ask('replayJob', { ...named('users'), body: { from: 'now' } })).status, 400);

    const scaled = await ask('scaleJob', { ...named('users'), body: { workers: 1 } });
    assert.equal(scaled.body.workersMax, 1);
    await until('one worker has both partitions', 20_000, async () => {
      const { lanes } = (await ask('getJob', named('users'))).body;
      return new Set(lanes.map(({ owner }: { owner: string }) => owner)).size === 1 && lanes[0].owner !== null;
    });
    assert.equal((await ask('scaleJob', { ...named('users'), body: { workers: 0 } })).status, 400);
    await ask('scaleJob', { ...named('users'), body: { workers: null } });
    await until('two workers share them again', 20_000, async () => {
      const { lanes } = (await ask('getJob', named('users'))).body;
      return new Set(lanes.map(({ owner }: { owner: string }) => owner)).size === 2;
    });
  });

  test('a job begins where another system stood', async () => {
    const file = users('true').replace('name: users', 'name: moved').replace('table: users', 'table: moved');
    const { offsets } = (await ask('getOffsets', named('users'))).body;
    const end = offsets[1].end;
    const body = { file, offsets: [{ topic: 'users', partition: 1, offset: end - 1 }] };
    const dry = await ask('importJob', { ...named('moved'), query: 'dryRun=true', body });
    assert.deepEqual([dry.status, dry.body.outcome.kind], [200, 'valid']);
    assert.equal((await ask('getJob', named('moved'))).status, 404, 'nothing was made');
    assert.deepEqual(
      dry.body.partitions.map(({ offset, isNew }: { readonly offset: number; readonly isNew: boolean }) => [
        offset,
        isNew,
      ]),
      [
        [offsets[0].earliest, true],
        [end - 1, false],
      ],
    );
    assert.equal((await ask('importJob', { ...named('moved'), body })).status, 201);
    await caughtUp('moved', offsets[0].end + 1);
    const stateful = { ...body, file: counts.replace('name: counts', 'name: moved-counts') };
    assert.equal((await ask('importJob', { ...named('moved-counts'), body: stateful })).status, 409);
    const wrong = { ...body, file: users('nothing') };
    assert.equal((await ask('importJob', { ...named('users'), body: wrong })).status, 422);
    const beyond = { file, offsets: [{ topic: 'users', partition: 1, offset: end + 1 }] };
    assert.equal((await ask('importJob', { ...named('moved'), body: beyond })).status, 400);
    await ask('stopJob', named('moved'));
    await reached('moved', 'stopped');
    await ask('removeJob', named('moved'));
  });

  test('a stateful job: savepoints, checkpoints, progress, offsets', async () => {
    await ask('applyJob', { ...named('counts'), body: counts });
    await reached('counts', 'running');
    await caughtUp('counts', 8);
    const progress = await until('progress is there', 20_000, async () => {
      await append(0, ['{"id":"e","age":1}']);
      const { body } = await ask('getProgress', named('counts'));
      return body.progress.length > 0 && body.progress;
    });
    const last = progress.at(-1);
    assert.equal(typeof last.durationMs.walCommit, 'number');
    assert.equal(last.stateOperators.length, 1);
    assert.ok(last.partitions.length > 0);
    assert.equal((await ask('createSavepoint', { params: { name: 'counts', savepoint: 'before' } })).status, 201);
    assert.equal((await ask('createSavepoint', { params: { name: 'counts', savepoint: 'before' } })).status, 409);
    assert.equal((await ask('listSavepoints', named('counts'))).body.savepoints[0].name, 'before');
    const { checkpoints } = await until('a checkpoint was seen', 10_000, async () => {
      const { body } = await ask('getCheckpoints', named('counts'));
      return body.checkpoints.length > 0 && body;
    });
    assert.ok(checkpoints[0].epoch >= 0);
    assert.equal((await ask('stepJob', named('counts'))).status, 409, 'it runs by itself');
    const runs = await ask('getRuns', named('counts'));
    assert.deepEqual(runs.body, { schedule: null, next: null, runs: [] }, 'it runs at no times');
    const tapped = await ask('tapRows', { ...named('counts'), query: 'stage=1&limit=100' });
    assert.deepEqual(
      tapped.body.columns.map(({ name }: { name: string }) => name),
      ['age', 'n'],
    );
    const followed = await ask('tapRows', { ...named('counts'), query: 'stage=1&after=users/0:0' });
    assert.deepEqual(
      [followed.status, followed.body.code],
      [400, 'UNSUPPORTED'],
      'state is not made of new records alone',
    );
    const { operators } = (await ask('getJob', named('counts'))).body;
    assert.deepEqual(
      operators.map(({ id }: { id: string }) => id),
      ['source0', 'stage0', 'stage1', 'sink0'],
    );

    await ask('stopJob', named('counts'));
    await reached('counts', 'stopped');
    const body = {
      offsets: [
        { topic: 'users', partition: 0, offset: 3 },
        { topic: 'users', partition: 1, offset: 0 },
      ],
    };
    assert.equal((await ask('setOffsets', { ...named('counts'), body })).status, 200);
    await ask('startJob', named('counts'));
    await reached('counts', 'running');
    const ends = (await ask('getOffsets', named('counts'))).body.offsets.map(({ end }: { end: number }) => end);
    await caughtUp('counts', ends[0] - 3 + ends[1]);
    assert.equal((await ask('getStatus', named('counts'))).body.counters.read, ends[0] - 3 + ends[1]);
    assert.equal((await ask('deleteSavepoint', { params: { name: 'counts', savepoint: 'before' } })).status, 204);
    assert.equal((await ask('deleteSavepoint', { params: { name: 'counts', savepoint: 'before' } })).status, 404);
  });

  test('events: recent ones, the stream, and going on after a break', async () => {
    const recent = (await ask('listEvents', { query: 'job=users&last=100' })).body.events;
    const messages = recent.map(({ message }: { message: string }) => message);
    assert.ok(messages.includes('Job users is stopped.'), messages.join('\n'));
    assert.ok(messages.some((message: string) => message.startsWith('Job users was changed: revision 3')));
    asked.add('streamEvents');
    const listen = async (topics: string, wanted: readonly string[], headers: Record<string, string> = {}) => {
      const stop = new AbortController();
      const response = await fetch(`${cluster.address}/v1/events?topics=${topics}`, {
        headers: { authorization: 'Bearer test-token', ...headers },
        signal: AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]),
      });
      assert.equal(response.headers.get('content-type'), 'text/event-stream');
      assert.ok(response.body);
      let text = '';
      for await (const chunk of response.body) {
        text += Buffer.from(chunk).toString();
        if (wanted.every((one) => text.includes(one))) break;
      }
      stop.abort();
      return text;
    };
    const stream = await listen('jobs,workers,job:users,logs', ['event: jobs\n', 'event: workers\n', 'event: job\n']);
    assert.match(stream, /event: jobs\ndata: \{"full":true,"jobs":\[\{"name":"users"/);
    const following = listen('events,progress:users', ['event: progress\n', 'is stopped.']);
    await append(0, ['{"id":"f","age":1}']);
    await until('the record is read', 20_000, async () => (await ask('getStatus', named('users'))).body.lag === 0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await ask('stopJob', named('users'));
    assert.match(await following, /id: \d+\nevent: event\ndata: \{"seq":/);
    const again = await listen('events', ['Job users is stopped.'], { 'last-event-id': String(recent[0].seq) });
    assert.ok(!again.includes(`id: ${recent[0].seq}\n`) && again.includes(`id: ${recent[0].seq + 1}\n`));
    assert.equal((await ask('streamEvents', { query: 'topics=nothing' })).status, 400);
    const { lines } = (await ask('listLogs', { query: 'level=info&last=5' })).body;
    assert.equal(lines.length, 5);
  });

  test('as a Spark master: create, status, kill, ready', async () => {
    const created = await ask('sparkCreate', { body: { action: 'CreateSubmissionRequest', appResource: 'job:users' } });
    assert.deepEqual([created.body.success, created.body.action], [true, 'CreateSubmissionResponse']);
    const { submissionId } = created.body;
    assert.match(submissionId, /^driver-[0-9-]+$/);
    await reached('users', 'running');
    const status = async (id: string): Promise<unknown[]> => {
      const { body } = await ask('sparkStatus', { params: { id } });
      return [body.success, body.driverState];
    };
    assert.deepEqual(await status(submissionId), [true, 'RUNNING']);
    assert.deepEqual(await status('users'), [true, 'RUNNING']);
    assert.deepEqual(await status('driver-1-1'), [false, undefined]);
    assert.equal((await ask('sparkKill', { params: { id: submissionId } })).body.success, true);
    await reached('users', 'stopped');
    assert.deepEqual(await status(submissionId), [true, 'KILLED']);
    const file = `data:application/yaml;base64,${Buffer.from(users().replace('name: users', 'name: spark')).toString('base64')}`;
    assert.equal((await ask('sparkCreate', { body: { appResource: file } })).body.success, true);
    const property = { 'spark.weir.job': 'name: 1' };
    const refused = await ask('sparkCreate', { body: { appResource: 'x.jar', sparkProperties: property } });
    assert.equal(refused.body.success, false);
    assert.equal((await ask('sparkReady')).body.success, true);
  });

  test('the cluster: workers, draining, targets, documents', async () => {
    const { workers } = (await ask('listWorkers')).body;
    assert.equal(workers.length, 2);
    const worker = (await ask('getWorker', { params: { id: workers[0].id.slice(0, -9) } })).body;
    assert.deepEqual([worker.id, worker.partitions.length > 0], [workers[0].id, true]);
    assert.equal((await ask('getWorker', { params: { id: 'nobody' } })).status, 404);
    assert.equal((await ask('drainWorker', { params: { id: workers[0].id } })).status, 202);
    await until('nothing is left there', 20_000, async () => {
      const { lanes } = (await ask('getJob', named('spark'))).body;
      return lanes.length === 2 && lanes.every(({ owner }: { owner: string }) => owner === workers[1].id);
    });
    assert.equal((await ask('drainWorker', { params: { id: 'nobody' } })).status, 404);
    assert.equal((await ask('listTargets')).body.length, 3);
    assert.equal((await ask('getCluster')).body.workers.draining, 1);
    assert.equal((await ask('openapi')).body.openapi, '3.1.0');
    assert.equal((await ask('jobSchema')).status, 200);
    assert.match((await ask('docs')).body, /<code><b>PUT<\/b> \/v1\/jobs\/\{name\}<\/code>/);
    assert.deepEqual((await ask('getErrors', named('spark'))).body, { errors: [] });
    assert.match((await ask('metrics')).body, /weir_jobs/);
    assert.equal((await ask('removeJob', named('spark'))).status, 409);
    await ask('cancelJob', named('spark'));
    await reached('spark', 'stopped');
    assert.equal((await ask('removeJob', named('spark'))).status, 204);
  });

  test('tokens: made, used as far as their role goes, taken back', async () => {
    assert.deepEqual((await ask('whoAmI')).body, { name: 'cluster', role: 'admin' });
    const made = await ask('createToken', { body: { name: 'eve', role: 'viewer', expiresIn: '1h' } });
    assert.equal(made.status, 201);
    const headers = { authorization: `Bearer ${made.body.token}` };
    assert.deepEqual((await ask('whoAmI', { headers })).body, { name: 'eve', role: 'viewer' });
    assert.equal((await ask('listJobs', { headers })).status, 200);
    assert.equal((await ask('listTokens', { headers })).status, 403);
    assert.equal((await ask('createToken', { body: { name: 'eve', role: 'admin' } })).status, 409);
    assert.equal((await ask('createToken', { body: { name: 'w', role: 'worker' } })).status, 409, 'there is no TLS');
    assert.equal((await ask('listTokens')).body.tokens.length, 1);
    assert.equal((await ask('revokeToken', { params: { id: 'eve' } })).status, 200);
    assert.equal((await ask('whoAmI', { headers })).status, 401);
    assert.equal((await ask('revokeToken', { params: { id: 'nobody' } })).status, 404);
  });

  test('every route of the table was asked', () => {
    assert.deepEqual(
      Object.keys(routes).filter((id) => !asked.has(id as RouteId)),
      [],
    );
  });
});
