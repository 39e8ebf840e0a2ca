import type { Expr } from '../../core/ast.ts';
import { childrenOf } from '../../core/ast.ts';
import { functionByName } from '../sql/functions.ts';
import { reprOf } from '../sql/repr.ts';
import { nullLiteral, valueToLiteral } from '../sql/literal.ts';
import { readValue } from '../sql/runtime/boxed.ts';
import { failureOf, Runtime } from '../sql/runtime/runtime.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import { FailureLog } from './operator.ts';
import { Project } from './project.ts';

/**
 * Replaces every part of an expression that reads no column and is the same for all records by its value. A part that
 * raises stays as it is: it may stand where no row ever gets to.
 */
export function foldConstants(expr: Expr, zone: TimeZone): Expr {
  if (expr.kind === 'literal' || expr.kind === 'column' || expr.kind === 'variable') return expr;
  if (isConstant(expr)) return evaluate(expr, zone) ?? expr;
  switch (expr.kind) {
    case 'call':
      return { ...expr, args: expr.args.map((arg) => foldConstants(arg, zone)) };
    case 'cast':
    case 'field':
      return { ...expr, input: foldConstants(expr.input, zone) };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map(({ when, then }) => ({
          when: foldConstants(when, zone),
          then: foldConstants(then, zone),
        })),
        otherwise: expr.otherwise === null ? null : foldConstants(expr.otherwise, zone),
      };
    case 'lambda':
      return { ...expr, body: foldConstants(expr.body, zone) };
  }
}

function isConstant(expr: Expr): boolean {
  if (expr.kind === 'column' || expr.kind === 'variable' || expr.kind === 'lambda') return false;
  if (expr.kind === 'call' && functionByName(expr.name)?.perRecord !== false) return false;
  return childrenOf(expr).every(isConstant);
}

/** One row, no columns. */
const emptyRow: ColumnBatch = {
  rowCount: 1,
  columns: [],
  origins: {
    topic: '',
    partition: 0,
    offset: new Float64Array(1),
    timestampMs: new Float64Array(1),
    index: new Int32Array(1),
    record: new Int32Array(1),
  },
};

function evaluate(expr: Expr, zone: TimeZone): Expr | undefined {
  if (reprOf(expr.type) === 'box') return undefined;
  const runtime = new Runtime(zone);
  const failures: RowFailure[] = [];
  try {
    const project = new Project([{ name: '', type: expr.type, nullable: expr.nullable, expr }], runtime);
    const context = { runtime, failures: new FailureLog(failures), epoch: null };
    const batch = project.dense({ batch: emptyRow, selection: null, count: 1 }, context);
    if (failures.length > 0 || batch.columns[0] === undefined) return undefined;
    const value = readValue(runtime, batch.columns[0], 0, expr.type);
    return value === null ? nullLiteral(expr.type) : valueToLiteral(expr.type, value);
  } catch (thrown) {
    if (failureOf(thrown) !== null) return undefined;
    throw thrown;
  }
}
