/** What a real registry in memory does not do: ask for credentials, fail now and then, refer to what is gone. A fake does. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { text as textOf } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { registryOptionsFromEnv } from './options.ts';
import { SchemaRegistries } from './registries.ts';
import type { SinkSchema } from './registry-client.ts';

const avro = (schema: string): SinkSchema => ({ kind: 'AVRO', schema, references: [] });

let server: Server;
let url: string;
let asked: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[] = [];
let answer: (path: string) => { readonly status: number; readonly body: unknown };

before(async () => {
  server = createServer((request: IncomingMessage, response) => {
    const path = request.url ?? '';
    void textOf(request).then((sent) => {
      asked.push({ path, authorization: request.headers.authorization, body: sent });
      const { status, body } = answer(path);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());
beforeEach(() => {
  asked = [];
});

const good = { status: 200, body: { schema: '"string"' } };
const notFound = { status: 404, body: { error_code: 40403, message: 'Schema not found' } };

function open(env: Readonly<Record<string, string>> = {}): SchemaRegistries {
  return new SchemaRegistries({ SCHEMA_REGISTRY_URL: url, ...env }, { clock: systemClock, rng: systemRng });
}

test('a schema is asked for once, by many at a time', async () => {
  answer = () => good;
  const schemas = open();
  const found = { id: 7, type: 'AVRO', schema: '"string"', references: [] };
  assert.deepEqual(await Promise.all([schemas.schemas('', [7, 7]), schemas.schemas('', [7])]), [
    [found, found],
    [found],
  ]);
  assert.deepEqual(await schemas.schemas('', [7]), [found]);
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/schemas/ids/7'],
  );
});

test('credentials go with every request, but only to the registry of the process', async () => {
  answer = () => good;
  await open({ SCHEMA_REGISTRY_USERNAME: 'app', SCHEMA_REGISTRY_PASSWORD: 'p:w' }).schemas('', [1]);
  await open({ SCHEMA_REGISTRY_TOKEN: 'abc' }).schemas('', [1]);
  await open({ SCHEMA_REGISTRY_TOKEN: 'abc', SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1' }).schemas(url, [1]);
  assert.deepEqual(
    asked.map(({ authorization }) => authorization),
    [`Basic ${Buffer.from('app:p:w').toString('base64')}`, 'Bearer abc', undefined],
  );
});

test('refused credentials are no outage', async () => {
  answer = () => ({ status: 401, body: {} });
  await assert.rejects(open().schemas('', [1]), (error) => isWeirError(error, 'UNAUTHORIZED') && !error.retryable);
  assert.equal(asked.length, 1);
});

test('a failure is tried again, and forgotten when it lasts', async () => {
  let failures = 2;
  answer = () => (failures-- > 0 ? { status: 503, body: {} } : good);
  const schemas = open();
  assert.equal((await schemas.schemas('', [1]))[0]?.type, 'AVRO');
  failures = 3;
  await assert.rejects(schemas.schemas('', [2]), (error) => isWeirError(error, 'SCHEMA_REGISTRY_UNAVAILABLE'));
  assert.equal((await schemas.schemas('', [2]))[0]?.type, 'AVRO');
});

test('a schema that is new goes there as it is, again after a failure, and with the credentials', async () => {
  let failures = 1;
  answer = () => (failures-- > 0 ? { status: 503, body: {} } : { status: 200, body: { id: 9 } });
  assert.equal(await open({ SCHEMA_REGISTRY_TOKEN: 'abc' }).register('', 'a/b', avro('"int"')), 9);
  const sent = {
    path: '/subjects/a%2Fb/versions',
    authorization: 'Bearer abc',
    body: '{"schema":"\\"int\\"","schemaType":"AVRO"}',
  };
  assert.deepEqual(asked, [sent, sent]);
});

test('a schema that is refused says why, and is not sent again', async () => {
  answer = () => ({ status: 422, body: { error_code: 42201, message: 'Input schema is an invalid Avro schema' } });
  await assert.rejects(open().register('', 's', avro('{}')), (error) => {
    assert.ok(isWeirError(error, 'SCHEMA_REFUSED'));
    assert.match(error.message, /\/subjects\/s\/versions \(422\): Input schema is an invalid Avro schema/);
    return true;
  });
  assert.equal(asked.length, 1);
  answer = () => notFound;
  assert.equal(await open().find('', 's', avro('{}')), undefined);
  assert.equal(await open().accepts('', 's', avro('{}')), true);
  answer = () => ({ status: 200, body: { is_compatible: false } });
  assert.equal(await open().accepts('', 's', avro('{}')), false);
  answer = () => ({ status: 403, body: {} });
  await assert.rejects(open().register('', 's', avro('{}')), (error) => isWeirError(error, 'UNAUTHORIZED'));
});

test('a schema that refers to what is gone, or to itself', async () => {
  const references = [{ name: 'x', subject: 'x y', version: 3 }];
  answer = (path) => (path.startsWith('/schemas') ? { status: 200, body: { schema: '{}', references } } : notFound);
  assert.deepEqual(await open().schemas('', [1]), [{ id: 1, type: 'UNKNOWN' }]);
  assert.equal(asked[1]?.path, '/subjects/x%20y/versions/3');
  answer = () => ({ status: 200, body: { schema: '{}', references } });
  const [found] = await open().schemas('', [1]);
  assert(found !== undefined && found.type === 'AVRO');
  assert.deepEqual(found.references, [{ name: 'x', schema: '{}' }]);
});

test('settings that cannot be', () => {
  const refused = (env: Record<string, string>, message: RegExp): void => {
    assert.throws(
      () => registryOptionsFromEnv(env),
      (error) => isWeirError(error, 'CONFIG_INVALID') && message.test(error.message),
    );
  };
  refused({}, /SCHEMA_REGISTRY_URL is not set/);
  refused({ SCHEMA_REGISTRY_URL: 'localhost:8081' }, /is no URL/);
  refused({ SCHEMA_REGISTRY_URL: 'http://a:b@h' }, /holds a password/);
  refused({ SCHEMA_REGISTRY_URL: url, SCHEMA_REGISTRY_USERNAME: 'a' }, /set together/);
  refused(
    {
      SCHEMA_REGISTRY_URL: url,
      SCHEMA_REGISTRY_TOKEN: 't',
      SCHEMA_REGISTRY_USERNAME: 'a',
      SCHEMA_REGISTRY_PASSWORD: 'b',
    },
    /both set/,
  );
  assert.equal(registryOptionsFromEnv({ SCHEMA_REGISTRY_URL: `${url}/api/` }).url, `${url}/api`);
});
