import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { PickedRows } from './picked-rows.ts';
import { compareBytes, SortKeys } from './sort-keys.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';

type SortPlan = Extract<StatePlan, { kind: 'sort' }>;

/**
 * A whole result in order, the first `limit` rows of it. Rows that are equal by what they are sorted by stay in the
 * order of arrival. Keeps nothing: every epoch brings the whole result anew.
 */
export class Sort implements StateOperator {
  readonly output: Schema;
  readonly #plan: SortPlan;
  readonly #keys: SortKeys;

  constructor(plan: SortPlan, inputs: readonly Schema[]) {
    this.#plan = plan;
    this.output = must(inputs[0], () => 'a sort has no input');
    this.#keys = new SortKeys(this.output, plan.by);
  }

  fold(inputs: readonly StateInput[], _env: EpochEnv): StateOutput {
    const bytes = new ByteBuffer();
    const rows: {
      readonly input: StateInput;
      readonly row: number;
      readonly start: number;
      readonly length: number;
    }[] = [];
    for (const input of inputs) {
      this.#keys.bind(input.batch.columns);
      for (let row = 0; row < input.batch.rowCount; row++) {
        const start = this.#keys.encode(row, bytes);
        rows.push({ input, row, start, length: bytes.length - start });
      }
    }
    const data = bytes.bytes;
    rows.sort((a, b) => compareBytes(data, a.start, a.length, data, b.start, b.length));
    const picked = new PickedRows(this.output);
    for (const { input, row } of rows.slice(0, this.#plan.limit ?? rows.length)) picked.add(input, row);
    return { batch: picked.batch(), groups: picked.groups(), deletes: null };
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
