/** Times and dates as counts of units since 1970, and durations as counts of microseconds. */
import type { Expr } from '../../../core/ast.ts';
import { intervalOfText } from '../../../core/interval.ts';
import type { Result, Val } from '../codegen.ts';
import { BIGINT, castTo, DATE, DOUBLE, INT, STRING, TIMESTAMP } from '../coercion.ts';
import { customFunction, fitAll, type FunctionDef, strictFunction, valueFunction } from '../function-table.ts';
import { reprOf } from '../repr.ts';
import { checkLong } from '../runtime/numbers.ts';
import { raiseCastInvalid, raiseOverflow } from '../runtime/runtime.ts';

function durationMicros(text: string): bigint | null {
  const interval = intervalOfText(text);
  if (interval === undefined) return null;
  return interval.months === 0 ? BigInt(interval.microseconds) : raiseCastInvalid();
}

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

/** In the order of docs/functions.md. */
export const epochTimeFunctions: readonly FunctionDef[] = [
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
];
