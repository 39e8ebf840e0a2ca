/** What names mean: the columns that rows have at one point of a query. */
import type { Expr, Identifier, LambdaParam, SqlExpr } from '../../../core/ast.ts';
import type { Field, Schema } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import type { EventTime } from './event-time.ts';

/** A column by the name that a query may call it. */
export interface ScopeColumn extends Field {
  readonly qualifier: string | null;
  readonly hidden: boolean;
  /** Place in the output of the plan. */
  readonly index: number;
}

/** Rows at one point of a query: how they come about, and what their columns are called. */
export interface Rows {
  readonly plan: LogicalPlan;
  /** In the order of `*`, which need not be the plan's. */
  readonly columns: readonly ScopeColumn[];
  /** By the index of the plan's output. */
  readonly times: readonly (EventTime | null)[];
  /** False for static tables. */
  readonly streaming: boolean;
  /** µs by which the watermark of these rows lies below the job's. */
  readonly lagUs: number;
}

export type CallNode = Extract<SqlExpr, { kind: 'call' }>;

/** Calls that are no functions of values (aggregates, windows, OVER): undefined = a mistake was said, null = not one of them. */
export type CallHandler = (call: CallNode, name: string, scope: Scope) => Expr | undefined | null;

/** What names mean while one expression is looked at. */
export interface Scope {
  readonly columns: readonly ScopeColumn[];
  /** Columns of the same select list that stand further left; only names that are no column look here. */
  readonly aliases: ReadonlyMap<string, Expr>;
  readonly lambdas: ReadonlyMap<string, LambdaParam>;
  readonly calls: CallHandler | null;
}

const NO_ALIASES: ReadonlyMap<string, Expr> = new Map();
const NO_LAMBDAS: ReadonlyMap<string, LambdaParam> = new Map();

export function scopeOf(
  columns: readonly ScopeColumn[],
  calls: CallHandler | null = null,
  aliases: ReadonlyMap<string, Expr> = NO_ALIASES,
): Scope {
  return { columns, aliases, lambdas: NO_LAMBDAS, calls };
}

export function requalified(rows: Rows, qualifier: string | null): Rows {
  return { ...rows, columns: rows.columns.map((column) => ({ ...column, qualifier })) };
}

/** Columns of a plan's output under their own names. */
export function plainColumns(output: Schema, qualifier: string | null = null): readonly ScopeColumn[] {
  return output.map(({ name, type, nullable }, index) => ({ name, type, nullable, qualifier, hidden: false, index }));
}

export function columnExpr(field: Field, index: number): Extract<Expr, { kind: 'column' }> {
  return { kind: 'column', type: field.type, nullable: field.nullable, index, name: field.name };
}

export function columnOf(column: ScopeColumn): ProjectedColumn {
  const { name, type, nullable, index } = column;
  return { name, type, nullable, expr: columnExpr(column, index) };
}

export function fieldOf(input: Expr, index: number): Expr {
  const field = input.type.kind === 'struct' ? input.type.fields[index] : undefined;
  if (field === undefined) throw new TypeError(`no field ${index} in ${formatType(input.type)}`);
  return { kind: 'field', type: field.type, nullable: input.nullable || field.nullable, input, index };
}

export function findColumns(
  columns: readonly ScopeColumn[],
  name: string,
  qualifier: string | null,
): readonly ScopeColumn[] {
  const wanted = name.toLowerCase();
  const of = qualifier?.toLowerCase() ?? null;
  const found = columns.filter(
    (column) => column.name.toLowerCase() === wanted && (of === null || column.qualifier?.toLowerCase() === of),
  );
  // A record's own columns step back where the schema has one of that name.
  const shown = found.filter(({ hidden }) => !hidden);
  return shown.length > 0 ? shown : found;
}

/** The name as an expression. */
export function asSqlName(name: Identifier): SqlExpr {
  return { kind: 'name', parts: [name], offset: name.offset, length: name.length };
}
