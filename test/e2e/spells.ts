/**
 * Counts and sums of each user's events in windows of ten seconds, kept by functions: a map of open windows, and a timer
 * at the end of each. What it gives does not depend on the order in which events come.
 */
import { defineJob, keyedState } from 'weir';

const WINDOW_MS = 10_000;

export default defineJob({
  name: 'spells',
  sources: {
    events: {
      connector: 'kafka',
      topic: 'events',
      startingOffsets: 'earliest',
      schema: 'u STRING NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP NOT NULL',
      watermark: { column: 'ts', delay: '15s' },
    },
  },
  query: "SELECT u, v, ts FROM events WHERE u <> 'end'",
  then: keyedState(
    {
      key: ['u'],
      input: 'u STRING NOT NULL, v BIGINT NOT NULL, ts TIMESTAMP NOT NULL',
      state: { map: { key: 'BIGINT', value: 'n BIGINT NOT NULL, s BIGINT NOT NULL' } },
      output: 'u STRING NOT NULL, f BIGINT NOT NULL, n BIGINT NOT NULL, s BIGINT NOT NULL',
      timers: 'eventTime',
    },
    {
      onRow({ v, ts }, windows, context) {
        const from = BigInt(ts - (ts % WINDOW_MS));
        const { n, s } = windows.get(from) ?? { n: 0n, s: 0n };
        windows.set(from, { n: n + 1n, s: s + v });
        context.registerTimer(Number(from) + WINDOW_MS);
      },
      onTimer({ u }, time, windows, context) {
        const from = BigInt(time - WINDOW_MS);
        const window = windows.get(from);
        if (window === null) return;
        context.emit({ u, f: from, n: window.n, s: window.s });
        windows.delete(from);
      },
    },
  ),
  sinks: [{ connector: 'cassandra', keyspace: 'state_run', table: 'spells', primaryKey: [['u'], 'f'], create: true }],
});
