/** Which map stages add up a whole range before they send anything, however many tasks read it. */
import { registryOf } from '../formats/value-format.ts';
import type { AggregatePlan, MapStage } from '../plan/epoch-plan.ts';
import type { AggregateFamily } from '../sql/aggregate-buffers.ts';
import { aggregateOf } from '../sql/aggregates.ts';

/**
 * True when the stage may be given the ranges of an epoch in parts (`RangePart`): it adds rows up, and no part has to be
 * run again. A sum of whole numbers or decimals may refuse a record that it cannot hold, after it took others: all that
 * was added has to be added again without that record, which is more than the last part.
 */
export function addsUpRanges({ scan, branches, lookups }: MapStage): boolean {
  // A task that meets a schema nobody has asked for yet is run again with it.
  if (registryOf(scan.format) !== null) return false;
  // What was looked up belongs to the task it was looked up for.
  if (lookups !== undefined) return false;
  const partials = branches.flatMap(({ operators }) => operators.filter(({ kind }) => kind === 'partialAggregate'));
  return (
    partials.length > 0 &&
    partials.every((operator) => operator.kind === 'partialAggregate' && operator.aggregates.every(takesEveryRow))
  );
}

/** Their partial results grow with every row: they are passed on as soon as may be. */
const growing: ReadonlySet<AggregateFamily> = new Set<AggregateFamily>([
  'collectList',
  'collectSet',
  'percentile',
  'percentileApprox',
  'mode',
]);

function takesEveryRow(plan: AggregatePlan): boolean {
  const { family, bufferSchema } = aggregateOf(plan);
  if (family === 'sum' || family === 'avg') return bufferSchema(plan)[0]?.type.kind === 'double';
  return !plan.distinct && !growing.has(family);
}
