/** Numbers from the bytes of JSON number tokens (already checked against the grammar), without strings where it is exact. */

const MINUS = 0x2d;
const DOT = 0x2e;
/** 10^0 … 10^22 are exact doubles: a mantissa below 2^53 times or divided by one rounds once, so correctly. */
const POWERS = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * The integer written as `bytes[start, end)` (an optional minus and digits); NaN when it is not a safe integer, so
 * that the caller takes {@link parseBigint}.
 */
export function parseSafeInteger(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === MINUS;
  const from = negative ? start + 1 : start;
  if (end - from > 15) return Number.NaN;
  let value = 0;
  for (let at = from; at < end; at++) value = value * 10 + (bytes[at]! - 0x30);
  return negative ? 0 - value : value;
}

/** The integer written as `bytes[start, end)`, exactly. */
export function parseBigint(bytes: Uint8Array, start: number, end: number): bigint {
  const text = asciiText(bytes, start, end);
  return text.startsWith('+') ? BigInt(text.slice(1)) : text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

/** The double nearest to the number written as `bytes[start, end)`, as `Number(text)` gives it. */
export function parseDouble(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === MINUS;
  let mantissa = 0;
  let digits = 0;
  let scale = 0;
  let fraction = false;
  for (let at = negative ? start + 1 : start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === DOT) {
      fraction = true;
      continue;
    }
    const digit = byte - 0x30;
    if (digit < 0 || digit > 9 || digits >= 15) return Number(asciiText(bytes, start, end));
    mantissa = mantissa * 10 + digit;
    if (mantissa > 0) digits++;
    if (fraction) scale++;
  }
  if (scale > 22) return Number(asciiText(bytes, start, end));
  const value = scale === 0 ? mantissa : mantissa / POWERS[scale]!;
  return negative ? -value : value;
}

/** Digits a decimal exponent may move a value before it is refused: more would only cost memory. */
const EXPONENT_MAX = 10_000;

/**
 * The unscaled value of a decimal of `scale` digits, rounded half up, of the number written as `bytes[start, end)`;
 * undefined when the text is no number. The caller checks the precision.
 */
export function parseDecimal(bytes: Uint8Array, start: number, end: number, scale: number): bigint | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/.exec(asciiText(bytes, start, end));
  if (match === null) return undefined;
  const whole = match[2] ?? '';
  const fraction = match[3] ?? '';
  const digits = whole + fraction;
  if (digits === '') return undefined;
  const mantissa = BigInt(digits);
  const shift = Number(match[4] ?? 0) - fraction.length + scale;
  const magnitude = shifted(mantissa, shift);
  return match[1] === '-' ? -magnitude : magnitude;
}

/** `mantissa × 10^shift`, rounded half up. */
function shifted(mantissa: bigint, shift: number): bigint {
  if (mantissa === 0n || shift < -EXPONENT_MAX) return 0n;
  if (shift >= 0) return mantissa * 10n ** BigInt(Math.min(shift, EXPONENT_MAX));
  const divisor = 10n ** BigInt(-shift);
  return (mantissa + divisor / 2n) / divisor;
}

/**
 * The unscaled value of a plain number (`-12.50`) where it is a safe integer; NaN when {@link parseDecimal} has to
 * decide: exponents, rounding, many digits.
 */
export function parseSmallDecimal(bytes: Uint8Array, start: number, end: number, scale: number): number {
  const negative = bytes[start] === MINUS;
  const from = negative ? start + 1 : start;
  if (end - from > 15) return Number.NaN;
  let value = 0;
  let missing = scale;
  let fraction = false;
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === DOT) {
      fraction = true;
      continue;
    }
    const digit = byte - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
    if (fraction) missing--;
  }
  if (missing < 0 || missing > 22) return Number.NaN;
  value *= POWERS[missing]!;
  if (value > Number.MAX_SAFE_INTEGER) return Number.NaN;
  return negative ? 0 - value : value;
}

/** A short string of bytes that are known to be ASCII. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
