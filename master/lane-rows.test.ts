import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Generation, LaneId } from '../core/ids.ts';
import { jobName, laneId, offset, partition, revision, run, timestampUs, topicId, workerId } from '../core/ids.ts';
import type { JobRow, LaneAssignment } from '../core/meta.ts';
import type { LaneStatus } from '../proto/gen/control.ts';
import type { LaneReports } from './lane-rows.ts';
import { acknowledged, allReleased, laneOfFormerTopic, nextGeneration, stateOfLanes } from './lane-rows.ts';

const topic = topicId('00000000-0000-4000-8000-000000000001');
const id = (index: number, of = topic): LaneId => laneId({ source: 's', topicId: of, partition: partition(index) });
const [first, second] = [id(0), id(1)];

const owned = (owner: string | null, ordinal: number): LaneAssignment => ({
  topic: 't',
  ordinal,
  generation: 4 as Generation,
  owner: owner === null ? null : workerId(owner),
  previousOwner: null,
  end: null,
  initial: false,
});

const row: JobRow = {
  formatVersion: 1,
  name: jobName('j'),
  ver: 1,
  nonce: 'n',
  revision: revision(1),
  definition: 'd',
  run: run(2),
  runStart: timestampUs(0),
  stride: 8,
  start: { kind: 'initial' },
  state: 'starting',
  reason: null,
  lanes: { [first]: owned('a', 0), [second]: owned('b', 1) },
  submittedAt: 0,
  changedAt: 0,
};

function reports(said: {
  readonly released?: readonly LaneId[];
  readonly finished?: readonly LaneId[];
  readonly running?: readonly LaneId[];
  readonly generation?: number;
}): LaneReports {
  const { released = [], finished = [], running = [], generation = 4 } = said;
  const keys = (lanes: readonly LaneId[]): Set<string> =>
    new Set(lanes.map((lane) => acknowledged(lane, row.run, generation as Generation)));
  const status = { state: 'running', generation } as LaneStatus;
  return {
    released: keys(released),
    finished: keys(finished),
    statuses: new Map(running.map((lane) => [lane, status])),
  };
}

const both = [first, second];

test('a job runs when all its lanes do, under their present generation, and is finished when all are', () => {
  assert.equal(stateOfLanes(row, row.lanes, reports({ running: [first] })), 'starting');
  assert.equal(stateOfLanes(row, row.lanes, reports({ running: both })), 'running');
  assert.equal(stateOfLanes(row, row.lanes, reports({ running: both, generation: 3 })), 'starting');
  assert.equal(stateOfLanes(row, row.lanes, reports({ running: both, finished: [first] })), 'running');
  assert.equal(stateOfLanes(row, row.lanes, reports({ finished: both })), 'finished');
  assert.equal(stateOfLanes({ ...row, state: 'running' }, {}, reports({})), 'running');
});

test('lanes are let go when their owners have said so', () => {
  assert.equal(allReleased(row, reports({ released: [first] })), false);
  assert.equal(allReleased(row, reports({ released: [first], finished: [second] })), true);
  assert.equal(allReleased(row, reports({ released: both, generation: 3 })), false);
  assert.equal(allReleased({ ...row, lanes: { [first]: owned(null, 0) } }, reports({})), true);
});

test('the next generation waits for owners that have not let go', () => {
  const seen = [{ source: 's', topic: 't', topicId: topic, partition: partition(0), end: offset(9) }];
  const next = nextGeneration(row, seen, reports({ released: [first] }), false);
  assert.deepEqual(
    both.map((lane) => [next[lane]?.generation, next[lane]?.previousOwner, next[lane]?.end, next[lane]?.initial]),
    [
      [5, null, 9, false],
      [5, 'b', null, false],
    ],
  );
  assert.deepEqual(Object.keys(nextGeneration(row, seen, reports({}), true)), [first], 'partitions that are no more');
  assert.equal(nextGeneration(row, seen, reports({}), true)[first]?.initial, true);
});

test('a topic under the same name with another id is not the one that was read', () => {
  const other = topicId('00000000-0000-4000-8000-000000000002');
  const seen = (of: typeof topic) => ({ source: 's', topic: 't', topicId: of, partition: partition(1), end: null });
  assert.equal(laneOfFormerTopic(row, seen(topic)), undefined);
  assert.equal(laneOfFormerTopic(row, seen(other)), second);
});
