import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import { taskOf, userPlan } from '../engine/created-users.fixture.ts';
import { compileStage } from '../engine/run-stage.ts';
import { UserGenerator } from '../jobs/producers/random-user.ts';
import { expectedRows } from './user-row-hash.ts';

test('the expected hash is what the engine comes to', () => {
  const users = new UserGenerator(12);
  const records = Array.from({ length: 5000 }, (_, index) => ({
    ...users.bytesAt(index),
    timestampMs: 1_700_000_000_000,
  }));
  const stage = compileStage(userPlan([{ kind: 'blackhole', name: 'blackhole' }]));
  const { sinks, counters } = stage.run(taskOf([encodeRecordBatch(records)]));
  const expected = expectedRows(users, records.length);
  assert.equal(counters.passed, expected.passed);
  assert.deepEqual(sinks, [{ kind: 'blackhole', rowCount: expected.passed, hash: expected.hash }]);
});
