/** `weir test`: runs the tests that lie beside job files, on a cluster of their own. */
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WeirError } from '../../core/errors.ts';
import type { JobTestFile, JobTestStep } from '../../core/job/job-test.ts';
import { loadJobTest } from '../../core/job/job-test.ts';
import { paintWord } from '../colour.ts';
import { exitCodes } from '../exit.ts';
import { print, printJson, tell } from '../output.ts';
import { readJobFile } from '../job-files.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat } from '../settings.ts';
import { runJobTest } from '../testing/run-job-test.ts';
import { withExpectations } from '../testing/update-job-test.ts';
import { SteppedCluster } from '../testing/stepped-cluster.ts';

export interface TestOptions extends GlobalOptions {
  /** Only tests whose name contains it. */
  readonly testNamePattern?: string;
  /** What differs is written into the files as what is expected. */
  readonly update?: boolean;
  readonly workers: string;
}

interface LoadedTest {
  readonly path: string;
  readonly text: string;
  readonly file: JobTestFile;
  readonly jobText: string;
}

/** Returns the exit code. Throws: NOT_FOUND, JOB_INVALID for a test file with mistakes. */
export async function testJobs(paths: readonly string[], options: TestOptions): Promise<number> {
  const format = outputFormat(options, ['table', 'json']);
  const loaded = testFiles(paths).map(load);
  const pattern = options.testNamePattern;
  const chosen = loaded.flatMap((one) =>
    one.file.tests.filter(({ name }) => pattern === undefined || name.includes(pattern)).map((test) => ({ one, test })),
  );
  if (chosen.length === 0) throw new WeirError('NOT_FOUND', 'no test of these files has such a name');
  await using cluster = await SteppedCluster.start({ workers: Number(options.workers) });
  const update = options.update === true;
  const outcomes = [];
  const changes = new Map<LoadedTest, Map<number, readonly JobTestStep[]>>();
  for (const [index, { one, test }] of chosen.entries()) {
    const { observed, ...outcome } = await runJobTest(cluster, one.jobText, test, `t${index}`, { toTheEnd: update });
    const updated = update && outcome.difference !== null && observed !== null;
    if (updated) changes.set(one, (changes.get(one) ?? new Map()).set(one.file.tests.indexOf(test), observed));
    outcomes.push({ file: one.path, ...outcome, ...(update ? { updated } : {}) });
    if (format === 'json') continue;
    const result = outcome.difference === null ? 'ok  ' : updated ? 'new ' : 'FAIL';
    print(paintWord(`${result} ${one.path}: ${outcome.name}`));
    if (outcome.difference !== null) print(outcome.difference.replace(/^/gm, '     '));
  }
  for (const [{ path, text }, steps] of changes) writeFileSync(path, withExpectations(text, steps));
  const different = outcomes.filter(({ difference }) => difference !== null).length;
  const rewritten = [...changes.values()].reduce((sum, { size }) => sum + size, 0);
  const failed = different - rewritten;
  if (format === 'json') printJson(outcomes);
  const now = rewritten === 0 ? '' : `, ${rewritten} expect now what came: look at the difference before you keep it`;
  tell(`${outcomes.length - different} passed, ${failed} failed${now}`);
  return failed === 0 ? exitCodes.ok : exitCodes.failed;
}

/** Files as named; of folders (default: this one) all that are called *.test.yaml. */
function testFiles(paths: readonly string[]): string[] {
  const files = (paths.length === 0 ? ['.'] : paths).flatMap((path) => {
    if (!existsSync(path)) throw new WeirError('NOT_FOUND', `there is no file or folder ${path}`);
    if (!statSync(path).isDirectory()) return [path];
    return globSync('**/*.test.yaml', { cwd: path, exclude: ['**/node_modules/**'] })
      .toSorted()
      .map((name) => join(path, name));
  });
  if (files.length === 0)
    throw new WeirError(
      'NOT_FOUND',
      'there is no *.test.yaml here; tests of jobs/orders.yaml are jobs/orders.test.yaml',
    );
  return files;
}

function load(path: string): LoadedTest {
  const text = readFileSync(path, 'utf8');
  const { file, problem } = loadJobTest(text);
  if (file === null) throw new WeirError('JOB_INVALID', `${path}:${problem}`);
  const beside = join(dirname(path), basename(path).replace(/\.test\.ya?ml$/, ''));
  const named = file.job === undefined ? [`${beside}.yaml`, `${beside}.ts`] : [join(dirname(path), file.job)];
  const job = named.find((name) => existsSync(name)) ?? named[0] ?? beside;
  if (!existsSync(job))
    throw new WeirError('NOT_FOUND', `${path} tests ${job}, which is not there; name it with "job:"`);
  return { path, text, file, jobText: readJobFile(job).text };
}
