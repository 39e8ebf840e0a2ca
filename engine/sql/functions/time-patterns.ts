/** Dates and times from text and to text, after Java's patterns. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import type { Val } from '../codegen.ts';
import { BIGINT, castTo, DATE, isNumeric, STRING, TIMESTAMP } from '../coercion.ts';
import { anyNullable, customFunction, fitAll, type FunctionDef } from '../function-table.ts';
import { stringLiteral } from '../literal.ts';
import {
  compileDatePattern,
  type DatePattern,
  datePatternOf,
  DateTexts,
  formatDatePattern,
  parseDatePattern,
} from '../runtime/date-patterns.ts';
import { raiseCastInvalid, raiseExpressionFailed } from '../runtime/runtime.ts';
import { dateOfTimestamp } from '../runtime/time.ts';
import { zonedFunction } from './zoned-function.ts';

function wrongPattern(expr: Expr | undefined): string | undefined {
  if (expr?.kind !== 'literal' || typeof expr.value !== 'string' || expr.type.kind !== 'string') return undefined;
  const compiled = compileDatePattern(expr.value);
  return typeof compiled === 'string' ? compiled : undefined;
}

/** A pattern that is the same for all rows. */
function fixedPattern(expr: Expr | undefined): DatePattern | undefined {
  if (expr?.kind !== 'literal' || typeof expr.value !== 'string' || expr.type.kind !== 'string') return undefined;
  return datePatternOf(expr.value);
}

function formatWith(timestamp: number, pattern: string, zone: TimeZone): string {
  const compiled = datePatternOf(pattern) ?? raiseExpressionFailed();
  return formatDatePattern(compiled, timestamp, zone);
}

function parseWith(text: string, pattern: string, zone: TimeZone): number | null {
  const compiled = datePatternOf(pattern) ?? raiseExpressionFailed();
  return parseDatePattern(compiled, text, zone);
}

const parseTimestampWith = (text: string, pattern: string, zone: TimeZone): number =>
  parseWith(text, pattern, zone) ?? raiseCastInvalid();
const parseDateWith = (text: string, pattern: string, zone: TimeZone): number =>
  dateOfTimestamp(parseTimestampWith(text, pattern, zone), zone);
const tryParseDateWith = (text: string, pattern: string, zone: TimeZone): number | null => {
  const timestamp = parseWith(text, pattern, zone);
  return timestamp === null ? null : dateOfTimestamp(timestamp, zone);
};
const unixSecondsWith = (text: string, pattern: string, zone: TimeZone): bigint =>
  BigInt(Math.floor(parseTimestampWith(text, pattern, zone) / 1e6));

/** to_timestamp and its kind: a cast without a pattern, parsing with one. */
function parsingFunction(
  name: string,
  type: DataType,
  about: string,
  parse: typeof parseWith,
  tries: boolean,
  aliases: readonly string[] = [],
): FunctionDef {
  return customFunction({
    name,
    aliases,
    group: 'time',
    usage: `${name}(text [, pattern])`,
    about,
    type(args) {
      const [input] = args;
      if (args.length === 1 && input !== undefined) {
        if (
          input.type.kind !== 'string' &&
          input.type.kind !== 'null' &&
          !['date', 'timestamp'].includes(input.type.kind) &&
          !(type.kind === 'timestamp' && isNumeric(input.type))
        ) {
          return { complaint: `takes a text, DATE or TIMESTAMP, not ${input.type.kind.toUpperCase()}`, arg: 0 };
        }
        const cast = castTo(input, type, tries ? 'try' : 'ansi');
        return { args: [cast], type, nullable: cast.nullable };
      }
      if (args.length === 2 && (input?.type.kind === 'date' || input?.type.kind === 'timestamp')) {
        return { args: [castTo(input, type)], type, nullable: input.nullable };
      }
      const fitted = fitAll(args, [STRING, STRING]);
      if ('complaint' in fitted) return fitted;
      const wrong = wrongPattern(fitted[1]);
      if (wrong !== undefined) return { complaint: `cannot use this pattern: ${wrong}`, arg: 1 };
      return { args: fitted, type, nullable: tries || anyNullable(fitted) };
    },
    emit(g, call) {
      if (call.args.length === 1) return g.expr(call.args[0] as Expr);
      g.fails();
      return g.strict(
        call.args,
        type,
        ([text, pattern]) => ({
          boxed: `${g.fn(parse)}(${g.boxed(text as Val)}, ${g.boxed(pattern as Val)}, rt.zone)`,
        }),
        { mayBeNull: tries },
      );
    },
  });
}

const DEFAULT_PATTERN = stringLiteral('yyyy-MM-dd HH:mm:ss');

const unixTimestamp = customFunction({
  name: 'unix_timestamp',
  aliases: ['to_unix_timestamp'],
  group: 'time',
  usage: 'unix_timestamp([time [, pattern]])',
  about: 'Seconds since 1970-01-01 UTC, of the record when there is no argument.',
  perRecord: true,
  type(args) {
    const [input, pattern] = args;
    if (input === undefined) return { args, type: BIGINT, nullable: false };
    if (input.type.kind !== 'string') {
      const fitted = fitAll(args, [TIMESTAMP, STRING], 1);
      return 'complaint' in fitted
        ? fitted
        : { args: fitted.slice(0, 1), type: BIGINT, nullable: (fitted[0] as Expr).nullable };
    }
    const fitted = fitAll([input, pattern ?? DEFAULT_PATTERN, ...args.slice(2)], [STRING, STRING]);
    if ('complaint' in fitted) return fitted;
    const wrong = wrongPattern(fitted[1]);
    if (wrong !== undefined) return { complaint: `cannot use this pattern: ${wrong}`, arg: 1 };
    return { args: fitted, type: BIGINT, nullable: anyNullable(fitted) };
  },
  emit(g, call) {
    if (call.args.length === 0)
      return g.scalar(BIGINT, 'false', 'BigInt(Math.floor(rt.origins.timestampMs[r] / 1000))');
    if (call.args.length === 1)
      return g.strict(call.args, BIGINT, ([time]) => ({ value: `BigInt(Math.floor(${time?.v} / 1000000))` }));
    g.fails();
    return g.strict(call.args, BIGINT, ([text, pattern]) => ({
      boxed: `${g.fn(unixSecondsWith)}(${g.boxed(text as Val)}, ${g.boxed(pattern as Val)}, rt.zone)`,
    }));
  },
});

const fromUnix = (seconds: bigint, pattern: string, zone: TimeZone): string =>
  formatWith(Number(seconds) * 1e6, pattern, zone);

/** In the order of docs/functions.md. */
export const timePatternFunctions: readonly FunctionDef[] = [
  customFunction({
    name: 'date_format',
    group: 'time',
    usage: "date_format(timestamp, 'yyyy-MM-dd')",
    about: "The time as text, after Java's patterns.",
    type(args) {
      const fitted = fitAll(args, [TIMESTAMP, STRING]);
      if ('complaint' in fitted) return fitted;
      const wrong = wrongPattern(fitted[1]);
      if (wrong !== undefined) return { complaint: `cannot use this pattern: ${wrong}`, arg: 1 };
      return { args: fitted, type: STRING, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      const [time, pattern] = call.args;
      const fixed = time === undefined ? undefined : fixedPattern(pattern);
      if (time !== undefined && fixed !== undefined) {
        const texts = g.constant(new DateTexts(fixed));
        return g.strict([time], STRING, ([value]) => ({ text: `${texts}.write(rt, ${value?.v})` }));
      }
      return g.strict(call.args, STRING, ([value, text]) => ({
        boxed: `${g.fn(formatWith)}(${value?.v}, ${g.boxed(text as Val)}, rt.zone)`,
      }));
    },
  }),
  parsingFunction('to_timestamp', TIMESTAMP, 'The time that a text stands for.', parseTimestampWith, false, [
    'to_timestamp_ltz',
  ]),
  parsingFunction(
    'try_to_timestamp',
    TIMESTAMP,
    'The time that a text stands for, NULL when it stands for none.',
    parseWith,
    true,
  ),
  parsingFunction('to_date', DATE, 'The date that a text stands for.', parseDateWith, false),
  parsingFunction(
    'try_to_date',
    DATE,
    'The date that a text stands for, NULL when it stands for none.',
    tryParseDateWith,
    true,
  ),
  unixTimestamp,
  zonedFunction({
    name: 'from_unixtime',
    usage: 'from_unixtime(seconds [, pattern])',
    about: 'Seconds since 1970-01-01 UTC as local time in text.',
    params: [BIGINT, STRING],
    optional: [DEFAULT_PATTERN],
    returns: STRING,
    call: fromUnix,
  }),
];
