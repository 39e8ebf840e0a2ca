import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { loadJobFile } from '../../core/job/file.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import { pieceOf } from './sample-run.ts';
import { ThreadLab } from './thread-lab.ts';

const lab = new ThreadLab();
after(async () => await lab.close());

function plan(query: string, more = ''): JobPlan {
  const text = `apiVersion: weir/v1
kind: Job
name: sample
sources:
  users: { connector: kafka, topic: users, schema: 'id STRING NOT NULL, age INT, ts TIMESTAMP, tags ARRAY<STRING>'${more} }
query: ${query}
sinks: [{ connector: blackhole }]
`;
  const { spec, problems } = loadJobFile(text);
  assert.deepEqual(problems, []);
  assert.ok(spec);
  const planned = planJob(spec, { tables: null });
  assert.deepEqual(planned.problems, []);
  assert.ok(planned.plan);
  return planned.plan;
}

const users = [
  { id: 'a', age: 20, ts: '2024-05-01T10:00:00Z', tags: ['x', 'y'] },
  { id: 'b', age: 40, ts: '2024-05-01T10:00:05Z' },
  '{ no JSON',
  { id: 'c', age: 60, ts: '2024-05-01T10:01:00Z' },
];

suite('lab', () => {
  test('rows of a stateless job, what was filtered and what is bad', async () => {
    const result = await lab.runRecords(
      plan('SELECT id, age * 2 AS double FROM users WHERE age >= 40'),
      { users },
      null,
      10,
    );
    assert.deepEqual(result, {
      columns: [
        { name: 'id', type: 'STRING' },
        { name: 'double', type: 'INT' },
      ],
      rows: [
        ['b', 80],
        ['c', 120],
      ],
      deadLetters: [{ code: 'RECORD_NOT_JSON', count: 1 }],
      filtered: 1,
    });
  });

  test('rows as they leave one operator', async () => {
    const exploded = plan('SELECT id, upper(tag) AS tag FROM users LATERAL VIEW explode(tags) t AS tag WHERE age < 50');
    const at = async (operator: number | null): Promise<unknown> => {
      const { columns, rows } = await lab.runRecords(exploded, { users }, { stage: 0, operator }, 2);
      return { columns: columns.map(({ name }) => name), rows: rows.length };
    };
    assert.deepEqual(await at(null), { columns: ['id', 'tag'], rows: 2 });
    const first = await lab.runRecords(exploded, { users }, { stage: 0, operator: 0 }, 10);
    assert.ok(first.rows.length >= 2);
    await assert.rejects(lab.runRecords(exploded, { users }, { stage: 7, operator: null }, 2), { code: 'NOT_FOUND' });
  });

  test('a windowed count gives its windows, and the rows that go into it', async () => {
    const windows = plan(
      "SELECT window.start AS start, count(*) AS n FROM users GROUP BY window(ts, '1 minute')",
      ', watermark: { column: ts, delay: 1m }',
    );
    const whole = await lab.runRecords(windows, { users }, null, 10);
    assert.deepEqual(whole.rows.map(([, n]) => n).toSorted(), [1, 2]);
    const input = await lab.runRecords(windows, { users }, { stage: 0, operator: null }, 10);
    assert.equal(input.rows.length, 3);
  });

  test('messages: keys, values, headers, offsets, bytes cut', async () => {
    const piece = pieceOf('users', ['hello', null], 5);
    const [first, second] = await lab.decode([piece], { bytesMax: 2, limit: 10 });
    assert.deepEqual(first, {
      partition: 0,
      offset: 0,
      timestampMs: 5,
      key: null,
      value: Buffer.from('he').toString('base64'),
      valueBytes: 5,
      headers: [],
    });
    assert.deepEqual([second?.value, second?.valueBytes, second?.offset], [null, null, 1]);
    assert.equal((await lab.decode([{ ...piece, from: 1 }], { bytesMax: 2, limit: 10 })).length, 1);
    assert.equal((await lab.decode([piece], { bytesMax: 2, limit: 1 })).length, 1);
  });

  test('what takes too long is ended, and the next request is served', async () => {
    const hasty = new ThreadLab({ limitMs: 1 });
    const many = Array.from({ length: 1000 }, () => users[0] ?? null);
    await assert.rejects(hasty.runRecords(plan('SELECT id FROM users'), { users: many }, null, 10), {
      code: 'TIMED_OUT',
    });
    await hasty.close();
    assert.equal((await lab.runRecords(plan('SELECT id FROM users'), { users: many }, null, 3)).rows.length, 3);
  });
});
