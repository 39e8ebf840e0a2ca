import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { rowSinkContract } from '../../sdk/testing/sink-contract.ts';
import type { BatchPart, EpochPlace, RowFormat, RowSink, RowSinkPlan } from '../../core/row-sink.ts';
import { isWeirError } from '../../core/errors.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { DirectoryPlace } from './directory-place.ts';
import { committedFiles } from './files-log.ts';
import { FilesSinks } from './files-sinks.ts';

const root = mkdtempSync(join(tmpdir(), 'weir-files-'));
after(() => rmSync(root, { recursive: true, force: true }));

const parts = { clock: systemClock, rng: systemRng, env: {}, requireHost: () => Promise.resolve(), anywhere: true };
const connector = new FilesSinks(parts);
const columns = [{ input: 0, name: 'id', from: { kind: 'int' }, to: '' }] as const;
const always = { valid: () => true, check: () => undefined };

function open(path: string, format: RowFormat, more: Record<string, boolean> = {}): Promise<RowSink> {
  return connector.open({ job: 'orders', name: 'files', format, settings: { path, ...more } });
}

function part(text: string, directory = ''): BatchPart {
  const bytes = Buffer.from(text);
  const lines = text.split('\n').length - 1;
  return { directory, rowCount: lines, bytes, ends: null, deletes: null, offsets: null, groups: null, unit: 'm0' };
}

function epoch(number: number, more: Partial<EpochPlace> = {}): EpochPlace {
  const base = {
    kind: 'epoch',
    job: 'orders',
    run: 1,
    epochTsUs: number,
    token: 1,
    attempt: 0,
    worker: 0,
    workers: 1,
  } as const;
  return { ...base, epoch: number, ...more };
}

/** What somebody who knows nothing of the log finds. */
function visible(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ndjson|csv|parquet)(\.gz)?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function idsIn(paths: readonly string[]): number[] {
  return paths.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { id: number }).id),
  );
}

rowSinkContract(
  'files in a directory',
  () =>
    Promise.resolve({
      open: (job) =>
        connector.open({ job, name: 'files', format: { kind: 'json', columns }, settings: { path: join(root, job) } }),
      encode: (ids) => ({ bytes: Buffer.from(ids.map((id) => `{"id":${id}}\n`).join('')), ends: null }),
      read: async (job) => {
        const path = join(root, job);
        const logged = (await committedFiles(new DirectoryPlace(path), job)).map(({ name }) => join(path, name));
        assert.deepEqual([...logged].sort(), visible(path).sort(), 'what is named like a file of rows counts');
        return idsIn(logged);
      },
      close: () => Promise.resolve(),
    }),
  { lanes: false, epochs: true, exactlyOnce: true },
);

describe('files of rows', () => {
  test('a file per directory and epoch, with names that sort', async () => {
    const path = join(root, 'partitioned');
    const sink = await open(path, { kind: 'csv', columns, delimiter: ',', nullText: '' });
    const parts = [part('1\n', 'city=a'), part('2\n', 'city=b'), part('3\n', 'city=a')];
    await sink.write({ place: epoch(7), parts }, always);
    assert.deepEqual(
      visible(path)
        .map((file) => [file.slice(path.length + 1), readFileSync(file, 'utf8')])
        .sort(),
      [
        ['city=a/orders-r0001-e000000007-0.csv', 'id\n1\n3\n'],
        ['city=b/orders-r0001-e000000007-0.csv', 'id\n2\n'],
      ],
    );
  });

  test('compressed files hold what the others hold', async () => {
    const path = join(root, 'gzip');
    const sink = await open(path, { kind: 'json', columns }, { gzip: true });
    await sink.write({ place: epoch(0), parts: [part('{"id":1}\n')] }, always);
    const [file = ''] = visible(path);
    assert.match(file, /\.ndjson\.gz$/);
    assert.equal(gunzipSync(readFileSync(file)).toString(), '{"id":1}\n');
  });

  test('nothing is to be seen before the parts of all workers are there', async () => {
    const path = join(root, 'together');
    const sink = await open(path, { kind: 'json', columns });
    await sink.write({ place: epoch(0, { workers: 2 }), parts: [part('{"id":1}\n')] }, always);
    assert.deepEqual(visible(path), []);
    await sink.write({ place: epoch(0, { worker: 1, workers: 2 }), parts: [part('{"id":2}\n')] }, always);
    assert.deepEqual(idsIn(visible(path)).sort(), [1, 2]);
  });

  test('who died between the entry of the log and the last name of a file is helped', async () => {
    const path = join(root, 'helped');
    const place = new DirectoryPlace(path);
    const name = 'orders-r0001-e000000000-0.ndjson';
    const staged = '_weir_log/orders/staged/1-0-1-0/0-0.staged';
    await place.write(staged, Buffer.from('{"id":5}\n'));
    const entry = { formatVersion: 1, job: 'orders', run: 1, epoch: 0, files: [{ name, staged, rows: 1, bytes: 9 }] };
    await place.create('_weir_log/orders/000001/000000000000.json', Buffer.from(JSON.stringify(entry)));
    const sink = await open(path, { kind: 'json', columns });
    await sink.write({ place: epoch(0, { token: 2 }), parts: [part('{"id":5}\n')] }, always);
    assert.deepEqual(idsIn(visible(path)), [5]);
  });

  test('where jobs may not write anywhere they write below WEIR_FILES_DIR', async () => {
    const format: RowFormat = { kind: 'json', columns };
    const plan = (path: string): RowSinkPlan => ({ job: 'j', name: 'files', format, settings: { path } });
    const closed = new FilesSinks({ ...parts, anywhere: false });
    await assert.rejects(closed.open(plan(join(root, 'x'))), (error) => isWeirError(error, 'FORBIDDEN'));
    const within = new FilesSinks({ ...parts, anywhere: false, env: { WEIR_FILES_DIR: join(root, 'jobs') } });
    for (const path of ['../x', '/etc/x', join(root, 'jobs-not')])
      await assert.rejects(within.open(plan(path)), (error) => isWeirError(error, 'FORBIDDEN'), path);
    await within.open(plan('orders'));
    assert.deepEqual(readdirSync(join(root, 'jobs')), ['orders']);
  });

  test('a path that cannot be written is refused by name when the sink is opened', async () => {
    const file = join(root, 'a-file');
    await new DirectoryPlace(root).write('a-file', Buffer.from('x'));
    const refused = open(join(file, 'below'), { kind: 'json', columns });
    await assert.rejects(refused, (error) => isWeirError(error, 'SINK_REFUSED') && error.message.includes(file));
  });
});
