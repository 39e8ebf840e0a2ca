/** `weir completion bash|zsh`: a script made from the command tree. Names of jobs it asks the master for, briefly. */
import type { Command } from 'commander';
import { WeirError } from '../../core/errors.ts';
import { MasterClient } from '../client.ts';
import { print } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { target } from '../settings.ts';

/** A master that does not answer at once is no help while somebody types. */
const NAMES_LIMIT_MS = 800;

/** First arguments that are words of a fixed set, by command. */
const firstWords = new Map<string, readonly string[]>([
  [
    'get',
    [
      'jobs',
      'workers',
      'tasks',
      'partitions',
      'checkpoints',
      'savepoints',
      'sources',
      'topics',
      'tables',
      'revisions',
      'runs',
      'errors',
    ],
  ],
  ['describe', ['job', 'worker', 'topic']],
  ['savepoint', ['create', 'list', 'delete', 'restore']],
  ['offsets', ['get', 'set', 'reset']],
  ['dlq', ['list', 'show', 'replay', 'purge']],
  ['context', ['list', 'add', 'use', 'delete']],
  ['completion', ['bash', 'zsh']],
  ['drain', ['worker']],
]);

/** Throws: USAGE for another shell. */
export function completion(shell: string, program: Command): void {
  if (shell !== 'bash' && shell !== 'zsh')
    throw new WeirError('USAGE', `There is no completion for ${shell}; there is one for bash and one for zsh.`);
  const script = bashScript(program);
  print(shell === 'bash' ? script : `#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n${script}`);
}

function bashScript(program: Command): string {
  const globals = optionsOf(program);
  const commands = program.commands.filter((command) => !command.name().startsWith('__'));
  const cases = commands.map((command) => {
    const words = firstWords.get(command.name());
    const takesJob = command.registeredArguments.some((argument) => ['job', 'name'].includes(argument.name()));
    const takesFile = command.registeredArguments.some((argument) => ['file', 'path'].includes(argument.name()));
    const names = [command.name(), ...command.aliases()].join('|');
    const kind = `${words === undefined ? '' : words.join(' ')};${takesJob ? 'job' : takesFile ? 'file' : ''}`;
    return `    ${names}) options='${[...optionsOf(command), ...globals].join(' ')}'; words='${kind.split(';')[0] ?? ''}'; kind='${kind.split(';')[1] ?? ''}' ;;`;
  });
  return `_weir() {
  local current command='' options words='' kind='' at position=0
  current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "\${COMP_WORDS[at]}" in
      -*) ;;
      *) if [ -z "$command" ]; then command="\${COMP_WORDS[at]}"; else position=$((position + 1)); fi ;;
    esac
  done
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W '${[...commands.map((command) => command.name()), ...globals].join(' ')}' -- "$current"))
    return
  fi
  case "$command" in
${cases.join('\n')}
    *) options='${globals.join(' ')}' ;;
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")); return ;;
  esac
  if [ "$position" = 0 ] && [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  elif [ "$kind" = job ]; then
    COMPREPLY=($(compgen -W "$(weir __complete jobs 2>/dev/null)" -- "$current"))
  elif [ "$kind" = file ]; then
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _weir weir`;
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap(({ long, short }) =>
    [long, short].filter((flag) => flag !== undefined && flag !== null),
  );
}

/** Names for the script, one a line; none when the master does not answer soon. */
export async function completeNames(what: string, options: GlobalOptions): Promise<void> {
  if (what !== 'jobs') return;
  const limit = setTimeout(() => process.exit(0), NAMES_LIMIT_MS);
  try {
    for (const { row } of await new MasterClient(target(options)).jobs()) print(row.name);
  } catch {
    // Nothing to offer.
  } finally {
    clearTimeout(limit);
  }
}
