/** A part of a whole result, and what became of the part that was shown before. */
import type { Schema } from '../../core/types.ts';
import { AGAIN, GIVEN, isPast, SAME, wasThere, WITHDRAWN } from './changes.ts';
import { PickedRows } from './picked-rows.ts';
import type { StateInput, StateOutput } from './state-operator.ts';

/** A row of an input, with its code. */
export interface Candidate {
  readonly input: StateInput;
  readonly row: number;
  readonly change: number;
}

/** The inputs without their last column, which holds the codes of their rows; with `false` as they are. */
export function splitChanges(
  inputs: readonly StateInput[],
  isCoded: boolean,
): readonly { readonly input: StateInput; readonly changeOf: (row: number) => number }[] {
  if (!isCoded) return inputs.map((input) => ({ input, changeOf: () => GIVEN }));
  return inputs.map((input) => {
    const { batch } = input;
    const changes = batch.columns.at(-1);
    if (changes?.kind !== 'i32') throw new TypeError(`what became of rows is a ${changes?.kind} column`);
    const own = { ...input, batch: { ...batch, columns: batch.columns.slice(0, -1) } };
    return { input: own, changeOf: (row) => changes.values[row]! };
  });
}

/**
 * The first `limit` rows of the present result. Rows were shown before that were among the first `limit` of the former
 * one: those present and same, and those past, in the same order.
 */
export function firstRows(candidates: readonly Candidate[], limit: number | null, schema: Schema): StateOutput {
  const most = limit ?? candidates.length;
  const shown = candidates.filter(({ change }) => !isPast(change)).slice(0, most);
  const before = new Set(candidates.filter(({ change }) => wasThere(change)).slice(0, most));
  const picked = new PickedRows(schema);
  const changes: number[] = [];
  const stays = new Set(shown);
  for (const candidate of before) {
    if (stays.has(candidate)) continue;
    picked.add(candidate.input, candidate.row);
    changes.push(WITHDRAWN);
  }
  for (const candidate of shown) {
    picked.add(candidate.input, candidate.row);
    const isSame = candidate.change === SAME && before.has(candidate);
    changes.push(isSame ? SAME : candidate.change === AGAIN ? AGAIN : GIVEN);
  }
  return { batch: picked.batch(), groups: picked.groups(), changes: Uint8Array.from(changes) };
}
