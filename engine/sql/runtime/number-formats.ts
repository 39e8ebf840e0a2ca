/** Number formats like '$99,999.99S': to_number and to_char (org.apache.spark.sql.catalyst.util.ToNumberParser). */
import type { DataType } from '../../../core/types.ts';
import { formatDecimal, parseDecimal } from './numbers.ts';

export interface NumberFormat {
  /** Places before the point from left to right: 9, 0 and commas. */
  readonly whole: string;
  /** Digits behind the point. */
  readonly scale: number;
  readonly dollar: boolean;
  /** S: + or -; MI: - or a space; PR: <…> for negative numbers. */
  readonly sign: 'none' | 'S' | 'MI' | 'PR';
  readonly signFirst: boolean;
  /** Digits before the point. */
  readonly digits: number;
}

/** The parts of a format, or what is wrong with it. */
export function compileNumberFormat(format: string): NumberFormat | string {
  const match = /^(S|MI)?(\$)?([09,G]*)(?:[.D]([09]*))?(S|MI|PR)?$/i.exec(format.toUpperCase());
  if (match === null || format === '') return 'a number format is made of 0, 9, . or D, comma or G, $, S, MI and PR';
  const [, before, dollar, places = '', fraction = '', behind] = match;
  const whole = places.replaceAll('G', ',');
  if (before !== undefined && behind !== undefined) return 'a number format has one sign only';
  if (/^,|,$|,,/.test(whole)) return 'a comma of a number format stands between digits';
  const digits = whole.replaceAll(',', '').length;
  if (digits + fraction.length === 0 || digits + fraction.length > 38) return 'a number format has 1 to 38 digits';
  const sign = (before ?? behind ?? 'none') as NumberFormat['sign'];
  return { whole, scale: fraction.length, dollar: dollar !== undefined, sign, signFirst: before !== undefined, digits };
}

/** The type of a text's number in a format. */
export function typeOfFormat({ digits, scale }: NumberFormat): DataType {
  return { kind: 'decimal', precision: digits + scale, scale };
}

/** The unscaled number of a text; null when it does not fit the format. */
export function parseWithFormat(text: string, format: NumberFormat): bigint | null {
  const bare = takeSign(text.trim(), format);
  if (bare === null) return null;
  const match = /^(\$?)([\d,]*)(?:\.(\d*))?$/.exec(bare.digits);
  if (match === null || (match[1] === '$') !== format.dollar) return null;
  const [, , whole = '', fraction = ''] = match;
  if (fraction.length > format.scale || !fitsPlaces(whole, format.whole)) return null;
  if (whole === '' && fraction === '') return null;
  return parseDecimal(`${bare.negative ? '-' : ''}${whole.replaceAll(',', '')}.${fraction}`, format.scale);
}

function takeSign(
  text: string,
  { sign }: NumberFormat,
): { readonly digits: string; readonly negative: boolean } | null {
  if (sign === 'PR') {
    const inner = /^<(.*)>$/.exec(text)?.[1];
    return { digits: inner ?? text, negative: inner !== undefined };
  }
  const signed = /^([+-]?)(.*?)([+-]?)$/.exec(text);
  const [, before = '', digits = '', behind = ''] = signed ?? [];
  if (before !== '' && behind !== '') return null;
  const mark = before + behind;
  if (mark !== '' && sign === 'none') return null;
  if (mark === '+' && sign === 'MI') return null;
  return { digits, negative: mark === '-' };
}

/** Digits and commas as the format has them, from the right; as many as there are where it begins with 9. */
function fitsPlaces(whole: string, places: string): boolean {
  if (whole.length > places.length || (places.startsWith('0') && whole.length !== places.length)) return false;
  const used = places.slice(places.length - whole.length);
  return !whole.startsWith(',') && [...whole].every((char, index) => (char === ',') === (used[index] === ','));
}

/** The number in a format; # for digits that do not fit. */
export function formatWithFormat(unscaled: bigint, scale: number, format: NumberFormat): string {
  const negative = unscaled < 0n;
  const text = formatDecimal(negative ? -unscaled : unscaled, scale);
  const [digits = '0', fraction = ''] = text.split('.');
  const significant = digits === '0' ? '' : digits;
  const tooLong = significant.length > format.digits || fraction.replace(/0+$/, '').length > format.scale;
  let left = significant.padStart(format.digits, ' ');
  let whole = '';
  for (const place of format.whole) {
    if (place === ',') {
      whole += tooLong ? '#' : /\d/.test(whole) ? ',' : ' ';
      continue;
    }
    const digit = left[0] ?? ' ';
    left = left.slice(1);
    whole += tooLong ? '#' : digit !== ' ' ? digit : place === '0' || /\d/.test(whole) ? '0' : ' ';
  }
  const rest =
    format.scale === 0
      ? ''
      : `.${(tooLong ? '' : fraction).padEnd(format.scale, tooLong ? '#' : '0').slice(0, format.scale)}`;
  const body = /^( *)(.*)$/s.exec(whole) as RegExpExecArray;
  return signed(`${body[2]}${rest}`, body[1] ?? '', negative, format);
}

function signed(digits: string, blanks: string, negative: boolean, { sign, signFirst, dollar }: NumberFormat): string {
  const amount = dollar ? `$${digits}` : digits;
  if (sign === 'PR') return negative ? `${blanks}<${amount}>` : `${blanks}${amount}`;
  const mark = sign === 'S' ? (negative ? '-' : '+') : sign === 'MI' ? (negative ? '-' : ' ') : negative ? '-' : '';
  return signFirst || sign === 'none' ? `${blanks}${mark}${amount}` : `${blanks}${amount}${mark}`;
}
