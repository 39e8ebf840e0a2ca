import type { JobProblem } from '../../core/job/problem.ts';
import type { Schema } from '../../core/types.ts';
import { parseColumns } from './parser.ts';
import { catchSyntax } from './problems.ts';

/**
 * Columns as SQL declares them: `id STRING NOT NULL, tags ARRAY<STRUCT<a: INT>>, price DECIMAL(12,2)`. Undefined when
 * the text has a mistake, which is then in `problems` under the document's `path`.
 */
export function parseSchema(text: string, path: string, problems: JobProblem[]): Schema | undefined {
  return catchSyntax(path, problems, () => parseColumns(text));
}
