/** What goes into one message to the embedded process. */
import type { LogAppend } from '../../core/ports.ts';

/** Bytes of batches in one message, well below the largest one. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/** In their order, as few parts as possible. */
export function splitBySize(appends: readonly LogAppend[]): LogAppend[][] {
  const parts: LogAppend[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const append of appends) {
    bytes += append.batch.byteLength;
    if (bytes > MESSAGE_BYTES_MAX) {
      parts.push([]);
      bytes = append.batch.byteLength;
    }
    parts.at(-1)?.push(append);
  }
  return parts;
}
