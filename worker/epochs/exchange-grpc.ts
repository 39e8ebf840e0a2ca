/**
 * Exchange over gRPC: one stream per pair of workers and direction. A sender has credit for so many bytes; the receiver
 * gives it back as its handler takes the messages. Frames above a size go in pieces, so that no message is large.
 */
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { Server, status } from '@grpc/grpc-js';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { ExchangeLink, ExchangeMessage, ExchangeTransport, Log } from '../../core/ports.ts';
import type { Credit, ExchangeClient, ExchangeFrame } from '../../proto/gen/exchange.ts';
import { loadExchange } from '../../proto/load.ts';
import type { CurrentIdentity } from '../../proto/tls.ts';
import { clientCredentials, peerOf, serverCredentials } from '../../proto/tls.ts';

/** Bytes on their way to one worker. */
const CREDIT_BYTES = 8 << 20;
const PIECE_BYTES_MAX = 1 << 20;
/** A message without rows still takes room. */
const MESSAGE_OVERHEAD_BYTES = 64;
const CONNECT_LIMIT_MS = 2000;
const SHUTDOWN_LIMIT_MS = 300;

export interface ExchangeOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** What other workers connect to; default the host listened on. */
  readonly advertisedHost?: string;
  /** The cluster's token: streams with another are refused. */
  readonly token: string;
  /** With TLS only workers that show a certificate of the cluster may send; absent = plain text. */
  readonly identity?: CurrentIdentity | null;
  readonly log: Log;
}

export interface ListeningExchange {
  readonly transport: ExchangeTransport;
  /** `host:port` for the registration. */
  readonly address: string;
}

/** Listens for other workers. Throws: PORT_IN_USE. */
export async function makeExchange(options: ExchangeOptions): Promise<ListeningExchange> {
  const { host, port, token, log, identity = null } = options;
  let handler: (message: ExchangeMessage) => Promise<void> = () => Promise.resolve();
  const { definition, options: channelOptions } = loadExchange();
  const server = new Server({ ...channelOptions });
  server.addService(definition, {
    Send: (call: ServerDuplexStream<ExchangeFrame, Credit>) => {
      if (identity === null || peerOf(call)?.side === 'worker')
        return receive(call, token, log, (message) => handler(message));
      call.emit('error', { code: status.UNAUTHENTICATED, details: 'the certificate is not that of a worker' });
    },
  });
  const bound = await listen(server, host, port, identity);
  const links = new Map<string, GrpcLink>();
  const transport: ExchangeTransport = {
    open: (address) => {
      let link = links.get(address);
      if (link === undefined || link.closed) {
        link = new GrpcLink(address, token, identity);
        links.set(address, link);
      }
      return link;
    },
    receive: (next) => {
      handler = next;
    },
    close: async () => {
      for (const link of links.values()) link.close();
      await shutDown(server);
    },
  };
  return { transport, address: `${options.advertisedHost ?? host}:${bound}` };
}

// ------------------------------------------------------------------------------------------------------- receiving

function receive(
  call: ServerDuplexStream<ExchangeFrame, Credit>,
  token: string,
  log: Log,
  handler: (message: ExchangeMessage) => Promise<void>,
): void {
  let admitted = token === '';
  let pieces: Uint8Array[] = [];
  let open = true;
  call.on('data', (frame: ExchangeFrame) => {
    if (!admitted) {
      if (frame.clusterToken !== token) {
        open = false;
        call.emit('error', { code: status.UNAUTHENTICATED, details: 'the token is wrong' });
        return;
      }
      admitted = true;
    }
    if (!open) return;
    const credit = { bytes: sizeOf(frame.bytes) };
    const give = (): void => {
      if (open) call.write(credit);
    };
    pieces.push(frame.bytes);
    if (frame.more) return give();
    const bytes = joined(pieces);
    pieces = [];
    handler(messageFrom(frame, bytes)).then(give, (error: unknown) => {
      log.error({ err: error }, `rows of another worker were not taken: ${messageOf(error)}`);
      call.end();
    });
  });
  const ended = (): void => {
    open = false;
  };
  call.on('cancelled', ended);
  call.on('error', ended);
  call.on('end', () => {
    ended();
    call.end();
  });
}

/** Memory that begins at a multiple of 8, as the reading of frames wants it. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

function messageFrom(frame: ExchangeFrame, bytes: Uint8Array): ExchangeMessage {
  const { job, run, token, epoch, attempt, from, fromStage, part, stage, port, thread, rowCount, end } = frame;
  return { job, run, token, epoch, attempt, from, fromStage, part, stage, port, thread, rowCount, bytes, end };
}

// --------------------------------------------------------------------------------------------------------- sending

class GrpcLink implements ExchangeLink {
  readonly #address: string;
  readonly #token: string;
  readonly #identity: CurrentIdentity | null;
  #client: ExchangeClient | null = null;
  #stream: Promise<ClientDuplexStream<ExchangeFrame, Credit>> | null = null;
  /** Their difference is on its way. */
  #sentBytes = 0;
  #takenBytes = 0;
  #waiting: (() => void)[] = [];
  #failure: WeirError | null = null;
  #ordered: Promise<void> = Promise.resolve();

  constructor(address: string, token: string, identity: CurrentIdentity | null) {
    this.#address = address;
    this.#token = token;
    this.#identity = identity;
  }

  /** True once nothing can be sent any more: another link has to be opened. */
  get closed(): boolean {
    return this.#failure !== null;
  }

  async send(message: ExchangeMessage): Promise<void> {
    const sent = this.#ordered.then(() => this.#send(message));
    this.#ordered = sent.catch(() => undefined);
    await sent;
    // Whoever ends a flow wants to know that all of it arrived: what was on its way may be lost with the connection.
    if (message.end !== null) await this.#taken(this.#sentBytes);
  }

  /** Resolves when the receiver has given back credit for so many bytes. */
  async #taken(bytes: number): Promise<void> {
    while (this.#takenBytes < bytes) {
      this.#check();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  connect(): void {
    this.#stream ??= this.#connect();
    this.#stream.catch(() => undefined);
  }

  close(): void {
    this.#fail('the link was closed');
  }

  async #send(message: ExchangeMessage): Promise<void> {
    const { bytes } = message;
    for (let at = 0; at === 0 || at < bytes.byteLength; at += PIECE_BYTES_MAX) {
      const piece = bytes.subarray(at, at + PIECE_BYTES_MAX);
      while (this.#sentBytes - this.#takenBytes >= CREDIT_BYTES && this.#failure === null)
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#check();
      this.#stream ??= this.#connect();
      const stream = await this.#stream;
      this.#check();
      this.#sentBytes += sizeOf(piece);
      stream.write({
        ...message,
        bytes: piece,
        more: at + PIECE_BYTES_MAX < bytes.byteLength,
        clusterToken: this.#token,
      });
    }
  }

  async #connect(): Promise<ClientDuplexStream<ExchangeFrame, Credit>> {
    const client = loadExchange().client(this.#address, clientCredentials(this.#identity?.current ?? null, 'worker'));
    this.#client = client;
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + CONNECT_LIMIT_MS, (error) => {
        if (error === undefined) return resolve();
        reject(this.#fail(error.message));
      });
    });
    const stream = client.send();
    stream.on('data', ({ bytes }: Credit) => {
      this.#takenBytes += bytes;
      this.#wake();
    });
    stream.on('error', (error: Error) => this.#fail(error.message));
    stream.on('end', () => this.#fail('it closed the stream'));
    return stream;
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #fail(reason: string): WeirError {
    this.#failure ??= new WeirError(
      'PEER_UNREACHABLE',
      `the worker at ${this.#address} does not take rows (${reason}); the epoch is tried again`,
      { facts: { peer: this.#address } },
    );
    this.#wake();
    this.#client?.close();
    return this.#failure;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

function sizeOf(bytes: Uint8Array): number {
  return bytes.byteLength + MESSAGE_OVERHEAD_BYTES;
}

function listen(server: Server, host: string, port: number, identity: CurrentIdentity | null): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, serverCredentials(identity, 'required'), (error, actual) => {
      if (error === null) return resolve(actual);
      reject(
        new WeirError(
          'PORT_IN_USE',
          `port ${port} on ${host} is in use; stop the process that listens there, or choose another for the exchange`,
          { cause: error },
        ),
      );
    });
  });
}

function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, SHUTDOWN_LIMIT_MS);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
