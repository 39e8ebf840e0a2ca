/**
 * Cuts a query's tree into stages at its stateful operators. Each subtree becomes flows: chains of operators that begin
 * at a source or behind a state stage and give rows of the same columns (several under UNION ALL). A stateful node sends
 * the flows below it through an exchange into a stage of its own, where a new flow begins. Only columns that somebody
 * reads are carried along.
 */
import { assert, must } from '../../core/assert.ts';
import { childrenOf, collectColumns, type Expr, mapColumns } from '../../core/ast.ts';
import type { Field, Schema } from '../../core/types.ts';
import { changeField } from '../operators/changes.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import { type EventTime, eventTimeOf } from '../sql/analyze/event-time.ts';
import { isStateful } from '../sql/analyze/eviction.ts';
import { inputsOf } from '../sql/analyze/tree.ts';
import { joinConjuncts } from '../sql/conjuncts.ts';
import type {
  AggregatePlan,
  Branch,
  EpochStage,
  MapStage,
  OutputMode,
  StatePlan,
  Target,
  WatermarkPlan,
} from './epoch-plan.ts';
import type { AggregateCall, EventTimeColumn, LogicalPlan, OperatorId, SortKey } from './logical-plan.ts';
import type { InputColumn, ProjectedColumn, StageOperator } from './stage-plan.ts';

type NodeOf<K extends LogicalPlan['kind']> = Extract<LogicalPlan, { readonly kind: K }>;

/** What the stages of a query need besides its tree. */
export interface StageContext {
  readonly outputMode: OutputMode;
  readonly timeZone: string;
  /** All columns of a source, in the order of its node's output. */
  readonly columnsOf: (source: string) => readonly InputColumn[];
  /** The scan of a source without its columns. */
  readonly scanOf: (source: string) => Omit<MapStage['scan'], 'columns'>;
  /** Says what cannot be run: message and, where there is one, what to write instead. */
  readonly refuse: (node: LogicalPlan, message: string, hint?: string) => void;
}

export interface PlannedStages {
  readonly stages: readonly EpochStage[];
  readonly watermarks: readonly WatermarkPlan[];
  /** An operator forgets state when the watermark passes. */
  readonly evicts: boolean;
  /** Static tables that are read, each once. */
  readonly tables: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * The stages of a query whose root's rows go through `last` to the sinks. Where something is refused, the stages are not
 * to be used.
 */
export function planStages(root: LogicalPlan, last: readonly StageOperator[], context: StageContext): PlannedStages {
  return new StagePlanner(root, context).plan(root, last);
}

interface Flow {
  readonly origin:
    | { readonly kind: 'source'; readonly source: string; readonly columns: readonly number[] }
    | { readonly kind: 'state'; readonly stage: number };
  readonly operators: readonly StageOperator[];
}

interface Rows {
  readonly flows: readonly Flow[];
  /** For each column the index it has in the output of the logical node. */
  readonly kept: readonly number[];
  readonly output: Schema;
  /** Columns that hold event time, as Spark marks them: they tell which rows are late for joins and deduplication. */
  readonly times: readonly EventTimeColumn[];
}

class StagePlanner {
  readonly #context: StageContext;
  readonly #sources: readonly string[];
  readonly #branches = new Map<string, { readonly columns: readonly number[]; readonly branch: Branch }[]>();
  readonly #states: { operatorId: OperatorId; inputs: Schema[]; state: StatePlan; branch: Branch | null }[] = [];
  readonly #watermarks: WatermarkPlan[] = [];
  readonly #tables = new Set<string>();
  readonly #warnings: string[] = [];
  #evicts = false;

  constructor(root: LogicalPlan, context: StageContext) {
    this.#context = context;
    this.#sources = sourcesOf(root);
  }

  plan(root: LogicalPlan, last: readonly StageOperator[]): PlannedStages {
    const all = root.output.map((_, index) => index);
    const rows = narrowed(this.#rows(root, new Set(all), this.#context.outputMode), all);
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
      watermarks: this.#watermarks,
      evicts: this.#evicts,
      tables: [...this.#tables],
      warnings: this.#warnings,
    };
  }

  #mapStage(source: string): MapStage {
    const columns = this.#context.columnsOf(source);
    const branches = this.#branches.get(source) ?? [];
    const read = new Set(branches.flatMap((branch) => branch.columns));
    // Required fields stay: whether a record is good must not depend on the query.
    const scanned = columns.flatMap((column, index) =>
      read.has(index) || (column.kind === 'field' && column.required) ? [index] : [],
    );
    return {
      kind: 'map',
      source,
      scan: { ...this.#context.scanOf(source), columns: scanned.flatMap((index) => columns[index] ?? []) },
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
  #state(operatorId: OperatorId, state: StatePlan, output: Omit<Rows, 'flows'>, inputs: readonly Input[]): Rows {
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
        });
    }
    return { ...output, flows: [{ origin: { kind: 'state', stage }, operators: [] }] };
  }

  #rows(node: LogicalPlan, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    switch (node.kind) {
      case 'source':
        return this.#source(node, needed);
      case 'static':
        this.#context.refuse(
          node,
          `the table ${node.table} stands alone`,
          'join it with a source: a job without one never begins',
        );
        return { flows: [], kept: sorted(needed), output: pick(node.output, sorted(needed)), times: [] };
      case 'filter': {
        const input = this.#rows(node.input, reading(needed, [node.predicate]), mode);
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
        return node.session === null ? this.#aggregate(node, needed, mode) : this.#session(node, needed, mode);
      case 'dedup':
        return this.#dedup(node, needed);
      case 'join':
        return this.#join(node, needed, mode);
      case 'staticJoin':
        return this.#staticJoin(node, needed, mode);
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
    const input = this.#rows(node.input, reading(new Set(), exprs), mode);
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
    const input = this.#rows(node.input, reading(below(needed, width), [node.expr]), mode);
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
    const input = this.#rows(node.input, reading(below(needed, width), [node.on]), mode);
    const on = moved(node.on, input.kept);
    const { sizeUs, slideUs, startUs } = node;
    const kept = [...input.kept, width];
    const rows = added(input, { kind: 'assignWindow', on, sizeUs, slideUs, startUs }, node.output, kept);
    const isEventTime = on.kind === 'column' && input.times.some(({ column }) => column === on.index);
    const window: EventTimeColumn = { column: input.kept.length, kind: 'window' };
    return { ...rows, kept, times: isEventTime ? [...rows.times, window] : rows.times };
  }

  #watermark(node: NodeOf<'watermark'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const input = this.#rows(node.input, new Set([...needed, node.column]), mode);
    const column = placeOf(input.kept, node.column);
    const sources = sourcesOf(node.input);
    const name = node.input.output[node.column]?.name ?? '';
    this.#watermarks.push({ delayUs: node.delayUs, sources, description: `${sources.join(', ')}.${name}` });
    const rows = added(input, { kind: 'watermark', watermark: this.#watermarks.length - 1, column }, node.output);
    return { ...rows, times: [...rows.times.filter((time) => time.column !== column), { column, kind: 'timestamp' }] };
  }

  #union(node: NodeOf<'union'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const inputs = node.inputs.map((input) => narrowed(this.#rows(input, needed, mode), kept));
    const [first, ...others] = inputs;
    const times = (first?.times ?? []).filter((time) =>
      others.every((input) => input.times.some((other) => other.column === time.column && other.kind === time.kind)),
    );
    return { flows: inputs.flatMap(({ flows }) => flows), kept, output: pick(node.output, kept), times };
  }

  #staticJoin(node: NodeOf<'staticJoin'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const width = node.input.output.length;
    const table = staticTable(node.table);
    if (table === undefined) {
      this.#context.refuse(
        node.table,
        'a static table is joined as it is, or filtered or with columns chosen',
        'move the rest of the sub-query behind the join',
      );
      return { flows: [], kept: sorted(needed), output: pick(node.output, sorted(needed)), times: [] };
    }
    this.#tables.add(table.name);
    // Filters of the table become part of the condition; that means the same as long as the stream's rows are kept.
    const right = (expr: Expr): Expr =>
      mapColumns(expr, (column) => columnAt(table.columns, column.index - width).expr);
    const equiLeft = node.equi.map((pair) => pair.left);
    const residualReads = reading(new Set(), node.residual === null ? [] : [node.residual]);
    const wanted = new Set([...below(needed, width), ...below(residualReads, width)]);
    const input = this.#rows(node.input, reading(wanted, equiLeft), mode);
    const streamWidth = input.kept.length;
    const both = (expr: Expr): Expr =>
      mapColumns(expr, (column) =>
        column.index < width
          ? { ...column, index: placeOf(input.kept, column.index) }
          : shifted(columnAt(table.columns, column.index - width).expr, streamWidth),
      );
    const conditions = [
      ...(node.residual === null ? [] : [both(node.residual)]),
      ...table.filters.map((filter) => shifted(filter, streamWidth)),
    ];
    const equi = node.equi.map((pair) => ({
      left: moved(pair.left, input.kept),
      right: right(pair.right),
      nullSafe: pair.nullSafe,
    }));
    const type = node.type === 'right' ? 'left' : node.type;
    const keepsTable = type === 'inner' || type === 'left';
    const tableOutput = table.base.map((field) => (type === 'left' ? { ...field, nullable: true } : field));
    const operator: StageOperator = {
      kind: 'staticJoin',
      table: table.name,
      type,
      equi,
      residual: conditions.length === 0 ? null : joinConjuncts(conditions),
      output: keepsTable ? [...input.output, ...tableOutput] : input.output,
    };
    const flows = input.flows.map((flow) => ({ ...flow, operators: [...flow.operators, operator] }));
    if (!keepsTable) return { ...input, flows };
    const rows: Rows = { ...input, flows, output: operator.output };
    const kept = [...input.kept, ...sorted(needed).filter((index) => index >= width)];
    const columns = kept.map((index): ProjectedColumn => {
      const { name, type: ofType, nullable } = columnAt(node.output, index);
      if (index < width) return referTo(rows.output, placeOf(input.kept, index));
      const { expr } = columnAt(table.columns, index - width);
      if (type === 'left' && expr.kind !== 'column') {
        this.#context.refuse(
          node.table,
          `${name} is computed in the sub-query of a table that is joined with LEFT JOIN`,
          'compute it in the select list behind the join',
        );
      }
      return { name, type: ofType, nullable, expr: shifted(expr, streamWidth) };
    });
    return { ...projected(rows, columns), kept, times: input.times };
  }

  // ---- with state -------------------------------------------------------------------------------------------------

  #aggregate(node: NodeOf<'aggregate'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    this.#checkFinal(node, mode);
    const { calls, kept } = neededCalls(node, needed, node.keys.length);
    const isSigned = mode !== 'append' && hasChangingRows(node.input);
    const read = reading(new Set(), [...exprsOf(node.keys), ...exprsOfCalls(calls)]);
    const input = this.#rows(node.input, read, isSigned ? 'update' : 'append');
    const columns = new Arguments(input.kept, node.keys);
    const plain = calls.map((call) => columns.call(call));
    const aggregates = isSigned ? [...plain, rowCount].map((call) => ({ ...call, signed: true as const })) : plain;
    const keyCount = node.keys.length;
    let rows: Rows = { ...projected(input, columns.columns), times: [] };
    // What is below a whole result is never final.
    const eventTime = mode === 'update' && this.#context.outputMode === 'complete' ? null : node.eventTime;
    const evicts = eventTime !== null && mode !== 'complete';
    if (evicts) rows = late(rows, node.id, eventTime, node.watermarkLagUs);
    const partial = [...pick(rows.output, range(keyCount)), ...bufferSchemaOf(aggregates)];
    rows = { ...withOperator(rows, { kind: 'partialAggregate', keyCount, aggregates }), output: partial };
    this.#evicts ||= evicts;
    const { watermarkLagUs } = node;
    const signed = isSigned ? ({ signed: true } as const) : {};
    const state: StatePlan = { kind: 'aggregate', keyCount, aggregates, ...signed, eventTime, mode, watermarkLagUs };
    return this.#state(node.id, state, resultOf(node, kept), [{ ...rows, keyCount, changes: isSigned }]);
  }

  /** Groups that other operators read come when they are final. */
  #checkFinal(node: NodeOf<'aggregate'>, mode: OutputMode): void {
    if (mode !== 'append' || node.eventTime !== null) return;
    this.#context.refuse(
      node,
      `${node.id} hands on each group when it is final, and without event time among its keys none ever is`,
      'group by a window of a column with a watermark',
    );
  }

  #session(node: NodeOf<'aggregate'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    this.#checkFinal(node, mode);
    const session = must(node.session, () => `${node.id} has no session`);
    const { calls, kept } = neededCalls(node, needed, node.keys.length + 1);
    const keyExprs = exprsOf(node.keys);
    const read = reading(new Set(), [...keyExprs, session.on, session.gapUs, ...exprsOfCalls(calls)]);
    const input = this.#rows(node.input, read, 'append');
    const keyCount = node.keys.length;
    const columns = new Arguments(input.kept, [
      ...node.keys,
      { name: 'time', type: session.on.type, nullable: session.on.nullable, expr: session.on },
      { name: 'gap', type: session.gapUs.type, nullable: session.gapUs.nullable, expr: session.gapUs },
    ]);
    const aggregates = calls.map((call) => columns.call(call));
    const rows: Rows = { ...projected(input, columns.columns), times: [] };
    const operator: StageOperator = {
      kind: 'late',
      operatorId: node.id,
      rule: 'session',
      column: keyCount,
      gap: keyCount + 1,
      watermarkLagUs: node.watermarkLagUs,
    };
    if (node.eventTime === null && this.#watermarks.length > 0) {
      this.#context.refuse(
        node,
        'the watermark stands on another column than the time of session_window',
        'declare it on the column that session_window takes',
      );
    }
    if (node.eventTime !== null && mode !== 'complete') this.#evicts = true;
    const { watermarkLagUs } = node;
    const state: StatePlan = { kind: 'session', keyCount, aggregates, mode, watermarkLagUs };
    return this.#state(node.id, state, resultOf(node, kept), [{ ...withOperator(rows, operator), keyCount }]);
  }

  #dedup(node: NodeOf<'dedup'>, needed: ReadonlySet<number>): Rows {
    const { withinWatermark, eventTime, watermarkLagUs } = node;
    const wanted = new Set([...needed, ...node.keys]);
    if (withinWatermark !== null) wanted.add(withinWatermark.column);
    if (eventTime !== null) wanted.add(eventTime.column);
    const kept = sorted(wanted);
    let rows = narrowed(this.#rows(node.input, wanted, 'append'), kept);
    const at = (column: number): number => placeOf(kept, column);
    const time = eventTime && { ...eventTime, column: at(eventTime.column) };
    const within = withinWatermark && { ...withinWatermark, column: at(withinWatermark.column) };
    const lateTime: EventTimeColumn | null | undefined =
      within === null ? (time ?? rows.times[0]) : { column: within.column, kind: 'timestamp' };
    if (lateTime !== null && lateTime !== undefined) rows = late(rows, node.id, lateTime, watermarkLagUs);
    if (time !== null || within !== null) this.#evicts = true;
    const keys = node.keys.map(at);
    const state: StatePlan = { kind: 'dedup', keys, eventTime: time, withinWatermark: within, watermarkLagUs };
    const { times, output } = rows;
    return this.#state(node.id, state, { kept, output, times }, [{ ...rows, keyCount: keys.length, keys }]);
  }

  #join(node: NodeOf<'join'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const width = node.left.output.length;
    const isHalf = node.type === 'semi' || node.type === 'anti';
    const residual = reading(new Set(), node.residual === null ? [] : [node.residual]);
    const own = new Set([...needed, ...residual]);
    // Times that nothing is evicted by are not kept for their own sake.
    const isTimed = node.equalTime || node.bounds !== null;
    for (const column of isTimed ? [node.leftTime?.column, node.bounds?.left] : [])
      if (column !== undefined) own.add(column);
    for (const column of isTimed ? [node.rightTime?.column, node.bounds?.right] : [])
      if (column !== undefined) own.add(width + column);
    const leftOwn = sorted(own).filter((index) => index < width);
    const rightOwn = sorted(own).flatMap((index) => (index < width ? [] : [index - width]));
    const keyCount = node.equi.length;
    const leftKeys = node.equi.map((pair) => pair.left);
    const rightKeys = node.equi.map((pair) => shifted(pair.right, -width));
    const left = this.#side(node, node.left, leftKeys, leftOwn, node.leftTime);
    const right = this.#side(node, node.right, rightKeys, rightOwn, node.rightTime);
    const inState = [...leftOwn, ...rightOwn.map((index) => width + index)];
    // No negative zero: a plan goes through JSON and stays the same.
    const plain = (us: number | null): number | null => (us === null ? null : us + 0);
    const bounds = node.bounds && {
      lowerUs: plain(node.bounds.lowerUs),
      upperUs: plain(node.bounds.upperUs),
      left: placeOf(leftOwn, node.bounds.left),
      right: placeOf(rightOwn, node.bounds.right),
    };
    const placed = (time: EventTimeColumn | null, kept: readonly number[]): EventTimeColumn | null =>
      time === null || !isTimed ? null : { ...time, column: placeOf(kept, time.column) };
    const leftTime = placed(node.leftTime, leftOwn);
    const rightTime = placed(node.rightTime, rightOwn);
    if (node.equalTime || (bounds !== null && (bounds.lowerUs ?? bounds.upperUs) !== null)) this.#evicts = true;
    const state: StatePlan = {
      kind: 'join',
      type: node.type,
      keyCount,
      nullSafe: node.equi.map(({ nullSafe }) => nullSafe),
      residual: node.residual && moved(node.residual, inState),
      leftTime,
      rightTime,
      bounds,
      equalTime: node.equalTime,
      mode,
      watermarkLagUs: node.watermarkLagUs,
      timeZone: this.#context.timeZone,
    };
    const kept = isHalf ? leftOwn : inState;
    const rightTimes = isHalf ? [] : right.times.map((time) => ({ ...time, column: leftOwn.length + time.column }));
    const output = { kept, output: pick(node.output, kept), times: [...left.times, ...rightTimes] };
    return this.#state(node.id, state, output, [
      { ...left.rows, keyCount },
      { ...right.rows, keyCount },
    ]);
  }

  /** One side of a join: keys, then its own columns; `times` count the latter. */
  #side(
    node: NodeOf<'join'>,
    side: LogicalPlan,
    keys: readonly Expr[],
    own: readonly number[],
    time: EventTimeColumn | null,
  ): { readonly rows: Rows; readonly times: readonly EventTimeColumn[] } {
    const input = this.#rows(side, reading(new Set(own), keys), 'append');
    const columns = [
      ...keys.map((expr, index): ProjectedColumn => {
        const { type, nullable } = expr;
        return { name: `key${index + 1}`, type, nullable, expr: moved(expr, input.kept) };
      }),
      ...own.map((index) => referTo(input.output, placeOf(input.kept, index))),
    ];
    const times = input.times.flatMap((each): EventTimeColumn[] => {
      const place = own.indexOf(input.kept[each.column] ?? -1);
      return place < 0 ? [] : [{ ...each, column: place }];
    });
    const rows: Rows = { ...projected(input, columns), times: [] };
    // As in Spark: what is marked as event time makes rows late; what the condition makes equal to it does not. Of
    // several it is the one that rows are kept by: else a row would be late for a window that is still open.
    const keptBy = times.find(({ column }) => column === own.indexOf(time?.column ?? -1));
    const lateTime = keptBy ?? times[0];
    if (lateTime === undefined) return { rows, times };
    const shifted = { ...lateTime, column: keys.length + lateTime.column };
    return { rows: late(rows, node.id, shifted, node.watermarkLagUs), times };
  }

  #limit(node: NodeOf<'limit'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const rows = narrowed(this.#rows(node.input, needed, mode === 'complete' ? mode : 'append'), kept);
    const { times, output } = rows;
    const changes = mode === 'complete';
    const state: StatePlan = { kind: 'limit', count: node.count, mode, ...(changes ? { changes } : {}) };
    return this.#state(node.id, state, { kept, output, times }, [{ ...rows, keyCount: 0, changes }]);
  }

  #sort(node: NodeOf<'sort'>, needed: ReadonlySet<number>, mode: OutputMode): Rows {
    const kept = sorted(needed);
    const input = this.#rows(node.input, reading(needed, exprsOf(node.by)), mode);
    const sent = new Arguments(
      input.kept,
      kept.map((index) => referTo(node.input.output, index)),
    );
    const by = sent.sortKeys(node.by);
    const rows: Rows = { ...projected(input, sent.columns), times: [] };
    const sortedRows = this.#state(
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
    const input = this.#rows(node.input, reading(new Set(own), [...node.keys, ...exprsOf(node.by), ...args]), 'append');
    const keyCount = node.keys.length;
    const sent = new Arguments(input.kept, [
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
    const timeKey = node.keys.findIndex((key) => key.kind === 'column' && key.index === node.eventTime?.column);
    const eventTime = node.eventTime && { ...node.eventTime, column: timeKey };
    let rows: Rows = { ...projected(input, sent.columns), times: [] };
    if (eventTime !== null) rows = late(rows, node.id, eventTime, watermarkLagUs);
    if (eventTime !== null) this.#evicts = true;
    const state: StatePlan = { kind: 'rank', keyCount, by, calls, limit, eventTime, mode, watermarkLagUs };
    const helpers = rows.output.length - keyCount - own.length;
    const results = node.output.slice(width);
    const output = [...rows.output.slice(keyCount), ...results];
    const ranked = this.#state(node.id, state, { kept: range(output.length), output, times: [] }, [
      { ...rows, keyCount },
    ]);
    const shown = [...range(own.length), ...results.map((_, index) => own.length + helpers + index)];
    return { ...narrowed(ranked, shown), kept: [...own, ...results.map((_, index) => width + index)] };
  }

  /** The functions see all columns of their rows, and what they emit is one whole row. */
  #user(node: NodeOf<'user'>): Rows {
    const { keys, variables, single, timers, functions, deadlineMs, eventTime, watermarkLagUs, output } = node;
    const all = range(node.input.output.length);
    let rows = narrowed(this.#rows(node.input, new Set(all), 'append'), all);
    if (eventTime !== null) rows = late(rows, node.id, eventTime, watermarkLagUs);
    if (timers === 'eventTime') this.#evicts = true;
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
    return this.#state(node.id, state, { kept: range(output.length), output, times: [] }, [
      { ...rows, keyCount: keys.length, keys },
    ]);
  }
}

interface Input extends Rows {
  readonly keyCount: number;
  /** Columns of the key where they are not the first ones. */
  readonly keys?: readonly number[];
  /** What became of each row comes with it. */
  readonly changes?: boolean;
}

/** Counts the rows of a group: without any it is gone. */
const rowCount: AggregatePlan = {
  function: 'count',
  distinct: false,
  inputs: [],
  inputTypes: [],
  filter: -1,
  name: 'rows',
  type: { kind: 'bigint' },
  nullable: false,
};

/** Outside of append mode, rows that change after they came out; those of other operators with state are final. */
function hasChangingRows(node: LogicalPlan): boolean {
  if (node.kind === 'aggregate' || node.kind === 'rank') return true;
  return !isStateful(node) && inputsOf(node).some(hasChangingRows);
}

/** Columns of a projection that grows by the expressions that are asked for; equal ones share a column. */
class Arguments {
  readonly columns: ProjectedColumn[];
  readonly #kept: readonly number[];
  readonly #places = new Map<string, number>();

  constructor(kept: readonly number[], first: readonly ProjectedColumn[]) {
    this.#kept = kept;
    this.columns = first.map((column) => ({ ...column, expr: moved(column.expr, kept) }));
    for (const [index, { expr }] of this.columns.entries()) {
      const text = JSON.stringify(expr);
      if (!this.#places.has(text)) this.#places.set(text, index);
    }
  }

  place(argument: Expr): number {
    const expr = moved(argument, this.#kept);
    const text = JSON.stringify(expr);
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const place = this.columns.length;
    const name = expr.kind === 'column' ? expr.name : `argument${place + 1}`;
    this.columns.push({ name, type: expr.type, nullable: expr.nullable, expr });
    this.#places.set(text, place);
    return place;
  }

  call(call: AggregateCall): AggregatePlan {
    const { name, type, nullable, distinct } = call;
    return {
      function: call.function,
      distinct,
      inputs: call.args.map((arg) => this.place(arg)),
      inputTypes: call.args.map((arg) => arg.type),
      filter: call.filter === null ? -1 : this.place(call.filter),
      name,
      type,
      nullable,
    };
  }

  sortKeys(by: readonly SortKey[]): { column: number; descending: boolean; nullsFirst: boolean }[] {
    return by.map(({ expr, descending, nullsFirst }) => ({ column: this.place(expr), descending, nullsFirst }));
  }
}

// ---- columns ----------------------------------------------------------------------------------------------------

function sorted(columns: ReadonlySet<number>): number[] {
  return [...columns].toSorted((a, b) => a - b);
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

function below(columns: ReadonlySet<number>, width: number): ReadonlySet<number> {
  return new Set([...columns].filter((index) => index < width));
}

function reading(needed: ReadonlySet<number>, exprs: readonly Expr[]): ReadonlySet<number> {
  const read = new Set(needed);
  for (const expr of exprs) collectColumns(expr, read);
  return read;
}

function pick(schema: Schema, columns: readonly number[]): Field[] {
  return columns.map((index) => columnAt(schema, index));
}

function columnAt<T>(columns: readonly T[], index: number): T {
  return must(columns[index], () => `there is no column ${index} of ${columns.length}`);
}

function placeOf(kept: readonly number[], column: number): number {
  const place = kept.indexOf(column);
  assert(place >= 0, () => `the column ${column} was taken away`);
  return place;
}

function moved(expr: Expr, kept: readonly number[]): Expr {
  return mapColumns(expr, (column) => ({ ...column, index: placeOf(kept, column.index) }));
}

function shifted(expr: Expr, by: number): Expr {
  return mapColumns(expr, (column) => ({ ...column, index: column.index + by }));
}

function referTo(schema: Schema, index: number): ProjectedColumn {
  const { name, type, nullable } = columnAt(schema, index);
  return { name, type, nullable, expr: { kind: 'column', type, nullable, index, name } };
}

function exprsOf(columns: readonly { readonly expr: Expr }[]): Expr[] {
  return columns.map(({ expr }) => expr);
}

function exprsOfCalls(calls: readonly AggregateCall[]): Expr[] {
  return calls.flatMap(({ args, filter }) => (filter === null ? args : [...args, filter]));
}

function neededCalls(
  node: NodeOf<'aggregate'>,
  needed: ReadonlySet<number>,
  first: number,
): { readonly calls: readonly AggregateCall[]; readonly kept: readonly number[] } {
  const places = range(node.aggregates.length).filter((index) => needed.has(first + index));
  return {
    calls: places.map((index) => columnAt(node.aggregates, index)),
    kept: [...range(first), ...places.map((index) => first + index)],
  };
}

/** What comes out of an aggregate. */
function resultOf(node: NodeOf<'aggregate'>, kept: readonly number[]): Omit<Rows, 'flows'> {
  return { kept, output: pick(node.output, kept), times: node.eventTime === null ? [] : [node.eventTime] };
}

function sourcesOf(node: LogicalPlan): string[] {
  const below = inputsOf(node).flatMap(sourcesOf);
  return [...new Set(node.kind === 'source' ? [node.source] : below)];
}

/** A static table below filters and projections: what is read of it, in terms of its own columns. */
function staticTable(node: LogicalPlan):
  | {
      readonly name: string;
      readonly base: Schema;
      readonly columns: readonly ProjectedColumn[];
      readonly filters: readonly Expr[];
    }
  | undefined {
  if (node.kind === 'static') {
    const columns = node.output.map((_, index) => referTo(node.output, index));
    return { name: node.table, base: node.output, columns, filters: [] };
  }
  if (node.kind !== 'filter' && node.kind !== 'project') return undefined;
  const inner = staticTable(node.input);
  if (inner === undefined) return undefined;
  const inlined = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(inner.columns, column.index).expr);
  if (node.kind === 'filter') return { ...inner, filters: [...inner.filters, inlined(node.predicate)] };
  return { ...inner, columns: node.columns.map((column) => ({ ...column, expr: inlined(column.expr) })) };
}

// ---- chains of operators ----------------------------------------------------------------------------------------

function withOperator(rows: Rows, operator: StageOperator): Rows {
  return { ...rows, flows: rows.flows.map((flow) => ({ ...flow, operators: [...flow.operators, operator] })) };
}

/** With an operator behind that keeps or appends columns; their fields are those of the logical node. */
function added(rows: Rows, operator: StageOperator, output: Schema, kept: readonly number[] = rows.kept): Rows {
  return { ...withOperator(rows, operator), output: pick(output, kept) };
}

function projected(rows: Rows, columns: readonly ProjectedColumn[]): Rows {
  const output = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return { ...withOperator(rows, { kind: 'project', columns }), output, kept: range(columns.length) };
}

/** Exactly the columns `wanted` (indexes of the logical node), in this order. */
function narrowed(rows: Rows, wanted: readonly number[]): Rows {
  if (wanted.length === rows.kept.length && wanted.every((column, index) => rows.kept[index] === column)) return rows;
  const places = wanted.map((column) => placeOf(rows.kept, column));
  const times = rows.times.flatMap((time): EventTimeColumn[] => {
    const column = places.indexOf(time.column);
    return column < 0 ? [] : [{ ...time, column }];
  });
  const columns = places.map((place) => referTo(rows.output, place));
  return { ...projected(rows, columns), kept: wanted, times };
}

function late(rows: Rows, operatorId: OperatorId, time: EventTimeColumn, watermarkLagUs: number): Rows {
  const { column, kind } = time;
  return withOperator(rows, { kind: 'late', operatorId, rule: kind, column, gap: -1, watermarkLagUs });
}

function lastProject(operators: readonly StageOperator[]): Schema | undefined {
  const last = operators.at(-1);
  if (last?.kind !== 'project') return undefined;
  return last.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
}

/** Two projections in a row become one where no expression is computed twice by that. */
function mergeProjects(operators: readonly StageOperator[]): readonly StageOperator[] {
  const merged: StageOperator[] = [];
  for (const operator of operators) {
    const last = merged.at(-1);
    if (operator.kind === 'project' && last?.kind === 'project' && isSpared(last.columns, operator.columns)) {
      const inlined = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(last.columns, column.index).expr);
      const columns = operator.columns.map((column) => ({ ...column, expr: inlined(column.expr) }));
      merged[merged.length - 1] = { kind: 'project', columns };
    } else merged.push(operator);
  }
  return merged;
}

function isSpared(lower: readonly ProjectedColumn[], upper: readonly ProjectedColumn[]): boolean {
  const uses = lower.map(() => 0);
  for (const { expr } of upper) countUses(expr, uses, 1);
  return lower.every(({ expr }, index) => expr.kind === 'column' || expr.kind === 'literal' || (uses[index] ?? 0) <= 1);
}

/** Uses within a lambda count twice: it runs once per element. */
function countUses(expr: Expr, uses: number[], times: number): void {
  if (expr.kind === 'column') uses[expr.index] = (uses[expr.index] ?? 0) + times;
  for (const child of childrenOf(expr)) countUses(child, uses, expr.kind === 'lambda' ? 2 : times);
}

/** The branch over the columns that its map stage scans, instead of those it reads itself. */
function onScan(
  branch: Branch,
  own: readonly number[],
  scanned: readonly number[],
  columns: readonly InputColumn[],
): Branch {
  if (own.length === scanned.length && own.every((column, place) => scanned[place] === column)) return branch;
  const places = own.map((column) => placeOf(scanned, column));
  const first = branch.operators.findIndex(({ kind }) => kind === 'project');
  if (first < 0) {
    const chosen = own.map((column, index): ProjectedColumn => {
      const { name, type, nullable } = fieldOf(columnAt(columns, column));
      return { name, type, nullable, expr: { kind: 'column', type, nullable, index: columnAt(places, index), name } };
    });
    return { ...branch, operators: [{ kind: 'project', columns: chosen }, ...branch.operators] };
  }
  // What operators append stands behind the scanned columns.
  const shift = scanned.length - own.length;
  const at = (column: number): number => places[column] ?? column + shift;
  const fields = scanned.map((column) => fieldOf(columnAt(columns, column)));
  const change = (operator: StageOperator): StageOperator => {
    const changed = changeColumns(operator, at);
    if (changed.kind !== 'staticJoin') return changed;
    return { ...changed, output: [...fields, ...changed.output.slice(own.length)] };
  };
  return {
    ...branch,
    operators: branch.operators.map((operator, place) => (place > first ? operator : change(operator))),
  };
}

function fieldOf(column: InputColumn): Field {
  const { name, type } = column;
  if (column.kind === 'field') return { name, type, nullable: !column.required };
  return { name, type, nullable: column.column === 'key' || column.column === 'value' || column.column === 'headers' };
}

/** The operator with every column of its input at another place. */
function changeColumns(operator: StageOperator, at: (column: number) => number): StageOperator {
  const change = (expr: Expr): Expr => mapColumns(expr, (column) => ({ ...column, index: at(column.index) }));
  switch (operator.kind) {
    case 'filter':
      return { ...operator, predicate: change(operator.predicate) };
    case 'generate':
      return { ...operator, input: change(operator.input) };
    case 'project':
      return { ...operator, columns: operator.columns.map((column) => ({ ...column, expr: change(column.expr) })) };
    case 'watermark':
      return { ...operator, column: at(operator.column) };
    case 'assignWindow':
      return { ...operator, on: change(operator.on) };
    case 'late':
      return { ...operator, column: at(operator.column), gap: operator.gap < 0 ? -1 : at(operator.gap) };
    case 'staticJoin':
      return {
        ...operator,
        equi: operator.equi.map((pair) => ({ ...pair, left: change(pair.left) })),
        residual: operator.residual && change(operator.residual),
      };
    case 'partialAggregate':
      // It reads its columns by their order, so a projection stands before it.
      return operator;
  }
}
