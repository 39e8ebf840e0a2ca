/** Answers that belong to another question: none is taken for what was asked, and all may be asked for again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { META_FORMAT_VERSION } from '../../core/meta.ts';
import { partition, run, topicId } from '../../core/ids.ts';
import { sampleHead, sampleJob, samplePlan } from '../../test/conformance/meta-store.ts';
import { CassandraChunkTable } from './chunk-table.ts';
import { CassandraClient } from './client.ts';
import { CassandraMetaStore } from './meta-store.ts';

const job = sampleJob('asked', 1);
const other = sampleJob('other', 1);
const key = { job: job.name, run: run(1), source: 'users', topicId: topicId('t'), partition: partition(0) };

type Row = Readonly<Record<string, unknown>>;

/** A client whose node answers every request with this row; undefined: with nothing, as it answers a write. */
function clientAnswering(row: Row | undefined): CassandraClient {
  const client = new CassandraClient({ contactPoints: ['127.0.0.1'], replicationFactor: 1 });
  const result = { rows: row === undefined ? undefined : [row], pageState: null };
  const answer = async () => result;
  return Object.assign(client, { driver: async () => ({ execute: answer, batch: answer }) });
}

function storeAnswering(row: Row | undefined): CassandraMetaStore {
  return new CassandraMetaStore(clientAnswering(row));
}

const isRefused = (error: unknown): boolean => isWeirError(error, 'STORE_UNAVAILABLE') && error.retryable;

const lane = (at: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  job: job.name,
  run: 1,
  source: 'users',
  topic_id: 't',
  partition: 0,
  format: META_FORMAT_VERSION,
  next_offset: 5,
  bound: 7,
  counters: '{}',
  ...at,
});
const jobRow = (body: unknown): Readonly<Record<string, unknown>> => ({
  format: META_FORMAT_VERSION,
  body: JSON.stringify(body),
});

test('what was asked for is taken', async () => {
  assert.equal((await storeAnswering(jobRow(job)).readOwnership(job.name))?.name, job.name);
  assert.equal((await storeAnswering(lane({})).readLane(key))?.position.nextOffset, 5);
  assert.equal((await storeAnswering(lane({})).readLanes(job.name, run(1))).length, 1);
});

for (const [what, row] of Object.entries({
  'nothing at all': undefined,
  'a list of names': { name: 'asked' },
  'the answer to a lightweight transaction': { '[applied]': true },
  'the clock': { now: new Date() },
  'another job': jobRow(other),
})) {
  test(`${what} instead of a job`, async () => {
    const store = storeAnswering(row);
    await assert.rejects(store.readOwnership(job.name), isRefused);
    await assert.rejects(store.readJob(job.name), isRefused);
  });
}

for (const [what, row] of Object.entries({
  'another job': lane({ job: 'other' }),
  'another run': lane({ run: 2 }),
  'another source': lane({ source: 'orders' }),
  'another topic': lane({ topic_id: 'u' }),
  'another partition': lane({ partition: 1 }),
  'a job': jobRow(job),
})) {
  test(`the position of ${what} instead of that of a lane`, async () => {
    await assert.rejects(storeAnswering(row).readLane(key), (error) => isWeirError(error, 'STORE_UNAVAILABLE'));
  });
}

const strangers: Readonly<Record<string, Row | undefined>> = {
  nothing: undefined,
  'a list of names': { name: 'asked' },
  'the clock': { now: new Date() },
  'a job': jobRow(job),
  'a lane': lane({}),
  'the body of a blob': { id: 'b', chunk: 3, bytes: Buffer.alloc(1), format: 1, length: 1, chunks: 1, crc: 1 },
};

for (const [what, row] of Object.entries(strangers)) {
  test(`${what} says nothing of whether a change was applied`, async () => {
    const store = storeAnswering(row);
    assert.equal((await store.casJob(1, sampleJob('asked', 2))).kind, 'unknown');
    assert.equal((await store.casEpochs(1, sampleHead('asked', 2), [samplePlan(0)])).kind, 'unknown');
    await assert.rejects(
      new CassandraChunkTable(clientAnswering(row)).claimChunk('a', 0, new Uint8Array(1)),
      isRefused,
    );
  });

  test(`${what} instead of a head, the lease, a definition, a savepoint or a blob`, async () => {
    const store = storeAnswering(row);
    await assert.rejects(store.readEpochs(job.name, run(1)), isRefused);
    await assert.rejects(store.readLease(), isRefused);
    await assert.rejects(store.getDefinition('sha256:abc'), isRefused);
    await assert.rejects(store.getSavepoint(job.name, 'kept'), isRefused);
    const chunks = new CassandraChunkTable(clientAnswering(row));
    await assert.rejects(chunks.readHeader('a'), isRefused);
    await assert.rejects(chunks.readChunk('a', 0), isRefused);
  });
}
