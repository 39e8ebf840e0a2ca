/** How the columns of a source differ between two versions of its schema. */
import { type Field, formatType, type Schema } from '../../core/types.ts';

export interface ColumnChange {
  readonly kind: 'new' | 'missing' | 'retyped' | 'nullable' | 'required';
  /** Name of the column; of a field within structs the path to it. */
  readonly column: string;
  /** Types as SQL writes them. null = the column is not there. */
  readonly before: string | null;
  readonly after: string | null;
}

/** In the order of the columns before, then those that are new. Names are compared as they are written. */
export function columnChanges(before: Schema, after: Schema): ColumnChange[] {
  return changesBelow('', before, after);
}

/** For people: `price is DOUBLE and was INT`. */
export function describeColumnChange({ kind, column, before, after }: ColumnChange): string {
  switch (kind) {
    case 'new':
      return `${column} ${after} is new`;
    case 'missing':
      return `${column} ${before} is gone`;
    case 'retyped':
      return `${column} is ${after} and was ${before}`;
    case 'nullable':
      return `${column} may be NULL now`;
    case 'required':
      return `${column} is never NULL any more`;
  }
}

function changesBelow(path: string, before: Schema, after: Schema): ColumnChange[] {
  const former = new Set(before.map(({ name }) => name));
  const now = new Map(after.map((field) => [field.name, field]));
  return [
    ...before.flatMap((field): ColumnChange[] => {
      const next = now.get(field.name);
      if (next !== undefined) return changesOf(path, field, next);
      return [{ kind: 'missing', column: path + field.name, before: formatType(field.type), after: null }];
    }),
    ...after.flatMap(({ name, type }): ColumnChange[] =>
      former.has(name) ? [] : [{ kind: 'new', column: path + name, before: null, after: formatType(type) }],
    ),
  ];
}

function changesOf(path: string, before: Field, after: Field): ColumnChange[] {
  const column = path + before.name;
  const types = { before: formatType(before.type), after: formatType(after.type) };
  if (before.type.kind === 'struct' && after.type.kind === 'struct') {
    const inner = changesBelow(`${column}.`, before.type.fields, after.type.fields);
    if (inner.length > 0) return inner;
  } else if (types.before !== types.after) return [{ kind: 'retyped', column, ...types }];
  if (before.nullable === after.nullable) return [];
  return [{ kind: after.nullable ? 'nullable' : 'required', column, ...types }];
}
