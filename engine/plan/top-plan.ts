/** What is enough to be sent to an operator that keeps the first rows of each key. */
import type { DataType, Schema } from '../../core/types.ts';
import type { StatePlan, TopPlan } from './epoch-plan.ts';

/** With more rows of each key than this it costs more to tell them than to send them all. */
const MOST_MAX = 64;

/**
 * The rows of each key that may be among those that a rank keeps; none where it keeps all, or others too: rows that lag or
 * lead are looked up in its state.
 */
export function topOf(
  { limit, ties, by, calls }: Extract<StatePlan, { kind: 'rank' }>,
  input: Schema,
): { readonly top?: TopPlan } {
  if (limit === null || limit < 1 || limit > MOST_MAX) return {};
  if (calls.some((call) => call.function === 'lag' || call.function === 'lead')) return {};
  const types = by.map(({ column }) => input[column]?.type);
  if (!types.every((type) => type !== undefined && isPlain(type))) return {};
  return { top: { by, most: limit, ...(ties === true ? { ties } : {}) } };
}

function isPlain({ kind }: DataType): boolean {
  return kind !== 'array' && kind !== 'struct' && kind !== 'map';
}
