/** Functions over JSON text. */
import type { Expr } from '../../../core/ast.ts';
import { formatType } from '../../../core/types.ts';
import type { DataType } from '../../../core/types.ts';
import type { Val } from '../codegen.ts';
import { INT, STRING } from '../coercion.ts';
import { type Complaint, customFunction, fitAll, type FunctionDef, valueFunction } from '../function-table.ts';
import { stringLiteral } from '../literal.ts';
import { parseColumns, parseType } from '../parser.ts';
import { SqlSyntaxError } from '../problems.ts';
import { compileDatePattern, type DatePattern, datePatternOf } from '../runtime/date-patterns.ts';
import {
  fromJson,
  getJsonObject,
  jsonArrayLength,
  type JsonInference,
  jsonObjectKeys,
  type JsonReading,
  type JsonWriting,
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

/** A text that is written out. */
export function textOf(expr: Expr | undefined): string | undefined {
  return expr?.kind === 'literal' && typeof expr.value === 'string' && expr.type.kind === 'string'
    ? expr.value
    : undefined;
}

/** A schema that is written out, or the one of a JSON text that is. */
function schemaTextOf(expr: Expr | undefined): string | undefined {
  if (expr?.kind !== 'call' || expr.name !== 'schema_of_json') return textOf(expr);
  const [text, options] = expr.args;
  return schemaOfJson(textOf(text) ?? '', inferenceOf(optionsOf(options) ?? new Map())) ?? undefined;
}

/** Is there a MAP in it whose keys are no texts? JSON has none such. */
function hasOtherKeys(type: DataType): boolean {
  if (type.kind === 'map') return type.key.kind !== 'string' || hasOtherKeys(type.value);
  if (type.kind === 'array') return hasOtherKeys(type.element);
  return type.kind === 'struct' && type.fields.some((field) => hasOtherKeys(field.type));
}

export type Options = ReadonlyMap<string, string>;

/** The options of `map('name', 'value', …)` by their names in small letters; undefined where they are not written out. */
export function optionsOf(expr: Expr | undefined): Options | undefined {
  if (expr === undefined) return new Map();
  if (expr.kind !== 'call' || expr.name !== 'map') return undefined;
  const texts = expr.args.map(textOf);
  if (texts.includes(undefined)) return undefined;
  const options = new Map<string, string>();
  for (let index = 0; index + 1 < texts.length; index += 2)
    options.set((texts[index] as string).toLowerCase(), texts[index + 1] as string);
  return options;
}

/** What is wrong with the options of a call, or undefined. */
export function wrongOptions(expr: Expr | undefined, known: readonly string[], arg: number): Complaint | undefined {
  const options = optionsOf(expr);
  if (options === undefined) return { complaint: "takes options that are written out: map('mode', 'FAILFAST')", arg };
  for (const [name, value] of options) {
    if (!known.some((option) => option.toLowerCase() === name))
      return { complaint: `knows no option ${name}; it knows ${known.join(', ')}`, arg };
    if (!name.endsWith('format')) continue;
    const compiled = compileDatePattern(value);
    if (typeof compiled === 'string') return { complaint: `cannot use the ${name}: ${compiled}`, arg };
  }
  const mode = options.get('mode')?.toUpperCase() ?? 'PERMISSIVE';
  if (mode !== 'PERMISSIVE' && mode !== 'FAILFAST')
    return { complaint: `has the modes PERMISSIVE and FAILFAST, not ${mode}`, arg };
  return undefined;
}

function patternOption(options: Options, name: string): DatePattern | null {
  const pattern = options.get(name);
  return pattern === undefined ? null : (datePatternOf(pattern) ?? null);
}

const isOn = (options: Options, name: string): boolean => options.get(name)?.toLowerCase() === 'true';

const timeOptions = ['dateFormat', 'timestampFormat'];
const readOptions = ['mode', 'columnNameOfCorruptRecord', ...timeOptions];
const writeOptions = ['ignoreNullFields', ...timeOptions];
const inferenceOptions = ['primitivesAsString', 'prefersDecimal', 'allowNumericLeadingZeros'];

function readingOf(options: Options, type: DataType): JsonReading {
  const corrupt = options.get('columnnameofcorruptrecord') ?? '_corrupt_record';
  return {
    failFast: options.get('mode')?.toUpperCase() === 'FAILFAST',
    corruptField: type.kind === 'struct' ? type.fields.findIndex(({ name }) => name === corrupt) : -1,
    dateFormat: patternOption(options, 'dateformat'),
    timestampFormat: patternOption(options, 'timestampformat'),
  };
}

function inferenceOf(options: Options): JsonInference {
  return {
    primitivesAsString: isOn(options, 'primitivesasstring'),
    prefersDecimal: isOn(options, 'prefersdecimal'),
    leadingZeros: isOn(options, 'allownumericleadingzeros'),
  };
}

export const OPTIONS: DataType = { kind: 'map', key: STRING, value: STRING, valueContainsNull: false };

export const jsonFunctions: readonly FunctionDef[] = [
  customFunction({
    name: 'to_json',
    group: 'json',
    usage: 'to_json(struct, array or map [, options])',
    about: `The value as JSON; fields that are NULL are left out. Options: ${writeOptions.join(', ')}.`,
    type(args) {
      const fitted = fitAll(args, ['any', OPTIONS], 1);
      if ('complaint' in fitted) return fitted;
      const [input] = fitted as [Expr];
      if (!['struct', 'array', 'map'].includes(input.type.kind))
        return { complaint: `takes a STRUCT, ARRAY or MAP, not ${formatType(input.type)}`, arg: 0 };
      const wrong = wrongOptions(fitted[1], writeOptions, 1);
      return wrong ?? { args: fitted, type: STRING, nullable: input.nullable };
    },
    emit: (g, call) => {
      const type = call.args[0]?.type;
      const options = optionsOf(call.args[1]) ?? new Map();
      const writing: JsonWriting = {
        ignoreNullFields: options.get('ignorenullfields')?.toLowerCase() !== 'false',
        dateFormat: patternOption(options, 'dateformat'),
        timestampFormat: patternOption(options, 'timestampformat'),
      };
      return g.strict(call.args.slice(0, 1), STRING, ([value]) => ({
        boxed: `${g.fn(toJson)}(${value?.v}, ${g.constant(type)}, rt.zone, ${g.constant(writing)})`,
      }));
    },
  }),
  customFunction({
    name: 'from_json',
    group: 'json',
    usage: "from_json(text, 'a INT, b STRING' [, options])",
    about:
      'The struct, array or map that a JSON text holds; what does not fit is NULL, and the whole text then stands in a ' +
      `field _corrupt_record if there is one. Options: ${readOptions.join(', ')}.`,
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, OPTIONS], 1);
      if ('complaint' in fitted) return fitted;
      const text = schemaTextOf(fitted[1]);
      if (text === undefined) return { complaint: 'takes a schema that is written out', arg: 1 };
      const type = schemaOf(text);
      if (typeof type === 'string') return { complaint: `cannot read this schema: ${type}`, arg: 1 };
      if (hasOtherKeys(type)) return { complaint: 'takes a MAP with keys of type STRING', arg: 1 };
      return wrongOptions(fitted[2], readOptions, 2) ?? { args: fitted, type, nullable: true };
    },
    emit(g, call) {
      g.fails();
      const reading = g.constant(readingOf(optionsOf(call.args[2]) ?? new Map(), call.type));
      return g.strict(
        call.args.slice(0, 1),
        call.type,
        ([text]) => ({
          boxed: `${g.fn(fromJson)}(${g.boxed(text as Val)}, ${g.constant(call.type)}, rt.zone, ${reading})`,
        }),
        { mayBeNull: true },
      );
    },
  }),
  customFunction({
    name: 'get_json_object',
    group: 'json',
    usage: "get_json_object(text, '$.a.b[0]')",
    about: 'What stands at a path within a JSON text, as text; NULL where nothing does, and for what is no path.',
    type(args) {
      const fitted = fitAll(args, [STRING, STRING]);
      if ('complaint' in fitted) return fitted;
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
    usage: "schema_of_json('{…}' [, options])",
    about: `The type of a JSON text that is written out, as from_json takes it. Options: ${inferenceOptions.join(', ')}.`,
    type(args) {
      const fitted = fitAll(args, [STRING, OPTIONS], 1);
      if ('complaint' in fitted) return fitted;
      const text = textOf(fitted[0]);
      if (text === undefined) return { complaint: 'takes a JSON text that is written out', arg: 0 };
      const wrong = wrongOptions(fitted[1], inferenceOptions, 1);
      if (wrong !== undefined) return wrong;
      const schema = schemaOfJson(text, inferenceOf(optionsOf(fitted[1]) ?? new Map()));
      if (schema === null) return { complaint: 'takes a JSON text', arg: 0 };
      return { args: fitted, type: STRING, nullable: false };
    },
    emit: (g, call) => g.expr(stringLiteral(schemaTextOf(call) ?? '')),
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
