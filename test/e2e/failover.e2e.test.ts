/**
 * Two masters as real processes: one leads, the other stands by. Whatever happens to the leader, the other one takes over
 * within 4 s, workers and commands find it, and no lane notices.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { jobName, partition } from '../../core/ids.ts';
import type { MetaStore } from '../../core/meta.ts';
import type { LogWriter, TableStore } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';

const jobFile = (name: string, where = 'n >= 0'): string => `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  events:
    connector: kafka
    topic: events
    startingOffsets: earliest
    format: json
    schema: 'id STRING NOT NULL, n INT'
query: SELECT id, n FROM events WHERE ${where}
sinks:
  - { connector: cassandra, keyspace: failover, table: ${name}, primaryKey: [id], create: true }
`;

/** From the death of a leader until another one answers: the promise is 4 s, on a machine that does nothing else. */
const TAKEOVER_LIMIT_MS = 8000;

describe('fail-over of the master', { timeout: 180_000 }, () => {
  let cluster: Cluster;
  let embedded: Process;
  const masters: (Process | undefined)[] = [];
  let store: MetaStore;
  let tables: TableStore;
  let writer: LogWriter;
  let close: () => Promise<void>;
  let appended = 0;

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    cluster = await Cluster.create(services, 2);
    embedded = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    close = () => connections.close();
    store = connections.metaStore();
    tables = connections.tables('cassandra', {});
    writer = connections.logWriter('kafka', {});
    await until('the embedded process answers', 15_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await store.prepare();
      return true;
    });
    await writer.createTopic('events', 2);
    masters.push(await cluster.startMaster(0), await cluster.startMaster(1));
    await cluster.startWorker();
  });

  after(async () => {
    await close?.();
    await cluster?.close();
  });

  async function append(count: number): Promise<void> {
    const records = Array.from({ length: count }, () => {
      const n = appended++;
      return { key: null, value: Buffer.from(JSON.stringify({ id: `r${n}`, n })), timestampMs: 1_700_000_000_000 + n };
    });
    const batch = encodeRecordBatch(records);
    await writer.append([{ topic: 'events', partition: partition(appended % 2), batch }], {
      valid: () => true,
      check: () => undefined,
    });
  }

  const rowsOf = async (table: string): Promise<number> =>
    Number((await tables.query(`SELECT count(*) FROM failover.${table}`)).rows[0]?.[0]);

  async function allRowsIn(table: string): Promise<void> {
    await until(`all ${appended} rows are in ${table}`, 15_000, async () => (await rowsOf(table)) === appended);
  }

  interface Standing {
    readonly role: string;
    readonly leader?: string;
  }

  /** null when it does not answer within a second. */
  async function standing(index: number): Promise<Standing | null> {
    try {
      const response = await fetch(`${cluster.addressOf(index)}/readyz`, { signal: AbortSignal.timeout(1000) });
      return (await response.json()) as Standing;
    } catch {
      return null;
    }
  }

  /** The one that says it leads, once the other one, if it answers at all, names it. */
  async function leader(): Promise<number> {
    return await until('exactly one leads', TAKEOVER_LIMIT_MS, async () => {
      const both = [await standing(0), await standing(1)];
      const leading = [0, 1].filter((index) => both[index]?.role === 'leader');
      const [first] = leading;
      if (leading.length !== 1 || first === undefined) return undefined;
      const other = both[1 - first];
      const agrees = other === null || other?.leader === cluster.addressOf(first);
      // 0 is not false for `until`.
      return agrees ? { first } : undefined;
    }).then(({ first }) => first);
  }

  async function workerJoined(index: number): Promise<void> {
    await until('the worker has found the leader', 15_000, async () => {
      const { workers } = (await cluster.request('GET', '/v1/workers', undefined, cluster.addressOf(index))) as {
        readonly workers: readonly { readonly state: string }[];
      };
      return workers.some(({ state }) => state === 'alive');
    });
  }

  test('one of two leads; the other hands requests on', async () => {
    const first = await leader();
    const standby = cluster.addressOf(1 - first);
    await cluster.request('PUT', '/v1/jobs/one', jobFile('one'), standby);
    const { jobs } = (await cluster.request('GET', '/v1/jobs', undefined, standby)) as { readonly jobs: unknown[] };
    assert.equal(jobs.length, 1);
    await append(100);
    await allRowsIn('one');
    const lease = await store.readLease();
    assert.equal(lease?.httpAddress, cluster.addressOf(first));
  });

  test('kill -9 of the leader: the other one leads, lanes go on, workers and commands follow', async () => {
    const first = await leader();
    const before = await store.readLease();
    await masters[first]?.kill9();
    masters[first] = undefined;
    await append(100);
    await allRowsIn('one');
    assert.equal((await store.readLease())?.holder, before?.holder, 'nobody had taken over while the lane worked');
    assert.equal(await leader(), 1 - first);
    const after = await store.readLease();
    assert.ok((after?.token ?? 0) > (before?.token ?? 0));
    await workerJoined(1 - first);
    // Its address stands first or second in what the command is told.
    const listed = await cluster.weir(['get', 'jobs', '-o', 'name']);
    assert.deepEqual([listed.code, listed.output.trim()], [0, 'one']);
    await cluster.request('PUT', '/v1/jobs/two', jobFile('two'), cluster.addressOf(1 - first));
    await append(10);
    await allRowsIn('two');
    await allRowsIn('one');
  });

  test('a command asked while nobody leads waits for the next leader', async () => {
    const dead = masters.findIndex((master) => master === undefined);
    masters[dead] = await cluster.startMaster(dead);
    const first = await leader();
    assert.equal(first, 1 - dead, 'a master that comes back does not take over');
    await masters[first]?.kill9();
    masters[first] = undefined;
    const stopped = await cluster.weir(['stop', 'two', '--timeout', '30s']);
    assert.equal(stopped.code, 0, stopped.output);
    assert.equal(await leader(), dead);
    masters[first] = await cluster.startMaster(first);
  });

  test('a leader that was frozen finds another one leading and acts no more', async () => {
    const first = await leader();
    const before = await store.readLease();
    masters[first]?.signal('SIGSTOP');
    const second = 1 - first;
    await until('the other one leads', TAKEOVER_LIMIT_MS, async () => (await standing(second))?.role === 'leader');
    await workerJoined(second);
    await cluster.request('PUT', '/v1/jobs/three', jobFile('three'), cluster.addressOf(second));
    await allRowsIn('three');
    const rowBefore = await store.readJob(jobName('one'));
    masters[first]?.signal('SIGCONT');
    assert.equal(await leader(), second);
    assert.equal((await store.readJob(jobName('one')))?.nonce, rowBefore?.nonce, 'it moved no lane when it woke up');
    const lease = await store.readLease();
    assert.equal(Number(lease?.token), Number(before?.token) + 1);
    assert.equal(lease?.httpAddress, cluster.addressOf(second));
    // Through the former leader: what it says comes from the one that leads.
    await cluster.request('PUT', '/v1/jobs/three', jobFile('three', 'n >= 1'), cluster.addressOf(first));
    const view = (await cluster.request('GET', '/v1/jobs/three', undefined, cluster.addressOf(second))) as {
      readonly row: { readonly revision: number };
    };
    assert.equal(view.row.revision, 2);
    await append(10);
    await allRowsIn('one');
  });

  test('a leader that is stopped hands over at once', async () => {
    const first = await leader();
    await masters[first]?.stop();
    masters[first] = undefined;
    const lease = await store.readLease();
    assert.notEqual(lease?.httpAddress, cluster.addressOf(first));
    assert.equal(await leader(), 1 - first);
    await workerJoined(1 - first);
    await append(10);
    await allRowsIn('one');
  });
});
