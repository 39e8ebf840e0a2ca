import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ReadingSockets } from './reading-sockets.ts';

const BYTES = 3_000_000;

/** A socket of the factory and the server's end of it. */
async function connected(sockets: ReadingSockets): Promise<AsyncDisposable & { client: Socket; server: Socket }> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const options = { host: '127.0.0.1', port, ssl: null as never, onConnect: () => undefined };
  const client: Socket = sockets.connect(options);
  const [server] = (await once(listener, 'connection')) as [Socket];
  return {
    client,
    server,
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      server.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => Math.imul(index, 2654435761) >>> 13));
}

test('bytes with a place of their own are read there, those before and behind are handed over', async () => {
  const sockets = new ReadingSockets();
  await using ends = await connected(sockets);
  const sent = pattern(BYTES);
  const [from, to] = [20_000, BYTES - 5000];
  const received = Buffer.alloc(BYTES);
  let at = 0;
  let pushedWithRoom = 0;
  const whole = Promise.withResolvers<void>();
  const came = (length: number): void => {
    at += length;
    if (at === BYTES) whole.resolve();
  };
  sockets.take(ends.client, {
    get room() {
      return at >= from && at < to ? received.subarray(at, to) : null;
    },
    filled: came,
    push: (bytes) => {
      // One read may have begun before the room was there.
      if (at > from && at < to) pushedWithRoom += bytes.byteLength;
      received.set(bytes, at);
      came(bytes.byteLength);
    },
  });
  ends.server.write(sent);
  await whole.promise;
  assert.ok(received.equals(sent));
  assert.equal(pushedWithRoom, 0);
});

test('who takes nothing gets data that stays', async () => {
  const sockets = new ReadingSockets();
  await using ends = await connected(sockets);
  const parts: Buffer[] = [];
  const whole = Promise.withResolvers<void>();
  ends.client.on('data', (bytes: Buffer) => {
    parts.push(bytes);
    if (parts.reduce((sum, { byteLength }) => sum + byteLength, 0) === BYTES) whole.resolve();
  });
  ends.server.write(pattern(BYTES));
  await whole.promise;
  assert.ok(Buffer.concat(parts).equals(pattern(BYTES)));
});
