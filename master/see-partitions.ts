/** Which partitions the sources of a job have now, and where they end. */
import type { PartitionFacts } from '../core/assign/decide.ts';
import { isWeirError } from '../core/errors.ts';
import type { LaneId, Offset } from '../core/ids.ts';
import { laneId } from '../core/ids.ts';
import type { Connections } from '../core/ports.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';

const UNKNOWN_TOPIC_PARTITIONS = 8;

/**
 * The partitions as they are now; for an availableNow execution with the end of those that `needsEnd` names. Ends of
 * topics that the job fills itself are known to those who fill them.
 *
 * Throws: TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE, UNAUTHORIZED.
 */
export async function seePartitions(
  connections: Connections,
  plan: JobPlan,
  needsEnd: (id: LaneId) => boolean,
): Promise<PartitionFacts[]> {
  const seen: PartitionFacts[] = [];
  for (const laneSource of plan.sources) {
    const source = connections.source(laneSource.connector, laneSource.options);
    const { topic, topicId, partitions } = await source.describe(laneSource.topic);
    const id = (partition: PartitionFacts['partition']): LaneId =>
      laneId({ source: laneSource.name, topicId, partition });
    const open =
      plan.trigger.kind === 'availableNow' && laneSource.feed === undefined
        ? partitions.filter((partition) => needsEnd(id(partition)))
        : [];
    const ends =
      open.length > 0 ? await source.offsets(topic, open, 'latest') : new Map<PartitionFacts['partition'], Offset>();
    for (const partition of partitions)
      seen.push({ source: laneSource.name, topic, topicId, partition, end: ends.get(partition) ?? null });
  }
  return seen;
}

/** Partitions to leave room for; a topic that is not there yet counts as a few. Throws: UNAUTHORIZED. */
export async function partitionCount(connections: Connections, plan: JobPlan): Promise<number> {
  try {
    return (await seePartitions(connections, plan, () => false)).length;
  } catch (error) {
    if (isWeirError(error) && error.retryable) return plan.sources.length * UNKNOWN_TOPIC_PARTITIONS;
    throw error;
  }
}
