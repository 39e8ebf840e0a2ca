/** What readers of a topic may rely on that is written at least once: its records, as one that is not Weir reads them. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestCluster } from '../../connectors/kafka/test-log.ts';

export interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
  /** The header `weir-id`, which is the same for every copy of a row. */
  readonly id: string;
}

/** All records that the topic holds now, each partition's in its order, by the consumer of kafkajs. */
export async function consumeAll({ kafka, admin }: TestCluster, topic: string): Promise<TopicRecord[]> {
  const ends = new Map(
    (await admin.fetchTopicOffsets(topic)).map(({ partition, low, high }) => [
      partition,
      low === high ? 0 : Number(high),
    ]),
  );
  const left = new Set([...ends].filter(([, end]) => end > 0).map(([partition]) => partition));
  const records: TopicRecord[] = [];
  if (left.size === 0) return records;
  const consumer = kafka.consumer({ groupId: `reader-${randomUUID()}` });
  const done = Promise.withResolvers<void>();
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: ({ partition, message: { offset, key, value, headers } }) => {
        const id = headers?.['weir-id'];
        const end = ends.get(partition) ?? 0;
        if (Number(offset) < end) {
          records.push({ partition, offset: Number(offset), key: String(key), value: String(value), id: String(id) });
          if (Number(offset) === end - 1) left.delete(partition);
          if (left.size === 0) done.resolve();
        }
        return Promise.resolve();
      },
    });
    await done.promise;
  } finally {
    await consumer.disconnect();
  }
  return records.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
}

/** The table that a reader has who keeps the last record of each key. Fails where a key is in two partitions. */
export function lastOfKeys(records: readonly TopicRecord[]): Map<string, string> {
  const last = new Map<string, TopicRecord>();
  for (const record of records) {
    const before = last.get(record.key);
    assert.equal(before?.partition ?? record.partition, record.partition, `the key ${record.key} is in two partitions`);
    last.set(record.key, record);
  }
  return new Map([...last].map(([key, { value }]) => [key, value]));
}

/**
 * Rows of a key come one version after the other; from one that comes again they come in the same order again, and none
 * is left out on the way. `versionOf`: of a value; larger = later. Returns how many records are copies.
 */
export function checkOrder(records: readonly TopicRecord[], versionOf: (value: string) => number): number {
  let copies = 0;
  for (const [key, rows] of Map.groupBy(records, (record) => record.key)) {
    const places = new Map<string, number>();
    const first: TopicRecord[] = [];
    let at = -1;
    for (const row of rows) {
      const where = `key ${key}, partition ${row.partition}, offset ${row.offset}`;
      const place = places.get(row.id);
      if (place === undefined) {
        const before = first.at(-1);
        assert.equal(at, first.length - 1, `${where}: a new row follows one that came again and not the latest`);
        assert.ok(
          before === undefined || versionOf(row.value) > versionOf(before.value),
          `${where}: ${row.value} comes after ${before?.value}`,
        );
        places.set(row.id, first.length);
        at = first.push(row) - 1;
        continue;
      }
      copies++;
      assert.equal(row.value, first[place]?.value, `${where}: a copy of ${row.id} with another value`);
      assert.ok(place <= at + 1, `${where}: ${row.value} comes again, and what is before it does not`);
      at = place;
    }
    assert.equal(at, first.length - 1, `key ${key} ends with ${rows.at(-1)?.value}, which is not its latest row`);
  }
  return copies;
}
