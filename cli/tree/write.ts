/** The command tree: what helps to write jobs, without a cluster. */
import type { LintOptions } from '../commands/check-jobs.ts';
import type { EvalOptions } from '../commands/eval.ts';
import type { InitOptions } from '../commands/init.ts';
import type { RunOptions } from '../commands/run.ts';
import type { TestOptions } from '../commands/test-jobs.ts';
import type { GlobalOptions } from '../settings.ts';
import type { Add } from './add.ts';

/** Commands for those who write jobs. */
export function addWritingCommands(add: Add): void {
  add<Partial<InitOptions> & { readonly kind: string }>(
    'init [template] [name]',
    'write a job, its test and rows to try it on: filter or window; or a package: connector NAME',
    async ([template = 'filter', name], { dir, kind }) => {
      if (template === 'connector')
        return (await import('../commands/init-connector.ts')).initConnector(name, kind, dir);
      await (await import('../commands/init.ts')).init(template, { dir: dir ?? 'jobs' });
    },
  )
    .option('--dir <folder>', 'where to; default: jobs, or the name of the package')
    .option('--kind <kind>', 'of a connector: sink or source', 'sink');
  add<EvalOptions>('eval [sql]', 'evaluate an expression, or a query on rows of a file', async ([sql], options) =>
    (await import('../commands/eval.ts')).evaluate(sql, options),
  )
    .option('-i, --input <file...>', 'rows: JSON or a document a line; - is stdin; SOURCE=FILE where there are several')
    .option('--schema <columns>', "columns as SQL writes them: 'id INT, name STRING'; default: as the rows have them")
    .option('--job <file>', 'run the query of this job file')
    .option(
      '--output-mode <mode>',
      'append, update or complete; default: the first of append, complete, update that fits',
    );
  add<LintOptions>('lint <file...>', 'check job files without a cluster', async (files, options) =>
    (await import('../commands/check-jobs.ts')).lint(files, options),
  )
    .option('--format <format>', 'text, json, github (workflow commands) or sarif')
    .option('--fix', 'make words right, in the files, that are nearly right');
  add<TestOptions>(
    'test [path...]',
    'run the tests beside job files (*.test.yaml) on a cluster of their own',
    async (paths, options) => await (await import('../commands/test-jobs.ts')).testJobs(paths, options),
  )
    .option('-t, --test-name-pattern <text>', 'only tests whose name contains it')
    .option('-u, --update', 'write what came into the files, as what is expected from now on')
    .option('--workers <count>', 'workers of the cluster', '1');
  add('functions [name]', 'list the functions of SQL, or show one with its examples', async ([name], options) =>
    (await import('../commands/functions.ts')).functions(name, options),
  );
  add(
    'schema [file]',
    'print the JSON Schema of job files, or the columns of the result of one',
    async ([file], options) => (await import('../commands/check-jobs.ts')).schema(file, options),
  );
  add<GlobalOptions & { readonly format?: string }>(
    'explain <file>',
    'show how a job file would run, or how a job of the cluster runs: explain NAME',
    async ([file = ''], options) => await (await import('../commands/check-jobs.ts')).explain(file, options),
  ).option('--format <format>', 'text, json (the whole plan), or the stages as a chart: mermaid, dot (Graphviz)');
  add<RunOptions>(
    'run <file>',
    'run a job on a cluster of its own, on embedded topics and tables, until Ctrl-C',
    async ([file = ''], options) => await (await import('../commands/run.ts')).run(file, options),
  )
    .option('-i, --input <file...>', 'rows for its topics: JSON or a document a line; SOURCE=FILE')
    .option('--until-empty', 'end when everything is read and written')
    .option('--rows <n>', 'end after so many rows')
    .option('--for <duration>', 'end after so long')
    .option('--set <path=value...>', 'change the job file: trigger=availableNow')
    .option('-w, --watch', 'again whenever the job file or a file of --input changes')
    .option('--workers <n>', 'worker processes', '1');
}
