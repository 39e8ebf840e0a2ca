/**
 * The two trees of a query. {@link Query} and {@link SqlExpr} are what the parser read: names as written, with their
 * place in the text. {@link Expr} is what the analyzer made of an expression: every name resolved, every node typed,
 * every conversion explicit. Typed trees travel to threads and into stored plans, so they are plain data that survive
 * structured clone and JSON alike.
 */
import type { DataType } from './types.ts';

/** Place in the SQL text, in characters from 0. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** A name as written; quoted ones keep their case for display, lookup ignores case as Spark does. */
export interface Identifier extends Span {
  readonly text: string;
}

/** A constant as written. Text of numbers is kept, so that a DECIMAL or BIGINT loses nothing. */
export type SqlLiteral =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  /** Digits with an optional point and exponent; `suffix` is Spark's: Y, S, L, F, D, BD. */
  | { readonly kind: 'number'; readonly text: string; readonly suffix: '' | 'Y' | 'S' | 'L' | 'F' | 'D' | 'BD' }
  /** DATE '…', TIMESTAMP '…', X'…'. */
  | { readonly kind: 'typed'; readonly type: 'date' | 'timestamp' | 'binary'; readonly text: string }
  | { readonly kind: 'interval'; readonly months: number; readonly microseconds: number };

export type SqlExpr = Span &
  (
    | { readonly kind: 'literal'; readonly literal: SqlLiteral }
    /** `a`, `a.b.c`: which part is a table, a column or a field is for the analyzer. */
    | { readonly kind: 'name'; readonly parts: readonly Identifier[] }
    | {
        readonly kind: 'star';
        readonly qualifier: readonly Identifier[];
        /** `* EXCEPT (a, b)`: columns that are left out. */
        readonly except?: readonly Identifier[];
      }
    | { readonly kind: 'field'; readonly input: SqlExpr; readonly field: Identifier }
    | { readonly kind: 'index'; readonly input: SqlExpr; readonly index: SqlExpr }
    | {
        readonly kind: 'call';
        readonly name: Identifier;
        readonly args: readonly SqlExpr[];
        readonly distinct: boolean;
        readonly filter: SqlExpr | null;
        readonly over: WindowSpec | null;
      }
    | { readonly kind: 'unary'; readonly op: '-' | '+' | '~' | 'not'; readonly input: SqlExpr }
    | { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: SqlExpr; readonly right: SqlExpr }
    | {
        readonly kind: 'between';
        readonly input: SqlExpr;
        readonly low: SqlExpr;
        readonly high: SqlExpr;
        readonly negated: boolean;
      }
    | { readonly kind: 'in'; readonly input: SqlExpr; readonly list: readonly SqlExpr[]; readonly negated: boolean }
    | { readonly kind: 'inQuery'; readonly input: SqlExpr; readonly query: Query; readonly negated: boolean }
    | {
        readonly kind: 'like';
        readonly op: 'like' | 'ilike' | 'rlike';
        readonly input: SqlExpr;
        readonly pattern: SqlExpr;
        readonly escape: string | null;
        readonly negated: boolean;
      }
    | {
        readonly kind: 'is';
        readonly what: 'null' | 'true' | 'false';
        readonly input: SqlExpr;
        readonly negated: boolean;
      }
    | {
        readonly kind: 'case';
        readonly operand: SqlExpr | null;
        readonly branches: readonly { readonly when: SqlExpr; readonly then: SqlExpr }[];
        readonly otherwise: SqlExpr | null;
      }
    | { readonly kind: 'cast'; readonly input: SqlExpr; readonly type: DataType; readonly mode: CastMode }
    | { readonly kind: 'lambda'; readonly params: readonly Identifier[]; readonly body: SqlExpr }
    | { readonly kind: 'subquery'; readonly query: Query }
    | { readonly kind: 'exists'; readonly query: Query }
  );

export type BinaryOp =
  | 'or'
  | 'and'
  | '='
  | '<=>'
  | '<>'
  | '<'
  | '<='
  | '>'
  | '>='
  | '|'
  | '^'
  | '&'
  | '||'
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | 'div';

/** `ansi` raises on what cannot be converted; `try` gives NULL. */
export type CastMode = 'ansi' | 'try';

export interface WindowSpec {
  readonly partitionBy: readonly SqlExpr[];
  readonly orderBy: readonly SortItem[];
}

export interface SortItem {
  readonly expr: SqlExpr;
  readonly descending: boolean;
  readonly nullsFirst: boolean | null;
}

export interface SelectItem {
  readonly expr: SqlExpr;
  readonly alias: Identifier | null;
  /** `explode(m) AS (k, v)`. */
  readonly aliases: readonly Identifier[];
}

export interface LateralView extends Span {
  readonly outer: boolean;
  readonly call: SqlExpr;
  readonly tableAlias: Identifier | null;
  readonly columnAliases: readonly Identifier[];
}

export type Relation = Span &
  (
    | { readonly kind: 'table'; readonly name: readonly Identifier[]; readonly alias: Identifier | null }
    | { readonly kind: 'subquery'; readonly query: Query; readonly alias: Identifier | null }
    /** `input AS alias(a, b)`: the columns by other names. */
    | {
        readonly kind: 'named';
        readonly input: Relation;
        readonly alias: Identifier;
        readonly columns: readonly Identifier[];
      }
    /** `input, LATERAL explode(x) AS t(a)`: each row with the rows that a function makes of it. */
    | { readonly kind: 'lateral'; readonly input: Relation; readonly view: LateralView }
    /** `input WATERMARK column DELAY OF delay AS alias`. */
    | {
        readonly kind: 'watermark';
        readonly input: Relation;
        readonly column: Identifier;
        readonly delay: SqlExpr;
        readonly alias: Identifier | null;
      }
    | {
        readonly kind: 'join';
        readonly type: 'inner' | 'left' | 'right' | 'full' | 'cross' | 'semi' | 'anti';
        readonly left: Relation;
        readonly right: Relation;
        readonly on: SqlExpr | null;
        readonly using: readonly Identifier[];
      }
  );

export interface Select extends Span {
  readonly kind: 'select';
  readonly distinct: boolean;
  /** DISTINCT ON (…): what makes rows the same; empty = all columns. */
  readonly distinctOn: readonly SqlExpr[];
  /** DISTINCT … WITHIN WATERMARK. */
  readonly withinWatermark: boolean;
  readonly items: readonly SelectItem[];
  readonly from: Relation | null;
  readonly lateralViews: readonly LateralView[];
  readonly where: SqlExpr | null;
  readonly groupBy: readonly SqlExpr[];
  /** GROUPING SETS, CUBE and ROLLUP, apart from `groupBy`: rows are grouped by one set out of each of them. */
  readonly groupingSets: readonly (readonly (readonly SqlExpr[])[])[];
  /** Where GROUP BY stands. */
  readonly groupBySpan: Span | null;
  readonly having: SqlExpr | null;
}

export interface SetOperation extends Span {
  readonly kind: 'set';
  readonly op: 'union' | 'unionAll' | 'intersect' | 'except';
  /** UNION BY NAME: columns meet by their names, not by their places. */
  readonly byName: boolean;
  readonly left: QueryBody;
  readonly right: QueryBody;
}

export type QueryBody = Select | SetOperation | (Span & { readonly kind: 'nested'; readonly query: Query });

export interface Query extends Span {
  readonly ctes: readonly { readonly name: Identifier; readonly query: Query }[];
  readonly body: QueryBody;
  readonly orderBy: readonly SortItem[];
  readonly orderBySpan: Span | null;
  readonly limit: SqlExpr | null;
  readonly offsetRows: SqlExpr | null;
}

/**
 * A constant of a typed tree. By type: boolean → boolean; tinyint, smallint, int, date (days), timestamp (µs), interval
 * (months or µs) → number; float, double → number, or 'NaN', 'Infinity', '-Infinity'; bigint and decimal → decimal
 * digits of the (unscaled) value; string → the text; binary → hex digits; null of any type → null.
 */
export type LiteralValue = null | boolean | number | string;

/** A typed expression over the rows of one operator's input. */
export type Expr =
  | { readonly kind: 'literal'; readonly type: DataType; readonly nullable: boolean; readonly value: LiteralValue }
  /** `index` is the column's place in the operator's input; `name` is for display. */
  | {
      readonly kind: 'column';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly index: number;
      readonly name: string;
    }
  /** A function or operator of the function table, arguments already of the types it takes. */
  | {
      readonly kind: 'call';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly name: string;
      readonly args: readonly Expr[];
    }
  | {
      readonly kind: 'cast';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly input: Expr;
      readonly mode: CastMode;
    }
  | {
      readonly kind: 'case';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly branches: readonly { readonly when: Expr; readonly then: Expr }[];
      /** null = NULL. */
      readonly otherwise: Expr | null;
    }
  /** A field of a struct; `index` counts the struct's fields. */
  | {
      readonly kind: 'field';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly input: Expr;
      readonly index: number;
    }
  /** An argument of a higher-order function; the body sees `variable`s of these ids and all columns. */
  | {
      readonly kind: 'lambda';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly params: readonly LambdaParam[];
      readonly body: Expr;
    }
  | {
      readonly kind: 'variable';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly id: number;
      readonly name: string;
    };

export interface LambdaParam {
  /** Unique within the query. */
  readonly id: number;
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
}

/** The expressions directly below one. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'column':
    case 'variable':
      return [];
    case 'call':
      return expr.args;
    case 'cast':
    case 'field':
      return [expr.input];
    case 'case': {
      const branches = expr.branches.flatMap((branch) => [branch.when, branch.then]);
      return expr.otherwise === null ? branches : [...branches, expr.otherwise];
    }
    case 'lambda':
      return [expr.body];
  }
}

/** The tree with every column replaced by what `change` makes of it. */
export function mapColumns(expr: Expr, change: (column: Extract<Expr, { kind: 'column' }>) => Expr): Expr {
  return replaceNodes(expr, (node) => (node.kind === 'column' ? change(node) : undefined));
}

/** The tree with nodes replaced by what `change` makes of them, from the top; below a replaced node nothing is looked at. */
export function replaceNodes(expr: Expr, change: (node: Expr) => Expr | undefined): Expr {
  const replaced = change(expr);
  if (replaced !== undefined) return replaced;
  switch (expr.kind) {
    case 'literal':
    case 'variable':
    case 'column':
      return expr;
    case 'call':
      return { ...expr, args: expr.args.map((arg) => replaceNodes(arg, change)) };
    case 'cast':
    case 'field':
      return { ...expr, input: replaceNodes(expr.input, change) };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map(({ when, then }) => ({
          when: replaceNodes(when, change),
          then: replaceNodes(then, change),
        })),
        otherwise: expr.otherwise === null ? null : replaceNodes(expr.otherwise, change),
      };
    case 'lambda':
      return { ...expr, body: replaceNodes(expr.body, change) };
  }
}

/** Adds the indexes of all columns an expression reads. */
export function collectColumns(expr: Expr, into: Set<number>): void {
  if (expr.kind === 'column') into.add(expr.index);
  for (const child of childrenOf(expr)) collectColumns(child, into);
}
