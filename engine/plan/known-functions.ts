/** What queries may call, as documents. */
import type { FunctionDoc } from '../sql/function-docs.ts';
import { functionDocs } from '../sql/function-docs.ts';

export interface FunctionDocument extends Omit<FunctionDoc, 'examples'> {
  readonly examples: readonly { readonly sql: string; readonly result: string }[];
}

/** By group, as docs/functions.md lists them. */
export function knownFunctions(): FunctionDocument[] {
  return functionDocs.map(functionDocument);
}

export function functionDocument({ examples, ...doc }: FunctionDoc): FunctionDocument {
  return { ...doc, examples: examples.map(([sql, result]) => ({ sql, result })) };
}
