/** One connection to the embedded process, shared by everything in a process that uses it. gRPC reconnects by itself. */
import type { CallOptions, ClientUnaryCall, requestCallback, ServiceError } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import type { ErrorCode } from '../../core/errors.ts';
import { WeirError } from '../../core/errors.ts';
import type { EmbeddedClient } from '../../proto/gen/embedded.ts';
import { loadEmbedded } from '../../proto/load.ts';
import { reportedError } from './status.ts';

/** Longest wait for an answer, ms. A stopped or overloaded process shows up as unavailable then. */
const CALL_TIMEOUT_MS = 10_000;
/** For what may read or write much. */
export const LONG_CALL_TIMEOUT_MS = 60_000;

const noMetadata = new Metadata();

type UnaryMethod<Request, Reply> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: requestCallback<Reply>,
) => ClientUnaryCall;

export class EmbeddedConnection {
  readonly address: string;
  readonly #client: EmbeddedClient;

  /** Connects with the first call. */
  constructor(address: string) {
    this.address = address;
    this.#client = loadEmbedded().client(address);
  }

  /** For streams, which have no unary call. */
  get client(): EmbeddedClient {
    return this.#client;
  }

  /**
   * One call. `unavailable` is the code when no answer came: the request may have been carried out all the same.
   *
   * Throws: what the embedded process reports; `unavailable`.
   */
  call<Request, Reply>(
    method: (client: EmbeddedClient) => UnaryMethod<Request, Reply>,
    request: Request,
    unavailable: ErrorCode,
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const options = { deadline: new Date(Date.now() + timeoutMs) };
      method(this.#client).call(this.#client, request, noMetadata, options, (error, reply) => {
        if (error !== null) reject(this.#errorOf(error, unavailable));
        else resolve(reply as Reply);
      });
    });
  }

  /** The failure for people: the process does not answer. */
  unavailable(code: ErrorCode, cause: unknown): WeirError {
    const message = `The embedded process at ${this.address} does not answer. Start it with weir embedded, or set WEIR_EMBEDDED to its address.`;
    return new WeirError(code, message, { cause });
  }

  close(): void {
    this.#client.close();
  }

  #errorOf(error: ServiceError, unavailable: ErrorCode): WeirError {
    return reportedError(error) ?? this.unavailable(unavailable, error);
  }
}
