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
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Read position after {@link readDate} and {@link readDigits}. */
let at = 0;
/** Whether {@link readDate} found a day: only then may something stand behind the date. */
let hasDay = false;

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
  hasDay = false;
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
  hasDay = true;
  return daysOf(year, month, day);
}

/** Days since 1970-01-01 of the text `bytes[start, end)`; NaN when it is not a date. Text after a `T` or blank is ignored. */
export function parseDate(bytes: Uint8Array, start: number, end: number): number {
  const from = trimStart(bytes, start, end);
  const to = trimEnd(bytes, from, end);
  const days = readDate(bytes, from, to);
  if (at < to && (!hasDay || (bytes[at] !== 0x54 && bytes[at] !== 0x20))) return Number.NaN;
  return days;
}

/** µs since 1970-01-01 UTC of the text `bytes[start, end)`; NaN when it is not a timestamp. */
export function parseTimestamp(bytes: Uint8Array, start: number, end: number, session: TimeZone): number {
  if (end - start === 24 && bytes[start + 23] === 0x5a) {
    const utcUs = parseIsoMillis(bytes, start);
    if (!Number.isNaN(utcUs)) return utcUs;
  }
  const from = trimStart(bytes, start, end);
  const to = trimEnd(bytes, from, end);
  const days = readDate(bytes, from, to);
  if (Number.isNaN(days)) return days;
  let localUs = days * DAY_US;
  if (at === to) return localUs - session.offsetAtLocal(localUs);
  if (!hasDay || (bytes[at] !== 0x54 && bytes[at] !== 0x20)) return Number.NaN;
  at++;
  const timeUs = readTime(bytes, to);
  if (Number.isNaN(timeUs)) return timeUs;
  localUs += timeUs;
  if (at === to) return localUs - session.offsetAtLocal(localUs);
  if (at + 1 === to && bytes[at] === 0x5a) return localUs;
  const zone = readZone(bytes, to);
  return zone === undefined ? Number.NaN : localUs - zone.offsetAtLocal(localUs);
}

/**
 * `yyyy-MM-ddTHH:mm:ss.SSSZ`, what JavaScript and most others write: without a loop. NaN when anything else stands
 * there, which then gets a closer look.
 */
function parseIsoMillis(bytes: Uint8Array, start: number): number {
  const d0 = bytes[start]! - 0x30;
  const d1 = bytes[start + 1]! - 0x30;
  const d2 = bytes[start + 2]! - 0x30;
  const d3 = bytes[start + 3]! - 0x30;
  const d5 = bytes[start + 5]! - 0x30;
  const d6 = bytes[start + 6]! - 0x30;
  const d8 = bytes[start + 8]! - 0x30;
  const d9 = bytes[start + 9]! - 0x30;
  const d11 = bytes[start + 11]! - 0x30;
  const d12 = bytes[start + 12]! - 0x30;
  const d14 = bytes[start + 14]! - 0x30;
  const d15 = bytes[start + 15]! - 0x30;
  const d17 = bytes[start + 17]! - 0x30;
  const d18 = bytes[start + 18]! - 0x30;
  const d20 = bytes[start + 20]! - 0x30;
  const d21 = bytes[start + 21]! - 0x30;
  const d22 = bytes[start + 22]! - 0x30;
  // A byte that is no digit makes its number or nine minus it negative: one sign bit for all of them.
  const low = d0 | d1 | d2 | d3 | d5 | d6 | d8 | d9 | d11 | d12 | d14 | d15 | d17 | d18 | d20 | d21 | d22;
  const high =
    (9 - d0) |
    (9 - d1) |
    (9 - d2) |
    (9 - d3) |
    (9 - d5) |
    (9 - d6) |
    (9 - d8) |
    (9 - d9) |
    (9 - d11) |
    (9 - d12) |
    (9 - d14) |
    (9 - d15) |
    (9 - d17) |
    (9 - d18) |
    (9 - d20) |
    (9 - d21) |
    (9 - d22);
  const marks =
    (bytes[start + 4]! ^ 0x2d) |
    (bytes[start + 7]! ^ 0x2d) |
    (bytes[start + 10]! ^ 0x54) |
    (bytes[start + 13]! ^ 0x3a) |
    (bytes[start + 16]! ^ 0x3a) |
    (bytes[start + 19]! ^ 0x2e);
  if ((low | high) < 0 || marks !== 0) return Number.NaN;
  const year = d0 * 1000 + d1 * 100 + d2 * 10 + d3;
  const month = d5 * 10 + d6;
  const day = d8 * 10 + d9;
  const hour = d11 * 10 + d12;
  const minute = d14 * 10 + d15;
  const second = d17 * 10 + d18;
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return Number.NaN;
  if (day > 28 && day > daysInMonth(year, month)) return Number.NaN;
  const ms = ((hour * 60 + minute) * 60 + second) * 1000 + d20 * 100 + d21 * 10 + d22;
  return daysOf(year, month, day) * DAY_US + ms * 1000;
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
