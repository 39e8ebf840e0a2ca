/** A job with state into a topic of Kafka, exactly once: workers and master killed while an epoch is written. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLog } from '../../cli/testing/read-log.ts';
import { connect } from '../../connectors/kafka/test-log.ts';
import { partition } from '../../core/ids.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { always } from '../conformance/source.ts';
import { globalServices, uniqueName } from '../services/services.ts';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { ExactlyOnceJob } from '../support/exactly-once.ts';

const services = globalServices();

describe('Kafka sink of epochs, exactly once', { timeout: 600_000 }, () => {
  let job: ExactlyOnceJob;
  before(async () => {
    job = await ExactlyOnceJob.open((await services.kafka()).address, 'epochs');
    await job.produce(500);
    await job.apply();
  });
  after(() => job?.close());

  test('kill -9 with the rows sent, with the transaction decided, and of the master that has not heard of it', async () => {
    const { cluster } = job;
    for (const point of ['transaction.afterProduce', 'transaction.afterCommit']) {
      const victim = await cluster.startWorker(`${point}=kill@3`, false);
      while (victim.alive) {
        await job.produce(100);
        await sleep(100);
      }
      assert.match(await victim.log(), new RegExp(`failpoint ${point} kill`));
    }
    // What is written is not committed by the master: its successor orders the epoch again.
    await cluster.process('master').kill9();
    await cluster.startMaster();
    await Promise.all([cluster.startWorker('', false), cluster.startWorker('', false)]);
    await job.produce(300);
    await job.taken();
    await job.check();
  });

  test('the job of docs/connectors/kafka.md', async () => {
    await using kafka = await connect((await services.kafka()).address);
    const [payments, spending] = [uniqueName('payments'), uniqueName('customer_spending')];
    await until(`${payments} is there`, 60_000, () => kafka.writer.createTopic(payments, 1).then(() => true));
    const submittedUs = Date.now() * 1000;
    const text = docJob('customer-spending').replace('topic: payments', `topic: ${payments}`);
    await job.cluster.apply('customer-spending', text.replace('topic: customer_spending', `topic: ${spending}`));
    const pay = async (id: string, customer: string, amount: number): Promise<void> => {
      const value = Buffer.from(JSON.stringify({ id, customer, amount }));
      const batch = encodeRecordBatch([{ key: null, value, timestampMs: Date.now() }]);
      await kafka.writer.append([{ topic: payments, partition: partition(0), batch }], always);
    };
    const rowsOf = async (): Promise<unknown[]> => {
      const partitions = await Promise.all([0, 1, 2].map((index) => readLog(kafka.source, spending, 0, index)));
      return partitions.flat().map(({ key, value }) => [key, value]);
    };
    await pay('p1', 'ada', 12.5);
    await until('a row', 60_000, async () => (await rowsOf()).length === 1);
    await pay('p2', 'ada', 0.25);
    await until('another', 60_000, async () => (await rowsOf()).length === 2);
    assert.deepEqual(await rowsOf(), [
      ['ada', '{"customer":"ada","payments":1,"spent":12.50}'],
      ['ada', '{"customer":"ada","payments":2,"spent":12.75}'],
    ]);
    const group = `weir.customer-spending.epochs.${spending}`;
    const [marks] = await kafka.admin.fetchOffsets({ groupId: group, topics: [spending] });
    const [mark] = marks?.partitions ?? [];
    assert.ok(mark?.partition === 0 && Number(mark.offset) >= submittedUs, JSON.stringify(marks));
  });
});
