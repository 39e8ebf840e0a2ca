import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { suite, test } from 'node:test';
import { Registry } from 'prom-client';
import { systemClock } from '../../connectors/system/clock.ts';
import { WeirError } from '../../core/errors.ts';
import { workerId } from '../../core/ids.ts';
import { LogRing } from '../../core/telemetry/log-ring.ts';
import { ClusterLogs } from '../cluster-logs.ts';
import type { Standing } from '../leadership.ts';
import { routes } from './routes.ts';
import { startHttp } from './server.ts';
import { host, job, noLog, setUp, yaml } from './test-service.ts';

suite('REST: jobs', () => {
  test('PUT creates once, changes nothing the second time, and a change is a new revision', async () => {
    const { app, tables } = setUp();
    const put = async (query?: string): Promise<{ status: number; body: Record<string, unknown> }> => {
      const answer = await app.inject({
        method: 'PUT',
        url: '/v1/jobs/users',
        headers: yaml,
        payload: job('users', query),
      });
      return { status: answer.statusCode, body: answer.json() };
    };
    const first = await put();
    assert.deepEqual(
      [first.status, first.body['change'], first.body['revision'], first.body['run']],
      [201, 'created', 1, 1],
    );
    assert.deepEqual([...tables.tables.keys()], ['ks.users', 'weir.dead_letters']);
    const second = await put();
    assert.deepEqual([second.status, second.body['change'], second.body['revision']], [200, 'unchanged', 1]);
    const third = await put('SELECT id FROM users');
    assert.deepEqual(
      [third.status, third.body['change'], third.body['revision'], third.body['run']],
      [200, 'updated', 2, 2],
    );
  });

  test('a job at rest is started by applying it again', async () => {
    const { app, control } = setUp();
    const put = async (): Promise<unknown> =>
      (await app.inject({ method: 'PUT', url: '/v1/jobs/users', headers: yaml, payload: job('users') })).json<{
        change: string;
      }>().change;
    await put();
    await app.inject({ method: 'POST', url: '/v1/jobs/users/stop', headers: host });
    assert.equal(control.jobs()[0]?.row.state, 'stopped');
    assert.equal(await put(), 'started');
    assert.equal(control.jobs()[0]?.row.state, 'running');
  });

  test('stateful jobs: step, savepoints, rollback', async () => {
    const { app, control } = setUp();
    const ask = async (
      method: 'GET' | 'PUT' | 'POST' | 'DELETE',
      url: string,
    ): Promise<{ status: number; body: unknown }> => {
      const answer = await app.inject({ method, url: `/v1/jobs/${url}`, headers: host });
      return { status: answer.statusCode, body: answer.body === '' ? null : answer.json<unknown>() };
    };
    await app.inject({ method: 'PUT', url: '/v1/jobs/users', headers: yaml, payload: job('users') });
    assert.deepEqual(await ask('POST', 'users/step'), { status: 200, body: { epochs: 2 } });
    assert.equal((await ask('POST', 'missing/step')).status, 404);
    const kept = { name: 'v1.2', job: 'users', run: 1, revision: 1, epoch: 11, bytes: 99, createdAt: 5 };
    assert.deepEqual(await ask('PUT', 'users/savepoints/v1.2'), { status: 201, body: kept });
    assert.equal((await ask('PUT', 'users/savepoints/..%2F..')).status, 400);
    assert.equal((await ask('PUT', 'missing/savepoints/a')).status, 404);
    assert.deepEqual(await ask('GET', 'users/savepoints'), { status: 200, body: { savepoints: [kept] } });
    assert.equal((await ask('DELETE', 'users/savepoints/other')).status, 404);
    assert.equal((await ask('DELETE', 'users/savepoints/v1.2')).status, 204);
    assert.deepEqual(control.kept, []);
    assert.equal((await ask('POST', 'users/rollback?to=x')).status, 400);
    assert.equal((await ask('POST', 'users/rollback?to=7')).status, 404);
    await app.inject({
      method: 'PUT',
      url: '/v1/jobs/users',
      headers: yaml,
      payload: job('users', 'SELECT id FROM users'),
    });
    const { body } = await ask('POST', 'users/rollback?to=1');
    const { revision: made, warnings } = body as { revision: number; warnings: readonly string[] };
    assert.deepEqual([made, warnings], [3, ['aggregate-1 drops n']]);
  });

  test('a job can begin at a savepoint', async () => {
    const { app, control } = setUp();
    const starts: unknown[] = [];
    const inner = control.apply.bind(control);
    control.apply = (definition, options?: unknown) => {
      starts.push(options);
      return inner(definition);
    };
    const put = async (start: string): Promise<number> =>
      (await app.inject({ method: 'PUT', url: `/v1/jobs/users?start=${start}`, headers: yaml, payload: job('users') }))
        .statusCode;
    assert.equal(await put('savepoint:v1'), 201);
    assert.equal(await put('savepoint:'), 400);
    assert.deepEqual(starts, [{ start: { savepoint: 'v1' } }]);
  });

  test('paused: nothing that is at rest is started, and only what is yes is passed on', async () => {
    const { app, control } = setUp();
    const asked: unknown[] = [];
    const inner = control.apply.bind(control);
    control.apply = (definition, options?: { readonly paused?: boolean }) => {
      asked.push(options?.paused);
      return inner(definition);
    };
    const put = async (query: string, users = job('users')): Promise<string> =>
      (await app.inject({ method: 'PUT', url: `/v1/jobs/users?${query}`, headers: yaml, payload: users })).json<{
        change: string;
      }>().change;
    assert.equal(await put('paused=true'), 'created');
    assert.equal(await put('paused=false', job('users', 'SELECT id FROM users')), 'updated');
    assert.deepEqual(asked, [true, undefined]);
    await app.inject({ method: 'POST', url: '/v1/jobs/users/stop', headers: host });
    assert.equal(await put('paused', job('users', 'SELECT id FROM users')), 'unchanged');
    assert.equal(await put('', job('users', 'SELECT id FROM users')), 'started');
  });

  test('a dry run changes nothing', async () => {
    const { app, control, tables } = setUp();
    const answer = await app.inject({
      method: 'PUT',
      url: '/v1/jobs/users?dryRun=true',
      headers: yaml,
      payload: job('users'),
    });
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), {
      kind: 'valid',
      name: 'users',
      changed: true,
      stateCompatible: true,
      warnings: answer.json<{ warnings: string[] }>().warnings,
    });
    assert.equal(control.rows.size + tables.tables.size, 0);
  });

  test('a change says what becomes of what the job keeps, and one that is refused touches no table', async () => {
    const { app, control, tables } = setUp();
    const put = async (query: string, payload: string) =>
      await app.inject({ method: 'PUT', url: `/v1/jobs/users${query}`, headers: yaml, payload });
    await put('', job('users'));
    const changed = job('users', 'SELECT id FROM users');
    for (const query of ['?dryRun=true', '']) {
      const { warnings } = (await put(query, changed)).json<{ warnings: readonly string[] }>();
      assert.ok(warnings.includes('what it keeps changes'), warnings.join());
    }
    tables.tables.clear();
    control.changes = () =>
      Promise.reject(new WeirError('STATE_INCOMPATIBLE', 'aggregate-1 is keyed by another column'));
    const refused = await put('', job('users'));
    assert.equal(refused.statusCode, 409);
    assert.equal(refused.json<{ code: string }>().code, 'STATE_INCOMPATIBLE');
    assert.equal(tables.tables.size, 0);
  });

  test('a bad file is refused with every mistake and its place', async () => {
    const { app, control } = setUp();
    const text = job('users').replace('topic: users', 'topik: users').replace('name: users', 'name: Users');
    const answer = await app.inject({ method: 'PUT', url: '/v1/jobs/users', headers: yaml, payload: text });
    assert.equal(answer.statusCode, 422);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    const body = answer.json<{ code: string; problems: { line: number; column: number }[] }>();
    assert.equal(body.code, 'JOB_INVALID');
    assert.deepEqual(
      body.problems.map(({ line, column }) => `${line}:${column}`),
      ['3:7', '7:5'],
    );
    assert.equal(control.rows.size, 0);
  });

  test('a mistake in the SQL has its line and column in the file', async () => {
    const { app } = setUp();
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/validate',
      headers: yaml,
      payload: job('users', 'SELECT id, agee FROM users'),
    });
    const body = answer.json<{ valid: boolean; problems: { line: number; column: number }[] }>();
    assert.equal(body.valid, false);
    assert.deepEqual(
      body.problems.map(({ line, column }) => `${line}:${column}`),
      ['9:19'],
    );
  });

  test('more than a request may send is refused as a document, with its own status', async () => {
    const { app } = setUp();
    const payload = job('users').padEnd(1024 * 1024 + 1, ' ');
    const answer = await app.inject({ method: 'POST', url: '/v1/validate', headers: yaml, payload });
    assert.equal(answer.statusCode, 413);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    assert.match(answer.json<{ detail: string }>().detail, /too large/);
  });

  test('JSON is taken too, and the name must be the same', async () => {
    const { app } = setUp();
    const { loadJobFile } = await import('../../core/job/file.ts');
    const payload = JSON.stringify(loadJobFile(job('users')).spec);
    const headers = { ...host, 'content-type': 'application/json' };
    assert.equal((await app.inject({ method: 'PUT', url: '/v1/jobs/users', headers, payload })).statusCode, 201);
    assert.equal((await app.inject({ method: 'PUT', url: '/v1/jobs/other', headers, payload })).statusCode, 422);
  });

  test('status, wait, list, delete', async () => {
    const { app } = setUp();
    const get = async (url: string): Promise<number> =>
      (await app.inject({ method: 'GET', url, headers: host })).statusCode;
    assert.equal(await get('/v1/jobs/users'), 404);
    await app.inject({ method: 'PUT', url: '/v1/jobs/users', headers: yaml, payload: job('users') });
    assert.equal(await get('/v1/jobs/users'), 200);
    assert.equal(await get('/v1/jobs/users/status'), 200);
    assert.equal(await get('/v1/jobs/users/wait?state=running'), 200);
    assert.equal(await get('/v1/jobs/users/wait?state=finished'), 404);
    assert.equal(
      (await app.inject({ method: 'GET', url: '/v1/jobs', headers: host })).json<{ jobs: unknown[] }>().jobs.length,
      1,
    );
    const remove = async (): Promise<number> =>
      (await app.inject({ method: 'DELETE', url: '/v1/jobs/users', headers: host })).statusCode;
    assert.equal(await remove(), 409);
    await app.inject({ method: 'POST', url: '/v1/jobs/users/cancel', headers: host });
    assert.equal(await remove(), 204);
    assert.equal(await remove(), 404);
  });
});

suite('REST: cluster', () => {
  test('queries, workers and scrape targets', async () => {
    const { app } = setUp();
    const query = async (payload: string): Promise<{ status: number; body: { code?: string; rows?: unknown } }> => {
      const answer = await app.inject({
        method: 'POST',
        url: '/v1/query',
        headers: { ...host, 'content-type': 'application/json' },
        payload,
      });
      return { status: answer.statusCode, body: answer.json() };
    };
    assert.deepEqual((await query('{"cql":"SELECT count(*) FROM ks.users"}')).body.rows, [[3]]);
    assert.deepEqual(
      [(await query('{"cql":"DROP TABLE x"}')).status, (await query('{"cql":"DROP TABLE x"}')).body.code],
      [400, 'UNSUPPORTED'],
    );
    assert.equal((await query('SELECT 1')).status, 400);
    const targets = await app.inject({ method: 'GET', url: '/v1/targets', headers: { host: '127.0.0.1:7080' } });
    assert.deepEqual(targets.json(), [
      { targets: ['127.0.0.1:7080'], labels: { component: 'master' } },
      { targets: ['127.0.0.1:7081'], labels: { component: 'worker', worker: 'w1-<b>' } },
    ]);
  });

  test('logs of master and workers by process, level and time; those of workers not for viewers', async () => {
    const clock = { ...systemClock, now: () => 5000 };
    const ring = new LogRing(clock, 'master');
    const logs = new ClusterLogs(ring);
    ring.tee(noLog).info({ worker: 'w1-aa' }, 'joined');
    const line = { level: 'warn', job: 'users', message: 'slow', fields: '{"ms":3}' };
    logs.take(workerId('w1-aa'), { first: 1, lines: [{ at: 6000, ...line }] });
    const { app } = setUp({ logs, token: 'everything', metricsToken: 'figures' });
    const ask = async (query: string, token = 'everything'): Promise<string[]> => {
      const headers = { ...host, authorization: `Bearer ${token}` };
      const answer = await app.inject({ method: 'GET', url: `/v1/logs${query}`, headers });
      return answer.statusCode === 200
        ? answer.json<{ lines: { message: string }[] }>().lines.map(({ message }) => message)
        : [String(answer.statusCode)];
    };
    assert.deepEqual(await ask(''), ['joined', 'slow']);
    assert.deepEqual(await ask('', 'figures'), ['joined']);
    assert.deepEqual(await ask('?process=w1'), ['slow']);
    assert.deepEqual(await ask('?worker=w1'), ['joined', 'slow']);
    assert.deepEqual(await ask('?level=warn'), ['slow']);
    assert.deepEqual(await ask('?since=5500'), ['slow']);
    assert.deepEqual(await ask('?since=5m'), [], 'both are of 1970');
    assert.deepEqual(await ask('?since=yesterday'), ['400']);
    assert.deepEqual(await ask('?last=1'), ['slow']);
  });

  test('a worker by its id or by its name, with what it has', async () => {
    const { app, control } = setUp();
    const [one] = control.workers();
    assert.ok(one !== undefined);
    control.workers = () => ['w1-0123abcd', 'w2-0123abcd', 'w2-4567abcd'].map((id) => ({ ...one, id }));
    const get = async (id: string): Promise<unknown[]> => {
      const answer = await app.inject({ method: 'GET', url: `/v1/workers/${id}`, headers: host });
      const body = answer.json<{ id?: string; partitions?: unknown; stateful?: unknown; code?: string }>();
      return [answer.statusCode, body.id ?? body.code, body.partitions, body.stateful];
    };
    assert.deepEqual(await get('w1'), [200, 'w1-0123abcd', [], []]);
    assert.deepEqual(await get('w2-4567abcd'), [200, 'w2-4567abcd', [], []]);
    assert.deepEqual((await get('w2')).slice(0, 2), [409, 'CONFLICT']);
    assert.deepEqual((await get('w')).slice(0, 2), [404, 'NOT_FOUND']);
  });

  test('health, readiness, metrics', async () => {
    const registry = new Registry();
    let standing: Standing = { role: 'opening' };
    const { app } = setUp({ registry, standing: () => standing });
    const get = async (url: string): Promise<number> =>
      (await app.inject({ method: 'GET', url, headers: host })).statusCode;
    assert.deepEqual(
      [await get('/healthz'), await get('/readyz'), await get('/metrics'), await get('/schemas/job.v1.json')],
      [200, 503, 200, 200],
    );
    assert.equal(await get('/v1/jobs'), 503, 'not before it knows its jobs');
    standing = { role: 'standby', leader: null };
    assert.deepEqual([await get('/readyz'), await get('/v1/jobs')], [503, 503], 'nobody leads');
    standing = { role: 'leader' };
    assert.equal(await get('/v1/jobs'), 200);
    assert.equal(await get('/readyz'), 200);
    assert.equal(await get('/nowhere'), 404);
  });

  test('the routes as a page: all of them, its style from here, nothing that runs', async () => {
    const { app } = setUp();
    const { statusCode, headers, body } = await app.inject({ method: 'GET', url: '/docs', headers: host });
    assert.equal(statusCode, 200);
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    assert.match(String(headers['content-security-policy']), /default-src 'none'/);
    for (const { method, path } of Object.values(routes))
      assert.ok(body.includes(`<code><b>${method}</b> ${path}</code>`), `${method} ${path}`);
    assert.doesNotMatch(body, /<script|<style|\son\w+=|style=/);
  });

  test('a method that a path does not have, and a name that is too long, are problems too', async () => {
    const { app } = setUp();
    const ask = async (method: 'GET' | 'DELETE' | 'QUERY' | 'TRACE', url: string) =>
      await app.inject({ method: method as 'GET', url, headers: host });
    for (const method of ['DELETE', 'TRACE', 'QUERY'] as const) {
      const { statusCode, headers, body } = await ask(method, '/v1/jobs');
      assert.deepEqual([statusCode, headers['allow']], [405, 'GET, POST'], method);
      assert.equal((JSON.parse(body) as { code: string }).code, 'NOT_FOUND');
    }
    const long = await ask('GET', `/v1/operations/${'0'.repeat(300)}`);
    assert.equal(long.statusCode, 400);
    assert.match(String(long.headers['content-type']), /^application\/problem\+json/);
  });
});

suite('REST: a master that does not lead', () => {
  const authorization = 'Bearer secret';

  async function pair(standing?: () => Standing) {
    const leader = setUp({ token: 'secret' });
    await leader.app.listen({ host: '127.0.0.1', port: 0 });
    const bound = leader.app.server.address();
    assert.ok(typeof bound === 'object' && bound !== null);
    const address = `http://127.0.0.1:${bound.port}`;
    const standby = setUp({ token: 'secret', standing: standing ?? (() => ({ role: 'standby', leader: address })) });
    return { leader, standby, address };
  }

  test('what is asked of it, the leader answers: bodies, statuses and problems', async () => {
    const { leader, standby, address } = await pair();
    const put = await standby.app.inject({
      method: 'PUT',
      url: '/v1/jobs/users?dryRun=false',
      headers: { ...yaml, authorization },
      payload: job('users'),
    });
    assert.equal(put.statusCode, 201);
    assert.equal(put.json<{ change: string }>().change, 'created');
    assert.deepEqual([leader.control.rows.size, standby.control.rows.size], [1, 0]);
    const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string): Promise<[number, string]> => {
      const answer = await standby.app.inject({ method, url, headers: { ...host, authorization } });
      return [answer.statusCode, answer.body];
    };
    assert.equal((await ask('POST', '/v1/jobs/users/stop'))[0], 202);
    assert.equal(leader.control.jobs()[0]?.row.state, 'stopped');
    assert.equal((await ask('DELETE', '/v1/jobs/users'))[0], 204);
    const [status, body] = await ask('GET', '/v1/jobs/users');
    assert.deepEqual([status, (JSON.parse(body) as { code: string }).code], [404, 'NOT_FOUND']);
    const ready = await standby.app.inject({ method: 'GET', url: '/readyz', headers: host });
    assert.deepEqual([ready.statusCode, ready.json()], [200, { status: 'ready', role: 'standby', leader: address }]);
    await leader.app.close();
  });

  test('it asks for the token itself, and hands nothing on twice', async () => {
    const { leader, standby } = await pair();
    const get = async (headers: Record<string, string>): Promise<number> =>
      (await standby.app.inject({ method: 'GET', url: '/v1/jobs', headers: { ...host, ...headers } })).statusCode;
    assert.equal(await get({}), 401);
    assert.equal(await get({ authorization, 'weir-forwarded': '1' }), 503);
    assert.equal(await get({ authorization, 'sec-fetch-site': 'same-origin', origin: 'http://localhost:7080' }), 200);
    await leader.app.close();
  });

  test('a dead leader: come again', async () => {
    const { leader, standby } = await pair();
    await leader.app.close();
    const answer = await standby.app.inject({
      method: 'POST',
      url: '/v1/jobs/a/step',
      headers: { ...host, authorization },
    });
    assert.deepEqual([answer.statusCode, answer.headers['retry-after']], [503, '1']);
    assert.equal(answer.json<{ code: string }>().code, 'MASTER_UNREACHABLE');
  });

  test('a leader that took a request and went away: only what may be repeated is to be repeated', async () => {
    const frozen = createServer();
    await new Promise<void>((resolve) => frozen.listen(0, '127.0.0.1', resolve));
    const bound = frozen.address();
    assert.ok(typeof bound === 'object' && bound !== null);
    let standing: Standing = { role: 'standby', leader: `http://127.0.0.1:${bound.port}` };
    const { app } = setUp({ standing: () => standing });
    frozen.on('connection', () => {
      standing = { role: 'standby', leader: null };
    });
    const ask = async (method: 'GET' | 'POST', url: string): Promise<unknown[]> => {
      standing = { role: 'standby', leader: `http://127.0.0.1:${bound.port}` };
      const answer = await app.inject({ method, url, headers: host });
      return [answer.statusCode, answer.headers['retry-after']];
    };
    assert.deepEqual(await ask('POST', '/v1/jobs/a/step'), [502, undefined]);
    assert.deepEqual(await ask('GET', '/v1/jobs'), [503, '1']);
    frozen.close();
  });
});

suite('REST: who may ask', () => {
  const routes = [
    ['GET', '/v1/jobs'],
    ['GET', '/v1/workers'],
    ['GET', '/v1/targets'],
    ['GET', '/v1/jobs/x/status'],
    ['PUT', '/v1/jobs/x'],
    ['POST', '/v1/validate'],
    ['POST', '/v1/query'],
    ['POST', '/v1/jobs/x/stop'],
    ['DELETE', '/v1/jobs/x'],
    ['GET', '/v1/no-such-route'],
  ] as const;

  test('with a token nobody gets in without it', async () => {
    const { app } = setUp({ token: 'secret' });
    for (const [method, url] of routes) {
      for (const authorization of [undefined, 'Bearer wrong', 'Bearer ', 'Basic secret', 'Bearer secretsecret']) {
        const answer = await app.inject({
          method,
          url,
          headers: { ...host, ...(authorization === undefined ? {} : { authorization }) },
        });
        assert.deepEqual(
          [answer.statusCode, answer.json<{ code: string }>().code],
          [401, 'UNAUTHORIZED'],
          `${method} ${url} ${authorization}`,
        );
      }
    }
    const good = await app.inject({
      method: 'GET',
      url: '/v1/jobs',
      headers: { ...host, authorization: 'Bearer secret' },
    });
    assert.equal(good.statusCode, 200);
  });

  test('other web sites are refused', async () => {
    const { app } = setUp();
    const foreign = [
      { host: 'evil.example' },
      { host: 'evil.example:7080' },
      { ...host, origin: 'http://evil.example' },
      { ...host, 'sec-fetch-site': 'cross-site' },
      { ...host, origin: 'null' },
    ];
    for (const headers of foreign)
      assert.equal(
        (await app.inject({ method: 'POST', url: '/v1/query', headers, payload: '{"cql":"SELECT 1"}' })).statusCode,
        403,
        JSON.stringify(headers),
      );
    for (const name of ['localhost', '127.0.0.1:7080', '[::1]:7080'])
      assert.equal(
        (await app.inject({ method: 'GET', url: '/v1/jobs', headers: { host: name } })).statusCode,
        200,
        name,
      );
    assert.equal(
      (
        await app.inject({
          method: 'GET',
          url: '/v1/jobs',
          headers: { host: 'localhost:7080', origin: 'http://localhost:7080' },
        })
      ).statusCode,
      200,
    );
  });

  test('off loopback it does not listen without a token', async () => {
    const { service } = setUp();
    const options = { host: '0.0.0.0', port: 0, token: null, registry: new Registry(), log: noLog };
    await assert.rejects(
      startHttp(service, options),
      (error) => error instanceof WeirError && error.code === 'CONFIG_INVALID',
    );
    const server = await startHttp(service, { ...options, token: 'secret' });
    assert.equal((await fetch(`${server.address}/v1/jobs`)).status, 401);
    assert.equal(
      (await fetch(`${server.address}/v1/jobs`, { headers: { authorization: 'Bearer secret' } })).status,
      200,
    );
    await server.close();
  });

  test('a busy port is one sentence', async () => {
    const { service } = setUp();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    await assert.rejects(
      startHttp(service, { host: '127.0.0.1', port, token: null, registry: new Registry(), log: noLog }),
      (error) => error instanceof WeirError && error.code === 'PORT_IN_USE' && error.message.includes(String(port)),
    );
    other.close();
  });
});
