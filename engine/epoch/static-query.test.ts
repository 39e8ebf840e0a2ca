import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { stringify } from 'yaml';
import { planOf, TestRun } from './test-run.ts';

const tables = {
  t: {
    schema: 'k STRING, x INT',
    rows: [
      ['a', 1],
      ['b', 5],
      [null, 2],
    ],
  },
  empty: { schema: 'k STRING, x INT', rows: [] },
};

const rows = [
  { k: 'a', v: 1 },
  { k: 'b', v: 9 },
  { k: 'c', v: 2 },
  { k: null, v: 3 },
  { k: 'd', v: null },
];

/** What a query gives for the rows, as lists of values. */
function resultOf(query: string, outputMode: 'append' | 'update' = 'append'): unknown[][] {
  const used = Object.entries(tables).filter(([name]) => new RegExp(`\\b(FROM|JOIN) ${name}\\b`).test(query));
  const text = stringify({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'query-values',
    sources: { s: { connector: 'kafka', topic: 's', schema: 'k STRING, v INT' } },
    tables: Object.fromEntries(used),
    query,
    sinks: [{ connector: 'console' }],
    outputMode,
  });
  return new TestRun(planOf(text)).step({ s: rows }).rows.map((row) => Object.values(row));
}

const cases: readonly (readonly [query: string, expected: unknown[][], mode?: 'update'])[] = [
  ['SELECT v FROM s WHERE v > (SELECT min(x) FROM t)', [[9], [2], [3]]],
  [
    "SELECT v, (SELECT x FROM t WHERE k = 'b') AS x FROM s WHERE v > 2",
    [
      [9, 5],
      [3, 5],
    ],
  ],
  ['SELECT v, (SELECT count(*) FROM empty) AS n FROM s WHERE v > 3', [[9, 0]]],
  ['SELECT v FROM s WHERE v > (SELECT max(x) FROM empty)', []],
  ['SELECT v FROM s WHERE k IN (SELECT k FROM t) OR v = 2', [[1], [9], [2]]],
  ['SELECT v FROM s WHERE k NOT IN (SELECT k FROM t) OR v = 2', [[2]]],
  ['SELECT v FROM s WHERE NOT (k IN (SELECT k FROM t)) OR v = 2', [[2]]],
  ["SELECT v FROM s WHERE NOT (v IN (SELECT x FROM t WHERE x < 3) OR k = 'b') OR k = 'd'", [[null]]],
  ['SELECT v FROM s WHERE NOT (NOT (v IN (SELECT x FROM t WHERE t.k = s.k))) OR v = 2', [[1], [2]]],
  ['SELECT v FROM s WHERE k NOT IN (SELECT k FROM empty) OR v = 2', [[1], [9], [2], [3], [null]]],
  ['SELECT v FROM s WHERE EXISTS (SELECT 1 FROM t WHERE x = v) OR v > 8', [[1], [9], [2]]],
  ['SELECT v FROM s WHERE EXISTS (SELECT 1 FROM empty) OR v > 8', [[9]]],
  ['SELECT v FROM s WHERE NOT (EXISTS (SELECT 1 FROM t WHERE t.k = s.k AND x < 5) OR v = 2)', [[9], [3]]],
  // Whether a value is among others is unknown where it is NULL, and where they hold one and it is none of the rest.
  [
    "SELECT coalesce(CAST(v IN (SELECT x FROM t) AS STRING), 'unknown') AS i FROM s",
    [['true'], ['false'], ['true'], ['false'], ['unknown']],
  ],
  [
    "SELECT coalesce(CAST(k IN (SELECT k FROM t) AS STRING), 'unknown') AS i FROM s",
    [['true'], ['true'], ['unknown'], ['unknown'], ['unknown']],
  ],
  ['SELECT sum(v + (SELECT max(x) FROM t)) AS n FROM s', [[35]], 'update'],
  ['SELECT k, sum(v) AS n FROM s GROUP BY k HAVING sum(v) > (SELECT max(x) FROM t)', [['b', 9]], 'update'],
  ["SELECT k, sum(v) - (SELECT max(x) FROM t) AS n FROM s GROUP BY k HAVING k = 'a'", [['a', -4]], 'update'],
  // Queries that look at the row around them: a value of the row's group, and whether one of its rows is so.
  [
    'SELECT v, (SELECT max(x) FROM t WHERE t.k = s.k) AS m FROM s',
    [
      [1, 1],
      [9, 5],
      [2, null],
      [3, null],
      [null, null],
    ],
  ],
  [
    'SELECT v, (SELECT sum(x) + 1 FROM t WHERE t.k <=> s.k AND x < 5) AS m FROM s WHERE v < 9',
    [
      [1, 2],
      [2, null],
      [3, 3],
    ],
  ],
  // A count of nothing is 0, of whatever the group would have been.
  [
    'SELECT v, (SELECT count(*) * 10 FROM t WHERE t.k = s.k) AS n FROM s',
    [
      [1, 10],
      [9, 10],
      [2, 0],
      [3, 0],
      [null, 0],
    ],
  ],
  ['SELECT v FROM s WHERE v > (SELECT min(x) FROM t WHERE t.k = s.k)', [[9]]],
  // Values that the comparison finds equal are one group, whatever they were before.
  [
    "SELECT v, (SELECT count(*) FROM (SELECT '1' AS c FROM t UNION ALL SELECT '01' AS c FROM t) u WHERE u.c = s.v) AS n FROM s WHERE v < 3",
    [
      [1, 6],
      [2, 0],
    ],
  ],
  ['SELECT v FROM s WHERE v IN (SELECT x FROM t WHERE t.k = s.k) OR v = 2', [[1], [2]]],
  ['SELECT sum((SELECT max(x) FROM t WHERE t.k = s.k)) AS n FROM s', [[6]], 'update'],
  // Tables that queries make: grouped, sorted and limited, joined with one another, over a UNION.
  [
    'SELECT v, n FROM s JOIN (SELECT k, count(*) AS n FROM t GROUP BY k) c ON s.k = c.k',
    [
      [1, 1],
      [9, 1],
    ],
  ],
  [
    'SELECT v, x FROM s LEFT JOIN (SELECT k, x + 1 AS x FROM t) c ON s.k = c.k WHERE v > 2',
    [
      [9, 6],
      [3, null],
    ],
  ],
  ['SELECT v FROM s JOIN (SELECT k FROM t ORDER BY x DESC LIMIT 1) c ON s.k = c.k', [[9]]],
  [
    'SELECT v, y FROM s JOIN (SELECT l.k, r.x AS y FROM t l JOIN t r ON l.x < r.x) c ON s.k = c.k',
    [
      [1, 5],
      [1, 2],
    ],
  ],
  [
    'SELECT v, n FROM s CROSS JOIN (SELECT count(*) AS n FROM (SELECT k FROM t UNION ALL SELECT k FROM t)) c WHERE v > 3',
    [[9, 6]],
  ],
];

suite('queries over static tables', () => {
  for (const [query, expected, mode] of cases)
    test(query, () => {
      assert.deepEqual(resultOf(query, mode), expected);
    });

  test('a query in the place of a value that gives two rows fails by name', () => {
    assert.throws(() => resultOf('SELECT v, (SELECT x FROM t) AS x FROM s'), /gives 3 rows/);
  });
});
