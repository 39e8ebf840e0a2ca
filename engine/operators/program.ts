import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
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
import { dropFailed, FailureLog, type Operator, type Rows } from './operator.ts';
import { Project } from './project.ts';

/** The operators of a stage, compiled. Not reentrant: one per thread and stage. */
export interface Program {
  readonly output: Schema;
  /**
   * Runs the operators over a batch whose columns are the plan's `columns`. The result has the columns of `output`; it
   * may share memory with the input and with the program, and is valid until the next run. Records that fail are
   * appended to `failures`, each once, and have no rows in the result.
   */
  run(input: ColumnBatch, failures: RowFailure[]): ColumnBatch;
}

/** What compiling needs of a plan. */
export type ProgramPlan = Pick<StagePlan, 'columns' | 'operators' | 'output' | 'timeZone'>;

/** Compiles the operators of a stage. Costs well under a millisecond per operator. */
export function compileProgram(plan: ProgramPlan): Program {
  const zone = must(timeZoneOf(plan.timeZone), () => `the plan names the unknown time zone ${plan.timeZone}`);
  const runtime = new Runtime(zone);
  const operators = compileOperators(plan, runtime);
  return {
    output: plan.output,
    run(input, failures) {
      runtime.reset(input.origins);
      const log = new FailureLog(failures);
      let rows: Rows = { batch: input, selection: null, count: input.rowCount };
      for (const operator of operators) {
        const failed = log.size;
        runtime.origins = rows.batch.origins;
        rows = operator.apply(rows, { runtime, failures: log });
        if (log.size > failed) rows = dropFailed(rows, log);
      }
      return dense(rows);
    },
  };
}

function compileOperators(plan: ProgramPlan, runtime: Runtime): readonly Operator[] {
  return plan.operators.map((operator, index) => {
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
      default:
        throw new WeirError('UNSUPPORTED', `the operator ${operator.kind} belongs to jobs that run as epochs`);
    }
  });
}

/** Columns of operator `first`'s input that it or an operator behind it reads. */
function columnsReadFrom(operators: readonly StageOperator[], first: number, outputCount: number): ReadonlySet<number> {
  const read = new Set<number>();
  for (let index = first; index < operators.length; index++) {
    const operator = operators[index] as StageOperator;
    if (operator.kind === 'filter') collectColumns(operator.predicate, read);
    if (operator.kind === 'generate') collectColumns(operator.input, read);
    if (operator.kind === 'project') {
      for (const column of operator.columns) collectColumns(column.expr, read);
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
