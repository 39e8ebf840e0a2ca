/**
 * forEachBatch on real processes: the example of docs/sdk.md as it stands there, with workers that die between a call and
 * its commit, and functions that fail and hang.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { Testbed } from '../connect/testbed.ts';
import type { Process } from '../support/cluster.ts';
import { until } from '../support/cluster.ts';

/** Keeps what is put under a name, and every call with it. */
class Archive {
  readonly #server: Server;
  readonly calls: { readonly name: string; readonly body: string }[] = [];
  /** So many calls of the job are refused. */
  refuses = { job: '', calls: 0 };

  private constructor() {
    this.#server = createServer((request, response) => {
      void (async () => {
        const name = request.url?.slice(1) ?? '';
        this.calls.push({ name, body: await text(request) });
        const refused = name.startsWith(`${this.refuses.job}/`) && this.refuses.calls-- > 0;
        response.writeHead(refused ? 503 : 200).end();
      })();
    });
  }

  static async start(): Promise<Archive> {
    const archive = new Archive();
    await once(archive.#server.listen(0, '127.0.0.1'), 'listening');
    return archive;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  callsOf(job: string): { readonly name: string; readonly body: string }[] {
    return this.calls.filter(({ name }) => name.startsWith(`${job}/`));
  }

  /** Lines of all documents of a job, each document once. Calls under one name must have had the same rows. */
  linesOf(job: string): string[] {
    const documents = new Map<string, string>();
    for (const { name, body } of this.callsOf(job)) {
      assert.equal(body, documents.get(name) ?? body, `${name} came again with other rows`);
      documents.set(name, body);
    }
    return [...documents.values()].flatMap((body) => body.split('\n'));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe('forEachBatch', { timeout: 300_000 }, () => {
  let bed: Testbed;
  let archive: Archive;
  let directory: string;
  let worker: Process;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'weir-batches-'));
    archive = await Archive.start();
    bed = await Testbed.open();
    worker = await bed.cluster.startWorker();
  });
  after(async () => {
    await bed?.close();
    archive?.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** The example, under another name and with changes. */
  const apply = async (name: string, change: (source: string) => string = (source) => source): Promise<void> => {
    const page = await readFile(new URL('../../docs/sdk.md', import.meta.url), 'utf8');
    const blocks = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, block = '']) => block);
    const example = blocks.find((block) => block.includes("name: 'orders-to-archive'")) ?? '';
    assert.notEqual(example, '');
    const file = join(directory, `${name}.ts`);
    const source = example.replace('https://archive.example.com', archive.url).replace('orders-to-archive', name);
    await writeFile(file, change(source));
    const { code, output } = await bed.cluster.weir(['apply', file]);
    assert.equal(code, 0, output);
  };
  const orders = (from: number, to: number): object[] =>
    Array.from({ length: to - from }, (_, index) => ({
      id: from + index,
      amount: '12.50',
      at: '2024-05-01T00:00:00.000Z',
    }));
  const lineOf = (id: number): string => `${id},12.50,2024-05-01T00:00:00.000Z`;
  const expected = (count: number): string[] => Array.from({ length: count }, (_, id) => lineOf(id)).toSorted();

  test('a call that fails is made again under its name', async () => {
    archive.refuses = { job: 'refused', calls: 2 };
    await apply('refused', (source) => source.replace('orders_made', 'few'));
    await bed.createTopic('few', 1);
    await bed.produce('few', 1, orders(0, 3));
    await until('it was called three times', 60_000, () => Promise.resolve(archive.callsOf('refused').length >= 3));
    const [first, second, third] = archive.callsOf('refused');
    assert.deepEqual([second, third], [first, first]);
    assert.deepEqual(archive.linesOf('refused'), expected(3));
  });

  test('one that never is done, and one that throws for ever, fail their jobs and name the batch', async () => {
    const failed = async (job: string): Promise<{ readonly code: string; readonly message: string }> =>
      await until(`${job} failed`, 60_000, async () => {
        const { row } = await bed.cluster.job(job);
        return row.state === 'failed' && row.reason !== null && row.reason;
      });
    const changed = (body: string) => (source: string) =>
      source
        .replace('orders_made', 'bad')
        .replace('const lines', `${body}\n        const lines`)
        .replace(/timeout: '30s', retries: 10/, "timeout: '1s', retries: 1");
    await bed.createTopic('bad', 1);
    await bed.produce('bad', 1, orders(0, 3));
    await apply('hanging', changed('for (;;);'));
    const hanging = await failed('hanging');
    assert.equal(hanging.code, 'USER_CODE_TIMEOUT');
    assert.match(hanging.message, /forEachBatch failed for batch \d+, part m0\/.*was not done within 1000 ms/);
    await apply('throwing', changed("if (rows.length > 0) throw new RangeError('too many');"));
    const throwing = await failed('throwing');
    assert.equal(throwing.code, 'USER_CODE_FAILED');
    assert.match(throwing.message, /batch \d+, part m0\/.*throwing\.ts:\d+.*too many/);
  });

  test('rows of state come by key group', async () => {
    await bed.createTopic('many', 2);
    await apply('counted', (source) =>
      source
        .replace('orders_made', 'many')
        .replace(
          /query: '.*'/,
          "query: 'SELECT id % 10 AS id, count(*) AS amount, max(at) AS at FROM orders GROUP BY id % 10', outputMode: 'update'",
        ),
    );
    await bed.produce('many', 2, orders(0, 1000));
    await until('all counts are there', 60_000, () => {
      const last = new Map(archive.linesOf('counted').map((line) => line.split(',').slice(0, 2) as [string, string]));
      return Promise.resolve(last.size === 10 && [...last.values()].every((count) => count === '100'));
    });
    const parts = archive.callsOf('counted').map(({ name }) => name.split('/').at(-1));
    assert.ok(new Set(parts).size > 3, 'several key groups');
  });

  test('a worker that dies between call and commit: the same batch again, and every row once', async () => {
    await bed.createTopic('orders_made', 2);
    let made = 0;
    const more = async (): Promise<void> => await bed.produce('orders_made', 2, orders(made, (made += 600)));
    await apply('orders-to-archive');
    await worker.kill9();
    for (const point of ['epoch.midWrite', 'epoch.afterAck']) {
      // The only one there is: the batch is its own.
      const dying = await bed.cluster.startWorker(`${point}=kill@2`);
      for (let step = 0; step < 3; step++) await more();
      await until(`the worker died at ${point}`, 60_000, async () => {
        if (!dying.alive) return true;
        await more();
        return false;
      });
    }
    worker = await bed.cluster.startWorker();
    await until('every row is there', 90_000, () =>
      Promise.resolve(archive.linesOf('orders-to-archive').length >= made),
    );
    await bed.taken('orders-to-archive', made);
    assert.deepEqual(archive.linesOf('orders-to-archive').toSorted(), expected(made));
    const names = archive.callsOf('orders-to-archive').map(({ name }) => name);
    assert.ok(new Set(names).size < names.length, 'some batch was called again');
  });
});
