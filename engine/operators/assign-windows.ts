import { must } from '../../core/assert.ts';
import type { Column, StructColumn } from '../column-batch.ts';
import type { EpochOperator } from '../plan/epoch-plan.ts';
import type { Runtime } from '../sql/runtime/runtime.ts';
import { gather, gatherOrigins } from './gather.ts';
import { withIndexes } from './generate.ts';
import type { FailureLog, Operator, Rows, RunContext } from './operator.ts';
import { Project } from './project.ts';

type AssignWindowPlan = Extract<EpochOperator, { kind: 'assignWindow' }>;

/** The time of a window as event time: the last microsecond in it. */
const WINDOW_TIME_BEFORE_END_US = 1;

/**
 * Appends the windows that a row's time lies in, `start <= time < end`, the latest first: windows start at
 * `startUs + n × slideUs` for every whole n, negative ones too, and are `sizeUs` long. Rows without a time have no
 * window. Where `on` is a window itself, its time is its last microsecond. Keeps nothing between batches. (Spark:
 * TimeWindowing and window_time.) With `panes` a row gets one pane of them instead.
 */
export class AssignWindows implements Operator {
  readonly #plan: AssignWindowPlan;
  readonly #sizeUs: number;
  readonly #on: Project;

  constructor(plan: AssignWindowPlan, runtime: Runtime) {
    this.#plan = plan;
    this.#sizeUs = plan.panes === true ? plan.slideUs : plan.sizeUs;
    const { type, nullable } = plan.on;
    this.#on = new Project([{ name: 'window', type, nullable, expr: plan.on }], runtime);
  }

  apply(rows: Rows, context: RunContext): Rows {
    const failed = context.failures.size;
    const on = this.#on.apply(rows, context);
    let times = timesOf(on);
    if (context.failures.size > failed) times = withoutFailed(times, rows, context.failures);
    return this.#sizeUs <= this.#plan.slideUs ? this.#atMostOne(rows, times) : this.#several(rows, times);
  }

  /** Start of the last window that starts at or before the time. */
  #lastStart(time: number): number {
    const { startUs, slideUs } = this.#plan;
    // A remainder of doubles costs ten times as much. The quotient may be rounded to the next whole number.
    const start = startUs + Math.floor((time - startUs) / slideUs) * slideUs;
    return start > time ? start - slideUs : start;
  }

  /** Windows that do not overlap: rows stay where they are. */
  #atMostOne(rows: Rows, { values, valid, places, offset }: Times): Rows {
    const { batch } = rows;
    const starts = new Float64Array(batch.rowCount);
    const selection = new Int32Array(rows.count);
    const present = new Uint8Array(batch.rowCount);
    let kept = 0;
    for (let index = 0; index < rows.count; index++) {
      const at = places === null ? index : places[index]!;
      if (valid[at] === 0) continue;
      const time = values[at]! - offset;
      const start = this.#lastStart(time);
      if (time >= start + this.#sizeUs) continue;
      const row = rows.selection === null ? index : (rows.selection[index] as number);
      starts[row] = start;
      present[row] = 1;
      selection[kept++] = row;
    }
    const columns = [...batch.columns, this.#windows(starts, present)];
    const isSame = kept === rows.count;
    return {
      batch: { rowCount: batch.rowCount, columns, origins: batch.origins },
      selection: isSame ? rows.selection : selection,
      count: kept,
    };
  }

  #several(rows: Rows, { values, valid, places, offset }: Times): Rows {
    const { sizeUs, slideUs } = this.#plan;
    const windowsMax = Math.ceil(sizeUs / slideUs);
    const from = new Int32Array(rows.count * windowsMax);
    const starts = new Float64Array(rows.count * windowsMax);
    let count = 0;
    for (let index = 0; index < rows.count; index++) {
      const at = places === null ? index : places[index]!;
      if (valid[at] === 0) continue;
      const time = values[at]! - offset;
      const row = rows.selection === null ? index : (rows.selection[index] as number);
      for (let start = this.#lastStart(time); time < start + sizeUs; start -= slideUs) {
        from[count] = row;
        starts[count++] = start;
      }
    }
    const columns = rows.batch.columns.map((column) => gather(column, from, count));
    const window = this.#windows(starts.subarray(0, count), new Uint8Array(count).fill(1));
    const origins = withIndexes(gatherOrigins(rows.batch.origins, from, count));
    return { batch: { rowCount: count, columns: [...columns, window], origins }, selection: null, count };
  }

  #windows(starts: Float64Array, valid: Uint8Array): StructColumn {
    const ends = new Float64Array(starts.length);
    for (let row = 0; row < starts.length; row++) ends[row] = (starts[row] as number) + this.#sizeUs;
    const fields: Column[] = [starts, ends].map((values) => ({ kind: 'f64', values, valid }));
    return { kind: 'struct', valid, fields };
  }
}

interface Times {
  readonly values: Float64Array;
  readonly valid: Uint8Array;
  /** Where the times of the rows stand; null = one behind the other. */
  readonly places: Int32Array | null;
  /** µs by which the values lie above the times. */
  readonly offset: number;
}

function timesOf({ batch, selection }: Rows): Times {
  const column = batch.columns[0];
  const time = column?.kind === 'struct' ? must(column.fields[1], () => 'a window has no end') : column;
  if (time?.kind !== 'f64') throw new TypeError(`windows are assigned by a ${time?.kind} column`);
  return {
    values: time.values,
    valid: time.valid,
    places: selection,
    offset: column?.kind === 'struct' ? WINDOW_TIME_BEFORE_END_US : 0,
  };
}

/** A row whose time could not be computed has a value that means nothing. */
function withoutFailed(times: Times, rows: Rows, failures: FailureLog): Times {
  const { record } = rows.batch.origins;
  const valid = times.valid.slice();
  for (let index = 0; index < rows.count; index++) {
    const row = rows.selection === null ? index : (rows.selection[index] as number);
    if (failures.has(record[row] as number)) valid[times.places === null ? index : times.places[index]!] = 0;
  }
  return { ...times, valid };
}
