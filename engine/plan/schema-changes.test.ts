import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJobFile } from '../../core/job/file.ts';
import type { JobPlan } from './job-plan.ts';
import { planJob } from './plan-job.ts';
import { schemaChanges } from './schema-changes.ts';

const avro = (...fields: readonly object[]): string => JSON.stringify({ type: 'record', name: 'User', fields });
const id = { name: 'id', type: 'string' };

function planOf(format: 'avro' | 'protobuf', query: string, schema: string): JobPlan {
  const { spec } = loadJobFile(`apiVersion: weir/v1
kind: Job
name: users
sources:
  users: { connector: kafka, topic: users, format: ${format}, ${format}: { registry: true } }
query: ${query}
outputMode: update
sinks: [{ connector: blackhole }]
`);
  assert.ok(spec);
  const recordSchemas = new Map([['users', { schema, references: [] }]]);
  const { plan, problems } = planJob(spec, { tables: null, recordSchemas });
  assert.deepEqual(problems, []);
  assert.ok(plan);
  return plan;
}

const told = (before: JobPlan, after: JobPlan): unknown => [...schemaChanges(before, after)];

for (const query of ['SELECT id FROM users', 'SELECT id, count(*) AS n FROM users GROUP BY id']) {
  test(`columns that the query does not read are told as well: ${query}`, () => {
    const before = planOf('avro', query, avro(id, { name: 'age', type: 'int' }));
    const after = planOf('avro', query, avro(id, { name: 'age', type: 'long' }, { name: 'town', type: 'string' }));
    assert.deepEqual(told(before, after), [['users', ['age is BIGINT and was INT', 'town STRING is new']]]);
    assert.deepEqual(told(after, after), []);
  });
}

test('messages of Protobuf', () => {
  const message = (field: string): string => `syntax = "proto3"; message User { string id = 1; ${field} }`;
  const before = planOf('protobuf', 'SELECT id FROM users', message('int32 age = 2;'));
  const after = planOf('protobuf', 'SELECT id FROM users', message('reserved 2;'));
  assert.deepEqual(told(before, after), [['users', ['age INT is gone']]]);
});
