/** Functions over arrays, maps and structs, and those that take lambdas. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType, Field } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { CallExpr, Gen, Val } from '../codegen.ts';
import { BIGINT, BOOLEAN, canImplicitlyCast, castTo, commonType, INT, NULL, STRING } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type LambdaInput,
  nullAwareFunction,
  type Param,
  type Typing,
  unify,
  valueFunction,
} from '../function-table.ts';
import { booleanLiteral, nullLiteral, stringLiteral } from '../literal.ts';
import {
  aggregateArray,
  arrayCompact,
  arrayContains,
  arrayDistinct,
  arrayExcept,
  arrayExtreme,
  arrayInsert,
  arrayIntersect,
  arrayJoin,
  arrayPosition,
  arrayRemove,
  arrayRepeat,
  arraySlice,
  arraySort,
  arraySortBy,
  arraysOverlap,
  arraysZip,
  arrayUnion,
  dateSequence,
  elementAtPlace,
  existsIn,
  filterArray,
  flatten,
  forallIn,
  indexFromOne,
  indexFromOneOrNone,
  indexFromZero,
  indexOrNone,
  makeMap,
  mapConcat,
  mapContainsKey,
  mapEntries,
  mapFilter,
  mapFromEntries,
  mapGet,
  mapOf,
  mapZipWith,
  sequence,
  sizeOf,
  sortArray,
  strToMap,
  timestampSequence,
  transform,
  transformKeys,
  transformValues,
  zipWith,
} from '../runtime/nested.ts';

type ArrayType = Extract<DataType, { kind: 'array' }>;
type MapType = Extract<DataType, { kind: 'map' }>;

const arrayOf = (element: DataType, containsNull: boolean): ArrayType => ({ kind: 'array', element, containsNull });

function arrayType(expr: Expr | undefined): ArrayType {
  return expr?.type.kind === 'array' ? expr.type : arrayOf(NULL, true);
}

function mapType(expr: Expr | undefined): MapType {
  return expr?.type.kind === 'map' ? expr.type : { kind: 'map', key: NULL, value: NULL, valueContainsNull: true };
}

// ---- making -----------------------------------------------------------------------------------------------------

const namedStruct = nullAwareFunction({
  name: 'named_struct',
  group: 'nested',
  usage: "named_struct('a', 1, 'b', 2)",
  about: 'A struct of names and values; struct(a, b AS c) is short for it.',
  type(args) {
    if (args.length === 0 || args.length % 2 !== 0) return { complaint: 'takes names and values in turn' };
    const fields: Field[] = [];
    for (let index = 0; index < args.length; index += 2) {
      const name = args[index] as Expr;
      const value = args[index + 1] as Expr;
      if (name.kind !== 'literal' || name.type.kind !== 'string' || typeof name.value !== 'string')
        return { complaint: 'takes a text that is written out as a name', arg: index };
      if (value.kind === 'lambda') return { complaint: 'takes values, not lambdas', arg: index + 1 };
      fields.push({ name: name.value, type: value.type, nullable: value.nullable });
    }
    return { args, type: { kind: 'struct', fields }, nullable: false };
  },
  call: (...items: readonly unknown[]): unknown[] => items.filter((_, index) => index % 2 === 1),
});

const array = nullAwareFunction({
  name: 'array',
  group: 'nested',
  usage: 'array(a, b, …)',
  about: 'An array of values of one type.',
  type(args) {
    const unified = unify(args);
    if ('complaint' in unified) return unified;
    return { args: unified.args, type: arrayOf(unified.type, anyNullable(args)), nullable: false };
  },
  call: (...items: readonly unknown[]): readonly unknown[] => items,
});

const map = nullAwareFunction({
  name: 'map',
  group: 'nested',
  usage: "map('a', 1, 'b', 2)",
  about: 'A map of keys and values in turn; a key that is NULL or there twice raises.',
  type(args) {
    if (args.length % 2 !== 0) return { complaint: 'takes keys and values in turn' };
    const keys = unify(args.filter((_, index) => index % 2 === 0));
    const values = unify(args.filter((_, index) => index % 2 === 1));
    if ('complaint' in keys) return { complaint: keys.complaint };
    if ('complaint' in values) return { complaint: values.complaint };
    const mixed = args.map((_, index) => (index % 2 === 0 ? keys : values).args[index >> 1] as Expr);
    const valueContainsNull = anyNullable(values.args);
    return {
      args: mixed,
      type: { kind: 'map', key: keys.type, value: values.type, valueContainsNull },
      nullable: false,
    };
  },
  call: mapOf,
});

// ---- taking apart -----------------------------------------------------------------------------------------------

function elementFunction(
  name: string,
  about: string,
  usage: string,
  place: (index: number, length: number) => number,
  onMap: boolean,
  mayMiss: boolean,
): FunctionDef {
  return customFunction({
    name,
    group: name === '[]' ? 'operator' : 'nested',
    usage,
    about,
    type(args) {
      const [input, index] = args;
      if (onMap && input?.type.kind === 'map' && args.length === 2) {
        const key = fitAll([index as Expr], [input.type.key]);
        if ('complaint' in key) return { ...key, arg: 1 };
        return { args: [input, key[0] as Expr], type: input.type.value, nullable: true };
      }
      const fitted = fitAll(args, ['array', INT]);
      if ('complaint' in fitted) return fitted;
      const { element, containsNull } = arrayType(fitted[0]);
      return { args: fitted, type: element, nullable: mayMiss || containsNull || anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      const [input, index] = call.args as [Expr, Expr];
      if (input.type.kind === 'map') {
        return g.strict(
          call.args,
          call.type,
          ([container, key]) => ({ boxed: `${g.fn(mapGet)}(${container?.v}, ${g.boxed(key as Val)})` }),
          { mayBeNull: true },
        );
      }
      const direct = g.element(input, index, call.type, (at, length) => `${g.fn(place)}(${at}, ${length})`);
      if (direct !== null) return direct;
      return g.strict(
        call.args,
        call.type,
        ([container, at]) => ({
          boxed: `${g.fn(elementAtPlace)}(${container?.v}, ${g.fn(place)}(${at?.v}, ${container?.v}.length))`,
        }),
        { mayBeNull: true },
      );
    },
  });
}

interface ArraySpec {
  readonly name: string;
  readonly usage: string;
  readonly about: string;
  readonly params: readonly Param[];
  readonly returns: (args: readonly Expr[]) => DataType | Complaint;
  readonly mayBeNull?: boolean;
  readonly optional?: number;
  readonly call: (...args: never[]) => unknown;
  /** Constants behind the arguments. */
  readonly extra?: (args: readonly Expr[]) => readonly unknown[];
}

function arrayFunction({ extra, ...spec }: ArraySpec): FunctionDef {
  return valueFunction({
    ...spec,
    group: 'nested',
    ...(extra === undefined ? {} : { extra: (call) => extra(call.args) }),
  });
}

/** A function of an array and a value of its element's type. */
function memberFunction(
  name: string,
  about: string,
  returns: (array: ArrayType) => DataType,
  call: (...args: never[]) => unknown,
  mayBeNull: boolean,
): FunctionDef {
  return valueTyped({
    name,
    usage: `${name}(array, value)`,
    about,
    mayBeNull,
    call,
    type(args) {
      const fitted = fitAll(args, ['array', 'any']);
      if ('complaint' in fitted) return fitted;
      const [list, value] = fitted as [Expr, Expr];
      const { element, containsNull } = arrayType(list);
      const common = commonType(element, value.type);
      if (common === undefined) return { complaint: 'takes a value that the array could hold', arg: 1 };
      const type = arrayOf(common, containsNull);
      return {
        args: [castTo(list, type), castTo(value, common)],
        type: returns(type),
        nullable: mayBeNull || anyNullable(fitted),
      };
    },
  });
}

/** A strict function over boxed values with a typing of its own. */
function valueTyped(spec: {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly about: string;
  readonly mayBeNull: boolean;
  readonly type: (args: readonly Expr[]) => Typing | Complaint;
  readonly call: (...args: never[]) => unknown;
  /** So many arguments make the result NULL when they are; the others come as null. All of them unless told. */
  readonly strictCount?: number;
}): FunctionDef {
  return customFunction({
    name: spec.name,
    aliases: spec.aliases ?? [],
    group: 'nested',
    usage: spec.usage,
    about: spec.about,
    type: spec.type,
    emit(g, call) {
      g.fails();
      const strictArgs = call.args.slice(0, spec.strictCount);
      const otherArgs = call.args.slice(strictArgs.length);
      return g.strict(
        strictArgs,
        call.type,
        (vals) => {
          const others = otherArgs.map((arg) => g.boxedOrNull(g.expr(arg)));
          return { boxed: `${g.fn(spec.call)}(${[...vals.map((val) => g.boxed(val)), ...others].join(', ')})` };
        },
        { mayBeNull: spec.mayBeNull },
      );
    },
  });
}

/** A function of two arrays of one type. */
function pairFunction(
  name: string,
  about: string,
  call: (...args: never[]) => unknown,
  returns?: DataType,
): FunctionDef {
  return valueTyped({
    name,
    usage: `${name}(a, b)`,
    about,
    mayBeNull: returns !== undefined,
    call,
    type(args) {
      const fitted = fitAll(args, ['array', 'array']);
      if ('complaint' in fitted) return fitted;
      const unified = unify(fitted);
      if ('complaint' in unified) return { complaint: 'takes arrays of one type' };
      return {
        args: unified.args,
        type: returns ?? unified.type,
        nullable: returns !== undefined || anyNullable(fitted),
      };
    },
  });
}

// ---- lambdas ----------------------------------------------------------------------------------------------------

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

/** The lambda with its body cast, or undefined where that cannot be. */
function givingType(lambda: Expr, type: DataType): Expr | undefined {
  if (lambda.kind !== 'lambda') return undefined;
  if (!canImplicitlyCast(lambda.body.type, type)) return undefined;
  const body = castTo(lambda.body, type);
  return { ...lambda, body, type, nullable: body.nullable };
}

function emitWithLambdas(
  g: Gen,
  args: readonly Expr[],
  type: DataType,
  call: (...args: never[]) => unknown,
  mayBeNull: boolean,
): Val {
  g.fails();
  const values = args.filter((arg) => arg.kind !== 'lambda');
  return g.strict(
    values,
    type,
    (vals) => {
      let next = 0;
      const passed = args.map((arg) => (arg.kind === 'lambda' ? g.lambda(arg) : g.boxed(vals[next++] as Val)));
      return { boxed: `${g.fn(call)}(${passed.join(', ')})` };
    },
    { mayBeNull },
  );
}

const elementInput = (expr: Expr | undefined): LambdaInput | undefined =>
  expr?.type.kind === 'array' ? { type: expr.type.element, nullable: expr.type.containsNull } : undefined;
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

const sortByBase = customFunction({
  name: 'array_sort',
  group: 'nested',
  usage: 'array_sort(array [, (a, b) -> …])',
  about: 'The elements in order, NULLs last; or as a lambda orders two of them (-1, 0, 1).',
  type(args) {
    const fitted = fitAll(args, ['array', 'lambda'], 1);
    if ('complaint' in fitted) return fitted;
    const [list, lambda] = fitted as [Expr, Expr?];
    const compare = lambda === undefined ? undefined : givingType(lambda, INT);
    if (lambda !== undefined && compare === undefined) return { complaint: 'takes a lambda that gives INT', arg: 1 };
    return { args: compare === undefined ? [list] : [list, compare], type: list.type, nullable: list.nullable };
  },
  emit(g, call) {
    const [list, lambda] = call.args as [Expr, Expr?];
    if (lambda !== undefined) return emitWithLambdas(g, call.args, call.type, arraySortBy, false);
    return g.strict([list], call.type, ([items]) => ({
      boxed: `${g.fn(arraySort)}(${items?.v}, ${g.constant(call.type)})`,
    }));
  },
});

const sortBy: FunctionDef = {
  ...sortByBase,
  lambdaParams(index, args) {
    const element = elementInput(args[0]);
    return index === 1 && element !== undefined ? [element, element] : undefined;
  },
};

// ---- the table --------------------------------------------------------------------------------------------------

const elementOf = ([list]: readonly Expr[]): DataType => arrayType(list).element;
const same = ([list]: readonly Expr[]): DataType => list?.type ?? NULL;

export const nestedFunctions: readonly FunctionDef[] = [
  namedStruct,
  array,
  map,
  elementFunction(
    '[]',
    'An element by its index from 0, or the value of a key; raises beyond the array.',
    'array[index], map[key]',
    indexFromZero,
    true,
    false,
  ),
  elementFunction(
    'element_at',
    'An element by its place from 1 (negative from the end), or the value of a key; raises beyond the array.',
    'element_at(array, place)',
    indexFromOne,
    true,
    false,
  ),
  elementFunction(
    'try_element_at',
    'As element_at; NULL beyond the array.',
    'try_element_at(array, place)',
    indexFromOneOrNone,
    true,
    true,
  ),
  elementFunction(
    'get',
    'An element by its index from 0; NULL beyond the array.',
    'get(array, index)',
    indexOrNone,
    false,
    true,
  ),
  customFunction({
    name: 'size',
    aliases: ['cardinality'],
    group: 'nested',
    usage: 'size(array or map)',
    about: 'How many elements or entries there are.',
    type(args) {
      const fitted = fitAll(args, ['any']);
      if ('complaint' in fitted) return fitted;
      const [given] = fitted as [Expr];
      const input = given.type.kind === 'null' ? castTo(given, arrayOf(NULL, true)) : given;
      if (input.type.kind !== 'array' && input.type.kind !== 'map')
        return { complaint: 'takes an ARRAY or a MAP', arg: 0 };
      return { args: [input], type: INT, nullable: input.nullable };
    },
    emit: (g, call) =>
      g.listLength(call.args[0] as Expr) ??
      g.strict(call.args, INT, ([container]) => ({ value: `${g.fn(sizeOf)}(${container?.v})` })),
  }),
  arrayFunction({
    name: 'array_size',
    usage: 'array_size(array)',
    about: 'How many elements there are.',
    params: ['array'],
    returns: () => INT,
    call: sizeOf,
  }),
  memberFunction(
    'array_contains',
    'True when an element equals the value; NULL when none does but one is NULL.',
    () => BOOLEAN,
    arrayContains,
    true,
  ),
  memberFunction(
    'array_position',
    'The place of the first such element from 1, 0 when there is none.',
    () => BIGINT,
    arrayPosition,
    false,
  ),
  memberFunction('array_remove', 'The array without such elements.', (type) => type, arrayRemove, false),
  arrayFunction({
    name: 'array_distinct',
    usage: 'array_distinct(array)',
    about: 'Every value once.',
    params: ['array'],
    returns: same,
    call: arrayDistinct,
  }),
  arrayFunction({
    name: 'array_compact',
    usage: 'array_compact(array)',
    about: 'The array without its NULLs.',
    params: ['array'],
    returns: same,
    call: arrayCompact,
  }),
  arrayFunction({
    name: 'array_min',
    usage: 'array_min(array)',
    about: 'The smallest element.',
    params: ['array'],
    returns: elementOf,
    mayBeNull: true,
    call: arrayExtreme,
    extra: (args) => [-1, args[0]?.type],
  }),
  arrayFunction({
    name: 'array_max',
    usage: 'array_max(array)',
    about: 'The largest element.',
    params: ['array'],
    returns: elementOf,
    mayBeNull: true,
    call: arrayExtreme,
    extra: (args) => [1, args[0]?.type],
  }),
  nullAwareFunction({
    name: 'array_join',
    group: 'nested',
    usage: 'array_join(array, separator [, nulls])',
    about: 'The elements as one text; NULLs are left out unless a text for them is given.',
    type(args) {
      const fitted = fitAll(args, [arrayOf(STRING, true), STRING, STRING], 1);
      if ('complaint' in fitted) return fitted;
      return {
        args: fitted.length === 3 ? fitted : [...fitted, nullLiteral(STRING)],
        type: STRING,
        nullable: anyNullable(fitted),
      };
    },
    call: (list: readonly string[] | null, separator: string | null, nulls: string | null): string | null =>
      list === null || separator === null ? null : arrayJoin(list, separator, nulls),
  }),
  arrayFunction({
    name: 'slice',
    usage: 'slice(array, start, length)',
    about: 'Some elements from a place on, from 1 (negative from the end).',
    params: ['array', INT, INT],
    returns: same,
    call: arraySlice,
  }),
  valueTyped({
    name: 'flatten',
    usage: 'flatten(arrays)',
    about: 'An array of arrays as one array.',
    mayBeNull: true,
    call: flatten,
    type(args) {
      const fitted = fitAll(args, ['array']);
      if ('complaint' in fitted) return fitted;
      const outer = arrayType(fitted[0]);
      if (outer.element.kind !== 'array') return { complaint: 'takes an ARRAY of ARRAYs', arg: 0 };
      return { args: fitted, type: outer.element, nullable: outer.containsNull || anyNullable(fitted) };
    },
  }),
  customFunction({
    name: 'sort_array',
    group: 'nested',
    usage: 'sort_array(array [, ascending])',
    about: 'The elements in order: NULLs first ascending, last descending.',
    type(args) {
      const fitted = fitAll(args, ['array', BOOLEAN], 1);
      if ('complaint' in fitted) return fitted;
      const complete = fitted.length === 2 ? fitted : [...fitted, booleanLiteral(true)];
      return { args: complete, type: same(fitted), nullable: anyNullable(fitted) };
    },
    emit: (g, call) =>
      g.strict(call.args, call.type, ([items, ascending]) => ({
        boxed: `${g.fn(sortArray)}(${items?.v}, ${ascending?.v}, ${g.constant(call.type)})`,
      })),
  }),
  sortBy,
  pairFunction('array_union', 'The values of both, each once.', arrayUnion),
  pairFunction('array_except', 'The values of the first that are not in the second, each once.', arrayExcept),
  pairFunction('array_intersect', 'The values that are in both, each once.', arrayIntersect),
  pairFunction('arrays_overlap', 'True when both have a value in common.', arraysOverlap, BOOLEAN),
  valueTyped({
    name: 'array_append',
    usage: 'array_append(array, value)',
    about: 'The array with a value at its end.',
    mayBeNull: false,
    call: (list: readonly unknown[], value: unknown): readonly unknown[] => [...list, value],
    type: (args) => typeExtended(args),
    strictCount: 1,
  }),
  valueTyped({
    name: 'array_prepend',
    usage: 'array_prepend(array, value)',
    about: 'The array with a value at its beginning.',
    mayBeNull: false,
    call: (list: readonly unknown[], value: unknown): readonly unknown[] => [value, ...list],
    type: (args) => typeExtended(args),
    strictCount: 1,
  }),
  valueTyped({
    name: 'array_insert',
    usage: 'array_insert(array, position, value)',
    about: 'The array with a value at a position from 1, or from -1 at the end; NULLs fill what lies between.',
    mayBeNull: false,
    call: arrayInsert,
    type(args) {
      const fitted = fitAll(args, ['array', INT, 'any']);
      if ('complaint' in fitted) return fitted;
      const [list, position, value] = fitted as [Expr, Expr, Expr];
      const extended = typeExtended([list, value]);
      if ('complaint' in extended) return { complaint: extended.complaint, arg: 2 };
      const [array, element] = extended.args as [Expr, Expr];
      return {
        args: [array, position, element],
        type: extended.type,
        nullable: list.nullable || position.nullable,
      };
    },
    strictCount: 2,
  }),
  nullAwareFunction({
    name: 'array_repeat',
    group: 'nested',
    usage: 'array_repeat(value, count)',
    about: 'An array of so many times the value.',
    type(args) {
      const fitted = fitAll(args, ['any', INT]);
      if ('complaint' in fitted) return fitted;
      const [value, count] = fitted as [Expr, Expr];
      return { args: fitted, type: arrayOf(value.type, value.nullable), nullable: count.nullable };
    },
    call: (value: never, count: number | null): unknown => (count === null ? null : arrayRepeat(value, count)),
  }),
  customFunction({
    name: 'sequence',
    group: 'nested',
    usage: 'sequence(start, stop [, step])',
    about: 'The whole numbers, dates or times from start to stop, both included.',
    type(args) {
      if (args[0]?.type.kind === 'date' || args[0]?.type.kind === 'timestamp') return typeTimeSequence(args);
      const fitted = fitAll(args, ['integral', 'integral', 'integral'], 1);
      if ('complaint' in fitted) return fitted;
      const unified = unify(fitted);
      if ('complaint' in unified) return unified;
      return { args: unified.args, type: arrayOf(unified.type, false), nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      if (call.args[2]?.type.kind === 'interval') return emitTimeSequence(g, call);
      return g.strict(call.args, call.type, ([start, stop, step]) => ({
        boxed: `${g.fn(sequence)}(${start?.v}, ${stop?.v}, ${step?.v ?? 'null'})`,
      }));
    },
  }),
  valueTyped({
    name: 'arrays_zip',
    usage: 'arrays_zip(a, b, …)',
    about: 'An array of structs: of the first elements, of the second ones and so on; NULLs fill the shorter arrays.',
    mayBeNull: false,
    call: arraysZip,
    type(args) {
      const fitted = fitAll(args, ['array'], 0, 'array');
      if ('complaint' in fitted) return fitted;
      const fields = fitted.map((arg, index): Field => ({
        name: arg.kind === 'column' ? arg.name : String(index),
        type: arrayType(arg).element,
        nullable: true,
      }));
      return { args: fitted, type: arrayOf({ kind: 'struct', fields }, false), nullable: anyNullable(fitted) };
    },
  }),
  // Maps
  arrayFunction({
    name: 'map_keys',
    usage: 'map_keys(map)',
    about: 'The keys.',
    params: ['map'],
    returns: ([m]) => arrayOf(mapType(m).key, false),
    call: ({ keys }: { keys: unknown }) => keys,
  }),
  arrayFunction({
    name: 'map_values',
    usage: 'map_values(map)',
    about: 'The values.',
    params: ['map'],
    returns: ([m]) => arrayOf(mapType(m).value, mapType(m).valueContainsNull),
    call: ({ values }: { values: unknown }) => values,
  }),
  arrayFunction({
    name: 'map_entries',
    usage: 'map_entries(map)',
    about: 'The entries as structs of key and value.',
    params: ['map'],
    returns: ([m]) => arrayOf(entryType(mapType(m)), false),
    call: mapEntries,
  }),
  valueTyped({
    name: 'map_contains_key',
    usage: 'map_contains_key(map, key)',
    about: 'True when the map has the key.',
    mayBeNull: false,
    call: mapContainsKey,
    type(args) {
      const fitted = fitAll(args, ['map', 'any']);
      if ('complaint' in fitted) return fitted;
      const [container, key] = fitted as [Expr, Expr];
      const { type } = container;
      const wanted = mapType(container);
      const common = comparableType(wanted.key, key.type);
      if (type.kind !== 'map' || common === undefined)
        return { complaint: `takes ${formatType(wanted.key)} here, not ${formatType(key.type)}`, arg: 1 };
      return {
        args: [castTo(container, { ...wanted, key: common }), castTo(key, common)],
        type: BOOLEAN,
        nullable: anyNullable(fitted),
      };
    },
  }),
  valueTyped({
    name: 'map_from_arrays',
    usage: 'map_from_arrays(keys, values)',
    about: 'A map of an array of keys and one of values.',
    mayBeNull: false,
    call: makeMap,
    type(args) {
      const fitted = fitAll(args, ['array', 'array']);
      if ('complaint' in fitted) return fitted;
      const values = arrayType(fitted[1]);
      const type: DataType = {
        kind: 'map',
        key: arrayType(fitted[0]).element,
        value: values.element,
        valueContainsNull: values.containsNull,
      };
      return { args: fitted, type, nullable: anyNullable(fitted) };
    },
  }),
  valueTyped({
    name: 'map_from_entries',
    usage: 'map_from_entries(array)',
    about: 'A map of structs of key and value.',
    mayBeNull: true,
    call: mapFromEntries,
    type(args) {
      const fitted = fitAll(args, ['array']);
      if ('complaint' in fitted) return fitted;
      const entry = arrayType(fitted[0]).element;
      if (entry.kind !== 'struct' || entry.fields.length !== 2)
        return { complaint: 'takes an ARRAY of STRUCTs of two fields', arg: 0 };
      const [key, value] = entry.fields as readonly [Field, Field];
      return {
        args: fitted,
        type: { kind: 'map', key: key.type, value: value.type, valueContainsNull: value.nullable },
        nullable: true,
      };
    },
  }),
  valueTyped({
    name: 'map_concat',
    usage: 'map_concat(a, b, …)',
    about: 'All entries in one map; a key that is there twice raises.',
    mayBeNull: false,
    call: mapConcat,
    type(args) {
      const fitted = fitAll(args, ['map'], 0, 'map');
      if ('complaint' in fitted) return fitted;
      const unified = unify(fitted);
      return 'complaint' in unified ? unified : { ...unified, nullable: anyNullable(fitted) };
    },
  }),
  customFunction({
    name: 'str_to_map',
    group: 'nested',
    usage: 'str_to_map(text [, pairs [, keyValue]])',
    about: "A map of a text like 'a:1,b:2'.",
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, STRING], 2);
      if ('complaint' in fitted) return fitted;
      const complete = [...fitted, ...[stringLiteral(','), stringLiteral(':')].slice(fitted.length - 1)];
      return {
        args: complete,
        type: { kind: 'map', key: STRING, value: STRING, valueContainsNull: true },
        nullable: anyNullable(fitted),
      };
    },
    emit(g, call) {
      g.fails();
      return g.strict(call.args, call.type, (vals) => ({
        boxed: `${g.fn(strToMap)}(${vals.map((val) => g.boxed(val)).join(', ')})`,
      }));
    },
  }),
  // Lambdas
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

/** Dates and times go by days unless an interval says otherwise. */
function typeTimeSequence(args: readonly Expr[]): Typing | Complaint {
  if (args.length < 2 || args.length > 3) return { complaint: `takes 2 to 3 arguments, not ${args.length}` };
  const [start, stop, step = ONE_DAY] = args as [Expr, Expr, Expr?];
  const type: DataType =
    start.type.kind === 'date' && stop.type.kind === 'date' ? { kind: 'date' } : { kind: 'timestamp' };
  const fitted = fitAll([start, stop], [type, type]);
  if ('complaint' in fitted) return fitted;
  if (step.type.kind !== 'interval') return { complaint: 'takes an INTERVAL as its step', arg: 2 };
  if (type.kind === 'date' && step.type.unit === 'microseconds' && !isWholeDays(step))
    return { complaint: 'takes a step of whole days, months or years between dates', arg: 2 };
  return { args: [...fitted, step], type: arrayOf(type, false), nullable: anyNullable(args) };
}

const DAY_US = 86_400_000_000;
const ONE_DAY: Expr = {
  kind: 'literal',
  type: { kind: 'interval', unit: 'microseconds' },
  nullable: false,
  value: DAY_US,
};

function isWholeDays(step: Expr): boolean {
  return step.kind === 'literal' && typeof step.value === 'number' && step.value % DAY_US === 0;
}

function emitTimeSequence(g: Gen, call: CallExpr): Val {
  const [from, , step] = call.args as [Expr, Expr, Expr];
  const isMonths = step.type.kind === 'interval' && step.type.unit === 'months';
  const kernel = from.type.kind === 'date' ? dateSequence : timestampSequence;
  return g.strict(call.args, call.type, ([start, stop, by]) => ({
    boxed: `${g.fn(kernel)}(${start?.v}, ${stop?.v}, ${by?.v}, ${isMonths}, rt.zone)`,
  }));
}

/** The type in which two values are compared; texts go with texts only. */
function comparableType(a: DataType, b: DataType): DataType | undefined {
  if ((a.kind === 'string') !== (b.kind === 'string') && a.kind !== 'null' && b.kind !== 'null') return undefined;
  return commonType(a, b);
}

function entryType({ key, value, valueContainsNull }: MapType): DataType {
  return {
    kind: 'struct',
    fields: [
      { name: 'key', type: key, nullable: false },
      { name: 'value', type: value, nullable: valueContainsNull },
    ],
  };
}

/** An array and a value that it then holds. */
function typeExtended(args: readonly Expr[]): Typing | Complaint {
  const fitted = fitAll(args, ['array', 'any']);
  if ('complaint' in fitted) return fitted;
  const [list, value] = fitted as [Expr, Expr];
  const element = commonType(arrayType(list).element, value.type);
  if (element === undefined) return { complaint: 'takes a value that the array could hold', arg: 1 };
  const type = arrayOf(element, true);
  return { args: [castTo(list, type), castTo(value, element)], type, nullable: list.nullable };
}
