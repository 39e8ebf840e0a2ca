/** Commands of the `weir` command against real processes: what they print, what they do, how they end. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { until } from '../support/cluster.ts';
import { CommandLine } from '../support/command-line.ts';

const users = (where = 'age > 0'): string => `apiVersion: weir/v1
kind: Job
name: users
sources:
  users: { connector: kafka, topic: users, startingOffsets: earliest, schema: 'id STRING NOT NULL, age INT' }
query: SELECT id, age + 1 AS age FROM users WHERE ${where}
sinks:
  - { connector: cassandra, keyspace: cli, table: users, primaryKey: [id], create: true }
`;

suite('the command on a real cluster', { timeout: 420_000 }, () => {
  let line: CommandLine;
  let home: string;
  let jobs: string;
  let file: string;
  const weir: CommandLine['weir'] = (args, options) => line.weir(args, options);
  const good: CommandLine['good'] = (args) => line.good(args);
  const append = (to: number, values: readonly string[]): Promise<void> => line.append('users', to, values);

  before(async () => {
    line = await CommandLine.open('users', 2);
    ({ home } = line);
    jobs = join(home, 'jobs');
    file = join(jobs, 'users.yaml');
    mkdirSync(jobs);
    writeFileSync(file, users());
  });

  after(async () => await line?.close());

  test('diff, submit, wait: from nothing to a job that has caught up', async () => {
    const nothing = await weir(['diff', file]);
    assert.equal(nothing.code, 10);
    assert.match(nothing.out, /^--- nothing\n.*\n\+apiVersion: weir\/v1/);
    assert.equal(await good(['submit', '-f', file, '-q']), 'users\n');
    assert.equal((await weir(['diff', jobs])).code, 0);
    await append(0, ['{"id":"a","age":1}', 'bad', '{"id":"b","age":2}']);
    await append(1, ['{"id":"c","age":3}', '{"age":1}']);
    assert.equal(
      await good(['wait', 'users', '--for', 'state=RUNNING', '--for', 'lag=0', '--timeout', '60s']),
      'users\n',
    );
    const late = await weir(['wait', 'users', '--for', 'state=finished', '--timeout', '100ms']);
    assert.equal(late.code, 8, late.err);
    assert.equal((await weir(['wait', 'nobody', '--for', 'state=running'])).code, 4);
    const misspelt = await weir(['describe', 'job', 'uses']);
    assert.equal(misspelt.code, 4);
    assert.match(misspelt.err, /There is no job uses; did you mean users\?/);
    assert.equal((await weir(['wait', 'users', '--for', 'luck'])).code, 2);
    writeFileSync(file, users('age > 1'));
    const changed = await weir(['diff', file]);
    assert.match(changed.out, /\n-query: .*age > 0\n\+query: .*age > 1\n/);
    writeFileSync(file, users());
  });

  test('look: get, describe, tail, top, events, doctor', async () => {
    assert.match(await good(['get', 'partitions', 'users']), /^JOB +TOPIC.*\nusers +users +0 +running/);
    assert.match(await good(['get', 'topics', '-o', 'yaml']), /^topics:\n {2}- name: users\n/);
    assert.equal(await good(['get', 'tables', '-o', 'name']), 'cli.users\nweir.dead_letters\n');
    assert.match(await good(['get', 'revisions', 'users']), /\* +1 /);
    assert.match(await good(['get', 'sources', 'users']), /users +users +kafka +users/);
    assert.equal((await weir(['get', 'checkpoints'])).code, 2);
    assert.match(await good(['describe', 'topic', 'users']), /0 +0 +3 +users 0 behind/);
    const [worker = ''] = (await good(['get', 'workers', '-o', 'name'])).split('\n');
    assert.match(await good(['describe', 'worker', worker]), /^NAME: +w1-/);
    assert.equal((await weir(['describe', 'worker', 'x'])).code, 4);
    const rows = (await good(['tail', 'users', '--stage', '0', '-o', 'json']))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(rows.map(({ id }) => id).toSorted(), ['a', 'b', 'c']);
    assert.match(await good(['tail', 'users', '--sink', '0', '--limit', '2']), /^id +age\n/);
    const even = await good(['tail', 'users', '--stage', '0', '--where', 'age % 2 = 0', '-o', 'json']);
    assert.deepEqual(even.match(/"id":"."/g)?.toSorted(), ['"id":"a"', '"id":"c"'], 'ages are one more');
    assert.equal((await weir(['tail', 'users', '--where', 'agee > 1'])).code, 3);
    assert.match(await good(['top', '--once']), /^jobs 1 {3}workers 1\/1 .*\n\nJOB +STATE[^]*users +running[^]*WORKER/);
    assert.match(await good(['events', '--job', 'users']), /info +Job users is running\.\n/);
    const watching = await weir(['events', '-w', '-o', 'json'], { endWhen: /is running/ });
    assert.equal(JSON.parse(watching.out.split('\n')[0] ?? '').seq, 1);
    const well = await weir(['doctor']);
    assert.equal(well.code, 0, well.out);
    assert.match(well.out, /ok +1 of 1 workers alive\n/);
    assert.match(well.out, /warn +job users has 2 dead letters: weir dlq list users\n/);
    const grpc = await weir(['get', 'jobs', '--address', `http://127.0.0.1:${line.cluster.grpcPort}`]);
    assert.equal(grpc.code, 7);
    assert.match(grpc.err, /does not speak HTTP/);
    const lost = await weir(['doctor', '--address', 'http://127.0.0.1:1']);
    assert.equal(lost.code, 1);
    assert.match(lost.out, /BAD +No master answers/);
  });

  test('dead letters: list, show, replay with another value, purge', async () => {
    const names = (await good(['dlq', 'list', 'users', '-o', 'name'])).trim().split('\n');
    assert.deepEqual(names.toSorted(), ['users/0/1', 'users/1/1']);
    assert.match(await good(['dlq', 'list', 'users', '--code', 'RECORD_NOT_JSON']), /users\/0\/1 .* bad\n$/);
    assert.match(await good(['dlq', 'show', 'users', 'users/0/1']), /RECORD_NOT_JSON: the record is not a JSON object/);
    const value = join(home, 'value.json');
    writeFileSync(value, '{"id":"mended","age":8}');
    await good(['dlq', 'replay', 'users', 'users/0/1', '--value', value, '--purge']);
    await until('the mended record has a row', 20_000, async () =>
      /9/.test(await good(['query', "SELECT age FROM cli.users WHERE id = 'mended'"])),
    );
    assert.equal((await weir(['dlq', 'replay', 'users'])).code, 2);
    assert.equal((await weir(['dlq', 'show', 'users', 'users/0/77'])).code, 4);
    await good(['dlq', 'purge', 'users', '--all']);
    assert.match((await weir(['dlq', 'list', 'users'])).err, /no dead letters/);
  });

  test('act: pause, offsets, resume, scale, restart', async () => {
    assert.equal((await weir(['offsets', 'set', 'users', '0=1'])).code, 5, 'while it runs');
    assert.equal(await good(['pause', 'users']), 'users\n');
    assert.match(await good(['offsets', 'get', 'users']), /users +users +0 +\d+ +0 +\d+ +0\n/);
    const set = JSON.parse(await good(['offsets', 'set', 'users', 'users:0=2', '1=1', '-o', 'json']));
    assert.equal(set.state, 'stopped');
    assert.equal((await weir(['offsets', 'set', 'users', 'users:0=200'])).code, 1);
    assert.equal((await weir(['offsets', 'set', 'users', 'zero'])).code, 2);
    await good(['resume', 'users']);
    const read = await until('it has read', 20_000, async () => {
      const { counters } = JSON.parse(await good(['get', 'jobs', 'users', '-o', 'json']));
      return counters.read >= 3 && counters.read;
    });
    assert.equal(read, 3, 'offsets 2 and 3 of partition 0, 1 of partition 1');
    await good(['scale', 'users', '--parallelism', '1']);
    assert.equal((await weir(['scale', 'users', '--parallelism', 'some'])).code, 2);
    assert.equal(await good(['restart', 'users']), 'users\n');
    await good(['stop', 'users']);
    await good(['offsets', 'reset', 'users', '--to', 'latest']);
    await good(['start', 'users']);
  });

  test('submit --paused: nothing runs before somebody starts it, and a job that runs is not changed so', async () => {
    const later = join(home, 'later.yaml');
    writeFileSync(later, users().replace('name: users', 'name: later').replace('table: users', 'table: later'));
    assert.equal(await good(['submit', later, '--paused']), 'later\n');
    assert.equal(await good(['submit', later, '--paused']), 'later\n');
    const stateOf = async (): Promise<string> =>
      (await good(['get', 'job', 'later', '-o', 'jsonpath=.row.state'])).trim();
    assert.equal(await stateOf(), 'stopped');
    assert.equal(await good(['query', 'SELECT count(*) FROM cli.later']), 'count\n0\n');
    await good(['submit', later, '--set', 'trigger=50ms', '--paused']);
    assert.equal(await stateOf(), 'stopped');
    await good(['start', 'later']);
    await good(['wait', 'later', '--for', 'lag=0']);
    assert.notEqual(await good(['query', 'SELECT count(*) FROM cli.later']), 'count\n0\n');
    assert.equal((await weir(['submit', later, '--paused', '--set', 'trigger=60ms'])).code, 5);
    assert.equal(await stateOf(), 'running');
    const { out, err } = await weir(['rollback', 'later']);
    assert.equal(out, 'later\n');
    assert.match(err, /later is at revision 3, which says what revision 1 said; it was at 2/);
    await good(['delete', 'later']);
  });

  test('spark-submit: as Spark’s tools and Airflow see it', async () => {
    const args = ['spark-submit', '--master', 'spark://x:7077', '--deploy-mode', 'cluster', '--name', 'From Spark'];
    const { code, out, err } = await weir([...args, '--executor-memory', '2g', '--conf', 'spark.a=b', file]);
    assert.equal(code, 0, err);
    assert.match(out, /^driver-[0-9-]+\n$/);
    assert.match(err, /--executor-memory is not used.*\n.*--conf spark\.a is not used/);
    assert.match(err, /Submission successfully created as driver-[0-9-]+; job from-spark/);
    await good(['wait', 'from-spark', '--for', 'state=running']);
    const id = out.trim();
    assert.match(await good(['spark-submit', '--status', id]), /"driverState" : "RUNNING"/);
    assert.match(await good(['spark-submit', '--kill', id]), /"success" : true/);
    await good(['wait', 'from-spark', '--for', 'state=stopped']);
    assert.equal((await weir(['spark-submit', '--status', 'driver-1'])).code, 4);
    assert.equal((await weir(['spark-submit', 'job.py'])).code, 3);
    assert.equal((await weir(['spark-submit', '--wrong', file])).code, 2);
  });

  test('write: init, eval, schema, lint, run', async () => {
    const folder = join(home, 'new');
    assert.equal((await good(['init', 'window', '--dir', folder])).split('\n').length, 5);
    assert.equal((await weir(['init', 'window', '--dir', folder])).code, 5);
    assert.equal((await weir(['init', 'rocket'])).code, 2);
    const [job, rows] = [join(folder, 'visits.yaml'), join(folder, 'visits.rows.ndjson')];
    assert.equal(await good(['eval', "upper('a') || 1"]), 'A1\n');
    const counted = await good([
      'eval',
      'SELECT page, count(*) AS n FROM t GROUP BY page',
      '-i',
      rows,
      '--output-mode',
      'update',
      '-o',
      'json',
    ]);
    assert.deepEqual(JSON.parse(counted), [{ page: '/a', n: 2 }]);
    assert.match(await good(['eval', '--job', job, '-i', rows]), /2024-05-01T10:00:00\.000Z +\/a +2\n/);
    const wrong = await weir(['eval', 'SELECT pag FROM t', '-i', rows]);
    assert.deepEqual(
      [wrong.code, wrong.err],
      [3, 'there is no column pag\n  SELECT pag FROM t\n         ^^^\n  hint: did you mean page?\n'],
    );
    assert.equal((await weir(['eval', 'SELECT 1 FROM t', '-i', 'none.json'])).code, 4);
    assert.equal((await weir(['eval'])).code, 2);
    assert.match(await good(['schema', job]), /^minute TIMESTAMP NOT NULL,\npage STRING NOT NULL,\nvisits BIGINT/);
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, users('agee > 0'));
    const marked = await weir(['lint', bad, '--format', 'github']);
    assert.equal(marked.code, 3);
    assert.match(marked.out, /^::error file=.*bad\.yaml,line=6,col=51::there is no column agee/);
    const sarif = JSON.parse((await weir(['lint', bad, '--format', 'sarif'])).out);
    assert.equal(sarif.runs[0].results[0].locations[0].physicalLocation.region.startLine, 6);
    assert.equal((await weir(['lint', bad, '--format', 'x'])).code, 2);
    const fixed = await weir(['lint', bad, '--fix']);
    assert.equal(fixed.code, 0, fixed.out);
    assert.match(fixed.err, /bad\.yaml:6:51 agee is age now\n1 job file without mistakes/);
    assert.equal(readFileSync(bad, 'utf8'), users());
    const ran = await weir(['run', job, '-i', rows, '--until-empty', '--set', 'sinks.0.table=elsewhere', '-o', 'json']);
    assert.equal(ran.code, 0, ran.err);
    const { counters, tables } = JSON.parse(ran.out);
    assert.deepEqual(
      [counters.read, tables[0].table, tables[0].rows],
      [2, 'hello.elsewhere', [['/a', '2024-05-01T10:00:00.000Z', 2]]],
    );
  });

  test('run --watch: once more when the file changes, until Ctrl-C', async () => {
    const folder = join(home, 'watched');
    await good(['init', 'window', '--dir', folder]);
    const [job, rows] = [join(folder, 'visits.yaml'), join(folder, 'visits.rows.ndjson')];
    const text = readFileSync(job, 'utf8');
    let saved = false;
    const { code, out, err } = await weir(['run', job, '-i', rows, '--until-empty', '--watch'], {
      onOut: (shown) => {
        if (saved || !/hello\.visits:\n.*\n.*\/a/.test(shown)) return;
        saved = true;
        writeFileSync(job, text.replace('table: visits', 'table: again'));
      },
      endWhen: /hello\.again:\n.*\n.*\/a/,
    });
    assert.equal(code, 130, err);
    assert.match(out, /hello\.visits:\n/);
    assert.match(err, /changed: once more/);
  });

  test('contexts and completion', async () => {
    assert.equal((await weir(['context', 'use', 'none'])).code, 4);
    await good(['context', 'add', 'here', '--address', line.cluster.address]);
    await good(['context', 'add', 'there', '--address', 'http://127.0.0.1:1']);
    assert.match(await good(['context', 'list']), /^ +NAME.*\n\* +here .*\n +there /);
    assert.equal((await weir(['--context', 'there', 'get', 'jobs'])).code, 7);
    assert.match(await good(['--context', 'here', 'get', 'jobs', '-o', 'name']), /^users$/m);
    assert.match(await good(['__complete', 'jobs']), /^users$/m);
    assert.deepEqual(
      JSON.parse(await good(['get', 'errors', 'users', '-o', 'json']))
        .errors.map((one: { job: string }) => one.job)
        .filter((job: string) => job !== 'users'),
      [],
    );
    assert.match(await good(['completion', 'zsh']), /^#compdef weir\n/);
  });
});
