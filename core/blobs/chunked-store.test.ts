/** How blobs of chunks fail; the contract of whole stores stands in test/conformance/blob-store.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../clock.ts';
import { WeirError } from '../errors.ts';
import { seededRng } from '../random.ts';
import type { BlobHeader, ChunkTable } from './chunked-store.ts';
import { ChunkedBlobStore } from './chunked-store.ts';

/** Chunks in memory; the n-th request fails when `fails` says so. */
class MemoryChunks implements ChunkTable {
  readonly place = 'memory';
  readonly chunkBytes = 10;
  readonly chunks = new Map<string, Uint8Array>();
  readonly headers = new Map<string, BlobHeader>();
  /** What was written, in the order it became durable. */
  readonly order: string[] = [];
  readonly #fails: (request: number) => boolean;
  #requests = 0;

  constructor(fails: (request: number) => boolean = () => false) {
    this.#fails = fails;
  }

  async #request(): Promise<void> {
    if (this.#fails(this.#requests++)) throw new WeirError('STORE_UNAVAILABLE', 'no answer');
    await Promise.resolve();
  }

  async writeChunk(id: string, chunk: number, bytes: Uint8Array): Promise<void> {
    await this.#request();
    this.order.push(`chunk ${chunk}`);
    this.chunks.set(`${id}/${chunk}`, bytes.slice());
  }

  async readChunk(id: string, chunk: number): Promise<Uint8Array | undefined> {
    await this.#request();
    return this.chunks.get(`${id}/${chunk}`);
  }

  async claimChunk(id: string, chunk: number, bytes: Uint8Array): Promise<Uint8Array> {
    await this.#request();
    const key = `${id}/${chunk}`;
    if (!this.chunks.has(key)) this.chunks.set(key, bytes.slice());
    return this.chunks.get(key) ?? bytes;
  }

  async writeHeader(id: string, header: BlobHeader): Promise<void> {
    await this.#request();
    this.order.push('header');
    this.headers.set(id, header);
  }

  async readHeader(id: string): Promise<BlobHeader | undefined> {
    await this.#request();
    return this.headers.get(id);
  }

  async delete(id: string): Promise<void> {
    await this.#request();
    this.headers.delete(id);
  }
}

/** Time passes at once. */
const clock: Clock = {
  now: () => 0,
  mono: () => 0,
  sleep: (_ms, signal) => (signal?.aborted === true ? Promise.reject(signal.reason as Error) : Promise.resolve()),
  timer: () => () => undefined,
};
const quick = { clock, rng: seededRng(1) };

test('the header is written last, whatever is tried again', async () => {
  const table = new MemoryChunks((request) => request % 3 !== 2);
  await new ChunkedBlobStore(table, quick).put('a', new Uint8Array(95).fill(7));
  assert.equal(table.order.length, 11);
  assert.equal(table.order.at(-1), 'header');
});

test('a blob whose put ended half way is not there; one with a header and a chunk missing is damaged', async () => {
  const controller = new AbortController();
  const cut = new MemoryChunks((request) => {
    if (request === 5) controller.abort();
    return request >= 5;
  });
  const put = new ChunkedBlobStore(cut, quick).put('a', new Uint8Array(95), controller.signal);
  await assert.rejects(put, { code: 'STORE_UNAVAILABLE' });
  assert.ok(cut.chunks.size > 0 && cut.headers.size === 0);

  const table = new MemoryChunks();
  const store = new ChunkedBlobStore(table, quick);
  table.chunks.set('a/0', new Uint8Array(10));
  assert.equal(await store.get('a'), undefined);
  await store.put('a', new Uint8Array(95));
  table.chunks.delete('a/4');
  await assert.rejects(
    store.get('a'),
    (error: WeirError) => error.code === 'STATE_DAMAGED' && /chunk 4/.test(error.message),
  );
});

test('a store that does not answer a read is unavailable, not absent', async () => {
  const store = new ChunkedBlobStore(new MemoryChunks(() => true), quick);
  await assert.rejects(store.get('a'), { code: 'STORE_UNAVAILABLE' });
});
