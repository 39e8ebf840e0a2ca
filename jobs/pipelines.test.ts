/** The jobs of docs/pipelines.md: the page shows the files, and the one reads what the other writes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import type { PlanFacts } from '../engine/plan/analyzed-job.ts';
import { type JobPlan, sinkPlansOf } from '../engine/plan/job-plan.ts';
import { planJob } from '../engine/plan/plan-job.ts';

const textOf = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

function planOf(job: string, facts: PlanFacts = { tables: null }): JobPlan {
  const { spec, problems } = loadJobFile(textOf(`${job}.yaml`));
  assert.deepEqual(problems, []);
  assert.ok(spec);
  const { plan, problems: wrong } = planJob(spec, facts);
  assert.deepEqual(wrong, []);
  assert.ok(plan);
  return plan;
}

test('the page shows the files of this folder', () => {
  const shown = [...textOf('../docs/pipelines.md').matchAll(/```yaml\n# jobs\/([a-z-]+)\.yaml\n(.*?)```/gs)];
  assert.deepEqual(
    shown.map(([, name]) => name),
    ['area-prices', 'people-to-avro', 'people-tables'],
  );
  for (const [, name = '', text] of shown) assert.equal(text, textOf(`${name}.yaml`).replace(/^(#.*\n)*/, ''), name);
});

test('area-prices runs by epochs, into a table and files', () => {
  const plan = planOf('area-prices');
  assert.equal(plan.protocol, 'epochs');
  assert.deepEqual(
    plan.sinks.map(({ connector }) => connector),
    ['cassandra', 'files'],
  );
});

test('people-tables reads the schema that people-to-avro registers', () => {
  const [sink] = sinkPlansOf(planOf('people-to-avro'));
  assert.ok(sink?.kind === 'log' && typeof sink.value === 'object');
  const { schema, registration } = sink.value;
  assert.deepEqual(registration, { registry: '', subject: 'people-value', id: null });
  const recordSchemas = new Map([['people', { schema, references: [] }]]);
  const plan = planOf('people-tables', { tables: null, recordSchemas });
  assert.deepEqual(
    plan.sinks.map(({ description }) => description),
    ['people.by_id', 'postgres people.by_id'],
  );
});
