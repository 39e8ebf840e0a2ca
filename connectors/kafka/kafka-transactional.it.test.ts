/** Transactions on real Kafka: the contract, what Kafka's own consumer sees, and brokers that fail. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { offset, partition } from '../../core/ids.ts';
import type { LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import { noFailpoints } from '../../core/ports.ts';
import { readLog } from '../../cli/testing/read-log.ts';
import { logTransactionsContract } from '../../test/conformance/log-transactions.ts';
import { always, batchOf } from '../../test/conformance/source.ts';
import { globalServices, startKafka, uniqueName } from '../../test/services/services.ts';
import { until } from '../../test/support/cluster.ts';
import { readCommitted, untilDecided } from '../../test/support/read-committed.ts';
import type { TestCluster } from './test-log.ts';
import { connect } from './test-log.ts';

const services = globalServices();
const p0 = partition(0);

logTransactionsContract('Kafka', async () => {
  const cluster = await connect((await services.kafka()).address);
  return {
    writer: cluster.writer,
    committed: async (topic, index) => {
      await untilDecided(cluster.source, topic);
      return (await readLog(cluster.source, topic, 0, index)).map(({ value }) => value ?? '');
    },
    close: async () => await cluster[Symbol.asyncDispose](),
  };
});

/** A plan whose topics are there. */
async function planned(cluster: TestCluster, more: Partial<LogTransactionPlan> = {}): Promise<LogTransactionPlan> {
  const topic = uniqueName('out');
  // A broker under load may not know a topic yet that it has just made.
  for (const name of [topic, `${topic}_in`])
    await until(`${name} is there`, 60_000, () => cluster.writer.createTopic(name, 1).then(() => true));
  return {
    job: 'it',
    topic,
    id: `weir.it.in.0.${topic}`,
    groups: [`weir.it.1.in.${topic}`],
    source: { topic: `${topic}_in`, partition: p0 },
    note: '1/a',
    commitIntervalMs: 20,
    timeoutMs: 60_000,
    ...more,
  };
}

const open = (cluster: TestCluster, plan: LogTransactionPlan): Promise<LogTransactions> =>
  cluster.writer.openTransactions(plan, { permit: always, failpoints: noFailpoints });

suite('transactions on Kafka', () => {
  test("Kafka's consumer sees committed records once and no others", async () => {
    const { address } = await services.kafka();
    await using cluster = await connect(address);
    const plan = await planned(cluster);
    const first = await open(cluster, plan);
    await first.write([{ topic: plan.topic, partition: p0, batch: batchOf('a', 0, 3) }], offset(3));
    const slow = await open(cluster, { ...plan, commitIntervalMs: 60_000 });
    const abandoned = slow.write([{ topic: plan.topic, partition: p0, batch: batchOf('b', 3, 3) }], offset(6));
    abandoned.catch(() => undefined);
    // Its records are in the log, and its transaction is open.
    await until('so far', 60_000, async () => (await highWatermark(cluster, plan.topic)) === 7);
    const next = await open(cluster, plan);
    assert.equal(next.position, 3);
    await next.write([{ topic: plan.topic, partition: p0, batch: batchOf('c', 3, 2) }], offset(5));
    await Promise.all([first.close(), slow.close(), next.close()]);
    await assert.rejects(abandoned, (error) => isWeirError(error, 'FENCED'));
    assert.deepEqual(await readCommitted(address, plan.topic, cluster), ['a-0', 'a-1', 'a-2', 'c-3', 'c-4']);
    const group = await cluster.admin.fetchOffsets({ groupId: plan.groups[0], topics: [plan.source.topic] });
    assert.deepEqual(
      group[0]?.partitions.map(({ offset: at, metadata }) => [at, metadata]),
      [['5', '1/a']],
    );
  });

  test('a transaction that Kafka ended by its time-out is FENCED, and the next writer goes on', async () => {
    await using cluster = await connect((await services.kafka()).address);
    // Brokers look for such transactions every 10 s.
    const plan = await planned(cluster, { timeoutMs: 1000, commitIntervalMs: 60_000 });
    const first = await open(cluster, plan);
    const late = first.write([{ topic: plan.topic, partition: p0, batch: batchOf('a', 0, 3) }], offset(3));
    late.catch(() => undefined);
    await until('so far', 60_000, async () => (await highWatermark(cluster, plan.topic)) === 4);
    first.commitNow();
    await assert.rejects(late, (error) => isWeirError(error, 'FENCED') && /transactionTimeout/.test(error.message));
    const next = await open(cluster, { ...plan, commitIntervalMs: 20 });
    assert.equal(next.position, null);
    await next.write([{ topic: plan.topic, partition: p0, batch: batchOf('a', 0, 3) }], offset(3));
    await Promise.all([first.close(), next.close()]);
    await untilDecided(cluster.source, plan.topic);
    assert.equal((await readLog(cluster.source, plan.topic, 0)).length, 3);
  });

  test('an interval that brokers do not allow is named', async () => {
    await using cluster = await connect((await services.kafka()).address);
    const plan = await planned(cluster, { timeoutMs: 3_600_000 });
    await assert.rejects(open(cluster, plan), (error) => {
      assert.ok(isWeirError(error, 'CONFIG_INVALID'), String(error));
      assert.match(error.message, /3600000 ms; lower transactionTimeout, or raise transaction\.max\.timeout\.ms/);
      return true;
    });
  });
});

suite('brokers that fail', own(), () => {
  test('kill9, restarts and pauses double nothing and lose nothing, whatever was under way', async () => {
    const server = await startKafka();
    await using _ = { [Symbol.asyncDispose]: () => server.dispose() };
    await using cluster = await connect(server.address);
    const plan = await planned(cluster);
    const transactions = await open(cluster, plan);
    let written = 0;
    let stops = false;
    const traffic = (async () => {
      while (!stops) {
        const batch = batchOf('a', written, 5);
        written += 5;
        await transactions.write([{ topic: plan.topic, partition: p0, batch }], offset(written));
      }
    })();
    traffic.catch(() => undefined);
    const passes = async (): Promise<void> => {
      const from = written;
      await until('so far', 60_000, async () => {
        await Promise.race([traffic, Promise.resolve()]);
        return written > from + 50;
      });
    };
    await passes();
    await server.kill9();
    await server.restart();
    await passes();
    server.pause();
    await new Promise((resolve) => setTimeout(resolve, 6000));
    assert.ok(transactions.stats().blockedBy !== null);
    server.resume();
    await passes();
    await server.restart();
    await passes();
    stops = true;
    await traffic;
    await transactions.close();
    await untilDecided(cluster.source, plan.topic);
    const values = (await readLog(cluster.source, plan.topic, 0)).map(({ value }) => value);
    assert.deepEqual(
      values,
      Array.from({ length: written }, (_unused, index) => `a-${index}`),
    );
  });
});

/** Servers that may be stopped. */
function own(): { readonly skip: string | false } {
  return {
    skip: process.env['KAFKA_BROKERS'] === undefined ? false : 'KAFKA_BROKERS names servers that may not be stopped',
  };
}

async function highWatermark(cluster: TestCluster, topic: string): Promise<number> {
  const reader = cluster.source.open(await cluster.source.describe(topic));
  try {
    const fetched = await reader.fetch({ partition: p0, offset: offset(0), maxBytes: 1024, maxWaitMs: 0 });
    return fetched.highWatermark;
  } finally {
    await reader.close();
  }
}
