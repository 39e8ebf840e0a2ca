/** Functions over arrays. Those that take lambdas alone are in lambdas.ts. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType, Field } from '../../../core/types.ts';
import { BIGINT, BOOLEAN, castTo, commonType, INT, STRING } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  nullAwareFunction,
  type Typing,
  unify,
} from '../function-table.ts';
import { booleanLiteral, nullLiteral } from '../literal.ts';
import {
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
  flatten,
  sizeOf,
  sortArray,
} from '../runtime/nested.ts';
import { elementInput, emitWithLambdas, givingType } from './lambda-calls.ts';
import { fittedFunction, arrayOf, type ArrayType, arrayType, elementOf, same, typedFunction } from './nested-typing.ts';
import { sequenceFunction } from './sequences.ts';

/** A function of an array and a value of its element's type. */
function memberFunction(
  name: string,
  about: string,
  returns: (array: ArrayType) => DataType,
  call: (...args: never[]) => unknown,
  mayBeNull: boolean,
): FunctionDef {
  return typedFunction({
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

/** A function of two arrays of one type. */
function pairFunction(
  name: string,
  about: string,
  call: (...args: never[]) => unknown,
  returns?: DataType,
): FunctionDef {
  return typedFunction({
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

/** In the order of docs/functions.md. */
export const arrayFunctions: readonly FunctionDef[] = [
  fittedFunction({
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
  fittedFunction({
    name: 'array_distinct',
    usage: 'array_distinct(array)',
    about: 'Every value once.',
    params: ['array'],
    returns: same,
    call: arrayDistinct,
  }),
  fittedFunction({
    name: 'array_compact',
    usage: 'array_compact(array)',
    about: 'The array without its NULLs.',
    params: ['array'],
    returns: same,
    call: arrayCompact,
  }),
  fittedFunction({
    name: 'array_min',
    usage: 'array_min(array)',
    about: 'The smallest element.',
    params: ['array'],
    returns: elementOf,
    mayBeNull: true,
    call: arrayExtreme,
    extra: (args) => [-1, args[0]?.type],
  }),
  fittedFunction({
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
  fittedFunction({
    name: 'slice',
    usage: 'slice(array, start, length)',
    about: 'Some elements from a place on, from 1 (negative from the end).',
    params: ['array', INT, INT],
    returns: same,
    call: arraySlice,
  }),
  typedFunction({
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
  typedFunction({
    name: 'array_append',
    usage: 'array_append(array, value)',
    about: 'The array with a value at its end.',
    mayBeNull: false,
    call: (list: readonly unknown[], value: unknown): readonly unknown[] => [...list, value],
    type: (args) => typeExtended(args),
    strictCount: 1,
  }),
  typedFunction({
    name: 'array_prepend',
    usage: 'array_prepend(array, value)',
    about: 'The array with a value at its beginning.',
    mayBeNull: false,
    call: (list: readonly unknown[], value: unknown): readonly unknown[] => [value, ...list],
    type: (args) => typeExtended(args),
    strictCount: 1,
  }),
  typedFunction({
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
  sequenceFunction,
  typedFunction({
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
];
