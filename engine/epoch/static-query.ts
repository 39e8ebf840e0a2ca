/** What a query makes of static tables: every stage once, over whole tables. */
import { must } from '../../core/assert.ts';
import { deadLetterReasons, WeirError } from '../../core/errors.ts';
import type { ColumnBatch, RowFailure, RowOrigins } from '../column-batch.ts';
import { isPast } from '../operators/changes.ts';
import { type EpochScope, FailureLog, type StaticRows } from '../operators/operator.ts';
import type { StateInput } from '../operators/state-operator.ts';
import type { Branch, StateStage, StaticQuery, StaticTable } from '../plan/epoch-plan.ts';
import { tablesOf } from '../plan/plan-static-query.ts';
import { BranchRunner } from './branch-runner.ts';
import type { EpochEnv } from './contract.ts';
import { concatBatches, copyOf } from './frame.ts';
import { stateOperatorOf } from './state-operators.ts';

/** A static table with its columns' names. */
export interface NamedTable {
  readonly columns: readonly string[];
  readonly rows: StaticRows;
}

const env: EpochEnv = { run: 0, epoch: 0, epochTsUs: 0, lateUs: -Infinity, evictUs: -Infinity, writeTimeUs: 0 };

/**
 * The rows of the table that `query` makes of others; undefined while one of those has no rows yet. The order is that of
 * the tables' rows. Throws: JOB_INVALID where an expression fails on a row.
 */
export function queryRows(
  table: StaticTable,
  query: StaticQuery,
  timeZone: string,
  tableOf: (name: string) => StaticRows | undefined,
  columnsOf: (name: string) => readonly string[],
): StaticRows | undefined {
  const statics = new Map<string, StaticRows>();
  for (const name of tablesOf(query)) {
    const rows = tableOf(name);
    if (rows === undefined) return undefined;
    statics.set(name, rows);
  }
  const run = new QueryRun(table, timeZone, statics);
  query.reads.forEach(({ table: name, columns, branches }) => {
    const { batch } = must(statics.get(name), () => `the table ${name} has no rows`);
    const places = columns.map((column) => columnsOf(name).indexOf(column));
    const read = places.map((place) => must(batch.columns[place], () => `the table ${name} lacks a column`));
    for (const branch of branches) run.branch({ ...batch, columns: read }, columns, branch);
  });
  query.states.forEach((stage, index) => run.state(stage, query.reads.length + index));
  const batch = run.result();
  if (query.single === true && batch.rowCount > 1)
    throw new WeirError(
      'JOB_INVALID',
      `${table.name} stands in the place of a value and gives ${batch.rowCount} rows; aggregate in it without GROUP BY, or add LIMIT 1.`,
      { facts: { table: table.name, rows: batch.rowCount } },
    );
  return { batch };
}

class QueryRun {
  readonly #table: StaticTable;
  readonly #timeZone: string;
  readonly #scope: EpochScope;
  readonly #inputs = new Map<number, { readonly port: number; readonly batch: ColumnBatch }[]>();
  readonly #result: ColumnBatch[] = [];

  constructor(table: StaticTable, timeZone: string, statics: ReadonlyMap<string, StaticRows>) {
    this.#table = table;
    this.#timeZone = timeZone;
    this.#scope = {
      lateUs: -Infinity,
      evictUs: -Infinity,
      eventTimes: new Float64Array(0),
      late: new Map(),
      lateRecords: null,
      statics,
    };
  }

  branch(batch: ColumnBatch, columns: readonly string[], branch: Branch): void {
    // Types of what is read do not matter to the operators: expressions carry theirs.
    const input = columns.map((name) => ({ name, type: { kind: 'null' as const }, nullable: true }));
    this.#run(batch, new BranchRunner({ ...branch, target: { kind: 'sink' } }, 0, input, this.#timeZone), branch);
  }

  state(stage: StateStage, index: number): void {
    const operator = stateOperatorOf(stage, { sinkPlans: [] }, null);
    let records = 0;
    const inputs = (this.#inputs.get(index) ?? []).map(({ port, batch }): StateInput => {
      const origins = originsFrom(records, batch.rowCount, this.#table.name);
      records += batch.rowCount;
      return { port, batch: { ...batch, origins }, groups: new Uint8Array(batch.rowCount) };
    });
    const failures: RowFailure[] = [];
    const output = operator.fold(inputs, env, new FailureLog(failures));
    this.#check(failures);
    const given = output.changes?.some(isPast) !== true;
    must(given ? output : undefined, () => `${stage.operatorId} takes rows back in a query over tables`);
    const { rowCount } = output.batch;
    const batch = { ...output.batch, origins: originsFrom(0, rowCount, this.#table.name) };
    const target: Branch = { ...stage.branch, target: { kind: 'sink' } };
    this.#run(batch, new BranchRunner(target, 0, operator.output, this.#timeZone), stage.branch);
  }

  result(): ColumnBatch {
    const batch = concatBatches(this.#result);
    return { ...batch, origins: originsFrom(0, batch.rowCount, this.#table.name) };
  }

  #run(input: ColumnBatch, runner: BranchRunner, { target }: Branch): void {
    const failures: RowFailure[] = [];
    const rows = runner.finish(runner.run(input, null, this.#scope, failures), failures);
    this.#check(failures);
    // The program's memory is used again by the next run.
    const batch = copyOf(rows.batch);
    if (target.kind === 'sink') {
      this.#result.push(batch);
      return;
    }
    const arriving = target.changes === true ? withGiven(batch) : batch;
    const inputs = this.#inputs.get(target.stage) ?? [];
    inputs.push({ port: target.port, batch: arriving });
    this.#inputs.set(target.stage, inputs);
  }

  #check([failure]: readonly RowFailure[]): void {
    if (failure === undefined) return;
    const { name } = this.#table;
    throw new WeirError(
      'JOB_INVALID',
      `The rows of ${name} cannot be computed: ${failure.place} fails (${deadLetterReasons[failure.reason]}) for row ${failure.record + 1}; correct the row or use a try_ function.`,
      { facts: { table: name, place: failure.place } },
    );
  }
}

function originsFrom(first: number, rowCount: number, name: string): RowOrigins {
  return {
    topic: name,
    partition: 0,
    offset: Float64Array.from({ length: rowCount }, (_, row) => first + row),
    timestampMs: new Float64Array(rowCount),
    index: new Int32Array(rowCount),
    record: Int32Array.from({ length: rowCount }, (_, row) => first + row),
  };
}

/** With the column that says what became of each row: it was given. */
function withGiven(batch: ColumnBatch): ColumnBatch {
  const { rowCount, columns } = batch;
  const valid = new Uint8Array(rowCount).fill(1);
  return { ...batch, columns: [...columns, { kind: 'i32', values: new Int32Array(rowCount), valid }] };
}
