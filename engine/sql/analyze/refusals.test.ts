import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { OutputMode } from '../../plan/epoch-plan.ts';
import { A, B, mistakes, outcomeOf } from './test-plan.ts';

type Case = readonly [query: string, mode: OutputMode, expected: string];

function refuses(cases: readonly Case[]): void {
  for (const [query, mode, expected] of cases)
    test(`${query} [${mode}]`, () => assert.deepEqual(mistakes(query, mode), [expected]));
}

const windowed = (stream: string): string => `(SELECT k, window(ts, '10 seconds') AS window FROM ${stream})`;

test('mistakes of those who come from DataFrames say what SQL has instead', () => {
  const cases: readonly (readonly [query: string, hint: string])[] = [
    ["SELECT col('k') AS k FROM a", 'SQL names the column alone'],
    ['SELECT lit(1) AS one FROM a', 'SQL writes the value alone'],
    ["a.groupBy('k').count()", 'the query is SQL: SELECT … FROM source'],
    ['INSERT INTO t SELECT k FROM a', "a job's query is a SELECT"],
    ["SELECT k FROM a WHERE k = 'x' && v > 1", 'write AND'],
    ['SELECT k, FROM a', 'take away the comma before FROM'],
    ['SELECT k FORM a', 'did you mean FROM?'],
    ['SELECT k FROM a; SELECT v FROM a', 'a job has one query'],
    ["SELECT listagg(k, ',') AS l FROM a", "write array_join(collect_list(x), ',')"],
    [
      `SELECT k, count(*) AS n FROM ${A} GROUP BY k`,
      "the watermark is on ts: group by window(ts, '1 minute') or by ts",
    ],
    ['SELECT to_csv(struct(k)) AS c FROM a', 'instead: concat_ws'],
  ];
  for (const [query, hint] of cases) {
    const { problems } = outcomeOf(query);
    assert.equal(problems.length, 1, query);
    assert.ok(problems[0]?.hint?.includes(hint), `${query}: ${problems[0]?.hint}`);
  }
});

test('of keys of GROUP BY that are wrong nothing follows', () => {
  assert.deepEqual(
    mistakes("SELECT window.start AS s, count(*) AS n FROM a GROUP BY window(ts, '1 minit')", 'update'),
    ["'1 minit': this is not a constant duration"],
  );
});

suite('output modes', () => {
  refuses([
    [
      'SELECT k, count(*) AS n FROM a GROUP BY k',
      'append',
      "GROUP BY k: append mode needs a watermark on the aggregate's event time: without one no group is ever final",
    ],
    [
      `SELECT k, count(*) AS n FROM ${A} GROUP BY k, window(current_timestamp(), '5 seconds')`,
      'append',
      "GROUP BY k, window(current_timestamp(), '5 seconds'): append mode needs a watermark on the aggregate's event time: without one no group is ever final",
    ],
    [
      'SELECT k FROM a',
      'complete',
      'SELECT k FROM a: outputMode: complete needs an aggregation, and the query has none',
    ],
    [
      'SELECT k FROM a ORDER BY k',
      'append',
      'ORDER BY k: ORDER BY is not supported in append mode: rows of a stream have no end to sort towards',
    ],
    [
      'SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY n',
      'update',
      'ORDER BY n: ORDER BY is not supported in update mode: rows of a stream have no end to sort towards',
    ],
    [
      'SELECT k, count(*) AS c FROM (SELECT k FROM a ORDER BY v) GROUP BY k',
      'complete',
      'ORDER BY v: ORDER BY stands only at the end of the whole query, over an aggregation',
    ],
    [
      'SELECT k FROM a LIMIT 5',
      'update',
      '5: LIMIT is not supported in update mode: a row within the limit may change later',
    ],
    [
      `SELECT l.k FROM ${windowed(A)} l LEFT JOIN ${windowed(B)} r ON l.window = r.window`,
      'update',
      `${windowed(A)} l LEFT JOIN ${windowed(B)} r ON l.window = r.window: an outer join only in append mode: a row without a match comes out when it can have none any more`,
    ],
    [
      'SELECT count(*) AS n FROM a JOIN b ON a.k = b.k',
      'complete',
      'a JOIN b ON a.k = b.k: a join of two streams is not supported in complete mode',
    ],
    [
      'SELECT n, first(k) AS f FROM (SELECT k, count(*) AS n FROM a GROUP BY k) GROUP BY n',
      'update',
      'GROUP BY n: first over an aggregate only in append mode: in update mode the rows below change later, and which of them is the first changes with that',
    ],
    [
      'SELECT n, count(*) AS c FROM (SELECT k, count(*) AS n FROM a GROUP BY k) WHERE uuid() > k GROUP BY n',
      'update',
      'GROUP BY n: an aggregate over an aggregate must take back what it added, and a function between them gives another value each time',
    ],
    [
      'SELECT DISTINCT n FROM (SELECT k, count(*) AS n FROM a GROUP BY k)',
      'update',
      'SELECT DISTINCT n FROM (SELECT k, count(*) AS n FROM a GROUP BY k): DISTINCT over an aggregate only in append mode: in update mode the rows below change later',
    ],
    [
      'SELECT row_number() OVER (PARTITION BY k ORDER BY v) AS rn FROM a',
      'append',
      'row_number() OVER (PARTITION BY k ORDER BY v): append mode needs event time in PARTITION BY: without one no row number is ever final',
    ],
  ]);

  test('what is refused in one mode is allowed in another', () => {
    const allowed: readonly (readonly [string, OutputMode])[] = [
      ['SELECT k, count(*) AS n FROM a GROUP BY k', 'update'],
      ['SELECT k, count(*) AS n FROM a GROUP BY k', 'complete'],
      ['SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY n', 'complete'],
      ['SELECT k FROM a LIMIT 5', 'append'],
      [`SELECT l.k FROM ${windowed(A)} l LEFT SEMI JOIN ${windowed(B)} r ON l.window = r.window`, 'update'],
      ['SELECT a.k FROM a JOIN b ON a.k = b.k', 'update'],
      ['SELECT count(*) AS n FROM a JOIN b ON a.k = b.k', 'update'],
      ['SELECT DISTINCT a.k FROM a JOIN b ON a.k = b.k', 'update'],
      [`SELECT k, count(*) AS n FROM a GROUP BY k, session_window(ts, '1 minute')`, 'update'],
      ['SELECT row_number() OVER (PARTITION BY k ORDER BY v) AS rn FROM a', 'update'],
      ['SELECT n, count(*) AS c FROM (SELECT k, count(*) AS n FROM a GROUP BY k) GROUP BY n', 'update'],
      ['SELECT n, count(*) AS c FROM (SELECT k, count(*) AS n FROM a GROUP BY k) GROUP BY n', 'complete'],
      ['SELECT n, any_value(k) AS c FROM (SELECT k, count(*) AS n FROM a GROUP BY k) GROUP BY n', 'update'],
    ];
    for (const [query, mode] of allowed) assert.deepEqual(mistakes(query, mode), [], query);
  });
});

suite('joins', () => {
  refuses([
    [
      'SELECT a.k FROM a, b WHERE a.k = b.k',
      'append',
      'a, b: two streams are joined by equal keys, not each row with each: the result would grow without bound',
    ],
    [
      'SELECT a.k FROM a JOIN b ON a.v < b.w',
      'append',
      'a.v < b.w: a join of two streams needs an equality between columns of both: rows meet where their keys are equal',
    ],
    [
      'SELECT a.k FROM a LEFT JOIN b ON a.k = b.k',
      'append',
      'a LEFT JOIN b ON a.k = b.k: a LEFT JOIN of two streams needs watermarks and a bound on their times: else no row is ever known to have no match',
    ],
    [
      `SELECT a.k FROM ${A} AS a RIGHT JOIN ${B} AS b ON a.k = b.k AND a.ts >= b.ts`,
      'append',
      `${A} AS a RIGHT JOIN ${B} AS b ON a.k = b.k AND a.ts >= b.ts: a RIGHT JOIN of two streams needs watermarks and a bound on their times: else no row is ever known to have no match`,
    ],
    [
      'SELECT v FROM a FULL JOIN colors c ON a.k = c.k',
      'append',
      'a FULL JOIN colors c ON a.k = c.k: FULL JOIN with a stream on the left and a static table on the right is not supported: whether a row of the table has no match is known only when the stream ends',
    ],
    [
      'SELECT v FROM colors c LEFT JOIN a ON a.k = c.k',
      'append',
      'colors c LEFT JOIN a ON a.k = c.k: LEFT JOIN with a stream on the right and a static table on the left is not supported: whether a row of the table has no match is known only when the stream ends',
    ],
    ['SELECT a.k FROM a JOIN a ON a.k = a.k', 'append', 'a: both sides of the join are called a'],
    ['SELECT k FROM a JOIN b ON a.k = b.k', 'append', 'k: the name k stands for 2 columns'],
    ['SELECT k FROM a JOIN b USING (w)', 'append', 'w: USING (w) needs exactly one column of that name on each side'],
    ['SELECT color FROM colors', 'append', 'SELECT color FROM colors: this query reads static tables only'],
  ]);

  test('an ambiguous name comes with its candidates', () => {
    const [problem] = outcomeOf('SELECT ts FROM a x JOIN b y ON x.k = y.k').problems;
    assert.equal(problem?.hint, 'write the table or alias in front of it: x.ts or y.ts');
  });
});

suite('watermarks, windows and groups', () => {
  refuses([
    [
      `SELECT k FROM (SELECT * FROM ${A}) WATERMARK ts DELAY OF INTERVAL 1 SECOND`,
      'append',
      `(SELECT * FROM ${A}) WATERMARK ts DELAY OF INTERVAL 1 SECOND: a second watermark on the same stream: it already has one on ts`,
    ],
    [
      'SELECT k FROM a WATERMARK v DELAY OF INTERVAL 1 SECOND',
      'append',
      'v: a watermark is on a column of type TIMESTAMP, not INT',
    ],
    [
      'SELECT k FROM a WATERMARK ts DELAY OF INTERVAL -1 SECOND',
      'append',
      'INTERVAL -1 SECOND: the delay of a watermark is not negative',
    ],
    ['SELECT k FROM a WATERMARK ts DELAY OF v', 'append', 'v: the delay of a watermark is a constant interval'],
    [
      'SELECT DISTINCT WITHIN WATERMARK k FROM a',
      'append',
      'SELECT DISTINCT WITHIN WATERMARK k FROM a: DISTINCT … WITHIN WATERMARK needs a watermark: its keys are forgotten when the watermark passes them',
    ],
    [
      'SELECT DISTINCT m FROM a',
      'append',
      'SELECT DISTINCT m FROM a: DISTINCT cannot compare the column m of type MAP<STRING, INT>',
    ],
    ["SELECT window(ts, '0 seconds') FROM a", 'append', "'0 seconds': the size of a window is more than 0"],
    [
      "SELECT window(ts, '1 second', '2 seconds') FROM a",
      'append',
      "'2 seconds': the slide of a window is at most its size",
    ],
    [
      "SELECT window(ts, '2 seconds', '1 second', '1 second') FROM a",
      'append',
      "'1 second': the start offset of a window is less than its slide",
    ],
    ["SELECT window(ts, '1 month') FROM a", 'append', "'1 month': months have no fixed length here"],
    ["SELECT window(tags, '1 second') FROM a", 'append', 'tags: window takes a TIMESTAMP first, not ARRAY<STRING>'],
    [
      "SELECT window(ts, '1 second'), window(ts, '2 seconds') FROM a",
      'append',
      "window(ts, '2 seconds'): one SELECT assigns rows to one kind of window",
    ],
    [
      "SELECT k FROM a WHERE window(ts, '1 second').end IS NULL",
      'append',
      "window(ts, '1 second'): window() stands only in a select list or in GROUP BY",
    ],
    [
      `SELECT count(*) AS n FROM ${A} GROUP BY session_window(ts, '1 second')`,
      'append',
      "session_window(ts, '1 second'): a session needs at least one more key: sessions of all rows together would be one group on one worker",
    ],
    [
      `SELECT k FROM ${A} GROUP BY k, session_window(ts, v)`,
      'append',
      'v: the gap of a session is a duration, or a text that names one',
    ],
    [
      "SELECT session_window(ts, '1 second') FROM a",
      'append',
      "session_window(ts, '1 second'): session_window() belongs to a GROUP BY: a session is known by its rows",
    ],
    [
      'SELECT k, v FROM a GROUP BY k',
      'update',
      'v: the column v is neither in GROUP BY nor within an aggregate function',
    ],
    ['SELECT m FROM a GROUP BY m', 'update', 'm: GROUP BY cannot compare values of type MAP<STRING, INT>'],
    ['SELECT k FROM a GROUP BY 2', 'update', '2: there is no column 2 in the select list to group by'],
    ['SELECT count(*) AS n FROM a GROUP BY 1', 'update', '1: column 1 is an aggregate: it cannot be grouped by'],
    [
      'SELECT sum(count(*)) AS n FROM a',
      'update',
      'count(*): count stands within or over another aggregate or window function',
    ],
    [
      'SELECT k FROM a WHERE count(*) > 1',
      'update',
      'count(*): the aggregate function count stands only in a select list, in HAVING or in ORDER BY',
    ],
    [
      'SELECT upper(DISTINCT k) FROM a',
      'update',
      'upper(DISTINCT k): DISTINCT belongs to an aggregate function, and upper is none',
    ],
    ['SELECT sum(tags) AS s FROM a', 'update', 'sum(tags): sum takes a number, not ARRAY<STRING>'],
    [
      'SELECT explode(tags) AS t, count(*) AS n FROM a GROUP BY k',
      'update',
      'explode(tags): a generator does not stand beside GROUP BY',
    ],
  ]);
});

suite('other refusals', () => {
  refuses([
    [
      'SELECT count(*) AS c, sum(c) AS s FROM a',
      'update',
      'sum(c): sum stands within or over another aggregate or window function',
    ],
    [
      'SELECT row_number() OVER (ORDER BY ts) AS rn, lag(rn) OVER (ORDER BY ts) AS p FROM a',
      'update',
      'lag(rn) OVER (ORDER BY ts): lag stands within or over another aggregate or window function',
    ],
    [
      'SELECT k, row_number() OVER (ORDER BY count(*)) AS rn FROM a GROUP BY k HAVING rn < 3',
      'update',
      'rn < 3: HAVING cannot look at a window function: it is computed behind it',
    ],
    [
      'SELECT transform(tags, x -> count(x)) AS c FROM a GROUP BY tags',
      'update',
      'count(x): the aggregate function count stands only in a select list, in HAVING or in ORDER BY',
    ],
    [
      `SELECT k FROM ${A} GROUP BY k, session_window(ts, '1 second'), session_window(ts, '1 second').start`,
      'append',
      "session_window(ts, '1 second').start: session_window() stands by itself in GROUP BY",
    ],
    [
      'SELECT sum(v) OVER (PARTITION BY k ORDER BY ts) AS s FROM a',
      'update',
      'sum(v) OVER (PARTITION BY k ORDER BY ts): sum OVER (…) is not supported yet',
    ],
    ['SELECT row_number() AS rn FROM a', 'update', 'row_number(): row_number needs OVER (…)'],
    [
      'SELECT row_number() OVER (PARTITION BY k) AS rn FROM a',
      'update',
      'row_number() OVER (PARTITION BY k): row_number needs an order',
    ],
    [
      'SELECT k FROM a WHERE row_number() OVER (ORDER BY ts) = 1',
      'update',
      'row_number() OVER (ORDER BY ts): the window function row_number stands only in a select list',
    ],
    [
      'SELECT row_number() OVER (ORDER BY ts) AS x, rank() OVER (ORDER BY v) AS y FROM a',
      'update',
      'rank() OVER (ORDER BY v): a second OVER (…) that differs from the first is not supported yet',
    ],
    [
      'SELECT k FROM a UNION ALL SELECT k, w FROM b',
      'append',
      'SELECT k FROM a UNION ALL SELECT k, w FROM b: the queries of UNION have 1 and 2 columns',
    ],
    [
      'SELECT tags FROM a UNION ALL SELECT w FROM b',
      'append',
      'SELECT tags FROM a UNION ALL SELECT w FROM b: column 1 of UNION is ARRAY<STRING> in one query and BIGINT in another',
    ],
    [
      'SELECT k FROM a UNION ALL SELECT k FROM colors',
      'append',
      'SELECT k FROM a UNION ALL SELECT k FROM colors: UNION of a stream and a static table is not supported',
    ],
    [
      'SELECT k FROM a EXCEPT SELECT k FROM b',
      'append',
      'SELECT k FROM a EXCEPT SELECT k FROM b: EXCEPT has no meaning for streams',
    ],
    ['SELECT k FROM a LIMIT 5 OFFSET 3', 'append', '3: OFFSET has no meaning for a stream'],
    ['SELECT k FROM a LIMIT v', 'append', 'v: LIMIT takes a whole number'],
    [
      'SELECT v FROM a WHERE k NOT IN (SELECT k FROM b)',
      'append',
      'k NOT IN (SELECT k FROM b): NOT IN (SELECT …) over a stream: a single NULL in it takes every row away, and it may come at any time',
    ],
    [
      'SELECT v FROM a WHERE k IN (SELECT k FROM b) OR v > 1',
      'append',
      'k IN (SELECT k FROM b): IN (SELECT …) beside OR or within an expression reads static tables alone: what a stream has changes while rows come',
    ],
    [
      'SELECT v, (SELECT max(w) FROM b) AS c FROM a',
      'append',
      '(SELECT max(w) FROM b): a query in the place of a value reads static tables alone: what a stream has changes while rows come',
    ],
    [
      'SELECT v, (SELECT k, color FROM colors) AS c FROM a',
      'append',
      '(SELECT k, color FROM colors): a query in the place of a value gives one column, not 2',
    ],
    [
      'SELECT v FROM a WHERE v > (SELECT max(length(color)) FROM colors WHERE k <> uuid())',
      'append',
      'k <> uuid(): a query over static tables is computed when they are read, and this one calls a function that gives other values each time',
    ],
    [
      'SELECT v FROM a WHERE (k, v) IN (SELECT k, color, k FROM colors)',
      'append',
      '(k, v) IN (SELECT k, color, k FROM colors): IN (SELECT …) takes 2 columns here, not 3',
    ],
    [
      'SELECT k FROM a UNION ALL BY NAME SELECT w FROM b',
      'append',
      'SELECT k FROM a UNION ALL BY NAME SELECT w FROM b: UNION BY NAME needs the same names on both sides, and k is not on each exactly once',
    ],
    ['SELECT k FROM a PIVOT (sum(v) FOR k IN (1))', 'append', 'PIVOT: PIVOT is not supported'],
    ['SELECT * FROM VALUES (1)', 'append', 'VALUES: VALUES is not supported in FROM'],
    ['SELECT * FROM range(10)', 'append', 'range: functions that give rows do not stand in FROM, and range(…) does'],
    ['SELECT x FROM LATERAL explode(tags) AS t(x)', 'append', 'LATERAL: LATERAL is not supported in FROM'],
    [
      'SELECT x FROM a, LATERAL (SELECT v + 1 AS x) AS t',
      'append',
      'LATERAL: LATERAL takes a function that makes rows: queries behind it are not supported',
    ],
    [
      'SELECT x FROM a JOIN LATERAL explode(tags) AS t(x) ON x > k',
      'append',
      'x > k: a LATERAL function is joined ON true',
    ],
    [
      'SELECT x FROM a FULL JOIN LATERAL explode(tags) AS t(x)',
      'append',
      'LATERAL: LATERAL stands behind a comma, CROSS JOIN, JOIN or LEFT JOIN',
    ],
    [
      'SELECT x FROM a, LATERAL upper(k) AS t(x)',
      'append',
      'upper(k): LATERAL takes explode, posexplode, inline, json_tuple or stack',
    ],
    ['SELECT p FROM colors AS t(p)', 'append', 'colors AS t(p): t has 2 columns, and the list behind it names 1'],
    [
      'SELECT v, (SELECT color FROM colors WHERE k = a.k) AS c FROM a',
      'append',
      '(SELECT color FROM colors WHERE k = a.k): a query in the place of a value that looks at columns of the query around it is one aggregate of its rows',
    ],
    [
      'SELECT v, (SELECT max(color) FROM colors WHERE colors.k < a.k) AS c FROM a',
      'append',
      'colors.k < a.k: a query in the place of a value compares columns of the query around it with its own by = alone',
    ],
    [
      'SELECT v, (SELECT max(w) FROM b WHERE b.k = a.k) AS c FROM a',
      'append',
      '(SELECT max(w) FROM b WHERE b.k = a.k): a query in the place of a value reads static tables alone: what a stream has changes while rows come',
    ],
    [
      'SELECT k, (SELECT max(color) FROM colors WHERE colors.k = a.k) AS c FROM a GROUP BY k',
      'update',
      '(SELECT max(color) FROM colors WHERE colors.k = a.k): a query in the place of a value does not look at columns of the query around above GROUP BY',
    ],
    [
      'SELECT v FROM a WHERE k NOT IN (SELECT color FROM colors WHERE colors.k = a.k) OR v > 1',
      'append',
      'k NOT IN (SELECT color FROM colors WHERE colors.k = a.k): NOT IN (SELECT …) beside OR or within an expression does not look at columns of the query around it',
    ],
    ...(
      [
        ['NOT (k IN (%))', '(k IN (%))'],
        ['NOT k IN (%)', 'k IN (%)'],
        ['NOT (v > 2 AND k IN (%))', 'k IN (%)'],
        ['NOT (NOT (k NOT IN (%)))', '(k NOT IN (%))'],
      ] as const
    ).map(([condition, place]): Case => {
      const around = (text: string): string => text.replace('%', 'SELECT color FROM colors WHERE colors.k = a.k');
      return [
        `SELECT v FROM a WHERE ${around(condition)} OR v = 1`,
        'append',
        `${around(place)}: NOT IN (SELECT …) beside OR or within an expression does not look at columns of the query around it`,
      ];
    }),
    ['SELECT k FROM a NATURAL JOIN colors', 'append', 'NATURAL: NATURAL JOIN is not supported'],
    [
      'SELECT k, row_number() OVER (PARTITION BY k ORDER BY v) AS rn FROM a QUALIFY rn = 1',
      'update',
      'QUALIFY: QUALIFY is not supported',
    ],
    [
      'SELECT k, grouping(k) AS g, count(*) AS n FROM a GROUP BY k',
      'update',
      'grouping(k): grouping belongs to a GROUP BY with GROUPING SETS, CUBE or ROLLUP',
    ],
    [
      `SELECT k, count(*) AS n FROM ${A} GROUP BY ROLLUP(window(ts, '5 seconds'), k)`,
      'append',
      "GROUP BY ROLLUP(window(ts, '5 seconds'), k): append mode needs a watermark on the aggregate's event time: without one no group is ever final",
    ],
    [
      'SELECT ts FROM (SELECT DISTINCT * FROM b) WATERMARK ts DELAY OF INTERVAL 1 SECOND',
      'append',
      '(SELECT DISTINCT * FROM b) WATERMARK ts DELAY OF INTERVAL 1 SECOND: a watermark stands below operators that keep state: it is computed while records are read',
    ],
    [
      `SELECT count(*) AS n FROM (SELECT n FROM (SELECT k, count(*) AS n FROM a GROUP BY k) LIMIT 5)`,
      'complete',
      '5: LIMIT between two aggregations is not supported in complete mode',
    ],
    [
      'SELECT v FROM a WHERE k IN (SELECT * FROM colors)',
      'append',
      'k IN (SELECT * FROM colors): IN (SELECT …) takes one column, not 2',
    ],
    ['SELECT k FROM c0', 'append', 'c0: there is no source c0'],
  ]);
});
