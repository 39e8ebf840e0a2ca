/** Values as text bytes, appended to a buffer without a JS string where that is possible. */
import type { ByteBuffer } from '../byte-buffer.ts';

const encoder = new TextEncoder();

/** Appends the digits of a safe integer. */
export function appendInteger(out: ByteBuffer, value: number): void {
  out.reserve(20);
  const { bytes } = out;
  let rest = value;
  if (value < 0) {
    bytes[out.length++] = 0x2d;
    rest = -value;
  }
  let digits = 1;
  for (let limit = 10; rest >= limit; limit *= 10) digits++;
  out.length += digits;
  for (let at = out.length - 1; digits > 0; digits--) {
    const next = Math.floor(rest / 10);
    bytes[at--] = 0x30 + (rest - next * 10);
    rest = next;
  }
}

/** Appends the UTF-8 of a string. */
export function appendText(out: ByteBuffer, text: string): void {
  out.reserve(text.length * 3);
  out.length += encoder.encodeInto(text, out.bytes.subarray(out.length)).written;
}

/** An unscaled decimal as digits with a point: `-12.50`. */
export function decimalText(unscaled: bigint, scale: number): string {
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale));
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Year, month and day of days since 1970-01-01, proleptic Gregorian. */
export function civilOf(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const m = Math.floor((5 * dayOfYear + 2) / 153);
  const month = m < 10 ? m + 3 : m - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * m + 2) / 5) + 1,
  };
}

/** Appends `yyyy-MM-dd`. */
export function appendDate(out: ByteBuffer, days: number): void {
  const { year, month, day } = civilOf(days);
  if (year < 0 || year > 9999) {
    appendText(
      out,
      `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`,
    );
    return;
  }
  out.reserve(10);
  appendPadded(out, year, 4);
  out.bytes[out.length++] = 0x2d;
  appendPadded(out, month, 2);
  out.bytes[out.length++] = 0x2d;
  appendPadded(out, day, 2);
}

const DAY_US = 86_400_000_000;

/**
 * Appends `yyyy-MM-ddTHH:mm:ss.SSS` (µs when they are not zero) with `Z` or the offset: as Spark's to_json writes
 * timestamps in the zone with that offset.
 */
export function appendTimestamp(out: ByteBuffer, utcUs: number, offsetUs: number): void {
  const localUs = utcUs + offsetUs;
  // A remainder is exact however large the number is; a quotient is not.
  const remainder = localUs % DAY_US;
  let rest = remainder < 0 ? remainder + DAY_US : remainder;
  const days = (localUs - rest) / DAY_US;
  appendDate(out, days);
  out.reserve(24);
  const micros = rest % 1000;
  rest = Math.floor(rest / 1000);
  out.bytes[out.length++] = 0x54;
  appendPadded(out, Math.floor(rest / 3_600_000), 2);
  out.bytes[out.length++] = 0x3a;
  appendPadded(out, Math.floor(rest / 60_000) % 60, 2);
  out.bytes[out.length++] = 0x3a;
  appendPadded(out, Math.floor(rest / 1000) % 60, 2);
  out.bytes[out.length++] = 0x2e;
  appendPadded(out, rest % 1000, 3);
  if (micros !== 0) appendPadded(out, micros, 3);
  if (offsetUs === 0) {
    out.bytes[out.length++] = 0x5a;
    return;
  }
  const minutes = Math.floor(Math.abs(offsetUs) / 60_000_000);
  out.bytes[out.length++] = offsetUs < 0 ? 0x2d : 0x2b;
  appendPadded(out, Math.floor(minutes / 60), 2);
  out.bytes[out.length++] = 0x3a;
  appendPadded(out, minutes % 60, 2);
}

/** Room must be there already. */
function appendPadded(out: ByteBuffer, value: number, digits: number): void {
  const { bytes } = out;
  let rest = value;
  for (let at = out.length + digits - 1; at >= out.length; at--) {
    bytes[at] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  out.length += digits;
}
