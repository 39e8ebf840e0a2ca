/** The file feed on real files: growth, rotation, truncation, files that are done with. */
import assert from 'node:assert/strict';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import type { FeedRow, Json } from '../../core/feed/feed.ts';
import type { FileSpec } from '../../core/job/feed-spec.ts';
import { feedSpecSchema } from '../../core/job/feed-spec.ts';
import { systemClock } from '../system/clock.ts';
import { FileFeed } from './file-feed.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-files-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function feedOf(path: string, options: object = {}): FileFeed {
  const spec = feedSpecSchema.parse({ connector: 'file', path, ...options }) as FileSpec;
  return new FileFeed(spec, { clock: systemClock, directory });
}

/** All rows from a cursor on, a feed of its own per call: nothing but the cursor is carried on. */
async function readAll(
  path: string,
  from: Json = null,
  options: object = {},
): Promise<{ readonly rows: FeedRow[]; readonly lines: string[]; readonly cursor: Json }> {
  const feed = feedOf(path, options);
  const rows: FeedRow[] = [];
  for (let cursor = from; ;) {
    const step = await feed.next(cursor);
    rows.push(...step.rows);
    cursor = JSON.parse(JSON.stringify(step.cursor)) as Json;
    await feed.appended();
    if (step.caughtUp) return { rows, lines: rows.map(({ value }) => new TextDecoder().decode(value)), cursor };
  }
}

suite('a file that grows', () => {
  test('gives whole lines once each', async () => {
    const file = join(directory, 'a.log');
    await writeFile(file, 'one\r\ntwo\n\nthr');
    const first = await readAll('*.log');
    assert.deepEqual(first.lines, ['one', 'two']);
    await appendFile(file, 'ee\nfour\n');
    const second = await readAll('*.log', first.cursor);
    assert.deepEqual(second.lines, ['three', 'four']);
    assert.equal(new Set([...first.rows, ...second.rows].map(({ id }) => id)).size, 4);
    assert.deepEqual((await readAll('*.log', second.cursor)).lines, []);
  });

  test('its last line counts without a line feed when nobody writes any more', async () => {
    const file = join(directory, 'a.log');
    await writeFile(file, 'one\ntwo');
    assert.deepEqual((await readAll('*.log')).lines, ['one']);
    await utimes(file, 1_700_000_000, 1_700_000_000);
    assert.deepEqual((await readAll('*.log')).lines, ['one', 'two']);
  });

  test('is read in steps that end at lines', async () => {
    const lines = Array.from({ length: 50_000 }, (_, index) => `{"n":${index},"text":"${'x'.repeat(80)}"}`);
    await writeFile(join(directory, 'big.ndjson'), `${lines.join('\n')}\n`);
    const { rows, lines: read } = await readAll('*.ndjson', null, { id: 'n' });
    assert.deepEqual(read, lines);
    assert.deepEqual([rows[0]?.id, rows.at(-1)?.id], ['0', '49999']);
  });

  test('a line beyond all bounds is named', async () => {
    await writeFile(join(directory, 'a.log'), `${'x'.repeat(3_000_000)}\n`);
    await assert.rejects(feedOf('*.log').next(null), (error: unknown) => isWeirError(error, 'FEED_MALFORMED'));
    assert.equal((await readAll('*.log', null, { lineBytesMax: 4_000_000 })).lines.length, 1);
  });

  test('leaves out lines at the beginning', async () => {
    await writeFile(join(directory, 'a.csv'), 'id,name\n1,a\n');
    await writeFile(join(directory, 'b.csv'), 'id,name\n2,b\n');
    assert.deepEqual((await readAll('*.csv', null, { headerLines: 1 })).lines.toSorted(), ['1,a', '2,b']);
  });
});

suite('files that come and go', () => {
  test('a rotated file is read to its end under its new name, and the new one from its beginning', async () => {
    const file = join(directory, 'app.log');
    await writeFile(file, 'one\n');
    const first = await readAll('app.log*');
    await appendFile(file, 'two\n');
    await rename(file, join(directory, 'app.log.1'));
    await writeFile(file, 'three\n');
    assert.deepEqual((await readAll('app.log*', first.cursor)).lines.toSorted(), ['three', 'two']);
  });

  test('a file that is cut short and written again is a new one, also with the same lines', async () => {
    const file = join(directory, 'app.log');
    await writeFile(file, 'one\ntwo\n');
    const first = await readAll('*.log');
    await truncate(file, 0);
    await appendFile(file, 'one\n');
    const second = await readAll('*.log', first.cursor);
    assert.deepEqual(second.lines, ['one']);
    assert.notEqual(second.rows[0]?.id, first.rows[0]?.id);
    await writeFile(file, 'another, and longer than before\n');
    assert.deepEqual((await readAll('*.log', second.cursor)).lines, ['another, and longer than before']);
  });

  test('are moved away when they are read and rest', async () => {
    await mkdir(join(directory, 'in'));
    await writeFile(join(directory, 'in/a.log'), 'one\n');
    const options = { finished: { moveTo: '../done' }, finishedAfter: '0ms' };
    assert.deepEqual((await readAll('in/*.log', null, options)).lines, ['one']);
    assert.deepEqual([await readdir(join(directory, 'in')), await readdir(join(directory, 'done'))], [[], ['a.log']]);
    await assert.rejects(async () => {
      await writeFile(join(directory, 'in/b.log'), 'two\n');
      await readAll('in/*.log', null, { finished: { moveTo: '/tmp' }, finishedAfter: '0ms' });
    }, /outside of/);
  });

  test('are not moved before their rows are durable', async () => {
    await writeFile(join(directory, 'a.log'), 'one\n');
    const feed = feedOf('*.log', { finished: 'delete', finishedAfter: '0ms' });
    const step = await feed.next(null);
    assert.equal(step.rows.length, 1);
    await feed.next(null);
    assert.deepEqual(await readdir(directory), ['a.log']);
  });

  test('none there', async () => {
    assert.deepEqual((await readAll('nothing/*.log')).lines, []);
  });

  test('outside of the directory, also by a link', async () => {
    await assert.rejects(feedOf('/etc/host*').next(null), (error: unknown) => isWeirError(error, 'FEED_REFUSED'));
    await symlink('/etc/hostname', join(directory, 'link.log'));
    await assert.rejects(feedOf('*.log').next(null), (error: unknown) => isWeirError(error, 'FEED_REFUSED'));
  });
});
