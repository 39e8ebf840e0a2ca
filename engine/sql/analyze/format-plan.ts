/** Logical plans as indented text, for `weir explain`. */
import type { Expr } from '../../../core/ast.ts';
import type { OutputMode } from '../../plan/epoch-plan.ts';
import type { AggregateCall, LogicalPlan, RankCall, SortKey } from '../../plan/logical-plan.ts';
import { splitConjuncts } from '../conjuncts.ts';
import { formatExpr, formatName } from '../format.ts';
import { duration, evictionRule, isStateful } from './eviction.ts';
import { inputsOf } from './tree.ts';

/** One line for each operator, inputs indented below; stateful ones with their id, key and when they forget. */
export function formatPlan(plan: LogicalPlan, mode: OutputMode = 'append'): string[] {
  const rule = isStateful(plan) ? evictionRule(plan, mode) : null;
  const forgets = rule === null ? '' : rule === 'never' ? ' [never evicted]' : ` [evicted ${rule}]`;
  const name = isStateful(plan) ? `${plan.id}: ` : '';
  const below = inputsOf(plan).flatMap((input) => formatPlan(input, mode));
  return [`${name}${describe(plan)}${forgets}`, ...below.map((line) => `  ${line}`)];
}

function describe(plan: LogicalPlan): string {
  const names = (columns: readonly number[], of: LogicalPlan['output']): string =>
    columns.map((column) => formatName(of[column]?.name ?? '')).join(', ');
  switch (plan.kind) {
    case 'source':
      return `source ${formatName(plan.source)}`;
    case 'static':
      return `table ${formatName(plan.table)}`;
    case 'filter':
      return `filter ${formatExpr(plan.predicate)}`;
    case 'project':
      return `project ${plan.columns.map(({ name, expr }) => named(formatExpr(expr), name)).join(', ')}`;
    case 'generate':
      return `generate ${plan.generator}${plan.outer ? '_outer' : ''}(${formatExpr(plan.expr)})`;
    case 'assignWindow': {
      const slide = plan.slideUs === plan.sizeUs ? '' : ` every ${duration(plan.slideUs)}`;
      const start = plan.startUs === 0 ? '' : ` from ${duration(plan.startUs)}`;
      return `window ${formatExpr(plan.on)} of ${duration(plan.sizeUs)}${slide}${start}`;
    }
    case 'watermark':
      return `watermark ${names([plan.column], plan.output)} - ${duration(plan.delayUs)}`;
    case 'aggregate': {
      const keys = plan.keys.map(({ name, expr }) => named(formatExpr(expr), name));
      if (plan.session !== null)
        keys.push(`session ${formatExpr(plan.session.on)} with gap ${gap(plan.session.gapUs)}`);
      const by = keys.length === 0 ? 'all rows' : `by ${keys.join(', ')}`;
      return `aggregate ${plan.aggregates.map(aggregate).join(', ')} ${by}`.replace('aggregate  ', 'aggregate ');
    }
    case 'dedup':
      return `distinct on ${names(plan.keys, plan.output)}${plan.withinWatermark === null ? '' : ' within watermark'}`;
    case 'join':
    case 'staticJoin': {
      const width = (plan.kind === 'join' ? plan.left : plan.input).output.length;
      const [first, second] = plan.kind === 'join' ? ['left', 'right'] : ['stream', 'table'];
      const format = (expr: Expr): string =>
        formatExpr(expr, ({ index, name }) => `${index < width ? first : second}.${formatName(name)}`);
      const on = plan.equi.map(
        ({ left, right, nullSafe }) => `${format(left)} ${nullSafe ? '<=>' : '='} ${format(right)}`,
      );
      if (plan.residual !== null) on.push(...splitConjuncts(plan.residual).map(format));
      const kind = plan.kind === 'join' ? `${plan.type} join` : `${plan.type} join with a table`;
      return on.length === 0 ? kind : `${kind} on ${on.join(' AND ')}`;
    }
    case 'union':
      return 'union all';
    case 'limit':
      return `limit ${plan.count}`;
    case 'sort':
      return `sort by ${plan.by.map(sortKey).join(', ')}${plan.limit === null ? '' : ` limit ${plan.limit}`}`;
    case 'rank': {
      const by = plan.keys.length === 0 ? 'all rows' : `by ${plan.keys.map((expr) => formatExpr(expr)).join(', ')}`;
      const equals = plan.ties === true ? ' and their equals' : '';
      const most = plan.limit === null ? '' : `, ${plan.limit} rows each${equals}`;
      return `${plan.calls.map(rankCall).join(', ')} ${by} ordered by ${plan.by.map(sortKey).join(', ')}${most}`;
    }
    case 'user':
      return `functions ${plan.functions.join(', ')} by ${names(plan.keys, plan.input.output)}`;
  }
}

function gap(expr: Expr): string {
  return expr.kind === 'literal' && expr.value !== null ? duration(Number(expr.value)) : `${formatExpr(expr)} us`;
}

function named(text: string, name: string): string {
  return text === formatName(name) ? text : `${text} AS ${formatName(name)}`;
}

function aggregate({ function: name, args, distinct, filter }: AggregateCall): string {
  const list = args.length === 0 ? '*' : args.map((expr) => formatExpr(expr)).join(', ');
  const only = filter === null ? '' : ` FILTER (WHERE ${formatExpr(filter)})`;
  return `${name}(${distinct ? 'DISTINCT ' : ''}${list})${only}`;
}

function rankCall({ function: name, args, offset }: RankCall): string {
  const [value, otherwise] = args;
  if (value === undefined) return `${name}()`;
  return `${name}(${formatExpr(value)}, ${offset}${otherwise === undefined ? '' : `, ${formatExpr(otherwise)}`})`;
}

function sortKey({ expr, descending, nullsFirst }: SortKey): string {
  const nulls = nullsFirst === !descending ? '' : nullsFirst ? ' NULLS FIRST' : ' NULLS LAST';
  return `${formatExpr(expr)}${descending ? ' DESC' : ''}${nulls}`;
}
