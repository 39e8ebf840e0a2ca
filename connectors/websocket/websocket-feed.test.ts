/** The websocket feed against a server that really speaks the protocol. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import type { FeedStep, Json } from '../../core/feed/feed.ts';
import type { WebSocketSpec } from '../../core/job/feed-spec.ts';
import { feedSpecSchema } from '../../core/job/feed-spec.ts';
import type { TestSocket } from '../../test/support/test-socket.ts';
import { startTestSocket } from '../../test/support/test-socket.ts';
import { systemClock } from '../system/clock.ts';
import { secretsOf } from '../http/secrets.ts';
import { WebSocketFeed } from './websocket-feed.ts';

const requireHost = (): Promise<void> => Promise.resolve();
const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function serve(...args: Parameters<typeof startTestSocket>): Promise<TestSocket> {
  const server = await startTestSocket(...args);
  closing.push(server.close);
  return server;
}

function feedOf(url: string, options: object = {}): WebSocketFeed {
  const spec = feedSpecSchema.parse({ connector: 'websocket', url, batchEvery: '5ms', ...options }) as WebSocketSpec;
  const feed = new WebSocketFeed(spec, {
    clock: systemClock,
    secret: secretsOf({ WEIR_SECRET_KEY: 'right' }),
    requireHost,
  });
  closing.unshift(() => feed.close());
  return feed;
}

const forever = new AbortController().signal;
const textsOf = (step: FeedStep): string[] => step.rows.map(({ value }) => new TextDecoder().decode(value));

/** Rows until there are so many. */
async function rowsOf(
  feed: WebSocketFeed,
  count: number,
  from: Json = null,
): Promise<{ texts: string[]; cursor: Json }> {
  const texts: string[] = [];
  let cursor = from;
  while (texts.length < count) {
    const step = await feed.next(cursor, forever);
    texts.push(...textsOf(step));
    ({ cursor } = step);
    await feed.appended();
  }
  return { texts, cursor };
}

/** Fails until the server is up again, as the feeder does. */
async function again<T>(act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      assert.ok(isWeirError(error, 'SOURCE_UNAVAILABLE'), String(error));
    }
  }
}

suite('websocket', () => {
  test('subscribes, and gives records within messages', async () => {
    const server = await serve((message, send) => {
      send('{"event":"subscribed"}');
      send(`{"data":[{"id":1,"asked":${message}},{"id":2}]}`);
    });
    const feed = feedOf(server.url, { subscribe: ['{"channel":"trades"}'], records: 'data', id: 'id' });
    const { texts } = await rowsOf(feed, 2);
    assert.deepEqual(texts, ['{"id":1,"asked":{"channel":"trades"}}', '{"id":2}']);
  });

  test('gives the same messages again until they are appended', async () => {
    const server = await serve((_, send) => send('{"id":1}'));
    const feed = feedOf(server.url, { subscribe: ['go'] });
    assert.deepEqual(textsOf(await feed.next(null, forever)), ['{"id":1}']);
    assert.deepEqual(textsOf(await feed.next(null, forever)), ['{"id":1}']);
  });

  test('connects anew after a lost connection and asks for what it missed', async () => {
    const server = await serve((message, send) => {
      const from = Number(/\d+/.exec(message)?.[0] ?? '0');
      for (const id of [1, 2, 3]) send(`{"id":${from + id}}`);
    });
    const feed = feedOf(server.url, { subscribe: ['all'], resume: { field: 'id', subscribe: ['after {last}'] } });
    const first = await rowsOf(feed, 3);
    server.drop();
    const second = await again(() => rowsOf(feed, 3, first.cursor));
    assert.deepEqual(
      [...first.texts, ...second.texts],
      [1, 2, 3, 4, 5, 6].map((id) => `{"id":${id}}`),
    );
    assert.deepEqual(server.received, ['all', 'after 3']);
  });

  test('keeps the connection by heartbeats, and gives a silent one up', async () => {
    const server = await serve();
    const feed = feedOf(server.url, { heartbeat: { every: '5ms', message: 'ping' }, silence: '60ms' });
    await assert.rejects(
      async () => {
        for (;;) await feed.next(null, forever);
      },
      (error: unknown) => isWeirError(error, 'SOURCE_UNAVAILABLE') && /said nothing for 60 ms/.test(error.message),
    );
    assert.ok(server.received.includes('ping'));
    await assert.rejects(async () => {
      for (;;) await feed.next(null, forever);
    });
    assert.equal(server.requests.length, 2);
  });

  test('a server that is not there', async () => {
    const server = await startTestSocket();
    await server.close();
    await assert.rejects(feedOf(server.url).next(null, forever), (error: unknown) =>
      isWeirError(error, 'SOURCE_UNAVAILABLE'),
    );
  });

  test('a server that lets in with a key alone', async () => {
    const server = await serve(undefined, true);
    await assert.rejects(feedOf(server.url).next(null, forever), (error: unknown) =>
      isWeirError(error, 'UNAUTHORIZED'),
    );
    const feed = feedOf(server.url, { headers: { 'X-Key': '${env:WEIR_SECRET_KEY}' } });
    const step = feed.next(null, forever);
    while (server.open.size === 0) await systemClock.sleep(1);
    server.send('not json');
    assert.deepEqual(textsOf(await step), ['not json']);
  });

  test('text that is no JSON is a record, unless records are looked for in it', async () => {
    const server = await serve((_, send) => {
      for (const text of ['{"data":', 'not json', '{"data":null}', '{"data":[{"id":1}]}']) send(text);
    });
    const whole = await rowsOf(feedOf(server.url, { subscribe: ['go'] }), 4);
    assert.deepEqual(whole.texts, ['{"data":', 'not json', '{"data":null}', '{"data":[{"id":1}]}']);
    const within = await rowsOf(feedOf(server.url, { subscribe: ['go'], records: 'data' }), 1);
    assert.deepEqual(within.texts, ['{"id":1}']);
  });

  test('stops at once when it is told to', async () => {
    const server = await serve();
    const leave = new AbortController();
    const feed = feedOf(server.url);
    const step = feed.next(null, leave.signal);
    while (server.open.size === 0) await systemClock.sleep(1);
    leave.abort(new Error('left'));
    await assert.rejects(step, /left/);
    await feed.close();
  });
});
