import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore } from './explore.ts';
import type { LaneModelBounds, LaneMutations } from './lanes.ts';
import { laneModel } from './lanes.ts';

/** Records 0 and 1 of one key with producers' clocks that go backwards. */
const oneRun: LaneModelBounds = { keys: [0, 0, 1], times: [9, 3, 5], generations: 3, runs: 1, inFlight: 2 };
const twoRuns: LaneModelBounds = { keys: [0, 0], times: [9, 3], generations: 3, runs: 2, inFlight: 2 };

for (const [name, bounds] of Object.entries({ oneRun, twoRuns })) {
  test(`the protocol keeps its promises in every reachable state: ${name}`, () => {
    const result = explore(laneModel(bounds));
    assert.deepEqual(result.violation, null);
    assert.equal(result.stuck, null, `states that cannot finish: ${JSON.stringify(result.stuck)}`);
    assert.ok(result.complete && result.states > 1000, `${result.states} states`);
  });
}

/** Two owners of one run may begin at different positions when the former run's last commit comes late. */
const lateCommit: LaneModelBounds = { keys: [0, 0, 0], times: [9, 3, 2], generations: 3, runs: 2, inFlight: 1 };

const harmful: readonly [keyof LaneMutations, LaneModelBounds, RegExp][] = [
  ['arrivalOrder', oneRun, /shows the older/],
  ['commitBeforeAck', oneRun, /not in the sink/],
  ['commitAnyAck', oneRun, /not in the sink/],
  ['recordTimesOnly', oneRun, /shows the older/],
  ['runsShareTimes', twoRuns, /the sink shows/],
  ['startNotDurable', lateCommit, /at the same time/],
  ['noPermit', lateCommit, /at the same time/],
];

for (const [mutation, bounds, message] of harmful) {
  test(`without its mechanism it does not: ${mutation}`, () => {
    const { violation } = explore(laneModel(bounds, { [mutation]: true }));
    assert.ok(violation !== null, 'nothing was found');
    assert.match(violation.message, message);
    assert.ok(violation.steps.length > 0 && !violation.steps.includes('?'));
  });
}

test('a plain register would only repeat work', () => {
  const { violation, complete } = explore(laneModel(oneRun, { plainRegister: true }));
  assert.equal(violation, null);
  assert.ok(complete);
});
