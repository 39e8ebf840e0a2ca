/**
 * The `weir` command. This file and tree/ hold the command tree only: what a command needs is loaded when it runs, so
 * that `weir --help` and completion stay instant.
 */
import { enableCompileCache } from 'node:module';
import { Command, CommanderError } from 'commander';
import { compileCacheFolder } from './compile-cache.ts';
import { exitCodes } from './exit.ts';
import type { TokenOptions } from './commands/token.ts';
import type { GlobalOptions } from './settings.ts';
import type { Action, Add } from './tree/add.ts';
import { addJobCommands } from './tree/jobs.ts';
import { addLookCommands, addStateCommands } from './tree/look.ts';
import { addProcessCommands } from './tree/processes.ts';
import { addWritingCommands } from './tree/write.ts';

function buildProgram(setExit: (code: number) => void): Command {
  const program = new Command('weir')
    .description('Distributed stream processing: Kafka in, SQL micro-batches, Cassandra out, exactly once.')
    .option(
      '--address <url>',
      'REST address of the master, or several with commas (env WEIR_ADDRESS, default http://127.0.0.1:7080)',
    )
    .option('--token <token>', 'token of the master (env WEIR_TOKEN, or the file ~/.weir/token)')
    .option('--ca <file>', 'PEM file whose certificates a master may show (env WEIR_CA)')
    .option('--context <name>', 'a cluster by name, see "weir context" (env WEIR_CONTEXT)')
    .option('-o, --output <format>', 'table, wide, json, jsonl, yaml, jsonpath=PATH or name (env WEIR_OUTPUT)')
    .option('--request-timeout <duration>', 'how long an answer of the master may take')
    .option('-q, --quiet', 'results and errors only')
    .option('--no-color', 'no colours on a terminal (env NO_COLOR)')
    .exitOverride()
    .showHelpAfterError('("weir --help" lists the commands)')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false });

  const add: Add = <O = GlobalOptions>(usage: string, description: string, action: Action<O>): Command => {
    const command = program.command(usage, { hidden: usage.startsWith('__') }).description(description);
    return command.action(async () => {
      const code = await action(command.args, command.optsWithGlobals() as O);
      if (typeof code === 'number') setExit(code);
    });
  };
  addJobCommands(add);
  addStateCommands(add);
  addLookCommands(add);
  addWritingCommands(add);
  addProcessCommands(add);
  addOwnCommands(add, program);
  return program;
}

/** Commands about the command itself. */
function addOwnCommands(add: Add, program: Command): void {
  add(
    'context <action> [name]',
    'clusters by name: list, add (with --address, --token, --ca), use, delete',
    async ([action = '', name], options) => {
      (await import('./commands/context.ts')).context(action, name, options);
    },
  );
  add<TokenOptions>(
    'token <action> [name]',
    'tokens of the cluster: create, list, revoke',
    async ([action = '', name], options) => {
      await (await import('./commands/token.ts')).token(action, name, options);
    },
  )
    .option('--role <role>', 'viewer, operator, submitter-declarative, submitter-code, admin or worker')
    .option('--expires <duration>', 'after which it opens nothing: 12h, 90d (default: never; worker: 10m)');
  add(
    'completion <shell>',
    'print a completion script for bash, zsh or fish: weir completion bash > ~/.bash_completion',
    async ([shell = '']) => {
      (await import('./commands/completion.ts')).completion(shell, program);
    },
  );
  add('__complete <what>', 'names for completion scripts', async ([what = ''], options) => {
    await (await import('./commands/completion.ts')).completeNames(what, options);
  });
  add('version', 'print the version', async (_, options) => (await import('./commands/version.ts')).version(options));
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
    const { exitCodeOf } = await import('./exit-of-error.ts');
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
