// Made from proto/control.proto by `npm run gen`. Do not edit.
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

export interface JoinRequest {
  workerId: string;
  token: string;
  publicKey: Uint8Array;
}

export interface JoinReply {
  certificate: string;
}

export interface WorkerMessage {
  register?: Register;
  heartbeat?: Heartbeat;
  report?: Report;
  drain?: Drain;
  epoch?: EpochReport;
  logs?: WorkerLogs;
  /** Which of 'register', 'heartbeat', 'report', 'drain', 'epoch', 'logs' is there. */
  body?: 'register' | 'heartbeat' | 'report' | 'drain' | 'epoch' | 'logs';
}

export interface MasterMessage {
  registered?: Registered;
  assign?: Assign;
  refused?: Refused;
  drained?: Drained;
  epoch?: EpochOrder;
  notLeader?: NotLeader;
  /** Which of 'registered', 'assign', 'refused', 'drained', 'epoch', 'notLeader' is there. */
  body?: 'registered' | 'assign' | 'refused' | 'drained' | 'epoch' | 'notLeader';
}

export interface Register {
  workerId: string;
  protocolVersion: number;
  formatVersion: number;
  httpAddress: string;
  threads: number;
  token: string;
  weirVersion: string;
  exchangeAddress: string;
}

export interface Registered {
  masterId: string;
  heartbeatIntervalMs: number;
  silenceLimitMs: number;
}

export interface Refused {
  code: string;
  message: string;
}

export interface Heartbeat {
  sequence: number;
  eventLoopDelayMs: number;
  rssBytes: number;
  lanes: LaneStatus[];
  jobs: JobFigures[];
  schemaChanges: SchemaChange[];
}

export interface WorkerLogs {
  first: number;
  lines: WorkerLogLine[];
}

export interface WorkerLogLine {
  at: number;
  level: string;
  job: string;
  message: string;
  fields: string;
}

export interface SchemaChange {
  job: string;
  run: number;
  source: string;
  kind: string;
  column: string;
  before: string;
  after: string;
  partition: number;
  offset: number;
}

export interface LaneStatus {
  job: string;
  run: number;
  lane: string;
  generation: number;
  state: string;
  code: string;
  message: string;
  committedOffset: number;
  readOffset: number;
  endOffset: number;
  bytesPerSecond: number;
  counters: Counters | null;
  aheadMs: number;
}

export interface Counters {
  read: number;
  passed: number;
  filtered: number;
  skipped: number;
  dead: number;
  rowsOut: number;
}

export interface JobFigures {
  job: string;
  records: number;
  rows: number;
  dead: number;
  latencyBuckets: number[];
  busy: StageTime[];
  blockedMs: number;
  sinks: SinkTime[];
}

export interface SinkTime {
  sink: number;
  ms: number;
}

export interface StageTime {
  stage: number;
  ms: number;
}

export interface Report {
  job: string;
  run: number;
  lane: string;
  generation: number;
  event: string;
  code: string;
  message: string;
}

export interface Drain {
  reason: string;
}

export type Drained = Record<string, never>;

export interface Assign {
  jobs: JobVersion[];
}

export interface JobVersion {
  job: string;
  ver: number;
}

export interface NotLeader {
  address: string;
}

export interface EpochOrder {
  job: string;
  run: number;
  token: number;
  prepare?: EpochPrepare;
  runEpoch?: EpochRun;
  stop?: EpochStop;
  /** Which of 'prepare', 'runEpoch', 'stop' is there. */
  body?: 'prepare' | 'runEpoch' | 'stop';
}

export interface EpochPrepare {
  definition: string;
  assignment: string;
  head: string;
  execution: number;
}

export interface EpochRun {
  assignmentVersion: number;
  attempt: number;
  plan: string;
  committed: number;
  snapshot: boolean;
  snapshotAll: boolean;
}

export interface EpochStop {
  reason: string;
}

export interface EpochReport {
  job: string;
  run: number;
  token: number;
  ready?: EpochReady;
  ends?: EpochEnds;
  mapped?: EpochMapped;
  done?: EpochDone;
  trouble?: EpochTrouble;
  stopped?: EpochStopped;
  feed?: EpochFeed;
  /** Which of 'ready', 'ends', 'mapped', 'done', 'trouble', 'stopped', 'feed' is there. */
  body?: 'ready' | 'ends' | 'mapped' | 'done' | 'trouble' | 'stopped' | 'feed';
}

export interface EpochReady {
  assignmentVersion: number;
  epoch: number;
}

export interface EpochEnds {
  ends: PartitionEnd[];
}

export interface PartitionEnd {
  lane: string;
  offsets: number[];
  timestampsMs: number[];
  logEnd: number;
  code: string;
  message: string;
  recordBytes: number;
}

export interface EpochMapped {
  epoch: number;
  attempt: number;
  eventTimesUs: number[];
  sources: string[];
}

export interface EpochDone {
  epoch: number;
  attempt: number;
  counters: Counters | null;
  late: LateRows[];
  state: StageState[];
  stored: StoredGroup[];
  snapshot: boolean;
}

export interface LateRows {
  operatorId: string;
  rows: number;
}

export interface StageState {
  stage: number;
  rows: number;
  bytes: number;
  evicted: number;
}

export interface StoredGroup {
  stage: number;
  group: number;
  blob: string;
  bytes: number;
}

export interface EpochTrouble {
  epoch: number;
  attempt: number;
  assignmentVersion: number;
  retry: boolean;
  code: string;
  message: string;
  peer: string;
}

export type EpochStopped = Record<string, never>;

export interface EpochFeed {
  source: string;
  code: string;
  message: string;
  fetched: number;
  end: number;
}

export type ControlDefinition = {
  readonly Connect: MethodDefinition<WorkerMessage, MasterMessage>;
  readonly Join: MethodDefinition<JoinRequest, JoinReply>;
};

export interface ControlClient extends Client {
  connect(metadata?: Metadata, options?: Partial<CallOptions>): ClientDuplexStream<WorkerMessage, MasterMessage>;
  join(
    request: JoinRequest,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: requestCallback<JoinReply>,
  ): ClientUnaryCall;
}

export interface ControlHandlers extends UntypedServiceImplementation {
  Connect: handleBidiStreamingCall<WorkerMessage, MasterMessage>;
  Join: handleUnaryCall<JoinRequest, JoinReply>;
}
