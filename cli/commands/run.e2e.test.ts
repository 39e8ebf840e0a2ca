import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'weir-run-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What `weir run` prints, and how it ends. */
async function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const main = join(import.meta.dirname, '..', 'main.ts');
  return await new Promise((resolve) => {
    const options = { env: { ...process.env, WEIR_CONFIG: join(folder, 'none') }, timeout: 120_000 };
    execFile(process.execPath, [main, 'run', ...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

suite('weir run', () => {
  test('a job that writes a topic runs without one to be made before, and its records are shown', async () => {
    const job = file(
      'clicks.yaml',
      `apiVersion: weir/v1
kind: Job
name: clicks
sources:
  clicks: { connector: kafka, topic: clicks, startingOffsets: earliest, schema: 'user STRING NOT NULL, n BIGINT' }
query: SELECT user, n FROM clicks WHERE n > 1
sinks:
  - { connector: kafka, topic: seen, key: user }
`,
    );
    const rows = file('rows.ndjson', '{"user":"ann","n":1}\n{"user":"bob","n":2}\n');
    const { code, stdout, stderr } = await run([job, '-i', rows, '--until-empty']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^seen:\nkey +value\nbob +\{"user":"bob","n":2\}\n$/);
    assert.match(stderr, /2 read = 1 passed \+ 1 filtered/);
  });
});
