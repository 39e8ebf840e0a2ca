import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import cassandra from 'cassandra-driver';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { buildRows, shapeOf } from '../../test/conformance/rows.ts';
import { BatchRequest, BindTypesChanged, boundStatement, loadDriverInternals } from './batch-frame.ts';
import { readRows } from './row-groups.ts';

const schema: TableSchema = {
  keyspace: 'ks',
  table: 't',
  columns: Object.entries({ p: 'text', c: 'int', v: 'text', w: 'text' }).map(([name, type]) => ({
    name,
    type: parseCqlType(type),
  })),
  partitionKey: ['p'],
  clusteringKey: ['c'],
};
const shape = shapeOf(schema);
const table = readRows(
  buildRows(shape, [
    { op: 'upsert', values: ['a', 1, 'é', null], timestamp: 1_700_000_000_000_001 },
    { op: 'delete', values: ['a', 2], timestamp: 1_700_000_000_000_002 },
    { op: 'upsert', values: ['b', -1, undefined, ''], timestamp: 0 },
  ]),
);
const signatureOf = (names: readonly string[]): string => JSON.stringify(names.map((name) => [name, 'type']));
const upsert = { cql: 'insert', queryId: Buffer.alloc(16, 1), signature: signatureOf(['p', 'c', 'v', 'w']) };
const remove = { cql: 'delete', queryId: Buffer.alloc(16, 2), signature: signatureOf(['p', 'c']) };
const permit = { valid: () => true, check: () => undefined };
const request = (granted = permit) =>
  new BatchRequest(
    table,
    { rows: [0, 1, 2], bytes: 0, onePartition: false },
    { upsert: boundStatement(upsert, 5), delete: boundStatement(remove, 3) },
    cassandra.types.consistencies.localQuorum,
    granted,
  );

test("the frame is byte for byte the driver's", () => {
  const load = createRequire(import.meta.url);
  const { BatchRequest: DriverBatch } = load('cassandra-driver/lib/requests.js') as {
    BatchRequest: new (queries: unknown, options: unknown) => { write(encoder: unknown, streamId: number): Buffer };
  };
  const Encoder = load('cassandra-driver/lib/encoder.js') as new (version: number, options: object) => unknown;
  const type = (code: number) => ({ type: { code } });
  const { text, int, bigint } = cassandra.types.dataTypes;
  const long = (value: number) => cassandra.types.Long.fromNumber(value);
  const queries = [
    {
      queryId: upsert.queryId,
      meta: { columns: [text, int, text, text, bigint].map(type) },
      params: ['a', 1, 'é', null, long(1_700_000_000_000_001)],
    },
    {
      queryId: remove.queryId,
      meta: { columns: [bigint, text, int].map(type) },
      params: [long(1_700_000_000_000_002), 'a', 2],
    },
    {
      queryId: upsert.queryId,
      meta: { columns: [text, int, text, text, bigint].map(type) },
      params: ['b', -1, cassandra.types.unset, '', long(0)],
    },
  ];
  const options = {
    getOrGenerateTimestamp: () => null,
    getHints: () => undefined,
    isBatchCounter: () => false,
    isBatchLogged: () => false,
    isQueryTracing: () => false,
    getCustomPayload: () => undefined,
    getConsistency: () => cassandra.types.consistencies.localQuorum,
    getSerialConsistency: () => undefined,
    getKeyspace: () => undefined,
  };
  const expected = new DriverBatch(queries, options).write(new Encoder(4, { encoding: {} }), 513);
  const frame = request().write({ protocolVersion: 4 }, 513);
  assert.equal(frame.toString('hex'), expected.toString('hex'));
});

test('the permit is asked right before the bytes leave', () => {
  const ended = {
    valid: () => false,
    check: () => {
      throw new WeirError('FENCED', 'handed over');
    },
  };
  assert.throws(
    () => request(ended).write({ protocolVersion: 4 }, 1),
    (error) => isWeirError(error, 'FENCED'),
  );
});

test('a statement prepared again with other types is not sent', () => {
  const same = request();
  same.meta = { columns: ['p', 'c'].map((name) => ({ name, type: 'type' })) };
  same.clone().write({ protocolVersion: 4 }, 1);
  const other = request();
  other.meta = { columns: ['p', 'c', 'v', 'x'].map((name) => ({ name, type: 'type' })) };
  assert.throws(() => other.clone().write({ protocolVersion: 4 }, 1), BindTypesChanged);
});

test('the installed driver is the one this file knows', () => {
  assert.ok(loadDriverInternals() !== undefined);
});
