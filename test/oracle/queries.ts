/** Queries over streams as data, and how this engine's SQL writes them. */
import type { DataType } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { type Column, decimalText, type Expr, type Literal, timeText, toWeir } from './expressions.ts';

export interface SourceTable {
  readonly name: string;
  /** `id` first, `ts` second. */
  readonly columns: readonly Column[];
}

/** Rows known to the job; values as in expressions' literals. */
export interface FixedTable {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Literal[])[];
}

/** All durations are ms. */
export interface WindowSpec {
  readonly size: number;
  readonly slide: number;
  readonly start: number;
}

export interface Named {
  readonly name: string;
  readonly expr: Expr;
}

/** `min_by` and `max_by` go by id, `first` and `last` by the order of arrival: over rows of one source, each once. */
export type AggregateName =
  | 'count'
  | 'sum'
  | 'min'
  | 'max'
  | 'avg'
  | 'count_if'
  | 'bool_and'
  | 'bool_or'
  | 'min_by'
  | 'max_by'
  | 'first'
  | 'last';

export interface Aggregate {
  readonly name: string;
  readonly function: AggregateName;
  /** null = `count(*)`. */
  readonly arg: Expr | null;
  readonly distinct: boolean;
  readonly filter: Expr | null;
  readonly type: DataType;
}

export type JoinType = 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti';

/** What the condition says about `right time − left time`; null = that side is open. */
export interface Bounds {
  readonly lower: number | null;
  readonly lowerStrict: boolean;
  readonly upper: number | null;
  readonly upperStrict: boolean;
}

export interface JoinKey {
  readonly left: Expr;
  readonly right: Expr;
  readonly nullSafe: boolean;
}

/** The column that is event time: a time, or a window whose columns are `<name>_start` and `<name>_end`. */
export interface EventTime {
  readonly name: string;
  readonly kind: 'timestamp' | 'window';
  /** A watermark stands on it. */
  readonly marked: boolean;
}

interface Node {
  /** Without windows. */
  readonly columns: readonly Column[];
  /** Windows among the output's columns. */
  readonly windows: readonly string[];
  readonly time: EventTime | null;
}

export type Query =
  | (Node & {
      readonly kind: 'scan';
      readonly source: string;
      /** Where the watermark is declared. */
      readonly watermark: 'none' | 'job' | 'query';
      readonly delay: number;
    })
  | (Node & {
      readonly kind: 'select';
      readonly input: Query;
      readonly where: Expr | null;
      readonly items: readonly Named[];
      /** Adds the window `w` of the event time. */
      readonly window: WindowSpec | null;
    })
  | (Node & { readonly kind: 'union'; readonly inputs: readonly Query[] })
  /** `on` and `within`: the first row of each key; `distinct`: all columns are the key. */
  | (Node & {
      readonly kind: 'dedup';
      readonly input: Query;
      readonly mode: 'distinct' | 'on' | 'within';
      readonly keys: readonly string[];
      /** Delay of the watermark below. */
      readonly delay: number;
    })
  | (Node & {
      readonly kind: 'join';
      readonly type: JoinType;
      readonly left: Query;
      readonly right: Query;
      readonly keys: readonly JoinKey[];
      readonly bounds: Bounds | null;
      /** Windows (or times) of both sides are equal. */
      readonly sameTime: boolean;
      /** Over `l.x` and `r.x`. */
      readonly residual: Expr | null;
    })
  | (Node & {
      readonly kind: 'staticJoin';
      readonly type: 'inner' | 'left' | 'right' | 'semi' | 'anti';
      readonly input: Query;
      readonly table: string;
      readonly tableColumns: readonly Column[];
      readonly keys: readonly JoinKey[];
      readonly residual: Expr | null;
    })
  | (Node & {
      readonly kind: 'aggregate';
      readonly input: Query;
      /** `time`: the event time itself is a key; `same`: the input's window is. */
      readonly by: WindowSpec | 'time' | 'same' | 'none';
      readonly keys: readonly Named[];
      readonly aggregates: readonly Aggregate[];
      /** Over keys and aggregates. */
      readonly having: Expr | null;
    })
  | (Node & {
      readonly kind: 'session';
      readonly input: Query;
      /** The gap, or one where the condition holds and another elsewhere. */
      readonly gap: number | { readonly when: Expr; readonly then: number; readonly otherwise: number };
      readonly keys: readonly Named[];
      readonly aggregates: readonly Aggregate[];
    })
  | (Node & { readonly kind: 'limit'; readonly input: Query; readonly count: number })
  /** The first `limit` rows of each key, ordered by a column and then by id. */
  | (Node & {
      readonly kind: 'rank';
      readonly input: Query;
      readonly keys: readonly string[];
      readonly by: string;
      readonly descending: boolean;
      readonly function: 'row_number' | 'rank' | 'dense_rank';
      readonly limit: number;
    });

export type Of<Kind extends Query['kind']> = Extract<Query, { readonly kind: Kind }>;

export type Mode = 'append' | 'update' | 'complete';

export interface Job {
  readonly mode: Mode;
  readonly sources: readonly SourceTable[];
  readonly tables: readonly FixedTable[];
  readonly root: Query;
  /** complete: columns of the result, NULLs as Spark puts them; `limit` of them. */
  readonly order: {
    readonly by: readonly { readonly name: string; readonly descending: boolean }[];
    readonly limit: number | null;
  } | null;
  readonly noDataEpochs: boolean;
  readonly watermarkPolicy: 'min' | 'max';
}

export function inputsOf(query: Query): readonly Query[] {
  switch (query.kind) {
    case 'scan':
      return [];
    case 'union':
      return query.inputs;
    case 'join':
      return [query.left, query.right];
    default:
      return [query.input];
  }
}

/** All nodes, from the top. */
export function nodesOf(query: Query): readonly Query[] {
  return [query, ...inputsOf(query).flatMap(nodesOf)];
}

/** Columns of the job's result: those of the root, then both ends of its windows. */
export function resultColumns({ columns, windows }: Query): readonly Column[] {
  const ends = windows.flatMap((name) => [`${name}_start`, `${name}_end`]);
  return [...columns, ...ends.map((name): Column => ({ name, type: { kind: 'timestamp' } }))];
}

/** The job file as `loadJobFile` takes it. */
export function jobFile(job: Job): string {
  const scans = nodesOf(job.root).filter((node): node is Of<'scan'> => node.kind === 'scan');
  const sources = job.sources.map(({ name, columns }) => {
    const marked = scans.find((scan) => scan.source === name && scan.watermark === 'job');
    return [
      name,
      {
        connector: 'kafka',
        topic: name,
        startingOffsets: 'earliest',
        format: 'json',
        schema: schemaText(columns),
        ...(marked === undefined ? {} : { watermark: { column: 'ts', delay: `${marked.delay}ms` } }),
      },
    ] as const;
  });
  const tables = job.tables.map(({ name, columns, rows }) => {
    const cells = rows.map((row) => row.map((value, index) => jsonValue(value, columns[index]!.type)));
    return [name, { schema: schemaText(columns), rows: cells }] as const;
  });
  return JSON.stringify({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'oracle',
    sources: Object.fromEntries(sources),
    ...(tables.length === 0 ? {} : { tables: Object.fromEntries(tables) }),
    query: weirQuery(job),
    sinks: [{ connector: 'console' }],
    outputMode: job.mode,
    trigger: 'manual',
    noDataEpochs: job.noDataEpochs,
    watermarkPolicy: job.watermarkPolicy,
  });
}

/** As JSON carries it: times and decimals as text. */
export function jsonValue(value: Literal, type: DataType): Literal {
  if (value === null) return null;
  if (type.kind === 'timestamp') return timeText(Number(value));
  return type.kind === 'decimal' ? decimalText(Number(value), type.scale) : value;
}

function schemaText(columns: readonly Column[]): string {
  return columns.map(({ name, type }) => `${name} ${formatType(type)}${name === 'id' ? ' NOT NULL' : ''}`).join(', ');
}

export function weirQuery({ root, order }: Job): string {
  const items = [
    ...root.columns.map(({ name }) => name),
    ...root.windows.flatMap((name) => [`${name}.start AS ${name}_start`, `${name}.end AS ${name}_end`]),
  ];
  const text =
    items.length % 3 === 0 && root.kind !== 'scan'
      ? `WITH named AS (${write(root)}) SELECT ${items.join(', ')} FROM named`
      : `SELECT ${items.join(', ')} FROM ${relation(root, 't')}`;
  if (order === null) return text;
  const by = order.by.map(({ name, descending }) => `${name}${descending ? ' DESC' : ''}`);
  return `${text} ORDER BY ${by.join(', ')}${order.limit === null ? '' : ` LIMIT ${order.limit}`}`;
}

/** As it stands in FROM. */
function relation(query: Query, alias: string): string {
  if (query.kind !== 'scan') return `(${write(query)}) AS ${alias}`;
  if (query.watermark !== 'query') return `${query.source} AS ${alias}`;
  return `${query.source} WATERMARK ts DELAY OF INTERVAL ${query.delay} MILLISECONDS AS ${alias}`;
}

function durations({ size, slide, start }: WindowSpec): string {
  const all = slide === size && start === 0 ? [size] : start === 0 ? [size, slide] : [size, slide, start];
  return all.map((ms) => `'${ms} milliseconds'`).join(', ');
}

const sideNames = (name: string): string => name.replace(/^([lr])_/, '$1.');

function write(query: Query): string {
  switch (query.kind) {
    case 'scan':
      return `SELECT * FROM ${relation(query, 't')}`;
    case 'select': {
      const items = query.items.map(({ name, expr }) => `${toWeir(expr)} AS ${name}`);
      const kept = query.window === null ? query.windows : query.windows.slice(0, -1);
      items.push(...kept);
      if (query.window !== null) items.push(`window(${query.input.time?.name}, ${durations(query.window)}) AS w`);
      const where = query.where === null ? '' : ` WHERE ${toWeir(query.where)}`;
      return `SELECT ${items.join(', ')} FROM ${relation(query.input, 't')}${where}`;
    }
    case 'union':
      return query.inputs.map(write).join(' UNION ALL ');
    case 'dedup': {
      const columns = [...query.columns.map(({ name }) => name), ...query.windows].join(', ');
      const within = query.mode === 'within' ? ' WITHIN WATERMARK' : '';
      const on = query.mode === 'distinct' ? '' : ` ON (${query.keys.join(', ')})${within}`;
      return `SELECT DISTINCT${on} ${columns} FROM ${relation(query.input, 't')}`;
    }
    case 'join':
      return writeJoin(query);
    case 'staticJoin': {
      const [first, second] =
        query.type === 'right'
          ? [`${query.table} AS r`, relation(query.input, 'l')]
          : [relation(query.input, 'l'), `${query.table} AS r`];
      const conditions = query.keys.map(keyText);
      if (query.residual !== null) conditions.push(toWeir(query.residual, sideNames));
      const on = conditions.length === 0 ? 'TRUE' : conditions.join(' AND ');
      return `SELECT ${sideItems(query)} FROM ${first} ${joinWords[query.type]} ${second} ON ${on}`;
    }
    case 'aggregate':
      return writeAggregate(query);
    case 'session': {
      const gap =
        typeof query.gap === 'number'
          ? `'${query.gap} milliseconds'`
          : `CASE WHEN ${toWeir(query.gap.when)} THEN '${query.gap.then} milliseconds' ELSE '${query.gap.otherwise} milliseconds' END`;
      const call = `session_window(${query.input.time?.name ?? 'ts'}, ${gap})`;
      const keys = query.keys.map(({ expr }) => toWeir(expr));
      const items = [
        ...query.keys.map(({ name }, index) => `${keys[index]} AS ${name}`),
        ...query.aggregates.map((each) => `${aggregateText(each)} AS ${each.name}`),
        `session_window AS w`,
      ];
      return `SELECT ${items.join(', ')} FROM ${relation(query.input, 't')} GROUP BY ${call}, ${keys.join(', ')}`;
    }
    case 'limit':
      return `SELECT * FROM ${relation(query.input, 't')} LIMIT ${query.count}`;
    case 'rank': {
      const columns = [...query.columns.map(({ name }) => name), ...query.windows].filter((name) => name !== 'rn');
      const order = `${query.by}${query.descending ? ' DESC' : ''}${query.function === 'row_number' ? ', id' : ''}`;
      const over = `PARTITION BY ${query.keys.join(', ')} ORDER BY ${order}`;
      const inner = `SELECT ${columns.join(', ')}, ${query.function}() OVER (${over}) AS rn FROM ${relation(query.input, 't')}`;
      return `SELECT ${[...query.columns.map(({ name }) => name), ...query.windows].join(', ')} FROM (${inner}) AS x WHERE rn <= ${query.limit}`;
    }
  }
}

const joinWords = {
  inner: 'JOIN',
  left: 'LEFT JOIN',
  right: 'RIGHT JOIN',
  full: 'FULL JOIN',
  semi: 'LEFT SEMI JOIN',
  anti: 'LEFT ANTI JOIN',
} as const;

function keyText({ left, right, nullSafe }: JoinKey): string {
  return `${toWeir(left, (name) => `l.${name}`)} ${nullSafe ? '<=>' : '='} ${toWeir(right, (name) => `r.${name}`)}`;
}

/** `l.x AS l_x` for every column. */
function sideItems({ columns, windows }: Node): string {
  return [...columns.map(({ name }) => name), ...windows].map((name) => `${sideNames(name)} AS ${name}`).join(', ');
}

function writeJoin(query: Of<'join'>): string {
  const { left, right, bounds } = query;
  const [leftTime, rightTime] = [`l.${left.time?.name}`, `r.${right.time?.name}`];
  const conditions = query.keys.map(keyText);
  if (query.sameTime) conditions.push(`${leftTime} = ${rightTime}`);
  if (bounds !== null && bounds.lower !== null)
    conditions.push(
      `${rightTime} ${bounds.lowerStrict ? '>' : '>='} ${leftTime} + INTERVAL ${bounds.lower} MILLISECONDS`,
    );
  if (bounds !== null && bounds.upper !== null)
    conditions.push(
      `${rightTime} ${bounds.upperStrict ? '<' : '<='} ${leftTime} + INTERVAL ${bounds.upper} MILLISECONDS`,
    );
  if (query.residual !== null) conditions.push(toWeir(query.residual, sideNames));
  const sides = `${relation(left, 'l')} ${joinWords[query.type]} ${relation(right, 'r')}`;
  return `SELECT ${sideItems(query)} FROM ${sides} ON ${conditions.join(' AND ')}`;
}

function aggregateText(aggregate: Aggregate): string {
  const by = aggregate.function.endsWith('_by') ? ', id' : '';
  const arg = aggregate.arg === null ? '*' : `${toWeir(aggregate.arg)}${by}`;
  const filter = aggregate.filter === null ? '' : ` FILTER (WHERE ${toWeir(aggregate.filter)})`;
  return `${aggregate.function}(${aggregate.distinct ? 'DISTINCT ' : ''}${arg})${filter}`;
}

function writeAggregate(query: Of<'aggregate'>): string {
  const { by, keys, aggregates, input } = query;
  const time = input.time?.name ?? 'ts';
  const window = by === 'none' ? [] : by === 'time' || by === 'same' ? [time] : [`window(${time}, ${durations(by)})`];
  const keyTexts = keys.map(({ expr }) => toWeir(expr));
  const items = [
    ...keys.map(({ name }, index) => `${keyTexts[index]} AS ${name}`),
    ...aggregates.map((each) => `${aggregateText(each)} AS ${each.name}`),
    ...window.map((text) => `${text} AS ${by === 'time' ? 'ts' : 'w'}`),
  ];
  // Groups by place for a change.
  const places = [...window.map(() => items.length), ...keys.map((_, index) => index + 1)];
  const groups = aggregates.length % 2 === 0 ? places : [...window, ...keyTexts];
  const groupBy = groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`;
  const texts = new Map([
    ...keys.map(({ name }, index) => [name, keyTexts[index]!] as const),
    ...aggregates.map((each) => [each.name, aggregateText(each)] as const),
  ]);
  const having = query.having === null ? '' : ` HAVING ${toWeir(query.having, (name) => texts.get(name) ?? name)}`;
  return `SELECT ${items.join(', ')} FROM ${relation(input, 't')}${groupBy}${having}`;
}
