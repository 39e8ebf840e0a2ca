import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseColumns } from '../sql/parser.ts';
import { columnChanges, describeColumnChange } from './column-changes.ts';

const changes = (before: string, after: string): string[] =>
  columnChanges(parseColumns(before), parseColumns(after)).map(describeColumnChange);

test('nothing where the columns only change places', () => {
  assert.deepEqual(changes('a INT, b STRING NOT NULL', 'b STRING NOT NULL, a INT'), []);
});

test('new, missing and retyped columns', () => {
  assert.deepEqual(changes('id STRING, age INT, city STRING', 'id STRING, age BIGINT, town STRING'), [
    'age is BIGINT and was INT',
    'city STRING is gone',
    'town STRING is new',
  ]);
});

test('fields of structs by their path, those within lists as the type of the list', () => {
  assert.deepEqual(
    changes(
      'who STRUCT<name: STRING, born: STRUCT<at: TIMESTAMP>>, all ARRAY<STRUCT<a: INT>>',
      'who STRUCT<name: STRING, born: STRUCT<at: DATE, town: STRING>>, all ARRAY<STRUCT<a: INT, b: INT>>',
    ),
    [
      'who.born.at is DATE and was TIMESTAMP',
      'who.born.town STRING is new',
      'all is ARRAY<STRUCT<a: INT, b: INT>> and was ARRAY<STRUCT<a: INT>>',
    ],
  );
});

test('what may be NULL', () => {
  assert.deepEqual(changes('a INT NOT NULL, b INT', 'a INT, b INT NOT NULL'), [
    'a may be NULL now',
    'b is never NULL any more',
  ]);
});
