import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runOnChange } from './run-on-change.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-change-'));
after(() => rmSync(folder, { recursive: true }));

test('again after each change, also of one that runs or has failed, until it is told to stop', async () => {
  const file = join(folder, 'job.yaml');
  writeFileSync(file, '1');
  const stop = new AbortController();
  const seen: string[] = [];
  const code = await runOnChange([file], stop.signal, async (again) => {
    const turn = seen.push('began');
    if (turn === 1) {
      // As editors save: another file takes the name.
      writeFileSync(`${file}.new`, 'changed');
      renameSync(`${file}.new`, file);
      await new Promise<void>((resolve) => again.addEventListener('abort', () => resolve()));
      seen[0] = 'cut short';
    } else if (turn === 2) {
      setTimeout(() => writeFileSync(file, 'changed once more'), 50);
      throw new Error('refused');
    } else stop.abort();
  });
  assert.deepEqual(seen, ['cut short', 'began', 'began']);
  assert.equal(code, 130);
});
