/** SECURITY.md names a test for each threat; here it is made sure that they are there, and that none of this folder is left out. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');

test('each threat of SECURITY.md has a test that is there', () => {
  const text = readFileSync(join(root, 'SECURITY.md'), 'utf8');
  const table = text.slice(text.indexOf('| threat | '));
  const rows = table
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);
  assert.ok(rows.length >= 24, `${rows.length} rows`);
  const named = new Set<string>();
  for (const row of rows) {
    const files = [...row.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map((match) => match[1] ?? '');
    assert.ok(files.length > 0, row);
    for (const file of files) {
      assert.ok(existsSync(join(root, file)), `${file} of: ${row}`);
      named.add(file);
    }
  }
  const own = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts') && name !== 'table.test.ts');
  assert.deepEqual(
    own.filter((name) => !named.has(`test/security/${name}`)),
    [],
  );
});
