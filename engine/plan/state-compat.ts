/**
 * Whether a changed job can go on with the state it has. State belongs to an operator by its id and is made of keys and
 * values; what stands between operators (filters, projections, sinks) and when epochs run is no part of it.
 */
import { formatDurationUs } from '../../core/duration.ts';
import { formatType } from '../../core/types.ts';
import { aggregateOf } from '../sql/aggregates.ts';
import { aggregateText, columnOrigins, type PortOrigins } from './column-origins.ts';
import type { EpochsPlan, StatePlan, StateStage } from './epoch-plan.ts';
import type { EventTimeColumn, OperatorId, StateVariable } from './logical-plan.ts';

/** What is done to the stored state of one operator before the changed job goes on with it. */
export interface StateMigration {
  readonly operatorId: OperatorId;
  /** Stage of the operator in the job before and after; -1 = it is not there. Stored groups name their stage. */
  readonly from: number;
  readonly to: number;
  /**
   * For each aggregate of the changed operator the index of the one whose buffers it takes over, -1 = it starts empty.
   * null = the state stays as it is.
   */
  readonly aggregates: readonly number[] | null;
}

export type StateCompatibility =
  /** The state is the same, stage by stage. */
  | { readonly kind: 'same' }
  | {
      readonly kind: 'compatible';
      /** For every operator of either job. */
      readonly migrations: readonly StateMigration[];
      /** For people: what changes with the state. */
      readonly notes: readonly string[];
    }
  /** Whole clauses: `aggregate-1 is keyed by (word STRING), was by (id STRING)`. */
  | { readonly kind: 'incompatible'; readonly reasons: readonly string[] };

type StateOf<K extends StatePlan['kind']> = Extract<StatePlan, { readonly kind: K }>;

/** Compares the state of a running job with what a changed definition of it would keep. */
export function compareState(before: EpochsPlan, after: EpochsPlan): StateCompatibility {
  const old = statesOf(before);
  const next = statesOf(after);
  const reasons: string[] = [];
  const notes: string[] = [];
  const migrations: StateMigration[] = [];
  for (const [operatorId, is] of next) {
    const was = old.get(operatorId);
    if (was !== undefined) {
      const found = compareStage(was, is);
      reasons.push(...found.reasons.map((reason) => `${operatorId} ${reason}`));
      notes.push(...found.notes.map((note) => `${operatorId} ${note}`));
      migrations.push({ operatorId, from: was.index, to: is.index, aggregates: found.aggregates });
    } else if (old.size === 0) {
      notes.push(`${operatorId} begins empty`);
      migrations.push({ operatorId, from: -1, to: is.index, aggregates: null });
    } else reasons.push(`${operatorId} (${describe(is.stage)}) is new and would not know what came before`);
  }
  for (const [operatorId, was] of old) {
    if (next.has(operatorId)) continue;
    if (next.size === 0) {
      notes.push(`${operatorId} is gone, and its state with it`);
      migrations.push({ operatorId, from: was.index, to: -1, aggregates: null });
    } else reasons.push(`${operatorId} (${describe(was.stage)}) is gone: those that stay would go on without it`);
  }
  reasons.push(...swapped(old, next));
  reasons.push(...compareSources(before, after), ...compareWatermarks(before, after), ...compareZones(before, after));
  if (reasons.length > 0) return { kind: 'incompatible', reasons };
  const isSame = migrations.every(({ from, to, aggregates }) => from === to && aggregates === null);
  return isSame && notes.length === 0 ? { kind: 'same' } : { kind: 'compatible', migrations, notes };
}

interface PlacedStage {
  readonly index: number;
  readonly stage: StateStage;
  readonly ports: readonly PortOrigins[];
}

function statesOf(plan: EpochsPlan): ReadonlyMap<OperatorId, PlacedStage> {
  const origins = columnOrigins(plan);
  return new Map(
    plan.stages.flatMap((stage, index): [OperatorId, PlacedStage][] =>
      stage.kind === 'map' ? [] : [[stage.operatorId, { index, stage, ports: origins.get(index) ?? [] }]],
    ),
  );
}

/**
 * Filters may change, but operators that differ by their filters alone must not change places: each would go on with
 * the state of the other.
 */
function swapped(old: ReadonlyMap<OperatorId, PlacedStage>, next: ReadonlyMap<OperatorId, PlacedStage>): string[] {
  const filtersOf = ({ ports }: PlacedStage): string => JSON.stringify(ports.map(({ filters }) => filters));
  const reasons: string[] = [];
  for (const [operatorId, is] of next) {
    const was = old.get(operatorId);
    if (was === undefined || filtersOf(was) === filtersOf(is)) continue;
    for (const [otherId, other] of old) {
      if (otherId === operatorId || filtersOf(other) !== filtersOf(is)) continue;
      if (compareStage(other, is).reasons.length > 0) continue;
      reasons.push(`${operatorId} filters its rows as ${otherId} did: the queries have changed places`);
    }
  }
  return reasons;
}

function describe({ state }: StateStage): string {
  switch (state.kind) {
    case 'aggregate':
      return 'an aggregate';
    case 'session':
      return 'sessions';
    case 'dedup':
      return state.withinWatermark === null ? 'DISTINCT' : 'DISTINCT WITHIN WATERMARK';
    case 'join':
      return `a ${state.type} join`;
    case 'limit':
      return 'a limit';
    case 'sort':
      return 'an order';
    case 'rank':
      return 'a function over rows in order';
    case 'user':
      return 'keyed state of functions';
  }
}

// ---- one operator -----------------------------------------------------------------------------------------------

interface Findings {
  readonly reasons: string[];
  readonly notes: string[];
  aggregates: readonly number[] | null;
}

/** One operator before and after, of one kind of state. */
interface Pair<K extends StatePlan['kind']> {
  readonly was: PlacedStage & { readonly state: StateOf<K> };
  readonly is: PlacedStage & { readonly state: StateOf<K> };
}

function pairOf<K extends StatePlan['kind']>(kind: K, was: PlacedStage, is: PlacedStage): Pair<K> | null {
  const of = (placed: PlacedStage): (PlacedStage & { readonly state: StateOf<K> }) | null =>
    placed.stage.state.kind === kind ? { ...placed, state: placed.stage.state as StateOf<K> } : null;
  const [old, next] = [of(was), of(is)];
  return old === null || next === null ? null : { was: old, is: next };
}

function compareStage(was: PlacedStage, is: PlacedStage): Findings {
  const findings: Findings = { reasons: [], notes: [], aggregates: null };
  const [old, next] = [was.stage.state, is.stage.state];
  if (old.kind !== next.kind) {
    findings.reasons.push(`is ${describe(is.stage)}, was ${describe(was.stage)}`);
    return findings;
  }
  for (const [port, { feeds }] of is.ports.entries()) {
    const former = was.ports[port]?.feeds.join(', ');
    if (feeds.join(', ') !== former)
      findings.reasons.push(`gets the rows of ${feeds.join(', ')}, got those of ${former}`);
  }
  compareColumns(findings, 'is keyed by', 'was by', keysOf(was), keysOf(is));
  if ('mode' in old && 'mode' in next && old.mode !== next.mode)
    findings.reasons.push(`runs in ${next.mode} mode, ran in ${old.mode} mode`);
  compareKind(findings, was, is);
  return findings;
}

function compareKind(findings: Findings, was: PlacedStage, is: PlacedStage): void {
  const aggregate = pairOf('aggregate', was, is);
  if (aggregate !== null) {
    compareEventTimes(findings, aggregate.was.state.eventTime, aggregate.is.state.eventTime);
    comparePanes(findings, aggregate);
    const texts = (placed: PlacedStage): readonly string[] => placed.ports[0]?.aggregates ?? [];
    compareAggregates(findings, statesOfCalls(aggregate.was, texts(was)), statesOfCalls(aggregate.is, texts(is)));
    if (aggregate.is.state.signed === true) compareTakenBack(findings, was, is);
  }
  const session = pairOf('session', was, is);
  if (session !== null) compareSessions(findings, session);
  const dedup = pairOf('dedup', was, is);
  if (dedup !== null) compareDedup(findings, dedup);
  const join = pairOf('join', was, is);
  if (join !== null) compareJoin(findings, join);
  const limit = pairOf('limit', was, is);
  if (limit !== null && limit.was.state.count !== limit.is.state.count)
    findings.notes.push(`lets ${limit.is.state.count} rows through in all, did ${limit.was.state.count}`);
  const rank = pairOf('rank', was, is);
  if (rank !== null) compareRank(findings, rank);
  const user = pairOf('user', was, is);
  if (user !== null) compareUser(findings, user);
}

/** States come and go by name; one that stays keeps what it holds, so its rows must stay what they are. */
function compareUser(findings: Findings, { was, is }: Pair<'user'>): void {
  if (was.state.timers !== is.state.timers)
    findings.reasons.push(`has timers by ${is.state.timers}, had them by ${was.state.timers}`);
  const text = ({ kind, schema, key }: StateVariable): string =>
    `${kind} of ${key === null ? '' : `${formatType(key)} to `}${formatType({ kind: 'struct', fields: schema })}`;
  for (const variable of is.state.variables) {
    const former = was.state.variables.find(({ name }) => name === variable.name);
    if (former === undefined) findings.notes.push(`gets the state ${variable.name}, empty at first`);
    else if (text(former) !== text(variable))
      findings.reasons.push(`keeps ${variable.name} as a ${text(variable)}, kept it as a ${text(former)}`);
  }
  for (const { name } of was.state.variables)
    if (!is.state.variables.some((variable) => variable.name === name))
      findings.notes.push(`forgets the state ${name}`);
}

/** The column with its type: names do not matter. */
function columnText({ stage, ports }: PlacedStage, port: number, column: number): string {
  const type = stage.inputs[port]?.[column]?.type;
  return `${ports[port]?.columns[column] ?? '?'} ${type === undefined ? '' : formatType(type)}`;
}

function columnTexts(placed: PlacedStage, port: number, from: number, to?: number): string[] {
  const width = placed.stage.inputs[port]?.length ?? 0;
  return Array.from({ length: (to ?? width) - from }, (_, index) => columnText(placed, port, from + index));
}

function keysOf(placed: PlacedStage): string[] {
  const { state } = placed.stage;
  switch (state.kind) {
    case 'aggregate':
    case 'session':
    case 'rank':
      return columnTexts(placed, 0, 0, state.keyCount);
    case 'join':
      return [...columnTexts(placed, 0, 0, state.keyCount), ...columnTexts(placed, 1, 0, state.keyCount)];
    case 'dedup':
    case 'user':
      return state.keys.map((column) => columnText(placed, 0, column));
    case 'limit':
    case 'sort':
      return [];
  }
}

function compareColumns(
  findings: Findings,
  is: string,
  was: string,
  old: readonly string[],
  next: readonly string[],
): void {
  if (old.join(', ') !== next.join(', '))
    findings.reasons.push(`${is} (${next.join(', ')}), ${was} (${old.join(', ')})`);
}

function compareEventTimes(findings: Findings, old: EventTimeColumn | null, next: EventTimeColumn | null): void {
  if (old?.column === next?.column && old?.kind === next?.kind) return;
  findings.reasons.push(
    next === null
      ? 'would keep for ever what it forgot by event time'
      : old === null
        ? 'forgets by event time, and kept everything'
        : 'forgets by another event time',
  );
}

// ---- aggregates -------------------------------------------------------------------------------------------------

/** What an aggregate keeps and how people know it. */
interface CallState {
  readonly name: string;
  /** Calls of one meaning keep the same; min(a) and max(a) do not. */
  readonly meaning: string;
}

function statesOfCalls(
  { state }: { readonly state: StateOf<'aggregate' | 'session'> },
  texts: readonly string[],
): CallState[] {
  return state.aggregates.map((aggregate, index) => {
    const buffers = aggregateOf(aggregate).bufferSchema(aggregate);
    const types = buffers.map(({ type }) => formatType(type));
    return { name: aggregate.name, meaning: `${texts[index]} ${types.join(', ')}` };
  });
}

/** Windows that overlap are kept as panes where all aggregates allow it. */
function comparePanes(findings: Findings, { was, is }: Pair<'aggregate'>): void {
  const [old, next] = [was.state.panes, is.state.panes].map((panes) => (panes === undefined ? 'windows' : 'panes'));
  if (old !== next)
    findings.reasons.push(`keeps ${next} with the aggregates that it has now, kept ${old} with those that it had`);
}

/** Rows that are taken back must have been added: by the same conditions, to the same aggregates. */
function compareTakenBack(findings: Findings, was: PlacedStage, is: PlacedStage): void {
  const filtersOf = ({ ports }: PlacedStage): string => JSON.stringify(ports.map(({ filters }) => filters));
  if (filtersOf(was) !== filtersOf(is))
    findings.reasons.push('would take back rows by other conditions than they were added by');
  if (findings.aggregates?.some((place) => place < 0) === true)
    findings.reasons.push('would take back rows from an aggregate that they were never added to');
}

/** Buffers are taken over by the aggregate that computes the same; others begin empty. */
function compareAggregates(findings: Findings, old: readonly CallState[], next: readonly CallState[]): void {
  const free = new Set(old.keys());
  const taken = next.map(({ meaning }) => {
    const found = [...free].find((index) => old[index]?.meaning === meaning);
    if (found === undefined) return -1;
    free.delete(found);
    return found;
  });
  for (const [place, from] of taken.entries())
    if (from < 0) findings.notes.push(`begins ${next[place]?.name} empty, with what comes from now on`);
  for (const index of free) findings.notes.push(`drops ${old[index]?.name}`);
  const isSame = taken.length === old.length && taken.every((from, place) => from === place);
  if (!isSame) findings.aggregates = taken;
}

function compareSessions(findings: Findings, { was, is }: Pair<'session'>): void {
  const timesOf = (placed: typeof was): string[] =>
    columnTexts(placed, 0, placed.state.keyCount, placed.state.keyCount + 2);
  compareColumns(findings, 'makes sessions of', 'made them of', timesOf(was), timesOf(is));
  const texts = ({ state, ports }: typeof was): string[] =>
    state.aggregates.map((aggregate) => aggregateText(aggregate, ports[0]?.columns ?? []));
  compareAggregates(findings, statesOfCalls(was, texts(was)), statesOfCalls(is, texts(is)));
}

// ---- rows -------------------------------------------------------------------------------------------------------

function compareDedup(findings: Findings, { was, is }: Pair<'dedup'>): void {
  const timeOf = (placed: typeof was): string => {
    const { eventTime, withinWatermark } = placed.state;
    if (withinWatermark !== null) return `WITHIN WATERMARK of ${columnText(placed, 0, withinWatermark.column)}`;
    return eventTime === null ? 'nothing' : columnText(placed, 0, eventTime.column);
  };
  if (timeOf(was) !== timeOf(is)) findings.reasons.push(`forgets keys by ${timeOf(is)}, did by ${timeOf(was)}`);
  const delays = [was, is].map(({ state }) => state.withinWatermark?.delayUs ?? 0) as [number, number];
  if (delays[0] !== delays[1]) {
    const [before, after] = [formatDurationUs(delays[0]), formatDurationUs(delays[1])];
    findings.notes.push(`keeps new keys for ${after}, those that it has for ${before}`);
  }
}

function compareJoin(findings: Findings, { was, is }: Pair<'join'>): void {
  const [old, next] = [was.state, is.state];
  if (old.type !== next.type)
    findings.reasons.push(`joins as ${next.type.toUpperCase()} JOIN, joined as ${old.type.toUpperCase()} JOIN`);
  if (old.nullSafe.join() !== next.nullSafe.join())
    findings.reasons.push('compares keys with <=> that it compared with =, or the other way round');
  for (const [port, side] of ['left', 'right'].entries()) {
    const rows = (placed: typeof was): string[] => columnTexts(placed, port, placed.state.keyCount);
    compareColumns(findings, `keeps of its ${side} side`, 'kept', rows(was), rows(is));
  }
  const timesOf = ({ leftTime, rightTime, equalTime }: StateOf<'join'>): string =>
    JSON.stringify([leftTime, rightTime, equalTime]);
  if (timesOf(old) !== timesOf(next)) findings.reasons.push('forgets rows by other times');
  if (JSON.stringify(old.residual) !== JSON.stringify(next.residual) || boundsText(old) !== boundsText(next))
    findings.reasons.push('joins by another condition than the rows that it has were held against');
}

function boundsText({ bounds }: StateOf<'join'>): string {
  return JSON.stringify(bounds);
}

function compareRank(findings: Findings, { was, is }: Pair<'rank'>): void {
  const [old, next] = [was.state, is.state];
  compareEventTimes(findings, old.eventTime, next.eventTime);
  const rows = (placed: typeof was): string[] => columnTexts(placed, 0, placed.state.keyCount);
  compareColumns(findings, 'keeps of its rows', 'kept', rows(was), rows(is));
  if (JSON.stringify(old.by) !== JSON.stringify(next.by)) findings.reasons.push('puts its rows in another order');
  const callsOf = ({ calls }: StateOf<'rank'>): string =>
    JSON.stringify(calls.map(({ function: name, column, offset, default: other }) => [name, column, offset, other]));
  if (callsOf(old) !== callsOf(next)) findings.reasons.push('computes other functions over its rows');
  if (old.limit !== next.limit)
    findings.reasons.push(`keeps ${next.limit ?? 'all'} rows of a key, kept ${old.limit ?? 'all'}`);
  if ((old.ties === true) !== (next.ties === true))
    findings.reasons.push(
      next.ties === true
        ? 'keeps rows that are equal to the last one of a key too, and did not'
        : 'keeps no rows that are equal to the last one of a key, and did',
    );
}

// ---- the job ----------------------------------------------------------------------------------------------------

/** The state knows what was read of each source, by topic. */
function compareSources(before: EpochsPlan, after: EpochsPlan): string[] {
  const reasons: string[] = [];
  for (const source of after.sources) {
    const was = before.sources.find(({ name }) => name === source.name);
    if (was === undefined) reasons.push(`the source ${source.name} is new: its records were not read so far`);
    else if (was.topic !== source.topic || JSON.stringify(was.options) !== JSON.stringify(source.options))
      reasons.push(`the source ${source.name} reads the topic ${source.topic}, read ${was.topic}`);
  }
  for (const { name } of before.sources)
    if (!after.sources.some((source) => source.name === name)) reasons.push(`the source ${name} is gone`);
  return reasons;
}

/** Dates and their parts in the keys were made in the zone that the job had. */
function compareZones(before: EpochsPlan, after: EpochsPlan): string[] {
  if (before.timeZone === after.timeZone || !before.stages.some(({ kind }) => kind === 'state')) return [];
  return [`the time zone is ${after.timeZone}, was ${before.timeZone}`];
}

/** The job's watermark goes on from where it stands: delays may change, what it is taken from may not. */
function compareWatermarks(before: EpochsPlan, after: EpochsPlan): string[] {
  const text = ({ watermarks }: EpochsPlan): string =>
    watermarks.map(({ description }) => description).join(', ') || 'nothing';
  if (text(before) === text(after)) return [];
  return [`the watermark is taken from ${text(after)}, was from ${text(before)}`];
}
