/** Who may not run code gets none onto the workers, whichever door it is tried by. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../connectors/system/clock.ts';
import type { TokenRole } from '../../core/security/roles.ts';
import { tokenRoles } from '../../core/security/roles.ts';
import { TokenStore } from '../../master/security/token-store.ts';
import { quietCluster } from './quiet-cluster.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-code-'));
const store = new TokenStore(folder, systemClock);
const tokens = new Map(
  tokenRoles.map((role) => [role, store.create({ name: role, role, validMs: null, fingerprint: null }).token]),
);

const plain = {
  apiVersion: 'weir/v1',
  kind: 'Job',
  name: 'totals',
  sources: { rows: { connector: 'kafka', topic: 'rows', schema: 'k STRING NOT NULL, n BIGINT' } },
  query: 'SELECT k, n FROM rows',
  sinks: [{ connector: 'blackhole' }],
};
const withCode = {
  ...plain,
  keyedState: { key: ['k'], state: {}, output: 'k STRING NOT NULL', functions: ['onRow'] },
  module: { hash: '0'.repeat(64), entry: 'job.ts', files: [{ path: 'job.ts', source: 'export default 1' }] },
};
const code = JSON.stringify(withCode);
/** The same in other clothes: YAML, an anchor, a merge of documents, an escaped key. */
const disguises = [
  code,
  code.replace('"module"', '"\\u006dodule"'),
  code.replace('"module":', '? "module"\n:'),
  `x: &m ${JSON.stringify(withCode.module)}\n${JSON.stringify(plain).slice(1, -1).replaceAll(',"', '\n"')}`,
];

suite('jobs with code', () => {
  const { app, control, service } = quietCluster({ host: '0.0.0.0', tokens: store });
  after(async () => {
    await app.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = async (
    role: TokenRole,
    method: 'POST' | 'PUT',
    url: string,
    body: unknown,
  ): Promise<{ readonly status: number; readonly code: unknown }> => {
    const payload = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { host: 'master', authorization: `Bearer ${tokens.get(role)}` };
    const answer = await app.inject({ method, url, headers, payload });
    return { status: answer.statusCode, code: answer.json<{ code?: unknown }>().code };
  };
  const submission = (more: object): object => ({ action: 'CreateSubmissionRequest', ...more });
  const doors: readonly (readonly ['POST' | 'PUT', string, (text: string) => unknown])[] = [
    ['POST', '/v1/jobs', (text) => text],
    ['POST', '/v1/jobs?dryRun=true', (text) => text],
    ['PUT', '/v1/jobs/totals', (text) => text],
    ['PUT', '/v1/jobs/totals?dryRun=true', (text) => text],
    ['PUT', '/v1/jobs/totals?start=earliest', (text) => text],
    ['POST', '/v1/submissions/create', (text) => submission({ sparkProperties: { 'spark.weir.job': text } })],
    ['POST', '/v1/submissions/create', (text) => submission({ appResource: `data:,${encodeURIComponent(text)}` })],
    [
      'POST',
      '/v1/submissions/create',
      (text) => submission({ appResource: `data:application/yaml;base64,${Buffer.from(text).toString('base64')}` }),
    ],
  ];

  for (const [method, url, wrap] of doors) {
    test(`${method} ${url} with a module needs submitter-code`, async () => {
      for (const text of disguises.slice(0, 3))
        for (const role of ['viewer', 'operator', 'submitter-declarative', 'worker'] as const)
          assert.deepEqual(
            await ask(role, method, url, wrap(text)),
            { status: 403, code: 'FORBIDDEN' },
            `${role}: ${text}`,
          );
      // What is no job at all is refused for that.
      const odd = await ask('submitter-declarative', method, url, wrap(disguises[3] ?? ''));
      assert.ok(odd.status === 422 || odd.status === 403 || odd.status === 200, String(odd.status));
      assert.equal(control.rows.size, 0, 'nothing was accepted');
    });
  }

  test('what is in the cluster already: going back to it, and sending it records', async () => {
    assert.equal((await ask('submitter-code', 'PUT', '/v1/jobs/totals', code)).status, 201);
    const letters = { letters: [{ run: 1, topic: 'rows', partition: 0, offset: 1, value: 'e30=' }] };
    for (const role of ['operator', 'submitter-declarative'] as const) {
      const replay = await ask(role, 'POST', '/v1/jobs/totals/dead-letters/replay', letters);
      assert.deepEqual(replay, { status: 403, code: 'FORBIDDEN' });
      const again = await ask(role, 'PUT', '/v1/jobs/totals', code);
      assert.equal(again.status, 403, 'not even the same file');
    }
    assert.equal((await ask('submitter-declarative', 'PUT', '/v1/jobs/totals', plain)).status, 200);
    assert.equal(service.job('totals').row.revision, 2);
    for (const url of ['/v1/jobs/totals/rollback', '/v1/jobs/totals/rollback?to=1'])
      for (const role of ['operator', 'submitter-declarative'] as const)
        assert.deepEqual(await ask(role, 'POST', url, ''), { status: 403, code: 'FORBIDDEN' }, `${role} ${url}`);
    assert.equal((await ask('submitter-code', 'POST', '/v1/jobs/totals/rollback', '')).status, 202);
  });

  test('a job without code is for those who may submit', async () => {
    const other = { ...plain, name: 'plain' };
    assert.equal((await ask('operator', 'PUT', '/v1/jobs/plain', other)).status, 403);
    assert.equal((await ask('submitter-declarative', 'PUT', '/v1/jobs/plain', other)).status, 201);
    const created = submission({ sparkProperties: { 'spark.weir.job': JSON.stringify({ ...plain, name: 'spark' }) } });
    assert.equal((await ask('submitter-declarative', 'POST', '/v1/submissions/create', created)).status, 200);
  });
});
