/** Records that come to differ from the schema of their source, under every policy, with a real Schema Registry. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import avsc from 'avsc';
import type { Schema as AvscSchema } from 'avsc';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import type { LogWriter, QueryResult } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { JobView } from '../../master/views.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { startRegistry } from '../services/registry.ts';
import type { RegistryService } from '../services/registry.ts';
import { Cluster, until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';

const permit = { valid: () => true, check: () => undefined };

describe('schemas that change while a job runs', { timeout: 300_000 }, () => {
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
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    close = () => connections.close();
    writer = connections.logWriter('kafka', {});
    await until('the embedded process answers', 60_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await writer.createTopic('visits', 1);
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

  async function append(topic: string, ...values: readonly (Uint8Array | object)[]): Promise<void> {
    const records = values.map((value) => ({
      key: null,
      value: value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value)),
      timestampMs: 1_700_000_000_000,
    }));
    await writer.append([{ topic, partition: partition(0), batch: encodeRecordBatch(records) }], permit);
  }

  async function rows(cql: string): Promise<string> {
    const { rows: found } = (await cluster.request('POST', '/v1/query', JSON.stringify({ cql }))) as QueryResult;
    return JSON.stringify(found.toSorted(([a], [b]) => String(a).localeCompare(String(b))));
  }

  const tableHas = async (cql: string, expected: readonly (readonly unknown[])[]): Promise<void> => {
    let seen = '';
    await until(cql, 30_000, async () => (seen = await rows(cql)) === JSON.stringify(expected)).catch(() =>
      assert.equal(seen, JSON.stringify(expected)),
    );
  };

  const viewOf = (job: string, what: string, holds: (view: JobView) => boolean): Promise<JobView> =>
    until(`job ${job}: ${what}`, 60_000, async () => {
      const view = await cluster.job(job);
      return holds(view) ? view : undefined;
    });

  const jobOf = (
    name: string,
    policy: string,
    query: string,
    sink = '{ connector: console }',
  ): string => `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  s:
    connector: kafka
    topic: ${name}
    startingOffsets: earliest
    schema: 'id STRING NOT NULL, page STRING, ms INT'
    onSchemaChange: ${policy}
query: ${query}
outputMode: ${query.includes('GROUP') ? 'update' : 'append'}
sinks: [${sink}]
`;

  test('evolve: the example of the page; a table that the job may create is given the column', async () => {
    await cluster.apply('visitors', docJob('visitors'));
    await append('visits', { id: 'a', page: '/', ms: 3 }, { id: 'b', page: '/x' });
    await tableHas('SELECT id, ms FROM web.visits', [
      ['a', 3],
      ['b', null],
    ]);
    await append('visits', { id: 'c', page: '/', ms: 4, country: 'NO', visits: 2 });
    const { schemaChanges } = await viewOf(
      'visitors',
      'has taken the fields',
      ({ row: { revision, state } }) => revision === 2 && state === 'running',
    );
    assert.deepEqual(schemaChanges, [], 'the new revision has nothing to tell');
    await append('visits', { id: 'd', page: '/', ms: 5, country: 'SE', visits: 9 }, { id: 'e' });
    // What the first revision read has NULL; what came before and behind is there once.
    await tableHas('SELECT id, ms, country, visits FROM web.visits', [
      ['a', 3, null, null],
      ['b', null, null, null],
      ['c', 4, null, null],
      ['d', 5, 'SE', 9],
      ['e', null, null, null],
    ]);
    const { output } = await cluster.weir(['events', '--job', 'visitors']);
    assert.match(
      output,
      /Records of job visitors differ from the schema of visits: country STRING is new \(partition 0, offset 2\)/,
    );
    assert.match(output, /Job visitors takes new fields as revision 2: visits: country STRING, visits: visits BIGINT/);
    assert.equal((await cluster.job('visitors')).counters.dead, 0);
  });

  test('evolve: the latest version of a subject, old and new records mixed', async () => {
    const schema = (...more: readonly object[]): string =>
      JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'id', type: 'string' }, ...more] });
    const [old, now] = [schema(), schema({ name: 'town', type: 'string', default: 'nowhere' })];
    const framed = (id: number, text: string, value: unknown): Uint8Array => {
      const head = Buffer.alloc(5);
      head.writeInt32BE(id, 1);
      return Buffer.concat([
        head,
        avsc.Type.forSchema(JSON.parse(text) as AvscSchema, { registry: {} }).toBuffer(value),
      ]);
    };
    await writer.createTopic('towns', 1);
    const oldId = await registry.register('towns-value', { schema: old });
    const sink = '{ connector: cassandra, keyspace: web, table: towns, primaryKey: [id], create: true }';
    const job = jobOf('towns', 'evolve', 'SELECT * FROM s', sink);
    await cluster.apply('towns', job.replace(/schema: .*/, 'format: avro\n    avro: { registry: true }'));
    await append('towns', framed(oldId, old, { id: 'a' }));
    await tableHas('SELECT id FROM web.towns', [['a']]);
    const nowId = await registry.register('towns-value', { schema: now });
    await append('towns', framed(nowId, now, { id: 'b', town: 'Ulm' }));
    await viewOf(
      'towns',
      'has taken the field',
      ({ row: { revision, state } }) => revision === 2 && state === 'running',
    );
    await append('towns', framed(oldId, old, { id: 'c' }), framed(nowId, now, { id: 'd', town: 'Bonn' }));
    await tableHas('SELECT id, town FROM web.towns', [
      ['a', null],
      ['b', null],
      ['c', 'nowhere'],
      ['d', 'Bonn'],
    ]);
    // The older version lacks the field: that is told, and nothing to take.
    const { schemaChanges } = await viewOf('towns', 'tells', (view) => view.schemaChanges.length > 0);
    assert.deepEqual(
      schemaChanges.map(({ message }) => message.replace(/ \(.*/, '')),
      ['town STRING is missing'],
    );
    assert.equal((await cluster.job('towns')).row.revision, 2);
  });

  for (const [protocol, query] of [
    ['lanes', 'SELECT id, page FROM s'],
    ['epochs', 'SELECT page, count(*) AS n FROM s GROUP BY page'],
  ] as const) {
    test(`report: told once, by view, command, event and metric (${protocol})`, async () => {
      const name = `report-${protocol}`;
      await writer.createTopic(name, 1);
      await cluster.apply(name, jobOf(name, 'report', query));
      await append(
        name,
        { id: 'a', page: '/' },
        { id: 'b', page: '/', town: 'Ulm' },
        { id: 'c', page: '/', town: 'Ulm' },
      );
      const { counters } = await viewOf(name, 'tells', (view) => view.schemaChanges.length > 0);
      assert.equal(counters.dead, 0);
      const { output } = await cluster.weir(['describe', 'job', name]);
      assert.match(output, /Schema: +s: town STRING is new \(partition 0, offset 2\)/);
      // Events follow the view by a moment.
      const events = await until(`events of ${name}`, 10_000, async () => {
        const told = (await cluster.weir(['events', '--job', name])).output.match(/town STRING is new/g);
        return told ?? undefined;
      });
      assert.equal(events.length, 1);
      const [worker] = await cluster.workers();
      const metrics = await (await fetch(`http://${worker?.httpAddress}/metrics`)).text();
      assert.ok(metrics.includes(`weir_schema_changes_total{job_name="${name}",source="s",kind="new"} 1`), metrics);
    });

    test(`fail: the job stops and says where (${protocol})`, async () => {
      const name = `fail-${protocol}`;
      await writer.createTopic(name, 1);
      await cluster.apply(name, jobOf(name, 'fail', query));
      await append(name, { id: 'a', page: '/' });
      await viewOf(name, 'reads', ({ counters: { read } }) => read === 1);
      await append(name, { id: 'b', page: '/' }, { id: 'c', page: '/', town: 'Ulm' });
      const { row } = await viewOf(name, 'failed', ({ row: { state } }) => state === 'failed');
      assert.equal(row.reason?.code, 'RECORD_SCHEMA_CHANGED');
      assert.match(
        row.reason?.message ?? '',
        /topic fail-\w+, partition 0: the record at offset 2 has another shape than the schema of s \(town STRING is new\).*evolve or deadLetter/,
      );
      // With the field in its schema it goes on where it stood.
      await cluster.apply(name, jobOf(name, 'fail', query).replace('ms INT', 'ms INT, town STRING'));
      await viewOf(name, 'goes on', ({ row: now, lag }) => now.state === 'running' && now.revision === 2 && lag === 0);
    });
  }

  test('deadLetter: every record of another shape, with its reason and field', async () => {
    await writer.createTopic('strict', 1);
    await cluster.apply('strict', jobOf('strict', 'deadLetter', 'SELECT id, page FROM s'));
    await append('strict', { id: 'a' }, { id: 'b', town: 'Ulm' }, { id: 'c', ms: 3 }, { page: '/' }, { id: 'd' });
    const { counters } = await viewOf('strict', 'has read all', ({ counters: { read } }) => read === 5);
    assert.deepEqual([counters.passed, counters.dead], [3, 2]);
    const letters = "SELECT offset, code, place FROM weir.dead_letters WHERE job = 'strict' ALLOW FILTERING";
    await tableHas(letters, [
      [1, 'RECORD_SCHEMA_CHANGED', 'town'],
      [3, 'FIELD_MISSING', 'id'],
    ]);
  });

  test('formats that do not name their fields, and what cannot evolve, are refused by name', async () => {
    const csv = jobOf('csv', 'fail', 'SELECT id FROM s').replace('schema:', 'format: csv\n    schema:');
    await assert.rejects(cluster.apply('csv', csv), /records of format: csv without a registry do not tell/);
    const text = jobOf('text', 'report', 'SELECT value FROM s').replace(/schema: .*/, 'format: text');
    await assert.rejects(cluster.apply('text', text), /records of format: text without a registry do not tell/);
  });
});
