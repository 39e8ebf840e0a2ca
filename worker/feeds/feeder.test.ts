/** The feeder on a real embedded log: what is appended, by whom, and what failures do to it. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { readLog } from '../../cli/testing/read-log.ts';
import { makeConnections } from '../../connectors/connections.ts';
import { startEmbedded } from '../../connectors/embedded/main.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { Clock } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Feed, FeedStep, Json } from '../../core/feed/feed.ts';
import { feedSpecSchema } from '../../core/job/feed-spec.ts';
import type { PlannedFeed } from '../../core/job/feed-topics.ts';
import type { Connections, LogWriter } from '../../core/ports.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import type { FeedObserver } from './feed-observer.ts';
import { silentFeedObserver } from './feed-observer.ts';
import { Feeder } from './feeder.ts';

/** Waits are as short as can be. */
const hasty: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 1), signal) };

/** Rows 0, 1, 2, … three at a time up to `end`; then the round begins again, as an API that is polled. */
class Counting implements Feed {
  readonly end: number;
  readonly batch: number;
  readonly cursors: Json[] = [];
  change = '';

  constructor(end: number, batch = 3) {
    this.end = end;
    this.batch = batch;
  }

  next(cursor: Json): Promise<FeedStep> {
    this.cursors.push(cursor);
    const from = typeof cursor === 'number' ? cursor : 0;
    const to = Math.min(this.end, from + this.batch);
    const rows = Array.from({ length: to - from }, (_, index) => ({
      id: String(from + index),
      value: new TextEncoder().encode(`row ${from + index}${from + index === 4 ? this.change : ''}`),
    }));
    return Promise.resolve({ rows, cursor: to === this.end ? 0 : to, waitMs: 1, caughtUp: to === this.end });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const spec = (url = 'http://a/'): PlannedFeed => ({
  spec: feedSpecSchema.parse({ connector: 'http', url }),
  remember: 100,
});

suite('a feeder', () => {
  let connections: Connections & { close(): Promise<void> };
  let stop: () => Promise<void>;
  let count = 0;
  before(async () => {
    const embedded = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: null, log: noLog, clock: systemClock });
    connections = makeConnections(
      { WEIR_EMBEDDED: embedded.address },
      { clock: systemClock, rng: systemRng, log: noLog },
    );
    stop = () => embedded.close();
  });
  after(async () => {
    await connections?.close();
    await stop?.();
  });

  interface Options {
    readonly topic?: string;
    readonly planned?: PlannedFeed;
    readonly through?: Connections;
    readonly observer?: Partial<FeedObserver>;
    readonly mayWrite?: () => boolean;
    readonly behind?: () => number;
  }

  async function feederOf(
    feed: Feed,
    options: Options = {},
  ): Promise<{ readonly feeder: Feeder; readonly topic: string }> {
    const topic = options.topic ?? `feed${++count}`;
    await connections.logWriter('kafka', {}).createTopic(topic, 1);
    const planned = options.planned ?? spec();
    const { mayWrite, behind } = options;
    const feeder = new Feeder({
      job: 'j',
      source: {
        name: 's',
        connector: 'kafka',
        options: {},
        topic,
        startingOffsets: { kind: 'earliest' },
        onDataLoss: 'fail',
        feed: planned,
      },
      feed: planned,
      connections: options.through ?? connections,
      open: () => Promise.resolve(feed),
      clock: hasty,
      rng: systemRng,
      log: noLog,
      observer: { ...silentFeedObserver, ...options.observer },
      ...(behind === undefined ? {} : { behind }),
      ...(mayWrite === undefined ? {} : { permit: { valid: mayWrite, check: () => undefined } }),
    });
    return { feeder, topic };
  }

  const keys = async (topic: string): Promise<(string | null)[]> =>
    (await readLog(connections.source('kafka', {}), topic, 0)).map(({ key }) => key);
  const numbers = (end: number): string[] => Array.from({ length: end }, (_, index) => String(index));
  const never = new AbortController().signal;

  test('appends each row once, over restarts and over rounds', async () => {
    const feed = new Counting(10);
    const { feeder, topic } = await feederOf(feed);
    await feeder.fetchAll(never);
    assert.deepEqual(await keys(topic), numbers(10));
    const again = new Counting(12);
    const second = await feederOf(again, { topic });
    await second.feeder.fetchAll(never);
    await second.feeder.fetchAll(never);
    assert.deepEqual(await keys(topic), numbers(12));
    // The first step of the second one went on where the last batch of the first one stood.
    assert.deepEqual(again.cursors[0], 0);
  });

  test('goes on in the middle of a round', async () => {
    const leave = new AbortController();
    const first = new Counting(30);
    let steps = 0;
    const observer = {
      polled: () => {
        if (++steps === 3) leave.abort();
      },
    };
    const { feeder, topic } = await feederOf(first, { observer });
    await feeder.run(leave.signal);
    const second = new Counting(30);
    await (await feederOf(second, { topic })).feeder.fetchAll(never);
    assert.equal(second.cursors[0], 9);
    assert.deepEqual(await keys(topic), numbers(30));
  });

  test('a row that changed is appended again, and only that', async () => {
    const feed = new Counting(6);
    const { feeder, topic } = await feederOf(feed);
    await feeder.fetchAll(never);
    feed.change = ', dearer';
    await feeder.fetchAll(never);
    feed.change = '';
    await feeder.fetchAll(never);
    assert.deepEqual(await keys(topic), [...numbers(6), '4', '4']);
  });

  test('another place begins anew', async () => {
    const { feeder, topic } = await feederOf(new Counting(30));
    const leave = new AbortController();
    const running = feeder.fetchAll(leave.signal);
    await running;
    const other = new Counting(3);
    await (await feederOf(other, { topic, planned: spec('http://b/') })).feeder.fetchAll(never);
    assert.equal(other.cursors[0], null);
  });

  test('appends whose answers are lost are not repeated', async () => {
    let appends = 0;
    const through = withWriter(connections, (writer) => ({
      ...writer,
      append: async (records) => {
        await writer.append(records);
        if (++appends % 2 === 1) throw new WeirError('SINK_UNAVAILABLE', 'the answer was lost');
      },
    }));
    const { feeder, topic } = await feederOf(new Counting(20), { through });
    await feeder.fetchAll(never);
    assert.deepEqual(await keys(topic), numbers(20));
  });

  test('says where the log ends with all that was there', async () => {
    const { feeder, topic } = await feederOf(new Counting(7));
    assert.equal(await feeder.fetchAll(never), 7);
    // Nothing is new: the end is where it was.
    assert.equal(await (await feederOf(new Counting(7), { topic })).feeder.fetchAll(never), 7);
    const left = AbortSignal.abort(new Error('over'));
    assert.equal(await (await feederOf(new Counting(9), { topic })).feeder.fetchAll(left), null);
  });

  test('two at once double nothing and lose nothing', async () => {
    const leave = new AbortController();
    const one = await feederOf(new Counting(60));
    const other = await feederOf(new Counting(60), { topic: one.topic });
    const both = [one.feeder.run(leave.signal), other.feeder.run(leave.signal)];
    while ((await keys(one.topic)).length < 60) await systemClock.sleep(5);
    await systemClock.sleep(30);
    leave.abort();
    await Promise.all(both);
    assert.deepEqual(await keys(one.topic), numbers(60));
  });

  test('reads nothing while it may not write', async () => {
    const feed = new Counting(3);
    let may = false;
    const { feeder, topic } = await feederOf(feed, { mayWrite: () => may });
    const running = feeder.fetchAll(never);
    await systemClock.sleep(30);
    assert.deepEqual(feed.cursors, []);
    may = true;
    await running;
    assert.deepEqual(await keys(topic), numbers(3));
  });

  test('waits while the job is far behind', async () => {
    const big: Feed = {
      next: (cursor) =>
        Promise.resolve({
          rows: [{ id: String(cursor ?? 0), value: new Uint8Array(500_000) }],
          cursor: Number(cursor ?? 0) + 1,
          waitMs: 0,
          caughtUp: cursor === 9,
        }),
      close: () => Promise.resolve(),
    };
    let appended = 0;
    let processed = 0;
    const behind = (): number => (appended >= 4 && processed === 0 ? 1000 : 0);
    const { feeder, topic } = await feederOf(big, { behind, observer: { polled: (rows) => (appended += rows) } });
    const running = feeder.fetchAll(never);
    while (appended < 4) await systemClock.sleep(1);
    await systemClock.sleep(30);
    assert.equal((await keys(topic)).length, 4);
    processed = 4;
    await running;
    assert.deepEqual(await keys(topic), numbers(10));
  });

  test('says why it is blocked, until it is not', async () => {
    const codes: string[] = [];
    let failures = 2;
    const feed = new Counting(3);
    const failing: Feed = {
      next: (cursor) => {
        if (failures-- > 0) throw new WeirError('UNAUTHORIZED', 'no');
        return feed.next(cursor);
      },
      close: () => Promise.resolve(),
    };
    const seen: (string | undefined)[] = [];
    const { feeder, topic } = await feederOf(failing, {
      observer: {
        failed: (code) => codes.push(code),
        polled: () => seen.push(feeder.blockedBy?.code),
      },
    });
    await feeder.fetchAll(never);
    assert.deepEqual(codes, ['UNAUTHORIZED', 'UNAUTHORIZED']);
    assert.deepEqual(seen, ['UNAUTHORIZED']);
    assert.equal(feeder.blockedBy, null);
    assert.deepEqual(await keys(topic), numbers(3));
  });

  test('leaves a row out that no log takes, and says so', async () => {
    let refused = 0;
    const huge: Feed = {
      next: () =>
        Promise.resolve({
          rows: [
            { id: 'huge', value: new Uint8Array(2_000_000) },
            { id: 'small', value: new Uint8Array(1) },
          ],
          cursor: 1,
          waitMs: 0,
          caughtUp: true,
        }),
      close: () => Promise.resolve(),
    };
    const { feeder, topic } = await feederOf(huge, { observer: { refused: () => (refused += 1) } });
    await feeder.fetchAll(never);
    assert.deepEqual([await keys(topic), refused], [['small'], 1]);
  });
});

type Exclusive = Awaited<ReturnType<NonNullable<LogWriter['openExclusive']>>>;

/** The connections with another kind of exclusive writer. */
function withWriter(connections: Connections, wrap: (writer: Exclusive) => Pick<Exclusive, 'append'>): Connections {
  return new Proxy(connections, {
    get: (target, name) => {
      if (name !== 'logWriter') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      }
      return (connector: string, options: Readonly<Record<string, unknown>>): LogWriter => {
        const writer = target.logWriter(connector, options);
        return {
          partitionCount: (topic) => writer.partitionCount(topic),
          append: (appends, permit) => writer.append(appends, permit),
          createTopic: (topic, partitions) => writer.createTopic(topic, partitions),
          close: () => writer.close(),
          openExclusive: async (...args) => {
            const inner = await writer.openExclusive?.(...args);
            assert.ok(inner);
            const { append } = wrap({
              end: inner.end,
              append: (records) => inner.append(records),
              close: () => inner.close(),
            });
            return { end: inner.end, append, close: () => inner.close() };
          },
        };
      };
    },
  });
}
