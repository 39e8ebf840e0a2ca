/**
 * Sockets for kafkajs that read into one buffer, again and again. A socket of Node makes a buffer for every read, of
 * which a fetching worker would have thousands per second to collect.
 */
import type { Socket } from 'node:net';
import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

const READ_BYTES = 256 * 1024;
const KEEP_ALIVE_DELAY_MS = 60_000;

export class ReadingSockets {
  /** Of all sockets together: what a read brings is dealt with before the next one. */
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #takers = new WeakMap<object, (bytes: Buffer) => void>();

  /** For kafkajs' `socketFactory`. */
  readonly connect: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    const onread = {
      buffer: this.#buffer,
      callback: (length: number): boolean => {
        this.#hand(socket, this.#buffer.subarray(0, length));
        return true;
      },
    };
    const name = isIP(host) === 0 ? { servername: host } : {};
    // Node takes `onread` for both; its types say so for plain sockets only.
    const options = { host, port, onread };
    const socket: Socket =
      // kafkajs gives null for a connection without TLS, whatever its types say.
      (ssl as typeof ssl | null) === null
        ? connectPlain(options, onConnect)
        : connectTls({ ...options, ...name, ...ssl }, onConnect);
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    return socket;
  };

  /** From now on `taker` gets what the socket reads, and no one else. The bytes are there until it returns. */
  take(socket: object, taker: (bytes: Buffer) => void): void {
    this.#takers.set(socket, taker);
  }

  #hand(socket: Socket, bytes: Buffer): void {
    const taker = this.#takers.get(socket);
    if (taker === undefined) socket.emit('data', Buffer.from(bytes));
    else taker(bytes);
  }
}
