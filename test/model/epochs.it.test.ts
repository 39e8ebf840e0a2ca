import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EpochModelBounds, EpochMutations } from './epochs.ts';
import { epochModel } from './epochs.ts';
import { explore } from './explore.ts';

/** Two partitions with a record for each group; a leader that may order an epoch twice. */
const attempts: EpochModelBounds = {
  partitions: [[0], [1]],
  epochs: 1,
  tokens: 1,
  attempts: 2,
  inFlight: 1,
  runs: 1,
  placements: 2,
};
/** Two leaders, of whom the first may not know. One group has all records. */
const leaders: EpochModelBounds = { ...attempts, partitions: [[0], []], tokens: 2, attempts: 1, placements: 1 };
/** Two epochs, one after the other. */
const oneByOne: EpochModelBounds = { ...attempts, epochs: 2, attempts: 1 };
/** Two epochs, the second ordered before the first is committed. */
const inFlight: EpochModelBounds = { ...oneByOne, inFlight: 2, partitions: [[0], [0]], placements: 1 };
const zombie: EpochModelBounds = { ...attempts, attempts: 1, runs: 2 };

for (const [name, bounds] of Object.entries({ attempts, leaders, oneByOne, inFlight, zombie })) {
  test(`epochs keep their promises in every reachable state: ${name}`, () => {
    const result = explore(epochModel(bounds));
    assert.deepEqual(result.violation, null);
    assert.equal(result.stuck, null, `states that cannot finish: ${JSON.stringify(result.stuck)}`);
    assert.ok(result.complete && result.states > 1000, `${result.states} states`);
  });
}

/** Epoch 1 may end in two places. */
const choice: EpochModelBounds = { ...oneByOne, partitions: [[0, 0, 0], []], placements: 1 };

const harmful: readonly [keyof EpochMutations, EpochModelBounds, RegExp][] = [
  ['arrivalOrder', oneByOne, /is committed and group|it is/],
  ['doneBeforeAck', attempts, /is committed and group/],
  ['planNotDurable', leaders, /nobody planned|it is|without a plan/],
  ['planUnconditional', choice, /it is/],
  ['commitUnconditional', oneByOne, /was committed, now it is/],
  ['foldWithoutEnd', attempts, /it is/],
  ['mixAttempts', attempts, /it is/],
  ['foldTwice', attempts, /it is/],
  ['restoreEmpty', oneByOne, /it is/],
  ['restoreWithoutReplay', oneByOne, /it is/],
  ['runsShareTimes', zombie, /it is/],
];

for (const [mutation, bounds, message] of harmful) {
  test(`without its mechanism they do not: ${mutation}`, () => {
    const { violation } = explore(epochModel(bounds, { [mutation]: true }));
    assert.ok(violation !== null, 'nothing was found');
    assert.match(violation.message, message);
    assert.ok(violation.steps.length > 0 && !violation.steps.includes('?'));
  });
}

// Plans are functions of what is durable and state of its plans: who leads, and which attempt reports, changes no value.
// State is a function of durable plans: which attempt reports changes no value. (Nor does the fence, in bounds that take longer.)
test('for deterministic jobs it only saves work: acceptAnyAttempt', () => {
  const { violation, complete } = explore(epochModel({ ...attempts, placements: 1 }, { acceptAnyAttempt: true }));
  assert.equal(violation, null);
  assert.ok(complete);
});
