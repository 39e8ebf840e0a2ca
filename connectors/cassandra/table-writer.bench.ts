/**
 * Rows per second and client CPU per row into a Cassandra given by CASSANDRA_CONTACT_POINTS:
 * a users-like table of twelve columns, one row per partition and a hundred rows per partition.
 */
import { createHash } from 'node:crypto';
import type { RowBlock } from '../../core/row-block.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { buildRows, shapeOf } from '../../test/conformance/rows.ts';
import { CassandraClient, cassandraOptionsFromEnv } from './client.ts';
import { CassandraTableStore } from './table-store.ts';

const ROWS = Number(process.env['ROWS'] ?? '100000');
const BLOCK_ROWS = 5000;
const BLOCKS_AT_ONCE = 2;
const permit = { valid: () => true, check: () => undefined };

const options = cassandraOptionsFromEnv(process.env);
if (options === undefined) throw new Error('set CASSANDRA_CONTACT_POINTS');
const names = Array.from({ length: 11 }, (_, index) => `c${index}`);

for (const [label, fastBatches, perPartition] of [
  ['own batches, one row per partition', true, 1],
  ["the driver's batches, one row per partition", false, 1],
  ['own batches, 100 rows per partition', true, 100],
] as const) {
  const client = new CassandraClient(options);
  const store = new CassandraTableStore(client, { fastBatches });
  const schema: TableSchema = {
    keyspace: 'weir_bench',
    table: perPartition === 1 ? 'single' : 'grouped',
    columns: [
      { name: 'id', type: parseCqlType('uuid') },
      ...(perPartition === 1 ? [] : [{ name: 'n', type: parseCqlType('int') }]),
      ...names.map((name) => ({ name, type: parseCqlType('text') })),
    ],
    partitionKey: ['id'],
    clusteringKey: perPartition === 1 ? [] : ['n'],
  };
  await store.create(schema);
  const shape = shapeOf(schema);
  const writer = await store.open(shape);
  const blocks: RowBlock[] = [];
  for (let block = 0; block < 8; block++) {
    const rows = Array.from({ length: BLOCK_ROWS }, (_, row) => {
      const id = uuid(block * BLOCK_ROWS + Math.floor(row / perPartition));
      const values = names.map((_, column) => `${row}-${column}-${'x'.repeat(20)}`);
      return {
        op: 'upsert' as const,
        values: perPartition === 1 ? [id, ...values] : [id, row, ...values],
        timestamp: 1_700_000_000_000_000 + row,
      };
    });
    blocks.push(buildRows(shape, rows));
  }
  for (const block of blocks) await writer.write(block, permit);
  const total = Math.ceil(ROWS / BLOCK_ROWS);
  const cpu = process.cpuUsage();
  const start = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) await writer.write(blocks[next++ % blocks.length]!, permit);
  };
  await Promise.all(Array.from({ length: BLOCKS_AT_ONCE }, lane));
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  const rows = total * BLOCK_ROWS;
  const microseconds = (used.user + used.system) / rows;
  console.log(
    `${label}: ${Math.round(rows / seconds)} rows/s, ${microseconds.toFixed(2)} us client CPU/row, ${JSON.stringify(writer.stats())}`,
  );
  await writer.close();
  await client.close();
}

function uuid(seed: number): string {
  const hex = createHash('md5').update(String(seed)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
