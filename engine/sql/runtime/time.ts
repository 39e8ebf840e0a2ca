/**
 * Dates (days since 1970-01-01) and timestamps (µs since 1970-01-01 UTC) in the proleptic Gregorian calendar, as Spark
 * since 3.0.
 */
import { raiseOverflow } from './runtime.ts';
import { type Zone, zoneOf } from './zone.ts';

export const DAY_US = 86_400_000_000;
const HOUR_US = 3_600_000_000;
const MINUTE_US = 60_000_000;
const SECOND_US = 1_000_000;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAYS = 719_468;

export interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
}

/** Howard Hinnant's civil_from_days. */
export function civilOf(days: number): CivilDate {
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  };
}

/** The inverse of {@link civilOf}; the day may lie outside the month. */
export function daysOf(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - EPOCH_DAYS;
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

export function addMonthsToTimestamp(timestamp: number, months: number, zone: Zone): number {
  const local = timestamp + zone.offsetAt(timestamp);
  const days = Math.floor(local / DAY_US);
  return zone.toUtc(addMonthsToDate(days, months) * DAY_US + (local - days * DAY_US));
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

export function lastDay(days: number): number {
  const { year, month } = civilOf(days);
  return daysOf(year, month, daysInMonth(year, month));
}

export function dateOfTimestamp(timestamp: number, zone: Zone): number {
  return Math.floor((timestamp + zone.offsetAt(timestamp)) / DAY_US);
}

export function timestampOfDate(days: number, zone: Zone): number {
  return zone.toUtc(days * DAY_US);
}

/** Local hour, 0 to 23. */
export function hourOf(timestamp: number, zone: Zone): number {
  const local = timestamp + zone.offsetAt(timestamp);
  return Math.floor((local - Math.floor(local / DAY_US) * DAY_US) / HOUR_US);
}

export function minuteOf(timestamp: number, zone: Zone): number {
  const local = timestamp + zone.offsetAt(timestamp);
  return Math.floor((local - Math.floor(local / HOUR_US) * HOUR_US) / MINUTE_US);
}

export function secondOf(timestamp: number, zone: Zone): number {
  const local = timestamp + zone.offsetAt(timestamp);
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
export function formatTimestamp(timestamp: number, zone: Zone): string {
  const local = timestamp + zone.offsetAt(timestamp);
  const days = Math.floor(local / DAY_US);
  const time = local - days * DAY_US;
  const fraction = time % SECOND_US;
  const text = `${formatDate(days)} ${pad(Math.floor(time / HOUR_US), 2)}:${pad(Math.floor((time / MINUTE_US) % 60), 2)}:${pad(Math.floor((time / SECOND_US) % 60), 2)}`;
  return fraction === 0 ? text : `${text}.${pad(fraction, 6).replace(/0+$/, '')}`;
}

const datePattern = /^([+-]?\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ].*)?)?)?$/s;

/** Days of a text as CAST(… AS DATE) reads it, or null. */
export function parseDate(input: string): number | null {
  const match = datePattern.exec(input.trim());
  if (match === null) return null;
  return checkedDays(Number(match[1]), Number(match[2] ?? 1), Number(match[3] ?? 1));
}

const timestampPattern =
  /^([+-]?\d{4,6})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](?:(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?\s*(.*))?)?)?$/s;

/** µs of a text as CAST(… AS TIMESTAMP) reads it, or null. A text without a zone is in the session's. */
export function parseTimestamp(input: string, session: Zone): number | null {
  const match = timestampPattern.exec(input.trim());
  if (match === null) return null;
  const days = checkedDays(Number(match[1]), Number(match[2] ?? 1), Number(match[3] ?? 1));
  const hour = Number(match[4] ?? 0);
  const minute = Number(match[5] ?? 0);
  const second = Number(match[6] ?? 0);
  if (days === null || hour > 23 || minute > 59 || second > 59) return null;
  const zone = match[8] === undefined || match[8] === '' ? session : zoneOf(match[8]);
  if (zone === undefined) return null;
  const fraction = Number((match[7] ?? '').slice(0, 6).padEnd(6, '0'));
  return zone.toUtc(days * DAY_US + hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + fraction);
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
export function truncTimestamp(unit: string, timestamp: number, zone: Zone): number | null {
  const local = timestamp + zone.offsetAt(timestamp);
  const size = truncUnits.get(unit.toUpperCase());
  if (size !== undefined) {
    const rest = ((local % size) + size) % size;
    return timestamp - rest;
  }
  const days = Math.floor(local / DAY_US);
  const name = unit.toUpperCase();
  const start = name === 'DAY' || name === 'DD' ? days : truncDate(days, name);
  return start === null ? null : zone.toUtc(start * DAY_US);
}

/** months_between: whole months where both are the same day of the month or both its last, else by 31-day months. */
export function monthsBetween(a: number, b: number, roundOff: boolean, zone: Zone): number {
  const aLocal = a + zone.offsetAt(a);
  const bLocal = b + zone.offsetAt(b);
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
export function unitsBetween(unit: string, a: number, b: number, zone: Zone): number | null {
  const size = new Map([...truncUnits, ['DAY', DAY_US], ['WEEK', 7 * DAY_US]]).get(unit.toUpperCase());
  const aLocal = a + zone.offsetAt(a);
  const bLocal = b + zone.offsetAt(b);
  if (size !== undefined) return Math.trunc((size >= DAY_US ? bLocal - aLocal : b - a) / size);
  const perUnit = new Map([['MONTH', 1], ['QUARTER', 3], ['YEAR', 12]]).get(unit.toUpperCase());
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
