/**
 * Rows into one Cassandra table: grouped by partition and node, sent as unlogged batches of prepared statements whose
 * timestamps come with the rows. Sending a batch again, at any time, does no harm, so whatever is not refused for good is
 * sent until it is acknowledged.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, QueryOptions } from 'cassandra-driver';
import cassandra from 'cassandra-driver';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SinkStats, TableWriter } from '../../core/ports.ts';
import type { RowBlock, RowShape } from '../../core/row-block.ts';
import { quoteIdentifier } from '../../core/table/schema.ts';
import {
  BatchRequest,
  BindTypesChanged,
  boundStatement,
  sendPlainBatch,
  type BoundStatements,
  type DriverInternals,
} from './batch-frame.ts';
import type { CassandraClient } from './client.ts';
import { classify, type Failure } from './failures.ts';
import { groupRows, readRows, routingKey, type BatchLimits, type RowBatch, type RowTable } from './row-groups.ts';
import type { SendResult, SendWindow } from './send-window.ts';

const BACKOFF_BASE_MS = 50;
const BACKOFF_CAP_MS = 2000;

/** Rows per batch where partitions differ: more saves little and makes each answer later. */
const BATCH_ROWS_MAX = 50;
const PARTITION_BATCH_ROWS_MAX = 100;
const PARTITION_BATCH_BYTES_MAX = 256 * 1024;
/** Room under the server's limit, which counts mutations and not the bytes of the request. */
const FAIL_THRESHOLD_SHARE = 0.8;

export interface WriterParts {
  readonly client: CassandraClient;
  readonly window: SendWindow;
  /** undefined: batches go by the driver's public interface. */
  readonly internals: DriverInternals | undefined;
  /** The server's limit for a batch over several partitions, bytes. */
  readonly batchBytesMax: number;
  /** Resolves when the table still fits the shape. Throws: SINK_SCHEMA; SINK_UNAVAILABLE. */
  readonly verify: () => Promise<void>;
}

/** Statements of a shape; bind values are in the order of a RowBlock's body, but for the DELETE's timestamp. */
function statementsFor(shape: RowShape): { readonly upsert: string; readonly delete: string } {
  const table = `${quoteIdentifier(shape.keyspace)}.${quoteIdentifier(shape.table)}`;
  const names = shape.columns.map((column) => quoteIdentifier(column.name));
  const keys = names.slice(0, shape.primaryKeyCount);
  return {
    upsert: `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')}) USING TIMESTAMP ?`,
    delete: `DELETE FROM ${table} USING TIMESTAMP ? WHERE ${keys.map((name) => `${name} = ?`).join(' AND ')}`,
  };
}

export class CassandraTableWriter implements TableWriter {
  readonly #shape: RowShape;
  readonly #parts: WriterParts;
  readonly #cql: { readonly upsert: string; readonly delete: string };
  readonly #closing = new AbortController();
  #prepared: Promise<BoundStatements> | undefined;
  #batchBytesMax: number;
  #inFlight = 0;
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(shape: RowShape, parts: WriterParts) {
    this.#shape = shape;
    this.#parts = parts;
    this.#cql = statementsFor(shape);
    this.#batchBytesMax = Math.floor(parts.batchBytesMax * FAIL_THRESHOLD_SHARE);
  }

  async write(block: RowBlock, permit: WritePermit): Promise<void> {
    if (block.rowCount === 0) return;
    const table = readRows(block);
    permit.check();
    const driver = await this.#parts.client.driver('SINK_UNAVAILABLE');
    const nodesOf = this.#nodesOf(driver, table);
    const batches = groupRows(table, this.#shape, this.#limits(), nodesOf);
    const attempt = new WriteAttempt(table, permit, nodesOf !== null);
    for (const batch of batches) {
      if (attempt.failed) break;
      // A slot is waited for here and not in the batch, so that batches of a large block do not all queue up.
      const slot = this.#parts.window.acquire(batch.bytes);
      if (slot !== undefined) await slot;
      if (attempt.failed) {
        this.#parts.window.release(batch.bytes, { kind: 'other' });
        break;
      }
      attempt.track(this.#sendBatch(driver, attempt, batch, true));
    }
    await attempt.settled();
  }

  stats(): SinkStats {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: this.#blockedBy };
  }

  /** Ends waiting retries; their writes reject. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  #limits(): BatchLimits {
    return {
      rowsMax: BATCH_ROWS_MAX,
      bytesMax: this.#batchBytesMax,
      partitionRowsMax: PARTITION_BATCH_ROWS_MAX,
      partitionBytesMax: PARTITION_BATCH_BYTES_MAX,
    };
  }

  /** Names the nodes of a row's partition; null when all nodes have all rows, which spares the hashing. */
  #nodesOf(driver: Client, table: RowTable): ((row: number) => string) | null {
    const { keyspace, partitionKeyCount } = this.#shape;
    const replicas = (row: number) => driver.getReplicas(keyspace, routingKey(table, row, partitionKeyCount)) ?? [];
    if (replicas(0).length >= driver.hosts.length) return null;
    return (row) => replicas(row)[0]?.address ?? '';
  }

  /** Until acknowledged. `holdsSlot`: the caller acquired the first slot. */
  async #sendBatch(driver: Client, attempt: WriteAttempt, batch: RowBatch, holdsSlot: boolean): Promise<void> {
    for (let retry = 0, held = holdsSlot; ; retry++, held = false) {
      if (!held) {
        const slot = this.#parts.window.acquire(batch.bytes);
        if (slot !== undefined) await slot;
      }
      const failure = await this.#sendOnce(driver, attempt, batch);
      if (failure === null || attempt.failed) return;
      if (failure.kind === 'tooLarge' && batch.rows.length > 1) return this.#sendHalves(driver, attempt, batch);
      await this.#blocked(failure, retry);
      this.#retries++;
    }
  }

  /** One send within an acquired slot. null = acknowledged, or nothing more is to be sent. */
  async #sendOnce(driver: Client, attempt: WriteAttempt, batch: RowBatch): Promise<Failure | null> {
    let result: SendResult = { kind: 'other' };
    this.#inFlight++;
    try {
      if (attempt.failed) return null;
      attempt.permit.check();
      const sentAt = performance.now();
      await this.#transmit(driver, attempt, batch);
      result = { kind: 'answered', ms: performance.now() - sentAt };
      this.#blockedBy = null;
      return null;
    } catch (error) {
      if (isWeirError(error)) throw error;
      if (error instanceof BindTypesChanged)
        return { kind: 'schemaChanged', message: 'the types of its columns changed' };
      const failure = classify(error);
      if (failure.kind === 'foreign') throw error;
      if (failure.kind === 'transient') result = { kind: 'pushedBack' };
      return failure;
    } finally {
      this.#inFlight--;
      this.#parts.window.release(batch.bytes, result);
    }
  }

  async #transmit(driver: Client, attempt: WriteAttempt, batch: RowBatch): Promise<void> {
    const { internals } = this.#parts;
    const options: QueryOptions = {
      consistency: cassandra.types.consistencies.localQuorum,
      isIdempotent: true,
      keyspace: this.#shape.keyspace,
      ...(attempt.isRouted
        ? { routingKey: routingKey(attempt.table, batch.rows[0]!, this.#shape.partitionKeyCount) }
        : {}),
    };
    if (internals === undefined) return sendPlainBatch(driver, attempt.table, batch, this.#cql, options);
    this.#prepared ??= this.#prepare(driver, internals);
    let statements: BoundStatements;
    try {
      statements = await this.#prepared;
    } catch (error) {
      this.#prepared = undefined;
      throw error;
    }
    const request = new BatchRequest(
      attempt.table,
      batch,
      statements,
      cassandra.types.consistencies.localQuorum,
      attempt.permit,
    );
    await internals.send(driver, request, options);
  }

  async #prepare(driver: Client, internals: DriverInternals): Promise<BoundStatements> {
    const [upsert, remove] = await Promise.all([
      internals.prepare(driver, this.#cql.upsert),
      internals.prepare(driver, this.#cql.delete),
    ]);
    const { columns, primaryKeyCount } = this.#shape;
    // A value more than columns: the timestamp.
    return {
      upsert: boundStatement(upsert, columns.length + 1),
      delete: boundStatement(remove, primaryKeyCount + 1),
    };
  }

  /** The server takes less than its settings say: both halves again, and smaller batches from now on. */
  async #sendHalves(driver: Client, attempt: WriteAttempt, batch: RowBatch): Promise<void> {
    this.#batchBytesMax = Math.max(1024, Math.min(this.#batchBytesMax, Math.floor(batch.bytes / 2)));
    this.#retries++;
    const middle = batch.rows.length >> 1;
    const halves = [batch.rows.slice(0, middle), batch.rows.slice(middle)];
    await Promise.all(
      halves.map((rows) => {
        const bytes = Math.ceil((batch.bytes * rows.length) / batch.rows.length);
        return this.#sendBatch(driver, attempt, { rows, bytes, onePartition: batch.onePartition }, false);
      }),
    );
  }

  /** Waits before the next try, or throws when there is none. */
  async #blocked(failure: Failure, retry: number): Promise<void> {
    const table = `${this.#shape.keyspace}.${this.#shape.table}`;
    if (failure.kind !== 'transient' && (await this.#verified())) {
      if (failure.kind !== 'schemaChanged') {
        throw new WeirError(
          'SINK_REFUSED',
          `Cassandra refuses rows for table ${table}: ${'message' in failure ? failure.message : failure.kind}`,
        );
      }
      // The table fits again: prepare against what it is now.
      this.#prepared = undefined;
    }
    this.#blockedBy = `Cassandra at ${this.#parts.client.addresses}: ${'message' in failure ? failure.message : failure.kind}`;
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(retry, 16));
    await this.#pause(ceiling / 2 + (Math.random() * ceiling) / 2);
  }

  /** False when it cannot be told at the moment whether the table fits. Throws: SINK_SCHEMA. */
  async #verified(): Promise<boolean> {
    try {
      await this.#parts.verify();
      return true;
    } catch (error) {
      if (isWeirError(error, 'SINK_UNAVAILABLE')) return false;
      throw error;
    }
  }

  async #pause(ms: number): Promise<void> {
    try {
      await delay(ms, undefined, { signal: this.#closing.signal });
    } catch {
      throw new WeirError(
        'SINK_UNAVAILABLE',
        `The writer of table ${this.#shape.keyspace}.${this.#shape.table} was closed while ${this.#blockedBy ?? 'it waited'}.`,
      );
    }
  }
}

/** One call of write: what is under way, and the first failure, which ends it. */
class WriteAttempt {
  readonly table: RowTable;
  readonly permit: WritePermit;
  /** Whether it matters to which node a batch goes. */
  readonly isRouted: boolean;
  readonly #pending: Promise<void>[] = [];
  #error: unknown;
  failed = false;

  constructor(table: RowTable, permit: WritePermit, isRouted: boolean) {
    this.table = table;
    this.permit = permit;
    this.isRouted = isRouted;
  }

  track(sending: Promise<void>): void {
    this.#pending.push(
      sending.catch((error: unknown) => {
        if (this.failed) return;
        this.failed = true;
        this.#error = error;
      }),
    );
  }

  /** When nothing is under way any more. Throws the first failure. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
    if (this.failed) throw this.#error;
  }
}
