/** Every route with every role, and without one: generated from the table of routes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import type { Access, Role, TokenRole } from '../../core/security/roles.ts';
import { includesRole, roles, tokenRoles } from '../../core/security/roles.ts';
import type { RouteSpec } from '../../master/http/routes.ts';
import { routes } from '../../master/http/routes.ts';
import { TokenStore } from '../../master/security/token-store.ts';
import { quietCluster } from './quiet-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-roles-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let now = Date.now();
const store = new TokenStore(folder, { now: () => now, mono: () => performance.now() });
const make = (name: string, role: TokenRole, validMs: number | null = null): string =>
  store.create({ name, role, validMs, fingerprint: null }).token;
const tokens = new Map(tokenRoles.map((role) => [role, make(role, role)]));
const expired = make('expired', 'admin', 1000);
const revoked = make('revoked', 'admin');
store.revoke('revoked');
now += 2000;

const [, , viewerSecret = ''] = (tokens.get('viewer') ?? '').split('_');
/** Whoever sends these is nobody. */
const strangers = new Map<string, string | undefined>([
  ['nothing', undefined],
  ['an empty token', 'Bearer '],
  ['a wrong token', 'Bearer wrong'],
  ['an unknown token', `Bearer weir_aaaaaaaa_${viewerSecret}`],
  ['a secret that is not the token’s', `Bearer ${(tokens.get('admin') ?? '').slice(0, 14)}${viewerSecret}`],
  ['an expired token', `Bearer ${expired}`],
  ['a revoked token', `Bearer ${revoked}`],
  ['another scheme', `Basic ${Buffer.from('admin:admin').toString('base64')}`],
  ['two tokens', `Bearer ${tokens.get('viewer')} ${tokens.get('admin')}`],
  ['the file’s hash', `Bearer ${store.list()[0]?.secretHash}`],
]);

const page = ['/', '/jobs/x', '/workers', '/topics', '/tables', '/dead-letters', '/events', '/editor'];
const assets = ['/ui/app.js', '/ui/app.css', '/ui/icon.svg'];
/** What the table does not hold. */
const others: readonly (readonly [string, string, Access])[] = [
  ...[...page, ...assets].map((path) => ['GET', path, 'open'] as const),
  ['GET', '/v1/ui/history', 'viewer'],
];
/** With a stream's topic that is none, since its answer would not end. */
function exampleOf(path: string): string {
  return path === routes.streamEvents.path ? `${path}?topics=none` : path.replaceAll(/\{\w+\}/g, 'x');
}

const all: readonly (readonly [string, string, Access])[] = [
  ...(Object.values(routes) as readonly RouteSpec[]).map(
    ({ method, path, role }) => [method, exampleOf(path), role] as const,
  ),
  ...others,
];

/** Status of a request. */
async function ask(
  app: ReturnType<typeof quietCluster>['app'],
  [method, url]: readonly [string, string, ...unknown[]],
  authorization?: string,
): Promise<{ readonly status: number; readonly code: unknown; readonly challenge: unknown }> {
  const answer = await app.inject({
    method: method as 'GET',
    url,
    headers: { host: 'localhost', ...(authorization === undefined ? {} : { authorization }) },
    ...(method === 'GET' ? {} : { payload: '{}' }),
  });
  const isProblem = String(answer.headers['content-type']).startsWith('application/problem+json');
  const code = isProblem && answer.payload !== '' ? answer.json<{ code: unknown }>().code : null;
  return { status: answer.statusCode, code, challenge: answer.headers['www-authenticate'] };
}

suite('routes and roles', () => {
  const outside = quietCluster({ host: '0.0.0.0', tokens: store });
  const inside = quietCluster();
  const guarded = quietCluster({ token: 'cluster-secret', tokens: store });
  after(async () => {
    for (const { app } of [outside, inside, guarded]) await app.close();
  });

  for (const route of all) {
    const [method, path, access] = route;
    test(`off loopback, ${method} ${path} needs ${access}`, async () => {
      for (const [who, authorization] of strangers) {
        const { status, code, challenge } = await ask(outside.app, route, authorization);
        if (access === 'open') assert.ok(status < 400, `${who}: ${status}`);
        else {
          assert.deepEqual([status, code], [401, 'UNAUTHORIZED'], who);
          assert.match(String(challenge), /^Bearer /);
        }
      }
      for (const [role, token] of tokens) {
        const { status, code, challenge } = await ask(outside.app, route, `Bearer ${token}`);
        const needed: Role | null = access === 'open' ? null : access === 'local' ? 'viewer' : access;
        if (needed === null || includesRole(role, needed)) {
          assert.ok(status !== 401 && status !== 403, `${role}: ${status}`);
        } else {
          assert.deepEqual([status, code], [403, 'FORBIDDEN'], role);
          assert.match(String(challenge), new RegExp(`scope="${needed}"`));
        }
      }
    });
  }

  test('on loopback without a token nobody is asked', async () => {
    for (const route of all) {
      const { status } = await ask(inside.app, route);
      assert.ok(status !== 401 && status !== 403, `${route.join(' ')}: ${status}`);
    }
  });

  test('on loopback with a token it counts, beside those by name', async () => {
    for (const route of all) {
      const isOpen = route[2] === 'open' || route[2] === 'local';
      assert.equal((await ask(guarded.app, route)).status === 401, !isOpen, route.join(' '));
      const cluster = await ask(guarded.app, route, 'Bearer cluster-secret');
      assert.ok(cluster.status !== 401 && cluster.status !== 403, route.join(' '));
      const viewer = await ask(guarded.app, route, `Bearer ${tokens.get('viewer')}`);
      assert.equal(viewer.status === 403, !isOpen && route[2] !== 'viewer', route.join(' '));
    }
  });

  test('what does not exist, other methods and other spellings open nothing', async () => {
    const spellings = [
      '/v1/nothing',
      '/nothing',
      '/%761/jobs',
      '/v1/%6Aobs',
      '//v1/jobs',
      '/./v1/jobs',
      '/x/../v1/jobs',
      '/V1/jobs',
      '/v1/jobs/',
      '/v1/jobs?x=/healthz',
      '/v1/jobs;/healthz',
      '/v1/jobs%00',
      '/metrics/',
      '/%6Detrics',
      '/jobs/../v1/jobs',
      '/healthz/../v1/jobs',
      '/healthz%2f..%2fv1%2fjobs',
      'http://localhost/v1/jobs',
    ];
    for (const url of spellings) assert.equal((await ask(outside.app, ['GET', url])).status, 401, url);
    for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE'])
      for (const url of ['/v1/jobs', '/healthz', '/metrics', '/'])
        assert.ok([400, 401, 404].includes((await ask(outside.app, [method, url])).status), `${method} ${url}`);
  });

  test('five roles in a row, and a worker is none of them', () => {
    const matrix = tokenRoles.map((has) => roles.map((needed) => (includesRole(has, needed) ? 1 : 0)).join(''));
    assert.deepEqual(matrix, ['10000', '11000', '11100', '11110', '11111', '00000']);
  });
});
