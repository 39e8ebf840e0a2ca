import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema } from '../core/job/spec.ts';
import { explainJob } from '../engine/plan/explain.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { defineJob } from './job.ts';
import { from, sessionWindow, sql, window } from './query.ts';
import type { Query } from './query.ts';

const source = (topic: string, schema: string) => ({
  connector: 'kafka' as const,
  topic,
  schema: `${schema}, ts TIMESTAMP`,
});
const sources = {
  clicks: source('clicks', 'user STRING, page STRING, ms INT'),
  views: source('views', 'user STRING, ad STRING'),
};

/** The job's plan as JSON, without what only says where the query stands. */
function planOf(query: string | Query, outputMode: 'append' | 'update' | 'complete'): unknown {
  const text = typeof query === 'string' ? query : query.toSql();
  const read = Object.entries(sources).filter(([name]) => new RegExp(`(FROM|JOIN) ${name}\\b`).test(text));
  const { document } = defineJob({
    name: 'built',
    sources: Object.fromEntries(read),
    query,
    sinks: [{ connector: 'console' }],
    outputMode,
    trigger: 'manual',
  });
  const { plan, problems } = planJob(jobSpecSchema.parse(document), { tables: null });
  assert.deepEqual(problems, [], text);
  assert.ok(plan !== null);
  assert.ok(explainJob(plan).length > 0);
  return JSON.parse(JSON.stringify(plan));
}

const clicks = from('clicks').withWatermark('ts', '10 seconds');
const CLICKS = 'clicks WATERMARK ts DELAY OF INTERVAL 10 SECONDS';

const cases: readonly {
  readonly name: string;
  readonly built: Query;
  readonly written: string;
  readonly mode?: 'append' | 'update' | 'complete';
}[] = [
  { name: 'a source as it is', built: from('clicks'), written: 'SELECT * FROM clicks' },
  {
    name: 'where and select',
    built: from('clicks').where("page <> '/'").filter('ms > 10 OR ms < 0').select('user', 'upper(page) AS page'),
    written: "SELECT user, upper(page) AS page FROM clicks WHERE page <> '/' AND (ms > 10 OR ms < 0)",
  },
  {
    name: 'conditions behind the columns they read',
    built: from('clicks').select('upper(page) AS page').where("page = 'A'"),
    written: "SELECT * FROM (SELECT upper(page) AS page FROM clicks) WHERE page = 'A'",
  },
  {
    name: 'withColumn',
    built: from('clicks').withColumn('s', 'ms / 1000').where('s > 1'),
    written: 'SELECT * FROM (SELECT *, ms / 1000 AS s FROM clicks) WHERE s > 1',
  },
  {
    name: 'windows',
    built: clicks.where("page <> '/'").groupBy(window('ts', '1 minute'), 'page').agg({ views: 'count(*)' }),
    written: `SELECT window, page, count(*) AS views FROM ${CLICKS} WHERE page <> '/' GROUP BY window(ts, '1 minute'), page`,
  },
  {
    name: 'sliding windows with a start, then a condition on groups',
    built: clicks
      .groupBy(window('ts', '1 minute', '20 seconds', '5 seconds'))
      .count()
      .where('count > 2'),
    written: `SELECT * FROM (SELECT window, count(*) AS count FROM ${CLICKS} GROUP BY window(ts, '1 minute', '20 seconds', '5 seconds')) WHERE count > 2`,
  },
  {
    name: 'sessions',
    built: clicks.groupBy('user', sessionWindow('ts', '5 minutes')).agg({ n: 'count(*)' }),
    written: `SELECT user, session_window, count(*) AS n FROM ${CLICKS} GROUP BY user, session_window(ts, '5 minutes')`,
  },
  {
    name: 'keys that are computed',
    built: from('clicks').groupBy('upper(page) AS p').agg({ n: 'max(ms)' }),
    written: 'SELECT upper(page) AS p, max(ms) AS n FROM clicks GROUP BY upper(page)',
    mode: 'update',
  },
  {
    name: 'all rows, in order',
    built: from('clicks').groupBy('page').count().orderBy('count DESC').limit(3),
    written: 'SELECT page, count(*) AS count FROM clicks GROUP BY page ORDER BY count DESC LIMIT 3',
    mode: 'complete',
  },
  {
    name: 'aggregates without keys',
    built: from('clicks').agg({ n: 'count(*)', most: 'max(ms)' }),
    written: 'SELECT count(*) AS n, max(ms) AS most FROM clicks',
    mode: 'complete',
  },
  {
    name: 'joins of streams',
    built: clicks
      .alias('c')
      .join(
        from('views').withWatermark('ts', '1m').alias('v'),
        'c.user = v.user AND c.ts BETWEEN v.ts AND v.ts + INTERVAL 1 MINUTE',
      )
      .select('c.user', 'v.ad', 'c.ts'),
    written: `SELECT c.user, v.ad, c.ts FROM ${CLICKS} AS c
      JOIN views WATERMARK ts DELAY OF INTERVAL 1 MINUTE AS v
      ON c.user = v.user AND c.ts BETWEEN v.ts AND v.ts + INTERVAL 1 MINUTE`,
  },
  {
    name: 'joins by common columns, of what is selected',
    built: from('clicks').select('user', 'page').join(from('views').select('user', 'ad'), ['user']),
    written: 'SELECT * FROM (SELECT user, page FROM clicks) JOIN (SELECT user, ad FROM views) USING (user)',
  },
  {
    name: 'semi joins',
    built: clicks
      .alias('c')
      .join(
        from('views').withWatermark('ts', '1m').alias('v'),
        'c.user = v.user AND v.ts BETWEEN c.ts AND c.ts + INTERVAL 1 MINUTE',
        'left_semi',
      ),
    written: `SELECT * FROM ${CLICKS} AS c LEFT SEMI JOIN views WATERMARK ts DELAY OF INTERVAL 1 MINUTE AS v
      ON c.user = v.user AND v.ts BETWEEN c.ts AND c.ts + INTERVAL 1 MINUTE`,
  },
  {
    name: 'dropDuplicates',
    built: clicks.dropDuplicates(['user', 'ts']).select('user', 'ts'),
    written: `SELECT user, ts FROM (SELECT DISTINCT ON (user, ts) * FROM ${CLICKS})`,
  },
  {
    name: 'dropDuplicates of what is selected',
    built: clicks.select('user', 'ts').dropDuplicates(),
    written: `SELECT DISTINCT user, ts FROM ${CLICKS}`,
  },
  {
    name: 'dropDuplicatesWithinWatermark',
    built: clicks.select('user', 'page', 'ts').dropDuplicatesWithinWatermark(['user']),
    written: `SELECT DISTINCT ON (user) WITHIN WATERMARK * FROM (SELECT user, page, ts FROM ${CLICKS})`,
  },
  {
    name: 'unions',
    built: from('clicks')
      .select('user', 'ts')
      .union(from('views').select('user', 'ts'))
      .union(from('views').select('ad', 'ts'))
      .where('user IS NOT NULL'),
    written: `SELECT * FROM (
      SELECT user, ts FROM clicks UNION ALL SELECT user, ts FROM views UNION ALL SELECT ad, ts FROM views
    ) WHERE user IS NOT NULL`,
  },
  {
    name: 'SQL to go on from, with a watermark behind it',
    built: sql('SELECT upper(page) AS page, ts FROM clicks')
      .withWatermark('ts', '10s')
      .groupBy(window('ts', '1 minute'))
      .count(),
    written: `SELECT window, count(*) AS count FROM (SELECT upper(page) AS page, ts FROM clicks)
      WATERMARK ts DELAY OF INTERVAL 10 SECONDS GROUP BY window(ts, '1 minute')`,
  },
];

suite('the builder', () => {
  for (const { name, built, written, mode = 'append' } of cases) {
    test(`${name}: the plan of the SQL that people would write`, () => {
      assert.deepEqual(planOf(built, mode), planOf(written, mode));
    });
  }

  test('the text is readable', () => {
    const built = clicks
      .where("page <> '/'")
      .groupBy(window('ts', '1 minute'), 'page')
      .agg({ 'page views': 'count(*)' });
    assert.equal(
      built.toSql(),
      [
        "SELECT window(ts, '1 minute') AS window, page, count(*) AS `page views`",
        "FROM clicks WATERMARK ts DELAY OF INTERVAL '10 seconds'",
        "WHERE page <> '/'",
        "GROUP BY window(ts, '1 minute'), page",
      ].join('\n'),
    );
  });

  test('queries do not change', () => {
    const base = from('clicks');
    base.where('ms > 1').select('user');
    assert.equal(base.toSql(), 'SELECT *\nFROM clicks');
  });
});
