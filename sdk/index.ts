/** What a job or producer file imports from `weir`. */
export type { JobDefinition } from './job.ts';
export { defineJob } from './job.ts';
export type { Producer, ProducerArgs, ProducerContext, ProducerRecord } from './producer.ts';
export { defineProducer, paced } from './producer.ts';
