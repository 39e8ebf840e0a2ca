/**
 * A real Spark reads a real Kafka and stops; Weir goes on where its checkpoint says. Needs Java 17, Maven and Python 3
 * with venv; the first run fetches Spark from PyPI.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { spark35, spark4 } from '../../bench/peers/spark/spark.ts';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { TableStore } from '../../core/ports.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Service } from '../services/services.ts';
import { startKafka } from '../services/services.ts';
import { Cluster, until } from '../support/cluster.ts';
import { createTopic, sendValues } from '../support/load.ts';
import { users } from '../support/spark/make-checkpoints.ts';
import { outputRows, runSparkQuery } from '../support/spark/run-query.ts';

suite('a job goes on where a query of Spark stood', () => {
  let kafka: Service;
  let cluster: Cluster;
  let connections: ReturnType<typeof makeConnections>;
  let tables: TableStore;
  let directory: string;

  before(async () => {
    kafka = await startKafka();
    directory = await mkdtemp(join(tmpdir(), 'weir-import-'));
    const [port = 0] = await freePorts(1);
    const services = { KAFKA_BROKERS: kafka.address, WEIR_EMBEDDED: `127.0.0.1:${port}` };
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    tables = connections.tables('cassandra', {});
    await until('the embedded process answers', 300_000, async () => await tables.describe('a', 'b').then(() => true));
    await cluster.startMaster();
    await cluster.startWorker();
  });
  after(async () => {
    await connections?.close();
    await cluster?.close();
    await kafka?.dispose();
    await rm(directory, { recursive: true, force: true });
  });

  const jobFile = async (name: string, topic: string, query: string, more = ''): Promise<string> => {
    const path = join(directory, `${name}.yaml`);
    const key = name.startsWith('window') ? 'minute' : 'id';
    await writeFile(
      path,
      `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  users:
    connector: kafka
    topic: ${topic}
    schema: id STRING NOT NULL, at TIMESTAMP${more}
query: ${query}
sinks:
  - { connector: cassandra, keyspace: spark, table: ${name.replaceAll('-', '_')}, primaryKey: [${key}], create: true }
`,
    );
    return path;
  };
  const rowsOf = async (table: string): Promise<readonly (readonly unknown[])[]> =>
    (await tables.query(`SELECT * FROM spark.${table}`)).rows;
  const idsOf = async (name: string): Promise<string[]> =>
    (await tables.query(`SELECT id FROM spark.${name.replaceAll('-', '_')}`)).rows.map(([id]) => String(id));
  const all = (count: number): string[] => Array.from({ length: count }, (_, index) => `user-${index}`).toSorted();

  for (const [spark, name] of [
    [spark4, 'project-4'],
    [spark35, 'project-3'],
  ] as const) {
    test(`Spark ${spark.version} stops, and every record is in one of the two outputs once`, async () => {
      const [checkpoint, output] = [join(directory, `${name}-checkpoint`), join(directory, `${name}-out`)];
      await createTopic(kafka.address, name, 2);
      await sendValues(kafka.address, name, users(25));
      await runSparkQuery(spark, { kind: 'project', brokers: kafka.address, topic: name, checkpoint, output });
      await sendValues(kafka.address, name, users(30, 25));

      const file = await jobFile(name, name, 'SELECT id, at FROM users');
      const dry = await cluster.weir(['import-checkpoint', checkpoint, '--job', file, '--dry-run']);
      assert.equal(dry.code, 0, dry.output);
      assert.match(dry.output, /batch 2 is the last committed/);
      assert.match(dry.output, /users +\S+ +0 +13 +28 +15\n/);
      assert.match(dry.output, /nothing was changed/);
      await assert.rejects(cluster.job(name), /404/);

      const done = await cluster.weir(['import-checkpoint', checkpoint, '--job', file]);
      assert.equal(done.code, 0, done.output);
      await until(`${name} reads what Spark did not`, 300_000, async () => (await idsOf(name)).length >= 30);
      await until(`${name} commits`, 300_000, async () => (await cluster.job(name)).counters.read >= 30);
      const union = [...outputRows(output).map(({ id }) => String(id)), ...(await idsOf(name))];
      assert.deepEqual(union.toSorted(), all(55));
      assert.equal((await cluster.job(name)).counters.read, 30, 'nothing that Spark had committed was read');
    });
  }

  test('a batch that Spark planned and did not commit is made again, and said to be', async () => {
    const name = 'fails';
    const [checkpoint, output] = [join(directory, 'fails-checkpoint'), join(directory, 'fails-out')];
    await createTopic(kafka.address, name, 2);
    await sendValues(kafka.address, name, users(25));
    await runSparkQuery(spark4, { kind: 'fails', brokers: kafka.address, topic: name, checkpoint, output });

    const file = await jobFile(name, name, 'SELECT id, at FROM users');
    const { code, output: said } = await cluster.weir(['import-checkpoint', checkpoint, '--job', file]);
    assert.equal(code, 0, said);
    assert.match(said, /batch 1 was planned and not committed/);
    await until('what follows batch 0 is there', 300_000, async () => (await idsOf(name)).length >= 16);
    const here = await idsOf(name);
    assert.equal(here.length, 16, 'nine records of 25 were committed');
    // The sink of the query takes three rows of each batch; of batch 1 they are in both outputs, of batch 0 in Spark's.
    assert.equal(outputRows(output).filter(({ id }) => here.includes(String(id))).length, 3);
  });

  test('a job with state is refused, and with --drop-state begins at the watermark', async () => {
    const [checkpoint, output] = [join(directory, 'window-checkpoint'), join(directory, 'window-out')];
    await createTopic(kafka.address, 'window', 2);
    await sendValues(kafka.address, 'window', users(25));
    await runSparkQuery(spark4, { kind: 'window', brokers: kafka.address, topic: 'window', checkpoint, output });
    // Two rows behind Spark's watermark of 12:01:30, then one that closes the minutes up to 12:02.
    await sendValues(kafka.address, 'window', [...users(2), ...users(6, 24), ...users(2, 60)]);

    const file = await jobFile(
      'window',
      'window',
      "SELECT window.start AS minute, count(*) AS users FROM users GROUP BY window(at, '1 minute')",
      '\n    watermark: { column: at, delay: 30 seconds }',
    );
    const refused = await cluster.weir(['import-checkpoint', checkpoint, '--job', file]);
    assert.equal(refused.code, 5, refused.output);
    assert.match(refused.output, /--drop-state/);
    await assert.rejects(cluster.job('window'), /404/);

    const done = await cluster.weir(['import-checkpoint', checkpoint, '--job', file, '--drop-state']);
    assert.equal(done.code, 0, done.output);
    assert.match(done.output, /watermark 2024-05-01T12:01:30\.000Z/);
    await until('the minute closes', 300_000, async () => (await rowsOf('window')).length > 0);
    await until('two rows are late', 300_000, async () => {
      const { epochs } = await cluster.job('window');
      return Object.values(epochs?.late ?? {}).reduce((sum, count) => sum + count, 0) === 2;
    });
    const minutes = (await rowsOf('window')).map(([minute, count]) => [
      new Date(String(minute)).toISOString(),
      Number(count),
    ]);
    assert.deepEqual(minutes, [['2024-05-01T12:02:00.000Z', 6]]);
  });

  test('offsets that the topic does not hold are refused, and nothing is made', async () => {
    await createTopic(kafka.address, 'project-4.2.0', 2);
    const file = await jobFile('elsewhere', 'project-4.2.0', 'SELECT id, at FROM users');
    const fixture = new URL('../../cli/spark/testdata/spark-4.2.0/project', import.meta.url).pathname;
    const { code, output } = await cluster.weir(['import-checkpoint', fixture, '--job', file]);
    assert.equal(code, 1, output);
    assert.match(output, /holds offsets 0 to 0, not 13: it is another topic of that name, or another cluster/);
    const other = await jobFile('other-topic', 'project-4', 'SELECT id, at FROM users');
    const unread = await cluster.weir(['import-checkpoint', fixture, '--job', other]);
    assert.equal(unread.code, 4, unread.output);
    assert.match(unread.output, /does not read partition 0 of project-4\.2\.0/);
    await assert.rejects(cluster.job('elsewhere'), /404/);
  });
});
