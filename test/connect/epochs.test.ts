/**
 * Sinks that take epochs as a whole, while workers are killed at every point of an epoch's life: files of Parquet and
 * lines, and PostgreSQL, hold every row exactly once; a table in update mode holds what a recomputation gives.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parquetReadObjects } from 'hyparquet';
import { DirectoryPlace } from '../../connectors/files/directory-place.ts';
import { committedFiles } from '../../connectors/files/files-log.ts';
import { failpointNames } from '../../core/ports.ts';
import { until } from '../support/cluster.ts';
import { PostgresServer } from './postgres-server.ts';
import { askDuckdb, testPython } from './python.ts';
import { Testbed } from './testbed.ts';

const root = mkdtempSync(join(tmpdir(), 'weir-epoch-files-'));

const sources = (topic: string): string => `apiVersion: weir/v1
kind: Job
name: ${topic}
sources:
  clicks:
    connector: kafka
    topic: ${topic}
    startingOffsets: earliest
    schema: 'id INT NOT NULL, who STRING, price DECIMAL(10,2), at TIMESTAMP'
`;

interface Click {
  readonly id: number;
  readonly who: string;
  readonly price: number;
  readonly at: string;
}

function clicks(from: number, to: number): Click[] {
  return Array.from({ length: to - from }, (_, index) => {
    const id = from + index;
    const at = new Date(Date.UTC(2024, 4, 1) + id * 20).toISOString();
    return { id, who: `w${(id * 7) % 23}`, price: (id % 500) + 0.5, at };
  });
}

/** Kills at these points; the others of epochs are about state that maps keep none of. */
const points = failpointNames.filter((name) =>
  ['epoch.afterFetch', 'epoch.afterMap', 'epoch.midWrite', 'epoch.afterAck', 'epoch.afterDone'].includes(name),
);

describe('sinks of epochs', { timeout: 1_800_000 }, () => {
  let server: PostgresServer;
  let bed: Testbed;
  before(async () => {
    // Made before anything waits for it.
    await testPython();
    server = await PostgresServer.start();
    bed = await Testbed.open({ POSTGRES_URL: server.url });
  });
  after(async () => {
    await bed?.close();
    await server?.dispose();
    rmSync(root, { recursive: true, force: true });
  });

  /** Feeds the topic while one worker after the other is killed; how many records there are. */
  async function feedUnderKills(topic: string, begin: number): Promise<number> {
    let produced = begin;
    for (const point of points) {
      const victim = await bed.cluster.startWorker(`${point}=kill@4`, false);
      for (; victim.alive; produced += 300) {
        await bed.produce(topic, 2, clicks(produced, produced + 300));
        await sleep(100);
      }
      assert.match(await victim.log(), new RegExp(`failpoint ${point} kill`));
    }
    return produced;
  }

  test('rows without state: Parquet by directories, lines, and a table', async () => {
    const job = 'clicks';
    await bed.createTopic(job, 2);
    const [parquet, lines] = [join(root, 'parquet'), join(root, 'lines')];
    const steady = await bed.cluster.startWorker('', false);
    await bed.cluster.apply(
      job,
      `${sources(job)}query: SELECT id, who, price, at FROM clicks WHERE id % 10 <> 3
sinks:
  - { connector: files, path: ${parquet}, partitionBy: [who] }
  - { connector: files, path: ${lines}, format: ndjson, compression: gzip }
  - { connector: postgres, table: clicks, create: true }
trigger: 200ms
`,
    );
    const produced = await feedUnderKills(job, 0);
    await bed.taken(job, produced, 120_000);
    const expected = clicks(0, produced).filter(({ id }) => id % 10 !== 3);
    const count = async (): Promise<number> =>
      Number((await server.query('SELECT count(*) AS n FROM clicks'))[0]?.['n']);
    await until('all rows are in the table', 60_000, async () => (await count()) >= expected.length);
    await bed.cluster.request('POST', `/v1/jobs/${job}/stop`);
    await steady.stop();

    const rows = await server.query('SELECT id, price::text AS price FROM clicks ORDER BY id');
    assert.deepEqual(
      rows,
      expected.map(({ id, price }) => ({ id, price: price.toFixed(2) })),
    );

    const place = new DirectoryPlace(parquet);
    const files = await committedFiles(place, job);
    const found: { readonly id: number; readonly who: string; readonly price: unknown; readonly at: unknown }[] = [];
    for (const { name, rows: count } of files) {
      const bytes = readFileSync(join(parquet, name));
      const own = Uint8Array.from(bytes).buffer;
      const some = (await parquetReadObjects({ file: own })) as { id: number; price: unknown; at: unknown }[];
      assert.equal(some.length, count);
      found.push(...some.map((row) => ({ ...row, who: /who=(\w+)\//.exec(name)?.[1] ?? '' })));
    }
    found.sort((a, b) => a.id - b.id);
    assert.deepEqual(
      found.map(({ id, who, price, at }) => ({ id, who, price, at: at instanceof Date ? at.toISOString() : at })),
      expected,
    );
    // What readers find who know nothing of the log is the same.
    const visible = (await place.list('')).map(({ name }) => name).filter((name) => name.endsWith('.parquet'));
    assert.deepEqual([...visible].sort(), files.map(({ name }) => name).sort());
    await expectDuckdb(
      `SELECT count(*), count(DISTINCT id), CAST(sum(price) AS VARCHAR) FROM read_parquet('${parquet}/**/*.parquet', hive_partitioning = true) WHERE who = 'w7'`,
      sumsOf(expected.filter(({ who }) => who === 'w7')),
    );
    await expectDuckdb(
      `SELECT count(*), count(DISTINCT id), CAST(sum(CAST(price AS DECIMAL(10,2))) AS VARCHAR) FROM read_json_auto('${lines}/*.ndjson.gz')`,
      sumsOf(expected),
    );
  });

  test('a result that changes: the table holds the last of each group, and groups go', async () => {
    const job = 'counts';
    await bed.createTopic(job, 2);
    const steady = await bed.cluster.startWorker('', false);
    await bed.cluster.apply(
      job,
      `${sources(job)}query: SELECT who, count(*) AS n, sum(price) AS total FROM clicks GROUP BY who HAVING count(*) % 3 <> 0
outputMode: update
sinks:
  - { connector: postgres, table: shop.counts, primaryKey: [who], create: true }
`,
    );
    const produced = await feedUnderKills(job, 0);
    await bed.taken(job, produced, 120_000);
    const groups = new Map<string, { n: number; total: number }>();
    for (const { who, price } of clicks(0, produced)) {
      const group = groups.get(who) ?? { n: 0, total: 0 };
      groups.set(who, { n: group.n + 1, total: group.total + price });
    }
    const expected = [...groups]
      .filter(([, { n }]) => n % 3 !== 0)
      .map(([who, { n, total }]) => ({ who, n: String(n), total: total.toFixed(2) }))
      .sort((a, b) => (a.who < b.who ? -1 : 1));
    const read = async (): Promise<unknown> =>
      await server.query('SELECT who, n, total::text AS total FROM shop.counts ORDER BY who COLLATE "C"');
    await until(
      'the table settles',
      60_000,
      async () => JSON.stringify(await read()) === JSON.stringify(expected),
    ).catch(() => undefined);
    assert.deepEqual(await read(), expected);
    await bed.cluster.request('POST', `/v1/jobs/${job}/stop`);
    await steady.stop();
  });
});

function sumsOf(some: readonly Click[]): unknown[] {
  return [some.length, some.length, some.reduce((sum, { price }) => sum + price, 0).toFixed(2)];
}

/** Asks another engine for one row. */
async function expectDuckdb(sql: string, expected: readonly unknown[]): Promise<void> {
  assert.deepEqual(await askDuckdb(sql), [expected]);
}
