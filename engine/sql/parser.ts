/**
 * Spark's SQL, read by a Pratt parser (Pratt, "Top down operator precedence"): operators by binding power, everything
 * else by recursive descent. It accepts the language; what of it can run is for the analyzer to say. The rules are in
 * parse/, one file for each part of the language.
 */
import type { Query, SqlExpr } from '../../core/ast.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { readExpr } from './parse/expressions.ts';
import type { Grammar } from './parse/grammar.ts';
import { readQuery } from './parse/queries.ts';
import { TokenReader } from './parse/token-reader.ts';
import { readColumns, readType } from './parse/types.ts';

/** The query of a job. Throws {@link SqlSyntaxError}. */
export function parseQuery(text: string): Query {
  const parser = new Parser(text);
  const query = parser.query();
  const isClosed = parser.skip(';');
  parser.expectEnd(isClosed ? 'a job has one query: what another one gives is the result of another job' : undefined);
  return query;
}

/** One expression alone. Throws {@link SqlSyntaxError}. */
export function parseExpression(text: string): SqlExpr {
  const parser = new Parser(text);
  const expr = parser.expr();
  parser.expectEnd();
  return expr;
}

/** Columns as CREATE TABLE lists them. Throws {@link SqlSyntaxError}. */
export function parseColumns(text: string): Schema {
  const tokens = new TokenReader(text);
  const columns = readColumns(tokens);
  tokens.expectEnd();
  return columns;
}

/** One type alone: `ARRAY<STRUCT<a: INT>>`. Throws {@link SqlSyntaxError}. */
export function parseType(text: string): DataType {
  const tokens = new TokenReader(text);
  const type = readType(tokens);
  tokens.expectEnd();
  return type;
}

class Parser extends TokenReader implements Grammar {
  query(): Query {
    return readQuery(this);
  }

  expr(power = 0): SqlExpr {
    return readExpr(this, power);
  }
}
