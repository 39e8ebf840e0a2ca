/** The contract suites, on an embedded process in memory and with a data directory. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blobStoreContract, damageChunks } from '../../test/conformance/blob-store.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { exclusiveWriterContract } from '../../test/conformance/exclusive-writer.ts';
import { logTransactionsContract } from '../../test/conformance/log-transactions.ts';
import { logWriterContract } from '../../test/conformance/log-writer.ts';
import { metaStoreContract } from '../../test/conformance/meta-store.ts';
import { readValues, sourceContract } from '../../test/conformance/source.ts';
import { tableStoreContract } from '../../test/conformance/table-store.ts';
import { ChunkedBlobStore } from '../../core/blobs/chunked-store.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { EmbeddedConnection } from './client.ts';
import { EmbeddedChunkTable } from './embedded-chunk-table.ts';
import { EmbeddedLogWriter } from './embedded-log-writer.ts';
import { EmbeddedMetaStore } from './embedded-meta-store.ts';
import { EmbeddedSource } from './embedded-source.ts';
import { EmbeddedTableStore } from './embedded-table-store.ts';
import { startEmbedded } from './main.ts';

interface Started {
  readonly connect: () => EmbeddedConnection;
  close(): Promise<void>;
}

async function start(durable: boolean): Promise<Started> {
  const dataDir = durable ? mkdtempSync(join(tmpdir(), 'weir-embedded-')) : null;
  const embedded = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir, log: noLog, clock: systemClock });
  const connections: EmbeddedConnection[] = [];
  return {
    connect: () => {
      const connection = new EmbeddedConnection(embedded.address);
      connections.push(connection);
      return connection;
    },
    close: async () => {
      for (const connection of connections) connection.close();
      await embedded.close();
      if (dataDir !== null) rmSync(dataDir, { recursive: true });
    },
  };
}

for (const durable of [false, true]) {
  const name = durable ? 'embedded with a data directory' : 'embedded in memory';
  metaStoreContract(name, async () => {
    const started = await start(durable);
    return {
      store: new EmbeddedMetaStore(started.connect()),
      second: new EmbeddedMetaStore(started.connect()),
      close: started.close,
    };
  });
  tableStoreContract(name, async () => {
    const started = await start(durable);
    return { store: new EmbeddedTableStore(started.connect(), systemClock, systemRng), close: started.close };
  });
  blobStoreContract(name, async () => {
    const started = await start(durable);
    const [table, other] = [started.connect(), started.connect()].map(
      (connection) => new EmbeddedChunkTable(connection),
    );
    assert.ok(table && other);
    const parts = { clock: systemClock, rng: systemRng };
    return {
      store: new ChunkedBlobStore(table, parts),
      second: new ChunkedBlobStore(other, parts),
      damage: (id, how) => damageChunks(table, id, how),
      close: started.close,
    };
  });
  const logFixture = async () => {
    const started = await start(durable);
    const connection = started.connect();
    return {
      source: new EmbeddedSource(connection, systemClock),
      writer: new EmbeddedLogWriter(connection, systemClock, systemRng),
      deleteTopic: async (topic: string) =>
        void (await connection.call((client) => client.deleteTopic, { topic }, 'SOURCE_UNAVAILABLE')),
      deleteRecords: async (topic: string, partition: number, before: number) => {
        const request = { topic, before: [{ partition, offset: before }] };
        await connection.call((client) => client.deleteRecords, request, 'SOURCE_UNAVAILABLE');
      },
      close: started.close,
    };
  };
  sourceContract(name, logFixture);
  logWriterContract(name, logFixture);
  exclusiveWriterContract(name, logFixture);
  logTransactionsContract(name, async () => {
    const { source, writer, close } = await logFixture();
    return {
      writer,
      close,
      committed: async (topic, index) => (await readValues(source, topic, index)).map(({ value }) => value),
    };
  });
}
