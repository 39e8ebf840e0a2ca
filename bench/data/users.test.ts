import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { taskOf, userPlan } from '../../engine/created-users.fixture.ts';
import { compileStage } from '../../engine/run-stage.ts';
import { RowHash } from './row-hash.ts';
import { BenchUsers } from './users.ts';

test('users are registered one after the other, and nothing else of them changes', () => {
  const users = new BenchUsers(3);
  for (const index of [0, 1, 19_999, 20_000, 1_234_567]) {
    const user = users.at(index);
    assert.equal(Date.parse(user.registered_date), users.timeMsAt(index));
    assert.equal(user.registered_date, new Date(users.timeMsAt(index)).toISOString());
    assert.equal(Object.keys(user).length, 12);
  }
});

test("the hash of a row is the blackhole's", () => {
  const users = new BenchUsers(12);
  const indexes = Array.from({ length: 3000 }, (_, index) => index);
  const batch = encodeRecordBatch(
    indexes.map((index) => ({ ...users.bytesAt(index), timestampMs: 1_700_000_000_000 })),
  );
  const { sinks } = compileStage(userPlan([{ kind: 'blackhole', name: 'blackhole' }])).run(taskOf([batch]));
  const row = new RowHash();
  let passed = 0;
  let hash = 0;
  for (const user of indexes.map((index) => users.at(index))) {
    if (user.post_code === null) continue;
    passed++;
    row.text(user.id).text(user.first_name).text(user.last_name.toUpperCase()).text(user.gender).text(user.address);
    row.int(user.post_code).text(user.email).text(user.username);
    row.double(Date.parse(user.dob) * 1000).double(Date.parse(user.registered_date) * 1000);
    hash ^= row.text(user.phone).text(user.picture).finish();
  }
  assert.deepEqual(sinks, [{ kind: 'blackhole', rowCount: passed, hash: hash >>> 0 }]);
});
