/**
 * A topic that is written at least once as a table by key (a compacted topic, an upsert): workers and Kafka are killed under
 * load, and a reader that keeps the last record of each key has exactly the right table; see docs/connectors/kafka.md, At least once.
 */
import assert from 'node:assert/strict';
import { after, before, describe, suite, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLog } from '../../cli/testing/read-log.ts';
import type { TestCluster } from '../../connectors/kafka/test-log.ts';
import { connect } from '../../connectors/kafka/test-log.ts';
import { partition } from '../../core/ids.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { always } from '../conformance/source.ts';
import { freePorts } from '../services/java-server.ts';
import type { Service } from '../services/services.ts';
import { startKafka, uniqueName } from '../services/services.ts';
import { Cluster, until } from '../support/cluster.ts';
import type { TopicRecord } from '../support/upsert-order.ts';
import { checkOrder, consumeAll, lastOfKeys } from '../support/upsert-order.ts';

const PARTITIONS = 4;
const KEYS = 200;
const BATCH_RECORDS = 60;
/** Small, so that there is always another epoch to write. */
const EPOCH_RECORDS = 1000;
/** A key, a number, and where the record is. */
interface Event {
  readonly k: string;
  readonly v: number;
  readonly at: number;
}

/** What each job makes of the events, and what its table must be at last. */
const shapes = {
  lanes: {
    query: 'query: SELECT k, v, offset AS at FROM events WHERE v >= 0',
    versionOf: ({ at }: { readonly at: number }) => at,
    tableOf: (events: readonly Event[]) => new Map(events.map(({ k, v, at }) => [k, JSON.stringify({ k, v, at })])),
  },
  epochs: {
    query: 'query: SELECT k, count(*) AS n, max(v) AS v FROM events GROUP BY k\noutputMode: update',
    versionOf: ({ n }: { readonly n: number }) => n,
    tableOf: (events: readonly Event[]) =>
      new Map(
        [...Map.groupBy(events, ({ k }) => k)].map(([k, of]) => [
          k,
          JSON.stringify({ k, n: of.length, v: Math.max(...of.map(({ v }) => v)) }),
        ]),
      ),
  },
} as const;
type Shape = keyof typeof shapes;

describe('a topic as a table by key, at least once', { timeout: 600_000 }, () => {
  let cluster: Cluster;
  let server: Service;
  let kafka: TestCluster;
  before(async () => {
    // One of its own, since it is killed.
    server = await startKafka();
    const { address } = server;
    kafka = await connect(address);
    const [port = 0] = await freePorts(1);
    cluster = await Cluster.create({ WEIR_EMBEDDED: `127.0.0.1:${port}`, KAFKA_BROKERS: address });
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    await cluster.startMaster();
  });
  after(async () => {
    await cluster?.close();
    await kafka?.[Symbol.asyncDispose]();
    await server?.dispose();
  });

  async function kill9UnderLoad(shape: Shape, points: readonly string[], context: TestContext): Promise<void> {
    const name = uniqueName(`upsert_${shape}`);
    const [input, output, job] = [`${name}_in`, `${name}_out`, name.replaceAll('_', '-')];
    for (const topic of [input, output])
      await until(`${topic} is there`, 60_000, () => kafka.writer.createTopic(topic, PARTITIONS).then(() => true));
    await cluster.apply(
      job,
      `apiVersion: weir/v1
kind: Job
name: ${job}
sources:
  events:
    connector: kafka
    topic: ${input}
    startingOffsets: earliest
    schema: 'k STRING NOT NULL, v BIGINT NOT NULL'
    ${shape === 'epochs' ? `maxOffsetsPerTrigger: ${EPOCH_RECORDS}` : ''}
${shapes[shape].query}
sinks: [{ connector: kafka, topic: ${output}, key: k, compression: gzip }]
`,
    );
    let produced = 0;
    const loadFor = async (ended: () => boolean, pauseMs = 20): Promise<void> => {
      while (!ended()) {
        for (let part = 0; part < PARTITIONS; part++) {
          const records = Array.from({ length: BATCH_RECORDS }, () => {
            const v = produced++;
            // A key is always in the same partition, as Kafka's own producer would have it.
            const k = `k${part + PARTITIONS * ((v * 7919) % (KEYS / PARTITIONS))}`;
            return { key: null, value: Buffer.from(JSON.stringify({ k, v })), timestampMs: Date.now() };
          });
          const batch = encodeRecordBatch(records);
          await kafka.writer.append([{ topic: input, partition: partition(part), batch }], always);
        }
        await sleep(pauseMs);
      }
    };
    const during = (ms: number): Promise<void> => {
      const end = performance.now() + ms;
      return loadFor(() => performance.now() > end);
    };
    /** More than one epoch takes. */
    const burst = (): Promise<void> => {
      const end = produced + 20 * EPOCH_RECORDS;
      return loadFor(() => produced >= end, 0);
    };
    const workers = [await cluster.startWorker(), await cluster.startWorker()];
    // Workers that stay would share the next job's partitions.
    context.after(() => Promise.all(workers.map((worker) => worker.kill9())));
    await during(3000);
    for (const [turn, point] of points.entries()) {
      await workers.shift()?.kill9();
      workers.push(await cluster.startWorker());
      await during(1500);
      // What is under way then is sent again, each append for itself; what was read before goes on.
      await burst();
      let isBack = false;
      const outage = (turn === 0 ? frozen() : killed()).then(() => (isBack = true));
      await Promise.all([outage, loadFor(() => isBack)]);
      await during(2000);
      const victim = await cluster.startWorker(point, false);
      await loadFor(() => !victim.alive);
      assert.match(await victim.log(), /failpoint \S+ kill/);
      await during(1000);
    }
    await taken(job, input);
    const inputs = await Promise.all(
      Array.from({ length: PARTITIONS }, (_, part) => readLog(kafka.source, input, 0, part)),
    );
    const events = inputs.flat().map(({ value, offset: at }): Event => ({ ...(JSON.parse(value ?? '') as Event), at }));
    assert.ok(events.length >= produced);
    const records = await consumeAll(kafka, output);
    const version = shapes[shape].versionOf;
    const copies = checkOrder(records, (value) => version(JSON.parse(value) as { at: number; n: number }));
    context.diagnostic(`${records.length} records of ${KEYS} keys, ${copies} of them copies`);
    assert.ok(copies > 0, 'no worker was killed between a write and its commit');
    const sorted = (table: ReadonlyMap<string, string>): object => Object.fromEntries([...table].toSorted());
    assert.deepEqual(sorted(lastOfKeys(records)), sorted(shapes[shape].tableOf(events)));
    await cluster.request('POST', `/v1/jobs/${job}/stop`);
  }

  /** Requests get no answers and are taken for lost; then Kafka goes on with what it was sent. */
  async function frozen(): Promise<void> {
    server.pause();
    await sleep(7000);
    server.resume();
  }

  async function killed(): Promise<void> {
    await server.kill9();
    await server.restart();
  }

  /** Until the job has committed all that is in its topic. */
  async function taken(job: string, input: string): Promise<void> {
    const parts = Array.from({ length: PARTITIONS }, (_, index) => partition(index));
    const ends = await kafka.source.offsets(input, parts, 'latest');
    await until(`${job} comes to the end of ${input}`, 120_000, async () => {
      const { lanes, row, epochs } = await cluster.job(job);
      assert.notEqual(row.state, 'failed', JSON.stringify(row.reason));
      if (epochs !== null && epochs.planned > epochs.committed) return false;
      const at = new Map(
        epochs === null
          ? lanes.map((lane) => [Number(lane.partition), lane.committedOffset])
          : Object.entries(epochs.positions).map(([lane, to]) => [Number(lane.split('/').at(-1)), to]),
      );
      return parts.every((part) => (at.get(part) ?? -1) >= (ends.get(part) ?? 0));
    });
  }

  test('a running count by key, over workers and a Kafka that are killed', (context) =>
    kill9UnderLoad('epochs', ['epoch.midWrite=kill@30', 'epoch.afterAck=kill@20'], context));

  test('the last value by key of a job without state, over workers and a Kafka that are killed', (context) =>
    kill9UnderLoad('lanes', ['lane.midWrite=kill@30', 'lane.afterAck=kill@20'], context));
});

suite('what is checked of such a topic', () => {
  const log = (...rows: readonly (readonly [id: string, version: number])[]): TopicRecord[] =>
    rows.map(([id, version], offset) => ({ partition: 0, offset, key: 'k', value: String(version), id }));
  const check = (...rows: readonly (readonly [id: string, version: number])[]): number =>
    checkOrder(log(...rows), Number);

  test('rows that come again do so in their order, and up to the latest', () => {
    assert.equal(check(['a', 1], ['b', 2], ['a', 1], ['b', 2], ['b', 2], ['c', 3]), 3);
    assert.throws(() => check(['b', 2], ['a', 1]), /1 comes after 2/);
    assert.throws(() => check(['a', 1], ['b', 2], ['a', 1]), /ends with 1/);
    assert.throws(() => check(['a', 1], ['b', 2], ['a', 1], ['c', 3]), /a new row follows one that came again/);
    assert.throws(() => check(['a', 1], ['b', 2], ['c', 3], ['a', 1], ['c', 3]), /what is before it does not/);
    assert.throws(() => check(['a', 1], ['a', 2]), /another value/);
  });

  test('a reader who keeps the last record of a key has one partition to look at', () => {
    assert.deepEqual([...lastOfKeys(log(['a', 1], ['b', 2]))], [['k', '2']]);
    const [first, second] = log(['a', 1], ['b', 2]);
    assert.throws(() => lastOfKeys([first!, { ...second!, partition: 1 }]), /two partitions/);
  });
});
