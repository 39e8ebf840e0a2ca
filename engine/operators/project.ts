import { assert, must } from '../../core/assert.ts';
import type { Expr } from '../../core/ast.ts';
import type { DataType } from '../../core/types.ts';
import type { Column, ColumnBatch, RowOrigins } from '../column-batch.ts';
import type { ProjectedColumn } from '../plan/stage-plan.ts';
import { Gen, type Val } from '../sql/codegen.ts';
import { pathOf } from '../sql/column-path.ts';
import { reprOf } from '../sql/repr.ts';
import { isFreeCast } from '../sql/coercion.ts';
import { literalToValue } from '../sql/literal.ts';
import { buildColumn } from '../sql/runtime/boxed.ts';
import { generated } from '../sql/generated.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import { gather, gatherOrigins } from './gather.ts';
import type { FailureLog, Operator, Rows, RunContext } from './operator.ts';

type ProjectLoop = (
  cols: ColumnBatch['columns'],
  selection: Int32Array | null,
  count: number,
  origins: RowOrigins,
  failures: FailureLog,
) => readonly Column[];

/**
 * Replaces the columns by those of a select list. Keeps nothing between batches. A column that is passed on stays as it
 * is; where others are computed, by one generated loop, its rows are gathered when some were filtered out.
 */
export class Project implements Operator {
  readonly #columns: readonly OutputColumn[];
  readonly #loop: ProjectLoop | null;

  constructor(columns: readonly ProjectedColumn[], runtime: Runtime) {
    let computed = 0;
    this.#columns = columns.map(({ expr }) => {
      const source = sourceOf(expr);
      if (source !== null) return { kind: 'passed', read: source };
      if (expr.kind === 'literal' && reprOf(expr.type) !== 'box') return { kind: 'constant', expr };
      return { kind: 'computed', index: computed++ };
    });
    const toCompute = columns.filter((_, index) => this.#columns[index]?.kind === 'computed');
    this.#loop = toCompute.length === 0 ? null : compileProject(toCompute, runtime);
  }

  apply(rows: Rows, context: RunContext): Rows {
    if (this.#loop === null) {
      const { batch } = rows;
      return { ...rows, batch: { ...batch, columns: this.#columns.map((column) => this.#whole(column, batch)) } };
    }
    const batch = this.dense(rows, context);
    return { batch, selection: null, count: batch.rowCount };
  }

  /** As {@link apply}, with the rows one behind the other. */
  dense({ batch, selection, count }: Rows, context: RunContext): ColumnBatch {
    const computed = this.#loop?.(batch.columns, selection, count, batch.origins, context.failures) ?? [];
    const columns = this.#columns.map((column): Column => {
      switch (column.kind) {
        case 'passed': {
          const input = column.read(batch.columns);
          return selection === null ? input : gather(input, selection, count);
        }
        case 'constant':
          return constantColumn(column.expr, count);
        case 'computed':
          return must(computed[column.index], () => `computed column ${column.index} is missing`);
      }
    });
    const origins = selection === null ? batch.origins : gatherOrigins(batch.origins, selection, count);
    return { rowCount: count, columns, origins };
  }

  #whole(column: OutputColumn, batch: ColumnBatch): Column {
    assert(column.kind !== 'computed', () => 'a computed column has no loop');
    return column.kind === 'passed' ? column.read(batch.columns) : constantColumn(column.expr, batch.rowCount);
  }
}

type OutputColumn =
  | { readonly kind: 'passed'; readonly read: (columns: readonly Column[]) => Column }
  | { readonly kind: 'constant'; readonly expr: Extract<Expr, { kind: 'literal' }> }
  | { readonly kind: 'computed'; readonly index: number };

/** Where an expression is a column, a struct's field within one, or a conversion that changes no bytes of one. */
function sourceOf(expr: Expr): ((columns: readonly Column[]) => Column) | null {
  if (expr.kind === 'cast') return isFreeCast(expr.input.type, expr.type) ? sourceOf(expr.input) : null;
  if (pathOf(expr) === null) return null;
  if (expr.kind === 'column')
    return (columns) => must(columns[expr.index], () => `input column ${expr.index} is missing`);
  if (expr.kind !== 'field') return null;
  const parent = sourceOf(expr.input);
  if (parent === null) return null;
  return (columns) => {
    const struct = parent(columns);
    return must(
      struct.kind === 'struct' ? struct.fields[expr.index] : null,
      () => `field ${expr.index} is not in the column`,
    );
  };
}

function constantColumn(expr: Extract<Expr, { kind: 'literal' }>, count: number): Column {
  const value = expr.value === null ? null : literalToValue(expr.type, expr.value);
  if (value instanceof Uint8Array || reprOf(expr.type) === 'text') {
    const data = value instanceof Uint8Array ? value : new Uint8Array(0);
    return {
      kind: 'bytes',
      data,
      start: new Int32Array(count),
      length: new Int32Array(count).fill(value === null ? -1 : data.length),
      nonAscii: new Uint8Array(count).fill(data.some((byte) => byte >= 0x80) ? 1 : 0),
    };
  }
  const valid = new Uint8Array(count).fill(value === null ? 0 : 1);
  switch (expr.type.kind) {
    case 'bigint':
    case 'decimal': {
      const number = typeof value === 'bigint' ? value : 0n;
      if (expr.type.kind === 'decimal' && expr.type.precision > 18) {
        return { kind: 'big', values: new Array<bigint>(count).fill(number), valid };
      }
      const values = new BigInt64Array(count).fill(number);
      return { kind: 'i64', values, words: new Int32Array(values.buffer), valid };
    }
    case 'float':
    case 'double':
    case 'timestamp':
    case 'interval':
      return { kind: 'f64', values: new Float64Array(count).fill(Number(value ?? 0)), valid };
    default:
      return { kind: 'i32', values: new Int32Array(count).fill(Number(value ?? 0)), valid };
  }
}

function compileProject(columns: readonly ProjectedColumn[], runtime: Runtime): ProjectLoop {
  const gen = new Gen();
  gen.share(columns.map(({ expr }) => expr));
  const outputs = columns.map((column, index) => emitOutput(gen, column, index));
  const body = gen.takeLines();
  const places = gen.constant(columns.map(({ name }) => name));
  const { constants, columns: inputs } = gen.prologue();
  const source = `'use strict';
${constants}
return function (cols, sel, n, origins, failures) {
${inputs}
${outputs.map(({ declare }) => declare).join('\n')}
let at = 0;
for (let i = 0; i < n; i++) {
const r = sel === null ? i : sel[i];
${gen.canFail ? `try {\n${body}\n} catch (thrown) { failures.caught(thrown, origins, r, ${places}[at]); }` : body}
}
return [${outputs.map(({ result }) => result).join(', ')}];
};`;
  return generated(source, gen.constants, runtime) as ProjectLoop;
}

interface OutputCode {
  /** Statements before the loop. */
  readonly declare: string;
  /** JS expression of the finished column. */
  readonly result: string;
}

function emitOutput(gen: Gen, column: ProjectedColumn, index: number): OutputCode {
  const o = `o${index}`;
  gen.line(`at = ${index};`);
  const val = gen.expr(column.expr);
  return emitStore(gen, column.type, val, o);
}

function emitStore(gen: Gen, type: DataType, val: Val, o: string): OutputCode {
  const whenPresent = (store: string, otherwise = ''): void => {
    if (val.nul === 'true') gen.line(otherwise);
    else if (val.nul === 'false') gen.line(store);
    else gen.line(`if (${val.nul}) { ${otherwise} } else { ${store} }`);
  };
  switch (reprOf(type)) {
    case 'text': {
      // Bytes that stand in an input column are left there; all others end up in the arena.
      const home = /^c\d+d$/.test(val.d) ? val.d : null;
      const place = `${o}s[i] = rt.s; ${o}l[i] = rt.l; ${o}f[i] = rt.f;`;
      const there = `${o}s[i] = ${val.s}; ${o}l[i] = ${val.l}; ${o}f[i] = ${val.f};`;
      const isThere = home !== null || val.d === 'rt.data';
      whenPresent(isThere ? there : `rt.keep(${gen.bytesF(val)}); ${place}`, `${o}l[i] = -1;`);
      return {
        declare: `const ${o}s = new Int32Array(n), ${o}l = new Int32Array(n), ${o}f = new Uint8Array(n);`,
        result: `{ kind: 'bytes', data: ${home ?? 'rt.data'}, start: ${o}s, length: ${o}l, nonAscii: ${o}f }`,
      };
    }
    case 'box':
      whenPresent(`${o}[i] = ${val.v};`);
      return {
        declare: `const ${o} = new Array(n).fill(null);`,
        result: `${gen.fn(buildColumn)}(rt, ${gen.constant(type)}, ${o})`,
      };
    case 'big':
      whenPresent(`${o}v[i] = ${val.v}; ${o}n[i] = 1;`);
      if (type.kind === 'decimal' && type.precision > 18) {
        return {
          declare: `const ${o}v = new Array(n).fill(0n), ${o}n = new Uint8Array(n);`,
          result: `{ kind: 'big', values: ${o}v, valid: ${o}n }`,
        };
      }
      return {
        declare: `const ${o}v = new BigInt64Array(n), ${o}n = new Uint8Array(n);`,
        result: `{ kind: 'i64', values: ${o}v, words: new Int32Array(${o}v.buffer), valid: ${o}n }`,
      };
    default: {
      const isDouble =
        type.kind === 'float' || type.kind === 'double' || type.kind === 'timestamp' || type.kind === 'interval';
      whenPresent(`${o}v[i] = ${reprOf(type) === 'bool' ? `${val.v} ? 1 : 0` : val.v}; ${o}n[i] = 1;`);
      return {
        declare: `const ${o}v = new ${isDouble ? 'Float64Array' : 'Int32Array'}(n), ${o}n = new Uint8Array(n);`,
        result: `{ kind: '${isDouble ? 'f64' : 'i32'}', values: ${o}v, valid: ${o}n }`,
      };
    }
  }
}
