/**
 * A whole cluster in processes of its own for one test run: the embedded process in memory, a master and workers, on
 * free ports of the loopback address. The same processes and protocols as in production; nothing is shared with any
 * other cluster of the machine.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';
import { isWeirError, WeirError } from '../../core/errors.ts';
import type { Connections } from '../../core/ports.ts';
import { MasterClient } from '../client.ts';
import { Child } from '../dev/child.ts';
import type { ChildDeath } from '../dev/child.ts';

const HOST = '127.0.0.1';
const START_PATIENCE_MS = 60_000;
const STOP_PATIENCE_MS = 5000;
const POLL_MS = 25;

export interface SteppedClusterOptions {
  readonly workers: number;
}

export class SteppedCluster implements AsyncDisposable {
  readonly client: MasterClient;
  readonly connections: Connections;
  readonly #logDirectory: string;
  /** Workers first: the order in which they end. */
  readonly #steps: readonly (readonly Child[])[];
  readonly #workerCount: number;
  #death: ChildDeath | undefined;
  #closing = false;

  /** Resolves when the master answers and every worker has joined. Throws: STORE_UNAVAILABLE with the words of a process that died. */
  static async start(options: SteppedClusterOptions): Promise<SteppedCluster> {
    const [http, grpc, embedded] = await freePorts(3);
    const cluster = new SteppedCluster(options, { http: http ?? 0, grpc: grpc ?? 0, embedded: embedded ?? 0 });
    try {
      // The others need it from their first moment.
      for (const child of cluster.#steps.at(-1) ?? []) child.start();
      await cluster.#whenListening(embedded ?? 0);
      for (const step of cluster.#steps.slice(0, -1)) for (const child of step) child.start();
      await cluster.#whenReady(new Set());
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    options: SteppedClusterOptions,
    ports: { readonly http: number; readonly grpc: number; readonly embedded: number },
  ) {
    this.#logDirectory = mkdtempSync(join(tmpdir(), 'weir-test-'));
    const token = randomBytes(16).toString('hex');
    const places = { WEIR_EMBEDDED: `${HOST}:${ports.embedded}` };
    const { KAFKA_BROKERS: _kafka, CASSANDRA_CONTACT_POINTS: _cassandra, ...others } = process.env;
    const env = { ...others, ...places, WEIR_TOKEN: token };
    const child = (name: string, args: readonly string[]): Child =>
      new Child({ name, args, env, logDirectory: this.#logDirectory, onDeath: (death) => this.#onDeath(death) });
    const at = ['--host', HOST];
    const embedded = child('embedded', ['embedded', ...at, '--port', String(ports.embedded)]);
    const master = child('master', ['master', ...at, '--port', String(ports.grpc), '--http-port', String(ports.http)]);
    const workers = Array.from({ length: options.workers }, (_, index) => {
      const name = `worker-${index + 1}`;
      const to = ['--master', `${HOST}:${ports.grpc}`];
      return child(name, ['worker', ...to, ...at, '--http-port', '0', '--name', name, '--threads', '1']);
    });
    this.#steps = [workers, [master], [embedded]];
    this.#workerCount = options.workers;
    this.client = new MasterClient({ address: `http://${HOST}:${ports.http}`, token });
    const log = makeLog('test', 'error');
    this.connections = makeConnections(places, { clock: systemClock, rng: systemRng, log });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    await this.connections.close();
    // Their data are gone with them: nothing is worth a drain.
    for (const step of this.#steps) for (const child of step) child.kill();
    for (const step of this.#steps) await Promise.all(step.map((child) => child.stop(STOP_PATIENCE_MS)));
    rmSync(this.#logDirectory, { recursive: true, force: true });
  }

  /** Throws when a process of the cluster has died by itself. */
  check(): void {
    if (this.#death === undefined) return;
    const { name, how, lastWords } = this.#death;
    throw new WeirError('INTERNAL', `the ${name} process of the test cluster died (${how}): ${lastWords}`);
  }

  /**
   * Ends a process at once, as a crash does, and starts it again: `master`, or `worker-1` and so on. Resolves when the
   * master answers and as many workers as before have joined. Throws: as {@link start}.
   */
  async crash(name: string): Promise<void> {
    const child = this.#steps.flat().find((each) => each.name === name);
    if (child === undefined) throw new WeirError('NOT_FOUND', `the test cluster has no process ${name}`);
    // The master may go on listing a worker that is gone.
    const dead = new Set((await this.client.workers()).map(({ id }) => id).filter((id) => id.startsWith(`${name}-`)));
    child.kill();
    await child.stop(STOP_PATIENCE_MS);
    child.start();
    await this.#whenReady(dead);
  }

  #onDeath(death: ChildDeath): boolean {
    if (!this.#closing) this.#death ??= death;
    return false;
  }

  async #whenListening(port: number): Promise<void> {
    const end = performance.now() + START_PATIENCE_MS;
    while (!(await accepts(port))) {
      this.check();
      if (performance.now() > end) throw new WeirError('TIMED_OUT', 'the test cluster did not come up within a minute');
      await sleep(POLL_MS);
    }
  }

  async #whenReady(dead: ReadonlySet<string>): Promise<void> {
    const end = performance.now() + START_PATIENCE_MS;
    for (;;) {
      this.check();
      try {
        const workers = await this.client.workers();
        if (workers.filter(({ id, state }) => state === 'alive' && !dead.has(id)).length >= this.#workerCount) return;
      } catch (error) {
        if (!isWeirError(error) || !error.retryable) throw error;
      }
      if (performance.now() > end) throw new WeirError('TIMED_OUT', 'the test cluster did not come up within a minute');
      await sleep(POLL_MS);
    }
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    const settle = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
