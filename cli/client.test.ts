/** How commands find the master that answers, and what they ask twice. */
import assert from 'node:assert/strict';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { MasterClient } from './client.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

interface Fake {
  readonly address: string;
  readonly asked: string[];
}

/** Answers with what `answer` gives; null = nothing at all, like a frozen process. */
async function fake(
  answer: (
    request: IncomingMessage,
    asked: readonly string[],
  ) => { status: number; body?: unknown; retry?: boolean } | null,
): Promise<Fake> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    asked.push(`${request.method} ${request.url}`);
    const given = answer(request, asked);
    if (given === null) return;
    response.writeHead(given.status, given.retry === true ? { 'retry-after': '1' } : {});
    response.end(JSON.stringify(given.body ?? {}));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function deadAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

const jobs = { status: 200, body: { jobs: [] } };
const notReady = { code: 'MASTER_UNREACHABLE', detail: 'nobody leads' };

test('of several masters the first one that is ready is asked', async () => {
  const frozen = await fake(() => null);
  const opening = await fake(() => ({ status: 503, body: {} }));
  const ready = await fake(() => jobs);
  const unused = await fake(() => jobs);
  const others = [frozen.address, opening.address, ready.address, unused.address];
  const client = new MasterClient({ address: await deadAddress(), others, token: null });
  assert.deepEqual(await client.jobs(), []);
  assert.deepEqual(ready.asked, ['GET /readyz', 'GET /v1/jobs']);
  assert.deepEqual([opening.asked, unused.asked], [['GET /readyz'], []]);
});

test('the only master is asked once, without a question before', async () => {
  const master = await fake(() => jobs);
  await new MasterClient({ address: master.address, token: null }).jobs();
  assert.deepEqual(master.asked, ['GET /v1/jobs']);
  const dead = new MasterClient({ address: await deadAddress(), token: null });
  await assert.rejects(dead.jobs(), { code: 'MASTER_UNREACHABLE' });
});

test('while nobody leads a request is asked again; one of unknown fate is not', async () => {
  const waiting = await fake((_, asked) =>
    asked.length < 3 ? { status: 503, body: notReady, retry: true } : { status: 200, body: { epochs: 4 } },
  );
  assert.deepEqual(await new MasterClient({ address: waiting.address, token: null }).step('a'), { epochs: 4 });
  assert.equal(waiting.asked.length, 3);
  const cut = await fake(() => ({ status: 502, body: notReady }));
  await assert.rejects(new MasterClient({ address: cut.address, token: null }).step('a'), {
    code: 'MASTER_UNREACHABLE',
  });
  assert.deepEqual(cut.asked, ['POST /v1/jobs/a/step']);
});

test('savepoints and rollbacks have their routes', async () => {
  const master = await fake((request) =>
    request.method === 'GET' ? { status: 200, body: { savepoints: [] } } : { status: 200, body: {} },
  );
  const client = new MasterClient({ address: master.address, token: null });
  await client.createSavepoint('a', 'v1');
  await client.savepoints('a');
  await client.deleteSavepoint('a', 'v1');
  await client.rollback('a');
  await client.rollback('a', 3);
  assert.deepEqual(master.asked, [
    'PUT /v1/jobs/a/savepoints/v1',
    'GET /v1/jobs/a/savepoints',
    'DELETE /v1/jobs/a/savepoints/v1',
    'POST /v1/jobs/a/rollback',
    'POST /v1/jobs/a/rollback?to=3',
  ]);
});
