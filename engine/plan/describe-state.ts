/** What the operators of a stateful job keep, in words and in columns. */
import { must } from '../../core/assert.ts';
import { formatDurationUs } from '../../core/duration.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import { formatName } from '../sql/format.ts';
import type { EpochsPlan, StatePlan, StateStage } from './epoch-plan.ts';
import type { EventTimeColumn, JoinTimeBounds } from './logical-plan.ts';

export interface StateDescription {
  /** Columns that tell one entry from another; none = the operator keeps one entry. */
  readonly key: Schema;
  /** What an entry holds besides its key. */
  readonly columns: Schema;
  /** When an entry is forgotten; null = never. */
  readonly forgets: string | null;
  /** What stays for ever, where something does. */
  readonly keepsForEver: string | null;
}

/** Describes one stage's state. */
export function describeState(stage: StateStage, plan: Pick<EpochsPlan, 'watermarks'>): StateDescription {
  const { state } = stage;
  const input = must(stage.inputs[0], () => `${stage.operatorId} has no input`);
  switch (state.kind) {
    case 'aggregate': {
      const key = input.slice(0, state.keyCount);
      const columns = bufferSchemaOf(state.aggregates);
      if (state.mode === 'complete') {
        const stays = key.length === 0 ? null : 'every group: complete mode shows all of them in every epoch';
        return { key, columns, forgets: null, keepsForEver: stays };
      }
      if (state.eventTime !== null && state.panes !== undefined)
        return {
          key,
          columns,
          forgets: `a pane of ${formatDurationUs(state.panes.slideUs)} with the last window over it, when its start + ${formatDurationUs(state.panes.sizeUs)} <= ${watermarkText(state.watermarkLagUs)}`,
          keepsForEver: null,
        };
      if (state.eventTime !== null)
        return {
          key,
          columns,
          forgets: `a group when ${passed(key, state.eventTime, state.watermarkLagUs)}`,
          keepsForEver: null,
        };
      const stays = key.length === 0 ? null : `every group of (${list(key)})`;
      return { key, columns, forgets: null, keepsForEver: stays };
    }
    case 'session': {
      const key = input.slice(0, state.keyCount);
      const times: Schema = [
        { name: 'start', type: { kind: 'timestamp' }, nullable: false },
        { name: 'end', type: { kind: 'timestamp' }, nullable: false },
      ];
      const columns = [...times, ...bufferSchemaOf(state.aggregates)];
      const forgets =
        state.mode === 'complete' || plan.watermarks.length === 0
          ? null
          : `a session when its end <= ${watermarkText(state.watermarkLagUs)}`;
      return { key, columns, forgets, keepsForEver: forgets === null ? 'every session' : null };
    }
    case 'dedup': {
      const key = state.keys.map((column) => must(input[column], () => 'a key has no column'));
      if (state.withinWatermark !== null) {
        const { column, delayUs } = state.withinWatermark;
        const time = formatName(input[column]?.name ?? '');
        const forgets = `a key when ${time} + ${formatDurationUs(delayUs)} of its first row <= ${watermarkText(state.watermarkLagUs)}`;
        return {
          key,
          columns: [{ name: 'expires', type: { kind: 'timestamp' }, nullable: false }],
          forgets,
          keepsForEver: null,
        };
      }
      const forgets = state.eventTime && `a key when ${passed(input, state.eventTime, state.watermarkLagUs)}`;
      return { key, columns: [], forgets, keepsForEver: forgets === null ? `every key (${list(key)})` : null };
    }
    case 'join':
      return describeJoin(stage, state);
    case 'user':
      return describeUser(state, input);
    case 'limit':
      return {
        key: [],
        columns: [{ name: 'rows', type: { kind: 'bigint' }, nullable: false }],
        forgets: null,
        keepsForEver: null,
      };
    case 'sort':
      return { key: [], columns: [], forgets: 'everything at the end of the epoch', keepsForEver: null };
    case 'rank': {
      const key = input.slice(0, state.keyCount);
      const columns = input.slice(state.keyCount);
      const time = state.eventTime && `the rows of a key when ${passed(key, state.eventTime, state.watermarkLagUs)}`;
      const top = state.limit === null ? null : `a row when ${state.limit} of its key stand before it`;
      const forgets = [time, top].filter((rule) => rule !== null).join('; ');
      const equals = state.ties === true ? ' and their equals' : '';
      const stays = state.limit === null ? 'every row' : `${state.limit} rows${equals} of every key (${list(key)})`;
      return { key, columns, forgets: forgets === '' ? null : forgets, keepsForEver: time === null ? stays : null };
    }
  }
}

function describeUser(
  { keys, variables, timers, watermarkLagUs }: Extract<StatePlan, { kind: 'user' }>,
  input: Schema,
): StateDescription {
  const times: Schema =
    timers === 'none' ? [] : [{ name: 'timers', type: listOf({ kind: 'timestamp' }), nullable: false }];
  const columns = variables.map(({ name, kind, schema, key }): Field => {
    const row: DataType = { kind: 'struct', fields: schema };
    const map = key && { kind: 'map' as const, key, value: row, valueContainsNull: false };
    return { name, type: map ?? (kind === 'list' ? listOf(row) : row), nullable: kind === 'value' };
  });
  const time = timers === 'eventTime' ? watermarkText(watermarkLagUs) : 'the epoch’s time';
  const forgets = variables.flatMap(({ name, ttlUs }) =>
    ttlUs === null ? [] : [`${formatName(name)} when the time it was written + ${formatDurationUs(ttlUs)} <= ${time}`],
  );
  const kept = variables.flatMap(({ name, ttlUs }) => (ttlUs === null ? [formatName(name)] : []));
  return {
    key: keys.map((column) => must(input[column], () => 'a key has no column')),
    columns: [...columns, ...times],
    forgets: forgets.length === 0 ? null : forgets.join('; '),
    keepsForEver: kept.length === 0 ? null : `${kept.join(', ')} of every key that no function clears`,
  };
}

function listOf(element: DataType): DataType {
  return { kind: 'array', element, containsNull: false };
}

function describeJoin(stage: StateStage, state: Extract<StatePlan, { kind: 'join' }>): StateDescription {
  const [left = [], right = []] = stage.inputs;
  const own = [left.slice(state.keyCount), right.slice(state.keyCount)] as const;
  const columns = [...own[0].map(prefixed('left')), ...own[1].map(prefixed('right'))];
  const sides = [
    { name: 'left', time: state.leftTime, own: own[0] },
    { name: 'right', time: state.rightTime, own: own[1] },
  ] as const;
  const rules: string[] = [];
  const kept: string[] = [];
  for (const { name, time, own: columnsOfSide } of sides) {
    const reach = reachOf(name, state.bounds);
    if (time === null || (!state.equalTime && reach === null)) kept.push(`every row of the ${name} side`);
    else {
      const later = state.equalTime || reach === null ? '' : shiftText(reach);
      const column = `${formatName(columnsOfSide[time.column]?.name ?? '')}${time.kind === 'window' ? '.end' : ''}`;
      rules.push(`a row of the ${name} side when ${column}${later} <= ${watermarkText(state.watermarkLagUs)}`);
    }
  }
  return {
    key: left.slice(0, state.keyCount),
    columns,
    forgets: rules.length === 0 ? null : rules.join('; '),
    keepsForEver: kept.length === 0 ? null : kept.join(', '),
  };
}

/** How far behind a row's time its last partner may lie; null = for ever. */
function reachOf(side: 'left' | 'right', bounds: JoinTimeBounds | null): number | null {
  if (bounds === null) return null;
  if (side === 'left') return bounds.lowerUs === null ? null : -bounds.lowerUs;
  return bounds.upperUs;
}

function shiftText(us: number): string {
  return us === 0 ? '' : us < 0 ? ` - ${formatDurationUs(-us)}` : ` + ${formatDurationUs(us)}`;
}

function prefixed(side: string): (field: Schema[number]) => Schema[number] {
  return (field) => ({ ...field, name: `${side}.${field.name}` });
}

function list(columns: Schema): string {
  return columns.map(({ name }) => formatName(name)).join(', ');
}

function passed(columns: Schema, { column, kind }: EventTimeColumn, lagUs: number): string {
  const name = formatName(columns[column]?.name ?? '');
  return `${kind === 'window' ? `${name}.end` : name} <= ${watermarkText(lagUs)}`;
}

function watermarkText(lagUs: number): string {
  return lagUs === 0 ? 'the watermark' : `the watermark - ${formatDurationUs(lagUs)}`;
}
