/**
 * Defaults of Avro fields as Avro bytes: a field that a writer does not have is read like any other, from bytes written
 * here once.
 */
import { WeirError } from '../../core/errors.ts';
import type { AvroType } from './avro-schema.ts';

/**
 * The bytes of a default, given as JSON the way the specification writes it. A default of a union is one of its branches.
 * Throws: SCHEMA_INVALID when the value is not one of the type.
 */
export function encodeDefault(type: AvroType, value: unknown, field: string): Uint8Array {
  const out: number[] = [];
  if (!put(out, type, value))
    throw new WeirError(
      'SCHEMA_INVALID',
      `The Avro schema cannot be read: the default of ${field}, ${JSON.stringify(value)}, is no value of its type.`,
    );
  return Uint8Array.from(out);
}

function put(out: number[], type: AvroType, value: unknown): boolean {
  switch (type.kind) {
    case 'null':
      return value === null;
    case 'boolean':
      if (typeof value !== 'boolean') return false;
      out.push(value ? 1 : 0);
      return true;
    case 'int':
    case 'long':
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return false;
      putLong(out, BigInt(value));
      return true;
    case 'float':
    case 'double': {
      if (typeof value !== 'number') return false;
      const bytes = new Uint8Array(type.kind === 'float' ? 4 : 8);
      const view = new DataView(bytes.buffer);
      if (type.kind === 'float') view.setFloat32(0, value, true);
      else view.setFloat64(0, value, true);
      out.push(...bytes);
      return true;
    }
    case 'string':
      return typeof value === 'string' && putBytes(out, new TextEncoder().encode(value));
    case 'bytes':
      // Characters up to U+00FF stand for bytes.
      return typeof value === 'string' && putBytes(out, Buffer.from(value, 'latin1'));
    case 'fixed':
      if (typeof value !== 'string' || value.length !== type.size) return false;
      out.push(...Buffer.from(value, 'latin1'));
      return true;
    case 'enum': {
      const index = type.symbols.indexOf(value as string);
      if (index < 0) return false;
      putLong(out, BigInt(index));
      return true;
    }
    case 'array': {
      if (!Array.isArray(value)) return false;
      return putItems(out, value, (item) => put(out, type.items, item));
    }
    case 'map': {
      if (!isObject(value)) return false;
      return putItems(out, Object.entries(value), ([key, item]) => {
        putBytes(out, new TextEncoder().encode(key));
        return put(out, type.values, item);
      });
    }
    case 'record': {
      if (!isObject(value)) return false;
      const given = new Map(Object.entries(value));
      return type.fields.every((field) => put(out, field.type, given.get(field.name) ?? field.default ?? null));
    }
    case 'union':
      for (const [index, branch] of type.branches.entries()) {
        const mark = out.length;
        putLong(out, BigInt(index));
        if (put(out, branch, value)) return true;
        out.length = mark;
      }
      return false;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function putItems<T>(out: number[], items: readonly T[], putItem: (item: T) => boolean): boolean {
  if (items.length > 0) {
    putLong(out, BigInt(items.length));
    if (!items.every(putItem)) return false;
  }
  out.push(0);
  return true;
}

function putBytes(out: number[], bytes: Uint8Array): boolean {
  putLong(out, BigInt(bytes.byteLength));
  out.push(...bytes);
  return true;
}

function putLong(out: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}
