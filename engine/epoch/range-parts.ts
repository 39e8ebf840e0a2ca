/** Ranges that are added up whole before anything is sent, however many tasks read them. */
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

/** Ranges of one place that are open at once: the one that is mapped, and those of attempts that came to no end. */
const OPEN_MAX = 4;

/**
 * What goes on from part to part of ranges, by place (where parts may follow each other: a partition, and what maps it) and
 * range. Nobody says when an attempt was given up: what it left is forgotten when some others have begun after it.
 */
export class OpenRanges<T> {
  readonly #places = new Map<string, Map<string, T>>();

  /** Gives what is forgotten for it. */
  begin(place: string, range: string, value: T): T | undefined {
    const open = this.#places.get(place) ?? new Map<string, T>();
    this.#places.set(place, open);
    const before = open.get(range);
    open.delete(range);
    open.set(range, value);
    if (before !== undefined || open.size <= OPEN_MAX) return before;
    const [oldest] = open;
    if (oldest === undefined) return undefined;
    open.delete(oldest[0]);
    return oldest[1];
  }

  get(place: string, range: string): T | undefined {
    return this.#places.get(place)?.get(range);
  }

  end(place: string, range: string): void {
    this.#places.get(place)?.delete(range);
  }

  /** Forgets all places that begin so. */
  drop(prefix: string): void {
    for (const place of this.#places.keys()) if (place.startsWith(prefix)) this.#places.delete(place);
  }
}
