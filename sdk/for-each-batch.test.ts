import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobSpecSchema } from '../core/job/spec.ts';
import type { JobSpec } from '../core/job/spec.ts';
import type { BatchInfo } from '../core/job/user-functions.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { defineJob, forEachBatch } from './index.ts';

const seen: unknown[] = [];
const job = defineJob({
  name: 'orders',
  sources: { orders: { connector: 'kafka', topic: 'orders', schema: 'id BIGINT, amount DECIMAL(12,2)' } },
  query: 'SELECT id, amount FROM orders',
  sinks: [
    { connector: 'console' },
    forEachBatch<{ id: bigint }>((rows, { id }) => void seen.push(id, ...rows), { timeout: '5s' }),
  ],
});
const module = { hash: 'a'.repeat(64), entry: 'orders.ts', files: [{ path: 'orders.ts', source: '' }] };
const specWith = (changes: object): JobSpec =>
  jobSpecSchema.parse({ ...JSON.parse(JSON.stringify(job.document)), ...changes });

test('the job file names the sink and holds no function; the module has it in its place', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(job.document.sinks[1])), { connector: 'forEachBatch', timeout: '5s' });
  assert.equal(job.functions, null);
  assert.equal(job.batches[0], null);
  const info: BatchInfo = { job: 'orders', run: 1, batchId: 7, part: 'm0/x', id: 'orders/1/7/m0/x', time: 0 };
  job.batches[1]?.([{ id: 1n }], info);
  assert.deepEqual(seen, ['orders/1/7/m0/x', { id: 1n }]);
});

test('such a job runs by epochs, at least once, with its code for its sinks alone', () => {
  const { plan, problems } = planJob(specWith({ module }), { tables: null });
  assert.deepEqual(problems, []);
  assert.equal(plan?.protocol, 'epochs');
  assert.match(plan.protocolReason, /a function is called by epochs/);
  assert.deepEqual([plan.module, plan.sinkModule], [undefined, module]);
  const [, sink] = plan.sinkPlans;
  assert.ok(sink?.kind === 'rows');
  assert.deepEqual(sink.settings, { sink: 1, timeoutMs: 5000, retries: 5 });
  assert.equal(sink.guarantee, 'atLeastOnce');
});

test('a sink without the code of a job, and a whole result, are refused', () => {
  const problemsOf = (changes: object): string =>
    planJob(specWith(changes), { tables: null })
      .problems.map(({ path, message }) => `${path}: ${message}`)
      .join('\n');
  assert.match(problemsOf({}), /^sinks: keyedState, forEachBatch and the module with their functions go together$/);
  const query = 'SELECT id, count(*) AS amount FROM orders GROUP BY id';
  assert.match(
    problemsOf({ module, query, outputMode: 'complete' }),
    /outputMode: .*the whole result with every epoch/,
  );
});
