/**
 * Three failed logins of a user within ten minutes raise an alert. Failures are forgotten by a timer, ten minutes after
 * they happened; a login that succeeds forgets them at once.
 */
import { defineJob, keyedState } from 'weir';

const WINDOW_MS = 10 * 60_000;

export default defineJob({
  name: 'login-alerts',
  sources: {
    logins: {
      connector: 'kafka',
      topic: 'logins',
      startingOffsets: 'earliest',
      schema: 'user STRING NOT NULL, ok BOOLEAN NOT NULL, ip STRING, ts TIMESTAMP NOT NULL',
      watermark: { column: 'ts', delay: '1m' },
    },
  },
  query: 'SELECT user, ok, ip, ts FROM logins',
  then: keyedState(
    {
      key: ['user'],
      input: 'user STRING, ok BOOLEAN, ip STRING, ts TIMESTAMP NOT NULL',
      state: { list: 'ts TIMESTAMP NOT NULL, ip STRING' },
      output: 'user STRING NOT NULL, first TIMESTAMP NOT NULL, last TIMESTAMP NOT NULL, ips ARRAY<STRING>',
      timers: 'eventTime',
    },
    {
      onRow({ user, ok, ip, ts }, failures, context) {
        if (ok === true) {
          failures.clear();
          return;
        }
        failures.append({ ts, ip });
        context.registerTimer(ts + WINDOW_MS);
        const recent = failures
          .get()
          .filter((failure) => failure.ts > ts - WINDOW_MS)
          .toSorted((a, b) => a.ts - b.ts);
        const [first] = recent;
        if (recent.length < 3 || first === undefined) return;
        const ips = [...new Set(recent.map((failure) => failure.ip))];
        context.emit({ user: user ?? '', first: first.ts, last: recent.at(-1)?.ts ?? ts, ips });
        failures.clear();
      },
      onTimer(_key, time, failures) {
        failures.set(failures.get().filter((failure) => failure.ts > time - WINDOW_MS));
      },
    },
  ),
  sinks: [
    {
      connector: 'cassandra',
      keyspace: 'golden',
      table: 'login_alerts',
      primaryKey: ['user', 'last'],
      create: true,
    },
  ],
});
