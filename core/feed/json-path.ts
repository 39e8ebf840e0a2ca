/** Paths into JSON values: names with dots between, numbers for places in lists (`data.items`, `pages.0.next`). */

/** What stands at the path; undefined where nothing does. The empty path is the value itself. */
export function valueAt(value: unknown, path: string): unknown {
  if (path === '') return value;
  let at = value;
  for (const name of path.split('.')) {
    if (Array.isArray(at)) at = /^\d{1,9}$/.test(name) ? at[Number(name)] : undefined;
    else if (typeof at === 'object' && at !== null && Object.hasOwn(at, name))
      at = (at as Record<string, unknown>)[name];
    else return undefined;
  }
  return at;
}

/** A value as it stands in an id or a parameter: text as it is, everything else as JSON; undefined for null and nothing. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

type WithSource = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * As JSON.parse, but numbers that a double cannot hold exactly keep their digits when the value is written again by
 * JSON.stringify: an id of 19 digits stays the id.
 *
 * Throws: a SyntaxError.
 */
export function parseJson(text: string): unknown {
  const keepDigits: WithSource = (_, value, { source }) => {
    if (typeof value !== 'number' || source === undefined || String(value) === source) return value;
    return rawJson(source);
  };
  return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
}

/** A value that JSON.stringify writes as this text, which is JSON of a number, text, boolean or null. */
export function rawJson(source: string): unknown {
  return (JSON as unknown as { rawJSON(source: string): unknown }).rawJSON(source);
}

const jsonNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** A value of a text format in JSON: numbers with their digits, true and false, else text. */
export function jsonOfText(text: string): unknown {
  if (text === 'true') return true;
  if (text === 'false') return false;
  return text.length <= 40 && jsonNumber.test(text) ? rawJson(text) : text;
}
