/**
 * The bare batch writer's process: makes rows ahead, then sends them in unlogged batches with so many under way, and
 * tells of it in JSON lines. Arguments: contact point, keyspace, table, seed, records.
 */
import { createInterface } from 'node:readline';
import cassandra from 'cassandra-driver';
import { BenchUsers } from '../../data/users.ts';

const BATCH_ROWS = 50;
const IN_FLIGHT = 8;
const [contactPoint = '', keyspace = '', table = '', seed = '1', count = '0'] = process.argv.slice(2);
const records = Number(count);
const columns = [
  'id',
  'first_name',
  'last_name',
  'gender',
  'address',
  'post_code',
  'email',
  'username',
  'dob',
  'registered_date',
  'phone',
  'picture',
] as const;

function say(event: string, more: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

const client = new cassandra.Client({
  contactPoints: [contactPoint],
  localDataCenter: 'datacenter1',
  queryOptions: { consistency: cassandra.types.consistencies.localQuorum, prepare: true },
});
await client.connect();
const query = `INSERT INTO ${keyspace}.${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
const users = new BenchUsers(Number(seed));
const rows: unknown[][] = [];
const readAt: number[] = [];
for (let index = 0; index < records; index++) {
  const user = users.at(index);
  if (user.post_code === null) continue;
  const values = { ...user, last_name: user.last_name.toUpperCase() };
  rows.push(
    columns.map((column) =>
      column === 'dob' || column === 'registered_date' ? new Date(values[column]) : values[column],
    ),
  );
  readAt.push(index + 1);
}
say('ready');

async function send(): Promise<void> {
  let next = 0;
  let written = 0;
  let toldAt = 0;
  const lane = async (): Promise<void> => {
    while (next < rows.length) {
      const from = next;
      next = Math.min(rows.length, from + BATCH_ROWS);
      const batch = rows.slice(from, next).map((params) => ({ query, params }));
      await client.batch(batch, { prepare: true, logged: false });
      written += batch.length;
      if (performance.now() - toldAt > 50) {
        toldAt = performance.now();
        say('progress', { read: readAt[written - 1] });
      }
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  say('done', { read: records });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'go') await send();
  if (line === 'exit') break;
}
await client.shutdown();
