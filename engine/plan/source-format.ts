/** What a source's options say about the format of its records: its columns, and the plan's format. */
import { isWeirError } from '../../core/errors.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { SourceSpec } from '../../core/job/spec.ts';
import type { Schema } from '../../core/types.ts';
import { parseSchema } from '../sql/ddl.ts';
import { avroColumns, parseAvro } from '../formats/avro-schema.ts';
import { messageNamed, parseProto, protoColumns } from '../formats/proto-schema.ts';
import type { SchemaText, ValueFormat } from '../formats/value-format.ts';

/** Sources whose records are not read: they have the columns of the record alone. */
export function isUnread({ format }: SourceSpec): boolean {
  return format === 'raw' || format === 'text';
}

/** Options of formats with schemas of their own; undefined for other formats and without options. */
function schemaOptionsOf(source: SourceSpec): SourceSpec['avro'] | SourceSpec['protobuf'] {
  if (source.format === 'avro') return source.avro;
  return source.format === 'protobuf' ? source.protobuf : undefined;
}

/** A registry to ask at submission, for a source whose columns nothing else gives. */
export interface RegistryQuestion {
  /** '' = the default registry. */
  readonly registry: string;
  readonly subject: string;
}

/** What has to be known before the source can be planned; undefined = nothing. */
export function registryQuestion(source: SourceSpec): RegistryQuestion | undefined {
  const options = schemaOptionsOf(source);
  if (options?.registry === undefined || options.schema !== undefined || source.schema !== undefined) return undefined;
  return { registry: registryAddress(options.registry), subject: options.subject ?? `${source.topic}-value` };
}

function registryAddress(registry: string | true): string {
  return registry === true ? '' : registry;
}

/**
 * The columns of a source with fields; undefined where a problem keeps them from being known. `latest`: what the
 * registry had for its {@link registryQuestion}.
 */
export function sourceSchema(
  source: SourceSpec,
  path: string,
  latest: SchemaText | undefined,
  problems: JobProblem[],
): Schema | undefined {
  const count = problems.length;
  checkOptions(source, path, problems);
  if (problems.length > count) return undefined;
  const schema = source.schema === undefined ? undefined : parseSchema(source.schema, `${path}.schema`, problems);
  const text = schemaTextOf(source) ?? latest;
  if (source.schema !== undefined && (schema === undefined || text === undefined)) return schema;
  if (text === undefined) {
    const hint = "schema: 'id STRING NOT NULL, price DOUBLE'";
    const message =
      schemaOptionsOf(source) === undefined
        ? `format: ${source.format} needs a schema`
        : 'the registry is not asked here, so the columns are not known';
    problems.push({ path, message, hint });
    return undefined;
  }
  // A text that cannot be read is wrong, whoever gives the columns.
  const own = ownColumns(source, text, path, problems);
  return source.schema === undefined ? own : own && schema;
}

function ownColumns(source: SourceSpec, text: SchemaText, path: string, problems: JobProblem[]): Schema | undefined {
  try {
    if (source.format === 'avro') {
      const type = parseAvro(text);
      return source.schema === undefined ? avroColumns(type) : [];
    }
    const message = messageNamed(parseProto(text), source.protobuf?.message ?? null);
    return source.schema === undefined ? protoColumns(message) : [];
  } catch (error) {
    if (!isWeirError(error, 'SCHEMA_INVALID')) throw error;
    const place = schemaOptionsOf(source)?.schema === undefined ? path : `${path}.${source.format}.schema`;
    problems.push({ path: place, message: error.message });
    return undefined;
  }
}

function schemaTextOf(source: SourceSpec): SchemaText | undefined {
  const options = schemaOptionsOf(source);
  if (options?.schema === undefined) return undefined;
  return { schema: options.schema, references: options.references ?? [] };
}

const withOptions = ['csv', 'avro', 'protobuf'] as const;

function checkOptions(source: SourceSpec, path: string, problems: JobProblem[]): void {
  const { format } = source;
  checkSchemaChange(source, path, problems);
  for (const other of withOptions) {
    if (other === format || source[other] === undefined) continue;
    problems.push({
      path: `${path}.${other}`,
      message: `the options ${other} belong to format: ${other}, and this source has format: ${format}`,
      hint: 'take one of them away',
    });
  }
  if (format !== 'avro' && format !== 'protobuf') return;
  const options = source[format];
  if (options?.schema === undefined && options?.registry === undefined) {
    problems.push({
      path,
      message: `format: ${format} needs the schema that its records are written with, or a registry that knows it`,
      hint: `${format}: { registry: true }, or ${format}: { schema: … }`,
    });
  }
  if (options?.registry !== undefined && options.framing === 'none') {
    problems.push({
      path: `${path}.${format}.framing`,
      message: 'records without framing do not say which schema of the registry they have',
      hint: 'take the registry away and give the schema, or take framing away',
    });
  }
  if (options?.subject !== undefined && options.registry === undefined)
    problems.push({
      path: `${path}.${format}.subject`,
      message: 'a subject is one of a registry',
      hint: 'registry: true',
    });
}

/** Only formats whose records name their fields, or their schema, tell that it changed. */
export function checkSchemaChange(source: SourceSpec, path: string, problems: JobProblem[]): void {
  const { format, onSchemaChange } = source;
  if (onSchemaChange === undefined || format === 'json') return;
  const options = schemaOptionsOf(source);
  if (options?.registry === undefined) {
    problems.push({
      path: `${path}.onSchemaChange`,
      message: `records of format: ${format} without a registry do not tell that their schema changed`,
      hint: 'take onSchemaChange away; records that do not fit become dead letters (RECORD_MALFORMED)',
    });
  } else if (onSchemaChange === 'evolve' && options.schema !== undefined && source.schema === undefined) {
    problems.push({
      path: `${path}.onSchemaChange`,
      message: `the schema that records are read as is text in the job file, which cannot evolve by itself`,
      hint: `take ${format}.schema away, or list the columns: schema: 'id STRING NOT NULL'`,
    });
  }
}

/** The format as the stage's plan has it. `columns`: the source's fields in their order. */
export function valueFormat(
  source: SourceSpec,
  columns: readonly string[],
  latest: SchemaText | undefined,
): ValueFormat {
  switch (source.format) {
    case 'json':
      return 'json';
    case 'raw':
    case 'text':
      return 'raw';
    case 'csv': {
      const { delimiter = ',', quote = '"', header = columns, nullText = '' } = source.csv ?? {};
      return { kind: 'csv', delimiter, quote: quote === 'none' ? null : quote, header, nullText };
    }
    case 'avro':
    case 'protobuf': {
      const options = source[source.format];
      const registry = options?.registry === undefined ? null : registryAddress(options.registry);
      const framing = options?.framing ?? (registry === null ? 'none' : 'confluent');
      const schema = schemaTextOf(source) ?? latest ?? null;
      if (source.format === 'avro') return { kind: 'avro', framing, registry, schema };
      return { kind: 'protobuf', framing, registry, schema, message: source.protobuf?.message ?? null };
    }
  }
}
