/** What a query may read: the columns of its sources, with their watermarks, and the static tables. */
import { assert } from '../../core/assert.ts';
import { durationMs, durationUs } from '../../core/duration.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { feedOf } from '../../core/job/feed-topics.ts';
import type { JobSpec, SourceSpec, StaticTableSpec } from '../../core/job/spec.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { checkSchemaChange, isUnread, sourceSchema, valueFormat } from './source-format.ts';
import type { DriftPlan } from '../formats/field-drift.ts';
import type { SchemaText, ValueFormat } from '../formats/value-format.ts';
import type { SourceColumn } from '../sql/analyzer.ts';
import { BIGINT, BINARY, INT, STRING, TIMESTAMP } from '../sql/coercion.ts';
import { parseSchema } from '../sql/ddl.ts';
import { didYouMean } from '../sql/problems.ts';
import { connectionOptions, dataLossPolicy, type PlanFacts } from './analyzed-job.ts';
import { dataTypeOf } from './cql-types.ts';
import type { StaticTable } from './epoch-plan.ts';
import { packagePart } from './plan-packages.ts';
import type { PlannedSource, StartingOffsets } from './job-plan.ts';
import type { InputColumn, RecordColumn } from './stage-plan.ts';

const headerFields: DataType = {
  kind: 'array',
  element: {
    kind: 'struct',
    fields: [
      { name: 'key', type: STRING, nullable: false },
      { name: 'value', type: BINARY, nullable: true },
    ],
  },
  containsNull: false,
};

/** The columns that every record has, with Spark's names and types. */
const recordColumns: readonly { readonly name: RecordColumn; readonly type: DataType; readonly nullable: boolean }[] = [
  { name: 'key', type: BINARY, nullable: true },
  { name: 'value', type: BINARY, nullable: true },
  { name: 'topic', type: STRING, nullable: false },
  { name: 'partition', type: INT, nullable: false },
  { name: 'offset', type: BIGINT, nullable: false },
  { name: 'timestamp', type: TIMESTAMP, nullable: false },
  { name: 'timestampType', type: INT, nullable: false },
  { name: 'headers', type: headerFields, nullable: true },
];

/** A source's columns in the order that the analyzer counts them: the schema's, then the record's. */
export function planSources(
  spec: JobSpec,
  facts: PlanFacts,
  problems: JobProblem[],
): Map<string, readonly SourceColumn[]> {
  const planned = new Map<string, readonly SourceColumn[]>();
  for (const [name, source] of Object.entries(spec.sources)) {
    if (source.connector === 'package') packagePart('source', { ...source, path: `sources.${name}` }, facts, problems);
    const columns = sourceColumns(name, source, facts.recordSchemas?.get(name), problems);
    if (columns !== undefined) planned.set(name, columns);
  }
  return planned;
}

function sourceColumns(
  name: string,
  source: SourceSpec,
  latest: SchemaText | undefined,
  problems: JobProblem[],
): readonly SourceColumn[] | undefined {
  const path = `sources.${name}`;
  if (source.failOnDataLoss === true && source.onDataLoss === 'skip') {
    problems.push({
      path: `${path}.failOnDataLoss`,
      message: 'failOnDataLoss: true and onDataLoss: skip contradict each other',
      hint: 'keep one of them',
    });
  }
  if (isUnread(source)) {
    checkSchemaChange(source, path, problems);
    if (source.schema !== undefined) {
      problems.push({
        path: `${path}.schema`,
        message: `format: ${source.format} has no schema; its columns are key, value, topic, partition, offset, timestamp`,
        hint: 'take the schema away, or write format: json',
      });
    }
    return recordColumns.map((column) => ({
      ...column,
      type: source.format === 'text' && column.name === 'value' ? STRING : column.type,
      hidden: column.name === 'headers',
    }));
  }
  const schema = sourceSchema(source, path, latest, problems);
  if (schema === undefined) return undefined;
  const own = new Set(schema.map((field) => field.name.toLowerCase()));
  const others = recordColumns.filter((column) => !own.has(column.name.toLowerCase()));
  return [
    ...schema.map((field) => ({ ...field, hidden: false })),
    ...others.map((column) => ({ ...column, hidden: true })),
  ];
}

/** What is scanned for the columns of a source, in their order. */
export function inputColumns(source: SourceSpec, columns: readonly SourceColumn[]): readonly InputColumn[] {
  return columns.map(({ name, type, nullable, hidden }): InputColumn => {
    const record = isUnread(source) || hidden ? recordColumns.find((column) => column.name === name) : undefined;
    if (record !== undefined) return { kind: 'record', name, column: record.name, type };
    return { kind: 'field', name, path: name, type, required: !nullable };
  });
}

/** The format of a source whose columns are known. */
export function formatOf(
  name: string,
  source: SourceSpec,
  columns: readonly SourceColumn[],
  facts: PlanFacts,
): ValueFormat {
  const fields = columns.flatMap((column) => (column.hidden ? [] : [column.name]));
  return valueFormat(source, fields, facts.recordSchemas?.get(name));
}

/** The part of a scan that watches for records of another shape; empty where the source does not ask for it. */
export function driftOf(
  { onSchemaChange }: SourceSpec,
  columns: readonly SourceColumn[],
): { readonly drift?: DriftPlan } {
  if (onSchemaChange === undefined) return {};
  const fields = columns.flatMap(({ name, type, nullable, hidden }) => (hidden ? [] : [{ name, type, nullable }]));
  return { drift: { policy: onSchemaChange, fields } };
}

/** The part of a source's plan that does not depend on the protocol. */
export function plannedSource(name: string, source: SourceSpec): PlannedSource {
  const feed = feedOf(source);
  return {
    name,
    connector: 'kafka',
    options: connectionOptions(source),
    topic: source.topic,
    startingOffsets: startingOffsetsOf(source),
    onDataLoss: dataLossPolicy(source),
    ...(feed === undefined ? {} : { feed }),
  };
}

/** Where a run without a checkpoint starts. */
function startingOffsetsOf(source: SourceSpec): StartingOffsets {
  const { startingOffsets } = source;
  if (typeof startingOffsets === 'string') return { kind: startingOffsets };
  return { kind: 'timestamp', timestampMs: Date.parse(startingOffsets.timestamp) };
}

/** A watermark as the job file declares it. */
export interface SourceWatermark {
  readonly column: string;
  readonly delayUs: number;
}

/** The watermarks of the sources that declare one. */
export function planWatermarks(
  spec: JobSpec,
  sources: ReadonlyMap<string, readonly SourceColumn[]>,
  problems: JobProblem[],
): Map<string, SourceWatermark> {
  const planned = new Map<string, SourceWatermark>();
  for (const [name, { watermark }] of Object.entries(spec.sources)) {
    const columns = sources.get(name);
    if (watermark === undefined || columns === undefined) continue;
    const path = `sources.${name}.watermark.column`;
    const column = columns.find((each) => each.name.toLowerCase() === watermark.column.toLowerCase());
    if (column === undefined) {
      const names = columns.map((each) => each.name);
      problems.push({
        path,
        message: `the source ${name} has no column ${watermark.column}`,
        hint: didYouMean(watermark.column, names) ?? `its columns are: ${names.join(', ')}`,
      });
    } else if (column.type.kind !== 'timestamp') {
      problems.push({
        path,
        message: `a watermark stands on a TIMESTAMP, and ${column.name} is ${formatType(column.type)}`,
        hint: 'declare it TIMESTAMP in the schema, or write FROM (SELECT …) WATERMARK time DELAY OF … in the query',
      });
    } else planned.set(name, { column: column.name, delayUs: durationUs(watermark.delay) ?? 0 });
  }
  return planned;
}

// ---- static tables ----------------------------------------------------------------------------------------------

/** The static tables whose definitions have no mistakes. */
export function planTables(spec: JobSpec, facts: PlanFacts, problems: JobProblem[]): Map<string, StaticTable> {
  const planned = new Map<string, StaticTable>();
  for (const [name, table] of Object.entries(spec.tables ?? {})) {
    if ('lookup' in table && table.lookup !== undefined) continue;
    const path = `tables.${name}`;
    const other = Object.keys(spec.sources).find((source) => source.toLowerCase() === name.toLowerCase());
    if (other !== undefined)
      problems.push({ path, message: `${name} is the name of a source too`, hint: 'give the table another name' });
    const schema = tableSchema(table, facts, path, problems);
    if (schema === undefined) continue;
    planned.set(name, { name, schema, rows: rowsOf(table, schema, path, problems) });
  }
  return planned;
}

/** The columns that are read of a table: those the job file lists, or all that queries have types for. */
export function tableSchema(
  table: StaticTableSpec,
  facts: PlanFacts,
  path: string,
  problems: JobProblem[],
): Schema | undefined {
  const written = table.schema === undefined ? undefined : parseSchema(table.schema, `${path}.schema`, problems);
  if (
    !('connector' in table) ||
    table.connector !== 'cassandra' ||
    (table.schema !== undefined && written === undefined)
  )
    return written;
  const place = `${table.keyspace}.${table.table}`;
  const existing = facts.tables?.get(place);
  if (existing === undefined) {
    if (facts.tables === null && written !== undefined) return written;
    const message = facts.tables === null ? `the columns of ${place} are not known here` : `there is no table ${place}`;
    const hint = facts.tables === null ? "list them: schema: 'id INT NOT NULL, name STRING'" : 'create it first';
    problems.push({ path: `${path}.table`, message, hint });
    return undefined;
  }
  if (written === undefined) {
    const keys = new Set([...existing.partitionKey, ...existing.clusteringKey]);
    return existing.columns.flatMap(({ name, type }): Field[] => {
      const read = dataTypeOf(type);
      return read === undefined ? [] : [{ name, type: read, nullable: !keys.has(name) }];
    });
  }
  const names = existing.columns.map(({ name }) => name);
  for (const { name } of written) {
    if (names.some((known) => known.toLowerCase() === name.toLowerCase())) continue;
    problems.push({
      path: `${path}.schema`,
      message: `${place} has no column ${name}`,
      hint: didYouMean(name, names) ?? `its columns are: ${names.join(', ')}`,
    });
  }
  return written;
}

function rowsOf(table: StaticTableSpec, schema: Schema, path: string, problems: JobProblem[]): StaticTable['rows'] {
  if ('connector' in table) {
    assert(table.connector === 'cassandra', () => `${table.connector} tables are only looked up`);
    const { connector, keyspace, refresh } = table;
    const refreshMs = refresh === undefined ? null : durationMs(refresh);
    return { kind: 'table', connector, keyspace, table: table.table, refreshMs };
  }
  for (const [index, row] of table.rows.entries()) {
    const place = `${path}.rows[${index}]`;
    if (row.length !== schema.length) {
      const message = `the row has ${row.length} values, the schema ${schema.length} columns`;
      problems.push({ path: place, message, hint: `its columns are: ${schema.map(({ name }) => name).join(', ')}` });
      continue;
    }
    for (const [column, field] of schema.entries()) {
      if (fits(row[column], field)) continue;
      const value = JSON.stringify(row[column]);
      const message =
        row[column] === null
          ? `${field.name} is NULL, which its schema does not allow`
          : `${field.name} is ${value}, not a value of ${formatType(field.type)}`;
      problems.push({ path: `${place}[${column}]`, message });
    }
  }
  return { kind: 'inline', rows: table.rows };
}

/** Can the value as JSON carries it be one of the column? What a text says is looked at when the rows are read. */
function fits(value: unknown, { type, nullable }: Field): boolean {
  if (value === null) return nullable;
  switch (type.kind) {
    case 'null':
    case 'interval':
      return false;
    case 'boolean':
      return typeof value === 'boolean';
    case 'tinyint':
    case 'smallint':
    case 'int':
      return Number.isInteger(value);
    case 'bigint':
      return Number.isSafeInteger(value) || (typeof value === 'string' && /^[+-]?\d+$/.test(value));
    case 'float':
    case 'double':
    case 'decimal':
      return typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && isNumberText(value));
    case 'string':
    case 'binary':
    case 'date':
    case 'timestamp':
      return typeof value === 'string';
    case 'array':
      return (
        Array.isArray(value) &&
        value.every((element) => fits(element, { name: '', type: type.element, nullable: type.containsNull }))
      );
    case 'map':
    case 'struct':
      return typeof value === 'object' && !Array.isArray(value);
  }
}

function isNumberText(text: string): boolean {
  return !Number.isNaN(Number(text)) || /^[+-]?(NaN|Infinity)$/.test(text);
}
