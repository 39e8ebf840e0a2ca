/**
 * Date and time patterns as Spark takes them (org.apache.spark.sql.catalyst.util.DateTimeFormatterHelper, a subset of
 * java.time's DateTimeFormatter, English names): y M L d D H h k K m s S a E q Q z V O x X Z, 'text'.
 */
import { must } from '../../../core/assert.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import { timeZoneOf } from '../../scan/time-zone.ts';
import { civilOf } from '../../encode/text.ts';
import type { Runtime } from './runtime.ts';
import { checkedDays, DAY_US, dayOfYear, formatYear, pad, toUtc } from './time.ts';

const HOUR_US = 3_600_000_000;
const MINUTE_US = 60_000_000;
const QUARTER_US = 15 * MINUTE_US;
const SECOND_US = 1_000_000;

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const weekdays = ['Thursday', 'Friday', 'Saturday', 'Sunday', 'Monday', 'Tuesday', 'Wednesday'];

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'field'; readonly letter: string; readonly count: number }
  /** [optional part] */
  | { readonly kind: 'optional'; readonly parts: readonly Part[] };

export type DatePattern = readonly Part[];

const formatLetters = 'yMLdDHhkKmsSaEqQzVOxXZ';
const countMax = new Map([
  ['y', 6],
  ['M', 4],
  ['L', 4],
  ['d', 2],
  ['D', 3],
  ['H', 2],
  ['h', 2],
  ['k', 2],
  ['K', 2],
  ['m', 2],
  ['s', 2],
  ['S', 9],
  ['a', 1],
  ['E', 4],
  ['q', 4],
  ['Q', 4],
  ['z', 4],
  ['V', 2],
  ['O', 4],
  ['x', 5],
  ['X', 5],
  ['Z', 5],
]);

/** The parts of a pattern, or what is wrong with it. */
export function compileDatePattern(pattern: string): DatePattern | string {
  const stack: Part[][] = [[]];
  for (let at = 0; at < pattern.length;) {
    const char = pattern[at] as string;
    const parts = must(stack.at(-1), () => 'no part is open');
    if (char === "'") {
      const close = closingQuote(pattern, at);
      if (close < 0) return "a quoted text in it has no closing '";
      const text = close === at + 1 ? "'" : pattern.slice(at + 1, close).replaceAll("''", "'");
      parts.push({ kind: 'text', text });
      at = close + 1;
    } else if (/[A-Za-z]/.test(char)) {
      let count = 1;
      while (pattern[at + count] === char) count++;
      if (!formatLetters.includes(char)) return `the letter ${char} means nothing in it`;
      if (count > (countMax.get(char) ?? 1))
        return `it has ${count} times the letter ${char}, and ${countMax.get(char)} are the most`;
      if (char === 'V' && count !== 2) return 'it has the letter V once, and two are needed';
      if (char === 'O' && count !== 1 && count !== 4)
        return `it has ${count} times the letter O, and 1 or 4 are needed`;
      parts.push({ kind: 'field', letter: char, count });
      at += count;
    } else if (char === '[') {
      stack.push([]);
      at++;
    } else if (char === ']') {
      const inner = stack.pop();
      const outer = stack.at(-1);
      if (inner === undefined || outer === undefined) return 'it closes a ] that was not opened';
      outer.push({ kind: 'optional', parts: inner });
      at++;
    } else {
      parts.push({ kind: 'text', text: char });
      at++;
    }
  }
  return stack.length === 1 ? (stack[0] as Part[]) : 'it opens a [ that is not closed';
}

function closingQuote(pattern: string, open: number): number {
  for (let at = open + 1; at < pattern.length; at++) {
    if (pattern[at] !== "'") continue;
    if (pattern[at + 1] !== "'" || at === open + 1) return at;
    at++;
  }
  return -1;
}

const kept = new Map<string, DatePattern | string>();

/** As {@link compileDatePattern}, remembering what it made; undefined for a wrong pattern. */
export function datePatternOf(pattern: string): DatePattern | undefined {
  let compiled = kept.get(pattern);
  if (compiled === undefined) {
    compiled = compileDatePattern(pattern);
    if (kept.size >= 256) kept.clear();
    kept.set(pattern, compiled);
  }
  return typeof compiled === 'string' ? undefined : compiled;
}

// ---- to text ----------------------------------------------------------------------------------------------------

/** English, in full; Thursday is day 0 of 1970. */
export function weekdayName(days: number): string {
  return weekdays[((days % 7) + 7) % 7] ?? '';
}

/** English, in full, 1 to 12. */
export function monthName(month: number): string {
  return months[month - 1] ?? '';
}

export function formatDatePattern(pattern: DatePattern, timestamp: number, zone: TimeZone): string {
  const offset = zone.offsetAtUtc(timestamp);
  const local = timestamp + offset;
  const days = Math.floor(local / DAY_US);
  const time = local - days * DAY_US;
  let text = '';
  for (const part of pattern) {
    if (part.kind === 'text') text += part.text;
    else if (part.kind === 'optional') text += formatDatePattern(part.parts, timestamp, zone);
    else if (part.letter === 'V') text += zone.id;
    else if (part.letter === 'z') text += zone.nameAt(timestamp, part.count < 4);
    else text += formatField(part.letter, part.count, days, time, offset);
  }
  return text;
}

/** How long a text stays the same, by the letters that change within a day; S changes with every microsecond. */
const unitOf: Readonly<Record<string, number>> = {
  a: HOUR_US,
  H: HOUR_US,
  h: HOUR_US,
  K: HOUR_US,
  k: HOUR_US,
  m: MINUTE_US,
  s: SECOND_US,
  S: 0,
};

/** µs of local time, from a whole number of them on, within which a pattern gives one text; 0 = none. */
function stretchOf(pattern: DatePattern): number {
  let stretch = DAY_US;
  for (const part of pattern) {
    if (part.kind === 'optional') stretch = Math.min(stretch, stretchOf(part.parts));
    else if (part.kind === 'field') stretch = Math.min(stretch, unitOf[part.letter] ?? DAY_US);
  }
  return stretch;
}

/** Texts of one pattern in a batch's arena; times that follow each other have the same one for as long as it is made of. */
export class DateTexts {
  readonly #pattern: DatePattern;
  readonly #stretch: number;
  /** The last text, the time in µs [from, to) that it stands for, and the zone. */
  #text = Buffer.alloc(0);
  #nonAscii = 0;
  #from = 0;
  #to = 0;
  #zone: TimeZone | null = null;

  constructor(pattern: DatePattern) {
    this.#pattern = pattern;
    this.#stretch = stretchOf(pattern);
  }

  /** Leaves the text of a time in the result registers. Throws: RangeError for a time that the zone does not know. */
  write(runtime: Runtime, timestamp: number): void {
    const { zone } = runtime;
    if (!(timestamp >= this.#from && timestamp < this.#to && zone === this.#zone)) this.#make(timestamp, zone);
    runtime.keep(this.#text, 0, this.#text.length, this.#nonAscii);
  }

  /** Throws: RangeError for a time that the zone does not know. Then the last text stays. */
  #make(timestamp: number, zone: TimeZone): void {
    const text = Buffer.from(formatDatePattern(this.#pattern, timestamp, zone), 'utf8');
    const offset = zone.offsetAtUtc(timestamp);
    const from = Math.floor((timestamp + offset) / this.#stretch) * this.#stretch - offset;
    // Offsets and names of a zone are the same from quarter of an hour to quarter of an hour.
    const quarter = Math.floor(timestamp / QUARTER_US) * QUARTER_US;
    const isFixed = zone.fixedOffsetUs !== null;
    this.#from = isFixed ? from : Math.max(from, quarter);
    this.#to = isFixed ? from + this.#stretch : Math.min(from + this.#stretch, quarter + QUARTER_US);
    this.#zone = zone;
    this.#text = text;
    this.#nonAscii = text.some((byte) => byte >= 0x80) ? 1 : 0;
  }
}

function formatField(letter: string, count: number, days: number, time: number, offset: number): string {
  const { year, month, day } = civilOf(days);
  const hour = Math.floor(time / HOUR_US);
  switch (letter) {
    case 'y':
      if (count === 2) return pad(((year % 100) + 100) % 100, 2);
      return count === 1 ? String(year) : count === 4 ? formatYear(year) : pad(year, count);
    case 'M':
    case 'L':
      return formatMonth(month, count);
    case 'd':
      return pad(day, count);
    case 'D':
      return pad(dayOfYear(days), count);
    case 'H':
      return pad(hour, count);
    case 'h':
      return pad(hour % 12 === 0 ? 12 : hour % 12, count);
    case 'K':
      return pad(hour % 12, count);
    case 'k':
      return pad(hour === 0 ? 24 : hour, count);
    case 'm':
      return pad(Math.floor(time / MINUTE_US) % 60, count);
    case 's':
      return pad(Math.floor(time / SECOND_US) % 60, count);
    case 'S':
      return `${pad(time % SECOND_US, 6)}000`.slice(0, count);
    case 'a':
      return hour < 12 ? 'AM' : 'PM';
    case 'E': {
      const name = weekdayName(days);
      return count < 4 ? name.slice(0, 3) : name;
    }
    case 'q':
    case 'Q': {
      const quarter = Math.floor((month - 1) / 3) + 1;
      return count === 3
        ? `Q${quarter}`
        : count === 4
          ? `${['1st', '2nd', '3rd', '4th'][quarter - 1]} quarter`
          : pad(quarter, count);
    }
    case 'O':
      return offset === 0 ? 'GMT' : `GMT${count === 4 ? formatOffset(offset, 3, '') : shortOffset(offset)}`;
    case 'X':
      return formatOffset(offset, count, 'Z');
    case 'Z':
      if (count === 5) return formatOffset(offset, 3, 'Z');
      return count === 4 ? `GMT${offset === 0 ? '' : formatOffset(offset, 3, '')}` : formatOffset(offset, 2, '+0000');
    default:
      return formatOffset(offset, count, ['', '+00', '+0000', '+00:00', '+0000', '+00:00'][count] ?? '');
  }
}

function formatMonth(month: number, count: number): string {
  const name = monthName(month);
  return count < 3 ? pad(month, count) : count === 3 ? name.slice(0, 3) : name;
}

/** 1: +h[mm], 2: +hhmm, 3: +hh:mm, 4 and 5: with seconds where there are any. */
/** As in GMT-8 and GMT+5:30. */
function shortOffset(offset: number): string {
  const size = Math.abs(offset);
  const minutes = Math.floor(size / MINUTE_US) % 60;
  return `${offset < 0 ? '-' : '+'}${Math.floor(size / HOUR_US)}${minutes === 0 ? '' : `:${pad(minutes, 2)}`}`;
}

function formatOffset(offset: number, count: number, zero: string): string {
  if (offset === 0 && zero !== '') return zero;
  const size = Math.abs(offset);
  const sign = offset < 0 ? '-' : '+';
  const hours = pad(Math.floor(size / HOUR_US), 2);
  const minutes = pad(Math.floor(size / MINUTE_US) % 60, 2);
  const seconds = Math.floor(size / SECOND_US) % 60;
  const colon = count === 3 || count === 5 ? ':' : '';
  if (count === 1) return `${sign}${hours}${minutes === '00' ? '' : minutes}`;
  return `${sign}${hours}${colon}${minutes}${count > 3 && seconds !== 0 ? `${colon}${pad(seconds, 2)}` : ''}`;
}

// ---- from text --------------------------------------------------------------------------------------------------

interface Fields {
  year: number;
  month: number;
  day: number;
  dayOfYear: number;
  hour: number;
  hour12: number;
  pm: boolean | null;
  minute: number;
  second: number;
  micros: number;
  zone: TimeZone | null;
}

/** µs of a text in a pattern; null when it does not fit. A text without a zone is in the session's. */
export function parseDatePattern(pattern: DatePattern, text: string, session: TimeZone): number | null {
  const fields: Fields = {
    year: 1970,
    month: -1,
    day: -1,
    dayOfYear: -1,
    hour: -1,
    hour12: -1,
    pm: null,
    minute: 0,
    second: 0,
    micros: -1,
    zone: null,
  };
  const end = parseParts(pattern, 0, text, 0, fields);
  if (end !== text.length) return null;
  let hour = fields.hour;
  if (hour < 0 && fields.hour12 >= 0) hour = fields.hour12 + (fields.pm === true ? 12 : 0);
  if (hour < 0) hour = fields.pm === true ? 12 : 0;
  const { month, day } = fields;
  const days =
    fields.dayOfYear >= 0 ? dayInYear(fields) : checkedDays(fields.year, month < 0 ? 1 : month, day < 0 ? 1 : day);
  if (days === null || Number.isNaN(fields.micros) || hour > 23 || fields.minute > 59 || fields.second > 59)
    return null;
  const local =
    days * DAY_US + hour * HOUR_US + fields.minute * MINUTE_US + fields.second * SECOND_US + Math.max(0, fields.micros);
  return toUtc(fields.zone ?? session, local);
}

/** The day by its number in the year; null when there is none, or when a month or day beside it says otherwise. */
function dayInYear({ year, month, day, dayOfYear: place }: Fields): number | null {
  const first = checkedDays(year, 1, 1);
  const last = checkedDays(year, 12, 31);
  if (first === null || last === null || place < 1 || first + place - 1 > last) return null;
  const date = civilOf(first + place - 1);
  if ((month >= 0 && month !== date.month) || (day >= 0 && day !== date.day)) return null;
  return first + place - 1;
}

/** Where the parts from `index` on end in the text, or -1. */
function parseParts(parts: DatePattern, index: number, text: string, from: number, fields: Fields): number {
  let at = from;
  for (let place = index; place < parts.length; place++) {
    const part = parts[place] as Part;
    if (part.kind === 'text') {
      if (!text.startsWith(part.text, at)) return -1;
      at += part.text.length;
    } else if (part.kind === 'optional') {
      const saved = { ...fields };
      const end = parseParts(part.parts, 0, text, at, fields);
      if (end >= 0) at = end;
      else Object.assign(fields, saved);
    } else {
      const next = parts[place + 1];
      const adjacent = next?.kind === 'field' && /[0-9A-Za-z]/.test(next.letter) && isNumeric(next);
      at = parseField(part.letter, part.count, adjacent, text, at, fields);
      if (at < 0) return -1;
    }
  }
  return at;
}

function isNumeric({ letter, count }: { readonly letter: string; readonly count: number }): boolean {
  return 'ydDHhkKmsS'.includes(letter) || ('ML'.includes(letter) && count < 3);
}

function parseField(
  letter: string,
  count: number,
  adjacent: boolean,
  text: string,
  at: number,
  fields: Fields,
): number {
  const digits = (min: number, max: number, store: (value: number, length: number) => void): number => {
    let end = at;
    while (end < text.length && end - at < max && /[0-9]/.test(text[end] as string)) end++;
    if (end - at < min) return -1;
    store(Number(text.slice(at, end)), end - at);
    return end;
  };
  /** One letter takes as many digits as there are, unless digits follow; two take two. */
  const most = count === 1 ? (adjacent ? 1 : 19) : count;
  switch (letter) {
    case 'y':
      if (count === 2) return digits(2, 2, (value) => (fields.year = 2000 + value));
      return digits(count === 1 ? 1 : count, adjacent ? count : Math.max(count, 6), (value) => (fields.year = value));
    case 'M':
    case 'L':
      if (count < 3) return digits(count, Math.min(most, 2), (value) => (fields.month = value));
      return parseName(text, at, months, count === 3, (index) => (fields.month = index + 1));
    case 'd':
      return digits(count, Math.min(most, 2), (value) => (fields.day = value));
    case 'D':
      return digits(count, adjacent ? count : 3, (value) => (fields.dayOfYear = value));
    case 'H':
      return digits(count, Math.min(most, 2), (value) => (fields.hour = value));
    case 'k':
      return digits(count, Math.min(most, 2), (value) => (fields.hour = value === 24 ? 0 : value));
    case 'h':
      return digits(count, Math.min(most, 2), (value) => (fields.hour12 = value === 12 ? 0 : value > 12 ? 99 : value));
    case 'K':
      return digits(count, Math.min(most, 2), (value) => (fields.hour12 = value > 11 ? 99 : value));
    case 'm':
      return digits(count, Math.min(most, 2), (value) => (fields.minute = value));
    case 's':
      return digits(count, Math.min(most, 2), (value) => (fields.second = value));
    case 'S':
      // As Spark does: a fraction of up to so many digits.
      return digits(1, count, (value, length) => {
        const micros = Math.floor(value * 10 ** (6 - length));
        fields.micros = fields.micros < 0 || fields.micros === micros ? micros : Number.NaN;
      });
    case 'a': {
      const name = text.slice(at, at + 2).toUpperCase();
      if (name !== 'AM' && name !== 'PM') return -1;
      fields.pm = name === 'PM';
      return at + 2;
    }
    case 'E':
      return parseName(text, at, weekdays, count < 4, () => {});
    case 'q':
    case 'Q':
      return -1;
    default:
      return parseZone(letter, text, at, fields);
  }
}

function parseName(
  text: string,
  at: number,
  names: readonly string[],
  short: boolean,
  store: (index: number) => void,
): number {
  const rest = text.slice(at).toLowerCase();
  const index = names.findIndex((name) => rest.startsWith((short ? name.slice(0, 3) : name).toLowerCase()));
  if (index < 0) return -1;
  store(index);
  return at + (short ? 3 : (names[index] as string).length);
}

function parseZone(letter: string, text: string, at: number, fields: Fields): number {
  const pattern =
    letter === 'V' || letter === 'z'
      ? /^[A-Za-z][A-Za-z0-9_/+:-]*|^[+-]\d{2}:?\d{2}/
      : /^Z|^(?:GMT)?[+-]\d{1,2}(?::?\d{2}(?::?\d{2})?)?|^GMT/;
  const name = pattern.exec(text.slice(at))?.[0];
  if (name === undefined || (name === 'Z' && letter === 'x')) return -1;
  const zone = timeZoneOf(name);
  if (zone === undefined) return -1;
  fields.zone = zone;
  return at + name.length;
}
