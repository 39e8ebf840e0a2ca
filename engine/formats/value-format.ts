/** Formats of record values as plain data: part of a stage's plan, sent to threads by structured clone. */

/** A schema as text, with the texts that it refers to, each before those that refer to it. */
export interface SchemaText {
  readonly schema: string;
  /** `name`: what an import of a .proto names; of no meaning for Avro, whose texts name their types. */
  readonly references: readonly { readonly name: string; readonly schema: string }[];
}

/** What precedes a value: nothing, or Confluent's five bytes (zero, then the schema's id, big-endian). */
export type Framing = 'none' | 'confluent';

export interface CsvFormat {
  readonly kind: 'csv';
  /** One ASCII character each. `quote`: null = none. */
  readonly delimiter: string;
  readonly quote: string | null;
  /** Names of the values in their order; null = the order of the schema. */
  readonly header: readonly string[] | null;
  /** Text without quotes that means NULL. */
  readonly nullText: string;
}

interface SchemaFormat {
  readonly framing: Framing;
  /** Address of the registry that knows the writers' schemas; '' = the default one; null = `schema` is the writers'. */
  readonly registry: string | null;
  /** Without a registry: what all records are written with. Else: what they are read as, null = as the columns say. */
  readonly schema: SchemaText | null;
}

export interface AvroFormat extends SchemaFormat {
  readonly kind: 'avro';
}

export interface ProtobufFormat extends SchemaFormat {
  readonly kind: 'protobuf';
  /** Full name of the message; null = the one that the record names, or the first of the text. */
  readonly message: string | null;
}

/** `raw`: nothing of the value is read. */
export type ValueFormat = 'json' | 'raw' | CsvFormat | AvroFormat | ProtobufFormat;

/** A writer's schema by its id, or the answer that the registry knows none by it. */
export type WriterSchema =
  | (SchemaText & { readonly id: number; readonly type: 'AVRO' | 'PROTOBUF' | 'JSON' })
  | { readonly id: number; readonly type: 'UNKNOWN' };

/** The format in one word. */
export function formatKind(format: ValueFormat): string {
  return typeof format === 'string' ? format : format.kind;
}

/** The registry that reading the format takes; null = none. */
export function registryOf(format: ValueFormat): string | null {
  return typeof format === 'object' && format.kind !== 'csv' ? format.registry : null;
}
