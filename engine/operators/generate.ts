import { must } from '../../core/assert.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { Column, RowOrigins } from '../column-batch.ts';
import type { StageOperator } from '../plan/stage-plan.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import { gather, gatherOrigins } from './gather.ts';
import type { Operator, Rows, RunContext } from './operator.ts';
import { Project } from './project.ts';

type GeneratePlan = Extract<StageOperator, { kind: 'generate' }>;

/**
 * explode, posexplode and inline: one row per element of an array or entry of a map, the input's columns repeated and
 * the element's behind them; `outer` keeps rows without elements, with NULLs. Keeps nothing between batches. Rows of
 * one record get consecutive indexes in `origins.index`, also when several operators of this kind follow each other.
 */
export class Generate implements Operator {
  readonly #plan: GeneratePlan;
  readonly #input: Project;
  /** Columns that somebody behind reads; the others are not repeated but replaced by an empty stand-in. */
  readonly #needed: ReadonlySet<number>;

  constructor(plan: GeneratePlan, needed: ReadonlySet<number>, runtime: Runtime) {
    this.#plan = plan;
    this.#needed = needed;
    const { type, nullable } = plan.input;
    this.#input = new Project([{ name: plan.generator, type, nullable, expr: plan.input }], runtime);
  }

  apply(rows: Rows, context: RunContext): Rows {
    const input = this.#input.dense(rows, context);
    const nested = must(input.columns[0], () => 'generate has no input column');
    const places = this.#places(rows, nested, context);
    const { from, element, position, count } = places;
    const columns = rows.batch.columns.map((column, index) =>
      this.#needed.has(index) ? gather(column, from, count) : column,
    );
    const origins = withIndexes(gatherOrigins(rows.batch.origins, from, count));
    const generated = this.#generated(nested, element, position, count);
    return { batch: { rowCount: count, columns: [...columns, ...generated], origins }, selection: null, count };
  }

  /** For each output row: its input row, its element, and the element's position in its list (-1 = none). */
  #places(rows: Rows, nested: Column, context: RunContext): Places {
    if (nested.kind !== 'list' && nested.kind !== 'map')
      throw new TypeError(`cannot generate rows from a ${nested.kind} column`);
    const { start, length } = nested;
    const { record } = rows.batch.origins;
    let total = 0;
    for (let index = 0; index < rows.count; index++)
      total += Math.max(length[index] as number, this.#plan.outer ? 1 : 0);
    const from = new Int32Array(total);
    const element = new Int32Array(total);
    const position = new Int32Array(total);
    let count = 0;
    for (let index = 0; index < rows.count; index++) {
      const row = rows.selection === null ? index : (rows.selection[index] as number);
      if (context.failures.size > 0 && context.failures.has(record[row] as number)) continue;
      const elements = length[index] as number;
      for (let at = 0; at < elements; at++) {
        from[count] = row;
        element[count] = (start[index] as number) + at;
        position[count++] = at;
      }
      if (elements <= 0 && this.#plan.outer) {
        from[count] = row;
        element[count] = -1;
        position[count++] = -1;
      }
    }
    return { from, element, position, count };
  }

  #generated(nested: Column, element: Int32Array, position: Int32Array, count: number): Column[] {
    const columns: Column[] = [];
    if (this.#plan.generator === 'posexplode') {
      const valid = new Uint8Array(count);
      for (let row = 0; row < count; row++) valid[row] = (position[row] as number) < 0 ? 0 : 1;
      columns.push({ kind: 'i32', values: position.slice(0, count), valid });
    }
    if (nested.kind === 'map') {
      columns.push(gather(nested.keys, element, count), gather(nested.values, element, count));
    } else if (nested.kind === 'list' && this.#plan.generator === 'inline') {
      if (nested.element.kind !== 'struct') throw new TypeError('inline takes an array of structs');
      for (const field of nested.element.fields) columns.push(gather(field, element, count));
    } else if (nested.kind === 'list') {
      columns.push(gather(nested.element, element, count));
    }
    return columns;
  }
}

interface Places {
  readonly from: Int32Array;
  readonly element: Int32Array;
  readonly position: Int32Array;
  readonly count: number;
}

/** Gives consecutive rows of one record the indexes 0, 1, … in place. */
export function withIndexes(origins: RowOrigins): RowOrigins {
  const { record, index } = origins;
  for (let row = 1; row < record.length; row++)
    index[row] = record[row] === record[row - 1] ? (index[row - 1] as number) + 1 : 0;
  if (index.length > 0) index[0] = 0;
  return origins;
}

/** The columns that a generator appends, for an input of `type`: Spark's names where the query gives none. */
export function generatedColumns(
  generator: GeneratePlan['generator'],
  type: DataType,
  outer: boolean,
): Schema | undefined {
  const position: Schema = generator === 'posexplode' ? [{ name: 'pos', type: { kind: 'int' }, nullable: outer }] : [];
  if (generator === 'inline') {
    if (type.kind !== 'array' || type.element.kind !== 'struct') return undefined;
    const nullable = outer || type.containsNull;
    return type.element.fields.map((field) => ({ ...field, nullable: field.nullable || nullable }));
  }
  if (type.kind === 'array')
    return [...position, { name: 'col', type: type.element, nullable: outer || type.containsNull }];
  if (type.kind !== 'map') return undefined;
  return [
    ...position,
    { name: 'key', type: type.key, nullable: outer },
    { name: 'value', type: type.value, nullable: outer || type.valueContainsNull },
  ];
}
