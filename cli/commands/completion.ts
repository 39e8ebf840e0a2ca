/**
 * `weir completion bash|zsh|fish`: a script made from the command tree. Commands, options and fixed words stand in it;
 * names of jobs, workers, topics and contexts it asks `weir __complete` for, which asks the master, briefly.
 */
import type { Command, Option } from 'commander';
import { WeirError } from '../../core/errors.ts';
import { print } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { readContexts, target } from '../settings.ts';

/** A master that does not answer at once is no help while somebody types. */
const NAMES_LIMIT_MS = 800;

/** What an argument or the value of an option may be. */
type Values =
  | { readonly words: readonly string[] }
  /** Names that are asked for; `first`: of the kind that the first argument says. */
  | { readonly names: 'jobs' | 'workers' | 'topics' | 'contexts' | 'functions' | 'processes' | 'first' }
  | { readonly files: true };

const words = (...list: readonly string[]): Values => ({ words: list });
const jobs: Values = { names: 'jobs' };
const files: Values = { files: true };

/** By the name of an argument, in any command. */
const byArgument = new Map<string, Values>([
  ['job', jobs],
  ['topic', { names: 'topics' }],
  ['file', files],
  ['path', files],
]);

/** By command and place, where the name does not say it. */
const byPlace = new Map<string, readonly Values[]>([
  [
    'get',
    [
      words(
        'jobs',
        'workers',
        'partitions',
        'checkpoints',
        'savepoints',
        'batches',
        'revisions',
        'runs',
        'errors',
        'sources',
        'topics',
        'tables',
      ),
      { names: 'first' },
    ],
  ],
  ['describe', [words('job', 'worker', 'topic'), { names: 'first' }]],
  ['drain', [words('worker'), { names: 'workers' }]],
  ['logs', [{ names: 'processes' }]],
  ['savepoint', [words('create', 'list', 'restore', 'delete'), jobs]],
  ['offsets', [words('get', 'set', 'reset'), jobs]],
  ['dlq', [words('list', 'show', 'replay', 'purge'), jobs]],
  ['context', [words('list', 'add', 'use', 'delete'), { names: 'contexts' }]],
  ['token', [words('create', 'list', 'revoke')]],
  ['completion', [words('bash', 'zsh', 'fish')]],
  ['explain', [jobs]],
  ['functions', [{ names: 'functions' }]],
  ['init', [words('filter', 'window', 'connector')]],
]);

const byOption = new Map<string, Values>([
  ['--output', words('table', 'wide', 'json', 'jsonl', 'yaml', 'name', 'jsonpath=')],
  ['--context', { names: 'contexts' }],
  ['--ca', files],
  ['--level', words('debug', 'info', 'warn', 'error')],
  ['--worker', { names: 'workers' }],
  ['--for', words('state=running', 'state=stopped', 'state=finished', 'state=failed', 'lag=0')],
  ['--from', words('earliest', 'latest', 'continue')],
  ['--role', words('viewer', 'operator', 'submitter-declarative', 'submitter-code', 'admin', 'worker')],
  ['--output-mode', words('append', 'update', 'complete')],
  ['--file', files],
  ['--input', files],
  ['--dir', files],
  ['--data', files],
  ['--kind', words('sink', 'source')],
]);

const scripts = new Map<string, (program: Command) => string>([
  ['bash', bashScript],
  ['zsh', (program) => `#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(program)}`],
  ['fish', fishScript],
]);

/** Throws: USAGE for another shell. */
export function completion(shell: string, program: Command): void {
  const script = scripts.get(shell);
  if (script === undefined)
    throw new WeirError(
      'USAGE',
      `There is no completion for ${shell}; there is one for ${[...scripts.keys()].join(', ')}.`,
    );
  print(script(program));
}

interface Shape {
  /** With aliases. */
  readonly names: readonly string[];
  readonly description: string;
  readonly options: readonly Option[];
  readonly arguments: readonly {
    readonly values: Values | undefined;
    /** Any number of them. */
    readonly variadic: boolean;
  }[];
}

function shapesOf(program: Command): Shape[] {
  return program.commands
    .filter((command) => !command.name().startsWith('__'))
    .map((command) => {
      const given = byPlace.get(command.name()) ?? [];
      return {
        names: [command.name(), ...command.aliases()],
        description: command.description(),
        options: command.options,
        arguments: command.registeredArguments.map((argument, at) => ({
          values: given[at] ?? byArgument.get(argument.name()),
          variadic: argument.variadic,
        })),
      };
    });
}

function flagsOf({ long, short }: Option): string[] {
  return [long, short].filter((flag) => flag !== undefined && flag !== null);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** Flags after which a value stands, of all commands. */
function valueFlags(program: Command, shapes: readonly Shape[]): string[] {
  const options = [...program.options, ...shapes.flatMap((shape) => shape.options)];
  return [...new Set(options.filter(takesValue).flatMap(flagsOf))];
}

/** The flags of options whose values are known, with them; those of one name have the same in every command. */
function knownValues(program: Command, shapes: readonly Shape[]): Map<string, Values> {
  const found = new Map<string, Values>();
  for (const option of [...program.options, ...shapes.flatMap((shape) => shape.options)]) {
    const values = byOption.get(option.long ?? '');
    if (values !== undefined && takesValue(option)) found.set(flagsOf(option).join('|'), values);
  }
  return found;
}

// --------------------------------------------------------------------------------------------------------------- bash

function bashScript(program: Command): string {
  const shapes = shapesOf(program);
  const globals = program.options.flatMap(flagsOf);
  const cases = shapes.map(({ names, options, arguments: all }) => {
    const places = all.flatMap(({ values, variadic }, at) =>
      values === undefined ? [] : [`${variadic ? '*' : at}) ${bashValues(values)} ;;`],
    );
    const found = places.length === 0 ? '' : ` case $position in ${places.join(' ')} esac`;
    return `    ${names.join('|')}) options='${[...options.flatMap(flagsOf), ...globals].join(' ')}';${found} ;;`;
  });
  const valueCases = [...knownValues(program, shapes)].map(
    ([flags, values]) => `    ${flags}) ${bashValues(values)}; __weir_offer; return ;;`,
  );
  return `__weir_offer() {
  if [ -n "$names" ]; then
    COMPREPLY=($(compgen -W "$(weir __complete "$names" 2>/dev/null)" -- "$current"))
  elif [ -n "$files" ]; then
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
_weir() {
  local current previous command='' first='' options='' words='' names='' files='' at position=0
  current="\${COMP_WORDS[COMP_CWORD]}"
  previous="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  case "$previous" in
${valueCases.join('\n')}
    ${valueFlags(program, shapes).join('|')}) return ;;
  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "\${COMP_WORDS[at]}" in
      ${valueFlags(program, shapes).join('|')}) at=$((at + 1)) ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then
          command="\${COMP_WORDS[at]}"
        else
          [ "$position" = 0 ] && first="\${COMP_WORDS[at]}"
          position=$((position + 1))
        fi
        ;;
    esac
  done
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W '${[...shapes.flatMap(({ names }) => names), ...globals].join(' ')}' -- "$current"))
    return
  fi
  case "$command" in
${cases.join('\n')}
    *) options='${globals.join(' ')}' ;;
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *) __weir_offer ;;
  esac
}
complete -o filenames -F _weir weir`;
}

function bashValues(values: Values): string {
  if ('files' in values) return 'files=yes';
  if ('words' in values) return `words='${values.words.join(' ')}'`;
  return `names=${values.names === 'first' ? '"$first"' : values.names}`;
}

// --------------------------------------------------------------------------------------------------------------- fish

function fishScript(program: Command): string {
  const shapes = shapesOf(program);
  const lines = [
    'complete -c weir -f',
    ...program.options.map((option) => fishOption(option)),
    ...shapes.flatMap(({ names, description, options, arguments: places }) => [
      ...names.map((name) => `complete -c weir -n '__weir_at 0' -a ${name} -d ${quoted(description)}`),
      ...options.map((option) => fishOption(option, names)),
      ...places.flatMap(({ values, variadic }, at) =>
        values === undefined
          ? []
          : [
              `complete -c weir -n '__weir_at ${at + 1}${variadic ? '+' : ''} ${names.join(' ')}' ${fishValues(values)}`,
            ],
      ),
    ]),
  ];
  return `# The command and its arguments so far, without options and their values.
function __weir_words
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case ${valueFlags(program, shapes).join(' ')}
                set skip yes
            case '-*'
            case '*'
                echo $word
        end
    end
end
# __weir_at COUNT[+] COMMAND...: whether so many words stand there (+: or more), and the first is one of these.
function __weir_at
    set -l words (__weir_words)
    set -l least (string replace '+' '' -- $argv[1])
    test (count $words) -ge $least; or return 1
    if not string match -q '*+' -- $argv[1]
        test (count $words) -eq $least; or return 1
    end
    test (count $argv) -eq 1; or contains -- $words[1] $argv[2..-1]
end
${lines.join('\n')}`;
}

function fishOption(option: Option, commands: readonly string[] = []): string {
  const known = byOption.get(option.long ?? '');
  const parts = [
    ...(commands.length === 0 ? [] : [`-n '__weir_at 1+ ${commands.join(' ')}'`]),
    ...flagsOf(option).map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)),
    ...(takesValue(option) ? ['-x'] : []),
    ...(known === undefined || !takesValue(option) ? [] : [fishValues(known)]),
    `-d ${quoted(option.description)}`,
  ];
  return `complete -c weir ${parts.join(' ')}`;
}

function fishValues(values: Values): string {
  if ('files' in values) return `-a '(__fish_complete_path (commandline -ct))'`;
  if ('words' in values) return `-a '${values.words.join(' ')}'`;
  const kind = values.names === 'first' ? '(__weir_words)[2]' : values.names;
  return `-a '(weir __complete ${kind} 2>/dev/null)'`;
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}

// -------------------------------------------------------------------------------------------------------------- names

/**
 * Names for the scripts, one a line; none when the master does not answer soon. `what`: a kind, or a word that stands
 * behind `get` or `describe`.
 */
export async function completeNames(what: string, options: GlobalOptions): Promise<void> {
  const limit = setTimeout(() => process.exit(0), NAMES_LIMIT_MS);
  try {
    for (const name of await namesOf(what, options)) print(name);
  } catch {
    // Nothing to offer.
  } finally {
    clearTimeout(limit);
  }
}

async function namesOf(what: string, options: GlobalOptions): Promise<readonly string[]> {
  if (what === 'contexts') return [...readContexts().contexts.keys()];
  const { MasterClient } = await import('../client.ts');
  const client = new MasterClient(target(options));
  const named = async (path: string, list: string): Promise<string[]> =>
    (await client.request<Readonly<Record<string, readonly { readonly name: string }[]>>>('GET', path))[list]?.map(
      ({ name }) => name,
    ) ?? [];
  const jobNames = async (): Promise<string[]> => await named('/v1/jobs?fields=summary', 'jobs');
  const workers = async (): Promise<string[]> => (await client.workers()).map(({ id }) => id);
  switch (what) {
    case 'worker':
    case 'workers':
      return await workers();
    case 'topic':
    case 'topics':
      return await named('/v1/topics', 'topics');
    case 'tables':
      return [];
    case 'functions':
      return await named('/v1/functions', 'functions');
    case 'processes':
      return ['master', ...(await workers()), ...(await jobNames())];
    default:
      return await jobNames();
  }
}
