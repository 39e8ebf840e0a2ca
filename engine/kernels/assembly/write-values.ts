/** Numbers, dates and timestamps as text. The twins are in engine/encode/text.ts. */

/** Writes the digits of an integer; where they end. */
export function writeInteger(at: usize, value: i64): usize {
  if (value < 0) {
    store<u8>(at++, 0x2d);
    return writeDigits(at, <u64>-value, 1);
  }
  return writeDigits(at, <u64>value, 1);
}

/** Writes the digits of a number, at least `digitsMin`. */
function writeDigits(at: usize, value: u64, digitsMin: usize): usize {
  const end = at + max<usize>(digitsOf(value), digitsMin);
  let to = end;
  // Most numbers are short, and 32 bits are divided faster.
  let wide = value;
  while (wide > 0xffffffff) {
    const next = wide / 100;
    to -= 2;
    writePair(to, <u32>(wide - next * 100));
    wide = next;
  }
  let rest = <u32>wide;
  while (rest >= 100) {
    const next = rest / 100;
    to -= 2;
    writePair(to, rest - next * 100);
    rest = next;
  }
  while (to > at) {
    store<u8>(--to, <u8>(0x30 + (rest % 10)));
    rest /= 10;
  }
  return end;
}

function digitsOf(value: u64): usize {
  let digits: usize = 1;
  for (let limit: u64 = 10; value >= limit; limit *= 10) {
    digits++;
    // The next power of ten is no 64-bit number.
    if (digits == 20) break;
  }
  return digits;
}

/** Two digits of a number below 100. */
function writePair(at: usize, value: u32): void {
  const tens = value / 10;
  store<u16>(at, <u16>(0x3030 + tens + ((value - tens * 10) << 8)));
}

/** Writes an unscaled decimal with `scale` digits behind its point. */
export function writeDecimal(at: usize, unscaled: i64, scale: u32): usize {
  if (unscaled < 0) store<u8>(at++, 0x2d);
  const size: u64 = unscaled < 0 ? <u64>-unscaled : <u64>unscaled;
  const end = writeDigits(at, size, <usize>scale + 1);
  if (scale == 0) return end;
  const point = end - <usize>scale;
  memory.copy(point + 1, point, <usize>scale);
  store<u8>(point, 0x2e);
  return end + 1;
}

/** Writes `yyyy-MM-dd` of days since 1970-01-01, proleptic Gregorian; years of other than four digits have a sign. */
export function writeDate(at: usize, days: i64): usize {
  const shifted = days + 719_468;
  const era = floorDiv(shifted, 146_097);
  const dayOfEra = <u32>(shifted - era * 146_097);
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const shiftedMonth = (5 * dayOfYear + 2) / 153;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = <i64>yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  if (year < 0 || year > 9999) {
    store<u8>(at++, year < 0 ? 0x2d : 0x2b);
    at = writeDigits(at, <u64>abs<i64>(year), 4);
  } else {
    const century = <u32>year / 100;
    writePair(at, century);
    writePair(at + 2, <u32>year - century * 100);
    at += 4;
  }
  store<u8>(at, 0x2d);
  writePair(at + 1, month);
  store<u8>(at, 0x2d, 3);
  writePair(at + 4, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1);
  return at + 6;
}

const DAY_US: i64 = 86_400_000_000;
/** Times farther from 1970 are for the twin. */
const TIME_US_MAX: f64 = 4e18;

/**
 * Writes `yyyy-MM-ddTHH:mm:ss.SSS`, with µs when they are not zero, of a UTC time in µs as local time with its offset;
 * where it ends, or 0 for a time that is too far away.
 */
export function writeTimestamp(at: usize, utcUs: f64, offsetUs: f64): usize {
  const local = utcUs + offsetUs;
  if (!(abs<f64>(local) < TIME_US_MAX)) return 0;
  const localUs = <i64>local;
  const days = floorDiv(localUs, DAY_US);
  const ofDay = localUs - days * DAY_US;
  at = writeDate(at, days);
  const seconds = <u32>(ofDay / 1_000_000);
  const us = <u32>(ofDay - <i64>seconds * 1_000_000);
  const minutes = seconds / 60;
  const hours = minutes / 60;
  store<u8>(at, 0x54);
  writePair(at + 1, hours);
  store<u8>(at, 0x3a, 3);
  writePair(at + 4, minutes - hours * 60);
  store<u8>(at, 0x3a, 6);
  writePair(at + 7, seconds - minutes * 60);
  store<u8>(at, 0x2e, 9);
  const ms = us / 1000;
  writeThree(at + 10, ms);
  at += 13;
  const micros = us - ms * 1000;
  if (micros != 0) {
    writeThree(at, micros);
    at += 3;
  }
  if (offsetUs == 0) {
    store<u8>(at, 0x5a);
    return at + 1;
  }
  const offsetMinutes = <u32>(abs<f64>(offsetUs) / 60_000_000);
  store<u8>(at, offsetUs < 0 ? 0x2d : 0x2b);
  writePair(at + 1, offsetMinutes / 60);
  store<u8>(at, 0x3a, 3);
  writePair(at + 4, offsetMinutes % 60);
  return at + 6;
}

/** Three digits of a number below 1000. */
function writeThree(at: usize, value: u32): void {
  const hundreds = value / 100;
  store<u8>(at, <u8>(0x30 + hundreds));
  writePair(at + 1, value - hundreds * 100);
}

function floorDiv(value: i64, by: i64): i64 {
  const quotient = value / by;
  return quotient * by > value ? quotient - 1 : quotient;
}
