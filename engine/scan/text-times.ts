/**
 * Dates and timestamps from text bytes, in the forms Spark casts (SparkDateTimeUtils.stringToDate, stringToTimestamp):
 * `yyyy`, `yyyy-[m]m`, `yyyy-[m]m-[d]d`, then for timestamps `T` or a blank, `[h]h[:[m]m[:[s]s[.fraction]]]` and a zone:
 * `Z`, `UTC`, `GMT+1`, `+01:00`, `Europe/Paris`. Blanks around are ignored. Digits of the fraction beyond µs are cut.
 */
import type { TimeZone } from './time-zone.ts';
import { timeZoneOf } from './time-zone.ts';

const DAY_US = 86_400_000_000;
const YEAR_MAX = 9999;

/** Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Months count from 1. */
export function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Read position after {@link readDate} and {@link readDigits}. */
let at = 0;

/** A number of `min` to `max` digits at `at`; -1 when there is none. */
function readDigits(bytes: Uint8Array, end: number, min: number, max: number): number {
  let value = 0;
  let count = 0;
  for (; at < end && count < max; count++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    at++;
  }
  return count < min ? -1 : value;
}

/** Days of the date at `start`, leaving `at` behind it; NaN when there is none. */
function readDate(bytes: Uint8Array, start: number, end: number): number {
  at = start;
  const year = readDigits(bytes, end, 4, 4);
  if (year < 0 || year > YEAR_MAX) return Number.NaN;
  if (at === end || bytes[at] !== 0x2d) return daysOf(year, 1, 1);
  at++;
  const month = readDigits(bytes, end, 1, 2);
  if (month < 1 || month > 12) return Number.NaN;
  if (at === end || bytes[at] !== 0x2d) return daysOf(year, month, 1);
  at++;
  const day = readDigits(bytes, end, 1, 2);
  if (day < 1 || day > daysInMonth(year, month)) return Number.NaN;
  return daysOf(year, month, day);
}

/** Days since 1970-01-01 of the text `bytes[start, end)`; NaN when it is not a date. Text after a `T` or blank is ignored. */
export function parseDate(bytes: Uint8Array, start: number, end: number): number {
  const from = trimStart(bytes, start, end);
  const to = trimEnd(bytes, from, end);
  const days = readDate(bytes, from, to);
  if (at < to && bytes[at] !== 0x54 && bytes[at] !== 0x20) return Number.NaN;
  return days;
}

/** µs since 1970-01-01 UTC of the text `bytes[start, end)`; NaN when it is not a timestamp. */
export function parseTimestamp(bytes: Uint8Array, start: number, end: number, session: TimeZone): number {
  const from = trimStart(bytes, start, end);
  const to = trimEnd(bytes, from, end);
  const days = readDate(bytes, from, to);
  if (Number.isNaN(days)) return days;
  let localUs = days * DAY_US;
  if (at === to) return localUs - session.offsetAtLocal(localUs);
  if (bytes[at] !== 0x54 && bytes[at] !== 0x20) return Number.NaN;
  at++;
  const timeUs = readTime(bytes, to);
  if (Number.isNaN(timeUs)) return timeUs;
  localUs += timeUs;
  if (at === to) return localUs - session.offsetAtLocal(localUs);
  if (at + 1 === to && bytes[at] === 0x5a) return localUs;
  const zone = readZone(bytes, to);
  return zone === undefined ? Number.NaN : localUs - zone.offsetAtLocal(localUs);
}

/** µs since midnight of `[h]h[:[m]m[:[s]s[.fraction]]]` at `at`; NaN when there is none. */
function readTime(bytes: Uint8Array, end: number): number {
  const hour = readDigits(bytes, end, 1, 2);
  if (hour < 0 || hour > 23) return Number.NaN;
  let minute = 0;
  let second = 0;
  let micros = 0;
  if (at < end && bytes[at] === 0x3a) {
    at++;
    minute = readDigits(bytes, end, 1, 2);
    if (minute < 0 || minute > 59) return Number.NaN;
    if (at < end && bytes[at] === 0x3a) {
      at++;
      second = readDigits(bytes, end, 1, 2);
      if (second < 0 || second > 59) return Number.NaN;
      if (at < end && bytes[at] === 0x2e) {
        at++;
        const digitsStart = at;
        micros = readDigits(bytes, end, 0, 6);
        for (let digits = at - digitsStart; digits < 6; digits++) micros *= 10;
        while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
      }
    }
  }
  return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
}

/** The zone named by the rest of the text; the common `±hh:mm` without a string. */
function readZone(bytes: Uint8Array, end: number): TimeZone | undefined {
  while (at < end && bytes[at] === 0x20) at++;
  if (end - at > 64 || at === end) return undefined;
  let name = '';
  for (; at < end; at++) name += String.fromCharCode(bytes[at]!);
  return timeZoneOf(name);
}

/** First position of `[start, end)` that is no blank or control character. */
export function trimStart(bytes: Uint8Array, start: number, end: number): number {
  while (start < end && bytes[start]! <= 0x20) start++;
  return start;
}

/** Position behind the last byte of `[start, end)` that is no blank or control character. */
export function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  while (end > start && bytes[end - 1]! <= 0x20) end--;
  return end;
}
