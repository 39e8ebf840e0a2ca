/** The contract of LogWriter, for every implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { isWeirError, WeirError, type ErrorCode } from '../../core/errors.ts';
import { offset, partition } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LogWriter, Source } from '../../core/ports.ts';
import { always, batchOf, valuesOf, type LogFixture } from './source.ts';

const code =
  (expected: ErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(isWeirError(error), `a WeirError, not ${String(error)}`);
    assert.equal(error.code, expected, error.message);
    return true;
  };

/** Registers the suite; topics have unique names. */
export function logWriterContract(name: string, make: () => Promise<LogFixture>): void {
  describe(`LogWriter contract: ${name}`, () => {
    let fixture: LogFixture;
    let source: Source;
    let writer: LogWriter;
    const unique = randomUUID().slice(0, 8);
    let count = 0;
    const fresh = (): string => `contract_w_${unique}_${++count}`;
    const p0 = partition(0);

    const valuesIn = async (topic: string, index = 0): Promise<string[]> => {
      const at = partition(index);
      const end = (await source.offsets(topic, [at], 'latest')).get(at) ?? 0;
      const reader = source.open(await source.describe(topic));
      const values: string[] = [];
      try {
        for (let from = 0; from < end;) {
          const { bytes } = await reader.fetch({
            partition: at,
            offset: offset(from),
            maxBytes: 1024 * 1024,
            maxWaitMs: 2000,
          });
          const records = valuesOf(bytes, from);
          values.push(...records.map((record) => record.value));
          from = (records.at(-1)?.offset ?? from - 1) + 1;
        }
      } finally {
        await reader.close();
      }
      return values;
    };

    before(async () => {
      fixture = await make();
      ({ source, writer } = fixture);
    });
    after(async () => {
      await fixture?.writer.close();
      await fixture?.source.close();
      await fixture?.close();
    });

    test('a topic is created once and keeps its partitions', async () => {
      const topic = fresh();
      await assert.rejects(writer.partitionCount(topic), code('TOPIC_NOT_FOUND'));
      await writer.createTopic(topic, 3);
      assert.equal(await writer.partitionCount(topic), 3);
      await writer.append([{ topic, partition: p0, batch: batchOf('a', 0, 1) }], always);
      await writer.createTopic(topic, 7);
      assert.equal(await writer.partitionCount(topic), 3);
      assert.deepEqual(await valuesIn(topic), ['a-0']);
    });

    test('the memory of a batch is free again once it is appended', async () => {
      const topic = fresh();
      await writer.createTopic(topic, 1);
      const batch = batchOf('a', 0, 200).slice();
      const appends = Array.from({ length: 20 }, () => ({ topic, partition: p0, batch: batch.slice() }));
      for (const append of appends) {
        await writer.append([append], always);
        append.batch.fill(0xff);
      }
      assert.equal((await valuesIn(topic)).length, 20 * 200);
    });

    test('appends of one call go to their partitions in their order', async () => {
      const topic = fresh();
      await writer.createTopic(topic, 2);
      const appends = [0, 1, 0, 1, 0].map((index, at) => ({
        topic,
        partition: partition(index),
        batch: batchOf('a', at, 1),
      }));
      await writer.append(appends, always);
      assert.deepEqual(await valuesIn(topic, 0), ['a-0', 'a-2', 'a-4']);
      assert.deepEqual(await valuesIn(topic, 1), ['a-1', 'a-3']);
    });

    test('what was acknowledged is there, none twice, from many calls at once', async () => {
      const topic = fresh();
      await writer.createTopic(topic, 1);
      await Promise.all(
        Array.from({ length: 40 }, (_, at) =>
          writer.append([{ topic, partition: p0, batch: batchOf('a', at * 3, 3) }], always),
        ),
      );
      const values = await valuesIn(topic);
      assert.equal(values.length, 120);
      assert.equal(new Set(values).size, 120);
    });

    test('several topics in one call', async () => {
      const [one, two] = [fresh(), fresh()];
      await writer.createTopic(one, 1);
      await writer.createTopic(two, 1);
      await writer.append(
        [one, two].map((topic) => ({ topic, partition: p0, batch: batchOf('a', 0, 2) })),
        always,
      );
      assert.deepEqual(
        [await valuesIn(one), await valuesIn(two)],
        [
          ['a-0', 'a-1'],
          ['a-0', 'a-1'],
        ],
      );
    });

    test('nothing to append is nothing', async () => {
      await writer.append([], always);
    });

    test('a topic that is not there is not created by writing', async () => {
      const topic = fresh();
      await assert.rejects(
        writer.append([{ topic, partition: p0, batch: batchOf('a', 0, 1) }], always),
        code('TOPIC_NOT_FOUND'),
      );
      await assert.rejects(source.describe(topic), code('TOPIC_NOT_FOUND'));
    });

    test('a batch that is damaged or no batch is refused for good', async () => {
      const topic = fresh();
      await writer.createTopic(topic, 1);
      const damaged = batchOf('a', 0, 3);
      damaged[damaged.length - 1] = (damaged[damaged.length - 1] ?? 0) ^ 1;
      await assert.rejects(writer.append([{ topic, partition: p0, batch: damaged }], always), code('SINK_REFUSED'));
      assert.deepEqual(await valuesIn(topic), []);
    });

    test('without a permit nothing is sent', async () => {
      const topic = fresh();
      await writer.createTopic(topic, 1);
      const never: WritePermit = {
        valid: () => false,
        check: () => {
          throw new WeirError('FENCED', 'not mine');
        },
      };
      await assert.rejects(writer.append([{ topic, partition: p0, batch: batchOf('a', 0, 1) }], never), code('FENCED'));
      assert.deepEqual(await valuesIn(topic), []);
    });
  });
}
