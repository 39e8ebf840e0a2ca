/** Flows: the rows of a query's node as chains of operators that begin at sources and behind state stages. */
import type { Schema } from '../../core/types.ts';
import { pick, placeOf, range, referTo } from './columns.ts';
import type { TopPlan } from './epoch-plan.ts';
import type { EventTimeColumn, OperatorId } from './logical-plan.ts';
import type { ProjectedColumn, StageOperator } from './stage-plan.ts';

/** Where rows come from, and what happens to them since. */
export interface Flow {
  readonly origin:
    | { readonly kind: 'source'; readonly source: string; readonly columns: readonly number[] }
    | { readonly kind: 'state'; readonly stage: number };
  readonly operators: readonly StageOperator[];
}

/** The rows of a node of the query: several flows under UNION ALL, all with the same columns. */
export interface Rows {
  readonly flows: readonly Flow[];
  /** For each column the index it has in the output of the logical node. */
  readonly kept: readonly number[];
  readonly output: Schema;
  /** Columns that hold event time, as Spark marks them: they tell which rows are late for joins and deduplication. */
  readonly times: readonly EventTimeColumn[];
}

/** Rows on their way into a state stage. */
export interface StageInput extends Rows {
  readonly keyCount: number;
  /** Columns of the key where they are not the first ones. */
  readonly keys?: readonly number[];
  /** What became of each row comes with it. */
  readonly changes?: boolean;
  /** The first rows of each key are enough. */
  readonly top?: TopPlan;
}

/** With an operator behind every flow; its columns are for the caller to say. */
export function withOperator(rows: Rows, operator: StageOperator): Rows {
  return { ...rows, flows: rows.flows.map((flow) => ({ ...flow, operators: [...flow.operators, operator] })) };
}

/** With an operator behind that keeps or appends columns; their fields are those of the logical node. */
export function added(rows: Rows, operator: StageOperator, output: Schema, kept: readonly number[] = rows.kept): Rows {
  return { ...withOperator(rows, operator), output: pick(output, kept) };
}

/** With a projection behind; event time is for the caller to say. */
export function projected(rows: Rows, columns: readonly ProjectedColumn[]): Rows {
  const output = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return { ...withOperator(rows, { kind: 'project', columns }), output, kept: range(columns.length) };
}

/** Exactly the columns `wanted` (indexes of the logical node), in this order. */
export function narrowed(rows: Rows, wanted: readonly number[]): Rows {
  if (wanted.length === rows.kept.length && wanted.every((column, index) => rows.kept[index] === column)) return rows;
  const places = wanted.map((column) => placeOf(rows.kept, column));
  const times = rows.times.flatMap((time): EventTimeColumn[] => {
    const column = places.indexOf(time.column);
    return column < 0 ? [] : [{ ...time, column }];
  });
  const columns = places.map((place) => referTo(rows.output, place));
  return { ...projected(rows, columns), kept: wanted, times };
}

/** With the operator behind that counts rows which come too late and leaves them out. */
export function late(rows: Rows, operatorId: OperatorId, time: EventTimeColumn, watermarkLagUs: number): Rows {
  const { column, kind } = time;
  return withOperator(rows, { kind: 'late', operatorId, rule: kind, column, gap: -1, watermarkLagUs });
}
