// Made from proto/exchange.proto by `npm run gen`. Do not edit.
import type {
  CallOptions,
  Client,
  ClientDuplexStream,
  Metadata,
  MethodDefinition,
  UntypedServiceImplementation,
  handleBidiStreamingCall,
} from '@grpc/grpc-js';

export interface ExchangeFrame {
  job: string;
  run: number;
  token: number;
  epoch: number;
  attempt: number;
  from: number;
  fromStage: number;
  part: number;
  stage: number;
  port: number;
  thread: number;
  rowCount: number;
  bytes: Uint8Array;
  end: ExchangeEnd | null;
  clusterToken: string;
  more: boolean;
}

export interface ExchangeEnd {
  frames: number;
  rows: number;
  crc: number;
}

export interface Credit {
  bytes: number;
}

export type ExchangeDefinition = {
  readonly Send: MethodDefinition<ExchangeFrame, Credit>;
};

export interface ExchangeClient extends Client {
  send(metadata?: Metadata, options?: Partial<CallOptions>): ClientDuplexStream<ExchangeFrame, Credit>;
}

export interface ExchangeHandlers extends UntypedServiceImplementation {
  Send: handleBidiStreamingCall<ExchangeFrame, Credit>;
}
