/**
 * Tables and metadata of an embedded process: one SQLite database, in a file (WAL, synchronous=FULL: what was
 * acknowledged survives a power cut) or in memory. Synchronous; it lives in a thread of its own.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { assert, must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { QueryResult } from '../../core/ports.ts';
import { columnsLacking, misfits } from '../../core/table/fit.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { formatCqlType, quoteIdentifier } from '../../core/table/schema.ts';
import type {
  BeginTransactionsReply,
  BeginTransactionsRequest,
  BlobChunk,
  BlobHeader,
  CasEpochsRequest,
  CasJobReply,
  CasJobRequest,
  CasLeaseRequest,
  CasReply,
  CommitTransactionRequest,
  Definition,
  EpochsRequest,
  LaneRequest,
  LanesRequest,
  PlanSlot,
  PlansRequest,
  Savepoint,
  SavepointRequest,
  WriteRowsRequest,
} from '../../proto/gen/embedded.ts';
import type { Statement } from './cql.ts';
import { parseCql } from './cql.ts';
import { select } from './select.ts';
import { EmbeddedTable } from './table.ts';

const FORMAT_VERSION = 1;
/** Column positions are 16 bits in stored rows. */
const COLUMNS_MAX = 1000;

export type SqliteModule = typeof import('node:sqlite');

/** A batch of a transaction, and where it comes to stand. */
export interface JournalAppend {
  readonly topicId: string;
  readonly partition: number;
  readonly baseOffset: number;
  readonly batch: Uint8Array;
}

export class EmbeddedStore {
  readonly #db: DatabaseSync;
  readonly #lock: DatabaseSync | null;
  readonly #tables = new Map<string, EmbeddedTable>();
  /** Tables of the open transaction as they were before it; undefined = not there. */
  #changed: (readonly [string, EmbeddedTable | undefined])[] = [];
  readonly #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  /**
   * `dir` null = in memory. The directory stays locked until {@link close} or the end of the process, however it ends.
   *
   * Throws: DATA_DIR_IN_USE; VERSION_MISMATCH for data of another format.
   */
  constructor(sqlite: SqliteModule, dir: string | null) {
    if (dir !== null) mkdirSync(dir, { recursive: true });
    this.#lock = dir === null ? null : lockDirectory(sqlite, dir);
    this.#db = new sqlite.DatabaseSync(dir === null ? ':memory:' : join(dir, 'tables.db'));
    this.#db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;',
    );
    this.#prepareFormat(dir);
    for (const row of this.#db.prepare('SELECT id, schema FROM weir_table').all()) {
      const schema = JSON.parse(row['schema'] as string) as TableSchema;
      this.#tables.set(
        tableKey(schema.keyspace, schema.table),
        new EmbeddedTable(this.#db, `t${row['id'] as number}`, schema),
      );
    }
  }

  // ------------------------------------------------------------------------------------------------------ transactions

  begin(): void {
    this.#changed = [];
    this.#db.exec('BEGIN IMMEDIATE');
  }

  commit(): void {
    this.#db.exec('COMMIT');
  }

  /** Also fine when SQLite has rolled back by itself, as it does on a full disk. */
  rollback(): void {
    for (const [key, table] of this.#changed.toReversed()) {
      if (table === undefined) this.#tables.delete(key);
      else this.#tables.set(key, table);
    }
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  close(): void {
    this.#db.close();
    this.#lock?.close();
  }

  // ------------------------------------------------------------------------------------------------------------ tables

  describeTable(keyspace: string, table: string): TableSchema | undefined {
    return this.#tables.get(tableKey(keyspace, table))?.schema;
  }

  /**
   * Creates the table unless it is there. The caller checks that one that is there fits; with `addColumns` it is given
   * the columns that it lacks, behind the others: cells are stored by the position of their column.
   */
  createTable(schema: TableSchema, addColumns = false): void {
    const there = this.#tables.get(tableKey(schema.keyspace, schema.table));
    if (there !== undefined) {
      const lacking = addColumns ? columnsLacking(schema, there.schema) : [];
      const common = schema.columns.filter((column) => !lacking.includes(column));
      if (lacking.length > 0 && misfits({ ...schema, columns: common }, there.schema).length === 0)
        this.#widen({ ...there.schema, columns: [...there.schema.columns, ...lacking] });
      return;
    }
    checkSchema(schema);
    const { lastInsertRowid } = this.#prepared('INSERT INTO weir_table (keyspace, name, schema) VALUES (?, ?, ?)').run(
      schema.keyspace,
      schema.table,
      JSON.stringify(schema),
    );
    const name = `t${lastInsertRowid}`;
    this.#db.exec(`CREATE TABLE ${name} (pk BLOB NOT NULL PRIMARY KEY, live INTEGER NOT NULL, row BLOB NOT NULL)`);
    this.#putTable(name, schema);
  }

  #widen(schema: TableSchema): void {
    checkSchema(schema);
    const { keyspace, table } = schema;
    const row = this.#prepared('UPDATE weir_table SET schema = ? WHERE keyspace = ? AND name = ? RETURNING id').get(
      JSON.stringify(schema),
      keyspace,
      table,
    );
    const name = `t${must(row, () => `no table ${keyspace}.${table}`)['id'] as number}`;
    this.#putTable(name, schema);
  }

  #putTable(name: string, schema: TableSchema): void {
    const key = tableKey(schema.keyspace, schema.table);
    this.#changed.push([key, this.#tables.get(key)]);
    this.#tables.set(key, new EmbeddedTable(this.#db, name, schema));
  }

  writeRows(request: WriteRowsRequest): void {
    const table = this.#tables.get(tableKey(request.keyspace, request.table));
    if (table === undefined)
      throw new WeirError('SINK_SCHEMA', `There is no table ${request.keyspace}.${request.table} any more.`);
    table.write(request.columns, request.rows, request.rowCount);
  }

  query(cql: string): QueryResult {
    const statement = parseCql(cql);
    if (statement.kind !== 'select') return this.#describe(statement);
    return select(this.#tableOf(statement.keyspace, statement.table), statement);
  }

  // ---------------------------------------------------------------------------------------------------------- metadata

  listJobs(): string[] {
    return this.#prepared('SELECT name FROM weir_job ORDER BY name')
      .all()
      .map((row) => row['name'] as string);
  }

  /** JSON of the row; '' = none. */
  readJob(name: string): string {
    return (this.#prepared('SELECT row FROM weir_job WHERE name = ?').get(name)?.['row'] as string | undefined) ?? '';
  }

  casJob(request: CasJobRequest): CasJobReply {
    const { name, expectedVer, next } = request;
    const applied =
      expectedVer === 0
        ? this.#prepared('INSERT INTO weir_job (name, ver, row) VALUES (?, 1, ?) ON CONFLICT DO NOTHING').run(
            name,
            next,
          )
        : this.#prepared('UPDATE weir_job SET ver = ver + 1, row = ? WHERE name = ? AND ver = ?').run(
            next,
            name,
            expectedVer,
          );
    return Number(applied.changes) === 1
      ? { applied: true, current: '' }
      : { applied: false, current: this.readJob(name) };
  }

  putDefinition({ hash, text }: Definition): void {
    this.#prepared('INSERT INTO weir_definition (hash, text) VALUES (?, ?) ON CONFLICT DO NOTHING').run(hash, text);
  }

  getDefinition(hash: string): string | undefined {
    return this.#prepared('SELECT text FROM weir_definition WHERE hash = ?').get(hash)?.['text'] as string | undefined;
  }

  /** A max-register by nextOffset. */
  writeLane(lane: LaneRequest): void {
    this.#prepared(
      `INSERT INTO weir_lane (job, run, source, topic_id, part, next_offset, position) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset, position = excluded.position
       WHERE excluded.next_offset > next_offset`,
    ).run(lane.job, lane.run, lane.source, lane.topicId, lane.partition, lane.nextOffset, lane.position);
  }

  readLane(lane: LaneRequest): LaneRequest[] {
    return this.#prepared(
      'SELECT * FROM weir_lane WHERE job = ? AND run = ? AND source = ? AND topic_id = ? AND part = ?',
    )
      .all(lane.job, lane.run, lane.source, lane.topicId, lane.partition)
      .map(laneOf);
  }

  readLanes({ job, run }: LanesRequest): LaneRequest[] {
    return this.#prepared('SELECT * FROM weir_lane WHERE job = ? AND run = ?').all(job, run).map(laneOf);
  }

  /** JSON of the head; '' = none. */
  readEpochs({ job, run }: EpochsRequest): string {
    return rowText(this.#prepared('SELECT row FROM weir_epochs WHERE job = ? AND run = ?').get(job, run));
  }

  /** Head and plans together: the caller's transaction holds them. */
  casEpochs(request: CasEpochsRequest): CasReply {
    const { job, run, expectedVer, next, plans } = request;
    const applied =
      expectedVer === 0
        ? this.#prepared('INSERT INTO weir_epochs (job, run, ver, row) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING').run(
            job,
            run,
            next,
          )
        : this.#prepared('UPDATE weir_epochs SET ver = ver + 1, row = ? WHERE job = ? AND run = ? AND ver = ?').run(
            next,
            job,
            run,
            expectedVer,
          );
    if (Number(applied.changes) !== 1) return { applied: false, current: this.readEpochs({ job, run }) };
    for (const { slot, epoch, plan } of plans) {
      this.#prepared(
        `INSERT INTO weir_plan (job, run, slot, epoch, row) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET epoch = excluded.epoch, row = excluded.row`,
      ).run(job, run, slot, epoch, plan);
    }
    return { applied: true, current: '' };
  }

  /** Those of `[from, to]` that are there, in their order. */
  readPlans({ job, run, from, to }: PlansRequest): PlanSlot[] {
    return this.#prepared(
      'SELECT slot, epoch, row FROM weir_plan WHERE job = ? AND run = ? AND epoch BETWEEN ? AND ? ORDER BY epoch',
    )
      .all(job, run, from, to)
      .map((row) => ({ slot: row['slot'] as number, epoch: row['epoch'] as number, plan: row['row'] as string }));
  }

  /** JSON of the lease; '' = none. */
  readLease(): string {
    return rowText(this.#prepared('SELECT row FROM weir_lease WHERE id = 1').get());
  }

  casLease({ expectedVer, next }: CasLeaseRequest): CasReply {
    const applied =
      expectedVer === 0
        ? this.#prepared('INSERT INTO weir_lease (id, ver, row) VALUES (1, 1, ?) ON CONFLICT DO NOTHING').run(next)
        : this.#prepared('UPDATE weir_lease SET ver = ver + 1, row = ? WHERE id = 1 AND ver = ?').run(
            next,
            expectedVer,
          );
    return Number(applied.changes) === 1
      ? { applied: true, current: '' }
      : { applied: false, current: this.readLease() };
  }

  putSavepoint({ job, name, row }: Savepoint): void {
    this.#prepared(
      'INSERT INTO weir_savepoint (job, name, row) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row',
    ).run(job, name, row);
  }

  /** JSON of the row; '' = none. */
  getSavepoint({ job, name }: SavepointRequest): string {
    return rowText(this.#prepared('SELECT row FROM weir_savepoint WHERE job = ? AND name = ?').get(job, name));
  }

  listSavepoints(job: string): string[] {
    return this.#prepared('SELECT row FROM weir_savepoint WHERE job = ? ORDER BY name')
      .all(job)
      .map((row) => row['row'] as string);
  }

  deleteSavepoint({ job, name }: SavepointRequest): void {
    this.#prepared('DELETE FROM weir_savepoint WHERE job = ? AND name = ?').run(job, name);
  }

  // --------------------------------------------------------------------------------------------- transactions of topics

  /** A new writer of the id: what those before it still send is refused. */
  beginTransactions({ id, groups, place, note }: BeginTransactionsRequest): BeginTransactionsReply {
    const row = this.#prepared(
      `INSERT INTO weir_log_writer (id, generation, sequence) VALUES (?, 1, 0)
       ON CONFLICT DO UPDATE SET generation = generation + 1, sequence = 0 RETURNING generation`,
    ).get(id);
    const generation = must(row, () => `no writer ${id}`)['generation'] as number;
    for (const group of groups) {
      const found = this.#prepared('SELECT position, note FROM weir_log_position WHERE grp = ? AND place = ?').get(
        group,
        place,
      );
      if (found?.['note'] === note) return { generation, position: found['position'] as number };
    }
    return { generation, position: -1 };
  }

  /** Whether the transaction was decided before. Throws: FENCED. */
  isDecided({ id, generation, sequence }: CommitTransactionRequest): boolean {
    const writer = this.#prepared('SELECT generation, sequence FROM weir_log_writer WHERE id = ?').get(id);
    if (writer?.['generation'] !== generation) throw new WeirError('FENCED', `another writer took ${id} over`);
    return (writer['sequence'] as number) >= sequence;
  }

  /**
   * The transaction's position, and in the journal its records with the offsets that they will have: from here on it is
   * committed. Throws: FENCED.
   */
  decide(request: CommitTransactionRequest, appends: readonly JournalAppend[]): void {
    const { id, sequence, group, place, note, position } = request;
    assert(!this.isDecided(request), () => `transaction ${sequence} of ${id} is decided a second time`);
    this.#prepared('UPDATE weir_log_writer SET sequence = ? WHERE id = ?').run(sequence, id);
    this.#prepared(
      `INSERT INTO weir_log_position (grp, place, position, note) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET position = excluded.position, note = excluded.note`,
    ).run(group, place, position, note);
    for (const { topicId, partition, baseOffset, batch } of appends) {
      this.#prepared(
        'INSERT INTO weir_log_journal (writer, topic_id, part, base_offset, batch) VALUES (?, ?, ?, ?, ?)',
      ).run(id, topicId, partition, baseOffset, batch);
    }
  }

  /** Appends of transactions that were decided and may not stand in their partitions yet, in their order. */
  journal(): JournalAppend[] {
    return this.#prepared('SELECT * FROM weir_log_journal ORDER BY seq')
      .all()
      .map((row) => ({
        topicId: row['topic_id'] as string,
        partition: row['part'] as number,
        baseOffset: row['base_offset'] as number,
        batch: row['batch'] as Uint8Array,
      }));
  }

  /** The appends of a writer's last transaction stand in their partitions; '' = of all writers. */
  forgetJournal(id: string): void {
    this.#prepared("DELETE FROM weir_log_journal WHERE writer = ? OR ? = ''").run(id, id);
  }

  // ------------------------------------------------------------------------------------------------------------- blobs

  putBlobChunk({ id, chunk, bytes }: BlobChunk): void {
    this.#prepared(
      'INSERT INTO weir_blob_chunk (id, chunk, bytes) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bytes = excluded.bytes',
    ).run(id, chunk, bytes);
  }

  getBlobChunk(id: string, chunk: number): Uint8Array | undefined {
    const row = this.#prepared('SELECT bytes FROM weir_blob_chunk WHERE id = ? AND chunk = ?').get(id, chunk);
    return row?.['bytes'] as Uint8Array | undefined;
  }

  /** What is there then: of several writers, the first one's. */
  claimBlobChunk({ id, chunk, bytes }: BlobChunk): Uint8Array {
    this.#prepared('INSERT INTO weir_blob_chunk (id, chunk, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING').run(
      id,
      chunk,
      bytes,
    );
    return must(this.getBlobChunk(id, chunk), () => `chunk ${chunk} of ${id} was written and is not there`);
  }

  putBlobHeader({ id, formatVersion, length, chunks, crc }: BlobHeader): void {
    this.#prepared(
      `INSERT INTO weir_blob (id, format, length, chunks, crc) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET format = excluded.format, length = excluded.length, chunks = excluded.chunks, crc = excluded.crc`,
    ).run(id, formatVersion, length, chunks, crc);
  }

  getBlobHeader(id: string): BlobHeader | undefined {
    const row = this.#prepared('SELECT format, length, chunks, crc FROM weir_blob WHERE id = ?').get(id);
    if (row === undefined) return undefined;
    return {
      id,
      formatVersion: row['format'] as number,
      length: row['length'] as number,
      chunks: row['chunks'] as number,
      crc: row['crc'] as number,
    };
  }

  /** The header goes with the chunks, in one transaction. */
  deleteBlob(id: string): void {
    this.#prepared('DELETE FROM weir_blob WHERE id = ?').run(id);
    this.#prepared('DELETE FROM weir_blob_chunk WHERE id = ?').run(id);
  }

  // ------------------------------------------------------------------------------------------------------------ inside

  #prepareFormat(dir: string | null): void {
    const { user_version: version } = this.#db.prepare('PRAGMA user_version').get() as {
      readonly user_version: number;
    };
    if (version > FORMAT_VERSION) {
      this.close();
      throw new WeirError(
        'VERSION_MISMATCH',
        `The data directory ${dir ?? ''} has format version ${version}; this Weir reads up to ${FORMAT_VERSION}.`,
      );
    }
    this.#db.exec(`
      BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS weir_table (id INTEGER PRIMARY KEY, keyspace TEXT NOT NULL, name TEXT NOT NULL, schema TEXT NOT NULL, UNIQUE (keyspace, name));
      CREATE TABLE IF NOT EXISTS weir_job (name TEXT PRIMARY KEY, ver INTEGER NOT NULL, row TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS weir_definition (hash TEXT PRIMARY KEY, text TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS weir_lane (
        job TEXT NOT NULL, run INTEGER NOT NULL, source TEXT NOT NULL, topic_id TEXT NOT NULL, part INTEGER NOT NULL,
        next_offset INTEGER NOT NULL, position TEXT NOT NULL, PRIMARY KEY (job, run, source, topic_id, part)
      );
      CREATE TABLE IF NOT EXISTS weir_epochs (job TEXT NOT NULL, run INTEGER NOT NULL, ver INTEGER NOT NULL, row TEXT NOT NULL, PRIMARY KEY (job, run));
      CREATE TABLE IF NOT EXISTS weir_plan (
        job TEXT NOT NULL, run INTEGER NOT NULL, slot INTEGER NOT NULL, epoch INTEGER NOT NULL, row TEXT NOT NULL, PRIMARY KEY (job, run, slot)
      );
      CREATE INDEX IF NOT EXISTS weir_plan_epoch ON weir_plan (job, run, epoch);
      CREATE TABLE IF NOT EXISTS weir_lease (id INTEGER PRIMARY KEY, ver INTEGER NOT NULL, row TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS weir_savepoint (job TEXT NOT NULL, name TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (job, name));
      CREATE TABLE IF NOT EXISTS weir_blob (
        id TEXT PRIMARY KEY, format INTEGER NOT NULL, length INTEGER NOT NULL, chunks INTEGER NOT NULL, crc INTEGER NOT NULL
      );
      CREATE TABLE IF NOT EXISTS weir_blob_chunk (id TEXT NOT NULL, chunk INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, chunk));
      CREATE TABLE IF NOT EXISTS weir_log_writer (id TEXT PRIMARY KEY, generation INTEGER NOT NULL, sequence INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS weir_log_position (grp TEXT NOT NULL, place TEXT NOT NULL, position INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (grp, place));
      CREATE TABLE IF NOT EXISTS weir_log_journal (
        seq INTEGER PRIMARY KEY, writer TEXT NOT NULL, topic_id TEXT NOT NULL, part INTEGER NOT NULL, base_offset INTEGER NOT NULL, batch BLOB NOT NULL
      );
      PRAGMA user_version = ${FORMAT_VERSION};
      COMMIT;
    `);
  }

  #prepared(sql: string): ReturnType<DatabaseSync['prepare']> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #tableOf(keyspace: string | null, name: string): EmbeddedTable {
    if (keyspace === null)
      throw new WeirError(
        'SQL_SEMANTIC',
        `Write the keyspace before the table: keyspace.${name}. DESCRIBE TABLES shows both.`,
      );
    const table = this.#tables.get(tableKey(keyspace, name));
    if (table !== undefined) return table;
    throw new WeirError(
      'NOT_FOUND',
      `There is no table ${keyspace}.${name}. DESCRIBE TABLES shows those that are there.`,
    );
  }

  /** Columns as Cassandra's DESCRIBE gives them. */
  #describe(statement: Exclude<Statement, { kind: 'select' }>): QueryResult {
    const schemas = [...this.#tables.values()]
      .map((table) => table.schema)
      .sort((a, b) => (tableKey(a.keyspace, a.table) < tableKey(b.keyspace, b.table) ? -1 : 1));
    const keyspaces = [...new Set(schemas.map((schema) => schema.keyspace))];
    switch (statement.kind) {
      case 'describeKeyspaces':
        return described(keyspaces.map((keyspace) => [keyspace, 'keyspace', keyspace]));
      case 'describeTables':
        return described(schemas.map((schema) => [schema.keyspace, 'table', schema.table]));
      case 'describeKeyspace': {
        if (!keyspaces.includes(statement.keyspace))
          throw new WeirError('NOT_FOUND', `There is no keyspace ${statement.keyspace}.`);
        const own = schemas.filter((schema) => schema.keyspace === statement.keyspace);
        return described(own.map((schema) => [schema.keyspace, 'table', schema.table, createStatement(schema)]));
      }
      case 'describeTable': {
        // `DESCRIBE name` may mean a keyspace, as in cqlsh.
        if (statement.keyspace === null && keyspaces.includes(statement.table)) {
          return this.#describe({ kind: 'describeKeyspace', keyspace: statement.table });
        }
        const { schema } = this.#tableOf(statement.keyspace, statement.table);
        return described([[schema.keyspace, 'table', schema.table, createStatement(schema)]]);
      }
    }
  }
}

function tableKey(keyspace: string, table: string): string {
  return `${keyspace}.${table}`;
}

function rowText(row: Record<string, unknown> | undefined): string {
  return (row?.['row'] as string | undefined) ?? '';
}

function laneOf(row: Record<string, unknown>): LaneRequest {
  return {
    job: row['job'] as string,
    run: row['run'] as number,
    source: row['source'] as string,
    topicId: row['topic_id'] as string,
    partition: row['part'] as number,
    nextOffset: row['next_offset'] as number,
    position: row['position'] as string,
  };
}

function described(rows: readonly (readonly string[])[]): QueryResult {
  const names = ['keyspace_name', 'type', 'name', 'create_statement'].slice(0, rows[0]?.length ?? 3);
  return { columns: names.map((name) => ({ name, type: 'text' })), rows };
}

function createStatement(schema: TableSchema): string {
  const quoted = (name: string): string => (/^[a-z][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name));
  const columns = schema.columns.map(
    (column) => `    ${quoted(column.name)} ${formatCqlType(column.type)}${column.isStatic === true ? ' static' : ''},`,
  );
  const partition = schema.partitionKey.map(quoted).join(', ');
  const key = [schema.partitionKey.length > 1 ? `(${partition})` : partition, ...schema.clusteringKey.map(quoted)].join(
    ', ',
  );
  const order = schema.clusteringKey.map(
    (name, index) => `${quoted(name)} ${(schema.clusteringOrder?.[index] ?? 'asc').toUpperCase()}`,
  );
  const suffix = order.length === 0 ? '' : ` WITH CLUSTERING ORDER BY (${order.join(', ')})`;
  return [
    `CREATE TABLE ${quoted(schema.keyspace)}.${quoted(schema.table)} (`,
    ...columns,
    `    PRIMARY KEY (${key})`,
    `)${suffix};`,
  ].join('\n');
}

function checkSchema(schema: TableSchema): void {
  const refuse = (why: string): never => {
    throw new WeirError('SINK_SCHEMA', `The table ${schema.keyspace}.${schema.table} cannot be created: ${why}.`);
  };
  if (schema.partitionKey.length === 0) refuse('it has no primary key');
  if (schema.columns.length > COLUMNS_MAX) refuse(`it has more than ${COLUMNS_MAX} columns`);
  const names = new Set<string>();
  for (const column of schema.columns) {
    if (names.has(column.name)) refuse(`it has the column "${column.name}" twice`);
    names.add(column.name);
    if (column.type.kind === 'counter')
      refuse(`the column "${column.name}" is a counter, which a repeated write would change`);
  }
  const keys = [...schema.partitionKey, ...schema.clusteringKey];
  for (const key of keys) {
    const type = schema.columns.find((column) => column.name === key)?.type;
    if (type === undefined) refuse(`the primary key names "${key}", which is not a column`);
    else if (!isKeyType(type.kind))
      refuse(`"${key}" of type ${formatCqlType(type)} cannot be in the primary key of an embedded table`);
  }
  if (new Set(keys).size < keys.length) refuse('a column is in the primary key twice');
}

function isKeyType(kind: string): boolean {
  return !['list', 'set', 'map', 'tuple', 'udt', 'custom', 'counter'].includes(kind);
}

/**
 * The lock is SQLite's on a file of its own: the operating system gives it up when its process ends, so there is none
 * left over after a kill.
 */
function lockDirectory(sqlite: SqliteModule, dir: string): DatabaseSync {
  const pidFile = join(dir, 'pid');
  const lock = new sqlite.DatabaseSync(join(dir, 'lock'));
  try {
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (error) {
    lock.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    let pid = 'unknown';
    try {
      pid = readFileSync(pidFile, 'utf8').trim();
    } catch {
      // The other process has the lock but did not write its id yet.
    }
    throw new WeirError(
      'DATA_DIR_IN_USE',
      `The data directory ${dir} is in use by the process ${pid}. Stop it, or give another directory.`,
      {
        facts: { dir, pid },
      },
    );
  }
  writeFileSync(pidFile, `${process.pid}\n`);
  return lock;
}
