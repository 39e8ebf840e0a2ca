import { formatCqlType } from '../../core/table/schema.ts';
import { formatType } from '../../core/types.ts';
import { formatExpr, formatName } from '../sql/format.ts';
import type { JobPlan, LaneSource } from './job-plan.ts';
import type { InputColumn, SinkPlan, StageOperator } from './stage-plan.ts';

/** A plan for people: which protocol and why, what is read, what is computed, where it goes. */
export function explainJob(plan: JobPlan): string {
  const lines = [
    `job ${plan.job}`,
    `protocol: ${plan.protocol} (${plan.protocolReason})`,
    `trigger: ${explainTrigger(plan)}`,
  ];
  for (const source of plan.sources) lines.push(...explainSource(source, plan));
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

function explainSource(source: LaneSource, plan: JobPlan): string[] {
  const { stage } = source;
  const start =
    source.startingOffsets.kind === 'timestamp'
      ? new Date(source.startingOffsets.timestampMs).toISOString()
      : source.startingOffsets.kind;
  const bad =
    stage.onBadRecord === 'deadLetter' ? 'dead letters' : stage.onBadRecord === 'skip' ? 'skipped' : 'the job fails';
  return [
    `source ${source.name}: ${source.connector} topic ${source.topic}, format ${stage.format}, from ${start}, lost data: ${source.onDataLoss}, bad records: ${bad}, null values: ${stage.onNullValue}`,
    `  reads: ${stage.columns.map(explainColumn).join(', ')}`,
    ...stage.operators.flatMap(explainOperator),
    ...stage.sinks.map((sink, index) => explainSink(sink, plan.sinks[index]?.description ?? '')),
  ];
}

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
  }
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
      return `sink ${sink.name}: ${description}, ${sink.value === 'json' ? 'rows as JSON' : 'one column as value'}, ${sink.compression}, at least once with an id header`;
    case 'blackhole':
      return `sink ${sink.name}: computes every value and writes nothing`;
    case 'console':
      return `sink ${sink.name}: prints rows`;
  }
}
