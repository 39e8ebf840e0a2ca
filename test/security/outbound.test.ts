/** Requests to hosts that a job names, over real sockets and the resolver of this machine. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, suite, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { registryOptionsFromEnv } from '../../connectors/schema-registry/options.ts';
import { SchemaRegistryClient } from '../../connectors/schema-registry/registry-client.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { askOutside, guardedLookup, requireResolvable } from '../../connectors/system/outbound.ts';
import { isWeirError } from '../../core/errors.ts';
import { parseOutbound } from '../../core/security/outbound.ts';
import { noLog } from '../conformance/no-log.ts';

const forbidden = (error: unknown): boolean =>
  isWeirError(error, 'FORBIDDEN') && /WEIR_ALLOWED_HOSTS/.test(error.message);
const request = { signal: AbortSignal.timeout(20_000), bytesMax: 1000 };

suite('requests that a job has made', () => {
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    asked.push(`${incoming.headers.host} ${incoming.url} ${incoming.headers.authorization ?? ''}`);
    if (incoming.url === '/elsewhere') response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end();
    else if (incoming.url === '/large') response.end('x'.repeat(5000));
    else response.end('{}');
  });
  const ready = new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  );
  after(() => server.close());

  test('a name is judged by what it resolves to, at the moment of the connection', async () => {
    const port = await ready;
    const url = new URL(`http://localhost:${port}/`);
    assert.equal((await askOutside(url, parseOutbound('any'), request)).status, 200);
    assert.equal((await askOutside(url, parseOutbound('localhost'), request)).status, 200);
    asked.length = 0;
    for (const policy of ['public', 'other.example', '127.0.0.1'])
      await assert.rejects(askOutside(url, parseOutbound(policy), request), forbidden, policy);
    for (const host of [`127.0.0.1:${port}`, `[::ffff:127.0.0.1]:${port}`, `2130706433:${port}`, `0x7f.1:${port}`])
      await assert.rejects(askOutside(new URL(`http://${host}/`), parseOutbound('public'), request), forbidden, host);
    assert.equal(asked.length, 0, 'nothing was sent');
    await assert.rejects(requireResolvable(parseOutbound('public'), 'localhost'), forbidden);
    await assert.rejects(requireResolvable(parseOutbound('any'), '169.254.169.254'), forbidden);
    await requireResolvable(parseOutbound('any'), 'localhost');
  });

  test('sockets of any client get no address that is refused', async () => {
    const failure = await new Promise((resolve) => guardedLookup(parseOutbound('public'))('localhost', {}, resolve));
    assert.ok(forbidden(failure), String(failure));
  });

  test('redirects are told, not followed, and answers have an end', async () => {
    const port = await ready;
    const base = `http://127.0.0.1:${port}`;
    assert.equal((await askOutside(new URL(`${base}/elsewhere`), parseOutbound('any'), request)).status, 302);
    await assert.rejects(askOutside(new URL(`${base}/large`), parseOutbound('any'), request), /larger than 1000 bytes/);
  });

  test('a registry that a job names: only where jobs may go, and never with this cluster’s password', async () => {
    const port = await ready;
    const parts = { clock: systemClock, rng: systemRng };
    const env = {
      SCHEMA_REGISTRY_URL: 'http://schemas.example:8081',
      SCHEMA_REGISTRY_USERNAME: 'weir',
      SCHEMA_REGISTRY_PASSWORD: 'registry-password',
    };
    const named = `http://127.0.0.1:${port}`;
    const refused = registryOptionsFromEnv({ ...env, WEIR_ALLOWED_HOSTS: 'public' }, named);
    asked.length = 0;
    await assert.rejects(new SchemaRegistryClient(refused, parts).latest('users-value'), forbidden);
    assert.equal(asked.length, 0);
    const allowed = registryOptionsFromEnv({ ...env, WEIR_ALLOWED_HOSTS: 'any' }, named);
    await new SchemaRegistryClient(allowed, parts).latest('users-value').catch(() => undefined);
    assert.deepEqual(
      asked.map((line) => line.replace(/:\d+/, '').trim()),
      [
        '127.0.0.1 /subjects/users-value/versions/latest',
        '127.0.0.1 /subjects/users-value/versions/latest',
        '127.0.0.1 /subjects/users-value/versions/latest',
      ].slice(0, asked.length),
    );
    assert.ok(asked.length > 0 && !asked.some((line) => line.includes('Basic')));
  });

  test('brokers that a job names are judged like everything else', async () => {
    const env = { KAFKA_BROKERS: 'kafka.example:9092', WEIR_ALLOWED_HOSTS: 'public' };
    const connections = makeConnections(env, { clock: systemClock, rng: systemRng, log: noLog });
    for (const brokers of [
      '127.0.0.1:9092',
      'localhost:9092',
      '169.254.169.254:80',
      '[::1]:9092',
      '10.0.0.1:9092,1.1.1.1:9092',
    ])
      await assert.rejects(connections.source('kafka', { brokers }).describe('users'), forbidden, brokers);
    await connections.close();
  });
});
