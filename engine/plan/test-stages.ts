/** For tests: every column that a stage's operators, keys and state name is there and of the type they say. */
import assert from 'node:assert/strict';
import { childrenOf, type Expr } from '../../core/ast.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { changeField } from '../operators/changes.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import type { AggregatePlan, Branch, EpochsPlan, StateStage } from './epoch-plan.ts';
import { windowFields } from './logical-plan.ts';
import type { StageOperator } from './stage-plan.ts';

/** Throws an assertion error where a plan does not hold together. */
export function checkStages(plan: EpochsPlan): void {
  const reached = new Set<number>();
  for (const [index, stage] of plan.stages.entries()) {
    const branches = stage.kind === 'map' ? stage.branches : [stage.branch];
    const input: Schema =
      stage.kind === 'map'
        ? stage.scan.columns.map(({ name, type }) => ({ name, type, nullable: true }))
        : resultOf(stage);
    assert.ok(branches.length > 0, `stage ${index} has no branch`);
    if (stage.kind === 'state') assert.ok(reached.has(index), `nothing reaches stage ${index}`);
    for (const branch of branches) {
      sameTypes(through(branch.operators, input, plan), branch.output, `output of stage ${index}`);
      checkTarget(branch, index, plan, reached);
    }
  }
}

function checkTarget({ target, output }: Branch, index: number, plan: EpochsPlan, reached: Set<number>): void {
  if (target.kind === 'sink') return;
  assert.ok(target.stage > index, `stage ${index} sends its rows back`);
  const next = plan.stages[target.stage];
  assert.ok(next?.kind === 'state');
  const wanted = next.inputs[target.port];
  assert.ok(wanted !== undefined, `stage ${target.stage} has no port ${target.port}`);
  sameTypes(output, withoutChanges(wanted, target.changes), `port ${target.port} of stage ${target.stage}`);
  for (const key of target.keys) fieldAt(output, key);
  reached.add(target.stage);
}

function sameTypes(actual: Schema, expected: Schema, what: string): void {
  assert.deepEqual(
    actual.map(({ type }) => formatType(type)),
    expected.map(({ type }) => formatType(type)),
    what,
  );
}

function fieldAt(schema: Schema, column: number, type?: DataType): Field {
  const field = schema[column];
  assert.ok(field !== undefined, `there is no column ${column} of ${schema.length}`);
  if (type !== undefined) assert.equal(formatType(field.type), formatType(type), `type of ${field.name}`);
  return field;
}

function checkExpr(expr: Expr, schema: Schema): void {
  if (expr.kind === 'column') fieldAt(schema, expr.index, expr.type);
  for (const child of childrenOf(expr)) checkExpr(child, schema);
}

function checkCalls(aggregates: readonly AggregatePlan[], input: Schema): void {
  for (const { inputs, inputTypes, filter } of aggregates) {
    for (const [place, column] of inputs.entries()) fieldAt(input, column, inputTypes[place]);
    if (filter >= 0) fieldAt(input, filter, { kind: 'boolean' });
  }
}

const windowType: DataType = { kind: 'struct', fields: windowFields };

function through(operators: readonly StageOperator[], input: Schema, plan: EpochsPlan): Schema {
  let schema = input;
  for (const operator of operators) {
    switch (operator.kind) {
      case 'filter':
        checkExpr(operator.predicate, schema);
        break;
      case 'project':
        for (const { expr, type } of operator.columns) {
          checkExpr(expr, schema);
          assert.equal(formatType(expr.type), formatType(type));
        }
        schema = operator.columns;
        break;
      case 'generate':
        checkExpr(operator.input, schema);
        schema = [...schema, ...operator.output];
        break;
      case 'watermark':
        fieldAt(schema, operator.column, { kind: 'timestamp' });
        assert.ok(plan.watermarks[operator.watermark] !== undefined);
        break;
      case 'assignWindow':
        checkExpr(operator.on, schema);
        schema = [...schema, { name: 'window', type: windowType, nullable: false }];
        break;
      case 'late':
        fieldAt(schema, operator.column, operator.rule === 'window' ? windowType : { kind: 'timestamp' });
        if (operator.rule === 'session') fieldAt(schema, operator.gap, { kind: 'bigint' });
        break;
      case 'partialAggregate':
        checkCalls(operator.aggregates, schema);
        schema = [...schema.slice(0, operator.keyCount), ...bufferSchemaOf(operator.aggregates)];
        break;
      case 'staticJoin': {
        const table = plan.statics.find(({ name }) => name === operator.table);
        assert.ok(table !== undefined);
        const both = [...schema, ...table.schema];
        for (const { left, right } of operator.equi) {
          checkExpr(left, schema);
          checkExpr(right, table.schema);
        }
        if (operator.residual !== null) checkExpr(operator.residual, both);
        schema = operator.type === 'semi' || operator.type === 'anti' ? schema : both;
        sameTypes(operator.output, schema, 'output of a static join');
        break;
      }
    }
  }
  return schema;
}

/** What arrives without the column that says what became of each row. */
function withoutChanges(arriving: Schema, hasChanges: boolean | undefined): Schema {
  if (hasChanges !== true) return arriving;
  sameTypes(arriving.slice(-1), [changeField], 'what became of rows');
  return arriving.slice(0, -1);
}

/** What a stage's operator gives, by its state. */
function resultOf({ state, inputs }: StateStage): Schema {
  const [first = [], second = []] = inputs;
  const named = ({ name, type, nullable }: AggregatePlan): Field => ({ name, type, nullable });
  switch (state.kind) {
    case 'aggregate':
      sameTypes(withoutChanges(first, state.signed).slice(state.keyCount), bufferSchemaOf(state.aggregates), 'buffers');
      if (state.eventTime !== null) assert.ok(state.eventTime.column < state.keyCount);
      return [
        ...first.slice(0, state.keyCount),
        ...state.aggregates.slice(0, state.signed === true ? -1 : undefined).map(named),
      ];
    case 'session':
      fieldAt(first, state.keyCount, { kind: 'timestamp' });
      fieldAt(first, state.keyCount + 1, { kind: 'bigint' });
      checkCalls(state.aggregates, first);
      return [
        ...first.slice(0, state.keyCount),
        { name: 'session_window', type: windowType, nullable: false },
        ...state.aggregates.map(named),
      ];
    case 'join': {
      sameTypes(first.slice(0, state.keyCount), second.slice(0, state.keyCount), 'keys of a join');
      const [left, right] = [first.slice(state.keyCount), second.slice(state.keyCount)];
      if (state.residual !== null) checkExpr(state.residual, [...left, ...right]);
      if (state.leftTime !== null) fieldAt(left, state.leftTime.column);
      if (state.rightTime !== null) fieldAt(right, state.rightTime.column);
      if (state.bounds !== null) {
        fieldAt(left, state.bounds.left, { kind: 'timestamp' });
        fieldAt(right, state.bounds.right, { kind: 'timestamp' });
      }
      return state.type === 'semi' || state.type === 'anti' ? left : [...left, ...right];
    }
    case 'dedup':
      for (const key of state.keys) fieldAt(first, key);
      if (state.withinWatermark !== null) fieldAt(first, state.withinWatermark.column, { kind: 'timestamp' });
      if (state.eventTime !== null) fieldAt(first, state.eventTime.column);
      return first;
    case 'limit':
      return withoutChanges(first, state.changes);
    case 'sort':
      for (const { column } of state.by) fieldAt(first, column);
      return withoutChanges(first, state.changes);
    case 'rank':
      for (const { column } of state.by) fieldAt(first, column);
      for (const call of state.calls) {
        if (call.column >= 0) fieldAt(first, call.column, call.type);
        if (call.default >= 0) fieldAt(first, call.default, call.type);
      }
      if (state.eventTime !== null) assert.ok(state.eventTime.column < state.keyCount);
      return [...first.slice(state.keyCount), ...state.calls.map(({ name, type }) => ({ name, type, nullable: true }))];
    case 'user':
      for (const key of state.keys) fieldAt(first, key);
      if (state.eventTime !== null) fieldAt(first, state.eventTime.column);
      return state.output;
  }
}
