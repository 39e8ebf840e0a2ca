/** Files in a bucket, on a server that speaks S3's protocol (moto, from PyPI). */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { FilesSinks } from '../../connectors/files/files-sinks.ts';
import type { FilePlace } from '../../connectors/files/file-place.ts';
import { Compactor } from '../../connectors/files/compactor.ts';
import type { LoggedFile } from '../../connectors/files/files-log.ts';
import { committedFiles, entryName, readCommitted } from '../../connectors/files/files-log.ts';
import { signed } from '../../connectors/files/s3-signature.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { isWeirError } from '../../core/errors.ts';
import { rowSinkContract } from '../../sdk/testing/sink-contract.ts';
import { freePorts } from '../services/java-server.ts';
import { until } from '../support/cluster.ts';
import { testPython } from './python.ts';

const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'secret' };
const connector = new FilesSinks({
  clock: systemClock,
  rng: systemRng,
  env,
  requireHost: () => Promise.resolve(),
  anywhere: false,
});
const columns = [{ input: 0, name: 'id', from: { kind: 'int' }, to: '' }] as const;

let endpoint = '';
let server: ChildProcess;

before(async () => {
  const python = await testPython();
  const [port = 0] = await freePorts(1);
  endpoint = `http://127.0.0.1:${port}`;
  server = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  server.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until('moto answers', 60_000, async () => {
    if (server.exitCode !== null)
      throw new Error(
        `moto does not start by ${python}: ${said.trim().split('\n').at(-1)}; pip install "moto[server,s3]" there`,
      );
    return (await fetch(`${endpoint}/rows`, { method: 'PUT' })).ok;
  });
});
after(() => server?.kill('SIGKILL'));

const place = (path: string): Promise<FilePlace> => connector.placeOf({ path, endpoint });

rowSinkContract(
  'files in a bucket',
  () =>
    Promise.resolve({
      open: (job) =>
        connector.open({
          job,
          name: 'files',
          format: { kind: 'json', columns },
          settings: { path: `s3://rows/${job}`, endpoint },
        }),
      encode: (ids) => ({ bytes: Buffer.from(ids.map((id) => `{"id":${id}}\n`).join('')), ends: null }),
      read: async (job) => {
        const bucket = await place(`s3://rows/${job}`);
        const files = await committedFiles(bucket, job);
        const texts = await Promise.all(
          files.map(async ({ name }) => Buffer.from((await bucket.read(name)) ?? '').toString()),
        );
        return texts.flatMap((text) =>
          text
            .split('\n')
            .filter(Boolean)
            .map((line) => (JSON.parse(line) as { id: number }).id),
        );
      },
      close: () => Promise.resolve(),
    }),
  { lanes: false, epochs: true, exactlyOnce: true },
);

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const run = promisify(execFile);

/** One row of an epoch, as the sink leaves it. */
async function commit(bucket: FilePlace, epoch: number): Promise<void> {
  const text = Buffer.from(`{"id":${epoch}}\n`);
  const entry = { formatVersion: 1, job: 'j', run: 1, epoch, files: [] as LoggedFile[] };
  entry.files.push({ name: `e${epoch}.ndjson`, rows: 1, bytes: text.byteLength });
  await bucket.write(`e${epoch}.ndjson`, text);
  await bucket.create(entryName(entry), Buffer.from(JSON.stringify(entry)));
}

describe('a bucket', () => {
  test('names with everything in them, listed page by page', async () => {
    const bucket = await place('s3://rows/names');
    const names = [
      'a=1/ü &+%25.txt',
      "b/it's (1)*!.txt",
      ...Array.from({ length: 1005 }, (_, index) => `many/${String(index).padStart(5, '0')}`),
    ];
    for (let from = 0; from < names.length; from += 50)
      await Promise.all(names.slice(from, from + 50).map((name) => bucket.write(name, Buffer.from(name))));
    assert.deepEqual(
      (await bucket.list('')).map(({ name }) => name),
      [...names].sort(),
    );
    assert.equal(Buffer.from((await bucket.read(names[0] ?? '')) ?? '').toString(), names[0]);
    await bucket.remove([names[0] ?? '', 'not-there']);
    assert.equal(await bucket.read(names[0] ?? ''), undefined);
  });

  test('of many who create one name, one succeeds', async () => {
    const bucket = await place('s3://rows/once');
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, index) => bucket.create('entry', Buffer.from(`${index}`))),
    );
    assert.equal(outcomes.filter(Boolean).length, 1);
    assert.equal(Buffer.from((await bucket.read('entry')) ?? '').toString(), String(outcomes.indexOf(true)));
  });

  test('a bucket that is not there, a service that is away, and one that creates twice', async () => {
    const open = (path: string, at: string): Promise<unknown> =>
      connector.open({ job: 'j', name: 'files', format: { kind: 'json', columns }, settings: { path, endpoint: at } });
    await assert.rejects(open('s3://missing/x', endpoint), (error) => {
      assert.ok(isWeirError(error, 'SINK_REFUSED'));
      assert.match(error.message, /s3:\/\/missing\/x\/.*NoSuchBucket; create the bucket/);
      return true;
    });
    await assert.rejects(open('s3://rows/x', 'http://127.0.0.1:1'), (error) => isWeirError(error, 'SINK_UNAVAILABLE'));
    const careless = createServer((_, response) => response.end());
    await new Promise<void>((resolve) => careless.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(careless.address() as AddressInfo).port}`;
    await assert.rejects(open('s3://rows/x', address), /created twice \(it ignores If-None-Match\)/);
    careless.close();
  });

  test('two that merge its small files at once leave every row once', async () => {
    const bucket = await place('s3://rows/merged');
    for (let epoch = 0; epoch < 5; epoch++) await commit(bucket, epoch);
    const kind = { format: 'ndjson', gzip: false } as const;
    const parts = { job: 'j', place: bucket, kind, suffix: '.ndjson', below: 1000, everyMs: 0 };
    const compactors = [1, 2].map(() => new Compactor({ ...parts, clock: systemClock, rng: systemRng }));
    await Promise.all(compactors.map((one) => one.round()));
    for (const one of compactors) await one.round();
    const files = await committedFiles(bucket, 'j');
    const texts = await Promise.all(files.map((file) => readCommitted(bucket, file)));
    const lines = texts.flatMap((bytes) =>
      Buffer.from(bytes ?? '')
        .toString()
        .split('\n')
        .filter(Boolean),
    );
    assert.deepEqual([files.length, lines.sort()], [1, [0, 1, 2, 3, 4].map((id) => `{"id":${id}}`)]);
    // What was replaced is gone, and so is what the other one had made.
    const left = (await bucket.list('')).map(({ name }) => name).filter((name) => name.endsWith('.ndjson'));
    assert.deepEqual(left, [files[0]?.name]);
  });

  test('by the command: what would be merged, then what was, and the small files until the next call', async () => {
    const bucket = await place('s3://rows/by-hand');
    for (let epoch = 0; epoch < 5; epoch++) await commit(bucket, epoch);
    const weir = async (...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> =>
      await run(process.execPath, [main, 'compact', ...args], {
        env: { ...process.env, ...env, AWS_ENDPOINT_URL_S3: endpoint },
      });
    const names = async (): Promise<readonly string[]> =>
      (await bucket.list('')).map(({ name }) => name).filter((name) => name.endsWith('.ndjson'));
    assert.match((await weir('s3://rows/by-hand', '--dry-run')).stdout, /^j +\.ndjson +5 +1$/m);
    assert.equal((await names()).length, 5);
    assert.match((await weir('s3://rows/by-hand')).stdout, /^j +\.ndjson +5 +1$/m);
    assert.equal((await names()).length, 6, 'who has just read the log can still open what it names');
    assert.match((await weir('s3://rows/by-hand')).stderr, /nothing to merge/);
    const files = await committedFiles(bucket, 'j');
    assert.deepEqual(
      files.map(({ rows }) => rows),
      [5],
    );
    assert.deepEqual(await names(), [files[0]?.name]);
    await assert.rejects(weir('s3://rows/nothing-here'), /No job has written files to s3:\/\/rows\/nothing-here/);
    await assert.rejects(weir('s3://missing/x'), /s3:\/\/missing\/x.*create the bucket/);
  });

  test('requests are signed as the documentation shows', () => {
    const url = new URL('https://examplebucket.s3.amazonaws.com/test.txt');
    const credentials = {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    };
    const request = { method: 'GET', url, headers: { range: 'bytes=0-9' }, body: new Uint8Array(0) };
    const { authorization = '' } = signed(request, 'us-east-1', credentials, Date.UTC(2013, 4, 24));
    assert.match(authorization, /Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/);
  });
});
