/** Plans of the sinks that take rows by the interface RowSink: what is written in which format, and what has to fit. */
import { durationMs } from '../../core/duration.ts';
import { sizeBytes } from '../../core/job/options.ts';
import type { SinkSpec } from '../../core/job/spec.ts';
import type { FormatColumn, SinkColumn, SinkTable } from '../../core/row-sink.ts';
import { formatType, type Schema } from '../../core/types.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { PACKAGE_PREFIX } from '../../core/job/connector-names.ts';
import { packagePart } from './plan-packages.ts';
import type { PlanFacts } from './analyzed-job.ts';
import { postgresCell, postgresTypeOf } from '../encode/postgres-cells.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { didYouMean } from '../sql/problems.ts';
import type { SinkPlan } from './stage-plan.ts';

export type RowSinkSpec = Extract<
  SinkSpec,
  { connector: 'postgres' | 'files' | 'webhook' | 'forEachBatch' | 'package' }
>;
export type RowsPlan = Extract<SinkPlan, { kind: 'rows' }>;

export interface RowSinkContext {
  readonly output: Schema;
  readonly outputMode: 'append' | 'update' | 'complete';
  readonly isAsap: boolean;
  readonly timeZone: TimeZone;
  /** The table as it is; undefined = there is none, null = nothing is known. */
  readonly existing: SinkTable | undefined | null;
  readonly facts: Pick<PlanFacts, 'connectors'>;
  problem(path: string, message: string, hint?: string): void;
  warn(message: string): void;
  readonly problems: JobProblem[];
  /** Of the sink among those of the job. */
  readonly index: number;
}

/** Is the sink one of these? */
export function isRowSink(sink: SinkSpec): sink is RowSinkSpec {
  return (
    sink.connector === 'postgres' ||
    sink.connector === 'files' ||
    sink.connector === 'webhook' ||
    sink.connector === 'forEachBatch' ||
    sink.connector === 'package'
  );
}

/** For people: where the rows go. */
export function describeRowSink(sink: RowSinkSpec): string {
  switch (sink.connector) {
    case 'postgres':
      return `postgres ${qualifiedTable(sink.table)}`;
    case 'files':
      return `files ${sink.path}`;
    case 'webhook':
      return `webhook ${sink.url.replace(/\?.*$/, '')}`;
    case 'forEachBatch':
      return 'a function of the job';
    case 'package':
      return sink.name;
  }
}

/** undefined where problems were found. */
export function planRowSink(
  sink: RowSinkSpec,
  path: string,
  name: string,
  context: RowSinkContext,
): RowsPlan | undefined {
  const planned = planOf(sink, path, context);
  return planned === undefined ? undefined : { kind: 'rows', name, connector: rowSinkConnector(sink), ...planned };
}

/** The connector as processes open it. */
export function rowSinkConnector(sink: RowSinkSpec): string {
  return sink.connector === 'package' ? `${PACKAGE_PREFIX}${sink.name}` : sink.connector;
}

type Planned = Omit<RowsPlan, 'kind' | 'name' | 'connector'>;

function planOf(sink: RowSinkSpec, path: string, context: RowSinkContext): Planned | undefined {
  switch (sink.connector) {
    case 'postgres':
      return planPostgres(sink, path, context);
    case 'files':
      return planFiles(sink, path, context);
    case 'webhook':
      return planWebhook(sink, path, context);
    case 'forEachBatch':
      return planFunction(sink, context);
    case 'package':
      return planPackage(sink, path, context);
  }
}

/** Index of an output column by its name; case counts only where two differ in nothing else. */
function indexOf(output: Schema, name: string): number {
  const exact = output.findIndex((field) => field.name === name);
  return exact >= 0 ? exact : output.findIndex((field) => field.name.toLowerCase() === name.toLowerCase());
}

function columnsNamed(
  names: readonly string[],
  path: string,
  { output, problem }: RowSinkContext,
): number[] | undefined {
  const indexes = names.map((name, index) => {
    const found = indexOf(output, name);
    if (found < 0) {
      const known = output.map((field) => field.name);
      const hint = didYouMean(name, known) ?? `its columns are: ${known.join(', ')}`;
      problem(`${path}[${index}]`, `the result has no column ${name}`, hint);
    }
    return found;
  });
  return indexes.includes(-1) ? undefined : indexes;
}

function plainColumns(output: Schema, but: readonly number[] = []): FormatColumn[] {
  return output.flatMap(({ name, type }, input) => (but.includes(input) ? [] : [{ input, name, from: type, to: '' }]));
}

/** Whether an address holds a password and no reference to one. */
export function holdsPassword(address: string): boolean {
  const password = /^[a-z0-9+]+:\/\/[^/@:]*:([^/@]+)@/i.exec(address)?.[1];
  return password !== undefined && !/^\$\{env:[A-Z0-9_]+\}$/.test(password);
}

function checkReferences(text: string, path: string, { problem }: RowSinkContext): void {
  if (!holdsPassword(text)) return;
  problem(
    path,
    'the address holds a password, which everybody who may look at the job would see',
    'write postgres://user:${env:WEIR_SECRET_NAME}@host/database and set the variable for masters and workers',
  );
}

// ---- PostgreSQL ---------------------------------------------------------------------------------------------------

/** With the schema that a table without one is in. */
export function qualifiedTable(table: string): string {
  return table.includes('.') ? table : `public.${table}`;
}

function planPostgres(
  sink: Extract<SinkSpec, { connector: 'postgres' }>,
  path: string,
  context: RowSinkContext,
): Planned | undefined {
  const { output, outputMode, existing, problem } = context;
  if (sink.url !== undefined) checkReferences(sink.url, `${path}.url`, context);
  const keys = columnsNamed(sink.primaryKey ?? [], `${path}.primaryKey`, context);
  if (keys === undefined) return undefined;
  const place = qualifiedTable(sink.table);
  if (keys.length === 0 && outputMode !== 'append') {
    const hint = 'add primaryKey: with the columns that tell the rows of the result';
    problem(
      path,
      `${place} has no primaryKey, and outputMode: ${outputMode} changes rows that were given before`,
      hint,
    );
    return undefined;
  }
  if (existing === undefined && !sink.create) {
    problem(`${path}.table`, `there is no table ${place}`, 'create it, or write create: true');
    return undefined;
  }
  const order = [...keys, ...output.map((_, index) => index).filter((index) => !keys.includes(index))];
  const columns = order.flatMap((input) => postgresColumn(input, place, path, context) ?? []);
  if (columns.length < output.length) return undefined;
  if (
    existing !== undefined &&
    existing !== null &&
    !fitsPostgres(existing, columns, keys, sink.create, place, path, context)
  )
    return undefined;
  for (const index of keys) {
    const field = output[index];
    if (field?.nullable === true)
      context.warn(
        `${field.name} is part of the primary key of ${place} and may be NULL: such records become dead letters (KEY_NULL)`,
      );
  }
  const creates = sink.create ? tableOf(output, keys) : null;
  return {
    format: { kind: 'postgres', columns, keyCount: keys.length },
    keys,
    partitionBy: [],
    settings: { url: sink.url ?? null, table: place },
    creates,
    guarantee: 'exactlyOnce',
  };
}

function postgresColumn(
  input: number,
  place: string,
  path: string,
  { output, existing, timeZone, problem }: RowSinkContext,
): FormatColumn | undefined {
  const field = output[input];
  if (field === undefined) return undefined;
  const there = existing?.columns.find((column) => sameName(column.name, field.name));
  const to = there?.type ?? postgresTypeOf(field.type);
  if (to !== undefined && postgresCell(field.type, to, timeZone) !== undefined)
    return { input, name: there?.name ?? field.name, from: field.type, to };
  problem(
    there === undefined ? 'query' : `${path}.table`,
    there === undefined
      ? `the column ${field.name} is ${formatType(field.type)}, which PostgreSQL has no type for`
      : `the column ${field.name} is ${formatType(field.type)}, but ${place}.${there.name} is ${there.type}`,
    'write a CAST in the query, or change the table',
  );
  return undefined;
}

function fitsPostgres(
  table: SinkTable,
  columns: readonly FormatColumn[],
  keys: readonly number[],
  mayAdd: boolean,
  place: string,
  path: string,
  { output, problem }: RowSinkContext,
): boolean {
  let fits = true;
  const refuse = (at: string, message: string, hint: string): void => {
    fits = false;
    problem(at, message, hint);
  };
  const names = table.columns.map(({ name }) => name);
  for (const { name, input } of columns) {
    if (table.columns.some((column) => sameName(column.name, name))) continue;
    // It is added when the job is accepted; a key cannot be.
    if (mayAdd && !keys.includes(input)) continue;
    const hint = didYouMean(name, names) ?? `its columns are: ${names.join(', ')}`;
    refuse(`${path}.table`, `${place} has no column ${name}`, hint);
  }
  for (const column of table.columns) {
    if (!column.required || column.hasDefault || columns.some(({ name }) => name === column.name)) continue;
    const hint = `add it to the select list: … AS ${column.name}`;
    refuse(`${path}.table`, `${place}.${column.name} is NOT NULL, and the result has no such column`, hint);
  }
  if (keys.length === 0) return fits;
  const given = keys.map((index) => output[index]?.name.toLowerCase() ?? '');
  const unique = [table.primaryKey, ...table.uniqueKeys].some(
    (key) => key.length === given.length && key.every((name) => given.includes(name.toLowerCase())),
  );
  if (!unique) {
    const is = table.primaryKey.length === 0 ? 'it has no primary key' : `it is [${table.primaryKey.join(', ')}]`;
    refuse(`${path}.primaryKey`, `${place} has no unique key of these columns`, is);
  }
  return fits;
}

function tableOf(output: Schema, keys: readonly number[]): SinkTable {
  const columns = output.map(({ name, type }, index): SinkColumn => {
    const required = keys.includes(index);
    return { name, type: postgresTypeOf(type) ?? 'text', required, hasDefault: false };
  });
  return { columns, primaryKey: keys.map((index) => output[index]?.name ?? ''), uniqueKeys: [] };
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

// ---- files --------------------------------------------------------------------------------------------------------

/** Files that are merged, and the merged one, are in memory at once. */
const COMPACT_BYTES_MAX = 256e6;

function planFiles(
  sink: Extract<SinkSpec, { connector: 'files' }>,
  path: string,
  context: RowSinkContext,
): Planned | undefined {
  const { output, outputMode, problem } = context;
  const partitionBy = columnsNamed(sink.partitionBy, `${path}.partitionBy`, context);
  if (partitionBy === undefined) return undefined;
  if (outputMode !== 'append') {
    problem(
      'outputMode',
      `files are only ever added to, and outputMode: ${outputMode} changes rows that were given before`,
      'write outputMode: append with a watermark, or use a table',
    );
    return undefined;
  }
  for (const index of partitionBy) {
    const field = output[index];
    if (field === undefined || !['array', 'map', 'struct', 'binary'].includes(field.type.kind)) continue;
    problem(`${path}.partitionBy`, `${field.name} is ${formatType(field.type)}, which is no name of a directory`);
  }
  const columns = plainColumns(output, partitionBy);
  if (columns.length === 0) {
    problem(`${path}.partitionBy`, 'every column is in the names of directories, and nothing is left for the files');
    return undefined;
  }
  const { compression, format, delimiter, nullText } = sink;
  if ((format === 'parquet') === (compression === 'gzip') || (format !== 'parquet' && compression === 'snappy')) {
    if (compression !== undefined) {
      const hint = format === 'parquet' ? 'choose snappy or none' : 'choose gzip or none';
      problem(`${path}.compression`, `files of format ${format} are not compressed by ${compression}`, hint);
      return undefined;
    }
  }
  if (sink.compact !== undefined && sizeBytes(sink.compact.below) > COMPACT_BYTES_MAX) {
    problem(`${path}.compact.below`, 'files are merged in memory, up to 256MB', 'write below: 256MB or less');
    return undefined;
  }
  if (context.isAsap)
    context.warn(`every epoch makes files in ${sink.path}: with trigger: 1m they are larger and fewer`);
  return {
    format:
      format === 'parquet'
        ? { kind: 'parquet', columns, compression: compression === 'none' ? 'none' : 'snappy' }
        : format === 'csv'
          ? { kind: 'csv', columns, delimiter, nullText }
          : { kind: 'json', columns },
    keys: [],
    partitionBy,
    settings: {
      path: sink.path,
      gzip: compression === 'gzip',
      endpoint: sink.endpoint ?? null,
      region: sink.region ?? null,
      ...(sink.compact === undefined
        ? {}
        : { compactBelow: sizeBytes(sink.compact.below), compactEveryMs: durationMs(sink.compact.every) }),
    },
    creates: null,
    guarantee: 'exactlyOnce',
  };
}

// ---- webhooks -----------------------------------------------------------------------------------------------------

function planWebhook(
  sink: Extract<SinkSpec, { connector: 'webhook' }>,
  path: string,
  context: RowSinkContext,
): Planned | undefined {
  if (context.outputMode === 'complete') {
    const hint = 'write outputMode: update, or use a table';
    context.problem('outputMode', 'outputMode: complete would post the whole result with every epoch', hint);
    return undefined;
  }
  checkReferences(sink.url, `${path}.url`, context);
  const { url, body, batchRows, onRejected } = sink;
  return {
    format: { kind: 'json', columns: plainColumns(context.output) },
    keys: [],
    partitionBy: [],
    settings: {
      url,
      body,
      batchRows,
      timeoutMs: durationMs(sink.timeout),
      onRejected,
      headers: JSON.stringify(sink.headers),
    },
    creates: null,
    guarantee: 'atLeastOnce',
  };
}

// ---- functions ----------------------------------------------------------------------------------------------------

function planFunction(
  sink: Extract<SinkSpec, { connector: 'forEachBatch' }>,
  { output, outputMode, index, problem }: RowSinkContext,
): Planned | undefined {
  if (outputMode === 'complete') {
    const hint = 'write outputMode: update, or use a table';
    problem('outputMode', 'outputMode: complete would give the function the whole result with every epoch', hint);
    return undefined;
  }
  return {
    format: { kind: 'json', columns: plainColumns(output) },
    keys: [],
    partitionBy: [],
    settings: { sink: index, timeoutMs: durationMs(sink.timeout), retries: sink.retries },
    creates: null,
    guarantee: 'atLeastOnce',
  };
}

// ---- packages -----------------------------------------------------------------------------------------------------

function planPackage(
  sink: Extract<SinkSpec, { connector: 'package' }>,
  path: string,
  context: RowSinkContext,
): Planned | undefined {
  const { facts, problems, outputMode, output } = context;
  const part = packagePart('sink', { ...sink, path }, facts, problems);
  if (part === undefined) return undefined;
  const { format, guarantee, outputModes } = part.manifest;
  if (!outputModes.includes(outputMode)) {
    const hint = `it takes ${outputModes.join(' and ')}`;
    context.problem('outputMode', `the connector ${sink.name} takes no rows of outputMode: ${outputMode}`, hint);
    return undefined;
  }
  const columns = plainColumns(output);
  return {
    format: format === 'csv' ? { kind: 'csv', columns, delimiter: ',', nullText: '' } : { kind: 'json', columns },
    keys: [],
    partitionBy: [],
    settings: { options: JSON.stringify(part.options) },
    creates: null,
    guarantee,
  };
}
