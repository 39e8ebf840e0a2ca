/**
 * MetaStore on Cassandra. Job rows change by lightweight transactions alone; lane rows are plain writes whose timestamp
 * is their offset, so the largest position stays whatever arrives when. Nothing but these statements may write here: a
 * write or DELETE with a wall-clock timestamp would hide every later position of a lane.
 */
import cassandra from 'cassandra-driver';
import type { QueryOptions, types as driverTypes } from 'cassandra-driver';
import { assert } from '../../core/assert.ts';
import type { EpochHead, EpochPlan, LeaseRow, SavepointRow } from '../../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION, PLAN_SLOTS } from '../../core/epoch/types.ts';
import { WeirError } from '../../core/errors.ts';
import {
  offset,
  partition,
  timestampUs,
  topicId,
  jobName,
  type Epoch,
  type JobName,
  type Run,
} from '../../core/ids.ts';
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
import { parseRow, plansInOrder } from '../../core/stored-rows.ts';
import { CONTROL_PROFILE, type CassandraClient } from './client.ts';
import { classify } from './failures.ts';
import { storeFailure } from './store-failure.ts';

const { types } = cassandra;
const { consistencies } = types;

/** A worker may write for 3 s after its last read of the ownership; an attempt must leave room for another. ms */
const OWNERSHIP_READ_TIMEOUT_MS = 1000;

/** A lease lasts 2 s; an attempt to renew it must leave room for others. ms */
const LEASE_TIMEOUT_MS = 700;
/** Name of the one row of the lease. */
const LEADER = 'leader';

const control: QueryOptions = { prepare: true, executionProfile: CONTROL_PROFILE, isIdempotent: false };
const serialRead: QueryOptions = { ...control, isIdempotent: true, consistency: consistencies.localSerial };
const plainRead: QueryOptions = { prepare: true, consistency: consistencies.localQuorum, isIdempotent: true };
/** Both ways QUORUM: what was acknowledged is seen by every later read. */
const quorum: QueryOptions = { prepare: true, consistency: consistencies.quorum, isIdempotent: true };

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
      // The head of a stateful job beside the plans of its epochs: one partition, so that one condition guards both.
      `CREATE TABLE IF NOT EXISTS ${ks}.epochs (job text, run bigint, slot int, format int static, ver bigint static, nonce text static, ` +
        `body text static, epoch bigint, plan text, PRIMARY KEY ((job, run), slot))`,
      `CREATE TABLE IF NOT EXISTS ${ks}.lease (name text PRIMARY KEY, format int, ver bigint, nonce text, body text)`,
      `CREATE TABLE IF NOT EXISTS ${ks}.savepoint (job text, name text, format int, body text, PRIMARY KEY (job, name))`,
      `CREATE TABLE IF NOT EXISTS ${ks}.blob (id text, chunk int, format int static, length bigint static, chunks int static, ` +
        `crc bigint static, bytes blob, PRIMARY KEY (id, chunk))`,
    ];
    // Two masters may do this at once. One node makes a table once; two nodes at once would make it twice, under two ids.
    const driver = await this.#client.driver('STORE_UNAVAILABLE');
    const [host] = driver.hosts
      .values()
      .filter((node) => node.isUp() && node.datacenter === dataCenter)
      .sort((a, b) => (a.address < b.address ? -1 : 1));
    const options: QueryOptions = { prepare: false, isIdempotent: true, ...(host === undefined ? {} : { host }) };
    for (const statement of statements) await this.#run(statement, [], options);
  }

  async listJobs(): Promise<JobName[]> {
    const rows = await this.#rows(`SELECT name FROM ${this.#keyspace}.job`, [], plainRead);
    return rows.map((row) => jobName(String(row['name'])));
  }

  readJob(name: JobName): Promise<JobRow | undefined> {
    return this.#readJob(name, serialRead);
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
    const change =
      expectedVer === 0
        ? {
            query: `INSERT INTO ${table} (name, format, ver, nonce, body) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS`,
            params: [next.name, ...values],
          }
        : {
            query: `UPDATE ${table} SET format = ?, ver = ?, nonce = ?, body = ? WHERE name = ? IF ver = ?`,
            params: [...values, next.name, expectedVer],
          };
    return this.#cas(next.nonce, [change], () => this.readJob(next.name));
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
      `SELECT hash, format, body FROM ${this.#keyspace}.definition WHERE hash = ?`,
      [hash],
      plainRead,
    );
    if (row === undefined) return undefined;
    checkAnswer(row['hash'] === hash, `definition ${hash}`);
    checkFormat(row, `definition ${hash}`);
    return String(row['body']);
  }

  async readLane(key: LaneKey): Promise<LaneRow | undefined> {
    const cql = `SELECT * FROM ${this.#keyspace}.lane WHERE job = ? AND run = ? AND source = ? AND topic_id = ? AND partition = ?`;
    const [row] = await this.#rows(cql, [key.job, key.run, key.source, key.topicId, key.partition], quorum);
    if (row === undefined) return undefined;
    const lane = laneRow(key.job, key.run, row);
    checkAnswer(
      lane.source === key.source && lane.topicId === key.topicId && lane.partition === key.partition,
      `partition ${key.partition} of job ${key.job}`,
    );
    return lane;
  }

  async readLanes(job: JobName, run: Run): Promise<LaneRow[]> {
    const rows = await this.#rows(`SELECT * FROM ${this.#keyspace}.lane WHERE job = ? AND run = ?`, [job, run], quorum);
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
    await this.#run(cql, params, quorum);
  }

  async readEpochs(job: JobName, run: Run): Promise<EpochHead | undefined> {
    const cql = `SELECT DISTINCT job, run, format, body FROM ${this.#keyspace}.epochs WHERE job = ? AND run = ?`;
    const [row] = await this.#rows(cql, [job, run], serialRead);
    checkAnswer(
      row === undefined || (row['job'] === job && Number(String(row['run'])) === run && row['body'] !== undefined),
      `the head of run ${run} of job ${job}`,
    );
    // A partition without a head cannot be: the first change writes it.
    return row === undefined || row['body'] === null
      ? undefined
      : parseRow<EpochHead>(String(row['body']), `head of job ${job}`, EPOCH_FORMAT_VERSION);
  }

  casEpochs(expectedVer: number, next: EpochHead, plans: readonly EpochPlan[]): Promise<CasOutcome<EpochHead>> {
    assert(next.ver === expectedVer + 1, () => `version ${next.ver} cannot follow ${expectedVer}`);
    const { job, run } = next;
    const table = `${this.#keyspace}.epochs`;
    const values = [next.formatVersion, next.ver, next.nonce, JSON.stringify(next), job, run];
    const set = `UPDATE ${table} SET format = ?, ver = ?, nonce = ?, body = ? WHERE job = ? AND run = ?`;
    const head =
      expectedVer === 0
        ? { query: `${set} IF ver = null`, params: values }
        : { query: `${set} IF ver = ?`, params: [...values, expectedVer] };
    const slots = plans.map((plan) => ({
      query: `INSERT INTO ${table} (job, run, slot, epoch, plan) VALUES (?, ?, ?, ?, ?)`,
      params: [job, run, plan.epoch % PLAN_SLOTS, plan.epoch, JSON.stringify(plan)],
    }));
    return this.#cas(next.nonce, [head, ...slots], () => this.readEpochs(job, run));
  }

  async readPlans(job: JobName, run: Run, from: Epoch, to: Epoch): Promise<EpochPlan[]> {
    const plans: EpochPlan[] = [];
    for (const [first, last] of to < from ? [] : slotRanges(from, to)) {
      const cql = `SELECT plan FROM ${this.#keyspace}.epochs WHERE job = ? AND run = ? AND slot >= ? AND slot <= ?`;
      for (const row of await this.#rows(cql, [job, run, first, last], plainRead)) {
        const plan = parseRow<EpochPlan>(String(row['plan']), `plan of job ${job}`, EPOCH_FORMAT_VERSION);
        if (plan !== undefined) plans.push(plan);
      }
    }
    return plansInOrder(plans, { job, run, from, to });
  }

  async readLease(): Promise<LeaseRow | undefined> {
    const cql = `SELECT name, format, body FROM ${this.#keyspace}.lease WHERE name = ?`;
    const [row] = await this.#rows(cql, [LEADER], { ...serialRead, readTimeout: LEASE_TIMEOUT_MS });
    if (row === undefined) return undefined;
    checkAnswer(row['name'] === LEADER, 'the lease');
    checkFormat(row, 'the lease');
    return JSON.parse(String(row['body'])) as LeaseRow;
  }

  casLease(expectedVer: number, next: LeaseRow): Promise<CasOutcome<LeaseRow>> {
    assert(next.ver === expectedVer + 1, () => `version ${next.ver} cannot follow ${expectedVer}`);
    const values = [META_FORMAT_VERSION, next.ver, next.nonce, JSON.stringify(next), LEADER];
    const set = `UPDATE ${this.#keyspace}.lease SET format = ?, ver = ?, nonce = ?, body = ? WHERE name = ?`;
    const change =
      expectedVer === 0
        ? { query: `${set} IF ver = null`, params: values }
        : { query: `${set} IF ver = ?`, params: [...values, expectedVer] };
    return this.#cas(next.nonce, [change], () => this.readLease(), LEASE_TIMEOUT_MS);
  }

  async putSavepoint(row: SavepointRow): Promise<void> {
    await this.#run(
      `INSERT INTO ${this.#keyspace}.savepoint (job, name, format, body) VALUES (?, ?, ?, ?)`,
      [row.job, row.name, row.formatVersion, JSON.stringify(row)],
      quorum,
    );
  }

  async getSavepoint(job: JobName, name: string): Promise<SavepointRow | undefined> {
    const cql = `SELECT job, name, body FROM ${this.#keyspace}.savepoint WHERE job = ? AND name = ?`;
    const [row] = await this.#rows(cql, [job, name], quorum);
    if (row === undefined) return undefined;
    checkAnswer(row['job'] === job && row['name'] === name, `savepoint ${name} of job ${job}`);
    return savepointOf(row);
  }

  async listSavepoints(job: JobName): Promise<SavepointRow[]> {
    const rows = await this.#rows(`SELECT job, body FROM ${this.#keyspace}.savepoint WHERE job = ?`, [job], quorum);
    return rows.flatMap((row) => {
      checkAnswer(row['job'] === job, `the savepoints of job ${job}`);
      return savepointOf(row) ?? [];
    });
  }

  async deleteSavepoint(job: JobName, name: string): Promise<void> {
    await this.#run(`DELETE FROM ${this.#keyspace}.savepoint WHERE job = ? AND name = ?`, [job, name], quorum);
  }

  /** The clock of the node that answers. */
  async now(): Promise<number> {
    const [row] = await this.#rows('SELECT toTimestamp(now()) AS now FROM system.local', [], plainRead);
    const now: unknown = row?.['now'];
    if (!(now instanceof Date)) throw otherAnswer('its time');
    return now.getTime();
  }

  async close(): Promise<void> {}

  async #readJob(name: JobName, options: QueryOptions): Promise<JobRow | undefined> {
    const [row] = await this.#rows(`SELECT format, body FROM ${this.#keyspace}.job WHERE name = ?`, [name], options);
    if (row === undefined) return undefined;
    checkFormat(row, `job ${name}`);
    const job = JSON.parse(String(row['body'])) as JobRow;
    checkAnswer(job.name === name, `job ${name}`);
    return job;
  }

  /**
   * Sends statements of one partition, the first of which is conditional, all or nothing. A refusal tells the
   * condition's columns only, so the row is read again; `nonce` tells whose change it holds.
   */
  async #cas<T extends { readonly nonce: string }>(
    nonce: string,
    statements: readonly { readonly query: string; readonly params: unknown[] }[],
    read: () => Promise<T | undefined>,
    readTimeout?: number,
  ): Promise<CasOutcome<T>> {
    const options = readTimeout === undefined ? control : { ...control, readTimeout };
    const driver = await this.#client.driver('STORE_UNAVAILABLE');
    let result: driverTypes.ResultSet;
    try {
      const [first] = statements;
      assert(first !== undefined, () => 'a change has a statement');
      result =
        statements.length === 1
          ? await driver.execute(first.query, first.params, options)
          : await driver.batch([...statements], { ...options, logged: false });
    } catch (error) {
      const failure = classify(error);
      if (failure.kind === 'transient' && failure.sent) return { kind: 'unknown', cause: error };
      throw this.#failed(error);
    }
    // Not the driver's wasApplied(): to it, whatever says nothing of the condition was applied.
    const rows = result.rows as readonly driverTypes.Row[] | undefined;
    const applied: unknown = rows?.[0]?.['[applied]'];
    if (applied === true) return { kind: 'applied' };
    if (applied !== false) return { kind: 'unknown', cause: otherAnswer('whether a change was applied') };
    try {
      const current = await read();
      return current !== undefined && current.nonce === nonce ? { kind: 'applied' } : { kind: 'rejected', current };
    } catch (error) {
      return { kind: 'unknown', cause: error };
    }
  }

  async #rows(cql: string, params: readonly unknown[], options: QueryOptions): Promise<driverTypes.Row[]> {
    const rows: driverTypes.Row[] = [];
    let result = await this.#run(cql, params, options);
    for (;;) {
      // Only what is no read is answered without rows.
      const { rows: found } = result as { readonly rows?: readonly driverTypes.Row[] };
      if (found === undefined) throw otherAnswer(`rows of keyspace ${this.#keyspace}`);
      rows.push(...found);
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
    return storeFailure(error, `keyspace ${this.#keyspace} of Cassandra at ${this.#client.addresses}`);
  }
}

/** The slots of the epochs `[from, to]`: one range, or two where they wrap around. */
function slotRanges(from: Epoch, to: Epoch): readonly (readonly [number, number])[] {
  if (to - from + 1 >= PLAN_SLOTS) return [[0, PLAN_SLOTS - 1]];
  const [first, last] = [from % PLAN_SLOTS, to % PLAN_SLOTS];
  if (first <= last) return [[first, last]];
  return [
    [first, PLAN_SLOTS - 1],
    [0, last],
  ];
}

function savepointOf(row: driverTypes.Row): SavepointRow | undefined {
  return parseRow<SavepointRow>(String(row['body']), 'row of a savepoint', EPOCH_FORMAT_VERSION);
}

/**
 * What was asked for is part of every answer; one that belongs to another question is asked for again. Connections see to
 * it that there is none (see stream-ids.ts), but metadata are too dear to rest on one check.
 */
function checkAnswer(isAnswer: boolean, what: string): void {
  if (!isAnswer) throw otherAnswer(what);
}

function otherAnswer(what: string): WeirError {
  return new WeirError('STORE_UNAVAILABLE', `Cassandra was asked for ${what} and gave the answer to something else.`);
}

function checkFormat(row: driverTypes.Row, what: string): void {
  checkAnswer(row['format'] !== undefined, what);
  const format = Number(row['format']);
  if (format === META_FORMAT_VERSION) return;
  throw new WeirError(
    'VERSION_MISMATCH',
    `The row of ${what} has format ${format}; this version of Weir reads format ${META_FORMAT_VERSION}.`,
  );
}

function laneRow(job: JobName, run: Run, row: driverTypes.Row): LaneRow {
  checkFormat(row, `a lane of job ${job}`);
  checkAnswer(row['job'] === job && Number(String(row['run'])) === run, `a lane of run ${run} of job ${job}`);
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
