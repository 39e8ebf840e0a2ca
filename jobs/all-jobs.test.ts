/** Every file of this folder is a job, by the name of its file, that can be planned as it stands. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { planJob } from '../engine/plan/plan-job.ts';

/** Columns that a job takes from a registry when it is submitted: jobs/pipelines.test.ts has it with its schema. */
const ofRegistry = ['people-tables.yaml'];

const files = readdirSync(import.meta.dirname).filter(
  (name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml') && !ofRegistry.includes(name),
);

for (const file of files) {
  test(file, () => {
    const { spec, problems } = loadJobFile(readFileSync(new URL(file, import.meta.url), 'utf8'));
    assert.deepEqual(problems, []);
    assert.ok(spec);
    assert.equal(spec.name, basename(file, '.yaml'));
    assert.deepEqual(planJob(spec, { tables: null }).problems, []);
  });
}
