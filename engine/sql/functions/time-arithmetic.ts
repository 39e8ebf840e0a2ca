/** Arithmetic with dates and times: adding, differences, truncation. Local times are those of the session time zone. */
import type { Expr } from '../../../core/ast.ts';
import { formatType } from '../../../core/types.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import type { Gen, Val } from '../codegen.ts';
import { BIGINT, BOOLEAN, DATE, DOUBLE, INT, isIntegral, isNumeric, STRING, TIMESTAMP } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  strictFunction,
  type Typing,
} from '../function-table.ts';
import { booleanLiteral } from '../literal.ts';
import { checkInt } from '../runtime/numbers.ts';
import { raiseExpressionFailed } from '../runtime/runtime.ts';
import {
  addMonthsToDate,
  addMonthsToTimestamp,
  lastDay,
  monthsBetween,
  nextDay,
  toUtc,
  truncDate,
  truncTimestamp,
  unitsBetween,
} from '../runtime/time.ts';
import { zonedFunction } from './zoned-function.ts';

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

/** In the order of docs/functions.md. */
export const timeArithmeticFunctions: readonly FunctionDef[] = [
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
    call: truncTimestamp,
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
];
