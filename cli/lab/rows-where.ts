/** Which of some rows a condition of SQL is true for: in this process, by the functions and rules that jobs have. */
import { WeirError } from '../../core/errors.ts';
import { formatJobDocument } from '../../core/job/document.ts';
import { loadJobFile, locateProblems } from '../../core/job/file.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import { renderSql } from '../render-sql.ts';
import { pieceOf, sampleRun } from './sample-run.ts';

export interface ShownColumn {
  readonly name: string;
  /** As SQL or CQL writes it. */
  readonly type: string;
}

/** Of columns of tables. Others of CQL cannot stand in a condition. */
const sqlTypes: ReadonlyMap<string, string> = new Map([
  ['ascii', 'STRING'],
  ['text', 'STRING'],
  ['varchar', 'STRING'],
  ['uuid', 'STRING'],
  ['timeuuid', 'STRING'],
  ['inet', 'STRING'],
  ['tinyint', 'TINYINT'],
  ['smallint', 'SMALLINT'],
  ['int', 'INT'],
  ['bigint', 'BIGINT'],
  ['counter', 'BIGINT'],
  ['float', 'FLOAT'],
  ['double', 'DOUBLE'],
  ['boolean', 'BOOLEAN'],
  ['decimal', 'DECIMAL(38,10)'],
  ['varint', 'DECIMAL(38,0)'],
  ['timestamp', 'TIMESTAMP'],
  ['date', 'DATE'],
]);
/** Which row a result is. */
const AT = 'weir_row';
const HEAD = `SELECT ${AT} FROM shown WHERE `;

/** The rows as they are, in their order. Throws: SQL_SEMANTIC with a caret below the mistake. */
export function rowsWhere<R extends readonly unknown[]>(
  columns: readonly ShownColumn[],
  rows: readonly R[],
  condition: string,
): R[] {
  const usable = columns.flatMap(({ name, type }, at) => {
    const sql = type === type.toLowerCase() ? sqlTypes.get(type) : /\b(VOID|INTERVAL)\b/.test(type) ? undefined : type;
    return sql === undefined ? [] : [{ name, sql, at }];
  });
  const schema = [`${AT} INT`, ...usable.map(({ name, sql }) => `\`${name.replaceAll('`', '``')}\` ${sql}`)];
  const text = formatJobDocument({
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'where',
    sources: { shown: { connector: 'kafka', topic: 'shown', schema: schema.join(', ') } },
    query: `${HEAD}${condition}`,
    sinks: [{ connector: 'blackhole' }],
  });
  const file = loadJobFile(text);
  const planned = file.spec === null ? null : planJob(file.spec, { tables: null });
  const problems = planned === null ? file.problems : locateProblems(file.positions, planned.problems);
  if (planned?.plan == null || problems.length > 0)
    throw new WeirError(
      'SQL_SEMANTIC',
      renderSql({ text: condition, offset: HEAD.length }, problems.map(withoutOwnColumn)),
    );
  if (rows.length === 0) return [];
  const records = rows.map((row, index) => ({
    [AT]: index,
    ...Object.fromEntries(usable.map(({ name, at }) => [name, row[at] ?? null])),
  }));
  const found = sampleRun(planned.plan, [pieceOf('shown', records, 0)], null, rows.length);
  const wanted = new Set(found.rows.map(([index]) => Number(index)));
  return rows.filter((_, index) => wanted.has(index));
}

/** A hint that lists columns does not name the one that was added here. */
function withoutOwnColumn(problem: JobProblem): JobProblem {
  return problem.hint === undefined ? problem : { ...problem, hint: problem.hint.replace(`${AT}, `, '') };
}
