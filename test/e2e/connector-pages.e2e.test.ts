/** The examples of docs/connectors run as they stand there, on servers of the test in place of those they name. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
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
