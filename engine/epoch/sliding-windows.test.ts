import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonRow } from './test-run.ts';
import { runSql } from './test-run.ts';

const SIZE = 10;
const SLIDE = 2;
const DELAY = 3;
const sources = { events: 'k STRING, n BIGINT, ts TIMESTAMP' };
const EVENTS = `events WATERMARK ts DELAY OF INTERVAL ${DELAY} SECONDS`;
const BASE_S = Date.UTC(2024, 0, 1) / 1000;

interface Event {
  readonly k: string | null;
  readonly n: number | null;
  /** Seconds; null = no time. */
  readonly at: number | null;
}

const toRow = ({ k, n, at }: Event): JsonRow => ({
  k,
  n,
  ts: at === null ? null : new Date((BASE_S + at) * 1000).toISOString(),
});

/** Windows that a time lies in, by their starts. */
function windowsOf(at: number): number[] {
  const last = Math.floor((BASE_S + at) / SLIDE) * SLIDE - BASE_S;
  return Array.from({ length: SIZE / SLIDE }, (_, index) => last - index * SLIDE).filter((start) => at < start + SIZE);
}

const event = fc.record({
  k: fc.constantFrom('a', 'b', 'c', 'd', null),
  n: fc.option(fc.nat(9), { nil: null, freq: 5 }),
  at: fc.option(fc.nat(60), { nil: null, freq: 9 }),
});
const step = fc.record({
  partitions: fc.array(fc.array(event, { maxLength: 8 }), { maxLength: 3 }),
  hosts: fc.option(fc.integer({ min: 1, max: 3 }), { nil: null, freq: 2 }),
});

const query = `SELECT unix_millis(window.start) AS start, k, count(*) AS c, sum(n) AS total FROM ${EVENTS}
  GROUP BY window(ts, '${SIZE} seconds', '${SLIDE} seconds'), k`;

test('property: windows that overlap come out once, whole but for late rows, wherever their panes live', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
      const run = runSql(query, sources, { outputMode: 'append' });
      const groups = new Map<string, { start: number; k: string | null; c: number; total: number | null }>();
      const given: string[] = [];
      let late = 0;
      let expectedLate = 0;
      let lateAt = -Infinity;
      for (const { partitions, hosts } of steps) {
        if (hosts !== null) run.restart(hosts);
        for (const { k, n, at } of partitions.flat()) {
          if (at === null) continue;
          for (const start of windowsOf(at)) {
            if (start + SIZE <= lateAt) {
              expectedLate++;
              continue;
            }
            const key = `${start}/${k}`;
            const group = groups.get(key) ?? { start, k, c: 0, total: null };
            group.c++;
            if (n !== null) group.total = (group.total ?? 0) + n;
            groups.set(key, group);
          }
        }
        const out = run.step({ events: partitions.map((rows) => rows.map(toRow)) });
        for (const rows of Object.values(out.late)) late += rows;
        given.push(...out.rows.map((row) => JSON.stringify(row)));
        // A no-data epoch follows each one that moved the watermark: what is late is known from then on.
        lateAt = out.watermarkMs === null ? -Infinity : out.watermarkMs / 1000 - BASE_S;
      }
      const final = [...groups.values()].filter(({ start }) => start + SIZE <= lateAt);
      const expected = final.map(({ start, ...rest }) => JSON.stringify({ start: (BASE_S + start) * 1000, ...rest }));
      assert.deepEqual(given.toSorted(), expected.toSorted());
      assert.equal(late, expectedLate);
    }),
    { numRuns: 100 },
  );
});

test('an aggregate of the window itself looks at the window, not at its panes', () => {
  const run = runSql(
    `SELECT unix_millis(window.start) AS start, unix_millis(max(window).start) AS most FROM ${EVENTS}
  GROUP BY window(ts, '${SIZE} seconds', '${SLIDE} seconds')`,
    sources,
    { outputMode: 'append' },
  );
  run.step({ events: [[toRow({ k: 'a', n: 1, at: 9 })]] });
  const { rows } = run.step({ events: [[toRow({ k: 'a', n: 1, at: 60 })]] });
  assert.deepEqual(
    rows.map(({ start, most }) => [start, most]),
    windowsOf(9)
      .toSorted((a, b) => a - b)
      .map((start) => [(BASE_S + start) * 1000, (BASE_S + start) * 1000]),
  );
});
