/**
 * Numbers, dates and timestamps from bytes, exactly or not at all: what these functions do not take is read by the
 * twins in engine/scan (numbers.ts, text-times.ts).
 */

/** The number read last: its digits as an integer (wrong above 19 of them), how many count, and what moves its point. */
export let mantissa: u64 = 0;
export let digits: u32 = 0;
/** Power of ten the mantissa is multiplied with. */
export let exponent: i32 = 0;
/** Digits of the fraction. */
export let fractionDigits: u32 = 0;
export let negative: bool = false;
/** Whether the number has neither fraction nor exponent. */
export let isInteger: bool = false;
/** Whether the number has an exponent. */
export let hasExponent: bool = false;

const EXPONENT_MAX: i32 = 100_000;
/** Digits a 64-bit unsigned integer always holds. */
export const DIGITS_MAX: u32 = 19;

/** The position behind the number at `at`; 0 when it is none by JSON's grammar. */
export function readNumber(at: usize): usize {
  negative = load<u8>(at) == 0x2d;
  if (negative) at++;
  let digit: u32 = <u32>load<u8>(at) - 0x30;
  if (digit > 9) return 0;
  let value: u64 = digit;
  let count: u32 = digit > 0 ? 1 : 0;
  at++;
  if (digit > 0) {
    for (digit = <u32>load<u8>(at) - 0x30; digit <= 9; digit = <u32>load<u8>(at) - 0x30) {
      value = value * 10 + digit;
      count++;
      at++;
    }
  } else if (<u32>load<u8>(at) - 0x30 <= 9) {
    return 0;
  }
  isInteger = true;
  hasExponent = false;
  let moved: i32 = 0;
  fractionDigits = 0;
  if (load<u8>(at) == 0x2e) {
    isInteger = false;
    const from = ++at;
    for (digit = <u32>load<u8>(at) - 0x30; digit <= 9; digit = <u32>load<u8>(at) - 0x30) {
      value = value * 10 + digit;
      if (count > 0 || digit > 0) count++;
      at++;
    }
    if (at == from) return 0;
    fractionDigits = <u32>(at - from);
    moved = -(<i32>fractionDigits);
  }
  if ((load<u8>(at) | 0x20) == 0x65) {
    isInteger = false;
    hasExponent = true;
    at++;
    const sign = load<u8>(at);
    if (sign == 0x2b || sign == 0x2d) at++;
    const from = at;
    let power: i32 = 0;
    for (digit = <u32>load<u8>(at) - 0x30; digit <= 9; digit = <u32>load<u8>(at) - 0x30) {
      if (power < EXPONENT_MAX) power = power * 10 + <i32>digit;
      at++;
    }
    if (at == from) return 0;
    moved += sign == 0x2d ? -power : power;
  }
  mantissa = value;
  digits = count;
  exponent = moved;
  return at;
}

/** 10^0 … 10^22 are exact doubles: a mantissa of 53 bits times or divided by one rounds once, so correctly. */
const POWERS: StaticArray<f64> = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
];
const INTEGER_POWERS: StaticArray<u64> = [
  1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
  100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
  10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000,
];
const MANTISSA_MAX: u64 = 9007199254740992;

/** Whether {@link asDouble} gives the double nearest to the number read last. */
export function isExactDouble(): bool {
  return digits <= DIGITS_MAX && mantissa <= MANTISSA_MAX && exponent >= -22 && exponent <= 22;
}

export function asDouble(): f64 {
  const whole = <f64>mantissa;
  const value =
    exponent < 0 ? whole / unchecked(POWERS[-exponent]) : exponent > 0 ? whole * unchecked(POWERS[exponent]) : whole;
  return negative ? -value : value;
}

/** The unscaled value of a decimal with `scale` digits behind the point; {@link NO_VALUE} where it is not that simple. */
export function asDecimal(scale: u32): i64 {
  if (hasExponent || fractionDigits > scale || digits + (scale - fractionDigits) > 18) return NO_VALUE;
  const value = <i64>(mantissa * unchecked(INTEGER_POWERS[scale - fractionDigits]));
  return negative ? -value : value;
}

/** What no value is. */
export const NO_VALUE: i64 = i64.MIN_VALUE;

/** Two digits at `at`; above 99 when they are none. */
function two(at: usize): u32 {
  const high = <u32>load<u8>(at) - 0x30;
  const low = <u32>load<u8>(at, 1) - 0x30;
  return high > 9 || low > 9 ? 1000 : high * 10 + low;
}

function daysOf(year: i32, month: i32, day: i32): i32 {
  const y = month <= 2 ? year - 1 : year;
  const era = y / 400;
  const yearOfEra = y - era * 400;
  const dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468;
}

function daysInMonth(year: i32, month: i32): i32 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** What no date is. */
export const NO_DATE: i32 = i32.MIN_VALUE;

/** Days since 1970-01-01 of the `yyyy-MM-dd` at `at`; {@link NO_DATE} for anything else. */
export function readDate(at: usize): i32 {
  const century = two(at);
  const rest = two(at + 2);
  const month = two(at + 5);
  const day = two(at + 8);
  if ((load<u8>(at, 4) ^ 0x2d) | (load<u8>(at, 7) ^ 0x2d)) return NO_DATE;
  if (century > 99 || rest > 99 || month - 1 > 11 || day - 1 > 30) return NO_DATE;
  const year = <i32>(century * 100 + rest);
  if (year == 0) return NO_DATE;
  if (day > 28 && <i32>day > daysInMonth(year, <i32>month)) return NO_DATE;
  return daysOf(year, <i32>month, <i32>day);
}

/** Days of the first and of the last date whose µs a double holds exactly, with room for an offset. */
const DAYS_MIN: i32 = -100_000;
const DAYS_MAX: i32 = 100_000;
const DAY_US: i64 = 86_400_000_000;

/** By column, the minute read last as it was written, and its µs: times that come one after the other share it. */
const MINUTES: usize = memory.data(64 * 32, 16);
const MINUTE_BYTES: usize = 32;
const MINUTES_MASK: u32 = 63;

/**
 * µs since 1970-01-01 UTC of `yyyy-MM-dd[(T| )HH:mm[:ss[.f…]][Z|±HH:mm]]`; {@link NO_VALUE} for anything else. A time
 * without an offset is taken as the session's, if that has the same one all the time. `column`: times of one column
 * are likely to be near to each other.
 */
export function readTimestamp(at: usize, end: usize, column: u32, sessionFixed: bool, sessionOffsetUs: i64): i64 {
  const bytes = end - at;
  if (bytes < 16) {
    if (bytes != 10 || !sessionFixed) return NO_VALUE;
    const days = readDate(at);
    return days < DAYS_MIN || days > DAYS_MAX ? NO_VALUE : <i64>days * DAY_US - sessionOffsetUs;
  }
  const known = MINUTES + <usize>(column & MINUTES_MASK) * MINUTE_BYTES;
  const text = v128.load(at);
  let us: i64;
  if (i8x16.all_true(i8x16.eq(text, v128.load(known)))) {
    us = load<i64>(known, 16);
  } else {
    us = readMinute(at);
    if (us == NO_VALUE) return NO_VALUE;
    v128.store(known, text);
    store<i64>(known, us, 16);
  }
  at += 16;
  if (at < end && load<u8>(at) == 0x3a) {
    const second = two(at + 1);
    if (end - at < 3 || second > 59) return NO_VALUE;
    us += <i64>second * 1_000_000;
    at += 3;
    if (at < end && load<u8>(at) == 0x2e) {
      let fraction: u32 = 0;
      let count: u32 = 0;
      at++;
      for (; at < end; at++) {
        const digit = <u32>load<u8>(at) - 0x30;
        if (digit > 9) break;
        if (count < 6) fraction = fraction * 10 + digit;
        count++;
      }
      for (; count < 6; count++) fraction *= 10;
      us += <i64>fraction;
    }
  }
  if (at == end) return sessionFixed ? us - sessionOffsetUs : NO_VALUE;
  const sign = load<u8>(at);
  if (sign == 0x5a) return end - at == 1 ? us : NO_VALUE;
  if ((sign != 0x2b && sign != 0x2d) || end - at != 6 || load<u8>(at, 3) != 0x3a) return NO_VALUE;
  const offsetHours = two(at + 1);
  const offsetMinutes = two(at + 4);
  if (offsetHours > 17 || offsetMinutes > 59) return NO_VALUE;
  const offset = <i64>(offsetHours * 60 + offsetMinutes) * 60_000_000;
  return sign == 0x2d ? us + offset : us - offset;
}

/** µs since 1970-01-01 of the `yyyy-MM-dd(T| )HH:mm` at `at`, as if it were UTC; {@link NO_VALUE} for anything else. */
function readMinute(at: usize): i64 {
  const days = readDate(at);
  if (days < DAYS_MIN || days > DAYS_MAX) return NO_VALUE;
  const mark = load<u8>(at, 10);
  const hour = two(at + 11);
  const minute = two(at + 14);
  if ((mark != 0x54 && mark != 0x20) || load<u8>(at, 13) != 0x3a || hour > 23 || minute > 59) return NO_VALUE;
  return <i64>days * DAY_US + <i64>(hour * 60 + minute) * 60_000_000;
}
