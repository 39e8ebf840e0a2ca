/**
 * Sockets for kafkajs that read into memory that is there already. A socket of Node makes a buffer for every read, of
 * which a fetching worker would have thousands per second to collect.
 */
import type { Socket } from 'node:net';
import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

const READ_BYTES = 256 * 1024;
/** Of a socket with a {@link Taker}: what comes before the bytes that have a place of their own is short. */
const READ_BETWEEN_BYTES = 16 * 1024;
const KEEP_ALIVE_DELAY_MS = 60_000;

/** Gets what a socket reads, and no one else does. */
export interface Taker {
  /** Bytes that are there until it returns. */
  push(bytes: Buffer): void;
  /** Where the next bytes have to go, and those behind them; null = they are to be pushed. Asked before every read. */
  readonly room: Uint8Array | null;
  /** So many bytes stand at the start of {@link room}. */
  filled(length: number): void;
}

export class ReadingSockets {
  /** Of all sockets together: what a read brings is dealt with before the next one. */
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #between = this.#buffer.subarray(0, READ_BETWEEN_BYTES);
  readonly #takers = new WeakMap<object, Taker>();

  /** For kafkajs' `socketFactory`. */
  readonly connect: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    let socket: Socket | null = null;
    /** Whose room the next read fills. */
    let direct: Taker | null = null;
    const onread = {
      buffer: (): Uint8Array => {
        const taker = socket === null ? undefined : this.#takers.get(socket);
        const room = taker?.room ?? null;
        direct = room === null ? null : (taker ?? null);
        return room ?? (taker === undefined ? this.#buffer : this.#between);
      },
      callback: (length: number): boolean => {
        if (direct !== null) direct.filled(length);
        else if (socket !== null) this.#hand(socket, this.#buffer.subarray(0, length));
        return true;
      },
    };
    const name = isIP(host) === 0 ? { servername: host } : {};
    // Node takes `onread` for both; its types say so for plain sockets only.
    const options = { host, port, onread };
    const made: Socket =
      // kafkajs gives null for a connection without TLS, whatever its types say.
      (ssl as typeof ssl | null) === null
        ? connectPlain(options, onConnect)
        : connectTls({ ...options, ...name, ...ssl }, onConnect);
    made.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    socket = made;
    return made;
  };

  /** From now on `taker` gets what the socket reads, and no one else. */
  take(socket: object, taker: Taker): void {
    this.#takers.set(socket, taker);
  }

  #hand(socket: Socket, bytes: Buffer): void {
    const taker = this.#takers.get(socket);
    if (taker === undefined) socket.emit('data', Buffer.from(bytes));
    else taker.push(bytes);
  }
}
