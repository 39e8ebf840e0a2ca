/** Whether rows fit a table that exists: asked at submit, at every opening of a writer and when writes are refused. */
import type { RowShape } from '../row-block.ts';
import { formatCqlType, quoteIdentifier, type CqlType, type TableColumn, type TableSchema } from './schema.ts';

/** What has to be there; a TableSchema is one. */
export type WantedTable = Pick<TableSchema, 'keyspace' | 'table' | 'columns' | 'partitionKey' | 'clusteringKey'>;

/** The table that rows of `shape` need. */
export function wantedBy(shape: RowShape): WantedTable {
  const names = shape.columns.map((column) => column.name);
  return {
    keyspace: shape.keyspace,
    table: shape.table,
    columns: shape.columns,
    partitionKey: names.slice(0, shape.partitionKeyCount),
    clusteringKey: names.slice(shape.partitionKeyCount, shape.primaryKeyCount),
  };
}

/**
 * Everything about `actual` that keeps rows of `wanted` out; empty when they fit. Each sentence names the column.
 * Columns that only the table has do no harm, nor does it matter whether collections are frozen: their bytes are the
 * same.
 */
export function misfits(wanted: WantedTable, actual: TableSchema): string[] {
  const name = `${actual.keyspace}.${actual.table}`;
  const columns = new Map(actual.columns.map((column) => [column.name, column]));
  const found: string[] = [];
  for (const column of wanted.columns) {
    const there = columns.get(column.name);
    if (there === undefined) {
      found.push(`table ${name} has no column ${column.name} (${formatCqlType(column.type)})`);
    } else if (there.type.kind === 'counter') {
      found.push(`column ${column.name} of table ${name} is a counter, which cannot be written exactly once`);
    } else if (bytesFormat(there.type) !== bytesFormat(column.type)) {
      found.push(
        `column ${column.name} of table ${name} is ${formatCqlType(there.type)}, not ${formatCqlType(column.type)}`,
      );
    }
  }
  if (!sameNames(wanted.partitionKey, actual.partitionKey) || !sameNames(wanted.clusteringKey, actual.clusteringKey)) {
    found.push(`the primary key of table ${name} is ${primaryKey(actual)}, not ${primaryKey(wanted)}`);
  }
  return found;
}

/** Columns of `wanted` that `actual` does not have. */
export function columnsLacking(wanted: Pick<WantedTable, 'columns'>, actual: TableSchema): readonly TableColumn[] {
  const there = new Set(actual.columns.map(({ name }) => name));
  return wanted.columns.filter(({ name }) => !there.has(name));
}

/** `ALTER TABLE … ADD`, as cqlsh would take it. */
export function addColumnCql(table: Pick<TableSchema, 'keyspace' | 'table'>, { name, type }: TableColumn): string {
  const place = `${quoteIdentifier(table.keyspace)}.${quoteIdentifier(table.table)}`;
  return `ALTER TABLE ${place} ADD ${quoteIdentifier(name)} ${formatCqlType(type)}`;
}

/** `CREATE TABLE`, as cqlsh would take it. */
export function createTableCql(schema: TableSchema, options: { readonly ifNotExists: boolean }): string {
  const columns = schema.columns.map(
    (column) =>
      `${quoteIdentifier(column.name)} ${formatCqlType(column.type)}${column.isStatic === true ? ' static' : ''}`,
  );
  const settings: string[] = [];
  if (schema.clusteringOrder?.includes('desc') === true) {
    const order = schema.clusteringKey.map(
      (name, index) => `${quoteIdentifier(name)} ${(schema.clusteringOrder?.[index] ?? 'asc').toUpperCase()}`,
    );
    settings.push(`CLUSTERING ORDER BY (${order.join(', ')})`);
  }
  if (schema.defaultTtl !== undefined && schema.defaultTtl > 0)
    settings.push(`default_time_to_live = ${schema.defaultTtl}`);
  return (
    `CREATE TABLE ${options.ifNotExists ? 'IF NOT EXISTS ' : ''}${quoteIdentifier(schema.keyspace)}.${quoteIdentifier(schema.table)} (\n` +
    `    ${[...columns, `PRIMARY KEY ${primaryKey(schema, quoteIdentifier)}`].join(',\n    ')}\n)` +
    (settings.length > 0 ? ` WITH ${settings.join(' AND ')}` : '')
  );
}

function primaryKey(
  table: Pick<TableSchema, 'partitionKey' | 'clusteringKey'>,
  show: (name: string) => string = (name) => name,
): string {
  const [only] = table.partitionKey;
  const partition =
    table.partitionKey.length === 1 && only !== undefined ? show(only) : `(${table.partitionKey.map(show).join(', ')})`;
  return `(${[partition, ...table.clusteringKey.map(show)].join(', ')})`;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

/** The type without what leaves its bytes as they are. */
function bytesFormat(type: CqlType): string {
  return formatCqlType(thawed(type));
}

function thawed(type: CqlType): CqlType {
  switch (type.kind) {
    case 'list':
    case 'set':
      return { kind: type.kind, element: thawed(type.element), frozen: false };
    case 'map':
      return { kind: 'map', key: thawed(type.key), value: thawed(type.value), frozen: false };
    case 'tuple':
      return { kind: 'tuple', elements: type.elements.map(thawed) };
    case 'udt':
      return { ...type, frozen: false };
    default:
      return type;
  }
}
