/** How a worker finds the master that leads, over real connections. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { after, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import type { ControlStream } from '../core/ports.ts';
import type { ControlListener } from '../master/grpc-server.ts';
import { listenControl } from '../master/grpc-server.ts';
import type { MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { GrpcControlClient } from './grpc-client.ts';

const listeners: ControlListener[] = [];
const sockets: Server[] = [];
after(async () => {
  for (const server of sockets) server.close();
  await Promise.all(listeners.map((listener) => listener.close()));
});

/** A master: `leader()` null = itself, else what it tells workers. */
async function master(leader: () => string | null): Promise<ControlListener> {
  const listener = await listenControl('127.0.0.1', 0, (stream) => {
    const address = leader();
    if (address === null) {
      stream.onMessage(() => {
        stream.send({ registered: { masterId: listener.address, heartbeatIntervalMs: 500, silenceLimitMs: 2500 } });
      });
    } else {
      stream.send({ notLeader: { address } });
      stream.close();
    }
    return () => undefined;
  });
  listeners.push(listener);
  return listener;
}

/** Accepts connections and says nothing, as a stopped process does. */
async function frozen(): Promise<string> {
  const server = createServer();
  sockets.push(server);
  server.unref();
  server.on('connection', (socket) => socket.unref());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function dead(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

type Stream = ControlStream<MasterMessage, WorkerMessage>;

/** Connects again and again, as a worker does, until a master accepts it; `tries` counts the connections. */
async function join(
  client: GrpcControlClient,
  triesMax = 30,
): Promise<{ master: string; tries: number; stream: Stream }> {
  for (let tries = 1; tries <= triesMax; tries++) {
    try {
      const stream = await client.connect();
      const accepted = await new Promise<string | null>((resolve) => {
        stream.onMessage((message) => resolve(message.registered?.masterId ?? null));
        stream.onClose(() => resolve(null));
        stream.send({ register: { workerId: 'w' } as never });
      });
      if (accepted !== null) return { master: accepted, tries, stream };
    } catch (error) {
      assert.ok(isWeirError(error, 'MASTER_UNREACHABLE'), String(error));
    }
  }
  throw new Error(`not joined after ${triesMax} tries`);
}

test('a master that does not lead sends the worker to the one that does, known or not', async () => {
  const leader = await master(() => null);
  const standby = await master(() => leader.address);
  const joined = await join(new GrpcControlClient([standby.address]));
  assert.deepEqual([joined.master, joined.tries], [leader.address, 2]);
  joined.stream.close();
});

test('masters that are dead, frozen or without a leader are passed over', async () => {
  const leader = await master(() => null);
  const leaderless = await master(() => '');
  const client = new GrpcControlClient([await dead(), await frozen(), leaderless.address, leader.address]);
  const joined = await join(client);
  assert.deepEqual([joined.master, joined.tries], [leader.address, 4]);
  joined.stream.close();
});

test('a standby that still names the dead leader is asked again until it leads', async () => {
  const gone = await dead();
  let named: string | null = gone;
  let asked = 0;
  const standby = await master(() => {
    if (++asked === 3) named = null;
    return named;
  });
  const joined = await join(new GrpcControlClient([gone, standby.address]));
  assert.equal(joined.master, standby.address);
  assert.equal(asked, 3);
  joined.stream.close();
});
