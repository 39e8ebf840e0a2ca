import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { kafkaOffsets, kindOfSource, parseCommit, parseFirstOffsets, parsePlannedBatch } from './log-files.ts';

const malformed = (why: RegExp) => (error: unknown) =>
  isWeirError(error, 'CHECKPOINT_MALFORMED') && why.test(error.message) && error.message.includes('offsets/7');

describe('files of a checkpoint', () => {
  test('a planned batch has an end per source; a dash is none', () => {
    const text = 'v1\n{"batchWatermarkMs":1500}\n{"a":{"0":5}}\n-\n';
    const { ends, watermarkMs } = parsePlannedBatch('offsets/7', text);
    assert.deepEqual(
      [...ends],
      [
        ['0', { a: { '0': 5 } }],
        ['1', null],
      ],
    );
    assert.equal(watermarkMs, 1500);
  });

  test('offset log 2 names its sources', () => {
    const { ends } = parsePlannedBatch('offsets/7', 'v2\n{"batchWatermarkMs":0}\nclicks:{"a":{"0":5}}\n1:-');
    assert.deepEqual(
      [...ends],
      [
        ['clicks', { a: { '0': 5 } }],
        ['1', null],
      ],
    );
    assert.throws(() => parsePlannedBatch('offsets/7', 'v2\n{}\n:1'), malformed(/names no source/));
  });

  test('a watermark of 0 is none', () => {
    assert.equal(parsePlannedBatch('offsets/7', 'v1\n{"batchWatermarkMs":0}\n-').watermarkMs, null);
    assert.equal(parseCommit('commits/7', 'v1\n{"nextBatchWatermarkMs":0}'), null);
  });

  test('a commit of old versions says nothing of the next watermark', () => {
    assert.equal(parseCommit('commits/7', 'v1\n{}'), undefined);
    assert.equal(parseCommit('commits/7', 'v1\n{"nextBatchWatermarkMs":12}'), 12);
  });

  test('first offsets stand behind a zero byte', () => {
    assert.deepEqual(parseFirstOffsets('sources/0/0', '\0v1\n{"a":{"0":5}}'), { a: { '0': 5 } });
    assert.deepEqual(parseFirstOffsets('sources/0/0', 'v1\n{"a":{"0":5}}'), { a: { '0': 5 } });
  });

  test('what a crash left, a later version and other files are refused by name', () => {
    assert.throws(() => parsePlannedBatch('offsets/7', ''), malformed(/it is empty/));
    assert.throws(() => parsePlannedBatch('offsets/7', 'v9\n{}'), malformed(/version is v9/));
    assert.throws(() => parsePlannedBatch('offsets/7', '{"a":1}'), malformed(/does not begin with a version/));
    assert.throws(() => parsePlannedBatch('offsets/7', 'v1\n{"batchWatermarkMs":0'), malformed(/is no JSON/));
    assert.throws(() => parsePlannedBatch('offsets/7', 'v1\n{}\n{"a":{"0":'), malformed(/is no JSON/));
  });

  test("only Kafka's offsets are offsets of topics", () => {
    assert.deepEqual(
      kafkaOffsets('offsets/7', { __proto__x: { '3': 0 } }),
      new Map([['__proto__x', new Map([[3, 0]])]]),
    );
    for (const [value, kind] of [
      [{ logOffset: 3 }, 'a source of files'],
      [17, 'a rate or socket source'],
      [{ reservoirVersion: 1, index: 2 }, 'a Delta table'],
      ['x', 'no Kafka source'],
    ] as const) {
      assert.equal(kafkaOffsets('offsets/7', value), undefined);
      assert.equal(kindOfSource(value), kind);
    }
    assert.throws(() => kafkaOffsets('offsets/7', { a: { '0': -1 } }), malformed(/stands at -1/));
    assert.throws(() => kafkaOffsets('offsets/7', { a: { '0': 1.5 } }), malformed(/stands at 1.5/));
  });
});
