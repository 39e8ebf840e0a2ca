/** Queries over static tables alone: a table's rows are there as a whole, so all operators of a job's query go. */
import type { EpochStage, StaticQuery, StatePlan, StateStage } from './epoch-plan.ts';
import type { LogicalPlan } from './logical-plan.ts';
import type { StageContext, StageDraft } from './stage-draft.ts';

/** Tables are not scanned: their rows are columns already. */
const nothingScanned: Omit<ReturnType<StageContext['scanOf']>, 'timeZone'> = {
  topic: '',
  format: 'json',
  onBadRecord: 'fail',
  onNullValue: 'skip',
  recordBytesMax: 0,
  recordDepthMax: 0,
};

/** Plans the query that makes the rows of `name`, and those that it reads, before it. */
export function planStaticQuery(name: string, query: LogicalPlan, single: boolean, stages: StageDraft): void {
  if (stages.queries.has(name)) return;
  const columns = new Map<string, LogicalPlan['output']>();
  const root = readingTables(query, columns);
  const context: StageContext = {
    outputMode: 'append',
    whole: true,
    timeZone: stages.context.timeZone,
    columnsOf: (table) =>
      (columns.get(table) ?? []).map((field) => ({
        kind: 'field',
        name: field.name,
        path: field.name,
        type: field.type,
        required: false,
      })),
    scanOf: () => ({ ...nothingScanned, timeZone: stages.context.timeZone }),
    refuse: stages.context.refuse,
  };
  const planned = stages.apart(root, context);
  for (const table of [...columns.keys(), ...planned.tables]) stages.tables.add(table);
  for (const inner of planned.queries) stages.queries.set(inner.name, inner);
  stages.queries.set(name, {
    name,
    schema: query.output,
    rows: { kind: 'query', ...staticQuery(planned.stages), ...(single ? { single: true as const } : {}) },
  });
}

/** Tables that the query reads itself, made ones too. */
export function tablesOf({ reads, states }: StaticQuery): string[] {
  const branches = [...reads.flatMap((read) => read.branches), ...states.map((state) => state.branch)];
  const joined = branches.flatMap(({ operators }) =>
    operators.flatMap((operator) => (operator.kind === 'staticJoin' ? [operator.table] : [])),
  );
  return [...new Set([...reads.map(({ table }) => table), ...joined])];
}

/** The tables that rows begin at as sources; tables on the other side of a join stay what they are. */
function readingTables(node: LogicalPlan, columns: Map<string, LogicalPlan['output']>): LogicalPlan {
  switch (node.kind) {
    case 'static':
      columns.set(node.table, node.output);
      return { kind: 'source', source: node.table, output: node.output, span: node.span };
    case 'source':
      return node;
    case 'union':
      return { ...node, inputs: node.inputs.map((input) => readingTables(input, columns)) };
    case 'join':
      return { ...node, left: readingTables(node.left, columns), right: readingTables(node.right, columns) };
    default:
      return { ...node, input: readingTables(node.input, columns) };
  }
}

function staticQuery(stages: readonly EpochStage[]): StaticQuery {
  return {
    reads: stages.flatMap((stage) =>
      stage.kind === 'map'
        ? [{ table: stage.source, columns: stage.scan.columns.map(({ name }) => name), branches: stage.branches }]
        : [],
    ),
    states: stages.flatMap((stage): StateStage[] =>
      stage.kind === 'state' ? [{ ...stage, state: inOneGo(stage.state) }] : [],
    ),
  };
}

/** All rows come at once and none later: what came to be in that is the result. */
function inOneGo(state: StatePlan): StatePlan {
  return state.kind === 'aggregate' || state.kind === 'session' || state.kind === 'rank'
    ? { ...state, mode: 'update' }
    : state;
}
