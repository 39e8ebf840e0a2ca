/** The example jobs whose sources are no logs can be planned. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { planJob } from '../engine/plan/plan-job.ts';

const places = [
  ...['random-users', 'scraped-listings', 'web-errors', 'made-up-orders'].map((name) => `${name}.yaml`),
  '../ops/airflow/jobs/random-users.yaml',
];

for (const file of places) {
  test(`${file} is a job with a feed`, () => {
    const { spec, problems } = loadJobFile(readFileSync(new URL(file, import.meta.url), 'utf8'));
    assert.deepEqual(problems, []);
    assert.ok(spec);
    const { plan, problems: wrong } = planJob(spec, { tables: null });
    assert.deepEqual(wrong, []);
    assert.ok(plan?.sources.every(({ feed }) => feed !== undefined));
  });
}
