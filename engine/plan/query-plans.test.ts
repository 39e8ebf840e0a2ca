import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import { checkStages } from './test-stages.ts';
import { columnOrigins } from './column-origins.ts';
import type { EpochsPlan } from './epoch-plan.ts';
import { explainMermaid } from './explain-chart.ts';
import { explainJob } from './explain.ts';
import { planJob } from './plan-job.ts';
import { compareState } from './state-compat.ts';

const columns = `id STRING NOT NULL, word STRING, n BIGINT, d DOUBLE, tags ARRAY<STRING>, s STRUCT<x: INT, y: STRING>,
  m MAP<STRING, INT>, ts TIMESTAMP`;

function planned(query: string, outputMode: JobSpecInput['outputMode']): EpochsPlan {
  const reads = (name: string): boolean => new RegExp(`\\b(FROM|JOIN) ${name}\\b`).test(query);
  const source = (topic: string) =>
    ({ connector: 'kafka', topic, schema: columns, watermark: { column: 'ts', delay: '10s' } }) as const;
  const { plan, problems } = planJob(
    jobSpecSchema.parse({
      apiVersion: 'weir/v1',
      kind: 'Job',
      name: 'job',
      sources: { ...(reads('a') ? { a: source('a') } : {}), ...(reads('b') ? { b: source('b') } : {}) },
      ...(reads('t') ? { tables: { t: { schema: 'k STRING, v INT, w BOOLEAN', rows: [['k', 1, true]] } } } : {}),
      query,
      outputMode,
      sinks: [{ connector: 'console' }],
      trigger: 'manual',
    } satisfies JobSpecInput),
    { tables: null },
  );
  assert.deepEqual(problems, []);
  assert.ok(plan?.protocol === 'epochs');
  return plan;
}

const append = [
  'SELECT n FROM a',
  'SELECT * FROM a WHERE n > 1',
  'SELECT id, tag FROM a LATERAL VIEW explode(tags) x AS tag WHERE tag <> id',
  'SELECT id, posexplode(tags) FROM a UNION ALL SELECT word, 1, id FROM b',
  'SELECT word, n FROM a UNION ALL SELECT id, n + 1 FROM a WHERE n > 2 UNION ALL SELECT y, x FROM (SELECT s.* FROM b)',
  'SELECT a.id, t.v FROM a JOIN t ON a.word = t.k AND a.n > t.v',
  'SELECT a.id, t.v + n AS x FROM t RIGHT JOIN a ON a.word = t.k AND t.w',
  'SELECT id FROM a LEFT SEMI JOIN (SELECT upper(k) AS k FROM t WHERE w) u ON a.word = u.k',
  'SELECT id, tag, v FROM (SELECT id, explode(tags) AS tag, n FROM a) x JOIN t ON x.tag = t.k WHERE n > v',
  'SELECT DISTINCT word, n FROM a',
  'SELECT DISTINCT ON (id) word, s FROM a',
  'SELECT DISTINCT ON (id) WITHIN WATERMARK id, n FROM a',
  'SELECT id FROM (SELECT DISTINCT ON (id, ts) * FROM a) WHERE n > 1 LIMIT 10',
  "SELECT window.end AS e, count(*) AS c FROM a GROUP BY window(ts, '5 seconds')",
  "SELECT window.start, upper(word) AS w, sum(n), sum(n * 2), count(DISTINCT id) FILTER (WHERE n > 1) FROM a GROUP BY window(ts, '1 minute', '20 seconds', '5 seconds'), upper(word) HAVING sum(n) > 3",
  'SELECT ts, max(d) AS top, min_by(word, n) AS w FROM a GROUP BY ts',
  "SELECT tag, window, count(*) AS c FROM (SELECT explode(tags) AS tag, ts FROM a) GROUP BY tag, window(ts, '1 hour')",
  "SELECT word, session_window.start AS st, count(*) AS c, sum(n) FROM a GROUP BY word, session_window(ts, '10 seconds')",
  "SELECT word, count(*) FROM a GROUP BY word, session_window(ts, CASE WHEN n > 1 THEN '1 minute' ELSE '5 seconds' END)",
  "SELECT window, max(c) FROM (SELECT window_time(window) AS wt, word, count(*) AS c FROM a GROUP BY window(ts, '5 seconds'), word) GROUP BY window(wt, '1 minute')",
  'SELECT l.id, r.word, r.s FROM a l JOIN b r ON l.id = r.id AND l.n + 1 = r.n AND r.ts BETWEEN l.ts AND l.ts + INTERVAL 1 MINUTE AND l.d > r.d',
  'SELECT l.*, r.n AS rn FROM a l LEFT JOIN b r ON l.id = r.id AND r.ts >= l.ts - INTERVAL 5 SECONDS AND r.ts <= l.ts + INTERVAL 5 SECONDS',
  'SELECT l.id AS x, r.id AS y FROM a l FULL OUTER JOIN b r ON l.word = r.word AND l.ts = r.ts',
  'SELECT l.n FROM a l LEFT ANTI JOIN b r ON l.id = r.id AND r.ts BETWEEN l.ts AND l.ts + INTERVAL 1 MINUTE',
  'SELECT l.n, r.n AS rn FROM a l JOIN a r ON l.id <=> r.word',
  "SELECT window.start, word, count(*) FROM (SELECT l.ts, r.word FROM a l JOIN b r ON l.id = r.id AND r.ts BETWEEN l.ts AND l.ts + INTERVAL 1 MINUTE) GROUP BY window(ts, '1 minute'), word",
  "SELECT l.c, r.c AS rc FROM (SELECT window, count(*) AS c FROM a GROUP BY window(ts, '5 seconds')) l JOIN (SELECT window, count(*) AS c FROM b GROUP BY window(ts, '5 seconds')) r ON l.window = r.window",
  'WITH q AS (SELECT DISTINCT ON (id, ts) id, ts, n FROM a) SELECT x.id, y.n FROM q x JOIN q y ON x.id = y.id AND x.ts = y.ts',
  "SELECT v, window.start, count(*) FROM a JOIN t ON a.word = t.k GROUP BY v, window(ts, '5 seconds')",
  "SELECT window.start, k, c FROM (SELECT window, word AS k, count(*) AS c FROM a GROUP BY window(ts, '5 seconds'), word) LEFT SEMI JOIN t USING (k)",
  "SELECT window, id FROM (SELECT *, row_number() OVER (PARTITION BY window ORDER BY n DESC, id) AS rn FROM (SELECT window(ts, '5 seconds') AS window, id, n FROM a)) WHERE rn <= 2",
];
const update = [
  'SELECT word, count(*), avg(d), first(s.y) FROM a GROUP BY word',
  'SELECT count(*) FROM a',
  'SELECT n, count(*) FROM (SELECT n FROM a UNION ALL SELECT n + 1 FROM a) GROUP BY n',
  'SELECT word, id, lag(n, 2, 0) OVER (PARTITION BY word ORDER BY ts) AS before FROM a',
  'SELECT id, n FROM (SELECT *, row_number() OVER (PARTITION BY upper(word) ORDER BY n + d DESC) AS rn FROM a) WHERE rn < 4',
];
const complete = [
  'SELECT word, count(*) AS c FROM a GROUP BY word ORDER BY c DESC, word LIMIT 5',
  'SELECT word FROM a GROUP BY word ORDER BY length(word) + count(*)',
  'SELECT count(DISTINCT word), max(n) FROM a',
];

suite('plans hold together', () => {
  for (const [mode, queries] of [
    ['append', append],
    ['update', update],
    ['complete', complete],
  ] as const) {
    for (const query of queries) {
      test(`${mode}: ${query}`, () => {
        const plan = planned(query, mode);
        checkStages(plan);
        assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan, 'a plan survives JSON');
        assert.deepEqual(compareState(plan, plan), { kind: 'same' });
        for (const ports of columnOrigins(plan).values()) assert.ok(ports.length > 0);
        assert.match(explainJob(plan), /protocol: epochs/);
        assert.match(explainMermaid(plan), /^flowchart LR/);
      });
    }
  }
});
