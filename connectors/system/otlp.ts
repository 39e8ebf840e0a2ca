/**
 * Sends spans by OTLP/HTTP as JSON (opentelemetry-proto, `ExportTraceServiceRequest` in its JSON mapping): to a
 * collector, Jaeger or Tempo, port 4318. Bounded: what a receiver does not take in time is dropped and counted, never
 * waited for.
 */
import { messageOf } from '../../core/errors.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/ports.ts';
import type { TraceSettings } from '../../core/telemetry/settings.ts';
import type { Span, SpanAttribute, SpanKind, SpanSink } from '../../core/telemetry/span.ts';

/** Spans that wait at most. */
const QUEUE_MAX = 8192;
/** Spans of one request. */
const REQUEST_MAX = 512;
const ATTEMPTS_MAX = 3;
/** Between two complaints in the log, ms. */
const COMPLAINT_MS = 60_000;
const CLOSE_MS_MAX = 3000;

const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, consumer: 5 };

/** About the process. */
export interface OtlpProcess {
  readonly version: string;
  /** Tells processes of one service apart. */
  readonly instance: string;
}

export class OtlpExporter implements SpanSink {
  readonly #settings: TraceSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #resource: unknown;
  readonly #scope: unknown;
  readonly #waiting: Span[] = [];
  readonly #closing = new AbortController();
  #cancelTimer: (() => void) | null = null;
  #sending: Promise<void> | null = null;
  #dropped = 0;
  #complainedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: TraceSettings, { version, instance }: OtlpProcess, clock: Clock, log: Log) {
    this.#settings = settings;
    this.#clock = clock;
    this.#log = log;
    this.#resource = {
      attributes: attributesOf({
        ...settings.resource,
        'service.name': settings.serviceName,
        'service.version': version,
        'service.instance.id': instance,
      }),
    };
    this.#scope = { name: 'weir', version };
  }

  /** Spans that nobody got. */
  get dropped(): number {
    return this.#dropped;
  }

  add(span: Span): void {
    if (this.#waiting.length >= QUEUE_MAX || this.#closing.signal.aborted) {
      this.#drop(1, 'more spans come than are taken');
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= REQUEST_MAX) this.#sendSoon(0);
    else this.#sendSoon(this.#settings.delayMs);
  }

  async close(): Promise<void> {
    this.#sendSoon(0);
    const cancel = this.#clock.timer(CLOSE_MS_MAX, () => this.#closing.abort());
    while (this.#waiting.length > 0 || this.#sending !== null) {
      this.#cancelTimer?.();
      this.#cancelTimer = null;
      await (this.#sending ?? this.#sendAll());
      if (this.#closing.signal.aborted) break;
    }
    this.#cancelTimer?.();
    this.#closing.abort();
    cancel();
  }

  #sendSoon(ms: number): void {
    if (this.#sending !== null || (this.#cancelTimer !== null && ms > 0)) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#clock.timer(ms, () => {
      this.#cancelTimer = null;
      void this.#sendAll();
    });
  }

  /** One request after the other until nothing waits. Never rejects. */
  #sendAll(): Promise<void> {
    this.#sending ??= (async () => {
      while (this.#waiting.length > 0 && !this.#closing.signal.aborted)
        await this.#send(this.#waiting.splice(0, REQUEST_MAX));
      this.#sending = null;
    })();
    return this.#sending;
  }

  async #send(spans: readonly Span[]): Promise<void> {
    const scopeSpans = [{ scope: this.#scope, spans: spans.map(documentOf) }];
    const body = JSON.stringify({ resourceSpans: [{ resource: this.#resource, scopeSpans }] });
    let reason = '';
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (attempt > 0) await this.#pause(this.#settings.delayMs * 2 ** (attempt - 1));
      if (this.#closing.signal.aborted) break;
      const outcome = await this.#post(body);
      if (outcome === null) return;
      ({ reason } = outcome);
      if (!outcome.again) break;
    }
    this.#drop(spans.length, reason);
  }

  /** null = taken. */
  async #post(body: string): Promise<{ readonly reason: string; readonly again: boolean } | null> {
    const { endpoint, headers, timeoutMs } = this.#settings;
    try {
      const answer = await fetch(endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
        redirect: 'error',
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#closing.signal]),
      });
      await answer.body?.cancel();
      if (answer.ok) return null;
      return { reason: `HTTP status ${answer.status}`, again: [429, 502, 503, 504].includes(answer.status) };
    } catch (error) {
      return { reason: messageOf((error as Error).cause ?? error), again: true };
    }
  }

  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#closing.signal).catch(() => undefined);
  }

  #drop(count: number, reason: string): void {
    this.#dropped += count;
    if (this.#clock.mono() - this.#complainedAt < COMPLAINT_MS) return;
    this.#complainedAt = this.#clock.mono();
    const { origin } = new URL(this.#settings.endpoint);
    this.#log.warn({ dropped: this.#dropped }, `spans are not taken by ${origin}: ${reason}`);
  }
}

function documentOf(span: Span): unknown {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === null ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: nanosOf(span.startMs),
    endTimeUnixNano: nanosOf(span.endMs),
    attributes: attributesOf(span.attributes),
    links: span.links.map(({ traceId, spanId, sampled }) => ({ traceId, spanId, flags: sampled ? 1 : 0 })),
  };
}

/** Whole µs; ns as text, since a number cannot hold them. */
function nanosOf(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}

function attributesOf(attributes: Readonly<Record<string, SpanAttribute>>): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }));
}

function valueOf(value: SpanAttribute): unknown {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
