/** The Kafka sink, exactly once: the page's example, and a worker killed at every point of a transaction's life. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readLog } from '../../cli/testing/read-log.ts';
import { connect } from '../../connectors/kafka/test-log.ts';
import { partition } from '../../core/ids.ts';
import { failpointNames } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { always } from '../conformance/source.ts';
import { globalServices, uniqueName } from '../services/services.ts';
import { until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';
import { ExactlyOnceJob } from '../support/exactly-once.ts';
import { untilDecided } from '../support/read-committed.ts';

const services = globalServices();

describe('Kafka sink, exactly once', { timeout: 600_000 }, () => {
  let address: string;
  let job: ExactlyOnceJob;
  before(async () => {
    ({ address } = await services.kafka());
    job = await ExactlyOnceJob.open(address);
    await job.produce(1000);
    await job.apply();
  });
  after(() => job?.close());

  test('kill -9 before and after the records, and before and after the decision', async () => {
    const points = failpointNames.filter((name) => name.startsWith('transaction.'));
    assert.equal(points.length, 4);
    for (const point of points) await job.killAt(point);
    await job.cluster.startWorker('', false);
    await job.taken();
    await job.check();
  });

  test('the job of docs/connectors/kafka.md', async () => {
    await using kafka = await connect(address);
    const [orders, paid] = [uniqueName('orders'), uniqueName('paid_orders')];
    const values = [
      { id: 1, customer: 'ada', amount: 12.5, paid: true },
      { id: 2, customer: 'bob', amount: 3, paid: false },
      { id: 3, customer: 'ada', amount: 0.25, paid: true },
    ].map((order) => ({ key: null, value: Buffer.from(JSON.stringify(order)), timestampMs: Date.now() }));
    await until(`${orders} is there`, 60_000, () => kafka.writer.createTopic(orders, 1).then(() => true));
    await kafka.writer.append([{ topic: orders, partition: partition(0), batch: encodeRecordBatch(values) }], always);
    const text = docJob('paid-orders').replace('topic: orders', `topic: ${orders}`);
    await job.cluster.apply('paid-orders', text.replace('topic: paid_orders', `topic: ${paid}`));
    await until('the orders are taken', 60_000, async () => {
      const { counters, row } = await job.cluster.job('paid-orders');
      assert.notEqual(row.state, 'failed', JSON.stringify(row.reason));
      return counters.read >= 3;
    });
    await untilDecided(kafka.source, paid);
    const partitions = await Promise.all([0, 1, 2].map((index) => readLog(kafka.source, paid, 0, index)));
    assert.deepEqual(
      partitions.flat().map(({ key, value, headers }) => [key, value, headers.get('weir-id')]),
      [
        ['ada', '{"id":1,"customer":"ada","amount":12.50}', 'paid-orders/1/0/0/0'],
        ['ada', '{"id":3,"customer":"ada","amount":0.25}', 'paid-orders/1/0/2/0'],
      ],
    );
    const group = `weir.paid-orders.1.orders.${paid}`;
    const [offsets] = await kafka.admin.fetchOffsets({ groupId: group, topics: [orders] });
    assert.deepEqual(
      offsets?.partitions.map(({ offset }) => offset),
      ['3'],
    );
  });
});
