/**
 * What follows a source or a state operator within a stage: the operators of one branch, the rows' key groups in the
 * stage they go to, and their frames.
 */
import { assert, must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import { identity } from '../operators/aggregate-accumulator.ts';
import { GIVEN, isPast, WITHDRAWN } from '../operators/changes.ts';
import { gather, gatherOrigins } from '../operators/gather.ts';
import { FailureLog } from '../operators/operator.ts';
import type { EpochScope, Rows } from '../operators/operator.ts';
import { PaneAggregate } from '../operators/pane-aggregate.ts';
import { PartialAggregate, type RowsAddedUp } from '../operators/partial-aggregate.ts';
import { compileProgram } from '../operators/program.ts';
import type { Program } from '../operators/program.ts';
import { TopRows } from '../operators/top-rows.ts';
import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import type { Branch } from '../plan/epoch-plan.ts';
import { keyGroupOfHash } from '../state/key-encoder.ts';
import { KeyRows } from '../state/key-rows.ts';
import type { Frame, Routing } from './contract.ts';
import { concatBatches, copyOf, framesOf } from './frame.ts';

/** Rows at the end of a branch. */
export interface BranchRows {
  readonly batch: ColumnBatch;
  /** Key group of the sending state stage that each row came out of; null behind a source. */
  readonly fromGroups: Uint8Array | null;
  /** What became of each row (changes.ts); null = all are given. */
  readonly changes: Uint8Array | null;
}

/** By row of a state operator's output. */
export interface SentBy {
  readonly groups: Uint8Array;
  readonly changes: Uint8Array | null;
}

/** Rows behind the operators that still know which record each row came from. */
export interface RecordRows {
  /** Without a partial aggregate behind them: all rows of the batch. */
  readonly rows: Rows;
  /** As in {@link BranchRows}, by row of the batch. */
  readonly fromGroups: Uint8Array | null;
  readonly changes: Uint8Array | null;
}

export class BranchRunner {
  readonly branch: Branch;
  readonly index: number;
  readonly #rows: Program;
  readonly #partial: RowsAddedUp | null;
  readonly #keys: KeyGroups | null;
  readonly #top: TopRows | null;

  /** `input`: what the operators start from. Throws: UNSUPPORTED. */
  constructor(branch: Branch, index: number, input: Schema, timeZone: string) {
    this.branch = branch;
    this.index = index;
    const { operators, output, target } = branch;
    const columns = input.map(({ name, type }) => ({
      kind: 'field' as const,
      name,
      path: name,
      type,
      required: false,
    }));
    const plan = { columns, operators, output, timeZone };
    this.#partial = this.newPartial();
    this.#rows = compileProgram(plan, 0, operators.length - (this.#partial === null ? 0 : 1));
    this.#keys = target.kind === 'exchange' && target.keys.length > 0 ? new KeyGroups(target.keys, output) : null;
    this.#top =
      target.kind === 'exchange' && target.top !== undefined ? new TopRows(target.keys, target.top, output) : null;
  }

  /** Rows are added up before they go on: see {@link add}. */
  get isPartial(): boolean {
    return this.#partial !== null;
  }

  /**
   * Everything up to the partial aggregate, if there is one. Failures name records; the rows of those are left out.
   * `from`: key group and code by record, behind a state operator, where a record is a row of its output.
   */
  run(input: ColumnBatch, from: SentBy | null, scope: EpochScope, failures: RowFailure[]): RecordRows {
    if (from === null && this.#partial !== null)
      return { rows: this.#rows.runRows(input, failures, scope), fromGroups: null, changes: null };
    const batch = this.#rows.run(input, failures, scope);
    const rows = { batch, selection: null, count: batch.rowCount };
    if (from === null) return { rows, fromGroups: null, changes: null };
    const { groups, changes } = from;
    const { record } = batch.origins;
    const byRow = (values: Uint8Array): Uint8Array => {
      const bytes = new Uint8Array(batch.rowCount);
      for (let row = 0; row < bytes.length; row++) bytes[row] = values[record[row]!]!;
      return bytes;
    };
    return { rows, fromGroups: byRow(groups), changes: changes && byRow(changes) };
  }

  // ---- a partial aggregate behind a source: over all chunks of a task, or of a range -------------------------------

  /** A partial aggregate of the branch's own kind; null when it has none. */
  newPartial(): RowsAddedUp | null {
    const { operators, output } = this.branch;
    const last = operators.at(-1);
    if (last?.kind !== 'partialAggregate') return null;
    return last.panes === undefined ? new PartialAggregate(last, output) : new PaneAggregate(last, output);
  }

  // ---- behind a state operator -------------------------------------------------------------------------------------

  /**
   * The rows, after the partial aggregate over them, if there is one. Behind a state operator it is made for each of its
   * key groups on its own, so that what it adds up does not depend on which groups live together.
   */
  finish(given: RecordRows, failures: RowFailure[]): BranchRows {
    const { fromGroups, changes } = given;
    const { batch } = given.rows;
    const partial = this.#partial;
    if (partial === null) return { batch, fromGroups, changes };
    const log = new FailureLog(failures);
    if (fromGroups === null) {
      partial.begin();
      partial.add(given.rows, log);
      return { batch: partial.finish(-Infinity), fromGroups: null, changes: null };
    }
    if (batch.rowCount === 0) {
      // A global aggregate gives a row of nothing; it adds nothing wherever it is folded.
      partial.begin();
      const nothing = partial.finish(-Infinity);
      return { batch: nothing, fromGroups: new Uint8Array(nothing.rowCount), changes: null };
    }
    const parts: ColumnBatch[] = [];
    const groups: number[] = [];
    const codes: number[] = [];
    const add = (group: number, code: number, index: Int32Array): void => {
      if (index.length === 0) return;
      partial.begin();
      partial.add({ batch, selection: index, count: index.length }, log);
      // Its memory is used again by the next one.
      const part = copyOf(partial.finish(-Infinity));
      parts.push(part);
      for (let row = 0; row < part.rowCount; row++) {
        groups.push(group);
        codes.push(code);
      }
    };
    for (const [group, index] of rowsByGroup(fromGroups)) {
      if (changes !== null)
        add(
          group,
          WITHDRAWN,
          index.filter((row) => isPast(changes[row]!)),
        );
      add(group, GIVEN, changes === null ? index : index.filter((row) => !isPast(changes[row]!)));
    }
    return {
      batch: concatBatches(parts),
      fromGroups: Uint8Array.from(groups),
      changes: changes === null ? null : Uint8Array.from(codes),
    };
  }

  /** The rows as frames, for a branch that ends in an exchange: those of them that matter there. */
  frames(
    given: BranchRows,
    from: { readonly stage: number; readonly partition: number; readonly sequence: number },
    routing: Routing,
  ): Frame[] {
    const { target } = this.branch;
    assert(target.kind === 'exchange', () => 'frames of a branch that ends in the sinks');
    const rows = this.#top === null ? given : topOf(given, this.#top);
    const groups = this.#keys?.of(rows.batch) ?? new Uint8Array(rows.batch.rowCount);
    return framesOf(
      {
        stage: target.stage,
        port: target.port,
        fromStage: from.stage,
        fromPartition: from.partition,
        sequence: from.sequence,
        fromBranch: this.index,
      },
      { batch: target.changes === true ? withChanges(rows) : rows.batch, groups, fromGroups: rows.fromGroups },
      routing,
    );
  }
}

/** Behind a state operator of each of its key groups on its own: which of them live together may not matter. */
function topOf(rows: BranchRows, top: TopRows): BranchRows {
  const { batch, fromGroups, changes } = rows;
  if (changes !== null || batch.rowCount === 0) return rows;
  const all = identity(batch.rowCount).subarray(0, batch.rowCount);
  if (fromGroups === null) {
    const index = top.select(batch, all);
    return index.length === batch.rowCount ? rows : { batch: rowsAt(batch, index), fromGroups: null, changes: null };
  }
  const index = Int32Array.from([...rowsByGroup(fromGroups)].flatMap(([, own]) => [...top.select(batch, own)]));
  return {
    batch: rowsAt(batch, index),
    fromGroups: Uint8Array.from(index, (row) => fromGroups[row]!),
    changes: null,
  };
}

/** With a column for what became of each row. */
function withChanges({ batch, changes }: BranchRows): ColumnBatch {
  const { rowCount, columns } = batch;
  const values = new Int32Array(rowCount);
  if (changes !== null) values.set(changes.subarray(0, rowCount));
  return { ...batch, columns: [...columns, { kind: 'i32', values, valid: new Uint8Array(rowCount).fill(1) }] };
}

/** Key groups of rows by their key columns. */
class KeyGroups {
  readonly #columns: readonly number[];
  readonly #rows: KeyRows;

  constructor(columns: readonly number[], schema: Schema) {
    this.#columns = columns;
    this.#rows = new KeyRows(columns.map((index) => must(schema[index], () => `key ${index} is no column`).type));
  }

  of({ rowCount, columns }: ColumnBatch): Uint8Array {
    const keys = this.#columns.map((index) => must(columns[index], () => `key ${index} is missing`));
    this.#rows.encode(keys, identity(rowCount), rowCount);
    const { hash } = this.#rows;
    const groups = new Uint8Array(rowCount);
    for (let row = 0; row < rowCount; row++) groups[row] = keyGroupOfHash(hash[row]!);
    return groups;
  }
}

/** All rows by their group, ascending; those of a group in their order. */
export function rowsInGroupOrder(groups: Uint8Array): Int32Array {
  const next = new Int32Array(KEY_GROUPS + 1);
  for (let row = 0; row < groups.length; row++) next[groups[row]! + 1]!++;
  for (let group = 1; group < KEY_GROUPS; group++) next[group]! += next[group - 1]!;
  const order = new Int32Array(groups.length);
  for (let row = 0; row < groups.length; row++) order[next[groups[row]!]!++] = row;
  return order;
}

/** Rows of each group that has any. */
function* rowsByGroup(groups: Uint8Array): Generator<readonly [group: number, rows: Int32Array]> {
  const order = rowsInGroupOrder(groups);
  for (let from = 0; from < order.length;) {
    const group = groups[order[from]!]!;
    let to = from + 1;
    while (to < order.length && groups[order[to]!] === group) to++;
    yield [group, order.subarray(from, to)];
    from = to;
  }
}

/** The rows `index` of a batch. */
export function rowsAt(batch: ColumnBatch, index: Int32Array): ColumnBatch {
  const hasOrigins = batch.origins.record.length >= batch.rowCount;
  return {
    rowCount: index.length,
    columns: batch.columns.map((column) => gather(column, index, index.length)),
    origins: hasOrigins ? gatherOrigins(batch.origins, index, index.length) : batch.origins,
  };
}
