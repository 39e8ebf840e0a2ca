import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { planJob } from '../engine/plan/plan-job.ts';

for (const page of ['postgres', 'files', 'webhook']) {
  test(`the jobs on the page of ${page} are valid`, () => {
    const text = readFileSync(new URL(`../docs/connectors/${page}.md`, import.meta.url), 'utf8');
    const jobs = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, job = '']) => job);
    assert.ok(jobs.length > 0);
    for (const job of jobs) {
      const { spec, problems } = loadJobFile(job);
      assert.ok(spec !== null, JSON.stringify(problems));
      assert.deepEqual(planJob(spec, { tables: null }).problems, []);
    }
  });
}
