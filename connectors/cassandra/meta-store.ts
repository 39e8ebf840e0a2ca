/**
 * MetaStore on Cassandra. Job rows change by lightweight transactions alone; lane rows are plain writes whose timestamp
 * is their offset, so the largest position stays whatever arrives when. Nothing but these statements may write here: a
 * write or DELETE with a wall-clock timestamp would hide every later position of a lane.
 */
import cassandra from 'cassandra-driver';
import type { QueryOptions, types as driverTypes } from 'cassandra-driver';
import { assert } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import { offset, partition, timestampUs, topicId, jobName, type JobName, type Run } from '../../core/ids.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import {
  META_FORMAT_VERSION,
  type CasOutcome,
  type JobRow,
  type LaneKey,
  type LaneRow,
  type MetaStore,
} from '../../core/meta.ts';
import { identifierPattern } from '../../core/table/schema.ts';
import { CONTROL_PROFILE, type CassandraClient } from './client.ts';
import { classify } from './failures.ts';

const { types } = cassandra;
const { consistencies } = types;

/** A worker may write for 3 s after its last read of the ownership; an attempt must leave room for another. ms */
const OWNERSHIP_READ_TIMEOUT_MS = 1000;

const control: QueryOptions = { prepare: true, executionProfile: CONTROL_PROFILE, isIdempotent: false };
const plainRead: QueryOptions = { prepare: true, consistency: consistencies.localQuorum, isIdempotent: true };
/** Both ways QUORUM: what was acknowledged is seen by every later read. */
const lane: QueryOptions = { prepare: true, consistency: consistencies.quorum, isIdempotent: true };

export interface CassandraMetaStoreOptions {
  /** Default `weir`. */
  readonly keyspace?: string;
}

export class CassandraMetaStore implements MetaStore {
  readonly #client: CassandraClient;
  readonly #keyspace: string;

  /** The client stays its maker's: {@link close} leaves it open. */
  constructor(client: CassandraClient, options: CassandraMetaStoreOptions = {}) {
    this.#client = client;
    this.#keyspace = options.keyspace ?? 'weir';
    if (!identifierPattern.test(this.#keyspace))
      throw new WeirError('CONFIG_INVALID', `"${this.#keyspace}" cannot be the name of a keyspace.`);
  }

  async prepare(): Promise<void> {
    const dataCenter = await this.#client.localDataCenter('STORE_UNAVAILABLE');
    const factor = this.#client.options.replicationFactor;
    const ks = this.#keyspace;
    const statements = [
      `CREATE KEYSPACE IF NOT EXISTS ${ks} WITH replication = {'class': 'NetworkTopologyStrategy', '${dataCenter.replaceAll("'", "''")}': ${factor}}`,
      `CREATE TABLE IF NOT EXISTS ${ks}.job (name text PRIMARY KEY, format int, ver bigint, nonce text, body text)`,
      `CREATE TABLE IF NOT EXISTS ${ks}.definition (hash text PRIMARY KEY, format int, body text)`,
      `CREATE TABLE IF NOT EXISTS ${ks}.lane (job text, run bigint, source text, topic_id text, partition int, format int, next_offset bigint, ` +
        `bound bigint, counters text, PRIMARY KEY ((job, run), source, topic_id, partition))`,
    ];
    for (const statement of statements) await this.#run(statement, [], { prepare: false, isIdempotent: true });
  }

  async listJobs(): Promise<JobName[]> {
    const rows = await this.#rows(`SELECT name FROM ${this.#keyspace}.job`, [], plainRead);
    return rows.map((row) => jobName(String(row['name'])));
  }

  readJob(name: JobName): Promise<JobRow | undefined> {
    return this.#readJob(name, { ...control, isIdempotent: true, consistency: consistencies.localSerial });
  }

  readOwnership(name: JobName): Promise<JobRow | undefined> {
    return this.#readJob(name, { ...plainRead, readTimeout: OWNERSHIP_READ_TIMEOUT_MS });
  }

  casJob(expectedVer: number, next: JobRow): Promise<CasOutcome<JobRow>> {
    assert(next.ver === expectedVer + 1, () => `version ${next.ver} cannot follow ${expectedVer}`);
    assert(
      next.formatVersion === META_FORMAT_VERSION,
      () => `job rows of format ${next.formatVersion} are not written here`,
    );
    const values = [next.formatVersion, next.ver, next.nonce, JSON.stringify(next)];
    const table = `${this.#keyspace}.job`;
    return expectedVer === 0
      ? this.#cas(
          next.name,
          next.nonce,
          `INSERT INTO ${table} (name, format, ver, nonce, body) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS`,
          [next.name, ...values],
        )
      : this.#cas(
          next.name,
          next.nonce,
          `UPDATE ${table} SET format = ?, ver = ?, nonce = ?, body = ? WHERE name = ? IF ver = ?`,
          [...values, next.name, expectedVer],
        );
  }

  async putDefinition(hash: string, text: string): Promise<void> {
    await this.#run(
      `INSERT INTO ${this.#keyspace}.definition (hash, format, body) VALUES (?, ?, ?)`,
      [hash, META_FORMAT_VERSION, text],
      plainRead,
    );
  }

  async getDefinition(hash: string): Promise<string | undefined> {
    const [row] = await this.#rows(
      `SELECT format, body FROM ${this.#keyspace}.definition WHERE hash = ?`,
      [hash],
      plainRead,
    );
    if (row === undefined) return undefined;
    checkFormat(row, `definition ${hash}`);
    return String(row['body']);
  }

  async readLane(key: LaneKey): Promise<LaneRow | undefined> {
    const cql = `SELECT * FROM ${this.#keyspace}.lane WHERE job = ? AND run = ? AND source = ? AND topic_id = ? AND partition = ?`;
    const [row] = await this.#rows(cql, [key.job, key.run, key.source, key.topicId, key.partition], lane);
    return row === undefined ? undefined : laneRow(key.job, key.run, row);
  }

  async readLanes(job: JobName, run: Run): Promise<LaneRow[]> {
    const rows = await this.#rows(`SELECT * FROM ${this.#keyspace}.lane WHERE job = ? AND run = ?`, [job, run], lane);
    return rows.map((row) => laneRow(job, run, row));
  }

  async writeLane(row: LaneRow): Promise<void> {
    const { nextOffset, bound, counters } = row.position;
    assert(Number.isSafeInteger(nextOffset) && nextOffset >= 0, () => `${nextOffset} is not an offset`);
    const cql =
      `INSERT INTO ${this.#keyspace}.lane (job, run, source, topic_id, partition, format, next_offset, bound, counters) ` +
      'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?';
    const params = [
      row.job,
      row.run,
      row.source,
      row.topicId,
      row.partition,
      META_FORMAT_VERSION,
      nextOffset,
      bound,
      JSON.stringify(counters),
      nextOffset,
    ];
    await this.#run(cql, params, lane);
  }

  async close(): Promise<void> {}

  async #readJob(name: JobName, options: QueryOptions): Promise<JobRow | undefined> {
    const [row] = await this.#rows(`SELECT format, body FROM ${this.#keyspace}.job WHERE name = ?`, [name], options);
    if (row === undefined) return undefined;
    checkFormat(row, `job ${name}`);
    return JSON.parse(String(row['body'])) as JobRow;
  }

  /** `nonce`: whose change it is, where a row tells. */
  async #cas(
    name: JobName,
    nonce: string | undefined,
    cql: string,
    params: readonly unknown[],
  ): Promise<CasOutcome<JobRow>> {
    const driver = await this.#client.driver('STORE_UNAVAILABLE');
    let result: driverTypes.ResultSet;
    try {
      result = await driver.execute(cql, [...params], control);
    } catch (error) {
      const failure = classify(error);
      if (failure.kind === 'transient' && failure.sent) return { kind: 'unknown', cause: error };
      throw this.#failed(error);
    }
    if (result.wasApplied()) return { kind: 'applied' };
    try {
      // A refusal tells the condition's columns only.
      const current = await this.readJob(name);
      return current !== undefined && current.nonce === nonce ? { kind: 'applied' } : { kind: 'rejected', current };
    } catch (error) {
      return { kind: 'unknown', cause: error };
    }
  }

  async #rows(cql: string, params: readonly unknown[], options: QueryOptions): Promise<driverTypes.Row[]> {
    const rows: driverTypes.Row[] = [];
    let result = await this.#run(cql, params, options);
    for (;;) {
      rows.push(...result.rows);
      const page = result.pageState;
      if (page === null || page === undefined) return rows;
      result = await this.#run(cql, params, { ...options, pageState: page });
    }
  }

  async #run(cql: string, params: readonly unknown[], options: QueryOptions): Promise<driverTypes.ResultSet> {
    const driver = await this.#client.driver('STORE_UNAVAILABLE');
    try {
      return await driver.execute(cql, [...params], options);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): unknown {
    const failure = classify(error);
    const at = `keyspace ${this.#keyspace} of Cassandra at ${this.#client.addresses}`;
    switch (failure.kind) {
      case 'foreign':
        return error;
      case 'credentials':
      case 'forbidden':
        return new WeirError('UNAUTHORIZED', `The metadata in ${at} may not be read or written: ${failure.message}.`, {
          cause: error,
        });
      default:
        return new WeirError('STORE_UNAVAILABLE', `The metadata in ${at} cannot be reached: ${failure.message}.`, {
          cause: error,
        });
    }
  }
}

function checkFormat(row: driverTypes.Row, what: string): void {
  const format = Number(row['format']);
  if (format === META_FORMAT_VERSION) return;
  throw new WeirError(
    'VERSION_MISMATCH',
    `The row of ${what} has format ${format}; this version of Weir reads format ${META_FORMAT_VERSION}.`,
  );
}

function laneRow(job: JobName, run: Run, row: driverTypes.Row): LaneRow {
  checkFormat(row, `a lane of job ${job}`);
  const integer = (name: string): number => {
    const value = Number(String(row[name]));
    assert(Number.isSafeInteger(value), () => `${name} of a lane of job ${job} is ${String(row[name])}`);
    return value;
  };
  return {
    job,
    run,
    source: String(row['source']),
    topicId: topicId(String(row['topic_id'])),
    partition: partition(integer('partition')),
    position: {
      nextOffset: offset(integer('next_offset')),
      bound: timestampUs(integer('bound')),
      counters: JSON.parse(String(row['counters'])) as LaneCounters,
    },
  };
}
