/** When the state of an operator is forgotten, in words. */
import type { OutputMode } from '../../plan/epoch-plan.ts';
import type { EventTimeColumn, LogicalPlan } from '../../plan/logical-plan.ts';
import { formatName } from '../format.ts';

/** Operators that keep state between epochs. */
export type StatefulPlan = Extract<LogicalPlan, { readonly id: string }>;

export function isStateful(plan: LogicalPlan): plan is StatefulPlan {
  return 'id' in plan;
}

/** Whose rows a join forgets at some time. */
export function evictedSides(join: Extract<LogicalPlan, { kind: 'join' }>): {
  readonly left: boolean;
  readonly right: boolean;
} {
  return {
    left: join.equalTime || (join.bounds !== null && join.bounds.lowerUs !== null),
    right: join.equalTime || (join.bounds !== null && join.bounds.upperUs !== null),
  };
}

/** A sentence for each part of the operator's state that grows for ever. */
export function neverEvicted(plan: LogicalPlan, mode: OutputMode): readonly string[] {
  switch (plan.kind) {
    case 'aggregate':
      if (plan.keys.length === 0 && plan.session === null) return [];
      if (mode === 'complete')
        return [`${plan.id} keeps every group for ever: complete mode writes the whole result each time`];
      return plan.eventTime === null
        ? [
            `${plan.id} keeps every group for ever: no key of GROUP BY is event time; group by window(…) of a column with a watermark to bound its state`,
          ]
        : [];
    case 'dedup':
      return plan.eventTime === null && plan.withinWatermark === null
        ? [
            `${plan.id} keeps every key for ever: none of its columns is event time; add a column with a watermark, or write WITHIN WATERMARK`,
          ]
        : [];
    case 'join': {
      const evicted = evictedSides(plan);
      const remedy = 'declare watermarks on both sides and bound their times in ON';
      return [
        ...(evicted.left ? [] : [`${plan.id} keeps every row of its left side for ever: ${remedy}`]),
        ...(evicted.right ? [] : [`${plan.id} keeps every row of its right side for ever: ${remedy}`]),
      ];
    }
    case 'rank':
      if (plan.eventTime !== null) return [];
      return [
        plan.limit === null
          ? `${plan.id} keeps every row for ever: bound the row number in the query around it (WHERE rn <= 10), or partition by a window`
          : `${plan.id} keeps ${plan.limit} rows of every key for ever: no key of PARTITION BY is event time`,
      ];
    default:
      return [];
  }
}

/** When the operator forgets, as the end of a sentence; null where it keeps nothing that could be forgotten. */
export function evictionRule(plan: StatefulPlan, mode: OutputMode): string | null {
  switch (plan.kind) {
    case 'aggregate':
      if (mode === 'complete' || plan.eventTime === null) return plan.keys.length === 0 ? null : 'never';
      return `when ${whenPast(plan.eventTime, plan.output, plan.watermarkLagUs)}`;
    case 'dedup':
      if (plan.withinWatermark !== null) {
        const name = formatName(plan.output[plan.withinWatermark.column]?.name ?? '');
        return `when ${name} + ${duration(plan.withinWatermark.delayUs)} <= ${watermark(plan.watermarkLagUs)}`;
      }
      return plan.eventTime === null ? 'never' : `when ${whenPast(plan.eventTime, plan.output, plan.watermarkLagUs)}`;
    case 'join':
      return joinRule(plan);
    case 'rank':
      return plan.eventTime === null
        ? 'never'
        : `when ${whenPast(plan.eventTime, plan.input.output, plan.watermarkLagUs)}`;
    case 'limit':
    case 'sort':
      return null;
    case 'user':
      return userRule(plan);
  }
}

function userRule({ variables }: Extract<LogicalPlan, { kind: 'user' }>): string {
  const rules = variables.map(({ name, ttlUs }) =>
    ttlUs === null ? `${name} by functions` : `${name} by functions or ${duration(ttlUs)} after it was written`,
  );
  return rules.join('; ');
}

function joinRule(plan: Extract<LogicalPlan, { kind: 'join' }>): string {
  const { bounds } = plan;
  const limit = watermark(plan.watermarkLagUs);
  const side = (name: string, time: EventTimeColumn | null, input: LogicalPlan, us: number | null): string => {
    if (time === null || (!plan.equalTime && us === null)) return `${name} never`;
    const column = timeName(time, input.output);
    return `${name} when ${column} <= ${plan.equalTime ? limit : `${limit}${signed(us ?? 0)}`}`;
  };
  const upper = bounds === null || bounds.upperUs === null ? null : -bounds.upperUs;
  return `${side('left', plan.leftTime, plan.left, bounds?.lowerUs ?? null)}; ${side('right', plan.rightTime, plan.right, upper)}`;
}

function timeName(time: EventTimeColumn, columns: LogicalPlan['output']): string {
  const name = formatName(columns[time.column]?.name ?? '');
  return time.kind === 'window' ? `${name}.end` : name;
}

function whenPast(time: EventTimeColumn, columns: LogicalPlan['output'], lagUs: number): string {
  return `${timeName(time, columns)} <= ${watermark(lagUs)}`;
}

function watermark(lagUs: number): string {
  return lagUs === 0 ? 'watermark' : `watermark - ${duration(lagUs)}`;
}

function signed(us: number): string {
  if (us === 0) return '';
  return us > 0 ? ` + ${duration(us)}` : ` - ${duration(-us)}`;
}

const units: readonly (readonly [us: number, name: string])[] = [
  [86_400_000_000, 'd'],
  [3_600_000_000, 'h'],
  [60_000_000, 'min'],
  [1_000_000, 's'],
  [1000, 'ms'],
  [1, 'us'],
];

/** `1h 1ms`. */
export function duration(us: number): string {
  const parts: string[] = [];
  let rest = Math.abs(us);
  for (const [size, name] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${name}`);
    rest -= count * size;
  }
  return `${us < 0 ? '-' : ''}${parts.length === 0 ? '0s' : parts.join(' ')}`;
}
