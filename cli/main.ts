/**
 * The `weir` command. This file holds the command tree only: what a command needs is loaded when it runs, so that
 * `weir --help` and completion stay instant.
 */
import { enableCompileCache } from 'node:module';
import { Command, CommanderError, Option } from 'commander';
import type { ApplyOptions, WaitOptions } from './commands/jobs.ts';
import type { TestOptions } from './commands/test-jobs.ts';
import type { LogsOptions } from './commands/logs.ts';
import type { DevOptions } from './dev/options.ts';
import type { GlobalOptions } from './settings.ts';
import { exitCodeOf, exitCodes } from './exit.ts';
import { compileCacheFolder } from './settings.ts';

type Action<O> = (args: readonly string[], options: O) => Promise<number | void>;

const TIMEOUT_DEFAULT = '60s';

function buildProgram(setExit: (code: number) => void): Command {
  const program = new Command('weir')
    .description('Distributed stream processing: Kafka in, SQL micro-batches, Cassandra out, exactly once.')
    .option(
      '--address <url>',
      'REST address of the master, or several with commas (env WEIR_ADDRESS, default http://127.0.0.1:7080)',
    )
    .option('--token <token>', 'token of the master (env WEIR_TOKEN, or the file ~/.weir/token)')
    .option('-o, --output <format>', 'table, wide, json or name (env WEIR_OUTPUT)')
    .exitOverride()
    .showHelpAfterError('("weir --help" lists the commands)')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false });

  const add = <O = GlobalOptions>(usage: string, description: string, action: Action<O>): Command => {
    const command = program.command(usage).description(description);
    return command.action(async () => {
      const code = await action(command.args, command.optsWithGlobals() as O);
      if (typeof code === 'number') setExit(code);
    });
  };
  addJobCommands(add);
  addLookCommands(add);
  addProcessCommands(add);
  add('version', 'print the version', async (_, options) => (await import('./commands/version.ts')).version(options));
  return program;
}

type Add = <O = GlobalOptions>(usage: string, description: string, action: Action<O>) => Command;

function addJobCommands(add: Add): void {
  const jobs = async (): Promise<typeof import('./commands/jobs.ts')> => await import('./commands/jobs.ts');
  const timeout = (): Option => new Option('--timeout <duration>', 'how long to wait').default(TIMEOUT_DEFAULT);
  add<ApplyOptions>(
    'apply <file...>',
    'create jobs or change them; the same file twice changes nothing',
    async (files, options) => {
      return await (await jobs()).apply(files, options);
    },
  )
    .alias('submit')
    .option('--dry-run', 'check only, change nothing')
    .option('--wait', 'until the jobs run (availableNow: until they are finished)')
    .addOption(timeout())
    .option('--from <point>', 'begin a new run there: earliest, latest, continue or savepoint:NAME');
  const actions = [
    ['stop', 'stop jobs gracefully: finish, commit, end'],
    ['cancel', 'end jobs now; the next start repeats what was not committed'],
    ['start', 'go on with stopped, failed or finished jobs where they stood'],
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
  addStateCommands(add);
  add('lint <file...>', 'check job files without a cluster', async (files, options) =>
    (await import('./commands/check-jobs.ts')).lint(files, options),
  );
  add<TestOptions>(
    'test [path...]',
    'run the tests beside job files (*.test.yaml) on a cluster of their own',
    async (paths, options) => await (await import('./commands/test-jobs.ts')).testJobs(paths, options),
  )
    .option('-t, --test-name-pattern <text>', 'only tests whose name contains it')
    .option('--workers <count>', 'workers of the cluster', '1');
  add('functions [name]', 'list the functions of SQL, or show one with its examples', async ([name], options) =>
    (await import('./commands/functions.ts')).functions(name, options),
  );
  add('schema', 'print the JSON Schema of job files, for editors', async () =>
    (await import('./commands/check-jobs.ts')).schema(),
  );
  add<GlobalOptions & { readonly format?: string }>(
    'explain <file>',
    'show how a job file would run',
    async ([file = ''], options) => (await import('./commands/check-jobs.ts')).explain(file, options),
  ).option('--format <format>', 'text, json (the whole plan) or mermaid (a chart of the stages)');
}

function addStateCommands(add: Add): void {
  const state = async (): Promise<typeof import('./commands/state.ts')> => await import('./commands/state.ts');
  add('step <job...>', 'run what was appended since, in jobs with "trigger: manual"', async (names, options) => {
    await (await state()).step(names, options);
  });
  add(
    'savepoint <action> <job> [name]',
    'create, list or delete kept checkpoints of a stateful job',
    async ([action = '', job = '', name], options) => await (await state()).savepoint(action, job, name, options),
  );
  add<GlobalOptions & { readonly to?: string }>(
    'rollback <job>',
    'go back to an earlier revision of a job, as a new revision',
    async ([job = ''], options) => await (await state()).rollback(job, options),
  ).option('--to <revision>', 'the revision; default: the one before');
}

function addLookCommands(add: Add): void {
  const look = async (): Promise<typeof import('./commands/look.ts')> => await import('./commands/look.ts');
  add(
    'get <what> [name]',
    'list jobs or workers',
    async ([what = '', name], options) => await (await look()).get(what, name, options),
  );
  add('describe <kind> <name>', 'show a job in full: describe job NAME', async ([kind = '', name = ''], options) => {
    await (await look()).describe(kind, name, options);
  });
  add('query <cql>', 'ask the tables: SELECT, DESCRIBE KEYSPACES, DESCRIBE TABLES', async ([cql = ''], options) => {
    await (await look()).query(cql, options);
  });
  add<LogsOptions>(
    'logs [what]',
    'logs of a running "npm start": master, worker, embedded or a job',
    async ([what], options) => {
      await (await import('./commands/logs.ts')).logs(what, options);
    },
  )
    .option('-f, --follow', 'go on as lines are written')
    .option('--tail <lines>', 'only the last lines', '200');
}

function addProcessCommands(add: Add): void {
  add<Readonly<Record<string, string | undefined>>>('master', 'run a master', async (_, options) => {
    await (await import('./commands/processes.ts')).runMasterProcess(options);
  })
    .option('--host <address>', 'address to listen on (env WEIR_HOST, default 127.0.0.1)')
    .option('--port <port>', 'port for workers, gRPC (env WEIR_GRPC_PORT, default 7077)')
    .option('--http-port <port>', 'port for REST and the status page (env WEIR_HTTP_PORT, default 7080)');
  add<Readonly<Record<string, string | undefined>>>('worker', 'run a worker', async (_, options) => {
    await (await import('./commands/processes.ts')).runWorkerProcess(options);
  })
    .option('--master <address>', 'the master, host:7077, or several with commas (env WEIR_MASTER)')
    .option('--host <address>', 'address to listen on (env WEIR_HOST, default 127.0.0.1)')
    .option('--http-port <port>', 'port for health and metrics (env WEIR_HTTP_PORT, default 7081)')
    .option(
      '--exchange-port <port>',
      'port for rows from other workers (env WEIR_EXCHANGE_PORT, default: any free one)',
    )
    .option('--threads <count>', 'threads for stage code (env WEIR_THREADS, default: one per core)')
    .option('--name <name>', 'name in lists and logs (env WEIR_WORKER_NAME)');
  add<Readonly<Record<string, string | undefined>>>(
    'embedded',
    'run the process that plays Kafka and Cassandra',
    async (_, options) => {
      await (await import('./commands/processes.ts')).runEmbeddedProcess(options);
    },
  )
    .option('--host <address>', 'address to listen on (env WEIR_HOST, default 127.0.0.1)')
    .option('--port <port>', 'port to listen on, gRPC (env WEIR_EMBEDDED_PORT, default 7079)')
    .option('--data <dir>', 'keep data there; without it they live in memory');
  add<DevOptions>(
    'dev',
    'run a whole cluster with the example jobs on this machine (= npm start)',
    async (_, options) => {
      return await (await import('./dev/dev.ts')).dev(options);
    },
  )
    .option('--data <dir>', 'keep data there and go on where they stand; without it they live in memory')
    .option('--rate <n>', 'users produced per second', '1000')
    .option('--workers <n>', 'worker processes', '2')
    .option('--no-producers', 'start no producers')
    .option('--no-jobs', 'submit no jobs')
    .option('--port <port>', 'REST and status page', '7080')
    .option('--grpc-port <port>', 'master for workers', '7077')
    .option('--embedded-port <port>', 'embedded topics and tables', '7079')
    .option('--seed <text>', 'seed of the produced data');
  add<Readonly<Record<string, string | undefined>>>(
    'produce <file...>',
    'run producers of test data: jobs/producers/*.ts',
    async (files, options) => {
      await (await import('./commands/processes.ts')).runProducerProcess(files, options);
    },
  )
    .option('--rate <n>', 'records per second; 0 = as fast as it goes')
    .option('--count <n>', 'end after so many records')
    .option('--seed <text>', 'the same seed gives the same records');
}

/** Runs one command line. Returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok;
  const program = buildProgram((value) => {
    code = value;
  });
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { messageOf } = await import('../core/errors.ts');
    process.stderr.write(`weir: ${messageOf(error)}\n`);
    if (process.env['WEIR_DEBUG'] !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

// For what is loaded from here on; the launcher has it on from the start.
enableCompileCache(compileCacheFolder());
// A closed pipe (weir get jobs | head -1) is the reader's wish, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failed),
);
process.exitCode = await main(process.argv.slice(2));
