/** A job file changed in place by a merge patch (RFC 7396): what the patch does not name stays as it was written. */
import type { Document } from 'yaml';
import { isAlias, isMap, parseDocument, stringify, visit } from 'yaml';

/** Values replace, null takes away, objects go on inside; lists are replaced as a whole. */
export type MergePatch = Readonly<Record<string, unknown>>;

/** Nothing is folded: a query keeps its lines. */
const AS_WRITTEN = { lineWidth: 0 } as const;

/**
 * The file with the patch in it, comments and order kept. Of a file with anchors only the values are kept, since a
 * change in one place could mean another there. A file that cannot be parsed is given back as it is; checking it says why.
 */
export function patchJobFile(text: string, patch: MergePatch): string {
  const document = parseDocument(text, { uniqueKeys: false });
  if (document.errors.length > 0 || !isMap(document.contents)) return text;
  if (hasAliases(document)) return stringify(merged(document.toJS({ maxAliasCount: 100 }), patch), AS_WRITTEN);
  applyAt(document, [], patch);
  return document.toString(AS_WRITTEN);
}

function hasAliases(document: Document): boolean {
  let found = false;
  visit(document, (_, node) => {
    found ||= isAlias(node);
    return found ? visit.BREAK : undefined;
  });
  return found;
}

function applyAt(document: Document, path: readonly string[], patch: MergePatch): void {
  for (const [key, value] of Object.entries(patch)) {
    const place = [...path, key];
    if (value === null) document.deleteIn(place);
    else if (isObject(value) && isMap(document.getIn(place))) applyAt(document, place, value);
    else document.setIn(place, document.createNode(isObject(value) ? merged({}, value) : value));
  }
}

/** RFC 7396, section 2. Own keys only; a key `__proto__` becomes a property like any other. */
function merged(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = new Map<string, unknown>(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, merged(result.get(key), value));
  }
  return Object.fromEntries(result);
}

function isObject(value: unknown): value is MergePatch {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
