/** Runs state operators epoch by epoch as a host does, for tests. */
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { RowFailure } from '../column-batch.ts';
import type { EpochEnv } from '../epoch/contract.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { KeyEncoder, keyGroupOf } from '../state/key-encoder.ts';
import { GIVEN, isPast } from './changes.ts';
import { FailureLog } from './operator.ts';
import type { GroupFailure, StateInput, StateOperator } from './state-operator.ts';
import { batchOf, rowsOfBatch } from './test-batch.ts';

export interface Folded {
  readonly rows: BoxedValue[][];
  /** One per row: whether it is withdrawn, or has a new version behind it. */
  readonly deletes: readonly boolean[];
  /** The codes of changes.ts. */
  readonly changes: readonly number[];
  readonly groups: readonly number[];
  readonly failures: readonly RowFailure[];
  readonly groupFailures: readonly GroupFailure[];
}

export interface TestPort {
  readonly schema: Schema;
  /** Columns that make the key group; none = group 0. */
  readonly keys: readonly number[];
}

/** One operator over its epochs. `arrivals[port]` are that port's rows; more than one list = more than one frame. */
export class Epochs {
  readonly #make: () => StateOperator;
  readonly #ports: readonly TestPort[];
  operator: StateOperator;
  #epoch = 0;

  constructor(make: () => StateOperator, ports: readonly TestPort[]) {
    this.#make = make;
    this.#ports = ports;
    this.operator = make();
  }

  run(
    arrivals: readonly (readonly (readonly unknown[])[])[],
    times: { lateUs?: number; evictUs?: number; epochTsUs?: number },
  ): Folded {
    return this.runFrames(
      arrivals.map((rows, port) => ({ port, rows })),
      times,
    );
  }

  runFrames(
    frames: readonly { readonly port: number; readonly rows: readonly (readonly unknown[])[] }[],
    {
      lateUs = -Infinity,
      evictUs = -Infinity,
      epochTsUs = 1_700_000_000_000_000,
    }: { lateUs?: number; evictUs?: number; epochTsUs?: number },
  ): Folded {
    let record = 0;
    const inputs = frames.map(({ port, rows }): StateInput => {
      const { schema, keys } = this.#port(port);
      const batch = batchOf(schema, rows);
      for (let row = 0; row < rows.length; row++) batch.origins.record[row] = record++;
      return { port, batch, groups: groupsOf(schema, keys, batch) };
    });
    const env: EpochEnv = {
      run: 1,
      epoch: this.#epoch++,
      epochTsUs,
      lateUs,
      evictUs,
      writeTimeUs: 0,
    };
    const failures: RowFailure[] = [];
    const output = this.operator.fold(inputs, env, new FailureLog(failures));
    const rows = rowsOfBatch(this.operator.output, output.batch);
    return {
      rows,
      deletes: rows.map((_, row) => isPast(output.changes?.[row] ?? GIVEN)),
      changes: rows.map((_, row) => output.changes?.[row] ?? GIVEN),
      groups: [...output.groups],
      failures,
      groupFailures: output.failures ?? [],
    };
  }

  /** Moves all state into a new operator, as a restart does; in which order the groups come is up to the caller. */
  restart(order: (groups: readonly number[]) => readonly number[] = (groups) => groups): void {
    const former = this.operator;
    this.operator = this.#make();
    for (const group of order(former.groups())) this.operator.restoreGroup(group, former.encodeGroup(group));
  }

  #port(port: number): TestPort {
    const found = this.#ports[port];
    if (found === undefined) throw new Error(`there is no port ${port}`);
    return found;
  }
}

function groupsOf(schema: Schema, keys: readonly number[], batch: StateInput['batch']): Uint8Array {
  const groups = new Uint8Array(batch.rowCount);
  if (keys.length === 0) return groups;
  const types = keys.map((index) => schema[index]!.type);
  const encoder = new KeyEncoder(types).bind(keys.map((index) => batch.columns[index]!));
  const out = new ByteBuffer();
  for (let row = 0; row < batch.rowCount; row++) {
    out.clear();
    encoder.encode(row, out);
    groups[row] = keyGroupOf(out.bytes, 0, out.length);
  }
  return groups;
}
