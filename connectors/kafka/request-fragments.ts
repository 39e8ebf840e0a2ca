/**
 * Requests whose larger part is sent as it stands. kafkajs copies what it is given to send three times, into memory that
 * it clears first; so it is given a ticket in place of the bytes, and the socket writes them in the ticket's stead.
 */
import { must } from '../../core/assert.ts';

/** Of a socket, what sending needs. */
export interface WritableSocket {
  write(bytes: Uint8Array, encoding?: BufferEncoding): boolean;
  cork(): void;
  uncork(): void;
}

const SIZE_BYTES = 4;
const TICKET_BYTES = 4;

/** Of one connection. */
export class RequestFragments {
  readonly #apiKey: number;
  readonly #waiting = new Map<number, readonly Uint8Array[]>();
  #nextTicket = 0;

  /** All requests of `apiKey` that go over the socket have a ticket: they are made by {@link ticketFor}. */
  constructor(socket: WritableSocket, apiKey: number) {
    this.#apiKey = apiKey;
    const write = socket.write.bind(socket);
    socket.write = (bytes, encoding) => {
      // Signing in sends text.
      if (typeof bytes === 'string' || !this.#hasTicket(bytes)) return write(bytes, encoding);
      socket.cork();
      let hasRoom = true;
      for (const part of this.#redeem(bytes)) hasRoom = write(part);
      socket.uncork();
      return hasRoom;
    };
  }

  /** The body of a request: `head`, and a ticket for the fragments behind it, which stay as they are until the answer. */
  ticketFor(head: Uint8Array, fragments: readonly Uint8Array[]): Buffer {
    const ticket = this.#nextTicket;
    this.#nextTicket = (ticket + 1) >>> 0;
    this.#waiting.set(ticket, fragments);
    const body = Buffer.allocUnsafe(head.byteLength + TICKET_BYTES);
    body.set(head);
    body.writeUInt32BE(ticket, head.byteLength);
    return body;
  }

  #hasTicket(request: Uint8Array): boolean {
    return (
      this.#waiting.size > 0 &&
      request.byteLength >= SIZE_BYTES + 2 + TICKET_BYTES &&
      viewOf(request).getInt16(SIZE_BYTES) === this.#apiKey
    );
  }

  /** What goes over the wire. */
  #redeem(request: Uint8Array): readonly Uint8Array[] {
    const view = viewOf(request);
    const end = request.byteLength - TICKET_BYTES;
    const ticket = view.getUint32(end);
    const fragments = must(this.#waiting.get(ticket), () => `no fragments of request ${ticket} to Kafka`);
    this.#waiting.delete(ticket);
    view.setInt32(
      0,
      fragments.reduce((sum, { byteLength }) => sum + byteLength, end - SIZE_BYTES),
    );
    return [request.subarray(0, end), ...fragments];
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
