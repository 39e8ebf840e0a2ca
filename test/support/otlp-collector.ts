/** A small OTLP/HTTP collector: checks what it gets as far as the protocol says, and keeps the spans. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  /** 1 = internal, 5 = consumer. */
  readonly kind: number;
  /** ns since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: ReadonlyMap<string, unknown>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** Of the process. */
  readonly resource: ReadonlyMap<string, unknown>;
}

export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** What was not as the protocol says. */
  readonly mistakes: string[];
  /** Headers of each request. */
  readonly requests: Readonly<Record<string, string | string[] | undefined>>[];
  /** Statuses of the next answers instead of 200. */
  readonly statuses: number[];
  close(): Promise<void>;
}

type Json = Readonly<Record<string, unknown>>;

export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const mistakes: string[] = [];
  const requests: Collector['requests'] = [];
  const statuses: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push(request.headers);
      const status = statuses.shift() ?? 200;
      try {
        assert.equal(`${request.method} ${request.url}`, 'POST /v1/traces');
        assert.equal(request.headers['content-type'], 'application/json');
        if (status === 200) spans.push(...spansOf(JSON.parse(Buffer.concat(chunks).toString()) as Json));
      } catch (error) {
        mistakes.push(String(error));
      }
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    mistakes,
    requests,
    statuses,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function spansOf(document: Json): CollectedSpan[] {
  return listOf(document, 'resourceSpans').flatMap((one) => {
    const resource = attributesOf(one['resource'] as Json);
    return listOf(one, 'scopeSpans').flatMap((scope) => listOf(scope, 'spans').map((span) => spanOf(span, resource)));
  });
}

function spanOf(span: Json, resource: CollectedSpan['resource']): CollectedSpan {
  const { traceId, spanId, parentSpanId, name, kind, startTimeUnixNano, endTimeUnixNano } = span;
  assert.match(String(traceId), /^[\da-f]{32}$/);
  assert.match(String(spanId), /^[\da-f]{16}$/);
  if (parentSpanId !== undefined) assert.match(String(parentSpanId), /^[\da-f]{16}$/);
  assert.ok(typeof name === 'string' && name !== '');
  assert.ok(typeof startTimeUnixNano === 'string' && typeof endTimeUnixNano === 'string', '64-bit numbers are text');
  const [start, end] = [BigInt(startTimeUnixNano), BigInt(endTimeUnixNano)];
  assert.ok(start > 0n && end >= start, `${name} ends before it begins`);
  return {
    traceId: String(traceId),
    spanId: String(spanId),
    parentSpanId: parentSpanId === undefined ? null : String(parentSpanId),
    name,
    kind: Number(kind),
    start,
    end,
    attributes: attributesOf(span),
    links: listOf(span, 'links').map((link) => ({ traceId: String(link['traceId']), spanId: String(link['spanId']) })),
    resource,
  };
}

function attributesOf(holder: Json): Map<string, unknown> {
  return new Map(
    listOf(holder, 'attributes').map(({ key, value }) => {
      const [[kind, inner] = ['', null], ...more] = Object.entries(value as Json);
      assert.deepEqual(more, [], 'a value is of one kind');
      if (kind === 'intValue') assert.equal(typeof inner, 'string', '64-bit numbers are text');
      return [String(key), kind === 'intValue' ? Number(inner) : inner];
    }),
  );
}

function listOf(holder: Json, name: string): readonly Json[] {
  const list = holder[name] ?? [];
  assert.ok(Array.isArray(list), `${name} is a list`);
  return list as readonly Json[];
}
