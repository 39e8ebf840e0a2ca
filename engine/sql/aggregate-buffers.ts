/** The partial result of an aggregate, as columns: how groups go through exchanges and into snapshots. */
import { must } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { sumType } from './aggregate-typing.ts';
import { BIGINT, BINARY, BOOLEAN, DOUBLE, STRING } from './coercion.ts';

/** How a function keeps its partial result; several functions share one. */
export type AggregateFamily =
  | 'count'
  | 'countIf'
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'first'
  | 'last'
  | 'boolAnd'
  | 'boolOr'
  | 'bitAnd'
  | 'bitOr'
  | 'bitXor'
  | 'collectList'
  | 'collectSet'
  | 'minBy'
  | 'maxBy'
  | 'moments'
  | 'covariance'
  | 'correlation'
  | 'approxCountDistinct'
  | 'percentile'
  | 'percentileApprox'
  | 'mode';

/** The columns of a planned call; all are nullable. `countsDuplicates`: DISTINCT changes something. */
export function bufferColumns(family: AggregateFamily, plan: AggregatePlan, countsDuplicates: boolean): Schema {
  const columns: readonly (readonly [string, DataType])[] =
    plan.signed === true
      ? signedParts(family, plan)
      : plan.distinct && countsDuplicates && plan.inputTypes.length > 0
        ? [['distinct', distinctArguments(plan)]]
        : parts(family, plan);
  return columns.map(([part, type]) => ({ name: `${plan.name}.${part}`, type, nullable: true }));
}

function inputType(plan: AggregatePlan, index: number): DataType {
  return must(plan.inputTypes[index], () => `the aggregate ${plan.function} lacks its argument ${index}`);
}

/** One entry per different value, with the number of rows. */
function counted(value: DataType, nullable = false): DataType {
  return {
    kind: 'array',
    containsNull: false,
    element: {
      kind: 'struct',
      fields: [
        { name: 'value', type: value, nullable },
        { name: 'count', type: BIGINT, nullable: false },
      ],
    },
  };
}

function distinctArguments(plan: AggregatePlan): DataType {
  const single = plan.inputTypes.length === 1;
  const element: DataType = single
    ? inputType(plan, 0)
    : {
        kind: 'struct',
        fields: plan.inputTypes.map((type, index) => ({ name: `_${index}`, type, nullable: true })),
      };
  return { kind: 'array', element, containsNull: single };
}

/** Where rows may be withdrawn again. */
function signedParts(family: AggregateFamily, plan: AggregatePlan): readonly (readonly [string, DataType])[] {
  if (!plan.distinct || plan.inputTypes.length === 0) {
    if (family === 'count' || family === 'countIf') return [['count', BIGINT]];
    if (family === 'sum' || family === 'avg')
      return [
        ['sum', STRING],
        ['count', BIGINT],
      ];
  }
  const fields = plan.inputTypes.map((type, index) => ({ name: `_${index}`, type, nullable: true }));
  return [['values', counted(fields.length === 1 ? inputType(plan, 0) : { kind: 'struct', fields }, true)]];
}

function parts(family: AggregateFamily, plan: AggregatePlan): readonly (readonly [string, DataType])[] {
  switch (family) {
    case 'count':
    case 'countIf':
      return [['count', BIGINT]];
    case 'sum':
      return [['sum', plan.type]];
    case 'avg':
      return [
        ['sum', sumType(inputType(plan, 0))],
        ['count', BIGINT],
      ];
    case 'min':
    case 'max':
    case 'boolAnd':
    case 'boolOr':
    case 'bitAnd':
    case 'bitOr':
    case 'bitXor':
      return [['value', plan.type]];
    case 'first':
    case 'last':
      return [
        ['value', plan.type],
        ['set', BOOLEAN],
      ];
    case 'collectList':
    case 'collectSet':
      return [['values', plan.type]];
    case 'minBy':
    case 'maxBy':
      return [
        ['value', plan.type],
        ['order', inputType(plan, 1)],
      ];
    case 'moments': {
      const order = plan.function === 'kurtosis' ? 4 : plan.function === 'skewness' ? 3 : 2;
      return ['n', 'avg', 'm2', 'm3', 'm4'].slice(0, order + 1).map((part) => [part, DOUBLE] as const);
    }
    case 'covariance':
      return ['n', 'xAvg', 'yAvg', 'ck'].map((part) => [part, DOUBLE] as const);
    case 'correlation':
      return ['n', 'xAvg', 'yAvg', 'ck', 'xMk', 'yMk'].map((part) => [part, DOUBLE] as const);
    case 'approxCountDistinct':
      return [['registers', BINARY]];
    case 'percentile':
    case 'percentileApprox':
      return plan.inputTypes.length === 1
        ? [['values', counted(inputType(plan, 0))]]
        : [
            ['values', counted(inputType(plan, 0))],
            ['at', inputType(plan, 1)],
          ];
    case 'mode':
      return [['values', counted(inputType(plan, 0))]];
  }
}
