import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJobFile } from '../../core/job/file.ts';
import { explainJob } from './explain.ts';
import { planJob } from './plan-job.ts';

function plan(parts: {
  readonly sink?: string;
  readonly source?: string;
  readonly query?: string;
  readonly more?: string;
}): ReturnType<typeof planJob> {
  const { spec, problems } = loadJobFile(`apiVersion: weir/v1
kind: Job
name: copy
sources:
  orders: { connector: kafka, topic: orders, startingOffsets: earliest, schema: 'id INT NOT NULL, n INT'${parts.source ?? ''} }
query: ${parts.query ?? 'SELECT id, n FROM orders'}
sinks:
  - { connector: kafka, topic: copies, guarantee: exactlyOnce${parts.sink ?? ''} }
${parts.more ?? ''}`);
  assert.ok(spec !== null, JSON.stringify(problems));
  return planJob(spec, { tables: null });
}

const texts = (outcome: ReturnType<typeof plan>): string[] =>
  outcome.problems.map(({ path, message }) => `${path}: ${message}`);

test('a sink exactly once has its transactions in the plan, and explain says so', () => {
  const outcome = plan({ sink: ', commitInterval: 20ms' });
  assert.deepEqual(outcome.problems, []);
  assert.ok(outcome.plan?.protocol === 'lanes');
  const [sink] = outcome.plan.sources[0]?.stage.sinks ?? [];
  assert.ok(sink?.kind === 'log');
  assert.deepEqual(sink.transactions, { commitIntervalMs: 20, timeoutMs: 60_000 });
  assert.match(explainJob(outcome.plan), /exactly once by transactions of 20 ms/);
});

const counts = 'SELECT n, count(*) AS orders FROM orders GROUP BY n\noutputMode: update';

test('an epoch of a job with state is a transaction', () => {
  const outcome = plan({ query: counts, sink: ', transactionTimeout: 30s' });
  assert.deepEqual(outcome.problems, []);
  assert.ok(outcome.plan?.protocol === 'epochs');
  const [sink] = outcome.plan.sinkPlans;
  assert.ok(sink?.kind === 'log');
  assert.deepEqual(sink.transactions, { commitIntervalMs: 0, timeoutMs: 30_000 });
  assert.match(explainJob(outcome.plan), /exactly once, one transaction per epoch/);
});

test('how often an epoch is a transaction is for its trigger to say', () => {
  assert.match(
    texts(plan({ query: counts, sink: ', commitInterval: 50ms' })).join(),
    /sinks\[0\]\.commitInterval: .*each of them is a transaction of its own/,
  );
});

test('a source in another cluster is refused where its position is in the transaction', () => {
  const source = ", brokers: 'other:9092'";
  assert.match(texts(plan({ source })).join(), /sinks\[0\]\.guarantee: .*one Kafka cluster/);
  assert.deepEqual(texts(plan({ source, query: counts })), []);
});

test('two sinks into one topic are refused', () => {
  const more = '  - { connector: kafka, topic: copies }\n';
  assert.match(texts(plan({ more })).join(), /sinks\[0\]\.topic: .*several sinks write copies/);
});

test('a transaction must have the time that its end takes', () => {
  const sink = ', commitInterval: 10s, transactionTimeout: 12s';
  assert.match(texts(plan({ sink })).join(), /sinks\[0\]\.transactionTimeout: .*abort it after 12000 ms/);
  const short = { query: counts, sink: ', transactionTimeout: 4s' };
  assert.match(
    texts(plan(short)).join(),
    /sinks\[0\]\.transactionTimeout: .*takes up to 5 s, .*abort it after 4000 ms/,
  );
});

test('options of transactions go with exactlyOnce alone', () => {
  const more = '  - { connector: kafka, topic: others, commitInterval: 1s }\n';
  assert.deepEqual(texts(plan({ more })), [
    'sinks[1].commitInterval: commitInterval is about transactions, which the sink does not use',
  ]);
});
