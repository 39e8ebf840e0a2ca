/**
 * What follows a source or a state operator within a stage: the operators of one branch, the rows' key groups in the
 * stage they go to, and their frames.
 */
import { assert, must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch, RowFailure } from '../column-batch.ts';
import { GIVEN, isPast, WITHDRAWN } from '../operators/changes.ts';
import { gather, gatherOrigins } from '../operators/gather.ts';
import type { EpochScope } from '../operators/operator.ts';
import { compileProgram } from '../operators/program.ts';
import type { Program } from '../operators/program.ts';
import { KEY_GROUPS } from '../plan/epoch-plan.ts';
import type { Branch } from '../plan/epoch-plan.ts';
import { KeyEncoder, keyGroupOf } from '../state/key-encoder.ts';
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
export type RecordRows = BranchRows;

export class BranchRunner {
  readonly branch: Branch;
  readonly index: number;
  readonly #rows: Program;
  /** Aggregates within the batch: its rows come from no single record any more. */
  readonly #partial: Program | null;
  readonly #keys: KeyGroups | null;

  /** `input`: what the operators start from. Throws: UNSUPPORTED. */
  constructor(branch: Branch, index: number, input: Schema, timeZone: string) {
    this.branch = branch;
    this.index = index;
    const { operators, output, target } = branch;
    const split = operators.findIndex(({ kind }) => kind === 'partialAggregate');
    assert(split < 0 || split === operators.length - 1, () => 'operators stand behind a partial aggregate');
    const columns = input.map(({ name, type }) => ({
      kind: 'field' as const,
      name,
      path: name,
      type,
      required: false,
    }));
    const plan = { columns, operators, output, timeZone };
    this.#rows = compileProgram(plan, 0, split < 0 ? operators.length : split);
    this.#partial = split < 0 ? null : compileProgram(plan, split);
    this.#keys = target.kind === 'exchange' && target.keys.length > 0 ? new KeyGroups(target.keys, output) : null;
  }

  /**
   * Everything up to the partial aggregate, if there is one. Failures name records; the rows of those are left out.
   * `from`: key group and code by record, behind a state operator, where a record is a row of its output.
   */
  run(input: ColumnBatch, from: SentBy | null, scope: EpochScope, failures: RowFailure[]): RecordRows {
    const batch = this.#rows.run(input, failures, scope);
    if (from === null) return { batch, fromGroups: null, changes: null };
    const { groups, changes } = from;
    const byRow = (values: Uint8Array): Uint8Array =>
      Uint8Array.from({ length: batch.rowCount }, (_, row) => values[batch.origins.record[row]!]!);
    return { batch, fromGroups: byRow(groups), changes: changes && byRow(changes) };
  }

  /**
   * The partial aggregate. Behind a state operator it is made for each key group on its own, so that what it adds up
   * does not depend on which groups live together.
   */
  finish(rows: RecordRows, scope: EpochScope, failures: RowFailure[]): BranchRows {
    if (this.#partial === null) return rows;
    const { fromGroups, changes } = rows;
    if (fromGroups === null)
      return { batch: this.#partial.run(rows.batch, failures, scope), fromGroups: null, changes: null };
    if (rows.batch.rowCount === 0) {
      // A global aggregate gives a row of nothing; it adds nothing wherever it is folded.
      const batch = this.#partial.run(rows.batch, failures, scope);
      return { batch, fromGroups: new Uint8Array(batch.rowCount), changes: null };
    }
    const parts: ColumnBatch[] = [];
    const groups: number[] = [];
    const codes: number[] = [];
    const add = (group: number, code: number, index: Int32Array): void => {
      if (index.length === 0) return;
      // The program's memory is used again by the next run.
      const part = copyOf(this.#partial!.run(rowsAt(rows.batch, index), failures, scope));
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

  /** The rows as frames, for a branch that ends in an exchange. */
  frames(
    rows: BranchRows,
    from: { readonly stage: number; readonly partition: number; readonly sequence: number },
    routing: Routing,
  ): Frame[] {
    const { target } = this.branch;
    assert(target.kind === 'exchange', () => 'frames of a branch that ends in the sinks');
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
  readonly #encoder: KeyEncoder;
  readonly #scratch = new ByteBuffer(256);

  constructor(columns: readonly number[], schema: Schema) {
    this.#columns = columns;
    this.#encoder = new KeyEncoder(columns.map((index) => must(schema[index], () => `key ${index} is no column`).type));
  }

  of(batch: ColumnBatch): Uint8Array {
    this.#encoder.bind(this.#columns.map((index) => must(batch.columns[index], () => `key ${index} is missing`)));
    const groups = new Uint8Array(batch.rowCount);
    const scratch = this.#scratch;
    for (let row = 0; row < batch.rowCount; row++) {
      scratch.length = 0;
      this.#encoder.encode(row, scratch);
      groups[row] = keyGroupOf(scratch.bytes, 0, scratch.length);
    }
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
