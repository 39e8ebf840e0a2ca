/** Logical plans built by hand, for tests of what is made of them. */
import type { Expr } from '../../core/ast.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import type { AggregateCall, LogicalPlan } from './logical-plan.ts';
import { windowFields } from './logical-plan.ts';
import type { ProjectedColumn } from './stage-plan.ts';

const span = { offset: 0, length: 1 };

export const bigint: DataType = { kind: 'bigint' };
export const string: DataType = { kind: 'string' };
export const timestamp: DataType = { kind: 'timestamp' };
export const windowType: DataType = { kind: 'struct', fields: windowFields };

export function field(name: string, type: DataType, nullable = true): Field {
  return { name, type, nullable };
}

/** The node's output column of that name. */
export function column(schema: Schema, name: string): Extract<Expr, { kind: 'column' }> {
  const index = schema.findIndex((each) => each.name === name);
  const found = schema[index];
  if (found === undefined) throw new Error(`there is no column ${name}`);
  return { kind: 'column', type: found.type, nullable: found.nullable, index, name };
}

export function as(name: string, expr: Expr): ProjectedColumn {
  return { name, type: expr.type, nullable: expr.nullable, expr };
}

export function call(name: string, type: DataType, ...args: readonly Expr[]): Expr {
  return { kind: 'call', name, type, nullable: true, args };
}

export function bigintLiteral(value: number): Expr {
  return { kind: 'literal', type: bigint, nullable: false, value: String(value) };
}

export function fieldOf(input: Expr, name: string): Expr {
  if (input.type.kind !== 'struct') throw new Error('only a struct has fields');
  const index = input.type.fields.findIndex((each) => each.name === name);
  const found = input.type.fields[index] as Field;
  return { kind: 'field', type: found.type, nullable: input.nullable || found.nullable, input, index };
}

export function source(name: string, output: Schema): LogicalPlan {
  return { kind: 'source', source: name, output, span };
}

export function filter(input: LogicalPlan, predicate: Expr): LogicalPlan {
  return { kind: 'filter', input, predicate, output: input.output, span };
}

export function project(input: LogicalPlan, ...columns: readonly ProjectedColumn[]): LogicalPlan {
  const output = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return { kind: 'project', input, columns, output, span };
}

export function watermark(input: LogicalPlan, name: string, delayUs: number): LogicalPlan {
  return { kind: 'watermark', input, column: column(input.output, name).index, delayUs, output: input.output, span };
}

export function assignWindow(input: LogicalPlan, on: string, sizeUs: number, slideUs = sizeUs): LogicalPlan {
  return {
    kind: 'assignWindow',
    input,
    on: column(input.output, on),
    sizeUs,
    slideUs,
    startUs: 0,
    output: [...input.output, field('window', windowType, false)],
    span,
  };
}

export function count(name: string): AggregateCall {
  return { function: 'count', args: [], distinct: false, filter: null, name, type: bigint, nullable: false };
}

export function sum(name: string, arg: Expr): AggregateCall {
  return { function: 'sum', args: [arg], distinct: false, filter: null, name, type: bigint, nullable: true };
}

/** Groups by columns of the input; a window or timestamp among them named in `time` is event time. */
export function aggregate(
  input: LogicalPlan,
  by: readonly string[],
  aggregates: readonly AggregateCall[],
  { time, id = 'aggregate-1', lagUs = 0 }: { time?: string; id?: string; lagUs?: number } = {},
): LogicalPlan {
  const keys = by.map((name) => as(name, column(input.output, name)));
  const place = by.indexOf(time ?? '');
  const eventTime =
    place < 0 ? null : ({ column: place, kind: keys[place]?.type.kind === 'struct' ? 'window' : 'timestamp' } as const);
  const output = [
    ...keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ...aggregates.map(({ name, type, nullable }) => ({ name, type, nullable })),
  ];
  return {
    kind: 'aggregate',
    id,
    watermarkLagUs: lagUs,
    input,
    keys,
    aggregates,
    session: null,
    eventTime,
    output,
    span,
  };
}

export function sessions(
  input: LogicalPlan,
  by: readonly string[],
  on: string,
  gapUs: Expr,
  aggregates: readonly AggregateCall[],
): LogicalPlan {
  const keys = by.map((name) => as(name, column(input.output, name)));
  const output = [
    ...keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
    field('session_window', windowType, false),
    ...aggregates.map(({ name, type, nullable }) => ({ name, type, nullable })),
  ];
  return {
    kind: 'aggregate',
    id: 'aggregate-1',
    watermarkLagUs: 0,
    input,
    keys,
    aggregates,
    session: { on: column(input.output, on), gapUs },
    eventTime: { column: keys.length, kind: 'window' },
    output,
    span,
  };
}

export function dedup(
  input: LogicalPlan,
  keys: readonly string[],
  changes: Partial<Extract<LogicalPlan, { kind: 'dedup' }>> = {},
): LogicalPlan {
  return {
    kind: 'dedup',
    id: 'dedup-1',
    watermarkLagUs: 0,
    input,
    keys: keys.map((name) => column(input.output, name).index),
    withinWatermark: null,
    eventTime: null,
    output: input.output,
    span,
    ...changes,
  };
}

export function union(...inputs: readonly LogicalPlan[]): LogicalPlan {
  return { kind: 'union', inputs, output: inputs[0]?.output ?? [], span };
}
