import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { parseAvro } from '../../engine/formats/avro-schema.ts';
import { parseProto } from '../../engine/formats/proto-schema.ts';
import { startRegistry } from '../../test/services/registry.ts';
import type { RegistryService } from '../../test/services/registry.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { SchemaRegistries } from './registries.ts';
import type { SinkSchema } from './registry-client.ts';

let registry: RegistryService;

before(async () => {
  registry = await startRegistry();
});
after(() => registry.dispose());

function open(env: Record<string, string> = { SCHEMA_REGISTRY_URL: registry.url }): SchemaRegistries {
  return new SchemaRegistries(env, { clock: systemClock, rng: systemRng });
}

const user = JSON.stringify({ type: 'record', name: 'User', fields: [{ name: 'id', type: 'long' }] });

test('a schema by its id, and the latest of a subject', async () => {
  const id = await registry.register('users-value', { schema: user });
  const newer = JSON.stringify({
    type: 'record',
    name: 'User',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'name', type: 'string', default: '' },
    ],
  });
  const newerId = await registry.register('users-value', { schema: newer });
  const schemas = open();
  const [first, second] = await schemas.schemas('', [id, newerId]);
  assert(first !== undefined && first.type === 'AVRO' && second !== undefined && second.type === 'AVRO');
  assert.deepEqual(JSON.parse(first.schema), JSON.parse(user));
  assert.deepEqual(JSON.parse(second.schema), JSON.parse(newer));
  const latest = await schemas.latest('', 'users-value');
  assert.deepEqual(JSON.parse(latest?.schema ?? ''), JSON.parse(newer));
  assert.equal(await schemas.latest('', 'nobody-value'), undefined);
});

test('an id that nobody registered is unknown, and no failure', async () => {
  assert.deepEqual(await open().schemas('', [987_654, -5]), [
    { id: 987_654, type: 'UNKNOWN' },
    { id: -5, type: 'UNKNOWN' },
  ]);
});

test('a schema of a sink: found, judged, registered, each time under the same id', async () => {
  const schemas = open();
  const field = (name: string, type: unknown, rest: object = {}): object => ({ name, type, ...rest });
  const text = (...fields: readonly object[]): SinkSchema => ({
    kind: 'AVRO',
    schema: JSON.stringify({ type: 'record', name: 'Visit', fields: [field('id', 'string'), ...fields] }),
    references: [],
  });
  const first = text(field('ms', 'int'));
  assert.equal(await schemas.find('', 'visits-value', first), undefined);
  assert.equal(await schemas.accepts('', 'visits-value', first), true, 'a subject that is not there takes any');
  const id = await schemas.register('', 'visits-value', first);
  assert.equal(await schemas.register('', 'visits-value', first), id);
  assert.equal(await schemas.find('', 'visits-value', first), id);
  const [found] = await schemas.schemas('', [id]);
  assert(found !== undefined && found.type === 'AVRO');
  assert.deepEqual(JSON.parse(found.schema), JSON.parse(first.schema));

  await fetch(`${registry.url}/config/visits-value`, {
    method: 'PUT',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: '{"compatibility":"BACKWARD"}',
  });
  const wider = text(field('ms', 'int'), field('page', ['null', 'string'], { default: null }));
  const retyped = text(field('ms', 'string'));
  assert.equal(await schemas.accepts('', 'visits-value', wider), true);
  assert.equal(await schemas.accepts('', 'visits-value', retyped), false);
  await assert.rejects(schemas.register('', 'visits-value', retyped), (error) => isWeirError(error, 'SCHEMA_REFUSED'));
  assert.notEqual(await schemas.register('', 'visits-value', wider), id);
});

test('references come before what refers to them, for Avro and Protobuf', async () => {
  const size = JSON.stringify({ type: 'enum', name: 'shop.Size', symbols: ['S', 'M'] });
  await registry.register('size', { schema: size });
  const box = { type: 'record', name: 'shop.Box', fields: [{ name: 'size', type: 'shop.Size' }] };
  await registry.register('box', {
    schema: JSON.stringify(box),
    references: [{ name: 'shop.Size', subject: 'size', version: 1 }],
  });
  const order = { type: 'record', name: 'shop.Order', fields: [{ name: 'box', type: 'shop.Box' }] };
  const id = await registry.register('order-value', {
    schema: JSON.stringify(order),
    references: [{ name: 'shop.Box', subject: 'box', version: 1 }],
  });
  const [found] = await open().schemas('', [id]);
  assert(found !== undefined && found.type === 'AVRO');
  assert.deepEqual(
    found.references.map(({ name }) => name),
    ['shop.Size', 'shop.Box'],
  );
  assert.equal(parseAvro(found).kind, 'record');

  const common = 'syntax = "proto3"; package shop; message Money { int64 cents = 1; }';
  await registry.register('money', { schema: common, schemaType: 'PROTOBUF' });
  const price = 'syntax = "proto3"; package shop; import "money.proto"; message Price { Money amount = 1; }';
  const protoId = await registry.register('price-value', {
    schema: price,
    schemaType: 'PROTOBUF',
    references: [{ name: 'money.proto', subject: 'money', version: 1 }],
  });
  const [proto] = await open().schemas('', [protoId]);
  assert(proto !== undefined && proto.type === 'PROTOBUF');
  assert.deepEqual(
    parseProto(proto).messages.map(({ name }) => name),
    ['shop.Price'],
  );
});

test('a .proto of a sink is registered with what it imports, which is registered under its name', async () => {
  const schemas = open();
  const money: SinkSchema['references'][number] = {
    name: 'shop/money.proto',
    schema:
      'syntax = "proto3"; package shop; import "shop/unit.proto"; message Money { int64 cents = 1; Unit unit = 2; }',
  };
  const unit = {
    name: 'shop/unit.proto',
    schema: 'syntax = "proto3"; package shop; message Unit { string name = 1; }',
  };
  const bill = (...more: string[]): SinkSchema => ({
    kind: 'PROTOBUF',
    schema: `syntax = "proto3";
package shop;
import "shop/money.proto";
import "google/protobuf/timestamp.proto";
message Bill { Money sum = 1; google.protobuf.Timestamp at = 2; ${more.join(' ')} }`,
    references: [unit, money],
  });
  assert.equal(await schemas.find('', 'bills-value', bill()), undefined);
  assert.equal(await schemas.accepts('', 'bills-value', bill()), true);
  const id = await schemas.register('', 'bills-value', bill());
  assert.equal(await schemas.register('', 'bills-value', bill()), id);
  assert.equal(await schemas.find('', 'bills-value', bill()), id);
  const [found] = await schemas.schemas('', [id]);
  assert(found !== undefined && found.type === 'PROTOBUF');
  assert.deepEqual(
    found.references.map(({ name }) => name),
    [unit.name, money.name],
  );
  const { messages } = parseProto(found);
  assert.deepEqual(
    messages[0]?.fields.map(({ name }) => name),
    ['sum', 'at'],
  );
  assert.equal(await schemas.accepts('', 'bills-value', bill('string note = 3;')), true);
});

test('an address that is not the API, or that nothing listens at, is away and not empty', async () => {
  const id = await registry.register('users-value', { schema: user });
  const { origin } = new URL(registry.url);
  for (const url of [`${origin}/nowhere`, 'http://127.0.0.1:1']) {
    const asked = open({ SCHEMA_REGISTRY_URL: url }).schemas('', [id]);
    await assert.rejects(asked, (error) => isWeirError(error, 'SCHEMA_REGISTRY_UNAVAILABLE') && error.retryable);
  }
  await assert.rejects(open({}).schemas('', [id]), (error) => isWeirError(error, 'CONFIG_INVALID'));
});

test('what was asked once is known without the registry', async () => {
  const id = await registry.register('users-value', { schema: user });
  const schemas = open();
  const asked = await schemas.schemas('', [id]);
  registry.pause();
  try {
    assert.deepEqual(await schemas.schemas('', [id]), asked);
  } finally {
    registry.resume();
  }
});
