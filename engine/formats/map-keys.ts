/** Keys of a map that come twice: the later one counts, as in every language's map. */
import { BUILD_BIG_DECIMAL, BUILD_BIGINT, BUILD_DECIMAL } from '../scan/column-builder.ts';
import type { ColumnBuilder } from '../scan/column-builder.ts';

/** Entries up to which comparing each with each is the fastest. */
const PAIRWISE_MAX = 16;

/** Takes away the entries from `first` on whose key comes again later. Keys are text or bytes. */
export function dropEarlierKeys(bytes: Uint8Array, keys: ColumnBuilder, values: ColumnBuilder, first: number): void {
  const count = keys.count - first;
  if (count <= PAIRWISE_MAX && !hasTwice(bytes, keys, first)) return;
  keepLast(keys, values, first, (row) => textOf(bytes, keys, row));
}

/** The same for keys that are numbers or truth values. */
export function dropEarlierNumbers(keys: ColumnBuilder, values: ColumnBuilder, first: number): void {
  keepLast(keys, values, first, (row) => numberOf(keys, row));
}

function keepLast<T>(keys: ColumnBuilder, values: ColumnBuilder, first: number, keyAt: (row: number) => T): void {
  const last = new Map<T, number>();
  for (let row = first; row < keys.count; row++) last.set(keyAt(row), row);
  if (last.size === keys.count - first) return;
  let to = first;
  for (let row = first; row < keys.count; row++) {
    if (last.get(keyAt(row)) !== row) continue;
    if (to !== row) {
      keys.moveRow(row, to);
      values.moveRow(row, to);
    }
    to++;
  }
  keys.count = to;
  values.count = to;
}

function numberOf({ kind, i32, i64, big }: ColumnBuilder, row: number): number | bigint {
  if (kind === BUILD_BIG_DECIMAL) return big[row]!;
  return kind === BUILD_BIGINT || kind === BUILD_DECIMAL ? i64[row]! : i32[row]!;
}

function hasTwice(bytes: Uint8Array, keys: ColumnBuilder, first: number): boolean {
  for (let row = first + 1; row < keys.count; row++) {
    for (let other = first; other < row; other++) if (isSame(bytes, keys, row, other)) return true;
  }
  return false;
}

function isSame(bytes: Uint8Array, { start, length }: ColumnBuilder, one: number, other: number): boolean {
  const size = length[one]!;
  if (size !== length[other]!) return false;
  for (let index = 0; index < size; index++)
    if (bytes[start[one]! + index]! !== bytes[start[other]! + index]!) return false;
  return true;
}

function textOf(bytes: Uint8Array, { start, length }: ColumnBuilder, row: number): string {
  const from = start[row]!;
  return Buffer.from(bytes.subarray(from, from + Math.max(0, length[row]!))).toString('latin1');
}
