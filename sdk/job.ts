/** Jobs written in TypeScript: `export default defineJob({ … })` in a file under jobs/. */
import type { JobSpecInput } from '../core/job/spec.ts';
import type { BatchFunction, UserFunctions } from '../core/job/user-functions.ts';
import { functionOf } from './for-each-batch.ts';
import type { KeyedState } from './keyed-state.ts';
import { Query } from './query.ts';

/** What a job file says, without the two lines every file begins with. */
export type JobDefinition = Omit<
  JobSpecInput,
  'apiVersion' | 'kind' | '$schema' | 'query' | 'keyedState' | 'module'
> & {
  /** SQL, or what the builder makes: `from('clicks').where('page IS NOT NULL')`. */
  readonly query: string | Query;
  /** Functions that the rows of the query go through. */
  readonly then?: KeyedState;
};

/** A job as {@link defineJob} gives it. */
export interface DefinedJob {
  /** The job file that it stands for; `weir lint` checks it. */
  readonly document: Omit<JobSpecInput, 'module'>;
  /** Of its keyed state; null = it has none and is declarative. */
  readonly functions: UserFunctions | null;
  /** Of its sinks, in their order; null = the sink is no function. */
  readonly batches: readonly (BatchFunction | null)[];
}

/** A job. What is wrong with it is said by the commands that take it, all at once. */
export function defineJob(definition: JobDefinition): DefinedJob {
  const { then, query, ...rest } = definition;
  return {
    document: {
      apiVersion: 'weir/v1',
      kind: 'Job',
      ...rest,
      query: query instanceof Query ? query.toSql() : query,
      ...(then === undefined ? {} : { keyedState: then.spec }),
    },
    functions: then?.functions ?? null,
    batches: Array.isArray(rest.sinks) ? rest.sinks.map(functionOf) : [],
  };
}
