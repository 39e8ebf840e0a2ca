/** TableStore on Cassandra. Schemas are read from `system_schema`, so they are never older than the question. */
import { setTimeout as delay } from 'node:timers/promises';
import cassandra from 'cassandra-driver';
import type { QueryOptions, types as driverTypes } from 'cassandra-driver';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { QueryResult, TableStore, TableWriter } from '../../core/ports.ts';
import type { RowShape } from '../../core/row-block.ts';
import { parseCqlType, type UdtResolver } from '../../core/table/cql-type.ts';
import {
  addColumnCql,
  columnsLacking,
  createTableCql,
  misfits,
  wantedBy,
  type WantedTable,
} from '../../core/table/fit.ts';
import {
  identifierPattern,
  quoteIdentifier,
  type CqlType,
  type TableColumn,
  type TableSchema,
} from '../../core/table/schema.ts';
import { loadDriverInternals, type DriverInternals } from './batch-frame.ts';
import type { CassandraClient } from './client.ts';
import { classify } from './failures.ts';
import { printRows } from './print.ts';
import { SendWindow } from './send-window.ts';
import { CassandraTableWriter } from './table-writer.ts';

const { consistencies } = cassandra.types;
const schemaRead: QueryOptions = { prepare: true, consistency: consistencies.localOne, isIdempotent: true };

/** Cassandra's default for `batch_size_fail_threshold`, where it cannot be asked. */
const BATCH_BYTES_MAX_DEFAULT = 50 * 1024;
/** A query answers at most so many rows: what people read, not an export. */
const QUERY_ROWS_MAX = 100_000;
const SCHEMA_AGREEMENT_TRIES = 30;
const SCHEMA_AGREEMENT_WAIT_MS = 200;

export interface CassandraTableStoreOptions {
  /** False sends batches by the driver's public interface: slower, the same rows. */
  readonly fastBatches?: boolean;
}

export class CassandraTableStore implements TableStore {
  readonly #client: CassandraClient;
  readonly #window = new SendWindow();
  readonly #internals: DriverInternals | undefined;
  #batchBytesMax: Promise<number> | undefined;

  /** The client stays its maker's: {@link close} leaves it open. */
  constructor(client: CassandraClient, options: CassandraTableStoreOptions = {}) {
    this.#client = client;
    this.#internals = options.fastBatches === false ? undefined : loadDriverInternals();
  }

  /** Whether batches are written by Weir itself; false with a driver it does not know. */
  get fastBatches(): boolean {
    return this.#internals !== undefined;
  }

  async describe(keyspace: string, table: string): Promise<TableSchema | undefined> {
    const where = [keyspace, table];
    const [tables, columns, types] = await Promise.all([
      this.#read(
        'SELECT default_time_to_live FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?',
        where,
      ),
      this.#read(
        'SELECT column_name, type, kind, position, clustering_order FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?',
        where,
      ),
      this.#read('SELECT type_name, field_names, field_types FROM system_schema.types WHERE keyspace_name = ?', [
        keyspace,
      ]),
    ]);
    const [found] = tables;
    if (found === undefined) return undefined;
    return toSchema(keyspace, table, found, columns, udtResolver(keyspace, types));
  }

  async create(schema: TableSchema, { addColumns = false } = {}): Promise<void> {
    for (const name of [schema.keyspace, schema.table, ...schema.columns.map((column) => column.name)]) {
      if (!identifierPattern.test(name))
        throw new WeirError(
          'SINK_SCHEMA',
          `"${name}" cannot be a name in Cassandra: it must match ${identifierPattern.source}.`,
        );
    }
    const existing = await this.describe(schema.keyspace, schema.table);
    if (existing === undefined) {
      await this.#createKeyspace(schema.keyspace);
      await this.#define(createTableCql(schema, { ifNotExists: true }));
    }
    const found = existing ?? (await this.describe(schema.keyspace, schema.table));
    const lacking = addColumns && found !== undefined ? columnsLacking(schema, found) : [];
    if (lacking.length === 0) return checkFits(schema, found);
    checkFits({ ...schema, columns: schema.columns.filter((column) => !lacking.includes(column)) }, found);
    for (const column of lacking) await this.#addColumn(schema, column);
  }

  /** Another process may add it at the same time: what counts is that it is there. */
  async #addColumn(schema: TableSchema, column: TableColumn): Promise<void> {
    try {
      await this.#define(addColumnCql(schema, column));
    } catch (error) {
      const now = await this.describe(schema.keyspace, schema.table);
      if (now === undefined || columnsLacking({ ...schema, columns: [column] }, now).length > 0) throw error;
    }
  }

  async open(shape: RowShape): Promise<TableWriter> {
    const verify = async (): Promise<void> =>
      checkFits(wantedBy(shape), await this.describe(shape.keyspace, shape.table));
    await verify();
    this.#batchBytesMax ??= this.#readBatchLimit();
    const batchBytesMax = await this.#batchBytesMax;
    return new CassandraTableWriter(shape, {
      client: this.#client,
      window: this.#window,
      internals: this.#internals,
      batchBytesMax,
      verify,
    });
  }

  async query(cql: string): Promise<QueryResult> {
    const driver = await this.#client.driver('SINK_UNAVAILABLE');
    if (/^\s*use\b/i.test(withoutComments(cql))) {
      throw new WeirError(
        'UNSUPPORTED',
        'USE would change the keyspace for everybody on this connection. Write the keyspace before the table: ks.table.',
      );
    }
    const options: QueryOptions = { prepare: false, consistency: consistencies.localQuorum, fetchSize: 5000 };
    let columns: QueryResult['columns'] = [];
    const rows: (readonly unknown[])[] = [];
    for (let page: string | undefined; ;) {
      let result: driverTypes.ResultSet;
      try {
        result = await driver.execute(cql, [], page === undefined ? options : { ...options, pageState: page });
      } catch (error) {
        throw this.#queryFailed(error, cql);
      }
      const printed = printRows(result);
      columns = printed.columns;
      rows.push(...printed.rows);
      page = result.pageState ?? undefined;
      if (page === undefined) return { columns, rows };
      if (rows.length >= QUERY_ROWS_MAX) {
        throw new WeirError(
          'UNSUPPORTED',
          `The answer has more than ${QUERY_ROWS_MAX} rows. Add a LIMIT or a WHERE, or count with SELECT count(*).`,
        );
      }
    }
  }

  async close(): Promise<void> {}

  async #createKeyspace(keyspace: string): Promise<void> {
    const [there] = await this.#read('SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?', [
      keyspace,
    ]);
    if (there !== undefined) return;
    const dataCenter = await this.#client.localDataCenter('SINK_UNAVAILABLE');
    const factor = this.#client.options.replicationFactor;
    const replication = `{'class': 'NetworkTopologyStrategy', '${dataCenter.replaceAll("'", "''")}': ${factor}}`;
    await this.#define(`CREATE KEYSPACE IF NOT EXISTS ${quoteIdentifier(keyspace)} WITH replication = ${replication}`);
  }

  /** Runs a definition and waits until every node knows it. */
  async #define(cql: string): Promise<void> {
    const driver = await this.#client.driver('SINK_UNAVAILABLE');
    let agreed: boolean;
    try {
      await driver.execute(cql, [], { prepare: false, isIdempotent: true });
      const metadata = driver.metadata as typeof driver.metadata & { checkSchemaAgreement(): Promise<boolean> };
      agreed = await metadata.checkSchemaAgreement();
      for (let tries = 0; !agreed && tries < SCHEMA_AGREEMENT_TRIES; tries++) {
        await delay(SCHEMA_AGREEMENT_WAIT_MS);
        agreed = await metadata.checkSchemaAgreement();
      }
    } catch (error) {
      throw this.#queryFailed(error, cql);
    }
    if (!agreed)
      throw new WeirError(
        'SINK_UNAVAILABLE',
        `The nodes of Cassandra at ${this.#client.addresses} do not agree on the schema after: ${cql}`,
      );
  }

  async #read(cql: string, params: readonly string[]): Promise<driverTypes.Row[]> {
    try {
      return (await this.#client.execute(cql, params, { ...schemaRead, fetchSize: 0 }, 'SINK_UNAVAILABLE')).rows;
    } catch (error) {
      throw this.#queryFailed(error, cql);
    }
  }

  /** Bytes; from the server where it tells (Cassandra 4.0 and newer). */
  async #readBatchLimit(): Promise<number> {
    try {
      const [row] = await this.#read('SELECT value FROM system_views.settings WHERE name = ?', [
        'batch_size_fail_threshold',
      ]);
      return parseBytes(row === undefined ? null : String(row['value'])) ?? BATCH_BYTES_MAX_DEFAULT;
    } catch (error) {
      if (isWeirError(error, 'SINK_UNAVAILABLE')) throw error;
      return BATCH_BYTES_MAX_DEFAULT;
    }
  }

  #queryFailed(error: unknown, cql: string): unknown {
    if (isWeirError(error)) return error;
    const failure = classify(error);
    const details = { cause: error };
    switch (failure.kind) {
      case 'foreign':
        return error;
      case 'transient':
        return new WeirError(
          'SINK_UNAVAILABLE',
          `Cassandra at ${this.#client.addresses} did not answer: ${failure.message}.`,
          details,
        );
      case 'credentials':
      case 'forbidden':
        return new WeirError('UNAUTHORIZED', `Cassandra refuses "${cql}": ${failure.message}.`, details);
      case 'syntax':
        return new WeirError('SQL_SYNTAX', `Cassandra cannot read the statement: ${failure.message}.`, details);
      default:
        return new WeirError(
          namesMissing(failure.message) ? 'NOT_FOUND' : 'SQL_SEMANTIC',
          `Cassandra refuses the statement: ${failure.message}.`,
          details,
        );
    }
  }
}

/** Throws: SINK_SCHEMA with everything that keeps the rows out. */
function checkFits(wanted: WantedTable, actual: TableSchema | undefined): void {
  const name = `${wanted.keyspace}.${wanted.table}`;
  if (actual === undefined)
    throw new WeirError(
      'SINK_SCHEMA',
      `There is no table ${name} in Cassandra. Create it, or set create: true on the sink.`,
    );
  const found = misfits(wanted, actual);
  if (found.length === 0) return;
  throw new WeirError(
    'SINK_SCHEMA',
    `The rows do not fit table ${name}: ${found.join('; ')}. Change the table with ALTER TABLE, or the job.`,
  );
}

function namesMissing(message: string): boolean {
  return /does not exist|doesn't exist|unconfigured table|undefined column name|not found|unknown keyspace/i.test(
    message,
  );
}

function withoutComments(cql: string): string {
  return cql.replace(/\/\*[^]*?\*\/|(?:--|\/\/).*$/gm, ' ');
}

function parseBytes(text: string | null): number | undefined {
  const match = /^(\d+)(B|KiB|MiB|GiB)?$/.exec(text ?? '');
  if (match === null) return undefined;
  return (
    Number(match[1]) *
    { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[(match[2] ?? 'B') as 'B' | 'KiB' | 'MiB' | 'GiB']
  );
}

/** Types refer to each other by name; those of another keyspace do not exist. */
function udtResolver(keyspace: string, rows: readonly driverTypes.Row[]): UdtResolver {
  const byName = new Map(rows.map((row) => [String(row['type_name']), row]));
  const resolve: UdtResolver = (of, name) => {
    const row = of === undefined || of === keyspace ? byName.get(name) : undefined;
    if (row === undefined) return undefined;
    const types = row['field_types'] as string[];
    const fields = (row['field_names'] as string[]).map((field, index) => ({
      name: field,
      type: parseCqlType(types[index] ?? '', resolve),
    }));
    return { kind: 'udt', keyspace, name, fields, frozen: false };
  };
  return resolve;
}

function toSchema(
  keyspace: string,
  table: string,
  options: driverTypes.Row,
  rows: readonly driverTypes.Row[],
  resolve: UdtResolver,
): TableSchema {
  const ofKind = (kind: string): driverTypes.Row[] =>
    rows.filter((row) => row['kind'] === kind).sort((a, b) => Number(a['position']) - Number(b['position']));
  const partition = ofKind('partition_key');
  const clustering = ofKind('clustering');
  const others = rows.filter((row) => row['kind'] === 'regular' || row['kind'] === 'static');
  const nameOf = (row: driverTypes.Row): string => String(row['column_name']);
  const column = (row: driverTypes.Row): TableColumn => {
    const type: CqlType = parseCqlType(String(row['type']), resolve);
    return row['kind'] === 'static' ? { name: nameOf(row), type, isStatic: true } : { name: nameOf(row), type };
  };
  const ttl = Number(options['default_time_to_live'] ?? 0);
  return {
    keyspace,
    table,
    columns: [...partition, ...clustering, ...others].map(column),
    partitionKey: partition.map(nameOf),
    clusteringKey: clustering.map(nameOf),
    clusteringOrder: clustering.map((row) =>
      String(row['clustering_order']).toLowerCase() === 'desc' ? 'desc' : 'asc',
    ),
    ...(ttl > 0 ? { defaultTtl: ttl } : {}),
  };
}
