/** Merging by hand, beside jobs that go on writing and merging. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { systemClock, systemRng } from '../system/clock.ts';
import type { CompactOptions } from './compact-place.ts';
import { compactPlace } from './compact-place.ts';
import { DirectoryPlace } from './directory-place.ts';
import { committedFiles, entryName, readCommitted } from './files-log.ts';

const root = mkdtempSync(join(tmpdir(), 'weir-compact-'));
after(() => rmSync(root, { recursive: true, force: true }));
let places = 0;

const options: CompactOptions = { below: 1000, dryRun: false, clock: systemClock, rng: systemRng };

/** Two files of an epoch, in two directories, as the sink leaves them. */
function commit(path: string, job: string, epoch: number, suffix = '.ndjson'): void {
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  };
  const files = ['a', 'b'].map((city) => {
    const text = suffix === '.csv' ? `id\n${epoch}\n` : `{"id":${epoch}}\n`;
    const name = `city=${city}/${job}-r0001-e${epoch}${suffix}`;
    write(name, text);
    return { name, rows: 1, bytes: text.length };
  });
  write(entryName({ job, run: 1, epoch }), JSON.stringify({ formatVersion: 1, job, run: 1, epoch, files }));
}

function place(): { readonly path: string; readonly at: DirectoryPlace } {
  const path = join(root, String(++places));
  for (let epoch = 0; epoch < 3; epoch++) commit(path, 'orders', epoch);
  for (let epoch = 0; epoch < 2; epoch++) commit(path, 'prices', epoch, '.csv');
  return { path, at: new DirectoryPlace(path) };
}

async function ids(at: DirectoryPlace, job: string): Promise<number[]> {
  const files = await committedFiles(at, job);
  const texts = await Promise.all(
    files.map(async (file) => Buffer.from((await readCommitted(at, file)) ?? []).toString()),
  );
  return texts.flatMap((text) => [...text.matchAll(/\d+/g)].map(Number)).sort((a, b) => a - b);
}

const names = (path: string): string[] =>
  readdirSync(path, { recursive: true })
    .map(String)
    .filter((name) => /\.(csv|ndjson)$/.test(name));

suite('merging by hand', () => {
  test('says what would be merged and changes nothing, merges it, and finds nothing more', async () => {
    const { path, at } = place();
    const expected = [
      { job: 'orders', suffix: '.ndjson', replaced: 6, files: 2 },
      { job: 'prices', suffix: '.csv', replaced: 4, files: 2 },
    ];
    const before = names(path).toSorted();
    assert.deepEqual(await compactPlace(at, { ...options, dryRun: true }), expected);
    assert.deepEqual(names(path).toSorted(), before);
    assert.deepEqual(await compactPlace(at, options), expected);
    assert.equal(names(path).length, 4);
    assert.deepEqual(await ids(at, 'orders'), [0, 0, 1, 1, 2, 2]);
    assert.deepEqual(await compactPlace(at, options), []);
    assert.deepEqual(await ids(at, 'prices'), [0, 0, 1, 1]);
  });

  test('of one job alone', async () => {
    const { path, at } = place();
    assert.equal((await compactPlace(at, { ...options, job: 'prices' })).length, 1);
    assert.equal(names(path).filter((name) => name.endsWith('.ndjson')).length, 6);
  });

  test('several at once, while the job commits epochs: every row once at the end', async () => {
    const { path, at } = place();
    const writing = (async () => {
      for (let epoch = 3; epoch < 30; epoch++) {
        commit(path, 'orders', epoch);
        await systemClock.sleep(1);
      }
    })();
    const merging = Array.from({ length: 3 }, async () => {
      for (let round = 0; round < 5; round++) await compactPlace(new DirectoryPlace(path), options);
    });
    await Promise.all([writing, ...merging]);
    await compactPlace(at, options);
    const every = Array.from({ length: 30 }, (_, epoch) => [epoch, epoch]).flat();
    assert.deepEqual(await ids(at, 'orders'), every);
  });

  test('by the command', () => {
    const { path } = place();
    const weir = (
      ...args: readonly string[]
    ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
      spawnSync(process.execPath, ['cli/main.ts', 'compact', ...args], {
        cwd: join(import.meta.dirname, '../..'),
        encoding: 'utf8',
      });
    assert.match(weir(path, '--dry-run').stdout, /orders +\.ndjson +6 +2/);
    assert.match(weir(path, '--job', 'orders', '-o', 'json').stdout, /"replaced":6/);
    assert.match(weir(path, '--job', 'nobody').stderr, /those that have: orders, prices/);
    assert.match(weir(path, '--below', '1TB').stderr, /--below is a size up to 256MB/);
    assert.equal(names(path).length, 2 + 4);
  });
});
