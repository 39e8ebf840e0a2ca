/**
 * Which answer belongs to which request on a connection to Cassandra. The protocol pairs them by a number that the client
 * chooses, the stream id, and by nothing else: an answer on the wrong stream is another request's success, so a write
 * would count as done that never was.
 *
 * A node does answer on the wrong stream. A request that waited longer than `native_transport_timeout` is refused on
 * stream 0, whichever it came on (CASSANDRA-21508), and so are errors of a channel as a whole. The driver uses stream 0
 * before any other, and an id again as soon as it is free: it gives such a refusal to the request on stream 0, that one's
 * own answer to the next request there, and so on for as long as the connection lives. An answer that nobody waits for
 * frees its id a second time, after which two requests share it.
 *
 * So ids go round instead, and 0 is for opening a connection alone: an error on it later is nobody's, and the request it
 * was meant for times out with its id. Any other answer that nobody waits for ends the connection with everything under
 * way on it, as its pairing is known no more. The driver's connections are not part of its public interface; what is
 * used of them is checked when the first client connects.
 */
import { createRequire } from 'node:module';
import type { Client } from 'cassandra-driver';
import { assert } from '../../core/assert.ts';

/** Ids are 16 bits from version 3 of the protocol on; negative ones are the node's own, for events. */
const STREAM_ID_MAX = 32767;
/** What a node uses where it does not say whom it answers. */
const UNADDRESSED = 0;
const OPCODE_ERROR = 0;

/** Ids of one connection, in the place of the driver's StreamIdStack. Each is used again after all others. */
export class StreamIds {
  readonly #taken = new Set<number>();
  #last = UNADDRESSED;
  #isOpening = true;

  /** How many are in use: what the driver counts as requests under way. */
  get inUse(): number {
    return this.#taken.size;
  }

  /** null when none is free. */
  pop(): number | null {
    const id = this.#isOpening && !this.#taken.has(UNADDRESSED) ? UNADDRESSED : this.#next();
    if (id !== null) this.#taken.add(id);
    return id;
  }

  push(id: number): void {
    this.#taken.delete(id);
  }

  /** Whatever the node says on stream 0 from now on is no answer to a request. */
  opened(): void {
    this.#isOpening = false;
  }

  /** The driver's would end its timers. */
  clear(): void {}

  /** Called while the version is negotiated; all that are spoken have 16 bits for an id. */
  setVersion(): void {}

  #next(): number | null {
    if (this.#taken.size >= STREAM_ID_MAX) return null;
    do this.#last = (this.#last % STREAM_ID_MAX) + 1;
    while (this.#taken.has(this.#last));
    return this.#last;
  }
}

// --------------------------------------------------------------------------------------- what the driver looks like

interface PrivateConnection {
  readonly endpointFriendlyName: string;
  /** Whether the opening is done: it has signed in. */
  readonly connected: boolean;
  /** Requests without an answer by stream id, those that timed out included. */
  readonly _operations: ReadonlyMap<number, unknown>;
  _streamIds: unknown;
  readonly netClient: { readonly destroyed: boolean; destroy(): void };
  /** Fails everything under way; the pool hears of the end from the socket. */
  clearAndInvokePending(reason: Error): void;
}

interface ConnectionPrototype {
  open(this: PrivateConnection, callback: unknown): void;
  connectionReady(this: PrivateConnection, callback: unknown): void;
  /** Called once for each whole frame, after its content was handed to the request. */
  freeStreamId(this: PrivateConnection, header: { readonly streamId: number; readonly opcode: number }): void;
}

const load = createRequire(import.meta.url);

function expected(condition: unknown, part: string): asserts condition {
  const { version } = load('cassandra-driver/package.json') as { readonly version: string };
  assert(
    condition,
    () => `cassandra-driver ${version} has no ${part} as version 4.10.0 has: install cassandra-driver 4.10.0`,
  );
}

let isGuarded = false;

/** From now on the driver's connections pair answers as said above. To be called before the first one is opened. */
export function guardStreams(): void {
  if (isGuarded) return;
  const { prototype } = load('cassandra-driver/lib/connection.js') as { readonly prototype: ConnectionPrototype };
  for (const method of ['open', 'connectionReady', 'freeStreamId', 'clearAndInvokePending'] as const)
    expected(
      typeof (prototype as unknown as Record<string, unknown>)[method] === 'function',
      `${method} of a connection`,
    );
  const { open, connectionReady, freeStreamId } = prototype;
  prototype.open = function (callback) {
    this._streamIds = new StreamIds();
    open.call(this, callback);
  };
  prototype.connectionReady = function (callback) {
    (this._streamIds as StreamIds).opened();
    connectionReady.call(this, callback);
  };
  prototype.freeStreamId = function (header) {
    const { streamId, opcode } = header;
    if (streamId < 0 || !this.connected || this._operations.has(streamId)) freeStreamId.call(this, header);
    else if (streamId !== UNADDRESSED || opcode !== OPCODE_ERROR) breakOff(this, streamId);
  };
  isGuarded = true;
}

function breakOff(connection: PrivateConnection, streamId: number): void {
  // What it had received before is still handed on.
  if (connection.netClient.destroyed) return;
  connection.clearAndInvokePending(
    new Error(`${connection.endpointFriendlyName} answered on stream ${streamId}, where nothing was asked`),
  );
  connection.netClient.destroy();
}

/** Of a client that has connected: its connections are guarded, so {@link guardStreams} got hold of what it is made of. */
export function checkGuarded(client: Client): void {
  const hosts = client.hosts.values() as unknown as readonly {
    readonly pool?: { readonly connections?: readonly PrivateConnection[] };
  }[];
  for (const { pool } of hosts) {
    expected(Array.isArray(pool?.connections), 'connections in a pool');
    for (const connection of pool.connections) {
      expected(connection._streamIds instanceof StreamIds, 'stream ids of a connection');
      expected(connection._operations instanceof Map, 'requests of a connection');
    }
  }
}
