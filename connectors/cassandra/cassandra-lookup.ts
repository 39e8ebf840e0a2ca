/**
 * Rows of Cassandra tables looked up by primary key: one prepared SELECT per key, all of a request on their way at once.
 * Each goes to a replica of its own partition; an IN over partitions would have one node ask the others.
 */
import cassandra from 'cassandra-driver';
import type { QueryOptions } from 'cassandra-driver';
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { LookupAnswer, LookupConnector, LookupKey, LookupSource, LookupTable } from '../../core/lookup.ts';
import type { TableStore } from '../../core/ports.ts';
import { quoteIdentifier, type CqlType, type TableSchema } from '../../core/table/schema.ts';
import { encodeLiteral } from '../../core/table/values.ts';
import { printRows } from './print.ts';
import type { CassandraClient } from './client.ts';
import { classify } from './failures.ts';
import { describedTable, literalOf } from '../../core/table/lookup-table.ts';

/** Requests of one question on their way at once; each node takes thousands per connection. */
const KEYS_MAX = 128;

const options: QueryOptions = {
  prepare: true,
  isIdempotent: true,
  consistency: cassandra.types.consistencies.localOne,
  fetchSize: 0,
};

export class CassandraLookups implements LookupConnector {
  readonly #client: CassandraClient;
  readonly #tables: TableStore;

  /** Both stay their maker's. */
  constructor(client: CassandraClient, tables: TableStore) {
    this.#client = client;
    this.#tables = tables;
  }

  async open(table: LookupTable): Promise<LookupSource> {
    const existing = await describedTable(table, this.#tables);
    return new CassandraLookup(table, existing, this.#client);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class CassandraLookup implements LookupSource {
  readonly keysMax = KEYS_MAX;
  readonly #place: string;
  readonly #client: CassandraClient;
  readonly #cql: string;
  readonly #types: readonly CqlType[];

  constructor(table: LookupTable, existing: TableSchema, client: CassandraClient) {
    const { keyspace, table: name } = table.settings;
    this.#client = client;
    this.#place = `job ${table.job}, lookup ${table.name}, table ${keyspace}.${name}`;
    this.#types = table.key.map((key) => columnType(existing, key));
    const columns = table.columns.map((column) => quoteIdentifier(column.name)).join(', ');
    const where = table.key.map((key) => `${quoteIdentifier(key)} = ?`).join(' AND ');
    this.#cql = `SELECT ${columns} FROM ${quoteIdentifier(String(keyspace))}.${quoteIdentifier(String(name))} WHERE ${where}`;
  }

  async ask(keys: readonly LookupKey[], signal: AbortSignal): Promise<readonly LookupAnswer[]> {
    return await Promise.all(keys.map((key) => this.#one(key, signal)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #one(key: LookupKey, signal: AbortSignal): Promise<LookupAnswer> {
    const params: Buffer[] = [];
    for (const [index, type] of this.#types.entries()) {
      const literal = literalOf(type, key[index] ?? '');
      const bytes = literal === undefined ? null : encodeLiteral(type, literal);
      // What is no value of the key's type is the key of no row; nor is an empty partition key.
      if (bytes === null || bytes.byteLength === 0) return { kind: 'none' };
      params.push(Buffer.from(bytes));
    }
    signal.throwIfAborted();
    try {
      const result = await this.#client.execute(this.#cql, params, options, 'LOOKUP_UNAVAILABLE');
      const { rows } = printRows(result);
      const [values] = rows;
      return values === undefined ? { kind: 'none' } : { kind: 'row', values };
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): unknown {
    if (error instanceof WeirError) return error;
    const failure = classify(error);
    switch (failure.kind) {
      case 'foreign':
        return error;
      case 'credentials':
      case 'forbidden':
        return new WeirError('UNAUTHORIZED', `${this.#place} may not be read: ${failure.message}.`, { cause: error });
      case 'transient':
        return new WeirError('LOOKUP_UNAVAILABLE', `${this.#place} does not answer: ${failure.message}`, {
          cause: error,
        });
      default:
        return new WeirError('LOOKUP_REFUSED', `${this.#place}: ${failure.message}; correct the table or the job.`, {
          cause: error,
        });
    }
  }
}

function columnType(existing: TableSchema, name: string): CqlType {
  return must(
    existing.columns.find((column) => column.name === name),
    () => `the table has no column ${name}`,
  ).type;
}
