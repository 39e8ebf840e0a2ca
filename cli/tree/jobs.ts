/** The command tree: what changes jobs. */
import { Option } from 'commander';
import type { WaitForOptions } from '../commands/act.ts';
import type { ImportOptions } from '../commands/import-checkpoint.ts';
import type { ApplyOptions, WaitOptions } from '../commands/jobs.ts';
import type { GlobalOptions } from '../settings.ts';
import type { Add } from './add.ts';
import { TIMEOUT_DEFAULT } from './add.ts';

/** Commands that change jobs. */
export function addJobCommands(add: Add): void {
  const jobs = async (): Promise<typeof import('../commands/jobs.ts')> => await import('../commands/jobs.ts');
  const timeout = (): Option => new Option('--timeout <duration>', 'how long to wait').default(TIMEOUT_DEFAULT);
  add<ApplyOptions & { readonly file?: readonly string[] }>(
    'apply [file...]',
    'create jobs or change them; the same file twice changes nothing',
    async (files, options) => await (await jobs()).apply([...files, ...(options.file ?? [])], options),
  )
    .alias('submit')
    .option('-f, --file <file...>', 'the same as naming files')
    .option('--dry-run', 'check only, change nothing')
    .option('--wait', 'until the jobs run (availableNow: until they are finished)')
    .addOption(timeout())
    .option('--from <point>', 'begin a new run there: earliest, latest, continue or savepoint:NAME')
    .option('--name <name>', 'of the job, instead of the one in the file')
    .option('--set <path=value...>', 'change the job file on its way: trigger=5s')
    .option('--conf <key=value...>', 'the same; of the names of Spark those that "weir spark-submit" uses')
    .option('--paused', 'what is new or at rest stays at rest until "weir start"')
    .option('--prune', 'delete the jobs of the selection that no file has; shown first with --dry-run')
    .option('-l, --selector <labels>', 'with --prune: jobs with these labels, team=payments,env!=prod')
    .option('-y, --yes', 'do not ask');
  const actions = [
    ['stop', 'stop jobs gracefully: finish, commit, end'],
    ['pause', 'the same as stop: what is stopped goes on where it stood'],
    ['cancel', 'end jobs now; the next start repeats what was not committed'],
    ['start', 'go on with stopped, failed or finished jobs where they stood'],
    ['resume', 'the same as start'],
  ] as const;
  for (const [action, description] of actions) {
    add<WaitOptions>(
      `${action} <job...>`,
      description,
      async (names, options) => await (await jobs()).act(action, names, options),
    )
      .option('--no-wait', 'do not wait until it is so')
      .addOption(timeout());
  }
  add<WaitOptions>('delete <job...>', 'stop jobs and forget them; tables and topics stay', async (names, options) => {
    await (await jobs()).remove(names, options);
  }).addOption(timeout());
  addActCommands(add);
}

function addActCommands(add: Add): void {
  const act = async (): Promise<typeof import('../commands/act.ts')> => await import('../commands/act.ts');
  const timeout = (): Option => new Option('--timeout <duration>', 'how long to wait').default(TIMEOUT_DEFAULT);
  add<GlobalOptions & { readonly failedOnly?: boolean; readonly timeout: string }>(
    'restart <job...>',
    'stop jobs and start them again',
    async (names, options) => await (await act()).restart(names, options),
  )
    .option('--failed-only', 'leave jobs alone that run')
    .addOption(timeout());
  add<GlobalOptions & { readonly parallelism?: string }>(
    'scale <job>',
    'how many workers a job may use',
    async ([job = ''], options) => await (await act()).scale(job, options),
  ).requiredOption('--parallelism <workers>', 'a number, or all');
  add(
    'drain <kind> <id>',
    'move everything away from a worker, by id or name: drain worker w1',
    async ([kind = '', id = ''], options) => {
      await (await act()).drain(kind, id, options);
    },
  );
  add<WaitForOptions>('wait <job...>', 'until jobs are as asked', async (names, options) => {
    await (await act()).wait(names, options);
  })
    .requiredOption('--for <condition...>', 'state=running, lag=0')
    .addOption(timeout());
  add<ImportOptions>(
    'import-checkpoint <path>',
    'a job goes on where a query of Spark stood: reads the checkpoint directory',
    async ([path = ''], options) =>
      await (await import('../commands/import-checkpoint.ts')).importCheckpoint(path, options),
  )
    .option('--job <file>', 'the job file')
    .option('--dry-run', 'show where it would begin, change nothing')
    .option('--drop-state', 'let a stateful job begin without state, at the imported watermark');
  add<Readonly<Record<string, never>>>(
    'spark-submit [arguments...]',
    'takes the flags of spark-submit; the application is a job file',
    async (args, options) => await (await import('../commands/spark-submit.ts')).sparkSubmit(args, options),
  )
    .allowUnknownOption()
    .helpOption(false);
}
