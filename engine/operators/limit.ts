import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { EpochEnv, StateFigures } from '../epoch/contract.ts';
import type { StatePlan } from '../plan/epoch-plan.ts';
import { ByteReader } from '../state/byte-reader.ts';
import { putByte, putVarint } from '../state/bytes-out.ts';
import { checkFormat } from './group-format.ts';
import { GroupStates } from './group-states.ts';
import { PickedRows } from './picked-rows.ts';
import type { StateInput, StateOperator, StateOutput } from './state-operator.ts';
import { type Candidate, firstRows, splitChanges } from './whole-result.ts';

type LimitPlan = Extract<StatePlan, { kind: 'limit' }>;

const FORMAT = 1;

/**
 * The first rows that arrive. append: of the whole life of the query; state: how many came out, in the one key group
 * that all rows go to. complete: of each result; no state. (Spark: StreamingGlobalLimitExec.)
 */
export class Limit extends GroupStates implements StateOperator {
  readonly output: Schema;
  readonly #plan: LimitPlan;
  /** Rows that came out, by group. */
  readonly #passed = new Map<number, number>();

  constructor(plan: LimitPlan, inputs: readonly Schema[]) {
    super();
    this.#plan = plan;
    const input = must(inputs[0], () => 'a limit has no input');
    this.output = plan.changes === true ? input.slice(0, -1) : input;
  }

  fold(inputs: readonly StateInput[], _env: EpochEnv): StateOutput {
    if (this.#plan.mode === 'complete') return this.#firstOf(inputs);
    const picked = new PickedRows(this.output);
    const passed = this.#passed;
    for (const input of inputs) {
      for (let row = 0; row < input.batch.rowCount; row++) {
        const group = input.groups[row] as number;
        const before = passed.get(group) ?? 0;
        if (before >= this.#plan.count) continue;
        passed.set(group, before + 1);
        picked.add(input, row);
        this.changed.add(group);
      }
    }
    return { batch: picked.batch(), groups: picked.groups(), changes: null };
  }

  /** All rows come to one key group. */
  #firstOf(inputs: readonly StateInput[]): StateOutput {
    const candidates = splitChanges(inputs, this.#plan.changes === true).flatMap(({ input, changeOf }) =>
      Array.from({ length: input.batch.rowCount }, (_, row): Candidate => ({ input, row, change: changeOf(row) })),
    );
    return firstRows(candidates, this.#plan.count, this.output);
  }

  groups(): readonly number[] {
    return [...this.#passed.keys()].toSorted((a, b) => a - b);
  }

  /** Format, then the count. */
  encodeGroup(group: number): Uint8Array | null {
    const passed = this.#passed.get(group);
    if (passed === undefined) return null;
    const out = new ByteBuffer();
    putByte(out, FORMAT);
    putVarint(out, passed);
    return out.copy();
  }

  restoreGroup(group: number, bytes: Uint8Array | null): void {
    this.dropGroup(group);
    if (bytes === null) return;
    const reader = new ByteReader().reset(bytes);
    checkFormat(reader, FORMAT);
    this.#passed.set(group, reader.varint());
  }

  dropGroup(group: number): void {
    this.#passed.delete(group);
    this.changed.delete(group);
  }

  figures(): StateFigures {
    return { rows: this.#passed.size, bytes: this.#passed.size * 8, evicted: 0 };
  }
}
