import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { compareBytes, SortKeys } from './sort-keys.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';
import { type Candidate, firstRows, splitChanges } from './whole-result.ts';

type SortPlan = Extract<StatePlan, { kind: 'sort' }>;

/**
 * A whole result in order, the first `limit` rows of it. Rows that are equal by what they are sorted by stay in the
 * order of arrival. Keeps nothing: every epoch brings the whole result anew, and the rows that are no part of it any
 * more, so that what was shown before is known too.
 */
export class Sort implements StateOperator {
  readonly output: Schema;
  readonly #plan: SortPlan;
  readonly #keys: SortKeys;

  constructor(plan: SortPlan, inputs: readonly Schema[]) {
    this.#plan = plan;
    const input = must(inputs[0], () => 'a sort has no input');
    this.output = plan.changes === true ? input.slice(0, -1) : input;
    this.#keys = new SortKeys(this.output, plan.by);
  }

  fold(inputs: readonly StateInput[], _env: EpochEnv): StateOutput {
    const bytes = new ByteBuffer();
    const rows: (Candidate & { readonly start: number; readonly length: number })[] = [];
    for (const { input, changeOf } of splitChanges(inputs, this.#plan.changes === true)) {
      this.#keys.bind(input.batch.columns);
      for (let row = 0; row < input.batch.rowCount; row++) {
        const start = this.#keys.encode(row, bytes);
        rows.push({ input, row, change: changeOf(row), start, length: bytes.length - start });
      }
    }
    const data = bytes.bytes;
    rows.sort((a, b) => compareBytes(data, a.start, a.length, data, b.start, b.length));
    return firstRows(rows, this.#plan.limit, this.output);
  }

  changedGroups(): readonly number[] {
    return [];
  }

  clearChanged(): void {}

  groups(): readonly number[] {
    return [];
  }

  encodeGroup(): null {
    return null;
  }

  restoreGroup(): void {}

  dropGroup(): void {}

  figures(): StateFigures {
    return { rows: 0, bytes: 0, evicted: 0 };
  }
}
