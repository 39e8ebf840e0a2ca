/** The master's side of the control streams over gRPC. */
import type { sendUnaryData, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import { Server, status } from '@grpc/grpc-js';
import { WeirError, messageOf } from '../core/errors.ts';
import type { ControlStream } from '../core/ports.ts';
import type { JoinReply, JoinRequest, MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { loadControl } from '../proto/load.ts';
import type { CurrentIdentity, Peer } from '../proto/tls.ts';
import { peerOf, serverCredentials } from '../proto/tls.ts';
import { addHealth, addReflection } from './grpc-standard.ts';
import type { Gate } from './security/gate.ts';

export interface ControlListener {
  /** `host:port` it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

export interface ControlSecurity {
  /** null = plain text: then a worker is known by the token with which it registers. */
  readonly identity: CurrentIdentity | null;
  readonly gate: Gate;
  /** A worker's certificate, PEM. Throws: USAGE. */
  readonly issue: (worker: string, tokenId: string, publicKey: Uint8Array) => string;
  /** Who came in, and who did not. */
  readonly note: (level: 'info' | 'warn', message: string) => void;
}

/**
 * `onStream` takes each new stream; what it returns is called once when the stream has ended. `isReady` is what the
 * standard health service tells of the control service. Throws: PORT_IN_USE.
 */
export async function listenControl(
  host: string,
  port: number,
  onStream: (stream: ControlStream<WorkerMessage, MasterMessage>) => () => void,
  isReady: () => boolean = () => true,
  security: ControlSecurity | null = null,
): Promise<ControlListener> {
  const { definition, options } = loadControl();
  const server = new Server({ ...options, 'grpc.max_concurrent_streams': 64 });
  addHealth(server, isReady);
  addReflection(server, (authorization) => security?.gate.judge(authorization, 'local')?.kind !== 'unknown');
  const identity = security?.identity ?? null;
  server.addService(definition, {
    Join: (call: ServerUnaryCall<JoinRequest, JoinReply>, callback: sendUnaryData<JoinReply>) =>
      join(call, callback, security),
    Connect: (call: ServerDuplexStream<WorkerMessage, MasterMessage>) => {
      const peer = identity === null ? null : peerOf(call);
      let closeHandler: (reason: string) => void = () => undefined;
      let closed = false;
      let forget = (): void => undefined;
      const ended = (reason: string): void => {
        if (closed) return;
        closed = true;
        forget();
        closeHandler(reason);
      };
      call.on('cancelled', () => ended('the connection broke'));
      call.on('error', (error: Error) => ended(error.message));
      call.on('end', () => {
        call.end();
        ended('the worker closed the stream');
      });
      forget = onStream({
        send: (message) => {
          if (!closed) call.write(message);
        },
        onMessage: (handler) => {
          call.on('data', (message: WorkerMessage) => {
            const refusal = identity === null ? null : refusalOf(message, peer, security);
            if (refusal === null) return handler(message);
            if (closed) return;
            security?.note('warn', refusal);
            call.write({ refused: { code: 'UNAUTHORIZED', message: refusal } });
            call.end();
            ended('the worker was refused');
          });
        },
        onClose: (handler) => {
          closeHandler = handler;
        },
        close: () => {
          call.end();
          ended('closed by the master');
        },
      });
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, serverCredentials(identity, 'asked'), (error, actual) => {
      if (error === null) return resolve(actual);
      reject(
        new WeirError(
          'PORT_IN_USE',
          `port ${port} on ${host} is in use; stop the process that listens there, or choose another with --grpc-port`,
          { cause: error },
        ),
      );
    });
  });
  return {
    address: `${host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        const force = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, 300);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      }),
  };
}

/** Why a message of a worker is not taken, by the certificate of its connection; null = it is. */
function refusalOf({ register }: WorkerMessage, peer: Peer | null, security: ControlSecurity | null): string | null {
  const name = printable(register?.workerId ?? '');
  const who = name === '' ? 'A worker' : `The worker ${name}`;
  if (peer === null || peer.side !== 'worker')
    return `${who} showed no certificate of this cluster; start it with --join and a token of "weir token create NAME --role worker".`;
  if (register !== undefined && register !== null && register.workerId !== peer.name)
    return `${who} showed the certificate of ${printable(peer.name)}; each worker has one of its own.`;
  if (security?.gate.isRevoked(peer.tokenId) === true)
    return `${who} joined by the token ${printable(peer.tokenId)}, which has been taken back; it needs a new one.`;
  return null;
}

function join(
  call: ServerUnaryCall<JoinRequest, JoinReply>,
  callback: sendUnaryData<JoinReply>,
  security: ControlSecurity | null,
): void {
  const worker = printable(call.request.workerId ?? '');
  const refuse = (code: status, details: string): void => {
    security?.note('warn', details);
    callback({ code, details });
  };
  if (security?.identity === undefined || security.identity === null)
    return refuse(status.FAILED_PRECONDITION, `The worker ${worker} asked for a certificate; this cluster has none.`);
  const { gate, issue, note } = security;
  const token = call.request.token ?? '';
  const peer = token === '' ? peerOf(call) : null;
  const isRenewal = peer?.side === 'worker' && peer.name === call.request.workerId && !gate.isRevoked(peer.tokenId);
  const tokenId = isRenewal ? peer.tokenId : gate.workerToken(token);
  if (tokenId === null || worker === '') {
    return refuse(
      status.UNAUTHENTICATED,
      `The worker ${worker} was not let in: its token is unknown, has expired or was taken back, or is not for workers. ` +
        'An admin makes a new one: weir token create NAME --role worker.',
    );
  }
  try {
    const certificate = issue(worker, tokenId, call.request.publicKey ?? new Uint8Array(0));
    note('info', `The worker ${worker} was given a certificate by the token ${tokenId}.`);
    callback(null, { certificate });
  } catch (error) {
    refuse(status.INVALID_ARGUMENT, messageOf(error));
  }
}

/** What a stranger sends, for logs: at most 100 plain characters. */
function printable(text: string): string {
  return text.slice(0, 100).replaceAll(/[^\w.:@-]/g, '?');
}
