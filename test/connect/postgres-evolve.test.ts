/**
 * Records that are given new fields while a job runs, `onSchemaChange: evolve`, into a table of a real PostgreSQL: the
 * example of docs/connectors/postgres.md, over a worker that is killed and a server that is down when the change comes.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { PostgresServer } from './postgres-server.ts';
import { Testbed } from './testbed.ts';

describe('a PostgreSQL table that follows the records', { timeout: 1_800_000 }, () => {
  let server: PostgresServer;
  let bed: Testbed;
  before(async () => {
    server = await PostgresServer.start();
    bed = await Testbed.open({ POSTGRES_URL: server.url });
  });
  after(async () => {
    await bed?.close();
    await server?.dispose();
  });

  const columns = async (table: string): Promise<string[]> => {
    const found = await server.query(
      `SELECT column_name || ' ' || data_type AS c FROM information_schema.columns
       WHERE table_schema || '.' || table_name = '${table}' ORDER BY ordinal_position`,
    );
    return found.map(({ c }) => String(c));
  };
  const revision = async (job: string, expected: number): Promise<void> => {
    await until(`${job} runs as revision ${expected}`, 120_000, async () => {
      const { row } = await bed.cluster.job(job);
      if (row.state === 'failed') throw new Error(JSON.stringify(row.reason));
      return row.revision === expected && row.state === 'running';
    });
  };
  const written = async (table: string, rows: number): Promise<void> => {
    await until(`${table} has ${rows} rows`, 120_000, async () => {
      const [row] = await server.query(`SELECT count(*)::int AS n FROM ${table}`);
      return row?.['n'] === rows;
    });
  };
  const rowsOf = async (table: string): Promise<unknown[]> => await server.query(`SELECT * FROM ${table} ORDER BY id`);

  test('the example of the page: new fields become columns, each row is there once', async () => {
    await bed.createTopic('signups', 1);
    await bed.produce('signups', 1, [{ id: 1, name: 'Ada' }, { id: 2 }]);
    const worker = await bed.cluster.startWorker();
    await bed.cluster.apply('signups-to-postgres', docJob('signups-to-postgres'));
    await written('crm.signups', 2);
    assert.deepEqual(await columns('crm.signups'), ['id bigint', 'name text']);

    // The field is met, and the worker that told of it dies.
    await bed.produce('signups', 1, [{ id: 3, name: 'Bob', plan: 'pro', seats: 5 }]);
    await written('crm.signups', 3);
    await bed.replace(worker);
    await bed.produce('signups', 1, [{ id: 4, name: 'Cleo', plan: 'free', seats: 1 }]);
    await revision('signups-to-postgres', 2);
    await bed.produce('signups', 1, [
      { id: 5, name: 'Dan', plan: 'pro', seats: 12 },
      { id: 6, name: 'Eve' },
    ]);
    await written('crm.signups', 6);
    assert.deepEqual(await columns('crm.signups'), ['id bigint', 'name text', 'plan text', 'seats bigint']);
    const rows = await rowsOf('crm.signups');
    assert.deepEqual(
      rows.filter((row) => Number((row as { id: string }).id) !== 4),
      [
        { id: '1', name: 'Ada', plan: null, seats: null },
        { id: '2', name: null, plan: null, seats: null },
        // Read before the new revision.
        { id: '3', name: 'Bob', plan: null, seats: null },
        { id: '5', name: 'Dan', plan: 'pro', seats: '12' },
        { id: '6', name: 'Eve', plan: null, seats: null },
      ],
    );
    assert.equal((await bed.cluster.job('signups-to-postgres')).counters.dead, 0);
  });

  test('a server that is down when the change comes: the column comes when it is back', async () => {
    await bed.createTopic('later', 1);
    const job = docJob('signups-to-postgres')
      .replaceAll('signups-to-postgres', 'later')
      .replace('topic: signups', 'topic: later')
      .replace('crm.signups', 'crm.later');
    await bed.cluster.apply('later', job);
    await bed.produce('later', 1, [{ id: 1, name: 'Ada' }]);
    await written('crm.later', 1);
    await server.crash();
    await bed.produce('later', 1, [{ id: 2, name: 'Bob', plan: 'pro' }]);
    await until('the master was told, and cannot ask the server', 120_000, async () => {
      const { output } = await bed.cluster.weir(['events', '--job', 'later']);
      return /does not take new fields yet|cannot take the new fields/.test(output);
    });
    await server.restart();
    await revision('later', 2);
    await bed.produce('later', 1, [{ id: 3, name: 'Cleo', plan: 'free' }]);
    await written('crm.later', 3);
    assert.deepEqual(await columns('crm.later'), ['id bigint', 'name text', 'plan text']);
    assert.deepEqual(
      (await rowsOf('crm.later')).map((row) => (row as { id: string }).id),
      ['1', '2', '3'],
    );
  });
});
