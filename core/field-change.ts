/** How the records of a source differ from the schema that its job was planned with, field by field. */

/** Types as SQL writes them; null = there is no such field, or its type cannot be told. */
export interface FieldChange {
  readonly kind: 'new' | 'missing' | 'retyped';
  /** Name of the field; within structs the path to it. */
  readonly column: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** For people: `town STRING is new`. */
export function describeFieldChange({ kind, column, before, after }: FieldChange): string {
  switch (kind) {
    case 'new':
      return after === null ? `${column} is new` : `${column} ${after} is new`;
    case 'missing':
      return before === null ? `${column} is missing` : `${column} ${before} is missing`;
    case 'retyped':
      return `${column} is ${after ?? 'of another type'} and was ${before ?? 'another'}`;
  }
}
