/** From a job as written to a job as it runs, or to everything that keeps it from running. */
import { durationMs } from '../../core/duration.ts';
import { jobName } from '../../core/ids.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { JobSpec, SourceSpec } from '../../core/job/spec.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { Schema } from '../../core/types.ts';
import { type TimeZone, timeZoneOf } from '../scan/time-zone.ts';
import type { SourceColumn } from '../sql/analyzer.ts';
import { analyzePlan } from '../sql/analyzer.ts';
import { parseQuery } from '../sql/parser.ts';
import { catchSyntax } from '../sql/problems.ts';
import { utc } from '../sql/runtime/time.ts';
import { chooseProtocol, type LaneChain } from './choose-protocol.ts';
import type { StaticTable } from './epoch-plan.ts';
import { type JobPlan, type LanesPlan, PLAN_FORMAT_VERSION, type Trigger } from './job-plan.ts';
import type { AnalyzedPlan } from './logical-plan.ts';
import { planEpochs } from './plan-epochs.ts';
import { planSinks } from './plan-sinks.ts';
import { inputColumns, planSources, planTables, planWatermarks, startingOffsetsOf } from './plan-sources.ts';
import { pruneColumns } from './prune-columns.ts';
import type { BadRecordPolicy, StagePlan } from './stage-plan.ts';

/** What planning knows of the world. */
export interface PlanFacts {
  /** Existing tables by `keyspace.table`; null when nothing is known, as without a cluster. */
  readonly tables: ReadonlyMap<string, TableSchema> | null;
}

export type PlanOutcome =
  | { readonly plan: JobPlan; readonly problems: readonly JobProblem[] }
  | { readonly plan: null; readonly problems: readonly JobProblem[] };

/** Deeper JSON than this is refused. */
export const RECORD_DEPTH_MAX = 64;

/** What is known of a job once its query has a meaning. */
export interface AnalyzedJob {
  readonly spec: JobSpec;
  readonly facts: PlanFacts;
  readonly analyzed: AnalyzedPlan;
  readonly sources: ReadonlyMap<string, readonly SourceColumn[]>;
  readonly tables: ReadonlyMap<string, StaticTable>;
  readonly timeZone: TimeZone;
  /** What is wrong is added here. */
  readonly problems: JobProblem[];
}

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
  const sources = planSources(spec, problems);
  const tables = planTables(spec, problems);
  const watermarks = planWatermarks(spec, sources, problems);
  const query = catchSyntax('query', problems, () => parseQuery(spec.query));
  const known =
    sources.size === Object.keys(spec.sources).length && tables.size === Object.keys(spec.tables ?? {}).length;
  // Without the columns of a source every name would be called wrong.
  const analyzed =
    query !== undefined && known
      ? analyzePlan(query, {
          text: spec.query,
          path: 'query',
          sources,
          zone: timeZone ?? utc,
          problems,
          tables: new Map([...tables].map(([name, table]) => [name, table.schema])),
          outputMode: spec.outputMode,
          watermarks,
        })
      : undefined;
  checkOptions(spec, problems);
  const plan = analyzed && timeZone && planAnalyzed({ spec, facts, analyzed, sources, tables, timeZone, problems });
  return plan === undefined || problems.length > 0 ? { plan: null, problems } : { plan, problems };
}

/** The plan of a job whose query has a meaning; undefined where problems keep it from having one. */
export function planAnalyzed(job: AnalyzedJob): JobPlan | undefined {
  const { spec, analyzed, problems } = job;
  for (const name of Object.keys(spec.sources)) {
    if (!analyzed.sources.includes(name))
      problems.push({
        path: `sources.${name}`,
        message: `the query does not read the source ${name}`,
        hint: 'take it away, or read it in the query',
      });
  }
  checkOutput(analyzed.root.output, problems);
  const choice = chooseProtocol(spec, analyzed.root);
  return choice.protocol === 'lanes' ? planLanes(job, choice.chain, choice.reason) : planEpochs(job, choice.reason);
}

function checkOptions(spec: JobSpec, problems: JobProblem[]): void {
  for (const [name, source] of Object.entries(spec.sources)) {
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
    origin: { kind: 'records', columns, raw: source.format === 'raw' },
    timeZone,
    problems,
  });
  const pruned = pruneColumns(inputColumns(source, columns), sinks.operators);
  const stage: StagePlan = {
    job: spec.name,
    source: chain.source,
    topic: source.topic,
    format: source.format,
    columns: pruned.columns,
    operators: pruned.operators,
    output: sinks.output,
    sinks: sinks.plans,
    onBadRecord: badRecordPolicy(spec),
    onNullValue: spec.onNullValue,
    timeZone: spec.timeZone,
    recordBytesMax: source.recordBytesMax,
    recordDepthMax: RECORD_DEPTH_MAX,
  };
  return {
    formatVersion: PLAN_FORMAT_VERSION,
    job: jobName(spec.name),
    protocol: 'lanes',
    protocolReason,
    trigger: triggerOf(spec),
    sources: [
      {
        name: chain.source,
        connector: source.connector,
        options: connectionOptions(source),
        topic: source.topic,
        startingOffsets: startingOffsetsOf(source),
        onDataLoss: dataLossPolicy(source),
        onFutureTimestamp: source.onFutureTimestamp,
        stage,
      },
    ],
    sinks: sinks.targets,
    tables: sinks.tables,
    deadLetterTopic: deadLetterTopic(spec),
    createsTables: sinks.tables.length > 0,
    warnings: [...analyzed.warnings, ...sinks.warnings],
  };
}

// ---- options of both protocols ----------------------------------------------------------------------------------

export function badRecordPolicy(spec: JobSpec): BadRecordPolicy {
  return typeof spec.onBadRecord === 'string' ? spec.onBadRecord : 'deadLetter';
}

export function deadLetterTopic(spec: JobSpec): string | null {
  return typeof spec.onBadRecord === 'string' ? null : (spec.onBadRecord.deadLetter.topic ?? null);
}

export function connectionOptions(source: SourceSpec): Record<string, string> {
  return source.brokers === undefined ? {} : { brokers: source.brokers };
}

export function dataLossPolicy(source: SourceSpec): 'fail' | 'skip' {
  return source.failOnDataLoss === false ? 'skip' : source.onDataLoss;
}

export function triggerOf(spec: JobSpec): Trigger {
  const { trigger } = spec;
  if (trigger === 'asap' || trigger === 'availableNow' || trigger === 'manual') return { kind: trigger };
  if (typeof trigger === 'object' && 'availableNow' in trigger) return { kind: 'availableNow' };
  const everyMs = durationMs(typeof trigger === 'string' ? trigger : trigger.processingTime);
  return everyMs === 0 ? { kind: 'asap' } : { kind: 'interval', everyMs };
}

function checkOutput(output: Schema, problems: JobProblem[]): void {
  const seen = new Set<string>();
  for (const { name, type } of output) {
    const key = name.toLowerCase();
    if (seen.has(key))
      problems.push({
        path: 'query',
        message: `two columns of the result are called ${name}`,
        hint: 'give one of them another name with AS',
      });
    seen.add(key);
    if (type.kind === 'null')
      problems.push({
        path: 'query',
        message: `the column ${name} is NULL without a type`,
        hint: `write CAST(NULL AS STRING) AS ${name}`,
      });
    if (type.kind === 'interval')
      problems.push({
        path: 'query',
        message: `the column ${name} is an interval, which no sink can hold`,
        hint: 'turn it into a number or a text',
      });
  }
}
