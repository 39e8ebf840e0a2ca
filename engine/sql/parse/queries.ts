/** Queries: WITH, set operations, SELECT with its clauses. */
import type { LateralView, Query, QueryBody, Select, SelectItem, SqlExpr } from '../../../core/ast.ts';
import { didYouMean, SqlSyntaxError } from '../problems.ts';
import { readPrimary } from './expressions.ts';
import type { Grammar } from './grammar.ts';
import { readGroupBy } from './grouping.ts';
import { readOrderBy } from './order.ts';
import { columnNames, readRelation, refuseClauses, withColumnNames } from './relations.ts';

/** A query with what stands around its SELECT: WITH, ORDER BY, LIMIT, OFFSET. */
export function readQuery(p: Grammar): Query {
  return p.nested(() => {
    const start = p.peek();
    const ctes = p.skip('WITH') ? p.list(() => commonTable(p)) : [];
    const body = queryBody(p);
    const orderStart = p.peek();
    const orderBy = readOrderBy(p);
    const orderBySpan = orderBy.length === 0 ? null : p.span(orderStart);
    const limit = p.skip('LIMIT') ? p.expr() : null;
    const offsetRows = p.skip('OFFSET') ? p.expr() : null;
    return { ctes, body, orderBy, orderBySpan, limit, offsetRows, ...p.span(start) };
  });
}

function commonTable(p: Grammar): Query['ctes'][number] {
  const name = p.identifier('the name of a common table expression');
  const columns = p.is('(') && !p.is('SELECT', 1) && !p.is('WITH', 1) && !p.is('(', 1) ? columnNames(p) : [];
  p.skip('AS');
  p.expect('(', 'before the query');
  const query = p.query();
  p.expect(')', 'behind the query');
  return { name, query: columns.length === 0 ? query : withColumnNames(query, name, columns) };
}

function queryBody(p: Grammar): QueryBody {
  const start = p.peek();
  let left = queryTerm(p);
  for (;;) {
    const op = p.skip('UNION')
      ? 'union'
      : p.skip('INTERSECT')
        ? 'intersect'
        : p.skip('EXCEPT') || p.skip('MINUS')
          ? 'except'
          : null;
    if (op === null) return left;
    const all = p.skip('ALL');
    if (!all) p.skip('DISTINCT');
    const byName = op === 'union' && p.is('BY') && p.is('NAME', 1);
    if (byName) p.advance(2);
    const right = queryTerm(p);
    left = { kind: 'set', op: op === 'union' && all ? 'unionAll' : op, byName, left, right, ...p.span(start) };
  }
}

function queryTerm(p: Grammar): QueryBody {
  const start = p.peek();
  if (!p.skip('(')) return select(p);
  const query = p.query();
  p.expect(')', 'behind the query');
  return { kind: 'nested', query, ...p.span(start) };
}

function select(p: Grammar): Select {
  const start = p.peek();
  if (!p.skip('SELECT')) {
    throw p.unexpected('expected SELECT', start.kind === 'word' ? insteadOfSelect(start.text) : undefined);
  }
  const distinct = p.skip('DISTINCT');
  if (!distinct) p.skip('ALL');
  const distinctOn = distinct && p.skip('ON') ? distinctColumns(p) : [];
  const withinWatermark = distinct && p.is('WITHIN') && p.is('WATERMARK', 1);
  if (withinWatermark) p.advance(2);
  const items = [selectItem(p)];
  while (p.skip(',')) {
    if (p.is('FROM')) throw p.unexpected('expected a column', 'take away the comma before FROM');
    items.push(selectItem(p));
  }
  const misspelt = items.at(-1)?.alias;
  if (misspelt && p.isName() && didYouMean(misspelt.text, ['FROM']) !== undefined)
    throw new SqlSyntaxError(`expected FROM, but found ${misspelt.text}`, misspelt, 'did you mean FROM?');
  const from = p.skip('FROM') ? readRelation(p) : null;
  const lateralViews: LateralView[] = [];
  while (p.is('LATERAL') && p.is('VIEW', 1)) lateralViews.push(lateralView(p));
  const where = p.skip('WHERE') ? p.expr() : null;
  const groupStart = p.peek();
  const grouping = p.skip('GROUP') ? readGroupBy(p) : { groupBy: [], groupingSets: [] };
  const isGrouped = grouping.groupBy.length > 0 || grouping.groupingSets.length > 0;
  const groupBySpan = isGrouped ? p.span(groupStart) : null;
  const having = p.skip('HAVING') ? p.expr() : null;
  refuseClauses(p);
  return {
    kind: 'select',
    distinct,
    distinctOn,
    withinWatermark,
    items,
    from,
    lateralViews,
    where,
    ...grouping,
    groupBySpan,
    having,
    ...p.span(start),
  };
}

function insteadOfSelect(word: string): string {
  if (/^(insert|create|merge|update|delete|replace|drop|alter|set|use)$/i.test(word))
    return "a job's query is a SELECT; sinks: says where its rows go, with create: true into tables that it makes";
  return didYouMean(word, ['SELECT', 'WITH']) ?? 'the query is SQL: SELECT … FROM source';
}

function distinctColumns(p: Grammar): SqlExpr[] {
  p.expect('(', 'behind DISTINCT ON');
  const exprs = p.list(() => p.expr());
  p.expect(')', 'behind the columns of DISTINCT ON');
  return exprs;
}

function selectItem(p: Grammar): SelectItem {
  const expr = p.expr();
  if (expr.kind === 'star' && p.is('EXCEPT') && p.is('(', 1) && !p.is('SELECT', 2) && !p.is('(', 2)) {
    p.next();
    return { expr: { ...expr, except: columnNames(p), ...p.span(expr) }, alias: null, aliases: [] };
  }
  if (p.skip('AS')) {
    if (p.skip('(')) {
      const aliases = p.list(() => p.identifier('a column name'));
      p.expect(')', 'behind the column names');
      return { expr, alias: null, aliases };
    }
    return { expr, alias: p.anyIdentifier('a column name behind AS'), aliases: [] };
  }
  return { expr, alias: p.isName() ? p.identifier('a column name') : null, aliases: [] };
}

function lateralView(p: Grammar): LateralView {
  const start = p.next();
  p.next();
  const outer = p.skip('OUTER');
  const call = readPrimary(p);
  const tableAlias = p.isName() ? p.identifier('a table name') : null;
  const columnAliases = p.skip('AS') ? p.list(() => p.identifier('a column name')) : [];
  return { outer, call, tableAlias, columnAliases, ...p.span(start) };
}
