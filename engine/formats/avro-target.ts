/**
 * How values of a column type become Avro: the schema that the type has by itself, and what goes where in a schema that
 * is given. Settled once per type and schema, for whoever writes the values.
 */
import { isWeirError } from '../../core/errors.ts';
import type { DataType, Field } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { avroColumn, avroOfSimple } from './avro-schema.ts';
import type { AvroField, AvroRecord, AvroType } from './avro-schema.ts';

export type AvroTarget =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean' | 'number' | 'float' | 'double' | 'text' | 'bytes' }
  /** Sixteen bytes of a text. */
  | { readonly kind: 'uuid' }
  | { readonly kind: 'fixed'; readonly size: number }
  /** Of µs; `perUnitUs` as in AvroLogical. */
  | { readonly kind: 'time'; readonly perUnitUs: number }
  /** `size`: bytes, -1 = as few as hold it, after their count. `up`: 10 to the power of what the scale is more. */
  | { readonly kind: 'decimal'; readonly size: number; readonly up: bigint }
  | { readonly kind: 'enum'; readonly symbols: ReadonlyMap<string, number> }
  | { readonly kind: 'array'; readonly items: AvroTarget }
  | { readonly kind: 'map'; readonly values: AvroTarget }
  | { readonly kind: 'record'; readonly fields: readonly AvroTargetField[] }
  /** A union of which values take the one branch; `nullBranch`: -1 = NULL cannot be written. */
  | { readonly kind: 'branch'; readonly branch: number; readonly nullBranch: number; readonly value: AvroTarget }
  /** A union that is a STRUCT of member0, member1 …: the first that is not NULL is written. */
  | { readonly kind: 'members'; readonly members: readonly AvroTargetMember[]; readonly nullBranch: number };

/** In the order of the schema; `field`: its place in the STRUCT, -1 = always NULL. */
export interface AvroTargetField {
  readonly field: number;
  readonly value: AvroTarget;
}

interface AvroTargetMember {
  readonly branch: number;
  readonly value: AvroTarget;
}

/** Why values and a schema do not go together: a sentence without its end. */
export interface AvroTargetProblem {
  readonly message: string;
  readonly hint: string;
}

// ---- the schema of a type -----------------------------------------------------------------------------------------

/** Names as Avro's specification has them. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The schema of values of a type, as Spark's SchemaConverters.toAvroType gives it: what may be NULL is a union of its type
 * and null, in this order; a DECIMAL is the smallest `fixed` for its precision, a STRUCT a record without defaults, called
 * by its field in the namespace of the records around it. Or why there is none.
 */
export function avroOfValue(
  type: DataType,
  nullable: boolean,
): { readonly schema: string } | { readonly problem: AvroTargetProblem } {
  const writer = new SchemaWriter();
  const schema = writer.type({ type, nullable, name: 'topLevelRecord' }, '', '');
  return writer.problem === undefined ? { schema: JSON.stringify(schema) } : { problem: writer.problem };
}

class SchemaWriter {
  /** The first one. */
  problem: AvroTargetProblem | undefined;

  /** `space`: namespace of the names in it; `path`: of the field, for people. */
  type({ type, nullable, name }: Field, space: string, path: string): unknown {
    const avro = this.#plain(type, name, space, path);
    return nullable && type.kind !== 'null' ? [avro, 'null'] : avro;
  }

  #plain(type: DataType, name: string, space: string, path: string): unknown {
    switch (type.kind) {
      case 'null':
        return 'null';
      case 'decimal': {
        const { precision, scale } = type;
        const fixed = { type: 'fixed', name: `${inSpace(name, space)}.fixed`, size: bytesForPrecision(precision) };
        return { ...fixed, logicalType: 'decimal', precision, scale };
      }
      case 'array':
        return {
          type: 'array',
          items: this.type({ type: type.element, nullable: type.containsNull, name }, space, `${path}[]`),
        };
      case 'map':
        if (type.key.kind !== 'string')
          this.#refuse(
            `${pathName(path)} is ${formatType(type)}, and keys of Avro's maps are STRING`,
            'make it an ARRAY of STRUCTs: map_entries(…)',
          );
        return {
          type: 'map',
          values: this.type({ type: type.value, nullable: type.valueContainsNull, name }, space, `${path}.value`),
        };
      case 'struct':
        return this.#record(type.fields, name, space, path);
      case 'interval':
        this.#refuse(`${pathName(path)} is ${formatType(type)}, for which Avro has no type`, 'write a CAST to STRING');
        return 'null';
      default:
        return avroOfSimple(type);
    }
  }

  #record(given: readonly Field[], name: string, namespace: string, path: string): unknown {
    const taken = new Set<string>();
    const space = inSpace(name, namespace);
    const fields = given.map((field) => {
      if (!namePattern.test(field.name))
        this.#refuse(
          `"${field.name}" is no name that Avro takes`,
          'give it one with AS: a letter or _, then letters, digits and _',
        );
      if (taken.has(field.name))
        this.#refuse(`two fields of ${pathName(path)} are called ${field.name}`, 'name one of them with AS');
      taken.add(field.name);
      return { name: field.name, type: this.type(field, space, joined(path, field.name)) };
    });
    return namespace === '' ? { type: 'record', name, fields } : { type: 'record', name, namespace, fields };
  }

  #refuse(message: string, hint: string): void {
    this.problem ??= { message, hint };
  }
}

function inSpace(name: string, space: string): string {
  return space === '' ? name : `${space}.${name}`;
}

/** Bytes that hold every number of so many digits, with its sign. */
function bytesForPrecision(precision: number): number {
  let bytes = 1;
  while (2n ** BigInt(8 * bytes - 1) < 10n ** BigInt(precision)) bytes++;
  return bytes;
}

// ---- a schema that is given ---------------------------------------------------------------------------------------

export type AvroTargetOutcome = { readonly target: AvroTarget } | { readonly problem: AvroTargetProblem };

/**
 * What of a value of `type` goes where in `avro`. Fields go by name, exactly or, where that is plain, without regard to
 * case; every field of a STRUCT has to have one, and every field of a record that cannot be null a field of the STRUCT.
 * Numbers may become longer ones and decimals may gain digits, nothing may lose any. What may be NULL may go to what
 * cannot be null: a value that is NULL is refused when it comes.
 */
export function avroTarget(type: DataType, avro: AvroType): AvroTargetOutcome {
  try {
    return { target: targetOf(type, avro, '') };
  } catch (error) {
    if (error instanceof Mismatch) return { problem: error };
    throw error;
  }
}

/** Ends the walk at the first thing that does not fit. */
class Mismatch extends Error implements AvroTargetProblem {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

function targetOf(type: DataType, avro: AvroType, path: string): AvroTarget {
  if (avro.kind === 'union') return unionTarget(type, avro.branches, path);
  if (type.kind === 'struct' && avro.kind === 'record') return recordTarget(type.fields, avro, path);
  if (type.kind === 'array' && avro.kind === 'array')
    return { kind: 'array', items: targetOf(type.element, avro.items, `${path}[]`) };
  if (type.kind === 'map' && avro.kind === 'map' && type.key.kind === 'string')
    return { kind: 'map', values: targetOf(type.value, avro.values, `${path}.value`) };
  const target = plainTarget(type, avro);
  if (target !== undefined) return target;
  throw new Mismatch(
    `${pathName(path)} is ${formatType(type)}, and the schema has ${describe(avro)} there`,
    hintFor(type, avro, path),
  );
}

function unionTarget(type: DataType, branches: readonly AvroType[], path: string): AvroTarget {
  const nullBranch = branches.findIndex(({ kind }) => kind === 'null');
  const others = branches.filter(({ kind }) => kind !== 'null');
  if (type.kind === 'null' && nullBranch >= 0)
    return { kind: 'branch', branch: nullBranch, nullBranch, value: { kind: 'null' } };
  const [only] = others;
  if (only !== undefined && others.length === 1)
    return { kind: 'branch', branch: branches.indexOf(only), nullBranch, value: targetOf(type, only, path) };
  const fields = type.kind === 'struct' ? type.fields : [];
  if (
    others.length > 1 &&
    fields.length === others.length &&
    fields.every(({ name }, index) => name === `member${index}`)
  ) {
    const members = others.map((other, index) => {
      const field = fields[index] as Field;
      return { branch: branches.indexOf(other), value: targetOf(field.type, other, joined(path, field.name)) };
    });
    return { kind: 'members', members, nullBranch };
  }
  // The branch that reads back as the type comes before one that the value merely fits.
  const fitting = others.flatMap((branch) => {
    const outcome = avroTarget(type, branch);
    return 'target' in outcome ? [{ branch, value: outcome.target }] : [];
  });
  const chosen = fitting.find(({ branch }) => readsAs(branch, type)) ?? fitting[0];
  if (chosen !== undefined)
    return { kind: 'branch', branch: branches.indexOf(chosen.branch), nullBranch, value: chosen.value };
  throw new Mismatch(
    `${pathName(path)} is ${formatType(type)}, and the schema has ${describe({ kind: 'union', branches })} there`,
    others.length === 0
      ? 'write NULL, or change the schema'
      : `write a CAST to one of these types, or a STRUCT of ${others.map((_, index) => `member${index}`).join(', ')}`,
  );
}

function recordTarget(given: readonly Field[], record: AvroRecord, path: string): AvroTarget {
  const places = new Map<AvroField, number>();
  for (const [place, { name }] of given.entries()) {
    const field = fieldNamed(record, name);
    const names = record.fields.map((each) => each.name).join(', ');
    if (field === undefined)
      throw new Mismatch(
        `${joined(path, name)} has no field in the record ${record.name}`,
        `its fields are: ${names}; name one of them with AS, or take ${name} away`,
      );
    const other = places.get(field);
    if (other !== undefined)
      throw new Mismatch(
        `${given[other]?.name} and ${name} are one field of the record ${record.name}`,
        'take one of them away',
      );
    places.set(field, place);
  }
  const fields = record.fields.map((field): AvroTargetField => {
    const place = places.get(field);
    if (place !== undefined) {
      const { name, type } = given[place] as Field;
      return { field: place, value: targetOf(type, field.type, joined(path, name)) };
    }
    if (!mayBeNull(field.type))
      throw new Mismatch(
        `the record ${record.name} has a field ${field.name} that cannot be null, and ${pathName(path)} has none of that name`,
        `add it: … AS ${field.name}, or make it a union with null in the schema`,
      );
    return { field: -1, value: targetOf({ kind: 'null' }, field.type, joined(path, field.name)) };
  });
  return { kind: 'record', fields };
}

function fieldNamed({ fields }: AvroRecord, name: string): AvroField | undefined {
  const exact = fields.find((field) => field.name === name);
  if (exact !== undefined) return exact;
  const alike = fields.filter((field) => field.name.toLowerCase() === name.toLowerCase());
  return alike.length === 1 ? alike[0] : undefined;
}

function mayBeNull(avro: AvroType): boolean {
  return avro.kind === 'null' || (avro.kind === 'union' && avro.branches.some(({ kind }) => kind === 'null'));
}

/** What holds no other values; undefined where values of the type are none of the schema. */
function plainTarget(type: DataType, avro: AvroType): AvroTarget | undefined {
  const logical = 'logical' in avro ? avro.logical : null;
  switch (type.kind) {
    case 'null':
      return avro.kind === 'null' ? { kind: 'null' } : undefined;
    case 'boolean':
      return avro.kind === 'boolean' ? { kind: 'boolean' } : undefined;
    case 'tinyint':
    case 'smallint':
    case 'int':
      if (avro.kind === 'int' && logical?.name !== 'date') return { kind: 'number' };
      return avro.kind === 'long' && logical?.name !== 'timestamp' ? { kind: 'number' } : undefined;
    case 'bigint':
      return avro.kind === 'long' && logical?.name !== 'timestamp' ? { kind: 'number' } : undefined;
    case 'float':
    case 'double':
      if (avro.kind === 'double') return { kind: 'double' };
      return avro.kind === 'float' && type.kind === 'float' ? { kind: 'float' } : undefined;
    case 'date':
      return logical?.name === 'date' ? { kind: 'number' } : undefined;
    case 'timestamp':
      return logical?.name === 'timestamp' ? { kind: 'time', perUnitUs: logical.perUnitUs } : undefined;
    case 'decimal': {
      if (logical?.name !== 'decimal') return undefined;
      const more = logical.scale - type.scale;
      if (more < 0 || logical.precision - logical.scale < type.precision - type.scale) return undefined;
      return { kind: 'decimal', size: avro.kind === 'fixed' ? avro.size : -1, up: 10n ** BigInt(more) };
    }
    case 'string':
      if (avro.kind === 'string') return { kind: 'text' };
      if (avro.kind === 'fixed' && logical?.name === 'uuid') return { kind: 'uuid' };
      if (avro.kind !== 'enum') return undefined;
      return { kind: 'enum', symbols: new Map(avro.symbols.map((symbol, index) => [symbol, index])) };
    case 'binary':
      if (logical?.name === 'decimal' || logical?.name === 'uuid') return undefined;
      if (avro.kind === 'fixed') return { kind: 'fixed', size: avro.size };
      return avro.kind === 'bytes' ? { kind: 'bytes' } : undefined;
    default:
      return undefined;
  }
}

// ---- for people ---------------------------------------------------------------------------------------------------

function pathName(path: string): string {
  return path === '' ? 'the value' : path;
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function describe(avro: AvroType): string {
  switch (avro.kind) {
    case 'union':
      return `a union of ${avro.branches.map(describe).join(', ')}`;
    case 'array':
    case 'map':
      return `${avro.kind === 'array' ? 'an' : 'a'} ${avro.kind}`;
    case 'record':
    case 'enum':
      return `the ${avro.kind} ${avro.name}`;
    case 'fixed':
      return `${avro.size} bytes${logicalName(avro)}`;
    default:
      return `${avro.kind}${logicalName(avro)}`;
  }
}

function logicalName({ logical }: Extract<AvroType, { readonly logical: unknown }>): string {
  if (logical === null) return '';
  return logical.name === 'decimal' ? ` (decimal(${logical.precision},${logical.scale}))` : ` (${logical.name})`;
}

/** The column type that the schema is read as; undefined for what holds other values, and for one that has none. */
function columnType(avro: AvroType): DataType | undefined {
  if (['null', 'record', 'array', 'map', 'union'].includes(avro.kind)) return undefined;
  try {
    return avroColumn(avro).type;
  } catch (error) {
    if (isWeirError(error, 'SCHEMA_INVALID')) return undefined;
    throw error;
  }
}

function readsAs(avro: AvroType, type: DataType): boolean {
  const read = columnType(avro);
  return read !== undefined && formatType(read) === formatType(type);
}

function hintFor(type: DataType, avro: AvroType, path: string): string {
  const name = path === '' || path.endsWith('[]') ? 'x' : path;
  const read = columnType(avro);
  if (type.kind === 'timestamp' && avro.kind === 'long') return `write unix_millis(${name}), or change the schema`;
  if (type.kind === 'date' && avro.kind === 'int') return `write unix_date(${name}), or change the schema`;
  if (read?.kind === 'timestamp' && type.kind === 'bigint')
    return `write timestamp_millis(${name}) or timestamp_micros(${name}), or change the schema`;
  if (read?.kind === 'date' && type.kind === 'int') return `write date_from_unix_date(${name}), or change the schema`;
  if (read !== undefined && !['struct', 'array', 'map'].includes(type.kind))
    return `write CAST(${name} AS ${formatType(read)}), or change the schema`;
  return avro.kind === 'record' ? 'write struct(… AS name, …), or change the schema' : 'change the value or the schema';
}
