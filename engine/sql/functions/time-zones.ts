/** Times made of their parts, and local times of other zones. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { type TimeZone, timeZoneOf } from '../../scan/time-zone.ts';
import { castTo, DATE, INT, STRING, TIMESTAMP } from '../coercion.ts';
import { anyNullable, customFunction, fitAll, type FunctionDef } from '../function-table.ts';
import { orNull, raiseExpressionFailed } from '../runtime/runtime.ts';
import { checkedDays, toUtc } from '../runtime/time.ts';
import { zonedFunction } from './zoned-function.ts';

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

const MAKE_SECONDS: DataType = { kind: 'decimal', precision: 16, scale: 6 };

const makeDate = (year: number, month: number, day: number): number =>
  checkedDays(year, month, day) ?? raiseExpressionFailed();

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

/** In the order of docs/functions.md. */
export const zonedTimeFunctions: readonly FunctionDef[] = [
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
