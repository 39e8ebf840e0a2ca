import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatType } from '../../core/types.ts';
import { formatExpr } from './format.ts';
import { analyze, problemsOf, runQuery } from './test-query.ts';

const schema =
  'id STRING NOT NULL, n INT, price DECIMAL(10,2), tags ARRAY<STRING>, m MAP<STRING, INT>, at TIMESTAMP, a STRUCT<b: INT, c: STRUCT<d: STRING>>, items ARRAY<STRUCT<sku: STRING, q: INT>>';

suite('problems name what is wrong and what to write', () => {
  const cases: readonly (readonly [query: string, expected: string])[] = [
    [
      'SELECT idd FROM t',
      `query, line 1, column 8: there is no column idd
  1 | SELECT idd FROM t
    |        ^^^
  hint: did you mean id?`,
    ],
    [
      'SELECT\n  uper(id) AS u\nFROM t',
      `query, line 2, column 3: there is no function uper
  2 |   uper(id) AS u
    |   ^^^^
  hint: did you mean upper?`,
    ],
    [
      'SELECT id FROM tt',
      `query, line 1, column 16: there is no source tt
  1 | SELECT id FROM tt
    |                ^^
  hint: did you mean t?`,
    ],
    [
      'SELECT a.c.e FROM t',
      `query, line 1, column 12: there is no field e
  1 | SELECT a.c.e FROM t
    |            ^
  hint: did you mean d?`,
    ],
    [
      'SELECT id FROM t WHERE n',
      `query, line 1, column 24: WHERE takes a BOOLEAN, not INT
  1 | SELECT id FROM t WHERE n
    |                        ^
  hint: compare the value with something`,
    ],
    [
      'SELECT substring(id, tags) FROM t',
      `query, line 1, column 22: substring takes INT here, not ARRAY<STRING>
  1 | SELECT substring(id, tags) FROM t
    |                      ^^^^
  hint: usage: substring(text, position [, length])`,
    ],
    [
      'SELECT upper() FROM t',
      `query, line 1, column 8: upper takes 1 argument, not 0
  1 | SELECT upper() FROM t
    |        ^^^^^^^
  hint: usage: upper(text)`,
    ],
    [
      'SELECT tags + 1 FROM t',
      `query, line 1, column 8: +: cannot compute ARRAY<STRING> + INT
  1 | SELECT tags + 1 FROM t
    |        ^^^^^^^^
  hint: usage: a + b`,
    ],
    [
      'SELECT CAST(tags AS INT) FROM t',
      `query, line 1, column 8: ARRAY<STRING> cannot be cast to INT
  1 | SELECT CAST(tags AS INT) FROM t
    |        ^^^^^^^^^^^^^^^^^`,
    ],
    [
      "SELECT regexp_replace(id, 'a++', '') FROM t",
      `query, line 1, column 27: regexp_replace cannot use this pattern: possessive repetitions like a++ are not supported; write a+
  1 | SELECT regexp_replace(id, 'a++', '') FROM t
    |                           ^^^^^
  hint: usage: regexp_replace(text, pattern, replacement [, position])`,
    ],
  ];
  for (const [query, expected] of cases) test(query, () => assert.deepEqual(problemsOf(query, { schema }), [expected]));

  test('all at once', () => {
    const problems = problemsOf('SELECT x1, uper(x2), n = tags FROM t WHERE x3', { schema });
    assert.deepEqual(
      problems.map((problem) => /: (.*)/.exec(problem)?.[1]),
      [
        'there is no column x3',
        'there is no column x1',
        'there is no function uper',
        '=: cannot compare INT with ARRAY<STRING>',
      ],
    );
  });

  test('tabs stay under tabs, and the caret stays within the line', () => {
    const [problem = ''] = problemsOf('SELECT\tid,\n\tnope\nFROM t', { schema });
    assert.match(problem, /\n {2}2 \| \tnope\n {4}\| \t\^{4}\n/);
  });
});

suite('what has no place where it stands is refused by name', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['SELECT id, count(*) FROM t GROUP BY id', /append mode needs a watermark/],
    ['SELECT id FROM t ORDER BY id', /ORDER BY is not supported in append mode/],
    ["SELECT id FROM t WHERE window(at, '1 minute') IS NOT NULL", /window\(\) stands only in a select list/],
    ['SELECT id FROM t WHERE id IN (SELECT id FROM t) OR n > 1', /reads static tables alone/],
    ['SELECT upper(explode(tags)) FROM t', /stands only by itself/],
    ['SELECT id FROM t WHERE count(id) > 1', /aggregate function count stands only/],
  ];
  for (const [query, message] of cases)
    test(query, () => assert.match(problemsOf(query, { schema }).join('\n'), message));
});

suite('types', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['id', 'STRING', false],
    ['n + 1', 'INT', true],
    ['n + 1L', 'BIGINT', true],
    ['n / 2', 'DOUBLE', true],
    ['price * 2', 'DECIMAL(12,2)', true],
    ['price + 1.5', 'DECIMAL(11,2)', true],
    ['price / 3', 'DECIMAL(14,6)', true],
    ['n + 1.5F', 'DOUBLE', true],
    ['coalesce(n, 0)', 'INT', false],
    ['coalesce(n, 1.5)', 'DECIMAL(11,1)', false],
    ["CASE WHEN n > 1 THEN 'a' ELSE NULL END", 'STRING', true],
    ["CASE WHEN n > 1 THEN 'a' ELSE 'b' END", 'STRING', false],
    ['n IS NULL', 'BOOLEAN', false],
    ['n > 1', 'BOOLEAN', true],
    ['n <=> 1', 'BOOLEAN', false],
    ["upper(id) = 'A'", 'BOOLEAN', false],
    ['try_cast(id AS INT)', 'INT', true],
    ['try_cast(tags AS ARRAY<INT>)', 'ARRAY<INT>', true],
    ['CAST(id AS INT)', 'INT', false],
    ['a.c.d', 'STRING', true],
    ['items.sku', 'ARRAY<STRING>', true],
    ['items[0].q', 'INT', true],
    ["m['x']", 'INT', true],
    ['m.x', 'INT', true],
    ['size(tags)', 'INT', true],
    ['array(n, 1L)', 'ARRAY<BIGINT>', false],
    ['struct(n, id AS x)', 'STRUCT<n: INT, x: STRING>', false],
    ['at - INTERVAL 1 DAY', 'TIMESTAMP', true],
    ['to_date(at)', 'DATE', true],
    ['current_timestamp', 'TIMESTAMP', false],
    ['NULL', 'VOID', true],
  ];
  for (const [expression, type, nullable] of cases) {
    test(expression, () => {
      const { analyzed, problems } = analyze(`SELECT ${expression} AS x FROM t`, { schema });
      assert.deepEqual(problems, []);
      const [field] = analyzed?.output ?? [];
      assert.deepEqual([field && formatType(field.type), field?.nullable], [type, nullable]);
    });
  }
});

test('names of columns without an alias', () => {
  const { analyzed } = analyze('SELECT id, t.n, a.c, upper( id ), 1 + 1 FROM t', { schema });
  assert.deepEqual(
    analyzed?.output.map(({ name }) => name),
    ['id', 'n', 'c', 'upper( id )', '1 + 1'],
  );
});

test('names are found in any case, qualified by alias, and through sub-queries and common table expressions', () => {
  const query =
    'WITH c AS (SELECT ID AS key, n * 2 AS twice FROM T) SELECT x.key, twice + 1 AS y FROM (SELECT * FROM c WHERE twice > 2) x';
  const { rows } = runQuery(
    query,
    [
      ['a', 1],
      ['b', 2],
    ],
    { schema: 'id STRING, n INT' },
  );
  assert.deepEqual(rows, [['b', 5]]);
});

test('a select list may use its own aliases further right', () => {
  assert.deepEqual(runQuery('SELECT n + 1 AS m, m * 2 AS k FROM t', [[1]], { schema: 'n INT' }).rows, [[2, 4]]);
});

test('a filter on IS NOT NULL makes the column one that is always there', () => {
  const { analyzed } = analyze('SELECT n FROM t WHERE n IS NOT NULL AND n > 1', { schema });
  assert.equal(analyzed?.output[0]?.nullable, false);
});

test('conditions on columns from before a lateral view are tried before it', () => {
  const { analyzed } = analyze("SELECT id, tag FROM t LATERAL VIEW explode(tags) x AS tag WHERE n > 1 AND tag <> 'a'", {
    schema,
  });
  assert.deepEqual(
    analyzed?.operators.map(({ kind }) => kind),
    ['filter', 'generate', 'filter', 'project'],
  );
});

test('formatting shows conversions, and reads as SQL', () => {
  const { analyzed } = analyze("SELECT CASE WHEN n IN (1, 2) AND NOT id LIKE 'x%' THEN price ELSE 0 END AS x FROM t", {
    schema,
  });
  const [project] = analyzed?.operators.slice(-1) ?? [];
  if (project?.kind !== 'project' || project.columns[0] === undefined) throw new Error('expected a projection');
  assert.equal(
    formatExpr(project.columns[0].expr),
    "CASE WHEN ((n IN (1, 2)) AND (NOT (id LIKE 'x%'))) THEN CAST(price AS DECIMAL(12,2)) ELSE CAST(0 AS DECIMAL(12,2)) END",
  );
});

suite('rows from arrays and maps', () => {
  const rows = [
    ['a', ['x', null], [{ keys: ['k'], values: [1] }]],
    ['b', [], []],
    ['c', null, null],
  ].map(([id, tags]) => [id, tags]);
  const setup = { schema: 'id STRING, tags ARRAY<STRING>' };

  test('explode in the select list, and its outer form', () => {
    assert.deepEqual(runQuery('SELECT id, explode(tags) AS tag FROM t', rows, setup).rows, [
      ['a', 'x'],
      ['a', null],
    ]);
    assert.deepEqual(runQuery('SELECT explode_outer(tags) AS tag, id FROM t', rows, setup).rows, [
      ['x', 'a'],
      [null, 'a'],
      [null, 'b'],
      [null, 'c'],
    ]);
  });

  test('posexplode, lateral views in a row, inline', () => {
    assert.deepEqual(runQuery('SELECT id, p, tag FROM t LATERAL VIEW posexplode(tags) AS p, tag', rows, setup).rows, [
      ['a', 0, 'x'],
      ['a', 1, null],
    ]);
    assert.deepEqual(
      runQuery(
        'SELECT x, y FROM t LATERAL VIEW explode(array(1, 2)) AS x LATERAL VIEW explode(array(x, 10)) AS y',
        [['a', null]],
        setup,
      ).rows,
      [
        [1, 1],
        [1, 10],
        [2, 2],
        [2, 10],
      ],
    );
    assert.deepEqual(
      runQuery(
        'SELECT sku, q FROM t LATERAL VIEW inline(items)',
        [
          [
            [
              ['s', 1],
              ['t', null],
            ],
          ],
        ],
        { schema: 'items ARRAY<STRUCT<sku: STRING, q: INT>>' },
      ).rows,
      [
        ['s', 1],
        ['t', null],
      ],
    );
    assert.deepEqual(
      runQuery('SELECT key, value FROM t LATERAL VIEW explode(m)', [[{ keys: ['a'], values: [1] }]], {
        schema: 'm MAP<STRING, INT>',
      }).rows,
      [['a', 1]],
    );
  });

  test('LATERAL behind a source or a join, columns by other names', () => {
    const lists = [
      ['a', ['x', null]],
      ['b', []],
      ['c', null],
    ];
    assert.deepEqual(runQuery('SELECT id, y.tag FROM t, LATERAL explode(tags) AS y(tag)', lists, setup).rows, [
      ['a', 'x'],
      ['a', null],
    ]);
    assert.deepEqual(
      runQuery(
        "SELECT * FROM t LEFT JOIN LATERAL posexplode(tags) AS y(p, q) ON true WHERE p > 0 OR id = 'b'",
        lists,
        setup,
      ).rows,
      [
        ['a', ['x', null], 1, null],
        ['b', [], null, null],
      ],
    );
    assert.deepEqual(
      runQuery(
        'WITH c(x, ys) AS (SELECT id, tags FROM t) SELECT r.a FROM c AS r(a, b) WHERE size(r.b) > 0',
        lists,
        setup,
      ).rows,
      [['a']],
    );
  });

  test('* EXCEPT leaves columns out', () => {
    const wide = { schema: 'id STRING, n INT, s STRUCT<a: INT, b: INT>' };
    const one = [['x', 1, [2, 3]]];
    assert.deepEqual(runQuery('SELECT * EXCEPT (n, S), t.* EXCEPT (s), s.* EXCEPT (b) FROM t', one, wide).rows, [
      ['x', 'x', 1, 2],
    ]);
    assert.match(
      problemsOf('SELECT * EXCEPT (idd) FROM t', wide).join(),
      /column 18: there is no column idd\n.*\n.*\^{3}\n +hint: did you mean id\?/,
    );
  });

  test('wrong numbers of names and wrong types are refused', () => {
    assert.match(problemsOf('SELECT explode(id) FROM t', setup).join(), /takes an ARRAY or a MAP, not STRING/);
    assert.match(
      problemsOf('SELECT x FROM t LATERAL VIEW explode(tags) AS x, y', setup).join(),
      /gives 1 columns here, but 2 names/,
    );
    assert.match(problemsOf('SELECT explode(tags), explode(tags) FROM t', setup).join(), /takes one generator/);
  });
});

test('one failing row takes all rows of its record with it', () => {
  const result = runQuery(
    'SELECT id, 10 div n AS x FROM t LATERAL VIEW explode(ns) AS n',
    [
      ['a', [1, 0, 2]],
      ['b', [5]],
    ],
    { schema: 'id STRING, ns ARRAY<INT>' },
  );
  assert.deepEqual(result.rows, [['b', 2n]]);
  assert.deepEqual(result.failures, ['DIVIDE_BY_ZERO x']);
});

test('nested values pass through, are read by path, and are built', () => {
  const nested = 'a STRUCT<b: INT, c: STRUCT<d: STRING>>, items ARRAY<STRUCT<sku: STRING, q: INT>>, m MAP<STRING, INT>';
  const row = [[1, ['deep']], [['s', 1], null, ['u', 3]], { keys: ['x', 'y'], values: [1, null] }];
  const query =
    "SELECT a, a.c, a.c.d, items[2].q AS q, items.sku, m['y'] AS y, m, items, size(items) AS n, filter(items, i -> i.q > 1) AS f FROM t WHERE a.b = 1";
  const { rows } = runQuery(query, [row, [null, null, null]], { schema: nested });
  assert.deepEqual(rows, [[[1, ['deep']], ['deep'], 'deep', 3, ['s', null, 'u'], null, row[2], row[1], 3, [['u', 3]]]]);
  assert.deepEqual(
    runQuery(
      'SELECT a.c.d, get(items, 0).q AS q, size(m) AS s FROM t',
      [
        [null, null, null],
        [[1, null], [], { keys: [], values: [] }],
      ],
      { schema: nested },
    ).rows,
    [
      [null, null, null],
      [null, null, 0],
    ],
  );
});

test('a raw value is read with from_json, and its fields are listed with a star', () => {
  const query =
    "SELECT p.*, upper(p.a) AS u FROM (SELECT from_json(CAST(value AS STRING), 'a STRING, b BIGINT') AS p FROM t) WHERE p.b > 1";
  const rows = ['{"a":"x","b":1}', '{"a":"é","b":9007199254740993}', 'nonsense'].map((text) => [Buffer.from(text)]);
  const result = runQuery(query, rows, { schema: 'value BINARY' });
  assert.deepEqual(
    result.output.map(({ name }) => name),
    ['a', 'b', 'u'],
  );
  assert.deepEqual(result.rows, [['é', 9007199254740993n, 'É']]);
});
