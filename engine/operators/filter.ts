import type { Expr } from '../../core/ast.ts';
import type { ColumnBatch, RowOrigins } from '../column-batch.ts';
import { Gen } from '../sql/codegen.ts';
import { splitConjuncts } from '../sql/conjuncts.ts';
import { formatExpr } from '../sql/format.ts';
import { generated } from '../sql/generated.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import type { FailureLog, Operator, Rows, RunContext } from './operator.ts';

type FilterLoop = (
  cols: ColumnBatch['columns'],
  selection: Int32Array | null,
  count: number,
  origins: RowOrigins,
  out: Int32Array,
  failures: FailureLog,
) => number;

/**
 * Keeps the rows for which the predicate is true; NULL is not true. Keeps nothing between batches. The result shares
 * the batch and lists the rows that stay; conditions joined by AND are tried from left to right and the first that
 * does not hold ends the row, so a condition may guard those behind it.
 */
export class Filter implements Operator {
  readonly #loop: FilterLoop;

  constructor(predicate: Expr, runtime: Runtime) {
    this.#loop = compileFilter(predicate, runtime);
  }

  apply(rows: Rows, context: RunContext): Rows {
    const { batch } = rows;
    const out = new Int32Array(rows.count);
    const count = this.#loop(batch.columns, rows.selection, rows.count, batch.origins, out, context.failures);
    return count === rows.count ? rows : { batch, selection: out, count };
  }
}

const PLACE_CHARS_MAX = 120;

function compileFilter(predicate: Expr, runtime: Runtime): FilterLoop {
  const gen = new Gen();
  const conditions = splitConjuncts(predicate);
  gen.share(conditions);
  for (const condition of conditions) {
    const val = gen.expr(condition);
    gen.line(`if (!(${gen.isTrue(val)})) continue;`);
  }
  const body = gen.takeLines();
  const place = gen.constant(`WHERE ${formatExpr(predicate)}`.slice(0, PLACE_CHARS_MAX));
  const { constants, columns } = gen.prologue();
  const row = `${body}\nout[kept++] = r;`;
  const source = `'use strict';
${constants}
return function (cols, sel, n, origins, out, failures) {
${columns}
let kept = 0;
for (let i = 0; i < n; i++) {
const r = sel === null ? i : sel[i];
${gen.canFail ? `try {\n${row}\n} catch (thrown) { failures.caught(thrown, origins, r, ${place}); }` : row}
}
return kept;
};`;
  return generated(source, gen.constants, runtime) as FilterLoop;
}
