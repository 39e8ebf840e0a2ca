import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { BatchPart, EpochPlace } from '../../core/row-sink.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { DirectoryPlace } from './directory-place.ts';
import type { FilePlace } from './file-place.ts';
import { committedFiles } from './files-log.ts';
import { FilesSink } from './files-sink.ts';
import { S3Place } from './s3-place.ts';

const root = mkdtempSync(join(tmpdir(), 'weir-file-failures-'));
after(() => rmSync(root, { recursive: true, force: true }));

const always = { valid: () => true, check: () => undefined };
const columns = [{ input: 0, name: 'id', from: { kind: 'int' }, to: '' }] as const;
const place: EpochPlace = {
  kind: 'epoch',
  job: 'orders',
  run: 1,
  epoch: 0,
  epochTsUs: 1,
  token: 1,
  attempt: 0,
  worker: 0,
  workers: 1,
};
const part: BatchPart = {
  directory: '',
  rowCount: 1,
  bytes: Buffer.from('{"id":1}\n'),
  ends: null,
  deletes: null,
  offsets: null,
  groups: null,
  unit: 'm0',
};

function sinkOn(files: FilePlace): FilesSink {
  const format = { kind: 'json', columns } as const;
  return new FilesSink({ job: 'orders', place: files, format, gzip: false, clock: systemClock, rng: systemRng });
}

/** Writes one epoch; what the sink said it waited for meanwhile. */
async function writing(sink: FilesSink): Promise<string[]> {
  const reasons = new Set<string>();
  let done = false;
  const written = sink.write({ place, parts: [part] }, always).finally(() => {
    done = true;
  });
  written.catch(() => undefined);
  while (!done) {
    const { blockedBy } = sink.stats();
    if (blockedBy !== null) reasons.add(blockedBy);
    await systemClock.sleep(1);
  }
  await written;
  return [...reasons];
}

describe('a directory in trouble', () => {
  /** A directory whose writes first do something else. */
  function withWrites(path: string, first: () => Promise<void>): FilePlace {
    return new Proxy(new DirectoryPlace(path), {
      get: (target, name) => {
        if (name !== 'write') {
          const found: unknown = Reflect.get(target, name, target);
          return typeof found === 'function' ? (found.bind(target) as unknown) : found;
        }
        return async (file: string, bytes: Uint8Array): Promise<void> => {
          await first();
          await target.write(file, bytes);
        };
      },
    });
  }

  /** Its first writes fail as the system says. */
  function failing(path: string, ...codes: readonly string[]): FilePlace {
    const left = [...codes];
    return withWrites(path, async () => {
      const code = left.shift();
      if (code !== undefined) throw Object.assign(new Error(`${code}: no`), { code });
      await Promise.resolve();
    });
  }

  test('a slow disk holds rows back until they are synced, and nothing counts before', async () => {
    const path = join(root, 'slow');
    const disk = Promise.withResolvers<void>();
    const sink = sinkOn(withWrites(path, () => disk.promise));
    let isDone = false;
    const written = sink.write({ place, parts: [part] }, always).then(() => (isDone = true));
    await systemClock.sleep(50);
    assert.deepEqual([isDone, sink.stats().inFlight], [false, 1]);
    assert.deepEqual(await committedFiles(new DirectoryPlace(path), 'orders'), []);
    disk.resolve();
    await written;
    assert.equal((await committedFiles(new DirectoryPlace(path), 'orders'))[0]?.rows, 1);
    assert.deepEqual([sink.stats().inFlight, sink.stats().retries], [0, 0]);
  });

  test('who lost the right to write while the disk was slow publishes nothing', async () => {
    const path = join(root, 'lost');
    const disk = Promise.withResolvers<void>();
    let isOwner = true;
    const permit = {
      valid: () => isOwner,
      check: () => {
        if (!isOwner) throw new WeirError('FENCED', 'another worker has it');
      },
    };
    const zombie = sinkOn(withWrites(path, () => disk.promise));
    const late = zombie.write({ place, parts: [part] }, permit);
    await systemClock.sleep(20);
    isOwner = false;
    const next = sinkOn(new DirectoryPlace(path));
    await next.write({ place: { ...place, attempt: 1 }, parts: [part] }, always);
    disk.resolve();
    await assert.rejects(late, (error) => isWeirError(error, 'FENCED'));
    const files = await committedFiles(new DirectoryPlace(path), 'orders');
    assert.deepEqual(
      files.map(({ rows }) => rows),
      [1],
    );
  });

  test('a full disk delays rows and loses none', async () => {
    const path = join(root, 'full');
    const sink = sinkOn(failing(path, 'ENOSPC', 'EDQUOT'));
    const reasons = await writing(sink);
    assert.match(reasons.join(), /make room; it goes on by itself/);
    assert.deepEqual([sink.stats().retries, sink.stats().blockedBy], [2, null]);
    assert.equal((await committedFiles(new DirectoryPlace(path), 'orders'))[0]?.rows, 1);
  });

  test('what waiting does not mend stops the job, with what to do', async () => {
    for (const [code, kind] of [
      ['EACCES', 'UNAUTHORIZED'],
      ['EROFS', 'UNAUTHORIZED'],
      ['ENOTDIR', 'SINK_REFUSED'],
    ] as const)
      await assert.rejects(writing(sinkOn(failing(join(root, code), code))), (error) => isWeirError(error, kind));
  });
});

describe('a service in trouble (HTTP answers of the test; a real one is in test/connect/s3.test.ts)', () => {
  type Answer = (request: IncomingMessage, response: ServerResponse) => void;

  async function bucket(
    context: { after(work: () => void): void },
    answers: readonly (Answer | null)[],
  ): Promise<S3Place> {
    const left = [...answers];
    const server: Server = createServer((request, response) => {
      request.resume();
      const answer = left.shift();
      if (answer === undefined || answer === null) response.writeHead(200).end();
      else answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return new S3Place(
      {
        bucket: 'b',
        prefix: '',
        endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        region: 'us-east-1',
        credentials: { accessKeyId: 'a', secretAccessKey: 's' },
        requestMsMax: 1000,
      },
      systemClock,
    );
  }

  const says =
    (status: number, code: string): Answer =>
    (_, response) => {
      response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
    };

  test('one that is busy, breaks off or does not answer delays rows', async (context) => {
    const silent: Answer = () => undefined;
    const broken: Answer = (request) => request.socket.destroy();
    const sink = sinkOn(await bucket(context, [says(503, 'SlowDown'), silent, broken, says(500, 'InternalError')]));
    const reasons = await writing(sink);
    assert.match(reasons.join(), /503 SlowDown; it is tried again/);
    assert.match(reasons.join(), /does not answer/);
    assert.ok(sink.stats().retries >= 4, 'each of the answers counts');
  });

  test('one that lets nobody in, has no such bucket or another clock says so', async (context) => {
    const expected: readonly (readonly [Answer, ErrorCode])[] = [
      [says(403, 'InvalidAccessKeyId'), 'UNAUTHORIZED'],
      [says(403, 'SignatureDoesNotMatch'), 'UNAUTHORIZED'],
      [says(404, 'NoSuchBucket'), 'SINK_REFUSED'],
      [says(400, 'InvalidRequest'), 'SINK_REFUSED'],
    ];
    for (const [answer, kind] of expected) {
      const sink = sinkOn(await bucket(context, [answer]));
      await assert.rejects(writing(sink), (error) => isWeirError(error, kind));
    }
  });
});
