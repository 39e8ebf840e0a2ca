/**
 * The examples of docs/connectors run as they stand there, on servers of the test in place of those they name. Those that
 * need programs of the system (a browser, PostgreSQL) are in test/connect.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parquetReadObjects } from 'hyparquet';
import { DirectoryPlace } from '../../connectors/files/directory-place.ts';
import type { LoggedFile } from '../../connectors/files/files-log.ts';
import { committedFiles } from '../../connectors/files/files-log.ts';
import { partition } from '../../core/ids.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { TableStore } from '../../core/ports.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { Cluster, until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { startTestApi } from '../support/test-api.ts';
import { startTestSocket } from '../support/test-socket.ts';

describe('examples of docs/connectors', () => {
  let cluster: Cluster;
  let tables: TableStore;
  let directory: string;
  let connections: ReturnType<typeof makeConnections>;

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    directory = await mkdtemp(join(tmpdir(), 'weir-pages-'));
    process.env['WEIR_FILES_DIR'] = directory;
    process.env['WEIR_SECRET_HOOK'] = 'sesame';
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    tables = connections.tables('cassandra', {});
    await until('the embedded process answers', 60_000, async () => await tables.describe('a', 'b').then(() => true));
    await cluster.startMaster();
    await cluster.startWorker();
  });
  after(async () => {
    delete process.env['WEIR_FILES_DIR'];
    delete process.env['WEIR_SECRET_HOOK'];
    await connections?.close();
    await cluster?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const rows = async (cql: string): Promise<readonly (readonly unknown[])[]> => (await tables.query(cql)).rows;
  const counted = async (table: string, count: number): Promise<void> => {
    await until(`${table} has ${count} rows`, 60_000, async () => {
      const [[seen] = []] = await rows(`SELECT count(*) FROM ${table}`);
      return Number(seen) === count;
    });
  };

  /** A topic with these documents, in one partition. */
  const topic = async (name: string, documents: readonly unknown[]): Promise<void> => {
    const writer = connections.logWriter('kafka', {});
    await writer.createTopic(name, 1);
    const records = documents.map((document, at) => {
      const value = Buffer.from(JSON.stringify(document));
      return { key: null, value, timestampMs: 1_700_000_000_000 + at };
    });
    const permit = { valid: () => true, check: () => undefined };
    await writer.append([{ topic: name, partition: partition(0), batch: encodeRecordBatch(records) }], permit);
  };

  test('cassandra', async () => {
    const user = { id: 'u1', name: 'ada', country: 'Norway', tags: ['x', 'y'], at: '2024-05-01T00:00:00Z' };
    await topic('users', [user, { ...user, name: 'Ada L.' }, { ...user, id: 'u2', country: null }]);
    await cluster.apply('users-to-cassandra', docJob('users-to-cassandra'));
    await counted('people.by_country', 1);
    await until('the later one stays', 30_000, async () => {
      const [row] = await rows("SELECT name, tags FROM people.by_country WHERE country = 'Norway'");
      return JSON.stringify(row) === '["ADA L.",["x","y"]]';
    });
  });

  test('files', async () => {
    const order = { id: 1, city: 'Berlin', amount: 12.5, at: '2024-05-01T00:00:00Z' };
    await topic('orders', [order, { ...order, id: 2, city: 'Oslo' }, { ...order, id: 3 }]);
    const job = docJob('orders-to-files').replace('/data/orders', join(directory, 'orders'));
    await cluster.apply('orders-to-files', job.replace('trigger: 1m', 'trigger: 200ms').replace('10m', '100ms'));
    const place = new DirectoryPlace(join(directory, 'orders'));
    const names = await until('two directories have their file', 60_000, async () => {
      const files = await committedFiles(place, 'orders-to-files');
      return files.length === 2 && files.map(({ name }) => name).toSorted();
    });
    assert.match(names.join(' '), /^city=Berlin\/\S+\.parquet city=Oslo\/\S+\.parquet$/);
    const bytes = await readFile(join(directory, 'orders', names[0] ?? ''));
    const found = await parquetReadObjects({ file: Uint8Array.from(bytes).buffer });
    assert.deepEqual(
      found.map(({ id, amount }) => [id, amount]),
      [
        [1, 12.5],
        [3, 12.5],
      ],
    );
    // Every epoch leaves a small file, and small files become one.
    let count = 3;
    const merged = await until('small files are merged', 60_000, async () => {
      await topic('orders', [{ ...order, id: ++count }]);
      await sleep(300);
      const files = await committedFiles(place, 'orders-to-files');
      return files.find(({ name, rows: held }) => name.includes('orders-to-files-m') && held >= 4);
    });
    const bytesOfMerged = await until('the merged file has its name', 10_000, async () => {
      const read = await place.read(merged.name);
      return read !== undefined ||
        (await committedFiles(place, 'orders-to-files')).every(({ name }) => name !== merged.name)
        ? (read ?? new Uint8Array(0))
        : undefined;
    });
    if (bytesOfMerged.byteLength > 0)
      assert.equal((await parquetReadObjects({ file: Uint8Array.from(bytesOfMerged).buffer })).length, merged.rows);
    await until('every order is there once', 30_000, async () => {
      const files = await committedFiles(place, 'orders-to-files');
      return files.reduce((sum, { rows: held }) => sum + held, 0) === count;
    });
  });

  test('small files of a job, merged by the command that is given its name', async () => {
    const append = (id: number): Promise<void> =>
      topic('by_hand', [{ id, city: 'Oslo', amount: 1, at: '2024-05-01T00:00:00Z' }]);
    await append(1);
    const path = join(directory, 'by-hand');
    const job = docJob('orders-to-files')
      .replaceAll('orders-to-files', 'by-hand')
      .replace('topic: orders', 'topic: by_hand')
      .replace('/data/orders', path)
      .replace('trigger: 1m', 'trigger: 100ms')
      .replace(/\n *compact:.*/, '');
    assert.doesNotMatch(job, /compact/);
    await cluster.apply('by-hand', job);
    const place = new DirectoryPlace(path);
    const files = (): Promise<readonly LoggedFile[]> => committedFiles(place, 'by-hand');
    for (let id = 1; id <= 4; id++) {
      if (id > 1) await append(id);
      await until(`${id} files are there`, 60_000, async () => (await files()).length === id);
    }
    const compact = (...args: readonly string[]): ReturnType<Cluster['weir']> => cluster.weir(['compact', ...args]);
    assert.match((await compact('by-hand', '--dry-run')).output, /by-hand +\.parquet +4 +1/);
    assert.equal((await files()).length, 4, 'a dry run changes nothing');
    assert.match((await compact('by-hand')).output, /by-hand +\.parquet +4 +1/);
    assert.deepEqual(
      (await files()).map(({ rows: held }) => held),
      [4],
    );
    assert.match((await compact('by-hand')).output, /nothing to merge/);
    assert.match((await compact('users-to-cassandra')).output, /Job users-to-cassandra writes no files/);
    assert.match((await compact('nobody')).output, /There is no job nobody/);
  });

  test('webhook', async (context) => {
    const posted: { readonly authorization: string | undefined; readonly key: unknown; readonly body: unknown }[] = [];
    const server = createServer((request, response) => {
      void (async () => {
        const { authorization, 'idempotency-key': key } = request.headers;
        const body = await json(request);
        if (JSON.stringify(body).includes('broken')) {
          response.writeHead(422).end();
          return;
        }
        posted.push({ authorization, key, body });
        // The first request is sent again.
        response.writeHead(posted.length === 1 ? 503 : 200, { 'retry-after': '0' }).end();
      })();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    context.after(() => server.close());
    const at = '2024-05-01T00:00:00Z';
    await topic('readings', [
      { sensor: 'oven', celsius: 230, at },
      { sensor: 'fridge', celsius: 4, at },
    ]);
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await cluster.apply('alerts', docJob('alerts').replace('https://alerts.example.org', address));
    await until('the rows are posted', 60_000, () => Promise.resolve(posted.length === 2));
    const [first, second] = posted;
    assert.deepEqual(second, first);
    assert.deepEqual(second?.body, [{ sensor: 'oven', celsius: 230, at: '2024-05-01T00:00:00.000Z' }]);
    assert.equal(second?.authorization, 'Bearer sesame');
    assert.ok(second?.key !== undefined);
    await topic('readings', [
      { sensor: 'stove', celsius: 99, at },
      { sensor: 'broken', celsius: 1000, at },
    ]);
    const letters =
      "SELECT offset, code, place FROM weir.dead_letters WHERE job = 'alerts' AND topic = 'sink:webhook' ALLOW FILTERING";
    const kept = await until('the row that is refused is kept', 60_000, async () => {
      const found = await rows(letters);
      return found.length > 0 && JSON.stringify(found);
    });
    assert.equal(kept, '[[3,"SINK_REFUSED","answered 422"]]');
    assert.deepEqual(
      posted.slice(2).map(({ body }) => JSON.stringify(body).includes('stove')),
      [true],
    );
  });

  test('http', async (context) => {
    const api = await startTestApi(25);
    context.after(() => api.close());
    await cluster.apply('api-people', docJob('api-people').replace('https://api.example.com', api.url));
    await counted('people.from_api', 25);
    const [row] = await rows("SELECT first_name, last_name, country FROM people.from_api WHERE id = 'user-000007'");
    assert.deepEqual(row, ['First7', 'LAST7', 'Norway']);
  });

  test('file', async () => {
    const file = join(directory, 'logs/access.ndjson');
    const line = (second: number, status: number): string =>
      `${JSON.stringify({ at: `2024-05-01T00:00:0${second}Z`, path: '/x', status })}\n`;
    await mkdir(join(directory, 'logs'));
    await writeFile(file, line(1, 404) + line(2, 200));
    await cluster.apply('access-log', docJob('access-log'));
    await counted('web.errors', 1);
    await appendFile(file, line(3, 500));
    await rename(file, join(directory, 'logs/access.1.ndjson'));
    await writeFile(file, line(4, 503));
    await counted('web.errors', 3);
  });

  test('websocket', async (context) => {
    const server = await startTestSocket((message, send) => {
      const after = Number((JSON.parse(message) as { after?: string }).after ?? '0');
      send('{"event":"subscribed"}');
      for (const id of [1, 2, 3]) send(JSON.stringify({ data: { id: after + id, symbol: 'WEIR', price: id / 4 } }));
    });
    context.after(() => server.close());
    await cluster.apply('trades', docJob('trades').replace('wss://stream.example.com', server.url));
    await counted('market.trades', 3);
    server.drop();
    await counted('market.trades', 6);
  });

  test('generator', async () => {
    await cluster.apply('made-up-orders', docJob('made-up-orders'));
    await counted('shop.orders', 500);
  });
});
