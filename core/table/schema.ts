/** Tables as Cassandra has them, on Cassandra and embedded alike. */

/** A CQL type as Cassandra prints it: `text`, `bigint`, `list<text>`, `frozen<map<text, int>>`, `ks.udt`. */
export type CqlType =
  | { readonly kind: CqlScalar }
  | { readonly kind: 'list' | 'set'; readonly element: CqlType; readonly frozen: boolean }
  | { readonly kind: 'map'; readonly key: CqlType; readonly value: CqlType; readonly frozen: boolean }
  | { readonly kind: 'tuple'; readonly elements: readonly CqlType[] }
  | {
      readonly kind: 'udt';
      readonly keyspace: string;
      readonly name: string;
      readonly fields: readonly { readonly name: string; readonly type: CqlType }[];
      readonly frozen: boolean;
    }
  /** A type that Weir neither writes nor reads (duration, vector, a class of the server), as the table has it. */
  | { readonly kind: 'custom'; readonly text: string };

/** The types without parts, by the names Cassandra prints. */
export const cqlScalars = [
  'ascii',
  'text',
  'tinyint',
  'smallint',
  'int',
  'bigint',
  'varint',
  'decimal',
  'float',
  'double',
  'boolean',
  'timestamp',
  'date',
  'time',
  'uuid',
  'timeuuid',
  'blob',
  'inet',
  'counter',
] as const;

export type CqlScalar = (typeof cqlScalars)[number];

export interface TableColumn {
  readonly name: string;
  readonly type: CqlType;
  readonly isStatic?: boolean;
}

export interface TableSchema {
  readonly keyspace: string;
  readonly table: string;
  readonly columns: readonly TableColumn[];
  /** Column names, in order; at least one. */
  readonly partitionKey: readonly string[];
  readonly clusteringKey: readonly string[];
  readonly clusteringOrder?: readonly ('asc' | 'desc')[];
  /** Seconds; 0 or absent = none. */
  readonly defaultTtl?: number;
}

/** Identifiers Weir itself writes into CQL. Anything else is refused before it reaches a statement. */
export const identifierPattern = /^[a-zA-Z][a-zA-Z0-9_]{0,47}$/;

/** `"name"`; quoting keeps the case, so names must be given as the table has them. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function formatCqlType(type: CqlType): string {
  switch (type.kind) {
    case 'list':
    case 'set': {
      const text = `${type.kind}<${formatCqlType(type.element)}>`;
      return type.frozen ? `frozen<${text}>` : text;
    }
    case 'map': {
      const text = `map<${formatCqlType(type.key)}, ${formatCqlType(type.value)}>`;
      return type.frozen ? `frozen<${text}>` : text;
    }
    case 'tuple':
      return `frozen<tuple<${type.elements.map(formatCqlType).join(', ')}>>`;
    case 'udt':
      return type.frozen ? `frozen<${type.keyspace}.${type.name}>` : `${type.keyspace}.${type.name}`;
    case 'custom':
      return type.text;
    default:
      return type.kind;
  }
}
