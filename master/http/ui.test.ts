import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import type { JobView } from '../views.ts';
import type { Look } from '../watch.ts';
import { FiguresHistory } from './ui-history.ts';
import { addUi } from './ui.ts';

function setUp() {
  const app = Fastify();
  const listeners = new Set<(look: Look) => void>();
  let now = 0;
  const watch = {
    subscribe: (listener: (look: Look) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  addUi(app, { watch, clock: { now: () => now } });
  const look = (jobs: readonly JobView[], at: number): void => {
    now = at;
    for (const listener of listeners) listener({ jobs, workers: [], events: [], progress: [] });
  };
  return { app, look, listeners };
}

/** The part of a view that is sampled. */
function view(name: string, rows: number, p99: number | null = null): JobView {
  const figures = { recordsPerSecond: rows + 1, rowsPerSecond: rows, lag: rows, latencyMsP50: p99, latencyMsP99: p99 };
  return { row: { name }, ...figures } as unknown as JobView;
}

suite('the page', () => {
  test('every screen has an address, and no other path has', async () => {
    const { app } = setUp();
    for (const url of ['/', '/jobs/users', '/jobs/users/partitions', '/topics/a%2Fb', '/editor', '/dead-letters']) {
      const answer = await app.inject({ method: 'GET', url });
      assert.equal(answer.statusCode, 200, url);
      assert.match(String(answer.headers['content-type']), /^text\/html/);
    }
    assert.equal((await app.inject({ method: 'GET', url: '/nowhere' })).statusCode, 404);
    assert.equal((await app.inject({ method: 'GET', url: '/ui/../../package.json' })).statusCode, 404);
  });

  test('runs nothing inline and may talk to its own master only', async () => {
    const { app } = setUp();
    const page = await app.inject({ method: 'GET', url: '/' });
    assert.doesNotMatch(page.body, /<script>|\son\w+=|style=|https?:\/\//);
    const policy = String(page.headers['content-security-policy']);
    assert.match(policy, /default-src 'none'.*script-src 'self'.*connect-src 'self'.*frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
  });

  test('its files are named by content, kept for a year, and sent compressed to who takes that', async () => {
    const { app } = setUp();
    const page = await app.inject({ method: 'GET', url: '/' });
    assert.equal(page.headers['cache-control'], 'no-cache');
    const [, url = ''] = /src="(\/ui\/app\.js\?v=[0-9a-f]{12})"/.exec(page.body) ?? [];
    assert.notEqual(url, '');
    const plain = await app.inject({ method: 'GET', url });
    const zipped = await app.inject({ method: 'GET', url, headers: { 'accept-encoding': 'gzip, br' } });
    assert.match(String(plain.headers['cache-control']), /immutable/);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    assert.equal(gunzipSync(zipped.rawPayload).toString(), plain.body);
  });

  test('figures are remembered every two seconds', async () => {
    const { app, look } = setUp();
    look([view('users', 5, 12), view('orders', 1)], 10_000);
    look([view('users', 6)], 10_500);
    look([view('users', 7)], 12_000);
    const of = async (job: string): Promise<unknown> =>
      (await app.inject({ method: 'GET', url: `/v1/ui/history?job=${job}` })).json();
    assert.deepEqual(await of('users'), {
      at: [10_000, 12_000],
      records: [6, 8],
      rows: [5, 7],
      lag: [5, 7],
      p50: [12, null],
      p99: [12, null],
    });
    assert.deepEqual(await of(''), {
      at: [10_000, 12_000],
      records: [8, 8],
      rows: [6, 7],
      lag: [6, 7],
      p50: [12, null],
      p99: [12, null],
    });
    assert.deepEqual(await of('nobody'), { at: [], records: [], rows: [], lag: [], p50: [], p99: [] });
  });

  test('nothing listens on after the server has closed', async () => {
    const { app, listeners } = setUp();
    await app.close();
    assert.equal(listeners.size, 0);
  });
});

suite('history of figures', () => {
  test('keeps ten minutes and forgets jobs that are gone', () => {
    const history = new FiguresHistory();
    for (let at = 0; at < 400; at++)
      history.take([view('users', at), ...(at < 100 ? [view('gone', 1)] : [])], at * 2000);
    const { at, rows } = history.of('users');
    assert.equal(at.length, 300);
    assert.deepEqual([at[0], at.at(-1)], [200_000, 798_000]);
    assert.deepEqual([rows[0], rows.at(-1)], [100, 399]);
    assert.deepEqual(history.of('gone').at, []);
  });
});
