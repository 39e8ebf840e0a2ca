/**
 * A stateful job into a topic, exactly once, on several workers of one process: whatever becomes of attempts, a reader of
 * committed records sees the rows of every epoch once, and those of a key in their order.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { FailpointName } from '../../core/ports.ts';
import { jobText } from '../../engine/epoch/test-run.ts';
import { MemoryLog } from '../../test/support/memory-log.ts';
import { TestCluster } from './test-cluster.ts';

const PARTITIONS = 3;
const TOPIC = 'totals';
const SOURCES = { ev: 'k STRING, v BIGINT' };
const sinks = [{ connector: 'kafka', topic: TOPIC, key: 'k', guarantee: 'exactlyOnce' }];
const totals = jobText('SELECT k, count(*) AS n FROM ev GROUP BY k', SOURCES, { outputMode: 'update', sinks });
/** Rows of records beside rows of state. */
const both = jobText(
  `SELECT k, count(*) AS n FROM ev GROUP BY k UNION ALL SELECT concat('v', v) AS k, v AS n FROM ev WHERE v % 10 = 0`,
  SOURCES,
  { outputMode: 'update', sinks },
);
const points = [
  'transaction.beforeProduce',
  'transaction.afterProduce',
  'transaction.beforeCommit',
  'transaction.afterCommit',
] as const satisfies readonly FailpointName[];

/** What every epoch has to bring, by key and in the order of the epochs. */
class Expected {
  readonly #counts = new Map<string, number>();
  readonly rows = new Map<string, number[]>();

  epoch(keys: readonly string[]): void {
    for (const key of keys) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    for (const key of new Set(keys)) this.add(key, this.#counts.get(key) ?? 0);
  }

  add(key: string, n: number): void {
    this.rows.set(key, [...(this.rows.get(key) ?? []), n]);
  }
}

function rowsOf(log: MemoryLog): Map<string, number[]> {
  const rows = new Map<string, number[]>();
  for (let index = 0; index < PARTITIONS; index++)
    for (const text of log.committed(TOPIC, index)) {
      const { k, n } = JSON.parse(text) as { readonly k: string; readonly n: number };
      rows.set(k, [...(rows.get(k) ?? []), n]);
    }
  return rows;
}

const inOrder = (rows: ReadonlyMap<string, number[]>): unknown => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));

interface Scene {
  readonly cluster: TestCluster;
  readonly log: MemoryLog;
  readonly expected: Expected;
  /** Appends what the next epoch reads. */
  readonly feed: () => Promise<void>;
}

async function withCluster(
  job: string,
  names: readonly string[],
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const log = new MemoryLog();
  log.createTopic(TOPIC, PARTITIONS);
  const cluster = await TestCluster.start(job, { sinkLog: log.writer });
  const expected = new Expected();
  let fed = 0;
  const feed = async (): Promise<void> => {
    const rows = Array.from({ length: 60 }, (_, index) => ({ k: `k${(fed + index * 7) % 23}`, v: fed + index }));
    fed += rows.length;
    await cluster.append('ev', 0, rows.slice(0, 25));
    await cluster.append('ev', 1, rows.slice(25));
    expected.epoch(rows.map(({ k }) => k));
    if (job === both) for (const { v } of rows) if (v % 10 === 0) expected.add(`v${v}`, v);
  };
  try {
    for (const name of names) cluster.addWorker(name);
    await cluster.use(names);
    await body({ cluster, log, expected, feed });
    assert.deepEqual(inOrder(rowsOf(log)), inOrder(expected.rows));
  } finally {
    await cluster.close();
  }
}

suite('a stateful job into a topic, exactly once', () => {
  for (const [name, job] of [
    ['rows of state', totals],
    ['rows of state and of records', both],
  ] as const) {
    test(`${name} of several workers, epoch by epoch`, () =>
      withCluster(job, ['a', 'b', 'c'], async ({ cluster, feed }) => {
        for (let epoch = 0; epoch < 4; epoch++) {
          await feed();
          await cluster.step();
        }
        assert.deepEqual(cluster.troubles(), []);
      }));

    test(`${name} again in another attempt, by the same workers`, () =>
      withCluster(job, ['a', 'b'], async ({ cluster, feed }) => {
        await feed();
        await cluster.step();
        await feed();
        const plan = await cluster.planNext();
        for (const attempt of [0, 1, 2]) {
          cluster.order({ plan, attempt });
          await cluster.mapped({ plan, attempt });
          await cluster.done({ plan, attempt });
        }
        await cluster.commit(plan, await cluster.done({ plan, attempt: 2 }));
        await feed();
        await cluster.step();
      }));
  }

  for (const point of points) {
    test(`whoever writes stops at ${point}, is replaced by a worker without its state, and wakes up`, () =>
      withCluster(totals, ['a'], async ({ cluster, feed }) => {
        await feed();
        await cluster.step();
        const wakes = Promise.withResolvers<void>();
        const stands = Promise.withResolvers<void>();
        cluster.workers.get('a')?.failpoints.set(point, () => {
          stands.resolve();
          return wakes.promise;
        });
        await feed();
        const plan = await cluster.planNext();
        cluster.order({ plan, attempt: 0 });
        await stands.promise;
        cluster.addWorker('b');
        cluster.addWorker('c');
        await cluster.use(['b', 'c']);
        cluster.order({ plan, attempt: 1 });
        await cluster.mapped({ plan, attempt: 1 });
        await cluster.commit(plan, await cluster.done({ plan, attempt: 1 }));
        // It has heard of nothing of that.
        wakes.resolve();
        await feed();
        await cluster.step();
        await cluster.use(['c', 'a']);
        await feed();
        await cluster.step();
      }));
  }

  test('what was written and not committed by the master is left out after a new leader, too', () =>
    withCluster(totals, ['a', 'b'], async ({ cluster, feed, log }) => {
      await feed();
      await cluster.step();
      await feed();
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.done({ plan, attempt: 0 });
      const written = rowsOf(log);
      cluster.token = 2;
      cluster.addWorker('c');
      await cluster.use(['c']);
      cluster.order({ plan, attempt: 0 });
      await cluster.mapped({ plan, attempt: 0 });
      await cluster.commit(plan, await cluster.done({ plan, attempt: 0 }));
      assert.deepEqual(rowsOf(log), written);
      await feed();
      await cluster.step();
    }));

  test('an epoch that repeats one of a former run is known by its time', () =>
    withCluster(totals, ['a'], async ({ cluster, feed, expected }) => {
      await feed();
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.mapped({ plan, attempt: 0 });
      await cluster.commit(plan, await cluster.done({ plan, attempt: 0 }));
      const before = new Map(expected.rows);
      await feed();
      // Its rows are there already, says the time that it had.
      expected.rows.clear();
      for (const [key, rows] of before) expected.rows.set(key, rows);
      const next = await cluster.planNext();
      const repeated = { ...next, repeats: plan.epochTsUs };
      cluster.order({ plan: repeated, attempt: 0 });
      await cluster.mapped({ plan: repeated, attempt: 0 });
      await cluster.commit(repeated, await cluster.done({ plan: repeated, attempt: 0 }));
    }));
});
