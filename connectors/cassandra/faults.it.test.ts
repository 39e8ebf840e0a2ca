/** A node that hangs, dies, or changes its tables while rows are written: nothing is lost, and what cannot go on says why. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { epoch, fence } from '../../core/ids.ts';
import { changeJob } from '../../core/meta.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { sampleHead, sampleJob, samplePlan } from '../../test/conformance/meta-store.ts';
import { buildRows, shapeOf, type TestRow } from '../../test/conformance/rows.ts';
import { startCassandra, type Service } from '../../test/services/services.ts';
import { ChunkedBlobStore } from '../../core/blobs/chunked-store.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { CassandraChunkTable } from './chunk-table.ts';
import { CassandraClient } from './client.ts';
import { CassandraMetaStore } from './meta-store.ts';
import { SendWindow } from './send-window.ts';
import { loadDriverInternals } from './batch-frame.ts';
import { CassandraTableStore } from './table-store.ts';
import { CassandraTableWriter } from './table-writer.ts';

/** A leader's lease: see master/lease.ts. ms */
const LEASE_MS = 2000;
const permit = { valid: () => true, check: () => undefined };

/** The first answer of a store that comes back. */
async function until<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      if (!isWeirError(error, 'STORE_UNAVAILABLE') || attempt > 50) throw error;
      await delay(100);
    }
  }
}

describe('Cassandra under faults', () => {
  let node: Service;
  let client: CassandraClient;
  let store: CassandraTableStore;
  let tables = 0;

  before(async () => {
    // By default a node acknowledges writes that a kill -9 within the next 0.1 s loses.
    node = await startCassandra({ heapMb: 400, settings: { commitlog_sync: 'batch', commitlog_sync_period: '0ms' } });
    client = new CassandraClient({ contactPoints: [node.address], replicationFactor: 1 });
    store = new CassandraTableStore(client);
  });
  after(async () => {
    await client?.close();
    await node?.dispose();
  });

  const freshTable = async (through = store): Promise<TableSchema> => {
    const schema: TableSchema = {
      keyspace: 'faults',
      table: `t${++tables}`,
      columns: ['id', 'kept', 'dropped'].map((name) => ({ name, type: parseCqlType(name === 'id' ? 'int' : 'text') })),
      partitionKey: ['id'],
      clusteringKey: [],
    };
    await through.create(schema);
    return schema;
  };
  const row = (id: number): TestRow => ({
    op: 'upsert',
    values: [id, 'aaaa', 'bbbb'],
    timestamp: 1_700_000_000_000_000 + id,
  });
  const count = async (table: TableSchema): Promise<unknown> =>
    (await store.query(`SELECT count(*) FROM faults.${table.table}`)).rows[0]?.[0];

  /** Writes blocks of 20 rows until told to stop; resolves with the number of rows acknowledged. */
  const keepWriting = async (
    table: TableSchema,
    through: CassandraTableStore,
    until: () => boolean,
    seen: (blockedBy: string | null) => void = () => undefined,
  ): Promise<number> => {
    const shape = shapeOf(table);
    const writer = await through.open(shape);
    const watch = setInterval(() => seen(writer.stats().blockedBy), 20);
    let next = 0;
    try {
      while (!until()) {
        const rows = Array.from({ length: 20 }, () => row(next++));
        await writer.write(buildRows(shape, rows), permit);
      }
      assert.deepEqual([writer.stats().inFlight, writer.stats().blockedBy], [0, null]);
    } finally {
      clearInterval(watch);
      await writer.close();
    }
    return next;
  };

  test('a node that is down for 10 s: writes wait, say why, and none is lost', async () => {
    const table = await freshTable();
    let stop = false;
    const reasons = new Set<string | null>();
    const writing = keepWriting(
      table,
      store,
      () => stop,
      (reason) => reasons.add(reason),
    );
    await delay(500);
    await node.kill9();
    await delay(10_000);
    await node.restart();
    await delay(3000);
    stop = true;
    const written = await writing;
    assert.ok(written > 0);
    assert.equal(await count(table), written);
    assert.ok(
      [...reasons].some((reason) => reason?.includes(node.address)),
      [...reasons].join(' | '),
    );
  });

  test('a node that hangs: writes wait and none is lost', async () => {
    const table = await freshTable();
    let stop = false;
    const writing = keepWriting(table, store, () => stop);
    await delay(300);
    node.pause();
    await delay(6000);
    node.resume();
    await delay(1000);
    stop = true;
    const written = await writing;
    assert.equal(await count(table), written);
  });

  test('a compare-and-set without an answer is unknown; changeJob brings it to one outcome', async () => {
    const meta = new CassandraMetaStore(client);
    await meta.prepare();
    const first = sampleJob('ambiguous', 1);
    assert.equal((await meta.casJob(0, first)).kind, 'applied');
    const second = sampleJob('ambiguous', 2);
    node.pause();
    const outcome = await meta.casJob(1, second);
    assert.equal(outcome.kind, 'unknown');
    const changing = changeJob(meta, systemClock, systemRng, 1, second);
    await delay(1000);
    node.resume();
    assert.deepEqual(await changing, { kind: 'applied', row: second });
    assert.deepEqual(await meta.readJob(second.name), second);
    const late = sampleJob('ambiguous', 2);
    assert.deepEqual(await changeJob(meta, systemClock, systemRng, 1, late), { kind: 'rejected', current: second });
  });

  test('a head and its plans without an answer are unknown; afterwards all of it stands, or nothing', async () => {
    const meta = new CassandraMetaStore(client);
    await meta.prepare();
    const first = sampleHead('ambiguous', 1);
    assert.equal((await meta.casEpochs(0, first, [samplePlan(0)])).kind, 'applied');
    for (let ver = 1; ver < 4; ver++) {
      const before = sampleHead('ambiguous', ver + 1);
      node.pause();
      const outcome = await meta.casEpochs(ver, before, [samplePlan(ver), samplePlan(ver + 10)]);
      node.resume();
      assert.equal(outcome.kind, 'unknown');
      const settled = await until(() => meta.readEpochs(first.job, first.run));
      const applied = settled?.nonce === before.nonce;
      const plans = Promise.all(
        [ver, ver + 10].map((at) => meta.readPlans(first.job, first.run, epoch(at), epoch(at))),
      ).then((found) => found.flat().length);
      if (applied) assert.equal(await plans, 2);
      else {
        await assert.rejects(plans, { code: 'NOT_FOUND' });
        // What was sent may still be applied, so the version moves on before the next round.
        const again = await meta.casEpochs(ver, before, [samplePlan(ver)]);
        assert.ok(again.kind === 'applied' || again.kind === 'rejected', again.kind);
      }
    }
  });

  test('a hanging node: the lease is not renewed in silence, and its holder hears of it within its term', async () => {
    const meta = new CassandraMetaStore(client);
    const row = {
      ver: 1,
      nonce: 'a',
      token: fence(1),
      holder: 'a',
      address: 'a:1',
      httpAddress: 'http://a:2',
      beat: 0,
    };
    assert.equal((await meta.casLease(0, row)).kind, 'applied');
    assert.equal((await meta.casLease(1, { ...row, ver: 2, nonce: 'b', beat: 1 })).kind, 'applied');
    node.pause();
    const startedAt = performance.now();
    const outcome = await meta.casLease(2, { ...row, ver: 3, nonce: 'c', beat: 2 });
    const took = performance.now() - startedAt;
    node.resume();
    assert.equal(outcome.kind, 'unknown');
    assert.ok(took < LEASE_MS, `${took} ms`);
  });

  test('a blob put while the node hangs and dies is there when its put is done', async () => {
    const blobs = new ChunkedBlobStore(new CassandraChunkTable(client), { clock: systemClock, rng: systemRng });
    const bytes = new Uint8Array(12_000_000).map((_, at) => (at * 7919) >> 5);
    const put = blobs.put('under-faults', bytes);
    await delay(20);
    node.pause();
    await delay(1000);
    node.resume();
    await delay(50);
    await node.kill9();
    await assert.rejects(blobs.get('under-faults'), (error) => isWeirError(error, 'STORE_UNAVAILABLE'));
    await node.restart();
    await put;
    const read = await blobs.get('under-faults');
    assert.ok(read !== undefined && Buffer.compare(read, bytes) === 0);
  });

  test('metadata that cannot be reached is unavailable, not absent', async () => {
    const meta = new CassandraMetaStore(client);
    node.pause();
    try {
      await assert.rejects(meta.readOwnership(sampleJob('ambiguous', 1).name), (error) =>
        isWeirError(error, 'STORE_UNAVAILABLE'),
      );
    } finally {
      node.resume();
    }
  });

  test('a permit that ends while the node hangs ends the write', async () => {
    const table = await freshTable();
    const shape = shapeOf(table);
    const writer = await store.open(shape);
    let mine = true;
    const ending = {
      valid: () => mine,
      check: () => {
        if (!mine) throw new WeirError('FENCED', 'handed over');
      },
    };
    node.pause();
    try {
      const writing = writer.write(buildRows(shape, [row(1)]), ending);
      mine = false;
      await assert.rejects(writing, (error) => isWeirError(error, 'FENCED'));
    } finally {
      node.resume();
    }
    await writer.close();
  });

  for (const fastBatches of [true, false]) {
    const label = fastBatches ? 'own batches' : "the driver's batches";
    const open = () => new CassandraTableStore(client, { fastBatches });

    test(`a column dropped while rows are written is named (${label})`, async () => {
      const table = await freshTable();
      const writing = keepWriting(table, open(), () => false);
      const ended = assert.rejects(
        writing,
        (error) => isWeirError(error, 'SINK_SCHEMA') && /no column dropped/.test(error.message),
      );
      await delay(300);
      await store.query(`ALTER TABLE faults.${table.table} DROP dropped`);
      await ended;
    });

    test(`a table dropped while rows are written is named (${label})`, async () => {
      const table = await freshTable();
      const writing = keepWriting(table, open(), () => false);
      const ended = assert.rejects(
        writing,
        (error) => isWeirError(error, 'SINK_SCHEMA') && error.message.includes(`faults.${table.table}`),
      );
      await delay(300);
      await store.query(`DROP TABLE faults.${table.table}`);
      await ended;
    });

    test(`a table made anew while rows are written is written on (${label})`, async () => {
      const table = await freshTable();
      const shape = shapeOf(table);
      const writer = await open().open(shape);
      await writer.write(buildRows(shape, [row(1)]), permit);
      await store.query(`DROP TABLE faults.${table.table}`);
      await store.create(table);
      await writer.write(buildRows(shape, [row(2)]), permit);
      assert.equal(await count(table), 1);
      await writer.close();
    });

    test(`a batch larger than the server takes is halved (${label})`, async () => {
      const table = await freshTable();
      const shape = shapeOf(table);
      const parts = {
        client,
        window: new SendWindow(),
        internals: fastBatches ? loadDriverInternals() : undefined,
        batchBytesMax: 64 * 1024 * 1024,
        verify: async () => undefined,
      };
      const writer = new CassandraTableWriter(shape, parts);
      const large = 'x'.repeat(150_000);
      const rows = Array.from({ length: 60 }, (_, id): TestRow => ({
        op: 'upsert',
        values: [id, large, null],
        timestamp: 1,
      }));
      await writer.write(buildRows(shape, rows), permit);
      assert.ok(writer.stats().retries > 0);
      assert.equal(await count(table), 60);
    });
  }

  test('a column that comes back with another type is noticed before bytes of the old type are sent', async () => {
    const table = await freshTable();
    const shape = shapeOf(table);
    const writer = await store.open(shape);
    await writer.write(buildRows(shape, [row(1)]), permit);
    await store.query(`DROP TABLE faults.${table.table}`);
    await store.query(`CREATE TABLE faults.${table.table} (id int PRIMARY KEY, kept text, dropped int)`);
    await assert.rejects(
      writer.write(buildRows(shape, [row(2)]), permit),
      (error) => isWeirError(error, 'SINK_SCHEMA') && /dropped .*int, not text/.test(error.message),
    );
    assert.equal(await count(table), 0);
  });

  test('a row the server refuses for good is refused with its words', async () => {
    const table = await freshTable();
    const shape = shapeOf(table);
    const writer = await store.open(shape);
    const rows: TestRow[] = [{ op: 'upsert', values: [null, 'x', 'y'], timestamp: 1 }];
    await assert.rejects(
      writer.write(buildRows(shape, rows), permit),
      (error) => isWeirError(error, 'SINK_REFUSED') && /null value.*id/i.test(error.message),
    );
    await writer.write(buildRows(shape, [row(5)]), permit);
    assert.equal(await count(table), 1);
  });
});
