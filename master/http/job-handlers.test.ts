import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobName } from '../../core/ids.ts';
import { host, job, setUp, yaml } from './test-service.ts';

type Facts = Readonly<Record<string, unknown>>;
type App = ReturnType<typeof setUp>['app'];

const put = async (app: App, name: string, payload: string): Promise<void> => {
  const { statusCode } = await app.inject({ method: 'PUT', url: `/v1/jobs/${name}`, headers: yaml, payload });
  assert.equal(statusCode, 201);
};

const patch = async (
  app: App,
  payload: unknown,
  { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: Facts }> => {
  const all = { ...host, 'content-type': 'application/merge-patch+json', ...headers };
  const answer = await app.inject({
    method: 'PATCH',
    url: `/v1/jobs/users${query}`,
    headers: all,
    payload: JSON.stringify(payload),
  });
  return { status: answer.statusCode, body: answer.json() };
};

suite('REST: PATCH of a job', () => {
  test('what is named changes and is a new revision; the same patch again changes nothing', async () => {
    const { app, service } = setUp();
    await put(app, 'users', `# Ours.\n${job('users')}`);
    const first = await patch(app, { trigger: '5s', labels: { team: 'web' } });
    assert.deepEqual([first.status, first.body['change'], first.body['revision']], [200, 'updated', 2]);
    const { source, plan } = await service.definition('users');
    assert.deepEqual(plan.trigger, { kind: 'interval', everyMs: 5000 });
    assert.match(source, /^# Ours\.\napiVersion/);
    const second = await patch(app, { trigger: '5s' });
    assert.deepEqual([second.body['change'], second.body['revision']], ['unchanged', 2]);
    assert.equal((await patch(app, { trigger: null })).body['revision'], 3);
    assert.deepEqual((await service.definition('users')).plan.trigger, { kind: 'asap' });
  });

  test('If-Match names the revision that is meant; a dry run changes nothing', async () => {
    const { app, control } = setUp();
    await put(app, 'users', job('users'));
    const late = await patch(app, { trigger: '5s' }, { headers: { 'if-match': '"7"' } });
    assert.deepEqual([late.status, late.body['code']], [412, 'CONFLICT']);
    const dry = await patch(app, { trigger: '5s' }, { query: '?dryRun=true', headers: { 'if-match': '"1"' } });
    assert.deepEqual([dry.status, dry.body['kind'], dry.body['changed']], [200, 'valid', true]);
    assert.equal(control.rows.get(jobName('users'))?.revision, 1);
  });

  test('what would be no job is refused with its place, and what is no object or no job at once', async () => {
    const { app } = setUp();
    await put(app, 'users', job('users'));
    const refused = await patch(app, { sinks: [], triger: '5s' });
    assert.equal(refused.status, 422);
    const paths = (refused.body['problems'] as readonly Facts[]).map(({ path }) => path);
    assert.deepEqual(paths.toSorted(), ['sinks', 'triger']);
    assert.equal((await patch(app, { name: 'other' })).status, 422);
    assert.equal((await patch(app, ['trigger'])).status, 400);
    const none = await app.inject({ method: 'PATCH', url: '/v1/jobs/none', headers: host, payload: '{}' });
    assert.equal(none.statusCode, 404);
  });

  test('somebody who changed the job between the reading and the writing is not overwritten', async () => {
    const { app, control } = setUp();
    await put(app, 'users', job('users'));
    const read = control.definition.bind(control);
    control.definition = async (name, hash) => {
      const text = await read(name, hash);
      const row = control.rows.get(name);
      if (row !== undefined) control.rows.set(name, { ...row, revision: (row.revision + 1) as typeof row.revision });
      return text;
    };
    assert.equal((await patch(app, { trigger: '5s' })).status, 412);
  });
});

suite('REST: labels and charts', () => {
  test('jobs are listed by labels', async () => {
    const { app } = setUp();
    await put(app, 'a', `${job('a')}labels: { team: web, env: prod }\n`);
    await put(app, 'b', `${job('b')}labels: { team: web }\n`);
    await put(app, 'c', job('c'));
    const list = async (label: string): Promise<string[]> => {
      const { jobs } = (await app.inject({ url: `/v1/jobs?fields=summary&label=${label}`, headers: host })).json<{
        jobs: { name: string; labels: Facts }[];
      }>();
      return jobs.map(({ name }) => name);
    };
    assert.deepEqual(await list('team=web'), ['a', 'b']);
    assert.deepEqual(await list(encodeURIComponent('team=web,env!=prod')), ['b']);
    assert.equal((await app.inject({ url: '/v1/jobs?label=Team', headers: host })).statusCode, 400);
  });

  test('a plan is explained as text and as charts', async () => {
    const { app } = setUp();
    await put(app, 'users', job('users'));
    const explain = async (format: string): Promise<string> => {
      const answer = await app.inject({ url: `/v1/jobs/users/explain?format=${format}`, headers: host });
      assert.match(String(answer.headers['content-type']), /^text\/plain/);
      return answer.body;
    };
    assert.match(await explain('text'), /^job users\nprotocol: lanes/);
    assert.match(await explain('mermaid'), /^flowchart LR\n/);
    assert.match(await explain('dot'), /^digraph "users" \{\n[^]*source0 -> stage0;\n {2}stage0 -> sink0;\n\}\n$/);
    assert.equal((await app.inject({ url: '/v1/jobs/users/explain?format=svg', headers: host })).statusCode, 400);
  });
});
