/**
 * What a row that comes out of a state operator is to those that have the operator's former rows: tables, and operators
 * above that fold them. One code per row.
 */
import type { Field } from '../../core/types.ts';

/** A new row, or new values of one. */
export const GIVEN = 0;
/** Values that were given once and hold no more. */
export const WITHDRAWN = 1;
/** Values that the very next row, which is {@link GIVEN}, had before. */
export const FORMER = 2;
/** Given before with these values; stands here because the whole result is wanted. */
export const SAME = 3;
/** As {@link SAME}, but written once more: the state was taken over from elsewhere. */
export const AGAIN = 4;

/** Does the row hold no more? */
export function isPast(change: number): boolean {
  return change === WITHDRAWN || change === FORMER;
}

/** Was the row given before? */
export function wasThere(change: number): boolean {
  return change !== GIVEN;
}

/** The column that carries the codes through an exchange: the last one. */
export const changeField: Field = { name: 'change', type: { kind: 'tinyint' }, nullable: false };

/** Which rows an operator gives besides those that changed. */
export interface Wanted {
  /** In update and complete mode: former values of rows that changed or are gone. */
  readonly former: boolean;
  /** In complete mode: rows that stay as they were. */
  readonly whole: boolean;
}

/** What sinks need that only append what they get. */
export const presentRows: Wanted = { former: false, whole: true };
