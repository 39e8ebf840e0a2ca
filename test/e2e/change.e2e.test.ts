/**
 * A stateful job is changed while records flow: what it counted is kept, what is new counts from the change on, what
 * cannot go on is refused and disturbs nothing. Real processes on the embedded store.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { must } from '../../core/assert.ts';
import type { Run } from '../../core/ids.ts';
import { jobName, parseLaneId } from '../../core/ids.ts';
import type { LaneId } from '../../core/ids.ts';
import type { MetaStore } from '../../core/meta.ts';
import type { TableStore } from '../../core/ports.ts';
import type { JobView } from '../../master/views.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import type { Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import { Load } from '../support/load.ts';

const JOB = jobName('counts');
const PARTITIONS = 2;
const BASE_MS = 1_717_200_000_000;
const STEP_MS = 5;
const WINDOW_MS = 2000;
const KEYS = 8;

interface JobShape {
  readonly columns?: string;
  readonly where?: string;
  readonly delay?: string;
  readonly trigger?: string;
  readonly tables?: readonly string[];
  readonly window?: string;
  readonly by?: string;
  readonly topic?: string;
}

function jobFile(shape: JobShape): string {
  const { columns = 'count(*) AS n', where = 'v >= 0', delay = '8s', trigger = 'asap', tables = ['counts'] } = shape;
  const { window = '2 seconds', by = 'k', topic = 'events' } = shape;
  const sinks = tables.map(
    (table) => `
  - { connector: cassandra, keyspace: changes, table: ${table}, primaryKey: [k, f], create: true }`,
  );
  return `
apiVersion: weir/v1
kind: Job
name: ${JOB}
sources:
  events:
    connector: kafka
    topic: ${topic}
    startingOffsets: earliest
    format: json
    schema: 'k STRING NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP NOT NULL'
    watermark: { column: ts, delay: ${delay} }
query: |
  SELECT unix_millis(window.start) AS f, ${by} AS k, ${columns}
  FROM events WHERE ${where} GROUP BY window(ts, '${window}'), ${by}
sinks:${sinks.join('')}
outputMode: update
trigger: ${trigger}
`;
}

interface EventRecord {
  readonly k: string;
  readonly v: number;
  readonly ms: number;
}

function eventAt(partition: number, seq: number): EventRecord {
  const mixed = Math.imul(seq * PARTITIONS + partition + 1, 2654435761) >>> 0;
  return { k: `k${mixed % KEYS}`, v: (mixed >>> 8) % 1000, ms: BASE_MS + seq * STEP_MS };
}

/** What one run of the job did with the records that it was the last to read. */
interface RunFacts {
  readonly run: number;
  /** Records with v below this count. */
  readonly below: number;
  readonly sums: boolean;
  readonly writesSecond: boolean;
}

function ofTables(warnings: readonly string[]): readonly string[] {
  return warnings.filter((warning) => warning.startsWith('changes.'));
}

describe('a stateful job is changed while it runs', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  let connections: ReturnType<typeof makeConnections>;
  let store: MetaStore;
  let tables: TableStore;
  let load: Load;
  let second: Process;
  const runs: (RunFacts & { readonly starts: ReadonlyMap<number, number> })[] = [];
  const running: JobShape[] = [];
  let lastWatermark = -Infinity;

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    cluster = await Cluster.create(services);
    const embedded: Process = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    store = connections.metaStore();
    tables = connections.tables('cassandra', {});
    await until('the embedded process answers', 15_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await store.prepare();
      return true;
    });
    load = new Load({
      topic: 'events',
      partitions: PARTITIONS,
      recordsPerSecond: 500,
      writer: connections.logWriter('kafka', {}),
      make: (partition, seq) => {
        const { k, v, ms } = eventAt(partition, seq);
        const value = JSON.stringify({ k, v, ts: new Date(ms).toISOString() });
        return { key: Buffer.from(k), value: Buffer.from(value) };
      },
    });
    await load.start();
    await cluster.startMaster();
    [, second] = await Promise.all([cluster.startWorker(), cluster.startWorker()]);
  });

  after(async () => {
    await load?.end();
    await connections?.close();
    await cluster?.close();
  });

  async function view(): Promise<JobView> {
    const found = await cluster.job(JOB);
    const { watermarkMs = null } = found.epochs ?? {};
    if (watermarkMs !== null) {
      assert.ok(watermarkMs >= lastWatermark, `the watermark went back from ${lastWatermark} to ${watermarkMs}`);
      lastWatermark = watermarkMs;
    }
    return found;
  }

  /** Waits for the run, and until it has committed so many records of its own. */
  async function counted(facts: RunFacts, records = 150): Promise<void> {
    const starts = await until(`run ${facts.run} begins`, 15_000, async () => {
      const head = await store.readEpochs(JOB, facts.run as Run);
      if (head === undefined) return undefined;
      return new Map(
        Object.entries(head.starts).map(([lane, at]) => [Number(parseLaneId(lane as LaneId).partition), at]),
      );
    });
    runs.push({ ...facts, starts });
    const begin = [...starts.values()].reduce((sum, at) => sum + at, 0);
    await until(`run ${facts.run} commits ${records} records`, 15_000, async () => {
      const { row, epochs } = await view();
      if (row.run !== facts.run || row.state === 'failed') throw new Error(JSON.stringify(row.reason ?? row.state));
      const { committed = -1, planned = -2, positions = {} } = epochs ?? {};
      const read = Object.values(positions).reduce((sum, at) => sum + at, 0);
      return committed > planned - 3 && read - begin >= records;
    });
  }

  async function weir(
    args: readonly string[],
    file?: JobShape,
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    if (file === undefined) return await cluster.weir(args);
    const path = join(cluster.directory, 'counts.yaml');
    await writeFile(path, jobFile(file));
    return await cluster.weir([...args, path]);
  }

  /** Applies a change of the running job; what the answer warns of. */
  async function change(shape: JobShape): Promise<readonly string[]> {
    running.push({ ...running.at(-1), ...shape });
    const answer = await cluster.request('PUT', `/v1/jobs/${JOB}`, jobFile(must(running.at(-1), () => 'no job')));
    return (answer as { readonly warnings: readonly string[] }).warnings;
  }

  /** Run of the last one that read the record. */
  function runOf(partition: number, seq: number): RunFacts {
    return must(
      runs.findLast(({ starts }) => seq >= (starts.get(partition) ?? 0)),
      () => 'no run read it',
    );
  }

  function expected(): { readonly first: readonly string[]; readonly second: readonly string[] } {
    const groups = new Map<string, { n: number; s: number | null; inSecond: boolean }>();
    for (const [partition, count] of load.counts.entries()) {
      for (let seq = 0; seq < count; seq++) {
        const { k, v, ms } = eventAt(partition, seq);
        const run = runOf(partition, seq);
        if (v >= run.below) continue;
        const key = `${k} ${ms - (ms % WINDOW_MS)}`;
        const group = groups.get(key) ?? { n: 0, s: null, inSecond: false };
        group.n += 1;
        if (run.sums) group.s = (group.s ?? 0) + v;
        if (run.writesSecond) group.inSecond = true;
        groups.set(key, group);
      }
    }
    const lines = [...groups].map(([key, { n, s, inSecond }]) => ({ line: `${key} ${n} ${s ?? 'null'}`, inSecond }));
    return {
      first: lines.map(({ line }) => line).toSorted(),
      second: lines
        .filter(({ inSecond }) => inSecond)
        .map(({ line }) => line)
        .toSorted(),
    };
  }

  async function rowsOf(table: string): Promise<readonly string[]> {
    const { rows } = await tables.query(`SELECT k, f, n, s FROM changes.${table}`);
    return rows.map((row) => row.map(String).join(' ')).toSorted();
  }

  test('an aggregate is added: old counts go on, the new one counts from the change on', async () => {
    await change({});
    await counted({ run: 1, below: 1000, sums: false, writesSecond: false }, 600);
    const shape = { columns: 'count(*) AS n, sum(v) AS s' };
    const dry = await weir(['apply', '--dry-run'], { ...running.at(-1), ...shape });
    assert.equal(dry.code, 0, dry.output);
    assert.match(dry.output, /aggregate-1 begins sum\(v\) empty, with what comes from now on/);
    assert.match(dry.output, /changes\.counts is given the column s bigint/);
    assert.equal((await view()).row.run, 1, 'a dry run changes nothing');
    const warnings = await change(shape);
    assert.ok(
      warnings.some((warning) => warning.includes('begins sum(v) empty')),
      warnings.join(),
    );
    await counted({ run: 2, below: 1000, sums: true, writesSecond: false }, 20);
  });

  test('a worker that dies then: its groups come back from what the change made of the state', async () => {
    const { counters } = await view();
    await second.kill9();
    await cluster.startWorker();
    await until('the job goes on', 20_000, async () => (await view()).counters.read > counters.read + 300);
  });

  test('filter, delay, sinks and trigger change under way', async () => {
    await change({ where: 'v < 900' });
    await counted({ run: 3, below: 900, sums: true, writesSecond: false });
    await change({ delay: '20s' });
    await counted({ run: 4, below: 900, sums: true, writesSecond: false });
    const warnings = await change({ delay: '4s', tables: ['counts', 'more_counts'] });
    assert.deepEqual(ofTables(warnings), [
      'changes.more_counts gets what comes out from now on, nothing of what came out before',
    ]);
    await counted({ run: 5, below: 900, sums: true, writesSecond: true });
    await change({ trigger: '200ms' });
    await counted({ run: 6, below: 900, sums: true, writesSecond: true });
  });

  test('a change that the state cannot follow is refused with its reason, and the job goes on undisturbed', async () => {
    const before = await view();
    const now = must(running.at(-1), () => 'no job');
    const refusals: readonly [JobShape, RegExp][] = [
      [{ window: '4 seconds' }, /aggregate-1 is keyed by \(window\(ts, 4s\).*was by \(window\(ts, 2s\)/],
      [{ by: 'upper(k)' }, /aggregate-1 is keyed by .*upper\(k\) STRING.*was by .*k STRING/],
      [{ topic: 'others' }, /the source events reads the topic others, read events/],
    ];
    for (const [shape, reason] of refusals) {
      const path = `/v1/jobs/${JOB}`;
      await assert.rejects(cluster.request('PUT', path, jobFile({ ...now, ...shape })), reason);
      await assert.rejects(cluster.request('PUT', `${path}?dryRun=true`, jobFile({ ...now, ...shape })), reason);
    }
    const { code, output } = await weir(['apply'], { ...now, window: '4 seconds', tables: ['counts', 'never'] });
    assert.equal(code, 5, output);
    assert.match(output, /was by \(window\(ts, 2s\).*--from earliest/s);
    assert.equal(await tables.describe('changes', 'never'), undefined, 'no table is made for a refused change');
    const after = await view();
    assert.deepEqual([after.row.run, after.row.revision], [before.row.run, before.row.revision]);
    await until(
      'it goes on',
      10_000,
      async () => ((await view()).epochs?.committed ?? 0) > (after.epochs?.committed ?? 0),
    );
  });

  test('a savepoint is taken, started from, and deleted', async () => {
    const made = await weir(['savepoint', 'create', JOB, 'before']);
    assert.equal(made.code, 0, made.output);
    const kept = must(await store.getSavepoint(JOB, 'before'), () => 'no savepoint');
    const { counters } = await view();
    await until('the job goes on', 10_000, async () => (await view()).counters.read > counters.read + 300);
    running.push({ ...running.at(-1), where: 'v < 800' });
    // What it takes back, it reads again.
    lastWatermark = -Infinity;
    const begun = await weir(['apply', '--from', 'savepoint:before'], running.at(-1));
    assert.equal(begun.code, 0, begun.output);
    await counted({ run: 7, below: 800, sums: true, writesSecond: true }, 400);
    const head = must(await store.readEpochs(JOB, 7 as Run), () => 'no head');
    assert.deepEqual(head.starts, kept.head.positions);
    const list = await weir(['savepoint', 'list', JOB]);
    assert.match(list.output, /^before +6 +6 /m);
    const described = await weir(['describe', 'job', JOB]);
    assert.match(described.output, /^Savepoints: +before \(revision 6, epoch \d+\)$/m);
    assert.match(described.output, /^Former: +revisions 6, 5, 4, 3, 2, 1$/m);
    assert.equal((await weir(['savepoint', 'delete', JOB, 'before'])).code, 0);
    assert.equal((await weir(['savepoint', 'delete', JOB, 'before'])).code, 4);
  });

  test('a rollback goes on with the state', async () => {
    const { code, output } = await weir(['rollback', JOB]);
    assert.equal(code, 0, output);
    assert.match(output, /is at revision 8, which says what revision 6 said; it was at 7/);
    await counted({ run: 8, below: 900, sums: true, writesSecond: true });
  });

  test('in the end every count is exact', async () => {
    await load.end();
    await until('everything is read', 20_000, async () => {
      const { epochs } = await view();
      const read = Object.values(epochs?.positions ?? {}).reduce((sum, at) => sum + at, 0);
      return read === load.total && epochs?.committed === epochs?.planned;
    });
    const end = Math.max(...load.counts) - 1;
    await until('the watermark follows with the last delay', 10_000, async () => {
      const { epochs } = await view();
      return epochs?.watermarkMs === BASE_MS + end * STEP_MS - 4000;
    });
    const { epochs, row } = await view();
    assert.deepEqual(
      Object.values(epochs?.late ?? {}).filter((rows) => rows > 0),
      [],
    );
    assert.deepEqual([row.run, row.revision], [8, 8]);
    const { first, second } = expected();
    assert.deepEqual(await rowsOf('counts'), first);
    assert.deepEqual(await rowsOf('more_counts'), second);
    assert.ok(second.length > 0 && second.length < first.length);
  });
});
