import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { SimRng } from '../sim/rng.ts';
import { JobCheck } from './check-case.ts';
import { checkSeed } from './check-seed.ts';
import { drawInput, drawJob } from './generator.ts';
import type { Job, Query } from './queries.ts';
import { nodesOf } from './queries.ts';

const JOBS = 300;
const INPUTS = 10;

suite('random jobs give what SQLite gives for the same rows', () => {
  const parts = 4;
  for (let part = 0; part < parts; part++) {
    const first = 1 + (part * JOBS) / parts;
    test(`seeds ${first} to ${first + JOBS / parts - 1}, ${INPUTS} inputs each`, () => {
      for (let seed = first; seed < first + JOBS / parts; seed++) {
        const { failure } = checkSeed(seed, INPUTS, true);
        assert.equal(failure, null, failure ?? '');
      }
    });
  }
});

test('every operator is drawn in every mode that allows it, and rows come too late', () => {
  const drawn = new Set<string>();
  let late = 0;
  for (let seed = 1; seed <= JOBS; seed++) {
    const { job, isLate } = drawJob(new SimRng(seed));
    for (const node of nodesOf(job.root)) drawn.add(`${job.mode} ${describe(node)}`);
    if (isLate) late++;
  }
  const everywhere = ['aggregate', 'dedup', 'scan', 'select', 'session', 'staticJoin', 'union'];
  const joins = ['inner', 'left', 'right', 'full', 'semi', 'anti'].map((type) => `append ${type} join`);
  const wanted = [
    ...everywhere.flatMap((kind) => ['append', 'update', 'complete'].map((mode) => `${mode} ${kind}`)),
    ...joins,
    'update inner join',
    'append limit',
    'append rank',
    'update rank',
  ];
  assert.deepEqual(
    wanted.filter((each) => !drawn.has(each)),
    [],
  );
  assert.ok(late > JOBS / 3 && late < JOBS);
});

function describe(node: Query): string {
  return node.kind === 'join' ? `${node.type} join` : node.kind;
}

test('queries that do not mean the same do not agree', () => {
  let tried = 0;
  let told = 0;
  for (let seed = 1; seed <= 120; seed++) {
    const rng = new SimRng(seed);
    const drawn = drawJob(rng);
    const { root } = drawn.job;
    if (root.kind !== 'aggregate' || typeof root.by === 'string') continue;
    tried++;
    const shifted: Job = { ...drawn.job, root: { ...root, by: { ...root.by, start: root.by.start + 500 } } };
    const check = new JobCheck(drawn.job, shifted);
    if (Array.from({ length: 5 }, () => check.mismatch(drawInput(drawn, rng))).some((wrong) => wrong !== null)) told++;
    check.close();
  }
  // The others let no row through.
  assert.ok(tried > 10 && told > tried / 2, `${told} of ${tried}`);
});
