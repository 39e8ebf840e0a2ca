/**
 * Dates (days since 1970-01-01) and timestamps (µs since 1970-01-01 UTC) in the proleptic Gregorian calendar, as Spark
 * since 3.0.
 */
import { civilOf } from '../../encode/text.ts';
import { daysOf, parseDate as parseDateBytes, parseTimestamp as parseTimestampBytes } from '../../scan/text-times.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import { raiseCastInvalid, raiseExpressionFailed, raiseOverflow } from './runtime.ts';

export const DAY_US = 86_400_000_000;
const HOUR_US = 3_600_000_000;
const MINUTE_US = 60_000_000;
const SECOND_US = 1_000_000;
/** UTC needs no tables. */
export const utc: TimeZone = {
  id: 'UTC',
  fixedOffsetUs: 0,
  offsetAtUtc: () => 0,
  offsetAtLocal: () => 0,
  nameAt: (_, short) => (short ? 'UTC' : 'Coordinated Universal Time'),
};

/** The moment a local time stands for; the earlier one where clocks go back, later by the gap where they go forward. */
export function toUtc(zone: TimeZone, local: number): number {
  return local - zone.offsetAtLocal(local);
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** The days of a date that exists, or null. */
export function checkedDays(year: number, month: number, day: number): number | null {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  return daysOf(year, month, day);
}

export function addMonthsToDate(days: number, months: number): number {
  const { year, month, day } = civilOf(days);
  const index = year * 12 + month - 1 + months;
  const newYear = Math.floor(index / 12);
  const newMonth = index - newYear * 12 + 1;
  const result = daysOf(newYear, newMonth, Math.min(day, daysInMonth(newYear, newMonth)));
  if ((result | 0) !== result) raiseOverflow();
  return result;
}

export function addMonthsToTimestamp(timestamp: number, months: number, zone: TimeZone): number {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  const days = Math.floor(local / DAY_US);
  return toUtc(zone, addMonthsToDate(days, months) * DAY_US + (local - days * DAY_US));
}

/** Sunday = 1 … Saturday = 7. */
export function dayOfWeek(days: number): number {
  return ((((days + 4) % 7) + 7) % 7) + 1;
}

export function dayOfYear(days: number): number {
  return days - daysOf(civilOf(days).year, 1, 1) + 1;
}

/** ISO 8601: weeks begin on Monday, week 1 holds the year's first Thursday. */
export function weekOfYear(days: number): number {
  const thursday = days - ((((days + 3) % 7) + 7) % 7) + 3;
  return Math.floor((thursday - daysOf(civilOf(thursday).year, 1, 1)) / 7) + 1;
}

const weekdayNames = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];

/** The next day behind `days` of a day of the week by its English name, in two, three or all letters. */
export function nextDay(days: number, name: string): number {
  const wanted = weekdayNames.indexOf(name.trim().slice(0, 2).toUpperCase());
  if (wanted < 0 || !/^(..|...|.*day)$/i.test(name.trim())) return raiseExpressionFailed();
  const ahead = (wanted + 1 - dayOfWeek(days) + 7) % 7;
  return days + (ahead === 0 ? 7 : ahead);
}

export function lastDay(days: number): number {
  const { year, month } = civilOf(days);
  return daysOf(year, month, daysInMonth(year, month));
}

export function dateOfTimestamp(timestamp: number, zone: TimeZone): number {
  return Math.floor((timestamp + zone.offsetAtUtc(timestamp)) / DAY_US);
}

export function timestampOfDate(days: number, zone: TimeZone): number {
  return toUtc(zone, days * DAY_US);
}

/** Local hour, 0 to 23. */
export function hourOf(timestamp: number, zone: TimeZone): number {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  return Math.floor((local - Math.floor(local / DAY_US) * DAY_US) / HOUR_US);
}

export function minuteOf(timestamp: number, zone: TimeZone): number {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  return Math.floor((local - Math.floor(local / HOUR_US) * HOUR_US) / MINUTE_US);
}

export function secondOf(timestamp: number, zone: TimeZone): number {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  return Math.floor((local - Math.floor(local / MINUTE_US) * MINUTE_US) / SECOND_US);
}

// ---- text -------------------------------------------------------------------------------------------------------

export function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

export function formatYear(year: number): string {
  if (year > 9999) return `+${year}`;
  return year < 0 ? `-${pad(-year, 4)}` : pad(year, 4);
}

export function formatDate(days: number): string {
  const { year, month, day } = civilOf(days);
  return `${formatYear(year)}-${pad(month, 2)}-${pad(day, 2)}`;
}

/** `2024-01-31 10:20:30.5`: the fraction without closing zeros. */
export function formatTimestamp(timestamp: number, zone: TimeZone): string {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  const days = Math.floor(local / DAY_US);
  const time = local - days * DAY_US;
  const fraction = time % SECOND_US;
  const text = `${formatDate(days)} ${pad(Math.floor(time / HOUR_US), 2)}:${pad(Math.floor((time / MINUTE_US) % 60), 2)}:${pad(Math.floor((time / SECOND_US) % 60), 2)}`;
  return fraction === 0 ? text : `${text}.${pad(fraction, 6).replace(/0+$/, '')}`;
}

/** `INTERVAL '1 02:03:04.5' DAY TO SECOND` or `INTERVAL '1-2' YEAR TO MONTH`. */
export function formatInterval(value: number, unit: 'months' | 'microseconds'): string {
  const sign = value < 0 ? '-' : '';
  const size = Math.abs(value);
  if (unit === 'months') return `INTERVAL '${sign}${Math.floor(size / 12)}-${size % 12}' YEAR TO MONTH`;
  const clock = formatTimestamp(size % DAY_US, utc).slice(11);
  return `INTERVAL '${sign}${Math.floor(size / DAY_US)} ${clock}' DAY TO SECOND`;
}

/** The time so many microseconds later: whole days move the local time, the rest the moment. */
export function addDayTime(timestamp: number, microseconds: number, zone: TimeZone): number {
  const days = Math.trunc(microseconds / DAY_US);
  if (days === 0) return timestamp + microseconds;
  const local = timestamp + zone.offsetAtUtc(timestamp) + days * DAY_US;
  return toUtc(zone, local) + (microseconds - days * DAY_US);
}

/** The local time that has passed from `start` to `end`: a day is one of 24 hours even where clocks were changed. */
export function localDifference(end: number, start: number, zone: TimeZone): number {
  return end + zone.offsetAtUtc(end) - (start + zone.offsetAtUtc(start));
}

/** An interval's months, or raises ARITHMETIC_OVERFLOW. */
export function checkMonths(months: number): number {
  if ((months | 0) !== months) raiseOverflow();
  return months;
}

const MICROSECONDS_MAX = 2 ** 63;

/** An interval's microseconds, or raises ARITHMETIC_OVERFLOW. */
export function checkMicroseconds(microseconds: number): number {
  if (!(microseconds >= -MICROSECONDS_MAX && microseconds < MICROSECONDS_MAX)) raiseOverflow();
  return microseconds;
}

/** Days of a text as CAST(… AS DATE) reads it; raises CAST_INVALID. */
export function castTextToDate(data: Uint8Array, start: number, length: number): number {
  const days = parseDateBytes(data, start, start + length);
  return Number.isNaN(days) ? raiseCastInvalid() : days;
}

/** µs of a text as CAST(… AS TIMESTAMP) reads it; without a zone it is in the session's. Raises CAST_INVALID. */
export function castTextToTimestamp(data: Uint8Array, start: number, length: number, session: TimeZone): number {
  const timestamp = parseTimestampBytes(data, start, start + length, session);
  return Number.isNaN(timestamp) ? raiseCastInvalid() : timestamp;
}

/** As {@link castTextToDate} for a JS string; null where it is not a date. */
export function parseDate(text: string): number | null {
  const bytes = Buffer.from(text, 'utf8');
  const days = parseDateBytes(bytes, 0, bytes.length);
  return Number.isNaN(days) ? null : days;
}

/** As {@link castTextToTimestamp} for a JS string; null where it is not a timestamp. */
export function parseTimestamp(text: string, session: TimeZone): number | null {
  const bytes = Buffer.from(text, 'utf8');
  const timestamp = parseTimestampBytes(bytes, 0, bytes.length, session);
  return Number.isNaN(timestamp) ? null : timestamp;
}

// ---- truncation and differences ---------------------------------------------------------------------------------

/** First day of the year, quarter, month or week (Monday) of a date; null for another unit. */
export function truncDate(days: number, unit: string): number | null {
  const { year, month } = civilOf(days);
  switch (unit.toUpperCase()) {
    case 'YEAR':
    case 'YYYY':
    case 'YY':
      return daysOf(year, 1, 1);
    case 'QUARTER':
      return daysOf(year, month - ((month - 1) % 3), 1);
    case 'MONTH':
    case 'MON':
    case 'MM':
      return daysOf(year, month, 1);
    case 'WEEK':
      return days - ((((days + 3) % 7) + 7) % 7);
    default:
      return null;
  }
}

const truncUnits = new Map([
  ['HOUR', HOUR_US],
  ['MINUTE', MINUTE_US],
  ['SECOND', SECOND_US],
  ['MILLISECOND', 1000],
  ['MICROSECOND', 1],
]);

/** date_trunc: the start of the unit that a moment lies in, by local time; null for another unit. */
export function truncTimestamp(unit: string, timestamp: number, zone: TimeZone): number | null {
  const local = timestamp + zone.offsetAtUtc(timestamp);
  const size = truncUnits.get(unit.toUpperCase());
  if (size !== undefined) {
    const rest = ((local % size) + size) % size;
    return timestamp - rest;
  }
  const days = Math.floor(local / DAY_US);
  const name = unit.toUpperCase();
  const start = name === 'DAY' || name === 'DD' ? days : truncDate(days, name);
  return start === null ? null : toUtc(zone, start * DAY_US);
}

/** months_between: whole months where both are the same day of the month or both its last, else by 31-day months. */
export function monthsBetween(a: number, b: number, roundOff: boolean, zone: TimeZone): number {
  const aLocal = a + zone.offsetAtUtc(a);
  const bLocal = b + zone.offsetAtUtc(b);
  const aDays = Math.floor(aLocal / DAY_US);
  const bDays = Math.floor(bLocal / DAY_US);
  const aDate = civilOf(aDays);
  const bDate = civilOf(bDays);
  const months = (aDate.year - bDate.year) * 12 + aDate.month - bDate.month;
  const bothLast = aDays === lastDay(aDays) && bDays === lastDay(bDays);
  if (aDate.day === bDate.day || bothLast) return months;
  const seconds = (aDate.day - bDate.day) * 86_400 + (aLocal - aDays * DAY_US - (bLocal - bDays * DAY_US)) / SECOND_US;
  const result = months + seconds / (31 * 86_400);
  return roundOff ? Math.round(result * 1e8) / 1e8 : result;
}

/** Whole units from `a` to `b`. */
export function unitsBetween(unit: string, a: number, b: number, zone: TimeZone): number | null {
  const size = new Map([...truncUnits, ['DAY', DAY_US], ['WEEK', 7 * DAY_US]]).get(unit.toUpperCase());
  const aLocal = a + zone.offsetAtUtc(a);
  const bLocal = b + zone.offsetAtUtc(b);
  if (size !== undefined) return Math.trunc((bLocal - aLocal) / size);
  const perUnit = new Map([
    ['MONTH', 1],
    ['QUARTER', 3],
    ['YEAR', 12],
  ]).get(unit.toUpperCase());
  if (perUnit === undefined) return null;
  const aDays = Math.floor(aLocal / DAY_US);
  const bDays = Math.floor(bLocal / DAY_US);
  const aDate = civilOf(aDays);
  const bDate = civilOf(bDays);
  let months = (bDate.year - aDate.year) * 12 + bDate.month - aDate.month;
  const aRest = aDate.day * DAY_US + (aLocal - aDays * DAY_US);
  const bRest = bDate.day * DAY_US + (bLocal - bDays * DAY_US);
  if (months > 0 && bRest < aRest) months--;
  if (months < 0 && bRest > aRest) months++;
  return Math.trunc(months / perUnit);
}
