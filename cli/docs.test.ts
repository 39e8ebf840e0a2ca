import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exitCodes } from './exit.ts';

test('docs/cli.md names every command and every exit code', () => {
  const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'cli.md'), 'utf8');
  const { stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), '--help'], {
    encoding: 'utf8',
  });
  const commands = [...(stdout.split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}([a-z|-]+)/gm)].flatMap(
    (match) => match[1]?.split('|') ?? [],
  );
  assert.ok(commands.length > 35, stdout);
  const code = [...page.matchAll(/`[^`]+`|```[^]*?```/g)].join(' ');
  assert.deepEqual(
    commands.filter((name) => name !== 'help' && !new RegExp(`\\b${name}\\b`).test(code)),
    [],
  );
  assert.deepEqual(
    Object.values(exitCodes).filter((number) => !page.includes(`\n| ${number} |`)),
    [],
  );
});
