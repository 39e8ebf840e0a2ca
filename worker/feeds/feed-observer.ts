/** What feeders tell about themselves, once per step: for metrics. */
export interface FeedObserver {
  /** A step succeeded: rows that were appended, rows that were known already; `nowMs` since 1970. */
  polled(appended: number, known: number, nowMs: number): void;
  /** A step failed; the feed is blocked until the next success. */
  failed(code: string): void;
  /** A row was left out because no log takes one so large. */
  refused(): void;
  /** The feed does not run here any more. */
  left(): void;
}

export const silentFeedObserver: FeedObserver = {
  polled: () => undefined,
  failed: () => undefined,
  refused: () => undefined,
  left: () => undefined,
};
