/** Functions over JS strings: those without a kernel over bytes. Characters are code points. */
import type { DataType } from '../../../core/types.ts';
import type { BoxedValue } from './boxed.ts';
import { divideHalfEven, formatDecimal, formatDouble, parseDecimal, powerOfTen } from './numbers.ts';
import { raiseExpressionFailed } from './runtime.ts';

export function trimCharacters(text: string, characters: string, side: number): string {
  const set = new Set(characters);
  const chars = [...text];
  let from = 0;
  let to = chars.length;
  if ((side & 1) !== 0) while (from < to && set.has(chars[from] as string)) from++;
  if ((side & 2) !== 0) while (to > from && set.has(chars[to - 1] as string)) to--;
  return chars.slice(from, to).join('');
}

/** Words are separated by spaces only, as in Spark. */
export function initcap(text: string): string {
  return text
    .toLowerCase()
    .replace(/(^| )([^ ])/gu, (_, space: string, letter: string) => space + letter.toUpperCase());
}

export function reverseText(value: string | readonly BoxedValue[]): string | readonly BoxedValue[] {
  return typeof value === 'string' ? [...value].reverse().join('') : value.toReversed();
}

/** Bytes filled up to a length with other bytes, or cut to it; nothing to fill with leaves them short. */
export function padBytes(bytes: Uint8Array, length: number, fill: Uint8Array, atLeft: boolean): Uint8Array {
  if (length <= bytes.length) return bytes.slice(0, Math.max(0, length));
  if (length > FILLED_BYTES_MAX) return raiseExpressionFailed();
  const filling = Buffer.alloc(fill.length === 0 ? 0 : length - bytes.length, fill);
  return atLeft ? Buffer.concat([filling, bytes]) : Buffer.concat([bytes, filling]);
}

const FILLED_BYTES_MAX = 64 * 1024 * 1024;

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "\\'")}'`;
}

export function translate(text: string, from: string, to: string): string {
  const targets = [...to];
  const map = new Map<string, string>();
  [...from].forEach((char, index) => {
    if (!map.has(char)) map.set(char, targets[index] ?? '');
  });
  let result = '';
  for (const char of text) result += map.get(char) ?? char;
  return result;
}

export function substringIndex(text: string, separator: string, count: number): string {
  if (separator === '' || count === 0) return '';
  if (count > 0) {
    let at = -1;
    for (let found = 0; found < count; found++) {
      // Separators may overlap, as in Spark.
      at = text.indexOf(separator, at + 1);
      if (at < 0) return text;
    }
    return text.slice(0, at);
  }
  let at = text.length;
  for (let found = 0; found > count; found--) {
    at = at === 0 ? -1 : text.lastIndexOf(separator, at - 1);
    if (at < 0) return text;
  }
  return text.slice(at + separator.length);
}

export function splitPart(text: string, separator: string, part: number): string {
  if (part === 0) raiseExpressionFailed();
  const parts = separator === '' ? [text] : text.split(separator);
  return parts[part > 0 ? part - 1 : parts.length + part] ?? '';
}

const DIGITS_MAX = 100;

/** `how`: digits behind the point, or a pattern of Java's DecimalFormat: `#`, `0`, `,` and one `.`, with text around. */
export function formatNumber(value: number | bigint, how: number | bigint | string, type: DataType): string | null {
  if (typeof how !== 'string') return formatDigits(value, Number(how), type, true);
  const pattern = /^([^#0,.]*)([#,]*[0,]*)(?:\.(0*)(#*))?([^#0,.]*)$/.exec(how);
  if (pattern === null) return raiseExpressionFailed();
  const [, before = '', whole = '', fixed = '', free = '', behind = ''] = pattern;
  const text = formatDigits(value, fixed.length + free.length, type, whole.includes(',')) ?? '';
  const [, sign = '', digits = '', fraction = ''] = /^(-?)([^.]*)(?:\.(.*))?$/.exec(text) ?? [];
  const least = whole.replace(/[^0]/g, '').length;
  const shown = digits === '0' && least === 0 && fraction !== '' ? '' : digits.padStart(least, '0');
  const kept = fraction.slice(0, fixed.length) + fraction.slice(fixed.length).replace(/0+$/, '');
  return `${sign}${before}${shown}${kept === '' ? '' : `.${kept}`}${behind}`;
}

function formatDigits(value: number | bigint, digits: number, type: DataType, isGrouped: boolean): string | null {
  if (digits < 0 || digits > DIGITS_MAX) return null;
  let unscaled: bigint;
  if (typeof value === 'bigint') {
    const scale = type.kind === 'decimal' ? type.scale : 0;
    unscaled = scale > digits ? divideHalfEven(value, powerOfTen(scale - digits)) : value * powerOfTen(digits - scale);
  } else {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '-∞';
    const fine = parseDecimal(String(value), 30) ?? 0n;
    unscaled = digits > 30 ? fine * powerOfTen(digits - 30) : divideHalfEven(fine, powerOfTen(30 - digits));
  }
  // What was rounded to zero keeps its sign.
  const isNegative = value < 0 || Object.is(value, -0);
  const text = (isNegative && unscaled === 0n ? '-' : '') + formatDecimal(unscaled, digits);
  const [whole = '0', fraction] = text.split('.');
  const grouped = isGrouped ? whole.replace(/\B(?=(\d{3})+$)/g, ',') : whole;
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

const directive = /%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([bBhHsScCdoxXeEfgGaAn%])/g;

/** Java's format for %s %d %f %e %x %o %c %b, flags - + 0 , and space, width and precision. The last argument: types. */
export function formatString(format: string | null, ...rest: readonly unknown[]): string | null {
  if (format === null) return null;
  const values = rest.slice(0, -1);
  const types = rest.at(-1) as readonly DataType[];
  let next = 0;
  return format.replace(
    directive,
    (
      _,
      position: string | undefined,
      flags: string,
      width: string | undefined,
      precision: string | undefined,
      kind: string,
    ) => {
      if (kind === '%') return '%';
      if (kind === 'n') return '\n';
      const index = position === undefined ? next++ : Number(position) - 1;
      if (index < 0 || index >= values.length) return raiseExpressionFailed();
      const text = formatOne(
        values[index] ?? null,
        types[index],
        flags,
        precision === undefined ? undefined : Number(precision),
        kind,
      );
      const size = Math.min(Number(width ?? 0), 10_000);
      if (flags.includes('-')) return text.padEnd(size);
      if (!flags.includes('0') || values[index] === null) return text.padStart(size);
      const sign = /^[+-]/.exec(text)?.[0] ?? '';
      return sign + text.slice(sign.length).padStart(size - sign.length, '0');
    },
  );
}

function formatOne(
  value: unknown,
  type: DataType | undefined,
  flags: string,
  precision: number | undefined,
  kind: string,
): string {
  const upper = kind === kind.toUpperCase();
  const plain = formatPlain(value, type, flags, precision, kind.toLowerCase());
  return upper ? plain.toUpperCase() : plain;
}

function formatPlain(
  value: unknown,
  type: DataType | undefined,
  flags: string,
  precision: number | undefined,
  kind: string,
): string {
  if (kind === 'b') return String(value !== null && value !== false);
  if (value === null) return 'null';
  const signed = (text: string): string => (flags.includes('+') && !text.startsWith('-') ? `+${text}` : text);
  const grouped = (text: string): string =>
    flags.includes(',') ? text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ',')) : text;
  const decimal = type?.kind === 'decimal' ? Number(formatDecimal(value as bigint, type.scale)) : Number(value);
  switch (kind) {
    case 'd':
      if (type?.kind === 'decimal' || (typeof value !== 'bigint' && !Number.isInteger(value)))
        return raiseExpressionFailed();
      return signed(grouped(String(value)));
    case 'x':
      return typeof value === 'bigint' ? BigInt.asUintN(64, value).toString(16) : (Number(value) >>> 0).toString(16);
    case 'o':
      return typeof value === 'bigint' ? BigInt.asUintN(64, value).toString(8) : (Number(value) >>> 0).toString(8);
    case 'f':
      return signed(grouped(decimal.toFixed(Math.min(precision ?? 6, 100))));
    case 'e':
      return signed(decimal.toExponential(Math.min(precision ?? 6, 100)).replace(/e([+-])(\d)$/, 'e$10$2'));
    case 'g':
      return signed(decimal.toPrecision(Math.max(1, Math.min(precision ?? 6, 100))));
    case 'c':
      return String.fromCodePoint(Number(value));
    case 's': {
      const text =
        type?.kind === 'double' || type?.kind === 'float'
          ? formatDouble(value as number)
          : type?.kind === 'decimal'
            ? formatDecimal(value as bigint, type.scale)
            : String(value);
      return precision === undefined ? text : text.slice(0, precision);
    }
    default:
      return raiseExpressionFailed();
  }
}

export function urlEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/%20/g, '+')
    .replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function urlDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (error) {
    if (error instanceof URIError) return raiseExpressionFailed();
    throw error;
  }
}

export function unbase64(text: string): Uint8Array {
  const clean = text.replace(/\s/g, '');
  // As java.util.Base64's MIME decoder with Spark's check: the last four characters are two, three or four digits.
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(clean))
    return raiseExpressionFailed();
  return Buffer.from(clean, 'base64');
}

export function hex(value: number | bigint | string | Uint8Array): string {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').toString('hex').toUpperCase();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex').toUpperCase();
  return BigInt.asUintN(64, BigInt(value)).toString(16).toUpperCase();
}

export function unhex(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F]*$/.test(text)) return null;
  return Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
}

const encodings = new Map<string, BufferEncoding>([
  ['UTF-8', 'utf8'],
  ['UTF8', 'utf8'],
  ['US-ASCII', 'ascii'],
  ['ISO-8859-1', 'latin1'],
  ['UTF-16LE', 'utf16le'],
  ['UTF-16BE', 'utf16le'],
  ['UTF-16', 'utf16le'],
]);

export function encodeText(text: string, charset: string): Uint8Array {
  const name = charset.toUpperCase();
  if (name === 'UTF-32') return encodeUtf32(text);
  const encoding = encodings.get(name) ?? raiseExpressionFailed();
  if (encoding === 'ascii' || encoding === 'latin1') {
    const limit = encoding === 'ascii' ? 0x7f : 0xff;
    return Uint8Array.from([...text], (char) => {
      const code = char.codePointAt(0) ?? 0;
      return code > limit ? raiseExpressionFailed() : code;
    });
  }
  const bytes = Buffer.from(text, encoding);
  if (name === 'UTF-16BE') return bytes.swap16();
  return name === 'UTF-16' ? Buffer.concat([Buffer.from([0xfe, 0xff]), bytes.swap16()]) : bytes;
}

function encodeUtf32(text: string): Uint8Array {
  const chars = [...text];
  const bytes = Buffer.alloc(chars.length * 4);
  for (const [index, char] of chars.entries()) bytes.writeUInt32BE(char.codePointAt(0) ?? 0, index * 4);
  return bytes;
}

function decodeUtf32(bytes: Uint8Array): string {
  const view = Buffer.from(bytes);
  if (view.length % 4 !== 0) return raiseExpressionFailed();
  let text = '';
  for (let at = 0; at < view.length; at += 4) text += String.fromCodePoint(view.readUInt32BE(at));
  return text;
}

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return raiseExpressionFailed();
    throw error;
  }
}

/** Is this UTF-8? */
export function isValidUtf8(bytes: Uint8Array): boolean {
  try {
    utf8Decoder.decode(bytes);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

export function decodeText(bytes: Uint8Array, charset: string): string {
  const name = charset.toUpperCase();
  if (name === 'UTF-32') return decodeUtf32(bytes);
  const encoding = encodings.get(name) ?? raiseExpressionFailed();
  if (encoding === 'utf8') return decodeUtf8(bytes);
  if (encoding === 'ascii' && bytes.some((byte) => byte > 0x7f)) return raiseExpressionFailed();
  if (name === 'UTF-16BE' || name === 'UTF-16') {
    const little = name === 'UTF-16' && bytes[0] === 0xff && bytes[1] === 0xfe;
    const big = name === 'UTF-16' && bytes[0] === 0xfe && bytes[1] === 0xff;
    const body = Buffer.from(little || big ? bytes.subarray(2) : bytes);
    if (body.length % 2 !== 0) return raiseExpressionFailed();
    return (little ? body : body.swap16()).toString('utf16le');
  }
  return Buffer.from(bytes).toString(encoding);
}
