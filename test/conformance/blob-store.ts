/** The contract of BlobStore, for every implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { ChunkTable } from '../../core/blobs/chunked-store.ts';
import type { BlobStore } from '../../core/ports.ts';

/** `flip`: one byte changes; `shorten`: one byte is gone. */
export type Damage = 'flip' | 'shorten';

export interface BlobStoreFixture {
  readonly store: BlobStore;
  /** Another client on the same data. */
  readonly second: BlobStore;
  /** Damages what is stored, past the store. */
  damage(id: string, how: Damage): Promise<void>;
  close(): Promise<void>;
}

/** {@link BlobStoreFixture.damage} for stores of chunks: replaces the last chunk. */
export async function damageChunks(table: ChunkTable, id: string, how: Damage): Promise<void> {
  const header = await table.readHeader(id);
  assert.ok(header !== undefined && header.chunks > 0);
  const last = header.chunks - 1;
  const bytes = new Uint8Array((await table.readChunk(id, last)) ?? []);
  assert.ok(bytes.byteLength > 0);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await table.writeChunk(id, last, how === 'flip' ? bytes : bytes.subarray(1));
}

function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Registers the suite; `make` gives a fixture whose data may be shared with other suites (ids are unique). */
export function blobStoreContract(name: string, make: () => Promise<BlobStoreFixture>): void {
  describe(`BlobStore contract: ${name}`, () => {
    let fixture: BlobStoreFixture;
    let store: BlobStore;
    let second: BlobStore;
    const fresh = (): string => `contract/${randomUUID()}`;

    before(async () => {
      fixture = await make();
      ({ store, second } = fixture);
    });
    after(() => fixture?.close());

    test('a blob that is not there', async () => {
      assert.equal(await store.get(fresh()), undefined);
    });

    test('blobs of all sizes come back as they were, for every client', async () => {
      const mebibyte = 1 << 20;
      for (const length of [0, 1, 1000, mebibyte / 2, mebibyte / 2 + 1, 2 * mebibyte, 9 * mebibyte + 7]) {
        const id = fresh();
        const bytes = pattern(length, length);
        await store.put(id, bytes);
        const read = await second.get(id);
        assert.ok(read !== undefined && Buffer.compare(read, bytes) === 0, `${length} bytes`);
      }
    });

    test('a part of a larger buffer is stored, not the buffer', async () => {
      const id = fresh();
      await store.put(id, pattern(5000).subarray(1000, 1003));
      assert.deepEqual([...((await store.get(id)) ?? [])], [...pattern(5000).subarray(1000, 1003)]);
    });

    test('writing the same bytes again, also at the same time, does no harm', async () => {
      const id = fresh();
      const bytes = pattern(3_000_000);
      await Promise.all([store.put(id, bytes), second.put(id, bytes), store.put(id, bytes)]);
      await second.put(id, bytes);
      const read = await store.get(id);
      assert.ok(read !== undefined && Buffer.compare(read, bytes) === 0);
    });

    test('ids may be long and hold any characters', async () => {
      const base = fresh();
      const ids = ['', '/../a', '%2F..', ' é🙂', '\\n.blob', `/${'x'.repeat(300)}`, `/${'x'.repeat(301)}`].map(
        (suffix) => base + suffix,
      );
      for (const [index, id] of ids.entries()) await store.put(id, pattern(10, index + 1));
      for (const [index, id] of ids.entries())
        assert.deepEqual([...((await second.get(id)) ?? [])], [...pattern(10, index + 1)], id);
    });

    test('deleted blobs are gone, and only they', async () => {
      const [a, b, c] = [fresh(), fresh(), fresh()];
      for (const id of [a, b, c]) await store.put(id, pattern(600_000));
      await second.delete([a, b, fresh()]);
      await second.delete([]);
      assert.deepEqual([await store.get(a), await store.get(b)], [undefined, undefined]);
      assert.equal((await store.get(c))?.byteLength, 600_000);
    });

    test('of what several writers claim as one part everybody sees the same, and it stays', async () => {
      const id = fresh();
      assert.equal(await store.claimed(id, 0), undefined);
      const claims = Array.from({ length: 8 }, (_, index) => pattern(100_000 + index, index + 1));
      const given = await Promise.all(
        claims.map((bytes, index) => (index % 2 === 0 ? store : second).claim(id, 0, bytes)),
      );
      const [first] = given;
      assert.ok(first !== undefined);
      assert.ok(claims.some((bytes) => Buffer.compare(bytes, first) === 0));
      for (const other of given) assert.equal(Buffer.compare(other, first), 0);
      assert.equal(Buffer.compare(await second.claim(id, 0, pattern(10, 99)), first), 0);
      assert.equal(Buffer.compare((await second.claimed(id, 0)) ?? pattern(0), first), 0);
    });

    test('parts of an id are claimed one by one, and are deleted with it', async () => {
      const [id, other] = [fresh(), fresh()];
      await Promise.all([store.claim(id, 0, pattern(3)), store.claim(id, 70_000, pattern(0))]);
      await store.claim(other, 0, pattern(5));
      assert.equal((await second.claimed(id, 70_000))?.byteLength, 0);
      assert.equal(await second.claimed(id, 1), undefined);
      await second.delete([id]);
      assert.deepEqual([await store.claimed(id, 0), await store.claimed(id, 70_000)], [undefined, undefined]);
      assert.equal((await store.claimed(other, 0))?.byteLength, 5);
    });

    for (const how of ['flip', 'shorten'] as const) {
      test(`what is damaged never passes for whole or absent (${how})`, async () => {
        for (const length of [10, 5_000_000]) {
          const id = fresh();
          const bytes = pattern(length, how === 'flip' ? 77 : 78);
          await store.put(id, bytes);
          await fixture.damage(id, how);
          await assert.rejects(second.get(id), { code: 'STATE_DAMAGED' });
          // Its writer, who still has the bytes, mends it.
          await store.put(id, bytes);
          assert.equal((await second.get(id))?.byteLength, length);
        }
      });
    }

    test('a put that is given up says so', async () => {
      const signal = AbortSignal.abort();
      const id = fresh();
      await assert.rejects(store.put(id, pattern(100), signal), { code: 'STORE_UNAVAILABLE' });
      assert.equal(await store.get(id), undefined);
    });
  });
}
