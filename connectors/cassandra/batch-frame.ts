/**
 * BATCH requests of prepared statements (native protocol v4, §4.1.7), written in one pass: a row's body goes into the
 * frame as it stands. The driver's own way takes each value as a small object and costs about twice the CPU per row.
 * Connections, choice of node, preparing again and time-outs stay the driver's: the frame goes through its request
 * handler, which is not part of its public interface. This file holds all that is known of it, checked at start
 * ({@link loadDriverInternals}); where it looks different, {@link sendPlainBatch} does the same by public means.
 */
import { createRequire } from 'node:module';
import type { Client, QueryOptions } from 'cassandra-driver';
import cassandra from 'cassandra-driver';
import type { WritePermit } from '../../core/lane/permit.ts';
import { VALUE_NULL, VALUE_UNSET } from '../../core/row-block.ts';
import { FrameRing } from './frame-ring.ts';
import type { RowBatch, RowTable } from './row-groups.ts';

const FRAME_HEADER_BYTES = 9;
const OPCODE_BATCH = 0x0d;
const BATCH_UNLOGGED = 1;
const KIND_PREPARED = 1;
/** `[value]` of the write timestamp at the end of a body. */
const TIMESTAMP_VALUE_BYTES = 12;
const DRIVER_VERSION = '4.10.0';

interface Encoder {
  readonly protocolVersion: number;
}

interface PreparedMeta {
  readonly columns: readonly { readonly name: string; readonly type: unknown }[];
}

/** A statement as the server knows it. */
export interface Prepared {
  readonly cql: string;
  readonly queryId: Buffer;
  /** Names and types of its bind values, as one text. */
  readonly signature: string;
}

/** A prepared statement with what stands before each row that is bound to it. */
export interface BoundStatement extends Prepared {
  /** Kind, query id and count of values, as a BATCH has them. */
  readonly head: Uint8Array;
}

export function boundStatement(prepared: Prepared, valueCount: number): BoundStatement {
  const { queryId } = prepared;
  const head = Buffer.alloc(1 + 2 + queryId.byteLength + 2);
  head.writeUInt8(KIND_PREPARED, 0);
  head.writeUInt16BE(queryId.byteLength, 1);
  queryId.copy(head, 3);
  head.writeUInt16BE(valueCount, 3 + queryId.byteLength);
  return { ...prepared, head };
}

/** Of a table: bind values in the order of a RowBlock's body, but for the DELETE's timestamp, which comes first. */
export interface BoundStatements {
  readonly upsert: BoundStatement;
  readonly delete: BoundStatement;
}

/** Of all writers: what is alive at a time is what one turn of one connection's queue writes. */
const ring = new FrameRing();

export interface DriverInternals {
  prepare(client: Client, cql: string): Promise<Prepared>;
  send(client: Client, request: BatchRequest, options: QueryOptions): Promise<void>;
}

/** A bind value changed its type, or another column took its place, since the statement was prepared. */
export class BindTypesChanged extends Error {
  override readonly name = 'BindTypesChanged';
}

/** What the driver's request handler asks of a request. Values are those of the rows; nothing is copied before it is written. */
export class BatchRequest {
  /** Read by the driver for its logs and retries. */
  readonly consistency: number;
  readonly query = undefined;
  readonly queries = undefined;
  readonly params = undefined;
  /** Body bytes, set when written. */
  length = 0;
  readonly #table: RowTable;
  readonly #batch: RowBatch;
  readonly #statements: BoundStatements;
  readonly #permit: WritePermit;
  #changed = false;

  constructor(table: RowTable, batch: RowBatch, statements: BoundStatements, consistency: number, permit: WritePermit) {
    this.#table = table;
    this.#batch = batch;
    this.#statements = statements;
    this.consistency = consistency;
    this.#permit = permit;
  }

  /** Set by the driver when it prepared a statement again and before it sends once more. */
  set meta(meta: PreparedMeta) {
    const signature = signatureOf(meta);
    this.#changed = signature !== this.#statements.upsert.signature && signature !== this.#statements.delete.signature;
  }

  clone(): BatchRequest {
    return this;
  }

  /**
   * Called right before the bytes go to the socket, also for every retry. They stay as they are until the driver's queue
   * has copied them, in the same turn. Throws: FENCED, BindTypesChanged.
   */
  write(encoder: Encoder, streamId: number): Buffer {
    if (this.#changed) throw new BindTypesChanged();
    this.#permit.check();
    const frame = encodeBatch(this.#table, this.#batch.rows, this.#statements, this.consistency);
    frame.writeUInt8(encoder.protocolVersion, 0);
    frame.writeInt16BE(streamId, 2);
    this.length = frame.byteLength - FRAME_HEADER_BYTES;
    return frame;
  }
}

/** The whole frame but for version and stream id. */
function encodeBatch(
  table: RowTable,
  rows: readonly number[],
  statements: BoundStatements,
  consistency: number,
): Buffer {
  const upsert = statements.upsert.head;
  const remove = statements.delete.head;
  let size = FRAME_HEADER_BYTES + 3 + 3;
  for (const row of rows)
    size += (table.deletes[row] === 1 ? remove : upsert).byteLength + table.bodyEnd[row]! - table.bodyStart[row]!;
  const frame = ring.take(size);
  frame.writeUInt32BE(0, 0);
  frame.writeUInt8(OPCODE_BATCH, 4);
  frame.writeInt32BE(size - FRAME_HEADER_BYTES, 5);
  frame.writeUInt8(BATCH_UNLOGGED, 9);
  frame.writeUInt16BE(rows.length, 10);
  const source = Buffer.from(table.bytes.buffer, table.bytes.byteOffset, table.bytes.byteLength);
  let at = FRAME_HEADER_BYTES + 3;
  for (const row of rows) {
    const start = table.bodyStart[row]!;
    const end = table.bodyEnd[row]!;
    if (table.deletes[row] === 1) {
      // DELETE … USING TIMESTAMP ? WHERE …: the timestamp is bound first and stands last in the row.
      frame.set(remove, at);
      at += remove.byteLength;
      at += source.copy(frame, at, end - TIMESTAMP_VALUE_BYTES, end);
      at += source.copy(frame, at, start, end - TIMESTAMP_VALUE_BYTES);
    } else {
      frame.set(upsert, at);
      at += upsert.byteLength;
      at += source.copy(frame, at, start, end);
    }
  }
  frame.writeUInt16BE(consistency, at);
  // No flags: neither a serial consistency nor a default timestamp, as every statement brings its own.
  frame.writeUInt8(0, at + 2);
  return frame;
}

function signatureOf(meta: PreparedMeta): string {
  return JSON.stringify(meta.columns.map((column) => [column.name, column.type]));
}

interface RequestHandlerModule {
  send?: (request: BatchRequest, options: unknown, client: Client) => Promise<unknown>;
}

interface PrepareHandlerModule {
  getPrepared?: (
    client: Client,
    loadBalancing: unknown,
    query: string,
    keyspace: string | undefined,
  ) => Promise<{ queryId: Buffer; meta: PreparedMeta }>;
}

interface ExecutionOptionsModule {
  DefaultExecutionOptions?: { create?: (options: QueryOptions, client: Client) => unknown };
}

/** The driver's parts this file knows, or undefined when the installed driver is not the one it knows. */
export function loadDriverInternals(): DriverInternals | undefined {
  try {
    const load = createRequire(import.meta.url);
    const { version } = load('cassandra-driver/package.json') as { version?: unknown };
    const requestHandler = load('cassandra-driver/lib/request-handler.js') as RequestHandlerModule;
    const prepareHandler = load('cassandra-driver/lib/prepare-handler.js') as PrepareHandlerModule;
    const { DefaultExecutionOptions } = load('cassandra-driver/lib/execution-options.js') as ExecutionOptionsModule;
    const { send } = requestHandler;
    const { getPrepared } = prepareHandler;
    const create = DefaultExecutionOptions?.create;
    if (version !== DRIVER_VERSION || send?.length !== 3 || getPrepared?.length !== 4 || create === undefined)
      return undefined;
    return {
      prepare: async (client, cql) => {
        const loadBalancing = (client as unknown as { options: { policies: { loadBalancing: unknown } } }).options
          .policies.loadBalancing;
        const { queryId, meta } = await getPrepared.call(prepareHandler, client, loadBalancing, cql, undefined);
        return { cql, queryId, signature: signatureOf(meta) };
      },
      send: async (client, request, options) => {
        await send.call(requestHandler, request, create.call(DefaultExecutionOptions, options, client), client);
      },
    };
  } catch {
    return undefined;
  }
}

/** The same batch by the driver's public interface. */
export async function sendPlainBatch(
  client: Client,
  table: RowTable,
  batch: RowBatch,
  cql: { readonly upsert: string; readonly delete: string },
  options: QueryOptions,
): Promise<void> {
  const queries = batch.rows.map((row) => {
    const values = bodyValues(table, row);
    if (table.deletes[row] !== 1) return { query: cql.upsert, params: values };
    return { query: cql.delete, params: [values.at(-1), ...values.slice(0, -1)] };
  });
  await client.batch(queries, { ...options, prepare: true, logged: false });
}

function bodyValues(table: RowTable, row: number): unknown[] {
  const buffer = Buffer.from(table.bytes.buffer, table.bytes.byteOffset, table.bytes.byteLength);
  const values: unknown[] = [];
  for (let at = table.bodyStart[row]!; at < table.bodyEnd[row]!;) {
    const length = buffer.readInt32BE(at);
    at += 4;
    if (length === VALUE_NULL) values.push(null);
    else if (length === VALUE_UNSET) values.push(cassandra.types.unset);
    else values.push(buffer.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return values;
}
