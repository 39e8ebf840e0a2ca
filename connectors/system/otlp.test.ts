import assert from 'node:assert/strict';
import { afterEach, suite, test } from 'node:test';
import { must } from '../../core/assert.ts';
import type { Log } from '../../core/ports.ts';
import { traceSettings } from '../../core/telemetry/settings.ts';
import type { Span } from '../../core/telemetry/span.ts';
import type { Collector } from '../../test/support/otlp-collector.ts';
import { startCollector } from '../../test/support/otlp-collector.ts';
import { systemClock } from './clock.ts';
import { OtlpExporter } from './otlp.ts';

const span = (number: number): Span => ({
  traceId: 'a'.repeat(32),
  spanId: number.toString(16).padStart(16, '0'),
  parentSpanId: number === 1 ? null : '1'.padStart(16, '0'),
  name: `span ${number}`,
  kind: 'consumer',
  startMs: 1_700_000_000_000.25,
  endMs: 1_700_000_000_001.5,
  attributes: { text: 'ä', whole: 7, part: 0.5, yes: true },
  links: [{ traceId: 'b'.repeat(32), spanId: 'c'.repeat(16), sampled: true }],
});

suite('OTLP exporter', () => {
  let collector: Collector | undefined;
  const warnings: string[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_, text) => warnings.push(String(text)),
    error: () => undefined,
    child: () => log,
  };
  const open = async (more: Record<string, string> = {}): Promise<OtlpExporter> => {
    warnings.length = 0;
    collector = await startCollector();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '10', ...more };
    const settings = must(traceSettings(env, 'weir-worker'), () => 'tracing is on');
    return new OtlpExporter(settings, { version: '1.2.3', instance: 'w1' }, systemClock, log);
  };
  afterEach(async () => await collector?.close());

  test('spans come as they were, with what the process is', async () => {
    const exporter = await open({ OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x' });
    exporter.add(span(1));
    exporter.add(span(2));
    await exporter.close();
    const { spans, mistakes, requests } = must(collector, () => 'a collector');
    assert.deepEqual(mistakes, []);
    assert.deepEqual(
      requests.map(({ authorization }) => authorization),
      ['Bearer x'],
    );
    const [first, second] = spans;
    assert.deepEqual(
      [first?.name, first?.parentSpanId, first?.kind, first?.start, first?.end],
      ['span 1', null, 5, 1_700_000_000_000_250_000n, 1_700_000_000_001_500_000n],
    );
    assert.deepEqual([...(first?.attributes ?? [])], Object.entries(span(1).attributes));
    assert.deepEqual(first?.links, [{ traceId: 'b'.repeat(32), spanId: 'c'.repeat(16) }]);
    assert.equal(second?.parentSpanId, first?.spanId);
    assert.deepEqual(
      ['service.name', 'service.version', 'service.instance.id'].map((name) => first?.resource.get(name)),
      ['weir-worker', '1.2.3', 'w1'],
    );
  });

  test('nothing is sent when there is nothing', async () => {
    const exporter = await open();
    await exporter.close();
    assert.equal(collector?.requests.length, 0);
  });

  test('many go in requests of a bounded size, each once', async () => {
    const exporter = await open();
    for (let number = 1; number <= 2000; number++) exporter.add(span(number));
    await exporter.close();
    const { spans, requests } = must(collector, () => 'a collector');
    assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, 2000);
    assert.equal(spans.length, 2000);
    assert.ok(requests.length >= 4, `${requests.length} requests`);
  });

  test('who says "later" is asked again, who says "no" is not', async () => {
    const exporter = await open();
    must(collector, () => 'a collector').statuses.push(503, 429, 200, 400);
    exporter.add(span(1));
    await exporter.close();
    assert.deepEqual([collector?.spans.length, collector?.requests.length, exporter.dropped], [1, 3, 0]);
    const again = new OtlpExporter(
      must(traceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: collector?.url ?? '' }, 'w'), () => 'on'),
      { version: '1', instance: 'w' },
      systemClock,
      log,
    );
    again.add(span(2));
    await again.close();
    assert.deepEqual([collector?.requests.length, again.dropped], [4, 1]);
    assert.deepEqual(warnings, [`spans are not taken by ${collector?.url}: HTTP status 400`]);
  });

  test('a receiver that is away costs no memory and no more than one line a minute', async () => {
    const exporter = await open();
    await collector?.close();
    for (let number = 1; number <= 20_000; number++) exporter.add(span(number));
    assert.ok(exporter.dropped >= 20_000 - 8192 - 512, `${exporter.dropped} were dropped at once`);
    await exporter.close();
    assert.equal(exporter.dropped, 20_000);
    assert.equal(warnings.length, 1);
  });
});
