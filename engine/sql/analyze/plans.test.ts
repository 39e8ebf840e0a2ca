import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatType } from '../../../core/types.ts';
import type { OutputMode } from '../../plan/epoch-plan.ts';
import { nodesOf } from './tree.ts';
import { A, B, explained, nodeOf, outcomeOf, planOf } from './test-plan.ts';

type Case = readonly [query: string, mode: OutputMode, expected: string];

function explains(cases: readonly Case[]): void {
  for (const [query, mode, expected] of cases)
    test(`${query} [${mode}]`, () => assert.equal(explained(query, mode), expected.trim()));
}

suite('GROUP BY', () => {
  explains([
    [
      `SELECT window.start AS s, k, count(*) AS n, sum(v) FILTER (WHERE v > 1) AS t FROM ${A} GROUP BY window(ts, '5 seconds'), k`,
      'append',
      `
project window.start AS s, k, \`count(*)\` AS n, \`sum(v) FILTER (WHERE v > 1)\` AS t
  aggregate-1: aggregate count(*), sum(v) FILTER (WHERE (v > 1)) by window, k [evicted when window.end <= watermark]
    window ts of 5s
      watermark ts - 10s
        source a`,
    ],
    [
      `SELECT window(ts, INTERVAL 10 SECONDS, '3 seconds', '-1 second') AS w, max(n) AS n FROM ${A} GROUP BY w`,
      'append',
      `
project window AS w, \`max(n)\` AS n
  aggregate-1: aggregate max(n) by window [evicted when window.end <= watermark]
    window ts of 10s every 3s from -1s
      watermark ts - 10s
        source a`,
    ],
    [
      'SELECT k, count(DISTINCT v) + 1 AS c FROM a GROUP BY k HAVING c > 2 AND max(v) < 9',
      'update',
      `
project k, (\`count(DISTINCT v)\` + CAST(1 AS BIGINT)) AS c
  filter (((\`count(DISTINCT v)\` + CAST(1 AS BIGINT)) > CAST(2 AS BIGINT)) AND (\`max(v)\` < 9))
    aggregate-1: aggregate count(DISTINCT v), max(v) by k [never evicted]
      source a`,
    ],
    [
      'SELECT upper(k) AS u, count(*), count(*) FROM a GROUP BY 1',
      'update',
      `
project \`upper(k)\` AS u, \`count(*)\`, \`count(*)\`
  aggregate-1: aggregate count(*) by upper(k) AS \`upper(k)\` [never evicted]
    source a`,
    ],
    [
      'SELECT count(*) AS n, avg(v) AS m FROM a',
      'update',
      `
project \`count(*)\` AS n, \`avg(v)\` AS m
  aggregate-1: aggregate count(*), avg(CAST(v AS DOUBLE)) all rows
    source a`,
    ],
    [
      'SELECT transform(tags, x -> upper(x)) AS t, count(*) AS n FROM a GROUP BY transform(tags, y -> upper(y)), k',
      'update',
      `
project \`transform(tags, y -> upper(y))\` AS t, \`count(*)\` AS n
  aggregate-1: aggregate count(*) by transform(tags, y -> upper(y)) AS \`transform(tags, y -> upper(y))\`, k [never evicted]
    source a`,
    ],
    [
      `SELECT tag, count(*) AS n FROM a LATERAL VIEW explode(tags) AS tag WHERE v > 1 GROUP BY ALL`,
      'update',
      `
project tag, \`count(*)\` AS n
  aggregate-1: aggregate count(*) by tag [never evicted]
    generate explode(tags)
      filter (v > 1)
        source a`,
    ],
  ]);

  test('an alias is a key where there is no column of the name', () => {
    const plan = nodeOf(planOf('SELECT v % 2 AS odd, n AS k FROM a GROUP BY odd, n, k', 'update'), 'aggregate');
    assert.deepEqual(
      plan.keys.map(({ name }) => name),
      ['v % 2', 'n', 'k'],
    );
  });

  test('types and nullability of what comes out', () => {
    const { root } = planOf(
      'SELECT count(v) AS c, sum(v) AS s, sum(CAST(v AS DECIMAL(10,2))) AS d, avg(v) AS a, max(k) AS m, collect_list(v) AS l FROM a',
      'update',
    );
    assert.deepEqual(
      root.output.map(({ name, type, nullable }) => `${name} ${formatType(type)}${nullable ? '' : ' NOT NULL'}`),
      ['c BIGINT NOT NULL', 's BIGINT', 'd DECIMAL(20,2)', 'a DOUBLE', 'm STRING', 'l ARRAY<INT> NOT NULL'],
    );
  });
});

suite('grouping sets', () => {
  explains([
    [
      'SELECT upper(k) AS u, v, grouping_id() AS id, grouping(v) AS g, count(v) AS c FROM a GROUP BY ROLLUP(k, v)',
      'update',
      `
project upper(k) AS u, v, CASE WHEN (grouping_set = 1) THEN 1L WHEN (grouping_set = 2) THEN 3L ELSE 0L END AS id, CASE WHEN (grouping_set = 1) THEN 1 WHEN (grouping_set = 2) THEN 1 ELSE 0 END AS g, \`count(v)\` AS c
  aggregate-1: aggregate count(v) by CASE WHEN (grouping_set = 0) THEN k WHEN (grouping_set = 1) THEN k END AS k, CASE WHEN (grouping_set = 0) THEN v END AS v, grouping_set [never evicted]
    generate explode(array(0, 1, 2))
      source a`,
    ],
    [
      `SELECT window(ts, '5 seconds') AS w, k, count(*) AS n FROM ${A} GROUP BY window(ts, '5 seconds'), CUBE(k)`,
      'append',
      `
project window AS w, k, \`count(*)\` AS n
  aggregate-1: aggregate count(*) by window, CASE WHEN (grouping_set = 0) THEN k END AS k, grouping_set [evicted when window.end <= watermark]
    generate explode(array(0, 1))
      window ts of 5s
        watermark ts - 10s
          source a`,
    ],
  ]);

  test('keys that may be missing are nullable, whatever is made of them', () => {
    const { root } = planOf('SELECT n, n + 1 AS m, count(*) AS c FROM a GROUP BY CUBE(n)', 'update');
    assert.deepEqual(
      root.output.map(({ nullable }) => nullable),
      [true, true, false],
    );
  });

  test('all forms say the same', () => {
    const sets = (groupBy: string): string =>
      explained(`SELECT k, v, count(*) AS c FROM a GROUP BY ${groupBy}`, 'update');
    assert.equal(sets('k, v WITH CUBE'), sets('CUBE(k, v)'));
    assert.equal(sets('GROUPING SETS ((k, v), k, ())'), sets('ROLLUP(k, v)'));
    assert.equal(sets('k, v GROUPING SETS ((k, v), (k))'), sets('k, ROLLUP(v)'));
    assert.equal(sets('GROUPING SETS (ROLLUP(k, v), CUBE(v))'), sets('GROUPING SETS ((k, v), (k), (), (v), ())'));
  });
});

suite('sessions', () => {
  explains([
    [
      `SELECT k, session_window.start AS s, session_window.end AS e, count(*) AS n FROM ${A} GROUP BY k, session_window(ts, '5 minutes')`,
      'append',
      `
project k, session_window.start AS s, session_window.end AS e, \`count(*)\` AS n
  aggregate-1: aggregate count(*) by k, session ts with gap 5min [evicted when session_window.end <= watermark]
    watermark ts - 10s
      source a`,
    ],
  ]);

  test('a gap may differ from row to row: texts and intervals become microseconds', () => {
    const gap = "CASE WHEN k = 'x' THEN '5 seconds' WHEN k = 'y' THEN '-1 second' ELSE NULL END";
    const { session } = nodeOf(
      planOf(`SELECT k FROM ${A} GROUP BY k, session_window(ts, ${gap})`, 'update'),
      'aggregate',
    );
    assert.equal(session?.gapUs.kind, 'case');
    assert.deepEqual(session.gapUs.type, { kind: 'bigint' });
    const values = session.gapUs.branches.map(({ then }) => (then.kind === 'literal' ? then.value : then.kind));
    assert.deepEqual(values, ['5000000', '-1000000']);

    const product = nodeOf(
      planOf(`SELECT k FROM ${A} GROUP BY k, session_window(ts, INTERVAL 2 SECONDS * v)`, 'update'),
      'aggregate',
    );
    assert.deepEqual(product.session?.gapUs.type, { kind: 'bigint' });
  });
});

suite('aggregates over aggregates', () => {
  const inner = `SELECT window, k, count(*) AS n FROM ${A} GROUP BY window(ts, '5 seconds'), k`;
  for (const time of ['window', 'window_time(window)']) {
    explains([
      [
        `SELECT window(${time}, '10 seconds') AS w, window.end AS e, sum(n) AS n FROM (${inner}) GROUP BY window(${time}, '10 seconds')`,
        'append',
        `
project window AS w, window.end AS e, \`sum(n)\` AS n
  aggregate-2: aggregate sum(n) by window [evicted when window.end <= watermark]
    window (window.end - INTERVAL 1 MICROSECOND) of 10s
      project window, k, \`count(*)\` AS n
        aggregate-1: aggregate count(*) by window, k [evicted when window.end <= watermark]
          window ts of 5s
            watermark ts - 10s
              source a`,
      ],
    ]);
  }

  test('the time of a window is event time, its end is not', () => {
    const distinct = (time: string): boolean => {
      const query = `SELECT DISTINCT n, t FROM (SELECT n, ${time} AS t FROM (${inner}))`;
      return nodeOf(planOf(query), 'dedup').eventTime !== null;
    };
    assert.equal(distinct('window_time(window)'), true);
    assert.equal(distinct('window'), true);
    assert.equal(distinct('window.end'), false);
  });
});

suite('DISTINCT', () => {
  explains([
    [
      `SELECT DISTINCT k, v FROM a`,
      'append',
      `
dedup-1: distinct on k, v [never evicted]
  project k, v
    source a`,
    ],
    [
      `SELECT DISTINCT ON (k, ts) v FROM ${A}`,
      'append',
      `
project v
  dedup-1: distinct on k, ts [evicted when ts <= watermark]
    watermark ts - 10s
      source a`,
    ],
    [
      `SELECT DISTINCT ON (k) WITHIN WATERMARK k, v FROM ${A}`,
      'append',
      `
project k, v
  dedup-1: distinct on k within watermark [evicted when ts + 10s <= watermark]
    watermark ts - 10s
      source a`,
    ],
    [
      `SELECT DISTINCT ON (upper(k)) k FROM a`,
      'append',
      `
project k
  dedup-1: distinct on key_1 [never evicted]
    project ts, k, v, n, tags, m, upper(k) AS key_1
      source a`,
    ],
    [
      `SELECT k FROM a UNION SELECT k FROM b`,
      'append',
      `
dedup-1: distinct on k [never evicted]
  union all
    project k
      source a
    project k
      source b`,
    ],
  ]);
});

suite('UNION ALL', () => {
  explains([
    [
      'SELECT k, v FROM a UNION ALL BY NAME SELECT w AS v, k FROM b',
      'append',
      `
union all
  project k, CAST(v AS BIGINT) AS v
    project k, v
      source a
  project k, v
    project w AS v, k
      source b`,
    ],
  ]);

  test('widens types, takes the names of the first query, and is NULL where one of them may be', () => {
    const { root } = planOf('SELECT n AS x, v FROM a UNION ALL SELECT v, w FROM a JOIN b USING (k)');
    assert.deepEqual(
      root.output.map(({ name, type, nullable }) => [name, formatType(type), nullable]),
      [
        ['x', 'BIGINT', true],
        ['v', 'BIGINT', true],
      ],
    );
  });

  test('three queries are one union, and a column is event time as in the first', () => {
    const query = `SELECT ts FROM ${A} UNION ALL SELECT ts FROM ${B} UNION ALL SELECT at FROM b`;
    const plan = planOf(`SELECT ts, count(*) AS n FROM (${query}) GROUP BY ts`);
    assert.equal(nodeOf(plan, 'union').inputs.length, 3);
    assert.deepEqual(nodeOf(plan, 'aggregate').eventTime, { column: 0, kind: 'timestamp' });
    assert.deepEqual(plan.sources, ['a', 'b']);
  });
});

suite('functions OVER', () => {
  explains([
    [
      'SELECT k, v FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC) AS rn FROM a) WHERE 3 >= rn AND v > 0',
      'update',
      `
project k, v
  filter ((3 >= rn) AND (v > 0))
    project ts, k, v, n, tags, m, \`row_number() OVER (PARTITION BY k ORDER BY v DESC)\` AS rn
      rank-1: row_number() by k ordered by v DESC, 3 rows each [never evicted]
        source a`,
    ],
    [
      `SELECT window.start AS s, k, rank() OVER (PARTITION BY window ORDER BY count(*) DESC NULLS FIRST) AS r FROM ${A} GROUP BY window(ts, '1 minute'), k`,
      'append',
      `
project window.start AS s, k, \`rank() OVER (PARTITION BY window ORDER BY count(*) DESC NULLS FIRST)\` AS r
  rank-1: rank() by window ordered by \`count(*)\` DESC NULLS FIRST [evicted when window.end <= watermark]
    aggregate-1: aggregate count(*) by window, k [evicted when window.end <= watermark]
      window ts of 1min
        watermark ts - 10s
          source a`,
    ],
    [
      'SELECT lag(v, 2, 0) OVER (PARTITION BY k ORDER BY ts) - v AS d FROM a',
      'update',
      `
project (\`lag(v, 2, 0) OVER (PARTITION BY k ORDER BY ts)\` - v) AS d
  rank-1: lag(v, 2, 0) by k ordered by ts [never evicted]
    source a`,
    ],
  ]);

  test('only a bound from above on row_number() or rank() keeps few rows', () => {
    const node = (call: string, where: string) =>
      nodeOf(
        planOf(
          `SELECT k FROM (SELECT k, ${call} OVER (PARTITION BY k ORDER BY ts) AS x FROM a) WHERE ${where}`,
          'update',
        ),
        'rank',
      );
    const limit = (call: string, where: string): number | null => node(call, where).limit;
    assert.equal(limit('row_number()', 'x <= 5'), 5);
    assert.equal(limit('row_number()', 'x < 5 AND x < 9'), 4);
    assert.equal(limit('row_number()', 'x = 1'), 1);
    assert.equal(limit('row_number()', '2L > x'), 1);
    assert.equal(limit('row_number()', 'x >= 5'), null);
    assert.equal(limit('row_number()', 'x <= 5 OR k IS NULL'), null);
    assert.equal(limit('dense_rank()', 'x <= 5'), null);
    assert.deepEqual([node('rank()', 'x <= 5').limit, node('rank()', 'x <= 5').ties], [5, true]);
    assert.equal(node('row_number()', 'x <= 5').ties, undefined);
  });

  test('of bounds on both the one on row numbers holds, whichever comes first', () => {
    const both = (where: string) =>
      nodeOf(
        planOf(
          `SELECT k FROM (SELECT k, row_number() OVER (PARTITION BY k ORDER BY ts) AS x,
             rank() OVER (PARTITION BY k ORDER BY ts) AS y FROM a) WHERE ${where}`,
          'update',
        ),
        'rank',
      );
    for (const where of ['x <= 5 AND y <= 2', 'y <= 2 AND x <= 5']) {
      const { limit, ties } = both(where);
      assert.deepEqual([limit, ties], [5, undefined]);
    }
  });
});

suite('ORDER BY and LIMIT', () => {
  explains([
    [
      'SELECT k FROM (SELECT * FROM (SELECT k, count(*) AS c FROM a GROUP BY k ORDER BY c LIMIT 5) LIMIT 3) WHERE c > 1',
      'complete',
      `
project k
  filter (c > CAST(1 AS BIGINT))
    project k, c
      sort-1: sort by c limit 3
        project k, \`count(*)\` AS c
          aggregate-1: aggregate count(*) by k [never evicted]
            source a`,
    ],
    [
      'SELECT k, count(*) AS c FROM a GROUP BY k ORDER BY c DESC, max(v), 1 NULLS LAST LIMIT 3',
      'complete',
      `
project k, c
  sort-1: sort by c DESC, order_1, k NULLS LAST limit 3
    project k, \`count(*)\` AS c, \`max(v)\` AS order_1
      aggregate-1: aggregate count(*), max(v) by k [never evicted]
        source a`,
    ],
    [
      'SELECT k FROM (SELECT * FROM a LIMIT 4) LIMIT 2',
      'append',
      `
limit-2: limit 2
  project k
    limit-1: limit 4
      project ts, k, v, n, tags, m
        source a`,
    ],
  ]);
});

suite('static tables', () => {
  explains([
    [
      'SELECT a.v, c.color FROM a JOIN colors c ON a.k = c.k',
      'append',
      `
project v, color
  inner join with a table on stream.k = table.k
    source a
    table colors`,
    ],
    [
      'SELECT v, color FROM colors RIGHT JOIN a USING (k)',
      'append',
      `
project v, color
  left join with a table on stream.k = table.k
    source a
    table colors`,
    ],
    [
      "SELECT v FROM a WHERE k IN (SELECT k FROM colors WHERE color = 'red') AND v > 1",
      'append',
      `
project v
  semi join with a table on stream.k = table.k
    filter (v > 1)
      source a
    filter (color = 'red')
      table colors`,
    ],
    [
      `SELECT v FROM a WHERE k NOT IN (SELECT k FROM colors WHERE color = a.k) AND NOT EXISTS (SELECT 1 FROM colors AS o WHERE k = a.k AND o.color <> 'red')`,
      'append',
      `
project v
  anti join with a table on stream.k = table.k
    anti join with a table on stream.k = table.color AND ((stream.k = table.k) OR ((stream.k = table.k) IS NULL))
      source a
      table colors
    filter (color <> 'red')
      table colors`,
    ],
    [
      `SELECT v FROM ${A} WHERE NOT EXISTS (SELECT * FROM ${B} WHERE k = a.k AND ts BETWEEN a.ts AND a.ts + INTERVAL 5 SECONDS)`,
      'append',
      `
project v
  join-1: anti join on left.k = right.k AND (right.ts >= left.ts) AND (right.ts <= (left.ts + INTERVAL 5 SECONDS)) [evicted left when ts <= watermark - 5s; right when ts <= watermark]
    watermark ts - 10s
      source a
    watermark ts - 10s
      source b`,
    ],
    [
      'SELECT v, (SELECT max(color) FROM colors WHERE colors.k = a.k) AS c FROM a',
      'append',
      `
project v, \`(value 8)\` AS c
  left join with a table on stream.k = table.\`(key 1)\`
    source a
    table \`(query 1)\``,
    ],
    [
      'SELECT v FROM a WHERE (k, k) IN (SELECT k, color FROM colors)',
      'append',
      `
project v
  semi join with a table on stream.k = table.k AND stream.k = table.color
    source a
    table colors`,
    ],
    [
      'SELECT v FROM a LEFT ANTI JOIN colors c ON a.k <=> c.k',
      'append',
      `
project v
  anti join with a table on stream.k <=> table.k
    source a
    table colors`,
    ],
    [
      'SELECT v, color FROM a CROSS JOIN colors',
      'append',
      `
project v, color
  inner join with a table
    source a
    table colors`,
    ],
  ]);

  test('columns of a table on the left come first in *, wherever the operator has them', () => {
    const { root } = planOf('SELECT * FROM colors c RIGHT JOIN b ON b.k = c.k');
    assert.deepEqual(
      root.output.map(({ name, nullable }) => [name, nullable]),
      [
        ['k', true],
        ['color', true],
        ['ts', true],
        ['k', true],
        ['w', true],
        ['at', true],
      ],
    );
  });
});

suite('WHERE over joins', () => {
  const join = (type: string): string =>
    `SELECT l.v FROM ${A} AS l ${type} JOIN ${B} AS r ON l.k = r.k AND l.ts = r.ts WHERE l.v > 1 AND r.w > 2 AND l.v > r.w`;

  test('conditions on one side go below where its rows are not made up', () => {
    const shape = (type: string): readonly string[] => {
      const { left, right } = nodeOf(planOf(join(type)), 'join');
      return [left.kind, right.kind];
    };
    assert.deepEqual(shape('INNER'), ['filter', 'filter']);
    assert.deepEqual(shape('LEFT'), ['filter', 'watermark']);
    assert.deepEqual(shape('RIGHT'), ['watermark', 'filter']);
    assert.deepEqual(shape('FULL'), ['watermark', 'watermark']);
  });

  explains([
    [
      join('LEFT'),
      'append',
      `
project v
  filter ((w > CAST(2 AS BIGINT)) AND (CAST(v AS BIGINT) > w))
    join-1: left join on left.k = right.k AND left.ts = right.ts [evicted left when ts <= watermark; right when ts <= watermark]
      filter (v > 1)
        watermark ts - 10s
          source a
      watermark ts - 10s
        source b`,
    ],
    [
      "SELECT v, color FROM a LEFT JOIN colors USING (k) WHERE v > 1 AND color = 'red' AND k IS NOT NULL",
      'append',
      `
project v, color
  filter (color = 'red')
    left join with a table on stream.k = table.k
      filter ((v > 1) AND (k IS NOT NULL))
        source a
      table colors`,
    ],
  ]);
});

suite('names', () => {
  test('USING gives its column once, of the side that is always there', () => {
    const names = (query: string): string[] => planOf(query).root.output.map(({ name }) => name);
    assert.deepEqual(names('SELECT * FROM b JOIN a USING (k)'), ['k', 'ts', 'w', 'at', 'ts', 'v', 'n', 'tags', 'm']);
    const right = nodeOf(planOf(`SELECT k, b.k, a.k FROM ${B} AS b RIGHT JOIN ${A} AS a USING (k, ts)`), 'project');
    assert.deepEqual(
      right.columns.map(({ expr }) => (expr.kind === 'column' ? expr.index : expr.kind)),
      [5, 1, 5],
    );
    const full = planOf(`SELECT k FROM ${B} AS b FULL JOIN ${A} AS a USING (k, ts)`);
    assert.match(explained(`SELECT k FROM ${B} AS b FULL JOIN ${A} AS a USING (k, ts)`), /coalesce\(k, k\) AS k/);
    assert.equal(full.root.output.length, 1);
  });

  test('outer joins make the other side nullable', () => {
    const nullable = (join: string): boolean[] =>
      planOf(
        `SELECT a.n, b.one FROM (SELECT ts, n, k FROM ${A}) a ${join} JOIN (SELECT 1 AS one, ts, k FROM ${B}) b ON a.k = b.k AND a.ts = b.ts`,
      ).root.output.map((field) => field.nullable);
    assert.deepEqual(nullable('INNER'), [false, false]);
    assert.deepEqual(nullable('LEFT'), [false, true]);
    assert.deepEqual(nullable('RIGHT'), [true, false]);
    assert.deepEqual(nullable('FULL'), [true, true]);
  });

  test('a common table expression read twice is two reads of its source', () => {
    const plan = planOf('WITH c AS (SELECT k, v FROM a) SELECT l.v FROM c l JOIN c r ON l.k = r.k');
    assert.equal([...nodesOf(plan.root)].filter(({ kind }) => kind === 'source').length, 2);
    assert.deepEqual(plan.sources, ['a']);
  });

  test('`window` is a name like others where no parenthesis follows', () => {
    const inner = "SELECT window(ts, '5 seconds') window, v FROM a";
    const plan = planOf(`SELECT window, w.window.start FROM (${inner}) w WHERE window.end IS NOT NULL`);
    assert.deepEqual(
      plan.root.output.map(({ name }) => name),
      ['window', 'start'],
    );
  });
});

test('a watermark of the job file stands right above its source', () => {
  const declared = new Map([['a', { column: 'TS', delayUs: 5_000_000 }]]);
  const { plan } = outcomeOf(
    "SELECT k, count(*) AS n FROM a AS x GROUP BY k, window(x.ts, '1 minute')",
    'append',
    declared,
  );
  assert.ok(plan !== undefined);
  assert.equal(nodeOf(plan, 'watermark').input.kind, 'source');
  const again = outcomeOf(`SELECT k FROM ${A}`, 'append', declared);
  assert.match(again.problems[0]?.message ?? '', /a second watermark on the same stream/);
});

test('ids of operators count by kind', () => {
  const query = `SELECT l.k FROM (SELECT DISTINCT k, ts FROM ${A}) l JOIN (SELECT DISTINCT k, ts FROM ${B}) r ON l.k = r.k AND l.ts = r.ts`;
  const ids = [...nodesOf(planOf(query).root)].flatMap((node) => ('id' in node ? [node.id] : []));
  assert.deepEqual(ids, ['join-1', 'dedup-1', 'dedup-2']);
});

test('state that is never forgotten is warned of', () => {
  const warnings = (query: string, mode: OutputMode = 'append'): number => planOf(query, mode).warnings.length;
  assert.equal(warnings('SELECT a.k FROM a JOIN b ON a.k = b.k'), 2);
  assert.equal(warnings(`SELECT a.k FROM ${A} AS a JOIN ${B} AS b ON a.k = b.k AND a.ts > b.ts`), 1);
  assert.equal(warnings(`SELECT a.k FROM ${A} AS a JOIN ${B} AS b ON a.ts = b.ts`), 0);
  assert.equal(warnings('SELECT DISTINCT k FROM a'), 1);
  assert.equal(warnings(`SELECT DISTINCT k, ts FROM ${A}`), 0);
  assert.equal(warnings('SELECT k, count(*) AS n FROM a GROUP BY k', 'update'), 1);
  assert.equal(warnings('SELECT count(*) AS n FROM a', 'update'), 0);
});
