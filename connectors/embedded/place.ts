/** The embedded process as one place of logs, tables and metadata, over one connection. */
import type { Clock, Rng } from '../../core/clock.ts';
import type { BlobStore } from '../../core/ports.ts';
import { ChunkedBlobStore } from '../../core/blobs/chunked-store.ts';
import { EmbeddedConnection } from './client.ts';
import { EmbeddedChunkTable } from './embedded-chunk-table.ts';
import { EmbeddedLogWriter } from './embedded-log-writer.ts';
import { EmbeddedMetaStore } from './embedded-meta-store.ts';
import { EmbeddedSource } from './embedded-source.ts';
import { EmbeddedTableStore } from './embedded-table-store.ts';

export class EmbeddedPlace {
  readonly source: EmbeddedSource;
  readonly logWriter: EmbeddedLogWriter;
  readonly tables: EmbeddedTableStore;
  readonly meta: EmbeddedMetaStore;
  readonly blobs: BlobStore;
  readonly #connection: EmbeddedConnection;

  /** Connects with the first call. */
  constructor(address: string, { clock, rng }: { readonly clock: Clock; readonly rng: Rng }) {
    this.#connection = new EmbeddedConnection(address);
    this.source = new EmbeddedSource(this.#connection, clock);
    this.logWriter = new EmbeddedLogWriter(this.#connection, clock, rng);
    this.tables = new EmbeddedTableStore(this.#connection, clock, rng);
    this.meta = new EmbeddedMetaStore(this.#connection);
    this.blobs = new ChunkedBlobStore(new EmbeddedChunkTable(this.#connection), { clock, rng });
  }

  close(): void {
    this.#connection.close();
  }
}
