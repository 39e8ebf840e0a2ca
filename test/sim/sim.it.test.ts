import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultKinds } from './faults.ts';
import { commandFor } from './life.ts';
import { lives } from './lives.ts';
import { harmfulMutations } from './mutations.ts';
import { simulate } from './run.ts';

const SEEDS = 100;
/** Seeds a mutation may take to be noticed. */
const MUTATION_SEEDS = 60;

test(`the cluster keeps its promises under ${SEEDS} seeds of faults`, async () => {
  const failures: string[] = [];
  const kinds = new Set<string>();
  const totals = { commits: 0, runs: 0 };
  const settings = { epochs: null };
  for (const { seed, violation, faults, commits, runs } of await lives(1, SEEDS, settings)) {
    for (const kind of faults) kinds.add(kind);
    totals.commits += commits;
    totals.runs += runs;
    if (violation !== null) failures.push(`${commandFor(seed, settings)} (${faults.join(', ')}): ${violation}`);
  }
  assert.deepEqual(failures, []);
  assert.equal(kinds.size, faultKinds.length, 'every kind of fault was drawn');
  assert.ok(totals.commits > SEEDS * 10 && totals.runs > SEEDS, `it did something: ${JSON.stringify(totals)}`);
});

for (const mutation of harmfulMutations) {
  test(`without its mechanism it does not: ${mutation}`, async () => {
    for (let seed = 1; seed <= MUTATION_SEEDS; seed++) {
      const { violation } = await simulate(seed, { mutations: { [mutation]: true } });
      if (violation !== null) return;
    }
    assert.fail(`${MUTATION_SEEDS} seeds did not notice`);
  });
}

test('a lane register that keeps the last write would only repeat work', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { violation } = await simulate(seed, { mutations: { lastWriteRegister: true } });
    // A late commit may leave the register of an idle lane behind: the next owner repeats what follows, nothing else.
    const behind = violation?.includes('after everything was healed') === true;
    assert.ok(violation === null || behind, `seed ${seed}: ${violation}`);
  }
});

test('the engine and the small executor of the simulation make the same of every record', async () => {
  for (const seed of [6, 11, 75])
    assert.deepEqual(await simulate(seed, { engine: 'small' }), await simulate(seed, { engine: 'real' }));
});

test('the same seed goes the same way, event by event', async () => {
  for (const seed of [3, 14, 15, 92, 65]) {
    const [once, again] = [await simulate(seed), await simulate(seed)];
    assert.deepEqual(again, once);
  }
  assert.notEqual((await simulate(3)).traceHash, (await simulate(14)).traceHash);
});
