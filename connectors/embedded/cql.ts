/** What people type into cqlsh, as far as embedded tables answer it: SELECT and DESCRIBE. */
import { WeirError } from '../../core/errors.ts';
import type { CqlLiteral } from '../../core/table/values.ts';

export type Comparison = '=' | '<' | '<=' | '>' | '>=' | 'IN';

export interface Relation {
  readonly column: string;
  readonly comparison: Comparison;
  /** One value, or those of IN. */
  readonly values: readonly CqlLiteral[];
}

export type Selector =
  | { readonly kind: 'column'; readonly column: string; readonly alias: string | null }
  | { readonly kind: 'count'; readonly alias: string | null }
  | { readonly kind: 'writetime'; readonly column: string; readonly alias: string | null };

export interface SelectStatement {
  readonly kind: 'select';
  readonly keyspace: string | null;
  readonly table: string;
  /** null = all columns. */
  readonly selectors: readonly Selector[] | null;
  readonly where: readonly Relation[];
  readonly orderBy: readonly { readonly column: string; readonly descending: boolean }[];
  readonly limit: number | null;
  readonly allowFiltering: boolean;
}

export type Statement =
  | SelectStatement
  | { readonly kind: 'describeKeyspaces' }
  | { readonly kind: 'describeTables' }
  | { readonly kind: 'describeKeyspace'; readonly keyspace: string }
  | { readonly kind: 'describeTable'; readonly keyspace: string | null; readonly table: string };

interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'uuid' | 'blob' | 'symbol' | 'end';
  /** A word in upper case, a quoted name without quotes, a literal's text. */
  readonly text: string;
  /** As written. */
  readonly raw: string;
  readonly at: number;
}

const tokenPattern = new RegExp(
  [
    String.raw`\s+|--[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/`,
    String.raw`(?<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\b`,
    String.raw`(?<blob>0[xX][0-9a-fA-F]*)\b`,
    String.raw`(?<number>-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|NaN\b|Infinity\b))`,
    String.raw`(?<word>[A-Za-z][A-Za-z0-9_]*)`,
    String.raw`"(?<quoted>(?:[^"]|"")+)"`,
    String.raw`'(?<string>(?:[^']|'')*)'`,
    String.raw`\$\$(?<dollar>[\s\S]*?)\$\$`,
    String.raw`(?<symbol><=|>=|!=|[(),;.*=<>])`,
  ].join('|'),
  'y',
);

/** Statements of CQL that are not answered, and what to do instead. */
const refusedStatements = new Map([
  ['INSERT', 'rows come from jobs'],
  ['UPDATE', 'rows come from jobs'],
  ['DELETE', 'rows come from jobs'],
  ['BEGIN', 'rows come from jobs'],
  ['TRUNCATE', 'start the embedded process with another data directory instead'],
  ['CREATE', 'a sink with create: true creates its table'],
  ['ALTER', 'connect a Cassandra to change tables'],
  ['DROP', 'connect a Cassandra to remove tables'],
  ['USE', 'write the keyspace before the table: SELECT * FROM keyspace.table'],
  ['GRANT', 'there are no roles here'],
  ['REVOKE', 'there are no roles here'],
  ['LIST', 'there are no roles here'],
  ['CONSISTENCY', 'there is one copy of every row'],
  ['COPY', 'use SELECT with -o json'],
  ['SOURCE', 'give the statement itself'],
  ['TRACING', 'there is nothing to trace'],
]);

const supported = 'SELECT and DESCRIBE are';

/**
 * Parses one statement; a semicolon may end it.
 *
 * Throws: SQL_SYNTAX with the place; UNSUPPORTED for CQL that embedded tables do not answer, by name.
 */
export function parseCql(text: string): Statement {
  return new CqlParser(text).statement();
}

class CqlParser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  statement(): Statement {
    const first = this.#peek();
    if (first.kind === 'end') throw syntaxError(this.#text, first, 'the statement is empty');
    let statement: Statement;
    if (this.#takeWord('SELECT')) statement = this.#select();
    else if (this.#takeWord('DESCRIBE') || this.#takeWord('DESC')) statement = this.#describe();
    else throw this.#refusal(first);
    while (this.#takeSymbol(';'));
    const rest = this.#peek();
    if (rest.kind !== 'end') throw syntaxError(this.#text, rest, `"${rest.raw}" is not expected here`);
    return statement;
  }

  #refusal(first: Token): WeirError {
    const why = first.kind === 'word' ? refusedStatements.get(first.text) : undefined;
    if (why === undefined)
      return syntaxError(
        this.#text,
        first,
        `a statement cannot begin with "${first.raw}"; ${supported} supported here`,
      );
    return unsupported(first.text, why);
  }

  #select(): SelectStatement {
    for (const word of ['DISTINCT', 'JSON']) {
      if (this.#peek().text === word && this.#peek().kind === 'word' && !['FROM', ','].includes(this.#peek(1).text)) {
        throw unsupported(
          `SELECT ${word}`,
          word === 'JSON' ? 'use -o json' : 'select the columns of the partition key',
        );
      }
    }
    const selectors = this.#takeSymbol('*') ? null : this.#list(() => this.#selector());
    this.#expectWord('FROM');
    const { keyspace, table } = this.#tableName();
    const where = this.#takeWord('WHERE') ? this.#relations() : [];
    for (const [words, instead] of [
      ['GROUP BY', 'count rows with WHERE and count(*)'],
      ['PER PARTITION LIMIT', 'use LIMIT'],
    ] as const) {
      if (this.#peek().text === words.split(' ')[0]) throw unsupported(words, instead);
    }
    let orderBy: SelectStatement['orderBy'] = [];
    if (this.#takeWord('ORDER')) {
      this.#expectWord('BY');
      orderBy = this.#list(() => {
        const column = this.#name('a column');
        const descending = this.#takeWord('DESC');
        if (!descending) this.#takeWord('ASC');
        return { column, descending };
      });
    }
    if (this.#peek().text === 'PER') throw unsupported('PER PARTITION LIMIT', 'use LIMIT');
    const limit = this.#takeWord('LIMIT') ? this.#limit() : null;
    const allowFiltering = this.#takeWord('ALLOW');
    if (allowFiltering) this.#expectWord('FILTERING');
    return { kind: 'select', keyspace, table, selectors, where, orderBy, limit, allowFiltering };
  }

  #selector(): Selector {
    const token = this.#peek();
    const name = this.#name('a column');
    if (!this.#takeSymbol('(')) return { kind: 'column', column: name, alias: this.#alias() };
    if (token.kind === 'word' && token.text === 'COUNT') {
      if (!this.#takeSymbol('*') && this.#peek().text !== '1') throw unsupported('count of a column', 'use count(*)');
      if (this.#peek().text === '1') this.#next++;
      this.#expectSymbol(')');
      return { kind: 'count', alias: this.#alias() };
    }
    if (token.kind === 'word' && token.text === 'WRITETIME') {
      const column = this.#name('a column');
      this.#expectSymbol(')');
      return { kind: 'writetime', column, alias: this.#alias() };
    }
    throw unsupported(`the function ${token.raw}`, 'count(*) and writetime(column) are');
  }

  #alias(): string | null {
    return this.#takeWord('AS') ? this.#name('a name') : null;
  }

  #relations(): Relation[] {
    const relations: Relation[] = [];
    do relations.push(this.#relation());
    while (this.#takeWord('AND'));
    const next = this.#peek();
    if (next.kind === 'word' && next.text === 'OR') throw unsupported('OR', 'use IN, or ask twice');
    return relations;
  }

  #relation(): Relation {
    const first = this.#peek();
    if (first.kind === 'symbol' && first.text === '(')
      throw unsupported('comparing several columns at once', 'compare each by itself');
    const column = this.#name('a column');
    if (first.kind === 'word' && first.text === 'TOKEN' && this.#peek().text === '(')
      throw unsupported('token()', 'compare the key columns');
    if (this.#takeWord('IN')) {
      this.#expectSymbol('(');
      const values = this.#peek().text === ')' ? [] : this.#list(() => this.#literal());
      this.#expectSymbol(')');
      return { column, comparison: 'IN', values };
    }
    const operator = this.#peek();
    if (operator.kind === 'word' && ['CONTAINS', 'LIKE', 'IS', 'NOT', 'BETWEEN'].includes(operator.text)) {
      throw unsupported(operator.text, 'the comparisons =, <, <=, >, >= and IN are');
    }
    if (operator.text === '!=') throw unsupported('!=', 'the comparisons =, <, <=, >, >= and IN are');
    for (const comparison of ['=', '<', '<=', '>', '>='] as const) {
      if (this.#takeSymbol(comparison)) return { column, comparison, values: [this.#literal()] };
    }
    throw syntaxError(this.#text, operator, `a comparison is missing before "${operator.raw}"`);
  }

  #literal(): CqlLiteral {
    const token = this.#peek();
    this.#next++;
    switch (token.kind) {
      case 'string':
      case 'number':
      case 'uuid':
      case 'blob':
        return { kind: token.kind, text: token.text };
      case 'word':
        if (token.text === 'TRUE' || token.text === 'FALSE') return { kind: 'boolean', value: token.text === 'TRUE' };
        if (token.text === 'NULL') return { kind: 'null' };
        if (token.text === 'NAN' || token.text === 'INFINITY') return { kind: 'number', text: token.raw };
        throw syntaxError(this.#text, token, `a value is missing; text stands in single quotes: '${token.raw}'`);
      case 'quoted':
        throw syntaxError(this.#text, token, `a value is missing; text stands in single quotes: '${token.text}'`);
      default:
        throw syntaxError(this.#text, token, `a value is missing before "${token.raw}"`);
    }
  }

  #limit(): number {
    const token = this.#peek();
    if (token.kind !== 'number' || !/^[1-9]\d{0,9}$/.test(token.text))
      throw syntaxError(this.#text, token, 'LIMIT takes a whole number above 0');
    this.#next++;
    return Number(token.text);
  }

  #describe(): Statement {
    if (this.#takeWord('KEYSPACES')) return { kind: 'describeKeyspaces' };
    if (this.#takeWord('TABLES')) return { kind: 'describeTables' };
    if (this.#takeWord('KEYSPACE')) return { kind: 'describeKeyspace', keyspace: this.#name('a keyspace') };
    const token = this.#peek();
    const named = this.#peek(1).kind === 'word' || this.#peek(1).kind === 'quoted';
    if (
      token.kind === 'word' &&
      token.text !== 'TABLE' &&
      (named || ['SCHEMA', 'CLUSTER', 'TYPES', 'FUNCTIONS', 'AGGREGATES'].includes(token.text))
    ) {
      throw unsupported(`DESCRIBE ${token.text}`, 'DESCRIBE KEYSPACES, TABLES, KEYSPACE and TABLE are');
    }
    if (named) this.#takeWord('TABLE');
    return { kind: 'describeTable', ...this.#tableName() };
  }

  #tableName(): { readonly keyspace: string | null; readonly table: string } {
    const first = this.#name('a table');
    return this.#takeSymbol('.') ? { keyspace: first, table: this.#name('a table') } : { keyspace: null, table: first };
  }

  /** Unquoted names are lower case, as in Cassandra. */
  #name(what: string): string {
    const token = this.#peek();
    if (token.kind !== 'word' && token.kind !== 'quoted')
      throw syntaxError(this.#text, token, `${what} is missing before "${token.raw}"`);
    this.#next++;
    return token.kind === 'word' ? token.text.toLowerCase() : token.text;
  }

  #list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.#takeSymbol(',')) items.push(item());
    return items;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)]!;
  }

  #takeWord(word: string): boolean {
    return this.#take('word', word);
  }

  #takeSymbol(symbol: string): boolean {
    return this.#take('symbol', symbol);
  }

  #take(kind: Token['kind'], text: string): boolean {
    const token = this.#peek();
    if (token.kind !== kind || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #expectWord(word: string): void {
    if (!this.#takeWord(word))
      throw syntaxError(this.#text, this.#peek(), `${word} is missing before "${this.#peek().raw}"`);
  }

  #expectSymbol(symbol: string): void {
    if (!this.#takeSymbol(symbol))
      throw syntaxError(this.#text, this.#peek(), `"${symbol}" is missing before "${this.#peek().raw}"`);
  }
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  for (let at = 0; at < text.length; at = tokenPattern.lastIndex) {
    tokenPattern.lastIndex = at;
    const match = tokenPattern.exec(text);
    if (match === null) {
      const raw = text[at] ?? '';
      const what = raw === "'" ? 'a closing quote is missing' : `"${raw}" is not part of CQL`;
      throw syntaxError(text, { kind: 'symbol', text: raw, raw, at }, what);
    }
    const raw = match[0];
    const groups = match.groups ?? {};
    if (groups['uuid'] !== undefined) tokens.push({ kind: 'uuid', text: groups['uuid'], raw, at });
    else if (groups['blob'] !== undefined) tokens.push({ kind: 'blob', text: groups['blob'], raw, at });
    else if (groups['number'] !== undefined) tokens.push({ kind: 'number', text: groups['number'], raw, at });
    else if (groups['word'] !== undefined) tokens.push({ kind: 'word', text: groups['word'].toUpperCase(), raw, at });
    else if (groups['quoted'] !== undefined)
      tokens.push({ kind: 'quoted', text: groups['quoted'].replaceAll('""', '"'), raw, at });
    else if (groups['string'] !== undefined)
      tokens.push({ kind: 'string', text: groups['string'].replaceAll("''", "'"), raw, at });
    else if (groups['dollar'] !== undefined) tokens.push({ kind: 'string', text: groups['dollar'], raw, at });
    else if (groups['symbol'] !== undefined) tokens.push({ kind: 'symbol', text: groups['symbol'], raw, at });
  }
  tokens.push({ kind: 'end', text: '', raw: 'the end', at: text.length });
  return tokens;
}

function syntaxError(text: string, token: Token, what: string): WeirError {
  const before = text.slice(0, token.at).split('\n');
  const line = before.length;
  const column = (before.at(-1) ?? '').length + 1;
  return new WeirError('SQL_SYNTAX', `Line ${line}, column ${column}: ${what}.`, { facts: { line, column } });
}

function unsupported(what: string, instead: string): WeirError {
  return new WeirError('UNSUPPORTED', `${what} is not supported on embedded tables; ${instead}.`);
}
