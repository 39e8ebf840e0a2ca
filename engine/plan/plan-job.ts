/** From a job as written to a job as it runs, or to everything that keeps it from running. */
import { jobName } from '../../core/ids.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { durationMs, type JobSpec, type SourceSpec } from '../../core/job/spec.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { type TimeZone, timeZoneOf } from '../scan/time-zone.ts';
import { analyzeQuery, type AnalyzedQuery, type SourceColumn } from '../sql/analyzer.ts';
import { BIGINT, BINARY, INT, STRING, TIMESTAMP } from '../sql/coercion.ts';
import { parseSchema } from '../sql/ddl.ts';
import { parseQuery } from '../sql/parser.ts';
import { catchSyntax } from '../sql/problems.ts';
import { utc } from '../sql/runtime/time.ts';
import { type JobPlan, PLAN_FORMAT_VERSION, type StartingOffsets, type Trigger } from './job-plan.ts';
import { planSinks } from './plan-sinks.ts';
import { pruneColumns } from './prune-columns.ts';
import type { BadRecordPolicy, InputColumn, RecordColumn, StagePlan } from './stage-plan.ts';

/** What planning knows of the world. */
export interface PlanFacts {
  /** Existing tables by `keyspace.table`; null when nothing is known, as without a cluster. */
  readonly tables: ReadonlyMap<string, TableSchema> | null;
}

export type PlanOutcome =
  | { readonly plan: JobPlan; readonly problems: readonly JobProblem[] }
  | { readonly plan: null; readonly problems: readonly JobProblem[] };

/** Deeper JSON than this is refused. */
const RECORD_DEPTH_MAX = 64;

/** Plans a job. All problems come at once; there is a plan only when there is none. */
export function planJob(spec: JobSpec, facts: PlanFacts): PlanOutcome {
  const problems: JobProblem[] = [];
  const timeZone = timeZoneOf(spec.timeZone);
  if (timeZone === undefined) {
    problems.push({
      path: 'timeZone',
      message: `there is no time zone ${spec.timeZone}`,
      hint: 'write UTC, Europe/Berlin or +02:00',
    });
  }
  const sources = planSources(spec, problems);
  const query = catchSyntax('query', problems, () => parseQuery(spec.query));
  const known = sources.size === Object.keys(spec.sources).length;
  // Without the columns of a source every name would be called wrong.
  const analyzed =
    query !== undefined && known
      ? analyzeQuery(query, { text: spec.query, path: 'query', sources, zone: timeZone ?? utc, problems })
      : undefined;
  checkModes(spec, problems);
  const plan = analyzed && timeZone && assemble(spec, facts, analyzed, sources, timeZone, problems);
  return plan === undefined || problems.length > 0 ? { plan: null, problems } : { plan, problems };
}

// ---- sources ----------------------------------------------------------------------------------------------------

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
function planSources(spec: JobSpec, problems: JobProblem[]): Map<string, readonly SourceColumn[]> {
  const planned = new Map<string, readonly SourceColumn[]>();
  for (const [name, source] of Object.entries(spec.sources)) {
    const columns = sourceColumns(name, source, problems);
    if (columns !== undefined) planned.set(name, columns);
  }
  return planned;
}

function sourceColumns(name: string, source: SourceSpec, problems: JobProblem[]): readonly SourceColumn[] | undefined {
  const path = `sources.${name}`;
  if (source.failOnDataLoss === true && source.onDataLoss === 'skip') {
    problems.push({
      path: `${path}.failOnDataLoss`,
      message: 'failOnDataLoss: true and onDataLoss: skip contradict each other',
      hint: 'keep one of them',
    });
  }
  if (source.format === 'raw') {
    if (source.schema !== undefined) {
      problems.push({
        path: `${path}.schema`,
        message: 'format: raw has no schema; its columns are key, value, topic, partition, offset, timestamp',
        hint: 'take the schema away, or write format: json',
      });
    }
    return recordColumns.map((column) => ({ ...column, hidden: column.name === 'headers' }));
  }
  if (source.schema === undefined) {
    problems.push({ path, message: 'format: json needs a schema', hint: "schema: 'id STRING NOT NULL, price DOUBLE'" });
    return undefined;
  }
  const schema = parseSchema(source.schema, `${path}.schema`, problems);
  if (schema === undefined) return undefined;
  const own = new Set(schema.map((field) => field.name.toLowerCase()));
  const others = recordColumns.filter((column) => !own.has(column.name.toLowerCase()));
  return [
    ...schema.map((field) => ({ ...field, hidden: false })),
    ...others.map((column) => ({ ...column, hidden: true })),
  ];
}

function inputColumns(source: SourceSpec, columns: readonly SourceColumn[]): readonly InputColumn[] {
  return columns.map(({ name, type, nullable, hidden }): InputColumn => {
    const record = source.format === 'raw' || hidden ? recordColumns.find((column) => column.name === name) : undefined;
    if (record !== undefined) return { kind: 'record', name, column: record.name, type };
    return { kind: 'field', name, path: name, type, required: !nullable };
  });
}

// ---- the job ----------------------------------------------------------------------------------------------------

function checkModes(spec: JobSpec, problems: JobProblem[]): void {
  if (spec.outputMode === 'complete') {
    problems.push({
      path: 'outputMode',
      message: 'outputMode: complete needs an aggregation, and the query has none',
      hint: 'write outputMode: append',
    });
  }
  for (const [index, sink] of spec.sinks.entries()) {
    if (sink.connector === 'cassandra' && sink.ignoreNulls && spec.outputMode !== 'append') {
      problems.push({
        path: `sinks[${index}].ignoreNulls`,
        message: `ignoreNulls goes with outputMode: append only, not with ${spec.outputMode}`,
      });
    }
  }
}

function assemble(
  spec: JobSpec,
  facts: PlanFacts,
  analyzed: AnalyzedQuery,
  sources: ReadonlyMap<string, readonly SourceColumn[]>,
  timeZone: TimeZone,
  problems: JobProblem[],
): JobPlan | undefined {
  const source = spec.sources[analyzed.source];
  const columns = sources.get(analyzed.source);
  if (source === undefined || columns === undefined) return undefined;
  for (const name of sources.keys()) {
    if (name !== analyzed.source)
      problems.push({
        path: `sources.${name}`,
        message: `the query does not read the source ${name}`,
        hint: 'a job reads one source; take the others away',
      });
  }
  checkOutput(analyzed.output, problems);
  const sinks = planSinks({ spec, source, facts, analyzed, columns, timeZone, problems });
  const pruned = pruneColumns(inputColumns(source, columns), sinks.operators);
  const stage: StagePlan = {
    job: spec.name,
    source: analyzed.source,
    topic: source.topic,
    format: source.format,
    columns: pruned.columns,
    operators: pruned.operators,
    output: sinks.output,
    sinks: sinks.plans,
    onBadRecord: typeof spec.onBadRecord === 'string' ? spec.onBadRecord : ('deadLetter' satisfies BadRecordPolicy),
    onNullValue: spec.onNullValue,
    timeZone: spec.timeZone,
    recordBytesMax: source.recordBytesMax,
    recordDepthMax: RECORD_DEPTH_MAX,
  };
  return {
    formatVersion: PLAN_FORMAT_VERSION,
    job: jobName(spec.name),
    protocol: 'lanes',
    protocolReason:
      'every row is a function of one record and the query, and every sink takes it by the record’s place: no state, no shuffle',
    trigger: triggerOf(spec),
    sources: [
      {
        name: analyzed.source,
        connector: source.connector,
        options: source.brokers === undefined ? {} : { brokers: source.brokers },
        topic: source.topic,
        startingOffsets: startingOffsetsOf(source),
        onDataLoss: source.failOnDataLoss === false ? 'skip' : source.onDataLoss,
        onFutureTimestamp: source.onFutureTimestamp,
        stage,
      },
    ],
    sinks: sinks.targets,
    tables: sinks.tables,
    deadLetterTopic: typeof spec.onBadRecord === 'string' ? null : (spec.onBadRecord.deadLetter.topic ?? null),
    createsTables: sinks.tables.length > 0,
    warnings: sinks.warnings,
  };
}

function checkOutput(output: Schema, problems: JobProblem[]): void {
  const seen = new Set<string>();
  for (const { name, type } of output) {
    const key = name.toLowerCase();
    if (seen.has(key))
      problems.push({
        path: 'query',
        message: `two columns of the result are called ${name}`,
        hint: 'give one of them another name with AS',
      });
    seen.add(key);
    if (type.kind === 'null')
      problems.push({
        path: 'query',
        message: `the column ${name} is NULL without a type`,
        hint: `write CAST(NULL AS STRING) AS ${name}`,
      });
    if (type.kind === 'interval')
      problems.push({
        path: 'query',
        message: `the column ${name} is an interval, which no sink can hold`,
        hint: 'turn it into a number or a text',
      });
  }
}

function triggerOf(spec: JobSpec): Trigger {
  if (spec.trigger === 'asap' || spec.trigger === 'availableNow') return { kind: spec.trigger };
  const everyMs = durationMs(spec.trigger);
  return everyMs === 0 ? { kind: 'asap' } : { kind: 'interval', everyMs };
}

function startingOffsetsOf(source: SourceSpec): StartingOffsets {
  const { startingOffsets } = source;
  if (typeof startingOffsets === 'string') return { kind: startingOffsets };
  return { kind: 'timestamp', timestampMs: Date.parse(startingOffsets.timestamp) };
}
