import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobText } from '../../engine/epoch/test-run.ts';
import { TestCluster } from './test-cluster.ts';

const FIELDS = 'id STRING, a STRING, b STRING, g BIGINT';
const TABLE = { connector: 'cassandra', keyspace: 'app', table: 'latest', primaryKey: ['id'], create: true };
const LATEST = 'SELECT id, a, b FROM app.latest';

interface Row {
  readonly id: string;
  readonly a: string;
  readonly b: string;
  readonly g?: number;
}

/** Rows of one key of which neither is the larger in every column: a tie would leave a bit of each. */
function versions(id: string): readonly [Row, Row] {
  return [
    { id, a: 'y', b: 'x', g: 1 },
    { id, a: 'x', b: 'y', g: 2 },
  ];
}

async function onWorkers(
  names: readonly string[],
  job: string,
  body: (cluster: TestCluster) => Promise<void>,
): Promise<unknown[][]> {
  const cluster = await TestCluster.start(job);
  try {
    for (const name of names) cluster.addWorker(name);
    await cluster.use(names);
    await body(cluster);
    return await cluster.rows(LATEST);
  } finally {
    await cluster.close();
  }
}

const ids = Array.from({ length: 20 }, (_, index) => `id${String(index).padStart(2, '0')}`);
const plain = jobText('SELECT id, a, b FROM ev', { ev: FIELDS }, { sinks: [TABLE] });
const all = (row: (id: string) => Row): unknown[][] => ids.map((id) => [id, row(id).a, row(id).b]);

for (const names of [['a'], ['a', 'b']]) {
  suite(`rows of one primary key in one epoch, ${names.length} workers`, () => {
    for (const first of [0, 1]) {
      test(`of two partitions: the one of the later partition stays whole (${first})`, async () => {
        const rows = await onWorkers(names, plain, async (cluster) => {
          const rowOf = (index: number) => (id: string) => versions(id)[((first + index) % 2) as 0 | 1];
          await cluster.append('ev', 0, ids.map(rowOf(0)));
          await cluster.append('ev', 1, ids.map(rowOf(1)));
          await cluster.step();
        });
        assert.deepEqual(
          rows,
          all((id) => versions(id)[((first + 1) % 2) as 0 | 1]),
        );
      });

      test(`of several tasks of a partition: the last record's stays whole (${first})`, async () => {
        const rows = await onWorkers(names, plain, async (cluster) => {
          for (let batch = 0; batch < 5; batch++)
            await cluster.append('ev', 0, [
              ...ids.map((id) => versions(id)[((first + batch) % 2) as 0 | 1]),
              // So that each batch is a task of its own.
              { id: 'long', a: 'l'.repeat(700_000), b: String(batch) },
            ]);
          await cluster.step();
        });
        assert.deepEqual(
          rows.filter(([id]) => id !== 'long'),
          all((id) => versions(id)[first as 0 | 1]),
        );
        assert.equal(rows.find(([id]) => id === 'long')?.[2], '4');
      });

      test(`of two sources: that of the source named last stays whole (${first})`, async () => {
        const job = jobText(
          'SELECT id, a, b FROM zz UNION ALL SELECT id, a, b FROM ev',
          { zz: FIELDS, ev: FIELDS },
          { sinks: [TABLE] },
        );
        const rows = await onWorkers(names, job, async (cluster) => {
          await cluster.append(
            'zz',
            1,
            ids.map((id) => versions(id)[first as 0 | 1]),
          );
          await cluster.append(
            'ev',
            0,
            ids.map((id) => versions(id)[(1 - first) as 0 | 1]),
          );
          await cluster.step();
        });
        assert.deepEqual(
          rows,
          all((id) => versions(id)[(1 - first) as 0 | 1]),
        );
      });

      test(`of a record and of a state stage: the latter's stays whole (${first})`, async () => {
        const job = jobText(
          `SELECT id, a, b FROM ev UNION ALL SELECT DISTINCT id, a, b FROM zz`,
          { zz: FIELDS, ev: FIELDS },
          { sinks: [TABLE] },
        );
        const rows = await onWorkers(names, job, async (cluster) => {
          await cluster.append(
            'zz',
            1,
            ids.map((id) => versions(id)[first as 0 | 1]),
          );
          await cluster.append(
            'ev',
            0,
            ids.map((id) => versions(id)[(1 - first) as 0 | 1]),
          );
          await cluster.step();
        });
        assert.deepEqual(
          rows,
          all((id) => versions(id)[first as 0 | 1]),
        );
      });
    }
  });
}

suite('rows of one primary key out of several key groups', () => {
  const job = jobText('SELECT DISTINCT id, a, b, g FROM ev', { ev: FIELDS }, { sinks: [TABLE] });
  const given = ids.flatMap((id) => versions(id));
  const onOne = (): Promise<unknown[][]> =>
    onWorkers(['a'], job, async (cluster) => {
      await cluster.append('ev', 0, given);
      await cluster.step();
    });

  test('one stays whole, the same on any workers', async () => {
    const one = await onOne();
    assert.deepEqual(
      one.map(([id]) => id),
      ids,
    );
    for (const [id, a, b] of one) assert.notEqual(a, b, `${String(id)} is mixed`);
    const onThree = await onWorkers(['a', 'b', 'c'], job, async (cluster) => {
      await cluster.append('ev', 0, given.toReversed());
      await cluster.step();
    });
    assert.deepEqual(onThree, one);
  });

  test('the same one stays when a worker ends and the others write the epoch again', async () => {
    const rows = await onWorkers(['a', 'b', 'c'], job, async (cluster) => {
      await cluster.append('ev', 0, given);
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.done({ plan, attempt: 0 });
      await cluster.kill('c');
      for (const attempt of [1, 2, 3]) {
        await cluster.use(['a', 'b']);
        cluster.order({ plan, attempt });
        await cluster.done({ plan, attempt });
      }
      await cluster.commit(plan, []);
    });
    assert.deepEqual(rows, await onOne());
  });
});
