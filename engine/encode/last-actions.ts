import { ROW_HEADER_BYTES } from '../../core/row-block.ts';
import type { RowBlock } from '../../core/row-block.ts';
import { hashBytes } from '../state/key-encoder.ts';

/**
 * The row of each primary key with the greatest write time, and of several the last, in the order of the rows that stay:
 * what a table would be left with. Actions on a key that tie would leave a bit of each.
 *
 * Keys are the first `primaryKeyCount` values of a row's body (core/row-block.ts), compared byte by byte.
 */
export function lastActions(block: RowBlock, primaryKeyCount: number): RowBlock {
  const { bytes, rowCount } = block;
  if (rowCount < 2) return block;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const starts = new Int32Array(rowCount + 1);
  const keyEnds = new Int32Array(rowCount);
  for (let row = 0, at = 0; row < rowCount; row++) {
    starts[row] = at;
    let end = at + ROW_HEADER_BYTES;
    for (let value = 0; value < primaryKeyCount; value++) end += 4 + Math.max(0, view.getInt32(end));
    keyEnds[row] = end;
    at += ROW_HEADER_BYTES + view.getUint32(at);
    starts[row + 1] = at;
  }
  const superseded = supersededRows(view, starts, keyEnds);
  if (superseded === null) return block;
  let kept = 0;
  let keptBytes = 0;
  for (let row = 0; row < rowCount; row++) {
    if (superseded[row] !== 0) continue;
    kept++;
    keptBytes += starts[row + 1]! - starts[row]!;
  }
  const target = new Uint8Array(keptBytes);
  for (let row = 0, at = 0; row < rowCount; row++) {
    if (superseded[row] !== 0) continue;
    target.set(bytes.subarray(starts[row], starts[row + 1]), at);
    at += starts[row + 1]! - starts[row]!;
  }
  return { rowCount: kept, bytes: target };
}

/** Write time at the end of a row. */
function timeOf(view: DataView, rowEnd: number): number {
  return view.getInt32(rowEnd - 8) * 4294967296 + view.getUint32(rowEnd - 4);
}

/** 1 for each row whose key has another that stays; null = none does. Linear probing over the rows' hashes. */
function supersededRows(view: DataView, starts: Int32Array, keyEnds: Int32Array): Uint8Array | null {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const rowCount = keyEnds.length;
  const mask = 2 ** Math.ceil(Math.log2(rowCount * 2)) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  let superseded: Uint8Array | null = null;
  for (let row = rowCount - 1; row >= 0; row--) {
    const start = starts[row]! + ROW_HEADER_BYTES;
    const end = keyEnds[row]!;
    let slot = hashBytes(bytes, start, end) & mask;
    for (;;) {
      const other = slots[slot]!;
      if (other < 0) {
        slots[slot] = row;
        break;
      }
      if (sameBytes(bytes, start, end, starts[other]! + ROW_HEADER_BYTES, keyEnds[other]!)) {
        superseded ??= new Uint8Array(rowCount);
        const isNewer = timeOf(view, starts[row + 1]!) > timeOf(view, starts[other + 1]!);
        superseded[isNewer ? other : row] = 1;
        if (isNewer) slots[slot] = row;
        break;
      }
      slot = (slot + 1) & mask;
    }
  }
  return superseded;
}

function sameBytes(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  const length = aEnd - aStart;
  if (length !== bEnd - bStart) return false;
  for (let at = 0; at < length; at++) if (bytes[aStart + at] !== bytes[bStart + at]) return false;
  return true;
}
