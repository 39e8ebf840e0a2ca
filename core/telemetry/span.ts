/** Spans of OpenTelemetry, as far as Weir makes them: what a batch took and which records it came from. */
import type { TraceContext } from './trace-context.ts';

export type SpanAttribute = string | number | boolean;

/** consumer: works on records of a log; internal: a part of that. */
export type SpanKind = 'internal' | 'consumer';

/** A span that has ended. */
export interface Span {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** Of a span of the same trace; null = it has none. */
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: SpanKind;
  /** ms since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, SpanAttribute>>;
  /** Spans of other traces that it came from. */
  readonly links: readonly TraceContext[];
}

/** Where spans go. */
export interface SpanSink {
  /** Never throws and never waits: what there is no room for is dropped. */
  add(span: Span): void;
  /** Sends what it has, as far as that works in a few seconds. */
  close(): Promise<void>;
}
