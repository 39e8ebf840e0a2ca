/**
 * The interfaces everything plugs into. Real ones live in connectors/ and worker/, pretend ones in test/sim; each has
 * one contract suite in test/conformance that every implementation passes. See also core/clock.ts (Clock, Rng) and
 * core/meta.ts (MetaStore).
 */
import type { Offset, Partition, TopicId } from './ids.ts';
import type { WritePermit } from './lane/permit.ts';
import type { LookupConnector } from './lookup.ts';
import type { LogTransactionParts, LogTransactionPlan, LogTransactions } from './log-transactions.ts';
import type { AbortedTransaction } from './record-batch.ts';
import type { RecordToEncode } from './record-batch-encoder.ts';
import type { RowBlock, RowShape } from './row-block.ts';
import type { RowSinkConnector } from './row-sink.ts';
import type { TableSchema } from './table/schema.ts';

// ---------------------------------------------------------------------------------------------- logs to read (topics)

export interface TopicDescription {
  readonly topic: string;
  readonly topicId: TopicId;
  readonly partitions: readonly Partition[];
}

export type OffsetQuery = 'earliest' | 'latest' | { readonly timestampMs: number };

export interface FetchRequest {
  readonly partition: Partition;
  readonly offset: Offset;
  readonly maxBytes: number;
  /** Longest wait for data, ms. */
  readonly maxWaitMs: number;
  readonly signal?: AbortSignal;
}

/** What one fetch of one partition brought. */
export interface Fetched {
  /**
   * Whole record batches, as the broker keeps them; empty when nothing came. The first may start before the offset
   * asked for. Owned by the receiver.
   */
  readonly bytes: Uint8Array;
  /** True when nothing else lies in the memory of `bytes`: all of it is the receiver's, who may transfer it to a thread. */
  readonly transferable: boolean;
  readonly aborted: readonly AbortedTransaction[];
  /** End of what a read_committed reader may see. */
  readonly lastStableOffset: Offset;
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
}

/** A log of records: Kafka or the embedded log. */
export interface Source {
  /** Throws: TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE, UNAUTHORIZED. */
  describe(topic: string): Promise<TopicDescription>;
  /** For each partition the first offset at or after the query; `latest` is the last stable offset. */
  offsets(topic: string, partitions: readonly Partition[], query: OffsetQuery): Promise<Map<Partition, Offset>>;
  /** A reader of its own connection per job: two jobs must not wait for each other's long poll. */
  open(topic: TopicDescription): SourceReader;
  /** Writes positions to a consumer group, for display in other tools only. Best effort. */
  showOffsets(group: string, topic: string, offsets: ReadonlyMap<Partition, Offset>): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads record batches of one topic for one job. Callers ask per partition; the reader merges what is asked into one
 * outstanding fetch per broker. Ask for the next bytes before working on the last ones.
 */
export interface SourceReader {
  /**
   * Resolves with data, or with none after `maxWaitMs`.
   *
   * Throws: OFFSET_OUT_OF_RANGE with facts {low, high}; TOPIC_RECREATED when the topic id is another;
   * TOPIC_NOT_FOUND; SOURCE_UNAVAILABLE (leader changes and lost brokers are handled within and show up so only
   * while they last).
   */
  fetch(request: FetchRequest): Promise<Fetched>;
  close(): Promise<void>;
}

// --------------------------------------------------------------------------------------------- logs to write (topics)

/** One encoded RecordBatch v2 for one partition; the broker assigns the base offset. */
export interface LogAppend {
  readonly topic: string;
  readonly partition: Partition;
  readonly batch: Uint8Array;
}

export interface LogWriter {
  /** Throws: TOPIC_NOT_FOUND, SINK_UNAVAILABLE. */
  partitionCount(topic: string): Promise<number>;
  /**
   * Resolves when all appends are durable (acks=all). Retries what may be retried, checking the permit before each
   * send: at least once. The batches' memory is the caller's again then, but not after an error. Throws: FENCED,
   * SINK_REFUSED (too large, not allowed), TOPIC_NOT_FOUND.
   */
  append(appends: readonly LogAppend[], permit: WritePermit): Promise<void>;
  /** Creates the topic when it is missing. */
  createTopic(topic: string, partitions: number): Promise<void>;
  /**
   * Makes the caller the one writer of a partition by the name `writer`: once it resolves, nothing that a former one by
   * that name sent is appended any more. Not every log has it.
   *
   * Throws: SINK_UNAVAILABLE, TOPIC_NOT_FOUND, UNAUTHORIZED.
   */
  openExclusive?(topic: string, partition: Partition, writer: string): Promise<ExclusiveWriter>;
  /**
   * Makes the caller the one writer of a lane: what a former one did not commit is gone once it resolves. Not every log
   * has it.
   *
   * Throws: SINK_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID, UNSUPPORTED, FENCED.
   */
  openTransactions?(plan: LogTransactionPlan, parts: LogTransactionParts): Promise<LogTransactions>;
  close(): Promise<void>;
}

/** The one writer of a partition. After a failure it is of no use any more: close it and open another. */
export interface ExclusiveWriter {
  /** Where the partition ended when this writer was opened: no former writer's record comes after it. */
  readonly end: Offset;
  /**
   * Appends all of the records or none, in their order. At least one.
   *
   * Throws: FENCED when another writer took the partition; SINK_REFUSED; SINK_UNAVAILABLE when it is not known whether
   * they were appended: the log tells the next writer.
   */
  append(records: readonly RecordToEncode[]): Promise<void>;
  close(): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------------- tables

/** What a query gives back: columns with their CQL types as text, rows of printable values. */
export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Values as JSON would carry them; bigint as string when it is not a safe integer. */
  readonly rows: readonly (readonly unknown[])[];
}

/** Tables with a timestamp per cell: Cassandra or embedded. */
export interface TableStore {
  /** undefined when there is no such table. */
  describe(keyspace: string, table: string): Promise<TableSchema | undefined>;
  /**
   * Creates keyspace and table if missing. An existing table must fit: SINK_SCHEMA otherwise; with `addColumns` it is
   * given the columns that it lacks.
   */
  create(schema: TableSchema, options?: { readonly addColumns?: boolean }): Promise<void>;
  open(shape: RowShape): Promise<TableWriter>;
  /** What people type into cqlsh. Throws: SQL_SYNTAX, NOT_FOUND, UNSUPPORTED (embedded names what it does not do). */
  query(cql: string): Promise<QueryResult>;
  close(): Promise<void>;
}

export interface SinkStats {
  readonly inFlight: number;
  readonly retries: number;
  /** Why writes wait at the moment, if they do. */
  readonly blockedBy: string | null;
  /** Rows that were refused for good and left out or kept as dead letters; absent = the sink does not do that. */
  readonly refused?: number;
}

export interface TableWriter {
  /**
   * Resolves when every row is acknowledged at QUORUM. Transient failures are retried for ever with backoff, checking
   * the permit before each send. Throws: FENCED; SINK_SCHEMA (names the column); SINK_REFUSED.
   */
  write(block: RowBlock, permit: WritePermit): Promise<void>;
  stats(): SinkStats;
  close(): Promise<void>;
}

// -------------------------------------------------------------------------------------------------- control transport

/** One side of a bidirectional stream of messages between a worker and the master. */
export interface ControlStream<In, Out> {
  send(message: Out): void;
  /** Called once per message, in order. Set before the first await after the stream was made. */
  onMessage(handler: (message: In) => void): void;
  /** Called once, when either side closed or the connection broke. */
  onClose(handler: (reason: string) => void): void;
  close(): void;
}

export interface ControlClient<In, Out> {
  /** Throws: MASTER_UNREACHABLE, UNAUTHORIZED, VERSION_MISMATCH. */
  connect(): Promise<ControlStream<In, Out>>;
}

// ---------------------------------------------------------------------------------------------------------------- blobs

/** Immutable bytes under a name. Chunked and checksummed inside; what is damaged or incomplete never passes for whole. */
export interface BlobStore {
  /** Durable when it resolves. Writing the same bytes again does no harm. Retries what may be retried; throws STORE_UNAVAILABLE when the signal aborts. */
  put(id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** undefined when there is none. Throws: STATE_DAMAGED, STORE_UNAVAILABLE. */
  get(id: string): Promise<Uint8Array | undefined>;
  /**
   * Settles something between writers that do not know of each other: stores the bytes (a few MiB at most) as a part of
   * `id`, unless somebody has done so, and gives what is stored, the same for everybody who ever asks. An id with parts
   * is no blob; it is deleted like one. Retries as {@link put}.
   */
  claim(id: string, part: number, bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** What was claimed; undefined when nobody has, or while that is under way. Throws: STORE_UNAVAILABLE. */
  claimed(id: string, part: number): Promise<Uint8Array | undefined>;
  delete(ids: readonly string[]): Promise<void>;
}

// ------------------------------------------------------------------------------------------------- between the workers

/** One message of an exchange: a frame of rows, or the end of what one worker sends for one stage of one epoch. */
export interface ExchangeMessage {
  readonly job: string;
  readonly run: number;
  readonly token: number;
  readonly epoch: number;
  readonly attempt: number;
  /** The sender, by its index in the assignment. */
  readonly from: number;
  /** The stage that sends. */
  readonly fromStage: number;
  /** Orders the frames of a sender for the receiver, the same for every attempt (partition, or thread). */
  readonly part: number;
  readonly stage: number;
  readonly port: number;
  /** Thread of the receiver. */
  readonly thread: number;
  readonly rowCount: number;
  readonly bytes: Uint8Array;
  /** Set in the last message for (epoch, attempt, fromStage, stage): how many frames and rows came before it. */
  readonly end: { readonly frames: number; readonly rows: number; readonly crc: number } | null;
}

/** Carries exchange messages to one worker, in order, with credits in bytes. */
export interface ExchangeLink {
  /**
   * Resolves when the receiver has room for more; a message with `end` when the receiver has taken it and all before.
   * Throws: PEER_UNREACHABLE with the fact `peer`, the address.
   */
  send(message: ExchangeMessage): Promise<void>;
  /** Connects now, so that the first message finds the connection there. What goes wrong shows with that message. */
  connect(): void;
  close(): void;
}

export interface ExchangeTransport {
  /** A link to the worker at `address` (host:port), connected on first use. */
  open(address: string): ExchangeLink;
  /** Messages that reach this worker; the promise gives the sender its credit back. Set once. */
  receive(handler: (message: ExchangeMessage) => Promise<void>): void;
  close(): Promise<void>;
}

// --------------------------------------------------------------------------------------------------------- the others

/** Named points where tests may crash, stop or delay a process. A no-op unless armed. */
export interface Failpoints {
  hit(name: FailpointName): void | Promise<void>;
}

export const failpointNames = [
  'lane.afterFetch',
  'lane.afterParse',
  'lane.midWrite',
  'lane.afterAck',
  'lane.beforeCommit',
  'lane.afterCommit',
  'transaction.beforeProduce',
  'transaction.afterProduce',
  'transaction.beforeCommit',
  'transaction.afterCommit',
  'epoch.afterFetch',
  'epoch.afterMap',
  'epoch.midExchange',
  'epoch.afterFold',
  'epoch.midWrite',
  'epoch.afterAck',
  'epoch.afterDone',
  'epoch.midSnapshot',
  'epoch.midRestore',
  'epoch.beforePlan',
  'epoch.afterPlan',
  'epoch.beforeCommit',
  'epoch.afterCommit',
] as const;
export type FailpointName = (typeof failpointNames)[number];

export const noFailpoints: Failpoints = { hit: () => undefined };

export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
  child(fields: Readonly<Record<string, unknown>>): Log;
}

/** Everything a job's connections resolve to, by connector and connection name. */
export interface Connections {
  source(connector: string, options: Readonly<Record<string, unknown>>): Source;
  logWriter(connector: string, options: Readonly<Record<string, unknown>>): LogWriter;
  tables(connector: string, options: Readonly<Record<string, unknown>>): TableStore;
  /** Sinks of other kinds (core/row-sink.ts). Throws: UNSUPPORTED for a connector that there is none of. */
  rowSinks(connector: string): RowSinkConnector;
  /** Tables that are looked up by key. Throws: UNSUPPORTED for a connector that there is none of. Absent = there are none. */
  lookups?(connector: string): LookupConnector;
  /** Where snapshots of state are kept: beside the metadata, or in a directory. */
  blobs(): BlobStore;
  /** Names of the default connections, for people: `kafka 127.0.0.1:9092` or `embedded 127.0.0.1:7079`. */
  describe(): { readonly log: string; readonly tables: string };
  close(): Promise<void>;
}
