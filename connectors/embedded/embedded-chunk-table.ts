/** Chunks of blobs in the embedded process. */
import type { BlobHeader, ChunkTable } from '../../core/blobs/chunked-store.ts';
import type { EmbeddedConnection } from './client.ts';

const UNAVAILABLE = 'STORE_UNAVAILABLE';
/** Well below the largest message, and short enough that other calls do not wait long behind it. */
const CHUNK_BYTES = 2 << 20;

export class EmbeddedChunkTable implements ChunkTable {
  readonly chunkBytes = CHUNK_BYTES;
  readonly #connection: EmbeddedConnection;

  constructor(connection: EmbeddedConnection) {
    this.#connection = connection;
  }

  get place(): string {
    return `the embedded process at ${this.#connection.address}`;
  }

  async writeChunk(id: string, chunk: number, bytes: Uint8Array): Promise<void> {
    await this.#connection.call((client) => client.putBlobChunk, { id, chunk, bytes }, UNAVAILABLE);
  }

  async readChunk(id: string, chunk: number): Promise<Uint8Array | undefined> {
    const { found, bytes } = await this.#connection.call((client) => client.getBlobChunk, { id, chunk }, UNAVAILABLE);
    return found ? bytes : undefined;
  }

  async claimChunk(id: string, chunk: number, bytes: Uint8Array): Promise<Uint8Array> {
    const held = await this.#connection.call((client) => client.claimBlobChunk, { id, chunk, bytes }, UNAVAILABLE);
    return held.bytes;
  }

  async writeHeader(id: string, header: BlobHeader): Promise<void> {
    await this.#connection.call((client) => client.putBlobHeader, { id, ...header }, UNAVAILABLE);
  }

  async readHeader(id: string): Promise<BlobHeader | undefined> {
    const { header } = await this.#connection.call((client) => client.getBlobHeader, { id }, UNAVAILABLE);
    return header ?? undefined;
  }

  async delete(id: string): Promise<void> {
    await this.#connection.call((client) => client.deleteBlob, { id }, UNAVAILABLE);
  }
}
