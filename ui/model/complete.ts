/**
 * What may be written at a place of a job file: keys and values of the JSON Schema, found from the indentation alone, so
 * that a file that is not whole yet is completed too.
 */

/** The part of JSON Schema that the job file's schema uses. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

export interface Suggestion {
  readonly text: string;
  readonly note: string;
  /** How many characters before the cursor it replaces. */
  readonly replaces: number;
}

interface Frame {
  readonly indent: number;
  readonly key: string;
}

/** Keys above the line, outermost first; `-` stands for an item of a list. */
function pathAt(lines: readonly string[], lineIndex: number, indent: number): string[] {
  const frames: Frame[] = [];
  let limit = indent;
  for (let at = lineIndex - 1; at >= 0 && limit > 0; at--) {
    const line = lines[at] ?? '';
    const match = /^(\s*)(- )?([\w$-]+):(.*)$/.exec(line);
    if (match === null) {
      const item = /^(\s*)- ?/.exec(line);
      if (item !== null && (item[1]?.length ?? 0) < limit) {
        limit = item[1]?.length ?? 0;
        frames.unshift({ indent: limit, key: '-' });
      }
      continue;
    }
    const [, space = '', dash, key = ''] = match;
    const own = space.length + (dash === undefined ? 0 : 2);
    if (own < limit) {
      frames.unshift({ indent: own, key });
      limit = own;
    }
    if (dash !== undefined && space.length < limit) {
      frames.unshift({ indent: space.length, key: '-' });
      limit = space.length;
    }
  }
  return frames.map(({ key }) => key);
}

function alternatives(schema: Schema): Schema[] {
  const options = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  return options.length === 0 ? [schema] : [schema, ...options.flatMap(alternatives)];
}

function step(schemas: readonly Schema[], key: string): Schema[] {
  return schemas.flatMap((schema) => {
    if (key === '-') return schema.items === undefined ? [] : alternatives(schema.items);
    const own = schema.properties?.[key];
    if (own !== undefined) return alternatives(own);
    return typeof schema.additionalProperties === 'object' ? alternatives(schema.additionalProperties) : [];
  });
}

function valuesOf(schemas: readonly Schema[]): Suggestion[] {
  return schemas.flatMap((schema) => {
    const note = schema.description ?? '';
    if (schema.const !== undefined) return [{ text: String(schema.const), note, replaces: 0 }];
    if (schema.enum !== undefined) return schema.enum.map((value) => ({ text: String(value), note, replaces: 0 }));
    return schema.type === 'boolean' ? ['true', 'false'].map((text) => ({ text, note, replaces: 0 })) : [];
  });
}

/** Suggestions for the cursor at `offset` of `text`. */
export function suggest(schema: Schema, text: string, offset: number): Suggestion[] {
  const before = text.slice(0, offset);
  const lines = before.split('\n');
  const line = lines.at(-1) ?? '';
  const [, space = '', dash = '', typed = ''] = /^(\s*)((?:- ?)?)(.*)$/.exec(line) ?? [];
  const indent = space.length + (dash === '' ? 0 : 2);
  const path = pathAt(lines, lines.length - 1, dash === '' ? indent : space.length);
  const here = [...path, ...(dash === '' ? [] : ['-'])].reduce<Schema[]>(
    (schemas, key) => step(schemas, key),
    alternatives(schema),
  );
  const value = /^([\w$-]+):\s+(\S*)$/.exec(typed);
  if (value !== null) {
    const [, key = '', begun = ''] = value;
    return unique(valuesOf(step(here, key)), begun);
  }
  if (!/^[\w$-]*$/.test(typed)) return [];
  const present = siblings(text, lines.length - 1, indent);
  const keys = here.flatMap((one) =>
    Object.entries(one.properties ?? {})
      .filter(([key]) => key === typed || !present.has(key))
      .map(([key, property]) => {
        const nested = property.type === 'object' || property.type === 'array';
        const needed = one.required?.includes(key) === true ? 'required. ' : '';
        return { text: `${key}:${nested ? '' : ' '}`, note: `${needed}${property.description ?? ''}`, replaces: 0 };
      }),
  );
  return unique(keys, typed);
}

function unique(list: readonly Suggestion[], begun: string): Suggestion[] {
  const byText = new Map<string, Suggestion>();
  for (const entry of list)
    if (entry.text.startsWith(begun) && entry.text !== begun && !byText.has(entry.text))
      byText.set(entry.text, { ...entry, replaces: begun.length });
  return [...byText.values()];
}

/** Keys that the same mapping has already. */
function siblings(text: string, lineIndex: number, indent: number): Set<string> {
  const lines = text.split('\n');
  const found = new Set<string>();
  const look = (from: number, by: 1 | -1): void => {
    for (let at = from; at >= 0 && at < lines.length; at += by) {
      const [, space = '', dash = '', key] = /^(\s*)((?:- )?)([\w$-]+)?/.exec(lines[at] ?? '') ?? [];
      if ((lines[at] ?? '').trim() === '') continue;
      const own = space.length + dash.length;
      if (own < indent || (by === 1 && dash !== '' && own === indent)) return;
      if (own === indent && key !== undefined) found.add(key);
      if (by === -1 && dash !== '' && own === indent) return;
    }
  };
  look(lineIndex - 1, -1);
  look(lineIndex + 1, 1);
  return found;
}
