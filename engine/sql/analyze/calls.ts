/** Names of calls that are more than a function of one row's values. */
import { aggregateByName } from '../aggregates.ts';

export type GeneratorName = 'explode' | 'posexplode' | 'inline';

/** Functions that make rows; `outer` ones give a row of NULLs where there is nothing. */
export const generators: ReadonlyMap<string, { readonly generator: GeneratorName; readonly outer: boolean }> = new Map([
  ['explode', { generator: 'explode', outer: false }],
  ['explode_outer', { generator: 'explode', outer: true }],
  ['posexplode', { generator: 'posexplode', outer: false }],
  ['posexplode_outer', { generator: 'posexplode', outer: true }],
  ['inline', { generator: 'inline', outer: false }],
  ['inline_outer', { generator: 'inline', outer: true }],
  ['json_tuple', { generator: 'inline', outer: false }],
  ['stack', { generator: 'inline', outer: false }],
]);

/** Aggregates of Spark that the table of aggregates may lack: known, so that the refusal can say what they are. */
const knownAggregates = new Set(
  'count sum avg mean min max first first_value last last_value collect_list collect_set min_by max_by any_value count_if bool_and bool_or every some any stddev stddev_samp stddev_pop variance var_samp var_pop percentile percentile_approx approx_percentile approx_count_distinct median mode corr covar_pop covar_samp array_agg kurtosis skewness listagg string_agg bit_and bit_or bit_xor try_sum try_avg regr_count'.split(
    ' ',
  ),
);

export function isAggregateName(name: string): boolean {
  return aggregateByName(name) !== undefined || knownAggregates.has(name);
}

/** Functions that stand before OVER only. */
export const rankFunctions: ReadonlySet<string> = new Set(
  'row_number rank dense_rank percent_rank ntile lag lead cume_dist nth_value'.split(' '),
);

/** Functions that assign rows to windows of time. */
export const timeWindows: ReadonlySet<string> = new Set(['window', 'session_window', 'window_time']);
