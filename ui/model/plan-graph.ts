/** A plan as boxes and arrows, laid out from left to right. */
import { formatDurationUs } from '../../core/duration.ts';
import type { Branch } from '../../engine/plan/epoch-plan.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import type { SinkPlan, StageOperator } from '../../engine/plan/stage-plan.ts';

export interface GraphNode {
  /** source0, stage1, sink0, table0: indexes of the plan. */
  readonly id: string;
  readonly kind: 'source' | 'stage' | 'state' | 'sink' | 'table';
  readonly title: string;
  /** Short lines for the box. */
  readonly lines: readonly string[];
  /** For the sheet beside the graph. */
  readonly details: readonly (readonly [string, string])[];
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** Exchange keys; empty = rows stay where they are. */
  readonly label: string;
}

export interface PlanGraph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export function graphOf(plan: JobPlan): PlanGraph {
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const toSinks = (from: string): void =>
    plan.sinks.forEach((_, index) => edges.push({ from, to: `sink${index}`, label: '' }));
  for (const [index, source] of plan.sources.entries()) {
    const start = source.startingOffsets;
    nodes.push({
      id: `source${index}`,
      kind: 'source',
      title: source.name,
      lines: [`topic ${source.topic}`],
      details: [
        ['connector', source.connector],
        ['topic', source.topic],
        ['a first run starts', start.kind === 'timestamp' ? new Date(start.timestampMs).toISOString() : start.kind],
        ['lost data', source.onDataLoss === 'fail' ? 'the job fails' : 'skipped'],
      ],
    });
  }
  let sinkPlans: readonly SinkPlan[];
  if (plan.protocol === 'lanes') {
    sinkPlans = plan.sources[0]?.stage.sinks ?? [];
    for (const [index, { stage }] of plan.sources.entries()) {
      nodes.push({
        id: `stage${index}`,
        kind: 'stage',
        title: stage.operators.length === 0 ? 'copy' : stage.operators.map(operatorName).join(' → '),
        lines: [`${stage.columns.length} columns in, ${stage.output.length} out`],
        details: [
          ['format', typeof stage.format === 'string' ? stage.format : stage.format.kind],
          ['reads', stage.columns.map(({ name }) => name).join(', ')],
          ['gives', stage.output.map(({ name }) => name).join(', ')],
          ['bad records', badRecords(stage.onBadRecord)],
        ],
      });
      edges.push({ from: `source${index}`, to: `stage${index}`, label: '' });
      toSinks(`stage${index}`);
    }
  } else {
    sinkPlans = plan.sinkPlans;
    for (const [index, table] of plan.statics.entries()) {
      const from =
        table.rows.kind === 'inline'
          ? `${table.rows.rows.length} rows of the job file`
          : table.rows.kind === 'query'
            ? 'made of tables by a query'
            : `${table.rows.keyspace}.${table.rows.table}`;
      nodes.push({ id: `table${index}`, kind: 'table', title: table.name, lines: [from], details: [['rows', from]] });
    }
    for (const [index, stage] of plan.stages.entries()) {
      const id = `stage${index}`;
      const branches: readonly Branch[] = stage.kind === 'map' ? stage.branches : [stage.branch];
      const operators = branches.flatMap((branch) => branch.operators);
      const after = operators.map(operatorName);
      if (stage.kind === 'map') {
        nodes.push({
          id,
          kind: 'stage',
          title: after.length === 0 ? `map ${stage.source}` : after.slice(0, 3).join(' → '),
          lines: after.length > 3 ? [`and ${after.length - 3} more`] : [`map of ${stage.source}`],
          details: [
            ['reads', stage.scan.columns.map(({ name }) => name).join(', ') || 'the records themselves'],
            ['operators', after.join(' → ') || 'none'],
            ['bad records', badRecords(stage.scan.onBadRecord)],
          ],
        });
        const source = plan.sources.findIndex(({ name }) => name === stage.source);
        if (source >= 0) edges.push({ from: `source${source}`, to: id, label: '' });
      } else {
        nodes.push({
          id,
          kind: 'state',
          title: stateName(stage.state),
          lines: [stage.operatorId],
          details: [
            ['operator', stage.operatorId],
            ['key', keyNames(stage).join(', ') || 'none: one entry'],
            ['then', after.join(' → ') || 'nothing'],
          ],
        });
      }
      for (const { output, target } of branches) {
        if (target.kind === 'sink') toSinks(id);
        else {
          const keys = target.keys.map((column) => output[column]?.name ?? '').filter((name) => name !== '');
          edges.push({
            from: id,
            to: `stage${target.stage}`,
            label: keys.length === 0 ? 'all' : `by ${keys.join(', ')}`,
          });
        }
      }
      for (const operator of operators) {
        if (operator.kind !== 'staticJoin') continue;
        const table = plan.statics.findIndex(({ name }) => name === operator.table);
        if (table >= 0) edges.push({ from: `table${table}`, to: id, label: '' });
      }
    }
  }
  for (const [index, sink] of plan.sinks.entries()) {
    const how = sinkPlans[index];
    nodes.push({
      id: `sink${index}`,
      kind: 'sink',
      title: sink.description,
      lines: [sink.connector],
      details: [
        ['connector', sink.connector],
        ['target', sink.description],
        ...(how === undefined ? [] : [sinkDetail(how)]),
      ],
    });
  }
  return { nodes, edges };
}

function sinkDetail(sink: SinkPlan): readonly [string, string] {
  if (sink.kind === 'table') {
    const key = sink.shape.columns.slice(0, sink.shape.primaryKeyCount).map(({ name }) => name);
    return ['one row per', key.join(', ')];
  }
  return sink.kind === 'log' ? ['value', sink.value === 'json' ? 'rows as JSON' : 'one column'] : ['kind', sink.kind];
}

function badRecords(policy: string): string {
  return policy === 'deadLetter' ? 'become dead letters' : policy === 'skip' ? 'are skipped' : 'fail the job';
}

function operatorName(operator: StageOperator): string {
  switch (operator.kind) {
    case 'assignWindow': {
      const slide = operator.slideUs === operator.sizeUs ? '' : ` every ${formatDurationUs(operator.slideUs)}`;
      return `window ${formatDurationUs(operator.sizeUs)}${slide}`;
    }
    case 'generate':
      return operator.generator;
    case 'late':
      return 'drop late';
    case 'partialAggregate':
      return 'pre-aggregate';
    case 'staticJoin':
      return `join ${operator.table}`;
    default:
      return operator.kind;
  }
}

type StateStage = Extract<Extract<JobPlan, { protocol: 'epochs' }>['stages'][number], { kind: 'state' }>;

function stateName(state: StateStage['state']): string {
  switch (state.kind) {
    case 'aggregate':
      return 'aggregate';
    case 'session':
      return 'sessions';
    case 'dedup':
      return 'distinct';
    case 'join':
      return `${state.type} join`;
    case 'user':
      return 'own functions';
    case 'rank':
      return state.calls.map((call) => call.function).join(', ');
    default:
      return state.kind;
  }
}

function keyNames({ state, inputs }: StateStage): string[] {
  const input = inputs[0] ?? [];
  if ('keyCount' in state) return input.slice(0, state.keyCount).map(({ name }) => name);
  if ('keys' in state) return state.keys.map((column) => input[column]?.name ?? '');
  return [];
}

export interface PlacedNode extends GraphNode {
  readonly x: number;
  readonly y: number;
}

export interface PlacedGraph {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly (GraphEdge & {
    readonly x1: number;
    readonly y1: number;
    readonly x2: number;
    readonly y2: number;
  })[];
  readonly width: number;
  readonly height: number;
}

export const NODE_WIDTH = 176;
export const NODE_HEIGHT = 92;
const GAP_X = 84;
const GAP_Y = 22;

/**
 * Places every node one column after the last of its inputs and orders columns by the mean place of what they are
 * joined to (Sugiyama's barycentre rule, four sweeps). Plans have no cycles and less than fifty nodes.
 */
export function layout({ nodes, edges }: PlanGraph): PlacedGraph {
  const column = new Map(nodes.map(({ id }) => [id, 0]));
  for (let round = 0; round < nodes.length; round++)
    for (const { from, to } of edges) column.set(to, Math.max(column.get(to) ?? 0, (column.get(from) ?? 0) + 1));
  const last = Math.max(0, ...column.values());
  for (const { id, kind } of nodes) if (kind === 'sink') column.set(id, Math.max(1, last));
  // A table stands right before what joins it, not at the far left.
  for (const { id, kind } of nodes) {
    if (kind !== 'table') continue;
    const next = edges.filter(({ from }) => from === id).map(({ to }) => column.get(to) ?? 1);
    column.set(id, Math.max(0, Math.min(...next, last) - 1));
  }
  const columns: string[][] = [];
  for (const { id } of nodes) (columns[column.get(id) ?? 0] ??= []).push(id);
  const rank = new Map<string, number>();
  const setRanks = (ids: readonly string[]): void =>
    ids.forEach((id, index) => rank.set(id, index - (ids.length - 1) / 2));
  for (const ids of columns) if (ids !== undefined) setRanks(ids);
  for (let sweep = 0; sweep < 4; sweep++) {
    for (const ids of sweep % 2 === 0 ? columns : columns.toReversed()) {
      if (ids === undefined) continue;
      const mean = new Map(ids.map((id) => [id, barycentre(id, edges, rank)]));
      ids.sort((one, other) => (mean.get(one) ?? 0) - (mean.get(other) ?? 0));
      setRanks(ids);
    }
  }
  const tallest = Math.max(1, ...columns.map((ids) => ids?.length ?? 0));
  const height = tallest * (NODE_HEIGHT + GAP_Y) - GAP_Y;
  const placed = new Map(
    nodes.map((node) => {
      const x = (column.get(node.id) ?? 0) * (NODE_WIDTH + GAP_X);
      const y = height / 2 + (rank.get(node.id) ?? 0) * (NODE_HEIGHT + GAP_Y) - NODE_HEIGHT / 2;
      return [node.id, { ...node, x, y }];
    }),
  );
  return {
    nodes: [...placed.values()],
    edges: edges.flatMap((edge) => {
      const from = placed.get(edge.from);
      const to = placed.get(edge.to);
      if (from === undefined || to === undefined) return [];
      const ends = { x1: from.x + NODE_WIDTH, y1: from.y + NODE_HEIGHT / 2, x2: to.x, y2: to.y + NODE_HEIGHT / 2 };
      return [{ ...edge, ...ends }];
    }),
    width: (Math.max(...column.values(), 0) + 1) * (NODE_WIDTH + GAP_X) - GAP_X,
    height,
  };
}

function barycentre(id: string, edges: readonly GraphEdge[], rank: ReadonlyMap<string, number>): number {
  const joined = edges.flatMap(({ from, to }) => (from === id ? [to] : to === id ? [from] : []));
  if (joined.length === 0) return rank.get(id) ?? 0;
  return joined.reduce((sum, other) => sum + (rank.get(other) ?? 0), 0) / joined.length;
}
