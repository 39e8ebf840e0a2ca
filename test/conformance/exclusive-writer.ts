/** The contract of ExclusiveWriter, for every log that has one: whoever opened it last is the one that appends. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { LogRecord } from '../../cli/testing/read-log.ts';
import { readLog } from '../../cli/testing/read-log.ts';
import { must } from '../../core/assert.ts';
import { isWeirError } from '../../core/errors.ts';
import { offset, partition } from '../../core/ids.ts';
import type { ExclusiveWriter } from '../../core/ports.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import type { LogFixture } from './source.ts';

const encoder = new TextEncoder();
const p0 = partition(0);

function records(...values: readonly string[]): RecordToEncode[] {
  return values.map((value, index) => ({
    key: encoder.encode(`k${index}`),
    value: encoder.encode(value),
    timestampMs: 1_700_000_000_000,
    headers: [['cursor', encoder.encode(`after ${value}`)]],
  }));
}

/** Registers the suite; topics have unique names. */
export function exclusiveWriterContract(name: string, make: () => Promise<LogFixture>): void {
  describe(`ExclusiveWriter contract: ${name}`, () => {
    let fixture: LogFixture;
    const unique = randomUUID().slice(0, 8);
    let count = 0;

    before(async () => {
      fixture = await make();
    });
    /** All that a test opened: one left open by a test that failed would keep the process alive. */
    const opened: ExclusiveWriter[] = [];
    after(async () => {
      await Promise.all(opened.map((writer) => writer.close()));
      await fixture?.writer.close();
      await fixture?.source.close();
      await fixture?.close();
    });

    const fresh = async (): Promise<string> => {
      const topic = `contract_x_${unique}_${++count}`;
      await fixture.writer.createTopic(topic, 1);
      return topic;
    };
    const open = async (topic: string): Promise<ExclusiveWriter> => {
      const { writer } = fixture;
      const openExclusive = must(writer.openExclusive, () => 'this log has exclusive writers');
      const exclusive = await openExclusive.call(writer, topic, p0, `w.${topic}`);
      opened.push(exclusive);
      return exclusive;
    };
    /** All there is: whoever opens the log waits until what was appended before is decided. */
    const read = async (topic: string): Promise<LogRecord[]> => {
      await (await open(topic)).close();
      return readLog(fixture.source, topic, 0);
    };
    const values = async (topic: string): Promise<(string | null)[]> => (await read(topic)).map(({ value }) => value);

    test('appends in order, with keys and headers', async () => {
      const topic = await fresh();
      const writer = await open(topic);
      assert.equal(writer.end, 0);
      await writer.append(records('a', 'b'));
      await writer.append(records('c'));
      assert.deepEqual(
        (await read(topic)).map(({ key, value, headers }) => [key, value, headers.get('cursor')]),
        [
          ['k0', 'a', 'after a'],
          ['k1', 'b', 'after b'],
          ['k0', 'c', 'after c'],
        ],
      );
      await writer.close();
    });

    test('the next one begins after all that the former one appended', async () => {
      const topic = await fresh();
      const former = await open(topic);
      await former.append(records('a', 'b'));
      await former.close();
      const writer = await open(topic);
      const [last] = [...(await fixture.source.offsets(topic, [p0], 'latest')).values()];
      assert.equal(writer.end, last);
      assert.ok(writer.end >= offset(2));
      await writer.append(records('c'));
      assert.deepEqual(await values(topic), ['a', 'b', 'c']);
      await writer.close();
    });

    test('a former one that wakes up appends nothing once the next one has appended', async () => {
      const topic = await fresh();
      const former = await open(topic);
      await former.append(records('a'));
      const writer = await open(topic);
      await writer.append(records('b'));
      await assert.rejects(former.append(records('zombie')), (error: unknown) => {
        assert.ok(isWeirError(error), String(error));
        assert.ok(error.code === 'FENCED' || error.code === 'SINK_UNAVAILABLE', `${error.code}: ${error.message}`);
        return true;
      });
      await writer.append(records('c'));
      assert.deepEqual(await values(topic), ['a', 'b', 'c']);
      await former.close();
      await writer.close();
    });

    test('two that append at once: none is lost, none is there twice, and the log knows the winner', async () => {
      const topic = await fresh();
      const writers = [await open(topic), await open(topic)];
      const results = await Promise.allSettled(writers.map((writer, index) => writer.append(records(`w${index}`))));
      const expected = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [`w${index}`] : []));
      assert.deepEqual(await values(topic), expected);
      assert.equal(expected.length, 1);
      await Promise.all(writers.map((writer) => writer.close()));
    });

    test('a topic that is not there', async () => {
      await assert.rejects(open(`missing_${unique}`), (error: unknown) => isWeirError(error, 'TOPIC_NOT_FOUND'));
    });
  });
}
