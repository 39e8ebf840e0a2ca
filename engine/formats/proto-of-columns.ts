/** The Protobuf message of a result: what a sink registers, and what its records are written as. */
import { type DataType, formatType, type Schema } from '../../core/types.ts';

/** A column that Protobuf cannot hold. */
export interface ProtoProblem {
  readonly column: string;
  readonly message: string;
  readonly hint: string;
}

export type ProtoOfColumns =
  | { readonly schema: string; readonly problems: readonly [] }
  | { readonly schema: null; readonly problems: readonly ProtoProblem[] };

const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Numbers from here on are Protobuf's own, up to 19999. */
const FIELDS_MAX = 18_999;

/**
 * The text of a .proto (proto3) with one message: a field per column, numbered by its place, so that columns which come
 * behind the others break no reader. What may be NULL is `optional`. Numbers below INT are `int32`, TIMESTAMP is
 * `google.protobuf.Timestamp`, a STRUCT is a message within.
 *
 * `name`: of the message, with its package or without.
 */
export function protoOfColumns(columns: Schema, name: string): ProtoOfColumns {
  const writer = new ProtoWriter();
  const dot = name.lastIndexOf('.');
  const body = writer.message(columns, name.slice(dot + 1), '');
  if (writer.problems.length > 0) return { schema: null, problems: writer.problems };
  const head = ['syntax = "proto3";', ...(dot < 0 ? [] : [`package ${name.slice(0, dot)};`])];
  const imports = writer.hasTimes ? ['import "google/protobuf/timestamp.proto";'] : [];
  return { schema: `${[...head, ...imports, ...body].join('\n')}\n`, problems: [] };
}

class ProtoWriter {
  readonly problems: ProtoProblem[] = [];
  hasTimes = false;
  #column = '';

  /** Lines. `indent`: '' for the message of the result itself. */
  message(columns: Schema, name: string, indent: string): string[] {
    const lines = [`${indent}message ${name} {`];
    if (columns.length > FIELDS_MAX) this.#problem('there are more columns than numbers', 'choose fewer');
    for (const [index, { name: field, type, nullable }] of columns.entries()) {
      if (indent === '') this.#column = field;
      if (!namePattern.test(field))
        this.#problem(
          `"${field}" is no name that Protobuf takes`,
          'give it one with AS: a letter or _, then letters, digits and _',
        );
      const inner = `Field${index + 1}`;
      const struct = structIn(type);
      if (struct !== null) lines.push(...this.message(struct.fields, inner, `${indent}  `));
      lines.push(`${indent}  ${this.#field(type, nullable, inner)} ${field} = ${index + 1};`);
    }
    return [...lines, `${indent}}`];
  }

  #field(type: DataType, nullable: boolean, inner: string): string {
    if (type.kind === 'array') return `repeated ${this.#single(type.element, inner)}`;
    if (type.kind !== 'map') return `${nullable ? 'optional ' : ''}${this.#single(type, inner)}`;
    const key = mapKeys.get(type.key.kind);
    if (key === undefined)
      this.#problem(`keys of Protobuf's maps are no ${formatType(type.key)}`, 'make it an ARRAY of STRUCTs');
    return `map<${key ?? 'string'}, ${this.#single(type.value, inner)}>`;
  }

  #single(type: DataType, inner: string): string {
    if (type.kind === 'struct') return inner;
    if (type.kind === 'timestamp') {
      this.hasTimes = true;
      return 'google.protobuf.Timestamp';
    }
    const scalar = scalars.get(type.kind);
    if (scalar !== undefined) return scalar;
    const hint = type.kind === 'array' || type.kind === 'map' ? 'put it into a STRUCT' : 'write CAST(… AS STRING)';
    this.#problem(`Protobuf has no type for ${formatType(type)} in this place`, hint);
    return 'bytes';
  }

  #problem(message: string, hint: string): void {
    this.problems.push({ column: this.#column, message, hint });
  }
}

const scalars: ReadonlyMap<DataType['kind'], string> = new Map<DataType['kind'], string>([
  ['boolean', 'bool'],
  ['tinyint', 'int32'],
  ['smallint', 'int32'],
  ['int', 'int32'],
  ['bigint', 'int64'],
  ['float', 'float'],
  ['double', 'double'],
  ['string', 'string'],
  ['binary', 'bytes'],
]);
const mapKeys: ReadonlyMap<DataType['kind'], string> = new Map<DataType['kind'], string>([
  ['boolean', 'bool'],
  ['int', 'int32'],
  ['bigint', 'int64'],
  ['string', 'string'],
]);

/** The STRUCT that a column of the type holds, alone, as elements or as values. */
function structIn(type: DataType): Extract<DataType, { kind: 'struct' }> | null {
  if (type.kind === 'struct') return type;
  if (type.kind === 'array') return type.element.kind === 'struct' ? type.element : null;
  if (type.kind === 'map') return type.value.kind === 'struct' ? type.value : null;
  return null;
}
