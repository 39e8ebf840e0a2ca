/** The embedded process's gRPC service: topics on the event loop, tables and metadata in the store's thread. */
import type { handleUnaryCall, ServerDuplexStream } from '@grpc/grpc-js';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '../../core/clock.ts';
import { messageOf, WeirError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type {
  EmbeddedHandlers,
  ListOffsetsRequest,
  ReadReply,
  ReadRequest,
  TopicReply,
} from '../../proto/gen/embedded.ts';
import { loadEmbedded } from '../../proto/load.ts';
import type { PartitionLog } from './partition-log.ts';
import { ReadStream } from './reads.ts';
import { EMBEDDED_PROTOCOL_VERSION, statusOf } from './status.ts';
import type { StoreHost } from './store-host.ts';
import type { TopicTransactions } from './topic-transactions.ts';
import type { Topic, Topics } from './topics.ts';

/** What a chunk of a blob counts for in the size of a transaction. */
const BLOB_CHUNK_ROWS = 500;

export interface EmbeddedServerParts {
  readonly topics: Topics;
  readonly transactions: TopicTransactions;
  readonly store: StoreHost;
  readonly dataDir: string | null;
  readonly clock: Clock;
  readonly log: Log;
}

export class EmbeddedServer {
  readonly #parts: EmbeddedServerParts;
  readonly #server: Server;
  readonly #reads = new Set<ReadStream>();

  constructor(parts: EmbeddedServerParts) {
    this.#parts = parts;
    const { definition, options } = loadEmbedded();
    this.#server = new Server(options);
    this.#server.addService(definition, this.#handlers());
  }

  /** Returns the port. Throws: PORT_IN_USE. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(listenError(host, port, error));
      });
    });
  }

  /** Ends long polls and connections. What was acknowledged is durable already. */
  close(): void {
    for (const read of this.#reads) read.close();
    this.#server.forceShutdown();
  }

  #handlers(): EmbeddedHandlers {
    const { topics, transactions, store, dataDir, clock } = this.#parts;
    return {
      Info: unary(() => ({ protocolVersion: EMBEDDED_PROTOCOL_VERSION, pid: process.pid, dataDir: dataDir ?? '' })),

      CreateTopic: unary(({ topic, partitions }) => topicReply(topics.create(topic, partitions))),
      DeleteTopic: unary(async ({ topic }) => {
        await topics.delete(topic);
        return {};
      }),
      DescribeTopic: unary(({ topic }) => topicReply(topics.get(topic))),
      Append: unary(async ({ appends }) => ({
        baseOffsets: await Promise.all(
          appends.map(({ topic, partition, batch }) => topics.append(topic, partition, batch)),
        ),
      })),
      AppendAt: unary(async ({ topic, partition, batch, expectedEnd }) => ({
        baseOffsets: [await topics.append(topic, partition, batch, expectedEnd)],
      })),
      BeginTransactions: unary((request) => transactions.begin(request)),
      StageAppends: unary((request) => {
        transactions.stage(request);
        return {};
      }),
      CommitTransaction: unary(async (request) => {
        await transactions.commit(request);
        return {};
      }),
      ListOffsets: unary(async (request) => ({
        offsets: await Promise.all(
          request.partitions.map((partition) => offsetOf(topics.partition(request.topic, partition), request)),
        ),
      })),
      Read: (call) => this.#read(call),
      DeleteRecords: unary(async ({ topic, before }) => {
        await Promise.all(
          before.map(({ partition, offset }) => topics.partition(topic, partition).deleteBefore(offset)),
        );
        return {};
      }),

      CreateTable: unary(async ({ schema, addColumns }) => {
        await store.call('createTable', [JSON.parse(schema) as TableSchema, addColumns]);
        return {};
      }),
      DescribeTable: unary(async ({ keyspace, table }) => {
        const schema = await store.call('describeTable', [keyspace, table]);
        return { schema: schema === undefined ? '' : JSON.stringify(schema) };
      }),
      WriteRows: unary(async (request) => {
        // The message's bytes are a part of a larger buffer, so they are copied once and handed over.
        const rows = new Uint8Array(request.rows);
        await store.call('writeRows', [{ ...request, rows }], { rows: request.rowCount, transfer: [rows.buffer] });
        return {};
      }),
      Query: unary(async ({ cql }) => ({ result: JSON.stringify(await store.call('query', [cql])) })),

      ListJobs: unary(async () => ({ names: await store.call('listJobs', []) })),
      ReadJob: unary(async ({ name }) => ({ row: await store.call('readJob', [name]) })),
      CasJob: unary((request) => store.call('casJob', [request])),
      PutDefinition: unary(async (request) => {
        await store.call('putDefinition', [request]);
        return {};
      }),
      GetDefinition: unary(async ({ hash }) => {
        const text = await store.call('getDefinition', [hash]);
        return { found: text !== undefined, text: text ?? '' };
      }),
      WriteLane: unary(async (request) => {
        await store.call('writeLane', [request]);
        return {};
      }),
      ReadLane: unary(async (request) => ({ lanes: await store.call('readLane', [request]) })),
      ReadLanes: unary(async (request) => ({ lanes: await store.call('readLanes', [request]) })),
      ReadEpochs: unary(async (request) => ({ row: await store.call('readEpochs', [request]) })),
      CasEpochs: unary((request) => store.call('casEpochs', [request])),
      ReadPlans: unary(async (request) => {
        const plans = await store.call('readPlans', [request]);
        return { rows: plans.map(({ plan }) => plan) };
      }),
      ReadLease: unary(async () => ({ row: await store.call('readLease', []) })),
      CasLease: unary((request) => store.call('casLease', [request])),
      PutSavepoint: unary(async (request) => {
        await store.call('putSavepoint', [request]);
        return {};
      }),
      GetSavepoint: unary(async (request) => ({ row: await store.call('getSavepoint', [request]) })),
      ListSavepoints: unary(async ({ name }) => ({ rows: await store.call('listSavepoints', [name]) })),
      DeleteSavepoint: unary(async (request) => {
        await store.call('deleteSavepoint', [request]);
        return {};
      }),
      Now: unary(() => ({ nowMs: clock.now() })),

      PutBlobChunk: unary(async (request) => {
        const bytes = new Uint8Array(request.bytes);
        await store.call('putBlobChunk', [{ ...request, bytes }], { rows: BLOB_CHUNK_ROWS, transfer: [bytes.buffer] });
        return {};
      }),
      GetBlobChunk: unary(async ({ id, chunk }) => {
        const bytes = await store.call('getBlobChunk', [id, chunk]);
        return { found: bytes !== undefined, bytes: bytes ?? new Uint8Array() };
      }),
      ClaimBlobChunk: unary(async (request) => {
        const bytes = new Uint8Array(request.bytes);
        const size = { rows: BLOB_CHUNK_ROWS, transfer: [bytes.buffer] };
        return { found: true, bytes: await store.call('claimBlobChunk', [{ ...request, bytes }], size) };
      }),
      PutBlobHeader: unary(async (request) => {
        await store.call('putBlobHeader', [request]);
        return {};
      }),
      GetBlobHeader: unary(async ({ id }) => {
        const header = await store.call('getBlobHeader', [id]);
        return { found: header !== undefined, header: header ?? null };
      }),
      DeleteBlob: unary(async ({ id }) => {
        await store.call('deleteBlob', [id]);
        return {};
      }),
    };
  }

  #read(call: ServerDuplexStream<ReadRequest, ReadReply>): void {
    const read = new ReadStream(call, this.#parts.topics, this.#parts.clock);
    this.#reads.add(read);
    call.on('close', () => this.#reads.delete(read));
    call.on('cancelled', () => this.#reads.delete(read));
  }
}

function unary<Request, Reply>(handle: (request: Request) => Reply | Promise<Reply>): handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    // A handler may throw before its first await; both ways end as the same status.
    void (async () => handle(call.request))().then(
      (reply) => callback(null, reply),
      (error: unknown) => callback(statusOf(error)),
    );
  };
}

function topicReply(topic: Topic): TopicReply {
  return { topic: topic.name, topicId: topic.id, partitions: topic.partitions.length };
}

async function offsetOf(log: PartitionLog, request: ListOffsetsRequest): Promise<number> {
  switch (request.query) {
    case 'earliest':
      return log.startOffset;
    case 'timestampMs':
      return log.offsetAt(request.timestampMs ?? 0);
    default:
      return log.endOffset;
  }
}

function listenError(host: string, port: number, error: Error): WeirError {
  if (/EADDRINUSE/.test(error.message)) {
    return new WeirError(
      'PORT_IN_USE',
      `The port ${port} on ${host} is in use by another process. Stop it, or choose another port.`,
      { cause: error },
    );
  }
  return new WeirError(
    'CONFIG_INVALID',
    `The embedded process cannot listen on ${host}:${port}: ${messageOf(error)}.`,
    { cause: error },
  );
}
