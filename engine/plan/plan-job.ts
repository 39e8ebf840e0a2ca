/** From a job as written to a job as it runs, or to everything that keeps it from running. */
import type { Query } from '../../core/ast.ts';
import { jobName } from '../../core/ids.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { plannedSchedule } from '../../core/job/schedule-spec.ts';
import type { JobSpec } from '../../core/job/spec.ts';
import type { Schema } from '../../core/types.ts';
import { isUnread } from './source-format.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import { analyzePlan } from '../sql/analyzer.ts';
import { parseQuery } from '../sql/parser.ts';
import { catchSyntax } from '../sql/problems.ts';
import { utc } from '../sql/runtime/time.ts';
import {
  type AnalyzedJob,
  badRecordPolicy,
  deadLetterTopic,
  hasFunctionSink,
  type PlanFacts,
  RECORD_DEPTH_MAX,
  triggerOf,
} from './analyzed-job.ts';
import { chooseProtocol, type LaneChain } from './choose-protocol.ts';
import { type JobPlan, type LanesPlan, PLAN_FORMAT_VERSION } from './job-plan.ts';
import type { AnalyzedPlan } from './logical-plan.ts';
import { planEpochs } from './plan-epochs.ts';
import { checkLookups, planLookups, planLookupStages } from './plan-lookups.ts';
import { planSinks } from './plan-sinks.ts';
import {
  driftOf,
  formatOf,
  inputColumns,
  planSources,
  planTables,
  plannedSource,
  planWatermarks,
} from './plan-sources.ts';
import { pruneColumns } from './prune-columns.ts';
import type { StagePlan } from './stage-plan.ts';

export type PlanOutcome =
  | { readonly plan: JobPlan; readonly problems: readonly JobProblem[] }
  | { readonly plan: null; readonly problems: readonly JobProblem[] };

/** Plans a job. All problems come at once; there is a plan only when there is none. */
export function planJob(spec: JobSpec, facts: PlanFacts): PlanOutcome {
  const problems: JobProblem[] = [];
  const timeZone = timeZoneOf(spec.timeZone);
  if (timeZone === undefined) {
    problems.push({
      path: 'timeZone',
      message: `there is no time zone ${spec.timeZone}`,
      hint: 'write UTC, Europe/Berlin or +02:00',
    });
  }
  const sources = planSources(spec, facts, problems);
  const tables = planTables(spec, facts, problems);
  const lookups = planLookups(spec, facts, problems);
  const watermarks = planWatermarks(spec, sources, problems);
  const query = catchSyntax('query', problems, () => parseQuery(spec.query));
  const known =
    sources.size === Object.keys(spec.sources).length &&
    tables.size + lookups.size === Object.keys(spec.tables ?? {}).length;
  // Without the columns of a source every name would be called wrong.
  const analyzed =
    query !== undefined && known
      ? analyzePlan(query, {
          text: spec.query,
          path: 'query',
          sources,
          zone: timeZone ?? utc,
          problems,
          tables: new Map([...tables, ...lookups].map(([name, { schema }]) => [name, schema])),
          outputMode: spec.outputMode,
          watermarks,
          ...(spec.keyedState === undefined ? {} : { keyedState: spec.keyedState }),
        })
      : undefined;
  checkOptions(spec, problems);
  const plan =
    analyzed && timeZone && planAnalyzed({ spec, facts, analyzed, sources, tables, lookups, timeZone, problems });
  return plan === undefined || problems.length > 0
    ? { plan: null, problems: problems.map((problem) => atItem(problem, query, analyzed)) }
    : { plan, problems };
}

/** A problem of a column of the result at the place where the select list has it; without a list at the query. */
function atItem(
  { resultColumn, ...problem }: JobProblem,
  query: Query | undefined,
  analyzed: AnalyzedPlan | undefined,
): JobProblem {
  // What functions of the job emit stands in no select list.
  const items = query?.body.kind === 'select' && analyzed?.root.kind !== 'user' ? query.body.items : [];
  const isListed = items.length === analyzed?.root.output.length && items.every(({ expr }) => expr.kind !== 'star');
  const item = isListed && resultColumn !== undefined ? items[resultColumn] : undefined;
  if (item === undefined) return problem;
  const { offset, length } = item.alias ?? item.expr;
  return { ...problem, sqlOffset: offset, sqlLength: length };
}

/** The plan of a job whose query has a meaning; undefined where problems keep it from having one. */
function planAnalyzed(job: AnalyzedJob): JobPlan | undefined {
  const { spec, analyzed, problems } = job;
  for (const name of Object.keys(spec.sources)) {
    if (!analyzed.sources.includes(name))
      problems.push({
        path: `sources.${name}`,
        message: `the query does not read the source ${name}`,
        hint: 'take it away, or read it in the query',
      });
  }
  const hasCode = spec.keyedState !== undefined || hasFunctionSink(spec);
  if (hasCode !== (spec.module !== undefined)) {
    problems.push({
      path: spec.keyedState === undefined ? (hasCode ? 'sinks' : 'module') : 'keyedState',
      message: 'keyedState, forEachBatch and the module with their functions go together',
      hint: 'both are made from a TypeScript job: weir apply jobs/NAME.ts',
    });
  }
  checkOutput(analyzed.root.output, problems);
  const choice = chooseProtocol(spec, analyzed.root, job.lookups);
  const planned =
    choice.protocol === 'lanes' ? planLanes(job, choice.chain, choice.reason) : planEpochs(job, choice.reason);
  if (planned === undefined) return undefined;
  const plan = spec.labels === undefined ? planned : { ...planned, labels: spec.labels };
  if (spec.schedule === undefined) return plan;
  const endsByItself = triggerOf(spec).kind === 'availableNow';
  return { ...plan, schedule: plannedSchedule(spec.schedule, endsByItself, problems) };
}

function checkOptions(spec: JobSpec, problems: JobProblem[]): void {
  for (const [name, source] of Object.entries(spec.sources)) {
    const { minOffsetsPerTrigger: least = 0, maxOffsetsPerTrigger: most = Infinity } = source;
    if (least > most) {
      problems.push({
        path: `sources.${name}.minOffsetsPerTrigger`,
        message: `an epoch waits for ${least} records and takes ${most} at most`,
        hint: 'make minOffsetsPerTrigger the smaller one',
      });
    }
    if (source.minPartitions === undefined) continue;
    problems.push({
      path: `sources.${name}.minPartitions`,
      message: 'minPartitions has no meaning here: a partition is read in batches that run on all threads as they come',
      hint: 'take it away; add workers or threads for more at once',
    });
  }
  for (const [index, sink] of spec.sinks.entries()) {
    if (sink.connector === 'cassandra' && sink.ignoreNulls && spec.outputMode !== 'append') {
      problems.push({
        path: `sinks[${index}].ignoreNulls`,
        message: `ignoreNulls goes with outputMode: append only, not with ${spec.outputMode}`,
      });
    }
  }
}

// ---- lanes ------------------------------------------------------------------------------------------------------

function planLanes(job: AnalyzedJob, chain: LaneChain, protocolReason: string): LanesPlan | undefined {
  const { spec, facts, analyzed, timeZone, problems } = job;
  const source = spec.sources[chain.source];
  const columns = job.sources.get(chain.source);
  if (source === undefined || columns === undefined) return undefined;
  const sinks = planSinks({
    spec,
    facts,
    sources: [source],
    operators: chain.operators,
    output: analyzed.root.output,
    origin: { kind: 'records', columns, raw: isUnread(source) },
    timeZone,
    problems,
  });
  const pruned = pruneColumns(inputColumns(source, columns), sinks.operators);
  checkLookups(spec, chain.operators, job.lookups, problems);
  const plain: StagePlan = {
    job: spec.name,
    source: chain.source,
    topic: source.topic,
    format: formatOf(chain.source, source, columns, facts),
    columns: pruned.columns,
    operators: pruned.operators,
    output: sinks.output,
    sinks: sinks.plans,
    onBadRecord: badRecordPolicy(spec),
    onNullValue: spec.onNullValue,
    timeZone: spec.timeZone,
    recordBytesMax: source.recordBytesMax,
    recordDepthMax: RECORD_DEPTH_MAX,
    ...driftOf(source, columns),
  };
  const { stage, lookups } = planLookupStages({
    columns: inputColumns(source, columns),
    operators: sinks.operators,
    stage: plain,
    lookups: job.lookups,
  });
  return {
    formatVersion: PLAN_FORMAT_VERSION,
    job: jobName(spec.name),
    protocol: 'lanes',
    protocolReason,
    trigger: triggerOf(spec),
    sources: [
      {
        ...plannedSource(chain.source, source),
        onFutureTimestamp: source.onFutureTimestamp,
        stage,
        ...(lookups.length === 0 ? {} : { lookups }),
      },
    ],
    sinks: sinks.targets,
    tables: sinks.tables,
    deadLetterTopic: deadLetterTopic(spec),
    createsTables: sinks.createsTables,
    warnings: [...analyzed.warnings, ...sinks.warnings],
  };
}

function checkOutput(output: Schema, problems: JobProblem[]): void {
  const seen = new Set<string>();
  for (const [resultColumn, { name, type }] of output.entries()) {
    const key = name.toLowerCase();
    if (seen.has(key))
      problems.push({
        path: 'query',
        resultColumn,
        message: `two columns of the result are called ${name}`,
        hint: 'give one of them another name with AS',
      });
    seen.add(key);
    if (type.kind === 'null')
      problems.push({
        path: 'query',
        resultColumn,
        message: `the column ${name} is NULL without a type`,
        hint: `write CAST(NULL AS STRING) AS ${name}`,
      });
    if (type.kind === 'interval')
      problems.push({
        path: 'query',
        resultColumn,
        message: `the column ${name} is an interval, which no sink can hold`,
        hint: 'turn it into a number or a text',
      });
  }
}
