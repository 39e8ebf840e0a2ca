/** What lookups of tables in Cassandra and in the embedded process share; loads no driver. */
import { WeirError } from '../errors.ts';
import type { LookupTable } from '../lookup.ts';
import type { TableStore } from '../ports.ts';
import type { CqlType, TableSchema } from './schema.ts';
import { encodeLiteral, type CqlLiteral } from './values.ts';

/** The table that a lookup reads. Throws: LOOKUP_UNAVAILABLE; UNAUTHORIZED; LOOKUP_REFUSED when it is not there or lacks a column. */
export async function describedTable(table: LookupTable, store: TableStore): Promise<TableSchema> {
  const { keyspace, table: name } = table.settings;
  const place = `job ${table.job}, lookup ${table.name}, table ${keyspace}.${name}`;
  let existing: TableSchema | undefined;
  try {
    existing = await store.describe(String(keyspace), String(name));
  } catch (error) {
    if (error instanceof WeirError && error.retryable)
      throw new WeirError('LOOKUP_UNAVAILABLE', `${place}: ${error.message}`, { cause: error });
    throw error;
  }
  if (existing === undefined)
    throw new WeirError('LOOKUP_REFUSED', `${place}: there is no such table; create it, or correct the job.`);
  const names = new Set(existing.columns.map((column) => column.name));
  for (const column of table.columns) {
    if (names.has(column.name)) continue;
    throw new WeirError('LOOKUP_REFUSED', `${place}: it has no column ${column.name}; correct the schema of the job.`);
  }
  return existing;
}

/** The constant of CQL that a key's text is in a column of the type; undefined where it cannot be one. */
export function literalOf(type: CqlType, text: string): CqlLiteral | undefined {
  const literal = ((): CqlLiteral => {
    switch (type.kind) {
      case 'text':
      case 'ascii':
      case 'date':
      case 'time':
      case 'timestamp':
      case 'inet':
        return { kind: 'string', text };
      case 'uuid':
      case 'timeuuid':
        return { kind: 'uuid', text };
      case 'boolean':
        return { kind: 'boolean', value: text === 'true' };
      default:
        return { kind: 'number', text };
    }
  })();
  try {
    return encodeLiteral(type, literal) === null ? undefined : literal;
  } catch {
    return undefined;
  }
}
