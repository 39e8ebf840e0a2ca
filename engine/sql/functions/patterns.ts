/** LIKE and the regular expression functions. Patterns are Java's, as in Spark. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { Gen, Val } from '../codegen.ts';
import { BOOLEAN, INT, STRING } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type Param,
  type Typing,
} from '../function-table.ts';
import { intLiteral, stringLiteral } from '../literal.ts';
import { compileLike, ilikeText, likeDynamic, likeMatches, simpleLikeKernel } from '../runtime/patterns.ts';
import {
  compileRegexp,
  Regexp,
  regexpCount,
  regexpExtract,
  regexpExtractAll,
  regexpInstr,
  regexpLike,
  regexpOf,
  regexpReplace,
  regexpSubstr,
  splitText,
} from '../runtime/regexp.ts';

function textLiteral(expr: Expr | undefined): string | undefined {
  return expr?.kind === 'literal' && expr.type.kind === 'string' && typeof expr.value === 'string'
    ? expr.value
    : undefined;
}

// ---- LIKE -------------------------------------------------------------------------------------------------------

function typeLike(args: readonly Expr[]): Typing | Complaint {
  const fitted = fitAll(args, [STRING, STRING, STRING], 1);
  if ('complaint' in fitted) return fitted;
  const complete = fitted.length === 3 ? fitted : [...fitted, stringLiteral('\\')];
  const pattern = textLiteral(complete[1]);
  const escape = textLiteral(complete[2]);
  if (pattern !== undefined && escape !== undefined && compileLike(pattern, escape) === null) {
    return {
      complaint: `the pattern has the escape character ${escape} in front of something that needs none`,
      arg: 1,
    };
  }
  return { args: complete, type: BOOLEAN, nullable: anyNullable(fitted) };
}

const like = customFunction({
  name: 'like',
  group: 'operator',
  usage: "a LIKE 'pattern' [ESCAPE 'c']",
  about: 'True when the text fits the pattern: % stands for any text, _ for any character.',
  type: typeLike,
  emit(g, call) {
    const [, patternExpr, escapeExpr] = call.args;
    const pattern = textLiteral(patternExpr);
    const escape = textLiteral(escapeExpr);
    const compiled = pattern === undefined || escape === undefined ? null : compileLike(pattern, escape);
    if (compiled !== null) {
      return g.strict(call.args.slice(0, 1), BOOLEAN, ([text]) => {
        const bytes = g.bytes(text as Val);
        if (compiled.simple === null) return { value: `${g.fn(likeMatches)}(${bytes}, ${g.constant(compiled)})` };
        const part = compiled.simple.text;
        return {
          value: `${g.fn(simpleLikeKernel(compiled.simple))}(${bytes}, ${g.constant(part)}, 0, ${part.length})`,
        };
      });
    }
    g.fails();
    return g.strict(call.args, BOOLEAN, (vals) => {
      const [text, by, escapeBy] = vals as readonly [Val, Val, Val];
      return { value: `${g.fn(likeDynamic)}(${g.bytes(text)}, ${g.boxed(by)}, ${g.boxed(escapeBy)})` };
    });
  },
});

const ilike = customFunction({
  name: 'ilike',
  group: 'operator',
  usage: "a ILIKE 'pattern' [ESCAPE 'c']",
  about: 'As LIKE, capital and small letters alike.',
  type: typeLike,
  emit(g, call) {
    g.fails();
    return g.strict(call.args, BOOLEAN, (vals) => ({
      value: `${g.fn(ilikeText)}(${vals.map((val) => g.boxed(val)).join(', ')})`,
    }));
  },
});

// ---- regular expressions ----------------------------------------------------------------------------------------

interface RegexpSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group?: FunctionDef['group'];
  readonly usage: string;
  readonly about: string;
  /** Behind the text and the pattern. */
  readonly params: readonly Param[];
  /** What stands for parameters that are left out. */
  readonly defaults: readonly Expr[];
  readonly returns: DataType;
  readonly mayBeNull?: boolean;
  readonly call: (text: string, regexp: Regexp, ...rest: never[]) => unknown;
}

function regexpFunction(spec: RegexpSpec): FunctionDef {
  return customFunction({
    name: spec.name,
    aliases: spec.aliases ?? [],
    group: spec.group ?? 'string',
    usage: spec.usage,
    about: spec.about,
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, ...spec.params], spec.defaults.length);
      if ('complaint' in fitted) return fitted;
      const pattern = textLiteral(fitted[1]);
      const compiled = pattern === undefined ? null : compileRegexp(pattern);
      if (typeof compiled === 'string') return { complaint: `cannot use this pattern: ${compiled}`, arg: 1 };
      const group = spec.call === regexpExtract || spec.call === regexpExtractAll ? fitted[2] : undefined;
      if (compiled !== null && group?.kind === 'literal' && Number(group.value) > compiled.groupCount) {
        return { complaint: `asks for group ${group.value} of a pattern that has ${compiled.groupCount}`, arg: 2 };
      }
      const missing = spec.params.length + 2 - fitted.length;
      const complete = missing === 0 ? fitted : [...fitted, ...spec.defaults.slice(-missing)];
      return { args: complete, type: spec.returns, nullable: spec.mayBeNull === true || anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      const literal = textLiteral(call.args[1]);
      const compiled = literal === undefined ? null : compileRegexp(literal);
      const fixed = compiled instanceof Regexp ? g.constant(compiled) : null;
      const evaluated = fixed === null ? call.args : call.args.filter((_, index) => index !== 1);
      return g.strict(
        evaluated,
        spec.returns,
        (vals) => {
          const [text, ...others] = vals as readonly [Val, ...Val[]];
          const [regexp, rest] =
            fixed === null ? [dynamicRegexp(g, others[0] as Val), others.slice(1)] : [fixed, others];
          return {
            boxed: `${g.fn(spec.call)}(${[g.boxed(text), regexp, ...rest.map((val) => g.boxed(val))].join(', ')})`,
          };
        },
        { mayBeNull: spec.mayBeNull === true },
      );
    },
  });
}

function dynamicRegexp(g: Gen, pattern: Val): string {
  return `${g.fn(regexpOf)}(${g.boxed(pattern)})`;
}

const TEXTS: DataType = { kind: 'array', element: STRING, containsNull: false };

export const patternFunctions: readonly FunctionDef[] = [
  like,
  ilike,
  regexpFunction({
    name: 'rlike',
    aliases: ['regexp_like', 'regexp'],
    usage: "a RLIKE 'pattern', regexp_like(a, 'pattern')",
    about: 'True when a part of the text matches the regular expression.',
    params: [],
    defaults: [],
    returns: BOOLEAN,
    call: regexpLike,
  }),
  regexpFunction({
    name: 'regexp_replace',
    usage: 'regexp_replace(text, pattern, replacement [, position])',
    about: 'Every match replaced; $1 stands for the first group.',
    params: [STRING, INT],
    defaults: [intLiteral(1)],
    returns: STRING,
    call: regexpReplace,
  }),
  regexpFunction({
    name: 'regexp_extract',
    usage: 'regexp_extract(text, pattern [, group])',
    about: 'A group of the first match (group 1 unless told, 0 = all of it); empty when nothing matches.',
    params: [INT],
    defaults: [intLiteral(1)],
    returns: STRING,
    call: regexpExtract,
  }),
  regexpFunction({
    name: 'regexp_extract_all',
    usage: 'regexp_extract_all(text, pattern [, group])',
    about: 'A group of every match.',
    params: [INT],
    defaults: [intLiteral(1)],
    returns: TEXTS,
    call: regexpExtractAll,
  }),
  regexpFunction({
    name: 'regexp_count',
    usage: 'regexp_count(text, pattern)',
    about: 'How many matches there are.',
    params: [],
    defaults: [],
    returns: INT,
    call: regexpCount,
  }),
  regexpFunction({
    name: 'regexp_substr',
    usage: 'regexp_substr(text, pattern)',
    about: 'The first match, NULL when there is none.',
    params: [],
    defaults: [],
    returns: STRING,
    mayBeNull: true,
    call: regexpSubstr,
  }),
  regexpFunction({
    name: 'regexp_instr',
    usage: 'regexp_instr(text, pattern)',
    about: 'Where the first match begins, 0 when there is none.',
    params: [],
    defaults: [],
    returns: INT,
    call: regexpInstr,
  }),
  regexpFunction({
    name: 'split',
    usage: 'split(text, pattern [, limit])',
    about:
      'The parts of a text between the matches of a regular expression; at most `limit` of them when it is above 0.',
    params: [INT],
    defaults: [intLiteral(-1)],
    returns: TEXTS,
    call: splitText,
  }),
];
