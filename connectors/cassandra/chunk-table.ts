/**
 * Chunks of blobs in Cassandra: one partition per blob, its header in static columns. Plain writes at QUORUM both ways,
 * but for chunks that are claimed, by conditional writes;
 * an id that was deleted must not be used again, as the deletion may carry a later timestamp than the new write.
 */
import cassandra from 'cassandra-driver';
import type { QueryOptions } from 'cassandra-driver';
import type { BlobHeader, ChunkTable } from '../../core/blobs/chunked-store.ts';
import { WeirError } from '../../core/errors.ts';
import type { CassandraClient } from './client.ts';
import { storeFailure } from './store-failure.ts';

const CHUNK_BYTES = 512 * 1024;
const quorum: QueryOptions = {
  prepare: true,
  consistency: cassandra.types.consistencies.quorum,
  isIdempotent: true,
  fetchSize: 10,
};

export class CassandraChunkTable implements ChunkTable {
  readonly chunkBytes = CHUNK_BYTES;
  readonly #client: CassandraClient;
  readonly #keyspace: string;

  /** The table is made by {@link CassandraMetaStore.prepare}; the client stays its maker's. */
  constructor(client: CassandraClient, keyspace = 'weir') {
    this.#client = client;
    this.#keyspace = keyspace;
  }

  get place(): string {
    return `keyspace ${this.#keyspace} of Cassandra at ${this.#client.addresses}`;
  }

  async writeChunk(id: string, chunk: number, bytes: Uint8Array): Promise<void> {
    await this.#run(`INSERT INTO ${this.#keyspace}.blob (id, chunk, bytes) VALUES (?, ?, ?)`, [
      id,
      chunk,
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    ]);
  }

  async readChunk(id: string, chunk: number): Promise<Uint8Array | undefined> {
    const cql = `SELECT id, chunk, bytes FROM ${this.#keyspace}.blob WHERE id = ? AND chunk = ?`;
    const [row] = await this.#rows(id, cql, [id, chunk]);
    if (row !== undefined && (row['id'] !== id || row['chunk'] !== chunk)) throw this.#otherAnswer(id);
    return (row?.['bytes'] as Buffer | null | undefined) ?? undefined;
  }

  async claimChunk(id: string, chunk: number, bytes: Uint8Array): Promise<Uint8Array> {
    const own = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const cql = `INSERT INTO ${this.#keyspace}.blob (id, chunk, bytes) VALUES (?, ?, ?) IF NOT EXISTS`;
    const [row] = await this.#rows(id, cql, [id, chunk, own]);
    if (row?.['[applied]'] === true) return bytes;
    if (row?.['[applied]'] === false) return row['bytes'] as Buffer;
    throw this.#otherAnswer(id);
  }

  async writeHeader(id: string, { formatVersion, length, chunks, crc }: BlobHeader): Promise<void> {
    await this.#run(`INSERT INTO ${this.#keyspace}.blob (id, format, length, chunks, crc) VALUES (?, ?, ?, ?, ?)`, [
      id,
      formatVersion,
      length,
      chunks,
      crc,
    ]);
  }

  async readHeader(id: string): Promise<BlobHeader | undefined> {
    const cql = `SELECT DISTINCT id, format, length, chunks, crc FROM ${this.#keyspace}.blob WHERE id = ?`;
    const [row] = await this.#rows(id, cql, [id]);
    if (row !== undefined && row['id'] !== id) throw this.#otherAnswer(id);
    // Chunks without a header: a blob that was never finished.
    if (row === undefined || row['format'] === null) return undefined;
    const number = (name: string): number => Number(String(row[name]));
    return { formatVersion: number('format'), length: number('length'), chunks: number('chunks'), crc: number('crc') };
  }

  async delete(id: string): Promise<void> {
    await this.#run(`DELETE FROM ${this.#keyspace}.blob WHERE id = ?`, [id]);
  }

  /** Of what is answered with rows, of which there may be none. */
  async #rows(id: string, cql: string, params: readonly unknown[]): Promise<readonly cassandra.types.Row[]> {
    const rows = await this.#run(cql, params);
    if (rows === undefined) throw this.#otherAnswer(id);
    return rows;
  }

  /** undefined: the answer to a write. */
  async #run(cql: string, params: readonly unknown[]): Promise<readonly cassandra.types.Row[] | undefined> {
    const driver = await this.#client.driver('STORE_UNAVAILABLE');
    try {
      return (await driver.execute(cql, [...params], quorum)).rows;
    } catch (error) {
      throw storeFailure(error, this.place);
    }
  }

  /** The id is part of every answer, so that one to another question is noticed. */
  #otherAnswer(id: string): WeirError {
    return new WeirError(
      'STORE_UNAVAILABLE',
      `Cassandra was asked for the blob ${id} in ${this.place} and gave the answer to something else.`,
    );
  }
}
