/**
 * Blobs in stores of small values: chunks under their number, then a header that makes them a blob. Invariant: a header
 * is written after every chunk it speaks of is durable, so a blob without a header was never finished, and one with a
 * header whose chunks are missing or differ from its checksum has been damaged.
 */
import { must } from '../assert.ts';
import type { Clock, Rng } from '../clock.ts';
import { backoffMs } from '../clock.ts';
import { crc32c } from '../crc32c.ts';
import { WeirError, isWeirError } from '../errors.ts';
import type { BlobStore } from '../ports.ts';

export const BLOB_FORMAT_VERSION = 1;
/** Chunks on their way at the same time, each way. */
const IN_FLIGHT_MAX = 4;

export interface BlobHeader {
  readonly formatVersion: number;
  /** Bytes of the blob. */
  readonly length: number;
  readonly chunks: number;
  /** CRC-32C of the whole blob. */
  readonly crc: number;
}

/** The store beneath. All methods throw STORE_UNAVAILABLE; writes are durable when they resolve and may be repeated. */
export interface ChunkTable {
  /** For people: where it is. */
  readonly place: string;
  readonly chunkBytes: number;
  writeChunk(id: string, chunk: number, bytes: Uint8Array): Promise<void>;
  readChunk(id: string, chunk: number): Promise<Uint8Array | undefined>;
  /** Writes a chunk that is not there, and gives what is there then: of several writers, the first one's. */
  claimChunk(id: string, chunk: number, bytes: Uint8Array): Promise<Uint8Array>;
  writeHeader(id: string, header: BlobHeader): Promise<void>;
  readHeader(id: string): Promise<BlobHeader | undefined>;
  delete(id: string): Promise<void>;
}

export class ChunkedBlobStore implements BlobStore {
  readonly #table: ChunkTable;
  readonly #clock: Clock;
  readonly #rng: Rng;

  /** The table stays its maker's to close. */
  constructor(table: ChunkTable, parts: { readonly clock: Clock; readonly rng: Rng }) {
    this.#table = table;
    this.#clock = parts.clock;
    this.#rng = parts.rng;
  }

  async put(id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { chunkBytes } = this.#table;
    const chunks = Math.ceil(bytes.byteLength / chunkBytes);
    const header = { formatVersion: BLOB_FORMAT_VERSION, length: bytes.byteLength, chunks, crc: crc32c(bytes) };
    await inParallel(chunks, (chunk) =>
      this.#persist(
        () => this.#table.writeChunk(id, chunk, bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes)),
        signal,
      ),
    );
    await this.#persist(() => this.#table.writeHeader(id, header), signal);
  }

  async get(id: string): Promise<Uint8Array | undefined> {
    const header = await this.#table.readHeader(id);
    if (header === undefined) return undefined;
    if (header.formatVersion !== BLOB_FORMAT_VERSION) {
      throw new WeirError(
        'VERSION_MISMATCH',
        `The blob ${id} in ${this.#table.place} has format ${header.formatVersion}; this version of Weir reads format ${BLOB_FORMAT_VERSION}.`,
      );
    }
    const parts = new Array<Uint8Array>(header.chunks);
    await inParallel(header.chunks, async (chunk) => {
      const part = await this.#table.readChunk(id, chunk);
      if (part === undefined) throw this.#damaged(id, `its chunk ${chunk} of ${header.chunks} is missing`);
      parts[chunk] = part;
    });
    const total = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if (total !== header.length) throw this.#damaged(id, `it has ${total} bytes instead of ${header.length}`);
    const bytes = new Uint8Array(total);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.byteLength;
    }
    if (crc32c(bytes) !== header.crc) throw this.#damaged(id, 'its checksum does not match');
    return bytes;
  }

  async claim(id: string, part: number, bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#persist(() => this.#table.claimChunk(id, part, bytes), signal);
  }

  async claimed(id: string, part: number): Promise<Uint8Array | undefined> {
    return await this.#table.readChunk(id, part);
  }

  async delete(ids: readonly string[]): Promise<void> {
    await inParallel(ids.length, (index) => this.#table.delete(must(ids[index], () => 'an id')));
  }

  /** Until it is done, fails for good or `signal` aborts. */
  async #persist<T>(write: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        if (signal?.aborted === true) throw this.#givenUp(undefined);
        return await write();
      } catch (error) {
        if (!isWeirError(error) || !error.retryable || signal?.aborted === true) throw error;
        await this.#clock.sleep(backoffMs(this.#rng, attempt), signal).catch(() => {
          throw this.#givenUp(error);
        });
      }
    }
  }

  #givenUp(cause: unknown): WeirError {
    return new WeirError('STORE_UNAVAILABLE', `A blob was not written to ${this.#table.place}: it was given up.`, {
      cause,
    });
  }

  #damaged(id: string, why: string): WeirError {
    return damagedBlob(id, this.#table.place, why);
  }
}

/** `why` completes "The blob … is damaged: ". */
export function damagedBlob(id: string, place: string, why: string): WeirError {
  return new WeirError('STATE_DAMAGED', `The blob ${id} in ${place} is damaged: ${why}.`, { facts: { blob: id } });
}

/** Runs `work` for 0 … count - 1, a few at a time; after a failure no more is begun. */
async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < count && !failed) {
      try {
        await work(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, IN_FLIGHT_MAX) }, lane));
}
