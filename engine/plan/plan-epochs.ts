/** The plan of a job that runs by epochs. */
import { must } from '../../core/assert.ts';
import { durationMs } from '../../core/duration.ts';
import { jobName } from '../../core/ids.ts';
import type { SourceSpec } from '../../core/job/spec.ts';
import type { Schema } from '../../core/types.ts';
import { formatPlan } from '../sql/analyze/format-plan.ts';
import { problemAt } from '../sql/problems.ts';
import {
  type AnalyzedJob,
  badRecordPolicy,
  deadLetterTopic,
  hasFunctionSink,
  RECORD_DEPTH_MAX,
  triggerOf,
} from './analyzed-job.ts';
import { referTo } from './columns.ts';
import type { EpochSource, EpochsPlan } from './epoch-plan.ts';
import { PLAN_FORMAT_VERSION } from './job-plan.ts';
import { checkEpochLookups, withLookups } from './plan-epoch-lookups.ts';
import { planSinks } from './plan-sinks.ts';
import { driftOf, formatOf, inputColumns, plannedSource } from './plan-sources.ts';
import { planStages } from './plan-stages.ts';
import { tablesOf } from './plan-static-query.ts';
import { rowKeysOf } from './row-keys.ts';
import type { PlannedStages } from './stage-draft.ts';
import type { StageOperator } from './stage-plan.ts';

/** Plans a job by epochs; what is wrong is added to its problems, and the plan is then not to be used. */
export function planEpochs(job: AnalyzedJob, protocolReason: string): EpochsPlan {
  const { spec, analyzed, problems } = job;
  const { root } = analyzed;
  if (spec.onNullValue === 'delete') {
    problems.push({
      path: 'onNullValue',
      message: `onNullValue: delete goes with jobs without state, and this one runs by epochs: ${protocolReason}`,
      hint: 'choose skip or deadLetter',
    });
  }
  const source = (name: string): SourceSpec => must(spec.sources[name], () => `there is no source ${name}`);
  const sinks = planSinks({
    spec,
    facts: job.facts,
    sources: analyzed.sources.map(source),
    operators: [passOn(root.output)],
    output: root.output,
    origin: { kind: 'epochs', keys: rowKeysOf(root) },
    timeZone: job.timeZone,
    problems,
  });
  const changed = sinks.output !== root.output;
  const cut = planStages(root, changed ? sinks.operators : [], {
    outputMode: spec.outputMode,
    timeZone: spec.timeZone,
    columnsOf: (name) =>
      inputColumns(
        source(name),
        must(job.sources.get(name), () => `no columns of ${name}`),
      ),
    scanOf: (name) => {
      const { topic, recordBytesMax } = source(name);
      const columns = must(job.sources.get(name), () => `no columns of ${name}`);
      const format = formatOf(name, source(name), columns, job.facts);
      const { onNullValue, timeZone } = spec;
      const onBadRecord = badRecordPolicy(spec);
      return {
        topic,
        format,
        onBadRecord,
        onNullValue,
        timeZone,
        recordBytesMax,
        recordDepthMax: RECORD_DEPTH_MAX,
        ...driftOf(source(name), columns),
      };
    },
    refuse: (node, message, hint) => problems.push(problemAt('query', node.span, message, hint)),
    ...(job.lookups.size === 0 ? {} : { lookups: job.lookups }),
  });
  const planned = { ...cut, stages: withLookups(spec.name, cut.stages, job.lookups) };
  checkEpochLookups(job.lookups.keys(), planned, problems);
  for (const name of job.tables.keys()) {
    if (planned.tables.includes(name)) continue;
    const message = `the query does not join the table ${name}`;
    problems.push({ path: `tables.${name}`, message, hint: 'take it away, or join it in the query' });
  }
  checkTakenBack(job, planned);
  const { stateBytes } = spec.limits;
  return {
    formatVersion: PLAN_FORMAT_VERSION,
    job: jobName(spec.name),
    protocol: 'epochs',
    protocolReason,
    trigger: triggerOf(spec),
    outputMode: spec.outputMode,
    sources: analyzed.sources.map((name) => epochSource(name, source(name))),
    statics: [...planned.tables.flatMap((name) => job.tables.get(name) ?? []), ...planned.queries],
    stages: planned.stages,
    watermarks: planned.watermarks,
    watermarkPolicy: spec.watermarkPolicy,
    noDataEpochs: spec.noDataEpochs && planned.evicts,
    onLate: spec.onLate,
    timeZone: spec.timeZone,
    sinks: sinks.targets,
    sinkPlans: sinks.plans,
    tables: sinks.tables,
    deadLetterTopic: deadLetterTopic(spec),
    createsTables: sinks.createsTables,
    warnings: [...analyzed.warnings, ...sinks.warnings],
    explain: formatPlan(root, spec.outputMode),
    ...(stateBytes === undefined ? {} : { stateBytesMax: stateBytes }),
    ...(spec.module === undefined || spec.keyedState === undefined ? {} : { module: spec.module }),
    ...(spec.module !== undefined && hasFunctionSink(spec) ? { sinkModule: spec.module } : {}),
  };
}

/** What an aggregate takes back must be what it added: a table on the way must not have become another one. */
function checkTakenBack({ tables, problems }: AnalyzedJob, { stages, queries }: PlannedStages): void {
  const isReadAnew = (name: string): boolean => {
    const rows = (tables.get(name) ?? queries.find((query) => query.name === name))?.rows;
    if (rows?.kind === 'query') return tablesOf(rows).some(isReadAnew);
    return rows?.kind === 'table' && rows.refreshMs !== null;
  };
  for (const stage of stages) {
    if (stage.kind !== 'state' || stage.branch.target.kind !== 'exchange' || !stage.branch.target.changes) continue;
    const next = stages[stage.branch.target.stage];
    if (next?.kind !== 'state' || next.state.kind !== 'aggregate') continue;
    for (const operator of stage.branch.operators) {
      if (operator.kind !== 'staticJoin' || !isReadAnew(operator.table)) continue;
      problems.push({
        path: `tables.${operator.table}`,
        message: `${next.operatorId} takes back rows of ${stage.operatorId} as they were joined with ${operator.table}, which is read anew all the time`,
        hint: 'join the table below the inner query or behind the outer one, take its refresh away, or write outputMode: append',
      });
    }
  }
}

function passOn(output: Schema): Extract<StageOperator, { kind: 'project' }> {
  return { kind: 'project', columns: output.map((_, index) => referTo(output, index)) };
}

function epochSource(name: string, source: SourceSpec): EpochSource {
  return {
    ...plannedSource(name, source),
    limits: {
      maxOffsetsPerTrigger: source.maxOffsetsPerTrigger ?? null,
      minOffsetsPerTrigger: source.minOffsetsPerTrigger ?? null,
      maxTriggerDelayMs: durationMs(source.maxTriggerDelay),
    },
    idleTimeoutMs: source.idleTimeout === undefined ? null : durationMs(source.idleTimeout),
  };
}
