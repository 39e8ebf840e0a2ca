/**
 * XML as a value of JSON's kind: an element with nothing but text is that text, any other an object of its child elements
 * by name (a list where a name comes more than once), its attributes as `@name` and its own text as `#text`. Names keep
 * their prefixes. Documents with a DOCTYPE are refused: their entities can be made to grow without end.
 */
import { jsonOfText } from './json-path.ts';

/** Elements within elements. */
const DEPTH_MAX = 64;

interface Element {
  readonly name: string;
  readonly fields: Map<string, unknown>;
  text: string;
}

/** The document as `{ root: value }`. Throws: a SyntaxError with the character. */
export function xmlValue(text: string): unknown {
  const top: Element = { name: '', fields: new Map(), text: '' };
  const open: Element[] = [top];
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  while (at < text.length) {
    const element = open.at(-1) ?? top;
    const tag = text.indexOf('<', at);
    element.text += unescaped(text.slice(at, tag < 0 ? text.length : tag));
    if (tag < 0) break;
    if (text.startsWith('<!--', tag)) at = after(text, '-->', tag);
    else if (text.startsWith('<?', tag)) at = after(text, '?>', tag);
    else if (text.startsWith('<![CDATA[', tag)) {
      at = after(text, ']]>', tag);
      element.text += text.slice(tag + 9, at - 3);
    } else if (text.startsWith('<!', tag)) throw new SyntaxError(`a DOCTYPE at character ${tag} is not read`);
    else if (text.startsWith('</', tag)) {
      at = after(text, '>', tag);
      const name = text.slice(tag + 2, at - 1).trim();
      if (open.length === 1 || name !== element.name)
        throw new SyntaxError(`</${name}> at character ${tag} closes nothing`);
      open.pop();
      add(open.at(-1) ?? top, element.name, valueOf(element));
    } else {
      const { name, fields, isEmpty, end } = startTag(text, tag);
      const child: Element = { name, fields, text: '' };
      if (isEmpty) add(element, name, valueOf(child));
      else if (open.length > DEPTH_MAX) throw new SyntaxError(`elements are nested deeper than ${DEPTH_MAX}`);
      else open.push(child);
      at = end;
    }
  }
  if (open.length > 1) throw new SyntaxError(`<${open.at(-1)?.name}> is not closed`);
  if (top.fields.size !== 1 || top.text.trim() !== '') throw new SyntaxError('it is not one XML element');
  return Object.fromEntries(top.fields);
}

function after(text: string, end: string, from: number): number {
  const at = text.indexOf(end, from);
  if (at < 0) throw new SyntaxError(`what begins at character ${from} has no ${end}`);
  return at + end.length;
}

const tagPattern = /<([^\s/>=<"']+)((?:\s+[^\s/>=<"']+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const attributePattern = /([^\s/>=<"']+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/g;

function startTag(
  text: string,
  at: number,
): { readonly name: string; readonly fields: Map<string, unknown>; readonly isEmpty: boolean; readonly end: number } {
  tagPattern.lastIndex = at;
  const match = tagPattern.exec(text);
  if (match === null) throw new SyntaxError(`what begins at character ${at} is no element`);
  const fields = new Map<string, unknown>();
  for (const [, name = '', double, single] of (match[2] ?? '').matchAll(attributePattern))
    fields.set(`@${name}`, jsonOfText(unescaped(double ?? single ?? '')));
  return { name: match[1] ?? '', fields, isEmpty: match[3] === '/', end: tagPattern.lastIndex };
}

function valueOf({ fields, text }: Element): unknown {
  const own = text.trim();
  if (fields.size === 0) return own === '' ? null : jsonOfText(own);
  if (own !== '') fields.set('#text', jsonOfText(own));
  return Object.fromEntries(fields);
}

function add({ fields }: Element, name: string, value: unknown): void {
  const known = fields.get(name);
  if (known === undefined) fields.set(name, value);
  else if (Array.isArray(known)) known.push(value);
  else fields.set(name, [known, value]);
}

const entities = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

function unescaped(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|\w+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return entities.get(name) ?? whole;
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}
