/** The master's side of the control streams over gRPC. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { WeirError } from '../core/errors.ts';
import type { ControlStream } from '../core/ports.ts';
import type { MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { loadControl } from '../proto/load.ts';
import { addHealth, addReflection } from './grpc-standard.ts';

export interface ControlListener {
  /** `host:port` it listens on. */
  readonly address: string;
  close(): Promise<void>;
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
): Promise<ControlListener> {
  const { definition, options } = loadControl();
  const server = new Server({ ...options, 'grpc.max_concurrent_streams': 64 });
  addHealth(server, isReady);
  addReflection(server);
  server.addService(definition, {
    Connect: (call: ServerDuplexStream<WorkerMessage, MasterMessage>) => {
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
          call.on('data', handler);
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
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, actual) => {
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
