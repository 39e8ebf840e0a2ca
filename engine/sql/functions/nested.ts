/** Arrays, maps and structs: making them, and taking one value out of them. */
import type { Expr } from '../../../core/ast.ts';
import type { Field } from '../../../core/types.ts';
import type { Val } from '../codegen.ts';
import { castTo, INT, NULL } from '../coercion.ts';
import { anyNullable, customFunction, fitAll, type FunctionDef, nullAwareFunction, unify } from '../function-table.ts';
import {
  elementAtPlace,
  indexFromOne,
  indexFromOneOrNone,
  indexFromZero,
  indexOrNone,
  mapGet,
  mapOf,
  sizeOf,
} from '../runtime/nested.ts';
import { arrayOf, arrayType } from './nested-typing.ts';

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

/** In the order of docs/functions.md. */
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
];
