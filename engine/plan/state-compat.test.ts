import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import type { EpochsPlan } from './epoch-plan.ts';
import { planJob } from './plan-job.ts';
import { compareState, type StateCompatibility } from './state-compat.ts';

const schema = 'id STRING NOT NULL, word STRING, n BIGINT, m BIGINT, ts TIMESTAMP';

function planned(query: string, changes: Partial<JobSpecInput> = {}): EpochsPlan {
  const source = (topic: string) =>
    ({ connector: 'kafka', topic, schema, watermark: { column: 'ts', delay: '10s' } }) as const;
  const { plan, problems } = planJob(
    jobSpecSchema.parse({
      apiVersion: 'weir/v1',
      kind: 'Job',
      name: 'job',
      sources: { a: source('a'), ...(query.includes(' b ') ? { b: source('b') } : {}) },
      query,
      sinks: [{ connector: 'console' }],
      trigger: 'manual',
      ...changes,
    } satisfies JobSpecInput),
    { tables: null },
  );
  assert.deepEqual(problems, []);
  assert.ok(plan?.protocol === 'epochs');
  return plan;
}

const compare = (before: string, after: string): StateCompatibility => compareState(planned(before), planned(after));

function reasons(before: string, after: string): readonly string[] {
  const found = compare(before, after);
  assert.ok(found.kind === 'incompatible', `${before}\n${after}\nare ${found.kind}`);
  return found.reasons;
}

const counts = `SELECT window.start AS s, word, count(*) AS c, sum(n) AS total FROM a GROUP BY window(ts, '5 seconds'), word`;

suite('what keeps its meaning', () => {
  test('the same job', () => {
    assert.deepEqual(compare(counts, counts), { kind: 'same' });
  });

  test('filters, projections, names, sinks, triggers, delays', () => {
    for (const other of [
      counts.replace('FROM a', 'FROM a WHERE n > 3'),
      counts.replace('SELECT', 'SELECT upper(word) AS loud,'),
      counts.replace('AS total', 'AS everything'),
      counts.replace('FROM a', 'FROM (SELECT ts, word AS word, n, m FROM a)'),
      `${counts} HAVING count(*) > 1`,
    ])
      assert.deepEqual(compare(counts, other), { kind: 'same' }, other);
    const changed = planned(counts, {
      trigger: '5s',
      onLate: 'deadLetter',
      sinks: [{ connector: 'blackhole' }],
      sources: {
        a: {
          connector: 'kafka',
          topic: 'a',
          schema,
          watermark: { column: 'ts', delay: '1m' },
          maxOffsetsPerTrigger: 5,
        },
      },
    });
    assert.deepEqual(compareState(planned(counts), changed), { kind: 'same' });
  });

  test('aggregates that come begin empty, those that go are dropped', () => {
    const more = counts.replace('count(*) AS c', 'max(n) AS most, count(*) AS c');
    assert.deepEqual(compare(counts, more), {
      kind: 'compatible',
      migrations: [{ operatorId: 'aggregate-1', from: 1, to: 1, aggregates: [-1, 0, 1] }],
      notes: ['aggregate-1 begins max(n) empty, with what comes from now on'],
    });
    const back = compare(more, counts);
    assert.ok(back.kind === 'compatible');
    assert.deepEqual(back.migrations[0]?.aggregates, [1, 2]);
    assert.deepEqual(back.notes, ['aggregate-1 drops max(n)']);
  });

  test('an aggregate over something else is another one', () => {
    const found = compare(counts, counts.replace('sum(n)', 'sum(m)'));
    assert.ok(found.kind === 'compatible');
    assert.deepEqual(found.migrations[0]?.aggregates, [0, -1]);
    const computed = compare(counts, counts.replace('FROM a', 'FROM (SELECT ts, word, n * 2 AS n FROM a)'));
    assert.ok(computed.kind === 'compatible');
    assert.deepEqual(computed.migrations[0]?.aggregates, [0, -1]);
  });

  test('a second source in front moves the stages', () => {
    const both = 'SELECT DISTINCT ON (id) id FROM a';
    const job = planned(both);
    const stages = [job.stages[0], ...job.stages].flatMap((stage) => stage ?? []);
    const moved = stages.map((stage) =>
      stage.kind === 'map'
        ? {
            ...stage,
            branches: stage.branches.map((branch) =>
              branch.target.kind === 'exchange' ? { ...branch, target: { ...branch.target, stage: 2 } } : branch,
            ),
          }
        : stage,
    );
    const found = compareState(job, { ...job, stages: moved });
    assert.ok(found.kind === 'compatible');
    assert.deepEqual(found.migrations, [{ operatorId: 'dedup-1', from: 1, to: 2, aggregates: null }]);
  });

  test('other columns beside the keys of DISTINCT', () => {
    assert.deepEqual(compare('SELECT DISTINCT ON (id) id, n FROM a', 'SELECT DISTINCT ON (id) id, m, word FROM a'), {
      kind: 'same',
    });
  });

  test('state where there was none, or none where there was some', () => {
    const plain = 'SELECT id FROM a';
    const found = compare(plain, counts);
    assert.ok(found.kind === 'compatible');
    assert.deepEqual(found.migrations, [{ operatorId: 'aggregate-1', from: -1, to: 1, aggregates: null }]);
    const back = compare(counts, plain);
    assert.ok(back.kind === 'compatible');
    assert.deepEqual(back.migrations[0]?.to, -1);
  });
});

suite('what is refused, with the reason', () => {
  test('keys and windows', () => {
    assert.deepEqual(reasons(counts, counts.replaceAll("'5 seconds'", "'10 seconds'")), [
      'aggregate-1 is keyed by (window(ts, 10s) STRUCT<start: TIMESTAMP, end: TIMESTAMP>, word STRING), was by (window(ts, 5s) STRUCT<start: TIMESTAMP, end: TIMESTAMP>, word STRING)',
    ]);
    const other = "SELECT window.start AS s, id, count(*) AS c FROM a GROUP BY window(ts, '5 seconds'), id";
    assert.match(reasons(counts, other).join(), /is keyed by \(.*id STRING\), was by \(.*word STRING\)/);
    // The same name and type, and something else.
    const loud = counts.replace('FROM a', 'FROM (SELECT ts, upper(word) AS word, n FROM a)');
    assert.match(reasons(counts, loud).join(), /upper\(word\) STRING\), was by/);
  });

  test('windows that overlap, when their aggregates make panes of them or no more', () => {
    const sliding = (aggregates: string) =>
      `SELECT window.start AS s, word, ${aggregates} FROM a GROUP BY window(ts, '10 seconds', '5 seconds'), word`;
    const [panes, windows] = [sliding('count(*) AS c'), sliding('count(*) AS c, first(n) AS f')];
    assert.deepEqual(reasons(panes, windows), [
      'aggregate-1 keeps windows with the aggregates that it has now, kept panes with those that it had',
    ]);
    assert.deepEqual(reasons(windows, panes), [
      'aggregate-1 keeps panes with the aggregates that it has now, kept windows with those that it had',
    ]);
    const more = compare(panes, sliding('count(*) AS c, sum(n) AS total'));
    assert.ok(more.kind === 'compatible');
    assert.deepEqual(more.migrations[0]?.aggregates, [0, -1]);
  });

  test('sessions', () => {
    const sessions = `SELECT word, count(*) AS c FROM a GROUP BY session_window(ts, '10 seconds'), word`;
    assert.deepEqual(compare(sessions, sessions), { kind: 'same' });
    assert.match(
      reasons(sessions, sessions.replace('10 seconds', '20 seconds')).join(),
      /makes sessions of .* made them of/,
    );
    assert.match(reasons(sessions, counts).join(), /aggregate-1 is an aggregate, was sessions/);
  });

  test('joins', () => {
    const join =
      'SELECT l.id, r.n FROM a l JOIN b r ON l.id = r.id AND r.ts BETWEEN l.ts AND l.ts + INTERVAL 10 SECONDS';
    assert.deepEqual(compare(join, join), { kind: 'same' });
    assert.deepEqual(reasons(join, join.replace('JOIN', 'LEFT JOIN')), [
      'join-1 joins as LEFT JOIN, joined as INNER JOIN',
    ]);
    assert.match(reasons(join, join.replace('10 SECONDS', '20 SECONDS')).join(), /another condition/);
    assert.match(reasons(join, join.replace('r.n', 'r.m')).join(), /keeps of its right side \(m BIGINT/);
    assert.match(
      reasons(join, join.replaceAll('id = r.id', 'word = r.word')).join(),
      /is keyed by \(word STRING, word STRING\)/,
    );
  });

  test('other operators, sources and watermarks', () => {
    const distinct = counts.replace('FROM a', 'FROM (SELECT DISTINCT id, word, n, ts FROM a)');
    assert.deepEqual(reasons(counts, distinct), [
      'dedup-1 (DISTINCT) is new and would not know what came before',
      'aggregate-1 gets the rows of dedup-1, got those of source a',
    ]);
    assert.match(reasons(distinct, counts).join(), /dedup-1 \(DISTINCT\) is gone/);
    const job = planned(counts);
    const moved = { ...job, sources: job.sources.map((source) => ({ ...source, topic: 'x' })) };
    assert.deepEqual(compareState(job, moved), {
      kind: 'incompatible',
      reasons: ['the source a reads the topic x, read a'],
    });
    const unmarked = { ...job, watermarks: [] };
    assert.deepEqual(compareState(job, unmarked), {
      kind: 'incompatible',
      reasons: ['the watermark is taken from nothing, was from a.ts'],
    });
  });

  test('the time zone', () => {
    const found = compareState(planned(counts), planned(counts, { timeZone: 'Europe/Berlin' }));
    assert.deepEqual(found, { kind: 'incompatible', reasons: ['the time zone is Europe/Berlin, was UTC'] });
  });

  test('what an aggregate over an aggregate would take back', () => {
    const chained = (condition: string, calls: string): EpochsPlan =>
      planned(
        `SELECT c, ${calls} FROM (SELECT word, count(*) AS c FROM a GROUP BY word HAVING ${condition}) GROUP BY c`,
        { outputMode: 'update' },
      );
    const before = chained('count(*) > 1', 'count(*) AS n');
    assert.deepEqual(compareState(before, chained('count(*) > 1', 'count(*) AS m')), { kind: 'same' });
    const reasonsOf = (after: EpochsPlan): readonly string[] => {
      const found = compareState(before, after);
      return found.kind === 'incompatible' ? found.reasons : [];
    };
    assert.deepEqual(reasonsOf(chained('count(*) > 2', 'count(*) AS n')), [
      'aggregate-2 would take back rows by other conditions than they were added by',
    ]);
    assert.deepEqual(reasonsOf(chained('count(*) > 1', 'count(*) AS n, max(word) AS top')), [
      'aggregate-2 would take back rows from an aggregate that they were never added to',
    ]);
  });

  test('operators that change places', () => {
    const of = (condition: string): string =>
      `SELECT word, count(*) AS c FROM a WHERE ${condition} GROUP BY window(ts, '5 seconds'), word`;
    const [many, few] = [of('n > 5'), of('n <= 5')];
    assert.deepEqual(compare(`${many} UNION ALL ${few}`, `${of('n > 6')} UNION ALL ${of('n <= 6')}`), { kind: 'same' });
    assert.deepEqual(reasons(`${many} UNION ALL ${few}`, `${few} UNION ALL ${many}`), [
      'aggregate-1 filters its rows as aggregate-2 did: the queries have changed places',
      'aggregate-2 filters its rows as aggregate-1 did: the queries have changed places',
    ]);
  });

  test('the output mode', () => {
    const update = planned(counts, { outputMode: 'update' });
    assert.deepEqual(compareState(planned(counts), update), {
      kind: 'incompatible',
      reasons: ['aggregate-1 runs in update mode, ran in append mode'],
    });
  });

  test('rows in order', () => {
    const top = (by: string, most: number): EpochsPlan =>
      planned(
        `SELECT word, id FROM (SELECT *, row_number() OVER (PARTITION BY word ORDER BY ${by}) AS rn FROM a) WHERE rn <= ${most}`,
        { outputMode: 'update' },
      );
    assert.deepEqual(compareState(top('n', 3), top('n', 3)), { kind: 'same' });
    const other = compareState(top('n', 3), top('m', 4));
    assert.ok(other.kind === 'incompatible');
    assert.ok(other.reasons.some((reason) => reason.includes('keeps 4 rows of a key, kept 3')));
  });

  test('rows that are equal to the last one, kept or not', () => {
    const first = (name: string): EpochsPlan =>
      planned(
        `SELECT word, id FROM (SELECT *, rank() OVER (PARTITION BY word ORDER BY n) AS r, row_number() OVER (PARTITION BY word ORDER BY n) AS rn FROM a) WHERE ${name} = 1`,
        { outputMode: 'update' },
      );
    const [ranks, numbers] = [first('r'), first('rn')];
    assert.deepEqual(compareState(ranks, numbers), {
      kind: 'incompatible',
      reasons: ['rank-1 keeps no rows that are equal to the last one of a key, and did'],
    });
    assert.deepEqual(compareState(numbers, ranks), {
      kind: 'incompatible',
      reasons: ['rank-1 keeps rows that are equal to the last one of a key too, and did not'],
    });
  });
});
