import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EpochHead, EpochPlan, OffsetRange } from '../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION } from '../core/epoch/types.ts';
import type { Epoch, LaneId, Run } from '../core/ids.ts';
import { epoch, fence, jobName, laneId, offset, partition, run, topicId } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import { EpochRepeats, storeRepeats } from './epochs-repeats.ts';

const job = jobName('counts');
const lane = (index: number): LaneId =>
  laneId({ source: 'events', topicId: topicId('t'), partition: partition(index) });
const range = (from: number, to: number): OffsetRange => ({ from: offset(from), to: offset(to) });

function plan(number: number, epochTsUs: number, changes: Partial<EpochPlan> = {}): EpochPlan {
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    epoch: epoch(number),
    epochTsUs,
    token: fence(1),
    ranges: { [lane(0)]: range(number * 10, number * 10 + 10) },
    lateUs: null,
    evictUs: number,
    idle: [],
    statics: {},
    ...changes,
  };
}

function head(changes: Partial<EpochHead>): EpochHead {
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    job,
    run: run(1),
    ver: 1,
    nonce: '',
    fence: fence(1),
    planned: epoch(-1),
    committed: epoch(-1),
    epochTsUs: 0,
    positions: {},
    starts: {},
    eventTimes: [],
    watermarkUs: null,
    evictUs: null,
    ends: null,
    placement: null,
    snapshot: null,
    formerSnapshot: null,
    base: null,
    counters: zeroCounters,
    late: {},
    ...changes,
  };
}

/** Plans by run, and blobs. */
class Stored {
  readonly plans = new Map<Run, EpochPlan[]>();
  readonly #blobs = new Map<string, Uint8Array>();
  readonly store = {
    readPlans: (_: unknown, of: Run, from: Epoch, to: Epoch): Promise<EpochPlan[]> =>
      Promise.resolve((this.plans.get(of) ?? []).filter((each) => each.epoch >= from && each.epoch <= to)),
  };
  readonly blobs = {
    get: (id: string): Promise<Uint8Array | undefined> => Promise.resolve(this.#blobs.get(id)),
    put: (id: string, bytes: Uint8Array): Promise<void> => {
      this.#blobs.set(id, bytes);
      return Promise.resolve();
    },
  };
}

test('plans after the snapshot are repeated as they were, under the times that they had', async () => {
  const stored = new Stored();
  stored.plans.set(
    run(1),
    [0, 1, 2, 3].map((number) => plan(number, 1000 + number)),
  );
  const former = head({ planned: epoch(3), committed: epoch(2) });
  assert.equal(await storeRepeats(stored, former, epoch(1), 'again'), 'again');

  const next = head({ run: run(2), planned: epoch(1), repeats: 'again' });
  const repeats = new EpochRepeats();
  await repeats.open(stored.blobs, next);
  assert.ok(repeats.pending(epoch(1)));
  assert.equal(repeats.after(epoch(1), {}), null, 'nobody has the partition yet');
  assert.deepEqual(repeats.after(epoch(1), { [lane(0)]: offset(20) }), {
    ranges: new Map([[lane(0), range(20, 30)]]),
    idle: [],
    evictUs: 2,
    timeUs: 1002,
  });
  assert.deepEqual(repeats.nameAt(next, epoch(2)), { repeats: 'again' });
  assert.equal(repeats.after(epoch(2), { [lane(0)]: offset(30) })?.timeUs, 1003);
  assert.deepEqual(repeats.nameAt(next, epoch(3)), { repeats: null });
  assert.ok(!repeats.pending(epoch(3)));
});

test('what a run did not come to repeat is left to the next one', async () => {
  const stored = new Stored();
  stored.plans.set(
    run(1),
    [0, 1, 2, 3].map((number) => plan(number, 1000 + number)),
  );
  await storeRepeats(stored, head({ planned: epoch(3) }), epoch(0), 'first');
  stored.plans.set(run(2), [plan(1, 2001, { repeats: 1001 })]);
  const second = head({ run: run(2), planned: epoch(1), repeats: 'first' });
  await storeRepeats(stored, second, epoch(0), 'second');

  const repeats = new EpochRepeats();
  await repeats.open(stored.blobs, head({ run: run(3), planned: epoch(0), repeats: 'second' }));
  const times = [0, 1, 2].map((number) => repeats.after(epoch(number), { [lane(0)]: offset(0) })?.timeUs);
  assert.deepEqual(times, [1001, 1002, 1003]);
});

test('nothing is repeated after a snapshot of all that was planned', async () => {
  const stored = new Stored();
  stored.plans.set(run(1), [plan(0, 1000)]);
  const former = head({ planned: epoch(0), committed: epoch(0) });
  assert.equal(await storeRepeats(stored, former, epoch(0), 'again'), undefined);
  const repeats = new EpochRepeats();
  await repeats.open(stored.blobs, head({ run: run(2) }));
  assert.ok(!repeats.pending(epoch(-1)));
});

test('plans that are gone are an error, not nothing to repeat', async () => {
  await assert.rejects(new EpochRepeats().open(new Stored().blobs, head({ repeats: 'gone' })), {
    code: 'STATE_DAMAGED',
  });
});
