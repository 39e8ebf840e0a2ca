/** Tables outside, replaced by rows of a test: a test runs against nothing but itself. */
import type { JobDocument } from '../../core/job/document.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { parseSchema } from '../../engine/sql/ddl.ts';
import { JobRefused } from './job-refused.ts';

/** Rows by table of the job; columns that a row does not name are NULL. */
export type TableFixtures = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

type TableText = Readonly<Record<string, unknown>>;

/**
 * The job with these rows in the place of its tables. A join with rows of the job file means the same as a lookup of
 * them, and as reading them whole. Throws: JobRefused for a table that is not the job's, has no columns to go by, or is
 * looked up and has no rows here.
 */
export function withFixtures(document: JobDocument, fixtures: TableFixtures): JobDocument {
  const tables = (document['tables'] ?? {}) as Readonly<Record<string, TableText>>;
  const problems: JobProblem[] = [];
  for (const name of Object.keys(fixtures))
    if (tables[name] === undefined)
      problems.push({
        path: `tables.${name}`,
        message: `the test gives rows of ${name}, which is no table of the job`,
      });
  const replaced = Object.entries(tables).map(([name, table]): [string, unknown] => {
    const rows = fixtures[name];
    if (rows !== undefined) return [name, inline(name, table, rows, problems)];
    if (table['lookup'] !== undefined)
      problems.push({
        path: `tables.${name}`,
        message: `the job looks rows of ${name} up, which a test does not: give them in the test, tables: { ${name}: [ { … } ] }`,
      });
    return [name, table];
  });
  if (problems.length > 0) throw new JobRefused(problems);
  return replaced.length === 0 ? document : { ...document, tables: Object.fromEntries(replaced) };
}

function inline(name: string, table: TableText, rows: TableFixtures[string], problems: JobProblem[]): TableText {
  const path = `tables.${name}`;
  const { schema } = table;
  if (typeof schema !== 'string') {
    problems.push({
      path,
      message: `list the columns of ${name} in the job, schema: '…', so that a test can have rows of it`,
    });
    return table;
  }
  const columns = parseSchema(schema, `${path}.schema`, problems)?.map((field) => field.name) ?? [];
  for (const row of rows)
    for (const column of Object.keys(row))
      if (columns.length > 0 && !columns.includes(column))
        problems.push({
          path,
          message: `a row of the test has ${column}, and the columns of ${name} are ${columns.join(', ')}`,
        });
  return { schema, rows: rows.map((row) => columns.map((column) => row[column] ?? null)) };
}
