import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatType } from '../../core/types.ts';
import { parseColumns } from '../sql/parser.ts';
import { avroNameOf, avroOfColumns } from './avro-of-columns.ts';
import { avroColumns, parseAvro } from './avro-schema.ts';

function schemaOf(columns: string, name = 'Row'): string {
  const { schema, problems } = avroOfColumns(parseColumns(columns), name);
  assert(schema !== null, JSON.stringify(problems));
  return schema;
}

test('a record with a union for what may be NULL', () => {
  assert.deepEqual(JSON.parse(schemaOf('id STRING NOT NULL, at TIMESTAMP, price DECIMAL(9,2)', 'shop.Order')), {
    type: 'record',
    name: 'shop.Order',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'at', type: ['null', { type: 'long', logicalType: 'timestamp-micros' }], default: null },
      {
        name: 'price',
        type: ['null', { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }],
        default: null,
      },
    ],
  });
});

test('a source reads the columns that were written', () => {
  const columns = 'a INT NOT NULL, b ARRAY<STRUCT<c: BIGINT, d: MAP<STRING, DOUBLE>>>, e DATE, f BINARY NOT NULL';
  const shown = ({
    name,
    type,
    nullable,
  }: {
    name: string;
    type: Parameters<typeof formatType>[0];
    nullable: boolean;
  }) => `${name} ${formatType(type)} ${nullable}`;
  const back = avroColumns(parseAvro({ schema: schemaOf(columns), references: [] }));
  assert.deepEqual(back.map(shown), parseColumns(columns).map(shown));
});

test('records of one path have names of their own', () => {
  const schema = schemaOf('a_b STRUCT<c: STRUCT<x: INT>>, a STRUCT<b_c: STRUCT<y: INT>>');
  const names = [...schema.matchAll(/"record","name":"([^"]+)"/g)].map(([, name]) => name);
  assert.equal(new Set(names).size, names.length);
  assert.equal(names.length, 5);
});

test('what Avro cannot hold is named by its column', () => {
  const { schema, problems } = avroOfColumns(
    [
      { name: 'count(*)', type: { kind: 'int' }, nullable: false },
      ...parseColumns('ok INT, m MAP<INT, STRING>'),
      { name: 'i', type: { kind: 'interval', unit: 'months' }, nullable: false },
    ],
    'Row',
  );
  assert.equal(schema, null);
  assert.deepEqual(
    problems.map(({ column, message }) => `${column}: ${message}`),
    [
      'count(*): "count(*)" is no name that Avro takes',
      "m: keys of Avro's maps are STRING, not INT",
      'i: Avro has no type for INTERVAL YEAR TO MONTH',
    ],
  );
});

test('a topic gives the record its name', () => {
  assert.equal(avroNameOf('people.v1-eu'), 'people_v1_eu');
  assert.equal(avroNameOf('2024'), '_2024');
});
