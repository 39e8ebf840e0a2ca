/** Checks that a plan fits together, for tests: every column that an expression reads is there, of the type it says. */
import assert from 'node:assert/strict';
import { childrenOf, type Expr } from '../../../core/ast.ts';
import type { Schema } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import { inputsOf, nodesOf } from './tree.ts';

/** Throws where a node reads what its inputs do not give, or gives what it says it does not. */
export function assertValidPlan(root: LogicalPlan): void {
  for (const node of nodesOf(root)) assertValidNode(node);
}

function assertValidNode(node: LogicalPlan): void {
  const input: Schema = inputsOf(node).flatMap((below) => below.output);
  const reads = (expr: Expr, columns: Schema = input): void => assertReads(expr, columns, node.kind);
  const gives = (columns: Schema): void => assertSame(node.output, columns, node.kind);
  switch (node.kind) {
    case 'source':
    case 'static':
      return;
    case 'filter':
      reads(node.predicate);
      return gives(input);
    case 'project':
      for (const { expr } of node.columns) reads(expr);
      return gives(node.columns);
    case 'generate':
      reads(node.expr);
      return gives([...input, ...node.generated]);
    case 'assignWindow':
      reads(node.on);
      assert.equal(node.output.length, input.length + 1);
      return gives([...input, ...node.output.slice(input.length)]);
    case 'watermark':
      assert.equal(input[node.column]?.type.kind, 'timestamp');
      return gives(input);
    case 'aggregate': {
      for (const { expr } of node.keys) reads(expr);
      for (const call of node.aggregates)
        for (const expr of [...call.args, ...(call.filter === null ? [] : [call.filter])]) reads(expr);
      if (node.session !== null) for (const expr of [node.session.on, node.session.gapUs]) reads(expr);
      const session = node.session === null ? [] : node.output.slice(node.keys.length, node.keys.length + 1);
      assertTime(node.eventTime, node.output);
      return gives([...node.keys, ...session, ...node.aggregates]);
    }
    case 'dedup':
      for (const key of node.keys) assert.ok(input[key] !== undefined);
      assertTime(node.eventTime, input);
      assert.ok(node.eventTime === null || node.keys.includes(node.eventTime.column));
      return gives(input);
    case 'join':
    case 'staticJoin': {
      const [left, right] = inputsOf(node) as [LogicalPlan, LogicalPlan];
      for (const key of node.equi) {
        reads(key.left, left.output);
        reads(key.right);
        assert.equal(formatType(key.left.type), formatType(key.right.type));
      }
      if (node.residual !== null) reads(node.residual);
      if (node.kind === 'join') {
        assert.ok(node.equi.length > 0);
        assertTime(node.leftTime, left.output);
        assertTime(node.rightTime, right.output);
      }
      return gives(node.type === 'semi' || node.type === 'anti' ? left.output : input);
    }
    case 'union':
      for (const below of node.inputs) gives(below.output);
      return;
    case 'limit':
      return gives(input);
    case 'sort':
      for (const { expr } of node.by) reads(expr);
      return gives(input);
    case 'rank':
      for (const expr of [...node.keys, ...node.by.map((key) => key.expr), ...node.calls.flatMap((call) => call.args)])
        reads(expr);
      assertTime(node.eventTime, input);
      return gives([...input, ...node.calls]);
    case 'user':
      for (const key of node.keys) assert.ok(input[key] !== undefined);
      assertTime(node.eventTime, input);
      return;
  }
}

function assertReads(expr: Expr, columns: Schema, where: string): void {
  if (expr.kind === 'column') {
    const column = columns[expr.index];
    assert.ok(column !== undefined, `${where} reads column ${expr.index} of ${columns.length}: ${expr.name}`);
    assert.equal(formatType(expr.type), formatType(column.type), `${where} reads ${expr.name}`);
  }
  for (const child of childrenOf(expr)) assertReads(child, columns, where);
}

/** Same types in the same order; whether NULL may be there is up to the node. */
function assertSame(output: Schema, columns: Schema, where: string): void {
  const types = (of: Schema): string[] => of.map(({ type }) => formatType(type));
  assert.deepEqual(types(output), types(columns), `${where} gives what it says`);
}

function assertTime(time: { readonly column: number; readonly kind: string } | null, columns: Schema): void {
  if (time === null) return;
  const kind = columns[time.column]?.type.kind;
  assert.equal(kind, time.kind === 'window' ? 'struct' : 'timestamp');
}
