import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../../core/assert.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { buildRows, shapeOf, type TestRow } from '../../test/conformance/rows.ts';
import { groupRows, readRows, routingKey } from './row-groups.ts';

const schema: TableSchema = {
  keyspace: 'ks',
  table: 't',
  columns: Object.entries({ p: 'text', c: 'int', v: 'text' }).map(([name, type]) => ({
    name,
    type: parseCqlType(type),
  })),
  partitionKey: ['p'],
  clusteringKey: ['c'],
};
const shape = shapeOf(schema);
const limits = { rowsMax: 5, bytesMax: 400, partitionRowsMax: 12, partitionBytesMax: 2000 };
const rows = fc.array(
  fc.record({
    p: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    v: fc.string({ maxLength: 120 }),
    remove: fc.boolean(),
  }),
  { maxLength: 120 },
);

test('every row is in exactly one batch, batches keep their limits, nodes and partitions', () => {
  fc.assert(
    fc.property(rows, fc.boolean(), (list, oneNode) => {
      const block = buildRows(
        shape,
        list.map((item, index): TestRow =>
          item.remove
            ? { op: 'delete', values: [item.p, index], timestamp: 1 }
            : { op: 'upsert', values: [item.p, index, item.v], timestamp: 1 },
        ),
      );
      const table = readRows(block);
      const nodes = (row: number): string => (list[row]!.p < 'd' ? 'n1' : 'n2');
      const batches = groupRows(table, shape, limits, oneNode ? null : nodes);
      assert.deepEqual(
        batches.flatMap((batch) => batch.rows).sort((x, y) => x - y),
        list.map((_, index) => index),
      );
      for (const batch of batches) {
        const partitions = new Set(batch.rows.map((row) => list[row]!.p));
        const rowsMax = batch.onePartition ? limits.partitionRowsMax : limits.rowsMax;
        const bytesMax = batch.onePartition ? limits.partitionBytesMax : limits.bytesMax;
        assert.ok(batch.rows.length <= rowsMax);
        assert.ok(batch.bytes <= bytesMax || batch.rows.length === 1);
        if (batch.onePartition) assert.equal(partitions.size, 1);
        if (!oneNode) assert.equal(new Set(batch.rows.map(nodes)).size, 1);
      }
    }),
  );
});

test('a partition with many rows is not torn over mixed batches', () => {
  const block = buildRows(
    shape,
    Array.from({ length: 20 }, (_, c) => ({
      op: 'upsert' as const,
      values: [c % 2 === 0 ? 'big' : `p${c}`, c, 'v'],
      timestamp: 1,
    })),
  );
  const batches = groupRows(readRows(block), shape, limits, null);
  assert.deepEqual(
    batches.filter((batch) => batch.onePartition).map((batch) => batch.rows),
    [[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]],
  );
});

test('routing keys are what the partitioner hashes', () => {
  const table = readRows(buildRows(shape, [{ op: 'upsert', values: ['ab', 7, null], timestamp: 1 }]));
  assert.equal(routingKey(table, 0, 1).toString('hex'), '6162');
  assert.equal(routingKey(table, 0, 2).toString('hex'), '0002616200' + '00040000000700');
});

test('rows without a safe timestamp, or torn ones, are not sent', () => {
  const block = buildRows(shape, [{ op: 'upsert', values: ['a', 1, 'v'], timestamp: 5 }]);
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = Uint8Array.from(block.bytes);
    bytes[bytes.length + at] = value;
    return bytes;
  };
  readRows({ bytes: changed(-1, 9), rowCount: 1 });
  for (const bytes of [changed(-8, 0x80), changed(-8, 0x01), changed(-9, 7), block.bytes.subarray(0, -1)]) {
    assert.throws(
      () => readRows({ bytes, rowCount: 1 }),
      (error) => error instanceof InvariantError || error instanceof RangeError,
    );
  }
  assert.throws(() => readRows({ bytes: block.bytes, rowCount: 0 }), InvariantError);
});
