/**
 * Joins of a stream with tables that are looked up by key, in lanes. A stage with lookups is run in steps: its operators
 * in front of a join give the keys of a task's records, the worker asks for the rows, and the whole stage runs with them.
 */
import { must } from '../../core/assert.ts';
import { type Expr, mapColumns } from '../../core/ast.ts';
import { durationMs } from '../../core/duration.ts';
import type { LookupSpec } from '../../core/job/lookup-spec.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { JobSpec, StaticTableSpec } from '../../core/job/spec.ts';
import type { LookupTable } from '../../core/lookup.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { castTo, STRING } from '../sql/coercion.ts';
import { joinConjuncts } from '../sql/conjuncts.ts';
import { didYouMean } from '../sql/problems.ts';
import type { PlanFacts } from './analyzed-job.ts';
import { columnAt, referTo, shifted } from './columns.ts';
import type { LookupLimits, LookupPlan, PlannedLookup } from './lookup-plan.ts';
import { holdsPassword } from './plan-row-sinks.ts';
import { staticTable } from './static-table.ts';
import { tableSchema } from './plan-sources.ts';
import { type LaneOperator, pruneColumns } from './prune-columns.ts';
import type { NodeOf } from './stage-draft.ts';
import type { InputColumn, ProjectedColumn, StagePlan } from './stage-plan.ts';

/** A table of the job file that is looked up. */
type LookupTableSpec = Extract<StaticTableSpec, { readonly lookup?: LookupSpec | undefined }> & {
  readonly lookup: LookupSpec;
};

/** Types whose values have one text. */
const keyTypes: ReadonlySet<DataType['kind']> = new Set([
  'string',
  'boolean',
  'tinyint',
  'smallint',
  'int',
  'bigint',
  'date',
]);

/** Whether the table is asked for rows by key, and not read whole. */
export function isLookup(table: StaticTableSpec): table is LookupTableSpec {
  return 'lookup' in table && table.lookup !== undefined;
}

/** The lookup tables whose definitions have no mistakes. */
export function planLookups(spec: JobSpec, facts: PlanFacts, problems: JobProblem[]): Map<string, PlannedLookup> {
  const planned = new Map<string, PlannedLookup>();
  for (const [name, table] of Object.entries(spec.tables ?? {})) {
    if (!isLookup(table)) continue;
    const path = `tables.${name}`;
    if (Object.keys(spec.sources).some((source) => source.toLowerCase() === name.toLowerCase()))
      problems.push({ path, message: `${name} is the name of a source too`, hint: 'give the table another name' });
    const schema = tableSchema(table, facts, path, problems);
    const key = schema && keyOf(table, schema, facts, path, problems);
    if (schema === undefined || key === undefined) continue;
    planned.set(name, {
      table: lookupTable(spec.name, name, table, schema),
      place: placeOf(table),
      schema: schema.map((field, index) => (key.includes(index) ? { ...field, nullable: false } : field)),
      key,
      limits: limitsOf(table.lookup),
    });
  }
  return planned;
}

function lookupTable(job: string, name: string, spec: LookupTableSpec, schema: Schema): LookupTable {
  const columns = schema.map((field) => ({ name: field.name, type: formatType(field.type) }));
  const { key } = spec.lookup;
  return { job, name, connector: spec.connector, settings: settingsOf(spec), columns, key };
}

function settingsOf(spec: LookupTableSpec): LookupTable['settings'] {
  switch (spec.connector) {
    case 'cassandra':
      return { keyspace: spec.keyspace, table: spec.table };
    case 'postgres':
      return { url: spec.url ?? null, table: spec.table };
    case 'http':
      return { url: spec.url, headers: JSON.stringify(spec.headers), select: spec.select ?? null };
  }
}

/** Without parameters, which may hold secrets. */
function placeOf(spec: LookupTableSpec): string {
  if (spec.connector === 'http') return `GET ${spec.url.replace(/\?.*$/, '').replace(/\/\/[^/@]*@/, '//')}`;
  return `${spec.connector} table ${spec.connector === 'cassandra' ? `${spec.keyspace}.` : ''}${spec.table}`;
}

function limitsOf(lookup: LookupSpec): LookupLimits {
  const { maxEntries, maxBytes, batchKeys, inFlight, retries, onError } = lookup;
  const ttlMs = durationMs(lookup.ttl);
  const missTtlMs = durationMs(lookup.missTtl);
  const timeoutMs = durationMs(lookup.timeout);
  return { ttlMs, missTtlMs, maxEntries, maxBytes, batchKeys, inFlight, timeoutMs, retries, onError };
}

/** Places of the key's columns; undefined where the key cannot be. */
function keyOf(
  spec: LookupTableSpec,
  schema: Schema,
  facts: PlanFacts,
  path: string,
  problems: JobProblem[],
): readonly number[] | undefined {
  const before = problems.length;
  const names = schema.map(({ name }) => name);
  const places = spec.lookup.key.map((name, index) => {
    const place = names.indexOf(name);
    const field = schema[place];
    const at = `${path}.lookup.key[${index}]`;
    if (field === undefined) {
      const hint = didYouMean(name, names) ?? `its columns are: ${names.join(', ')}`;
      problems.push({ path: at, message: `the table has no column ${name}`, hint });
    } else if (!keyTypes.has(field.type.kind)) {
      const message = `${name} is ${formatType(field.type)}, which no row is looked up by`;
      problems.push({ path: at, message, hint: `a key is of STRING, BOOLEAN, DATE or a whole number` });
    }
    return place;
  });
  if (spec.connector === 'cassandra') checkPrimaryKey(spec, facts, path, problems);
  if (spec.connector === 'http') checkTemplate(spec, path, problems);
  if (spec.connector !== 'cassandra' && spec.url !== undefined && holdsPassword(spec.url))
    problems.push({
      path: `${path}.url`,
      message: 'the address holds a password, which everybody who may look at the job would see',
      hint: 'write ${env:WEIR_SECRET_NAME} in its place and set the variable for workers',
    });
  return problems.length === before ? places : undefined;
}

/** A key that is not the primary key would read whole partitions, or the whole table. */
function checkPrimaryKey(
  spec: Extract<LookupTableSpec, { connector: 'cassandra' }>,
  facts: PlanFacts,
  path: string,
  problems: JobProblem[],
): void {
  if (spec.refresh !== undefined)
    problems.push({
      path: `${path}.refresh`,
      message: 'a table that is looked up is not read anew',
      hint: 'write how long rows are kept: lookup: { ttl: 1m }',
    });
  const existing = facts.tables?.get(`${spec.keyspace}.${spec.table}`);
  if (existing === undefined) return;
  const primary = [...existing.partitionKey, ...existing.clusteringKey];
  const { key } = spec.lookup;
  if (primary.length === key.length && primary.every((name) => key.includes(name))) return;
  const message = `the primary key of ${spec.keyspace}.${spec.table} is (${primary.join(', ')})`;
  problems.push({ path: `${path}.lookup.key`, message, hint: `write key: [${primary.join(', ')}]` });
}

function checkTemplate(
  spec: Extract<LookupTableSpec, { connector: 'http' }>,
  path: string,
  problems: JobProblem[],
): void {
  const named = [...spec.url.matchAll(/(?<!\$)\{([^}]*)\}/g)].map(([, name = '']) => name);
  const { key } = spec.lookup;
  for (const name of key) {
    if (named.includes(name)) continue;
    const message = `the address does not name the key column ${name}`;
    problems.push({ path: `${path}.url`, message, hint: `write {${name}} where its value belongs` });
  }
  for (const name of named) {
    if (key.includes(name)) continue;
    const message = `the address names {${name}}, which is no column of the key`;
    problems.push({ path: `${path}.url`, message, hint: `the key is (${key.join(', ')})` });
  }
}

// ---- joins --------------------------------------------------------------------------------------------------------

/**
 * The operators of a join with a lookup table; null where the table is another one. A text says why it cannot be looked
 * up as the query asks.
 */
export function lookupJoin(
  node: NodeOf<'staticJoin'>,
  lookups: ReadonlyMap<string, PlannedLookup>,
): readonly LaneOperator[] | string | null {
  const table = staticTable(node.table);
  const lookup = table && lookups.get(table.name);
  if (table === undefined || lookup === undefined || table.query !== undefined) return null;
  const { name } = table;
  const { type } = node;
  if (type !== 'inner' && type !== 'left')
    return `${name} is looked up, which goes with INNER and LEFT JOIN, not with ${type.toUpperCase()}`;
  const width = node.input.output.length;
  const own = (expr: Expr): Expr => mapColumns(expr, (column) => columnAt(table.columns, column.index - width).expr);
  const equi = node.equi.map(({ left, right, nullSafe }) => ({ left, right: own(right), nullSafe }));
  const lacking = lookup.key.filter((index) => keyExpr(equi, index) === undefined);
  if (lacking.length > 0) {
    const names = lacking.map((index) => columnAt(table.base, index)).map((field) => `${name}.${field.name}`);
    return `${name} is looked up by (${lookup.table.key.join(', ')}), and the join does not compare ${names.join(' and ')} with = to a value of the same type`;
  }
  const both = (expr: Expr): Expr =>
    mapColumns(expr, (column) =>
      column.index < width ? column : shifted(columnAt(table.columns, column.index - width).expr, width),
    );
  const conditions = [
    ...(node.residual === null ? [] : [both(node.residual)]),
    ...table.filters.map((filter) => shifted(filter, width)),
  ];
  const base = table.base.map((field) => (type === 'left' ? { ...field, nullable: true } : field));
  const join: LaneOperator = {
    kind: 'staticJoin',
    lookup: true,
    table: name,
    type,
    equi,
    residual: conditions.length === 0 ? null : joinConjuncts(conditions),
    output: [...node.input.output, ...base],
  };
  if (table.columns.every(({ expr }, index) => isColumn(expr, index)) && table.columns.length === base.length)
    return [join];
  if (type === 'left' && table.columns.some(({ expr }) => expr.kind !== 'column'))
    return `columns of ${name} are computed in a sub-query that is joined with LEFT JOIN; compute them behind the join`;
  const columns = node.output.map((field, index): ProjectedColumn => {
    if (index < width) return referTo(node.output, index);
    const expr = shifted(columnAt(table.columns, index - width).expr, width);
    return { ...field, expr: type === 'left' ? { ...expr, nullable: true } : expr };
  });
  return [join, { kind: 'project', columns }];
}

function isColumn(expr: Expr, index: number): boolean {
  return expr.kind === 'column' && expr.index === index;
}

/** What a column of the key is compared with. */
export function keyExpr(equi: Extract<LaneOperator, { kind: 'staticJoin' }>['equi'], index: number): Expr | undefined {
  return equi.find(({ right, nullSafe }) => !nullSafe && isColumn(right, index))?.left;
}

// ---- stages -------------------------------------------------------------------------------------------------------

/** What the stages of a source's lookups are made of. */
export interface LookupContext {
  /** Unpruned, as the operators count them. */
  readonly columns: readonly InputColumn[];
  readonly operators: readonly LaneOperator[];
  readonly stage: StagePlan;
  readonly lookups: ReadonlyMap<string, PlannedLookup>;
}

/** The lookups of a stage, in the order of their joins, and the stage with the tables that they fill. */
export function planLookupStages(context: LookupContext): {
  readonly stage: StagePlan;
  readonly lookups: readonly LookupPlan[];
} {
  const { columns, operators, stage, lookups } = context;
  const plans: LookupPlan[] = [];
  for (const [place, operator] of operators.entries()) {
    const lookup = operator.kind === 'staticJoin' ? lookups.get(operator.table) : undefined;
    if (operator.kind !== 'staticJoin' || lookup === undefined) continue;
    const keys = lookup.key.map((index): ProjectedColumn => {
      const { name } = columnAt(lookup.schema, index);
      const compared = must(keyExpr(operator.equi, index), () => `${name} is compared with nothing`);
      const expr = castTo(compared, STRING);
      return { name, type: STRING, nullable: expr.nullable, expr };
    });
    const pruned = pruneColumns(columns, [...operators.slice(0, place), { kind: 'project', columns: keys }]);
    plans.push({
      table: lookup.table,
      place: lookup.place,
      schema: lookup.schema,
      limits: lookup.limits,
      keys: {
        ...stage,
        columns: pruned.columns,
        operators: pruned.operators,
        output: keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
        sinks: [{ kind: 'keys', name: 'keys' }],
        tables: plans.map(tableOf),
        // What is wrong with a record the stage itself says.
        onBadRecord: 'skip',
        onNullValue: 'skip',
      },
    });
  }
  return plans.length === 0
    ? { stage, lookups: [] }
    : { stage: { ...stage, tables: plans.map(tableOf) }, lookups: plans };
}

function tableOf({ table, schema }: LookupPlan): { readonly name: string; readonly schema: Schema } {
  return { name: table.name, schema };
}

/** What a job with lookups may not have besides. */
export function checkLookups(
  spec: JobSpec,
  operators: readonly LaneOperator[],
  lookups: ReadonlyMap<string, PlannedLookup>,
  problems: JobProblem[],
): void {
  for (const name of lookups.keys()) {
    const joins = operators.filter((operator) => operator.kind === 'staticJoin' && operator.table === name);
    if (joins.length === 1) continue;
    const path = `tables.${name}`;
    if (joins.length === 0)
      problems.push({
        path,
        message: `the query does not join the table ${name}`,
        hint: 'take it away, or join it in the query',
      });
    else
      problems.push({
        path,
        message: `the query joins ${name} ${joins.length} times`,
        hint: 'write the table once more under another name',
      });
  }
  if (lookups.size === 0) return;
  const [name = ''] = lookups.keys();
  if (spec.onNullValue === 'delete')
    problems.push({
      path: 'onNullValue',
      message: `onNullValue: delete does not go with lookups: a record without a value has nothing to look up in ${name}`,
      hint: 'choose skip or deadLetter',
    });
  for (const [index, sink] of spec.sinks.entries()) {
    if (sink.connector !== 'cassandra' || !sink.ignoreNulls) continue;
    problems.push({
      path: `sinks[${index}].ignoreNulls`,
      message: `ignoreNulls does not go with lookups: after a restart a row could keep cells of what ${name} said before`,
      hint: 'take it away',
    });
  }
}
