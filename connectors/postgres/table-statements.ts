/** The statements that write rows to one table. Names come from the catalog or were checked, and are quoted here. */
import { createHash } from 'node:crypto';
import type { RowFormat } from '../../core/row-sink.ts';

/** Where positions stand, in the schema of the table that they belong to. */
export const POSITIONS_TABLE = 'weir_positions';

/** For a connection whose server would let a crash take commits back: Weir has counted them. */
export const DURABLE_COMMITS =
  "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

export interface TableStatements {
  readonly positions: string;
  readonly createPositions: string;
  /** Of tables that rows go through on their way; they live as long as a connection and are empty between transactions. */
  readonly prepare: readonly string[];
  /** Of a stream of whole rows: into the table itself, or into the one on the way. */
  readonly copy: string;
  /** From the table on the way into the table; null where rows are only added. */
  readonly merge: string | null;
  readonly copyKeys: string | null;
  readonly remove: string | null;
  readonly clear: string | null;
}

/** `table`: `schema.name`. */
export function statementsOf(table: string, format: Extract<RowFormat, { kind: 'postgres' }>): TableStatements {
  const [schema = 'public', name = ''] = table.split('.');
  const target = `${quoted(schema)}.${quoted(name)}`;
  const positions = `${quoted(schema)}.${quoted(POSITIONS_TABLE)}`;
  const columns = format.columns.map((column) => quoted(column.name));
  const keys = columns.slice(0, format.keyCount);
  const createPositions =
    `CREATE TABLE IF NOT EXISTS ${positions} (job text NOT NULL, target text NOT NULL, unit text NOT NULL, ` +
    `run bigint NOT NULL, position bigint NOT NULL, PRIMARY KEY (job, target, unit))`;
  const copyInto = (into: string, some: readonly string[]): string =>
    `COPY ${into} (${some.join(', ')}) FROM STDIN (FORMAT binary)`;
  if (keys.length === 0) {
    const copy = copyInto(target, columns);
    return { positions, createPositions, prepare: [], copy, merge: null, copyKeys: null, remove: null, clear: null };
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([table, format.columns]))
    .digest('hex')
    .slice(0, 12);
  const rows = `weir_rows_${hash}`;
  const gone = `weir_keys_${hash}`;
  const onTheWay = (place: string, some: readonly string[]): string =>
    `CREATE TEMP TABLE IF NOT EXISTS ${place} ON COMMIT DELETE ROWS AS SELECT ${some.join(', ')} FROM ${target} WITH NO DATA`;
  const others = columns.slice(format.keyCount).map((column) => `${column} = excluded.${column}`);
  return {
    positions,
    createPositions,
    prepare: [onTheWay(rows, columns), onTheWay(gone, keys)],
    copy: copyInto(rows, columns),
    merge:
      `INSERT INTO ${target} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM ${rows} ON CONFLICT (${keys.join(', ')}) ` +
      (others.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${others.join(', ')}`),
    copyKeys: copyInto(gone, keys),
    remove: `DELETE FROM ${target} USING ${gone} WHERE ${keys.map((key) => `${target}.${key} = ${gone}.${key}`).join(' AND ')}`,
    clear: `TRUNCATE ${rows}, ${gone}`,
  };
}

/** An identifier as it is. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
