// Made from proto/control.proto by `npm run gen`. Do not edit.
import type {
  CallOptions,
  Client,
  ClientDuplexStream,
  Metadata,
  MethodDefinition,
  UntypedServiceImplementation,
  handleBidiStreamingCall,
} from '@grpc/grpc-js';

export interface WorkerMessage {
  register?: Register;
  heartbeat?: Heartbeat;
  report?: Report;
  drain?: Drain;
  /** Which of 'register', 'heartbeat', 'report', 'drain' is there. */
  body?: 'register' | 'heartbeat' | 'report' | 'drain';
}

export interface MasterMessage {
  registered?: Registered;
  assign?: Assign;
  refused?: Refused;
  drained?: Drained;
  /** Which of 'registered', 'assign', 'refused', 'drained' is there. */
  body?: 'registered' | 'assign' | 'refused' | 'drained';
}

export interface Register {
  workerId: string;
  protocolVersion: number;
  formatVersion: number;
  httpAddress: string;
  threads: number;
  token: string;
  weirVersion: string;
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

export type ControlDefinition = {
  readonly Connect: MethodDefinition<WorkerMessage, MasterMessage>;
};

export interface ControlClient extends Client {
  connect(metadata?: Metadata, options?: Partial<CallOptions>): ClientDuplexStream<WorkerMessage, MasterMessage>;
}

export interface ControlHandlers extends UntypedServiceImplementation {
  Connect: handleBidiStreamingCall<WorkerMessage, MasterMessage>;
}
