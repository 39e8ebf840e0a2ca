/**
 * Stateful jobs under every simulated fault: the real masters, workers and engine on virtual time. What is checked, by
 * checker.ts: while it goes on, that plans are contiguous and their ranges meet, that fences, commits and watermarks
 * never go back, that rows are judged late by the watermark of the epoch before, and that no count goes back within a
 * run; after the healing, that everything produced is committed within 30 s, no row was late, and every table holds
 * exactly what the records give: counts, sums and distinct counts by key, windows, sessions, an outer join, distinct
 * rows, an aggregate of an aggregate, an aggregate that was added to a running job, the last row of many, rows joined
 * with a table that changes, counts by what was looked up in a table that hardly says the same twice, the state of a job's own functions with its timers, and counts of what a feed fetched, of
 * which every execution reads all that was there when it was started.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epochFaultKinds } from './faults.ts';
import { commandFor } from '../life.ts';
import { lives } from '../lives.ts';
import { inEveryLife, simEpochJobs } from './jobs.ts';
import type { EpochMutation } from './mutations.ts';
import { epochMutations, mutate } from './mutations.ts';
import { simulateEpochs } from './run.ts';

const SEEDS = 200;
/** Seeds a mutation may take to be noticed. */
const MUTATION_SEEDS = 60;
/** Seeds that are known to notice, tried first: which one does changes with the code, that one does must not. */
const NOTICED: Readonly<Partial<Record<EpochMutation, number>>> = {
  doneBeforeAck: 68,
  orderBeforePlan: 30,
  foldAgain: 23,
  commitAnyway: 38,
  planAnyway: 34,
};
/** Rows that nothing overwrites, counts that show what is folded twice, and a stage behind a stage; or without state. */
const mutationJobs = ['agg', 'dedup', 'join', 'chain'];
const statelessJobs = ['last', 'stat'];
const fedJobs = ['fed'];
const tallyJobs = ['tally'];
const lookingUp: readonly EpochMutation[] = ['askAgain', 'forgetAnswers'];
const feeding: readonly EpochMutation[] = ['endBeforeFetched', 'appendAnywhere'];
const stateless: readonly EpochMutation[] = ['oneWriteTime', 'staleTable'];
const jobsFor = (mutation: EpochMutation): readonly string[] => {
  if (mutation === 'addLastPart') return tallyJobs;
  if (lookingUp.includes(mutation)) return ['look'];
  if (feeding.includes(mutation)) return fedJobs;
  return stateless.includes(mutation) ? statelessJobs : mutationJobs;
};
const jobs = simEpochJobs.map(({ name }) => name);

test(`${jobs.length} jobs are exact under ${SEEDS} seeds of faults`, async () => {
  const failures: string[] = [];
  const kinds = new Set<string>();
  const totals = { commits: 0, runs: 0 };
  const settings = { epochs: [] };
  for (const { seed, violation, faults, commits, runs } of await lives(1, SEEDS, settings)) {
    for (const kind of faults) kinds.add(kind);
    totals.commits += commits;
    totals.runs += runs;
    if (violation !== null) failures.push(`${commandFor(seed, settings)} (${faults.join(', ')}): ${violation}`);
  }
  assert.deepEqual(failures, []);
  assert.equal(kinds.size, epochFaultKinds.length, 'every kind of fault was drawn');
  assert.ok(totals.commits > SEEDS * 20 && totals.runs > SEEDS * 3, `it did something: ${JSON.stringify(totals)}`);
});

/**
 * A damaged manifest met by a changed job; an epoch ordered again beside one with newer rows of a table; a partition that
 * was read ahead, full of what others had read, when it came to its new owner; an epoch that used up its attempts within
 * seconds.
 */
const FOUND: readonly (readonly [seed: number, jobs: readonly string[]])[] = [
  [530, [...inEveryLife, 'user']],
  ...[613, 724].map((seed) => [seed, [...inEveryLife, 'stat']] as const),
  ...[312, 1230].map((seed) => [seed, inEveryLife] as const),
];

test('lives of other seeds that something was found in', async () => {
  for (const [seed, some] of FOUND) {
    const { violation } = await simulateEpochs(seed, { jobs: some });
    assert.equal(violation, null, commandFor(seed, { epochs: [] }));
  }
});

for (const mutation of epochMutations) {
  test(`without its mechanism they are not: ${mutation}`, async () => {
    const some = jobsFor(mutation);
    const undo = mutate(mutation);
    try {
      const seeds = Array.from({ length: MUTATION_SEEDS }, (_, index) => index + 1);
      for (const seed of [NOTICED[mutation] ?? 1, ...seeds]) {
        const { violation } = await simulateEpochs(seed, { jobs: some, mutation });
        if (violation !== null) return;
      }
      assert.fail(`${MUTATION_SEEDS} seeds did not notice`);
    } finally {
      undo();
    }
  });
}

test('the same seed goes the same way, event by event', async () => {
  for (const seed of [3, 15, 92]) {
    const [once, again] = [await simulateEpochs(seed, { jobs }), await simulateEpochs(seed, { jobs })];
    assert.deepEqual(again, once);
  }
});
