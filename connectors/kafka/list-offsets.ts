/** First and last offsets of partitions, and those at a time. */
import { WeirError } from '../../core/errors.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { Brokers } from './brokers.ts';
import { kafkaErrors, topicFailure } from './failures.ts';
import { listOffsetsRequest } from './requests.ts';

/**
 * Offsets of partitions, from their leaders; -1 where no record is at or after the time. `latest` tells which end
 * LATEST_TIME means.
 *
 * Throws: TOPIC_NOT_FOUND, also for a partition that is not there; UNAUTHORIZED; SOURCE_UNAVAILABLE.
 */
export function listOffsets(
  brokers: Brokers,
  topic: string,
  partitions: readonly Partition[],
  timeMs: number,
  latest?: 'stable' | 'highWatermark',
): Promise<Map<Partition, Offset>> {
  return brokers.retry(async () => {
    const { leaders } = await brokers.topic(topic);
    const byLeader = Map.groupBy(partitions, (partition) => {
      const leader = leaders.get(partition);
      if (leader === undefined) throw noPartition(topic, partition);
      if (leader.nodeId < 0) throw brokers.refused(`${topic}/${partition}`, kafkaErrors.LEADER_NOT_AVAILABLE);
      return leader.nodeId;
    });
    const answers = await Promise.all(
      [...byLeader].map(([nodeId, asked]) => brokers.ask(nodeId, listOffsetsRequest(topic, asked, timeMs, latest))),
    );
    const found = new Map(
      answers.flat().map(({ partition, errorCode, offset }) => {
        if (errorCode !== kafkaErrors.NONE) throw listingFailure(brokers, topic, partition, errorCode);
        return [partition, offset];
      }),
    );
    return new Map(partitions.map((partition) => [partition, found.get(partition) ?? (-1 as Offset)]));
  });
}

/** Metadata has just named the topic, so a broker that does not know it yet will in a moment. */
function listingFailure(brokers: Brokers, topic: string, partition: Partition, code: number): WeirError {
  const denied = code === kafkaErrors.TOPIC_AUTHORIZATION_FAILED ? topicFailure(topic, code) : undefined;
  return denied ?? brokers.refused(`offsets of ${topic}/${partition}`, code);
}

/** For a partition that metadata does not name. */
export function noPartition(topic: string, partition: Partition): WeirError {
  return new WeirError('TOPIC_NOT_FOUND', `Kafka's topic ${topic} has no partition ${partition}.`, {
    facts: { topic, partition },
  });
}
