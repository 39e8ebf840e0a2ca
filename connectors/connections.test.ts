import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import { offset, partition } from '../core/ids.ts';
import { always, batchOf, valuesOf } from '../test/conformance/source.ts';
import { noLog } from '../test/conformance/no-log.ts';
import { makeConnections } from './connections.ts';
import type { EmbeddedProcess } from './embedded/main.ts';
import { startEmbedded } from './embedded/main.ts';
import { systemClock, systemRng } from './system/clock.ts';

const parts = { clock: systemClock, rng: systemRng, log: noLog };
let embedded: EmbeddedProcess;

before(async () => {
  embedded = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: null, log: noLog, clock: systemClock });
});
after(() => embedded.close());

test('without brokers and contact points everything is embedded, also before ready()', async () => {
  const connections = makeConnections(
    { WEIR_EMBEDDED: embedded.address, KAFKA_BROKERS: ' ', CASSANDRA_CONTACT_POINTS: '' },
    parts,
  );
  assert.deepEqual(connections.describe(), {
    log: `embedded ${embedded.address}`,
    tables: `embedded ${embedded.address}`,
  });
  const writer = connections.logWriter('kafka', {});
  await writer.createTopic('users', 1);
  await writer.append([{ topic: 'users', partition: partition(0), batch: batchOf('a', 0, 2) }], always);
  const source = connections.source('kafka', {});
  const reader = source.open(await source.describe('users'));
  const { bytes } = await reader.fetch({ partition: partition(0), offset: offset(0), maxBytes: 1000, maxWaitMs: 1000 });
  assert.deepEqual(
    valuesOf(bytes).map((record) => record.value),
    ['a-0', 'a-1'],
  );
  await source.close();
  assert.equal(
    (await reader.fetch({ partition: partition(0), offset: offset(0), maxBytes: 1000, maxWaitMs: 1000 })).highWatermark,
    2,
    'close of a stand-in leaves others be',
  );
  assert.deepEqual((await connections.tables('cassandra', {}).query('DESCRIBE TABLES')).rows, []);
  await connections.ready();
  const store = connections.metaStore();
  await store.prepare();
  assert.deepEqual(await store.listJobs(), []);
  await connections.close();
});

test('blobs are where the metadata are, or in the directory of WEIR_STATE_DIR', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-state-'));
  const beside = makeConnections({ WEIR_EMBEDDED: embedded.address }, parts);
  const inDirectory = makeConnections({ WEIR_EMBEDDED: embedded.address, WEIR_STATE_DIR: directory }, parts);
  await beside.blobs().put('a', new Uint8Array([1]));
  await inDirectory.blobs().put('b', new Uint8Array([2]));
  assert.deepEqual([(await beside.blobs().get('a'))?.[0], await beside.blobs().get('b')], [1, undefined]);
  assert.deepEqual([await inDirectory.blobs().get('a'), (await inDirectory.blobs().get('b'))?.[0]], [undefined, 2]);
  assert.equal(readdirSync(directory).length, 1);
  await beside.close();
  await inDirectory.close();
  rmSync(directory, { recursive: true });
});

test('settings choose the places', () => {
  const connections = makeConnections(
    { KAFKA_BROKERS: 'k1:9092,k2:9092', CASSANDRA_CONTACT_POINTS: '10.0.0.1' },
    parts,
  );
  assert.deepEqual(connections.describe(), { log: 'kafka k1:9092,k2:9092', tables: 'cassandra 10.0.0.1' });
  assert.deepEqual(makeConnections({}, parts).describe(), {
    log: 'embedded 127.0.0.1:7079',
    tables: 'embedded 127.0.0.1:7079',
  });
});

test('settings and connectors that cannot be are named', () => {
  assert.throws(
    () => makeConnections({ WEIR_EMBEDDED: 'nowhere' }, parts),
    (error) => isWeirError(error, 'CONFIG_INVALID') && /WEIR_EMBEDDED/.test(error.message),
  );
  assert.throws(
    () => makeConnections({}, parts).source('pulsar', {}),
    (error) => isWeirError(error, 'UNSUPPORTED') && /pulsar/.test(error.message),
  );
});

test('an embedded process that is not there is a source, sink and store that do not answer', async () => {
  const connections = makeConnections({ WEIR_EMBEDDED: '127.0.0.1:1' }, parts);
  await connections.ready();
  await assert.rejects(
    connections.source('kafka', {}).describe('t'),
    (error) => isWeirError(error, 'SOURCE_UNAVAILABLE') && /127\.0\.0\.1:1 does not answer/.test(error.message),
  );
  await assert.rejects(connections.tables('cassandra', {}).query('DESCRIBE TABLES'), (error) =>
    isWeirError(error, 'SINK_UNAVAILABLE'),
  );
  await assert.rejects(connections.metaStore().listJobs(), (error) => isWeirError(error, 'STORE_UNAVAILABLE'));
  await connections.close();
});

test('a process on the embedded one loads neither driver', () => {
  const program = `
    import { makeConnections } from ${JSON.stringify(fileURLToPath(new URL('./connections.ts', import.meta.url)))};
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    await makeConnections({ WEIR_EMBEDDED: '127.0.0.1:1' }, ${'{}'}).ready();
    console.log(JSON.stringify(loaded.map((url) => /node_modules\\/(@[^/]+\\/[^/]+|[^/]+)/.exec(url)?.[1]).filter(Boolean)));
  `;
  const packages = new Set(
    JSON.parse(
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
    ) as string[],
  );
  assert.ok(packages.has('@grpc/grpc-js'), [...packages].join());
  assert.ok(
    !packages.has('kafkajs') && !packages.has('cassandra-driver') && !packages.has('pino'),
    [...packages].join(),
  );
});
