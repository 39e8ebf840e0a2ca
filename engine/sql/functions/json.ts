/** Functions over JSON text. */
import type { Expr } from '../../../core/ast.ts';
import { formatType } from '../../../core/types.ts';
import type { DataType } from '../../../core/types.ts';
import type { Val } from '../codegen.ts';
import { INT, STRING } from '../coercion.ts';
import { customFunction, fitAll, type FunctionDef, valueFunction } from '../function-table.ts';
import { stringLiteral } from '../literal.ts';
import { parseColumns, parseType } from '../parser.ts';
import { SqlSyntaxError } from '../problems.ts';
import {
  compileJsonPath,
  fromJson,
  getJsonObject,
  jsonArrayLength,
  jsonObjectKeys,
  schemaOfJson,
  toJson,
} from '../runtime/json.ts';

/** The type that a schema text names: a list of columns, or one type. */
function schemaOf(text: string): DataType | string {
  try {
    return /^\s*(array|map|struct)\s*</i.test(text)
      ? parseType(text)
      : { kind: 'struct', fields: parseColumns(text).map((field) => ({ ...field, nullable: true })) };
  } catch (error) {
    if (error instanceof SqlSyntaxError) return error.message;
    throw error;
  }
}

function textOf(expr: Expr | undefined): string | undefined {
  return expr?.kind === 'literal' && typeof expr.value === 'string' && expr.type.kind === 'string'
    ? expr.value
    : undefined;
}

export const jsonFunctions: readonly FunctionDef[] = [
  customFunction({
    name: 'to_json',
    group: 'json',
    usage: 'to_json(struct, array or map)',
    about: 'The value as JSON; fields that are NULL are left out.',
    type(args) {
      const fitted = fitAll(args, ['any']);
      if ('complaint' in fitted) return fitted;
      const [input] = fitted as [Expr];
      if (!['struct', 'array', 'map'].includes(input.type.kind))
        return { complaint: `takes a STRUCT, ARRAY or MAP, not ${formatType(input.type)}`, arg: 0 };
      return { args: fitted, type: STRING, nullable: input.nullable };
    },
    emit: (g, call) => {
      const type = call.args[0]?.type;
      return g.strict(call.args, STRING, ([value]) => ({
        boxed: `${g.fn(toJson)}(${value?.v}, ${g.constant(type)}, rt.zone)`,
      }));
    },
  }),
  customFunction({
    name: 'from_json',
    group: 'json',
    usage: "from_json(text, 'a INT, b STRING')",
    about: 'The struct, array or map that a JSON text holds; what does not fit is NULL.',
    type(args) {
      const fitted = fitAll(args, [STRING, STRING]);
      if ('complaint' in fitted)
        return args.length === 3 ? { complaint: 'takes no options here: bad JSON gives NULLs', arg: 2 } : fitted;
      const text = textOf(fitted[1]);
      if (text === undefined) return { complaint: 'takes a schema that is written out', arg: 1 };
      const type = schemaOf(text);
      if (typeof type === 'string') return { complaint: `cannot read this schema: ${type}`, arg: 1 };
      return { args: fitted, type, nullable: true };
    },
    emit(g, call) {
      g.fails();
      return g.strict(
        call.args.slice(0, 1),
        call.type,
        ([text]) => ({ boxed: `${g.fn(fromJson)}(${g.boxed(text as Val)}, ${g.constant(call.type)}, rt.zone)` }),
        { mayBeNull: true },
      );
    },
  }),
  customFunction({
    name: 'get_json_object',
    group: 'json',
    usage: "get_json_object(text, '$.a.b[0]')",
    about: 'What stands at a path within a JSON text, as text; NULL where nothing does.',
    type(args) {
      const fitted = fitAll(args, [STRING, STRING]);
      if ('complaint' in fitted) return fitted;
      const path = textOf(fitted[1]);
      if (path !== undefined && compileJsonPath(path) === null)
        return { complaint: "takes a path like '$.a.b[0]'", arg: 1 };
      return { args: fitted, type: STRING, nullable: true };
    },
    emit(g, call) {
      g.fails();
      return g.strict(
        call.args,
        STRING,
        ([text, path]) => ({ boxed: `${g.fn(getJsonObject)}(${g.boxed(text as Val)}, ${g.boxed(path as Val)})` }),
        {
          mayBeNull: true,
        },
      );
    },
  }),
  customFunction({
    name: 'schema_of_json',
    group: 'json',
    usage: "schema_of_json('{…}')",
    about: 'The type of a JSON text that is written out, as from_json takes it.',
    type(args) {
      const fitted = fitAll(args, [STRING]);
      if ('complaint' in fitted) return fitted;
      const text = textOf(fitted[0]);
      if (text === undefined) return { complaint: 'takes a JSON text that is written out', arg: 0 };
      if (schemaOfJson(text) === null) return { complaint: 'takes a JSON text', arg: 0 };
      return { args: fitted, type: STRING, nullable: false };
    },
    emit: (g, call) => g.expr(stringLiteral(schemaOfJson(textOf(call.args[0]) ?? '') ?? '')),
  }),
  valueFunction({
    name: 'json_array_length',
    group: 'json',
    usage: 'json_array_length(text)',
    about: 'How many elements the outermost array has; NULL when the text is no array.',
    params: [STRING],
    returns: INT,
    mayBeNull: true,
    call: jsonArrayLength,
  }),
  valueFunction({
    name: 'json_object_keys',
    group: 'json',
    usage: 'json_object_keys(text)',
    about: 'The keys of the outermost object; NULL when the text is no object.',
    params: [STRING],
    returns: { kind: 'array', element: STRING, containsNull: false },
    mayBeNull: true,
    call: jsonObjectKeys,
  }),
];
