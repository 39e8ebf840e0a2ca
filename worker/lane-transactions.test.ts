import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import type { Offset } from '../core/ids.ts';
import { jobName, laneId, offset, partition, run, topicId } from '../core/ids.ts';
import type { LogTransactionPlan } from '../core/log-transactions.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import { noFailpoints } from '../core/ports.ts';
import { LaneTransactions } from './lane-transactions.ts';

const key = { job: jobName('copy'), run: run(3), source: 'orders', topicId: topicId('t-1'), partition: partition(2) };
const lane = laneId(key);
const append: LogAppend = { topic: 'copies', partition: partition(0), batch: new Uint8Array(61) };
const opening = {
  key,
  topic: 'orders',
  since: run(1),
  submittedAt: 1000,
  start: offset(100),
  permit: { valid: () => true, check: () => undefined },
  failpoints: noFailpoints,
};

/** A log that commits at once and stands at a position. */
class Memory {
  readonly plans: LogTransactionPlan[] = [];
  readonly written: Offset[] = [];
  closed = 0;
  readonly writer: LogWriter;

  constructor(position: number | null) {
    const none = (): Promise<never> => Promise.reject(new Error('not asked for here'));
    this.writer = {
      partitionCount: none,
      append: none,
      createTopic: none,
      close: () => Promise.resolve(),
      openTransactions: (plan) => {
        this.plans.push(plan);
        return Promise.resolve({
          position: position === null ? null : offset(position),
          write: (_appends, to) => {
            this.written.push(to);
            return Promise.resolve();
          },
          commitNow: () => undefined,
          stats: () => ({ inFlight: 1, retries: 2, blockedBy: 'a reason' }),
          close: () => {
            this.closed++;
            return Promise.resolve();
          },
        });
      },
    };
  }

  topic(): LaneTransactions {
    return new LaneTransactions('copies', { commitIntervalMs: 100, timeoutMs: 60_000 }, this.writer);
  }
}

test('a position ahead of the lane leaves out what is there', async () => {
  const log = new Memory(150);
  const topic = log.topic();
  assert.equal(await topic.open(opening), 150);
  await topic.write(lane, offset(100), offset(120), [append]);
  await topic.write(lane, offset(120), offset(150), [append]);
  await topic.write(lane, offset(150), offset(180), [append]);
  await topic.write(lane, offset(180), offset(190), []);
  assert.deepEqual(log.written, [180]);
});

test('rows across the position are a mistake of whoever cut them', async () => {
  const topic = new Memory(150).topic();
  await topic.open(opening);
  await assert.rejects(topic.write(lane, offset(140), offset(160), [append]), /cut the position 150/);
});

test('a lane that is ahead, since no row of its last records came here, goes on where it stands', async () => {
  assert.equal(await new Memory(40).topic().open(opening), 100);
  assert.equal(await new Memory(null).topic().open(opening), 100);
});

test('positions of continued runs are asked for, newest first, and the id outlives runs', async () => {
  const log = new Memory(null);
  const topic = log.topic();
  await topic.open(opening);
  await topic.open({ ...opening, key: { ...key, run: run(4) }, since: run(4) });
  const [first, second] = log.plans;
  assert.deepEqual(first?.groups, [
    'weir.copy.3.orders.copies',
    'weir.copy.2.orders.copies',
    'weir.copy.1.orders.copies',
  ]);
  assert.deepEqual(second?.groups, ['weir.copy.4.orders.copies']);
  assert.equal(first?.id, 'weir.copy.orders.2.copies');
  assert.equal(second?.id, first?.id);
  assert.equal(first?.note, '1000/t-1');
  assert.deepEqual(first?.source, { topic: 'orders', partition: 2 });
});

test('a lane that begins again has a new writer, and the former one is closed', async () => {
  const log = new Memory(null);
  const topic = log.topic();
  await topic.open(opening);
  assert.deepEqual(topic.stats(), { inFlight: 1, retries: 2, blockedBy: 'a reason' });
  await topic.open(opening);
  assert.equal(log.closed, 1);
  await topic.closeAll();
  assert.equal(log.closed, 2);
  assert.deepEqual(topic.stats(), { inFlight: 0, retries: 0, blockedBy: null });
});

test('a log without transactions', async () => {
  const { writer } = new Memory(null);
  const { openTransactions: _, ...plain } = writer;
  const topic = new LaneTransactions('copies', { commitIntervalMs: 100, timeoutMs: 60_000 }, plain);
  await assert.rejects(topic.open(opening), (error) => isWeirError(error, 'UNSUPPORTED'));
});
