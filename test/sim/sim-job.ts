/**
 * The job under test, planned by hand so that a run depends on nothing but the protocol:
 *
 *   SELECT partition AS part, offset AS off, id, k, g, v, <revision> AS rev FROM events WHERE v % 5 <> 0
 *
 * into three tables: `raw` keyed by record, `latest` keyed by a key of one partition, `shared` keyed by a value that all
 * partitions use.
 */
import type { Expr } from '../../core/ast.ts';
import { jobName } from '../../core/ids.ts';
import type { RowShape } from '../../core/row-block.ts';
import type { CqlScalar, TableColumn } from '../../core/table/schema.ts';
import type { DataType, Field } from '../../core/types.ts';
import type { LanesPlan } from '../../engine/plan/job-plan.ts';
import { PLAN_FORMAT_VERSION } from '../../engine/plan/job-plan.ts';
import type { SinkPlan, StagePlan } from '../../engine/plan/stage-plan.ts';
import { FILTER_MODULUS } from '../support/generator.ts';

export const SIM_JOB = jobName('sim');
export const SIM_TOPIC = 'events';
export const SIM_SOURCE = 'events';

export const RAW = 'sim.raw';
export const LATEST = 'sim.latest';
export const SHARED = 'sim.shared';
export const DEAD_LETTERS = 'weir.dead_letters';

/**
 * The column `rev` holds this less the revision: at equal times the larger bytes win, and a later revision must win by
 * its time, not by luck.
 */
export const LARGEST_REV = 1000;

const int: DataType = { kind: 'int' };
const bigint: DataType = { kind: 'bigint' };
const string: DataType = { kind: 'string' };

/** What the stage puts out, in order. */
const output = [
  { name: 'part', type: int, nullable: false },
  { name: 'off', type: bigint, nullable: false },
  { name: 'id', type: string, nullable: true },
  { name: 'k', type: string, nullable: true },
  { name: 'g', type: int, nullable: true },
  { name: 'v', type: bigint, nullable: true },
  { name: 'rev', type: int, nullable: false },
] as const satisfies readonly Field[];

export type SimColumn = (typeof output)[number]['name'];

const cqlTypes: Record<SimColumn, CqlScalar> = {
  part: 'int',
  off: 'bigint',
  id: 'text',
  k: 'text',
  g: 'int',
  v: 'bigint',
  rev: 'int',
};

function tableSink(
  table: string,
  columns: readonly SimColumn[],
  partitionKeyCount: number,
  primaryKeyCount: number,
): SinkPlan & { readonly kind: 'table' } {
  const tableColumns = columns.map((name): TableColumn => ({ name, type: { kind: cqlTypes[name] } }));
  const shape: RowShape = { keyspace: 'sim', table, columns: tableColumns, partitionKeyCount, primaryKeyCount };
  const bindings = columns.map((name) => {
    const input = output.findIndex((field) => field.name === name);
    return { input, from: (output[input] as Field).type, to: { kind: cqlTypes[name] } };
  });
  return { kind: 'table', name: `sim.${table}`, shape, bindings, ignoreNulls: false };
}

export const simSinks = [
  tableSink('raw', ['part', 'off', 'id', 'k', 'g', 'v', 'rev'], 1, 2),
  tableSink('latest', ['k', 'part', 'off', 'id', 'g', 'v', 'rev'], 1, 1),
  tableSink('shared', ['g', 'part', 'off', 'id', 'k', 'v', 'rev'], 1, 1),
] as const;

export interface SimJobOptions {
  /** Written into every row: tells which revision wrote it. */
  readonly rev: number;
  readonly onDataLoss: 'fail' | 'skip';
}

export function simPlan({ rev, onDataLoss }: SimJobOptions): LanesPlan {
  return {
    formatVersion: PLAN_FORMAT_VERSION,
    job: SIM_JOB,
    protocol: 'lanes',
    protocolReason: 'the output is a function of the record',
    trigger: { kind: 'asap' },
    sources: [
      {
        name: SIM_SOURCE,
        connector: 'kafka',
        options: {},
        topic: SIM_TOPIC,
        startingOffsets: { kind: 'earliest' },
        onDataLoss,
        onFutureTimestamp: 'fail',
        stage: simStage(rev),
      },
    ],
    sinks: simSinks.map((sink) => ({ connector: 'cassandra', options: {}, description: sink.name })),
    tables: [],
    deadLetterTopic: null,
    createsTables: true,
    warnings: [],
  };
}

/** Columns the stage reads, in order. */
const columns: StagePlan['columns'] = [
  { kind: 'record', name: 'partition', column: 'partition', type: int },
  { kind: 'record', name: 'offset', column: 'offset', type: bigint },
  { kind: 'field', name: 'id', path: 'id', type: string, required: false },
  { kind: 'field', name: 'k', path: 'k', type: string, required: false },
  { kind: 'field', name: 'g', path: 'g', type: int, required: false },
  { kind: 'field', name: 'v', path: 'v', type: bigint, required: false },
];

function column(index: number): Expr {
  const { name, type } = columns[index] as (typeof columns)[number];
  return { kind: 'column', type, nullable: index >= 2, index, name };
}

function literal(type: DataType, value: number | string): Expr {
  return { kind: 'literal', type, nullable: false, value };
}

function simStage(rev: number): StagePlan {
  const remainder: Expr = {
    kind: 'call',
    type: bigint,
    nullable: true,
    name: '%',
    args: [column(5), literal(bigint, String(FILTER_MODULUS))],
  };
  const predicate: Expr = {
    kind: 'call',
    type: { kind: 'boolean' },
    nullable: true,
    name: '<>',
    args: [remainder, literal(bigint, '0')],
  };
  const projected = output.map((field, index) => ({
    ...field,
    expr: field.name === 'rev' ? literal(int, LARGEST_REV - rev) : column(index),
  }));
  return {
    job: SIM_JOB,
    source: SIM_SOURCE,
    topic: SIM_TOPIC,
    format: 'json',
    columns,
    operators: [
      { kind: 'filter', predicate },
      { kind: 'project', columns: projected },
    ],
    output: [...output],
    sinks: [...simSinks],
    onBadRecord: 'deadLetter',
    onNullValue: 'skip',
    timeZone: 'UTC',
    recordBytesMax: 1 << 20,
    recordDepthMax: 64,
  };
}

/** What a stage writes into the column `rev`. */
export function revColumnOf(plan: StagePlan): number {
  for (const operator of plan.operators) {
    if (operator.kind !== 'project') continue;
    const rev = operator.columns.find((candidate) => candidate.name === 'rev');
    if (rev?.expr.kind === 'literal') return Number(rev.expr.value);
  }
  throw new Error('the plan writes no revision');
}
