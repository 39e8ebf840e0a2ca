import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import type { BatchPart, EpochPlace } from '../../core/row-sink.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import type { CompactorParts } from './compactor.ts';
import { Compactor } from './compactor.ts';
import { DirectoryPlace } from './directory-place.ts';
import type { FilePlace } from './file-place.ts';
import type { LoggedFile } from './files-log.ts';
import { committedFiles, entryName, readCommitted } from './files-log.ts';
import { FilesSink } from './files-sink.ts';
import { resultFile } from './result-file.ts';

const root = mkdtempSync(join(tmpdir(), 'weir-compactor-'));
after(() => rmSync(root, { recursive: true, force: true }));

const always = { valid: () => true, check: () => undefined };
const columns = [{ input: 0, name: 'id', from: { kind: 'int' }, to: '' }] as const;
let places = 0;

function directory(): { readonly path: string; readonly place: DirectoryPlace } {
  const path = join(root, String(++places));
  return { path, place: new DirectoryPlace(path) };
}

/** A place whose files stay under the names they were written with, as in a bucket. */
function bucket(place: FilePlace): FilePlace {
  return wrapped(place, { moves: false });
}

function wrapped(place: FilePlace, changed: Partial<FilePlace>): FilePlace {
  const { description, moves } = place;
  return {
    description,
    moves,
    write: (name, bytes) => place.write(name, bytes),
    create: (name, bytes) => place.create(name, bytes),
    read: (name) => place.read(name),
    list: (prefix) => place.list(prefix),
    move: (from, to) => place.move(from, to),
    remove: (names) => place.remove(names),
    ...changed,
  };
}

/** The process dies at the `at`th change, before it or behind it; what it asks for from then on is not done. */
function dying(place: FilePlace, at: number, behind: boolean): FilePlace {
  let changes = 0;
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    const now = ++changes;
    if (now > at || (now === at && !behind)) throw new Error('the process died');
    const result = await work();
    if (now === at) throw new Error('the process died');
    return result;
  };
  return wrapped(place, {
    write: (name, bytes) => step(() => place.write(name, bytes)),
    create: (name, bytes) => step(() => place.create(name, bytes)),
    move: (from, to) => step(() => place.move(from, to)),
    remove: async (names) => {
      for (const name of names) await step(() => place.remove([name]));
    },
  });
}

function compactor(place: FilePlace, more: Partial<CompactorParts> = {}): Compactor {
  return new Compactor({
    job: 'orders',
    place,
    kind: { format: 'ndjson', gzip: false },
    suffix: '.ndjson',
    below: 1000,
    everyMs: 0,
    clock: systemClock,
    rng: systemRng,
    ...more,
  });
}

type FileText = LoggedFile & { readonly text: string | Uint8Array };

/** As an epoch of the sink leaves it, without waiting for the disk. */
function commit(path: string, epoch: number, files: readonly FileText[]): void {
  const write = (name: string, text: string | Uint8Array): void => {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  };
  for (const { name, text } of files) write(name, text);
  const entry = {
    formatVersion: 1,
    job: 'orders',
    run: 1,
    epoch,
    files: files.map(({ name, rows, bytes }) => ({ name, rows, bytes })),
  };
  write(entryName(entry), JSON.stringify(entry));
}

const lines = (name: string, ids: readonly number[]): FileText => {
  const text = ids.map((id) => `{"id":${id}}\n`).join('');
  return { name, rows: ids.length, bytes: text.length, text };
};

/** Six small files in two directories; the numbers of their rows. */
function smallFiles(path: string): number[] {
  for (let epoch = 0; epoch < 3; epoch++)
    commit(path, epoch, [
      lines(`city=a/orders-r0001-e${epoch}.ndjson`, [epoch * 10, epoch * 10 + 1]),
      lines(`city=b/orders-r0001-e${epoch}.ndjson`, [epoch * 10 + 5]),
    ]);
  return [0, 1, 5, 10, 11, 15, 20, 21, 25];
}

/** What a reader finds that goes by the log. */
async function byLog(place: FilePlace): Promise<number[]> {
  for (;;) {
    const files = await committedFiles(place, 'orders');
    const texts = await Promise.all(files.map((file) => readCommitted(place, file)));
    if (texts.includes(undefined)) continue;
    return idsOf(texts.map((bytes) => Buffer.from(bytes ?? [])));
  }
}

/** What a reader finds that lists names. */
async function byName(path: string): Promise<number[]> {
  const place = new DirectoryPlace(path);
  const names = readdirSync(path, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ndjson'));
  return idsOf(await Promise.all(names.map(async (name) => Buffer.from((await place.read(name)) ?? []))));
}

function idsOf(texts: readonly Buffer[]): number[] {
  const rows = texts.flatMap((text) => text.toString('utf8').split('\n').filter(Boolean));
  return rows.map((row) => (JSON.parse(row) as { id: number }).id).sort((a, b) => a - b);
}

describe('merging small files', () => {
  test('one file per directory is left, with all rows', async () => {
    const { path, place } = directory();
    const expected = smallFiles(path);
    const told: number[] = [];
    await compactor(place, { onMerged: (...counts) => told.push(...counts) }).round();
    assert.deepEqual(told, [6, 2]);
    const files = await committedFiles(place, 'orders');
    assert.deepEqual(
      files.map(({ name, rows }) => [name.split('/')[0], rows]),
      [
        ['city=a', 6],
        ['city=b', 3],
      ],
    );
    assert.deepEqual(await byLog(place), expected);
    assert.deepEqual(await byName(path), expected);
  });

  test('large files stay, and merged ones are merged again while they are small', async () => {
    const { path, place } = directory();
    commit(path, 0, [lines('a.ndjson', [1]), { ...lines('large.ndjson', [2]), bytes: 5000 }]);
    const merging = compactor(place);
    await merging.round();
    assert.equal((await committedFiles(place, 'orders')).length, 2, 'one small file is nothing to merge');
    commit(path, 1, [lines('b.ndjson', [3])]);
    await merging.round();
    commit(path, 2, [lines('c.ndjson', [4])]);
    await merging.round();
    const files = await committedFiles(place, 'orders');
    assert.deepEqual(files.map(({ rows }) => rows).sort(), [1, 3]);
    assert.deepEqual(await byLog(place), [1, 2, 3, 4]);
  });

  test('CSV keeps one header; files with other columns stay apart; compressed files stay compressed', async () => {
    for (const gzip of [false, true]) {
      const { path, place } = directory();
      const pack = (text: string): Uint8Array => (gzip ? gzipSync(text) : Buffer.from(text));
      const suffix = gzip ? '.csv.gz' : '.csv';
      const csv = (name: string, text: string): FileText => ({
        name: `${name}${suffix}`,
        rows: 1,
        bytes: 10,
        text: pack(text),
      });
      commit(path, 0, [csv('a', 'id,"x\ny"\n1,a\n'), csv('b', 'id,"x\ny"\n2,b\n'), csv('c', 'id\n3\n')]);
      await compactor(place, { kind: { format: 'csv', gzip }, suffix }).round();
      const texts: string[] = [];
      for (const file of await committedFiles(place, 'orders')) {
        const bytes = Buffer.from((await place.read(file.name)) ?? []);
        texts.push((gzip ? gunzipSync(bytes) : bytes).toString());
      }
      assert.deepEqual(texts.sort(), ['id\n3\n', 'id,"x\ny"\n1,a\n2,b\n']);
    }
  });

  test('Parquet', async () => {
    const { path, place } = directory();
    const parquet = (id: number, name = 'id'): FileText => {
      const text = resultFile({ columns: [{ name, type: 'int' }], rows: [[id]] }, 'parquet');
      return { name: `${name}${id}.parquet`, rows: 1, bytes: text.byteLength, text };
    };
    commit(path, 0, [parquet(1), parquet(2), parquet(3, 'other')]);
    await compactor(place, { kind: { format: 'parquet', gzip: false }, suffix: '.parquet' }).round();
    const rows: unknown[] = [];
    for (const file of await committedFiles(place, 'orders')) {
      const bytes = Uint8Array.from((await place.read(file.name)) ?? []);
      rows.push(await parquetReadObjects({ file: bytes.buffer }));
    }
    assert.deepEqual(rows, [[{ other: 3 }], [{ id: 1 }, { id: 2 }]]);
  });

  for (const moves of [true, false]) {
    test(`a process that dies at any step leaves every row once: ${moves ? 'directory' : 'bucket'}`, async () => {
      let died = 0;
      for (let at = 1, alive = false; !alive; at++) {
        for (const behind of [false, true]) {
          const { path, place: disk } = directory();
          const place = moves ? disk : bucket(disk);
          const expected = smallFiles(path);
          alive = await compactor(dying(place, at, behind))
            .round()
            .then(
              () => true,
              () => false,
            );
          if (!alive) died++;
          assert.deepEqual(await byLog(place), expected, `by the log, change ${at}`);
          // Somebody else goes on.
          await compactor(place).round();
          assert.deepEqual(await byLog(place), expected, `by the log, after change ${at} and another round`);
          if (moves) assert.deepEqual(await byName(path), expected, `by names, after change ${at} and another round`);
          assert.equal((await committedFiles(place, 'orders')).length, 2);
        }
      }
      // Two files, an entry, and in a directory two names and six files that go.
      assert.ok(died >= (moves ? 20 : 5), `it died ${died} times`);
    });
  }

  test('of two that merge at once one counts', async () => {
    for (const moves of [true, false]) {
      const { path, place: disk } = directory();
      const place = moves ? disk : bucket(disk);
      const expected = smallFiles(path);
      // Both have written their files before either creates an entry.
      const both = Promise.withResolvers<void>();
      let waiting = 0;
      const meeting = wrapped(place, {
        create: async (name, bytes) => {
          if (++waiting === 2) both.resolve();
          await both.promise;
          return await place.create(name, bytes);
        },
      });
      await Promise.all([compactor(meeting).round(), compactor(meeting).round()]);
      assert.equal(waiting, 2);
      assert.deepEqual(await byLog(place), expected);
      await compactor(place).round();
      assert.deepEqual(await byLog(place), expected);
    }
  });

  test('who opens a file that was merged since reads the log again; in a bucket it is still there', async () => {
    for (const moves of [true, false]) {
      const { path, place: disk } = directory();
      const place = moves ? disk : bucket(disk);
      smallFiles(path);
      const [first] = await committedFiles(place, 'orders');
      assert.ok(first);
      const merging = compactor(place);
      await merging.round();
      assert.equal((await readCommitted(place, first)) === undefined, moves);
      await merging.round();
      assert.equal(await readCommitted(place, first), undefined);
    }
  });

  test('readers at work see every row once, whatever is merged meanwhile', async () => {
    const { path, place } = directory();
    const expected = smallFiles(path);
    const merging = compactor(place);
    let rounds = 0;
    const done = (async () => {
      for (; rounds < 10; rounds++) {
        commit(path, 100 + rounds, [lines(`city=a/more-${rounds}.ndjson`, [])]);
        await merging.round();
      }
    })();
    for (let reads = 0; reads < 20 || rounds < 10; reads++) assert.deepEqual(await byLog(place), expected);
    await done;
  });
});

describe('a sink that merges', () => {
  const place = (epoch: number, token = 1): EpochPlace => ({
    kind: 'epoch',
    job: 'orders',
    run: 1,
    epoch,
    epochTsUs: epoch,
    token,
    attempt: 0,
    worker: 0,
    workers: 1,
  });
  const part = (id: number): BatchPart => ({
    directory: '',
    rowCount: 1,
    bytes: Buffer.from(`{"id":${id}}\n`),
    ends: null,
    deletes: null,
    offsets: null,
    groups: null,
    unit: 'm0',
  });

  test('an epoch that is done again after its files were merged is there once', async () => {
    const { path, place: files } = directory();
    const open = (compact = true): FilesSink =>
      new FilesSink({
        job: 'orders',
        place: files,
        format: { kind: 'json', columns },
        gzip: false,
        clock: systemClock,
        rng: systemRng,
        ...(compact ? { compact: { below: 1000, everyMs: 0, onFailure: assert.ifError } } : {}),
      });
    const sink = open();
    for (let epoch = 0; epoch < 4; epoch++) {
      await sink.write({ place: place(epoch), parts: [part(epoch)] }, always);
      // Rounds run beside the writes.
      await systemClock.sleep(20);
    }
    await sink.close();
    assert.ok((await committedFiles(files, 'orders')).length < 4, 'something was merged');
    const zombie = open(false);
    for (let epoch = 0; epoch < 4; epoch++)
      await zombie.write({ place: place(epoch, 2), parts: [part(epoch)] }, always);
    assert.deepEqual(await byLog(files), [0, 1, 2, 3]);
    assert.deepEqual(await byName(path), [0, 1, 2, 3]);
    await zombie.close();
  });
});
