/** What a Kafka sink's records may be, and what is said where the options do not go together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJobFile } from '../../core/job/file.ts';
import type { JobPlan } from './job-plan.ts';
import { sinkPlansOf } from './job-plan.ts';
import { planJob } from './plan-job.ts';

function outcomeOf(sink: string, query = 'SELECT id, tags FROM s'): ReturnType<typeof planJob> {
  const { spec, problems } = loadJobFile(`apiVersion: weir/v1
kind: Job
name: words
sources:
  s: { connector: kafka, topic: in, schema: 'id STRING NOT NULL, tags MAP<STRING, INT>, ids MAP<INT, INT>' }
query: ${query}
sinks: [{ connector: kafka, topic: out.v1, ${sink} }]
`);
  assert.ok(spec, JSON.stringify(problems));
  return planJob(spec, { tables: null });
}

const problemsOf = (sink: string, query?: string): string[] =>
  outcomeOf(sink, query).problems.map(({ path, message }) => `${path}: ${message}`);

function valueOf(sink: string): unknown {
  const { plan, problems } = outcomeOf(sink);
  assert.deepEqual(problems, []);
  const [planned] = sinkPlansOf(plan as JobPlan);
  assert.ok(planned?.kind === 'log');
  return planned.value;
}

test('JSON, or Avro by the columns, with a registry or without', () => {
  const schema = JSON.stringify({
    type: 'record',
    name: 'out_v1',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'tags', type: ['null', { type: 'map', values: ['null', 'int'] }], default: null },
    ],
  });
  assert.equal(valueOf('key: id'), 'json');
  assert.deepEqual(valueOf('format: avro'), { kind: 'avro', schema, registration: null });
  assert.deepEqual(valueOf('format: avro, avro: { registry: true }'), {
    kind: 'avro',
    schema,
    registration: { registry: '', subject: 'out.v1-value', id: null },
  });
  const elsewhere = 'avro: { registry: "https://schemas.example.org", subject: words, name: a.b.Word }';
  assert.deepEqual(valueOf(`format: avro, ${elsewhere}`), {
    kind: 'avro',
    schema: schema.replace('out_v1', 'a.b.Word'),
    registration: { registry: 'https://schemas.example.org', subject: 'words', id: null },
  });
});

test('Protobuf by the columns, with a registry or without', () => {
  const schema = `syntax = "proto3";
message out_v1 {
  string id = 1;
  map<string, int32> tags = 2;
}
`;
  assert.deepEqual(valueOf('format: protobuf'), { kind: 'protobuf', schema, registration: null });
  assert.deepEqual(valueOf('format: protobuf, protobuf: { registry: true, message: a.b.Word }'), {
    kind: 'protobuf',
    schema: schema.replace('message out_v1', 'package a.b;\nmessage Word'),
    registration: { registry: '', subject: 'out.v1-value', id: null },
  });
});

const own = (fields: string, more = ''): string =>
  `format: protobuf, protobuf: { schema: "syntax = 'proto3'; package shop; message Other {} message Word { ${fields} }", message: Word${more} }`;

test('Protobuf by a .proto of the job, with a registry or without', () => {
  const fields = 'map<string, int32> tags = 4; optional string id = 7;';
  const schema = `syntax = 'proto3'; package shop; message Other {} message Word { ${fields} }`;
  const planned = { kind: 'protobuf', schema, message: 'shop.Word' };
  assert.deepEqual(valueOf(own(fields)), { ...planned, registration: null });
  assert.deepEqual(valueOf(own(fields, ', registry: true, subject: words')), {
    ...planned,
    registration: { registry: '', subject: 'words', id: null },
  });
  const references = [{ name: 'tag.proto', schema: "syntax = 'proto3'; enum Tag { NONE = 0; }" }];
  const { plan } = outcomeOf(
    `format: protobuf, protobuf: { schema: "syntax = 'proto3'; import 'tag.proto'; message Word { Tag id = 1; }", references: ${JSON.stringify(references)} }`,
    'SELECT id FROM s',
  );
  assert.deepEqual(plan?.warnings, []);
  const [sink] = sinkPlansOf(plan);
  assert.ok(sink?.kind === 'log' && typeof sink.value === 'object');
  assert.deepEqual(sink.value.references, references);
});

test('a .proto that cannot be read, or is not one of the columns', () => {
  assert.deepEqual(problemsOf(own('string id = 1')), [
    "sinks[0].protobuf.schema: The .proto cannot be read: line 1, column 80: illegal token '}', ';' expected.",
  ]);
  assert.deepEqual(problemsOf(own('string id = 1; int32 tags = 2;')), [
    'query: the column tags is MAP<STRING, INT>, and the field tags of shop.Word (line 1, column 87) is int32',
  ]);
  assert.deepEqual(problemsOf('format: protobuf, protobuf: { schema: "message A {}", message: B }'), [
    'sinks[0].protobuf.schema: The .proto cannot be read: it has no message B; there is A.',
  ]);
  assert.deepEqual(problemsOf('format: protobuf, protobuf: { references: [{ name: a.proto, schema: b }] }'), [
    'sinks[0].protobuf.references: references are imported by a schema, and there is none',
  ]);
  const imported = `{ registry: true, message: A, schema: "import 'a.proto'; message B {}", references: [{ name: a.proto, schema: "message A { optional string id = 1; }" }] }`;
  assert.deepEqual(problemsOf(`format: protobuf, protobuf: ${imported}`, 'SELECT id FROM s'), [
    'sinks[0].protobuf.message: the message A is imported, and records name one of the text that is registered',
  ]);
});

test('what is NULL and has no presence is told to be read as the default', () => {
  const { plan } = outcomeOf(own('string name = 1; string id = 2;'), 'SELECT id, nullif(id, id) AS name FROM s');
  assert.match(
    plan?.warnings.join() ?? '',
    /the column name may be NULL, and the fields of shop\.Word have no presence/,
  );
});

test('options that do not go together', () => {
  assert.deepEqual(problemsOf('format: avro, protobuf: { subject: x }'), [
    'sinks[0].protobuf: the option protobuf goes with format: protobuf, not with avro',
    'sinks[0].protobuf.subject: a subject is one of a registry',
  ]);
  assert.deepEqual(problemsOf('avro: { registry: true }'), [
    'sinks[0].avro: the option avro goes with format: avro, not with json',
  ]);
  assert.deepEqual(problemsOf('format: avro, value: id'), [
    'sinks[0].format: the value is the column id, whose bytes have no other format',
  ]);
  assert.deepEqual(problemsOf('format: avro, avro: { subject: x }'), [
    'sinks[0].avro.subject: a subject is one of a registry',
  ]);
});

test('columns that Avro or Protobuf cannot hold, by name', () => {
  assert.deepEqual(problemsOf('format: protobuf', 'SELECT id, current_date() AS day FROM s'), [
    'query: the column day does not fit into Protobuf, which sinks[0] writes: Protobuf has no type for DATE in this place',
  ]);
  assert.deepEqual(problemsOf('format: avro', 'SELECT id, ids, 1 AS `1` FROM s'), [
    "query: the column ids does not fit into Avro, which sinks[0] writes: keys of Avro's maps are STRING, not INT",
    'query: the column 1 does not fit into Avro, which sinks[0] writes: "1" is no name that Avro takes',
  ]);
});
