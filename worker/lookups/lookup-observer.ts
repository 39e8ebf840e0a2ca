/** What the lookups of one table tell about themselves, once per batch or request: for metrics. */
export interface LookupObserver {
  /** Keys of a batch: answered from what is kept, on their way already, or asked for. */
  keys(hits: number, joined: number, misses: number): void;
  /** A request ended after `ms`; `code` = why it failed, null = it did not. */
  request(ms: number, code: string | null): void;
  /** Keys that nobody answered for. */
  failed(count: number): void;
  inFlight(requests: number): void;
  /** What is kept. */
  kept(entries: number, bytes: number): void;
  /** The table is not looked up here any more. */
  left(): void;
}

export const silentLookupObserver: LookupObserver = {
  keys: () => undefined,
  request: () => undefined,
  failed: () => undefined,
  inFlight: () => undefined,
  kept: () => undefined,
  left: () => undefined,
};
