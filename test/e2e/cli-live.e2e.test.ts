/** The commands that look at a cluster as it runs: following rows, records and logs, and completion that knows its names. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, suite, test } from 'node:test';
import { isDeepStrictEqual, promisify } from 'node:util';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadStandard } from '../../proto/standard.ts';
import { until } from '../support/cluster.ts';
import { CommandLine, commandMain } from '../support/command-line.ts';

const users = `apiVersion: weir/v1
kind: Job
name: users
sources:
  users: { connector: kafka, topic: users, startingOffsets: earliest, schema: 'id STRING NOT NULL, age INT' }
query: SELECT id, age + 1 AS age FROM users WHERE age > 0
sinks:
  - { connector: cassandra, keyspace: cli, table: users, primaryKey: [id], create: true }
`;

suite('looking at a cluster that runs', { timeout: 240_000 }, () => {
  let line: CommandLine;
  let home: string;
  const weir: CommandLine['weir'] = (args, options) => line.weir(args, options);
  const good: CommandLine['good'] = (args) => line.good(args);
  const append = (to: number, values: readonly string[]): Promise<void> => line.append('users', to, values);

  before(async () => {
    line = await CommandLine.open('users', 2);
    ({ home } = line);
    const file = join(home, 'users.yaml');
    writeFileSync(file, users);
    await append(0, ['{"id":"a","age":1}', '{"id":"b","age":2}']);
    await good(['submit', file, '--wait']);
    await good(['context', 'add', 'there', '--address', 'http://127.0.0.1:1']);
    await good(['context', 'add', 'here', '--address', line.cluster.address]);
  });

  after(async () => await line?.close());

  test('completion in bash: commands, options, their values, names that the cluster knows', async () => {
    const script = join(home, 'weir.bash');
    writeFileSync(script, await good(['completion', 'bash']));
    const [worker = ''] = (await good(['get', 'workers', '-o', 'name'])).split('\n');
    const complete = async (...typed: readonly string[]): Promise<string[]> => {
      const child = spawn(
        'bash',
        [
          '-c',
          `weir() { "$NODE" --disable-warning=ExperimentalWarning "$MAIN" "$@"; }
source "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          'weir',
          ...typed,
        ],
        {
          env: {
            ...line.environment,
            NODE: process.execPath,
            MAIN: commandMain,
            SCRIPT: script,
          },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      return (await new Response(Readable.toWeb(child.stdout) as ReadableStream).text())
        .split('\n')
        .filter((one) => one !== '');
    };
    // Names are left out when the cluster does not give them at once.
    const offers = async (names: readonly string[], ...typed: readonly string[]): Promise<void> => {
      await until(`${typed.join(' ')} is completed`, 20_000, async () =>
        isDeepStrictEqual(await complete(...typed), names),
      );
    };
    assert.deepEqual(await complete('sav'), ['savepoint']);
    assert.deepEqual(await complete('-o', 'json', 'cons'), ['consume']);
    await offers(['users'], 'stop', 'user');
    await offers(['users'], 'stop', 'other', 'user');
    await offers(['users'], 'tail', '--sink', '0', 'us');
    await offers(['users'], 'consume', '');
    await offers([worker], 'describe', 'worker', 'w1');
    await offers(['users'], 'describe', 'job', 'us');
    assert.deepEqual(await complete('get', 'bat'), ['batches']);
    await offers([worker], 'logs', '--worker', '');
    assert.deepEqual(await complete('get', 'jobs', '-o', 'js'), ['json', 'jsonl', 'jsonpath=']);
    assert.deepEqual(await complete('wait', 'users', '--for', 'l'), ['lag=0']);
    assert.deepEqual(await complete('tail', 'users', '--fo'), ['--follow']);
    await offers(['there'], 'context', 'use', 'th');
    assert.deepEqual(await complete('wait', '--timeout', ''), [], 'nobody knows a duration');
  });

  test('a job as it runs: its plan, its file, its batches, its worker by name', async () => {
    assert.match(await good(['explain', 'users']), /^job users\nprotocol: lanes [^]*filter: \(age > 0\)/);
    assert.match(await good(['explain', 'users', '-o', 'dot']), /^digraph "users"/);
    assert.equal((await weir(['explain', 'nothing'])).code, 4);
    assert.equal(await good(['file', 'users']), users);
    const again = join(home, 'again.yaml');
    writeFileSync(again, await good(['file', 'users']));
    assert.equal((await weir(['diff', again])).code, 0);
    assert.equal((await weir(['file', 'users', '--revision', '77'])).code, 4);
    await append(0, ['{"id":"batch","age":30}']);
    await until('a batch is shown', 20_000, async () =>
      /^BATCH +TIME +RECORDS.*\n\d+ +20\d\d-/.test(await good(['get', 'batches', 'users'])),
    );
    assert.match(await good(['describe', 'worker', 'w1']), /^NAME: +w1-[^]*users +users +0 +running/);
  });

  test('tail -f and consume -f: what is appended while they look', async () => {
    let appended = false;
    const appendOnce = async (): Promise<void> => {
      if (appended) return;
      appended = true;
      await append(0, ['{"id":"live","age":40}', '{"id":"young","age":0}', '{"id":"more","age":50}']);
    };
    const tailed = await weir(['tail', 'users', '--limit', '1', '--rows', '3', '-o', 'json'], {
      onOut: () => void appendOnce(),
    });
    assert.deepEqual(
      tailed.out
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line)),
      [
        { id: 'live', age: 41 },
        { id: 'more', age: 51 },
      ],
    );
    const all = ['consume', 'users', '--partition', '0', '--from', 'earliest', '--records', '6', '-o', 'jsonl'];
    const consumed = await weir(all);
    assert.equal(consumed.code, 0, consumed.err);
    const values = consumed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).value);
    assert.equal(values[0], '{"id":"a","age":1}');
    assert.ok(values.includes('{"id":"more","age":50}'));
    assert.equal((await weir(['consume', 'no-such-topic'])).code, 4);
  });

  test('logs: of all workers and the master in one stream, and of a worker that is gone', async () => {
    const second = await line.cluster.startWorker();
    const lines = async (...args: readonly string[]): Promise<{ process: string; message: string; job: string }[]> =>
      (await good(['logs', ...args, '--tail', '5000', '-o', 'jsonl']))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line));
    const processes = await until('lines of all of them are there', 20_000, async () => {
      const all = new Set((await lines()).map(({ process }) => process.replace(/-[0-9a-f]{8}$/, '')));
      return all.size === 3 && [...all].toSorted();
    });
    assert.deepEqual(processes, ['master', 'w1', 'w2']);
    assert.deepEqual(
      (await lines('w2')).map(({ message }) => message).filter((message) => message === 'worker started'),
      ['worker started'],
    );
    const ofJob = await lines('users');
    assert.ok(ofJob.length > 0 && ofJob.every(({ job }) => job === 'users'));
    let stopped = false;
    const stopOnce = (): void => {
      if (!stopped) second.signal('SIGTERM');
      stopped = true;
    };
    const followed = await weir(['logs', '-f', '--worker', 'w2'], {
      onOut: stopOnce,
      endWhen: /w2-\w+ +info +handing over/,
    });
    assert.match(followed.out, /master .*worker joined worker=w2-/);
    await second.exited;
    assert.equal((await lines('w2')).at(-1)?.message, 'handing over');
    assert.match(
      (await weir(['logs', 'w7'])).err,
      /Neither a job nor a process at .* is called w7; the processes are master, w1-/,
    );
  });

  test('the master answers the standard health service of gRPC', async () => {
    // oxlint-disable-next-line typescript/no-explicit-any
    const { grpc } = loadPackageDefinition(loadStandard()) as any;
    const health = new grpc.health.v1.Health(`127.0.0.1:${line.cluster.grpcPort}`, credentials.createInsecure());
    const check: (request: object) => Promise<object> = promisify(health.Check.bind(health));
    try {
      assert.deepEqual(await check({ service: 'weir.v1.Control' }), { status: 'SERVING' });
      assert.deepEqual(await check({}), { status: 'SERVING' });
      await assert.rejects(check({ service: 'other' }), /NOT_FOUND/);
    } finally {
      health.close();
    }
  });
});
