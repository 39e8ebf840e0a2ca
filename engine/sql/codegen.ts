/**
 * Typed expressions to JavaScript. The text of the generated functions is made of names and numbers of this file's own
 * making only: literals come in as constants, columns by index, functions from the function table. What a user wrote
 * never reaches the source.
 *
 * Every expression becomes statements that leave its value in local variables ({@link Val}); nulls are carried beside
 * the value, so a loop over rows makes no objects.
 */
import { assert, must } from '../../core/assert.ts';
import type { Expr } from '../../core/ast.ts';
import type { DataType } from '../../core/types.ts';
import { emitCast } from './cast-codegen.ts';
import { pathOf } from './column-path.ts';
import { functionByName } from './functions.ts';
import { literalToValue } from './literal.ts';
import { findRepeated, isCostly } from './repeated-expressions.ts';
import { type Repr, reprOf } from './repr.ts';
import { readValue } from './runtime/boxed.ts';
import { failureOf, raiseExpressionFailed } from './runtime/runtime.ts';

/** A value in generated code: JS expressions without side effects, cheap enough to stand more than once. */
export interface Val {
  readonly type: DataType;
  /** JS condition "is NULL"; 'false' and 'true' where that is known. The rest means nothing when it holds. */
  readonly nul: string;
  /** bool, num, big, box: the value. Unused for text. */
  readonly v: string;
  /** text: data, start, length, flag. */
  readonly d: string;
  readonly s: string;
  readonly l: string;
  readonly f: string;
}

/** What a function's body gives: a JS expression, or a statement that leaves text in the runtime's registers. */
export type Result =
  | { readonly value: string }
  /** `data`: where the bytes are; absent = the arena. */
  | { readonly text: string; readonly data?: string }
  /** A text that is there already. */
  | { readonly same: Val }
  /** JS expression of the value as boxed values have it (null = NULL), for functions over JS values. */
  | { readonly boxed: string };

export interface StrictOptions {
  /** The body's boxed result may be null. */
  readonly mayBeNull?: boolean;
  /** What the body (not an argument) raises becomes NULL. */
  readonly guarded?: boolean;
}

export type CallExpr = Extract<Expr, { kind: 'call' }>;

const ARENA = 'rt.data';

const neutral: Readonly<Record<Repr, string>> = { bool: 'false', num: '0', big: '0n', text: '', box: 'null' };

/** A declared text whose bytes can lie in one place only: then that place is known without a variable. */
function atHome(out: Val, result: Result): Val {
  const data = 'text' in result ? (result.data ?? ARENA) : 'same' in result ? result.same.d : '';
  return data === ARENA || /^[ck]\d+d?$/.test(data) ? { ...out, d: data } : out;
}

/** A sub-expression that stands more than once. */
interface Shared {
  /** Its value where it has been computed, and the block (see {@link Gen.line}) in which that holds. */
  computed: { readonly val: Val; readonly block: number } | null;
  /** Variables of the whole row, for when no earlier place is certain to have run; `done` tells that they are filled. */
  row: { readonly val: Val; readonly done: string } | null;
}

/**
 * Writes the body of a loop over rows. An expression that was given to {@link share} and stands there more than once is
 * computed at most once per row, and not before its first place is reached: what a CASE, AND or COALESCE leaves out
 * stays left out.
 */
export class Gen {
  #lines: string[] = [];
  /** Declarations at the beginning of the row's code. */
  readonly #head: string[] = [];
  readonly #shared = new Map<number, Shared>();
  /** Equal expressions have one number; those that are not the same each time have none. */
  readonly #numbers = new Map<Expr, number | null>();
  /** The blocks { … } that the next line stands in, outermost first. */
  readonly #blocks: number[] = [0];
  #nextBlock = 1;
  readonly #constants: unknown[] = [];
  readonly #constantNames = new Map<unknown, string>();
  /** Input columns and columns within them by path: '3', '3.fields[1]', '3.element'. */
  readonly #columns = new Map<string, { readonly name: string; readonly type: DataType }>();
  readonly #variables = new Map<number, Val>();
  #names = 0;
  #canFail = false;

  /** True when a row may raise a failure. */
  get canFail(): boolean {
    return this.#canFail;
  }

  get constants(): readonly unknown[] {
    return this.#constants;
  }

  fresh(prefix = 't'): string {
    return `${prefix}${this.#names++}`;
  }

  line(text: string): void {
    this.#lines.push(text);
    for (const char of text) {
      if (char === '{') this.#blocks.push(this.#nextBlock++);
      else if (char === '}') this.#blocks.pop();
    }
  }

  /** Finds what stands more than once in expressions that are then written in this order. */
  share(exprs: readonly Expr[]): void {
    for (const number of findRepeated(exprs, this.#numbers)) this.#shared.set(number, { computed: null, row: null });
  }

  /** A name for a value that is handed to the generated function. */
  constant(value: unknown): string {
    const known = this.#constantNames.get(value);
    if (known !== undefined) return known;
    const name = `k${this.#constants.length}`;
    this.#constants.push(value);
    this.#constantNames.set(value, name);
    return name;
  }

  /** A name for a function of the runtime. */
  fn(callee: (...args: never[]) => unknown): string {
    return this.constant(callee);
  }

  fails(): void {
    this.#canFail = true;
  }

  takeLines(): string {
    assert(this.#blocks.length === 1, () => 'the generated code leaves a block open');
    const text = [...this.#head, ...this.#lines].join('\n');
    this.#lines = [];
    return text;
  }

  /** Statements that bind the constants and the input columns used, for the head of the generated function. */
  prologue(): { readonly constants: string; readonly columns: string } {
    const constants = this.#constants.map((_, index) => `const k${index} = k[${index}];`).join('\n');
    const columns = [...this.#columns]
      .map(([path, { name: c, type }]) => {
        const [index, ...steps] = path.split('.');
        const column = [`cols[${index}]`, ...steps].join('.');
        if (reprOf(type) === 'text') {
          return `const ${c} = ${column}, ${c}d = ${c}.data, ${c}s = ${c}.start, ${c}l = ${c}.length, ${c}f = ${c}.nonAscii;`;
        }
        if (type.kind === 'array' || type.kind === 'map')
          return `const ${c} = ${column}, ${c}s = ${c}.start, ${c}l = ${c}.length;`;
        if (reprOf(type) === 'box') return `const ${c} = ${column};`;
        return `const ${c} = ${column}, ${c}v = ${c}.values, ${c}n = ${c}.valid;`;
      })
      .join('\n');
    return { constants, columns };
  }

  // ---- values -------------------------------------------------------------------------------------------------

  scalar(type: DataType, nul: string, v: string): Val {
    return { type, nul, v, d: '', s: '', l: '', f: '' };
  }

  textVal(type: DataType, nul: string, d: string, s: string, l: string, f: string): Val {
    return { type, nul, v: '', d, s, l, f };
  }

  nullVal(type: DataType): Val {
    return reprOf(type) === 'text'
      ? this.textVal(type, 'true', ARENA, '0', '0', '0')
      : this.scalar(type, 'true', neutral[reprOf(type)]);
  }

  /** The arguments of a kernel that takes text. */
  bytes(val: Val): string {
    return `${val.d}, ${val.s}, ${val.l}`;
  }

  bytesF(val: Val): string {
    return `${val.d}, ${val.s}, ${val.l}, ${val.f}`;
  }

  /** The value as a boxed JS value; only where it is not NULL. */
  boxed(val: Val): string {
    if (reprOf(val.type) !== 'text') return val.v;
    if (val.type.kind === 'binary') return `${val.d}.slice(${val.s}, ${val.s} + ${val.l})`;
    return `rt.text(${this.bytesF(val)})`;
  }

  /** The value as a boxed JS value or null. */
  boxedOrNull(val: Val): string {
    if (val.nul === 'true') return 'null';
    return val.nul === 'false' ? this.boxed(val) : `(${val.nul} ? null : ${this.boxed(val)})`;
  }

  /** Declares variables that a later {@link assign} fills; NULL until then when `nullable`. */
  declare(type: DataType, nullable: boolean): Val {
    const name = this.fresh('v');
    const nul = nullable ? `${name}n` : 'false';
    if (nullable) this.line(`let ${nul} = true;`);
    if (reprOf(type) === 'text') {
      this.line(`let ${name}d = ${ARENA}, ${name}s = 0, ${name}l = 0, ${name}f = 0;`);
      return this.textVal(type, nul, `${name}d`, `${name}s`, `${name}l`, `${name}f`);
    }
    this.line(`let ${name} = ${neutral[reprOf(type)]};`);
    return this.scalar(type, nul, name);
  }

  /** Fills declared variables from another value of the same type. */
  assign(to: Val, from: Val): void {
    if (from.nul === 'true') {
      this.line(`${to.nul} = true;`);
      return;
    }
    if (to.nul !== 'false') this.line(`${to.nul} = ${from.nul};`);
    if (reprOf(to.type) === 'text') {
      this.line(`${to.d} = ${from.d}; ${to.s} = ${from.s}; ${to.l} = ${from.l}; ${to.f} = ${from.f};`);
    } else {
      this.line(`${to.v} = ${from.v};`);
    }
  }

  /** Fills declared variables from the result of a function's body. */
  assignResult(to: Val, result: Result): void {
    if ('same' in result) {
      this.assign(to, result.same);
    } else if ('boxed' in result) {
      const name = this.fresh('b');
      this.line(`const ${name} = ${result.boxed};`);
      if (to.nul === 'false') {
        this.#unbox(to, name);
      } else {
        this.line(`if (${name} !== null) {`);
        this.line(`${to.nul} = false;`);
        this.#unbox(to, name);
        this.line('}');
      }
    } else {
      if (to.nul !== 'false') this.line(`${to.nul} = false;`);
      if ('text' in result) {
        this.line(`${result.text};`);
        // The data expression comes after the call: the arena may have moved.
        this.line(`${to.d} = ${result.data ?? ARENA}; ${to.s} = rt.s; ${to.l} = rt.l; ${to.f} = rt.f;`);
      } else {
        this.line(`${to.v} = ${result.value};`);
      }
    }
  }

  #unbox(to: Val, name: string): void {
    if (reprOf(to.type) !== 'text') {
      this.line(`${to.v} = ${name};`);
      return;
    }
    this.line(to.type.kind === 'binary' ? `rt.putBytes(${name});` : `rt.put(${name});`);
    this.line(`${to.d} = ${ARENA}; ${to.s} = rt.s; ${to.l} = rt.l; ${to.f} = rt.f;`);
  }

  /** The result as a value of its own, where nothing can be NULL. */
  #plain(type: DataType, result: Result): Val {
    if ('same' in result) return result.same;
    if ('boxed' in result) {
      const val = this.declare(type, false);
      this.assignResult(val, result);
      return val;
    }
    const name = this.fresh('v');
    if ('text' in result) {
      this.line(`${result.text};`);
      this.line(`const ${name}s = rt.s, ${name}l = rt.l, ${name}f = rt.f;`);
      return this.textVal(type, 'false', result.data ?? ARENA, `${name}s`, `${name}l`, `${name}f`);
    }
    this.line(`const ${name} = ${result.value};`);
    return this.scalar(type, 'false', name);
  }

  /**
   * A function that is NULL when any argument is: evaluates the arguments from left to right, stops at the first NULL,
   * and runs `body` on values that are all there.
   */
  strict(
    args: readonly Expr[],
    type: DataType,
    body: (vals: readonly Val[]) => Result,
    options: StrictOptions = {},
  ): Val {
    const nullable = options.mayBeNull === true || options.guarded === true || args.some((arg) => arg.nullable);
    if (!nullable) {
      const vals = args.map((arg) => this.expr(arg));
      if (vals.every((val) => val.nul === 'false')) return this.#plain(type, body(vals));
      return this.#strictOver(vals, type, body);
    }
    const out = this.declare(type, true);
    const vals: Val[] = [];
    let depth = 0;
    for (const arg of args) {
      const val = this.expr(arg);
      vals.push(val);
      if (val.nul === 'false') continue;
      this.line(`if (!(${val.nul})) {`);
      depth++;
    }
    if (options.guarded === true) this.line('try {');
    const result = body(vals);
    this.assignResult(out, result);
    if (options.guarded === true) {
      this.line(`} catch (thrown) { if (${this.fn(failureOf)}(thrown) === null) throw thrown; ${out.nul} = true; }`);
    }
    this.line('}'.repeat(depth));
    return atHome(out, result);
  }

  #strictOver(vals: readonly Val[], type: DataType, body: (vals: readonly Val[]) => Result): Val {
    const out = this.declare(type, true);
    this.line(`if (!(${vals.map((val) => val.nul).join(' || ')})) {`);
    const result = body(vals);
    this.assignResult(out, result);
    this.line('}');
    return atHome(out, result);
  }

  // ---- expressions --------------------------------------------------------------------------------------------

  expr(expr: Expr): Val {
    const number = this.#numbers.get(expr) ?? null;
    const shared = number === null ? undefined : this.#shared.get(number);
    return shared === undefined ? this.#compute(expr) : this.#once(expr, shared);
  }

  /** The value of an expression that stands more than once. */
  #once(expr: Expr, shared: Shared): Val {
    const known = shared.computed;
    if (known !== null && this.#blocks.includes(known.block)) return known.val;
    // At the row's own level everything that comes later stands behind it, and needs no flag.
    const isPlain = shared.row === null && (this.#blocks.length === 1 || !isCostly(expr));
    const val = isPlain ? this.#compute(expr) : this.#onceInRow(expr, shared);
    shared.computed = { val, block: must(this.#blocks.at(-1), () => 'no block is open') };
    return val;
  }

  #onceInRow(expr: Expr, shared: Shared): Val {
    shared.row ??= this.#declareInHead(expr);
    const { val, done } = shared.row;
    this.line(`if (!${done}) {`);
    const computed = this.#compute(expr);
    this.assign(val, computed);
    this.line(`${done} = true;`);
    this.line('}');
    return expr.nullable ? val : { ...val, nul: 'false' };
  }

  #declareInHead(expr: Expr): NonNullable<Shared['row']> {
    const lines = this.#lines;
    this.#lines = [];
    const val = this.declare(expr.type, true);
    const done = this.fresh('m');
    this.line(`let ${done} = false;`);
    this.#head.push(...this.#lines);
    this.#lines = lines;
    return { val, done };
  }

  #compute(expr: Expr): Val {
    switch (expr.kind) {
      case 'literal':
        return this.#literal(expr);
      case 'column':
        return this.#column(expr);
      case 'cast':
        return emitCast(this, expr);
      case 'case':
        return this.#case(expr);
      case 'field':
        return this.#field(expr);
      case 'variable':
        return must(this.#variables.get(expr.id), () => `lambda variable ${expr.name} is not bound`);
      case 'lambda':
        throw new TypeError('a lambda stands only as the argument of a higher-order function');
      case 'call':
        return must(functionByName(expr.name), () => `function ${expr.name} is not in the table`).emit(this, expr);
    }
  }

  #literal(expr: Extract<Expr, { kind: 'literal' }>): Val {
    const { type } = expr;
    if (expr.value === null) return this.nullVal(type);
    const value = literalToValue(type, expr.value);
    if (value instanceof Uint8Array) {
      const nonAscii = value.some((byte) => byte >= 0x80) ? '1' : '0';
      return this.textVal(type, 'false', this.constant(value), '0', String(value.length), nonAscii);
    }
    if (typeof value === 'boolean') return this.scalar(type, 'false', String(value));
    if (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0)) {
      return this.scalar(type, 'false', value < 0 ? `(${value})` : String(value));
    }
    return this.scalar(type, 'false', this.constant(value));
  }

  #column(expr: Extract<Expr, { kind: 'column' }>): Val {
    if (expr.type.kind === 'null') return this.nullVal(expr.type);
    return this.#read(String(expr.index), expr.type, expr.nullable, 'r');
  }

  /** Reads a column at a row. Where the row is not `r`, it must be there. */
  #read(path: string, type: DataType, nullable: boolean, row: string): Val {
    const c = this.#columnName(path, type);
    const name = this.fresh('v');
    switch (reprOf(type)) {
      case 'text':
        this.line(`const ${name}l = ${c}l[${row}];`);
        return this.textVal(
          type,
          nullable ? `${name}l < 0` : 'false',
          `${c}d`,
          `${c}s[${row}]`,
          `${name}l`,
          `${c}f[${row}]`,
        );
      case 'box':
        this.line(`const ${name} = ${this.fn(readValue)}(rt, ${c}, ${row}, ${this.constant(type)});`);
        return this.scalar(type, nullable ? `${name} === null` : 'false', name);
      case 'bool':
        return this.scalar(type, nullable ? `${c}n[${row}] === 0` : 'false', `(${c}v[${row}] !== 0)`);
      default:
        this.line(`const ${name} = ${c}v[${row}];`);
        return this.scalar(type, nullable ? `${c}n[${row}] === 0` : 'false', name);
    }
  }

  #columnName(path: string, type: DataType): string {
    const known = this.#columns.get(path);
    if (known !== undefined) return known.name;
    const name = `c${this.#columns.size}`;
    this.#columns.set(path, { name, type });
    return name;
  }

  #field(expr: Extract<Expr, { kind: 'field' }>): Val {
    const path = pathOf(expr);
    if (path !== null) return this.#read(path, expr.type, expr.nullable, 'r');
    return this.strict([expr.input], expr.type, ([input]) => ({ boxed: `${input?.v}[${expr.index}]` }), {
      mayBeNull: true,
    });
  }

  /**
   * The element of a list that lies in an input column, without making the list: `at` gives the JS expression of the
   * element's index from 0 (or a negative number: NULL) for the list's length. Null where the list is a computed one.
   */
  element(list: Expr, index: Expr, type: DataType, at: (index: string, length: string) => string): Val | null {
    const path = pathOf(list);
    if (path === null || list.type.kind !== 'array') return null;
    const c = this.#columnName(path, list.type);
    const out = this.declare(type, true);
    const position = this.expr(index);
    this.line(`if (!(${position.nul}) && ${c}l[r] >= 0) {`);
    const offset = this.fresh('e');
    this.line(`const ${offset} = ${at(position.v, `${c}l[r]`)};`);
    this.line(`if (${offset} >= 0) {`);
    const row = this.fresh('e');
    this.line(`const ${row} = ${c}s[r] + ${offset};`);
    this.assign(out, this.#read(`${path}.element`, type, true, row));
    this.line('}}');
    return out;
  }

  /** The length of a list or map that lies in an input column; null where it is a computed one. */
  listLength(expr: Expr): Val | null {
    const path = pathOf(expr);
    if (path === null) return null;
    const length = `${this.#columnName(path, expr.type)}l[r]`;
    return this.scalar({ kind: 'int' }, expr.nullable ? `${length} < 0` : 'false', length);
  }

  #case(expr: Extract<Expr, { kind: 'case' }>): Val {
    const out = this.declare(expr.type, true);
    for (const { when, then } of expr.branches) {
      const condition = this.expr(when);
      this.line(`if (${this.isTrue(condition)}) {`);
      this.assign(out, this.expr(then));
      this.line('} else {');
    }
    if (expr.otherwise !== null) this.assign(out, this.expr(expr.otherwise));
    this.line('}'.repeat(expr.branches.length));
    return expr.nullable ? out : { ...out, nul: 'false' };
  }

  /** JS condition: the boolean is there and true. */
  isTrue(val: Val): string {
    if (val.nul === 'true') return 'false';
    return val.nul === 'false' ? val.v : `!(${val.nul}) && ${val.v}`;
  }

  /**
   * A lambda as the name of a JS function over boxed values (null = NULL). It closes over the row, so it stands inside
   * the loop; it may raise.
   */
  lambda(expr: Extract<Expr, { kind: 'lambda' }>): string {
    const name = this.fresh('fn');
    const names = expr.params.map((param) => {
      const arg = this.fresh('a');
      return { param, arg };
    });
    this.line(`const ${name} = (${names.map(({ arg }) => arg).join(', ')}) => {`);
    for (const { param, arg } of names) this.#variables.set(param.id, this.fromBoxed(param.type, arg, param.nullable));
    const body = this.expr(expr.body);
    this.line(`return ${this.boxedOrNull(body)};`);
    this.line('};');
    return name;
  }

  /** A value from a boxed JS expression that may be null. */
  fromBoxed(type: DataType, boxed: string, nullable: boolean): Val {
    const out = this.declare(type, nullable);
    this.assignResult(out, { boxed });
    return out;
  }

  /** Statement for what must not happen for this row. */
  raise(): string {
    this.fails();
    return `${this.fn(raiseExpressionFailed)}();`;
  }
}
