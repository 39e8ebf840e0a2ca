import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { Client } from 'cassandra-driver';
import { Kafka, logLevel } from 'kafkajs';
import { startCassandra, startKafka } from './services.ts';
import type { Service } from './services.ts';

const given = process.env['KAFKA_BROKERS'] !== undefined || process.env['CASSANDRA_CONTACT_POINTS'] !== undefined;
const own = { skip: given ? 'servers are given by the environment' : false };

test(
  'Kafka keeps topics over kill9 and restart, stands still while paused, and goes without a trace',
  own,
  async () => {
    const service = await startKafka();
    await using _ = disposing(service);
    const admin = new Kafka({ brokers: [service.address], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 3 }] });
    await admin.disconnect();

    service.pause();
    assert.equal(await answersWithin(service, 300), false);
    service.resume();
    assert.equal(await answersWithin(service, 10_000), true);

    const before = service.pid;
    await service.kill9();
    assert.throws(() => service.pid, /not running/);
    await service.restart();
    assert.notEqual(service.pid, before);
    const again = new Kafka({ brokers: [service.address], logLevel: logLevel.NOTHING }).admin();
    await again.connect();
    assert.deepEqual(await again.listTopics(), ['kept']);
    await again.disconnect();
    await service.dispose();
    assert.equal(existsSync(dirname(service.logPath)), false);
  },
);

test('Cassandra keeps acknowledged rows over kill9 and restart', own, async () => {
  const service = await startCassandra({ survivesKill: true });
  await using _ = disposing(service);
  await withClient(service, async (client) => {
    await client.execute("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    await client.execute('CREATE TABLE k.t (id int PRIMARY KEY)');
    await client.execute('INSERT INTO k.t (id) VALUES (7)');
  });
  await service.kill9();
  await service.restart();
  await withClient(service, async (client) => {
    const result = await client.execute('SELECT id FROM k.t');
    assert.deepEqual(
      result.rows.map((row) => row['id'] as number),
      [7],
    );
  });
});

test('servers given by the environment are used and cannot be stopped', async (t) => {
  const before = process.env['KAFKA_BROKERS'];
  process.env['KAFKA_BROKERS'] = 'kafka.example:9092,other.example:9092';
  t.after(() => {
    if (before === undefined) delete process.env['KAFKA_BROKERS'];
    else process.env['KAFKA_BROKERS'] = before;
  });
  const service = await startKafka();
  assert.equal(service.address, 'kafka.example:9092,other.example:9092');
  assert.equal(service.host, 'kafka.example');
  assert.equal(service.port, 9092);
  await assert.rejects(service.kill9(), /may not do with the one named by KAFKA_BROKERS/);
});

test('without Java the failure says so in one sentence', own, async (t) => {
  const before = process.env['JAVA_HOME'];
  process.env['JAVA_HOME'] = '/nowhere';
  t.after(() => {
    if (before === undefined) delete process.env['JAVA_HOME'];
    else process.env['JAVA_HOME'] = before;
  });
  await assert.rejects(
    startKafka(),
    /a test against Kafka needs Java 17, and there is no `\/nowhere\/bin\/java` command/,
  );
});

async function withClient(service: Service, use: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ contactPoints: [service.address], localDataCenter: 'datacenter1' });
  try {
    await use(client);
  } finally {
    await client.shutdown();
  }
}

function disposing(service: Service): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => service.dispose() };
}

/** Whether the server answers an ApiVersions request in time. */
function answersWithin(service: Service, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(service.port, service.host, () => {
      socket.write(Uint8Array.of(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff));
    });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(ms, () => end(false));
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
  });
}
