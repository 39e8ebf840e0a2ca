/** CSV as an answer of an API: a line of names, then rows (RFC 4180). */
import { jsonOfText } from './json-path.ts';

/**
 * An object per row, by the names of the first line. Values keep the digits of numbers; an empty one without quotes is
 * null. Values beyond the names are left out.
 *
 * Throws: a SyntaxError for a quote that is not closed.
 */
export function csvObjects(text: string): Record<string, unknown>[] {
  const [names, ...rows] = csvRows(text);
  if (names === undefined) return [];
  return rows.map((row) =>
    Object.fromEntries(
      names.flatMap(({ text: name }, index): [string, unknown][] => {
        const value = row[index];
        if (value === undefined) return [];
        if (value.quoted) return [[name, value.text]];
        return [[name, value.text === '' ? null : jsonOfText(value.text)]];
      }),
    ),
  );
}

interface CsvValue {
  readonly text: string;
  readonly quoted: boolean;
}

function csvRows(text: string): CsvValue[][] {
  const rows: CsvValue[][] = [];
  let row: CsvValue[] = [];
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  while (at < text.length) {
    const value = text[at] === '"' ? quotedAt(text, at) : plainAt(text, at);
    row.push({ text: value.text, quoted: value.quoted });
    at = value.end;
    if (text[at] === ',') {
      at += 1;
      if (at === text.length) row.push({ text: '', quoted: false });
      continue;
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') at += 1;
    // An empty line is no row.
    if (row.length > 1 || row[0]?.text !== '' || row[0].quoted) rows.push(row);
    row = [];
  }
  if (row.length > 0) rows.push(row);
  return rows;
}

function plainAt(text: string, start: number): CsvValue & { readonly end: number } {
  let end = start;
  while (end < text.length && text[end] !== ',' && text[end] !== '\n' && text[end] !== '\r') end += 1;
  return { text: text.slice(start, end), quoted: false, end };
}

function quotedAt(text: string, start: number): CsvValue & { readonly end: number } {
  for (let at = start + 1; ; at += 2) {
    at = text.indexOf('"', at);
    if (at < 0) throw new SyntaxError(`the quote at character ${start} is not closed`);
    if (text[at + 1] === '"') continue;
    const rest = plainAt(text, at + 1);
    const inner = text.slice(start + 1, at).replaceAll('""', '"');
    return { text: inner + rest.text, quoted: true, end: rest.end };
  }
}
