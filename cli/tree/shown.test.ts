import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command } from 'commander';
import type { Add } from './add.ts';
import { addJobCommands } from './jobs.ts';
import { addLookCommands, addStateCommands } from './look.ts';
import { addProcessCommands } from './processes.ts';
import { addWritingCommands } from './write.ts';

const root = join(import.meta.dirname, '..', '..');

/** The tree with commands that do nothing. */
function idleProgram(): Command {
  const program = new Command('weir');
  const add: Add = (usage, description) =>
    program
      .command(usage)
      .description(description)
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .action(() => undefined);
  for (const adding of [addJobCommands, addStateCommands, addLookCommands, addWritingCommands, addProcessCommands])
    adding(add);
  return program.exitOverride().configureOutput({ writeErr: () => undefined });
}

test('commands that the web page shows beside its buttons are commands', () => {
  const shown = globSync('ui/{pages,parts}/*.tsx', { cwd: root }).flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/`weir [^`]+|'weir [^']+/g)].map(([text]) => text.slice(6)),
  );
  // A name stands for a name; what is put together of more is left out.
  const lines = new Set(shown.map((line) => line.replaceAll(/\$\{[\w.]+\}/g, 'x').replace(/\$\{[^]*$/, '')));
  assert.ok(lines.size >= 8, [...lines].join('\n'));
  for (const line of lines)
    assert.doesNotThrow(() => idleProgram().parse(line.split(' '), { from: 'user' }), `weir ${line}`);
  assert.throws(() => idleProgram().parse(['drain', 'x'], { from: 'user' }), /missing required argument/);
});
