/** What stands behind FROM: sources, sub-queries, joins, watermarks. */
import type { Identifier, Relation, Span } from '../../../core/ast.ts';
import { SqlSyntaxError } from '../problems.ts';
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
  { word: 'LATERAL', instead: 'write LATERAL VIEW explode(…) t AS x behind the source, or join the query' },
  { word: 'STREAM', instead: 'name the source alone: every source is a stream' },
];

/** Sources and the joins of them. */
export function readRelation(p: Grammar): Relation {
  const start = p.peek();
  let left = relationPrimary(p);
  for (;;) {
    const type = joinType(p);
    if (type === null) return left;
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

function joinType(p: Grammar): Extract<Relation, { kind: 'join' }>['type'] | null {
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
      return watermarked(p, { kind: 'subquery', query, alias, ...p.span(start) }, start);
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
      `write LATERAL VIEW ${call}(…) behind the source whose rows it works on`,
    );
  }
  while (p.skip('.')) name.push(p.anyIdentifier('a name'));
  const alias = relationAlias(p);
  refuseClauses(p);
  return watermarked(p, { kind: 'table', name, alias, ...p.span(start) }, start);
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
  return watermarked(p, { kind: 'watermark', input, column, delay, alias, ...p.span(start) }, start);
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
