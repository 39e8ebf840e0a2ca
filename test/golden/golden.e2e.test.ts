/** The tests that lie beside the example and golden jobs, by the command that people run them with. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

const files = globSync('{jobs,test/golden}/*.test.yaml', { cwd: root });

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

function weirTest(args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'cli/main.ts', 'test', ...args], {
      cwd: root,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('exit', (code) => resolve({ code, output }));
  });
}

for (const workers of ['1', '3']) {
  test(`every job does what its tests say, ${workers} workers`, { timeout: 240_000 }, async () => {
    const { code, output } = await weirTest([...files, '--workers', workers]);
    assert.equal(code, 0, output);
    const [, passed] = /(\d+) passed, 0 failed/.exec(output) ?? [];
    assert.ok(Number(passed) >= 9, output);
  });
}

test('a test that does not hold says which row is missing and which came instead', { timeout: 120_000 }, async () => {
  const { code, output } = await weirTest(['test/golden/failing/wrong.test.yaml']);
  assert.equal(code, 1, output);
  assert.match(output, /FAIL .*the total is wrong on purpose/);
  assert.match(output, /step 1: 1 rows expected, 1 came/);
  assert.match(output, /- missing {5}\{"account":1,"balance":11\}/);
  assert.match(output, /\+ unexpected {2}\{"account":1,"balance":10\}/);
  assert.match(output, /0 passed, 1 failed/);
});

test('--update writes what came into the file, whose other lines stay', { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-update-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const name of ['account-balances.yaml', 'failing'])
    cpSync(join(root, 'test/golden', name), join(folder, name), { recursive: true });
  const file = join(folder, 'failing', 'wrong.test.yaml');
  const before = readFileSync(file, 'utf8');
  const updated = await weirTest([file, '--update']);
  assert.equal(updated.code, 0, updated.output);
  assert.match(updated.output, /new {2}.*the total is wrong on purpose[^]*1 expect now what came/);
  assert.equal(readFileSync(file, 'utf8'), before.replace('balance: 11', 'balance: 10'));
  assert.equal((await weirTest([file])).code, 0);
});
