/** Columns of JSON rows as SQL writes them, for people who try a query and gave no schema. */

type JsonObject = Readonly<Record<string, unknown>>;

type Inferred =
  | { readonly kind: 'null' | 'boolean' | 'integer' | 'number' | 'string' }
  | { readonly kind: 'array'; readonly element: Inferred }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, Inferred> };

/** `id BIGINT, name STRING`: every field of any row; one that is never set is STRING. */
export function inferSchema(rows: readonly JsonObject[]): string {
  const all = rows.reduce<Inferred>((type, row) => merge(type, typeOf(row)), { kind: 'struct', fields: new Map() });
  if (all.kind !== 'struct') return '';
  return [...all.fields].map(([name, type]) => `${quoted(name)} ${textOf(type)}`).join(', ');
}

function typeOf(value: unknown): Inferred {
  if (value === null || value === undefined) return { kind: 'null' };
  if (typeof value === 'boolean') return { kind: 'boolean' };
  if (typeof value === 'number') return { kind: Number.isInteger(value) ? 'integer' : 'number' };
  if (typeof value === 'string') return { kind: 'string' };
  if (Array.isArray(value))
    return { kind: 'array', element: value.map(typeOf).reduce<Inferred>(merge, { kind: 'null' }) };
  const fields = Object.entries(value as JsonObject).map(([name, one]) => [name, typeOf(one)] as const);
  return { kind: 'struct', fields: new Map(fields) };
}

function merge(a: Inferred, b: Inferred): Inferred {
  if (a.kind === 'null') return b;
  if (b.kind === 'null') return a;
  if (a.kind === 'array' && b.kind === 'array') return { kind: 'array', element: merge(a.element, b.element) };
  if (a.kind === 'struct' && b.kind === 'struct') {
    const fields = new Map(a.fields);
    for (const [name, type] of b.fields) {
      const before = fields.get(name);
      fields.set(name, before === undefined ? type : merge(before, type));
    }
    return { kind: 'struct', fields };
  }
  if (a.kind === b.kind) return a;
  const numbers = new Set(['integer', 'number']);
  return { kind: numbers.has(a.kind) && numbers.has(b.kind) ? 'number' : 'string' };
}

function textOf(type: Inferred): string {
  switch (type.kind) {
    case 'boolean':
      return 'BOOLEAN';
    case 'integer':
      return 'BIGINT';
    case 'number':
      return 'DOUBLE';
    case 'array':
      return `ARRAY<${textOf(type.element)}>`;
    case 'struct':
      if (type.fields.size === 0) return 'MAP<STRING, STRING>';
      return `STRUCT<${[...type.fields].map(([name, field]) => `${quoted(name)}: ${textOf(field)}`).join(', ')}>`;
    default:
      return 'STRING';
  }
}

function quoted(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll('`', '``')}\``;
}
