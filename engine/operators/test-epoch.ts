/** Runs one operator as a stage of an epoch does, for tests. */
import type { Expr } from '../../core/ast.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import type { OperatorId } from '../plan/logical-plan.ts';
import type { BoxedValue } from '../sql/runtime/boxed.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { utc } from '../sql/runtime/time.ts';
import { dropFailed, type EpochScope, FailureLog, type Operator, type Rows, type StaticRows } from './operator.ts';
import type { PartialAggregate } from './partial-aggregate.ts';
import { batchOf, rowsOfBatch } from './test-batch.ts';
import { gather, gatherOrigins } from './gather.ts';

export interface Ran {
  readonly rows: BoxedValue[][];
  readonly batch: ColumnBatch;
  readonly failures: readonly RowFailure[];
}

export function scopeOf(
  facts: Partial<Pick<EpochScope, 'lateUs' | 'evictUs' | 'statics'>> & { readonly watermarks?: number } = {},
): EpochScope {
  return {
    lateUs: facts.lateUs ?? -Infinity,
    evictUs: facts.evictUs ?? -Infinity,
    eventTimes: new Float64Array(facts.watermarks ?? 1).fill(-Infinity),
    late: new Map<OperatorId, number>(),
    lateRecords: null,
    statics: facts.statics ?? new Map<string, StaticRows>(),
  };
}

/** `selected`: the input's rows that are on their way; absent = all. */
export function runOperator(
  make: (runtime: Runtime) => Operator,
  schemas: { readonly input: Schema; readonly output: Schema },
  input: readonly (readonly unknown[])[],
  epoch: EpochScope | null,
  selected?: readonly number[],
): Ran {
  const runtime = new Runtime(utc);
  const operator = make(runtime);
  const batch = batchOf(schemas.input, input);
  runtime.reset(batch.origins);
  const rows: Rows =
    selected === undefined
      ? { batch, selection: null, count: batch.rowCount }
      : { batch, selection: Int32Array.from(selected), count: selected.length };
  const failures: RowFailure[] = [];
  const log = new FailureLog(failures);
  const out = dropFailed(operator.apply(rows, { runtime, failures: log, epoch }), log);
  const dense = denseOf(out);
  return { rows: rowsOfBatch(schemas.output, dense), batch: dense, failures };
}

/** A partial aggregate over one batch, as an operator: what fails is left out as a stage does it. */
export function overOneBatch(partial: PartialAggregate): Operator {
  return {
    apply(rows, { failures }) {
      for (let left = rows; ; left = dropFailed(rows, failures)) {
        const { size } = failures;
        partial.begin();
        partial.add(left, failures);
        if (failures.size > size) continue;
        const batch = partial.finish();
        const record = new Int32Array(batch.rowCount).fill(-1);
        return { batch: { ...batch, origins: { ...batch.origins, record } }, selection: null, count: batch.rowCount };
      }
    },
  };
}

function denseOf({ batch, selection, count }: Rows): ColumnBatch {
  if (selection === null) return batch;
  return {
    rowCount: count,
    columns: batch.columns.map((column) => gather(column, selection, count)),
    origins: gatherOrigins(batch.origins, selection, count),
  };
}

export function column(schema: Schema, index: number): Expr {
  const field = schema[index];
  if (field === undefined) throw new Error(`column ${index} is not in the schema`);
  return { kind: 'column', type: field.type, nullable: field.nullable, index, name: field.name };
}

export function call(name: string, type: DataType, ...args: Expr[]): Expr {
  return { kind: 'call', name, type, nullable: args.some((arg) => arg.nullable), args };
}
