/** The contract of a source: a feed whose cursor says where to go on, whoever goes on. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Feed, FeedRow, Json } from '../../core/feed/feed.ts';

export interface SourceFixture {
  /** Opens the source as another worker does. */
  open(): Promise<Feed>;
  /** Makes so many more rows appear at the place, after those that are there. */
  add(count: number): Promise<void>;
  close(): Promise<void>;
}

const STEPS_MAX = 1000;
/** A feed that waits for messages is told to end after this, ms. */
const WAIT_MS = 10_000;

interface Taken {
  readonly rows: readonly FeedRow[];
  readonly cursor: Json;
}

/** Registers the suite. The place is empty when the fixture is made. */
export function sourceContract(name: string, make: () => Promise<SourceFixture>): void {
  describe(`source contract: ${name}`, () => {
    let fixture: SourceFixture;
    let there = 0;
    before(async () => {
      fixture = await make();
    });
    after(async () => {
      await fixture?.close();
    });
    const add = async (count: number): Promise<void> => {
      await fixture.add(count);
      there += count;
    };

    test('gives every row once, and says when it has given all', async () => {
      await add(25);
      const { rows } = await takeAll(await fixture.open(), null);
      assert.equal(new Set(rows.map(keyOf)).size, there, 'rows that are there');
      for (const { value } of rows) assert.ok(value instanceof Uint8Array, 'a value is bytes');
    });

    test('goes on behind a cursor that was kept as JSON, in another process', async () => {
      const first = await takeAll(await fixture.open(), null);
      await add(7);
      const next = await takeAll(await fixture.open(), kept(first.cursor));
      const seen = new Set(first.rows.map(keyOf));
      const more = next.rows.filter((row) => !seen.has(keyOf(row)));
      assert.equal(new Set(more.map(keyOf)).size, 7, 'what came behind the cursor');
    });

    test('gives the same rows again where a step is done again, under the same ids', async () => {
      const [a, b] = await Promise.all([fixture.open(), fixture.open()]);
      const [one, other] = [await takeAll(a, null), await takeAll(b, null)];
      assert.deepEqual(new Set(one.rows.map(keyOf)), new Set(other.rows.map(keyOf)));
    });

    test('at the end there is nothing, and a cursor to wait at', async () => {
      const { cursor } = await takeAll(await fixture.open(), null);
      const known = new Set((await takeAll(await fixture.open(), null)).rows.map(keyOf));
      const again = await takeAll(await fixture.open(), kept(cursor));
      assert.deepEqual(
        again.rows.filter((row) => !known.has(keyOf(row))),
        [],
      );
    });

    test('a step that is no longer wanted ends', async () => {
      const feed = await fixture.open();
      const { cursor } = await takeAll(await fixture.open(), null);
      const stop = new AbortController();
      const step = feed.next(kept(cursor), stop.signal, () => false).catch(() => undefined);
      stop.abort(new Error('no longer wanted'));
      await step;
      await feed.close();
    });
  });
}

/** Steps until the feed has caught up, then closes it. */
async function takeAll(feed: Feed, from: Json): Promise<Taken> {
  const rows: FeedRow[] = [];
  let cursor = from;
  try {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const step = await feed.next(kept(cursor), AbortSignal.timeout(WAIT_MS), () => false);
      rows.push(...step.rows);
      cursor = step.cursor;
      assert.ok(step.waitMs >= 0, 'waitMs');
      if (step.rows.length > 0) await feed.appended?.(kept(cursor));
      if (step.caughtUp) return { rows, cursor };
    }
  } finally {
    await feed.close();
  }
  assert.fail(`the source has not caught up after ${STEPS_MAX} steps`);
}

/** As it comes back from the header of a record. */
function kept(cursor: Json): Json {
  return JSON.parse(JSON.stringify(cursor)) as Json;
}

/** What tells a row from others. */
function keyOf({ id, value }: FeedRow): string {
  return id ?? Buffer.from(value).toString('base64');
}
