/**
 * Queries put together by methods named as PySpark's, rendered as SQL: what a builder's query means is what its text
 * means. Columns and conditions are SQL text: `from('clicks').where("page <> '/'").select('user', 'upper(page) AS page')`.
 */

/** A key of groupBy with the name that its column gets. */
export interface GroupKey {
  readonly sql: string;
  readonly name: string;
}

/** Spark's names and SQL's. */
export type JoinHow =
  | 'inner'
  | 'left'
  | 'left_outer'
  | 'right'
  | 'right_outer'
  | 'full'
  | 'full_outer'
  | 'outer'
  | 'left_semi'
  | 'semi'
  | 'left_anti'
  | 'anti';

const joinWords: Readonly<Record<JoinHow, string>> = {
  inner: 'JOIN',
  left: 'LEFT JOIN',
  left_outer: 'LEFT JOIN',
  right: 'RIGHT JOIN',
  right_outer: 'RIGHT JOIN',
  full: 'FULL JOIN',
  full_outer: 'FULL JOIN',
  outer: 'FULL JOIN',
  left_semi: 'LEFT SEMI JOIN',
  semi: 'LEFT SEMI JOIN',
  left_anti: 'LEFT ANTI JOIN',
  anti: 'LEFT ANTI JOIN',
};

/** One SELECT, as far as it is said. What is said later than SQL's order of clauses allows goes around it. */
interface Clauses {
  /** A name or a query in parentheses. */
  readonly relation: string;
  readonly watermark: string;
  readonly alias: string;
  readonly joins: readonly string[];
  readonly where: readonly string[];
  readonly groupBy: readonly string[];
  readonly distinct: string;
  /** null = all columns. */
  readonly columns: readonly string[] | null;
  readonly orderBy: readonly string[];
  readonly limit: number | null;
}

const nothing: Omit<Clauses, 'relation'> = {
  watermark: '',
  alias: '',
  joins: [],
  where: [],
  groupBy: [],
  distinct: '',
  columns: null,
  orderBy: [],
  limit: null,
};

/** A query over sources and tables of the job. Immutable: every method gives another one. */
export class Query {
  readonly #clauses: Clauses;
  /** UNION ALL of queries; its clauses are then those of nothing. */
  readonly #union: readonly Query[] | null;

  /** Use {@link from} or {@link sql}. */
  constructor(clauses: Clauses, union: readonly Query[] | null = null) {
    this.#clauses = clauses;
    this.#union = union;
  }

  /** The query as text. */
  toSql(): string {
    if (this.#union !== null) return this.#union.map((query) => query.#operand()).join('\nUNION ALL\n');
    const { columns, distinct, joins, where, groupBy, orderBy, limit } = this.#clauses;
    return [
      `SELECT ${distinct}${columns === null ? '*' : columns.join(', ')}`,
      `FROM ${this.#relation()}`,
      ...joins,
      ...(where.length === 0 ? [] : [`WHERE ${conjunction(where)}`]),
      ...(groupBy.length === 0 ? [] : [`GROUP BY ${groupBy.join(', ')}`]),
      ...(orderBy.length === 0 ? [] : [`ORDER BY ${orderBy.join(', ')}`]),
      ...(limit === null ? [] : [`LIMIT ${limit}`]),
    ].join('\n');
  }

  /** The name by which conditions of a join speak of the rows. */
  alias(name: string): Query {
    const base = this.#isRelation ? this.#clauses : this.#wrapped();
    return new Query({ ...base, alias: identifier(name) });
  }

  /** Rows may come so much later than the latest: `withWatermark('ts', '10 seconds')`. */
  withWatermark(eventTime: string, delay: string): Query {
    const base = this.#isRelation && this.#clauses.watermark === '' ? this.#clauses : this.#wrapped();
    return new Query({ ...base, watermark: ` WATERMARK ${identifier(eventTime)} DELAY OF ${interval(delay)}` });
  }

  where(condition: string): Query {
    const base = this.#has('groupBy', 'columns', 'distinct', 'orderBy', 'limit') ? this.#wrapped() : this.#own();
    return new Query({ ...base, where: [...base.where, condition] });
  }

  /** As {@link where}. */
  filter(condition: string): Query {
    return this.where(condition);
  }

  /** Columns and expressions: `select('user', 'count + 1 AS next')`; '*' = all. */
  select(...columns: readonly string[]): Query {
    const base = this.#has('columns', 'distinct', 'orderBy', 'limit') ? this.#wrapped() : this.#own();
    return new Query({ ...base, columns: some(columns, 'select') });
  }

  /** As {@link select}. */
  selectExpr(...columns: readonly string[]): Query {
    return this.select(...columns);
  }

  /** All columns and a further one. */
  withColumn(name: string, expression: string): Query {
    return this.select('*', `${expression} AS ${identifier(name)}`);
  }

  /** Brings rows together by columns, {@link window} or {@link sessionWindow}; `agg` says what becomes of them. */
  groupBy(...keys: readonly (string | GroupKey)[]): GroupedQuery {
    const base = this.#has('groupBy', 'columns', 'distinct', 'orderBy', 'limit') ? this.#wrapped() : this.#own();
    return new GroupedQuery(base, keys);
  }

  /** Aggregates over all rows: `agg({ n: 'count(*)' })`. */
  agg(aggregates: Readonly<Record<string, string>>): Query {
    return this.groupBy().agg(aggregates);
  }

  /** `on`: a condition, or names of columns that both sides have. */
  join(other: Query, on: string | readonly string[], how: JoinHow = 'inner'): Query {
    const base = this.#has('where', 'groupBy', 'columns', 'distinct', 'orderBy', 'limit')
      ? this.#wrapped()
      : this.#own();
    const condition = typeof on === 'string' ? `ON ${on}` : `USING (${on.map(identifier).join(', ')})`;
    const right = other.#isRelation ? other.#relation() : parenthesized(other.toSql());
    return new Query({ ...base, joins: [...base.joins, `${joinWords[how]} ${right} ${condition}`] });
  }

  /** The first row of each key; without names, of all columns. Keys with event time are forgotten with the watermark. */
  dropDuplicates(columns?: readonly string[]): Query {
    return this.#distinct(columns, '');
  }

  /** As {@link dropDuplicates}; a key is forgotten when its first row's time is older than the watermark's delay. */
  dropDuplicatesWithinWatermark(columns?: readonly string[]): Query {
    return this.#distinct(columns, 'WITHIN WATERMARK ');
  }

  distinct(): Query {
    return this.#distinct(undefined, '');
  }

  /** All rows of both, which have the same columns in the same order. */
  union(other: Query): Query {
    const parts = [this, other].flatMap((query) => query.#union ?? [query]);
    return new Query({ ...nothing, relation: '' }, parts);
  }

  /** As {@link union}. */
  unionAll(other: Query): Query {
    return this.union(other);
  }

  /** `orderBy('n DESC')`: with outputMode complete alone. */
  orderBy(...columns: readonly string[]): Query {
    const base = this.#has('orderBy', 'limit') ? this.#wrapped() : this.#own();
    return new Query({ ...base, orderBy: some(columns, 'orderBy') });
  }

  limit(count: number): Query {
    const base = this.#has('limit') ? this.#wrapped() : this.#own();
    return new Query({ ...base, limit: count });
  }

  #distinct(columns: readonly string[] | undefined, within: string): Query {
    // What DISTINCT ON names are columns of what it reads.
    const free =
      columns === undefined
        ? this.#has('distinct', 'orderBy', 'limit')
        : this.#has('columns', 'distinct', 'groupBy', 'orderBy', 'limit');
    const base = free ? this.#wrapped() : this.#own();
    const on = columns === undefined ? '' : `ON (${some(columns, 'dropDuplicates').map(identifier).join(', ')}) `;
    return new Query({ ...base, distinct: `DISTINCT ${on}${within}` });
  }

  /** Only FROM is said so far. */
  get #isRelation(): boolean {
    return this.#union === null && !this.#has('joins', 'where', 'groupBy', 'distinct', 'columns', 'orderBy', 'limit');
  }

  #relation(): string {
    const { relation, watermark, alias } = this.#clauses;
    return `${relation}${watermark}${alias === '' ? '' : ` AS ${alias}`}`;
  }

  #has(...clauses: readonly (keyof Clauses)[]): boolean {
    return clauses.some((clause) => {
      const said = this.#clauses[clause];
      return Array.isArray(said) && clause !== 'columns' ? said.length > 0 : said !== null && said !== '';
    });
  }

  #own(): Clauses {
    return this.#union === null ? this.#clauses : this.#wrapped();
  }

  /** A new SELECT around this one. */
  #wrapped(): Clauses {
    return { ...nothing, relation: parenthesized(this.toSql()) };
  }

  /** As a part of UNION ALL. */
  #operand(): string {
    return this.#has('orderBy', 'limit') ? parenthesized(this.toSql()) : this.toSql();
  }
}

/** What {@link Query.groupBy} gives: say what is computed of each group. */
export class GroupedQuery {
  readonly #base: Clauses;
  readonly #keys: readonly (string | GroupKey)[];

  constructor(base: Clauses, keys: readonly (string | GroupKey)[]) {
    this.#base = base;
    this.#keys = keys;
  }

  /** Columns: the keys, then `{ name: 'aggregate(…)' }`. */
  agg(aggregates: Readonly<Record<string, string>>): Query {
    const keys = this.#keys.map((key) =>
      typeof key === 'string'
        ? { sql: unnamed(key), shown: key }
        : { sql: key.sql, shown: `${key.sql} AS ${identifier(key.name)}` },
    );
    const computed = Object.entries(aggregates).map(([name, sql]) => `${sql} AS ${identifier(name)}`);
    return new Query({
      ...this.#base,
      groupBy: keys.map(({ sql }) => sql),
      columns: some([...keys.map(({ shown }) => shown), ...computed], 'agg'),
    });
  }

  /** Rows of each group, as the column `count`. */
  count(): Query {
    return this.agg({ count: 'count(*)' });
  }
}

/** Rows of a source or a table of the job. */
export function from(name: string): Query {
  return new Query({ ...nothing, relation: identifier(name) });
}

/** A query in SQL, to go on from. */
export function sql(text: string): Query {
  return new Query({ ...nothing, relation: parenthesized(text) });
}

/** Windows of event time as a key of groupBy: the column `window`, STRUCT<start, end>. Durations: '10 minutes'. */
export function window(timeColumn: string, size: string, slide?: string, start?: string): GroupKey {
  const durations = [
    size,
    ...(slide === undefined && start === undefined ? [] : [slide ?? size]),
    ...(start === undefined ? [] : [start]),
  ];
  return { sql: `window(${[timeColumn, ...durations.map(quoted)].join(', ')})`, name: 'window' };
}

/** Sessions as a key of groupBy: rows less than the gap apart. The column `session_window`, STRUCT<start, end>. */
export function sessionWindow(timeColumn: string, gap: string): GroupKey {
  return { sql: `session_window(${timeColumn}, ${quoted(gap)})`, name: 'session_window' };
}

function conjunction(conditions: readonly string[]): string {
  return conditions.length === 1
    ? (conditions[0] ?? '')
    : conditions.map((condition) => `(${condition})`).join(' AND ');
}

function parenthesized(text: string): string {
  // No indentation: a line may lie within a text literal.
  return `(\n${text}\n)`;
}

/** Names that SQL takes as they are stay so; others are quoted. */
function identifier(name: string): string {
  return /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(name) ? name : `\`${name.replaceAll('`', '``')}\``;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** `INTERVAL '10 seconds'`; short durations as everywhere: `10s`. */
function interval(duration: string): string {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(duration) ?? [];
  const words: Readonly<Record<string, string>> = {
    ms: 'milliseconds',
    s: 'seconds',
    m: 'minutes',
    h: 'hours',
    d: 'days',
  };
  return `INTERVAL ${quoted(count === undefined ? duration : `${count} ${words[unit ?? '']}`)}`;
}

/** The expression of `expression AS name`. */
function unnamed(column: string): string {
  return column.replace(/\s+as\s+(\w+|`[^`]+`)\s*$/i, '');
}

function some(columns: readonly string[], method: string): readonly string[] {
  if (columns.length === 0) throw new TypeError(`${method}() names at least one column`);
  return columns;
}
