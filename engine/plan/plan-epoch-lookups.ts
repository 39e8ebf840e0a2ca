/**
 * Lookups in jobs that run by epochs: a map stage asks for the rows that its branches join with before it runs, as the
 * stage of a lane does. Behind a state stage nothing is looked up: what a fold gives is not known before it.
 */
import { must } from '../../core/assert.ts';
import { crc32c } from '../../core/crc32c.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { castTo, STRING } from '../sql/coercion.ts';
import { columnAt } from './columns.ts';
import type { EpochStage, MapStage, StageLookups } from './epoch-plan.ts';
import type { Flow } from './flows.ts';
import type { LookupPlan, PlannedLookup } from './lookup-plan.ts';
import { keyExpr, lookupJoin } from './plan-lookups.ts';
import type { NodeOf, PlannedStages } from './stage-draft.ts';
import type { ProjectedColumn, StageOperator, StagePlan } from './stage-plan.ts';

type JoinOperator = Extract<StageOperator, { readonly kind: 'staticJoin' }>;

/** Why rows that came this way cannot be looked up in the table; null = they can. */
export function refusedLookup(
  node: NodeOf<'staticJoin'>,
  name: string,
  flows: readonly Flow[],
  lookups: ReadonlyMap<string, PlannedLookup>,
): { readonly message: string; readonly hint: string } | null {
  const refused = lookupJoin(node, lookups);
  if (typeof refused === 'string') return { message: refused, hint: 'correct the join, or read the table whole' };
  if (flows.some(({ origin }) => origin.kind === 'state'))
    return {
      message: `${name} is looked up for what an operator with state gives, and rows are looked up before they meet state`,
      hint: 'join it in a sub-query below that operator, or in a job of its own that reads what this one writes',
    };
  const before = flows.flatMap(({ operators }) => operators).find(isWholeJoin);
  if (before === undefined) return null;
  return {
    message: `${name} is looked up behind the join with ${before.table}, whose rows are not at hand where keys are collected`,
    hint: `join ${name} first`,
  };
}

function isWholeJoin(operator: StageOperator): operator is JoinOperator {
  return operator.kind === 'staticJoin' && operator.lookup !== true;
}

/** The stages, each map stage with the lookups of its branches. */
export function withLookups(
  job: string,
  stages: readonly EpochStage[],
  lookups: ReadonlyMap<string, PlannedLookup>,
): readonly EpochStage[] {
  if (lookups.size === 0) return stages;
  return stages.map((stage) => {
    if (stage.kind !== 'map') return stage;
    const own = lookupsOf(job, stage, lookups);
    return own === null ? stage : { ...stage, lookups: own };
  });
}

function lookupsOf(job: string, stage: MapStage, lookups: ReadonlyMap<string, PlannedLookup>): StageLookups | null {
  const steps: LookupPlan[] = [];
  for (const { operators } of stage.branches) {
    for (const [place, operator] of operators.entries()) {
      if (operator.kind !== 'staticJoin' || operator.lookup !== true) continue;
      const lookup = must(lookups.get(operator.table), () => `nothing is known of the lookup ${operator.table}`);
      const { table, place: where, schema, limits } = lookup;
      const keys = keyStage(job, stage, operators.slice(0, place), operator, lookup);
      steps.push({ table, place: where, schema, limits, keys: { ...keys, tables: tablesOf(steps) } });
    }
  }
  if (steps.length === 0) return null;
  const asked = JSON.stringify(steps.map(({ table, schema, keys }) => [table, schema, keys]));
  const definition = crc32c(new TextEncoder().encode(asked)).toString(16).padStart(8, '0');
  return { definition, steps, tables: tablesOf(steps) };
}

/** Each once. */
function tablesOf(steps: readonly LookupPlan[]): StageLookups['tables'] {
  return [...new Map(steps.map(({ table, schema }) => [table.name, { name: table.name, schema }])).values()];
}

/** Gives the keys that the records of a task have where they come to the join. */
function keyStage(
  job: string,
  { source, scan }: MapStage,
  before: readonly StageOperator[],
  join: JoinOperator,
  lookup: PlannedLookup,
): StagePlan {
  const keys = lookup.key.map((index): ProjectedColumn => {
    const { name } = columnAt(lookup.schema, index);
    const compared = must(keyExpr(join.equi, index), () => `${name} is compared with nothing`);
    const expr = castTo(compared, STRING);
    return { name, type: STRING, nullable: expr.nullable, expr };
  });
  return {
    ...scan,
    job,
    source,
    // Rows that turn out to be late are looked up for nothing, and event times are taken by the stage itself.
    operators: [
      ...before.filter(({ kind }) => kind !== 'watermark' && kind !== 'late'),
      { kind: 'project', columns: keys },
    ],
    output: keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
    sinks: [{ kind: 'keys', name: 'keys' }],
    // What is wrong with a record the stage itself says.
    onBadRecord: 'skip',
    onNullValue: 'skip',
  };
}

/** What is wrong with the tables that a query looks up: each is joined, and by the stream. */
export function checkEpochLookups(
  names: Iterable<string>,
  { stages, tables }: PlannedStages,
  problems: JobProblem[],
): void {
  const joined = new Set(
    stages.flatMap((stage) => (stage.kind === 'map' ? (stage.lookups?.tables ?? []).map(({ name }) => name) : [])),
  );
  for (const name of names) {
    const path = `tables.${name}`;
    if (tables.includes(name))
      problems.push({
        path,
        message: `${name} is looked up by key, and a sub-query over tables alone would read it whole`,
        hint: 'join it with a source, or take lookup away',
      });
    else if (!joined.has(name) && problems.length === 0)
      problems.push({
        path,
        message: `the query does not join the table ${name}`,
        hint: 'take it away, or join it in the query',
      });
  }
}
