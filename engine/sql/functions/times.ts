/** Functions over dates and timestamps. Local times are those of the session time zone. */
import type { Expr } from '../../../core/ast.ts';
import { intervalOfText } from '../../../core/interval.ts';
import type { DataType } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { Gen, Result, Val } from '../codegen.ts';
import { reprOf } from '../repr.ts';
import { BIGINT, BOOLEAN, castTo, DATE, DOUBLE, INT, isIntegral, isNumeric, STRING, TIMESTAMP } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type Param,
  strictFunction,
  type Typing,
  valueFunction,
} from '../function-table.ts';
import { booleanLiteral, stringLiteral } from '../literal.ts';
import {
  compileDatePattern,
  datePatternOf,
  formatDatePattern,
  monthName,
  parseDatePattern,
  weekdayName,
} from '../runtime/date-patterns.ts';
import { checkInt, checkLong } from '../runtime/numbers.ts';
import { intervalParts, SECONDS, typeIntervalPart } from './intervals.ts';
import { orNull, raiseCastInvalid, raiseExpressionFailed, raiseOverflow } from '../runtime/runtime.ts';
import {
  addMonthsToDate,
  addMonthsToTimestamp,
  checkedDays,
  dateOfTimestamp,
  dayOfWeek,
  dayOfYear,
  hourOf,
  lastDay,
  minuteOf,
  monthsBetween,
  nextDay,
  secondOf,
  toUtc,
  truncDate,
  truncTimestamp,
  unitsBetween,
  weekOfYear,
} from '../runtime/time.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import { timeZoneOf } from '../../scan/time-zone.ts';
import { civilOf } from '../../encode/text.ts';

function durationMicros(text: string): bigint | null {
  const interval = intervalOfText(text);
  if (interval === undefined) return null;
  return interval.months === 0 ? BigInt(interval.microseconds) : raiseCastInvalid();
}

const yearOf = (days: number): number => civilOf(days).year;
const monthOf = (days: number): number => civilOf(days).month;
const dayOf = (days: number): number => civilOf(days).day;
const quarterOf = (days: number): number => Math.floor((civilOf(days).month + 2) / 3);
/** Monday = 0. */
const weekday = (days: number): number => (dayOfWeek(days) + 5) % 7;

function datePart(
  name: string,
  aliases: readonly string[],
  about: string,
  kernel: (days: number) => number,
): FunctionDef {
  return strictFunction({
    name,
    aliases,
    group: 'time',
    usage: `${name}(date)`,
    about,
    params: [DATE],
    returns: INT,
    body: (g, [days]) => ({ value: `${g.fn(kernel)}(${days?.v})` }),
  });
}

function timePart(name: string, about: string, kernel: (timestamp: number, zone: TimeZone) => number): FunctionDef {
  return strictFunction({
    name,
    group: 'time',
    usage: `${name}(timestamp)`,
    about,
    params: [TIMESTAMP],
    returns: INT,
    body: (g, [timestamp]) => ({ value: `${g.fn(kernel)}(${timestamp?.v}, rt.zone)` }),
  });
}

/** A function over values that also gets the session time zone. */
function zonedFunction(spec: {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly about: string;
  readonly params: readonly Param[];
  readonly optional?: readonly Expr[];
  readonly returns: DataType;
  readonly mayBeNull?: boolean;
  readonly call: (...args: never[]) => unknown;
}): FunctionDef {
  const defaults = spec.optional ?? [];
  return customFunction({
    name: spec.name,
    aliases: spec.aliases ?? [],
    group: 'time',
    usage: spec.usage,
    about: spec.about,
    type(args) {
      const fitted = fitAll(args, spec.params, defaults.length);
      if ('complaint' in fitted) return fitted;
      const missing = spec.params.length - fitted.length;
      const complete = missing === 0 ? fitted : [...fitted, ...defaults.slice(-missing)];
      return { args: complete, type: spec.returns, nullable: spec.mayBeNull === true || anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      return g.strict(
        call.args,
        call.type,
        (vals) => ({ boxed: `${g.fn(spec.call)}(${[...vals.map((val) => g.boxed(val)), 'rt.zone'].join(', ')})` }),
        { mayBeNull: spec.mayBeNull === true },
      );
    },
  });
}

// ---- patterns ---------------------------------------------------------------------------------------------------

function wrongPattern(expr: Expr | undefined): string | undefined {
  if (expr?.kind !== 'literal' || typeof expr.value !== 'string' || expr.type.kind !== 'string') return undefined;
  const compiled = compileDatePattern(expr.value);
  return typeof compiled === 'string' ? compiled : undefined;
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

// ---- arithmetic -------------------------------------------------------------------------------------------------

function addDays(name: string, aliases: readonly string[], sign: '+' | '-'): FunctionDef {
  return customFunction({
    name,
    aliases,
    group: 'time',
    usage: `${name}(date, days)`,
    about: `The date so many days ${sign === '+' ? 'later' : 'earlier'}.`,
    type(args) {
      // date_add(unit, n, time) is timestampadd.
      if (args.length === 3 && sign === '+') return typeTimestampAdd(args);
      const fitted = fitAll(args, [DATE, INT]);
      if ('complaint' in fitted) return fitted;
      const count = args[1]?.type ?? INT;
      if (isNumeric(count) && !(isIntegral(count) && count.kind !== 'bigint'))
        return { complaint: `takes INT here, not ${formatType(count)}`, arg: 1 };
      return { args: fitted, type: DATE, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      if (call.args.length === 3) return emitTimestampAdd(g, call.args);
      return g.strict(call.args, DATE, ([days, count]) => ({
        value: `${g.fn(checkInt)}(${days?.v} ${sign} ${count?.v})`,
      }));
    },
  });
}

const unitSizes = new Map<string, { readonly months?: number; readonly microseconds?: number }>([
  ['YEAR', { months: 12 }],
  ['QUARTER', { months: 3 }],
  ['MONTH', { months: 1 }],
  ['WEEK', { microseconds: 604_800_000_000 }],
  ['DAY', { microseconds: 86_400_000_000 }],
  ['DAYOFYEAR', { microseconds: 86_400_000_000 }],
  ['HOUR', { microseconds: 3_600_000_000 }],
  ['MINUTE', { microseconds: 60_000_000 }],
  ['SECOND', { microseconds: 1_000_000 }],
  ['MILLISECOND', { microseconds: 1000 }],
  ['MICROSECOND', { microseconds: 1 }],
]);

function unitText(expr: Expr | undefined): string | undefined {
  const text = expr?.kind === 'literal' && typeof expr.value === 'string' ? expr.value.toUpperCase() : undefined;
  return text !== undefined && unitSizes.has(text) ? text : undefined;
}

function typeTimestampAdd(args: readonly Expr[]): Typing | Complaint {
  if (unitText(args[0]) === undefined)
    return { complaint: `takes a unit first: ${[...unitSizes.keys()].join(', ')}`, arg: 0 };
  const fitted = fitAll(args, [STRING, INT, TIMESTAMP]);
  return 'complaint' in fitted ? fitted : { args: fitted, type: TIMESTAMP, nullable: anyNullable(fitted) };
}

/** Days and longer move the local time, shorter units the moment. */
function addUnits(unit: string, count: number, timestamp: number, zone: TimeZone): number {
  const { months, microseconds = 0 } = unitSizes.get(unit.toUpperCase()) ?? raiseExpressionFailed();
  if (months !== undefined) return addMonthsToTimestamp(timestamp, months * count, zone);
  if (microseconds < 86_400_000_000) return timestamp + count * microseconds;
  return toUtc(zone, timestamp + zone.offsetAtUtc(timestamp) + count * microseconds);
}

function emitTimestampAdd(g: Gen, args: readonly Expr[]): Val {
  g.fails();
  return g.strict(args, TIMESTAMP, ([unit, count, time]) => ({
    value: `${g.fn(addUnits)}(${g.boxed(unit as Val)}, ${count?.v}, ${time?.v}, rt.zone)`,
  }));
}

const dateDiff = customFunction({
  name: 'datediff',
  aliases: ['date_diff', 'timediff', 'timestampdiff'],
  group: 'time',
  usage: 'datediff(end, start) or datediff(unit, start, end)',
  about: 'Days from start to end, or whole units.',
  type(args) {
    if (args.length === 3) {
      if (unitText(args[0]) === undefined)
        return { complaint: `takes a unit first: ${[...unitSizes.keys()].join(', ')}`, arg: 0 };
      const fitted = fitAll(args, [STRING, TIMESTAMP, TIMESTAMP]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: BIGINT, nullable: anyNullable(fitted) };
    }
    const fitted = fitAll(args, [DATE, DATE]);
    return 'complaint' in fitted ? fitted : { args: fitted, type: INT, nullable: anyNullable(fitted) };
  },
  emit(g, call) {
    if (call.args.length === 2)
      return g.strict(call.args, INT, ([end, start]) => ({ value: `${end?.v} - ${start?.v}` }));
    return g.strict(call.args, BIGINT, ([unit, start, end]) => ({
      value: `BigInt(${g.fn(unitsBetween)}(${g.boxed(unit as Val)}, ${start?.v}, ${end?.v}, rt.zone) ?? 0)`,
    }));
  },
});

// ---- epoch numbers ----------------------------------------------------------------------------------------------

function fromEpoch(name: string, about: string, perUnit: number): FunctionDef {
  return customFunction({
    name,
    group: 'time',
    usage: `${name}(number)`,
    about,
    type(args) {
      const fitted = fitAll(args, ['numeric']);
      if ('complaint' in fitted) return fitted;
      const [input] = fitted as [Expr];
      const exact = reprOf(input.type) === 'big';
      return { args: [exact ? input : castTo(input, DOUBLE)], type: TIMESTAMP, nullable: input.nullable };
    },
    emit(g, call) {
      g.fails();
      return g.strict(call.args, TIMESTAMP, ([x]): Result => {
        if (x?.type.kind === 'decimal')
          return { value: `${g.fn(exactMicros)}(${x.v} * ${perUnit}n, ${g.constant(10n ** BigInt(x.type.scale))})` };
        if (x?.type.kind !== 'bigint') return { value: `Math.trunc(${x?.v} * ${perUnit})` };
        return { value: `Number(${g.fn(checkLong)}(${x.v} * ${perUnit}n))` };
      });
    },
  });
}

/** Raises for parts of a microsecond. */
function exactMicros(scaled: bigint, unit: bigint): number {
  return scaled % unit === 0n ? Number(checkLong(scaled / unit)) : raiseOverflow();
}

function toEpoch(name: string, about: string, perUnit: number): FunctionDef {
  return strictFunction({
    name,
    group: 'time',
    usage: `${name}(timestamp)`,
    about,
    params: [TIMESTAMP],
    returns: BIGINT,
    body: (_g, [x]) => ({ value: `BigInt(Math.floor(${x?.v} / ${perUnit}))` }),
  });
}

const currentTimestamp = customFunction({
  name: 'current_timestamp',
  aliases: ['now', 'localtimestamp'],
  group: 'time',
  usage: 'current_timestamp()',
  about: "The record's own time in Kafka, in jobs with state the epoch's: the same whenever the record is read again.",
  perRecord: true,
  type: (args) =>
    args.length === 0
      ? { args, type: TIMESTAMP, nullable: false }
      : { complaint: `takes no argument, not ${args.length}` },
  // Rounded: in epochs the time has microseconds, as a fraction.
  emit: (g) => g.scalar(TIMESTAMP, 'false', 'Math.round(rt.origins.timestampMs[r] * 1000)'),
});

const parts = new Map<string, { readonly kernel: (days: number) => number }>([
  ['YEAR', { kernel: yearOf }],
  ['Y', { kernel: yearOf }],
  ['YEARS', { kernel: yearOf }],
  ['QUARTER', { kernel: quarterOf }],
  ['QTR', { kernel: quarterOf }],
  ['MONTH', { kernel: monthOf }],
  ['MON', { kernel: monthOf }],
  ['MONTHS', { kernel: monthOf }],
  ['WEEK', { kernel: weekOfYear }],
  ['W', { kernel: weekOfYear }],
  ['WEEKS', { kernel: weekOfYear }],
  ['DAY', { kernel: dayOf }],
  ['D', { kernel: dayOf }],
  ['DAYS', { kernel: dayOf }],
  ['DAYOFWEEK', { kernel: dayOfWeek }],
  ['DOW', { kernel: dayOfWeek }],
  ['DAYOFWEEK_ISO', { kernel: (days) => weekday(days) + 1 }],
  ['DOW_ISO', { kernel: (days) => weekday(days) + 1 }],
  ['DOY', { kernel: dayOfYear }],
]);
const clockParts = new Map<string, (timestamp: number, zone: TimeZone) => number>([
  ['HOUR', hourOf],
  ['H', hourOf],
  ['HOURS', hourOf],
  ['MINUTE', minuteOf],
  ['M', minuteOf],
  ['MIN', minuteOf],
  ['MINUTES', minuteOf],
]);

const secondWithFraction = (timestamp: number, zone: TimeZone): bigint => {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  return BigInt(local - Math.floor(local / 60_000_000) * 60_000_000);
};

const datePartFunction = customFunction({
  name: 'date_part',
  aliases: ['datepart'],
  group: 'time',
  usage: "date_part('field', time), EXTRACT(field FROM time)",
  about: 'One field of a date or time: YEAR, QUARTER, MONTH, WEEK, DAY, DOW, DOY, HOUR, MINUTE, SECOND.',
  type(args) {
    const fitted = fitAll(args, [STRING, 'any']);
    if ('complaint' in fitted) return fitted;
    if (args[0]?.type.kind === 'null') return { args: [castTo(args[0], DOUBLE)], type: DOUBLE, nullable: true };
    const [field, time] = fitted as [Expr, Expr];
    const name = field.kind === 'literal' ? String(field.value).toUpperCase() : '';
    const isSecond = ['SECOND', 'S', 'SEC', 'SECONDS'].includes(name);
    if (!parts.has(name) && !clockParts.has(name) && !isSecond) return { complaint: `knows no field ${name}`, arg: 0 };
    if (time.type.kind === 'interval') return typeIntervalPart(field, time, name);
    const inner = fitAll([time], [parts.has(name) ? DATE : TIMESTAMP]);
    if ('complaint' in inner) return { ...inner, arg: 1 };
    return { args: [field, inner[0] as Expr], type: isSecond ? SECONDS : INT, nullable: time.nullable };
  },
  emit(g, call) {
    if (call.args.length === 1) return g.nullVal(DOUBLE);
    const [field, time] = call.args as [Expr, Expr];
    const name = field.kind === 'literal' ? String(field.value).toUpperCase() : '';
    return g.strict([time], call.type, ([x]) => {
      const ofInterval = time.type.kind === 'interval' ? intervalParts.get(name) : undefined;
      if (ofInterval !== undefined) {
        const value = `Math.trunc(${x?.v} % ${ofInterval.modulo} / ${ofInterval.size})`;
        return { value: call.type.kind === 'decimal' ? `BigInt(${value})` : `(${value} + 0)` };
      }
      const part = parts.get(name);
      if (part !== undefined) return { value: `${g.fn(part.kernel)}(${x?.v})` };
      return { value: `${g.fn(clockParts.get(name) ?? secondWithFraction)}(${x?.v}, rt.zone)` };
    });
  },
});

function shiftZone(timestamp: number, name: string, direction: 1 | -1): number {
  const zone = timeZoneOf(name) ?? raiseExpressionFailed();
  return direction === 1 ? timestamp + zone.offsetAtUtc(timestamp) : toUtc(zone, timestamp);
}

function convertZone(timestamp: number, session: TimeZone, to: string, from?: string): number {
  const source = from === undefined ? session : (timeZoneOf(from) ?? raiseExpressionFailed());
  const target = timeZoneOf(to) ?? raiseExpressionFailed();
  // The moment that the local time stands for in `from`, then the local time of `to` at it, as the session's.
  const moment = toUtc(source, timestamp + session.offsetAtUtc(timestamp));
  return toUtc(session, moment + target.offsetAtUtc(moment));
}

/** Seconds in µs; 60 begins the next minute. */
function makeTimestamp(
  zone: TimeZone,
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  secondUs: bigint,
  name: string | null,
): number {
  const days = checkedDays(year, month, day) ?? raiseExpressionFailed();
  const seconds = Number(secondUs);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || seconds < 0 || seconds > 60_000_000)
    return raiseExpressionFailed();
  const own = name === null ? zone : (timeZoneOf(name) ?? raiseExpressionFailed());
  return toUtc(own, days * 86_400_000_000 + hour * 3_600_000_000 + minute * 60_000_000 + seconds);
}

function makeTimestampFunction(
  name: string,
  aliases: readonly string[],
  about: string,
  make: (...args: never[]) => unknown,
  tries: boolean,
): FunctionDef {
  return customFunction({
    name,
    aliases,
    group: 'time',
    usage: `${name}(year, month, day, hour, minute, second [, 'zone'])`,
    about,
    type(args) {
      if (args.length === 1) {
        const date = fitAll(args, [DATE]);
        if ('complaint' in date) return date;
        return { args: [castTo(date[0] as Expr, TIMESTAMP)], type: TIMESTAMP, nullable: anyNullable(date) };
      }
      const fitted = fitAll(args, [INT, INT, INT, INT, INT, MAKE_SECONDS, STRING], 1);
      return 'complaint' in fitted ? fitted : { args: fitted, type: TIMESTAMP, nullable: tries || anyNullable(fitted) };
    },
    emit(g, call) {
      if (call.args.length === 1) return g.expr(call.args[0] as Expr);
      g.fails();
      return g.strict(
        call.args,
        TIMESTAMP,
        (vals) => {
          const parts = vals.slice(0, 6).map((val) => val.v);
          const zone = vals[6] === undefined ? 'null' : g.boxed(vals[6]);
          return { boxed: `${g.fn(make)}(rt.zone, ${parts.join(', ')}, ${zone})` };
        },
        { mayBeNull: tries },
      );
    },
  });
}

const MAKE_SECONDS: DataType = { kind: 'decimal', precision: 16, scale: 6 };

const makeDate = (year: number, month: number, day: number): number =>
  checkedDays(year, month, day) ?? raiseExpressionFailed();
const fromUnix = (seconds: bigint, pattern: string, zone: TimeZone): string =>
  formatWith(Number(seconds) * 1e6, pattern, zone);
const truncTo = (unit: string, timestamp: number, zone: TimeZone): number | null =>
  truncTimestamp(unit, timestamp, zone);

export const timeFunctions: readonly FunctionDef[] = [
  currentTimestamp,
  datePart('year', [], 'The year.', yearOf),
  datePart('quarter', [], 'The quarter, 1 to 4.', quarterOf),
  datePart('month', [], 'The month, 1 to 12.', monthOf),
  datePart('dayofmonth', ['day'], 'The day of the month.', dayOf),
  datePart('dayofweek', [], 'The day of the week: Sunday is 1, Saturday 7.', dayOfWeek),
  datePart('weekday', [], 'The day of the week: Monday is 0, Sunday 6.', weekday),
  datePart('dayofyear', [], 'The day of the year.', dayOfYear),
  datePart('weekofyear', [], 'The week of the year after ISO 8601.', weekOfYear),
  zonedFunction({
    name: 'dayname',
    usage: 'dayname(date)',
    about: 'The day of the week in three letters.',
    params: [DATE],
    returns: STRING,
    call: (days: number): string => weekdayName(days).slice(0, 3),
  }),
  zonedFunction({
    name: 'monthname',
    usage: 'monthname(date)',
    about: 'The month in three letters.',
    params: [DATE],
    returns: STRING,
    call: (days: number): string => monthName(monthOf(days)).slice(0, 3),
  }),
  customFunction({
    name: 'current_timezone',
    group: 'time',
    usage: 'current_timezone()',
    about: 'The time zone of the session.',
    type: (args) =>
      args.length === 0
        ? { args, type: STRING, nullable: false }
        : { complaint: `takes no argument, not ${args.length}` },
    emit: (g) => g.fromBoxed(STRING, 'rt.zone.id', false),
  }),
  timePart('hour', 'The hour, 0 to 23.', hourOf),
  timePart('minute', 'The minute.', minuteOf),
  timePart('second', 'The second, without its fraction.', secondOf),
  datePartFunction,
  strictFunction({
    name: 'last_day',
    group: 'time',
    usage: 'last_day(date)',
    about: 'The last day of the month.',
    params: [DATE],
    returns: DATE,
    body: (g, [days]) => ({ value: `${g.fn(lastDay)}(${days?.v})` }),
  }),
  zonedFunction({
    name: 'next_day',
    usage: "next_day(date, 'Mon')",
    about: 'The next such day of the week behind a date.',
    params: [DATE, STRING],
    returns: DATE,
    call: nextDay,
  }),
  addDays('date_add', ['dateadd'], '+'),
  addDays('date_sub', [], '-'),
  dateDiff,
  customFunction({
    name: 'timestampadd',
    group: 'time',
    usage: 'timestampadd(unit, count, timestamp)',
    about: 'The time so many units later.',
    type: typeTimestampAdd,
    emit: (g, call) => emitTimestampAdd(g, call.args),
  }),
  strictFunction({
    name: 'add_months',
    group: 'time',
    usage: 'add_months(date, months)',
    about: 'The date so many months later, or the last day of that month.',
    params: [DATE, INT],
    returns: DATE,
    fails: true,
    body: (g, [days, months]) => ({ value: `${g.fn(addMonthsToDate)}(${days?.v}, ${months?.v})` }),
  }),
  zonedFunction({
    name: 'months_between',
    usage: 'months_between(end, start [, roundOff])',
    about: 'Months between two times; parts of a month count as 31sts.',
    params: [TIMESTAMP, TIMESTAMP, BOOLEAN],
    optional: [booleanLiteral(true)],
    returns: DOUBLE,
    call: monthsBetween,
  }),
  zonedFunction({
    name: 'date_trunc',
    usage: "date_trunc('hour', timestamp)",
    about: 'The start of the unit a time lies in; NULL for an unknown unit.',
    params: [STRING, TIMESTAMP],
    returns: TIMESTAMP,
    mayBeNull: true,
    call: truncTo,
  }),
  zonedFunction({
    name: 'trunc',
    usage: "trunc(date, 'month')",
    about: 'The first day of the year, quarter, month or week; NULL for another unit.',
    params: [DATE, STRING],
    returns: DATE,
    mayBeNull: true,
    call: truncDate,
  }),
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
      return g.strict(call.args, STRING, ([time, pattern]) => ({
        boxed: `${g.fn(formatWith)}(${time?.v}, ${g.boxed(pattern as Val)}, rt.zone)`,
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
  fromEpoch('timestamp_seconds', 'The time so many seconds after 1970-01-01 UTC.', 1_000_000),
  fromEpoch('timestamp_millis', 'The time so many milliseconds after 1970-01-01 UTC.', 1000),
  fromEpoch('timestamp_micros', 'The time so many microseconds after 1970-01-01 UTC.', 1),
  toEpoch('unix_seconds', 'Seconds since 1970-01-01 UTC.', 1_000_000),
  toEpoch('unix_millis', 'Milliseconds since 1970-01-01 UTC.', 1000),
  toEpoch('unix_micros', 'Microseconds since 1970-01-01 UTC.', 1),
  valueFunction({
    name: 'duration_micros',
    group: 'time',
    usage: 'duration_micros(text)',
    about:
      'The microseconds of a duration in words, NULL for what is none; months have no fixed length and raise an error.',
    params: [STRING],
    returns: BIGINT,
    mayBeNull: true,
    call: durationMicros,
  }),
  strictFunction({
    name: 'unix_date',
    group: 'time',
    usage: 'unix_date(date)',
    about: 'Days since 1970-01-01.',
    params: [DATE],
    returns: INT,
    body: (_g, [days]) => ({ value: (days as Val).v }),
  }),
  strictFunction({
    name: 'date_from_unix_date',
    group: 'time',
    usage: 'date_from_unix_date(days)',
    about: 'The date so many days after 1970-01-01.',
    params: [INT],
    returns: DATE,
    body: (_g, [days]) => ({ value: (days as Val).v }),
  }),
  zonedFunction({
    name: 'make_date',
    usage: 'make_date(year, month, day)',
    about: 'A date of its parts.',
    params: [INT, INT, INT],
    returns: DATE,
    call: makeDate,
  }),
  makeTimestampFunction('make_timestamp', ['make_timestamp_ltz'], 'A time of its parts.', makeTimestamp, false),
  makeTimestampFunction(
    'try_make_timestamp',
    ['try_make_timestamp_ltz'],
    'A time of its parts, NULL where there is none.',
    orNull(makeTimestamp),
    true,
  ),
  customFunction({
    name: 'convert_timezone',
    group: 'time',
    usage: "convert_timezone(['from',] 'to', timestamp)",
    about: 'The local time of one zone, unless told the session’s, as the local time of another.',
    type(args) {
      const fitted = fitAll(args, args.length === 2 ? [STRING, TIMESTAMP] : [STRING, STRING, TIMESTAMP]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: TIMESTAMP, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      return g.strict(call.args, TIMESTAMP, (vals) => {
        const zones = vals.slice(0, -1).map((val) => g.boxed(val));
        return { value: `${g.fn(convertZone)}(${vals.at(-1)?.v}, rt.zone, ${zones.toReversed().join(', ')})` };
      });
    },
  }),
  zonedFunction({
    name: 'from_utc_timestamp',
    usage: "from_utc_timestamp(timestamp, 'zone')",
    about: 'The local time of a zone at a UTC time.',
    params: [TIMESTAMP, STRING],
    returns: TIMESTAMP,
    call: (timestamp: number, name: string): number => shiftZone(timestamp, name, 1),
  }),
  zonedFunction({
    name: 'to_utc_timestamp',
    usage: "to_utc_timestamp(timestamp, 'zone')",
    about: 'The UTC time at a local time of a zone.',
    params: [TIMESTAMP, STRING],
    returns: TIMESTAMP,
    call: (timestamp: number, name: string): number => shiftZone(timestamp, name, -1),
  }),
];
