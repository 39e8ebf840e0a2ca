/** The example pipelines and the sinks on real Kafka and Cassandra, through the same commands that people use. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { QueryResult } from '../../core/ports.ts';
import { UserGenerator } from '../../jobs/producers/random-user.ts';
import { globalServices, uniqueName } from '../services/services.ts';
import { Cluster, until } from '../support/cluster.ts';
import { createTopic, deleteRecords, deleteTopic, endOffsets, readTopic, sendValues } from '../support/load.ts';

const services = globalServices();
const COUNT = 20_000;

describe('pipelines on real Kafka and Cassandra', { timeout: 300_000 }, () => {
  let cluster: Cluster;
  let brokers: string;

  before(async () => {
    const [kafka, cassandra] = await Promise.all([services.kafka(), services.cassandra()]);
    brokers = kafka.address;
    cluster = await Cluster.create({ KAFKA_BROKERS: brokers, CASSANDRA_CONTACT_POINTS: cassandra.address });
    await cluster.startMaster();
    await Promise.all([cluster.startWorker(), cluster.startWorker()]);
  });

  after(async () => {
    await cluster?.close();
  });

  async function query(cql: string): Promise<QueryResult> {
    return (await cluster.request('POST', '/v1/query', JSON.stringify({ cql }))) as QueryResult;
  }

  async function caughtUp(job: string, topic: string): Promise<Awaited<ReturnType<Cluster['job']>>> {
    const ends = await endOffsets(brokers, topic);
    return until(`${job} has read all of ${topic}`, 90_000, async () => {
      const view = await cluster.job(job);
      const done =
        view.lanes.length === ends.length && view.lanes.every((lane) => lane.committedOffset === ends[lane.partition]);
      return done ? view : undefined;
    });
  }

  test('created-users: every user with a post code has its row, upper-cased, and the counters add up', async () => {
    const produced = await cluster.weir([
      'produce',
      'jobs/producers/users.ts',
      '--rate',
      '0',
      '--count',
      String(COUNT),
      '--seed',
      '7',
    ]);
    assert.equal(produced.code, 0, produced.output);
    const applied = await cluster.weir(['apply', 'jobs/created-users.yaml', '--wait']);
    assert.equal(applied.code, 0, applied.output);
    const { counters } = await caughtUp('created-users', 'users_created');
    const users = new UserGenerator(7);
    const decoder = new TextDecoder();
    const expected = new Map<string, string>();
    for (let index = 0; index < COUNT; index++) {
      const { value } = users.bytesAt(index);
      const user = JSON.parse(typeof value === 'string' ? value : decoder.decode(value ?? new Uint8Array())) as Record<
        string,
        unknown
      >;
      if (user['post_code'] !== null && user['post_code'] !== undefined)
        expected.set(String(user['id']), String(user['last_name']).toUpperCase());
    }
    assert.equal(counters.read, COUNT);
    assert.equal(counters.read, counters.passed + counters.filtered + counters.skipped + counters.dead);
    assert.equal(counters.passed, expected.size);
    const { rows } = await query('SELECT id, last_name FROM spark_streams.created_users');
    assert.deepEqual(new Map(rows.map(([id, name]) => [String(id), String(name)])), expected);
  });

  test('properties: listings of the bundled site are cleaned; malformed ones are dead letters with their reason', async () => {
    const producer = cluster.spawn('properties', ['produce', 'jobs/producers/properties.ts', '--seed', '1']);
    const applied = await cluster.weir(['apply', 'jobs/properties.yaml', '--wait']);
    assert.equal(applied.code, 0, applied.output);
    await until('listings arrive', 60_000, async () => (await cluster.job('properties')).counters.read >= 100);
    await producer.stop();
    const { counters } = await caughtUp('properties', 'properties');
    assert.ok(counters.dead > 0, 'the site has malformed listings');
    const { rows } = await query('SELECT price, price_text, bedrooms, town, pictures FROM property_streams.properties');
    assert.ok(rows.length >= 50, `only ${rows.length} properties`);
    for (const [price, text] of rows) {
      const digits = String(text ?? '').replaceAll(/\D/g, '');
      assert.equal(price === null ? '' : String(price), digits === '' ? '' : digits, `price of "${String(text)}"`);
    }
    const dead = await query("SELECT code, place FROM weir.dead_letters WHERE job = 'properties' ALLOW FILTERING");
    assert.equal(dead.rows.length, counters.dead);
    for (const [code] of dead.rows) assert.match(String(code), /^[A-Z0-9_]+$/);
  });

  test('a Kafka sink writes every row once with its id header, and a blackhole counts the same', async () => {
    const topic = uniqueName('in');
    const target = uniqueName('out');
    await createTopic(brokers, topic, 3);
    await sendValues(
      brokers,
      topic,
      Array.from({ length: 3000 }, (_, n) => JSON.stringify({ id: `r${n}`, n })),
    );
    await cluster.apply(
      'to-kafka',
      `{"apiVersion":"weir/v1","kind":"Job","name":"to-kafka","sources":{"src":{"connector":"kafka","topic":"${topic}","startingOffsets":"earliest",
        "schema":"id STRING NOT NULL, n INT"}},"query":"SELECT id, n * 2 AS twice FROM src WHERE n % 3 = 0",
        "sinks":[{"connector":"kafka","topic":"${target}","key":"id","partitions":2,"compression":"gzip"},{"connector":"blackhole"}]}`,
    );
    await caughtUp('to-kafka', topic);
    const records = await readTopic(brokers, target, 1000);
    assert.deepEqual(
      records.map((record) => record.value).sort(),
      Array.from({ length: 1000 }, (_, index) => JSON.stringify({ id: `r${index * 3}`, twice: index * 6 })).sort(),
    );
    assert.equal(new Set(records.map((record) => record.headers['weir-id'])).size, 1000);
  });

  test('availableNow reads what is there and finishes; the next start reads what came since', async () => {
    const topic = uniqueName('bounded');
    await createTopic(brokers, topic, 2);
    await sendValues(
      brokers,
      topic,
      Array.from({ length: 500 }, (_, n) => JSON.stringify({ id: `a${n}` })),
    );
    const file = `{"apiVersion":"weir/v1","kind":"Job","name":"bounded","trigger":"availableNow","sources":{"src":{"connector":"kafka",
      "topic":"${topic}","startingOffsets":"earliest","schema":"id STRING NOT NULL"}},"query":"SELECT id FROM src","sinks":[{"connector":"blackhole"}]}`;
    await cluster.apply('bounded', file);
    const finished = async (read: number): Promise<void> => {
      await until(`bounded is finished with ${read}`, 60_000, async () => {
        const { row, counters } = await cluster.job('bounded');
        return row.state === 'finished' && counters.read === read;
      });
    };
    await finished(500);
    await sendValues(
      brokers,
      topic,
      Array.from({ length: 100 }, (_, n) => JSON.stringify({ id: `b${n}` })),
    );
    await cluster.request('POST', '/v1/jobs/bounded/start', '');
    await finished(600);
  });

  const counting = (name: string, topic: string, more = ''): string =>
    `{"apiVersion":"weir/v1","kind":"Job","name":"${name}","sources":{"src":{"connector":"kafka","topic":"${topic}",
      "startingOffsets":"earliest","schema":"id STRING NOT NULL"${more}}},"query":"SELECT id FROM src","sinks":[{"connector":"blackhole"}]}`;
  const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => JSON.stringify({ id: `i${n}` }));
  const state = async (name: string, wanted: string): Promise<Awaited<ReturnType<Cluster['job']>>> =>
    until(`${name} is ${wanted}`, 60_000, async () => {
      const view = await cluster.job(name);
      return view.row.state === wanted ? view : undefined;
    });

  test('offsets deleted before they were read fail the job by name, or are skipped with the exact gap on record', async () => {
    for (const [name, more, wanted] of [
      ['loss-fails', '', 'failed'],
      ['loss-skips', ',"onDataLoss":"skip"', 'running'],
    ] as const) {
      const topic = uniqueName('loss');
      await createTopic(brokers, topic, 1);
      await sendValues(brokers, topic, ids(100));
      await cluster.apply(name, counting(name, topic, more));
      await caughtUp(name, topic);
      await cluster.request('POST', `/v1/jobs/${name}/stop`, '');
      await state(name, 'stopped');
      await sendValues(brokers, topic, ids(100));
      await deleteRecords(brokers, topic, 0, 150);
      await cluster.request('POST', `/v1/jobs/${name}/start`, '');
      if (wanted === 'failed') {
        const { row } = await state(name, 'failed');
        assert.equal(row.reason?.code, 'OFFSET_OUT_OF_RANGE');
        assert.match(row.reason?.message ?? '', /offsets 100 to 149 were deleted/);
        continue;
      }
      assert.equal((await caughtUp(name, topic)).counters.read, 150);
      const { rows } = await query(
        `SELECT offset, code, place FROM weir.dead_letters WHERE job = '${name}' ALLOW FILTERING`,
      );
      assert.deepEqual(
        rows.map(([offset, code, place]) => [Number(offset), code, place]),
        [[100, 'OFFSETS_LOST', 'offsets 100 to 149']],
      );
    }
  });

  test('a topic deleted and created again is a named failure; a reset begins a new run on it', async () => {
    const topic = uniqueName('again');
    await createTopic(brokers, topic, 1);
    await sendValues(brokers, topic, ids(50));
    await cluster.apply('recreated', counting('recreated', topic));
    await caughtUp('recreated', topic);
    await deleteTopic(brokers, topic);
    await createTopic(brokers, topic, 1);
    await sendValues(brokers, topic, ids(20));
    const { row } = await state('recreated', 'failed');
    assert.equal(row.reason?.code, 'TOPIC_RECREATED');
    await cluster.request('PUT', '/v1/jobs/recreated?start=earliest', counting('recreated', topic));
    await until('the new run has read the new topic', 60_000, async () => {
      const view = await cluster.job('recreated');
      return view.row.run === 2 && view.counters.read === 20;
    });
  });

  test('a topic that does not exist yet is waited for, and the job says so', async () => {
    const topic = uniqueName('later');
    const file = `{"apiVersion":"weir/v1","kind":"Job","name":"later","sources":{"src":{"connector":"kafka","topic":"${topic}",
      "startingOffsets":"earliest","schema":"id STRING"}},"query":"SELECT id FROM src","sinks":[{"connector":"blackhole"}]}`;
    await cluster.apply('later', file);
    const reason = await until(
      'the job names the topic',
      30_000,
      async () => (await cluster.job('later')).row.reason ?? undefined,
    );
    assert.match(reason.message, new RegExp(topic));
    await createTopic(brokers, topic, 1);
    await sendValues(brokers, topic, ['{"id":"x"}']);
    await caughtUp('later', topic);
  });
});
