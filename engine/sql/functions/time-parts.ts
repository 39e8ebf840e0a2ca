/** The current time, and fields of dates and times: year, day of the week, hour; EXTRACT. */
import type { Expr } from '../../../core/ast.ts';
import { civilOf } from '../../encode/text.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import { castTo, DATE, DOUBLE, INT, STRING, TIMESTAMP } from '../coercion.ts';
import { customFunction, fitAll, type FunctionDef, strictFunction } from '../function-table.ts';
import { monthName, weekdayName } from '../runtime/date-patterns.ts';
import { dayOfWeek, dayOfYear, hourOf, minuteOf, secondOf, weekOfYear } from '../runtime/time.ts';
import { intervalParts, SECONDS, typeIntervalPart } from './intervals.ts';
import { zonedFunction } from './zoned-function.ts';

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

/** Fields of a date for date_part, by their names in capitals. */
const parts = new Map<string, { readonly kernel: (days: number) => number }>([
  ['YEAR', { kernel: yearOf }],
  ['Y', { kernel: yearOf }],
  ['YEARS', { kernel: yearOf }],
  // The year of a week is that of its Thursday.
  ['YEAROFWEEK', { kernel: (days) => yearOf(days - weekday(days) + 3) }],
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

/** Fields of the local time. */
const clockParts = new Map<string, (timestamp: number, zone: TimeZone) => number>([
  ['HOUR', hourOf],
  ['H', hourOf],
  ['HOURS', hourOf],
  ['MINUTE', minuteOf],
  ['M', minuteOf],
  ['MIN', minuteOf],
  ['MINUTES', minuteOf],
]);

/** µs of the minute. */
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

/** In the order of docs/functions.md. */
export const timePartFunctions: readonly FunctionDef[] = [
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
];
