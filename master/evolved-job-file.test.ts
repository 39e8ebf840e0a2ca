import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { evolvedJobFile } from './evolved-job-file.ts';
import type { EvolvedFile } from './evolved-job-file.ts';
import type { SchemaChangeView } from './views.ts';

const job = (source: string): string => `apiVersion: weir/v1
kind: Job
name: people
sources:
  # who came
  users: { connector: kafka, topic: users, ${source} }
query: SELECT * FROM users   # all of it
sinks: [{ connector: console }]
`;

function change(column: string, more: Partial<SchemaChangeView> = {}): SchemaChangeView {
  const base = { source: 'users', kind: 'new', before: null, after: 'STRING', partition: 0, offset: 0, message: '' };
  return { ...base, column, ...more } as SchemaChangeView;
}

function evolved(text: string, ...changes: readonly SchemaChangeView[]): EvolvedFile & { readonly schema: unknown } {
  const { spec, problems } = loadJobFile(text);
  assert.ok(spec, JSON.stringify(problems));
  const file = evolvedJobFile(text, spec, changes);
  return { ...file, schema: loadJobFile(file.text).spec?.sources['users']?.schema };
}

test('new fields stand behind the columns of the schema, and all else stays as it was written', () => {
  const text = job("schema: 'id STRING NOT NULL,', onSchemaChange: evolve");
  const {
    text: after,
    schema,
    added,
    left,
  } = evolved(
    text,
    change('town'),
    change('age', { after: 'BIGINT' }),
    change('id', { kind: 'retyped', before: 'STRING', after: 'BIGINT' }),
    change('other', { source: 'orders' }),
  );
  assert.equal(schema, 'id STRING NOT NULL, `town` STRING, `age` BIGINT');
  assert.deepEqual([added, left], [['users: town STRING', 'users: age BIGINT'], []]);
  assert.match(after, /# who came[\s\S]*# all of it/);
});

test('what cannot be a column by itself is left, and said', () => {
  const text = job("schema: 'id STRING', onSchemaChange: evolve");
  const { schema, added, left } = evolved(text, change('a b'), change('Offset'), change('Town'), change('town'));
  assert.equal(schema, 'id STRING, `Town` STRING');
  assert.equal(added.length, 1);
  assert.deepEqual(
    left.map((one) => one.split(' (')[0]),
    ['users: a b', 'users: Offset', 'users: town'],
  );
});

test('a source that did not ask for it is not touched', () => {
  const text = job("schema: 'id STRING', onSchemaChange: report");
  assert.deepEqual(evolvedJobFile(text, loadJobFile(text).spec!, [change('town')]), { text, added: [], left: [] });
});

test('where a registry gives the columns, the file stays as it is and is planned again', () => {
  const text = job('format: avro, avro: { registry: true }, onSchemaChange: evolve');
  const { text: after, added } = evolved(text, change('town'), change('age', { kind: 'missing', after: null }));
  assert.equal(after, text);
  assert.deepEqual(added, ['users: town STRING']);
});
