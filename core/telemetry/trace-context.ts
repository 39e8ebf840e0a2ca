/** W3C Trace Context: the `traceparent` header, in Kafka's records as in HTTP. */

export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const PATTERN = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** null for what is no context: then the record is as one without. A later version is read as far as it is known. */
export function parseTraceparent(text: string): TraceContext | null {
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = PATTERN.exec(text) ?? [];
  if (version === '' || version === 'ff' || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  if (version === '00' && rest !== undefined) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** 2^52: what 13 hex digits hold. */
const RANGE = 2 ** 52;

/** Whether a trace is among `ratio` (0 to 1) of all. Whoever asks for the same trace gets the same answer. */
export function isSampled(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-13), 16) / RANGE < ratio;
}
