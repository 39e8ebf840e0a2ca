/** How many columns of a terminal a text takes: letters of East Asia and pictures take two, accents of their own none. */

/** Most texts have nothing of either kind and are as wide as they are long. */
const PLAIN = /^[\u0020-\u02ff\u0370-\u0482\u2010-\u2027\u2030-\u205e]*$/;
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
/** Ranges that are Wide or Fullwidth by Unicode's annex 11, first and last code point; rare letters between them included. */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];

function widthOf(char: string): number {
  if (NO_WIDTH.test(char)) return 0;
  const code = char.codePointAt(0) ?? 0;
  return wide.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

/** Columns that the text takes. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += widthOf(char);
  return width;
}

/** As `padEnd`, in columns. */
export function padToWidth(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

/** The text, or as much of it as fits with `…` behind it. */
export function cutToWidth(text: string, width: number): string {
  if (text.length * 2 <= width || textWidth(text) <= width) return text;
  let kept = '';
  let used = 1;
  for (const char of text) {
    used += widthOf(char);
    if (used > width) break;
    kept += char;
  }
  return `${kept}…`;
}
