/**
 * Every conformance case and every job with tests, in the simulator, while after every step the job is restarted, a
 * worker or the leading master is killed, or workers come and go, over a sink that turns every other call away: what
 * comes out is what comes out when nothing happens.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { readJobFile } from '../../../cli/job-files.ts';
import { loadJobFile } from '../../../core/job/file.ts';
import { loadJobTest } from '../../../core/job/job-test.ts';
import type { JobTest } from '../../../core/job/job-test.ts';
import { compareOutput, inputOf } from '../../conformance/spark/judge.ts';
import type { ConformanceCase, StreamCase } from '../../conformance/spark/cases.ts';
import { renderCase } from '../../conformance/spark/render.ts';
import { loadModule } from '../../../worker/load-module.ts';
import { differenceOfRows } from '../../../cli/testing/run-job-test.ts';
import type { Disturbance } from './stepped-sim.ts';
import { SteppedSim } from './stepped-sim.ts';

const root = new URL('../../..', import.meta.url).pathname;
const { cases } = JSON.parse(readFileSync(join(root, 'test/conformance/spark/cases.json'), 'utf8')) as {
  readonly cases: readonly ConformanceCase[];
};

/** Workers at the start, and what happens after every step. */
const settings: readonly (readonly [workers: number, Disturbance])[] = [
  [1, 'restartJob'],
  [2, 'killWorker'],
  [3, 'rescale'],
  [2, 'killMaster'],
];

for (const [workers, disturbance] of settings) {
  describe(`${workers} workers, ${disturbance} after every step`, { timeout: 240_000 }, async () => {
    for (const [index, one] of cases.entries()) {
      if (one.kind !== 'micro-batch' || one.expectedRefusal !== undefined || one.sparkQuirk === true) continue;
      test(one.name, () => runCase(one, index + 1, workers, disturbance));
    }
    for (const [index, path] of globSync('{jobs,test/golden}/*.test.yaml', { cwd: root }).toSorted().entries()) {
      const { file, problem } = loadJobTest(readFileSync(join(root, path), 'utf8'));
      assert.equal(problem, null);
      const named = join(root, dirname(path), file?.job ?? basename(path).replace('.test.yaml', '.yaml'));
      const jobText = readJobFile(existsSync(named) ? named : named.replace(/\.yaml$/, '.ts')).text;
      // Loaded before: in the simulator nothing waits for anything real.
      const { spec } = loadJobFile(jobText);
      if (spec?.module !== undefined) await loadModule(spec.module);
      for (const one of file?.tests ?? [])
        test(`${path}: ${one.name}`, () => runJobTest(jobText, one, 100 + index, workers, disturbance));
    }
  });
}

async function runCase(one: StreamCase, seed: number, workers: number, disturbance: Disturbance): Promise<void> {
  const { text, columnCount } = renderCase(one);
  const job = await SteppedSim.submit(text, seed, { workers });
  for (const [turn, step] of one.steps.entries()) {
    if (step.restart === true || (step.restart !== undefined && step.restart.forgetLastCommit === true)) {
      await job.disturb('restartJob', turn);
      continue;
    }
    const rows = await job.step(inputOf(one, step.restart?.inputWhileDown ?? step.input ?? {}));
    const problem =
      step.expectedOutput === undefined ? null : compareOutput(step.expectedOutput, rows, one, columnCount);
    assert.equal(problem, null, `step ${turn + 1}: ${problem ?? ''}\n${text}`);
    await job.disturb(disturbance, turn);
  }
}

async function runJobTest(
  jobText: string,
  one: JobTest,
  seed: number,
  workers: number,
  disturbance: Disturbance,
): Promise<void> {
  const job = await SteppedSim.submit(jobText, seed, { workers, tables: one.tables ?? {} });
  for (const [turn, step] of one.steps.entries()) {
    const rows = await job.step(new Map(Object.entries(step.input ?? {})));
    if (step.expect !== undefined)
      assert.equal(differenceOfRows(one, step.expect, rows, job.outputMode), null, `step ${turn + 1}`);
    await job.disturb(disturbance, turn);
  }
}
