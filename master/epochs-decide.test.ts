import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EpochHead, EpochPlan } from '../core/epoch/types.ts';
import { PLAN_SLOTS } from '../core/epoch/types.ts';
import { epoch, fence, jobName, laneId, offset, partition, run, topicId } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { HeadChange, SnapshotFacts } from './epochs-decide.ts';
import { headAfter, nextPlanAt, nextSnapshotAt, snapshotNeed, timersDueAt, whyNoSlot } from './epochs-decide.ts';

const lane = laneId({
  source: 'events',
  topicId: topicId('00000000-0000-4000-8000-000000000001'),
  partition: partition(0),
});

const head: EpochHead = {
  formatVersion: 1,
  job: jobName('j'),
  run: run(1),
  ver: 7,
  nonce: 'n',
  fence: fence(3),
  planned: epoch(4),
  committed: epoch(3),
  epochTsUs: 1000,
  positions: { [lane]: offset(10) },
  starts: {},
  eventTimes: [5],
  watermarkUs: 50,
  evictUs: 40,
  ends: null,
  placement: null,
  snapshot: { epoch: epoch(2), manifest: 'm2' },
  formerSnapshot: { epoch: epoch(1), manifest: 'm1' },
  base: null,
  counters: zeroCounters,
  late: {},
};

const change: HeadChange = {
  nonce: 'next',
  committed: epoch(4),
  sums: { counters: { ...zeroCounters, read: 6 }, late: { count: 1 } },
  eventTimes: [9],
  positions: head.positions,
  ends: null,
  placement: 'p',
  snapshot: null,
  repeats: {},
  planned: null,
  watermarkUs: undefined,
};

test('a commit alone changes sums, and the watermark of the next epoch once that is known', () => {
  const next = headAfter(head, change);
  assert.deepEqual(next, {
    ...head,
    ver: 8,
    nonce: 'next',
    committed: 4,
    counters: { ...zeroCounters, read: 6 },
    late: { count: 1 },
    eventTimes: [9],
    placement: 'p',
  });
  assert.equal(headAfter(head, { ...change, watermarkUs: 60 }).watermarkUs, 60);
  assert.equal(headAfter(head, { ...change, watermarkUs: null }).watermarkUs, null);
});

test('a plan moves positions to the ends of its ranges, and both watermarks to its own', () => {
  const planned: EpochPlan = {
    formatVersion: 1,
    epoch: epoch(5),
    epochTsUs: 9000,
    token: fence(3),
    ranges: { [lane]: { from: offset(10), to: offset(25) } },
    lateUs: 40,
    evictUs: 70,
    idle: [],
    statics: {},
  };
  const next = headAfter(head, { ...change, planned, watermarkUs: 60 });
  assert.deepEqual(
    [next.planned, next.epochTsUs, next.positions[lane], next.watermarkUs, next.evictUs],
    [5, 9000, 25, 70, 70],
  );
});

test('a new snapshot makes the last one the former', () => {
  const snapshot = { epoch: epoch(4), manifest: 'm4' };
  const next = headAfter(head, { ...change, snapshot });
  assert.deepEqual([next.snapshot, next.formerSnapshot], [snapshot, head.snapshot]);
});

test('nothing is planned over a plan that no snapshot covers', () => {
  assert.equal(whyNoSlot(head), null);
  assert.equal(whyNoSlot({ ...head, planned: epoch(PLAN_SLOTS + 10) })?.code, 'STORE_UNAVAILABLE');
});

const quiet: SnapshotFacts = {
  isHeldUp: false,
  behind: 3,
  isAskedFor: false,
  stopAsks: null,
  nothingInFlight: true,
  hasData: true,
  isTime: false,
};

for (const [what, facts, need] of [
  ['nobody needs one', {}, 'no'],
  ['it is time', { isTime: true }, 'with'],
  ['it is time and there is nothing to read', { isTime: true, hasData: false }, 'no'],
  ['many epochs are not covered', { behind: 512 }, 'with'],
  ['somebody waits for one', { isAskedFor: true, hasData: false }, 'now'],
  ['somebody waits and one is being taken', { isAskedFor: true, isHeldUp: true }, 'no'],
  ['the job stops', { stopAsks: 0, hasData: false }, 'now'],
  ['the job stops and all is covered', { stopAsks: 0, behind: 0 }, 'no'],
  ['the job stops and an epoch is under way', { stopAsks: 0, nothingInFlight: false }, 'no'],
  ['the job stops and was not given one again and again', { stopAsks: 3 }, 'no'],
] as const)
  test(`a snapshot when ${what}: ${need}`, () => assert.equal(snapshotNeed({ ...quiet, ...facts }), need));

for (const [what, tookMs, waitMs] of [
  ['at once', 10, 5000],
  ['within half a second', 500, 5000],
  ['in two seconds', 2000, 20_000],
  ['for minutes', 200_000, 60_000],
] as const)
  test(`a snapshot that is stored ${what} is followed by one after ${waitMs / 1000} s`, () =>
    assert.equal(nextSnapshotAt(1000, 1000 + tookMs), 1000 + waitMs));

test('plans follow each other by the trigger', () => {
  const facts = { planAt: 1000, sentAt: 1010, now: 1012, planMsP50: 4 };
  assert.equal(nextPlanAt({ kind: 'asap' }, facts), 1018);
  assert.equal(nextPlanAt({ kind: 'asap' }, { ...facts, planMsP50: 0 }), 1012);
  const interval = { kind: 'interval', everyMs: 500 } as const;
  assert.equal(nextPlanAt(interval, facts), 1500, 'late by less than an interval: the next one is not');
  assert.equal(nextPlanAt(interval, { ...facts, sentAt: 9000, now: 9001 }), 9500, 'what was missed is not made up for');
  assert.equal(timersDueAt({ kind: 'asap' }, 100), 1100);
  assert.equal(timersDueAt(interval, 100), 600);
});
