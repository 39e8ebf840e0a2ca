/**
 * The cell rule of every table, written once: which of two writes to one cell stays. Cassandra's
 * (org.apache.cassandra.db.rows.Cells.resolveRegular, without TTL): the larger timestamp; at the same timestamp a
 * tombstone; between two values at the same timestamp the larger bytes, compared unsigned.
 */
export interface Cell {
  /** µs since 1970-01-01 UTC. */
  readonly timestamp: number;
  /** null = tombstone: the cell was deleted or set to null. */
  readonly value: Uint8Array | null;
}

/** True when `write` replaces `current`. Applying a set of writes in any order, any number of times, ends the same. */
export function replaces(write: Cell, current: Cell | undefined): boolean {
  if (current === undefined) return true;
  if (write.timestamp !== current.timestamp) return write.timestamp > current.timestamp;
  if (current.value === null) return false;
  if (write.value === null) return true;
  return compareBytes(write.value, current.value) > 0;
}

/** Unsigned lexicographic order, a prefix before the longer. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.byteLength, b.byteLength);
  for (let index = 0; index < length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.byteLength - b.byteLength;
}
