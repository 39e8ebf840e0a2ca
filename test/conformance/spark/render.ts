/** A conformance case as the job file that a user would write: SQL in Spark's dialect over the case's streams. */
import { stringify } from 'yaml';
import { type CaseColumn, type CaseQuery, type CaseWindow, isLongNumber, type StreamCase } from './cases.ts';

/** The rendered job and the number of columns of its result, called c0, c1, … */
export interface RenderedCase {
  readonly text: string;
  readonly columnCount: number;
}

export function renderCase(one: StreamCase): RenderedCase {
  const columns = one.output ?? columnsOf(one.query, one).map((name): [string, string] => [name, quote(name)]);
  const document = {
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: jobNameOf(one.name),
    sources: Object.fromEntries(
      Object.entries(one.streams).map(([name, schema]) => [
        name,
        { connector: 'kafka', topic: name, startingOffsets: 'earliest', schema: ddl(schema) },
      ]),
    ),
    ...(one.staticTables === undefined ? {} : { tables: renderTables(one.staticTables) }),
    query: renderRoot(one.query, columns, one),
    sinks: [{ connector: 'console' }],
    outputMode: one.outputMode,
    trigger: 'manual',
    ...(one.conf?.noDataBatches === false ? { noDataEpochs: false } : {}),
    ...(one.conf?.watermarkPolicy === undefined ? {} : { watermarkPolicy: one.conf.watermarkPolicy }),
  };
  return { text: stringify(document, { lineWidth: 0 }), columnCount: columns.length };
}

function jobNameOf(name: string): string {
  const plain = name.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  return /^[a-z]/.test(plain) ? plain : `case-${plain}`;
}

function renderTables(tables: NonNullable<StreamCase['staticTables']>): unknown {
  return Object.fromEntries(
    Object.entries(tables).map(([name, { columns, rows }]) => [
      name,
      {
        schema: ddl(columns),
        rows: rows.map((row) => jsonRow(columns, row).map((value) => (isLongNumber(value) ? value.rawJSON : value))),
      },
    ]),
  );
}

/** A row's values as a job file and a JSON record carry them: times as text. */
export function jsonRow(columns: readonly CaseColumn[], row: readonly unknown[]): unknown[] {
  return columns.map(([, type], index) => {
    const value = row[index] ?? null;
    return type === 'ts' && typeof value === 'number' ? new Date(value).toISOString() : value;
  });
}

function ddl(columns: readonly CaseColumn[]): string {
  return columns.map(([name, type]) => `${quote(name)} ${type === 'ts' ? 'TIMESTAMP' : type.toUpperCase()}`).join(', ');
}

function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

type Selected = readonly (readonly [string, string])[];

/** ORDER BY and LIMIT belong to the query itself, so the last projection goes below them. */
function renderRoot(query: CaseQuery, columns: Selected, one: StreamCase): string {
  const items = columns.map(([, expr], index) => `${expr} AS c${index}`).join(', ');
  if (query.op === 'sort') {
    const by = typeof query.by === 'string' ? [query.by] : query.by;
    const keys = by.map((name) => `${sortKey(name, columns)}${query.descending === true ? ' DESC' : ''}`);
    return `SELECT ${items} FROM ${from(query.input, one)} ORDER BY ${keys.join(', ')}`;
  }
  if (query.op === 'limit' && query.input.op === 'sort')
    return `${renderRoot(query.input, columns, one)} LIMIT ${query.n}`;
  return `SELECT ${items} FROM ${from(query, one)}`;
}

function sortKey(name: string, columns: Selected): string {
  const index = columns.findIndex(([as]) => as === name);
  return index < 0 ? name : `c${index}`;
}

/** The node as something that may stand in FROM, without an alias. */
function from(query: CaseQuery, one: StreamCase): string {
  if (query.op === undefined) return quote('source' in query ? query.source : query.table);
  if (query.op === 'watermark')
    return `${from(query.input, one)} WATERMARK ${quote(query.column)} DELAY OF INTERVAL ${query.delayMs} MILLISECONDS`;
  return `(${select(query, one)})`;
}

function select(query: Exclude<CaseQuery, { op?: undefined } | { op: 'watermark' }>, one: StreamCase): string {
  switch (query.op) {
    case 'project':
      return `SELECT ${aliased(query.columns)} FROM ${from(query.input, one)}`;
    case 'filter':
      return `SELECT * FROM ${from(query.input, one)} WHERE ${query.condition}`;
    case 'assignWindow': {
      const window = windowCall({ kind: 'sliding', ...query }, query.on);
      return `SELECT *, ${window} AS ${quote(query.as)} FROM ${from(query.input, one)}`;
    }
    case 'aggregate':
      return aggregate(query, one);
    case 'dedup': {
      const keys = query.columns ?? (query.withinWatermark ? columnsOf(query.input, one) : null);
      const on = keys === null ? '' : ` ON (${keys.map(quote).join(', ')})`;
      return `SELECT DISTINCT${on}${query.withinWatermark ? ' WITHIN WATERMARK' : ''} * FROM ${from(query.input, one)}`;
    }
    case 'join': {
      const columns = query.select ?? [
        ...columnsOf(query.left, one).map((name): [string, string] => [name, `l.${quote(name)}`]),
        ...columnsOf(query.right, one).map((name): [string, string] => [name, `r.${quote(name)}`]),
      ];
      const join = joinWords.get(query.type) ?? query.type;
      return `SELECT ${aliased(columns)} FROM ${from(query.left, one)} AS l ${join} ${from(query.right, one)} AS r ON ${query.on}`;
    }
    case 'union':
      return query.inputs.map((input) => `SELECT * FROM ${from(input, one)}`).join(' UNION ALL ');
    case 'limit':
      return `SELECT * FROM ${from(query.input, one)} LIMIT ${query.n}`;
    case 'sort': {
      const by = typeof query.by === 'string' ? [query.by] : query.by;
      const keys = by.map((name) => `${quote(name)}${query.descending === true ? ' DESC' : ''}`);
      return `SELECT * FROM ${from(query.input, one)} ORDER BY ${keys.join(', ')}`;
    }
  }
}

const joinWords = new Map([
  ['inner', 'JOIN'],
  ['leftOuter', 'LEFT OUTER JOIN'],
  ['left', 'LEFT OUTER JOIN'],
  ['rightOuter', 'RIGHT OUTER JOIN'],
  ['right', 'RIGHT OUTER JOIN'],
  ['fullOuter', 'FULL OUTER JOIN'],
  ['full', 'FULL OUTER JOIN'],
  ['leftSemi', 'LEFT SEMI JOIN'],
  ['semi', 'LEFT SEMI JOIN'],
  ['leftAnti', 'LEFT ANTI JOIN'],
  ['anti', 'LEFT ANTI JOIN'],
  ['cross', 'CROSS JOIN'],
]);

function aliased(columns: Selected): string {
  return columns.map(([name, expr]) => `${expr} AS ${quote(name)}`).join(', ');
}

function aggregate(query: Extract<CaseQuery, { op: 'aggregate' }>, one: StreamCase): string {
  const keys = query.keys.map((key): [string, string] => [key, isName(key) ? quote(key) : key]);
  const on = query.window?.on === 'window_time' ? 'window_time(window)' : (query.window?.on ?? '');
  const window = query.window === undefined ? [] : [windowCall(query.window, on)];
  const items = [
    ...window.map((call) => `${call} AS ${quote('window')}`),
    ...keys.map(([name, expr]) => `${expr} AS ${quote(name)}`),
    ...query.aggregates.map(
      ({ as, fn, arg, filter }) =>
        `${fn}(${arg ?? '*'})${filter === undefined ? '' : ` FILTER (WHERE ${filter})`} AS ${quote(as)}`,
    ),
  ];
  const groups = [...window, ...keys.map(([, expr]) => expr)];
  const groupBy = groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`;
  return `SELECT ${items.join(', ')} FROM ${from(query.input, one)}${groupBy}`;
}

function isName(expr: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(expr);
}

function windowCall(window: CaseWindow, on: string): string {
  if (window.kind === 'session') {
    const gap = window.gapExpr ?? interval(window.gapMs ?? 0);
    return `session_window(${on}, ${gap})`;
  }
  const size = window.sizeMs ?? 0;
  const start = window.startMs ?? 0;
  const slide = window.slideMs ?? size;
  const more = slide !== size || start !== 0 ? [interval(slide), ...(start === 0 ? [] : [interval(start)])] : [];
  return `window(${[on, interval(size), ...more].join(', ')})`;
}

function interval(ms: number): string {
  return `'${ms} milliseconds'`;
}

/** Names of a node's columns, in order. */
function columnsOf(query: CaseQuery, one: StreamCase): string[] {
  if (query.op === undefined) {
    const columns = 'source' in query ? one.streams[query.source] : one.staticTables?.[query.table]?.columns;
    return (columns ?? []).map(([name]) => name);
  }
  switch (query.op) {
    case 'project':
      return query.columns.map(([name]) => name);
    case 'assignWindow':
      return [...columnsOf(query.input, one), query.as];
    case 'aggregate':
      return [
        ...(query.window === undefined ? [] : ['window']),
        ...query.keys,
        ...query.aggregates.map(({ as }) => as),
      ];
    case 'join': {
      if (query.select !== undefined) return query.select.map(([name]) => name);
      const left = columnsOf(query.left, one);
      return /semi|anti/i.test(query.type) ? left : [...left, ...columnsOf(query.right, one)];
    }
    case 'union':
      return query.inputs[0] === undefined ? [] : columnsOf(query.inputs[0], one);
    default:
      return columnsOf(query.input, one);
  }
}
