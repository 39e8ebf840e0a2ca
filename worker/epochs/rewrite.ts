/** Rows that were encoded for one attempt, as another attempt writes them: the same at a later time. */
import type { RowBlock } from '../../core/row-block.ts';
import { rowsOf } from '../../core/row-block.ts';
import type { TaskResult } from '../../engine/epoch/contract.ts';

export type Written = Pick<TaskResult, 'sinks' | 'deadLetters'>;

/** A copy: the former attempt's writes may still be under way. */
export function atWriteTime(result: Written, writeTimeUs: number): Written {
  return {
    sinks: result.sinks.map((output) =>
      output.kind === 'table' ? { ...output, ...moved(output, writeTimeUs) } : output,
    ),
    deadLetters: moved(result.deadLetters, writeTimeUs),
  };
}

/** The write time is the last value of each row, an i64. */
function moved(block: RowBlock, writeTimeUs: number): RowBlock {
  const bytes = block.bytes.slice();
  const view = new DataView(bytes.buffer);
  for (const { bodyEnd } of rowsOf({ bytes, rowCount: block.rowCount })) {
    view.setInt32(bodyEnd - 8, Math.floor(writeTimeUs / 4294967296));
    view.setUint32(bodyEnd - 4, writeTimeUs >>> 0);
  }
  return { bytes, rowCount: block.rowCount };
}
