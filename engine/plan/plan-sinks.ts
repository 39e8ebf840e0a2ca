import type { Expr } from '../../core/ast.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { JobSpec, SinkSpec, SourceSpec } from '../../core/job/spec.ts';
import type { RowShape } from '../../core/row-block.ts';
import { formatCqlType, identifierPattern, type TableColumn, type TableSchema } from '../../core/table/schema.ts';
import { type DataType, formatType, type Schema } from '../../core/types.ts';
import { avroNameOf, avroOfColumns } from '../formats/avro-of-columns.ts';
import { protoOfColumns } from '../formats/proto-of-columns.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SourceColumn } from '../sql/analyzer.ts';
import { functionByName } from '../sql/functions.ts';
import { isComplaint } from '../sql/function-table.ts';
import { didYouMean } from '../sql/problems.ts';
import { canEncode, cqlTypeOf, holdsStruct, isNested } from './cql-types.ts';
import type { SinkTarget } from './job-plan.ts';
import type { PlanFacts } from './analyzed-job.ts';
import { type LaneOperator, sourceColumnsOf } from './prune-columns.ts';
import type { RowKeys } from './row-keys.ts';
import { planLogTransactions } from './plan-log-transactions.ts';
import { planProtoValue } from './plan-proto-value.ts';
import { describeRowSink, planRowSink, rowSinkConnector, type RowSinkSpec } from './plan-row-sinks.ts';
import type { ProjectedColumn, SchemaValue, SinkPlan } from './stage-plan.ts';

type TableSinkSpec = Extract<SinkSpec, { connector: 'cassandra' }>;
type LogSinkSpec = Extract<SinkSpec, { connector: 'kafka' }>;

/** The sinks of a job: where they are, how rows become theirs, and what has to be created. */
export interface PlannedSinks {
  readonly plans: readonly SinkPlan[];
  readonly targets: readonly SinkTarget[];
  /** To create, and to give columns that they lack. */
  readonly tables: readonly TableSchema[];
  /** One of the tables does not exist. */
  readonly createsTables: boolean;
  readonly warnings: readonly string[];
  /** The operators given; structs that a table holds as text are turned into JSON by the last of them. */
  readonly operators: readonly LaneOperator[];
  readonly output: Schema;
}

/** Where the rows come from. */
export type RowOrigin =
  /** Every row is made of one record of the source with these columns. */
  | { readonly kind: 'records'; readonly columns: readonly SourceColumn[]; readonly raw: boolean }
  /** Rows come out of epochs; null = they are not one per group. */
  | { readonly kind: 'epochs'; readonly keys: RowKeys | null };

/** What the plan of the sinks depends on. */
export interface SinkContext {
  readonly spec: JobSpec;
  readonly facts: PlanFacts;
  /** Sources that the query reads. */
  readonly sources: readonly SourceSpec[];
  /** What makes the output; ends with a projection. */
  readonly operators: readonly LaneOperator[];
  readonly output: Schema;
  readonly origin: RowOrigin;
  readonly timeZone: TimeZone;
  /** What is wrong with the sinks is added here. */
  readonly problems: JobProblem[];
}

export function planSinks(context: SinkContext): PlannedSinks {
  const planner = new SinkPlanner(context);
  const plans = planner.plan();
  const targets = context.spec.sinks.map(targetOf);
  const { tables, createsTables, warnings, operators, output } = planner;
  return { plans, targets, tables, createsTables, warnings, operators, output };
}

function targetOf(sink: SinkSpec): SinkTarget {
  switch (sink.connector) {
    case 'cassandra':
      return { connector: sink.connector, options: {}, description: `${sink.keyspace}.${sink.table}` };
    case 'kafka': {
      const target = { connector: sink.connector, options: {}, description: `topic ${sink.topic}` };
      return sink.partitions === undefined ? target : { ...target, createPartitions: sink.partitions };
    }
    case 'postgres':
    case 'files':
    case 'webhook':
    case 'forEachBatch':
    case 'package':
      return { connector: rowSinkConnector(sink), options: {}, description: describeRowSink(sink) };
    case 'blackhole':
    case 'console':
      return { connector: sink.connector, options: {}, description: sink.connector };
  }
}

class SinkPlanner {
  readonly tables: TableSchema[] = [];
  createsTables = false;
  readonly warnings: string[] = [];
  operators: readonly LaneOperator[];
  output: Schema;
  readonly #spec: JobSpec;
  readonly #sources: readonly SourceSpec[];
  readonly #facts: PlanFacts;
  readonly #origin: RowOrigin;
  readonly #timeZone: TimeZone;
  readonly #problems: JobProblem[];

  constructor({ spec, sources, facts, operators, output, origin, timeZone, problems }: SinkContext) {
    this.#spec = spec;
    this.#sources = sources;
    this.#facts = facts;
    this.#origin = origin;
    this.#timeZone = timeZone;
    this.#problems = problems;
    this.operators = operators;
    this.output = output;
    this.#structsToJson();
  }

  plan(): SinkPlan[] {
    const used = new Map<string, number>();
    return this.#spec.sinks.flatMap((sink, index) => {
      const kind = sink.connector === 'package' ? sink.name : sink.connector;
      const count = (used.get(kind) ?? 0) + 1;
      used.set(kind, count);
      const name = count === 1 ? kind : `${kind}-${count}`;
      return this.#sink(sink, index, name) ?? [];
    });
  }

  #sink(sink: SinkSpec, index: number, name: string): SinkPlan | undefined {
    const path = `sinks[${index}]`;
    switch (sink.connector) {
      case 'cassandra':
        return this.#table(sink, path, name);
      case 'kafka':
        return this.#log(sink, path, name);
      case 'postgres':
      case 'files':
      case 'webhook':
      case 'forEachBatch':
      case 'package':
        return this.#rows(sink, index, path, name);
      case 'blackhole':
      case 'console':
        return { kind: sink.connector, name };
    }
  }

  #problem(path: string, message: string, hint?: string, resultColumn?: number): undefined {
    const place = resultColumn === undefined ? { path } : { path, resultColumn };
    this.#problems.push(hint === undefined ? { ...place, message } : { ...place, message, hint });
    return undefined;
  }

  #existing(sink: TableSinkSpec): TableSchema | undefined {
    return this.#facts.tables?.get(`${sink.keyspace}.${sink.table}`);
  }

  // ---- structs as text --------------------------------------------------------------------------------------------

  /** A struct goes into a text column as JSON; into a user-defined type as it is. */
  #structsToJson(): void {
    const wanted = this.output.map(
      (field) =>
        holdsStruct(field.type) &&
        !this.#isRefused(field.type) &&
        this.#tableSinks().some((sink) => this.#takesText(sink, field.name)),
    );
    if (!wanted.includes(true)) return;
    const others = this.#spec.sinks.filter((sink) => sink.connector !== 'cassandra' && sink.connector !== 'blackhole');
    const last = this.operators.at(-1);
    if (last?.kind !== 'project') return;
    const columns = last.columns.map((column, index): ProjectedColumn => {
      if (wanted[index] !== true) return column;
      if (others.length > 0 || !this.#tableSinks().every((sink) => this.#takesText(sink, column.name))) {
        this.#problem(
          'query',
          `the column ${column.name} is ${formatType(column.type)}, which one sink takes as text and another as it is`,
          `add to_json(${column.name}) under another name for the table`,
        );
        return column;
      }
      const expr = toJson(column.expr);
      return expr === undefined ? column : { name: column.name, type: expr.type, nullable: expr.nullable, expr };
    });
    this.operators = [...this.operators.slice(0, -1), { kind: 'project', columns }];
    this.output = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  }

  /** Windows of epochs are no text. */
  #isRefused(type: DataType): boolean {
    return this.#origin.kind === 'epochs' && isWindow(type);
  }

  #tableSinks(): readonly TableSinkSpec[] {
    return this.#spec.sinks.filter((sink) => sink.connector === 'cassandra');
  }

  #takesText(sink: TableSinkSpec, name: string): boolean {
    const table = this.#existing(sink);
    if (table === undefined) return true;
    const { kind } = columnNamed(table, name)?.type ?? { kind: 'text' };
    return kind === 'text' || kind === 'ascii';
  }

  // ---- tables -----------------------------------------------------------------------------------------------------

  #table(sink: TableSinkSpec, path: string, name: string): SinkPlan | undefined {
    for (const [key, value] of [
      ['keyspace', sink.keyspace],
      ['table', sink.table],
    ] as const) {
      if (!identifierPattern.test(value))
        this.#problem(
          `${path}.${key}`,
          `${value} is not a name that Cassandra takes`,
          'a letter, then letters, digits and _; 48 at most',
        );
    }
    const existing = this.#withNewColumns(sink, this.#existing(sink));
    const place = `${sink.keyspace}.${sink.table}`;
    if (existing === undefined && this.#facts.tables !== null && !sink.create) {
      return this.#problem(
        `${path}.table`,
        `there is no table ${place}`,
        'create it, or write create: true and a primaryKey',
      );
    }
    if (this.#origin.kind === 'epochs' && !this.#hasPlainWindows(existing, place)) return undefined;
    const table = existing ?? this.#newTable(sink, path);
    if (table === undefined) return undefined;
    if (existing === undefined && sink.create) {
      this.tables.push(table);
      this.createsTables = true;
    }
    if (existing !== undefined && !this.#fits(sink, existing, path)) return undefined;
    this.#checkKey(sink, table, path);
    return this.#bind(sink, table, name);
  }

  /** A window goes into a table as its start and end. */
  #hasPlainWindows(existing: TableSchema | undefined, place: string): boolean {
    const windows = this.output.filter(({ name, type }) => {
      const column = existing && columnNamed(existing, name);
      return isWindow(type) && (column === undefined || !canEncode(type, column.type, this.#timeZone));
    });
    for (const { name } of windows) {
      this.#problem(
        'query',
        `the column ${name} is a window, and ${place} takes its start and its end`,
        `write ${name}.start AS ${name}_start, ${name}.end AS ${name}_end`,
      );
    }
    return windows.length === 0;
  }

  /** A table that the job may create is given the columns that its rows have and it lacks. */
  #withNewColumns(sink: TableSinkSpec, existing: TableSchema | undefined): TableSchema | undefined {
    if (existing === undefined || !sink.create) return existing;
    const lacking = this.output.flatMap(({ name, type }): TableColumn[] => {
      const cql = cqlTypeOf(type);
      const isThere = columnNamed(existing, name) !== undefined || sink.primaryKey?.flat().includes(name) === true;
      return cql === undefined || isThere || !identifierPattern.test(name) || isWindow(type)
        ? []
        : [{ name, type: cql }];
    });
    if (lacking.length === 0) return existing;
    const widened = { ...existing, columns: [...existing.columns, ...lacking] };
    this.tables.push(widened);
    return widened;
  }

  /** The table that the output asks for. */
  #newTable(sink: TableSinkSpec, path: string): TableSchema | undefined {
    const place = `${sink.keyspace}.${sink.table}`;
    if (sink.primaryKey === undefined) {
      return this.#problem(path, `${place} has no primary key yet`, `add primaryKey: ${this.#proposedKey()}`);
    }
    const [first, ...rest] = sink.primaryKey;
    const partitionKey = typeof first === 'string' ? [first] : (first ?? []);
    for (const [index, part] of rest.entries()) {
      if (typeof part !== 'string')
        this.#problem(
          `${path}.primaryKey[${index + 1}]`,
          'only the first part of a primary key may be a list',
          '[[a, b], c]: a and b are the partition key',
        );
    }
    const clusteringKey = rest.flatMap((part) => part);
    let complete = true;
    const columns = this.output.flatMap(({ name, type }, index): TableColumn[] => {
      const cql = cqlTypeOf(type);
      if (!identifierPattern.test(name)) {
        complete = false;
        this.#problem(
          'query',
          `the column "${name}" has no name that Cassandra takes`,
          'give it one with AS: a letter, then letters, digits and _',
          index,
        );
        return [];
      }
      return cql === undefined ? [] : [{ name, type: cql }];
    });
    const keys = [...partitionKey, ...clusteringKey].map((key, index) => this.#keyColumn(key, index, sink, path));
    if (!complete || keys.some((key) => key === undefined)) return undefined;
    const names = keys as string[];
    return {
      keyspace: sink.keyspace,
      table: sink.table,
      columns,
      partitionKey: names.slice(0, partitionKey.length),
      clusteringKey: names.slice(partitionKey.length),
    };
  }

  /** Groups make the key: times behind the others, which spread the rows over partitions. */
  #proposedKey(): string {
    const keys = this.#origin.kind === 'epochs' ? (this.#origin.keys?.keys ?? []) : [];
    const shown = keys.flatMap(({ shownBy }) => [...shownBy].slice(0, 1)).flatMap((index) => this.output[index] ?? []);
    const times = shown.filter(({ type }) => type.kind === 'timestamp' || type.kind === 'date');
    const others = shown.filter((field) => !times.includes(field));
    if (shown.length === 0) return `[${this.output[0]?.name ?? 'id'}]`;
    if (others.length < 2) return `[${[...others, ...times].map(({ name }) => name).join(', ')}]`;
    const partition = `[${others.map(({ name }) => name).join(', ')}]`;
    return `[${[partition, ...times.map(({ name }) => name)].join(', ')}]`;
  }

  #keyColumn(key: string, index: number, sink: TableSinkSpec, path: string): string | undefined {
    const column =
      this.output.find((field) => field.name === key) ??
      this.output.find((field) => field.name.toLowerCase() === key.toLowerCase());
    if (column !== undefined) return column.name;
    const at = typeof sink.primaryKey?.[index] === 'string' ? `${path}.primaryKey[${index}]` : `${path}.primaryKey`;
    const names = this.output.map(({ name }) => name);
    return this.#problem(
      at,
      `the result has no column ${key}`,
      didYouMean(key, names) ?? `its columns are: ${names.join(', ')}`,
    );
  }

  /** Checks the output against a table that is there. */
  #fits(sink: TableSinkSpec, table: TableSchema, path: string): boolean {
    const before = this.#problems.length;
    const place = `${sink.keyspace}.${sink.table}`;
    const names = table.columns.map((column) => column.name);
    if (table.columns.some((column) => column.type.kind === 'counter')) {
      this.#problem(
        `${path}.table`,
        `${place} is a counter table, and a repeated write would count twice`,
        'keep the counts as bigint',
      );
      return false;
    }
    for (const field of this.output) {
      const column = columnNamed(table, field.name);
      if (column === undefined) {
        this.#problem(
          `${path}.table`,
          `${place} has no column ${field.name}`,
          didYouMean(field.name, names) ?? `its columns are: ${names.join(', ')}`,
        );
      } else if (column.type.kind === 'list' && !column.type.frozen) {
        this.#problem(
          `${path}.table`,
          `${place}.${column.name} is a list that is not frozen, and a repeated write would double its elements`,
          `make it ${formatCqlType({ ...column.type, frozen: true })}`,
        );
      } else if (field.type.kind !== 'null' && !canEncode(field.type, column.type, this.#timeZone)) {
        this.#problem(
          `${path}.table`,
          `the column ${field.name} is ${formatType(field.type)}, but ${place}.${column.name} is ${formatCqlType(column.type)}`,
          'write a CAST in the query, or change the table',
        );
      }
    }
    this.#comparePrimaryKeys(sink, table, path);
    return this.#problems.length === before;
  }

  #comparePrimaryKeys(sink: TableSinkSpec, table: TableSchema, path: string): void {
    const place = `${sink.keyspace}.${sink.table}`;
    for (const key of keyColumns(table)) {
      if (outputIndex(this.output, key) < 0) {
        this.#problem(
          `${path}.table`,
          `the result lacks ${key}, which is part of the primary key of ${place}`,
          `add it to the select list: … AS ${key}`,
        );
      }
    }
    if (sink.primaryKey === undefined) return;
    const [first, ...rest] = sink.primaryKey;
    const given = [typeof first === 'string' ? [first] : (first ?? []), rest.flat()];
    const same =
      JSON.stringify(given).toLowerCase() === JSON.stringify([table.partitionKey, table.clusteringKey]).toLowerCase();
    if (same) return;
    const partition =
      table.partitionKey.length === 1 ? `${table.partitionKey[0]}` : `[${table.partitionKey.join(', ')}]`;
    this.#problem(
      `${path}.primaryKey`,
      `${place} exists with another primary key`,
      `it is [${[partition, ...table.clusteringKey].join(', ')}]`,
    );
  }

  #checkKey(sink: TableSinkSpec, table: TableSchema, path: string): void {
    const place = `${sink.keyspace}.${sink.table}`;
    let recordOnly = true;
    for (const key of keyColumns(table)) {
      const index = outputIndex(this.output, key);
      const field = this.output[index];
      if (field === undefined) continue;
      if (field.nullable) {
        this.warnings.push(
          `${key} is part of the primary key of ${place} and may be NULL: such records become dead letters (KEY_NULL); declare it NOT NULL or filter with ${key} IS NOT NULL`,
        );
      }
      if (isNested(field.type))
        this.warnings.push(
          `${key} is part of the primary key of ${place} and a ${field.type.kind}: every change of it makes another row`,
        );
      if (!this.#isMadeOf(index, recordPlace)) recordOnly = false;
      if (this.#spec.onNullValue === 'delete' && !this.#isMadeOf(index, knownOfDeletes)) {
        this.#problem(
          'onNullValue',
          `onNullValue: delete must know the primary key of ${place} without a value, but ${key} comes from the value`,
          'make it of the column key: CAST(key AS STRING)',
        );
      }
    }
    if (this.#origin.kind === 'epochs') this.#checkGroups(this.#origin.keys, table, place);
    if (recordOnly && !sink.ignoreNulls && this.output.some((field) => field.nullable)) {
      this.warnings.push(
        `every record makes a row of its own in ${place}: with ignoreNulls: true a NULL writes nothing instead of a tombstone`,
      );
    }
    if (this.#spec.onNullValue === 'delete' && this.operators.some(({ kind }) => kind === 'generate')) {
      this.#problem(
        'onNullValue',
        'onNullValue: delete does not go with explode: without a value there is nothing to tell the rows',
        `choose skip or deadLetter (${path})`,
      );
    }
  }

  /** Is the output column made of these columns of the record alone? */
  #isMadeOf(output: number, names: ReadonlySet<string>): boolean {
    const origin = this.#origin;
    if (origin.kind === 'epochs') return false;
    const sources = [...sourceColumnsOf(this.operators, output, origin.columns.length)];
    return sources.every((index) => {
      const column = origin.columns[index];
      return column !== undefined && (column.hidden || origin.raw) && names.has(column.name);
    });
  }

  /** A row of a table stands for a group: its key must say which. */
  #checkGroups(rows: RowKeys | null, table: TableSchema, place: string): void {
    if (rows === null) return;
    const keys = keyColumns(table);
    const inKey = new Set(keys.map((key) => outputIndex(this.output, key)));
    for (const { name, shownBy } of rows.keys) {
      if ([...shownBy].some((column) => inKey.has(column))) continue;
      this.warnings.push(
        `rows are one per ${name}, which the primary key of ${place} does not hold: groups that share (${keys.join(', ')}) replace one another`,
      );
    }
  }

  #bind(sink: TableSinkSpec, table: TableSchema, name: string): SinkPlan {
    const keys = keyColumns(table);
    const rest = this.output
      .map((field) => columnNamed(table, field.name)?.name)
      .filter((column) => column !== undefined && !keys.includes(column));
    const columns = [...keys, ...rest].flatMap((column) =>
      column === undefined ? [] : (columnNamed(table, column) ?? []),
    );
    const shape: RowShape = {
      keyspace: table.keyspace,
      table: table.table,
      columns,
      partitionKeyCount: table.partitionKey.length,
      primaryKeyCount: keys.length,
    };
    const bindings = columns.map((column) => {
      const input = outputIndex(this.output, column.name);
      return { input, from: this.output[input]?.type ?? ({ kind: 'null' } as const), to: column.type };
    });
    return { kind: 'table', name, shape, bindings, ignoreNulls: sink.ignoreNulls };
  }

  // ---- others ---------------------------------------------------------------------------------------------------

  #rows(sink: RowSinkSpec, index: number, path: string, name: string): SinkPlan | undefined {
    const { sinkTables } = this.#facts;
    const plan = planRowSink(sink, path, name, {
      output: this.output,
      outputMode: this.#spec.outputMode,
      isAsap: this.#spec.trigger === 'asap',
      timeZone: this.#timeZone,
      existing: sinkTables === undefined || sinkTables === null ? null : sinkTables.get(index),
      problem: (at, message, hint) => this.#problem(at, message, hint),
      warn: (message) => this.warnings.push(message),
      facts: this.#facts,
      problems: this.#problems,
      index,
    });
    if (plan === undefined || this.#spec.onNullValue !== 'delete') return plan;
    const unknown = plan.keys.find((key) => !this.#isMadeOf(key, knownOfDeletes));
    if (plan.keys.length > 0 && unknown === undefined) return plan;
    return this.#problem(
      'onNullValue',
      plan.keys.length === 0
        ? `onNullValue: delete must know which row goes, and ${describeRowSink(sink)} has no primary key`
        : `onNullValue: delete must know the primary key without a value, but ${this.output[unknown ?? 0]?.name} comes from the value`,
      'choose skip or deadLetter, or make the primary key of the column key: CAST(key AS STRING)',
    );
  }

  // ---- logs -------------------------------------------------------------------------------------------------------

  #log(sink: LogSinkSpec, path: string, name: string): SinkPlan | undefined {
    if (this.#sources.some((source) => sink.topic === source.topic && source.brokers === undefined)) {
      this.#problem(
        `${path}.topic`,
        `the job reads the topic ${sink.topic} and would read its own rows for ever`,
        'write to another topic',
      );
    }
    this.#checkFormat(sink, path);
    const key = sink.key === undefined ? -1 : this.#bytesColumn(sink.key, `${path}.key`);
    const value =
      sink.value === undefined ? this.#allColumns(sink, path) : this.#bytesColumn(sink.value, `${path}.value`);
    if (key === undefined || value === undefined) return undefined;
    const transactions = planLogTransactions(sink, path, {
      spec: this.#spec,
      sources: this.#sources,
      protocol: this.#origin.kind === 'epochs' ? 'epochs' : 'lanes',
      problem: (at, message, hint) => this.#problem(at, message, hint),
    });
    const { topic, compression } = sink;
    const plan = { kind: 'log', name, topic, compression, key, value, headers: true } as const;
    return transactions === undefined ? plan : { ...plan, transactions };
  }

  /** All columns as a value, in the sink's format. */
  #allColumns(sink: LogSinkSpec, path: string): 'json' | SchemaValue | undefined {
    const { format, topic } = sink;
    if (format === 'json') return 'json';
    const { registry, subject = `${topic}-value` } = sink[format] ?? {};
    const registration =
      registry === undefined ? null : { registry: registry === true ? '' : registry, subject, id: null };
    if (sink.protobuf?.schema !== undefined && format === 'protobuf') {
      const own = planProtoValue(sink.protobuf.schema, sink.protobuf, this.output, `${path}.protobuf`, registration);
      for (const { path: at, message, hint } of own.problems) this.#problem(at, message, hint);
      this.warnings.push(...own.warnings);
      return own.value;
    }
    const name = (format === 'avro' ? sink.avro?.name : sink.protobuf?.message) ?? avroNameOf(topic);
    const { schema, problems } =
      format === 'avro' ? avroOfColumns(this.output, name) : protoOfColumns(this.output, name);
    const called = format === 'avro' ? 'Avro' : 'Protobuf';
    for (const { column, message, hint } of problems)
      this.#problem(
        'query',
        `the column ${column} does not fit into ${called}, which ${path} writes: ${message}`,
        hint,
      );
    return schema === null ? undefined : { kind: format, schema, registration };
  }

  #checkFormat(sink: LogSinkSpec, path: string): void {
    for (const format of ['avro', 'protobuf'] as const)
      if (sink[format] !== undefined && sink.format !== format)
        this.#problem(`${path}.${format}`, `the option ${format} goes with format: ${format}, not with ${sink.format}`);
    if (sink.value !== undefined && sink.format !== 'json') {
      this.#problem(
        `${path}.format`,
        `the value is the column ${sink.value}, whose bytes have no other format`,
        'take value away and all columns are written, or take format away',
      );
    }
    for (const format of ['avro', 'protobuf'] as const)
      if (sink[format]?.subject !== undefined && sink[format].registry === undefined)
        this.#problem(`${path}.${format}.subject`, 'a subject is one of a registry', 'registry: true');
    if (sink.protobuf?.references !== undefined && sink.protobuf.schema === undefined)
      this.#problem(
        `${path}.protobuf.references`,
        'references are imported by a schema, and there is none',
        'schema: |',
      );
  }

  #bytesColumn(name: string, path: string): number | undefined {
    const index = outputIndex(this.output, name);
    const field = this.output[index];
    if (field === undefined) {
      const names = this.output.map((column) => column.name);
      return this.#problem(
        path,
        `the result has no column ${name}`,
        didYouMean(name, names) ?? `its columns are: ${names.join(', ')}`,
      );
    }
    if (field.type.kind === 'string' || field.type.kind === 'binary') return index;
    return this.#problem(
      path,
      `the column ${name} is ${formatType(field.type)}; keys and values are STRING or BINARY`,
      `write CAST(${name} AS STRING) or to_json(${name}) in the query`,
    );
  }
}

/** Columns that say which record it is. */
const recordPlace = new Set(['topic', 'partition', 'offset']);
/** Columns that a record without a value still has. */
const knownOfDeletes = new Set(['key', 'topic', 'partition', 'offset', 'timestamp', 'timestampType', 'headers']);

function isWindow(type: DataType): boolean {
  return (
    type.kind === 'struct' &&
    type.fields.length === 2 &&
    type.fields[0]?.name === 'start' &&
    type.fields[1]?.name === 'end'
  );
}

function keyColumns(table: TableSchema): readonly string[] {
  return [...table.partitionKey, ...table.clusteringKey];
}

/** CQL folds names without quotes to small letters, so a name in other letters is meant. */
function columnNamed(table: TableSchema, name: string): TableColumn | undefined {
  return (
    table.columns.find((column) => column.name === name) ??
    table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())
  );
}

function outputIndex(output: Schema, name: string): number {
  const exact = output.findIndex((field) => field.name === name);
  return exact >= 0 ? exact : output.findIndex((field) => field.name.toLowerCase() === name.toLowerCase());
}

function toJson(input: Expr): Expr | undefined {
  const definition = functionByName('to_json');
  const typing = definition?.type([input], { nextSite: () => 0 });
  if (definition === undefined || typing === undefined || isComplaint(typing)) return undefined;
  return { kind: 'call', name: definition.name, type: typing.type, nullable: typing.nullable, args: typing.args };
}
