/** One call of a forEachBatch function, in the thread of its job. */
import { messageOf, WeirError } from '../../core/errors.ts';
import type { BatchInfo, ModuleSource } from '../../core/job/user-functions.ts';
import type { Field } from '../../core/types.ts';
import { rowsOfJson } from '../../engine/user/json-rows.ts';
import { placeOf } from '../../engine/user/user-error.ts';
import { loadJob } from '../load-module.ts';

export interface BatchCall {
  readonly module: ModuleSource;
  /** Of the job's sinks. */
  readonly sink: number;
  readonly columns: readonly Pick<Field, 'name' | 'type'>[];
  /** JSON lines. */
  readonly lines: Uint8Array;
  readonly info: BatchInfo;
}

/** Resolves when the function is done. Throws: USER_CODE_FAILED, naming file and line. */
export async function runBatch({ module, sink, columns, lines, info }: BatchCall): Promise<void> {
  const call = (await loadJob(module)).batches?.[sink];
  if (typeof call !== 'function')
    throw new WeirError('USER_CODE_FAILED', `The module ${module.entry} has no function for sink ${sink}.`);
  const rows = rowsOfJson(columns, new TextDecoder().decode(lines));
  try {
    await call(rows, info);
  } catch (thrown) {
    throw new WeirError('USER_CODE_FAILED', `${placeOf(module.entry, thrown)}: ${messageOf(thrown)}`);
  }
}
