/** Where in the text of a .proto a mistake is, for people. The parser names lines at best. */

/** A .proto by the name of its import; '' = the one that a job gives. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/**
 * What a parser said of the texts, with the place before it: `line 3, column 5: …`. `saysOf`: what it says of another
 * text; '' = nothing.
 */
export function mistakeIn(message: string, texts: readonly NamedText[], saysOf: (text: string) => string): string {
  const what = message.replace(/ \(line \d+\)$/, '');
  for (const { name, text } of texts) {
    const at = indexOfMistake(
      message,
      withoutComments(text),
      (head) => saysOf(head).replace(/ \(line \d+\)$/, '') === what,
    );
    if (at !== undefined) return `${name === '' ? '' : `${name}, `}${lineAndColumn(text, at)}: ${what}`;
  }
  return what;
}

/** Where the field is declared: `line 3, column 9`; undefined where the text does not have it. */
export function placeOfField(text: string, { name, number }: { name: string; number: number }): string | undefined {
  const found = new RegExp(`\\b${name}\\s*=\\s*${number}\\b`).exec(withoutComments(text));
  return found === null ? undefined : lineAndColumn(text, found.index);
}

function lineAndColumn(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

function indexOfMistake(message: string, text: string, isMistake: (head: string) => boolean): number | undefined {
  const line = Number(/ \(line (\d+)\)$/.exec(message)?.[1] ?? 0);
  if (line > 0) return indexOfToken(text, line, /^illegal [\w ]*'([^]*?)'(,| \(line)/.exec(message)?.[1], isMistake);
  const absent = /^it imports (\S+),/.exec(message)?.[1];
  if (absent !== undefined) return indexOf(text, `import\\s[\\w\\s]*["']${escaped(absent)}["']`);
  const twice = /^duplicate (id|name) '?([\w.]+)'? in \w+ ?(\S*)/.exec(message);
  if (twice !== null) return inDeclaration(text, twice[3], declared(twice[1], twice[2]), 2);
  const reserved = /^(id|name) '?(\w+)'? is reserved in \w+ (\S+)/.exec(message);
  if (reserved !== null) return inDeclaration(text, reserved[3], declared(reserved[1], reserved[2]), 1);
  const unknown = /^no such [\w ]+ '([\w.]+)' in \w+ (\S+)/.exec(message);
  if (unknown !== null) return inDeclaration(text, unknown[2], `(?<![\\w.])${escaped(unknown[1] ?? '')}(?![\\w.])`, 1);
  return undefined;
}

/** The parser may have read on before it complains, so the token is on the line it names or above. */
function indexOfToken(
  text: string,
  line: number,
  token: string | undefined,
  isMistake: (head: string) => boolean,
): number {
  const lines = text.split('\n');
  const starts = lines.map((_, index) => lines.slice(0, index).reduce((sum, { length }) => sum + length + 1, 0));
  const last = Math.min(line, lines.length) - 1;
  const pattern =
    token === undefined ? null : new RegExp(`(?<!\\w)${escaped(token)}${/\w$/.test(token) ? '\\b' : ''}`, 'g');
  for (let index = last; index >= 0 && pattern !== null; index--) {
    const places = [...(lines[index] ?? '').matchAll(pattern)].map((found) => (starts[index] ?? 0) + found.index);
    // Of several the one up to which the text is wrong already.
    const place = places.find((at) => isMistake(text.slice(0, at + (token?.length ?? 0)))) ?? places[0];
    if (place !== undefined) return place;
  }
  return (starts[last] ?? 0) + ((lines[last] ?? '').match(/^\s*/)?.[0].length ?? 0);
}

function declared(what: string | undefined, value: string | undefined): string {
  return what === 'id' ? `(?<==\\s*)${value}\\b` : `\\b${value}\\b(?=\\s*[={])`;
}

/** The `count`-th match of a pattern behind the head of a message, an enum or the like. */
function inDeclaration(text: string, of: string | undefined, pattern: string, count: number): number | undefined {
  const name = of?.split('.').at(-1) ?? '';
  const head = name === '' ? 0 : indexOf(text, `\\b(?:message|enum|oneof|group|service|extend)\\s+${escaped(name)}\\b`);
  const from = head ?? 0;
  const found = indexOf(text.slice(from), pattern, count);
  return found === undefined ? undefined : from + found;
}

function indexOf(text: string, pattern: string, count = 1): number | undefined {
  return [...text.matchAll(new RegExp(pattern, 'g'))][count - 1]?.index;
}

/** The text with spaces where its comments are. */
function withoutComments(text: string): string {
  return text.replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/\/.*|\/\*[^]*?\*\//g, (part) =>
    part.startsWith('/') ? part.replaceAll(/[^\n]/g, ' ') : part,
  );
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
