/** Spans of a real worker, with a lane and with epochs, as a collector gets them. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { Cluster, until } from '../support/cluster.ts';
import type { CollectedSpan, Collector } from '../support/otlp-collector.ts';
import { startCollector } from '../support/otlp-collector.ts';

const LIMIT_MS = 120_000;

const file = (name: string, query: string, more = ''): string => `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  birds:
    connector: kafka
    topic: birds
    startingOffsets: earliest
    schema: id STRING NOT NULL, species STRING
query: ${query}
sinks:
  - { connector: cassandra, keyspace: traced, table: ${name}, ${more}, create: true }
`;

suite('tracing', () => {
  let collector: Collector;
  let cluster: Cluster;
  const traceOf = (number: number): string => number.toString(16).padStart(32, 'a');

  before(async () => {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    collector = await startCollector();
    cluster = await Cluster.create(services);
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    const writer = connections.logWriter('kafka', {});
    await until('the embedded process answers', LIMIT_MS, async () => {
      await writer.createTopic('birds', 2);
      return true;
    });
    const permit = { valid: () => true, check: () => undefined };
    const encoder = new TextEncoder();
    for (const number of [0, 1]) {
      const traceparent = encoder.encode(`00-${traceOf(number)}-00f067aa0ba902b7-01`);
      const records = [0, 1, 2].map((index) => ({
        key: null,
        value: encoder.encode(JSON.stringify({ id: `${number}-${index}`, species: 'wren' })),
        timestampMs: Date.now(),
        // The second one of each partition comes from somebody who traces.
        headers: index === 1 ? [['traceparent', traceparent] as const] : [],
      }));
      await writer.append(
        [{ topic: 'birds', partition: partition(number), batch: encodeRecordBatch(records) }],
        permit,
      );
    }
    await connections.close();
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url;
    process.env['OTEL_BSP_SCHEDULE_DELAY'] = '100';
    await cluster.startMaster();
    await cluster.startWorker();
    await cluster.apply('lanes', file('lanes', 'SELECT id, upper(species) AS species FROM birds', 'primaryKey: [id]'));
    await cluster.apply(
      'epochs',
      `${file('epochs', 'SELECT species, count(*) AS seen FROM birds GROUP BY species', 'primaryKey: [species]')}outputMode: update\n`,
    );
  });

  after(async () => {
    delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
    delete process.env['OTEL_BSP_SCHEDULE_DELAY'];
    await cluster?.close();
    await collector?.close();
  });

  /** The spans of a job that hold records, once they hold six. */
  const batchesOf = async (job: string): Promise<CollectedSpan[]> =>
    await until(`six records of ${job} are in spans`, LIMIT_MS, async () => {
      const spans = collector.spans.filter(
        ({ name, parentSpanId }) => name === `process ${job}` && parentSpanId === null,
      );
      const read = spans.filter((span) => Number(span.attributes.get('messaging.batch.message_count')) > 0);
      const count = read.reduce((sum, span) => sum + Number(span.attributes.get('messaging.batch.message_count')), 0);
      assert.ok(count <= 6, `${count} records in spans`);
      return count === 6 ? await Promise.resolve(read) : undefined;
    });
  const linked = (spans: readonly CollectedSpan[]): string[] =>
    spans.flatMap(({ links }) => links.map(({ traceId }) => traceId)).toSorted();
  const below = (span: CollectedSpan): string[] =>
    collector.spans
      .filter(({ parentSpanId }) => parentSpanId === span.spanId)
      .map(({ name }) => name)
      .toSorted();

  test('a batch of a lane is a span with its phases, its place and links to those who produced', async () => {
    const spans = await batchesOf('lanes');
    assert.deepEqual(linked(spans), [traceOf(0), traceOf(1)]);
    for (const span of spans) {
      assert.equal(span.kind, 5);
      assert.equal(span.resource.get('service.name'), 'weir-worker');
      assert.equal(span.attributes.get('messaging.system'), 'kafka');
      assert.equal(span.attributes.get('messaging.destination.name'), 'birds');
      assert.match(String(span.attributes.get('messaging.destination.partition.id')), /^[01]$/);
      assert.deepEqual(below(span), ['process', 'write']);
    }
    assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, spans.length, 'each batch is a trace');
  });

  test('an epoch is a span with its phases and links', async () => {
    const spans = await batchesOf('epochs');
    assert.deepEqual(linked(spans), [traceOf(0), traceOf(1)]);
    for (const span of spans) {
      assert.ok(Number(span.attributes.get('weir.epoch')) >= 0);
      assert.deepEqual(below(span), ['fold', 'map', 'write']);
      const inner = collector.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId);
      assert.ok(inner.every(({ traceId, end }) => traceId === span.traceId && end <= span.end + 1_000_000n));
    }
  });

  test('everything that was sent is as the protocol says', () => {
    assert.deepEqual(collector.mistakes, []);
  });
});
