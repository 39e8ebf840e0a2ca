/** What a job or producer file imports from `weir`. */
export type { DefinedJob, JobDefinition } from './job.ts';
export { defineJob } from './job.ts';
export type { ListState, MapState, UserContext, ValueState } from '../core/job/user-functions.ts';
export type {
  InputOf,
  KeyedState,
  KeyedStateDefinition,
  KeyedStateFunctions,
  KeyOf,
  StateDefinition,
  StateOf,
} from './keyed-state.ts';
export type { BatchInfo } from '../core/job/user-functions.ts';
export type { ForEachBatchOptions, ForEachBatchSink } from './for-each-batch.ts';
export { forEachBatch } from './for-each-batch.ts';
export { keyedState } from './keyed-state.ts';
export type { GivenRow, RowOf } from './schema-types.ts';
export type { Producer, ProducerArgs, ProducerContext, ProducerRecord } from './producer.ts';
export { defineProducer, paced } from './producer.ts';
export type { GroupedQuery, GroupKey, JoinHow, Query } from './query.ts';
export { from, sessionWindow, sql, window } from './query.ts';
