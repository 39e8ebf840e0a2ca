/** Intervals out of numbers, and their parts. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { castTo, INT } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type Typing,
} from '../function-table.ts';
import { intLiteral } from '../literal.ts';
import { checkMicroseconds, checkMonths } from '../runtime/time.ts';

/** Seconds below a minute, with microseconds. */
export const SECONDS: DataType = { kind: 'decimal', precision: 8, scale: 6 };

/** Parts of an interval: what is left of larger parts, in units of a size. */
export interface IntervalPart {
  readonly unit: 'months' | 'microseconds';
  readonly modulo: number;
  readonly size: number;
  readonly type: DataType;
}

const TINYINT: DataType = { kind: 'tinyint' };
/** By name, in capitals. */
export const intervalParts = new Map<string, IntervalPart>();
for (const [names, unit, modulo, size, type] of [
  [['YEAR', 'Y', 'YEARS'], 'months', 2 ** 31, 12, INT],
  [['MONTH', 'MON', 'MONTHS'], 'months', 12, 1, TINYINT],
  [['DAY', 'D', 'DAYS'], 'microseconds', 2 ** 63, 86_400_000_000, INT],
  [['HOUR', 'H', 'HOURS'], 'microseconds', 86_400_000_000, 3_600_000_000, TINYINT],
  [['MINUTE', 'M', 'MIN', 'MINUTES'], 'microseconds', 3_600_000_000, 60_000_000, TINYINT],
  [['SECOND', 'S', 'SEC', 'SECONDS'], 'microseconds', 60_000_000, 1, SECONDS],
] as const) {
  for (const name of names) intervalParts.set(name, { unit, modulo, size, type });
}

/** The typing of EXTRACT over an interval. */
export function typeIntervalPart(field: Expr, interval: Expr, name: string): Typing | Complaint {
  const part = intervalParts.get(name);
  const unit = interval.type.kind === 'interval' ? interval.type.unit : undefined;
  if (part === undefined || part.unit !== unit)
    return {
      complaint: `finds no ${name} in an interval of ${unit === 'months' ? 'months' : 'days and time'}`,
      arg: 0,
    };
  return { args: [field, interval], type: part.type, nullable: interval.nullable };
}

/** An interval made of whole parts, those that are missing 0. */
function makeIntervalFunction(
  name: string,
  usage: string,
  about: string,
  unit: 'months' | 'microseconds',
  params: readonly DataType[],
  make: (...parts: never[]) => number,
): FunctionDef {
  const type: DataType = { kind: 'interval', unit };
  return customFunction({
    name,
    group: 'time',
    usage,
    about,
    type(args) {
      const fitted = fitAll(args, params, params.length);
      if ('complaint' in fitted) return fitted;
      const zeros = params.slice(fitted.length).map((param) => castTo(intLiteral(0), param));
      return { args: [...fitted, ...zeros], type, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      return g.strict(call.args, type, (vals) => ({ value: `${g.fn(make)}(${vals.map((val) => val.v).join(', ')})` }));
    },
  });
}

const makeMonths = (years: number, months: number): number => checkMonths(years * 12 + months);
const makeMicroseconds = (days: number, hours: number, minutes: number, seconds: bigint): number =>
  checkMicroseconds(((days * 24 + hours) * 60 + minutes) * 60_000_000 + Number(seconds));
/** Seconds of an interval, with microseconds. */
export const INTERVAL_SECONDS: DataType = { kind: 'decimal', precision: 18, scale: 6 };

export const intervalFunctions: readonly FunctionDef[] = [
  makeIntervalFunction(
    'make_ym_interval',
    'make_ym_interval([years [, months]])',
    'An interval of years and months.',
    'months',
    [INT, INT],
    makeMonths,
  ),
  makeIntervalFunction(
    'make_dt_interval',
    'make_dt_interval([days [, hours [, minutes [, seconds]]]])',
    'An interval of days and time.',
    'microseconds',
    [INT, INT, INT, INTERVAL_SECONDS],
    makeMicroseconds,
  ),
];
