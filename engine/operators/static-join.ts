import { must } from '../../core/assert.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { Filter } from './filter.ts';
import { gather, gatherOrigins } from './gather.ts';
import { withIndexes } from './generate.ts';
import { equalsNothing } from './join-keys.ts';
import { FailureLog, type Operator, type Rows, type RunContext, type StaticRows } from './operator.ts';
import { Project } from './project.ts';

type StaticJoinPlan = Extract<EpochOperator, { kind: 'staticJoin' }>;

/** Pairs that the residual condition is tried on at once. */
const PAIRS_MAX = 1 << 15;

/**
 * Joins the rows of a stream with those of a static table by hash: each row with its matches in the table's order, in
 * the rows' own order. A key that is NULL matches nothing unless its equality is null-safe. Keeps the table's hash for
 * as long as the epochs see the same rows of it, and nothing of the stream.
 */
export class StaticJoin implements Operator {
  readonly #plan: StaticJoinPlan;
  readonly #leftKeys: Keys;
  readonly #rightKeys: Keys;
  readonly #residual: Filter | null;
  #built: { readonly table: StaticRows; readonly hash: Hash } | null = null;

  constructor(plan: StaticJoinPlan, runtime: Runtime) {
    this.#plan = plan;
    this.#leftKeys = new Keys(plan, 'left', runtime);
    this.#rightKeys = new Keys(plan, 'right', runtime);
    this.#residual = plan.residual === null ? null : new Filter(plan.residual, runtime);
  }

  apply(rows: Rows, context: RunContext): Rows {
    const { type } = this.#plan;
    const table = this.#table(context);
    const pairs = this.#pairs(rows, table, context);
    if (type === 'semi' || type === 'anti') return keep(rows, pairs.matched, type === 'semi');
    const { left, right, count } = type === 'left' ? withUnmatched(rows, pairs) : pairs;
    const columns = [
      ...rows.batch.columns.map((column) => gather(column, left, count)),
      ...table.batch.columns.map((column) => gather(column, right, count)),
    ];
    const origins = withIndexes(gatherOrigins(rows.batch.origins, left, count));
    return { batch: { rowCount: count, columns, origins }, selection: null, count };
  }

  #table({ epoch }: RunContext): StaticRows {
    const { table } = this.#plan;
    return must(epoch?.statics.get(table), () => `the static table ${table} has no rows yet`);
  }

  /** Pairs of rows that match, in the order of the stream's rows and then of the table's. */
  #pairs(rows: Rows, table: StaticRows, context: RunContext): Pairs {
    const hash = this.#hash(table, context);
    const keyOf = this.#leftKeys.of(rows, context);
    const pairs = new Pairs(rows.count);
    let tried = new Candidates();
    for (let index = 0; index < rows.count; index++) {
      const key = keyOf(index);
      if (key === null) continue;
      for (let match = hash.find(key); match >= 0; match = hash.next(match)) {
        if (this.#residual === null) pairs.add(index, rowAt(rows, index), match);
        else tried.add(index, rowAt(rows, index), match);
        if (tried.count < PAIRS_MAX) continue;
        this.#try(tried, rows.batch, table.batch, pairs, context);
        tried = new Candidates();
      }
    }
    if (tried.count > 0) this.#try(tried, rows.batch, table.batch, pairs, context);
    return pairs;
  }

  #try(tried: Candidates, stream: ColumnBatch, table: ColumnBatch, pairs: Pairs, context: RunContext): void {
    const { count } = tried;
    const left = Int32Array.from(tried.left);
    const right = Int32Array.from(tried.right);
    const origins = gatherOrigins(stream.origins, left, count);
    const columns = [
      ...stream.columns.map((column) => gather(column, left, count)),
      ...table.columns.map((column) => gather(column, right, count)),
    ];
    const { runtime } = context;
    runtime.origins = origins;
    const all: Rows = { batch: { rowCount: count, columns, origins }, selection: null, count };
    const passed = must(this.#residual, () => 'pairs are tried without a condition').apply(all, context);
    runtime.origins = stream.origins;
    for (let at = 0; at < passed.count; at++) {
      const pair = rowAt(passed, at);
      pairs.add(tried.index[pair] as number, left[pair] as number, right[pair] as number);
    }
  }

  #hash(table: StaticRows, context: RunContext): Hash {
    if (this.#built?.table === table) return this.#built.hash;
    const { batch } = table;
    const { runtime } = context;
    // The failures of the table's own rows concern no record: such a row has no key and matches nothing.
    const log = new FailureLog([]);
    const streamOrigins = runtime.origins;
    runtime.origins = batch.origins;
    const keyOf = this.#rightKeys.of({ batch, selection: null, count: batch.rowCount }, { ...context, failures: log });
    runtime.origins = streamOrigins;
    const hash = new Hash(batch.rowCount);
    for (let row = batch.rowCount - 1; row >= 0; row--) {
      const key = log.has(batch.origins.record[row] as number) ? null : keyOf(row);
      if (key !== null) hash.add(key, row);
    }
    this.#built = { table, hash };
    return hash;
  }
}

/** The table's rows by key, each key's in the table's order. */
class Hash {
  readonly #keys = new KeyDictionary();
  /** By key: its first row. By row: the next one of its key. Plus one; 0 = none. */
  readonly #first: Int32Array;
  readonly #next: Int32Array;

  constructor(rowCount: number) {
    this.#first = new Int32Array(rowCount);
    this.#next = new Int32Array(rowCount);
  }

  /** Adds a row before those of its key. */
  add(key: ByteBuffer, row: number): void {
    const id = this.#keys.add(key.bytes, 0, key.length);
    this.#next[row] = this.#first[id] as number;
    this.#first[id] = row + 1;
  }

  /** The first row of a key; -1 = none. Go on with {@link next}. */
  find(key: ByteBuffer): number {
    const id = this.#keys.find(key.bytes, 0, key.length);
    return id < 0 ? -1 : (this.#first[id] as number) - 1;
  }

  next(row: number): number {
    return (this.#next[row] as number) - 1;
  }
}

/** The join keys of one side. */
class Keys {
  readonly #nullSafe: readonly boolean[];
  readonly #project: Project;
  readonly #encoder: KeyEncoder;
  readonly #key = new ByteBuffer();

  constructor({ equi }: StaticJoinPlan, side: 'left' | 'right', runtime: Runtime) {
    const exprs = equi.map((equality) => equality[side]);
    this.#nullSafe = equi.map(({ nullSafe }) => nullSafe);
    const columns = exprs.map((expr) => ({ name: 'ON', type: expr.type, nullable: expr.nullable, expr }));
    this.#project = new Project(columns, runtime);
    this.#encoder = new KeyEncoder(exprs.map(({ type }) => type));
  }

  /** Reads the key of a row, by its place in the rows on their way; null = it equals nothing. */
  of(rows: Rows, context: RunContext): (index: number) => ByteBuffer | null {
    const batch = this.#project.dense(rows, context);
    const skips = equalsNothing(batch.columns, this.#nullSafe);
    this.#encoder.bind(batch.columns);
    return (index) => {
      if (skips(index)) return null;
      this.#key.clear();
      this.#encoder.encode(index, this.#key);
      return this.#key;
    };
  }
}

class Candidates {
  readonly index: number[] = [];
  readonly left: number[] = [];
  readonly right: number[] = [];

  get count(): number {
    return this.index.length;
  }

  add(index: number, left: number, right: number): void {
    this.index.push(index);
    this.left.push(left);
    this.right.push(right);
  }
}

/** Pairs that match, by row of the batch and row of the table. */
class Pairs {
  left = new Int32Array(64);
  right = new Int32Array(64);
  count = 0;
  /** By place in the rows on their way: how many pairs it has. */
  readonly matched: Int32Array;

  constructor(rowCount: number) {
    this.matched = new Int32Array(rowCount);
  }

  add(index: number, left: number, right: number): void {
    if (this.count === this.left.length) {
      this.left = grown(this.left);
      this.right = grown(this.right);
    }
    this.left[this.count] = left;
    this.right[this.count++] = right;
    this.matched[index] = (this.matched[index] as number) + 1;
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

function rowAt(rows: Rows, index: number): number {
  return rows.selection === null ? index : (rows.selection[index] as number);
}

/** The pairs, and a pair with nothing (-1) in its place for every row that has none. */
function withUnmatched(rows: Rows, pairs: Pairs): { left: Int32Array; right: Int32Array; count: number } {
  const left = new Int32Array(pairs.count + rows.count);
  const right = new Int32Array(pairs.count + rows.count);
  let count = 0;
  let pair = 0;
  for (let index = 0; index < rows.count; index++) {
    const matches = pairs.matched[index] as number;
    if (matches === 0) {
      left[count] = rowAt(rows, index);
      right[count++] = -1;
    }
    for (const end = pair + matches; pair < end; pair++) {
      left[count] = pairs.left[pair] as number;
      right[count++] = pairs.right[pair] as number;
    }
  }
  return { left, right, count };
}

function keep(rows: Rows, matched: Int32Array, wanted: boolean): Rows {
  const selection = new Int32Array(rows.count);
  let count = 0;
  for (let index = 0; index < rows.count; index++)
    if ((matched[index] as number) > 0 === wanted) selection[count++] = rowAt(rows, index);
  return { batch: rows.batch, selection, count };
}
