/** Tables of the embedded process. */
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { QueryResult, SinkStats, TableStore, TableWriter } from '../../core/ports.ts';
import type { RowBlock, RowShape } from '../../core/row-block.ts';
import type { TableColumn, TableSchema } from '../../core/table/schema.ts';
import { formatCqlType } from '../../core/table/schema.ts';
import type { EmbeddedConnection } from './client.ts';
import { LONG_CALL_TIMEOUT_MS } from './client.ts';
import { untilDone } from './retry.ts';

export class EmbeddedTableStore implements TableStore {
  readonly #connection: EmbeddedConnection;
  readonly #clock: Clock;
  readonly #rng: Rng;

  constructor(connection: EmbeddedConnection, clock: Clock, rng: Rng) {
    this.#connection = connection;
    this.#clock = clock;
    this.#rng = rng;
  }

  async describe(keyspace: string, table: string): Promise<TableSchema | undefined> {
    const { schema } = await this.#connection.call(
      (client) => client.describeTable,
      { keyspace, table },
      'SINK_UNAVAILABLE',
    );
    return schema === '' ? undefined : (JSON.parse(schema) as TableSchema);
  }

  async create(schema: TableSchema, { addColumns = false } = {}): Promise<void> {
    const { keyspace, table } = schema;
    const request = { schema: JSON.stringify(schema), addColumns };
    await this.#connection.call((client) => client.createTable, request, 'SINK_UNAVAILABLE');
    const found = await this.#existing(keyspace, table);
    const keyOf = (one: TableSchema): string => `((${one.partitionKey.join(', ')}), ${one.clusteringKey.join(', ')})`;
    if (keyOf(found) !== keyOf(schema))
      throw misfit(keyspace, table, `its primary key is ${keyOf(found)}, and ${keyOf(schema)} is wanted`);
    checkColumns(found, schema.columns);
  }

  async open(shape: RowShape): Promise<TableWriter> {
    const found = await this.#existing(shape.keyspace, shape.table);
    const keys = [...found.partitionKey, ...found.clusteringKey];
    const given = shape.columns.slice(0, shape.primaryKeyCount).map((column) => column.name);
    if (keys.join() !== given.join() || found.partitionKey.length !== shape.partitionKeyCount) {
      throw misfit(
        shape.keyspace,
        shape.table,
        `its primary key is (${keys.join(', ')}), and the rows have (${given.join(', ')})`,
      );
    }
    checkColumns(found, shape.columns);
    return new EmbeddedTableWriter(this.#connection, shape, this.#clock, this.#rng);
  }

  async query(cql: string): Promise<QueryResult> {
    const { result } = await this.#connection.call(
      (client) => client.query,
      { cql },
      'SINK_UNAVAILABLE',
      LONG_CALL_TIMEOUT_MS,
    );
    return JSON.parse(result) as QueryResult;
  }

  /** The connection is not the store's to close. */
  close(): Promise<void> {
    return Promise.resolve();
  }

  async #existing(keyspace: string, table: string): Promise<TableSchema> {
    const found = await this.describe(keyspace, table);
    if (found !== undefined) return found;
    throw new WeirError(
      'SINK_SCHEMA',
      `There is no table ${keyspace}.${table}. Create it, or set create: true in the sink.`,
    );
  }
}

/** Sends whole blocks; each is one transaction. */
class EmbeddedTableWriter implements TableWriter {
  readonly #connection: EmbeddedConnection;
  readonly #shape: RowShape;
  readonly #columns: string[];
  readonly #clock: Clock;
  readonly #rng: Rng;
  #inFlight = 0;
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(connection: EmbeddedConnection, shape: RowShape, clock: Clock, rng: Rng) {
    this.#connection = connection;
    this.#shape = shape;
    this.#columns = shape.columns.map((column) => column.name);
    this.#clock = clock;
    this.#rng = rng;
  }

  async write(block: RowBlock, permit: WritePermit): Promise<void> {
    if (block.rowCount === 0) return;
    const { keyspace, table } = this.#shape;
    const request = { keyspace, table, columns: this.#columns, rowCount: block.rowCount, rows: block.bytes };
    this.#inFlight++;
    try {
      await untilDone(
        this.#clock,
        this.#rng,
        () => {
          permit.check();
          return this.#connection.call((client) => client.writeRows, request, 'SINK_UNAVAILABLE', LONG_CALL_TIMEOUT_MS);
        },
        (error) => {
          this.#retries++;
          this.#blockedBy = error.message;
        },
      );
      this.#blockedBy = null;
    } finally {
      this.#inFlight--;
    }
  }

  stats(): SinkStats {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: this.#blockedBy };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function checkColumns(found: TableSchema, wanted: readonly TableColumn[]): void {
  for (const column of wanted) {
    const existing = found.columns.find((candidate) => candidate.name === column.name);
    if (existing === undefined) throw misfit(found.keyspace, found.table, `it has no column "${column.name}"`);
    const [has, wants] = [formatCqlType(existing.type), formatCqlType(column.type)];
    if (has !== wants)
      throw misfit(found.keyspace, found.table, `its column "${column.name}" is ${has}, and the rows have ${wants}`);
  }
}

function misfit(keyspace: string, table: string, why: string): WeirError {
  return new WeirError('SINK_SCHEMA', `The table ${keyspace}.${table} does not fit the rows: ${why}.`);
}
