/**
 * Expressions that this engine's SQL and SQLite both have, as data, and how each of the two writes them. In SQLite times
 * are µs since 1970 as integers, decimals are integers without their point, booleans are 0 and 1.
 */
import type { DataType } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import type { SimRng } from '../sim/rng.ts';

/** `NULL` is a literal of a type. Times as µs, decimals without their point. */
export type Literal = number | string | boolean | null;

export type Expr =
  | { readonly kind: 'column'; readonly name: string; readonly type: DataType }
  | { readonly kind: 'literal'; readonly value: Literal; readonly type: DataType }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expr[]; readonly type: DataType };

export interface Column {
  readonly name: string;
  readonly type: DataType;
}

const infix: ReadonlySet<string> = new Set('= <> < <= > >= <=> + - * / % || and or div'.split(' '));

export const INT: DataType = { kind: 'int' };
export const BIGINT: DataType = { kind: 'bigint' };
export const DOUBLE: DataType = { kind: 'double' };
export const STRING: DataType = { kind: 'string' };
export const BOOLEAN: DataType = { kind: 'boolean' };
export const TIMESTAMP: DataType = { kind: 'timestamp' };

export function decimal(precision: number, scale: number): DataType {
  return { kind: 'decimal', precision, scale };
}

export function scaleOf(type: DataType): number {
  return type.kind === 'decimal' ? type.scale : 0;
}

export function column({ name, type }: Column): Expr {
  return { kind: 'column', name, type };
}

export function call(name: string, type: DataType, ...args: readonly Expr[]): Expr {
  return { kind: 'call', name, args, type };
}

export function literal(value: Literal, type: DataType): Expr {
  return { kind: 'literal', value, type };
}

// ---- this engine's SQL ------------------------------------------------------------------------------------------

/** `nameOf` says what a column is called where the expression stands. */
export function toWeir(expr: Expr, nameOf: (name: string) => string = (name) => name): string {
  if (expr.kind === 'column') return nameOf(expr.name);
  if (expr.kind === 'literal') return weirLiteral(expr.value, expr.type);
  const [a = '', b = '', c = ''] = expr.args.map((arg) => toWeir(arg, nameOf));
  switch (expr.name) {
    case 'not':
      return `(NOT ${a})`;
    case 'negative':
      return `(- ${a})`;
    case 'isNull':
      return `(${a} IS NULL)`;
    case 'isNotNull':
      return `(${a} IS NOT NULL)`;
    case 'in':
      return `(${a} IN (${b}, ${c}))`;
    case 'between':
      return `(${a} BETWEEN ${b} AND ${c})`;
    case 'case':
      return `CASE WHEN ${a} THEN ${b} ELSE ${c} END`;
    case 'cast':
      return `CAST(${a} AS ${formatType(expr.type)})`;
    case 'addMs':
      return `(${a} + INTERVAL ${numberOf(expr.args[1])} MILLISECONDS)`;
    case 'startsWith':
      return `(${a} LIKE '${textOf(expr.args[1])}%')`;
    case 'secondLike':
      return `(${a} LIKE '_${textOf(expr.args[1])}%')`;
    case 'millis':
      return `unix_millis(${a})`;
    default:
      if (!infix.has(expr.name)) return `${expr.name}(${expr.args.map((arg) => toWeir(arg, nameOf)).join(', ')})`;
      return `(${a} ${expr.name} ${b})`;
  }
}

function weirLiteral(value: Literal, type: DataType): string {
  if (value === null) return `CAST(NULL AS ${formatType(type)})`;
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  if (typeof value === 'string') return `'${value}'`;
  if (type.kind === 'timestamp') return `TIMESTAMP '${timeText(value)}'`;
  if (type.kind === 'double') return `CAST(${value} AS DOUBLE)`;
  if (type.kind === 'bigint') return value < 0 ? `(-${-value}L)` : `${value}L`;
  if (type.kind === 'decimal') return `CAST('${decimalText(value, type.scale)}' AS ${formatType(type)})`;
  return value < 0 ? `(${value})` : `${value}`;
}

/** ISO 8601 with six digits of a second. */
export function timeText(us: number): string {
  const odd = ((us % 1000) + 1000) % 1000;
  return `${new Date((us - odd) / 1000).toISOString().slice(0, -1)}${String(odd).padStart(3, '0')}Z`;
}

/** `1.50` of 150 with two digits behind the point. */
export function decimalText(unscaled: number, scale: number): string {
  const digits = String(Math.abs(unscaled)).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  return `${unscaled < 0 ? '-' : ''}${whole}${scale === 0 ? '' : `.${digits.slice(digits.length - scale)}`}`;
}

// ---- SQLite -----------------------------------------------------------------------------------------------------

export function toSqlite(expr: Expr, nameOf: (name: string) => string = (name) => name): string {
  if (expr.kind === 'column') return nameOf(expr.name);
  if (expr.kind === 'literal') return sqliteLiteral(expr.value, expr.type);
  const own = expr.args.map((arg) => toSqlite(arg, nameOf));
  const [a = '', b = '', c = ''] = own;
  // Decimals meet at the greater of their scales; a product has the sum of them by itself.
  const scale = Math.max(...expr.args.map(({ type }) => scaleOf(type)));
  const aligned = expr.args.map((arg, index) => rescaled(own[index]!, scaleOf(arg.type), scale));
  switch (expr.name) {
    case 'not':
      return `(NOT ${a})`;
    case 'negative':
      return `(- ${a})`;
    case 'isNull':
      return `(${a} IS NULL)`;
    case 'isNotNull':
      return `(${a} IS NOT NULL)`;
    case '<=>':
      return `(${aligned[0]} IS ${aligned[1]})`;
    case 'in':
      return `(${aligned[0]} IN (${aligned[1]}, ${aligned[2]}))`;
    case 'between':
      return `(${aligned[0]} >= ${aligned[1]} AND ${aligned[0]} <= ${aligned[2]})`;
    case 'case':
      return `(CASE WHEN ${a} THEN ${b} ELSE ${c} END)`;
    case 'coalesce':
      return `coalesce(${aligned.join(', ')})`;
    case 'nullif':
      return `nullif(${a}, ${b})`;
    // Spark's skip NULLs, SQLite's do not.
    case 'greatest':
    case 'least':
      return `${expr.name === 'greatest' ? 'max' : 'min'}(coalesce(${a}, ${b}), coalesce(${b}, ${a}))`;
    case '/':
      return `(CAST(${a} AS REAL) / ${b})`;
    case 'div':
      return `(${a} / ${b})`;
    case '*':
      return `(${a} * ${b})`;
    case 'cast':
      return sqliteCast(a, expr.args[0]!.type, expr.type);
    case 'addMs':
      return `(${a} + ${numberOf(expr.args[1]) * 1000})`;
    // Floors, also before 1970; SQLite's division truncates.
    case 'millis':
      return `((${a} - ((${a} % 1000) + 1000) % 1000) / 1000)`;
    case 'startsWith':
      return `(${a} GLOB '${textOf(expr.args[1])}*')`;
    case 'secondLike':
      return `(${a} GLOB '?${textOf(expr.args[1])}*')`;
    default:
      if (!infix.has(expr.name)) return `${expr.name}(${own.join(', ')})`;
      return `(${aligned[0]} ${expr.name} ${aligned[1]})`;
  }
}

function sqliteLiteral(value: Literal, type: DataType): string {
  if (value === null) return 'NULL';
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'string') return `'${value}'`;
  if (type.kind === 'double' && Number.isInteger(value)) return `(${value}.0)`;
  return `(${value})`;
}

function rescaled(text: string, from: number, to: number): string {
  return from === to ? text : `(${text} * ${10 ** (to - from)})`;
}

function sqliteCast(text: string, from: DataType, to: DataType): string {
  if (to.kind === 'string') return `CAST(${text} AS TEXT)`;
  if (to.kind === 'double') return `(CAST(${text} AS REAL) / ${10 ** scaleOf(from)}.0)`;
  if (to.kind === 'decimal') return rescaled(text, scaleOf(from), to.scale);
  return `CAST(${text} AS INTEGER)`;
}

function numberOf(expr: Expr | undefined): number {
  return expr?.kind === 'literal' ? Number(expr.value) : 0;
}

function textOf(expr: Expr | undefined): string {
  return expr?.kind === 'literal' ? String(expr.value) : '';
}

// ---- drawing ----------------------------------------------------------------------------------------------------

/** Beyond ASCII: two bytes, three bytes behind a surrogate's code unit, four bytes. */
export const texts: readonly string[] = [
  '',
  'a',
  'b',
  'ab',
  'ba',
  'B',
  ' a',
  'é',
  'aé',
  '\u{ff5e}',
  '\u{1f600}',
  'a\u{1f600}b',
];

export function drawValue(rng: SimRng, type: DataType): Literal {
  switch (type.kind) {
    case 'boolean':
      return rng.chance(0.5);
    case 'string':
      return rng.pick(texts);
    case 'double':
      return rng.int(-12, 13) / 4;
    case 'decimal':
      return rng.chance(0.2) ? rng.int(-99999, 100000) : rng.int(-300, 301);
    case 'bigint':
      return rng.chance(0.2) ? rng.int(-1_000_000, 1_000_000) * 1_000_000 : rng.int(-3, 6);
    default:
      return rng.chance(0.8) ? rng.int(-1, 3) : rng.int(-3, 6);
  }
}

/** Draws expressions over columns. All give small numbers, so that nothing overflows. */
export class Drawer {
  readonly #rng: SimRng;
  readonly #columns: readonly Column[];
  /** µs near which time literals lie. */
  readonly #baseUs: number;

  constructor(rng: SimRng, columns: readonly Column[], baseUs: number) {
    this.#rng = rng;
    this.#columns = columns;
    this.#baseUs = baseUs;
  }

  /** A column of the type, if there is one. */
  columnOf(type: DataType): Expr | undefined {
    const found = this.#columns.filter((each) => formatType(each.type) === formatType(type));
    return found.length === 0 ? undefined : column(this.#rng.pick(found));
  }

  leaf(type: DataType): Expr {
    const own = this.#rng.chance(0.85) ? this.columnOf(type) : undefined;
    if (own !== undefined) return own;
    if (this.#rng.chance(0.1)) return literal(null, type);
    if (type.kind === 'timestamp') return literal(this.#baseUs + this.#rng.int(0, 60) * 1_000_000, type);
    return literal(drawValue(this.#rng, type), type);
  }

  /** Some expression that is worth a key or an argument. */
  any(depth: number): Expr {
    return this.of(this.#rng.chance(0.85) ? this.#rng.pick(this.#columns).type : this.#rng.pick(drawnTypes), depth);
  }

  of(type: DataType, depth: number): Expr {
    if (depth <= 0 || this.#rng.chance(0.3)) return this.leaf(type);
    if (this.#rng.chance(0.25)) return this.#general(type, depth - 1);
    return this.#typed(type, depth - 1);
  }

  /** What goes with every type. */
  #general(type: DataType, depth: number): Expr {
    const [a, b] = [this.of(type, depth), this.of(type, depth)];
    const isText = type.kind === 'boolean';
    switch (this.#rng.int(0, isText ? 3 : 5)) {
      case 0:
        return call('case', type, this.of(BOOLEAN, depth), a, b);
      case 1:
        return call('coalesce', type, a, b);
      case 2:
        return call('nullif', type, a, b);
      case 3:
        return call('greatest', type, a, b);
      default:
        return call('least', type, a, b);
    }
  }

  #typed(type: DataType, depth: number): Expr {
    const rng = this.#rng;
    switch (type.kind) {
      case 'boolean':
        return this.#condition(depth);
      case 'int':
        switch (rng.int(0, 5)) {
          case 0:
            return call('length', INT, this.of(STRING, depth));
          case 1:
            return call('instr', INT, this.of(STRING, depth), literal(rng.pick(['a', 'b', 'é']), STRING));
          case 2:
            return call('cast', INT, this.#castable(depth));
          default:
            return this.#arithmetic(INT, depth);
        }
      case 'bigint':
        if (rng.chance(0.2)) return call('div', BIGINT, this.of(INT, depth), literal(rng.pick([-3, 2, 3]), INT));
        if (rng.chance(0.2)) return call('millis', BIGINT, this.of(TIMESTAMP, depth));
        if (rng.chance(0.3)) return call(rng.pick(['+', '-']), BIGINT, this.of(INT, depth), this.of(BIGINT, depth));
        return this.#arithmetic(BIGINT, depth);
      case 'double':
        if (rng.chance(0.2)) return call('/', DOUBLE, this.of(INT, depth), literal(rng.pick([-2, 2, 4]), INT));
        if (rng.chance(0.2)) return call('cast', DOUBLE, this.of(INT, depth));
        return call(rng.pick(['+', '-']), DOUBLE, this.of(DOUBLE, depth), this.of(DOUBLE, depth));
      case 'decimal':
        return call('negative', type, this.of(type, depth));
      case 'timestamp':
        return call('addMs', TIMESTAMP, this.of(TIMESTAMP, depth), literal(rng.pick([-2500, 1, 4000]), INT));
      default:
        return this.#text(depth);
    }
  }

  /** What fits into an INT: no sum of any kind. */
  #castable(depth: number): Expr {
    const leaf = this.leaf(DOUBLE);
    const isSmall = leaf.kind === 'literal' || (leaf.kind === 'column' && /^([lr]_)*c\d/.test(leaf.name));
    return isSmall && this.#rng.chance(0.5) ? leaf : this.of(BOOLEAN, depth);
  }

  #arithmetic(type: DataType, depth: number): Expr {
    const rng = this.#rng;
    const a = this.of(type, depth);
    switch (rng.int(0, 5)) {
      case 0:
        return call('+', type, a, this.of(type, depth));
      case 1:
        return call('-', type, a, this.of(type, depth));
      case 2:
        return call('%', type, a, literal(rng.pick([-3, 2, 3]), type));
      case 3:
        return call('abs', type, a);
      default:
        return call('negative', type, a);
    }
  }

  #text(depth: number): Expr {
    const rng = this.#rng;
    const a = this.of(STRING, depth);
    switch (rng.int(0, 5)) {
      case 0:
        return call('||', STRING, a, this.of(STRING, depth));
      case 1:
        return call('substr', STRING, a, literal(rng.int(1, 4), INT), literal(rng.int(0, 3), INT));
      case 2:
        return call('replace', STRING, a, literal('a', STRING), literal(rng.pick(['', 'bb', 'é']), STRING));
      case 3:
        return call('trim', STRING, a);
      default:
        return call('cast', STRING, this.of(rng.pick([INT, BIGINT]), depth));
    }
  }

  /** Three-valued. */
  #condition(depth: number): Expr {
    const rng = this.#rng;
    switch (rng.int(0, 9)) {
      case 0:
        return call('and', BOOLEAN, this.of(BOOLEAN, depth), this.of(BOOLEAN, depth));
      case 1:
        return call('or', BOOLEAN, this.of(BOOLEAN, depth), this.of(BOOLEAN, depth));
      case 2:
        return call('not', BOOLEAN, this.of(BOOLEAN, depth));
      case 3:
        return call(rng.pick(['isNull', 'isNotNull']), BOOLEAN, this.any(depth));
      case 4: {
        const text = rng.pick(['a', 'b', 'é', '']);
        return call(rng.pick(['startsWith', 'secondLike']), BOOLEAN, this.of(STRING, depth), literal(text, STRING));
      }
      case 5: {
        const a = this.any(depth);
        return call(rng.pick(['in', 'between']), BOOLEAN, a, this.of(a.type, depth), this.of(a.type, depth));
      }
      default: {
        const comparison = rng.pick(['=', '<>', '<', '<=', '>', '>=', '<=>']);
        if (rng.chance(0.15)) {
          const [fine, coarse] = [this.of(decimal(7, 2), depth), this.of(decimal(9, 1), depth)];
          const sum = call(rng.pick(['+', '-']), decimal(11, 2), fine, coarse);
          return call(comparison, BOOLEAN, rng.pick([sum, fine]), coarse);
        }
        const a = this.any(depth);
        return call(comparison, BOOLEAN, a, this.of(a.type, depth));
      }
    }
  }
}

export const drawnTypes: readonly DataType[] = [
  INT,
  BIGINT,
  DOUBLE,
  STRING,
  BOOLEAN,
  TIMESTAMP,
  decimal(7, 2),
  decimal(9, 1),
];
