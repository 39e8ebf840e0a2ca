/** Functions over maps. */
import type { Expr } from '../../../core/ast.ts';
import { type DataType, type Field, formatType } from '../../../core/types.ts';
import { BOOLEAN, castTo, STRING } from '../coercion.ts';
import { anyNullable, customFunction, fitAll, type FunctionDef, unify } from '../function-table.ts';
import { stringLiteral } from '../literal.ts';
import { makeMap, mapConcat, mapContainsKey, mapEntries, mapFromEntries, strToMap } from '../runtime/nested.ts';
import {
  fittedFunction,
  arrayOf,
  arrayType,
  comparableType,
  type MapType,
  mapType,
  typedFunction,
} from './nested-typing.ts';

/** In the order of docs/functions.md. */
export const mapFunctions: readonly FunctionDef[] = [
  fittedFunction({
    name: 'map_keys',
    usage: 'map_keys(map)',
    about: 'The keys.',
    params: ['map'],
    returns: ([m]) => arrayOf(mapType(m).key, false),
    call: ({ keys }: { keys: unknown }) => keys,
  }),
  fittedFunction({
    name: 'map_values',
    usage: 'map_values(map)',
    about: 'The values.',
    params: ['map'],
    returns: ([m]) => arrayOf(mapType(m).value, mapType(m).valueContainsNull),
    call: ({ values }: { values: unknown }) => values,
  }),
  fittedFunction({
    name: 'map_entries',
    usage: 'map_entries(map)',
    about: 'The entries as structs of key and value.',
    params: ['map'],
    returns: ([m]) => arrayOf(entryType(mapType(m)), false),
    call: mapEntries,
  }),
  typedFunction({
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
  typedFunction({
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
  typedFunction({
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
  typedFunction({
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
];

/** The struct of an entry. */
function entryType({ key, value, valueContainsNull }: MapType): DataType {
  return {
    kind: 'struct',
    fields: [
      { name: 'key', type: key, nullable: false },
      { name: 'value', type: value, nullable: valueContainsNull },
    ],
  };
}
