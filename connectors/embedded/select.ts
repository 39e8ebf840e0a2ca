/** Answers SELECT on an embedded table. */
import { must } from '../../core/assert.ts';
import { WeirError } from '../../core/errors.ts';
import type { QueryResult } from '../../core/ports.ts';
import { compareBytes } from '../../core/table/cell.ts';
import type { CqlType } from '../../core/table/schema.ts';
import { formatCqlType } from '../../core/table/schema.ts';
import { decodeValue, encodeLiteral } from '../../core/table/values.ts';
import type { Comparison, Relation, Selector, SelectStatement } from './cql.ts';
import { sortableBytes } from './key-order.ts';
import type { EmbeddedTable, VisibleRow } from './table.ts';

/** An answer is one message; larger ones need a LIMIT. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** Most combinations of IN lists over the primary key. */
const PREFIXES_MAX = 1000;

/** A comparison with its constants as bytes. */
interface Condition {
  readonly column: string;
  readonly type: CqlType;
  readonly comparison: Comparison;
  readonly values: readonly Uint8Array[];
}

/** What to read: rows by the beginnings of their keys, and which of them to keep. */
interface ScanPlan {
  readonly prefixes: readonly (readonly Uint8Array[])[];
  readonly filters: readonly Condition[];
  readonly reversed: boolean;
}

interface OutputColumn {
  readonly name: string;
  readonly type: string;
  readonly value: (row: VisibleRow) => unknown;
}

/**
 * Throws: NOT_FOUND for a column that is not there; SQL_SEMANTIC for constants of the wrong type and for conditions that
 * need ALLOW FILTERING; UNSUPPORTED for answers that are too large.
 */
export function select(table: EmbeddedTable, statement: SelectStatement): QueryResult {
  const plan = planScan(table, statement);
  const limit = statement.limit ?? Number.POSITIVE_INFINITY;
  const counts = statement.selectors?.filter((selector) => selector.kind === 'count') ?? [];
  if (counts.length > 0) {
    if (counts.length !== statement.selectors?.length) {
      throw new WeirError(
        'UNSUPPORTED',
        'count(*) beside columns is not supported on embedded tables; ask for it alone.',
      );
    }
    const count = countRows(table, plan);
    return {
      columns: counts.map((selector) => ({ name: selector.alias ?? 'count', type: 'bigint' })),
      rows: [counts.map(() => count)],
    };
  }
  const output = outputColumns(table, statement.selectors);
  const rows: unknown[][] = [];
  let bytes = 0;
  for (const found of scan(table, plan)) {
    if (rows.length >= limit) break;
    bytes += found.row.keys.byteLength;
    for (const cell of found.row.cells.values()) bytes += cell.value?.byteLength ?? 0;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new WeirError(
        'UNSUPPORTED',
        `The answer is larger than ${ANSWER_BYTES_MAX >> 20} MiB after ${rows.length} rows; add a LIMIT or a WHERE.`,
      );
    }
    rows.push(output.map((column) => column.value(found)));
  }
  return { columns: output.map(({ name, type }) => ({ name, type })), rows };
}

function countRows(table: EmbeddedTable, plan: ScanPlan): number {
  if (plan.filters.length === 0 && plan.prefixes.length === 1 && must(plan.prefixes[0], () => 'a prefix').length === 0)
    return table.countAll();
  let count = 0;
  for (const _ of scan(table, plan)) count++;
  return count;
}

function* scan(table: EmbeddedTable, plan: ScanPlan): Generator<VisibleRow> {
  for (const prefix of plan.prefixes) {
    for (const row of table.rows(prefix, plan.reversed)) {
      if (plan.filters.every((condition) => holds(condition, valueOf(table, row, condition.column)))) yield row;
    }
  }
}

// ------------------------------------------------------------------------------------------------------------ planning

function planScan(table: EmbeddedTable, statement: SelectStatement): ScanPlan {
  const conditions = statement.where.map((relation) => toCondition(table, relation));
  const rest = new Set(conditions);
  for (const { column, comparison } of conditions) {
    const isEquality = comparison === '=' || comparison === 'IN';
    if (isEquality && conditions.filter((other) => other.column === column).length > 1) {
      throw new WeirError(
        'SQL_SEMANTIC',
        `The column ${column} is compared more than once, one of the times with ${comparison}; one comparison is enough.`,
      );
    }
  }
  const pins = keyPins(table, conditions);
  for (const pin of pins) rest.delete(pin);
  const prefixes = keyPrefixes(table, pins);
  const hasPartition = pins.length > 0;
  if (!statement.allowFiltering) refuseFiltering(table, statement, pins.length, rest);
  const reversed = isReversed(table, statement, hasPartition);
  return { prefixes: reversed ? prefixes.toReversed() : prefixes, filters: [...rest], reversed };
}

/**
 * The conditions that pin the first columns of the primary key to values: the whole partition key, then clustering
 * columns as far as they go; none when a column of the partition key is free.
 */
function keyPins(table: EmbeddedTable, conditions: readonly Condition[]): readonly Condition[] {
  const pins: Condition[] = [];
  for (const part of table.keyParts) {
    const pin = conditions.find(
      ({ column, comparison }) => column === part.name && (comparison === '=' || comparison === 'IN'),
    );
    if (pin === undefined) break;
    pins.push(pin);
  }
  return pins.length < table.partitionKeyCount ? [] : pins;
}

/** Beginnings of the keys to scan, in the order of rows within a partition; without pins an empty one: all keys. */
function keyPrefixes(table: EmbeddedTable, pins: readonly Condition[]): readonly (readonly Uint8Array[])[] {
  let prefixes: Uint8Array[][] = [[]];
  for (const [index, pin] of pins.entries()) {
    const descending = table.keyParts[index]?.descending === true;
    const sorted = [...pin.values].sort((a, b) => compare(pin.type, a, b) * (descending ? -1 : 1));
    const distinct = sorted.filter(
      (value, at) =>
        at === 0 ||
        compare(
          pin.type,
          value,
          must(sorted[at - 1], () => 'a value'),
        ) !== 0,
    );
    prefixes = prefixes.flatMap((prefix) => distinct.map((value) => [...prefix, value]));
    if (prefixes.length > PREFIXES_MAX) {
      throw new WeirError(
        'UNSUPPORTED',
        `IN over more than ${PREFIXES_MAX} combinations of key values is not supported on embedded tables; ask in parts.`,
      );
    }
  }
  return prefixes;
}

/** Cassandra's rule: the partition key pinned, then clustering columns in order, the last of them perhaps a range. */
function refuseFiltering(
  table: EmbeddedTable,
  statement: SelectStatement,
  pinnedCount: number,
  rest: ReadonlySet<Condition>,
): void {
  if (statement.where.length === 0) return;
  const hasPartition = pinnedCount > 0;
  const nextKey = table.keyParts[pinnedCount];
  const other = [...rest].find((condition) => !hasPartition || condition.column !== nextKey?.name);
  if (hasPartition && other === undefined) return;
  const isPinned = (column: string): boolean =>
    statement.where.some((one) => one.column === column && (one.comparison === '=' || one.comparison === 'IN'));
  const missing = table.schema.partitionKey.filter((column) => !isPinned(column));
  const why =
    !hasPartition && missing.length > 0
      ? `the partition key column ${missing.join(', ')} is not given with = or IN`
      : `the condition on ${other?.column ?? table.schema.partitionKey.join(', ')} cannot use the primary key (${table.keyParts.map((part) => part.name).join(', ')})`;
  throw new WeirError('SQL_SEMANTIC', `This reads the whole table, as ${why}. If that is meant, add ALLOW FILTERING.`);
}

function isReversed(table: EmbeddedTable, statement: SelectStatement, hasPartition: boolean): boolean {
  if (statement.orderBy.length === 0) return false;
  if (!hasPartition) throw new WeirError('SQL_SEMANTIC', 'ORDER BY needs the whole partition key with = or IN.');
  const clustering = table.keyParts.slice(table.partitionKeyCount);
  const directions = statement.orderBy.map((item, index) => {
    const part = clustering[index];
    if (part?.name !== item.column) {
      throw new WeirError(
        'SQL_SEMANTIC',
        `ORDER BY takes the clustering columns in their order (${clustering.map(({ name }) => name).join(', ')}), not "${item.column}".`,
      );
    }
    return item.descending !== part.descending;
  });
  if (new Set(directions).size > 1) {
    throw new WeirError('SQL_SEMANTIC', 'ORDER BY takes the order of the table or all of it reversed.');
  }
  return directions[0] === true;
}

function toCondition(table: EmbeddedTable, relation: Relation): Condition {
  const { type } = columnOf(table, relation.column);
  const values = relation.values.map((literal) => {
    const value = encodeLiteral(type, literal);
    if (value === null)
      throw new WeirError(
        'SQL_SEMANTIC',
        `The condition on ${relation.column} compares with NULL, which no row equals.`,
      );
    return value;
  });
  return { column: relation.column, type, comparison: relation.comparison, values };
}

// ------------------------------------------------------------------------------------------------------------- reading

function holds(condition: Condition, value: Uint8Array | null): boolean {
  if (value === null) return false;
  if (condition.comparison === 'IN')
    return condition.values.some((candidate) => compare(condition.type, value, candidate) === 0);
  const order = compare(
    condition.type,
    value,
    must(condition.values[0], () => 'a constant'),
  );
  switch (condition.comparison) {
    case '=':
      return order === 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
}

function compare(type: CqlType, a: Uint8Array, b: Uint8Array): number {
  return compareBytes(sortableBytes(type, a), sortableBytes(type, b));
}

function columnOf(table: EmbeddedTable, name: string): { readonly position: number; readonly type: CqlType } {
  const position = table.positionOf(name);
  const column = position === undefined ? undefined : table.schema.columns[position];
  if (position === undefined || column === undefined) {
    const names = table.schema.columns.map((candidate) => candidate.name).join(', ');
    throw new WeirError(
      'NOT_FOUND',
      `The table ${table.schema.keyspace}.${table.schema.table} has no column "${name}"; it has ${names}.`,
    );
  }
  return { position, type: column.type };
}

function valueOf(table: EmbeddedTable, found: VisibleRow, name: string): Uint8Array | null {
  const keyIndex = table.keyParts.findIndex((part) => part.name === name);
  if (keyIndex >= 0) return found.keys[keyIndex] ?? null;
  const { position } = columnOf(table, name);
  return (found.row.cells.get(position) ?? found.statics?.cells.get(position))?.value ?? null;
}

/** Of `*`: the key, then static columns, then the others, by name, as Cassandra has them. */
function outputColumns(table: EmbeddedTable, selectors: readonly Selector[] | null): OutputColumn[] {
  if (selectors !== null) return selectors.map((selector) => outputColumn(table, selector));
  const keys = table.keyParts.map((part) => part.name);
  const rest = table.schema.columns.filter((column) => !keys.includes(column.name));
  const rank = (column: (typeof rest)[number]): string => `${column.isStatic === true ? 0 : 1}${column.name}`;
  const names = [...keys, ...rest.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).map((column) => column.name)];
  return names.map((column) => outputColumn(table, { kind: 'column', column, alias: null }));
}

function outputColumn(table: EmbeddedTable, selector: Selector): OutputColumn {
  if (selector.kind === 'count')
    throw new WeirError(
      'UNSUPPORTED',
      'count(*) beside columns is not supported on embedded tables; ask for it alone.',
    );
  const { position, type } = columnOf(table, selector.column);
  if (selector.kind === 'writetime') {
    if (table.keyParts.some((part) => part.name === selector.column)) {
      throw new WeirError('SQL_SEMANTIC', `writetime is not known of ${selector.column}, a column of the primary key.`);
    }
    const writetime = (found: VisibleRow): number | null => {
      const cell = found.row.cells.get(position) ?? found.statics?.cells.get(position);
      return cell === undefined || cell.value === null ? null : cell.timestamp;
    };
    return { name: selector.alias ?? `writetime(${selector.column})`, type: 'bigint', value: writetime };
  }
  const value = (found: VisibleRow): unknown => decodeValue(type, valueOf(table, found, selector.column));
  return { name: selector.alias ?? selector.column, type: formatCqlType(type), value };
}
