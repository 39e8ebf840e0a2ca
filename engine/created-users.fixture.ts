/** The created-users job as a plan, and users for it: shared by the tests and the benchmark of this folder. */
import type { Expr } from '../core/ast.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import type { RecordToEncode } from '../core/record-batch-encoder.ts';
import { readBatchHeaders, writeBaseOffset } from '../core/record-batch.ts';
import type { RowShape } from '../core/row-block.ts';
import type { CqlType } from '../core/table/schema.ts';
import type { DataType } from '../core/types.ts';
import type { SinkPlan, StagePlan } from './plan/stage-plan.ts';
import { BATCH_STRIDE } from './stage.ts';
import type { StageTask } from './stage.ts';

const STRING: DataType = { kind: 'string' };

export const userColumns: readonly { readonly name: string; readonly type: DataType }[] = [
  { name: 'id', type: STRING },
  { name: 'first_name', type: STRING },
  { name: 'last_name', type: STRING },
  { name: 'gender', type: STRING },
  { name: 'address', type: STRING },
  { name: 'post_code', type: { kind: 'int' } },
  { name: 'email', type: STRING },
  { name: 'username', type: STRING },
  { name: 'dob', type: { kind: 'timestamp' } },
  { name: 'registered_date', type: { kind: 'timestamp' } },
  { name: 'phone', type: STRING },
  { name: 'picture', type: STRING },
];

const cqlOf = (type: DataType): CqlType => ({
  kind: type.kind === 'int' ? 'int' : type.kind === 'timestamp' ? 'timestamp' : 'text',
});

export const userShape: RowShape = {
  keyspace: 'spark_streams',
  table: 'created_users',
  columns: userColumns.map(({ name, type }) => ({ name, type: cqlOf(type) })),
  partitionKeyCount: 1,
  primaryKeyCount: 1,
};

export const userTableSink: SinkPlan = {
  kind: 'table',
  name: 'cassandra',
  shape: userShape,
  bindings: userColumns.map(({ type }, index) => ({ input: index, from: type, to: cqlOf(type) })),
  ignoreNulls: false,
};

function column(name: string): Expr {
  const index = userColumns.findIndex((each) => each.name === name);
  return { kind: 'column', type: userColumns[index]?.type ?? STRING, nullable: true, index, name };
}

/** `SELECT id, first_name, upper(last_name) AS last_name, … FROM users WHERE post_code IS NOT NULL` */
export function userPlan(sinks: readonly SinkPlan[], changes: Partial<StagePlan> = {}): StagePlan {
  return {
    job: 'created-users',
    source: 'users',
    topic: 'users_created',
    format: 'json',
    columns: userColumns.map(({ name, type }) => ({ kind: 'field', name, path: name, type, required: false })),
    operators: [
      {
        kind: 'filter',
        predicate: {
          kind: 'call',
          name: 'isnotnull',
          type: { kind: 'boolean' },
          nullable: false,
          args: [column('post_code')],
        },
      },
      {
        kind: 'project',
        columns: userColumns.map(({ name, type }) => ({
          name,
          type,
          nullable: true,
          expr:
            name === 'last_name'
              ? { kind: 'call', name: 'upper', type: STRING, nullable: true, args: [column(name)] }
              : column(name),
        })),
      },
    ],
    output: userColumns.map(({ name, type }) => ({ name, type, nullable: true })),
    sinks,
    onBadRecord: 'deadLetter',
    onNullValue: 'skip',
    timeZone: 'UTC',
    recordBytesMax: 1024 * 1024,
    recordDepthMax: 64,
    ...changes,
  };
}

const firstNames = ['Anna', 'José', 'Olivia', 'Søren', 'Thomas', 'Katarzyna', '李', 'Éloïse', 'Malik', 'Zoë'];
const lastNames = ['Smith', 'Müller', 'Núñez', "O'Neill", 'Straße', 'Dvořák', 'Lee', 'de la Cruz', 'Ivanova', 'Brown'];
const streets = ['High Street', 'Rue de la Paix', 'Königsallee', 'Main Street', 'Calle Mayor', 'Park Lane'];

/** Small seeded generator (Numerical Recipes' LCG): the same seed gives the same users. */
export function makeUsers(seed: number): () => Record<string, unknown> {
  let state = seed >>> 0;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const hex = (digits: number): string => Array.from({ length: digits }, () => below(16).toString(16)).join('');
  return () => {
    const [first, last] = [pick(firstNames), pick(lastNames)];
    const username = `${pick(['lazy', 'happy', 'tiny', 'golden'])}${pick(['frog', 'lion', 'panda'])}${below(1000)}`;
    return {
      id: `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
      first_name: first,
      last_name: last,
      gender: pick(['male', 'female']),
      address: `${below(9999)} ${pick(streets)}, Springfield, ${pick(['Illinois', 'Bayern', 'Aragón'])}, United States`,
      post_code: 10_000 + below(89_999),
      email: `${username}.${below(100)}@example.com`,
      username,
      dob: new Date(-500_000_000_000 + below(1_500_000) * 1_000_003).toISOString(),
      registered_date: new Date(1_000_000_000_000 + below(600_000) * 1_000_003).toISOString(),
      phone: `0${below(90) + 10}-${below(9000) + 1000}-${below(9000) + 1000}`,
      picture: `https://randomuser.me/api/portraits/med/men/${below(100)}.jpg`,
    };
  };
}

const encoder = new TextEncoder();

export function userRecord(value: unknown, timestampMs: number, key: string | null = null): RecordToEncode {
  return {
    key: key === null ? null : encoder.encode(key),
    value: value === null ? null : encoder.encode(typeof value === 'string' ? value : JSON.stringify(value)),
    timestampMs,
  };
}

/** A task over encoded batches, laid one behind the other from `baseOffset` on. */
export function taskOf(batches: readonly Uint8Array[], changes: Partial<StageTask> = {}, baseOffset = 0): StageTask {
  const stride = changes.stride ?? 16;
  const bytes = new Uint8Array(batches.reduce((sum, batch) => sum + batch.byteLength, 0));
  let at = 0;
  let next = baseOffset;
  for (const batch of batches) {
    bytes.set(batch, at);
    writeBaseOffset(bytes, at, next);
    next += new DataView(batch.buffer, batch.byteOffset).getInt32(23) + 1;
    at += batch.byteLength;
  }
  const headers = readBatchHeaders(bytes);
  const table = new Float64Array(headers.length * BATCH_STRIDE);
  headers.forEach((header, index) => {
    const baseTimeUs = 1_700_000_000_000_000 + header.baseOffset * stride;
    table.set([header.start, header.end, header.baseOffset, baseTimeUs, header.maxTimestampMs], index * BATCH_STRIDE);
  });
  return {
    bytes,
    batches: table,
    fromOffset: 0,
    toOffset: Number.POSITIVE_INFINITY,
    partition: 3,
    stride,
    run: 1,
    logPartitions: [],
    ...changes,
  };
}

/** Records as batches of so many records each. */
export function batchesOf(records: readonly RecordToEncode[], recordsPerBatch: number): Uint8Array[] {
  const batches: Uint8Array[] = [];
  for (let from = 0; from < records.length; from += recordsPerBatch)
    batches.push(encodeRecordBatch(records.slice(from, from + recordsPerBatch)));
  return batches;
}
