/** `weir export TABLE --to FILE`: rows of a table, or of a query, for other tools. */
import { basename, dirname, resolve } from 'node:path';
import { WeirError } from '../../core/errors.ts';
import type { QueryResult } from '../../core/ports.ts';
import { tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { runQuery } from './look.ts';

export interface ExportOptions extends GlobalOptions {
  readonly to?: string;
  readonly table?: string;
}

/** Throws: USAGE; what the query or writing throws. */
export async function exportRows(what: string, options: ExportOptions): Promise<void> {
  const { to } = options;
  if (to === undefined || to === '')
    throw new WeirError(
      'USAGE',
      'Say where the rows go: --to rows.parquet, rows.csv, rows.ndjson or postgres://user@host/database.',
    );
  const isQuery = /^\s*select\b/i.test(what);
  if (!isQuery && !/^\w+\.\w+$/.test(what))
    throw new WeirError('USAGE', `"${what}" is neither a table (keyspace.table) nor a SELECT.`);
  const result = await runQuery(isQuery ? what : `SELECT * FROM ${what}`, options);
  const place = /^postgres(ql)?:/.test(to)
    ? await toPostgres(to, options.table ?? (isQuery ? '' : what), result)
    : await toFile(to, result);
  tell(`${result.rows.length} rows → ${place}`);
}

async function toPostgres(url: string, table: string, result: QueryResult): Promise<string> {
  if (table === '') throw new WeirError('USAGE', 'Name the table that the rows of a query go to: --table schema.name.');
  const { replaceTable } = await import('../../connectors/postgres/replace-table.ts');
  await replaceTable(url, table, result);
  return `table ${table}`;
}

async function toFile(path: string, result: QueryResult): Promise<string> {
  const [{ resultFile, resultFormats }, { DirectoryPlace }, { fileFailure }] = await Promise.all([
    import('../../connectors/files/result-file.ts'),
    import('../../connectors/files/directory-place.ts'),
    import('../../connectors/files/failures.ts'),
  ]);
  const format = resultFormats.find((one) => path.endsWith(`.${one}`));
  if (format === undefined)
    throw new WeirError(
      'USAGE',
      `The kind of file follows from its name, and "${basename(path)}" ends with none of .${resultFormats.join(', .')}.`,
    );
  const whole = resolve(path);
  try {
    await new DirectoryPlace(dirname(whole)).write(basename(whole), resultFile(result, format));
  } catch (error) {
    throw fileFailure(error, `export to ${path}`);
  }
  return path;
}
