/** Rows of embedded tables looked up by primary key, by the queries that people type. */
import { WeirError } from '../../core/errors.ts';
import type { LookupAnswer, LookupConnector, LookupKey, LookupSource, LookupTable } from '../../core/lookup.ts';
import type { TableStore } from '../../core/ports.ts';
import { quoteIdentifier, type TableSchema } from '../../core/table/schema.ts';
import { describedTable, literalOf } from '../../core/table/lookup-table.ts';

const KEYS_MAX = 64;

export class EmbeddedLookups implements LookupConnector {
  readonly #tables: TableStore;

  /** The store stays its maker's. */
  constructor(tables: TableStore) {
    this.#tables = tables;
  }

  async open(table: LookupTable): Promise<LookupSource> {
    return new EmbeddedLookup(table, await describedTable(table, this.#tables), this.#tables);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class EmbeddedLookup implements LookupSource {
  readonly keysMax = KEYS_MAX;
  readonly #table: LookupTable;
  readonly #existing: TableSchema;
  readonly #tables: TableStore;

  constructor(table: LookupTable, existing: TableSchema, tables: TableStore) {
    this.#table = table;
    this.#existing = existing;
    this.#tables = tables;
  }

  async ask(keys: readonly LookupKey[], signal: AbortSignal): Promise<readonly LookupAnswer[]> {
    return await Promise.all(
      keys.map(async (key): Promise<LookupAnswer> => {
        const cql = this.#queryOf(key);
        if (cql === null) return { kind: 'none' };
        signal.throwIfAborted();
        const [values] = (await this.#query(cql)).rows;
        return values === undefined ? { kind: 'none' } : { kind: 'row', values };
      }),
    );
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #query(cql: string): ReturnType<TableStore['query']> {
    try {
      return await this.#tables.query(cql);
    } catch (error) {
      const { job, name } = this.#table;
      if (!(error instanceof WeirError)) throw error;
      const code = error.retryable ? 'LOOKUP_UNAVAILABLE' : 'LOOKUP_REFUSED';
      throw new WeirError(code, `job ${job}, lookup ${name}: ${error.message}`, { cause: error });
    }
  }

  /** null = no row has such a key. */
  #queryOf(key: LookupKey): string | null {
    const conditions: string[] = [];
    for (const [index, name] of this.#table.key.entries()) {
      const column = this.#existing.columns.find((candidate) => candidate.name === name);
      const literal = column && literalOf(column.type, key[index] ?? '');
      if (literal === undefined) return null;
      const text =
        literal.kind === 'string'
          ? `'${literal.text.replaceAll("'", "''")}'`
          : literal.kind === 'boolean'
            ? String(literal.value)
            : literal.kind === 'null'
              ? 'NULL'
              : literal.text;
      conditions.push(`${quoteIdentifier(name)} = ${text}`);
    }
    const columns = this.#table.columns.map((column) => quoteIdentifier(column.name)).join(', ');
    const { keyspace, table } = this.#table.settings;
    return `SELECT ${columns} FROM ${quoteIdentifier(String(keyspace))}.${quoteIdentifier(String(table))} WHERE ${conditions.join(' AND ')}`;
  }
}
