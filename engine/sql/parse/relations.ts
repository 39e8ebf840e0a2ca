/** What stands behind FROM: sources, sub-queries, joins, watermarks. */
import type { Identifier, Query, Relation, Span } from '../../../core/ast.ts';
import { SqlSyntaxError } from '../problems.ts';
import { readPrimary } from './expressions.ts';
import type { Grammar } from './grammar.ts';
import { POWER } from './operators.ts';

/** Words that begin a clause of Spark's behind FROM, with what to write instead. */
const refusedClauses: readonly (readonly [word: string, instead: string])[] = [
  ['PIVOT', 'write one aggregate for each value: sum(x) FILTER (WHERE kind = 1) AS kind_1'],
  ['UNPIVOT', "write LATERAL VIEW explode(map('a', a, 'b', b)) AS name, value"],
  ['TABLESAMPLE', 'write a condition on a hash of the key: WHERE pmod(xxhash64(key), 100) < 5'],
  ['QUALIFY', 'filter in a query around this one: SELECT * FROM (…) WHERE rn <= 10'],
  ['DISTRIBUTE', 'rows go by the keys of GROUP BY, joins and sinks'],
  ['CLUSTER', 'rows go by the keys of GROUP BY, joins and sinks'],
];

/** Words that begin a relation of Spark's, with what to write instead. */
const refusedRelations: readonly { readonly word: string; readonly instead: string }[] = [
  { word: 'VALUES', instead: 'name the rows as a table of the job, tables: { t: { schema, rows } }, and join it' },
  {
    word: 'LATERAL',
    instead: 'write it behind the source whose rows it works on: FROM a, LATERAL explode(tags) AS t(tag)',
  },
  { word: 'STREAM', instead: 'name the source alone: every source is a stream' },
];

/** Sources and the joins of them. */
export function readRelation(p: Grammar): Relation {
  const start = p.peek();
  let left = relationPrimary(p);
  for (;;) {
    const type = joinType(p);
    if (type === null) return left;
    if (p.is('LATERAL')) {
      left = lateral(p, left, type, start);
      continue;
    }
    const right = relationPrimary(p);
    const on = p.skip('ON') ? p.expr() : null;
    let using: Identifier[] = [];
    if (on === null && p.skip('USING')) {
      p.expect('(', 'behind USING');
      using = p.list(() => p.identifier('a column name'));
      p.expect(')', 'behind the column names');
    }
    left = { kind: 'join', type, left, right, on, using, ...p.span(start) };
  }
}

type JoinType = Extract<Relation, { kind: 'join' }>['type'];

function joinType(p: Grammar): JoinType | null {
  if (p.skip(',')) return 'cross';
  if (p.skip('JOIN')) return 'inner';
  if (p.skip('INNER')) return joinOf(p, 'inner');
  if (p.skip('CROSS')) return joinOf(p, 'cross');
  if (p.skip('FULL')) {
    p.skip('OUTER');
    return joinOf(p, 'full');
  }
  if (p.skip('RIGHT')) {
    p.skip('OUTER');
    return joinOf(p, 'right');
  }
  if (p.skip('LEFT')) {
    if (p.skip('SEMI')) return joinOf(p, 'semi');
    if (p.skip('ANTI')) return joinOf(p, 'anti');
    p.skip('OUTER');
    return joinOf(p, 'left');
  }
  if (p.skip('SEMI')) return joinOf(p, 'semi');
  if (p.is('NATURAL'))
    throw new SqlSyntaxError('NATURAL JOIN is not supported', p.peek(), 'name the columns: JOIN … USING (key)');
  return p.skip('ANTI') ? joinOf(p, 'anti') : null;
}

/** `LATERAL explode(x) [AS] t(a)` behind the kind of join. */
function lateral(p: Grammar, input: Relation, type: JoinType, start: Span): Relation {
  const word = p.next();
  if (type !== 'inner' && type !== 'cross' && type !== 'left')
    throw new SqlSyntaxError('LATERAL stands behind a comma, CROSS JOIN, JOIN or LEFT JOIN', word);
  if (!p.isName() || !p.is('(', 1))
    throw new SqlSyntaxError(
      'LATERAL takes a function that makes rows: queries behind it are not supported',
      word,
      'write LATERAL explode(tags) AS t(tag); columns that are computed stand in the select list of a sub-query in FROM',
    );
  const call = readPrimary(p);
  const tableAlias = relationAlias(p);
  const columnAliases = tableAlias !== null && p.is('(') ? columnNames(p) : [];
  if (p.skip('ON')) {
    const on = p.expr();
    if (on.kind !== 'literal' || on.literal.kind !== 'boolean' || !on.literal.value)
      throw new SqlSyntaxError('a LATERAL function is joined ON true', on, 'write the condition in WHERE');
  }
  return {
    kind: 'lateral',
    input,
    view: { outer: type === 'left', call, tableAlias, columnAliases, ...p.span(word) },
    ...p.span(start),
  };
}

/** `(a, b)` behind an alias. */
export function columnNames(p: Grammar): readonly Identifier[] {
  p.expect('(', 'before the column names');
  const names = p.list(() => p.anyIdentifier('a column name'));
  p.expect(')', 'behind the column names');
  return names;
}

/** The relation with the column names behind its alias, if there are some. */
function named(p: Grammar, input: Relation, alias: Identifier | null, start: Span): Relation {
  return alias !== null && p.is('(')
    ? { kind: 'named', input, alias, columns: columnNames(p), ...p.span(start) }
    : input;
}

function joinOf<T>(p: Grammar, type: T): T {
  p.expect('JOIN', 'here');
  return type;
}

function relationPrimary(p: Grammar): Relation {
  const start = p.peek();
  if (p.skip('(')) {
    if (p.is('SELECT') || p.is('WITH') || p.is('(')) {
      const query = p.query();
      p.expect(')', 'behind the query');
      const alias = relationAlias(p);
      const rows = named(p, { kind: 'subquery', query, alias, ...p.span(start) }, alias, start);
      return watermarked(p, rows, start);
    }
    const relation = readRelation(p);
    p.expect(')', 'behind the relation');
    return watermarked(p, relation, start);
  }
  const refused = refusedRelations.find(({ word }) => p.is(word));
  if (refused !== undefined)
    throw new SqlSyntaxError(`${refused.word} is not supported in FROM`, start, refused.instead);
  const name = [p.identifier('the name of a source')];
  if (p.is('(')) {
    const call = name[0]?.text ?? '';
    throw new SqlSyntaxError(
      `functions that give rows do not stand in FROM, and ${call}(…) does`,
      start,
      `write FROM source, LATERAL ${call}(…) AS t(column), or LATERAL VIEW ${call}(…) behind the source`,
    );
  }
  while (p.skip('.')) name.push(p.anyIdentifier('a name'));
  const alias = relationAlias(p);
  refuseClauses(p);
  return watermarked(p, named(p, { kind: 'table', name, alias, ...p.span(start) }, alias, start), start);
}

/** `WATERMARK column DELAY OF INTERVAL …`, before the alias or behind it. */
function watermarked(p: Grammar, input: Relation, start: Span): Relation {
  if (!isWatermark(p)) return input;
  p.next();
  const column = p.identifier('the column of the event time');
  p.expect('DELAY', 'behind the column of WATERMARK');
  p.expect('OF', 'behind DELAY');
  const delay = p.expr(POWER.comparison);
  const alias = relationAlias(p);
  const rows = named(p, { kind: 'watermark', input, column, delay, alias, ...p.span(start) }, alias, start);
  return watermarked(p, rows, start);
}

/** `query AS name(a, b)` as a query of its own. */
export function withColumnNames(query: Query, alias: Identifier, columns: readonly Identifier[]): Query {
  const { offset, length } = query;
  const span = { offset, length };
  const from: Relation = { kind: 'named', input: { kind: 'subquery', query, alias, ...span }, alias, columns, ...span };
  return {
    ctes: [],
    body: {
      kind: 'select',
      distinct: false,
      distinctOn: [],
      withinWatermark: false,
      items: [{ expr: { kind: 'star', qualifier: [], ...span }, alias: null, aliases: [] }],
      from,
      lateralViews: [],
      where: null,
      groupBy: [],
      groupingSets: [],
      groupBySpan: null,
      having: null,
      ...span,
    },
    orderBy: [],
    orderBySpan: null,
    limit: null,
    offsetRows: null,
    ...span,
  };
}

/** WATERMARK is a word like others where no column and DELAY follow. */
function isWatermark(p: Grammar): boolean {
  return p.is('WATERMARK') && p.isName(1) && p.is('DELAY', 2);
}

function relationAlias(p: Grammar): Identifier | null {
  if (p.skip('AS')) return p.identifier('an alias behind AS');
  if (refusedClauses.some(([word]) => p.is(word) && (word === 'QUALIFY' || p.is('(', 1)))) return null;
  return p.isName() && !isWatermark(p) ? p.identifier('an alias') : null;
}

/** Clauses that Spark has and streams do not. */
export function refuseClauses(p: Grammar): void {
  for (const [word, instead] of refusedClauses) {
    if (p.is(word)) throw new SqlSyntaxError(`${word} is not supported`, p.peek(), instead);
  }
}
