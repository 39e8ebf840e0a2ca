/** The command as scripts see it: exit codes, what goes to stdout, what to stderr. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Done {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly texts: { readonly stdout: string; readonly stderr: string };
  readonly done: Promise<Done>;
}

function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Started {
  const {
    WEIR_ADDRESS: _address,
    WEIR_TOKEN: _token,
    CASSANDRA_CONTACT_POINTS: _points,
    WEIR_EMBEDDED: _embedded,
    ...inherited
  } = process.env;
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    env: { ...inherited, HOME: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => (texts[name] += chunk.toString()));
  const done = new Promise<Done>((resolve) => child.on('close', (code) => resolve({ code, ...texts })));
  return { child, texts, done };
}

function weir(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Done> {
  return start(args, environment).done;
}

/** A master that gives one answer to everything. */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

async function answeringProblem(status: number, code: string): Promise<string> {
  return await answering((_, response) =>
    response
      .writeHead(status, { 'content-type': 'application/problem+json' })
      .end(JSON.stringify({ status, code, detail: `Because of ${code}.` })),
  );
}

/** Nothing listens on port 1 of loopback. */
const nobody = ['--address', 'http://127.0.0.1:1'];

/** What eval says, beside exit code 3. */
async function mistakeOf(sql: string): Promise<string> {
  const { code, stdout, stderr } = await weir(['eval', sql]);
  assert.deepEqual([code, stdout], [3, ''], stderr);
  return stderr;
}

suite('exit codes', { concurrency: 2 }, () => {
  test('help and version end well, on stdout', async () => {
    for (const args of [['--help'], ['apply', '--help'], ['version'], ['help', 'get'], ['spark-submit', '--help']]) {
      const { code, stdout, stderr } = await weir(args);
      assert.deepEqual([code, stderr], [0, ''], args.join(' '));
      assert.notEqual(stdout, '');
    }
  });

  test('a wrong command line is 2, and says how to get help', async () => {
    for (const args of [
      ['no-such-command'],
      ['get'],
      ['get', 'jobs', '--colour'],
      ['apply'],
      ['get', 'jobs', '-o', 'xml'],
      ['get', 'jobs', '--address', 'http://:x'],
      ['worker', '--threads', 'many'],
      ['wait', 'x', '--for', 'state=frozen'],
      ['stop', 'x', '-o', 'xml'],
      ['context', 'rename', 'a'],
      ['spark-submit', '--not-a-flag'],
    ]) {
      const { code, stdout, stderr } = await weir(args);
      assert.deepEqual([code, stdout], [2, ''], `${args.join(' ')}: ${stderr}`);
      assert.notEqual(stderr, '');
    }
  });

  test('a master that does not answer is 7 and one sentence', async () => {
    for (const args of [
      ['get', 'jobs'],
      ['describe', 'job', 'x'],
      ['stop', 'x'],
      ['query', 'SELECT 1'],
    ]) {
      const { code, stdout, stderr } = await weir([...nobody, ...args]);
      assert.deepEqual([code, stdout], [7, '']);
      assert.match(stderr, /^weir: No master answers at http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\); start one .*\n$/);
    }
  });

  test('what the master refuses has its own code', async () => {
    for (const [status, code, expected] of [
      [404, 'NOT_FOUND', 4],
      [409, 'CONFLICT', 5],
      [401, 'UNAUTHORIZED', 6],
      [503, 'STORE_UNAVAILABLE', 7],
      [504, 'TIMED_OUT', 8],
      [500, 'INTERNAL', 1],
    ] as const) {
      const done = await weir(['describe', 'job', 'x', '--address', await answeringProblem(status, code)]);
      assert.deepEqual([done.code, done.stderr], [expected, `weir: Because of ${code}.\n`]);
    }
  });

  test('something that is no master is 7', async () => {
    const address = await answering((_, response) => response.writeHead(404).end('<html>'));
    assert.equal((await weir(['get', 'jobs', '--address', address])).code, 7);
  });

  test('a file with mistakes is 3, and nothing is sent', async () => {
    const path = join(folder, 'bad.yaml');
    writeFileSync(path, 'apiVersion: weir/v1\nkind: Job\nname: Bad\n');
    const done = await weir([...nobody, 'apply', path]);
    assert.equal(done.code, 3);
    assert.match(done.stderr, new RegExp(`^${path}:3:7 name: a job name`, 'm'));
    assert.equal((await weir([...nobody, 'apply', join(folder, 'none.yaml')])).code, 4);
  });

  test('a mistake of an expression is shown where it is, in what was typed', async () => {
    assert.equal(
      await mistakeOf("upper('a') || uper('b')"),
      "there is no function uper\n  upper('a') || uper('b')\n                ^^^^\n  hint: did you mean upper?\n",
    );
    assert.equal(
      await mistakeOf('1 +'),
      'the expression ends too early: something is missing behind it\n  1 +\n     ^\n',
    );
    assert.match(await mistakeOf('1 +\n  nothere'), /^there is no column nothere\n {4}nothere\n {4}\^{7}\n/);
  });

  test('eval: one value that fails is 1 with its code; what no sink holds is shown as text, numbers with all digits', async () => {
    const failed = await weir(['eval', "CAST('abc' AS INT)"]);
    assert.deepEqual([failed.code, failed.stdout, failed.stderr], [1, '', 'CAST_INVALID: a value cannot be cast\n']);
    for (const [sql, shown] of [
      ['INTERVAL 90 MINUTES', "INTERVAL '0 01:30:00' DAY TO SECOND"],
      ['assert_true(true)', 'null'],
      ['9007199254740993', '9007199254740993'],
      ['sum(2)', '2'],
      ['SELECT 1 + 1 AS value;', '2'],
    ] as const)
      assert.equal((await weir(['eval', sql])).stdout, `${shown}\n`);
    assert.match((await weir(['eval', "posexplode(array('x'))"])).stdout, /^pos +col\n0 +x\n$/);
  });

  test('eval takes the output mode that the query goes with', async () => {
    const rows = join(mkdtempSync(join(tmpdir(), 'weir-eval-')), 'rows.ndjson');
    writeFileSync(rows, '{"k":"a","v":1}\n{"k":"b","v":3}\n{"k":"a","v":1}\n');
    const ask = async (sql: string): Promise<unknown> =>
      JSON.parse((await weir(['eval', sql, '-i', rows, '-o', 'json'])).stdout);
    assert.deepEqual(await ask('SELECT k, sum(v) AS n FROM t GROUP BY k ORDER BY n DESC'), [
      { k: 'b', n: 3 },
      { k: 'a', n: 2 },
    ]);
    assert.deepEqual(await ask('SELECT k FROM t LIMIT 1'), [{ k: 'a' }]);
    assert.deepEqual(await ask('SELECT v, row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM t WHERE v > 2'), [
      { v: 3, n: 1 },
    ]);
  });

  test('waiting too long is 8, a failed job is 1', async () => {
    const view = (state: string): string =>
      JSON.stringify({
        row: { name: 'x', state, reason: state === 'failed' ? { code: 'SINK_SCHEMA', message: 'no column a' } : null },
        lanes: [],
      });
    const master = async (state: string): Promise<string> =>
      await answering((request: IncomingMessage, response) =>
        response.writeHead(request.method === 'POST' ? 202 : 200).end(view(state)),
      );
    assert.equal((await weir(['start', 'x', '--timeout', '50ms', '--address', await master('starting')])).code, 8);
    const failed = await weir(['start', 'x', '--address', await master('failed')]);
    assert.deepEqual([failed.code, failed.stderr], [1, 'weir: Job x failed: no column a\n']);
  });
});

suite('a job that is applied and does not run', { concurrency: 2 }, () => {
  const path = join(folder, 'users.yaml');
  writeFileSync(
    path,
    [
      'apiVersion: weir/v1',
      'kind: Job',
      'name: users',
      'sources: { users: { connector: kafka, topic: users, schema: "id STRING" } }',
      'query: SELECT id FROM users',
      'sinks: [{ connector: blackhole }]',
    ].join('\n'),
  );
  const reason = { code: 'TOPIC_NOT_FOUND', message: 'Kafka has no topic users; create it or correct the name.' };
  const applied = { kind: 'applied', name: 'users', change: 'created', revision: 1, run: 1, warnings: [] };
  /** Takes the job; `views` are what its state looks like from one look to the next, the last one for ever. */
  const master = async (...views: readonly object[]): Promise<string> => {
    let looks = 0;
    return await answering((request, response) => {
      const view = views[Math.min(looks, views.length - 1)];
      if (request.method === 'GET') looks++;
      response.end(JSON.stringify(request.method === 'GET' ? view : applied));
    });
  };
  const view = (state: string, why: typeof reason | null, lanes: readonly object[] = []): object => ({
    row: { name: 'users', state, reason: why },
    lanes,
  });
  const told = 'users created (revision 1, run 1)\n';

  test('without --wait: a warning, and 0', async () => {
    const waiting = await weir([
      'submit',
      path,
      '--address',
      await master(view('starting', null), view('starting', reason)),
    ]);
    assert.deepEqual(waiting, {
      code: 0,
      stdout: 'users\n',
      stderr: `${told}warning: users waits: ${reason.message}\n`,
    });
    const lanes = [
      { state: 'running', message: null },
      { state: 'blocked', message: 'The sink is full.' },
    ];
    const blocked = await weir(['submit', path, '--address', await master(view('running', null, lanes))]);
    assert.deepEqual([blocked.code, blocked.stderr], [0, `${told}warning: users waits: The sink is full.\n`]);
    const failed = await weir(['submit', path, '--address', await master(view('failed', reason))]);
    assert.deepEqual([failed.code, failed.stderr], [0, `${told}warning: users failed: ${reason.message}\n`]);
  });

  test('without --wait: nothing is said of a job that runs or cannot be looked at', async () => {
    for (const address of [
      await master(view('running', null, [{ state: 'running', message: null }])),
      await answering((request, response) =>
        response.writeHead(request.method === 'GET' ? 500 : 200).end(JSON.stringify(applied)),
      ),
    ]) {
      const { code, stderr } = await weir(['submit', path, '--address', address]);
      assert.deepEqual([code, stderr], [0, told]);
    }
  });

  test('with --wait: 8 and the reason when it takes too long, 1 when it fails', async () => {
    const wait = ['submit', path, '--wait', '--timeout', '2s', '--address'];
    const late = await weir([...wait, await master(view('starting', reason))]);
    assert.equal(late.code, 8);
    assert.ok(late.stderr.includes(`still starting after 2s: ${reason.message} "weir describe`), late.stderr);
    const failed = await weir([...wait, await master(view('starting', null), view('failed', reason))]);
    assert.deepEqual([failed.code, failed.stderr], [1, `${told}weir: Job users failed: ${reason.message}\n`]);
  });
});

suite('what cannot be taken back', { concurrency: 2 }, () => {
  const applied = { kind: 'applied', name: 'kept', change: 'unchanged', revision: 1, run: 1, warnings: [] };
  const row = (name: string, state: string): object => ({ name, state, revision: 1, run: 1, reason: null });
  /** Has the jobs `kept` and `gone` with the label team=web; remembers what it was asked to do. */
  const master = async (protocol = 'lanes'): Promise<{ readonly address: string; readonly asked: string[] }> => {
    const asked: string[] = [];
    const address = await answering((request, response) => {
      const url = new URL(request.url ?? '/', 'http://master');
      if (request.method !== 'GET') asked.push(`${request.method} ${url.pathname}${url.search}`);
      const name = url.pathname.split('/')[3] ?? '';
      const isList = url.pathname === '/v1/jobs';
      const names = url.searchParams.get('label') === 'team=web' ? ['gone', 'kept'] : [];
      const jobs = names.map((one) => ({ name: one }));
      const view = { row: row(name, 'stopped'), lanes: [], protocol, topics: ['views'] };
      const offsets = { state: 'stopped', offsets: [] };
      if (url.pathname.endsWith('/offsets')) response.end(JSON.stringify(offsets));
      else response.end(JSON.stringify(isList ? { jobs } : request.method === 'PUT' ? applied : view));
    });
    return { address, asked };
  };
  const path = join(folder, 'kept.yaml');
  writeFileSync(
    path,
    [
      'apiVersion: weir/v1',
      'kind: Job',
      'name: kept',
      'labels: { team: web }',
      'sources: { users: { connector: kafka, topic: users, schema: "id STRING" } }',
      'query: SELECT id FROM users',
      'sinks: [{ connector: blackhole }]',
    ].join('\n'),
  );

  test('apply --prune without a selection is refused, and without a yes nothing is changed', async () => {
    const { address, asked } = await master();
    const blind = await weir(['apply', path, '--prune', '--address', address]);
    assert.equal(blind.code, 2);
    assert.match(blind.stderr, /--prune needs a selection of jobs/);
    const unasked = await weir(['apply', path, '--prune', '-l', 'team=web', '--address', address]);
    assert.equal(unasked.code, 2);
    assert.match(unasked.stderr, /the job gone, which no file has: stop and delete\. Say --yes/);
    assert.deepEqual(asked, []);
  });

  test('apply --prune: a dry run names what would go, --yes deletes it after the others are applied', async () => {
    const { address, asked } = await master();
    const dry = await weir(['apply', path, '--prune', '-l', 'team=web', '--dry-run', '--address', address]);
    assert.deepEqual([dry.code, dry.stdout], [0, 'kept\n']);
    assert.match(dry.stderr, /gone would be deleted\n$/);
    assert.deepEqual(asked, ['PUT /v1/jobs/kept?dryRun=true']);
    asked.length = 0;
    const done = await weir(['apply', path, '--prune', '-l', 'team=web', '--yes', '--address', address]);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(asked, ['PUT /v1/jobs/kept', 'DELETE /v1/jobs/gone']);
    const other = await weir(['apply', path, '--prune', '-l', 'team=db', '--yes', '--address', address]);
    assert.match(other.stderr, /warning: kept has not the labels team=db; --prune never deletes it/);
  });

  test('apply --set and --name change the file on its way', async () => {
    const { address, asked } = await master();
    const set = await weir(['apply', path, '--name', 'other', '--set', 'trigger=5s', '--address', address]);
    assert.equal(set.code, 0, set.stderr);
    assert.deepEqual(asked, ['PUT /v1/jobs/other']);
    assert.equal((await weir(['apply', path, path, '--name', 'other', '--address', address])).code, 2);
  });

  test('apply --conf knows names of Spark and places of the file; --paused goes along, and not with --wait', async () => {
    const { address, asked } = await master();
    const conf = ['--conf', 'spark.app.name=Page Views', 'trigger=5s', 'spark.executor.instances=2', 'spark.ui.port=1'];
    const done = await weir(['submit', path, ...conf, '--paused', '--address', address]);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(asked, ['PUT /v1/jobs/page-views?paused=true', 'POST /v1/jobs/page-views/scale']);
    assert.match(done.stderr, /--conf spark\.ui\.port is not used/);
    for (const wrong of [
      ['--paused', '--wait'],
      ['--conf', 'trigger'],
      ['--conf', 'spark.executor.instances=some'],
    ])
      assert.equal((await weir(['submit', path, ...wrong, '--address', address])).code, 2, wrong.join(' '));
    assert.equal(asked.length, 2);
  });

  test('rollback says which revision the job is at, and what that is', async () => {
    const at = (revision: number, former: readonly number[]): object => ({
      row: { ...row('users', 'running'), revision, former: former.map((one) => ({ revision: one, definition: '' })) },
      lanes: [],
    });
    const rollback = async (after: number, ...args: readonly string[]): Promise<string> => {
      let revision = 4;
      const address = await answering((request, response) => {
        if (request.method === 'POST') revision = after;
        response.end(JSON.stringify(request.method === 'POST' ? {} : at(revision, [3, 1])));
      });
      return (await weir(['rollback', 'users', ...args, '--address', address])).stderr;
    };
    assert.equal(await rollback(5), 'users is at revision 5, which says what revision 3 said; it was at 4\n');
    assert.match(await rollback(5, '--to', '1'), /revision 5, which says what revision 1 said/);
    assert.equal(await rollback(4, '--to', '3'), 'users is as revision 3 says; nothing changed\n');
  });

  test('offsets of a stateful job are not moved before somebody says that its state may go', async () => {
    for (const action of [
      ['reset', 'sums'],
      ['set', 'sums', '0=5'],
    ]) {
      const { address, asked } = await master('epochs');
      const args = ['offsets', ...action, '--address', address];
      const unasked = await weir(args);
      assert.equal(unasked.code, 2);
      assert.match(unasked.stderr, /Job sums keeps state, and begins a new run with empty state/);
      assert.deepEqual(asked, []);
      assert.equal((await weir([...args, '--yes'])).code, 0);
      assert.equal(asked.length, 1);
    }
    const stateless = await master();
    assert.equal((await weir(['offsets', 'reset', 'views', '--address', stateless.address])).code, 0);
  });
});

suite('output', () => {
  const job = {
    row: { name: 'users', state: 'running', revision: 1, run: 2, reason: null, submittedAt: Date.now() },
    lanes: [],
    counters: { read: 5, passed: 4, filtered: 1, skipped: 0, dead: 0, rowsOut: 4 },
    lag: 0,
    recordsPerSecond: 1234.5,
    rowsPerSecond: 1200,
    latencyMsP50: 1.25,
    latencyMsP99: null,
  };

  test('tables for people, JSON and names for scripts', async () => {
    const address = await answering((_, response) => response.end(JSON.stringify({ jobs: [job] })));
    const table = await weir(['get', 'jobs', '--address', address]);
    assert.match(table.stdout, /^NAME +STATE +REVISION .*\nusers +running +1 +2 +0 +1,235 +1,200 +1\.3 +- +0 /);
    assert.deepEqual(JSON.parse((await weir(['get', 'jobs', '-o', 'json', '--address', address])).stdout), {
      jobs: [job],
    });
    assert.equal((await weir(['-o', 'name', 'get', 'jobs'], { WEIR_ADDRESS: address })).stdout, 'users\n');
  });

  test('-o jsonl prints the members of a list one a line, and one document on one line', async () => {
    const address = await answering((request, response) =>
      response.end(JSON.stringify(request.url === '/v1/jobs' ? { jobs: [job, job] } : job)),
    );
    const list = await weir(['get', 'jobs', '-o', 'jsonl', '--address', address]);
    assert.deepEqual(list.stdout, `${JSON.stringify(job)}\n`.repeat(2));
    const one = await weir(['get', 'job', 'users', '-o', 'jsonl', '--address', address]);
    assert.deepEqual(one.stdout, `${JSON.stringify(job)}\n`);
  });

  test('-o jsonpath prints what is at a path, a line each; what is no path is refused', async () => {
    const address = await answering((_, response) => response.end(JSON.stringify({ jobs: [job] })));
    const at = async (path: string): Promise<Done> =>
      await weir(['get', 'jobs', '-o', `jsonpath=${path}`, '--address', address]);
    assert.equal((await at('{.jobs[*].row.name}')).stdout, 'users\n');
    assert.equal((await at('.jobs[0].recordsPerSecond')).stdout, '1234.5\n');
    assert.deepEqual(await at('.jobs[1].row.name'), { code: 0, stdout: '', stderr: '' });
    const refused = await at('{.jobs[?(@.lag>1)]}');
    assert.deepEqual([refused.code, refused.stdout], [2, '']);
    assert.match(refused.stderr, /not understood at "\[\?/);
  });

  test('get -w prints what is new and what has changed, and ends well when it is told to', async () => {
    const jobs = [job];
    let asked = 0;
    const address = await answering((_, response) => {
      asked++;
      if (asked === 3) jobs.push({ ...job, row: { ...job.row, name: 'sales' } });
      if (asked === 4) jobs[0] = { ...job, row: { ...job.row, state: 'stopped' } };
      response.end(JSON.stringify({ jobs }));
    });
    const watching = start(['get', 'jobs', '-w', '--address', address]);
    watching.child.stdout.on('data', () => {
      if (/stopped/.test(watching.texts.stdout)) watching.child.kill('SIGINT');
    });
    const { code, stdout } = await watching.done;
    assert.equal(code, 0);
    const words = stdout.split('\n').map((line) => line.split(/ +/).slice(0, 2).join(' '));
    assert.deepEqual(words, ['NAME STATE', 'users running', 'sales running', 'users stopped', '']);
    assert.ok(asked >= 4);
  });

  test('the token goes along, from the option, the environment or the file', async () => {
    const address = await answering((request, response) =>
      response.end(
        JSON.stringify({ jobs: [{ ...job, row: { ...job.row, name: request.headers.authorization ?? 'none' } }] }),
      ),
    );
    const names = async (args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<string> =>
      (await weir(['get', 'jobs', '-o', 'name', '--address', address, ...args], environment)).stdout.trim();
    assert.equal(await names([]), 'none');
    assert.equal(await names(['--token', 'a']), 'Bearer a');
    assert.equal(await names([], { WEIR_TOKEN: 'b' }), 'Bearer b');
  });

  test('query results: values, nulls, control characters', async () => {
    const result = {
      columns: [
        { name: 'id', type: 'text' },
        { name: 'n', type: 'int' },
      ],
      rows: [
        ['a\u001b[2J', 1],
        ['b', null],
      ],
    };
    const address = await answering((_, response) => response.end(JSON.stringify(result)));
    const table = await weir(['query', 'SELECT * FROM t', '--address', address]);
    assert.equal(table.stdout, 'id     n\na␛[2J  1\nb      null\n');
    assert.equal(table.stderr, '(2 rows)\n');
    assert.deepEqual(
      JSON.parse((await weir(['query', 'SELECT * FROM t', '-o', 'json', '--address', address])).stdout),
      [
        { id: 'a\u001b[2J', n: 1 },
        { id: 'b', n: null },
      ],
    );
  });

  test('logs of a running npm start, by process and by job', async () => {
    const address = 'http://127.0.0.1:2';
    mkdirSync(join(folder, '.weir', 'run'), { recursive: true });
    const logDirectory = join(folder, 'logs');
    mkdirSync(logDirectory);
    writeFileSync(
      join(folder, '.weir', 'run', '127.0.0.1_2.json'),
      JSON.stringify({ pid: process.pid, token: 't', logDirectory }),
    );
    const line = (second: number, msg: string, fields: object = {}): string =>
      `${JSON.stringify({ level: 'info', time: `2020-01-01T00:00:0${second}.000Z`, msg, ...fields })}\n`;
    writeFileSync(join(logDirectory, 'master.log'), line(1, 'one') + line(3, 'three', { job: 'users', n: 1 }));
    writeFileSync(join(logDirectory, 'worker-1.log'), `${line(2, 'two')}not JSON\n{"half":`);
    const logs = async (...args: string[]): Promise<string> =>
      (await weir(['logs', ...args, '--address', address])).stdout;
    assert.equal(
      await logs('master'),
      '00:00:01.000 master     info  one\n00:00:03.000 master     info  three job=users n=1\n',
    );
    assert.match(await logs(), /not JSON\n.*one\n.*two\n.*three/);
    assert.equal(await logs('users'), '00:00:03.000 master     info  three job=users n=1\n');
    assert.equal(await logs('master', '--level', 'warn'), '');
    assert.equal(await logs('master', '--since', '5m'), '');
    assert.equal(
      await logs('--worker', 'worker-1-3f2a9c01', '--level', 'info'),
      'worker-1         not JSON\n00:00:02.000 worker-1   info  two\n',
    );
    assert.equal(await logs('users', '--worker', 'worker-1'), '');
    const unknown = await weir(['logs', 'nobody', '--address', await answeringProblem(404, 'NOT_FOUND')]);
    assert.equal(unknown.code, 4, 'another address has no logs');
    assert.equal((await weir(['logs', '--level', 'loud', '--address', address])).code, 2);
    assert.equal((await weir(['logs', '--address', 'http://127.0.0.1:3'])).code, 7);
  });

  test('logs of another cluster: all processes in one stream, by job, process, worker, level and time', async () => {
    const line = (message: string, more: object = {}): object => ({
      at: Date.UTC(2020, 0, 1, 0, 0, 1),
      level: 'info',
      process: 'master',
      job: null,
      message,
      fields: {},
      ...more,
    });
    const asked: string[] = [];
    let streams = 0;
    const all = [
      line('one'),
      line('two', { fields: { worker: 'w1-3f' } }),
      line('ours', { process: 'w1-3f', job: 'users', level: 'warn' }),
      line('three', { at: Date.now() }),
    ];
    const address = await answering((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
      if (pathname === '/v1/logs' || pathname === '/v1/events') asked.push(request.url ?? '');
      if (pathname === '/v1/events') {
        streams++;
        const news = streams === 1 ? [all[2], line('theirs', { job: 'others' })] : [line('later', { job: 'users' })];
        const stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
        stream.write(news.map((one) => `event: log\ndata: ${JSON.stringify(one)}\n\n`).join(''));
        // The first master dies; the next one goes on.
        if (streams === 1) setTimeout(() => stream.end(), 200);
      } else if (pathname === '/v1/logs')
        response.end(
          JSON.stringify({
            lines: searchParams.get('process') === 'nobody' || searchParams.get('job') === 'nobody' ? [] : all,
          }),
        );
      else if (pathname === '/v1/workers') response.end(JSON.stringify({ workers: [{ id: 'w1-3f' }] }));
      else if (pathname === '/v1/jobs/users') response.end('{}');
      else response.writeHead(404).end(JSON.stringify({ code: 'NOT_FOUND', detail: 'There is no such job.' }));
    });
    const logs = async (...args: readonly string[]): Promise<Done> =>
      await weir(['logs', ...args, '--address', address]);
    const every = await logs();
    assert.match(
      every.stdout,
      /^00:00:01\.000 master     info  one\n.*two worker=w1-3f\n00:00:01\.000 w1-3f      warn  ours job=users\n.*three\n$/,
    );
    assert.match(every.stderr, /last lines of master and workers/);
    assert.match((await logs('master', '--worker', 'w1')).stdout, /^.*two.*\n$/);
    assert.match((await logs('--worker', 'w1')).stdout, /^.*two.*\n.*ours.*\n$/);
    assert.match((await logs('w1')).stdout, /^.*ours.*\n$/);
    assert.match((await logs('--level', 'warn')).stdout, /^.*ours.*\n$/);
    assert.match((await logs('--since', '5m')).stdout, /^.*three\n$/);
    assert.match((await logs('--tail', '1')).stdout, /^.*three\n$/);
    const unknown = await logs('nobody');
    assert.equal(unknown.code, 4);
    assert.match(unknown.stderr, /the processes are master, w1-3f\./);
    assert.equal((await logs('--tail', 'some')).code, 2);
    asked.length = 0;
    const following = start(['logs', 'users', '-f', '--level', 'info', '-o', 'jsonl', '--address', address]);
    following.child.stdout.on('data', () => {
      if (/later/.test(following.texts.stdout)) following.child.kill('SIGINT');
    });
    const followed = await following.done;
    assert.equal(followed.code, 0);
    const [log, events] = ['/v1/logs?last=100000&job=users&level=info', '/v1/events?topics=logs'];
    assert.deepEqual(asked, [events, log, events, log]);
    assert.deepEqual(
      followed.stdout
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text).message),
      ['ours', 'later'],
      'each line once',
    );
    assert.match(followed.stderr, /connected again/);
  });

  /** A master whose streams and looks the test opens, answers and breaks by itself. */
  async function byHand(
    look: (response: ServerResponse, number: number) => void,
    stream: (response: ServerResponse, number: number) => void,
  ): Promise<string> {
    let [looks, streams] = [0, 0];
    return await answering((request, response) => {
      const { pathname } = new URL(request.url ?? '', 'http://x');
      if (pathname === '/v1/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': weir\n\n');
        stream(response, ++streams);
      } else look(response, ++looks);
    });
  }

  const sendEvents = (response: ServerResponse, all: readonly object[]): void =>
    void response.write(all.map((one) => `event: some\ndata: ${JSON.stringify(one)}\n\n`).join(''));

  /** What a command that follows something shows until `end` is in it; after 20 s it is stopped. */
  async function following(end: RegExp, ...args: readonly string[]): Promise<{ messages: string[]; stderr: string }> {
    const { child, texts, done } = start([...args, '-o', 'jsonl']);
    const limit = setTimeout(() => child.kill('SIGKILL'), 20_000);
    child.stdout.on('data', () => {
      if (end.test(texts.stdout)) child.kill('SIGINT');
    });
    const { code, stdout, stderr } = await done;
    clearTimeout(limit);
    const lines = stdout.split('\n').filter((text) => text !== '');
    assert.equal(code, 0, `${stdout}${stderr}`);
    return { messages: lines.map((text) => (JSON.parse(text) as { message: string }).message), stderr };
  }

  const ofWorker = (message: string, at: number): object => ({
    at,
    level: 'info',
    process: 'w1-3f',
    job: null,
    message,
    fields: {},
  });

  test('logs -f: a look that fails while the stream goes on is asked for again, or ends it', async () => {
    const address = await byHand(
      (response, number) => {
        if (number === 1) response.destroy();
        else response.end(JSON.stringify({ lines: [ofWorker('one', 1)] }));
      },
      (response) => sendEvents(response, [ofWorker('two', 2)]),
    );
    const { messages, stderr } = await following(/two/, 'logs', '-f', '--address', address);
    assert.deepEqual(messages, ['one', 'two']);
    assert.match(stderr, /connected again/);
    const failing = await byHand(
      (response) => response.writeHead(500).end(JSON.stringify({ code: 'INTERNAL', detail: 'No lines today.' })),
      () => undefined,
    );
    const { child, done } = start(['logs', '-f', '--address', failing]);
    const limit = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const { code, stderr: said } = await done;
    clearTimeout(limit);
    assert.deepEqual([code, said], [1, 'weir: No lines today.\n']);
  });

  test('logs -f: a stream may begin while the look of the one before still goes on', async () => {
    const looks: ServerResponse[] = [];
    const address = await byHand(
      (response, number) => {
        looks.push(response);
        if (number < 2) return;
        looks[0]?.end(JSON.stringify({ lines: [ofWorker('one', 1)] }));
        setTimeout(() => response.end(JSON.stringify({ lines: [ofWorker('one', 1), ofWorker('two', 2)] })), 300);
      },
      (response, number) => {
        if (number === 1) setTimeout(() => response.destroy(), 300);
        else sendEvents(response, [ofWorker('three', 3)]);
      },
    );
    assert.deepEqual((await following(/three/, 'logs', '-f', '--address', address)).messages, ['one', 'two', 'three']);
  });

  test('logs -f: of a new master all that was missed is shown, and nothing that was there before', async () => {
    const old = ['a', 'b', 'c'].map((message, index) => ofWorker(message, 11 + index));
    const missed = ['d', 'e', 'f'].map((message, index) => ofWorker(message, 14 + index));
    // The master before had forgotten it, the worker has not.
    const forgotten = ofWorker('0', 10);
    const address = await byHand(
      (response, number) =>
        response.end(JSON.stringify({ lines: number === 1 ? old : [forgotten, ...old, ...missed.slice(0, 2)] })),
      (response, number) => {
        if (number === 1) setTimeout(() => response.end(), 300);
        else setTimeout(() => sendEvents(response, [forgotten, ...old, ...missed, ofWorker('end', 20)]), 300);
      },
    );
    const { messages } = await following(/end/, 'logs', '-f', '--tail', '1', '--address', address);
    assert.deepEqual(messages, ['c', 'd', 'e', 'f', 'end']);
  });

  test('events -w: of a new master, which numbers its own, none is missed and none comes twice', async () => {
    const event = (seq: number, at: number): object => ({
      seq,
      at,
      level: 'info',
      job: null,
      message: `${seq} at ${at}`,
    });
    const address = await byHand(
      (response, number) =>
        response.end(
          JSON.stringify({
            events: number === 1 ? [event(1, 1), event(2, 2)] : [event(1, 5), event(2, 6), event(3, 7)],
          }),
        ),
      (response, number) => {
        sendEvents(response, number === 1 ? [event(2, 2), event(3, 3)] : [event(3, 7), event(4, 8)]);
        if (number === 1) setTimeout(() => response.end(), 300);
      },
    );
    const { messages } = await following(/4 at 8/, 'events', '-w', '--last', '1', '--address', address);
    assert.deepEqual(messages, ['2 at 2', '3 at 3', '1 at 5', '2 at 6', '3 at 7', '4 at 8']);
  });

  test('tail -f shows rows as they come, until there were enough or somebody stops it', async () => {
    const asked: string[] = [];
    let after = 0;
    const columns = [{ name: 'id', type: 'STRING' }];
    const address = await answering((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x');
      asked.push(searchParams.get('after') ?? '-');
      if (searchParams.has('after')) after++;
      const rows = after === 1 ? [['c'], ['long name']] : after === 3 ? [['d']] : after === 0 ? [['a'], ['b']] : [];
      const skipped = after === 3 ? 7 : 0;
      response.end(JSON.stringify({ columns: rows.length === 0 ? [] : columns, rows, next: `s/0:${after}`, skipped }));
    });
    const table = await weir(['tail', 'users', '--rows', '5', '--address', address]);
    assert.deepEqual([table.code, table.stdout], [0, 'id\na\nb\nc\nlong name\nd\n']);
    assert.equal(table.stderr, '7 records were skipped: more come than are looked at\n');
    assert.deepEqual(asked, ['-', 's/0:0', 's/0:1', 's/0:2']);
    after = 0;
    const following = start(['tail', 'users', '-f', '--limit', '0', '-o', 'json', '--address', address]);
    following.child.stdout.on('data', () => {
      if (/"d"/.test(following.texts.stdout)) following.child.kill('SIGINT');
    });
    const followed = await following.done;
    assert.deepEqual([followed.code, followed.stdout], [0, '{"id":"c"}\n{"id":"long name"}\n{"id":"d"}\n']);
    const sink = await weir(['tail', 'users', '-f', '--sink', '0', '--address', address]);
    assert.equal(sink.code, 2);
    assert.match(sink.stderr, /no order in which they came/);
  });

  test('consume prints records as text, bytes that are none as base64, and goes on from where it was', async () => {
    const asked: string[] = [];
    const record = (offset: number, value: Buffer | null): object => ({
      partition: 0,
      offset,
      timestampMs: 1000,
      key: null,
      value: value?.toString('base64') ?? null,
      valueBytes: value?.length ?? null,
      headers: [],
    });
    const address = await answering((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x');
      asked.push([...searchParams].map(([name, value]) => `${name}=${value}`).join(' '));
      const records = searchParams.has('after')
        ? [record(2, Buffer.from([0xff, 0])), record(3, null)]
        : [record(0, Buffer.from('{"a":1}')), record(1, Buffer.from('b'))];
      response.end(JSON.stringify({ records, next: { 0: 2, 1: 5 } }));
    });
    const consume = async (...args: readonly string[]): Promise<Done> =>
      await weir(['consume', 'users', ...args, '--address', address]);
    const table = await consume('--from', 'earliest', '--limit', '2');
    assert.equal(
      table.stdout,
      'PARTITION  OFFSET  TIME                      KEY  VALUE\n0          0       1970-01-01T00:00:01.000Z  -    {"a":1}\n0          1       1970-01-01T00:00:01.000Z  -    b\n',
    );
    const lines = (await consume('--partition', '0', '--records', '4', '-o', 'json')).stdout.trim().split('\n');
    assert.deepEqual(
      lines.map((text) => JSON.parse(text)).map(({ value, valueBase64 }) => value ?? valueBase64 ?? null),
      ['{"a":1}', 'b', '/wA=', null],
    );
    assert.deepEqual(asked, [
      'partition=all from=earliest limit=2',
      'partition=0 from=latest limit=20',
      'partition=0 after=0:2,1:5 limit=1000',
    ]);
    assert.equal((await consume('--from', 'yesterday')).code, 2);
    // The one record of each partition that had to be asked for is behind `next`.
    const followed = await consume('--from', 'earliest', '--limit', '0', '--records', '2', '-o', 'json');
    assert.deepEqual(
      followed.stdout
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text).offset),
      [0, 1],
    );
  });

  test('consume -f waits between looks when no partition has more, however few records come each time', async () => {
    const times: number[] = [];
    const [few, many] = [499, 500];
    const address = await answering((request, response) => {
      if (new URL(request.url ?? '', 'http://x').searchParams.has('after')) times.push(performance.now());
      // The second answer may have been cut.
      const count = times.length === 2 ? many : few;
      const record = {
        partition: 0,
        offset: 0,
        timestampMs: 1000,
        key: null,
        value: null,
        valueBytes: null,
        headers: [],
      };
      const records = Array.from({ length: count }, () => record);
      response.end(JSON.stringify({ records: times.length === 0 ? [] : records, next: { 0: 2, 1: 5 } }));
    });
    const { code } = await weir(['consume', 'users', '--records', '1400', '-o', 'json', '--address', address]);
    assert.equal(code, 0);
    const [first = 0, second = 0, third = 0] = times;
    assert.equal(times.length, 3);
    assert.ok(second - first >= 450, `${second - first} ms after what was all`);
    assert.ok(third - second < second - first, `${third - second} ms after what may have been cut`);
  });

  test('explain draws charts, asked for by --format or -o', async () => {
    const path = join(folder, 'users.yaml');
    for (const args of [
      ['--format', 'dot'],
      ['-o', 'dot'],
    ]) {
      const { code, stdout } = await weir(['explain', path, ...args]);
      assert.deepEqual([code, stdout.split('\n')[0]], [0, 'digraph "users" {']);
    }
    assert.equal((await weir(['explain', path, '--format', 'svg'])).code, 2);
  });

  test('help loads nothing of the engine, the connectors or gRPC', async () => {
    const { stderr } = await weir(['--help'], { NODE_DEBUG: 'esm,module' });
    assert.doesNotMatch(stderr, /engine\/|connectors\/|grpc-js|fastify|cassandra-driver|kafkajs/);
    assert.match(stderr, /commander/, 'the test sees what is loaded');
  });
});
