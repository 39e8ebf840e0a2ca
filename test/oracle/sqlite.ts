/**
 * What a query means, written for SQLite over all rows that ever arrived. Nothing here knows of epochs but for the
 * columns that every row of a source carries: `late_`, the watermark (µs) against which rows of its epoch are late, and
 * `seq_`, its epoch and place in the order of arrival. They go along until the first operator with state has judged by them.
 */
import type { DataType } from '../../core/types.ts';
import { type Column, type Expr, scaleOf, toSqlite } from './expressions.ts';
import type { Aggregate, Job, JoinKey, Mode, Named, Of, Query, WindowSpec } from './queries.ts';
import { inputsOf, resultColumns } from './queries.ts';

const US = 1000;

/** `seq_` of an epoch's first row is the epoch times this. */
export const SEQ_PER_EPOCH = 1_000_000;

/** Statements that make the tables of a job, and fill the fixed ones. */
export function tableStatements({ sources, tables }: Pick<Job, 'sources' | 'tables'>): readonly string[] {
  return [
    ...sources.map(({ name, columns }) => `CREATE TABLE ${name} (${columnText(columns)}, late_ INTEGER, seq_ INTEGER)`),
    ...tables.map(({ name, columns }) => `CREATE TABLE ${name} (${columnText(columns)})`),
  ];
}

function columnText(columns: readonly Column[]): string {
  return columns.map(({ name, type }) => `${name} ${affinity(type)}`).join(', ');
}

function affinity(type: DataType): string {
  return type.kind === 'string' ? 'TEXT' : type.kind === 'double' ? 'REAL' : 'INTEGER';
}

/** The whole result, as it stands when all time has passed. */
export function sqliteQuery({ root, mode, order }: Job): string {
  const items = resultColumns(root).map(({ name }) => name);
  const text = `SELECT ${items.join(', ')} FROM (${new Translation(mode).write(root)})`;
  if (order === null) return text;
  const by = order.by.map(({ name, descending }) => `${name}${descending ? ' DESC' : ''}`);
  return `${text} ORDER BY ${by.join(', ')}${order.limit === null ? '' : ` LIMIT ${order.limit}`}`;
}

/** Whether rows of the query may still be late. */
function isFresh(query: Query): boolean {
  if (query.kind === 'scan') return true;
  if (query.kind === 'select' || query.kind === 'staticJoin') return isFresh(query.input);
  return query.kind === 'union' && query.inputs.every(isFresh);
}

const mod = (value: string, by: number): string => `(((${value}) % ${by}) + ${by}) % ${by}`;

/** What a query's rows consist of, hidden columns too. */
function columnsOf(query: Query): readonly string[] {
  return [...resultColumns(query).map(({ name }) => name), ...(isFresh(query) ? ['late_', 'seq_'] : [])];
}

class Translation {
  readonly #mode: Mode;

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  write(query: Query): string {
    switch (query.kind) {
      case 'scan':
        return `SELECT * FROM ${query.source}`;
      case 'select':
        return this.#select(query);
      case 'union':
        return query.inputs
          .map((input) => `SELECT ${columnsOf(query).join(', ')} FROM (${this.write(input)})`)
          .join(' UNION ALL ');
      case 'dedup':
        return this.#dedup(query);
      case 'join':
        return this.#join(query);
      case 'staticJoin':
        return this.#staticJoin(query);
      case 'aggregate':
        return this.#aggregate(query);
      case 'session':
        return this.#session(query);
      case 'limit':
        return this.write(query.input);
      case 'rank':
        return this.#rank(query);
    }
  }

  /** The query's rows without those that are late for an operator right above it. */
  #onTime(query: Query, time: string | null = endOf(query), lagUs = 0): string {
    const rows = `(${this.write(query)})`;
    if (time === null || query.time?.marked !== true || !isFresh(query)) return rows;
    return `(SELECT * FROM ${rows} WHERE late_ IS NULL OR ${time} IS NULL OR ${time} > late_${lagUs === 0 ? '' : ` - ${lagUs}`})`;
  }

  #select(query: Of<'select'>): string {
    const hidden = isFresh(query) ? ['late_', 'seq_'] : [];
    const kept = query.window === null ? query.windows : query.windows.slice(0, -1);
    const items = [
      ...query.items.map(({ name, expr }) => `${toSqlite(expr)} AS ${name}`),
      ...kept.flatMap((name) => [`${name}_start`, `${name}_end`]),
      ...(query.window === null ? [] : ['new_start AS w_start', 'new_end AS w_end']),
      ...hidden,
    ];
    const where = query.where === null ? '' : ` WHERE ${toSqlite(query.where)}`;
    const rows = `(${this.write(query.input)})`;
    const from = query.window === null ? rows : windowed(rows, momentOf(query.input), query.window);
    return `SELECT ${items.join(', ')} FROM ${from}${where}`;
  }

  #dedup(query: Of<'dedup'>): string {
    const columns = columnsOf(query).join(', ');
    const rows = this.#onTime(query.input);
    if (query.mode === 'distinct') return `SELECT DISTINCT ${columns} FROM ${rows}`;
    const keys = query.keys.join(', ');
    if (query.mode === 'on')
      return (
        `SELECT ${columns} FROM (SELECT *, row_number() OVER (PARTITION BY ${keys} ORDER BY seq_) AS rn_ FROM ${rows}) ` +
        'WHERE rn_ = 1'
      );
    // A key that came out is remembered until its time + delay has passed the watermark.
    const time = endOf(query.input) ?? 'ts';
    const names = resultColumns(query).map(({ name }) => name);
    const of = (alias: string): string => names.map((name) => `${alias}.${name}`).join(', ');
    // Without a time it is remembered until there is a watermark.
    const until = (alias: string): string => `coalesce(${alias}.${time} + ${query.delay * US}, -9e18)`;
    // Forgetting comes after the rows of an epoch.
    const gone = `(walk.until_ <= n.late_ AND walk.last_ / ${SEQ_PER_EPOCH} < n.seq_ / ${SEQ_PER_EPOCH})`;
    return (
      `SELECT ${columns} FROM (WITH RECURSIVE numbered AS (SELECT *, row_number() OVER (PARTITION BY ${keys} ORDER BY seq_) AS rn_, ` +
      `dense_rank() OVER (ORDER BY ${keys}) AS key_ FROM ${rows}), ` +
      `walk AS (SELECT ${of('numbered')}, key_, rn_, 1 AS out_, ${until('numbered')} AS until_, seq_ AS last_ FROM numbered WHERE rn_ = 1 ` +
      `UNION ALL SELECT ${of('n')}, n.key_, n.rn_, coalesce(${gone}, 0), ` +
      `CASE WHEN ${gone} THEN ${until('n')} ELSE walk.until_ END, CASE WHEN ${gone} THEN n.seq_ ELSE walk.last_ END ` +
      `FROM walk JOIN numbered AS n ON n.key_ = walk.key_ AND n.rn_ = walk.rn_ + 1) SELECT * FROM walk WHERE out_)`
    );
  }

  #join(query: Of<'join'>): string {
    const { type, left, right, bounds } = query;
    const [leftTime, rightTime] = [endOf(left), endOf(right)];
    const conditions = query.keys.map(keyText);
    if (query.sameTime) conditions.push(`l.${leftTime} = r.${rightTime}`);
    if (bounds !== null && bounds.lower !== null)
      conditions.push(`r.${rightTime} - l.${leftTime} ${bounds.lowerStrict ? '>' : '>='} ${bounds.lower * US}`);
    if (bounds !== null && bounds.upper !== null)
      conditions.push(`r.${rightTime} - l.${leftTime} ${bounds.upperStrict ? '<' : '<='} ${bounds.upper * US}`);
    if (query.residual !== null) conditions.push(toSqlite(query.residual, sideName));
    const on = conditions.join(' AND ');
    const items = columnsOf(query).map((name) => `${sideName(name)} AS ${name}`);
    const lagUs = Math.max(lagOf(left), lagOf(right));
    const [l, r] = [left, right].map((side, index) => `${this.#onTime(side, endOf(side), lagUs)} AS ${'lr'[index]}`);
    const select = `SELECT ${items.join(', ')} FROM ${l}`;
    switch (type) {
      case 'inner':
        return `${select} JOIN ${r} ON ${on}`;
      case 'left':
        return `${select} LEFT JOIN ${r} ON ${on}`;
      case 'right':
        return `${select} RIGHT JOIN ${r} ON ${on}`;
      case 'full':
        return `${select} FULL JOIN ${r} ON ${on}`;
      case 'semi':
        return `${select} WHERE EXISTS (SELECT 1 FROM ${r} WHERE ${on})`;
      case 'anti':
        return `${select} WHERE NOT EXISTS (SELECT 1 FROM ${r} WHERE ${on})`;
    }
  }

  #staticJoin(query: Of<'staticJoin'>): string {
    const conditions = query.keys.map(keyText);
    if (query.residual !== null) conditions.push(toSqlite(query.residual, sideName));
    const on = conditions.length === 0 ? '1' : conditions.join(' AND ');
    const hidden = isFresh(query) ? ['l.late_', 'l.seq_'] : [];
    const items = [...resultColumns(query).map(({ name }) => `${sideName(name)} AS ${name}`), ...hidden];
    const select = `SELECT ${items.join(', ')} FROM (${this.write(query.input)}) AS l`;
    const table = `${query.table} AS r`;
    if (query.type === 'inner') return `${select} JOIN ${table} ON ${on}`;
    if (query.type === 'left' || query.type === 'right') return `${select} LEFT JOIN ${table} ON ${on}`;
    return `${select} WHERE ${query.type === 'anti' ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${table} WHERE ${on})`;
  }

  #aggregate(query: Of<'aggregate'>): string {
    const { by, keys, aggregates, input, having } = query;
    // In complete mode all groups stay, and no row comes too late for them.
    const judged = this.#mode !== 'complete' && isFresh(input) && input.time?.marked === true;
    const time = input.time?.name ?? 'ts';
    const isWindow = by !== 'none' && by !== 'time';
    const [start, end] = by === 'same' ? [`${time}_start`, `${time}_end`] : ['new_start', 'new_end'];
    const input_ = `(${this.write(input)})`;
    const rows = isWindow && by !== 'same' ? windowed(input_, momentOf(input), by) : input_;
    const final = by === 'none' ? null : by === 'time' ? time : end;
    const conditions: string[] = [];
    if (judged && final !== null) conditions.push(`(late_ IS NULL OR ${final} IS NULL OR ${final} > late_)`);
    // Without a time a group is never final.
    if (this.#mode === 'append' && (by === 'time' || by === 'same')) conditions.push(`${final} IS NOT NULL`);
    const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
    const timeItems = isWindow ? [`${start} AS w_start`, `${end} AS w_end`] : by === 'time' ? [`${time} AS ts`] : [];
    const keyed = `SELECT *, ${keyItems(keys)}1 AS one_ FROM ${rows}${where}`;
    const own = keys.map((_, index) => `key${index}_`);
    const items = [
      ...keys.map(({ name }, index) => `key${index}_ AS ${name}`),
      ...timeItems,
      ...aggregates.map(aggregateItem),
    ];
    const groups = [...own, ...(isWindow ? [start, end] : by === 'time' ? [time] : [])];
    const groupBy = groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`;
    const grouped = `SELECT ${items.join(', ')} FROM (${keyed})${groupBy}`;
    return having === null ? grouped : `SELECT * FROM (${grouped}) WHERE ${toSqlite(having)}`;
  }

  /** A session begins where the rows before it all ended earlier. */
  #session(query: Of<'session'>): string {
    const { keys, aggregates, input, gap } = query;
    const time = momentOf(input);
    const gapUs =
      typeof gap === 'number'
        ? `${gap * US}`
        : `(CASE WHEN ${toSqlite(gap.when)} THEN ${gap.then * US} ELSE ${gap.otherwise * US} END)`;
    const late =
      isFresh(input) && input.time?.marked === true ? ` AND (late_ IS NULL OR ${time} + ${gapUs} > late_)` : '';
    const spans =
      `SELECT *, ${keyItems(keys)}${time} AS from_, ${time} + ${gapUs} AS to_ FROM (${this.write(input)}) ` +
      `WHERE ${time} IS NOT NULL AND ${gapUs} > 0${late}`;
    const own = keys.map((_, index) => `key${index}_`).join(', ');
    const earlier = `OVER (PARTITION BY ${own} ORDER BY from_, to_ ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`;
    const marked = `SELECT *, coalesce(from_ > max(to_) ${earlier}, 1) AS begins_ FROM (${spans})`;
    const numbered = `SELECT *, sum(begins_) OVER (PARTITION BY ${own} ORDER BY from_, to_ ROWS UNBOUNDED PRECEDING) AS number_ FROM (${marked})`;
    const items = [
      ...keys.map(({ name }, index) => `key${index}_ AS ${name}`),
      ...aggregates.map(aggregateItem),
      'min(from_) AS w_start',
      'max(to_) AS w_end',
    ];
    return `SELECT ${items.join(', ')} FROM (${numbered}) GROUP BY ${own}, number_`;
  }

  #rank(query: Of<'rank'>): string {
    const { input } = query;
    const order = `${query.by}${query.descending ? ' DESC' : ''}${query.function === 'row_number' ? ', id' : ''}`;
    const keys = query.keys.map((name) => (input.windows.includes(name) ? `${name}_start` : name)).join(', ');
    const isKey = query.keys.includes(input.time?.name ?? '');
    const rows = this.#onTime(input, isKey ? endOf(input) : null);
    const ranked = `SELECT *, ${query.function}() OVER (PARTITION BY ${keys} ORDER BY ${order}) AS rn FROM ${rows}`;
    return `SELECT ${columnsOf(query).join(', ')} FROM (${ranked}) WHERE rn <= ${query.limit}`;
  }
}

/**
 * µs by which the watermark behind a query lies below the job's. A join with bounds gives out rows that are as old as
 * the bound allows; where the bound itself matches, a millisecond more.
 */
function lagOf(query: Query): number {
  const below = Math.max(0, ...inputsOf(query).map(lagOf));
  if (query.kind !== 'join' || query.bounds === null || query.sameTime) return below;
  const { lower, lowerStrict, upper, upperStrict } = query.bounds;
  const lags = [0];
  if (upper !== null) lags.push(upper * US + (upperStrict ? 0 : US));
  if (lower !== null) lags.push(-lower * US + (lowerStrict ? 0 : US));
  return below + Math.max(...lags);
}

/** The moment at which a row is final: its time, or its window's end. */
function endOf({ time }: Query): string | null {
  return time === null ? null : time.kind === 'window' ? `${time.name}_end` : time.name;
}

/** The moment by which a row is put into windows: of a window its last microsecond. */
function momentOf(query: Query): string {
  return query.time?.kind === 'window' ? `(${query.time.name}_end - 1)` : (query.time?.name ?? 'ts');
}

/** The rows once for each window that the moment lies in, with its `new_start` and `new_end`. */
function windowed(rows: string, moment: string, { size, slide, start }: WindowSpec): string {
  const places = Array.from({ length: Math.ceil(size / slide) }, (_, place) => `(${place * slide * US})`);
  const last = `${moment} - ${mod(`${moment} - ${start * US}`, slide * US)}`;
  return (
    `(SELECT *, new_start + ${size * US} AS new_end FROM (SELECT *, ${last} - column1 AS new_start ` +
    `FROM ${rows} JOIN (VALUES ${places.join(', ')})) WHERE new_start + ${size * US} > ${moment})`
  );
}

function sideName(name: string): string {
  return name.replace(/^([lr])_/, '$1.');
}

function keyText({ left, right, nullSafe }: JoinKey): string {
  const side = (expr: Expr, alias: string): string => toSqlite(expr, (name) => `${alias}.${name}`);
  return `${side(left, 'l')} ${nullSafe ? 'IS' : '='} ${side(right, 'r')}`;
}

function keyItems(keys: readonly Named[]): string {
  return keys.map(({ expr }, index) => `${toSqlite(expr)} AS key${index}_, `).join('');
}

function aggregateItem({ name, function: called, arg, distinct, filter }: Aggregate): string {
  const text = arg === null ? '*' : toSqlite(arg);
  const rows = filter === null ? '' : ` FILTER (WHERE ${toSqlite(filter)})`;
  const own = `(${distinct ? 'DISTINCT ' : ''}${text})${rows}`;
  return `${aggregateValue(called, own, arg, text, rows)} AS ${name}`;
}

function aggregateValue(
  called: Aggregate['function'],
  own: string,
  arg: Expr | null,
  text: string,
  rows: string,
): string {
  switch (called) {
    case 'count_if':
      return `coalesce(sum(CASE WHEN ${text} THEN 1 ELSE 0 END)${rows}, 0)`;
    case 'min_by':
    case 'max_by':
    case 'first':
    case 'last': {
      const order = `${called.endsWith('_by') ? 'id' : 'seq_'}${called === 'max_by' || called === 'last' ? ' DESC' : ''}`;
      return `json_extract(json_group_array(${text} ORDER BY ${order})${rows}, '$[0]')`;
    }
    case 'bool_and':
      return `min${own}`;
    case 'bool_or':
      return `max${own}`;
    case 'avg': {
      if (arg === null || scaleOf(arg.type) === 0) return `avg${own}`;
      // Four digits more than the numbers have, halves away from zero.
      const sum = `sum${own}`;
      const count = `count${own}`;
      const magnitude = `(abs(${sum}) * 20000 + ${count}) / (2 * ${count})`;
      return `(CASE WHEN ${sum} < 0 THEN -(${magnitude}) ELSE ${magnitude} END)`;
    }
    default:
      return `${called}${own}`;
  }
}
