import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobSpecSchema } from '../../core/job/spec.ts';
import { formatType } from '../../core/types.ts';
import { planJob } from './plan-job.ts';
import type { SchemaText } from '../formats/value-format.ts';

const user = JSON.stringify({
  type: 'record',
  name: 'User',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'age', type: ['null', 'int'], default: null },
  ],
});

function plan(source: Record<string, unknown>, latest?: SchemaText): ReturnType<typeof planJob> {
  const spec = jobSpecSchema.parse({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'j',
    sources: { s: { connector: 'kafka', topic: 't', ...source } },
    query: 'SELECT * FROM s',
    sinks: [{ connector: 'blackhole' }],
  });
  const recordSchemas = new Map(latest === undefined ? [] : [['s', latest]]);
  return planJob(spec, { tables: null, recordSchemas });
}

function columns(source: Record<string, unknown>, latest?: SchemaText): string[] {
  const planned = plan(source, latest);
  assert.deepEqual(planned.problems, []);
  assert(planned.plan?.protocol === 'lanes');
  const [{ stage } = assert.fail('no source')] = planned.plan.sources;
  return stage.output.map(({ name, type, nullable }) => `${name} ${formatType(type)}${nullable ? '' : ' NOT NULL'}`);
}

function problem(source: Record<string, unknown>): string {
  const { problems } = plan(source);
  const [first] = problems;
  assert(first !== undefined, 'nothing is wrong');
  return `${first.path}: ${first.message}`;
}

test('columns come from the schema in the job file, from the registry, or from the list', () => {
  const expected = ['id STRING NOT NULL', 'age INT'];
  const latest = { schema: user, references: [] };
  assert.deepEqual(columns({ format: 'avro', avro: { schema: user } }), expected);
  assert.deepEqual(columns({ format: 'avro', avro: { registry: true } }, latest), expected);
  assert.deepEqual(columns({ format: 'avro', schema: 'age BIGINT', avro: { registry: true } }), ['age BIGINT']);
  const proto = 'syntax = "proto3"; message A { string id = 1; } message B { optional int32 n = 1; }';
  assert.deepEqual(columns({ format: 'protobuf', protobuf: { schema: proto } }), ['id STRING NOT NULL']);
  assert.deepEqual(columns({ format: 'protobuf', protobuf: { schema: proto, message: 'B' } }), ['n INT']);
  assert.deepEqual(columns({ format: 'text' }).slice(0, 2), ['key BINARY', 'value STRING']);
});

test('what options lack or contradict', () => {
  assert.match(problem({ format: 'csv' }), /^sources\.s: format: csv needs a schema/);
  assert.match(problem({ format: 'avro' }), /needs the schema that its records are written with, or a registry/);
  assert.match(problem({ format: 'avro', avro: { registry: true } }), /the registry is not asked here/);
  assert.match(
    problem({ format: 'avro', avro: { schema: '{' } }),
    /^sources\.s\.avro\.schema: The Avro schema cannot be/,
  );
  assert.match(problem({ format: 'avro', schema: 'a INT', avro: { schema: '{' } }), /The Avro schema cannot be read/);
  assert.match(
    problem({ format: 'protobuf', protobuf: { schema: 'x' } }),
    /^sources\.s\.protobuf\.schema: The \.proto/,
  );
  assert.match(problem({ format: 'json', schema: 'a INT', csv: {} }), /^sources\.s\.csv: the options csv belong to/);
  assert.match(problem({ format: 'text', schema: 'a INT' }), /format: text has no schema/);
  const unframed = { format: 'avro', schema: 'a INT', avro: { registry: true, framing: 'none' } };
  assert.match(problem(unframed), /records without framing do not say/);
  assert.match(problem({ format: 'avro', avro: { schema: user, subject: 'x' } }), /a subject is one of a registry/);
});
