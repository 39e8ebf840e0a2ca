/** Rows that were encoded for one attempt, as another attempt writes them: the same at a later time. */
import type { RowBlock } from '../../core/row-block.ts';
import { rowsOf, rowTimestamp } from '../../core/row-block.ts';
import type { TaskResult } from '../../engine/epoch/contract.ts';

export type Written = Pick<TaskResult, 'sinks' | 'deadLetters'>;

/** `byUs`: how much later. A copy: the former attempt's writes may still be under way. */
export function laterBy(result: Written, byUs: number): Written {
  return {
    sinks: result.sinks.map((output) => (output.kind === 'table' ? { ...output, ...moved(output, byUs) } : output)),
    deadLetters: moved(result.deadLetters, byUs),
  };
}

/** The write time is the last value of each row, an i64. */
function moved(block: RowBlock, byUs: number): RowBlock {
  const bytes = block.bytes.slice();
  const view = new DataView(bytes.buffer);
  for (const row of rowsOf({ bytes, rowCount: block.rowCount })) {
    const writeTimeUs = rowTimestamp(bytes, row) + byUs;
    view.setInt32(row.bodyEnd - 8, Math.floor(writeTimeUs / 4294967296));
    view.setUint32(row.bodyEnd - 4, writeTimeUs >>> 0);
  }
  return { bytes, rowCount: block.rowCount };
}
