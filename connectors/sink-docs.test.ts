import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { planJob } from '../engine/plan/plan-job.ts';

for (const page of ['cassandra', 'kafka', 'postgres', 'files', 'webhook']) {
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

/** What a registry would have for the sources on the page of formats, by their name. */
const recordSchemas = new Map([
  ['users', { schema: '{"type":"record","name":"User","fields":[{"name":"id","type":"string"}]}', references: [] }],
  ['orders', { schema: 'syntax = "proto3"; message Order { string id = 1; }', references: [] }],
]);

test('the parts of jobs on the page of formats are valid', () => {
  const text = readFileSync(new URL('../docs/formats.md', import.meta.url), 'utf8');
  const all = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, part = '']) => part);
  const parts = all.filter((part) => !part.includes('kind: Job'));
  assert.deepEqual([parts.length, all.length], [5, 8]);
  for (const job of all.filter((part) => part.includes('kind: Job'))) {
    const whole = loadJobFile(job);
    assert.ok(whole.spec !== null, JSON.stringify(whole.problems));
    assert.deepEqual(planJob(whole.spec, { tables: null }).problems, []);
  }
  const head = 'apiVersion: weir/v1\nkind: Job\nname: example\n';
  for (const part of parts) {
    const source = 'sources:\n  users:\n    connector: kafka\n    topic: users\n';
    const sources = part.startsWith('sources:')
      ? part
      : source + (part.startsWith('    ') ? part : '    format: raw\n');
    const sinks = part.startsWith('sinks:') ? part : 'sinks: [{ connector: blackhole }]\n';
    const [, name = ''] = /^  (\w+):$/m.exec(sources) ?? [];
    const query = sinks === part ? "SELECT 'x' AS id, timestamp AS at FROM" : 'SELECT * FROM';
    const { spec, problems } = loadJobFile(`${head}${sources}query: ${query} ${name}\n${sinks}`);
    assert.ok(spec !== null, JSON.stringify(problems));
    assert.deepEqual(planJob(spec, { tables: null, recordSchemas }).problems, [], part);
  }
});

test('what Protobuf has no type for is refused by its column, as the page of formats says', () => {
  const { spec, problems } = loadJobFile(`apiVersion: weir/v1
kind: Job
name: example
sources: { s: { connector: kafka, topic: t, schema: 'id STRING, price DECIMAL(10, 2)' } }
query: SELECT id, price FROM s
sinks: [{ connector: kafka, topic: o, format: protobuf, protobuf: { registry: true, message: shop.Order } }]
`);
  assert.ok(spec !== null, JSON.stringify(problems));
  const refused = planJob(spec, { tables: null }).problems.map(({ message }) => message);
  assert.equal(refused.length, 1);
  assert.match(refused[0] ?? '', /price.*DECIMAL/);
});
