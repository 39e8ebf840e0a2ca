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
