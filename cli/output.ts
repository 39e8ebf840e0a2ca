/** How results look: data on stdout, words for people on stderr. */
import { createRequire } from 'node:module';
import { coloured, paintWord, painted } from './colour.ts';
import type { JsonPath } from './json-path.ts';
import { cutToWidth, padToWidth, textWidth } from './text-width.ts';

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const chosen: { yaml: boolean; lines: boolean; quiet: boolean; path: JsonPath | null } = {
  yaml: false,
  lines: false,
  quiet: false,
  path: null,
};

/** Documents are printed as YAML from now on. */
export function printYaml(): void {
  chosen.yaml = true;
}

/** Of a list each member is printed on a line of its own from now on. */
export function printLines(): void {
  chosen.lines = true;
}

/** Of documents only what is at this path is printed from now on. */
export function printPath(path: JsonPath): void {
  chosen.path = path;
}

/** Words for people are left out from now on; errors stay. */
export function beQuiet(): void {
  chosen.quiet = true;
}

/** Whether words for people are left out. */
export function isQuiet(): boolean {
  return chosen.quiet;
}

/** One document: JSON, or YAML when that was asked for. */
export function printJson(value: unknown): void {
  if (chosen.path !== null) return printFound(chosen.path, value);
  if (chosen.lines) {
    for (const member of membersOf(value)) print(JSON.stringify(member));
    return;
  }
  if (!chosen.yaml) return print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : undefined));
  // Only those who want YAML pay for loading it.
  const { stringify } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  print(stringify(value).replace(/\n$/, ''));
}

/** Those of a list, or of a document that is nothing but a list with a name. */
function membersOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  const parts = typeof value === 'object' && value !== null ? Object.values(value) : [];
  const [only] = parts as unknown[];
  return parts.length === 1 && Array.isArray(only) ? (only as unknown[]) : [value];
}

/** One document of many: JSON on one line, or a document of YAML. */
export function printLine(value: unknown): void {
  if (chosen.path !== null || chosen.yaml) {
    if (chosen.yaml) print('---');
    return printJson(value);
  }
  print(JSON.stringify(value));
}

/** One value a line; text as it is. Nothing when there is nothing. */
function printFound(path: JsonPath, value: unknown): void {
  for (const found of path(value)) print(typeof found === 'string' ? oneLine(found) : JSON.stringify(found));
}

/** For people: on stderr, so that stdout stays data. */
export function tell(text: string): void {
  if (!chosen.quiet) process.stderr.write(`${text}\n`);
}

/** Heads of columns whose words have colours on a terminal. */
const paintedHeads: ReadonlySet<string> = new Set(['STATE', 'LEVEL']);

/** Columns padded to their widest cell, two spaces between; on a terminal cut to its width, states in colours. */
export function formatTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  width = terminalWidth(),
): string {
  const cells = [heads, ...rows].map((row) => row.map(oneLine));
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => textWidth(row[column] ?? ''))));
  const line = (row: readonly string[]): readonly string[] =>
    row.map((cell, column) => (column === row.length - 1 ? cell : `${padToWidth(cell, widths[column] ?? 0)}  `));
  const [head = '', ...lines] = cells.map((row) => cutToWidth(line(row).join('').trimEnd(), width));
  const painting = coloured(process.stdout);
  if (!painting) return [head, ...lines].join('\n');
  const column = heads.findIndex((name) => paintedHeads.has(name));
  const paintedLines = lines.map((text, index) => {
    const before = line(cells[index + 1] ?? [])
      .slice(0, Math.max(0, column))
      .join('').length;
    return column < 0 ? text : text.slice(0, before) + paintWord(text.slice(before));
  });
  return [painted(head, 'bold'), ...paintedLines].join('\n');
}

/** Infinity when stdout is no terminal: nothing is cut for scripts. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? Math.max(40, process.stdout.columns) : Number.POSITIVE_INFINITY;
}

/** Control characters are made visible, since data must not drive a terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (char) =>
    char.charCodeAt(0) < 32 ? String.fromCharCode(0x2400 + char.charCodeAt(0)) : '\ufffd',
  );
}

/** A value of a query result as a cell. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function formatMs(value: number | null): string {
  return value === null ? '-' : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

/** `12s`, `3m`, `5h`, `2d`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
