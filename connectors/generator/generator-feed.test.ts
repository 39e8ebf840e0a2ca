/** Rows by a rule, at a rate: on a clock of the test. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../core/clock.ts';
import type { FeedRow, FeedStep, Json } from '../../core/feed/feed.ts';
import type { GeneratorSpec } from '../../core/job/feed-spec.ts';
import { feedSpecSchema } from '../../core/job/feed-spec.ts';
import { systemClock } from '../system/clock.ts';
import { GeneratorFeed } from './generator-feed.ts';

/** Time that passes when the test says so. */
class Time {
  ms = 1000;
  readonly clock: Clock = { ...systemClock, mono: () => this.ms, now: () => this.ms };
}

const specOf = (options: object): GeneratorSpec =>
  feedSpecSchema.parse({
    connector: 'generator',
    fields: { n: { sequence: {} }, kind: { oneOf: ['a', 'b', null] } },
    ...options,
  }) as GeneratorSpec;

const textsOf = (rows: readonly FeedRow[]): string[] => rows.map(({ value }) => new TextDecoder().decode(value));
const numbersOf = (rows: readonly FeedRow[]): number[] => rows.map(({ id }) => Number(id));
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** Steps as a worker asks for them, each after the pause that the one before asked for. */
async function rowsOver(feed: GeneratorFeed, time: Time, ms: number, from: Json = null): Promise<FeedRow[]> {
  const rows: FeedRow[] = [];
  for (let cursor = from, end = time.ms + ms; time.ms < end;) {
    const step: FeedStep = await feed.next(cursor);
    rows.push(...step.rows);
    cursor = step.cursor;
    time.ms += step.waitMs;
  }
  return rows;
}

describe('the generator', () => {
  for (const rowsPerSecond of [0.5, 3, 200, 5000])
    test(`${rowsPerSecond} rows a second`, async () => {
      const time = new Time();
      const rows = await rowsOver(new GeneratorFeed(specOf({ rowsPerSecond }), time.clock), time, 20_000);
      const expected = rowsPerSecond * 20;
      assert.ok(Math.abs(rows.length - expected) <= 1 + rowsPerSecond * 0.1, `${rows.length} rows of ${expected}`);
      assert.deepEqual(numbersOf(rows), numbers(0, rows.length), 'each number once');
    });

  test('another worker goes on with the next number, and makes the same rows', async () => {
    const time = new Time();
    const spec = specOf({ rowsPerSecond: 100 });
    const first = new GeneratorFeed(spec, time.clock);
    const { rows, cursor } = await first.next(null);
    assert.equal(rows.length, 1);
    time.ms += 500;
    const lost = await first.next(cursor);
    assert.equal(lost.rows.length, 50);
    // The rows of the step were never durable: whoever comes next makes them again.
    const again = await rowsOver(new GeneratorFeed(spec, time.clock), time, 1000, cursor);
    assert.deepEqual(textsOf(again.slice(0, 50)), textsOf(lost.rows));
    assert.equal(numbersOf(again)[0], 1);
  });

  test('a log or a worker that stands still leaves no debt: a second is made up for, and no more', async () => {
    const time = new Time();
    const feed = new GeneratorFeed(specOf({ rowsPerSecond: 100 }), time.clock);
    const { cursor } = await feed.next(null);
    time.ms += 3_600_000;
    const behind = await feed.next(cursor);
    assert.equal(behind.rows.length, 100);
    assert.ok(behind.waitMs > 0, 'it is not behind any more');
    const [next] = (await rowsOver(feed, time, 1000, behind.cursor)).slice(0, 1);
    assert.equal(next?.id, '101');
  });

  test('a rate that nothing keeps up with comes in batches that are bounded', async () => {
    const time = new Time();
    const feed = new GeneratorFeed(specOf({ rowsPerSecond: 1_000_000 }), time.clock);
    time.ms += 1000;
    await feed.next(null);
    time.ms += 1000;
    const { rows, waitMs } = await feed.next(1);
    assert.equal(rows.length, 20_000);
    assert.equal(waitMs, 0, 'and there is more at once');
  });

  test('ends with the last row; an execution of an endless one takes what is due', async () => {
    const time = new Time();
    const feed = new GeneratorFeed(specOf({ rowsPerSecond: 1000, rows: 250 }), time.clock);
    const rows = await rowsOver(feed, time, 2000);
    assert.deepEqual(numbersOf(rows), numbers(0, 250));
    const last = await feed.next(250);
    assert.deepEqual([last.rows.length, last.caughtUp, last.cursor], [0, true, 250]);
    const endless = await new GeneratorFeed(specOf({}), time.clock).next(null);
    assert.deepEqual([endless.rows.length, endless.caughtUp], [1, true]);
  });
});
