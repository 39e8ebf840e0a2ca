import type { Query, SqlExpr } from '../../../core/ast.ts';
import type { TokenReader } from './token-reader.ts';

/**
 * What the parts of the parser get: the tokens, and the two rules that nest in all others. They come by this interface
 * because sub-queries stand in expressions and expressions in queries: the files would import each other otherwise.
 */
export interface Grammar extends TokenReader {
  /** An expression of the operators that bind stronger than `power`; 0 unless told: of all. */
  expr(power?: number): SqlExpr;
  query(): Query;
}
