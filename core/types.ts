/** Column types of a job: Spark's, by Spark's names. */
export type DataType =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'tinyint' }
  | { readonly kind: 'smallint' }
  | { readonly kind: 'int' }
  | { readonly kind: 'bigint' }
  | { readonly kind: 'float' }
  | { readonly kind: 'double' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'string' }
  | { readonly kind: 'binary' }
  /** Days since 1970-01-01. */
  | { readonly kind: 'date' }
  /** Microseconds since 1970-01-01 UTC. */
  | { readonly kind: 'timestamp' }
  /** A day-time or year-month interval; exists within expressions only. */
  | { readonly kind: 'interval'; readonly unit: 'months' | 'microseconds' }
  | { readonly kind: 'array'; readonly element: DataType; readonly containsNull: boolean }
  | { readonly kind: 'map'; readonly key: DataType; readonly value: DataType; readonly valueContainsNull: boolean }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] };

export interface Field {
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
}

export type Schema = readonly Field[];

/** The type as SQL writes it: `ARRAY<STRUCT<a: INT>>`. */
export function formatType(type: DataType): string {
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`;
    case 'array':
      return `ARRAY<${formatType(type.element)}>`;
    case 'map':
      return `MAP<${formatType(type.key)}, ${formatType(type.value)}>`;
    case 'struct':
      return `STRUCT<${type.fields.map((field) => `${field.name}: ${formatType(field.type)}`).join(', ')}>`;
    case 'null':
      return 'VOID';
    case 'interval':
      return type.unit === 'months' ? 'INTERVAL YEAR TO MONTH' : 'INTERVAL DAY TO SECOND';
    default:
      return type.kind.toUpperCase();
  }
}
