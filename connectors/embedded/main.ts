/** Starts the embedded process: what plays Kafka and Cassandra where none is. */
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/ports.ts';
import type { EmbeddedServer } from './server.ts';
import { StoreHost } from './store-host.ts';
import { TopicTransactions } from './topic-transactions.ts';
import { Topics } from './topics.ts';
import { systemRng } from '../system/clock.ts';

/** Bytes of records kept in memory before the oldest go. */
const MEMORY_LOG_BYTES_MAX = 256 * 1024 * 1024;

export interface EmbeddedOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** null = everything in memory, gone with the process. */
  readonly dataDir: string | null;
  readonly log: Log;
  readonly clock: Clock;
  /** Bytes of records kept over all topics; default 256 MiB in memory, no limit in a directory. */
  readonly logBytesMax?: number;
}

export interface EmbeddedProcess {
  /** `host:port`. */
  readonly address: string;
  close(): Promise<void>;
}

/** Throws: PORT_IN_USE, DATA_DIR_IN_USE, DISK_FULL, VERSION_MISMATCH, CONFIG_INVALID. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedProcess> {
  const { host, port, dataDir, log, clock } = options;
  // The store takes the lock of the directory, so nothing else in it is touched before. Meanwhile gRPC is loaded.
  const [store, serverModule] = await Promise.all([StoreHost.start(dataDir), import('./server.ts')]);
  let topics: Topics | undefined;
  let transactions: TopicTransactions | undefined;
  let server: EmbeddedServer | undefined;
  const close = async (): Promise<void> => {
    server?.close();
    transactions?.close();
    await topics?.close();
    await store.close();
  };
  try {
    topics = await Topics.open({
      dir: dataDir === null ? null : join(dataDir, 'topics'),
      bytesMax: options.logBytesMax ?? (dataDir === null ? MEMORY_LOG_BYTES_MAX : Number.POSITIVE_INFINITY),
      log,
    });
    transactions = new TopicTransactions({ topics, store, clock, rng: systemRng, log });
    await transactions.recover();
    server = new serverModule.EmbeddedServer({ topics, transactions, store, dataDir, clock, log });
    const address = `${host}:${await server.listen(host, port)}`;
    return { address, close };
  } catch (error) {
    await close();
    throw error;
  }
}
