// Made from proto/embedded.proto by `npm run gen`. Do not edit.
import type {
  CallOptions,
  Client,
  ClientDuplexStream,
  ClientUnaryCall,
  Metadata,
  MethodDefinition,
  UntypedServiceImplementation,
  handleBidiStreamingCall,
  handleUnaryCall,
  requestCallback,
} from '@grpc/grpc-js';

export type Empty = Record<string, never>;

export type InfoRequest = Record<string, never>;

export interface InfoReply {
  protocolVersion: number;
  pid: number;
  dataDir: string;
}

export interface Failure {
  code: string;
  message: string;
  facts: string;
}

export interface TopicRequest {
  topic: string;
}

export interface CreateTopicRequest {
  topic: string;
  partitions: number;
}

export interface TopicReply {
  topic: string;
  topicId: string;
  partitions: number;
}

export interface AppendRequest {
  appends: PartitionAppend[];
}

export interface PartitionAppend {
  topic: string;
  partition: number;
  batch: Uint8Array;
}

export interface AppendAtRequest {
  topic: string;
  partition: number;
  batch: Uint8Array;
  expectedEnd: number;
}

export interface AppendReply {
  baseOffsets: number[];
}

export interface BeginTransactionsRequest {
  id: string;
  groups: string[];
  place: string;
  note: string;
}

export interface BeginTransactionsReply {
  generation: number;
  position: number;
}

export interface StageAppendsRequest {
  id: string;
  generation: number;
  first: number;
  appends: PartitionAppend[];
}

export interface CommitTransactionRequest {
  id: string;
  generation: number;
  sequence: number;
  appends: number;
  group: string;
  place: string;
  note: string;
  position: number;
}

export interface ListOffsetsRequest {
  topic: string;
  partitions: number[];
  earliest?: boolean;
  latest?: boolean;
  timestampMs?: number;
  /** Which of 'earliest', 'latest', 'timestampMs' is there. */
  query?: 'earliest' | 'latest' | 'timestampMs';
}

export interface ListOffsetsReply {
  offsets: number[];
}

export interface ReadRequest {
  id: number;
  cancel: boolean;
  topic: string;
  topicId: string;
  partition: number;
  offset: number;
  maxBytes: number;
  maxWaitMs: number;
}

export interface ReadReply {
  id: number;
  failure: Failure | null;
  bytes: Uint8Array;
  endOffset: number;
  startOffset: number;
}

export interface DeleteRecordsRequest {
  topic: string;
  before: PartitionOffset[];
}

export interface PartitionOffset {
  partition: number;
  offset: number;
}

export interface CreateTableRequest {
  schema: string;
  addColumns: boolean;
}

export interface DescribeTableRequest {
  keyspace: string;
  table: string;
}

export interface DescribeTableReply {
  schema: string;
}

export interface WriteRowsRequest {
  keyspace: string;
  table: string;
  columns: string[];
  rowCount: number;
  rows: Uint8Array;
}

export interface QueryRequest {
  cql: string;
}

export interface QueryReply {
  result: string;
}

export interface ListJobsReply {
  names: string[];
}

export interface JobRequest {
  name: string;
}

export interface JobReply {
  row: string;
}

export interface CasJobRequest {
  name: string;
  expectedVer: number;
  next: string;
}

export interface CasJobReply {
  applied: boolean;
  current: string;
}

export interface Definition {
  hash: string;
  text: string;
}

export interface DefinitionRequest {
  hash: string;
}

export interface DefinitionReply {
  found: boolean;
  text: string;
}

export interface LaneRequest {
  job: string;
  run: number;
  source: string;
  topicId: string;
  partition: number;
  nextOffset: number;
  position: string;
}

export interface LanesRequest {
  job: string;
  run: number;
}

export interface LanesReply {
  lanes: LaneRequest[];
}

export interface EpochsRequest {
  job: string;
  run: number;
}

export interface CasEpochsRequest {
  job: string;
  run: number;
  expectedVer: number;
  next: string;
  plans: PlanSlot[];
}

export interface PlanSlot {
  slot: number;
  epoch: number;
  plan: string;
}

export interface PlansRequest {
  job: string;
  run: number;
  from: number;
  to: number;
}

export interface CasLeaseRequest {
  expectedVer: number;
  next: string;
}

export interface Savepoint {
  job: string;
  name: string;
  row: string;
}

export interface SavepointRequest {
  job: string;
  name: string;
}

export interface RowReply {
  row: string;
}

export interface RowsReply {
  rows: string[];
}

export interface CasReply {
  applied: boolean;
  current: string;
}

export interface NowReply {
  nowMs: number;
}

export interface BlobRequest {
  id: string;
}

export interface BlobChunkRequest {
  id: string;
  chunk: number;
}

export interface BlobChunk {
  id: string;
  chunk: number;
  bytes: Uint8Array;
}

export interface BlobChunkReply {
  found: boolean;
  bytes: Uint8Array;
}

export interface BlobHeader {
  id: string;
  formatVersion: number;
  length: number;
  chunks: number;
  crc: number;
}

export interface BlobHeaderReply {
  found: boolean;
  header: BlobHeader | null;
}

export type EmbeddedDefinition = {
  readonly Info: MethodDefinition<InfoRequest, InfoReply>;
  readonly CreateTopic: MethodDefinition<CreateTopicRequest, TopicReply>;
  readonly DeleteTopic: MethodDefinition<TopicRequest, Empty>;
  readonly DescribeTopic: MethodDefinition<TopicRequest, TopicReply>;
  readonly Append: MethodDefinition<AppendRequest, AppendReply>;
  readonly AppendAt: MethodDefinition<AppendAtRequest, AppendReply>;
  readonly BeginTransactions: MethodDefinition<BeginTransactionsRequest, BeginTransactionsReply>;
  readonly StageAppends: MethodDefinition<StageAppendsRequest, Empty>;
  readonly CommitTransaction: MethodDefinition<CommitTransactionRequest, Empty>;
  readonly ListOffsets: MethodDefinition<ListOffsetsRequest, ListOffsetsReply>;
  readonly Read: MethodDefinition<ReadRequest, ReadReply>;
  readonly DeleteRecords: MethodDefinition<DeleteRecordsRequest, Empty>;
  readonly CreateTable: MethodDefinition<CreateTableRequest, Empty>;
  readonly DescribeTable: MethodDefinition<DescribeTableRequest, DescribeTableReply>;
  readonly WriteRows: MethodDefinition<WriteRowsRequest, Empty>;
  readonly Query: MethodDefinition<QueryRequest, QueryReply>;
  readonly ListJobs: MethodDefinition<Empty, ListJobsReply>;
  readonly ReadJob: MethodDefinition<JobRequest, JobReply>;
  readonly CasJob: MethodDefinition<CasJobRequest, CasJobReply>;
  readonly PutDefinition: MethodDefinition<Definition, Empty>;
  readonly GetDefinition: MethodDefinition<DefinitionRequest, DefinitionReply>;
  readonly WriteLane: MethodDefinition<LaneRequest, Empty>;
  readonly ReadLane: MethodDefinition<LaneRequest, LanesReply>;
  readonly ReadLanes: MethodDefinition<LanesRequest, LanesReply>;
  readonly ReadEpochs: MethodDefinition<EpochsRequest, RowReply>;
  readonly CasEpochs: MethodDefinition<CasEpochsRequest, CasReply>;
  readonly ReadPlans: MethodDefinition<PlansRequest, RowsReply>;
  readonly ReadLease: MethodDefinition<Empty, RowReply>;
  readonly CasLease: MethodDefinition<CasLeaseRequest, CasReply>;
  readonly PutSavepoint: MethodDefinition<Savepoint, Empty>;
  readonly GetSavepoint: MethodDefinition<SavepointRequest, RowReply>;
  readonly ListSavepoints: MethodDefinition<JobRequest, RowsReply>;
  readonly DeleteSavepoint: MethodDefinition<SavepointRequest, Empty>;
  readonly Now: MethodDefinition<Empty, NowReply>;
  readonly PutBlobChunk: MethodDefinition<BlobChunk, Empty>;
  readonly GetBlobChunk: MethodDefinition<BlobChunkRequest, BlobChunkReply>;
  readonly ClaimBlobChunk: MethodDefinition<BlobChunk, BlobChunkReply>;
  readonly PutBlobHeader: MethodDefinition<BlobHeader, Empty>;
  readonly GetBlobHeader: MethodDefinition<BlobRequest, BlobHeaderReply>;
  readonly DeleteBlob: MethodDefinition<BlobRequest, Empty>;
};

export interface EmbeddedClient extends Client {
  info(
    request: InfoRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<InfoReply>,
  ): ClientUnaryCall;
  createTopic(
    request: CreateTopicRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<TopicReply>,
  ): ClientUnaryCall;
  deleteTopic(
    request: TopicRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  describeTopic(
    request: TopicRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<TopicReply>,
  ): ClientUnaryCall;
  append(
    request: AppendRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<AppendReply>,
  ): ClientUnaryCall;
  appendAt(
    request: AppendAtRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<AppendReply>,
  ): ClientUnaryCall;
  beginTransactions(
    request: BeginTransactionsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<BeginTransactionsReply>,
  ): ClientUnaryCall;
  stageAppends(
    request: StageAppendsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  commitTransaction(
    request: CommitTransactionRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  listOffsets(
    request: ListOffsetsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<ListOffsetsReply>,
  ): ClientUnaryCall;
  read(metadata?: Metadata, options?: Partial<CallOptions>): ClientDuplexStream<ReadRequest, ReadReply>;
  deleteRecords(
    request: DeleteRecordsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  createTable(
    request: CreateTableRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  describeTable(
    request: DescribeTableRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<DescribeTableReply>,
  ): ClientUnaryCall;
  writeRows(
    request: WriteRowsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  query(
    request: QueryRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<QueryReply>,
  ): ClientUnaryCall;
  listJobs(
    request: Empty,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<ListJobsReply>,
  ): ClientUnaryCall;
  readJob(
    request: JobRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<JobReply>,
  ): ClientUnaryCall;
  casJob(
    request: CasJobRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<CasJobReply>,
  ): ClientUnaryCall;
  putDefinition(
    request: Definition,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  getDefinition(
    request: DefinitionRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<DefinitionReply>,
  ): ClientUnaryCall;
  writeLane(
    request: LaneRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  readLane(
    request: LaneRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<LanesReply>,
  ): ClientUnaryCall;
  readLanes(
    request: LanesRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<LanesReply>,
  ): ClientUnaryCall;
  readEpochs(
    request: EpochsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<RowReply>,
  ): ClientUnaryCall;
  casEpochs(
    request: CasEpochsRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<CasReply>,
  ): ClientUnaryCall;
  readPlans(
    request: PlansRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<RowsReply>,
  ): ClientUnaryCall;
  readLease(
    request: Empty,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<RowReply>,
  ): ClientUnaryCall;
  casLease(
    request: CasLeaseRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<CasReply>,
  ): ClientUnaryCall;
  putSavepoint(
    request: Savepoint,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  getSavepoint(
    request: SavepointRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<RowReply>,
  ): ClientUnaryCall;
  listSavepoints(
    request: JobRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<RowsReply>,
  ): ClientUnaryCall;
  deleteSavepoint(
    request: SavepointRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  now(
    request: Empty,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<NowReply>,
  ): ClientUnaryCall;
  putBlobChunk(
    request: BlobChunk,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  getBlobChunk(
    request: BlobChunkRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<BlobChunkReply>,
  ): ClientUnaryCall;
  claimBlobChunk(
    request: BlobChunk,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<BlobChunkReply>,
  ): ClientUnaryCall;
  putBlobHeader(
    request: BlobHeader,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
  getBlobHeader(
    request: BlobRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<BlobHeaderReply>,
  ): ClientUnaryCall;
  deleteBlob(
    request: BlobRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<Empty>,
  ): ClientUnaryCall;
}

export interface EmbeddedHandlers extends UntypedServiceImplementation {
  Info: handleUnaryCall<InfoRequest, InfoReply>;
  CreateTopic: handleUnaryCall<CreateTopicRequest, TopicReply>;
  DeleteTopic: handleUnaryCall<TopicRequest, Empty>;
  DescribeTopic: handleUnaryCall<TopicRequest, TopicReply>;
  Append: handleUnaryCall<AppendRequest, AppendReply>;
  AppendAt: handleUnaryCall<AppendAtRequest, AppendReply>;
  BeginTransactions: handleUnaryCall<BeginTransactionsRequest, BeginTransactionsReply>;
  StageAppends: handleUnaryCall<StageAppendsRequest, Empty>;
  CommitTransaction: handleUnaryCall<CommitTransactionRequest, Empty>;
  ListOffsets: handleUnaryCall<ListOffsetsRequest, ListOffsetsReply>;
  Read: handleBidiStreamingCall<ReadRequest, ReadReply>;
  DeleteRecords: handleUnaryCall<DeleteRecordsRequest, Empty>;
  CreateTable: handleUnaryCall<CreateTableRequest, Empty>;
  DescribeTable: handleUnaryCall<DescribeTableRequest, DescribeTableReply>;
  WriteRows: handleUnaryCall<WriteRowsRequest, Empty>;
  Query: handleUnaryCall<QueryRequest, QueryReply>;
  ListJobs: handleUnaryCall<Empty, ListJobsReply>;
  ReadJob: handleUnaryCall<JobRequest, JobReply>;
  CasJob: handleUnaryCall<CasJobRequest, CasJobReply>;
  PutDefinition: handleUnaryCall<Definition, Empty>;
  GetDefinition: handleUnaryCall<DefinitionRequest, DefinitionReply>;
  WriteLane: handleUnaryCall<LaneRequest, Empty>;
  ReadLane: handleUnaryCall<LaneRequest, LanesReply>;
  ReadLanes: handleUnaryCall<LanesRequest, LanesReply>;
  ReadEpochs: handleUnaryCall<EpochsRequest, RowReply>;
  CasEpochs: handleUnaryCall<CasEpochsRequest, CasReply>;
  ReadPlans: handleUnaryCall<PlansRequest, RowsReply>;
  ReadLease: handleUnaryCall<Empty, RowReply>;
  CasLease: handleUnaryCall<CasLeaseRequest, CasReply>;
  PutSavepoint: handleUnaryCall<Savepoint, Empty>;
  GetSavepoint: handleUnaryCall<SavepointRequest, RowReply>;
  ListSavepoints: handleUnaryCall<JobRequest, RowsReply>;
  DeleteSavepoint: handleUnaryCall<SavepointRequest, Empty>;
  Now: handleUnaryCall<Empty, NowReply>;
  PutBlobChunk: handleUnaryCall<BlobChunk, Empty>;
  GetBlobChunk: handleUnaryCall<BlobChunkRequest, BlobChunkReply>;
  ClaimBlobChunk: handleUnaryCall<BlobChunk, BlobChunkReply>;
  PutBlobHeader: handleUnaryCall<BlobHeader, Empty>;
  GetBlobHeader: handleUnaryCall<BlobRequest, BlobHeaderReply>;
  DeleteBlob: handleUnaryCall<BlobRequest, Empty>;
}
