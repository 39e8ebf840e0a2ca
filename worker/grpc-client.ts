/** The worker's side of the control stream over gRPC: tries the masters' addresses in turn. */
import { WeirError } from '../core/errors.ts';
import type { ControlClient, ControlStream } from '../core/ports.ts';
import type { MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { loadControl } from '../proto/load.ts';

const CONNECT_LIMIT_MS = 2000;

export class GrpcControlClient implements ControlClient<MasterMessage, WorkerMessage> {
  readonly #addresses: readonly string[];
  #next = 0;

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  async connect(): Promise<ControlStream<MasterMessage, WorkerMessage>> {
    const address = this.#addresses[this.#next++ % this.#addresses.length] ?? '';
    const client = loadControl().client(address);
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + CONNECT_LIMIT_MS, (error) => {
        if (error === undefined) return resolve();
        client.close();
        reject(
          new WeirError(
            'MASTER_UNREACHABLE',
            `the master at ${address} does not answer; start it with 'weir master', or name another with --master`,
            { cause: error },
          ),
        );
      });
    });
    const call = client.connect();
    let closeHandler: (reason: string) => void = () => undefined;
    let closed = false;
    const ended = (reason: string): void => {
      if (closed) return;
      closed = true;
      client.close();
      closeHandler(reason);
    };
    call.on('error', (error: Error) => ended(error.message));
    call.on('end', () => ended('the master closed the stream'));
    return {
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
        // A peer that hangs must not keep this process: the call is dropped when it does not end by itself.
        setTimeout(() => call.cancel(), 200).unref();
      },
    };
  }
}
