/** Records of every format from the embedded log into tables, with a real Schema Registry behind a cluster of processes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import avsc from 'avsc';
import type { Schema as AvscSchema } from 'avsc';
import protobuf from 'protobufjs';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';
import { partition } from '../../core/ids.ts';
import type { LogWriter, QueryResult } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { freePorts } from '../services/java-server.ts';
import { startRegistry } from '../services/registry.ts';
import type { RegistryService } from '../services/registry.ts';
import { docJob } from '../support/doc-jobs.ts';
import { Cluster, until } from '../support/cluster.ts';

const user = (...more: readonly unknown[]): string =>
  JSON.stringify({
    type: 'record',
    name: 'User',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'age', type: 'int' },
      { name: 'joined', type: { type: 'long', logicalType: 'timestamp-millis' } },
      ...more,
    ],
  });

describe('record formats', { timeout: 240_000 }, () => {
  let cluster: Cluster;
  let writer: LogWriter;
  let registry: RegistryService;
  let close: () => Promise<void>;

  before(async () => {
    const [port = 0] = await freePorts(1);
    registry = await startRegistry();
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}`, SCHEMA_REGISTRY_URL: registry.url };
    cluster = await Cluster.create(services);
    const embedded = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(services, {
      clock: systemClock,
      rng: systemRng,
      log: makeLog('formats', 'error'),
    });
    close = () => connections.close();
    writer = connections.logWriter('kafka', {});
    await until('the embedded process answers', 30_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await writer.createTopic('lines', 1);
      return true;
    });
    await cluster.startMaster();
    await cluster.startWorker();
  });

  after(async () => {
    await close?.();
    await cluster?.close();
    await registry?.dispose();
  });

  async function append(topic: string, values: readonly Uint8Array[]): Promise<void> {
    const records = values.map((value, at) => ({ key: null, value, timestampMs: 1_700_000_000_000 + at }));
    const permit = { valid: () => true, check: () => undefined };
    await writer.append([{ topic, partition: partition(0), batch: encodeRecordBatch(records) }], permit);
  }

  async function rows(cql: string): Promise<QueryResult['rows']> {
    return ((await cluster.request('POST', '/v1/query', JSON.stringify({ cql }))) as QueryResult).rows;
  }

  async function tableHas(cql: string, expected: readonly (readonly unknown[])[]): Promise<void> {
    let seen: unknown = null;
    await until(cql, 30_000, async () => {
      seen = (await rows(cql)).toSorted((a, b) => String(a[0]).localeCompare(String(b[0])));
      return JSON.stringify(seen) === JSON.stringify(expected);
    }).catch(() => assert.deepEqual(seen, expected));
  }

  async function counters(name: string, read: number): Promise<{ read: number; passed: number; dead: number }> {
    return until(`${name} reads ${read}`, 30_000, async () => {
      const { counters: now } = await cluster.job(name);
      return now.read === read ? now : undefined;
    });
  }

  const job = (name: string, source: string, query: string, table: string, key: string): string => `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  s:
    connector: kafka
    startingOffsets: earliest
${source.replace(/^/gm, '    ')}
query: ${query}
sinks:
  - { connector: cassandra, keyspace: formats, table: ${table}, primaryKey: [${key}], create: true }
`;

  const framed = (id: number, ...parts: readonly Uint8Array[]): Uint8Array => {
    const head = Buffer.alloc(5);
    head.writeInt32BE(id, 1);
    return Buffer.concat([head, ...parts]);
  };
  const avro = (schema: string, value: unknown): Uint8Array =>
    avsc.Type.forSchema(JSON.parse(schema) as AvscSchema, { registry: {} }).toBuffer(value);

  test('lines of CSV', async () => {
    const source = "topic: lines\nformat: csv\nschema: 'id STRING NOT NULL, price DECIMAL(8,2), name STRING'";
    await cluster.apply('lines', job('lines', source, 'SELECT id, price, name FROM s', 'lines', 'id'));
    await append(
      'lines',
      ['a,1.50,"Ada, the ""first"""', 'b,,', 'c,x,y', '"d"'].map((line) => Buffer.from(line)),
    );
    await tableHas('SELECT id, price, name FROM formats.lines', [
      ['a', '1.50', 'Ada, the "first"'],
      ['b', null, null],
      ['d', null, null],
    ]);
    assert.equal((await counters('lines', 4)).dead, 1);
  });

  test('text as a column', async () => {
    await writer.createTopic('words', 1);
    await cluster.apply(
      'words',
      job('words', 'topic: words\nformat: text', 'SELECT upper(value) AS word, offset FROM s', 'words', 'word'),
    );
    await append('words', [Buffer.from('grün'), Uint8Array.of(0xff)]);
    await tableHas('SELECT word, offset FROM formats.words', [['GRÜN', 0]]);
    assert.equal((await counters('words', 2)).dead, 1);
  });

  test('Avro with a schema in the job file, which gives the columns', async () => {
    await writer.createTopic('plain', 1);
    const source = `topic: plain\nformat: avro\navro: { schema: '${user()}' }`;
    await cluster.apply('plain', job('plain', source, 'SELECT id, age + 1 AS age, joined FROM s', 'plain', 'id'));
    await append('plain', [avro(user(), { id: 'a', age: 41, joined: 1500 }), Buffer.from('{"id":"b"}')]);
    await tableHas('SELECT id, age FROM formats.plain', [['a', 42]]);
    assert.equal((await counters('plain', 2)).dead, 1);
  });

  test('Avro of a registry: columns of the latest version, old and new records, unknown ids, and a registry that is away', async () => {
    await writer.createTopic('users', 1);
    const old = user();
    const now = user({ name: 'city', type: 'string', default: 'nowhere' });
    const oldId = await registry.register('users-value', { schema: old });
    const nowId = await registry.register('users-value', { schema: now });
    const source = 'topic: users\nformat: avro\navro: { registry: true }';
    await cluster.apply('users', job('users', source, 'SELECT id, age, city FROM s', 'users', 'id'));
    const ada = { id: 'a', age: 36, joined: 0 };
    const bob = { id: 'b', age: 40, joined: 0, city: 'Bonn' };
    await append('users', [
      framed(oldId, avro(old, ada)),
      framed(nowId, avro(now, bob)),
      framed(4711, avro(now, bob)),
      Buffer.from('{"id":"json"}'),
    ]);
    await tableHas('SELECT id, age, city FROM formats.users', [
      ['a', 36, 'nowhere'],
      ['b', 40, 'Bonn'],
    ]);
    const { dead, passed } = await counters('users', 4);
    assert.deepEqual({ dead, passed }, { dead: 2, passed: 2 });
    const letters = await rows("SELECT code FROM weir.dead_letters WHERE job = 'users' ALLOW FILTERING");
    assert.deepEqual(letters.flat().toSorted(), ['RECORD_MALFORMED', 'RECORD_SCHEMA_UNKNOWN']);

    const newest = user({ name: 'town', aliases: ['city'], type: ['null', 'string'], default: null });
    const newestId = await registry.register('users-value', { schema: newest });
    registry.pause();
    try {
      await append('users', [framed(newestId, avro(newest, { ...ada, id: 'c', town: null }))]);
      const { code } = await until('the lane says what it waits for', 60_000, async () => {
        const [lane] = (await cluster.job('users')).lanes;
        return lane?.state === 'blocked' ? lane : undefined;
      });
      assert.equal(code, 'SCHEMA_REGISTRY_UNAVAILABLE');
    } finally {
      registry.resume();
    }
    await tableHas('SELECT id, age, city FROM formats.users', [
      ['a', 36, 'nowhere'],
      ['b', 40, 'Bonn'],
      ['c', 36, 'nowhere'],
    ]);
    assert.equal((await counters('users', 5)).dead, 2);

    const dryRun = job('users', source, 'SELECT id, age FROM s', 'users', 'id');
    const { warnings } = (await cluster.request('PUT', '/v1/jobs/users?dryRun=true', dryRun)) as { warnings: string[] };
    assert.deepEqual(
      warnings.filter((warning) => warning.includes('schema')),
      ['the schema of s has changed at the registry since revision 1: city STRING is gone, town STRING is new'],
    );
  });

  test('a stateful job over Avro of a registry', async () => {
    await writer.createTopic('ages', 1);
    const id = await registry.register('ages-value', { schema: user() });
    const source = 'topic: ages\nformat: avro\navro: { registry: true }';
    const text = job('ages', source, 'SELECT age, count(*) AS users FROM s GROUP BY age', 'ages', 'age');
    await cluster.apply('ages', text.replace('query:', 'outputMode: update\nquery:'));
    const ages = [30, 31, 30, 30];
    await append(
      'ages',
      ages.map((age, at) => framed(id, avro(user(), { id: `u${at}`, age, joined: 0 }))),
    );
    await tableHas('SELECT age, users FROM formats.ages', [
      [30, 3],
      [31, 1],
    ]);
  });

  test('Protobuf of a registry, with the message that the record names', async () => {
    await writer.createTopic('orders', 1);
    const schema = 'syntax = "proto3"; message Order { string id = 1; repeated int64 cents = 2; }';
    const id = await registry.register('orders-value', { schema, schemaType: 'PROTOBUF' });
    const source = 'topic: orders\nformat: protobuf\nprotobuf: { registry: true }';
    await cluster.apply('orders', job('orders', source, 'SELECT id, size(cents) AS parts FROM s', 'orders', 'id'));
    const Order = protobuf.parse(schema).root.lookupType('Order');
    await append('orders', [framed(id, Uint8Array.of(0), Order.encode({ id: 'a', cents: [100, 250] }).finish())]);
    await tableHas('SELECT id, parts FROM formats.orders', [['a', 2]]);
  });

  test('Avro into a topic: the schema of the result is registered once, and another job reads it', async () => {
    await writer.createTopic('visits', 1);
    const sink =
      '{ connector: kafka, topic: visits-avro, key: page, partitions: 1, format: avro, avro: { registry: true } }';
    const visits = (columns: string): string =>
      job(
        'visits',
        "topic: visits\nschema: 'page STRING NOT NULL, ms INT, at TIMESTAMP'",
        columns,
        'none',
        'page',
      ).replace(/- \{.*\}/, `- ${sink}`);
    const good = visits('SELECT page, ms, struct(at AS seen, ms > 100 AS slow) AS more FROM s');
    await cluster.request('PUT', '/v1/jobs/visits?dryRun=true', good);
    assert.deepEqual(await versions('visits-avro-value'), [], 'a dry run registers nothing');
    await cluster.apply('visits', good);
    await cluster.apply('visits', good);
    assert.deepEqual(await versions('visits-avro-value'), [1]);
    await append('visits', [
      Buffer.from('{"page":"/ä","ms":250,"at":"2024-05-01T00:00:00Z"}'),
      Buffer.from('{"page":"/b"}'),
    ]);
    const source = 'topic: visits-avro\nformat: avro\navro: { registry: true }';
    const columns = 'SELECT page, ms, more.slow AS slow, date_format(more.seen, "yyyy") AS year FROM s';
    await cluster.apply('visited', job('visited', source, columns.replaceAll('"', "'"), 'visited', 'page'));
    await tableHas('SELECT page, ms, slow, year FROM formats.visited', [
      ['/ä', 250, true, '2024'],
      ['/b', null, null, null],
    ]);

    await fetch(`${registry.url}/config/visits-avro-value`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: '{"compatibility":"BACKWARD"}',
    });
    await assert.rejects(
      cluster.apply('visits', visits('SELECT page, CAST(ms AS STRING) AS ms FROM s')),
      /the subject visits-avro-value does not take the schema of the result/,
    );
    assert.deepEqual(await versions('visits-avro-value'), [1]);
    await cluster.apply('visits', good.replace('FROM s', ', nullif(page, page) AS site FROM s'));
    assert.deepEqual(await versions('visits-avro-value'), [1, 2]);
  });

  test('Protobuf into a topic: the example of the page; another job reads it, and the registry guards it', async () => {
    await writer.createTopic('orders_json', 1);
    const good = docJob('orders-as-protobuf').replace('key: customer', 'key: customer\n    partitions: 1');
    await cluster.request('PUT', '/v1/jobs/orders-as-protobuf?dryRun=true', good);
    assert.deepEqual(await versions('orders_protobuf-value'), [], 'a dry run registers nothing');
    await cluster.apply('orders-as-protobuf', good);
    await cluster.apply('orders-as-protobuf', good);
    assert.deepEqual(await versions('orders_protobuf-value'), [1]);
    await append('orders_json', [
      Buffer.from(
        '{"id":9007199254740993,"customer":"ä","amount":-0.5,"at":"1969-12-31T23:59:59.5Z","tags":["x","y"]}',
      ),
      Buffer.from('{"id":-2}'),
    ]);
    const source = 'topic: orders_protobuf\nformat: protobuf\nprotobuf: { registry: true }';
    const columns =
      "SELECT CAST(id AS STRING) AS id, customer, amount, date_format(at, 'yyyy-MM-dd HH:mm:ss.SSS') AS at, size(tags) AS n FROM s";
    await cluster.apply('orders-read', job('orders-read', source, columns, 'orders_read', 'id'));
    await tableHas('SELECT id, customer, amount, at, n FROM formats.orders_read', [
      ['-2', null, null, null, 0],
      ['9007199254740993', 'ä', -0.5, '1969-12-31 23:59:59.500', 2],
    ]);

    await fetch(`${registry.url}/config/orders_protobuf-value`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: '{"compatibility":"BACKWARD"}',
    });
    await assert.rejects(
      cluster.apply(
        'orders-as-protobuf',
        good.replace('SELECT id, customer', 'SELECT CAST(id AS STRING) AS id, customer'),
      ),
      /sinks\[0\]\.protobuf.*the subject orders_protobuf-value does not take the schema of the result|the subject orders_protobuf-value does not take/,
    );
    await cluster.apply('orders-as-protobuf', good.replace('tags FROM', 'tags, upper(customer) AS name FROM'));
    assert.deepEqual(await versions('orders_protobuf-value'), [1, 2]);
  });

  test('Protobuf into a topic by a .proto of the job: the example of the page, and the registry has it with its import', async () => {
    // Topics of their own: the page's other example reads orders_json too.
    const example = docJob('orders-by-proto')
      .replaceAll('orders_json', 'orders_raw')
      .replace('key: customer', 'key: customer\n    partitions: 1');
    await writer.createTopic('orders_raw', 1);
    const good = example.replace('    protobuf:\n', '    protobuf:\n      registry: true\n');
    await cluster.request('PUT', '/v1/jobs/orders-by-proto?dryRun=true', good);
    assert.deepEqual(await versions('shop/money.proto'), [], 'a dry run registers nothing');
    await cluster.apply('orders-by-proto', good);
    await cluster.apply('orders-by-proto', good);
    assert.deepEqual(await versions('orders_by_proto-value'), [1]);
    assert.deepEqual(await versions('shop/money.proto'), [1]);
    await append('orders_raw', [
      Buffer.from('{"id":7,"customer":"ä","cents":-250,"state":"PAID","at":"1969-12-31T23:59:59.5Z"}'),
      Buffer.from('{"id":-7,"state":"PAID"}'),
      Buffer.from('{"id":8,"state":"LOST"}'),
      Buffer.from('{"id":9,"state":"OPEN"}'),
    ]);
    const { dead, passed } = await counters('orders-by-proto', 4);
    assert.deepEqual({ dead, passed }, { dead: 2, passed: 2 });
    const letters = "SELECT place, code FROM weir.dead_letters WHERE job = 'orders-by-proto' ALLOW FILTERING";
    await tableHas(letters, [
      ['id', 'FIELD_OUT_OF_RANGE'],
      ['state', 'FIELD_OUT_OF_RANGE'],
    ]);
    const source = 'topic: orders_by_proto\nformat: protobuf\nprotobuf: { registry: true }';
    const columns =
      "SELECT CAST(id AS STRING) AS id, state, price.cents, price.currency, customer, date_format(placed, 'yyyy-MM-dd HH:mm:ss.SSS') AS at FROM s";
    await cluster.apply('proto-read', job('proto-read', source, columns, 'proto_read', 'id'));
    await tableHas('SELECT id, state, cents, currency, customer, at FROM formats.proto_read', [
      ['7', 'PAID', -250, 'EUR', 'ä', '1969-12-31 23:59:59.500'],
      ['9', 'OPEN', null, 'EUR', null, null],
    ]);
    const wrong = good.replace('uint64 id = 1;', 'uint64 id = 1');
    await assert.rejects(cluster.apply('orders-by-proto', wrong), /line 8, column 3: illegal token 'State'/);
  });

  async function versions(subject: string): Promise<number[]> {
    const response = await fetch(`${registry.url}/subjects/${encodeURIComponent(subject)}/versions`);
    return response.status === 404 ? [] : ((await response.json()) as number[]);
  }

  test('what a registry does not have is said when the job is submitted', async () => {
    const source = 'topic: nothing\nformat: avro\navro: { registry: true }';
    const apply = cluster.apply('nothing', job('nothing', source, 'SELECT id FROM s', 'nothing', 'id'));
    await assert.rejects(apply, /the registry has no subject nothing-value/);
    const wrong = 'topic: users\nformat: protobuf\nprotobuf: { registry: true }';
    await assert.rejects(
      cluster.apply('wrong', job('wrong', wrong, 'SELECT id FROM s', 'wrong', 'id')),
      /the subject users-value is AVRO, and the source has format: protobuf/,
    );
  });
});
