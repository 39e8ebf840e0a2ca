/** What comes in at the master's HTTP door: other web sites, odd paths, floods of input, text that is meant for a terminal. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../connectors/system/clock.ts';
import { loadJobFile } from '../../core/job/file.ts';
import type { RouteSpec } from '../../master/http/routes.ts';
import { routes } from '../../master/http/routes.ts';
import { TokenStore } from '../../master/security/token-store.ts';
import { mayReadMetrics } from '../../worker/metrics-access.ts';
import { noLog } from '../conformance/no-log.ts';
import { quietCluster } from './quiet-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-doors-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const host = { host: '127.0.0.1:7080' };

suite('other web sites', () => {
  const { app, asked } = quietCluster();
  after(async () => await app.close());

  test('no name that resolves to loopback, no other origin, no cross-site request: on no route', async () => {
    const foreign = [
      { host: 'evil.example' },
      { host: 'evil.example:7080' },
      { host: '127.0.0.1.evil.example' },
      { host: 'localhost.evil.example:7080' },
      { ...host, origin: 'http://evil.example' },
      { ...host, origin: 'http://127.0.0.1:7081' },
      { ...host, origin: 'null' },
      { ...host, 'sec-fetch-site': 'cross-site' },
      { ...host, 'sec-fetch-site': 'same-site', origin: 'http://localhost:9000' },
    ];
    const all = Object.values(routes) as readonly RouteSpec[];
    for (const { method, path } of all)
      for (const headers of foreign) {
        const url = path.replaceAll(/\{\w+\}/g, 'x');
        const payload = method === 'GET' ? {} : { payload: '{}' };
        const { statusCode } = await app.inject({ method, url, headers, ...payload });
        assert.equal(statusCode, 403, `${method} ${url} ${JSON.stringify(headers)}`);
      }
    assert.deepEqual(asked, []);
  });

  test('a form of another site cannot pass for a request of this one: nothing is allowed across origins', async () => {
    const headers = { ...host, origin: 'http://evil.example', 'access-control-request-method': 'PUT' };
    const answer = await app.inject({ method: 'OPTIONS', url: '/v1/jobs/x', headers });
    assert.ok(answer.statusCode >= 400);
    for (const url of ['/', '/v1/jobs', '/metrics', '/v1/nothing']) {
      const { headers: sent } = await app.inject({ method: 'GET', url, headers: host });
      assert.equal(sent['access-control-allow-origin'], undefined, url);
      assert.equal(sent['set-cookie'], undefined, 'a token is in no cookie, so no browser adds it by itself');
    }
  });

  test('a GET changes nothing', () => {
    const changing = Object.entries(routes as Readonly<Record<string, RouteSpec>>).filter(
      ([id, { method }]) =>
        method === 'GET' && /^(stop|start|remove|create|delete|set|reset|apply|submit|revoke)/.test(id),
    );
    assert.deepEqual(changing, []);
  });
});

suite('headers', () => {
  const { app } = quietCluster();
  after(async () => await app.close());

  test('every answer forbids frames, sniffing, inline code and other places', async () => {
    for (const url of [
      '/',
      '/jobs/x',
      '/ui/app.js',
      '/v1/jobs',
      '/v1/jobs/x',
      '/healthz',
      '/metrics',
      '/nothing',
      '/v1/nothing',
    ]) {
      const { headers } = await app.inject({ method: 'GET', url, headers: host });
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'/, url);
      assert.match(policy, /frame-ancestors 'none'/, url);
      assert.match(policy, /base-uri 'none'/, url);
      assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/, url);
      assert.equal(headers['x-content-type-options'], 'nosniff', url);
      assert.equal(headers['x-frame-options'], 'DENY', url);
      assert.equal(headers['referrer-policy'], 'no-referrer', url);
    }
  });

  test('the page has no inline script or style, and the sources make none of text', () => {
    const page = readFileSync(new URL('../../ui/index.html', import.meta.url), 'utf8');
    assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)[^>]*>|<style|\son\w+=|javascript:/i);
    const root = new URL('../../ui/', import.meta.url);
    const sources = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /^(?!bundle).*\.tsx?$/.test(path),
    );
    assert.ok(sources.length > 20);
    for (const path of sources) {
      const text = readFileSync(new URL(path, root), 'utf8');
      assert.doesNotMatch(
        text,
        /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/,
        path,
      );
    }
  });
});

suite('paths', () => {
  const { app } = quietCluster();
  after(async () => await app.close());

  test('no path leads to a file', async () => {
    const secrets = [
      '../package.json',
      '../../package.json',
      'etc/passwd',
      'package.json',
      'authority.pem',
      'tokens.json',
    ];
    const spellings = (path: string): string[] => [
      `/ui/${path}`,
      `/ui/${path.replaceAll('..', '%2e%2e')}`,
      `/ui/${path.replaceAll('../', '..%2f')}`,
      `/ui/${path.replaceAll('../', '..%5c')}`,
      `/ui/${path.replaceAll('../', '%252e%252e%252f')}`,
      `/ui/./${path}`,
      `/ui/app.js/${path}`,
      `/ui/app.js%00${path}`,
      `//${path}`,
      `/${path}`,
      `/jobs/${path.replaceAll('/', '%2f')}`,
    ];
    const page = (await app.inject({ method: 'GET', url: '/', headers: host })).payload;
    for (const url of secrets.flatMap(spellings)) {
      const { statusCode, payload } = await app.inject({ method: 'GET', url, headers: host });
      assert.ok(statusCode >= 400 || payload === page, `${url}: ${statusCode}`);
    }
  });
});

suite('floods', () => {
  const { app } = quietCluster();
  after(async () => await app.close());
  const post = async (url: string, payload: string): Promise<{ readonly status: number; readonly text: string }> => {
    const { statusCode, payload: text } = await app.inject({ method: 'POST', url, headers: host, payload });
    return { status: statusCode, text };
  };

  test('a body above 1 MiB is not read', async () => {
    const { status } = await post('/v1/validate', 'x'.repeat(1024 * 1024 + 1));
    assert.equal(status, 413);
  });

  test('deep, wide and self-repeating documents end with a sentence', async () => {
    const anchors = Array.from({ length: 30 }, (_, n) => `a${n}: &a${n} [${n === 0 ? '1' : `*a${n - 1}, *a${n - 1}`}]`);
    const bombs = [
      '['.repeat(100_000),
      '{"a":'.repeat(100_000),
      '- '.repeat(100_000),
      `${'a:\n '.repeat(2000)}`,
      `{${Array.from({ length: 50_000 }, (_, n) => `"k${n}":1`).join()}}`,
      anchors.join('\n'),
      '!!js/function "function () {}"',
      'a: !!binary "////"',
      '<<: *x',
    ];
    for (const bomb of bombs) {
      const started = process.cpuUsage();
      const { status, text } = await post('/v1/validate', bomb);
      const { user } = process.cpuUsage(started);
      assert.equal(status, 200, `${bomb.slice(0, 20)}: ${text.slice(0, 200)}`);
      assert.match(text, /"valid":false/);
      assert.ok(user < 10_000_000, `${bomb.slice(0, 20)} took ${user} µs of processor time`);
    }
    const { status } = await post('/v1/query', `${'['.repeat(500_000)}`);
    assert.equal(status, 400);
  });

  test('names of prototypes are names', async () => {
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString']) {
      await post('/v1/query', `{"cql":"SELECT 1 FROM a.b","${name}":{"polluted":true}}`);
      await post('/v1/try', JSON.stringify({ job: 'x', rows: {} }).replace('"rows":{}', `"rows":{"${name}":[]}`));
      await post('/v1/validate', `{"${name}":{"polluted":true},"sources":{"${name}":{}}}`);
      loadJobFile(`${name}:\n  polluted: true\n`);
      assert.equal((await app.inject({ method: 'GET', url: `/v1/jobs?${name}=1`, headers: host })).statusCode, 200);
    }
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    assert.deepEqual(Object.keys(Object.prototype), []);
  });
});

suite('what is written down', () => {
  const lines: { readonly level: string; readonly fields: object; readonly message: string }[] = [];
  const keep = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  const log = { ...noLog, info: keep('info'), warn: keep('warn') };
  const store = new TokenStore(folder, systemClock);
  const operator = store.create({ name: 'olga', role: 'operator', validMs: null, fingerprint: null });
  const admin = store.create({ name: 'ada', role: 'admin', validMs: null, fingerprint: null });
  const canary = 'canary-0123456789-"quoted"';
  const { app } = quietCluster({
    host: '0.0.0.0',
    tokens: store,
    log,
    redact: (text) => text.replaceAll(JSON.stringify(canary).slice(1, -1), '***'),
  });
  after(async () => await app.close());
  const ask = async (token: string, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: string) =>
    await app.inject({
      method,
      url,
      headers: { host: 'master', authorization: `Bearer ${token}` },
      ...(payload === undefined ? {} : { payload }),
    });

  test('who asked for what, and whether it was done; looks are not', async () => {
    lines.length = 0;
    await ask(operator.token, 'GET', '/v1/jobs');
    assert.equal(lines.length, 0);
    await ask(operator.token, 'POST', '/v1/jobs/nothing/stop');
    await ask(operator.token, 'POST', '/v1/jobs', 'name: x');
    await ask(admin.token, 'POST', '/v1/tokens', '{"name":"eve","role":"viewer"}');
    assert.deepEqual(
      lines.map(({ level, message }) => `${level} ${message.replace(/[0-9a-f]{16}/, '…')}`),
      [
        'info olga (operator): POST /v1/jobs/nothing/stop: failed (404).',
        'warn olga (operator): POST /v1/jobs: refused.',
        'info ada (admin): POST /v1/tokens body sha256:…: done.',
      ],
    );
    const { events } = (await ask(admin.token, 'GET', '/v1/events/recent')).json<{
      events: { kind: string; message: string }[];
    }>();
    assert.ok(events.some(({ kind, message }) => kind === 'audit' && message.startsWith('olga (operator)')));
  });

  test('no token stands in an answer, a line or the file, but once in the answer that makes it', async () => {
    lines.length = 0;
    const made = await ask(admin.token, 'POST', '/v1/tokens', '{"name":"ida","role":"viewer"}');
    const { token } = made.json<{ token: string }>();
    const [, , secret = ''] = token.split('_');
    await ask(token, 'DELETE', '/v1/tokens/ida');
    await ask(admin.token, 'DELETE', '/v1/tokens/ida');
    await ask(token, 'GET', '/v1/jobs');
    const list = await ask(admin.token, 'GET', '/v1/tokens');
    const refused = await ask(token, 'GET', '/v1/jobs');
    assert.equal(refused.statusCode, 401, 'it opens nothing from then on');
    assert.match(refused.payload, /does not take the token/);
    for (const text of [list.payload, JSON.stringify(lines), readFileSync(join(folder, 'tokens.json'), 'utf8')])
      for (const part of [secret, operator.token, admin.token]) assert.ok(!text.includes(part));
    assert.ok(!list.payload.includes('secretHash'));
  });

  test('wrong tokens fill no log', async () => {
    lines.length = 0;
    for (let n = 0; n < 200; n++) await ask('wrong', 'GET', '/v1/jobs');
    assert.ok(lines.length <= 20, `${lines.length} lines`);
  });

  test('control characters do not get into events, secrets do not get into answers', async () => {
    lines.length = 0;
    await ask(operator.token, 'POST', '/v1/jobs/%0d%0aSet-Cookie:%1b[2J/stop');
    await ask(operator.token, 'POST', `/v1/workers/${encodeURIComponent(canary)}/drain`);
    // oxlint-disable-next-line no-control-regex
    for (const { message } of lines) assert.doesNotMatch(message, /[\u0000-\u001f\u007f]/);
    const answer = await ask(admin.token, 'POST', '/v1/query', JSON.stringify({ cql: canary }));
    assert.ok(!answer.payload.includes('canary-0123'), answer.payload);
    const echoed = await ask(admin.token, 'GET', `/v1/jobs/${encodeURIComponent(canary)}`);
    assert.ok(!echoed.payload.includes(canary) && !echoed.payload.includes('canary-0123456789-\\"'), echoed.payload);
  });
});

test('a worker’s metrics off loopback are for those who have a token for that', () => {
  assert.ok(mayReadMetrics('127.0.0.1', [])(undefined));
  const may = mayReadMetrics('0.0.0.0', ['cluster', undefined, '', 'metrics']);
  for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Bearer wrong', 'Basic cluster', 'cluster'])
    assert.ok(!may(header), String(header));
  assert.ok(may('Bearer cluster') && may('bearer metrics'));
  assert.ok(!mayReadMetrics('0.0.0.0', ['', undefined])('Bearer '), 'no token opens nothing');
});
