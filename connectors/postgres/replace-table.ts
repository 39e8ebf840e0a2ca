/** The answer to a query as a table of PostgreSQL. */
import { Client } from 'pg';
import type { QueryResult } from '../../core/ports.ts';
import { postgresFailure } from './failures.ts';
import { quoted } from './table-statements.ts';

const ROWS_AT_ONCE = 1000;

/** By CQL type; others become text, or jsonb where they have parts. */
const types: ReadonlyMap<string, string> = new Map([
  ['boolean', 'boolean'],
  ['tinyint', 'smallint'],
  ['smallint', 'smallint'],
  ['int', 'integer'],
  ['bigint', 'bigint'],
  ['counter', 'bigint'],
  ['varint', 'numeric'],
  ['decimal', 'numeric'],
  ['float', 'real'],
  ['double', 'double precision'],
  ['timestamp', 'timestamptz'],
  ['date', 'date'],
  ['uuid', 'uuid'],
  ['timeuuid', 'uuid'],
]);

/**
 * Makes the table where it is missing and puts the rows in the place of those it holds, all in one transaction. `table`:
 * `name` or `schema.name`. Throws: SINK_UNAVAILABLE, SINK_SCHEMA, UNAUTHORIZED.
 */
export async function replaceTable(url: string, table: string, { columns, rows }: QueryResult): Promise<void> {
  const target = table.split('.').map(quoted).join('.');
  const client = new Client({ connectionString: url, application_name: 'weir export', connectionTimeoutMillis: 5000 });
  const defined = columns.map(
    ({ name, type }) => `${quoted(name)} ${types.get(type) ?? (/[<(]/.test(type) ? 'jsonb' : 'text')}`,
  );
  // A connection that breaks fails the statement that is under way, which says why.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('BEGIN');
    if (table.includes('.')) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoted(table.split('.')[0] ?? '')}`);
    await client.query(`CREATE TABLE IF NOT EXISTS ${target} (${defined.join(', ')})`);
    await client.query(`DELETE FROM ${target}`);
    const names = columns.map(({ name }) => quoted(name)).join(', ');
    for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
      const some = rows
        .slice(from, from + ROWS_AT_ONCE)
        .map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index] ?? null])));
      await client.query(
        `INSERT INTO ${target} (${names}) SELECT ${names} FROM jsonb_to_recordset($1::jsonb) AS rows(${defined.join(', ')})`,
        [JSON.stringify(some)],
      );
    }
    await client.query('COMMIT');
  } catch (error) {
    throw postgresFailure(error, `table ${table}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}
