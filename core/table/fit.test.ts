import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTableCql, misfits, wantedBy } from './fit.ts';
import { parseCqlType } from './cql-type.ts';
import type { TableColumn, TableSchema } from './schema.ts';

const column = (name: string, type: string): TableColumn => ({ name, type: parseCqlType(type) });
const table: TableSchema = {
  keyspace: 'ks',
  table: 't',
  columns: [column('day', 'date'), column('id', 'text'), column('tags', 'set<text>'), column('hits', 'counter')],
  partitionKey: ['day'],
  clusteringKey: ['id'],
};
const shape = (columns: TableColumn[], partitionKeyCount = 1, primaryKeyCount = 2) =>
  wantedBy({ keyspace: 'ks', table: 't', columns, partitionKeyCount, primaryKeyCount });

test('rows with fewer columns, frozen or not, fit', () => {
  assert.deepEqual(misfits(shape([column('day', 'date'), column('id', 'text')]), table), []);
  assert.deepEqual(
    misfits(shape([column('day', 'date'), column('id', 'text'), column('tags', 'frozen<set<text>>')]), table),
    [],
  );
});

test('every misfit is named', () => {
  assert.deepEqual(
    misfits(
      shape(
        [
          column('day', 'date'),
          column('id', 'int'),
          column('hits', 'counter'),
          column('x', 'text'),
          column('tags', 'list<text>'),
        ],
        2,
      ),
      table,
    ),
    [
      'column id of table ks.t is text, not int',
      'column hits of table ks.t is a counter, which cannot be written exactly once',
      'table ks.t has no column x (text)',
      'column tags of table ks.t is set<text>, not list<text>',
      'the primary key of table ks.t is (day, id), not ((day, id))',
    ],
  );
});

test('CREATE TABLE as text', () => {
  const schema = {
    ...table,
    columns: [...table.columns.slice(0, 3), { ...column('Owner', 'text'), isStatic: true }],
    clusteringOrder: ['desc' as const],
    defaultTtl: 60,
  };
  assert.equal(
    createTableCql(schema, { ifNotExists: true }),
    'CREATE TABLE IF NOT EXISTS "ks"."t" (\n    "day" date,\n    "id" text,\n    "tags" set<text>,\n    "Owner" text static,\n' +
      '    PRIMARY KEY ("day", "id")\n) WITH CLUSTERING ORDER BY ("id" DESC) AND default_time_to_live = 60',
  );
});
