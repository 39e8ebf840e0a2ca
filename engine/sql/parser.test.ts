import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { SqlExpr } from '../../core/ast.ts';
import { formatType } from '../../core/types.ts';
import { parseColumns, parseExpression, parseQuery, parseType } from './parser.ts';
import { SqlSyntaxError } from './problems.ts';

/** The tree as text, every operator in parentheses. */
function show(expr: SqlExpr): string {
  const list = (exprs: readonly SqlExpr[]): string => exprs.map(show).join(', ');
  const not = 'negated' in expr && expr.negated ? 'not ' : '';
  switch (expr.kind) {
    case 'literal': {
      const { literal } = expr;
      switch (literal.kind) {
        case 'null':
          return 'null';
        case 'string':
          return JSON.stringify(literal.value);
        case 'number':
          return literal.text + literal.suffix;
        case 'typed':
          return `${literal.type}:${literal.text}`;
        case 'interval':
          return `interval(${literal.months}, ${literal.microseconds})`;
        default:
          return String(literal.value);
      }
    }
    case 'name':
      return expr.parts.map(({ text }) => text).join('/');
    case 'star':
      return [...expr.qualifier.map(({ text }) => text), '*'].join('/');
    case 'field':
      return `${show(expr.input)}.${expr.field.text}`;
    case 'index':
      return `${show(expr.input)}[${show(expr.index)}]`;
    case 'call': {
      const filter = expr.filter === null ? '' : ` filter ${show(expr.filter)}`;
      const over =
        expr.over === null
          ? ''
          : ` over(${list(expr.over.partitionBy)}; ${list(expr.over.orderBy.map((item) => item.expr))})`;
      return `${expr.name.text}(${expr.distinct ? 'distinct ' : ''}${list(expr.args)})${filter}${over}`;
    }
    case 'unary':
      return `(${expr.op} ${show(expr.input)})`;
    case 'binary':
      return `(${show(expr.left)} ${expr.op} ${show(expr.right)})`;
    case 'between':
      return `(${show(expr.input)} ${not}between ${show(expr.low)} ${show(expr.high)})`;
    case 'in':
      return `(${show(expr.input)} ${not}in ${list(expr.list)})`;
    case 'like':
      return `(${show(expr.input)} ${not}${expr.op} ${show(expr.pattern)}${expr.escape === null ? '' : ` escape ${expr.escape}`})`;
    case 'is':
      return `(${show(expr.input)} is ${not}${expr.what})`;
    case 'case': {
      const branches = expr.branches.map(({ when, then }) => ` when ${show(when)} then ${show(then)}`).join('');
      return `case${expr.operand === null ? '' : ` ${show(expr.operand)}`}${branches}${expr.otherwise === null ? '' : ` else ${show(expr.otherwise)}`} end`;
    }
    case 'cast':
      return `${expr.mode}(${show(expr.input)} as ${formatType(expr.type)})`;
    case 'lambda':
      return `(${expr.params.map(({ text }) => text).join(', ')}) -> ${show(expr.body)}`;
    default:
      return expr.kind;
  }
}

suite('expressions', () => {
  const cases: readonly (readonly [string, string])[] = [
    // Precedence
    ['1 + 2 * 3 - 4', '((1 + (2 * 3)) - 4)'],
    ['a OR b AND NOT c', '(a or (b and (not c)))'],
    ['NOT a = b', '(not (a = b))'],
    ['a = b IS NULL', '((a = b) is null)'],
    ['a < b AND c >= d', '((a < b) and (c >= d))'],
    ['-x.y + 3', '((- x/y) + 3)'],
    ['- -1', '(- -1)'],
    ['2 -1', '(2 - 1)'],
    ['a || b + c', '((a || b) + c)'],
    ['a | b ^ c & d', '(a | (b ^ (c & d)))'],
    ['(a + b) * c', '((a + b) * c)'],
    ['a div b % c', '((a div b) % c)'],
    ['a <=> b', '(a <=> b)'],
    ['a == b', '(a = b)'],
    ['a != b', '(a <> b)'],
    ['!a', '(not a)'],
    // Predicates
    ['x BETWEEN 1 AND 2 AND y', '((x between 1 2) and y)'],
    ['x NOT BETWEEN 1 + 1 AND 2', '(x not between (1 + 1) 2)'],
    ["x IN (1, 'a')", '(x in 1, "a")'],
    ['x NOT IN (1)', '(x not in 1)'],
    ["x LIKE 'a!%' ESCAPE '!'", '(x like "a!%" escape !)'],
    ["x NOT RLIKE 'a' OR y ILIKE 'b'", '((x not rlike "a") or (y ilike "b"))'],
    ["x REGEXP 'a'", '(x rlike "a")'],
    ['x IS NOT NULL', '(x is not null)'],
    ['x IS NOT TRUE', '(x is not true)'],
    ['x IS DISTINCT FROM y', '(not (x <=> y))'],
    ['x IS NOT DISTINCT FROM y', '(x <=> y)'],
    // Access
    ['a.b[0].c', 'a/b[0].c'],
    ["m['k']", 'm["k"]'],
    ['f(x).y[1][2]', 'f(x).y[1][2]'],
    ['`a b`.`c``d`', 'a b/c`d'],
    ['a.select', 'a/select'],
    ['a::INT::STRING', 'ansi(ansi(a as INT) as STRING)'],
    ['-1::STRING', 'ansi(-1 as STRING)'],
    [
      'CAST(x AS ARRAY<STRUCT<a: INT, b: MAP<STRING, DECIMAL(12,2)>>>)',
      'ansi(x as ARRAY<STRUCT<a: INT, b: MAP<STRING, DECIMAL(12,2)>>>)',
    ],
    ['TRY_CAST(x AS BIGINT)', 'try(x as BIGINT)'],
    // Literals
    ["'it''s'", '"it\'s"'],
    ["'it\\'s\\n\\t\\\\\\u0041'", '"it\'s\\n\\t\\\\A"'],
    ["'a' 'b'", '"ab"'],
    ["r'a\\n'", '"a\\\\n"'],
    ['"dq ""string"""', '"dq \\"string\\""'],
    ["'100\\%'", '"100\\\\%"'],
    ['1L + 2S + 3Y + 1.5BD + 1F + 2D + .5 + 1e-3', '(((((((1L + 2S) + 3Y) + 1.5BD) + 1F) + 2D) + .5) + 1e-3)'],
    ['-9223372036854775808L', '-9223372036854775808L'],
    ["DATE '2024-01-31'", 'date:2024-01-31'],
    ["timestamp'2024-01-31 10:00:00'", 'timestamp:2024-01-31 10:00:00'],
    ["X'1f'", 'binary:1f'],
    ['date', 'date'],
    ['INTERVAL 5 MINUTES', 'interval(0, 300000000)'],
    ["INTERVAL '1 day 2 hours'", 'interval(0, 93600000000)'],
    ["INTERVAL '1-2' YEAR TO MONTH", 'interval(14, 0)'],
    ["INTERVAL '1 02:03:04.5' DAY TO SECOND", 'interval(0, 93784500000)'],
    ['INTERVAL 1 DAY 2 HOURS', 'interval(0, 93600000000)'],
    ["INTERVAL '-3' MONTH", 'interval(-3, 0)'],
    // Calls
    ['current_timestamp', 'current_timestamp()'],
    ['count(DISTINCT a) FILTER (WHERE b > 1)', 'count(distinct a) filter (b > 1)'],
    ['count(*)', 'count(*)'],
    ['row_number() OVER (PARTITION BY a ORDER BY b DESC)', 'row_number() over(a; b)'],
    ['rank() OVER (ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)', 'rank() over(; b)'],
    ['transform(a, x -> x + 1)', 'transform(a, (x) -> (x + 1))'],
    ['aggregate(a, 0, (acc, x) -> acc + x)', 'aggregate(a, 0, (acc, x) -> (acc + x))'],
    ['left(a, 1)', 'left(a, 1)'],
    ['if(a, b, c)', 'if(a, b, c)'],
    ["trim(BOTH 'x' FROM y)", 'trim("x", y)'],
    ['trim(LEADING FROM y)', 'ltrim(y)'],
    ['substring(x FROM 2 FOR 3)', 'substring(x, 2, 3)'],
    ["position('a' IN x)", 'locate("a", x)'],
    ['extract(YEAR FROM x)', 'date_part("YEAR", x)'],
    ['datediff(MONTH, a, b)', 'datediff("MONTH", a, b)'],
    ['struct(a AS b, c)', 'struct($alias(a, "b"), c)'],
    ['(a, b)', 'struct(a, b)'],
    // CASE
    ['CASE WHEN a THEN 1 ELSE 2 END', 'case when a then 1 else 2 end'],
    ['CASE a WHEN 1 THEN 2 END', 'case a when 1 then 2 end'],
    ['a /* one /* two */ */ + -- three\n b', '(a + b)'],
  ];
  for (const [text, expected] of cases) test(text, () => assert.equal(show(parseExpression(text)), expected));
});

test('places count characters of the text', () => {
  const expr = parseExpression("  upper( a.b ) = 'x'");
  assert.deepEqual([expr.offset, expr.length], [2, 18]);
  if (expr.kind !== 'binary' || expr.left.kind !== 'call') throw new Error('expected a comparison with a call');
  assert.deepEqual([expr.left.offset, expr.left.length], [2, 12]);
  assert.deepEqual([expr.left.args[0]?.offset, expr.left.args[0]?.length], [9, 3]);
});

suite('queries', () => {
  test('clauses in order', () => {
    const query = parseQuery(`
      WITH big AS (SELECT * FROM src WHERE n > 1)
      SELECT s.a, b AS c, s.*, explode(m) AS (k, v), d e
      FROM big AS s LATERAL VIEW OUTER explode(tags) t AS tag LATERAL VIEW posexplode(x) AS p, q
      WHERE a IS NOT NULL GROUP BY a, b HAVING count(*) > 1 ORDER BY a DESC NULLS LAST, b LIMIT 10;`);
    const { body } = query;
    if (body.kind !== 'select') throw new Error('expected a select');
    assert.deepEqual(
      query.ctes.map(({ name }) => name.text),
      ['big'],
    );
    assert.deepEqual(
      body.items.map(({ alias, aliases }) => [alias?.text, aliases.map(({ text }) => text)]),
      [
        [undefined, []],
        ['c', []],
        [undefined, []],
        [undefined, ['k', 'v']],
        ['e', []],
      ],
    );
    assert.deepEqual(
      body.lateralViews.map(({ outer, tableAlias, columnAliases }) => [
        outer,
        tableAlias?.text,
        columnAliases.map(({ text }) => text),
      ]),
      [
        [true, 't', ['tag']],
        [false, undefined, ['p', 'q']],
      ],
    );
    assert.equal(body.groupBy.length, 2);
    assert.deepEqual(
      query.orderBy.map(({ descending, nullsFirst }) => [descending, nullsFirst]),
      [
        [true, false],
        [false, null],
      ],
    );
  });

  test('joins, unions and sub-queries', () => {
    const query = parseQuery(
      'SELECT a FROM x LEFT OUTER JOIN (SELECT b FROM y) z ON x.k = z.k, w UNION ALL SELECT b FROM y',
    );
    if (query.body.kind !== 'set' || query.body.left.kind !== 'select') throw new Error('expected a union');
    assert.equal(query.body.op, 'unionAll');
    assert.equal(query.body.left.from?.kind, 'join');
  });

  test('LATERAL and names of columns behind an alias', () => {
    const { body } = parseQuery(
      'SELECT a FROM x AS r(a, b) LEFT JOIN LATERAL explode(b) AS e(c) ON true, LATERAL posexplode(c) f JOIN (SELECT 1) s(d) ON a = d',
    );
    if (body.kind !== 'select' || body.from?.kind !== 'join') throw new Error('expected a join');
    const { left, right } = body.from;
    assert.equal(right.kind === 'named' && right.input.kind === 'subquery' && right.columns[0]?.text, 'd');
    if (left.kind !== 'lateral' || left.input.kind !== 'lateral') throw new Error('expected two functions');
    const names = [left, left.input].map(({ view }) => [
      view.outer,
      view.tableAlias?.text,
      view.columnAliases.map(({ text }) => text),
    ]);
    assert.deepEqual(names, [
      [false, 'f', []],
      [true, 'e', ['c']],
    ]);
    const table = left.input.input;
    assert.equal(table.kind === 'named' && table.columns.map(({ text }) => text).join(), 'a,b');
  });

  test('watermarks stand behind a source or a sub-query, before the alias or behind it', () => {
    const cases: readonly (readonly [from: string, column: string, alias: string | undefined, below: string | null])[] =
      [
        ['t WATERMARK ts DELAY OF INTERVAL 10 SECONDS', 'ts', undefined, null],
        ['t WATERMARK ts DELAY OF INTERVAL 10 SECONDS AS x', 'ts', 'x', null],
        ['t WATERMARK `t s` DELAY OF INTERVAL 1 MINUTE 10 SECONDS x', 't s', 'x', null],
        ["t y WATERMARK ts DELAY OF '10 seconds'", 'ts', undefined, 'y'],
        ['(SELECT a FROM t) AS y WATERMARK ts DELAY OF INTERVAL 10 SECONDS x', 'ts', 'x', 'y'],
      ];
    for (const [text, column, alias, below] of cases) {
      const { body } = parseQuery(`SELECT a FROM ${text} WHERE b`);
      if (body.kind !== 'select' || body.from?.kind !== 'watermark') throw new Error(`expected a watermark: ${text}`);
      const { from } = body;
      assert.equal(from.column.text, column);
      assert.equal(from.alias?.text, alias);
      assert.equal(from.input.kind === 'join' || from.input.kind === 'watermark', false);
      assert.equal('alias' in from.input ? (from.input.alias?.text ?? null) : null, below);
      assert.ok(body.where !== null);
    }
    const named = parseQuery('SELECT watermark FROM t watermark WHERE watermark.delay > 1').body;
    assert.equal(named.kind === 'select' && named.from?.kind === 'table' && named.from.alias?.text, 'watermark');
  });

  test('what DISTINCT says', () => {
    const select = (text: string): readonly [boolean, number, boolean, number] => {
      const { body } = parseQuery(text);
      if (body.kind !== 'select') throw new Error('expected a SELECT');
      return [body.distinct, body.distinctOn.length, body.withinWatermark, body.items.length];
    };
    assert.deepEqual(select('SELECT DISTINCT a, b FROM t'), [true, 0, false, 2]);
    assert.deepEqual(select('SELECT DISTINCT ON (a, b + 1) c FROM t'), [true, 2, false, 1]);
    assert.deepEqual(select('SELECT DISTINCT ON (a) WITHIN WATERMARK c, d FROM t'), [true, 1, true, 2]);
    assert.deepEqual(select('SELECT DISTINCT WITHIN WATERMARK * FROM t'), [true, 0, true, 1]);
    assert.deepEqual(select('SELECT DISTINCT within FROM t'), [true, 0, false, 1]);
    assert.deepEqual(select('SELECT ALL a FROM t'), [false, 0, false, 1]);
  });

  test('window is a function before a parenthesis, else a name', () => {
    const { body } = parseQuery(
      "SELECT window.start, window, t.window.end, window(ts, '1 day') window FROM t GROUP BY window",
    );
    if (body.kind !== 'select') throw new Error('expected a SELECT');
    assert.deepEqual(
      body.items.map(({ expr, alias }) => [show(expr), alias?.text]),
      [
        ['window/start', undefined],
        ['window', undefined],
        ['t/window/end', undefined],
        ['window(ts, "1 day")', 'window'],
      ],
    );
  });
});

suite('mistakes name their place', () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['SELEC a FROM t', 0, /expected SELECT, but found SELEC/],
    ['SELECT a, FROM t', 10, /expected a column, but found FROM/],
    ['SELECT a FORM t', 9, /expected FROM, but found FORM/],
    ['SELECT upper(a FROM t', 15, /expected \) behind the arguments of upper/],
    ["SELECT 'a FROM t", 7, /not closed/],
    ['SELECT `a FROM t', 7, /not closed/],
    ['SELECT a /* FROM t', 9, /comment is not closed/],
    ['SELECT a FROM t WHERE', 21, /expected an expression, but the text ends/],
    ['SELECT a FROM t WHERE a = = 1', 26, /found =/],
    ['SELECT CAST(a AS FLOT) FROM t', 17, /no type FLOT/],
    ['SELECT a FROM t t2 t3', 19, /expected the end/],
    ['SELECT 1a FROM t', 7, /number and a name/],
    ['SELECT a ? b FROM t', 9, /expected the end/],
    ['SELECT a # b FROM t', 9, /has no place here/],
    ["SELECT INTERVAL 'soon' FROM t", 7, /not an interval/],
    ['SELECT CASE a END FROM t', 14, /expected WHEN/],
    ['SELECT a FROM t WATERMARK ts DELAY INTERVAL 1 DAY', 35, /expected OF behind DELAY/],
    ['SELECT row_number() OVER w FROM t', 25, /expected \( behind OVER/],
    ['SELECT lag(a) OVER (ORDER BY b ROWS 1 PRECEDING) FROM t', 31, /frames of window functions/],
    ['SELECT DISTINCT ON a FROM t', 19, /expected \( behind DISTINCT ON/],
    [`SELECT ${'('.repeat(500)}a`, 206, /deeper than 200/],
  ];
  for (const [text, offset, message] of cases) {
    test(text.slice(0, 40), () => {
      assert.throws(
        () => parseQuery(text),
        (error) => error instanceof SqlSyntaxError && message.test(error.message) && error.span.offset === offset,
      );
    });
  }
});

suite('columns and types', () => {
  test('a schema', () => {
    const schema = parseColumns(
      "id STRING NOT NULL, tags: ARRAY<STRUCT<a: INT, b INT NOT NULL>> COMMENT 'x', d DECIMAL(12,2), m MAP<STRING, array<int>>, `odd name` LONG, e STRUCT<>",
    );
    assert.deepEqual(
      schema.map(({ name, type, nullable }) => [name, formatType(type), nullable]),
      [
        ['id', 'STRING', false],
        ['tags', 'ARRAY<STRUCT<a: INT, b: INT>>', true],
        ['d', 'DECIMAL(12,2)', true],
        ['m', 'MAP<STRING, ARRAY<INT>>', true],
        ['odd name', 'BIGINT', true],
        ['e', 'STRUCT<>', true],
      ],
    );
  });

  test('what is wrong is refused', () => {
    for (const text of [
      '',
      'id',
      'id TEXT',
      'a INT, A INT',
      'd DECIMAL(50,2)',
      'd DECIMAL(2,5)',
      'a ARRAY',
      'a INT,',
      'a MAP<INT>',
    ]) {
      assert.throws(() => parseColumns(text), SqlSyntaxError, text);
    }
    assert.throws(() => parseType('ARRAY<'.repeat(300)), SqlSyntaxError);
  });
});
