/**
 * Primary keys as bytes that sort as Cassandra sorts rows: by partition (in any order, but always the same), within it
 * by the clustering columns. And values as bytes that sort as their type does, for comparing.
 */
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { CqlType, TableSchema } from '../../core/table/schema.ts';
import { formatCqlType } from '../../core/table/schema.ts';

export interface KeyPart {
  readonly name: string;
  readonly type: CqlType;
  readonly descending: boolean;
}

/** The parts of a table's primary key, partition key first. */
export function keyPartsOf(schema: TableSchema): readonly KeyPart[] {
  const typeOf = (name: string): CqlType =>
    must(
      schema.columns.find((column) => column.name === name),
      () => `key column ${name} of ${schema.table}`,
    ).type;
  return [
    ...schema.partitionKey.map((name) => ({ name, type: typeOf(name), descending: false })),
    ...schema.clusteringKey.map((name, index) => ({
      name,
      type: typeOf(name),
      descending: schema.clusteringOrder?.[index] === 'desc',
    })),
  ];
}

/**
 * The first values of a primary key: all of them give the key of a row, fewer the prefix that the keys of a partition or
 * of a slice of it begin with.
 */
export function encodeKey(
  parts: readonly KeyPart[],
  partitionKeyCount: number,
  values: readonly Uint8Array[],
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [index, value] of values.entries()) {
    if (index < partitionKeyCount) {
      pieces.push(Uint8Array.of(value.byteLength >>> 8, value.byteLength & 0xff), value);
      continue;
    }
    const part = must(parts[index], () => `key part ${index}`);
    const ordered = selfDelimited(part.type, sortableBytes(part.type, value));
    pieces.push(part.descending ? ordered.map((byte) => byte ^ 0xff) : ordered);
  }
  return Buffer.concat(pieces);
}

/** The smallest key above all that begin with `prefix`; undefined when there is none. */
export function keyAfter(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.byteLength;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const next = Uint8Array.from(prefix.subarray(0, length));
  next[length - 1] = (next[length - 1] ?? 0) + 1;
  return next;
}

const fixedSizes = new Map<string, number>([
  ['boolean', 1],
  ['tinyint', 1],
  ['smallint', 2],
  ['int', 4],
  ['bigint', 8],
  ['float', 4],
  ['double', 8],
  ['timestamp', 8],
  ['date', 4],
  ['time', 8],
  ['uuid', 16],
  ['timeuuid', 16],
]);

/** Bytes of every value of the type; undefined when they differ. */
export function fixedSizeOf(type: CqlType): number | undefined {
  return fixedSizes.get(type.kind);
}

/** Bytes that compare, unsigned, as the values of the type do. */
export function sortableBytes(type: CqlType, value: Uint8Array): Uint8Array {
  switch (type.kind) {
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'bigint':
    case 'timestamp':
    case 'time': {
      const copy = Uint8Array.from(value);
      copy[0] = (copy[0] ?? 0) ^ 0x80;
      return copy;
    }
    case 'float':
    case 'double': {
      const negative = ((value[0] ?? 0) & 0x80) !== 0;
      return value.map((byte, index) => (negative ? byte ^ 0xff : index === 0 ? byte ^ 0x80 : byte));
    }
    case 'varint':
      return sortableDecimal(unscaledOf(value), 0);
    case 'decimal': {
      const scale = new DataView(value.buffer, value.byteOffset, value.byteLength).getInt32(0);
      return sortableDecimal(unscaledOf(value.subarray(4)), scale);
    }
    case 'timeuuid':
      return timeFirst(value);
    case 'uuid':
      // As Cassandra's UUIDType: by version, then time-based ones by time.
      return Uint8Array.of((value[6] ?? 0) >>> 4, ...((value[6] ?? 0) >>> 4 === 1 ? timeFirst(value) : value));
    case 'boolean':
    case 'date':
    case 'text':
    case 'ascii':
    case 'blob':
    case 'inet':
      return value;
    default:
      throw new WeirError(
        'UNSUPPORTED',
        `Embedded tables do not sort or compare values of the type ${formatCqlType(type)}.`,
      );
  }
}

/** So that no value's bytes are the beginning of another's: 0 becomes 0 255, and 0 0 ends. */
function selfDelimited(type: CqlType, bytes: Uint8Array): Uint8Array {
  if (fixedSizes.has(type.kind)) return bytes;
  const escaped: number[] = [];
  for (const byte of bytes) {
    escaped.push(byte);
    if (byte === 0) escaped.push(0xff);
  }
  escaped.push(0, 0);
  return Uint8Array.from(escaped);
}

function unscaledOf(bytes: Uint8Array): bigint {
  if (bytes.byteLength === 0) return 0n;
  return BigInt.asIntN(bytes.byteLength * 8, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
}

/** Sign, exponent of the first digit, digits without trailing zeros; 1.0 and 1.00 give the same. */
function sortableDecimal(unscaled: bigint, scale: number): Uint8Array {
  if (unscaled === 0n) return Uint8Array.of(1);
  const negative = unscaled < 0n;
  const text = (negative ? -unscaled : unscaled).toString();
  const digits = text.replace(/0+$/, '');
  const bytes = new Uint8Array(9 + digits.length + 1);
  new DataView(bytes.buffer).setFloat64(1, text.length - scale + 2 ** 40);
  for (let index = 0; index < digits.length; index++) bytes[9 + index] = digits.charCodeAt(index);
  return bytes.map((byte, index) => (index === 0 ? (negative ? 0 : 2) : negative ? byte ^ 0xff : byte));
}

/** A version 1 UUID with its time in front: high, middle, low, then the rest. */
function timeFirst(value: Uint8Array): Uint8Array {
  return Uint8Array.of(
    (value[6] ?? 0) & 0x0f,
    value[7] ?? 0,
    ...value.subarray(4, 6),
    ...value.subarray(0, 4),
    // Cassandra compares the rest as signed bytes.
    ...value.subarray(8).map((byte) => byte ^ 0x80),
  );
}
