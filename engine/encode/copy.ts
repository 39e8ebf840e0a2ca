/** Copies of short ranges: most values are 4 to 60 bytes, where a call into the runtime costs more than the bytes. */
const LONG_BYTES = 96;

/**
 * Copies `length` bytes. The views and arrays are of the same memory each; the target has room. Ranges do not overlap.
 */
export function copyBytes(
  source: Uint8Array,
  sourceView: DataView,
  start: number,
  length: number,
  target: Uint8Array,
  targetView: DataView,
  at: number,
): void {
  if (length < 4) {
    for (let index = 0; index < length; index++) target[at + index] = source[start + index]!;
  } else if (length <= LONG_BYTES) {
    const last = length - 4;
    for (let index = 0; index < last; index += 4)
      targetView.setInt32(at + index, sourceView.getInt32(start + index, true), true);
    // The last word overlaps the one before instead of a loop over single bytes.
    targetView.setInt32(at + last, sourceView.getInt32(start + last, true), true);
  } else {
    target.set(source.subarray(start, start + length), at);
  }
}
