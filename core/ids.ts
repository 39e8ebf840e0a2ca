/** Ids and units that cannot be mixed up: two swapped numbers do not compile. */
declare const brand: unique symbol;
export type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Name of a job, unique in a cluster: `[a-z][a-z0-9-]{0,62}`. */
export type JobName = Branded<string, 'JobName'>;
/** Number of an accepted change of a job, from 1. */
export type Revision = Branded<number, 'Revision'>;
/** Number of a life of a job from an explicit start point, from 1. */
export type Run = Branded<number, 'Run'>;
/** Grows with every change of a lane's owner, from 1. */
export type Generation = Branded<number, 'Generation'>;
/** Number of a micro-batch of a stateful job, from 0. */
export type Epoch = Branded<number, 'Epoch'>;
/** Grows with every leader. */
export type Fence = Branded<number, 'Fence'>;
/** Position in a partition's log; a safe integer. Ranges of offsets are half-open. */
export type Offset = Branded<number, 'Offset'>;
/** Index of a partition within its topic, from 0. */
export type Partition = Branded<number, 'Partition'>;
/** The broker's id of one life of a topic (a UUID): a deleted and recreated topic has another. */
export type TopicId = Branded<string, 'TopicId'>;
/** One life of a worker process: `<name>-<incarnation>`. A restarted worker is another worker. */
export type WorkerId = Branded<string, 'WorkerId'>;
/** Microseconds since 1970-01-01 UTC; a safe integer. */
export type TimestampUs = Branded<number, 'TimestampUs'>;
/** A lane within its job: `<source>/<topicId>/<partition>`. */
export type LaneId = Branded<string, 'LaneId'>;

export const jobName = (value: string): JobName => value as JobName;
export const revision = (value: number): Revision => value as Revision;
export const run = (value: number): Run => value as Run;
export const generation = (value: number): Generation => value as Generation;
export const epoch = (value: number): Epoch => value as Epoch;
export const fence = (value: number): Fence => value as Fence;
export const offset = (value: number): Offset => value as Offset;
export const partition = (value: number): Partition => value as Partition;
export const topicId = (value: string): TopicId => value as TopicId;
export const workerId = (value: string): WorkerId => value as WorkerId;
export const timestampUs = (value: number): TimestampUs => value as TimestampUs;

/** The coordinates a lane id is made of. */
export interface LaneCoordinates {
  readonly source: string;
  readonly topicId: TopicId;
  readonly partition: Partition;
}

export function laneId(lane: LaneCoordinates): LaneId {
  return `${lane.source}/${lane.topicId}/${lane.partition}` as LaneId;
}

/** Inverse of {@link laneId}. Source names hold no slash (checked by the job file's schema). */
export function parseLaneId(id: LaneId): LaneCoordinates {
  const [source, topic, index] = id.split('/');
  if (source === undefined || topic === undefined || index === undefined) throw new Error(`not a lane id: ${id}`);
  return { source, topicId: topic as TopicId, partition: Number(index) as Partition };
}
