/**
 * Spark's SQL, read by a Pratt parser (Pratt, "Top down operator precedence"): operators by binding power, everything
 * else by recursive descent. It accepts the language; what of it can run is for the analyzer to say.
 */
import type {
  BinaryOp,
  CastMode,
  Identifier,
  LateralView,
  Query,
  QueryBody,
  Relation,
  Select,
  SelectItem,
  SortItem,
  Span,
  SqlExpr,
  SqlLiteral,
  WindowSpec,
} from '../../core/ast.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import { intervalOfText } from '../../core/interval.ts';
import { intervalOfUnits, isIntervalUnit } from './interval.ts';
import { type Token, tokenize } from './lexer.ts';
import { didYouMean, SqlSyntaxError } from './problems.ts';

/** The query of a job. Throws {@link SqlSyntaxError}. */
export function parseQuery(text: string): Query {
  const parser = new Parser(text);
  const query = parser.query();
  parser.skip(';');
  parser.expectEnd();
  return query;
}

/** One expression alone. Throws {@link SqlSyntaxError}. */
export function parseExpression(text: string): SqlExpr {
  const parser = new Parser(text);
  const expr = parser.expr();
  parser.expectEnd();
  return expr;
}

/** Columns as CREATE TABLE lists them. Throws {@link SqlSyntaxError}. */
export function parseColumns(text: string): Schema {
  const parser = new Parser(text);
  const columns = parser.columnList();
  parser.expectEnd();
  return columns;
}

/** One type alone: `ARRAY<STRUCT<a: INT>>`. Throws {@link SqlSyntaxError}. */
export function parseType(text: string): DataType {
  const parser = new Parser(text);
  const type = parser.type();
  parser.expectEnd();
  return type;
}

const POWER = {
  or: 1,
  and: 2,
  not: 3,
  predicate: 4,
  comparison: 5,
  bitOr: 6,
  bitXor: 7,
  bitAnd: 8,
  shift: 9,
  sum: 10,
  product: 11,
  unary: 12,
  postfix: 13,
};

const binaryOperators = new Map<string, { readonly op: BinaryOp; readonly power: number }>([
  ['OR', { op: 'or', power: POWER.or }],
  ['AND', { op: 'and', power: POWER.and }],
  ['=', { op: '=', power: POWER.comparison }],
  ['==', { op: '=', power: POWER.comparison }],
  ['<=>', { op: '<=>', power: POWER.comparison }],
  ['<>', { op: '<>', power: POWER.comparison }],
  ['!=', { op: '<>', power: POWER.comparison }],
  ['<', { op: '<', power: POWER.comparison }],
  ['<=', { op: '<=', power: POWER.comparison }],
  ['>', { op: '>', power: POWER.comparison }],
  ['>=', { op: '>=', power: POWER.comparison }],
  ['!>', { op: '<=', power: POWER.comparison }],
  ['!<', { op: '>=', power: POWER.comparison }],
  ['|', { op: '|', power: POWER.bitOr }],
  ['^', { op: '^', power: POWER.bitXor }],
  ['&', { op: '&', power: POWER.bitAnd }],
  ['+', { op: '+', power: POWER.sum }],
  ['-', { op: '-', power: POWER.sum }],
  ['||', { op: '||', power: POWER.sum }],
  ['*', { op: '*', power: POWER.product }],
  ['/', { op: '/', power: POWER.product }],
  ['%', { op: '%', power: POWER.product }],
  ['DIV', { op: 'div', power: POWER.product }],
]);

/** Words that begin a clause: never a name or an alias unless in backticks. */
const reserved = new Set(
  'SELECT FROM WHERE GROUP HAVING ORDER LIMIT UNION INTERSECT EXCEPT MINUS LATERAL JOIN LEFT RIGHT INNER FULL CROSS NATURAL ON USING WITH AS WHEN THEN ELSE END CASE AND OR NOT IN BETWEEN LIKE ILIKE RLIKE REGEXP IS DISTRIBUTE CLUSTER SORT SEMI ANTI'.split(
    ' ',
  ),
);

/** Reserved words that are also functions. */
const reservedFunctions = new Set(['LEFT', 'RIGHT', 'LIKE', 'ILIKE', 'RLIKE', 'REGEXP']);

/** Functions that may be written without parentheses. */
const bareFunctions = new Set(['CURRENT_TIMESTAMP', 'CURRENT_DATE', 'LOCALTIMESTAMP']);

/** Functions whose first argument may be the bare name of a unit. */
const unitFunctions = new Set([
  'DATEADD',
  'DATE_ADD',
  'DATEDIFF',
  'DATE_DIFF',
  'TIMEDIFF',
  'TIMESTAMPADD',
  'TIMESTAMPDIFF',
]);

/** Functions whose arguments may go by name, with their parameters in order. */
const namedParameters = new Map<string, readonly string[]>([
  ['MASK', ['str', 'upperChar', 'lowerChar', 'digitChar', 'otherChar']],
  ['EXPLODE', ['collection']],
  ['EXPLODE_OUTER', ['collection']],
  ['POSEXPLODE', ['collection']],
  ['POSEXPLODE_OUTER', ['collection']],
  ['INLINE', ['input']],
  ['INLINE_OUTER', ['input']],
]);

/** What stands for parameters in the middle that are left out. */
const namedDefaults = new Map([
  ['upperChar', 'X'],
  ['lowerChar', 'x'],
  ['digitChar', 'n'],
]);

/** Words that are functions and, where no parenthesis follows, names. */
const nameOrFunction = new Set(['LEFT', 'RIGHT']);

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

const DEPTH_MAX = 200;

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  // ---- tokens ---------------------------------------------------------------------------------------------------

  #peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as Token;
  }

  #next(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  /** Is the next token this word (in capitals) or symbol? */
  #is(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.kind === 'word' ? token.upper === text : token.kind === 'symbol' && token.text === text;
  }

  skip(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string, where: string): Token {
    if (this.#is(text)) return this.#next();
    throw this.#unexpected(`expected ${text} ${where}`);
  }

  expectEnd(): void {
    if (this.#peek().kind !== 'end') throw this.#unexpected('expected the end');
  }

  #unexpected(expected: string, hint?: string): SqlSyntaxError {
    const token = this.#peek();
    const found =
      token.kind === 'end'
        ? 'the text ends'
        : token.kind === 'string'
          ? `found the text '${token.text}'`
          : `found ${token.text}`;
    return new SqlSyntaxError(`${expected}, but ${found}`, token, hint);
  }

  /** From a token or node to the last token read. */
  #span(from: Span): Span {
    const last = this.#tokens[this.#at - 1] ?? from;
    return { offset: from.offset, length: Math.max(1, last.offset + last.length - from.offset) };
  }

  #isName(ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.kind === 'quoted' || (token.kind === 'word' && !reserved.has(token.upper));
  }

  #identifier(what: string): Identifier {
    const token = this.#peek();
    if (!this.#isName())
      throw this.#unexpected(
        `expected ${what}`,
        token.kind === 'word' ? `a reserved word is a name in \`backticks\` only` : undefined,
      );
    this.#next();
    return { text: token.text, offset: token.offset, length: token.length };
  }

  /** A name behind a point or AS: there, any word will do. */
  #anyIdentifier(what: string): Identifier {
    const token = this.#peek();
    if (token.kind !== 'word' && token.kind !== 'quoted') throw this.#unexpected(`expected ${what}`);
    this.#next();
    return { text: token.text, offset: token.offset, length: token.length };
  }

  #list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.skip(',')) items.push(item());
    return items;
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > DEPTH_MAX)
      throw new SqlSyntaxError(`this is nested deeper than ${DEPTH_MAX} levels`, this.#peek());
    const result = parse();
    this.#depth--;
    return result;
  }

  // ---- queries --------------------------------------------------------------------------------------------------

  query(): Query {
    return this.#nested(() => {
      const start = this.#peek();
      const ctes = this.skip('WITH') ? this.#list(() => this.#cte()) : [];
      const body = this.#queryBody();
      const orderStart = this.#peek();
      const orderBy = this.#orderBy();
      const orderBySpan = orderBy.length === 0 ? null : this.#span(orderStart);
      const limit = this.skip('LIMIT') ? this.expr() : null;
      const offsetRows = this.skip('OFFSET') ? this.expr() : null;
      return { ctes, body, orderBy, orderBySpan, limit, offsetRows, ...this.#span(start) };
    });
  }

  #cte(): Query['ctes'][number] {
    const name = this.#identifier('the name of a common table expression');
    this.skip('AS');
    this.#expect('(', 'before the query');
    const query = this.query();
    this.#expect(')', 'behind the query');
    return { name, query };
  }

  #queryBody(): QueryBody {
    const start = this.#peek();
    let left = this.#queryTerm();
    for (;;) {
      const op = this.skip('UNION')
        ? 'union'
        : this.skip('INTERSECT')
          ? 'intersect'
          : this.skip('EXCEPT') || this.skip('MINUS')
            ? 'except'
            : null;
      if (op === null) return left;
      const all = this.skip('ALL');
      if (!all) this.skip('DISTINCT');
      const byName = op === 'union' && this.#is('BY') && this.#is('NAME', 1);
      if (byName) this.#at += 2;
      const right = this.#queryTerm();
      left = { kind: 'set', op: op === 'union' && all ? 'unionAll' : op, byName, left, right, ...this.#span(start) };
    }
  }

  #queryTerm(): QueryBody {
    const start = this.#peek();
    if (!this.skip('(')) return this.#select();
    const query = this.query();
    this.#expect(')', 'behind the query');
    return { kind: 'nested', query, ...this.#span(start) };
  }

  #select(): Select {
    const start = this.#peek();
    if (!this.skip('SELECT')) {
      const word = start.kind === 'word' ? didYouMean(start.text, ['SELECT', 'WITH']) : undefined;
      throw this.#unexpected('expected SELECT', word);
    }
    const distinct = this.skip('DISTINCT');
    if (!distinct) this.skip('ALL');
    const distinctOn = distinct && this.skip('ON') ? this.#distinctOn() : [];
    const withinWatermark = distinct && this.#is('WITHIN') && this.#is('WATERMARK', 1);
    if (withinWatermark) this.#at += 2;
    const items = this.#list(() => this.#selectItem());
    const from = this.skip('FROM') ? this.#relation() : null;
    const lateralViews: LateralView[] = [];
    while (this.#is('LATERAL') && this.#is('VIEW', 1)) lateralViews.push(this.#lateralView());
    const where = this.skip('WHERE') ? this.expr() : null;
    const groupStart = this.#peek();
    const grouping = this.skip('GROUP') ? this.#groupBy() : { groupBy: [], groupingSets: [] };
    const isGrouped = grouping.groupBy.length > 0 || grouping.groupingSets.length > 0;
    const groupBySpan = isGrouped ? this.#span(groupStart) : null;
    const having = this.skip('HAVING') ? this.expr() : null;
    this.#refuseClauses();
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
      ...this.#span(start),
    };
  }

  /** Clauses that Spark has and streams do not. */
  #refuseClauses(): void {
    for (const [word, instead] of refusedClauses) {
      if (this.#is(word)) throw new SqlSyntaxError(`${word} is not supported`, this.#peek(), instead);
    }
  }

  /** What stands behind GROUP: expressions, and sets of them. */
  #groupBy(): Pick<Select, 'groupBy' | 'groupingSets'> {
    this.#expect('BY', 'behind GROUP');
    const groupBy: SqlExpr[] = [];
    const groupingSets: (readonly (readonly SqlExpr[])[])[] = [];
    do {
      if (this.#isGroupingSets()) groupingSets.push(this.#groupingSets());
      else if ((this.#is('CUBE') || this.#is('ROLLUP')) && this.#is('(', 1))
        groupingSets.push(this.#next().text.toUpperCase() === 'CUBE' ? cube(this.#setList()) : rollup(this.#setList()));
      else groupBy.push(this.expr());
    } while (this.skip(','));
    // Hive's forms: the sets behind the list are of its expressions.
    const ofAll = groupBy.map((expr) => [expr]);
    if (this.#isGroupingSets()) return { groupBy: [], groupingSets: [...groupingSets, this.#groupingSets()] };
    if (this.#is('WITH') && (this.#is('CUBE', 1) || this.#is('ROLLUP', 1))) {
      this.#next();
      return { groupBy: [], groupingSets: [this.#next().text.toUpperCase() === 'CUBE' ? cube(ofAll) : rollup(ofAll)] };
    }
    return { groupBy, groupingSets };
  }

  #isGroupingSets(): boolean {
    return this.#is('GROUPING') && this.#is('SETS', 1);
  }

  #groupingSets(): readonly (readonly SqlExpr[])[] {
    this.#at += 2;
    this.#expect('(', 'behind GROUPING SETS');
    const sets = this.#list(() => {
      if (this.#isGroupingSets()) return this.#groupingSets();
      if ((this.#is('CUBE') || this.#is('ROLLUP')) && this.#is('(', 1))
        return this.#next().text.toUpperCase() === 'CUBE' ? cube(this.#setList()) : rollup(this.#setList());
      return [this.#set()];
    });
    this.#expect(')', 'behind the grouping sets');
    return sets.flat();
  }

  /** `(a, (b, c))` behind CUBE and ROLLUP. */
  #setList(): readonly (readonly SqlExpr[])[] {
    this.#expect('(', 'before the grouping columns');
    const sets = this.#list(() => this.#set());
    this.#expect(')', 'behind the grouping columns');
    return sets;
  }

  /** `(a, b)`, `()` or `a`. */
  #set(): readonly SqlExpr[] {
    if (!this.#is('(')) return [this.expr()];
    this.#next();
    const exprs = this.#is(')') ? [] : this.#list(() => this.expr());
    this.#expect(')', 'behind a grouping set');
    return exprs;
  }

  #distinctOn(): SqlExpr[] {
    this.#expect('(', 'behind DISTINCT ON');
    const exprs = this.#list(() => this.expr());
    this.#expect(')', 'behind the columns of DISTINCT ON');
    return exprs;
  }

  #selectItem(): SelectItem {
    const expr = this.expr();
    if (this.skip('AS')) {
      if (this.skip('(')) {
        const aliases = this.#list(() => this.#identifier('a column name'));
        this.#expect(')', 'behind the column names');
        return { expr, alias: null, aliases };
      }
      return { expr, alias: this.#anyIdentifier('a column name behind AS'), aliases: [] };
    }
    return { expr, alias: this.#isName() ? this.#identifier('a column name') : null, aliases: [] };
  }

  #lateralView(): LateralView {
    const start = this.#next();
    this.#next();
    const outer = this.skip('OUTER');
    const call = this.#primary();
    const tableAlias = this.#isName() ? this.#identifier('a table name') : null;
    const columnAliases = this.skip('AS') ? this.#list(() => this.#identifier('a column name')) : [];
    return { outer, call, tableAlias, columnAliases, ...this.#span(start) };
  }

  #relation(): Relation {
    const start = this.#peek();
    let left = this.#relationPrimary();
    for (;;) {
      const type = this.#joinType();
      if (type === null) return left;
      const right = this.#relationPrimary();
      const on = this.skip('ON') ? this.expr() : null;
      let using: Identifier[] = [];
      if (on === null && this.skip('USING')) {
        this.#expect('(', 'behind USING');
        using = this.#list(() => this.#identifier('a column name'));
        this.#expect(')', 'behind the column names');
      }
      left = { kind: 'join', type, left, right, on, using, ...this.#span(start) };
    }
  }

  #joinType(): Extract<Relation, { kind: 'join' }>['type'] | null {
    if (this.skip(',')) return 'cross';
    if (this.skip('JOIN')) return 'inner';
    if (this.skip('INNER')) return this.#join('inner');
    if (this.skip('CROSS')) return this.#join('cross');
    if (this.skip('FULL')) {
      this.skip('OUTER');
      return this.#join('full');
    }
    if (this.skip('RIGHT')) {
      this.skip('OUTER');
      return this.#join('right');
    }
    if (this.skip('LEFT')) {
      if (this.skip('SEMI')) return this.#join('semi');
      if (this.skip('ANTI')) return this.#join('anti');
      this.skip('OUTER');
      return this.#join('left');
    }
    if (this.skip('SEMI')) return this.#join('semi');
    if (this.#is('NATURAL'))
      throw new SqlSyntaxError('NATURAL JOIN is not supported', this.#peek(), 'name the columns: JOIN … USING (key)');
    return this.skip('ANTI') ? this.#join('anti') : null;
  }

  #join<T>(type: T): T {
    this.#expect('JOIN', 'here');
    return type;
  }

  #relationPrimary(): Relation {
    const start = this.#peek();
    if (this.skip('(')) {
      if (this.#is('SELECT') || this.#is('WITH') || this.#is('(')) {
        const query = this.query();
        this.#expect(')', 'behind the query');
        const alias = this.#relationAlias();
        return this.#watermark({ kind: 'subquery', query, alias, ...this.#span(start) }, start);
      }
      const relation = this.#relation();
      this.#expect(')', 'behind the relation');
      return this.#watermark(relation, start);
    }
    const refused = refusedRelations.find(({ word }) => this.#is(word));
    if (refused !== undefined)
      throw new SqlSyntaxError(`${refused.word} is not supported in FROM`, start, refused.instead);
    const name = [this.#identifier('the name of a source')];
    if (this.#is('(')) {
      const call = name[0]?.text ?? '';
      throw new SqlSyntaxError(
        `functions that give rows do not stand in FROM, and ${call}(…) does`,
        start,
        `write LATERAL VIEW ${call}(…) behind the source whose rows it works on`,
      );
    }
    while (this.skip('.')) name.push(this.#anyIdentifier('a name'));
    const alias = this.#relationAlias();
    this.#refuseClauses();
    return this.#watermark({ kind: 'table', name, alias, ...this.#span(start) }, start);
  }

  /** `WATERMARK column DELAY OF INTERVAL …`, before the alias or behind it. */
  #watermark(input: Relation, start: Span): Relation {
    if (!this.#isWatermark()) return input;
    this.#next();
    const column = this.#identifier('the column of the event time');
    this.#expect('DELAY', 'behind the column of WATERMARK');
    this.#expect('OF', 'behind DELAY');
    const delay = this.expr(POWER.comparison);
    const alias = this.#relationAlias();
    return this.#watermark({ kind: 'watermark', input, column, delay, alias, ...this.#span(start) }, start);
  }

  /** WATERMARK is a word like others where no column and DELAY follow. */
  #isWatermark(): boolean {
    return this.#is('WATERMARK') && this.#isName(1) && this.#is('DELAY', 2);
  }

  #relationAlias(): Identifier | null {
    if (this.skip('AS')) return this.#identifier('an alias behind AS');
    if (refusedClauses.some(([word]) => this.#is(word) && (word === 'QUALIFY' || this.#is('(', 1)))) return null;
    return this.#isName() && !this.#isWatermark() ? this.#identifier('an alias') : null;
  }

  #orderBy(): SortItem[] {
    if (!this.#is('ORDER') && !this.#is('SORT')) return [];
    this.#next();
    this.#expect('BY', 'behind ORDER');
    return this.#list(() => this.#sortItem());
  }

  #sortItem(): SortItem {
    const expr = this.expr();
    const descending = this.skip('DESC');
    if (!descending) this.skip('ASC');
    let nullsFirst: boolean | null = null;
    if (this.skip('NULLS')) {
      nullsFirst = this.skip('FIRST');
      if (!nullsFirst) this.#expect('LAST', 'behind NULLS');
    }
    return { expr, descending, nullsFirst };
  }

  // ---- expressions ----------------------------------------------------------------------------------------------

  expr(power = 0): SqlExpr {
    return this.#nested(() => {
      const start = this.#peek();
      let left = this.#prefix();
      for (;;) {
        const longer = this.#infix(left, start, power);
        if (longer === null) return left;
        left = longer;
      }
    });
  }

  #prefix(): SqlExpr {
    const token = this.#peek();
    if (this.#is('NOT') || this.#is('!')) {
      this.#next();
      return { kind: 'unary', op: 'not', input: this.expr(POWER.not), ...this.#span(token) };
    }
    if (this.#is('-') || this.#is('+') || this.#is('~')) {
      this.#next();
      const op = token.text as '-' | '+' | '~';
      // The sign belongs to a number, so that the smallest BIGINT can be written.
      const number = this.#peek();
      if (op === '-' && number.kind === 'number') {
        this.#next();
        const literal: SqlLiteral = { kind: 'number', text: `-${number.text}`, suffix: number.suffix };
        return this.#postfix({ kind: 'literal', literal, ...this.#span(token) }, token);
      }
      return { kind: 'unary', op, input: this.expr(POWER.unary), ...this.#span(token) };
    }
    return this.#postfix(this.#primary(), token);
  }

  /** The expression that the next operator makes of `left`, or null when it binds less than `power`. */
  #infix(left: SqlExpr, start: Span, power: number): SqlExpr | null {
    const token = this.#peek();
    const key = token.kind === 'word' ? token.upper : token.kind === 'symbol' ? token.text : '';
    const shift = this.#shift();
    if (shift !== null) {
      if (POWER.shift <= power) return null;
      for (let count = shift.symbols; count > 0; count--) this.#next();
      const right = this.expr(POWER.shift);
      const name: Identifier = { text: shift.name, offset: token.offset, length: shift.symbols };
      return {
        kind: 'call',
        name,
        args: [left, right],
        distinct: false,
        filter: null,
        over: null,
        ...this.#span(start),
      };
    }
    const operator = binaryOperators.get(key);
    if (operator !== undefined) {
      if (operator.power <= power) return null;
      this.#next();
      const right = this.expr(operator.power);
      return { kind: 'binary', op: operator.op, left, right, ...this.#span(start) };
    }
    return power <= POWER.predicate ? this.#predicate(left, start) : null;
  }

  /** `<<`, `>>` or `>>>` ahead. They are no tokens: `ARRAY<ARRAY<INT>>` ends in two. */
  #shift(): { readonly name: string; readonly symbols: number } | null {
    const first = this.#peek();
    const joined = (ahead: number, text: string): boolean =>
      this.#is(text, ahead) && this.#peek(ahead).offset === first.offset + ahead;
    if (joined(0, '<') && joined(1, '<')) return { name: 'shiftleft', symbols: 2 };
    if (!joined(0, '>') || !joined(1, '>')) return null;
    return joined(2, '>') ? { name: 'shiftrightunsigned', symbols: 3 } : { name: 'shiftright', symbols: 2 };
  }

  #predicate(input: SqlExpr, start: Span): SqlExpr | null {
    if (this.skip('IS')) {
      const negated = this.skip('NOT') || this.skip('!');
      if (this.skip('DISTINCT')) {
        this.#expect('FROM', 'behind IS DISTINCT');
        const right = this.expr(POWER.comparison);
        const same: SqlExpr = { kind: 'binary', op: '<=>', left: input, right, ...this.#span(start) };
        return negated ? same : { kind: 'unary', op: 'not', input: same, ...this.#span(start) };
      }
      if (this.skip('NULL') || this.skip('UNKNOWN'))
        return { kind: 'is', what: 'null', input, negated, ...this.#span(start) };
      if (this.skip('TRUE')) return { kind: 'is', what: 'true', input, negated, ...this.#span(start) };
      if (this.skip('FALSE')) return { kind: 'is', what: 'false', input, negated, ...this.#span(start) };
      throw this.#unexpected('expected NULL, TRUE, FALSE or DISTINCT FROM behind IS');
    }
    const isNegated = this.#is('NOT') || this.#is('!');
    const word = this.#peek(isNegated ? 1 : 0);
    if (word.kind !== 'word' || !/^(BETWEEN|IN|LIKE|ILIKE|RLIKE|REGEXP)$/.test(word.upper)) return null;
    if (isNegated) this.#next();
    this.#next();
    switch (word.upper) {
      case 'BETWEEN': {
        const low = this.expr(POWER.comparison);
        this.#expect('AND', 'between the limits of BETWEEN');
        const high = this.expr(POWER.comparison);
        return { kind: 'between', input, low, high, negated: isNegated, ...this.#span(start) };
      }
      case 'IN': {
        this.#expect('(', 'behind IN');
        if (this.#is('SELECT') || this.#is('WITH')) {
          const query = this.query();
          this.#expect(')', 'behind the query');
          return { kind: 'inQuery', input, query, negated: isNegated, ...this.#span(start) };
        }
        const list = this.#list(() => this.expr());
        this.#expect(')', 'behind the list');
        return { kind: 'in', input, list, negated: isNegated, ...this.#span(start) };
      }
      default: {
        const op = word.upper === 'LIKE' ? 'like' : word.upper === 'ILIKE' ? 'ilike' : 'rlike';
        if (op !== 'rlike' && (this.#is('ANY') || this.#is('SOME') || this.#is('ALL')) && this.#is('(', 1))
          return this.#likeOneOf(input, op, isNegated, start);
        const pattern = this.expr(POWER.comparison);
        const escape = op !== 'rlike' && this.skip('ESCAPE') ? this.#escapeCharacter() : null;
        return { kind: 'like', op, input, pattern, escape, negated: isNegated, ...this.#span(start) };
      }
    }
  }

  /** `a LIKE ANY (p, q)`: a LIKE for each pattern, joined by OR; by AND for ALL. */
  #likeOneOf(input: SqlExpr, op: 'like' | 'ilike', negated: boolean, start: Span): SqlExpr {
    const all = this.#next().text.toUpperCase() === 'ALL';
    this.#expect('(', 'before the patterns');
    const patterns = this.#list(() => this.expr());
    this.#expect(')', 'behind the patterns');
    const span = this.#span(start);
    return patterns
      .map((pattern): SqlExpr => ({ kind: 'like', op, input, pattern, escape: null, negated, ...span }))
      .reduce((left, right) => ({ kind: 'binary', op: all ? 'and' : 'or', left, right, ...span }));
  }

  #escapeCharacter(): string {
    const token = this.#next();
    if (token.kind !== 'string' || [...token.text].length !== 1)
      throw new SqlSyntaxError('ESCAPE takes a text of one character', token);
    return token.text;
  }

  #postfix(input: SqlExpr, start: Span): SqlExpr {
    let expr = input;
    for (;;) {
      if (this.#is('[')) {
        this.#next();
        const index = this.expr();
        this.#expect(']', 'behind the index');
        expr = { kind: 'index', input: expr, index, ...this.#span(start) };
      } else if (this.#is('.') && expr.kind !== 'name') {
        this.#next();
        const field = this.#anyIdentifier('the name of a field');
        expr = { kind: 'field', input: expr, field, ...this.#span(start) };
      } else if (this.skip('::')) {
        expr = { kind: 'cast', input: expr, type: this.type(), mode: 'ansi', ...this.#span(start) };
      } else {
        return expr;
      }
    }
  }

  #primary(): SqlExpr {
    const token = this.#peek();
    switch (token.kind) {
      case 'number':
        this.#next();
        return {
          kind: 'literal',
          literal: { kind: 'number', text: token.text, suffix: token.suffix },
          ...this.#span(token),
        };
      case 'string':
        return this.#stringLiteral();
      case 'symbol':
        if (token.text === '(') return this.#parenthesized();
        if (token.text === '*') {
          this.#next();
          return { kind: 'star', qualifier: [], ...this.#span(token) };
        }
        throw this.#unexpected('expected an expression');
      case 'end':
        throw this.#unexpected('expected an expression');
      case 'quoted':
        return this.#nameOrCall();
      case 'word':
        return this.#word(token);
    }
  }

  /** Texts side by side are one text. */
  #stringLiteral(): SqlExpr {
    const start = this.#peek();
    let value = '';
    for (let token = this.#peek(); token.kind === 'string'; token = this.#peek()) {
      value += token.text;
      this.#next();
    }
    return { kind: 'literal', literal: { kind: 'string', value }, ...this.#span(start) };
  }

  #parenthesized(): SqlExpr {
    const start = this.#next();
    if (this.#isLambdaParams()) {
      const params = this.#list(() => this.#anyIdentifier('a parameter'));
      this.#expect(')', 'behind the parameters');
      this.#expect('->', 'behind the parameters');
      return { kind: 'lambda', params, body: this.expr(), ...this.#span(start) };
    }
    if (this.#is('SELECT') || this.#is('WITH')) {
      const query = this.query();
      this.#expect(')', 'behind the query');
      return { kind: 'subquery', query, ...this.#span(start) };
    }
    const expr = this.#argument();
    if (this.#is(',') || isAliased(expr)) {
      const rest = [expr];
      while (this.skip(',')) rest.push(this.#argument());
      this.#expect(')', 'behind the values');
      const span = this.#span(start);
      return {
        kind: 'call',
        name: { text: 'struct', offset: start.offset, length: start.length },
        args: rest,
        distinct: false,
        filter: null,
        over: null,
        ...span,
      };
    }
    this.#expect(')', 'behind the expression');
    return { ...expr, ...this.#span(start) };
  }

  /** `a, b) ->` ahead, behind the open parenthesis? */
  #isLambdaParams(): boolean {
    let ahead = 0;
    while (['word', 'quoted'].includes(this.#peek(ahead).kind)) {
      if (this.#is(')', ahead + 1)) return this.#is('->', ahead + 2);
      if (!this.#is(',', ahead + 1)) return false;
      ahead += 2;
    }
    return false;
  }

  #word(token: Extract<Token, { kind: 'word' }>): SqlExpr {
    const following = this.#peek(1);
    switch (token.upper) {
      case 'NULL':
        this.#next();
        return { kind: 'literal', literal: { kind: 'null' }, ...this.#span(token) };
      case 'TRUE':
      case 'FALSE':
        this.#next();
        return { kind: 'literal', literal: { kind: 'boolean', value: token.upper === 'TRUE' }, ...this.#span(token) };
      case 'CASE':
        return this.#case();
      case 'CAST':
      case 'TRY_CAST':
        if (this.#is('(', 1)) return this.#cast(token.upper === 'CAST' ? 'ansi' : 'try');
        break;
      case 'DATE':
      case 'TIMESTAMP':
      case 'TIMESTAMP_LTZ':
      case 'X':
        if (following.kind === 'string') return this.#typedLiteral(token);
        break;
      case 'INTERVAL':
        if (following.kind === 'string' || following.kind === 'number' || this.#is('-', 1) || this.#is('+', 1))
          return this.#interval();
        break;
      case 'EXTRACT':
        if (this.#is('(', 1)) return this.#extract();
        break;
      case 'EXISTS':
        if (this.#is('(', 1) && (this.#is('SELECT', 2) || this.#is('WITH', 2))) return this.#exists();
        break;
      case 'SUBSTRING':
      case 'SUBSTR':
      case 'TRIM':
      case 'POSITION':
      case 'OVERLAY':
        if (this.#is('(', 1)) return this.#wordyCall(token);
        break;
    }
    const isCall = this.#is('(', 1);
    if (reserved.has(token.upper) && !(isCall ? reservedFunctions : nameOrFunction).has(token.upper)) {
      throw this.#unexpected('expected an expression');
    }
    if (bareFunctions.has(token.upper) && !this.#is('(', 1)) {
      this.#next();
      return {
        kind: 'call',
        name: { text: token.text, offset: token.offset, length: token.length },
        args: [],
        distinct: false,
        filter: null,
        over: null,
        ...this.#span(token),
      };
    }
    return this.#nameOrCall();
  }

  #nameOrCall(): SqlExpr {
    const start = this.#peek();
    const first = this.#anyIdentifier('a name');
    if (this.skip('->')) return { kind: 'lambda', params: [first], body: this.expr(), ...this.#span(start) };
    if (this.#is('(')) return this.#call(first, start);
    const parts = [first];
    while (this.#is('.')) {
      this.#next();
      if (this.skip('*')) return { kind: 'star', qualifier: parts, ...this.#span(start) };
      parts.push(this.#anyIdentifier('a name behind the point'));
    }
    if (parts.length > 1 && this.#is('(')) {
      throw new SqlSyntaxError(
        `functions have plain names here, not ${parts.map(({ text }) => text).join('.')}`,
        this.#span(start),
      );
    }
    return { kind: 'name', parts, ...this.#span(start) };
  }

  #call(name: Identifier, start: Span): SqlExpr {
    this.#expect('(', 'behind the function name');
    const distinct = this.skip('DISTINCT');
    let args: SqlExpr[] = [];
    if (!this.#is(')')) args = this.#list(() => this.#argument());
    this.#expect(')', `behind the arguments of ${name.text}`);
    let filter: SqlExpr | null = null;
    if (this.#is('FILTER') && this.#is('(', 1)) {
      this.#next();
      this.#next();
      this.#expect('WHERE', 'in FILTER');
      filter = this.expr();
      this.#expect(')', 'behind the condition of FILTER');
    }
    const over = this.skip('OVER') ? this.#window() : null;
    args = this.#placed(name, this.#unitArgument(name, args));
    return { kind: 'call', name, args, distinct, filter, over, ...this.#span(start) };
  }

  /** Arguments given by name, at their places. */
  #placed(name: Identifier, args: SqlExpr[]): SqlExpr[] {
    const named = args.filter(isNamedArgument);
    if (named.length === 0) return args;
    const parameters = namedParameters.get(name.text.toUpperCase());
    const first = named[0] as SqlExpr;
    if (parameters === undefined) throw new SqlSyntaxError(`arguments of ${name.text} go by place, not by name`, first);
    const places: (SqlExpr | undefined)[] = [];
    for (const [index, arg] of args.entries()) {
      if (!isNamedArgument(arg)) {
        if (places.length !== index) throw new SqlSyntaxError('arguments by place stand before those by name', arg);
        places[index] = arg;
        continue;
      }
      const place = parameters.findIndex(
        (parameter) => parameter.toLowerCase() === arg.name.text.slice(1).toLowerCase(),
      );
      if (place < 0)
        throw new SqlSyntaxError(
          `${name.text} has no parameter ${arg.name.text.slice(1)}`,
          arg,
          `the parameters are: ${parameters.join(', ')}`,
        );
      if (places[place] !== undefined) throw new SqlSyntaxError(`${parameters[place]} is given twice`, arg);
      places[place] = arg.args[0];
    }
    return Array.from(places, (arg, index) => {
      const value = namedDefaults.get(parameters[index] ?? '');
      if (arg !== undefined) return arg;
      if (value === undefined) throw new SqlSyntaxError(`${name.text} needs ${parameters[index]}`, first);
      return { kind: 'literal', literal: { kind: 'string', value }, offset: first.offset, length: first.length };
    });
  }

  #argument(): SqlExpr {
    const expr = this.expr();
    if (this.#is('=>')) {
      const [parameter] = expr.kind === 'name' && expr.parts.length === 1 ? expr.parts : [];
      if (parameter === undefined) throw this.#unexpected('expected the name of a parameter before =>');
      this.#next();
      const name: Identifier = { ...parameter, text: `=${parameter.text}` };
      const value = this.expr();
      return { kind: 'call', name, args: [value], distinct: false, filter: null, over: null, ...this.#span(expr) };
    }
    // struct(a AS b): the alias names the field.
    if (this.#is('AS')) {
      this.#next();
      const alias = this.#anyIdentifier('a field name behind AS');
      const name: Identifier = { text: '$alias', offset: alias.offset, length: alias.length };
      const text: SqlExpr = {
        kind: 'literal',
        literal: { kind: 'string', value: alias.text },
        offset: alias.offset,
        length: alias.length,
      };
      return { kind: 'call', name, args: [expr, text], distinct: false, filter: null, over: null, ...this.#span(expr) };
    }
    return expr;
  }

  #unitArgument(name: Identifier, args: SqlExpr[]): SqlExpr[] {
    const [unit, ...rest] = args;
    if (
      !unitFunctions.has(name.text.toUpperCase()) ||
      rest.length !== 2 ||
      unit?.kind !== 'name' ||
      unit.parts.length !== 1
    )
      return args;
    const value = (unit.parts[0] as Identifier).text;
    return [{ kind: 'literal', literal: { kind: 'string', value }, offset: unit.offset, length: unit.length }, ...rest];
  }

  #window(): WindowSpec {
    if (!this.skip('('))
      throw this.#unexpected(
        'expected ( behind OVER',
        'windows have no names here: write OVER (PARTITION BY … ORDER BY …)',
      );
    let partitionBy: SqlExpr[] = [];
    if (this.skip('PARTITION')) {
      this.#expect('BY', 'behind PARTITION');
      partitionBy = this.#list(() => this.expr());
    }
    const orderBy = this.#orderBy();
    if (this.#is('ROWS') || this.#is('RANGE')) this.#frame();
    this.#expect(')', 'behind the window');
    return { partitionBy, orderBy };
  }

  /** The one frame that ranks and row numbers have; saying it changes nothing. */
  #frame(): void {
    const start = this.#next();
    const words = ['BETWEEN', 'UNBOUNDED', 'PRECEDING', 'AND', 'CURRENT', 'ROW'];
    const isUsual = words.every((word, ahead) => this.#is(word, ahead));
    if (!isUsual)
      throw new SqlSyntaxError(
        'frames of window functions are not supported',
        start,
        'take the frame away: row_number, rank, lag and lead look at the whole partition',
      );
    this.#at += words.length;
  }

  #case(): SqlExpr {
    const start = this.#next();
    const operand = this.#is('WHEN') ? null : this.expr();
    const branches: { when: SqlExpr; then: SqlExpr }[] = [];
    while (this.skip('WHEN')) {
      const when = this.expr();
      this.#expect('THEN', 'behind the condition of WHEN');
      branches.push({ when, then: this.expr() });
    }
    if (branches.length === 0) throw this.#unexpected('expected WHEN in CASE');
    const otherwise = this.skip('ELSE') ? this.expr() : null;
    this.#expect('END', 'at the end of CASE');
    return { kind: 'case', operand, branches, otherwise, ...this.#span(start) };
  }

  #cast(mode: CastMode): SqlExpr {
    const start = this.#next();
    this.#expect('(', 'behind CAST');
    const input = this.expr();
    this.#expect('AS', 'between value and type of CAST');
    const type = this.type();
    this.#expect(')', 'behind the type of CAST');
    return { kind: 'cast', input, type, mode, ...this.#span(start) };
  }

  #typedLiteral(token: Extract<Token, { kind: 'word' }>): SqlExpr {
    this.#next();
    const text = this.#next().text;
    const type = token.upper === 'DATE' ? 'date' : token.upper === 'X' ? 'binary' : 'timestamp';
    return { kind: 'literal', literal: { kind: 'typed', type, text }, ...this.#span(token) };
  }

  #interval(): SqlExpr {
    const start = this.#next();
    let months = 0;
    let microseconds = 0;
    let parts = 0;
    let hasRange = false;
    do {
      parts++;
      const sign = this.skip('-') ? -1 : 1;
      if (sign === 1) this.skip('+');
      const value = this.#next();
      if (value.kind !== 'string' && value.kind !== 'number')
        throw new SqlSyntaxError('expected a number or text in INTERVAL', value);
      const unit = this.#peek();
      const hasUnit = unit.kind === 'word' && isIntervalUnit(unit.upper);
      if (hasUnit) this.#next();
      const to = hasUnit && this.skip('TO') ? this.#anyIdentifier('a unit').text : null;
      const part = hasUnit
        ? intervalOfUnits(value.text, unit.upper, to?.toUpperCase() ?? null)
        : intervalOfText(value.text);
      hasRange ||= to !== null;
      if (part === undefined || (hasRange && parts > 1))
        throw new SqlSyntaxError(
          'this is not an interval',
          this.#span(start),
          "write INTERVAL 5 MINUTES, INTERVAL '1 day 2 hours' or INTERVAL '1-2' YEAR TO MONTH",
        );
      months += sign * part.months;
      microseconds += sign * part.microseconds;
    } while (this.#isIntervalPart());
    if ((months | 0) !== months || !(microseconds >= -(2 ** 63) && microseconds <= 2 ** 63))
      throw new SqlSyntaxError('this interval is too long', this.#span(start));
    return { kind: 'literal', literal: { kind: 'interval', months, microseconds }, ...this.#span(start) };
  }

  /** Another number and unit of an interval; a sign before it belongs to it. */
  #isIntervalPart(): boolean {
    const signs = this.#is('-') || this.#is('+') ? 1 : 0;
    const value = this.#peek(signs);
    const unit = this.#peek(signs + 1);
    if (value.kind !== 'number' && value.kind !== 'string') return false;
    return unit.kind === 'word' && isIntervalUnit(unit.upper);
  }

  #extract(): SqlExpr {
    const start = this.#next();
    this.#next();
    const field = this.#anyIdentifier('a field of EXTRACT');
    this.#expect('FROM', 'in EXTRACT');
    const input = this.expr();
    this.#expect(')', 'behind EXTRACT');
    const text: SqlExpr = {
      kind: 'literal',
      literal: { kind: 'string', value: field.text },
      offset: field.offset,
      length: field.length,
    };
    const name: Identifier = { text: 'date_part', offset: start.offset, length: start.length };
    return { kind: 'call', name, args: [text, input], distinct: false, filter: null, over: null, ...this.#span(start) };
  }

  #exists(): SqlExpr {
    const start = this.#next();
    this.#next();
    const query = this.query();
    this.#expect(')', 'behind the query');
    return { kind: 'exists', query, ...this.#span(start) };
  }

  /** SUBSTRING(x FROM a FOR n), TRIM(BOTH c FROM x), POSITION(a IN x), OVERLAY(x PLACING y FROM a FOR n) and their plain forms. */
  #wordyCall(token: Extract<Token, { kind: 'word' }>): SqlExpr {
    const name = this.#anyIdentifier('a function name');
    this.#expect('(', 'behind the function name');
    const finish = (text: string, args: SqlExpr[]): SqlExpr => {
      this.#expect(')', `behind the arguments of ${name.text}`);
      return {
        kind: 'call',
        name: { ...name, text },
        args,
        distinct: false,
        filter: null,
        over: null,
        ...this.#span(token),
      };
    };
    if (token.upper === 'TRIM') {
      const side = this.skip('LEADING') ? 'ltrim' : this.skip('TRAILING') ? 'rtrim' : this.skip('BOTH') ? 'trim' : null;
      if (side !== null && this.skip('FROM')) return finish(side, [this.expr()]);
      const first = this.expr();
      if (this.skip('FROM')) return finish(side ?? 'trim', [this.expr(), first]);
      // TRIM(text, characters) is not Spark's; btrim's order is.
      return finish(side ?? 'trim', this.skip(',') ? [first, this.expr()] : [first]);
    }
    const args = [this.expr(token.upper === 'POSITION' ? POWER.comparison : 0)];
    if (token.upper === 'POSITION' && this.skip('IN')) return finish('locate', [...args, this.expr()]);
    while (this.skip(',') || this.skip('FROM') || this.skip('FOR') || this.skip('PLACING')) args.push(this.expr());
    return finish(name.text, args);
  }

  // ---- types ----------------------------------------------------------------------------------------------------

  columnList(): Schema {
    if (this.#peek().kind === 'end') throw this.#unexpected('expected a column, as in: id STRING');
    const seen = new Map<string, Identifier>();
    return this.#list(() => {
      const name = this.#anyIdentifier('a column name');
      if (seen.has(name.text.toLowerCase())) throw new SqlSyntaxError(`the column ${name.text} is there twice`, name);
      seen.set(name.text.toLowerCase(), name);
      this.skip(':');
      return this.#fieldRest(name);
    });
  }

  #fieldRest(name: Identifier): Field {
    const type = this.type();
    let nullable = true;
    for (;;) {
      if (this.#is('NOT') && this.#is('NULL', 1)) {
        this.#next();
        this.#next();
        nullable = false;
      } else if (this.#is('COMMENT') && this.#peek(1).kind === 'string') {
        this.#next();
        this.#next();
      } else if (!this.skip('NULL')) {
        return { name: name.text, type, nullable };
      }
    }
  }

  type(): DataType {
    return this.#nested(() => {
      const token = this.#peek();
      if (token.kind !== 'word') throw this.#unexpected('expected a type');
      this.#next();
      const simple = simpleTypes.get(token.upper);
      if (simple !== undefined) {
        if (token.upper === 'VARCHAR' || token.upper === 'CHAR' || token.upper === 'CHARACTER') this.#lengthOfText();
        return simple;
      }
      switch (token.upper) {
        case 'DECIMAL':
        case 'DEC':
        case 'NUMERIC':
          return this.#decimal(token);
        case 'ARRAY': {
          this.#expect('<', 'behind ARRAY');
          const element = this.type();
          this.#closeType('ARRAY');
          return { kind: 'array', element, containsNull: true };
        }
        case 'MAP': {
          this.#expect('<', 'behind MAP');
          const key = this.type();
          this.#expect(',', 'between key and value of MAP');
          const value = this.type();
          this.#closeType('MAP');
          return { kind: 'map', key, value, valueContainsNull: true };
        }
        case 'STRUCT':
          return this.#struct();
        default: {
          const hint =
            refusedTypes.get(token.upper) ??
            didYouMean(token.text, [...simpleTypes.keys(), 'DECIMAL', 'ARRAY', 'MAP', 'STRUCT']);
          throw new SqlSyntaxError(`there is no type ${token.text}`, token, hint);
        }
      }
    });
  }

  #closeType(name: string): void {
    this.#expect('>', `at the end of ${name}`);
  }

  #lengthOfText(): void {
    this.#expect('(', 'before the length');
    const token = this.#next();
    if (token.kind !== 'number') throw new SqlSyntaxError('expected a length', token);
    this.#expect(')', 'behind the length');
  }

  #decimal(token: Span): DataType {
    if (!this.skip('(')) return { kind: 'decimal', precision: 10, scale: 0 };
    const precision = this.#wholeNumber();
    const scale = this.skip(',') ? this.#wholeNumber() : 0;
    this.#expect(')', 'behind precision and scale');
    if (precision < 1 || precision > 38) throw new SqlSyntaxError('a DECIMAL has 1 to 38 digits', this.#span(token));
    if (scale > precision)
      throw new SqlSyntaxError('a DECIMAL cannot have more digits behind the point than digits', this.#span(token));
    return { kind: 'decimal', precision, scale };
  }

  #wholeNumber(): number {
    const token = this.#next();
    if (token.kind !== 'number' || !/^\d+$/.test(token.text))
      throw new SqlSyntaxError('expected a whole number', token);
    return Number(token.text);
  }

  #struct(): DataType {
    // STRUCT<> lexes as one symbol.
    if (this.skip('<>')) return { kind: 'struct', fields: [] };
    this.#expect('<', 'behind STRUCT');
    const fields = this.#is('>')
      ? []
      : this.#list(() => {
          const name = this.#anyIdentifier('a field name');
          this.skip(':');
          return this.#fieldRest(name);
        });
    this.#closeType('STRUCT');
    return { kind: 'struct', fields };
  }
}

/** `a AS b` among arguments: a call of `$alias`. */
function isAliased(expr: SqlExpr): boolean {
  return expr.kind === 'call' && expr.name.text === '$alias';
}

/** An argument that was given by name: a call of `=name`. */
function isNamedArgument(expr: SqlExpr): expr is Extract<SqlExpr, { kind: 'call' }> {
  return expr.kind === 'call' && expr.name.text.startsWith('=');
}

/** All sets of the parts. */
function cube(parts: readonly (readonly SqlExpr[])[]): readonly (readonly SqlExpr[])[] {
  const [first, ...others] = parts;
  if (first === undefined) return [[]];
  const rest = cube(others);
  return [...rest.map((set) => [...first, ...set]), ...rest];
}

/** The parts from the first on, each time one less. */
function rollup(parts: readonly (readonly SqlExpr[])[]): readonly (readonly SqlExpr[])[] {
  return [...parts.keys(), parts.length].map((length) => parts.slice(0, parts.length - length).flat());
}

const simpleTypes = new Map<string, DataType>([
  ['BOOLEAN', { kind: 'boolean' }],
  ['TINYINT', { kind: 'tinyint' }],
  ['BYTE', { kind: 'tinyint' }],
  ['SMALLINT', { kind: 'smallint' }],
  ['SHORT', { kind: 'smallint' }],
  ['INT', { kind: 'int' }],
  ['INTEGER', { kind: 'int' }],
  ['BIGINT', { kind: 'bigint' }],
  ['LONG', { kind: 'bigint' }],
  ['FLOAT', { kind: 'float' }],
  ['REAL', { kind: 'float' }],
  ['DOUBLE', { kind: 'double' }],
  ['STRING', { kind: 'string' }],
  ['VARCHAR', { kind: 'string' }],
  ['CHAR', { kind: 'string' }],
  ['CHARACTER', { kind: 'string' }],
  ['BINARY', { kind: 'binary' }],
  ['DATE', { kind: 'date' }],
  ['TIMESTAMP', { kind: 'timestamp' }],
  ['TIMESTAMP_LTZ', { kind: 'timestamp' }],
]);

const refusedTypes = new Map([
  ['TEXT', 'text is STRING here'],
  ['TIMESTAMP_NTZ', 'times without a zone are not supported yet: use TIMESTAMP, or STRING'],
  ['VARIANT', 'use STRING and get_json_object'],
  ['UUID', 'a UUID is a STRING here'],
  ['JSON', 'use STRING and get_json_object'],
  ['NUMBER', 'use DECIMAL(p, s), DOUBLE or BIGINT'],
  ['BOOL', 'use BOOLEAN'],
  ['DATETIME', 'use TIMESTAMP'],
  ['BLOB', 'use BINARY'],
  ['BYTES', 'use BINARY'],
]);
