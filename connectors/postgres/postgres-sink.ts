/**
 * Rows into a PostgreSQL table, exactly once: a batch's rows and the position behind them are one transaction, which is
 * conditional on the position before them. Whoever comes second, a zombie or a replay, finds the position taken and writes
 * only what is not there.
 *
 *   BEGIN → lock and read the position → rows beyond it → write the position → COMMIT
 *
 * Positions of lanes are offsets; those of epochs are the epochs' times, one per partition or key group that rows came
 * out of, so that the workers of another attempt may divide the epoch in another way.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pool, PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { assert, must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SinkStats } from '../../core/ports.ts';
import type { BatchPart, EpochPlace, LanePlace, RowBatch, RowSink } from '../../core/row-sink.ts';
import type { CopyRows } from './copy-rows.ts';
import { copyStream, rowsOfPart } from './copy-rows.ts';
import { postgresFailure } from './failures.ts';
import type { TableStatements } from './table-statements.ts';
import { DURABLE_COMMITS } from './table-statements.ts';

/** A transaction that takes longer is given up with its connection, ms. */
const TRANSACTION_MS_MAX = 120_000;

export interface PostgresSinkParts {
  readonly job: string;
  /** `schema.name`. */
  readonly table: string;
  readonly pool: Pool;
  readonly statements: TableStatements;
  readonly clock: Clock;
  readonly rng: Rng;
}

export class PostgresSink implements RowSink {
  readonly #parts: PostgresSinkParts;
  readonly #closing = new AbortController();
  /** Connections whose tables on the way are there. */
  readonly #prepared = new WeakSet<PoolClient>();
  #inFlight = 0;
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(parts: PostgresSinkParts) {
    this.#parts = parts;
  }

  async write(batch: RowBatch, permit: WritePermit): Promise<void> {
    if (batch.place.kind === 'epoch' && batch.parts.length === 0) return;
    const { clock, rng } = this.#parts;
    this.#inFlight++;
    try {
      for (let attempt = 0; ; attempt++) {
        permit.check();
        this.#closing.signal.throwIfAborted();
        try {
          await this.#transaction(batch, permit);
          this.#blockedBy = null;
          return;
        } catch (error) {
          const failure = postgresFailure(error, this.#name());
          if (!failure.retryable) throw failure;
          this.#retries++;
          this.#blockedBy = failure.message;
          await clock.sleep(backoffMs(rng, attempt), this.#closing.signal);
        }
      }
    } finally {
      this.#inFlight--;
    }
  }

  stats(): SinkStats {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: this.#blockedBy };
  }

  /** The pool is the connector's. */
  close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `${this.#name()} was closed`));
    return Promise.resolve();
  }

  async #transaction(batch: RowBatch, permit: WritePermit): Promise<void> {
    const { clock, pool } = this.#parts;
    const client = await pool.connect();
    let broken: Error | undefined;
    const noticeError = (error: Error): void => void (broken = error);
    client.on('error', noticeError);
    const cancel = clock.timer(TRANSACTION_MS_MAX, () => {
      broken = new Error(`timeout: a transaction took longer than ${TRANSACTION_MS_MAX / 1000} s`);
      // Ends whatever the connection waits for.
      (client as unknown as { connection: { stream: { destroy(error: Error): void } } }).connection.stream.destroy(
        broken,
      );
    });
    try {
      await this.#prepare(client);
      await client.query('BEGIN');
      const rows = await this.#missing(client, batch);
      for (const some of rows) await this.#rows(client, some);
      permit.check();
      await client.query('COMMIT');
    } catch (error) {
      broken ??= await this.#rolledBack(client);
      throw error;
    } finally {
      cancel();
      client.off('error', noticeError);
      client.release(broken);
    }
  }

  /** What is wrong with the connection, if it cannot be used again. */
  async #rolledBack(client: PoolClient): Promise<Error | undefined> {
    try {
      await client.query('ROLLBACK');
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #prepare(client: PoolClient): Promise<void> {
    if (this.#prepared.has(client)) return;
    for (const statement of [DURABLE_COMMITS, ...this.#parts.statements.prepare]) await client.query(statement);
    this.#prepared.add(client);
  }

  /** Takes the positions of the batch; the rows that are not in the table yet, in order. */
  #missing(client: PoolClient, { place, parts }: RowBatch): Promise<CopyRows[]> {
    return place.kind === 'lane'
      ? this.#missingOfLane(client, place, parts)
      : this.#missingOfEpoch(client, place, parts);
  }

  async #missingOfLane(client: PoolClient, place: LanePlace, parts: readonly BatchPart[]): Promise<CopyRows[]> {
    const { job, table, statements } = this.#parts;
    const key = [job, table, `lane/${place.lane}`];
    // Nothing changes, but the row is there and locked.
    const { rows } = await client.query<{ run: string; position: string }>(
      `INSERT INTO ${statements.positions} AS p (job, target, unit, run, position) VALUES ($1, $2, $3, $4, $5) ` +
        `ON CONFLICT (job, target, unit) DO UPDATE SET position = p.position RETURNING run, position`,
      [...key, place.run, place.from],
    );
    const known = must(rows[0], () => 'an upsert gave no row');
    const run = Number(known.run);
    if (run > place.run) throw this.#newerRun(place.run, run);
    const begin = run < place.run && !place.continues ? place.from : Number(known.position);
    const to = Math.max(begin, place.to);
    await client.query(
      `UPDATE ${statements.positions} SET run = $4, position = $5 WHERE job = $1 AND target = $2 AND unit = $3`,
      [...key, place.run, to],
    );
    if (begin >= place.to) return [];
    return parts.map((part) => {
      const offsets = must(part.offsets, () => `rows of ${place.lane} without offsets`);
      return rowsOfPart(part, begin <= place.from ? null : (row) => (offsets[row] ?? 0) >= begin);
    });
  }

  async #missingOfEpoch(client: PoolClient, place: EpochPlace, parts: readonly BatchPart[]): Promise<CopyRows[]> {
    const { job, table, statements } = this.#parts;
    const units = new Set(parts.flatMap(unitsOf));
    // In one order, so that two writers do not wait for each other.
    const { rows } = await client.query<{ unit: string }>(
      `INSERT INTO ${statements.positions} AS p (job, target, unit, run, position) ` +
        `SELECT $1, $2, unit, $4, $5 FROM unnest($3::text[]) AS unit ON CONFLICT (job, target, unit) ` +
        `DO UPDATE SET run = excluded.run, position = excluded.position WHERE p.position < excluded.position RETURNING unit`,
      [job, table, [...units].sort(), place.run, place.epochTsUs],
    );
    const taken = new Set(rows.map(({ unit }) => unit));
    return parts.map((part) => {
      if (taken.size === units.size) return rowsOfPart(part, null);
      const { groups, unit } = part;
      return rowsOfPart(part, (row) => taken.has(groups === null ? unit : unitOf(unit, groups[row] ?? 0)));
    });
  }

  async #rows(client: PoolClient, { upserts, deletes }: CopyRows): Promise<void> {
    const { copy, merge, copyKeys, remove, clear } = this.#parts.statements;
    if (deletes.length > 0 && copyKeys !== null && remove !== null) {
      await stream(client, copyKeys, deletes);
      await client.query(remove);
    }
    if (upserts.length > 0) {
      await stream(client, copy, upserts);
      if (merge !== null) await client.query(merge);
    }
    // The next part may hold the same keys.
    if (clear !== null && upserts.length + deletes.length > 0) await client.query(clear);
  }

  #newerRun(own: number, known: number): WeirError {
    const { job, table, statements } = this.#parts;
    return new WeirError(
      'SINK_REFUSED',
      `${this.#name()}: run ${known} of the job has written here, and this is run ${own}. It is replaced, or its metadata were lost, ` +
        `or another cluster has a job of this name; in the last two cases delete the rows of ${statements.positions} with ` +
        `job = '${job}' and target = '${table}' once nobody writes any more.`,
      { facts: { run: own, knownRun: known } },
    );
  }

  #name(): string {
    return `job ${this.#parts.job}, table ${this.#parts.table}`;
  }
}

/** What the rows of a part came out of. */
function unitsOf({ unit, groups }: BatchPart): string[] {
  return groups === null ? [unit] : [...new Set(groups)].map((group) => unitOf(unit, group));
}

function unitOf(unit: string, group: number): string {
  return `${unit}/${group}`;
}

async function stream(client: PoolClient, statement: string, tuples: readonly Uint8Array[]): Promise<void> {
  const target = client.query(copyFrom(statement));
  await pipeline(Readable.from(copyStream(tuples)), target);
  assert(target.rowCount >= 0, () => 'a stream ended without a count');
}
