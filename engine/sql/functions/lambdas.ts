/** Functions that take lambdas: transform, filter, aggregate and their kind over arrays and maps. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { BOOLEAN, castTo, INT, NULL } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type LambdaInput,
  type Param,
} from '../function-table.ts';
import {
  aggregateArray,
  existsIn,
  filterArray,
  forallIn,
  mapFilter,
  mapZipWith,
  transform,
  transformKeys,
  transformValues,
  zipWith,
} from '../runtime/nested.ts';
import { elementInput, emitWithLambdas, givingType } from './lambda-calls.ts';
import { arrayOf, comparableType, mapType, same } from './nested-typing.ts';

interface LambdaSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly about: string;
  /** Arguments that are no lambdas stand first. */
  readonly values: readonly Param[];
  readonly lambdaCount: number;
  /** How many of the lambdas may be left out; the emit of those is 'null'. */
  readonly inputs: (args: readonly (Expr | undefined)[], index: number) => readonly LambdaInput[] | undefined;
  readonly returns: (values: readonly Expr[], lambdas: readonly Expr[]) => DataType | Complaint;
  /** The values as the function wants them together; undefined where they do not go with each other. */
  readonly prepare?: (values: readonly Expr[]) => readonly Expr[] | undefined;
  /** What a lambda must give, if that is fixed. */
  readonly gives?: DataType;
  readonly mayBeNull?: boolean;
  readonly call: (...args: never[]) => unknown;
}

function lambdaFunction(spec: LambdaSpec): FunctionDef {
  const definition = customFunction({
    name: spec.name,
    aliases: spec.aliases ?? [],
    group: 'nested',
    usage: spec.usage,
    about: spec.about,
    type(args) {
      const fitted = fitAll(args, [
        ...spec.values,
        ...Array.from({ length: spec.lambdaCount }, () => 'lambda' as const),
      ]);
      if ('complaint' in fitted) return fitted;
      const fittedValues = fitted.slice(0, spec.values.length);
      const values = spec.prepare === undefined ? fittedValues : spec.prepare(fittedValues);
      if (values === undefined) return { complaint: 'takes values that go with each other', arg: 1 };
      const lambdas = fitted.slice(spec.values.length);
      const given = lambdas.map((lambda) => (spec.gives === undefined ? lambda : givingType(lambda, spec.gives)));
      if (given.includes(undefined))
        return { complaint: `takes a lambda that gives ${spec.gives?.kind.toUpperCase()}`, arg: spec.values.length };
      const type = spec.returns(values, given as readonly Expr[]);
      if ('complaint' in type) return type;
      return {
        args: [...values, ...(given as readonly Expr[])],
        type,
        nullable: spec.mayBeNull === true || anyNullable(values),
      };
    },
    emit: (g, call) => emitWithLambdas(g, call.args, call.type, spec.call, spec.mayBeNull === true),
  });
  return {
    ...definition,
    lambdaParams: (index, args) =>
      index < spec.values.length || index >= spec.values.length + spec.lambdaCount
        ? undefined
        : spec.inputs(args, index),
  };
}

const placeInput: LambdaInput = { type: INT, nullable: false };

function elementInputs(args: readonly (Expr | undefined)[], withPlace: boolean): readonly LambdaInput[] | undefined {
  const element = elementInput(args[0]);
  return element && (withPlace ? [element, placeInput] : [element]);
}

function entryInputs(args: readonly (Expr | undefined)[]): readonly LambdaInput[] | undefined {
  const [container] = args;
  if (container?.type.kind !== 'map') return undefined;
  const { key, value, valueContainsNull } = container.type;
  return [
    { type: key, nullable: false },
    { type: value, nullable: valueContainsNull },
  ];
}

/** aggregate(array, zero, (acc, x) -> … [, acc -> …]). The accumulator has the type of the zero. */
const aggregateBase = customFunction({
  name: 'aggregate',
  aliases: ['reduce'],
  group: 'nested',
  usage: 'aggregate(array, start, (acc, x) -> … [, acc -> …])',
  about: 'All elements folded into one value.',
  type(args) {
    const fitted = fitAll(args, ['array', 'any', 'lambda', 'lambda'], 1);
    if ('complaint' in fitted) return fitted;
    const [list, zero, merge, finish] = fitted as [Expr, Expr, Expr, Expr?];
    const merged = givingType(merge, zero.type);
    if (merged === undefined)
      return { complaint: 'takes a lambda that gives the type of the start value: cast one of them', arg: 2 };
    const given = finish === undefined ? [list, zero, merged] : [list, zero, merged, finish];
    return { args: given, type: finish?.type ?? zero.type, nullable: true };
  },
  emit(g, call) {
    g.fails();
    const [list, zero, merge, finish] = call.args as [Expr, Expr, Expr, Expr?];
    return g.strict(
      [list],
      call.type,
      ([items]) => {
        const start = g.boxedOrNull(g.expr(zero));
        const merger = merge.kind === 'lambda' ? g.lambda(merge) : 'null';
        const finisher = finish?.kind === 'lambda' ? g.lambda(finish) : '(x => x)';
        return { boxed: `${g.fn(aggregateArray)}(${items?.v}, ${start}, ${merger}, ${finisher})` };
      },
      { mayBeNull: true },
    );
  },
});

const aggregate: FunctionDef = {
  ...aggregateBase,
  lambdaParams(index, args) {
    const element = elementInput(args[0]);
    const zero = args[1];
    if (element === undefined || zero === undefined || index < 2) return undefined;
    const accumulator = { type: zero.type, nullable: true };
    return index === 2 ? [accumulator, element] : [accumulator];
  },
};

/** In the order of docs/functions.md. */
export const lambdaFunctions: readonly FunctionDef[] = [
  lambdaFunction({
    name: 'transform',
    usage: 'transform(array, x -> …) or (x, index) -> …',
    about: 'Every element changed by a lambda.',
    values: ['array'],
    lambdaCount: 1,
    inputs: (args) => elementInputs(args, true),
    returns: (_, [lambda]) => arrayOf(lambda?.type ?? NULL, lambda?.nullable ?? true),
    call: transform,
  }),
  lambdaFunction({
    name: 'filter',
    usage: 'filter(array, x -> …)',
    about: 'The elements for which a lambda is true.',
    values: ['array'],
    lambdaCount: 1,
    inputs: (args) => elementInputs(args, true),
    returns: (values) => same(values),
    gives: BOOLEAN,
    call: filterArray,
  }),
  lambdaFunction({
    name: 'exists',
    usage: 'exists(array, x -> …)',
    about: 'True when a lambda is true for one element.',
    values: ['array'],
    lambdaCount: 1,
    inputs: (args) => elementInputs(args, false),
    returns: () => BOOLEAN,
    gives: BOOLEAN,
    mayBeNull: true,
    call: existsIn,
  }),
  lambdaFunction({
    name: 'forall',
    usage: 'forall(array, x -> …)',
    about: 'True when a lambda is true for every element.',
    values: ['array'],
    lambdaCount: 1,
    inputs: (args) => elementInputs(args, false),
    returns: () => BOOLEAN,
    gives: BOOLEAN,
    mayBeNull: true,
    call: forallIn,
  }),
  aggregate,
  lambdaFunction({
    name: 'zip_with',
    usage: 'zip_with(a, b, (x, y) -> …)',
    about: 'Two arrays merged element by element; the shorter is filled with NULLs.',
    values: ['array', 'array'],
    lambdaCount: 1,
    inputs: (args) => {
      const [a, b] = [elementInput(args[0]), elementInput(args[1])];
      return (
        a &&
        b && [
          { ...a, nullable: true },
          { ...b, nullable: true },
        ]
      );
    },
    returns: (_, [lambda]) => arrayOf(lambda?.type ?? NULL, lambda?.nullable ?? true),
    call: zipWith,
  }),
  lambdaFunction({
    name: 'map_zip_with',
    usage: 'map_zip_with(a, b, (key, x, y) -> …)',
    about: 'Two maps merged key by key; NULL stands for what one of them lacks.',
    values: ['map', 'map'],
    lambdaCount: 1,
    inputs: ([a, b]) => {
      if (a?.type.kind !== 'map' || b?.type.kind !== 'map') return undefined;
      const key = comparableType(a.type.key, b.type.key);
      if (key === undefined) return undefined;
      return [
        { type: key, nullable: false },
        { type: a.type.value, nullable: true },
        { type: b.type.value, nullable: true },
      ];
    },
    prepare: ([a, b, ...rest]) => {
      const key = comparableType(mapType(a).key, mapType(b).key);
      if (a === undefined || b === undefined || key === undefined) return undefined;
      return [castTo(a, { ...mapType(a), key }), castTo(b, { ...mapType(b), key }), ...rest];
    },
    returns: ([a], [lambda]) => {
      const { key } = mapType(a);
      return { kind: 'map', key, value: lambda?.type ?? NULL, valueContainsNull: lambda?.nullable ?? true };
    },
    call: mapZipWith,
  }),
  lambdaFunction({
    name: 'map_filter',
    usage: 'map_filter(map, (k, v) -> …)',
    about: 'The entries for which a lambda is true.',
    values: ['map'],
    lambdaCount: 1,
    inputs: entryInputs,
    returns: (values) => same(values),
    gives: BOOLEAN,
    call: mapFilter,
  }),
  lambdaFunction({
    name: 'transform_values',
    usage: 'transform_values(map, (k, v) -> …)',
    about: 'Every value changed by a lambda.',
    values: ['map'],
    lambdaCount: 1,
    inputs: entryInputs,
    returns: ([m], [lambda]) => ({
      kind: 'map',
      key: mapType(m).key,
      value: lambda?.type ?? NULL,
      valueContainsNull: lambda?.nullable ?? true,
    }),
    call: transformValues,
  }),
  lambdaFunction({
    name: 'transform_keys',
    usage: 'transform_keys(map, (k, v) -> …)',
    about: 'Every key changed by a lambda; a key that is there twice raises.',
    values: ['map'],
    lambdaCount: 1,
    inputs: entryInputs,
    returns: ([m], [lambda]) => ({
      kind: 'map',
      key: lambda?.type ?? NULL,
      value: mapType(m).value,
      valueContainsNull: mapType(m).valueContainsNull,
    }),
    call: transformKeys,
  }),
];
