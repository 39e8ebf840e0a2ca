/** Directories under testdata/ were written by Spark itself; see testdata/README.md. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isWeirError } from '../../core/errors.ts';
import { readSparkCheckpoint } from './read-checkpoint.ts';

const testdata = fileURLToPath(new URL('testdata/', import.meta.url));
const flat = (offsets: ReadonlyMap<string, ReadonlyMap<number, number>>): object =>
  Object.fromEntries([...offsets].map(([topic, partitions]) => [topic, Object.fromEntries(partitions)]));

for (const version of ['4.2.0', '3.5.7']) {
  const of = (name: string): string => join(testdata, `spark-${version}`, name);

  describe(`a checkpoint of Spark ${version}`, () => {
    test('of a query that came to its end', () => {
      const { committed, planned, offsets, watermark, queryId } = readSparkCheckpoint(of('project'));
      assert.match(queryId, /^[0-9a-f-]{36}$/);
      assert.deepEqual({ committed, planned, watermark }, { committed: 2, planned: [], watermark: null });
      assert.deepEqual(flat(offsets), { [`project-${version}`]: { 0: 13, 1: 12 } });
    });

    test('of a query that failed within a batch: the batch before counts', () => {
      const { committed, planned, offsets } = readSparkCheckpoint(of('fails'));
      assert.deepEqual({ committed, planned }, { committed: 0, planned: [1] });
      assert.deepEqual(flat(offsets), { [`fails-${version}`]: { 0: 5, 1: 4 } });
    });

    test('of a window: the watermark of the next batch, and the one of the last', () => {
      const { committed, watermark } = readSparkCheckpoint(of('window'));
      assert.equal(committed, 3);
      const last = Date.UTC(2024, 4, 1, 12, 1, 30);
      assert.deepEqual(watermark, { currentMs: last, formerMs: last });
    });

    test('of two sources', () => {
      const { offsets } = readSparkCheckpoint(of('union'));
      assert.deepEqual(flat(offsets), { [`union-${version}`]: { 0: 13, 1: 12 }, [`union-${version}-b`]: { 0: 4 } });
    });

    test('of files is refused', () => {
      const refused = (error: unknown): boolean =>
        isWeirError(error, 'UNSUPPORTED') && /a source of files/.test(error.message);
      assert.throws(() => readSparkCheckpoint(of('files')), refused);
    });
  });
}

describe('checkpoints', () => {
  test('of checkpoint format 2 and offset log 2, both of Spark 4.2.0', () => {
    const { committed, offsets, watermark } = readSparkCheckpoint(join(testdata, 'spark-4.2.0', 'window-v2'));
    assert.equal(committed, 3);
    assert.deepEqual(flat(offsets), { 'window-v2-4.2.0': { 0: 13, 1: 12 } });
    assert.equal(watermark?.currentMs, Date.UTC(2024, 4, 1, 12, 1, 30));
  });

  test('before the first commit: where the query decided to begin', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weir-checkpoint-'));
    try {
      cpSync(join(testdata, 'spark-4.2.0', 'project'), directory, { recursive: true });
      rmSync(join(directory, 'commits'), { recursive: true });
      const { committed, planned, offsets } = readSparkCheckpoint(directory);
      assert.deepEqual({ committed, planned }, { committed: null, planned: [0, 1, 2] });
      assert.deepEqual(flat(offsets), { 'project-4.2.0': { 0: 0, 1: 0 } });
      rmSync(join(directory, 'sources'), { recursive: true });
      assert.throws(() => readSparkCheckpoint(directory), /never decided where to begin/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('with two sources at different offsets of one partition are refused', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weir-checkpoint-'));
    try {
      cpSync(join(testdata, 'spark-4.2.0', 'project'), directory, { recursive: true });
      const metadata = '{"batchWatermarkMs":0}';
      writeFileSync(join(directory, 'offsets', '2'), `v1\n${metadata}\n{"a":{"0":5}}\n{"a":{"0":6}}`);
      assert.throws(() => readSparkCheckpoint(directory), /stand at 5 and 6/);
      writeFileSync(join(directory, 'offsets', '2'), `v1\n${metadata}\n{"a":{"0":5}}\n{"a":{"0":5,"1":2}}`);
      assert.deepEqual(flat(readSparkCheckpoint(directory).offsets), { a: { 0: 5, 1: 2 } });
      writeFileSync(join(directory, 'offsets', '2'), `v1\n${metadata}\n-`);
      assert.throws(() => readSparkCheckpoint(directory), /has read no topic so far/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('a folder that is none says what to name', () => {
    const refused = (error: unknown): boolean =>
      isWeirError(error, 'NOT_FOUND') && /checkpointLocation/.test(error.message);
    assert.throws(() => readSparkCheckpoint(testdata), refused);
  });
});
