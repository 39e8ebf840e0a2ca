/** The http feed against a real HTTP server: paging, cursors, faults. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { FeedStep, Json } from '../../core/feed/feed.ts';
import type { HttpSpec } from '../../core/job/feed-spec.ts';
import { feedSpecSchema } from '../../core/job/feed-spec.ts';
import type { TestApi } from '../../test/support/test-api.ts';
import { person, startTestApi } from '../../test/support/test-api.ts';
import type { OutboundPolicy } from '../../core/security/outbound.ts';
import { systemClock } from '../system/clock.ts';
import { requireResolvable } from '../system/outbound.ts';
import { HttpFeed } from './http-feed.ts';
import { secretsOf } from './secrets.ts';

const forever = new AbortController().signal;
let api: TestApi;

before(async () => {
  api = await startTestApi();
});
beforeEach(() => {
  api.people = 25;
  api.requests.length = 0;
  api.faults.length = 0;
});
after(() => api.close());

function specOf(path: string, options: object = {}): HttpSpec {
  return feedSpecSchema.parse({
    connector: 'http',
    url: `${api.url}${path}`,
    id: 'login.uuid',
    ...options,
  }) as HttpSpec;
}

function feedOf(spec: HttpSpec, env: Record<string, string> = {}, policy: OutboundPolicy = { kind: 'any' }): HttpFeed {
  const requireHost = (host: string): Promise<void> => requireResolvable(policy, host);
  return new HttpFeed(spec, { clock: systemClock, secret: secretsOf(env), requireHost });
}

/** One round: its steps, and the cursor after it. */
async function round(
  feed: HttpFeed,
  from: Json = null,
): Promise<{ readonly steps: FeedStep[]; readonly cursor: Json }> {
  const steps: FeedStep[] = [];
  for (let cursor = from; ;) {
    const step = await feed.next(cursor, forever);
    steps.push(step);
    // Through text, as it is kept in the log.
    cursor = JSON.parse(JSON.stringify(step.cursor)) as Json;
    if (step.caughtUp) return { steps, cursor };
    assert.equal(step.waitMs, 0, 'no pause within a round');
  }
}

const idsOf = (steps: readonly FeedStep[]): (string | null)[] => steps.flatMap(({ rows }) => rows.map(({ id }) => id));
const everybody = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => (person(index)['login'] as { uuid: string }).uuid);
const pathsOf = (): string[] => api.requests.map(({ path }) => path);

const fails =
  (code: ErrorCode, pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isWeirError(error, code), `${code}, not ${String(error)}`);
    assert.match(error.message, pattern);
    return true;
  };

suite('paging', () => {
  test('follows the address of the next page in the answer', async () => {
    const { steps } = await round(feedOf(specOf('/people', { records: 'results', paging: { next: 'info.next' } })));
    assert.deepEqual(idsOf(steps), everybody(25));
    assert.deepEqual(pathsOf(), ['/people', '/people?page=2', '/people?page=3']);
    assert.equal(steps.at(-1)?.waitMs, 60_000);
    assert.equal(new TextDecoder().decode(steps[0]?.rows[0]?.value), JSON.stringify(person(0)));
  });

  test('follows the Link header', async () => {
    const { steps } = await round(feedOf(specOf('/linked', { paging: { link: true } })));
    assert.deepEqual(idsOf(steps), everybody(25));
  });

  test('counts pages up to an empty one', async () => {
    const { steps } = await round(feedOf(specOf('/people', { records: 'results', paging: { page: {} } })));
    assert.deepEqual(idsOf(steps), everybody(25));
    assert.deepEqual(
      pathsOf(),
      [1, 2, 3, 4].map((page) => `/people?page=${page}`),
    );
  });

  test('counts offsets up to a page that is not full', async () => {
    const { steps } = await round(feedOf(specOf('/offset', { records: 'items', paging: { offset: { limit: 10 } } })));
    assert.deepEqual(idsOf(steps), everybody(25));
    assert.equal(api.requests.length, 3);
  });

  test('hands the cursor of an answer to the next request', async () => {
    const paging = { cursor: { parameter: 'token', path: 'next' } };
    const { steps } = await round(feedOf(specOf('/cursor', { records: 'items', paging })));
    assert.deepEqual(idsOf(steps), everybody(25));
    assert.deepEqual(pathsOf(), ['/cursor', '/cursor?token=10', '/cursor?token=20']);
  });

  test('goes on at the page of its cursor', async () => {
    const spec = specOf('/people', { records: 'results', paging: { next: 'info.next' } });
    const { cursor } = await feedOf(spec).next(null, forever);
    const { steps } = await round(feedOf(spec), cursor);
    assert.deepEqual(idsOf(steps), everybody(25).slice(10));
  });

  test('does not carry credentials to another host', async () => {
    api.faults.push({ status: 200, body: '{"results":[],"info":{"next":"http://elsewhere.example/"}}' });
    const feed = feedOf(specOf('/people', { records: 'results', paging: { next: 'info.next' } }));
    await assert.rejects(feed.next(null, forever), fails('FEED_REFUSED', /http:\/\/elsewhere\.example/));
    api.faults.push({ status: 302, headers: { location: 'http://elsewhere.example/' } });
    const signed = feedOf(specOf('/people', { headers: { 'x-key': 'k' } }));
    await assert.rejects(signed.next(null, forever), fails('FEED_REFUSED', /not sent to another host/));
  });
});

suite('what is new', () => {
  test('a page that has not changed is not sent again', async () => {
    const feed = feedOf(specOf('/people', { records: 'results' }));
    const first = await round(feed);
    const second = await round(feed, first.cursor);
    assert.deepEqual(idsOf(second.steps), []);
    assert.match(String(api.requests[1]?.headers['if-none-match']), /^".{12}"$/);
    api.people = 5;
    assert.equal(idsOf((await round(feed, second.cursor)).steps).length, 5);
  });

  test('asks for what came after the newest record', async () => {
    const feed = feedOf(specOf('/people-after', { records: 'results', since: { parameter: 'after', field: 'seq' } }));
    const first = await round(feed);
    const second = await round(feed, first.cursor);
    assert.deepEqual(idsOf([...first.steps, ...second.steps]), everybody(20));
    assert.deepEqual(pathsOf(), ['/people-after', '/people-after?after=9']);
  });
});

suite('kinds of answers', () => {
  const textsOf = (steps: readonly FeedStep[]): string[] =>
    steps.flatMap(({ rows }) => rows.map(({ value }) => new TextDecoder().decode(value)));

  test('csv, xml and ndjson', async () => {
    api.people = 2;
    const csv = await round(feedOf(specOf('/all.csv', { response: 'csv', id: 'id' })));
    assert.deepEqual(textsOf(csv.steps), [
      '{"id":"u0","name":"Last, 0","seq":0}',
      '{"id":"u1","name":"Last, 1","seq":1}',
    ]);
    const xml = await round(feedOf(specOf('/all.xml', { response: 'xml', records: 'feed.user', id: '@id' })));
    assert.deepEqual(textsOf(xml.steps), [
      '{"@id":"u0","name":"A & B 0","seq":0}',
      '{"@id":"u1","name":"A & B 1","seq":1}',
    ]);
    const lines = await round(feedOf(specOf('/all.ndjson', { response: 'ndjson' })));
    assert.deepEqual(idsOf(lines.steps), everybody(2));
  });

  test('numbers keep their digits', async () => {
    api.faults.push({ status: 200, body: '[{"id":9007199254740993,"price":1.10}]' });
    const { steps } = await round(feedOf(specOf('/people', { id: 'id' })));
    assert.deepEqual(textsOf(steps), ['{"id":9007199254740993,"price":1.10}']);
    assert.deepEqual(idsOf(steps), ['9007199254740993']);
  });

  test('something else than it is said to be', async () => {
    api.faults.push({ status: 200, body: '<h1>Back soon</h1>' });
    await assert.rejects(feedOf(specOf('/people')).next(null, forever), fails('FEED_MALFORMED', /is not json/));
    await assert.rejects(
      feedOf(specOf('/people', { records: 'data.people' })).next(null, forever),
      fails('FEED_MALFORMED', /it has no data\.people/),
    );
  });
});

suite('an API that is', () => {
  test('down', async () => {
    const gone = await startTestApi();
    await gone.close();
    const feed = feedOf({ ...specOf('/people'), url: `${gone.url}/people?key=s3cret` });
    await assert.rejects(feed.next(null, forever), (error: unknown) => {
      assert.ok(isWeirError(error, 'SOURCE_UNAVAILABLE'));
      assert.match(error.message, /does not answer: .*ECONNREFUSED/);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    });
  });

  test('slow', async () => {
    api.faults.push('hang');
    const feed = feedOf(specOf('/people', { timeout: '50ms' }));
    await assert.rejects(feed.next(null, forever), fails('SOURCE_UNAVAILABLE', /no answer within 50ms/));
  });

  test('slow, when the feed is stopped', async () => {
    api.faults.push('hang');
    const leave = new AbortController();
    const waiting = feedOf(specOf('/people')).next(null, leave.signal);
    while (api.requests.length === 0) await systemClock.sleep(1);
    leave.abort(new Error('left'));
    await assert.rejects(waiting);
  });

  test('busy, and says when to come back', async () => {
    api.faults.push({ status: 429, headers: { 'retry-after': '7' } });
    await assert.rejects(feedOf(specOf('/people')).next(null, forever), (error: unknown) => {
      assert.ok(isWeirError(error, 'SOURCE_UNAVAILABLE'));
      assert.equal(error.facts['retryAfterMs'], 7000);
      return true;
    });
  });

  test('private', async () => {
    const spec = specOf('/private', { records: 'results', auth: { bearer: '${env:WEIR_SECRET_KEY}' } });
    assert.equal(idsOf((await round(feedOf(spec, { WEIR_SECRET_KEY: 'right' }))).steps).length, 10);
    await assert.rejects(feedOf(spec, { WEIR_SECRET_KEY: 'wrong' }).next(null, forever), fails('UNAUTHORIZED', /401/));
    await assert.rejects(feedOf(spec).next(null, forever), fails('CONFIG_INVALID', /WEIR_SECRET_KEY is not set/));
    const other = specOf('/private', { auth: { bearer: '${env:WEIR_TOKEN}' } });
    await assert.rejects(feedOf(other, { WEIR_TOKEN: 't' }).next(null, forever), fails('CONFIG_INVALID', /begin with/));
  });

  test('one that jobs may not reach, also by a redirect', async () => {
    const spec = specOf('/people');
    await assert.rejects(feedOf(spec, {}, { kind: 'public' }).next(null, forever), fails('FORBIDDEN', /127\.0\.0\.1/));
    assert.equal(api.requests.length, 0);
    api.faults.push({ status: 302, headers: { location: 'http://169.254.169.254/latest' } });
    await assert.rejects(feedOf(spec).next(null, forever), fails('FORBIDDEN', /169\.254\.169\.254/));
  });

  test('not there, or larger than allowed', async () => {
    await assert.rejects(feedOf(specOf('/nowhere')).next(null, forever), fails('FEED_REFUSED', /answered 404/));
    const small = feedOf(specOf('/people', { responseBytesMax: 100 }));
    await assert.rejects(small.next(null, forever), fails('FEED_REFUSED', /more than 100 bytes/));
  });
});
