/**
 * What the columns that arrive at state stages mean, as text over sources and other operators: `upper(word)`,
 * `window(ts, 5s)`. Two plans in which an operator's columns have the same texts keep the same things in its state,
 * however the operators in front of it are cut.
 */
import { must } from '../../core/assert.ts';
import { type Expr, mapColumns } from '../../core/ast.ts';
import { formatDurationUs } from '../../core/duration.ts';
import { formatExpr } from '../sql/format.ts';
import type { AggregatePlan, Branch, EpochsPlan, StateStage } from './epoch-plan.ts';
import type { StageOperator } from './stage-plan.ts';

/** Of one port of a state stage. */
export interface PortOrigins {
  /** Sources and operators whose rows arrive. */
  readonly feeds: readonly string[];
  /** For each column what it means. */
  readonly columns: readonly string[];
  /** For each aggregate that is begun before the exchange what it computes. */
  readonly aggregates: readonly string[];
  /** Conditions that the rows meet since the last exchange. */
  readonly filters: readonly string[];
}

/** By stage, the meaning of what arrives at each port; map stages have none. */
export function columnOrigins(plan: EpochsPlan): ReadonlyMap<number, readonly PortOrigins[]> {
  const arrived = new Map<number, Arrival[][]>();
  const origins = new Map<number, readonly PortOrigins[]>();
  const follow = (feed: string, columns: readonly string[], branch: Branch): void => {
    const { target } = branch;
    if (target.kind === 'sink') return;
    const ports = arrived.get(target.stage) ?? [];
    (ports[target.port] ??= []).push({ feed, ...through(branch.operators, columns) });
    arrived.set(target.stage, ports);
  };
  for (const [index, stage] of plan.stages.entries()) {
    if (stage.kind === 'map') {
      const columns = stage.scan.columns.map(({ name }) => name);
      for (const branch of stage.branches) follow(`source ${stage.source}`, columns, branch);
      continue;
    }
    const ports = (arrived.get(index) ?? []).map(together);
    origins.set(index, ports);
    follow(stage.operatorId, resultsOf(stage, ports), stage.branch);
  }
  return origins;
}

interface Arrival {
  readonly feed: string;
  readonly columns: readonly string[];
  readonly aggregates: readonly string[];
  readonly filters: readonly string[];
}

/** Of the branches of a UNION ALL each has its say. */
function together(arrivals: readonly Arrival[]): PortOrigins {
  const join = (texts: readonly (readonly string[])[]): string[] =>
    (texts[0] ?? []).map((_, index) => [...new Set(texts.map((each) => each[index] ?? ''))].toSorted().join(' | '));
  return {
    feeds: [...new Set(arrivals.map(({ feed }) => feed))].toSorted(),
    columns: join(arrivals.map(({ columns }) => columns)),
    aggregates: join(arrivals.map(({ aggregates }) => aggregates)),
    filters: arrivals.map(({ filters }) => filters.join(' and ')).toSorted(),
  };
}

function textOf(expr: Expr, columns: readonly string[]): string {
  return formatExpr(
    mapColumns(expr, (column) => ({ ...column, name: columns[column.index] ?? column.name })),
  ).replaceAll('`', '');
}

/** What an aggregate computes over columns with these meanings. */
export function aggregateText(aggregate: AggregatePlan, columns: readonly string[]): string {
  const args = aggregate.inputs.map((column) => columns[column] ?? '');
  const filter = aggregate.filter < 0 ? '' : ` filter (${columns[aggregate.filter]})`;
  return `${aggregate.function}(${aggregate.distinct ? 'distinct ' : ''}${args.join(', ')})${filter}`;
}

function through(operators: readonly StageOperator[], input: readonly string[]): Omit<Arrival, 'feed'> {
  let columns = [...input];
  let aggregates: string[] = [];
  const filters: string[] = [];
  for (const operator of operators) {
    const known = columns;
    switch (operator.kind) {
      case 'filter':
        filters.push(textOf(operator.predicate, known));
        break;
      case 'watermark':
      case 'late':
        break;
      case 'project':
        columns = operator.columns.map(({ expr }) => textOf(expr, known));
        break;
      case 'generate': {
        const text = `${operator.generator}(${textOf(operator.input, known)})`;
        columns = [...known, ...operator.output.map((_, index) => `${text}.${index}`)];
        break;
      }
      case 'assignWindow': {
        const { sizeUs, slideUs, startUs } = operator;
        const slide = slideUs === sizeUs && startUs === 0 ? '' : `, ${formatDurationUs(slideUs)}`;
        const start = startUs === 0 ? '' : `, ${formatDurationUs(startUs)}`;
        const window = `window(${textOf(operator.on, known)}, ${formatDurationUs(sizeUs)}${slide}${start})`;
        columns = [...known, window];
        break;
      }
      case 'partialAggregate':
        aggregates = operator.aggregates.map((aggregate) => aggregateText(aggregate, known));
        columns = [...known.slice(0, operator.keyCount), ...aggregates];
        break;
      case 'staticJoin': {
        const added = operator.output.slice(known.length);
        if (added.length > 0) columns = [...known, ...added.map(({ name }) => `${operator.table}.${name}`)];
        break;
      }
    }
  }
  return { columns, aggregates, filters };
}

/** What comes out of a stage, by what went in: places do not matter, so that other columns may come and go. */
function resultsOf({ operatorId, state }: StateStage, ports: readonly PortOrigins[]): readonly string[] {
  const [left, right] = ports;
  const input = must(left, () => `no rows arrive at ${operatorId}`);
  const within = (text: string): string => `${operatorId}.${text}`;
  switch (state.kind) {
    case 'aggregate':
      return [...input.columns.slice(0, state.keyCount), ...input.aggregates.map(within)];
    case 'session': {
      const [time, gap] = input.columns.slice(state.keyCount);
      const calls = state.aggregates.map((aggregate) => within(aggregateText(aggregate, input.columns)));
      return [...input.columns.slice(0, state.keyCount), `session_window(${time}, ${gap})`, ...calls];
    }
    case 'join': {
      const sides = state.type === 'semi' || state.type === 'anti' ? [input] : [input, right ?? input];
      return sides.flatMap(({ columns }, side) =>
        columns.slice(state.keyCount).map((text) => within(`${side === 0 ? 'left' : 'right'}.${text}`)),
      );
    }
    case 'rank':
      return [...input.columns.slice(state.keyCount), ...state.calls.map((call) => within(call.function))];
    case 'user':
      return state.output.map(({ name }) => within(name));
    case 'dedup':
    case 'limit':
    case 'sort':
      return input.columns;
  }
}
