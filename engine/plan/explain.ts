import { formatDurationUs } from '../../core/duration.ts';
import { formatCqlType } from '../../core/table/schema.ts';
import type { LookupPlan } from './lookup-plan.ts';
import type { Field, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { formatKind } from '../formats/value-format.ts';
import { formatExpr, formatName } from '../sql/format.ts';
import { describeState } from './describe-state.ts';
import { tablesOf } from './plan-static-query.ts';
import type {
  Branch,
  EpochSource,
  EpochsPlan,
  EpochStage,
  MapStage,
  StatePlan,
  StaticTable,
  Target,
} from './epoch-plan.ts';
import type { JobPlan, LanesPlan, LaneSource, PlannedSource } from './job-plan.ts';
import type { BadRecordPolicy, InputColumn, SinkPlan, StageOperator } from './stage-plan.ts';

/** A plan for people: which protocol and why, what is read, what is computed and kept, where it goes. */
export function explainJob(plan: JobPlan): string {
  const lines = [
    `job ${plan.job}`,
    `protocol: ${plan.protocol} (${plan.protocolReason})`,
    `trigger: ${explainTrigger(plan)}`,
    ...(plan.protocol === 'lanes' ? plan.sources.flatMap((source) => explainLane(source, plan)) : explainEpochs(plan)),
  ];
  for (const table of plan.tables) {
    lines.push(`creates: ${table.keyspace}.${table.table}, when it is missing`);
    for (const column of table.columns) lines.push(`  ${column.name} ${formatCqlType(column.type)}`);
    lines.push(
      `  PRIMARY KEY ((${table.partitionKey.join(', ')})${table.clusteringKey.map((name) => `, ${name}`).join('')})`,
    );
  }
  if (plan.deadLetterTopic !== null)
    lines.push(`dead letters: weir.dead_letters, copied to topic ${plan.deadLetterTopic}`);
  for (const warning of plan.warnings) lines.push(`warning: ${warning}`);
  return lines.join('\n');
}

function explainTrigger({ trigger }: JobPlan): string {
  return trigger.kind === 'interval' ? `every ${trigger.everyMs} ms` : trigger.kind;
}

function explainStart({ startingOffsets }: LaneSource | EpochSource): string {
  return startingOffsets.kind === 'timestamp'
    ? new Date(startingOffsets.timestampMs).toISOString()
    : startingOffsets.kind;
}

function explainBad(policy: BadRecordPolicy): string {
  return policy === 'deadLetter' ? 'dead letters' : policy === 'skip' ? 'skipped' : 'the job fails';
}

function explainLane(source: LaneSource, plan: LanesPlan): string[] {
  const { stage } = source;
  return [
    `source ${source.name}: ${explainPlace(source)}, format ${formatKind(stage.format)}, from ${explainStart(source)}, lost data: ${source.onDataLoss}, bad records: ${explainBad(stage.onBadRecord)}, null values: ${stage.onNullValue}`,
    `  reads: ${stage.columns.map(explainColumn).join(', ')}`,
    ...stage.operators.flatMap(explainOperator),
    ...(source.lookups ?? []).map(explainLookup),
    ...stage.sinks.map((sink, index) => explainSink(sink, plan.sinks[index]?.description ?? '')),
  ];
}

// ---- epochs -----------------------------------------------------------------------------------------------------

function explainEpochs(plan: EpochsPlan): string[] {
  return [
    `output mode: ${plan.outputMode}`,
    ...plan.sources.map(explainEpochSource),
    ...explainTimes(plan),
    ...plan.statics.map(explainTable),
    'query:',
    ...plan.explain.map((line) => `  ${line}`),
    ...plan.stages.flatMap((stage, index) => explainStage(stage, index, plan)),
    ...plan.sinkPlans.map((sink, index) => explainSink(sink, plan.sinks[index]?.description ?? '')),
  ];
}

/** A feed is named before the topic that it fills. */
function explainPlace({ connector, topic, feed }: PlannedSource): string {
  return feed === undefined
    ? `${connector} topic ${topic}`
    : `${feed.spec.connector} by way of ${connector} topic ${topic}`;
}

function explainEpochSource(source: EpochSource): string {
  const { maxOffsetsPerTrigger, minOffsetsPerTrigger, maxTriggerDelayMs } = source.limits;
  return [
    `source ${source.name}: ${explainPlace(source)}, from ${explainStart(source)}, lost data: ${source.onDataLoss}`,
    ...(maxOffsetsPerTrigger === null ? [] : [`at most ${maxOffsetsPerTrigger} records an epoch`]),
    ...(minOffsetsPerTrigger === null
      ? []
      : [`at least ${minOffsetsPerTrigger} records an epoch, or after ${formatDurationUs(maxTriggerDelayMs * 1000)}`]),
    ...(source.idleTimeoutMs === null
      ? []
      : [`does not hold the watermark back when idle for ${formatDurationUs(source.idleTimeoutMs * 1000)}`]),
  ].join(', ');
}

function explainTimes(plan: EpochsPlan): string[] {
  const watermarks = plan.watermarks.map(
    ({ description, delayUs }) => `watermark ${description}: ${formatDurationUs(delayUs)} behind the latest event`,
  );
  const lines = [...new Set(watermarks)];
  if (plan.watermarks.length > 1)
    lines.push(`watermark of the job: the ${plan.watermarkPolicy === 'min' ? 'slowest' : 'fastest'} of them`);
  const isLate = plan.stages.some((stage) =>
    (stage.kind === 'map' ? stage.branches : [stage.branch]).some(({ operators }) =>
      operators.some(({ kind }) => kind === 'late'),
    ),
  );
  if (isLate) lines.push(`late rows: ${plan.onLate === 'drop' ? 'counted and dropped' : 'dead letters'}`);
  if (plan.noDataEpochs) lines.push('an empty epoch follows one that moved the watermark');
  return lines;
}

function explainTable({ name, schema, rows }: StaticTable): string {
  const columns = schema.map((field) => `${formatName(field.name)} ${formatType(field.type)}`).join(', ');
  if (rows.kind === 'inline') return `table ${name}: ${rows.rows.length} rows of the job file (${columns})`;
  if (rows.kind === 'query') return `table ${name}: made of ${tablesOf(rows).join(', ')} by a query (${columns})`;
  const refresh =
    rows.refreshMs === null ? 'read once per run' : `read anew every ${formatDurationUs(rows.refreshMs * 1000)}`;
  return `table ${name}: ${rows.keyspace}.${rows.table}, ${refresh} (${columns})`;
}

function explainStage(stage: EpochStage, index: number, plan: EpochsPlan): string[] {
  if (stage.kind === 'map') {
    const { scan, branches } = stage;
    return [
      `stage ${index}: map of ${stage.source}, format ${formatKind(scan.format)}, bad records: ${explainBad(scan.onBadRecord)}, null values: ${scan.onNullValue}`,
      `  reads: ${scan.columns.length === 0 ? 'nothing but the records themselves' : scan.columns.map(explainColumn).join(', ')}`,
      ...branches.flatMap(explainBranch),
      ...explainLookups(stage),
    ];
  }
  const { key, columns, forgets, keepsForEver } = describeState(stage, plan);
  return [
    `stage ${index}: ${stage.operatorId}, ${describeKind(stage.state)}`,
    `  key: ${key.length === 0 ? 'none, one entry' : key.map(explainField).join(', ')}`,
    ...(columns.length === 0 ? [] : [`  state: ${columns.map(explainField).join(', ')}`]),
    ...(forgets === null ? [] : [`  forgets: ${forgets}`]),
    ...(keepsForEver === null ? [] : [`  never forgets: ${keepsForEver}`]),
    ...explainBranch(stage.branch),
  ];
}

function explainField({ name, type }: Field): string {
  return `${name} ${formatType(type)}`;
}

/** What a stage keeps, in a few words. */
export function describeKind(state: StatePlan): string {
  switch (state.kind) {
    case 'aggregate':
    case 'session':
      return `${state.kind === 'session' ? 'sessions' : 'groups'} in ${state.mode} mode`;
    case 'dedup':
      return 'the first row of each key';
    case 'join':
      return `${state.type} join of streams`;
    case 'limit':
      return `the first ${state.count} rows`;
    case 'sort':
      return 'rows in order';
    case 'rank':
      return `${state.calls.map((call) => call.function).join(', ')} by key`;
    case 'user':
      return `${state.functions.join(', ')} of the job’s module, timers: ${state.timers}`;
  }
}

function explainBranch({ operators, output, target }: Branch): string[] {
  return [...operators.flatMap(explainOperator), `  -> ${explainTarget(target, output)}`];
}

function explainTarget(target: Target, output: Schema): string {
  if (target.kind === 'sink') return 'sinks';
  const keys = target.keys.map((column) => formatName(output[column]?.name ?? '')).join(', ');
  const place = keys === '' ? 'all in one place' : `by (${keys})`;
  const former = target.changes === true ? ', with rows to take back' : '';
  return `stage ${target.stage}${target.port === 0 ? '' : ' (right side)'}, ${place}${former}`;
}

// ---- columns, operators, sinks ----------------------------------------------------------------------------------

function explainColumn(column: InputColumn): string {
  const required = column.kind === 'field' && column.required ? ' NOT NULL' : '';
  return `${formatName(column.name)} ${formatType(column.type)}${required}${column.kind === 'record' ? ' (of the record)' : ''}`;
}

function explainOperator(operator: StageOperator): string[] {
  switch (operator.kind) {
    case 'filter':
      return [`  filter: ${formatExpr(operator.predicate)}`];
    case 'generate': {
      const names = operator.output.map(({ name }) => formatName(name)).join(', ');
      return [
        `  generate: ${operator.generator}${operator.outer ? '_outer' : ''}(${formatExpr(operator.input)}) AS ${names}`,
      ];
    }
    case 'project':
      return [
        '  project:',
        ...operator.columns.map(({ name, type, nullable, expr }) => {
          const text = formatExpr(expr);
          const alias = text === formatName(name) ? '' : ` AS ${formatName(name)}`;
          return `    ${text}${alias}: ${formatType(type)}${nullable ? '' : ' NOT NULL'}`;
        }),
      ];
    case 'watermark':
      return [`  watermark ${operator.watermark}: takes the event time`];
    case 'assignWindow': {
      const slide = operator.slideUs === operator.sizeUs ? '' : ` every ${formatDurationUs(operator.slideUs)}`;
      return [`  window: ${formatDurationUs(operator.sizeUs)}${slide} on ${formatExpr(operator.on)}`];
    }
    case 'late':
      return [`  late: drops rows that come too late for ${operator.operatorId}, by ${operator.rule}`];
    case 'partialAggregate': {
      const calls = operator.aggregates.map((call) => `${call.function} AS ${formatName(call.name)}`);
      return [`  pre-aggregate: ${calls.length === 0 ? 'keys' : calls.join(', ')}`];
    }
    case 'staticJoin':
      return [`  ${operator.lookup === true ? 'lookup' : 'join'}: ${operator.type} with table ${operator.table}`];
  }
}

/** A table that several branches join is told of once. */
function explainLookups({ lookups }: MapStage): string[] {
  return [...new Set((lookups?.steps ?? []).map((step) => `  ${explainLookup(step)}`))];
}

function explainLookup({ table, place, limits }: LookupPlan): string {
  const { ttlMs, maxEntries, inFlight, onError } = limits;
  const kept = ttlMs === 0 ? 'nothing kept' : `${maxEntries} keys kept for ${formatDurationUs(ttlMs * 1000)}`;
  return `lookup ${table.name}: ${place} by (${table.key.join(', ')}), ${kept}, ${inFlight} requests at once, on error: ${onError}`;
}

function explainSink(sink: SinkPlan, description: string): string {
  switch (sink.kind) {
    case 'table': {
      const { shape } = sink;
      const key = shape.columns.slice(0, shape.primaryKeyCount).map(({ name }) => name);
      const nulls = sink.ignoreNulls ? 'leave the cell as it is' : 'are written';
      return `sink ${sink.name}: table ${description}, one row per (${key.join(', ')}), a later record replaces it, NULLs ${nulls}`;
    }
    case 'log':
      return `sink ${sink.name}: ${description}, ${describeValue(sink.value)}, ${sink.compression}, ${describeDelivery(sink)}`;
    case 'rows':
      return `sink ${sink.name}: ${description}, ${explainRows(sink)}`;
    case 'keys':
      return `keys ${sink.name}: the different rows of each batch`;
    case 'blackhole':
      return `sink ${sink.name}: computes every value and writes nothing`;
    case 'console':
      return `sink ${sink.name}: prints rows`;
  }
}

function describeValue(value: Extract<SinkPlan, { kind: 'log' }>['value']): string {
  if (typeof value === 'number') return 'one column as value';
  if (value === 'json') return 'rows as JSON';
  const format = value.kind === 'avro' ? 'Avro' : 'Protobuf';
  const message = value.message === undefined ? '' : ` (${value.message})`;
  return `rows as ${format}${message}${value.registration === null ? '' : `, schema under the subject ${value.registration.subject}`}`;
}

function describeDelivery({ transactions }: Extract<SinkPlan, { kind: 'log' }>): string {
  if (transactions === undefined) return 'at least once with an id header';
  const { commitIntervalMs } = transactions;
  return commitIntervalMs === 0
    ? 'exactly once, one transaction per epoch'
    : `exactly once by transactions of ${commitIntervalMs} ms`;
}

function explainRows({ format, keys, creates, guarantee }: Extract<SinkPlan, { kind: 'rows' }>): string {
  const names = format.columns.filter(({ input }) => keys.includes(input)).map(({ name }) => name);
  const how =
    format.kind === 'postgres'
      ? names.length === 0
        ? 'rows are appended'
        : `one row per (${names.join(', ')}), a later one replaces it`
      : `rows as ${format.kind}`;
  const made = creates === null ? '' : ', created when it is missing';
  return `${how}${made}, ${guarantee === 'exactlyOnce' ? 'exactly once' : 'at least once'}`;
}
