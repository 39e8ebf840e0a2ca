/** Which CQL type a column gets in a table that the job creates, and what an existing table's column can take. */
import { isWeirError } from '../../core/errors.ts';
import type { CqlType } from '../../core/table/schema.ts';
import type { DataType } from '../../core/types.ts';
import { CellEncoder } from '../encode/cells.ts';
import type { TimeZone } from '../scan/time-zone.ts';

/** The CQL type that holds every value of a column; undefined for VOID and intervals. Structs become JSON text. */
export function cqlTypeOf(type: DataType): CqlType | undefined {
  switch (type.kind) {
    case 'null':
    case 'interval':
      return undefined;
    case 'string':
      return { kind: 'text' };
    case 'binary':
      return { kind: 'blob' };
    case 'array': {
      const element = holdsStruct(type) ? undefined : cqlTypeOf(type.element);
      return holdsStruct(type) ? { kind: 'text' } : element && { kind: 'list', element, frozen: true };
    }
    case 'map': {
      if (holdsStruct(type)) return { kind: 'text' };
      const key = cqlTypeOf(type.key);
      const value = cqlTypeOf(type.value);
      return key && value && { kind: 'map', key, value, frozen: true };
    }
    case 'struct':
      return { kind: 'text' };
    default:
      return { kind: type.kind };
  }
}

/** The type that a table's column is read as; undefined for those that queries have no type for. */
export function dataTypeOf(type: CqlType): DataType | undefined {
  switch (type.kind) {
    case 'text':
    case 'ascii':
    case 'uuid':
    case 'timeuuid':
    case 'inet':
    case 'time':
    case 'varint':
    case 'decimal':
      return { kind: 'string' };
    case 'blob':
      return { kind: 'binary' };
    case 'counter':
      return { kind: 'bigint' };
    case 'list':
    case 'set': {
      const element = dataTypeOf(type.element);
      return element && { kind: 'array', element, containsNull: false };
    }
    case 'map': {
      const key = dataTypeOf(type.key);
      const value = dataTypeOf(type.value);
      return key && value && { kind: 'map', key, value, valueContainsNull: false };
    }
    case 'tuple':
    case 'custom':
      return undefined;
    case 'udt': {
      const fields = type.fields.map((field) => ({ name: field.name, type: dataTypeOf(field.type), nullable: true }));
      const known = fields.flatMap((field) => (field.type === undefined ? [] : [{ ...field, type: field.type }]));
      return known.length < fields.length ? undefined : { kind: 'struct', fields: known };
    }
    default:
      return { kind: type.kind };
  }
}

export function holdsStruct(type: DataType): boolean {
  if (type.kind === 'struct') return true;
  if (type.kind === 'array') return holdsStruct(type.element);
  return type.kind === 'map' && (holdsStruct(type.key) || holdsStruct(type.value));
}

export function isNested(type: DataType): boolean {
  return type.kind === 'array' || type.kind === 'map' || type.kind === 'struct';
}

/** Can the sink's encoder write the one as the other? */
export function canEncode(from: DataType, to: CqlType, timeZone: TimeZone): boolean {
  try {
    return new CellEncoder(from, to, timeZone, '') instanceof CellEncoder;
  } catch (error) {
    if (isWeirError(error, 'SINK_SCHEMA')) return false;
    throw error;
  }
}
