/**
 * A cluster of real processes off loopback: every socket on which one of them listens is found and tried without
 * credentials, and with TLS by somebody who has none of the cluster's certificates.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { ChannelCredentials, Client, ClientDuplexStream } from '@grpc/grpc-js';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadControl, loadExchange } from '../../proto/load.ts';
import { loadStandard } from '../../proto/standard.ts';
import type { RouteSpec } from '../../master/http/routes.ts';
import { routes } from '../../master/http/routes.ts';
import { MasterClient } from '../../cli/client.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';

const ANYWHERE = '0.0.0.0';
const HERE = '127.0.0.1';

/** TCP ports on which a process listens beyond loopback, from the kernel's tables. */
function openPorts(pid: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const rows = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, 'utf8').trim().split('\n').slice(1),
  );
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    const isLoopback = address === '0100007F' || address === '00000000000000000000000001000000';
    return state === '0A' && inodes.has(inode) && !isLoopback ? [Number.parseInt(port, 16)] : [];
  });
}

/** What answers to plain HTTP: HTTP, something else, or nothing at all. */
function probe(port: number): Promise<'http' | 'other'> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, HERE, () =>
      socket.write('GET /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'),
    );
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('close', () => resolve(text.startsWith('HTTP/1.1 ') ? 'http' : 'other'));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve('other') : reject(error),
    );
    socket.setTimeout(10_000, () => socket.destroy());
  });
}

const openPaths = new Set(['/healthz', '/readyz']);
const paths = [
  ...(Object.values(routes) as readonly RouteSpec[]).map(({ method, path }) => [
    method,
    path.replaceAll(/\{\w+\}/g, 'x'),
  ]),
  ['GET', '/nothing'],
  ['GET', '/v1/nothing'],
  ['GET', '/v1/ui/history'],
  ['GET', '/metrics'],
] as const;

async function tryHttp(port: number): Promise<void> {
  for (const [method = '', path = ''] of paths) {
    for (const authorization of [undefined, 'Bearer wrong']) {
      const answer = await fetch(`http://${HERE}:${port}${path}`, {
        method,
        ...(authorization === undefined ? {} : { headers: { authorization } }),
        ...(method === 'GET' ? {} : { body: '{}' }),
      });
      await answer.body?.cancel();
      if (!openPaths.has(path)) assert.equal(answer.status, 401, `${method} ${path} on port ${port}`);
    }
  }
}

/** The error with which a stream ends, or what came instead. */
function outcome(stream: ClientDuplexStream<never, unknown>): Promise<string> {
  return new Promise((resolve) => {
    stream.on('data', (message: unknown) => resolve(JSON.stringify(message)));
    stream.on('error', (error: Error) => resolve(error.message));
    stream.on('end', () => resolve('ended'));
  });
}

interface Reflection extends Client {
  ServerReflectionInfo(): ClientDuplexStream<never, unknown>;
}

/** What is asked of the package that proto-loader makes. */
interface StandardServices {
  readonly grpc: {
    readonly reflection: {
      readonly v1: { readonly ServerReflection: new (address: string, trust: ChannelCredentials) => Reflection };
    };
  };
}

/** Every service that any process of the cluster speaks, asked as a stranger would. */
async function tryGrpc(port: number): Promise<string[]> {
  const address = `${HERE}:${port}`;
  const control = loadControl().client(address);
  const exchange = loadExchange().client(address);
  const { grpc } = loadPackageDefinition(loadStandard()) as unknown as StandardServices;
  const reflection = new grpc.reflection.v1.ServerReflection(address, credentials.createInsecure());
  const register = {
    workerId: 'stranger',
    protocolVersion: 1,
    formatVersion: 99,
    httpAddress: '',
    threads: 1,
    token: '',
    weirVersion: '',
    exchangeAddress: '',
  };
  const outcomes: string[] = [];
  for (const token of ['', 'wrong']) {
    const stream = control.connect();
    const answered = outcome(stream);
    stream.write({ register: { ...register, token } });
    outcomes.push(await answered);
    const joined = Promise.withResolvers<string>();
    const request = { workerId: 'stranger', token, publicKey: Buffer.alloc(0) };
    const { Metadata } = await import('@grpc/grpc-js');
    control.join(request, new Metadata(), { deadline: Date.now() + 10_000 }, (error, reply) =>
      joined.resolve(error === null ? JSON.stringify(reply) : error.message),
    );
    outcomes.push(await joined.promise);
    const sent = exchange.send();
    const refused = outcome(sent);
    sent.write({
      job: 'j',
      run: 1,
      token: 1,
      epoch: 1,
      attempt: 1,
      from: 0,
      fromStage: 0,
      part: 0,
      stage: 1,
      port: 0,
      thread: 0,
      rowCount: 1,
      bytes: new Uint8Array(8),
      end: null,
      more: false,
      clusterToken: token,
    });
    outcomes.push(await refused);
  }
  const asked = reflection.ServerReflectionInfo();
  const listed = outcome(asked);
  asked.write({ listServices: '' } as never);
  outcomes.push(await listed);
  for (const client of [control, exchange, reflection]) client.close();
  return outcomes;
}

suite('sockets of a cluster off loopback', { timeout: 600_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'weir-listeners-'));
  let cluster: Cluster;
  let embeddedPort = 0;

  const start = async (name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Process> => {
    const process = cluster.spawn(name, args, {
      WEIR_SECURITY_DIR: join(home, 'security'),
      HOME: home,
      WEIR_ADVERTISED_HOST: HERE,
      ...env,
    });
    const started = new RegExp(`${args[0]} started`);
    await until(`${name} starts`, 120_000, async () => {
      if (!process.alive) throw new Error(await process.log());
      return started.test(await process.log());
    });
    return process;
  };
  const masterArgs = (...more: string[]): string[] => [
    'master',
    '--host',
    ANYWHERE,
    '--port',
    String(cluster.grpcPort),
    '--http-port',
    String(cluster.httpPort),
    ...more,
  ];
  const workerArgs = (...more: string[]): string[] => [
    'worker',
    '--host',
    ANYWHERE,
    '--master',
    `${HERE}:${cluster.grpcPort}`,
    '--http-port',
    '0',
    '--threads',
    '1',
    ...more,
  ];

  before(async () => {
    [embeddedPort = 0] = await freePorts(1);
    cluster = await Cluster.create({ WEIR_EMBEDDED: `${HERE}:${embeddedPort}` });
    await start('embedded', ['embedded', '--port', String(embeddedPort)]);
  });
  after(async () => {
    await cluster.close();
    rmSync(home, { recursive: true, force: true });
  });

  test('without TLS, by their word: each asks for a token', async () => {
    const master = await start('open-master', masterArgs('--insecure'));
    const worker = await start('open-worker', workerArgs('--insecure'));
    const found = [master, worker].map(({ pid }) => openPorts(pid));
    assert.deepEqual(
      found.map((ports) => ports.length),
      [2, 2],
      'REST and gRPC; metrics and exchange',
    );
    for (const port of found.flat()) {
      if ((await probe(port)) === 'http') await tryHttp(port);
      else
        for (const answer of await tryGrpc(port))
          assert.match(answer, /UNAUTHENTICATED|UNAUTHORIZED|UNIMPLEMENTED|FAILED_PRECONDITION/, `port ${port}`);
    }
    assert.ok((await cluster.workers()).length === 1, 'the worker with the token is in, the stranger is not');
    await worker.stop();
    // One that would not know its tokens does not stand by for it; when it is gone, nobody is in the way.
    const other = { WEIR_SECURITY_DIR: join(home, 'other-security'), HOME: home };
    const elsewhere = ['master', '--host', ANYWHERE, '--insecure', '--port', '0', '--http-port', '0'];
    const refused = cluster.spawn('other-folder', elsewhere, other);
    assert.notEqual((await refused.exited).code, 0);
    assert.match(await refused.log(), /has another security folder.*other-security.*WEIR_SECURITY_DIR/s);
    await master.stop();
    await (await start('later-folder', elsewhere, other)).stop();
  });

  test('with TLS, which nobody has to ask for: plain text gets nowhere, the right worker gets in', async () => {
    const master = await start('master', masterArgs(), { WEIR_TOKEN: '' });
    const token = join(home, 'security', 'admin-token');
    assert.equal(statSync(token).mode & 0o777, 0o600);
    assert.match(await master.log(), /the first token was made/);
    assert.ok(!(await master.log()).includes(readFileSync(token, 'utf8').trim()), 'the log tells where, not what');
    const ca = readFileSync(join(home, 'security', 'ca.pem'), 'utf8');
    const address = `https://${HERE}:${cluster.httpPort}`;
    const admin = new MasterClient({ address, token: readFileSync(token, 'utf8').trim(), ca });
    await until('the master leads', 60_000, async () => (await admin.jobs()).length === 0);
    await assert.rejects(new MasterClient({ address, token: 'x' }).jobs(), /certificate .* is not to be trusted/);
    await assert.rejects(new MasterClient({ address, token: null, ca }).jobs(), /asks for a token/);

    const join1 = cluster.spawn('token', ['token', 'create', 'w', '--role', 'worker', '--address', address], {
      HOME: home,
      WEIR_TOKEN: readFileSync(token, 'utf8').trim(),
      WEIR_CA: join(home, 'security', 'ca.pem'),
    });
    assert.equal((await join1.exited).code, 0, await join1.log());
    const joinToken = /weir_\S+/.exec(await join1.log())?.[0] ?? assert.fail(await join1.log());
    const worker = await start('worker', workerArgs('--join', joinToken), { WEIR_TOKEN: '' });
    const joined = await until('the worker is in', 60_000, async () => (await admin.workers())[0]);
    assert.match(joined.httpAddress, /^https:/);
    for (const port of [master, worker].flatMap(({ pid }) => openPorts(pid))) {
      assert.equal(await probe(port), 'other', `port ${port} speaks no plain HTTP`);
      for (const answer of await tryGrpc(port))
        assert.match(answer, /UNAVAILABLE|No connection|DEADLINE/, `port ${port}`);
    }

    for (const [name, args, env, words] of [
      ['no-token', workerArgs(), { WEIR_TOKEN: '' }, /needs a token/],
      ['plain', workerArgs(), { WEIR_TOKEN: 'some-token' }, /will not send its token .* in plain text/],
      [
        'wrong',
        workerArgs('--join', joinToken.replace(/^(weir_\w{8}_).{43}/, `$1${'x'.repeat(43)}`)),
        {},
        /was not let in/,
      ],
      [
        'other',
        workerArgs('--join', joinToken.replace(/[0-9a-f]{64}$/, 'ab'.repeat(32))),
        {},
        /is not the cluster of the join token/,
      ],
    ] as const) {
      const refused = cluster.spawn(name, args, { HOME: home, ...env });
      const { code } = await refused.exited;
      assert.notEqual(code, 0, name);
      assert.match(await refused.log(), words, name);
    }
    await worker.stop();
    await master.stop();
  });
});
