/** Functions over numbers. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { Gen, Result, Val } from '../codegen.ts';
import { reprOf } from '../repr.ts';
import { asDecimal, BIGINT, BINARY, castTo, DOUBLE, INT, isFractional, isIntegral, STRING } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  strictFunction,
  type Typing,
  valueFunction,
} from '../function-table.ts';
import { intLiteral } from '../literal.ts';
import {
  broundDouble,
  broundLong,
  ceilDecimal,
  checkByte,
  checkDecimal,
  checkInt,
  checkLong,
  checkShort,
  divideHalfEven,
  divideHalfUp,
  floorDecimal,
  powerOfTen,
  roundDouble,
  roundLong,
} from '../runtime/numbers.ts';
import { raiseExpressionFailed, raiseOverflow } from '../runtime/runtime.ts';

function doubleFunction(
  name: string,
  aliases: readonly string[],
  about: string,
  js: (x: string) => string,
): FunctionDef {
  return strictFunction({
    name,
    aliases,
    group: 'number',
    usage: `${name}(number)`,
    about,
    params: [DOUBLE],
    returns: DOUBLE,
    body: (_g, [x]) => ({ value: js((x as Val).v) }),
  });
}

/** Logarithms are NULL where Spark's are: at and below their pole. */
function logFunction(name: string, aliases: readonly string[], about: string, js: string, pole = 0): FunctionDef {
  return strictFunction({
    name,
    aliases,
    group: 'number',
    usage: `${name}(number)`,
    about,
    params: [DOUBLE],
    returns: DOUBLE,
    mayBeNull: true,
    body: (_g, [x]) => ({ boxed: `(${x?.v} <= ${pole} ? null : ${js}(${x?.v}))` }),
  });
}

const checks: Partial<Record<DataType['kind'], (value: number) => number>> = {
  tinyint: checkByte,
  smallint: checkShort,
  int: checkInt,
};

function checked(g: Gen, type: DataType, value: string): Result {
  g.fails();
  const check = checks[type.kind];
  if (check !== undefined) return { value: `${g.fn(check)}(${value})` };
  if (type.kind === 'bigint') return { value: `${g.fn(checkLong)}(${value})` };
  return type.kind === 'decimal' ? { value: `${g.fn(checkDecimal)}(${value}, ${type.precision})` } : { value };
}

const abs = customFunction({
  name: 'abs',
  group: 'number',
  usage: 'abs(number)',
  about: 'The number without its sign.',
  type(args) {
    const fitted = fitAll(args, [args[0]?.type.kind === 'interval' ? 'any' : 'numeric']);
    if ('complaint' in fitted) return fitted;
    const [arg] = fitted as [Expr];
    return { args: fitted, type: arg.type, nullable: arg.nullable };
  },
  emit: (g, call) =>
    g.strict(call.args, call.type, ([x]) =>
      reprOf(call.type) === 'big'
        ? checked(g, call.type, `(${x?.v} < 0n ? -${x?.v} : ${x?.v})`)
        : checked(g, call.type, `Math.abs(${x?.v})`),
    ),
});

// ---- rounding ---------------------------------------------------------------------------------------------------

function typeRound(args: readonly Expr[]): Typing | Complaint {
  const fitted = fitAll(args, ['numeric', INT], 1);
  if ('complaint' in fitted) return fitted;
  const [input, digits = intLiteral(0)] = fitted as [Expr, Expr?];
  if (digits.kind !== 'literal' || typeof digits.value !== 'number')
    return { complaint: 'takes a number that is written out as its second argument', arg: 1 };
  return { args: [input, digits], type: roundedType(input.type, digits.value), nullable: anyNullable(fitted) };
}

function roundedType(type: DataType, digits: number): DataType {
  if (type.kind !== 'decimal') return type;
  const whole = type.precision - type.scale + 1;
  if (digits < 0) return { kind: 'decimal', precision: Math.min(38, Math.max(whole, 1 - digits)), scale: 0 };
  const scale = Math.min(type.scale, digits);
  return { kind: 'decimal', precision: Math.min(38, whole + scale), scale };
}

function roundFunction(name: 'round' | 'bround', about: string): FunctionDef {
  const half = name === 'round';
  return customFunction({
    name,
    group: 'number',
    usage: `${name}(number [, digits])`,
    about,
    type: typeRound,
    emit(g, call) {
      const [input, digitsExpr] = call.args as [Expr, Expr];
      const digits = digitsExpr.kind === 'literal' ? Number(digitsExpr.value) : 0;
      return g.strict([input], call.type, ([x]) => rounded(g, half, x as Val, call.type, digits));
    },
  });
}

function rounded(g: Gen, half: boolean, x: Val, type: DataType, digits: number): Result {
  if (isFractional(type)) {
    const value = `${g.fn(half ? roundDouble : broundDouble)}(${x.v}, ${digits})`;
    return { value: type.kind === 'float' ? `Math.fround(${value})` : value };
  }
  if (x.type.kind === 'decimal' && type.kind === 'decimal') {
    if (digits >= x.type.scale) return { same: x };
    const unit = g.constant(powerOfTen(x.type.scale - digits));
    const divided = `${g.fn(half ? divideHalfUp : divideHalfEven)}(${x.v}, ${unit})`;
    return checked(g, type, digits < 0 ? `${divided} * ${g.constant(powerOfTen(-digits))}` : divided);
  }
  if (digits >= 0) return { same: x };
  const kernel = g.fn(half ? roundLong : broundLong);
  if (type.kind === 'bigint') return checked(g, type, `${kernel}(${x.v}, ${digits})`);
  return checked(g, type, `Number(${kernel}(BigInt(${x.v}), ${digits}))`);
}

/** ceil and floor with a number of digits work on decimals. */
function typeWholeAt(args: readonly Expr[]): Typing | Complaint {
  const [input] = args as [Expr];
  const exact: DataType =
    input.type.kind === 'double'
      ? { kind: 'decimal', precision: 30, scale: 15 }
      : input.type.kind === 'float'
        ? { kind: 'decimal', precision: 14, scale: 7 }
        : { kind: 'decimal', ...(asDecimal(input.type) ?? { precision: 38, scale: 18 }) };
  const fitted = fitAll(args, [exact, INT]);
  return 'complaint' in fitted ? fitted : typeRound(fitted);
}

function wholeAt(g: Gen, name: 'ceil' | 'floor', x: Val, type: DataType, digits: number): Result {
  const scale = x.type.kind === 'decimal' ? x.type.scale : 0;
  if (digits >= scale) return { same: x };
  const whole = `${g.fn(name === 'ceil' ? ceilDecimal : floorDecimal)}(${x.v}, ${scale - digits})`;
  return checked(g, type, digits < 0 ? `${whole} * ${g.constant(powerOfTen(-digits))}` : whole);
}

/** As Java narrows a double: what is too large becomes the largest number, NaN zero. */
function nearestLong(value: number): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  return value <= -(2 ** 63) ? -(2n ** 63n) : BigInt(value);
}

function wholeFunction(name: 'ceil' | 'floor', aliases: readonly string[], about: string): FunctionDef {
  return customFunction({
    name,
    aliases,
    group: 'number',
    usage: `${name}(number [, digits])`,
    about,
    type(args) {
      if (args.length === 2) return typeWholeAt(args);
      const fitted = fitAll(args, ['numeric']);
      if ('complaint' in fitted) return fitted;
      const [input] = fitted as [Expr];
      const { type } = input;
      if (type.kind === 'decimal') {
        const precision = Math.min(38, type.scale === 0 ? type.precision : type.precision - type.scale + 1);
        return { args: fitted, type: { kind: 'decimal', precision, scale: 0 }, nullable: input.nullable };
      }
      return {
        args: [isIntegral(type) ? castTo(input, BIGINT) : castTo(input, DOUBLE)],
        type: BIGINT,
        nullable: input.nullable,
      };
    },
    emit: (g, call) =>
      g.strict(call.args.slice(0, 1), call.type, ([x]) => {
        const val = x as Val;
        const digits = call.args[1];
        if (digits?.kind === 'literal') return wholeAt(g, name, val, call.type, Number(digits.value));
        if (val.type.kind === 'decimal')
          return checked(
            g,
            call.type,
            `${g.fn(name === 'ceil' ? ceilDecimal : floorDecimal)}(${val.v}, ${val.type.scale})`,
          );
        if (val.type.kind === 'bigint') return { same: val };
        return { value: `${g.fn(nearestLong)}(Math.${name}(${val.v}))` };
      }),
  });
}

function shiftFunction(name: 'shiftleft' | 'shiftright' | 'shiftrightunsigned', symbol: string): FunctionDef {
  return customFunction({
    name,
    group: 'number',
    usage: `${name}(number, bits)`,
    about: `The number's bits moved (Java's ${symbol}).`,
    type(args) {
      const fitted = fitAll(args, ['integral', INT]);
      if ('complaint' in fitted) return fitted;
      const [input, bits] = fitted as [Expr, Expr];
      const type = input.type.kind === 'bigint' ? BIGINT : INT;
      return { args: [castTo(input, type), bits], type, nullable: anyNullable(fitted) };
    },
    emit: (g, call) =>
      g.strict(call.args, call.type, ([x, bits]) => {
        if (call.type.kind === 'int') return { value: `(${x?.v} ${symbol} ${bits?.v}) | 0` };
        const by = `BigInt(${bits?.v} & 63)`;
        if (name === 'shiftrightunsigned') return { value: `BigInt.asIntN(64, BigInt.asUintN(64, ${x?.v}) >> ${by})` };
        return { value: `BigInt.asIntN(64, ${x?.v} ${symbol} ${by})` };
      }),
  });
}

function factorial(n: number): bigint | null {
  if (n < 0 || n > 20) return null;
  let product = 1n;
  for (let factor = 2n; factor <= BigInt(n); factor++) product *= factor;
  return product;
}

function bitCount(value: number | bigint | boolean): number {
  let bits = BigInt.asUintN(64, BigInt(value));
  let count = 0;
  for (; bits !== 0n; bits &= bits - 1n) count++;
  return count;
}

function bitAt(value: bigint, place: number): number {
  if (place < 0 || place > 63) return raiseExpressionFailed();
  return Number((BigInt.asUintN(64, value) >> BigInt(place)) & 1n);
}

const LONG_MAX = 9223372036854775807n;

/** NULL where Spark's is: no buckets, an empty range, values that are no numbers. */
function widthBucket(value: number, min: number, max: number, buckets: bigint): bigint | null {
  if (
    buckets <= 0n ||
    buckets === LONG_MAX ||
    Number.isNaN(value) ||
    min === max ||
    !Number.isFinite(min) ||
    !Number.isFinite(max)
  )
    return null;
  const [low, high, at] = min < max ? [min, max, value] : [-min, -max, -value];
  if (at < low) return 0n;
  return at >= high ? buckets + 1n : BigInt(Math.floor((Number(buckets) * (at - low)) / (high - low))) + 1n;
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** Digits of one base as another: of 64 bits, unsigned for a positive target base and signed for a negative one. */
function convertBase(text: string, from: number, to: number): string | null {
  const base = Math.abs(to);
  if (from < 2 || from > 36 || base < 2 || base > 36) return null;
  const trimmed = text.replace(/^ +| +$/g, '');
  if (trimmed === '') return null;
  const negative = trimmed.startsWith('-');
  let value = 0n;
  for (const char of trimmed.slice(negative ? 1 : 0).toUpperCase()) {
    const digit = DIGITS.indexOf(char);
    if (digit < 0 || digit >= from) break;
    value = value * BigInt(from) + BigInt(digit);
    if (value > 0xffffffffffffffffn) raiseOverflow();
  }
  const bits = BigInt.asUintN(64, negative ? -value : value);
  return (to < 0 ? BigInt.asIntN(64, bits) : bits).toString(base).toUpperCase();
}

// V8 rounds e correctly where Java's StrictMath is one unit in the last place above it.
const EXP_OF_ONE = '2.7182818284590455';
const COSH_OF_ONE = '1.543080634815244';

export const numberFunctions: readonly FunctionDef[] = [
  abs,
  roundFunction('round', 'Rounded to so many digits behind the point, halves away from zero.'),
  roundFunction('bround', 'Rounded to so many digits behind the point, halves to the even digit.'),
  wholeFunction('ceil', ['ceiling'], 'The smallest whole number that is not below.'),
  wholeFunction('floor', [], 'The largest whole number that is not above.'),
  doubleFunction('sqrt', [], 'The square root; NaN for a negative number.', (x) => `Math.sqrt(${x})`),
  doubleFunction('cbrt', [], 'The cube root.', (x) => `Math.cbrt(${x})`),
  doubleFunction('exp', [], 'e to the power of a number.', (x) => `(${x} === 1 ? ${EXP_OF_ONE} : Math.exp(${x}))`),
  doubleFunction('expm1', [], 'exp(x) - 1, exact for small x.', (x) => `Math.expm1(${x})`),
  customFunction({
    name: 'sign',
    aliases: ['signum'],
    group: 'number',
    usage: 'sign(number)',
    about: '-1, 0 or 1 by the sign.',
    type(args) {
      const fitted = fitAll(args, [args[0]?.type.kind === 'interval' ? 'any' : DOUBLE]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: DOUBLE, nullable: anyNullable(fitted) };
    },
    emit: (g, call) => g.strict(call.args, DOUBLE, ([x]) => ({ value: `Math.sign(${x?.v})` })),
  }),
  doubleFunction(
    'rint',
    [],
    'The nearest whole number as DOUBLE, halves to the even one.',
    (x) =>
      `(Math.abs(${x}) < 4503599627370496 ? (${x} > 0 || Object.is(${x}, 0) ? ${x} + 4503599627370496 - 4503599627370496 : -(4503599627370496 - ${x} - 4503599627370496)) : ${x})`,
  ),
  doubleFunction('sin', [], 'Sine of radians.', (x) => `Math.sin(${x})`),
  doubleFunction('cos', [], 'Cosine of radians.', (x) => `Math.cos(${x})`),
  doubleFunction('tan', [], 'Tangent of radians.', (x) => `Math.tan(${x})`),
  doubleFunction('asin', [], 'Arc sine.', (x) => `Math.asin(${x})`),
  doubleFunction('acos', [], 'Arc cosine.', (x) => `Math.acos(${x})`),
  doubleFunction('atan', [], 'Arc tangent.', (x) => `Math.atan(${x})`),
  doubleFunction('sinh', [], 'Hyperbolic sine.', (x) => `Math.sinh(${x})`),
  doubleFunction('cosh', [], 'Hyperbolic cosine.', (x) => `(Math.abs(${x}) === 1 ? ${COSH_OF_ONE} : Math.cosh(${x}))`),
  doubleFunction('tanh', [], 'Hyperbolic tangent.', (x) => `Math.tanh(${x})`),
  doubleFunction('degrees', [], 'Radians as degrees.', (x) => `${x} * (180 / Math.PI)`),
  doubleFunction('radians', [], 'Degrees as radians.', (x) => `${x} / 180 * Math.PI`),
  logFunction('ln', [], 'The natural logarithm; NULL for 0 and below.', 'Math.log'),
  logFunction('log10', [], 'The logarithm to base 10; NULL for 0 and below.', 'Math.log10'),
  logFunction('log2', [], 'The logarithm to base 2; NULL for 0 and below.', 'Math.log2'),
  logFunction('log1p', [], 'ln(1 + x), exact for small x; NULL for -1 and below.', 'Math.log1p', -1),
  customFunction({
    name: 'log',
    group: 'number',
    usage: 'log([base,] number)',
    about: 'The logarithm, natural unless a base is given; NULL for 0 and below.',
    type(args) {
      const fitted = fitAll(args, [DOUBLE, DOUBLE], 1);
      return 'complaint' in fitted ? fitted : { args: fitted, type: DOUBLE, nullable: true };
    },
    emit: (g, call) =>
      g.strict(
        call.args,
        DOUBLE,
        ([a, b]) =>
          b === undefined
            ? { boxed: `(${a?.v} <= 0 ? null : Math.log(${a?.v}))` }
            : { boxed: `(${a?.v} <= 0 || ${b.v} <= 0 ? null : Math.log(${b.v}) / Math.log(${a?.v}))` },
        { mayBeNull: true },
      ),
  }),
  strictFunction({
    name: 'pow',
    aliases: ['power'],
    group: 'number',
    usage: 'pow(a, b)',
    about: 'a to the power of b.',
    params: [DOUBLE, DOUBLE],
    returns: DOUBLE,
    body: (_g, [a, b]) => ({ value: `Math.pow(${a?.v}, ${b?.v})` }),
  }),
  strictFunction({
    name: 'atan2',
    group: 'number',
    usage: 'atan2(y, x)',
    about: 'The angle of a point.',
    params: [DOUBLE, DOUBLE],
    returns: DOUBLE,
    body: (_g, [a, b]) => ({ value: `Math.atan2(${a?.v}, ${b?.v})` }),
  }),
  strictFunction({
    name: 'hypot',
    group: 'number',
    usage: 'hypot(a, b)',
    about: 'The length of the diagonal.',
    params: [DOUBLE, DOUBLE],
    returns: DOUBLE,
    body: (_g, [a, b]) => ({ value: `Math.hypot(${a?.v}, ${b?.v})` }),
  }),
  doubleFunction(
    'asinh',
    [],
    'Inverse hyperbolic sine.',
    (x) => `(${x} === -Infinity ? ${x} : Math.log(${x} + Math.sqrt(${x} * ${x} + 1)))`,
  ),
  doubleFunction('acosh', [], 'Inverse hyperbolic cosine; NaN below 1.', (x) => `Math.acosh(${x})`),
  doubleFunction('atanh', [], 'Inverse hyperbolic tangent.', (x) => `Math.atanh(${x})`),
  doubleFunction('cot', [], 'Cotangent of radians.', (x) => `1 / Math.tan(${x})`),
  doubleFunction('sec', [], 'Secant of radians.', (x) => `1 / Math.cos(${x})`),
  doubleFunction('csc', [], 'Cosecant of radians.', (x) => `1 / Math.sin(${x})`),
  strictFunction({
    name: 'bit_count',
    group: 'number',
    usage: 'bit_count(number)',
    about: 'How many bits are set in the 64 bits of a whole number or a BOOLEAN.',
    params: ['any'],
    returns: ([arg]) =>
      arg !== undefined && (isIntegral(arg.type) || arg.type.kind === 'boolean' || arg.type.kind === 'null')
        ? INT
        : { complaint: 'takes a whole number or a BOOLEAN', arg: 0 },
    body: (g, [x]) => ({ value: `${g.fn(bitCount)}(${x?.v})` }),
  }),
  strictFunction({
    name: 'bit_get',
    aliases: ['getbit'],
    group: 'number',
    usage: 'bit_get(number, place)',
    about: 'The bit at a place, from 0 at the right.',
    params: [BIGINT, INT],
    returns: { kind: 'tinyint' },
    fails: true,
    body: (g, [x, place]) => ({ value: `${g.fn(bitAt)}(${x?.v}, ${place?.v})` }),
  }),
  strictFunction({
    name: 'width_bucket',
    group: 'number',
    usage: 'width_bucket(value, min, max, buckets)',
    about: 'In which of so many equal parts of a range a value lies, from 1; 0 before it, one more behind it.',
    params: [DOUBLE, DOUBLE, DOUBLE, BIGINT],
    returns: BIGINT,
    mayBeNull: true,
    body: (g, [value, min, max, buckets]) => ({
      boxed: `${g.fn(widthBucket)}(${value?.v}, ${min?.v}, ${max?.v}, ${buckets?.v})`,
    }),
  }),
  strictFunction({
    name: 'bitmap_bit_position',
    group: 'number',
    usage: 'bitmap_bit_position(number)',
    about: 'The place of a number in its bitmap of 32768 bits, from 0.',
    params: [BIGINT],
    returns: BIGINT,
    body: (_g, [x]) => ({ value: `(${x?.v} > 0n ? (${x?.v} - 1n) % 32768n : -${x?.v} % 32768n)` }),
  }),
  strictFunction({
    name: 'bitmap_bucket_number',
    group: 'number',
    usage: 'bitmap_bucket_number(number)',
    about: 'The bitmap of 32768 bits a number belongs to, from 1.',
    params: [BIGINT],
    returns: BIGINT,
    body: (_g, [x]) => ({ value: `(${x?.v} > 0n ? 1n + (${x?.v} - 1n) / 32768n : ${x?.v} / 32768n)` }),
  }),
  valueFunction({
    name: 'bitmap_count',
    group: 'number',
    usage: 'bitmap_count(binary)',
    about: 'How many bits of a binary are set.',
    params: [BINARY],
    returns: BIGINT,
    call: (bytes: Uint8Array): bigint => BigInt(bytes.reduce((sum, byte) => sum + bitCount(byte), 0)),
  }),
  constantFunction('pi', Math.PI),
  constantFunction('e', Math.E),
  valueFunction({
    name: 'factorial',
    group: 'number',
    usage: 'factorial(number)',
    about: 'The product of the numbers up to this one; NULL outside 0 to 20.',
    params: [INT],
    returns: BIGINT,
    mayBeNull: true,
    call: factorial,
  }),
  valueFunction({
    name: 'bin',
    group: 'number',
    usage: 'bin(number)',
    about: 'The binary digits of a whole number.',
    params: [BIGINT],
    returns: STRING,
    call: (value: bigint): string => BigInt.asUintN(64, value).toString(2),
  }),
  valueFunction({
    name: 'conv',
    group: 'number',
    usage: 'conv(text, from, to)',
    about: 'Digits of one base as digits of another.',
    params: [STRING, INT, INT],
    returns: STRING,
    mayBeNull: true,
    call: convertBase,
  }),
  shiftFunction('shiftleft', '<<'),
  shiftFunction('shiftright', '>>'),
  shiftFunction('shiftrightunsigned', '>>>'),
];

function constantFunction(name: string, value: number): FunctionDef {
  return customFunction({
    name,
    group: 'number',
    usage: `${name}()`,
    about: `The number ${value}.`,
    type: (args) =>
      args.length === 0
        ? { args, type: DOUBLE, nullable: false }
        : { complaint: `takes no argument, not ${args.length}` },
    emit: (g) => g.scalar(DOUBLE, 'false', String(value)),
  });
}
