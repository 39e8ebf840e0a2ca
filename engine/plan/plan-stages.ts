/**
 * Cuts a query's tree into stages at its stateful operators. Each subtree becomes flows: chains of operators that begin
 * at a source or behind a state stage and give rows of the same columns (several under UNION ALL). A stateful node sends
 * the flows below it through an exchange into a stage of its own, where a new flow begins. Only columns that somebody
 * reads are carried along.
 */
import { assert, must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { changeField } from '../operators/changes.ts';
import { type EventTime, eventTimeOf } from '../sql/analyze/event-time.ts';
import { onScan } from './branch-scans.ts';
import { below, columnAt, exprsOf, moved, pick, placeOf, range, reading, referTo, sorted } from './columns.ts';
import type {
  Branch,
  EpochStage,
  MapStage,
  OutputMode,
  StatePlan,
  StaticTable,
  Target,
  WatermarkPlan,
} from './epoch-plan.ts';
import { added, type Flow, late, narrowed, projected, type Rows, type StageInput } from './flows.ts';
import type { EventTimeColumn, LogicalPlan, OperatorId } from './logical-plan.ts';
import { mergeProjects } from './merge-projects.ts';
import { planAggregate, planSession } from './plan-aggregate.ts';
import { planJoin } from './plan-join.ts';
import { planStaticJoin } from './plan-static-join.ts';
import { SentColumns } from './sent-columns.ts';
import { type NodeOf, sourcesOf, type PlannedStages, type StageContext, type StageDraft } from './stage-draft.ts';
import type { StageOperator } from './stage-plan.ts';
import { topOf } from './top-plan.ts';

/**
 * The stages of a query whose root's rows go through `last` to the sinks. Where something is refused, the stages are not
 * to be used.
 */
export function planStages(root: LogicalPlan, last: readonly StageOperator[], context: StageContext): PlannedStages {
  return new StagePlanner(root, context).plan(root, last);
}

class StagePlanner implements StageDraft {
  readonly context: StageContext;
  readonly #sources: readonly string[];
  readonly #branches = new Map<string, { readonly columns: readonly number[]; readonly branch: Branch }[]>();
  readonly #states: { operatorId: OperatorId; inputs: Schema[]; state: StatePlan; branch: Branch | null }[] = [];
  readonly watermarks: WatermarkPlan[] = [];
  readonly tables = new Set<string>();
  readonly queries = new Map<string, StaticTable>();
  evicts = false;

  constructor(root: LogicalPlan, context: StageContext) {
    this.context = context;
    this.#sources = sourcesOf(root);
  }

  /** See {@link StageDraft}. */
  apart(root: LogicalPlan, context: StageContext): PlannedStages {
    return planStages(root, [], context);
  }

  plan(root: LogicalPlan, last: readonly StageOperator[]): PlannedStages {
    const all = root.output.map((_, index) => index);
    const rows = narrowed(this.rows(root, new Set(all), this.context.outputMode), all);
    const output = root.output;
    for (const flow of rows.flows) {
      const operators = mergeProjects([...flow.operators, ...last]);
      const end = lastProject(last);
      this.#end({ ...flow, operators }, end ?? output, { kind: 'sink' });
    }
    const maps = this.#sources.map((source): MapStage => this.#mapStage(source));
    const states = this.#states.map(({ operatorId, inputs, state, branch }): EpochStage => {
      const end = must(branch, () => `nothing follows ${operatorId}`);
      return { kind: 'state', operatorId, inputs, state, branch: end };
    });
    return {
      stages: [...maps, ...states],
      watermarks: this.watermarks,
      evicts: this.evicts,
      tables: [...this.tables],
      queries: [...this.queries.values()],
    };
  }

  #mapStage(source: string): MapStage {
    const columns = this.context.columnsOf(source);
    const branches = this.#branches.get(source) ?? [];
    const read = new Set(branches.flatMap((branch) => branch.columns));
    // Required fields stay: whether a record is good must not depend on the query.
    const scanned = columns.flatMap((column, index) =>
      read.has(index) || (column.kind === 'field' && column.required) ? [index] : [],
    );
    return {
      kind: 'map',
      source,
      scan: { ...this.context.scanOf(source), columns: scanned.flatMap((index) => columns[index] ?? []) },
      branches: branches.map((each) => onScan(each.branch, each.columns, scanned, columns)),
    };
  }

  #end({ origin, operators }: Flow, output: Schema, target: Target): void {
    const branch: Branch = { operators, output, target };
    if (origin.kind === 'source') {
      const known = this.#branches.get(origin.source);
      if (known === undefined) this.#branches.set(origin.source, [{ columns: origin.columns, branch }]);
      else known.push({ columns: origin.columns, branch });
      return;
    }
    const state = must(this.#states[origin.stage - this.#sources.length], () => `there is no stage ${origin.stage}`);
    assert(state.branch === null, () => `the rows of ${state.operatorId} go two ways`);
    state.branch = branch;
  }

  /** Opens the stage of a stateful node. Its inputs are sent to it before. */
  state(operatorId: OperatorId, state: StatePlan, output: Omit<Rows, 'flows'>, inputs: readonly StageInput[]): Rows {
    const stage = this.#sources.length + this.#states.length;
    const arriving = inputs.map(({ output: columns, changes }) =>
      changes === true ? [...columns, changeField] : [...columns],
    );
    this.#states.push({ operatorId, inputs: arriving, state, branch: null });
    for (const [port, input] of inputs.entries()) {
      const keys = Array.from({ length: input.keyCount }, (_, index) => input.keys?.[index] ?? index);
      for (const flow of input.flows)
        this.#end({ ...flow, operators: mergeProjects(flow.operators) }, input.output, {
          kind: 'exchange',
          stage,
          port,
          keys,
          ...(input.changes === true ? { changes: true } : {}),
          ...(input.top === undefined ? {} : { top: input.top }),
        });
    }
    return { ...output, flows: [{ origin: { kind: 'state', stage }, operators: [] }] };
  }

  /** See {@link StageDraft}. */
  rows(node: LogicalPlan, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    switch (node.kind) {
      case 'source':
        return this.#source(node, needed);
      case 'static':
        this.context.refuse(
          node,
          `the table ${node.table} stands alone`,
          'join it with a source: a job without one never begins',
        );
        return { flows: [], kept: sorted(needed), output: pick(node.output, sorted(needed)), times: [] };
      case 'filter': {
        const input = this.rows(node.input, reading(needed, [node.predicate]), mode);
        return added(input, { kind: 'filter', predicate: moved(node.predicate, input.kept) }, node.output);
      }
      case 'project':
        return this.#project(node, needed, mode);
      case 'generate':
        return this.#generate(node, needed, mode);
      case 'assignWindow':
        return this.#assignWindow(node, needed, mode);
      case 'watermark':
        return this.#watermark(node, needed, mode);
      case 'aggregate':
        return node.session === null ? planAggregate(node, needed, mode, this) : planSession(node, needed, mode, this);
      case 'dedup':
        return this.#dedup(node, needed);
      case 'join':
        return planJoin(node, needed, mode, this);
      case 'staticJoin':
        return planStaticJoin(node, needed, mode, this);
      case 'union':
        return this.#union(node, needed, mode);
      case 'limit':
        return this.#limit(node, needed, mode);
      case 'sort':
        return this.#sort(node, needed, mode);
      case 'rank':
        return this.#rank(node, needed, mode);
      case 'user':
        return this.#user(node);
    }
  }

  // ---- without state ----------------------------------------------------------------------------------------------

  #source(node: NodeOf<'source'>, needed: ReadonlySet<number>): Rows {
    const kept = sorted(needed);
    const origin = { kind: 'source', source: node.source, columns: kept } as const;
    return { flows: [{ origin, operators: [] }], kept, output: pick(node.output, kept), times: [] };
  }

  #project(node: NodeOf<'project'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const wanted = kept.map((index) => columnAt(node.columns, index));
    const exprs = wanted.map(({ expr }) => expr);
    const input = this.rows(node.input, reading(new Set(), exprs), mode);
    const columns = wanted.map((column) => ({ ...column, expr: moved(column.expr, input.kept) }));
    const known: (EventTime | null)[] = input.kept.map(() => null);
    for (const { column, kind } of input.times) known[column] = { kind, delayUs: 0 };
    const times = columns.flatMap(({ expr }, column): EventTimeColumn[] => {
      const time = eventTimeOf(expr, known);
      return time === null ? [] : [{ column, kind: time.kind }];
    });
    return { ...projected(input, columns), kept, times };
  }

  #generate(node: NodeOf<'generate'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const width = node.input.output.length;
    const input = this.rows(node.input, reading(below(needed, width), [node.expr]), mode);
    const operator: StageOperator = {
      kind: 'generate',
      generator: node.generator,
      outer: node.outer,
      input: moved(node.expr, input.kept),
      output: node.generated,
    };
    const kept = [...input.kept, ...node.generated.map((_, index) => width + index)];
    return { ...added(input, operator, node.output, kept), kept };
  }

  #assignWindow(node: NodeOf<'assignWindow'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const width = node.input.output.length;
    const input = this.rows(node.input, reading(below(needed, width), [node.on]), mode);
    const on = moved(node.on, input.kept);
    const { sizeUs, slideUs, startUs } = node;
    const kept = [...input.kept, width];
    const rows = added(input, { kind: 'assignWindow', on, sizeUs, slideUs, startUs }, node.output, kept);
    const isEventTime = on.kind === 'column' && input.times.some(({ column }) => column === on.index);
    const window: EventTimeColumn = { column: input.kept.length, kind: 'window' };
    return { ...rows, kept, times: isEventTime ? [...rows.times, window] : rows.times };
  }

  #watermark(node: NodeOf<'watermark'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const input = this.rows(node.input, new Set([...needed, node.column]), mode);
    const column = placeOf(input.kept, node.column);
    const sources = sourcesOf(node.input);
    const name = node.input.output[node.column]?.name ?? '';
    this.watermarks.push({ delayUs: node.delayUs, sources, description: `${sources.join(', ')}.${name}` });
    const rows = added(input, { kind: 'watermark', watermark: this.watermarks.length - 1, column }, node.output);
    return { ...rows, times: [...rows.times.filter((time) => time.column !== column), { column, kind: 'timestamp' }] };
  }

  #union(node: NodeOf<'union'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const inputs = node.inputs.map((input) => narrowed(this.rows(input, needed, mode), kept));
    const [first, ...others] = inputs;
    const times = (first?.times ?? []).filter((time) =>
      others.every((input) => input.times.some((other) => other.column === time.column && other.kind === time.kind)),
    );
    return { flows: inputs.flatMap(({ flows }) => flows), kept, output: pick(node.output, kept), times };
  }

  // ---- with state -------------------------------------------------------------------------------------------------

  #dedup(node: NodeOf<'dedup'>, needed: ReadonlySet<number>): Rows {
    const { withinWatermark, eventTime, watermarkLagUs } = node;
    const wanted = new Set([...needed, ...node.keys]);
    if (withinWatermark !== null) wanted.add(withinWatermark.column);
    if (eventTime !== null) wanted.add(eventTime.column);
    const kept = sorted(wanted);
    let rows = narrowed(this.rows(node.input, wanted, 'append'), kept);
    const at = (column: number): number => placeOf(kept, column);
    const time = eventTime && { ...eventTime, column: at(eventTime.column) };
    const within = withinWatermark && { ...withinWatermark, column: at(withinWatermark.column) };
    const lateTime: EventTimeColumn | null | undefined =
      within === null ? (time ?? rows.times[0]) : { column: within.column, kind: 'timestamp' };
    if (lateTime !== null && lateTime !== undefined) rows = late(rows, node.id, lateTime, watermarkLagUs);
    if (time !== null || within !== null) this.evicts = true;
    const keys = node.keys.map(at);
    const state: StatePlan = { kind: 'dedup', keys, eventTime: time, withinWatermark: within, watermarkLagUs };
    const { times, output } = rows;
    return this.state(node.id, state, { kept, output, times }, [{ ...rows, keyCount: keys.length, keys }]);
  }

  #limit(node: NodeOf<'limit'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const rows = narrowed(this.rows(node.input, needed, mode === 'complete' ? mode : 'append'), kept);
    const { times, output } = rows;
    const changes = mode === 'complete';
    const state: StatePlan = { kind: 'limit', count: node.count, mode, ...(changes ? { changes } : {}) };
    return this.state(node.id, state, { kept, output, times }, [{ ...rows, keyCount: 0, changes }]);
  }

  #sort(node: NodeOf<'sort'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const input = this.rows(node.input, reading(needed, exprsOf(node.by)), mode);
    const sent = new SentColumns(
      input.kept,
      kept.map((index) => referTo(node.input.output, index)),
    );
    const by = sent.sortKeys(node.by);
    const rows: Rows = { ...projected(input, sent.columns), times: [] };
    const sortedRows = this.state(
      node.id,
      { kind: 'sort', by, limit: node.limit, changes: true },
      { kept: range(rows.output.length), output: rows.output, times: [] },
      [{ ...rows, keyCount: 0, changes: true }],
    );
    return { ...narrowed(sortedRows, range(kept.length)), kept };
  }

  #rank(node: NodeOf<'rank'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const width = node.input.output.length;
    const own = sorted(below(needed, width));
    const args = node.calls.flatMap((call) => call.args);
    const input = this.rows(node.input, reading(new Set(own), [...node.keys, ...exprsOf(node.by), ...args]), 'append');
    const keyCount = node.keys.length;
    const sent = new SentColumns(input.kept, [
      ...node.keys.map((expr, index) => {
        const { type, nullable } = expr;
        return { name: `key${index + 1}`, type, nullable, expr };
      }),
      ...own.map((index) => referTo(node.input.output, index)),
    ]);
    const by = sent.sortKeys(node.by);
    const calls = node.calls.map((call) => ({
      function: call.function,
      column: call.args[0] === undefined ? -1 : sent.place(call.args[0]),
      offset: call.offset,
      default: call.args[1] === undefined ? -1 : sent.place(call.args[1]),
      name: call.name,
      type: call.type,
    }));
    const { limit, watermarkLagUs } = node;
    const ties = node.ties === true ? ({ ties: true } as const) : {};
    const timeKey = node.keys.findIndex((key) => key.kind === 'column' && key.index === node.eventTime?.column);
    const eventTime = node.eventTime && { ...node.eventTime, column: timeKey };
    let rows: Rows = { ...projected(input, sent.columns), times: [] };
    if (eventTime !== null) rows = late(rows, node.id, eventTime, watermarkLagUs);
    if (eventTime !== null) this.evicts = true;
    const state: StatePlan = { kind: 'rank', keyCount, by, calls, limit, ...ties, eventTime, mode, watermarkLagUs };
    const helpers = rows.output.length - keyCount - own.length;
    const results = node.output.slice(width);
    const output = [...rows.output.slice(keyCount), ...results];
    const ranked = this.state(node.id, state, { kept: range(output.length), output, times: [] }, [
      { ...rows, keyCount, ...topOf(state, rows.output) },
    ]);
    const shown = [...range(own.length), ...results.map((_, index) => own.length + helpers + index)];
    return { ...narrowed(ranked, shown), kept: [...own, ...results.map((_, index) => width + index)] };
  }

  /** The functions see all columns of their rows, and what they emit is one whole row. */
  #user(node: NodeOf<'user'>): Rows {
    const { keys, variables, single, timers, functions, deadlineMs, eventTime, watermarkLagUs, output } = node;
    const all = range(node.input.output.length);
    let rows = narrowed(this.rows(node.input, new Set(all), 'append'), all);
    if (eventTime !== null) rows = late(rows, node.id, eventTime, watermarkLagUs);
    if (timers === 'eventTime') this.evicts = true;
    const state: StatePlan = {
      kind: 'user',
      keys,
      variables,
      single,
      output,
      timers,
      functions,
      deadlineMs,
      eventTime,
      watermarkLagUs,
    };
    return this.state(node.id, state, { kept: range(output.length), output, times: [] }, [
      { ...rows, keyCount: keys.length, keys },
    ]);
  }
}

function lastProject(operators: readonly StageOperator[]): Schema | undefined {
  const last = operators.at(-1);
  if (last?.kind !== 'project') return undefined;
  return last.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
}
