/**
 * Tests of jobs, as people write them beside the job file: rows in, rows out, step by step. One zod schema is the source
 * of the check and of the JSON Schema for editors.
 */
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { formatPath } from './positions.ts';

const row = z.record(z.string(), z.unknown());

const inputRecord = z.union([
  row.describe('A record as a JSON object'),
  z.string().describe('A record as it stands, for what is not JSON'),
  z.null().describe('A record without a value'),
]);

const deadLetters = z
  .array(z.strictObject({ reason: z.string(), count: z.number().int().positive().default(1) }))
  .describe('Dead letters that this step adds, by reason');

const step = z
  .strictObject({
    restart: z.literal(true).optional().describe('Stop the job and start it where it stood, before anything else'),
    input: z
      .record(z.string(), z.array(inputRecord))
      .optional()
      .describe('Records by source; all of them are there before the step runs'),
    expect: z
      .array(row)
      .optional()
      .describe('Rows that the step emits, in any order. With outputMode complete: the whole result after the step'),
    deadLetters: deadLetters.optional(),
    watermark: z.iso
      .datetime({ offset: true })
      .nullable()
      .optional()
      .describe('Watermark after the step; null = none yet'),
    late: z.number().int().nonnegative().optional().describe('Rows of this step that came too late'),
  })
  .describe('Append, run until nothing is left to do, compare');

export const jobTestSchema = z.strictObject({
  $schema: z.string().optional(),
  apiVersion: z.literal('weir/v1'),
  kind: z.literal('JobTest'),
  job: z.string().optional().describe('The job file; default: the one beside with the same name'),
  tests: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        columns: z
          .array(z.string())
          .optional()
          .describe('Columns to compare; default: all that the expected rows of the test name'),
        tables: z
          .record(z.string(), z.array(row))
          .optional()
          .describe('Rows of the tables that the job looks up or reads whole, in their place'),
        steps: z.array(step).min(1),
      }),
    )
    .min(1),
});

export type JobTestFile = z.output<typeof jobTestSchema>;
export type JobTest = JobTestFile['tests'][number];
export type JobTestStep = JobTest['steps'][number];

export type LoadedJobTest =
  | { readonly file: JobTestFile; readonly problem: null }
  /** One sentence with line and column where they are known. */
  | { readonly file: null; readonly problem: string };

/** Parses and checks a file of job tests. */
export function loadJobTest(text: string): LoadedJobTest {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    return { file: null, problem: `${line}:${col}: ${broken.message}` };
  }
  const checked = jobTestSchema.safeParse(document.toJS());
  if (checked.success) return { file: checked.data, problem: null };
  const [issue] = checked.error.issues;
  const path = (issue?.path ?? []).map((step) => (typeof step === 'symbol' ? String(step) : step));
  const { line, col } = lines.linePos(nodeStart(document, path));
  return { file: null, problem: `${line}:${col}: ${formatPath(path)}: ${issue?.message ?? 'not a job test'}` };
}

/** Where the innermost node along the path begins. */
function nodeStart(document: ReturnType<typeof parseDocument>, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const range = (node as { readonly range?: readonly number[] | null } | undefined)?.range;
    if (range?.[0] !== undefined) return range[0];
  }
  return 0;
}
