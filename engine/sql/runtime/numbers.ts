/** Arithmetic after ANSI: what does not fit its type raises, and so does division by zero. */
import { raiseDivideByZero, raiseOverflow } from './runtime.ts';

const INT_MAX = 2147483647;
const INT_MIN = -2147483648;

export function checkInt(value: number): number {
  if ((value | 0) !== value) raiseOverflow();
  return value | 0;
}

export function checkShort(value: number): number {
  if ((value << 16) >> 16 !== value) raiseOverflow();
  return value | 0;
}

export function checkByte(value: number): number {
  if ((value << 24) >> 24 !== value) raiseOverflow();
  return value | 0;
}

export function checkLong(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) raiseOverflow();
  return value;
}

/** Remainder with the sign of the dividend. */
export function remainder(a: number, b: number): number {
  if (b === 0) raiseDivideByZero();
  return a % b;
}

export function remainderLong(a: bigint, b: bigint): bigint {
  if (b === 0n) raiseDivideByZero();
  return a % b;
}

/** Remainder that is not negative for a positive divisor. */
export function pmod(a: number, b: number): number {
  if (b === 0) raiseDivideByZero();
  const rest = a % b;
  return rest < 0 ? (rest + b) % b : rest;
}

export function pmodLong(a: bigint, b: bigint): bigint {
  if (b === 0n) raiseDivideByZero();
  const rest = a % b;
  return rest < 0n ? (rest + b) % b : rest;
}

export function divideDouble(a: number, b: number): number {
  if (b === 0) raiseDivideByZero();
  return a / b;
}

/** Whole-number division, towards zero. */
export function divideLong(a: bigint, b: bigint): bigint {
  if (b === 0n) raiseDivideByZero();
  return checkLong(a / b);
}

const powersOfTen: bigint[] = [];
for (let exponent = 0, power = 1n; exponent <= 80; exponent++, power *= 10n) powersOfTen.push(power);

export function powerOfTen(exponent: number): bigint {
  return powersOfTen[exponent] ?? 10n ** BigInt(exponent);
}

export function checkDecimal(value: bigint, precision: number): bigint {
  const limit = powersOfTen[precision] as bigint;
  if (value >= limit || value <= -limit) raiseOverflow();
  return value;
}

/** Integer division, ties away from zero (HALF_UP). */
export function divideHalfUp(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  const rest = a % b;
  if (rest === 0n) return quotient;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  const size = b < 0n ? -b : b;
  if (twice < size) return quotient;
  return a < 0n === b < 0n ? quotient + 1n : quotient - 1n;
}

/** Integer division, ties to the even neighbour (HALF_EVEN). */
export function divideHalfEven(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  const rest = a % b;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  const size = b < 0n ? -b : b;
  if (twice < size || (twice === size && quotient % 2n === 0n)) return quotient;
  return a < 0n === b < 0n ? quotient + 1n : quotient - 1n;
}

/** An unscaled value at another scale; digits that fall away are rounded HALF_UP. */
export function rescale(value: bigint, from: number, to: number): bigint {
  if (from === to) return value;
  return to > from ? value * powerOfTen(to - from) : divideHalfUp(value, powerOfTen(from - to));
}

/** The quotient of two unscaled values at `scale`. */
export function divideDecimal(a: bigint, aScale: number, b: bigint, bScale: number, scale: number): bigint {
  if (b === 0n) raiseDivideByZero();
  const shift = scale + bScale - aScale;
  return shift >= 0 ? divideHalfUp(a * powerOfTen(shift), b) : divideHalfUp(a, b * powerOfTen(-shift));
}

/** Whole part of the quotient of two unscaled values of one scale. */
export function divideDecimalWhole(a: bigint, b: bigint): bigint {
  if (b === 0n) raiseDivideByZero();
  return checkLong(a / b);
}

/** A double as a whole number of 32 bits; digits behind the point fall away. */
export function doubleToInt(value: number): number {
  const whole = Math.trunc(value);
  if (!(whole >= INT_MIN && whole <= INT_MAX)) raiseOverflow();
  return whole | 0;
}

/** As {@link doubleToInt} with 64 bits. 2^63, which the largest BIGINT is as a double, becomes the largest BIGINT. */
export function doubleToLong(value: number): bigint {
  if (!(value >= -9223372036854775808 && value <= 9223372036854775808)) raiseOverflow();
  return value === 9223372036854775808 ? 9223372036854775807n : BigInt(Math.trunc(value));
}

/** The unscaled decimal nearest to the shortest text of a double; null for NaN and the infinities. */
export function doubleToDecimal(value: number, precision: number, scale: number): bigint | null {
  if (!Number.isFinite(value)) return null;
  return checkDecimal(parseDecimal(String(value), scale) ?? raiseOverflow(), precision);
}

const decimalPattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/;

/** The unscaled value of a decimal text at a scale, HALF_UP; null when it is not a number. */
export function parseDecimal(text: string, scale: number): bigint | null {
  const match = decimalPattern.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return null;
  const shift = scale + Number(exponent) - fraction.length;
  // A text that asks for more digits than any decimal has does not fit, whatever its first digits are.
  if (whole.length + fraction.length > 400 || shift > 400) return raiseOverflow();
  if (shift < -800) return 0n;
  const digits = BigInt(`${whole}${fraction}`);
  const value = shift >= 0 ? digits * powerOfTen(shift) : divideHalfUp(digits, powerOfTen(-shift));
  return sign === '-' ? -value : value;
}

export function decimalToDouble(value: bigint, scale: number): number {
  return scale === 0 ? Number(value) : Number(formatDecimal(value, scale));
}

/** The plain text of an unscaled value: `-12.50`. */
export function formatDecimal(value: bigint, scale: number): string {
  if (scale === 0) return value.toString();
  const negative = value < 0n;
  const digits = (negative ? -value : value).toString().padStart(scale + 1, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** A double as Java's Double.toString writes it. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  // Java gives two digits at least, and of two digits those that are nearest: here alone that is another number.
  if (Math.abs(value) === Number.MIN_VALUE) return value < 0 ? '-4.9E-324' : '4.9E-324';
  return formatDigits(value, value.toExponential());
}

/** A float as Java's Float.toString writes it: the shortest digits that name this float. */
export function formatFloat(value: number): string {
  if (!Number.isFinite(value) || value === 0) return formatDouble(value);
  for (let digits = 0; digits < 9; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) return formatDigits(value, text);
  }
  return formatDigits(value, value.toExponential(8));
}

function formatDigits(value: number, exponential: string): string {
  const [mantissa = '0', exponentText = '0'] = exponential.split('e');
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  const digits = mantissa.replace('-', '').replace('.', '').replace(/0+$/, '') || '0';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e7) {
    if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
    const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
    return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
  }
  return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${exponent}`;
}

/** NaN equals NaN and is larger than anything else; the zeros are equal. */
export function compareDouble(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  const aNaN = Number.isNaN(a);
  return aNaN === Number.isNaN(b) ? 0 : aNaN ? 1 : -1;
}

/** A double at `scale` digits behind the point (may be negative), ties away from zero, on its decimal text as Spark does. */
export function roundDouble(value: number, scale: number): number {
  if (!Number.isFinite(value) || scale > 30) return value;
  return decimalToDoubleAt(divideAt(value, scale, divideHalfUp), scale);
}

/** As {@link roundDouble} with ties to the even neighbour. */
export function broundDouble(value: number, scale: number): number {
  if (!Number.isFinite(value) || scale > 30) return value;
  return decimalToDoubleAt(divideAt(value, scale, divideHalfEven), scale);
}

function divideAt(value: number, scale: number, divide: (a: bigint, b: bigint) => bigint): bigint {
  const [mantissa = '0', exponentText = '0'] = value.toExponential().split('e');
  const fraction = mantissa.split('.')[1]?.length ?? 0;
  const digits = BigInt(mantissa.replace('.', ''));
  const shift = scale + Number(exponentText) - fraction;
  return shift >= 0 ? digits * powerOfTen(shift) : divide(digits, powerOfTen(-shift));
}

function decimalToDoubleAt(value: bigint, scale: number): number {
  return scale >= 0 ? decimalToDouble(value, scale) : Number(value * powerOfTen(-scale));
}

/** A whole number rounded to a power of ten: `scale` is 0 or negative. */
export function roundLong(value: bigint, scale: number): bigint {
  if (scale >= 0) return value;
  if (scale < -19) return 0n;
  const unit = powerOfTen(-scale);
  return checkLong(divideHalfUp(value, unit) * unit);
}

export function broundLong(value: bigint, scale: number): bigint {
  if (scale >= 0) return value;
  if (scale < -19) return 0n;
  const unit = powerOfTen(-scale);
  return checkLong(divideHalfEven(value, unit) * unit);
}

/** Floor of an unscaled decimal, as a whole number. */
export function floorDecimal(value: bigint, scale: number): bigint {
  const unit = powerOfTen(scale);
  const whole = value / unit;
  return value < 0n && value % unit !== 0n ? whole - 1n : whole;
}

export function ceilDecimal(value: bigint, scale: number): bigint {
  return -floorDecimal(-value, scale);
}
