/** What of a row goes into which field of a message: settled once per columns and message, for whoever writes it. */
import type { DataType, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { placeOfField } from './proto-places.ts';
import type { ProtoField, ProtoMessage, ProtoScalar, ProtoType } from './proto-schema.ts';
import { TIMESTAMP_MESSAGE, wrappedField } from './proto-schema.ts';

export type TargetValue =
  | { readonly kind: 'scalar'; readonly scalar: ProtoScalar }
  /** Of a text the number of that name, or the text as a number; of a number itself. */
  | { readonly kind: 'enum'; readonly numbers: ReadonlyMap<string, number> }
  /** google.protobuf.Timestamp */
  | { readonly kind: 'time' }
  /** A message whose first field is the value. */
  | { readonly kind: 'wrapper'; readonly value: TargetValue }
  | { readonly kind: 'message'; readonly message: TargetMessage };

export interface TargetField {
  /** Place of its column among those of the row, or of its field in the STRUCT. */
  readonly column: number;
  /** Path of the column, for people. */
  readonly name: string;
  readonly number: number;
  /** Of a list: its elements one by one, or (packed) in one piece. */
  readonly shape: 'single' | 'list' | 'packed' | 'map';
  /** Of a map. */
  readonly key: ProtoScalar | null;
  readonly value: TargetValue;
  readonly required: boolean;
  /** Whether its default is left out: what is absent is read as that. */
  readonly implicit: boolean;
  /** Whether a value may come that the field cannot hold. */
  readonly isFallible: boolean;
}

export interface TargetMessage {
  /** In the order of their numbers. */
  readonly fields: readonly TargetField[];
  /** Fields of one oneof, of which a row may have one. */
  readonly oneofs: readonly (readonly TargetField[])[];
  /** Whether a row may come that the message cannot hold. */
  readonly isFallible: boolean;
}

/** Why columns and a message do not go together: a sentence without its end. */
export interface TargetProblem {
  readonly message: string;
  readonly hint: string;
}

export interface ProtoTarget {
  /** To be used where there are no problems. */
  readonly message: TargetMessage;
  readonly problems: readonly TargetProblem[];
  /** Columns that may be NULL, and whose fields have no presence: what is NULL is read as the default. */
  readonly defaulted: readonly string[];
}

/**
 * Columns find their fields by name, exactly or, where that is plain, without regard to case. Every column has to have a
 * field, and every field that proto2 requires a column; other fields stay absent. `text`: of the .proto, for places in it.
 */
export function protoTarget(columns: Schema, message: ProtoMessage, text: string): ProtoTarget {
  const matcher = new Matcher(text);
  const target = matcher.message(columns, message, '');
  return { message: target, problems: matcher.problems, defaulted: matcher.defaulted };
}

class Matcher {
  readonly problems: TargetProblem[] = [];
  readonly defaulted: string[] = [];
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  message(columns: Schema, message: ProtoMessage, path: string): TargetMessage {
    const taken = new Map<ProtoField, TargetField>();
    for (const [column, { name, type, nullable }] of columns.entries()) {
      const place = path === '' ? name : `${path}.${name}`;
      const field = fieldNamed(message, name);
      if (field === undefined) {
        const names = message.fields.map((each) => each.name).join(', ');
        this.#problem(
          `the column ${place} has no field in the message ${message.name}`,
          `its fields are: ${names}; name one of them with AS, or take the column away`,
        );
      } else if (taken.has(field))
        this.#problem(
          `the columns ${taken.get(field)?.name} and ${place} are one field of ${message.name}`,
          'take one away',
        );
      else {
        taken.set(field, this.#field(column, place, type, field, message));
        if (nullable && !field.presence && field.shape === 'single') this.defaulted.push(place);
      }
    }
    for (const field of message.fields)
      if (field.required && !taken.has(field))
        this.#problem(
          `the message ${message.name} requires the field ${field.name}${this.#placeOf(field)}, and ${path === '' ? 'the result' : path} has no such column`,
          `add it to the select list: … AS ${field.name}`,
        );
    const fields = [...taken.values()].toSorted((a, b) => a.number - b.number);
    const groups = Map.groupBy(taken, ([{ oneof }]) => oneof);
    const oneofs = [...groups].flatMap(([name, members]) =>
      name === null || members.length < 2 ? [] : [members.map(([, field]) => field)],
    );
    return { fields, oneofs, isFallible: oneofs.length > 0 || fields.some((field) => field.isFallible) };
  }

  #field(column: number, name: string, type: DataType, field: ProtoField, message: ProtoMessage): TargetField {
    const refuse = (wanted: string): TargetValue => {
      this.#problem(
        `the column ${name} is ${formatType(type)}, and the field ${field.name} of ${message.name}${this.#placeOf(field)} ${wanted}`,
        hintFor(field, name),
      );
      return { kind: 'scalar', scalar: 'bytes' };
    };
    const { number, required, packed } = field;
    const implicit = field.shape === 'single' && !field.presence;
    const base = { column, name, number, required, implicit, key: null } as const;
    const made = (shape: TargetField['shape'], value: TargetValue, from: DataType): TargetField => ({
      ...base,
      shape,
      value,
      isFallible: required || canFail(value, from),
    });
    if (type.kind === 'null') return made('single', { kind: 'scalar', scalar: 'bytes' }, type);
    if (field.delimited) return made('single', refuse('is a group, which is read and not written'), type);
    if (field.key !== null) {
      if (type.kind !== 'map' || !holds(field.key, type.key))
        return made('single', refuse(`is ${describe(field)}`), type);
      const value = this.#value(type.value, field.type, name) ?? refuse(`is ${describe(field)}`);
      const key: TargetValue = { kind: 'scalar', scalar: field.key };
      const isFallible = canFail(key, type.key) || canFail(value, type.value);
      return { ...base, key: field.key, shape: 'map', value, isFallible };
    }
    if (field.shape === 'repeated') {
      if (type.kind !== 'array') return made('single', refuse(`is ${describe(field)}`), type);
      const value = this.#value(type.element, field.type, name) ?? refuse(`is ${describe(field)}`);
      return made(packed && isNumber(value) ? 'packed' : 'list', value, type.element);
    }
    return made('single', this.#value(type, field.type, name) ?? refuse(`is ${describe(field)}`), type);
  }

  /** undefined where values of the column are none of the field. */
  #value(from: DataType, to: ProtoType, path: string): TargetValue | undefined {
    switch (to.kind) {
      case 'scalar':
        return holds(to.scalar, from) ? { kind: 'scalar', scalar: to.scalar } : undefined;
      case 'enum':
        return from.kind === 'string' || isInt(from) ? { kind: 'enum', numbers: to.numbers } : undefined;
      case 'message': {
        if (from.kind === 'struct') return { kind: 'message', message: this.message(from.fields, to.message, path) };
        if (to.message.name === TIMESTAMP_MESSAGE) return from.kind === 'timestamp' ? { kind: 'time' } : undefined;
        const wrapped = wrappedField(to.message);
        const value = wrapped && this.#value(from, wrapped.type, path);
        return value === undefined ? undefined : { kind: 'wrapper', value };
      }
    }
  }

  #placeOf(field: ProtoField): string {
    const place = placeOfField(this.#text, field);
    return place === undefined ? '' : ` (${place})`;
  }

  #problem(message: string, hint: string): void {
    this.problems.push({ message, hint });
  }
}

function fieldNamed({ fields }: ProtoMessage, name: string): ProtoField | undefined {
  const exact = fields.find((field) => field.name === name);
  if (exact !== undefined) return exact;
  const alike = fields.filter((field) => field.name.toLowerCase() === name.toLowerCase());
  return alike.length === 1 ? alike[0] : undefined;
}

const isInt = ({ kind }: DataType): boolean => kind === 'tinyint' || kind === 'smallint' || kind === 'int';
const isWhole = (type: DataType): boolean => isInt(type) || type.kind === 'bigint';

/** Whether the scalar takes values of the column. Numbers without a sign take all that sources read as such. */
function holds(scalar: ProtoScalar, from: DataType): boolean {
  switch (scalar) {
    case 'int32':
    case 'sint32':
    case 'sfixed32':
      return isInt(from);
    case 'int64':
    case 'sint64':
    case 'sfixed64':
    case 'uint32':
    case 'fixed32':
      return isWhole(from);
    case 'uint64':
    case 'fixed64':
      return isWhole(from) || (from.kind === 'decimal' && from.scale === 0);
    case 'double':
      return from.kind === 'double' || from.kind === 'float';
    case 'float':
      return from.kind === 'float';
    case 'bool':
      return from.kind === 'boolean';
    case 'string':
      return from.kind === 'string';
    case 'bytes':
      return from.kind === 'binary';
  }
}

/** Whether a value of the column may be none of the field's. */
function canFail(value: TargetValue, from: DataType): boolean {
  switch (value.kind) {
    case 'scalar':
      return isUnsigned(value.scalar);
    case 'enum':
      return from.kind === 'string';
    case 'time':
      return false;
    case 'wrapper':
      return canFail(value.value, from);
    case 'message':
      return value.message.isFallible;
  }
}

export function isUnsigned(scalar: ProtoScalar): boolean {
  return scalar === 'uint32' || scalar === 'fixed32' || scalar === 'uint64' || scalar === 'fixed64';
}

/** Whether lists of it may be packed. */
function isNumber(value: TargetValue): boolean {
  return value.kind === 'enum' || (value.kind === 'scalar' && value.scalar !== 'string' && value.scalar !== 'bytes');
}

function describe({ type, shape, key }: ProtoField): string {
  const name =
    type.kind === 'scalar' ? type.scalar : type.kind === 'enum' ? 'an enum' : `the message ${type.message.name}`;
  if (key !== null) return `a map of ${key} to ${name}`;
  return shape === 'repeated' ? `repeated: ${name}` : name;
}

/** The column type to cast to, by the scalar. */
const castTypes: Readonly<Record<ProtoScalar, string>> = {
  double: 'DOUBLE',
  float: 'FLOAT',
  int32: 'INT',
  sint32: 'INT',
  sfixed32: 'INT',
  uint32: 'BIGINT',
  fixed32: 'BIGINT',
  int64: 'BIGINT',
  sint64: 'BIGINT',
  sfixed64: 'BIGINT',
  uint64: 'DECIMAL(20, 0)',
  fixed64: 'DECIMAL(20, 0)',
  bool: 'BOOLEAN',
  string: 'STRING',
  bytes: 'BINARY',
};

function hintFor({ type, shape }: ProtoField, column: string): string {
  const wrapped = type.kind === 'message' ? wrappedField(type.message)?.type : undefined;
  const single = shape === 'single' ? (wrapped ?? type) : undefined;
  if (single?.kind === 'scalar')
    return `write CAST(${column} AS ${castTypes[single.scalar]}) in the query, or change the field`;
  if (single?.kind === 'enum') return `write CAST(${column} AS STRING) in the query, or change the field`;
  if (single?.message.name === TIMESTAMP_MESSAGE)
    return `write CAST(${column} AS TIMESTAMP) in the query, or change the field`;
  if (single !== undefined) return 'write struct(… AS name, …) in the query, or change the field';
  return 'change the query or the field';
}
