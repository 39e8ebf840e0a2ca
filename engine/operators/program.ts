import { must } from '../../core/assert.ts';
import { collectColumns } from '../../core/ast.ts';
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import type { StageOperator, StagePlan } from '../plan/stage-plan.ts';
import { Runtime } from '../sql/runtime/runtime.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import { foldConstants } from './fold-constants.ts';
import { Filter } from './filter.ts';
import { gather, gatherOrigins } from './gather.ts';
import { Generate } from './generate.ts';
import { AssignWindows } from './assign-windows.ts';
import { Late } from './late.ts';
import { dropFailed, type EpochScope, FailureLog, type Operator, type Rows } from './operator.ts';
import { LookupJoin } from './lookup-join.ts';
import { Project } from './project.ts';
import { StaticJoin } from './static-join.ts';
import { Watermark } from './watermark.ts';

/** The operators of a stage, compiled. Not reentrant: one per thread and stage. */
export interface Program {
  readonly output: Schema;
  /**
   * Runs the operators over a batch whose columns are the plan's `columns`. The result has the columns of `output`; it
   * may share memory with the input and with the program, and is valid until the next run. Records that fail are
   * appended to `failures`, each once, and have no rows in the result. `epoch`: what operators of epochs need; null in
   * lanes.
   */
  run(input: ColumnBatch, failures: RowFailure[], epoch?: EpochScope | null): ColumnBatch;
  /** As {@link run}, but rows that stay may be listed instead of gathered. */
  runRows(input: ColumnBatch, failures: RowFailure[], epoch?: EpochScope | null): Rows;
}

/** What compiling needs of a plan. */
export type ProgramPlan = Pick<StagePlan, 'columns' | 'operators' | 'output' | 'timeZone'>;

/**
 * Compiles the operators of a stage, or those of them in `[from, to)`: what goes in and comes out is then what stands
 * between the plan's operators there. Costs well under a millisecond per operator.
 */
export function compileProgram(plan: ProgramPlan, from = 0, to: number = plan.operators.length): Program {
  const zone = must(timeZoneOf(plan.timeZone), () => `the plan names the unknown time zone ${plan.timeZone}`);
  const runtime = new Runtime(zone);
  const operators = compileOperators(plan, runtime, from, to);
  const runRows = (input: ColumnBatch, failures: RowFailure[], epoch: EpochScope | null = null): Rows => {
    runtime.reset(input.origins);
    const log = new FailureLog(failures);
    let rows: Rows = { batch: input, selection: null, count: input.rowCount };
    for (const operator of operators) {
      const failed = log.size;
      runtime.origins = rows.batch.origins;
      rows = operator.apply(rows, { runtime, failures: log, epoch });
      if (log.size > failed) rows = dropFailed(rows, log);
    }
    return rows;
  };
  return {
    output: plan.output,
    runRows,
    run: (input, failures, epoch) => dense(runRows(input, failures, epoch)),
  };
}

function compileOperators(plan: ProgramPlan, runtime: Runtime, from: number, to: number): readonly Operator[] {
  return plan.operators.slice(from, to).map((operator, at) => {
    const index = from + at;
    switch (operator.kind) {
      case 'filter':
        return new Filter(foldConstants(operator.predicate, runtime.zone), runtime);
      case 'project':
        return new Project(
          operator.columns.map((column) => ({ ...column, expr: foldConstants(column.expr, runtime.zone) })),
          runtime,
        );
      case 'generate':
        return new Generate(operator, columnsReadFrom(plan.operators, index + 1, plan.output.length), runtime);
      case 'watermark':
        return new Watermark(operator, runtime);
      case 'assignWindow':
        return new AssignWindows({ ...operator, on: foldConstants(operator.on, runtime.zone) }, runtime);
      case 'late':
        return new Late(operator, runtime);
      case 'staticJoin':
        return operator.lookup === true ? new LookupJoin(operator, runtime) : new StaticJoin(operator, runtime);
      case 'partialAggregate':
        // It goes over more than one batch: see BranchRunner.
        throw new TypeError('a partial aggregate is no part of a program');
    }
  });
}

/** Columns of operator `first`'s input that it or an operator behind it reads. */
function columnsReadFrom(operators: readonly StageOperator[], first: number, outputCount: number): ReadonlySet<number> {
  const read = new Set<number>();
  for (let index = first; index < operators.length; index++) {
    const operator = operators[index] as StageOperator;
    switch (operator.kind) {
      case 'filter':
        collectColumns(operator.predicate, read);
        break;
      case 'generate':
        collectColumns(operator.input, read);
        break;
      case 'assignWindow':
        collectColumns(operator.on, read);
        break;
      case 'watermark':
        read.add(operator.column);
        break;
      case 'late':
        read.add(operator.column).add(operator.gap);
        break;
      case 'staticJoin':
        for (const { left } of operator.equi) collectColumns(left, read);
        if (operator.residual !== null) collectColumns(operator.residual, read);
        break;
      case 'project':
        for (const column of operator.columns) collectColumns(column.expr, read);
        return read;
      case 'partialAggregate':
        for (let key = 0; key < operator.keyCount; key++) read.add(key);
        for (const { inputs, filter } of operator.aggregates)
          for (const column of [...inputs, filter]) read.add(column);
        return read;
    }
  }
  for (let column = 0; column < outputCount; column++) read.add(column);
  return read;
}

function dense({ batch, selection, count }: Rows): ColumnBatch {
  if (selection === null) return batch;
  return {
    rowCount: count,
    columns: batch.columns.map((column) => gather(column, selection, count)),
    origins: gatherOrigins(batch.origins, selection, count),
  };
}
