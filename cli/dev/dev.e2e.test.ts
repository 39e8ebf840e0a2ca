/** `npm start` as a person meets it: rows and addresses, then Ctrl-C and nothing left. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, suite, test } from 'node:test';

const home = mkdtempSync(join(tmpdir(), 'weir-dev-test-'));
after(() => rmSync(home, { recursive: true, force: true }));

/** Set for everything a run starts, so that what it leaves behind can be found. */
const MARK = 'WEIR_TEST_RUN';

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(
    servers.map(async (server) => await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

interface Run {
  readonly child: ChildProcess;
  readonly mark: string;
  readonly address: string;
  readonly ports: readonly number[];
  readonly token: string;
  output(): string;
  /** Resolves when the output matches. */
  seen(pattern: RegExp): Promise<void>;
  exited(): Promise<number | null>;
}

async function start(args: readonly string[] = []): Promise<Run> {
  const ports = await freePorts(3);
  const [http, grpc, embedded] = ports;
  const mark = `dev-${process.pid}-${http}`;
  const { KAFKA_BROKERS: _brokers, CASSANDRA_CONTACT_POINTS: _points, ...inherited } = process.env;
  const main = join(import.meta.dirname, '..', 'main.ts');
  const flags = ['--port', String(http), '--grpc-port', String(grpc), '--embedded-port', String(embedded)];
  const child = spawn(process.execPath, [main, 'dev', ...flags, ...args], {
    env: { ...inherited, HOME: home, WEIR_TOKEN: 'dev-test', [MARK]: mark },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  const seen = async (pattern: RegExp): Promise<void> => {
    for (const deadline = Date.now() + 60_000; !pattern.test(text); await sleep(20)) {
      assert.ok(Date.now() < deadline && child.exitCode === null, `never saw ${pattern} in:\n${text}`);
    }
  };
  after(() => child.kill('SIGKILL'));
  return {
    child,
    mark,
    address: `http://127.0.0.1:${http}`,
    ports,
    token: 'dev-test',
    output: () => text,
    seen,
    exited: () => exit,
  };
}

/** Processes that carry the mark in their environment (Linux). */
function marked(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`${MARK}=${mark}`);
    } catch {
      return false;
    }
  });
}

async function allGone(mark: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; marked(mark).length > 0; await sleep(50)) {
    assert.ok(Date.now() < deadline, `still there: ${marked(mark).join(', ')}`);
  }
}

async function workersAlive(run: Run, count: number): Promise<void> {
  const headers = { authorization: `Bearer ${run.token}` };
  for (let alive = -1; alive !== count; await sleep(100)) {
    const body = (await (await fetch(`${run.address}/v1/workers`, { headers })).json()) as WorkersBody;
    alive = body.workers.filter(({ state }) => state === 'alive').length;
  }
}

interface WorkersBody {
  readonly workers: readonly { readonly state: string }[];
}

suite('npm start', () => {
  test('shows rows, answers at its addresses, and ends without leftovers', async () => {
    const run = await start(['--rate', '200']);
    await run.seen(/First rows of spark_streams\.created_users/);
    await run.seen(/created-users.*rows\/s, p50/);
    await workersAlive(run, 2);
    assert.equal((await fetch(`${run.address}/v1/workers`)).status, 401);
    assert.match(await (await fetch(`${run.address}/metrics`)).text(), /^# HELP/m);
    assert.match(run.output(), new RegExp(`web page +${run.address}/#token=dev-test`));
    run.child.kill('SIGINT');
    assert.equal(await run.exited(), 0, run.output());
    assert.deepEqual(marked(run.mark), []);
  });

  test('a worker that is killed is reported and comes back', async () => {
    const run = await start(['--rate', '50']);
    await run.seen(/First rows/);
    const workers = marked(run.mark).filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0worker-1\0'),
    );
    assert.equal(workers.length, 1);
    process.kill(Number(workers[0]), 'SIGKILL');
    await run.seen(/worker-1 died \(signal SIGKILL\) and is started again/);
    await workersAlive(run, 2);
    run.child.kill('SIGTERM');
    assert.equal(await run.exited(), 0, run.output());
    assert.deepEqual(marked(run.mark), []);
  });

  test('killed without a chance to clean up, it leaves no process either', async () => {
    const run = await start();
    await run.seen(/First rows/);
    run.child.kill('SIGKILL');
    await run.exited();
    await allGone(run.mark);
  });

  test('with --data it goes on where it stopped', async () => {
    const data = join(home, 'data');
    const count = async (run: Run): Promise<number> => {
      const headers = { authorization: `Bearer ${run.token}` };
      const body = '{"cql":"SELECT count(*) FROM spark_streams.created_users"}';
      const answer = await fetch(`${run.address}/v1/query`, { method: 'POST', headers, body });
      return Number(((await answer.json()) as { rows: unknown[][] }).rows[0]?.[0]);
    };
    const first = await start(['--data', data, '--rate', '100']);
    await first.seen(/First rows/);
    first.child.kill('SIGINT');
    assert.equal(await first.exited(), 0);
    const second = await start(['--data', data, '--no-producers']);
    await second.seen(/created-users: /);
    assert.ok((await count(second)) > 0);
    const third = await start(['--data', data]);
    assert.equal(await third.exited(), 5, third.output());
    assert.match(third.output(), /weir: The data directory .* is in use/);
    second.child.kill('SIGINT');
    assert.equal(await second.exited(), 0, second.output());
  });

  test('a busy port is one sentence and exit code 5', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const run = await start(['--port', String(port)]);
    assert.equal(await run.exited(), 5);
    assert.match(
      run.output(),
      new RegExp(`^weir: Port ${port} is in use by another process .*--port ${port + 1000}\\n$`),
    );
    assert.deepEqual(marked(run.mark), []);
    server.close();
  });
});
