import type { Expr } from '../../core/ast.ts';
import { moved } from './columns.ts';
import type { AggregatePlan } from './epoch-plan.ts';
import type { AggregateCall, SortKey } from './logical-plan.ts';
import type { ProjectedColumn } from './stage-plan.ts';

/** Columns of a projection that grows by the expressions that are asked for; equal ones share a column. */
export class SentColumns {
  readonly columns: ProjectedColumn[];
  readonly #kept: readonly number[];
  readonly #places = new Map<string, number>();

  /** `kept`: the columns of the input that are left, by their places in the node's input, over which all expressions are. */
  constructor(kept: readonly number[], first: readonly ProjectedColumn[]) {
    this.#kept = kept;
    this.columns = first.map((column) => ({ ...column, expr: moved(column.expr, kept) }));
    for (const [index, { expr }] of this.columns.entries()) {
      const text = JSON.stringify(expr);
      if (!this.#places.has(text)) this.#places.set(text, index);
    }
  }

  /** Where the expression is computed. */
  place(argument: Expr): number {
    const expr = moved(argument, this.#kept);
    const text = JSON.stringify(expr);
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const place = this.columns.length;
    const name = expr.kind === 'column' ? expr.name : `argument${place + 1}`;
    this.columns.push({ name, type: expr.type, nullable: expr.nullable, expr });
    this.#places.set(text, place);
    return place;
  }

  /** The aggregate over the columns that compute its arguments and filter. */
  call(call: AggregateCall): AggregatePlan {
    const { name, type, nullable, distinct } = call;
    return {
      function: call.function,
      distinct,
      inputs: call.args.map((arg) => this.place(arg)),
      inputTypes: call.args.map((arg) => arg.type),
      filter: call.filter === null ? -1 : this.place(call.filter),
      name,
      type,
      nullable,
    };
  }

  /** The order by the columns that compute its expressions. */
  sortKeys(by: readonly SortKey[]): { column: number; descending: boolean; nullsFirst: boolean }[] {
    return by.map(({ expr, descending, nullsFirst }) => ({ column: this.place(expr), descending, nullsFirst }));
  }
}
