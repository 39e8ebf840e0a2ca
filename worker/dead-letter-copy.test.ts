import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { makeConnections } from '../connectors/connections.ts';
import { startEmbedded } from '../connectors/embedded/main.ts';
import type { EmbeddedProcess } from '../connectors/embedded/main.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { WeirError, isWeirError } from '../core/errors.ts';
import { jobName, offset, partition, run, timestampUs } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { RecordToEncode } from '../core/record-batch-encoder.ts';
import { ByteBuffer } from '../engine/byte-buffer.ts';
import { RecordIndex, decodeBatch } from '../engine/codecs/decode-records.ts';
import { batchesOf, taskOf, userPlan } from '../engine/created-users.fixture.ts';
import { deadLetterTable } from '../engine/dead-letters.ts';
import type { LanesPlan, LaneSource } from '../engine/plan/job-plan.ts';
import { PLAN_FORMAT_VERSION } from '../engine/plan/job-plan.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { StageResult } from '../engine/stage.ts';
import { always } from '../test/conformance/source.ts';
import { noLog } from '../test/conformance/no-log.ts';
import { copyDeadLetters } from './dead-letter-copy.ts';
import { openSinks } from './open-sinks.ts';
import type { SinkSet } from './sink-set.ts';

const TIME_MS = 1_700_000_000_000;
const stage = userPlan([{ kind: 'blackhole', name: 'none' }], { recordBytesMax: 2000 });
const source: LaneSource = {
  name: 'users',
  connector: 'kafka',
  options: {},
  topic: 'users_created',
  startingOffsets: { kind: 'earliest' },
  onDataLoss: 'skip',
  onFutureTimestamp: 'fail',
  stage,
};

function planWith(deadLetterTopic: string | null): LanesPlan {
  return {
    formatVersion: PLAN_FORMAT_VERSION,
    job: jobName('created-users'),
    protocol: 'lanes',
    protocolReason: '',
    trigger: { kind: 'asap' },
    sources: [source],
    sinks: [{ connector: 'blackhole', options: {}, description: 'nothing' }],
    tables: [],
    deadLetterTopic,
    createsTables: false,
    warnings: [],
  };
}

/** What the stage gives for these records, of partition 3. */
function process(records: readonly RecordToEncode[]): StageResult {
  return compileStage(stage).run(taskOf(batchesOf(records, 100)));
}

function record(value: Uint8Array | string, key: string | null, timestampMs = TIME_MS): RecordToEncode {
  return { key: key === null ? null : Buffer.from(key), value: Buffer.from(value), timestampMs };
}

interface Copy {
  readonly key: string;
  readonly letter: Record<string, unknown>;
  readonly timestampMs: number;
}

function readCopies(batches: readonly Uint8Array[]): Copy[] {
  const copies: Copy[] = [];
  for (const batch of batches) {
    const [arena, index] = [new ByteBuffer(), new RecordIndex()];
    const all = {
      start: 0,
      end: batch.byteLength,
      baseOffset: 0,
      baseTimeUs: 0,
      stride: 1,
      fromOffset: 0,
      toOffset: 1e9,
    };
    decodeBatch(batch, all, arena, index);
    const text = (start: number, length: number): string =>
      Buffer.from(arena.bytes.subarray(start, start + length)).toString();
    for (let at = 0; at < index.count; at++) {
      copies.push({
        key: text(index.keyStart[at] ?? 0, index.keyLength[at] ?? 0),
        letter: JSON.parse(text(index.valueStart[at] ?? 0, index.valueLength[at] ?? 0)) as Copy['letter'],
        timestampMs: index.timestampMs[at] ?? 0,
      });
    }
  }
  return copies;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

suite('copies of dead letters', () => {
  test('a copy tells all of the record, at its own time, in the partition of its number', () => {
    const { deadLetters } = process([
      record('not JSON \u0000 é', 'k1'),
      record('{"id":"fine","post_code":1}', 'k2'),
      record('[', null, -1),
    ]);
    const [append, ...others] = copyDeadLetters(deadLetters, { topic: 'dead', partitions: 2 });
    assert.ok(append);
    assert.deepEqual([append.topic, append.partition, others.length], ['dead', 1, 0]);
    const common = { job: 'created-users', run: 1, topic: 'users_created', partition: 3, code: 'RECORD_NOT_JSON' };
    const [first, second, ...more] = readCopies([append.batch]);
    assert.deepEqual(more, []);
    assert.deepEqual(first, {
      key: 'users_created-3-0',
      letter: {
        ...common,
        offset: 0,
        place: first?.letter['place'],
        record_time: '2023-11-14T22:13:20.000Z',
        key: base64('k1'),
        value: base64('not JSON \u0000 é'),
        value_bytes: 13,
      },
      timestampMs: TIME_MS,
    });
    assert.equal(typeof first.letter['place'], 'string');
    assert.equal(second?.key, 'users_created-3-2');
    assert.deepEqual([second.letter['record_time'], second.letter['key'], second.timestampMs], [null, null, -1]);
  });

  test('copies of large records stay below what a broker takes', () => {
    const large = (bytes: number): Uint8Array => Buffer.alloc(bytes, 'x');
    const { deadLetters } = process([
      { key: large(900_000), value: large(1_500_000), timestampMs: TIME_MS },
      ...Array.from({ length: 8 }, () => record(large(200_000), 'k')),
    ]);
    assert.equal(deadLetters.rowCount, 9);
    const appends = copyDeadLetters(deadLetters, { topic: 'dead', partitions: 1 });
    assert.ok(appends.length >= 3);
    for (const { batch } of appends) assert.ok(batch.byteLength < 1_000_000, `${batch.byteLength} bytes`);
    const copies = readCopies(appends.map(({ batch }) => batch));
    assert.deepEqual(
      copies.map(({ letter }) => letter['offset']),
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.equal(copies[0]?.letter['value_bytes'], 1_500_000);
    const kept = Buffer.from(String(copies[0]?.letter['value']), 'base64');
    assert.ok(kept.byteLength > 500_000 && kept.equals(large(kept.byteLength)));
    assert.equal(Buffer.from(String(copies[8]?.letter['value']), 'base64').byteLength, 200_000);
  });
});

suite('sinks with a topic for dead letters', () => {
  let embedded: EmbeddedProcess;
  let connections: ReturnType<typeof makeConnections>;
  before(async () => {
    embedded = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: null, log: noLog, clock: systemClock });
    const parts = { clock: systemClock, rng: systemRng, log: noLog };
    connections = makeConnections({ WEIR_EMBEDDED: embedded.address }, parts);
    await connections.tables('cassandra', {}).create(deadLetterTable);
  });
  after(async () => {
    await connections.close();
    await embedded.close();
  });

  const open = async (topic: string | null): Promise<SinkSet> =>
    await openSinks(planWith(topic), source, connections, systemClock, () => undefined);

  const copiesIn = async (topic: string, index: number): Promise<Copy[]> => {
    const log = connections.source('kafka', {});
    const at = partition(index);
    const reader = log.open(await log.describe(topic));
    const { bytes } = await reader.fetch({ partition: at, offset: offset(0), maxBytes: 1 << 20, maxWaitMs: 10 });
    await reader.close();
    return bytes.byteLength === 0 ? [] : readCopies([bytes]);
  };

  test('a write is acknowledged when table and topic have the letters; gaps are copied too', async () => {
    await connections.logWriter('kafka', {}).createTopic('dead', 3);
    const sinks = await open('dead');
    await sinks.write(process([record('bad', 'k')]), always);
    const table = await connections.tables('cassandra', {}).query('SELECT offset, code FROM weir.dead_letters');
    assert.deepEqual(table.rows, [[0, 'RECORD_NOT_JSON']]);
    assert.deepEqual(
      (await copiesIn('dead', 0)).map(({ key }) => key),
      ['users_created-3-0'],
    );
    await sinks.write(process([record('{"id":"fine"}', 'k')]), always);
    assert.equal((await copiesIn('dead', 0)).length, 1);

    const { topicId } = await connections.source('kafka', {}).describe('dead');
    const key = { job: jobName('created-users'), run: run(1), source: 'users', topicId, partition: partition(4) };
    const from = { offset: offset(5), clock: { bound: timestampUs(TIME_MS * 1000) } };
    await sinks.recordGap(key, 'users_created', from, offset(9), always);
    const [gap] = await copiesIn('dead', 1);
    assert.equal(gap?.key, 'users_created-4-5');
    assert.deepEqual(
      [gap.letter['code'], gap.letter['place'], gap.letter['value']],
      ['OFFSETS_LOST', 'offsets 5 to 8', null],
    );
    await sinks.close();
  });

  test('without the right to write nothing is appended', async () => {
    await connections.logWriter('kafka', {}).createTopic('fenced', 1);
    const sinks = await open('fenced');
    const refused: WritePermit = {
      valid: () => false,
      check: () => {
        throw new WeirError('FENCED', 'not any more');
      },
    };
    await assert.rejects(sinks.write(process([record('bad', 'k')]), refused), (error) => isWeirError(error, 'FENCED'));
    assert.deepEqual(await copiesIn('fenced', 0), []);
    await sinks.close();
  });

  test('a topic that does not exist is worth waiting for', async () => {
    await assert.rejects(open('nowhere'), (error) => isWeirError(error, 'TOPIC_NOT_FOUND') && error.retryable);
    await (await open(null)).close();
  });
});
