/** Docker Compose as the tests drive it: the project's own file under another project name and on free ports. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function command(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd: root, env, maxBuffer: OUTPUT_BYTES_MAX }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127;
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message : stderr });
    });
  });
}

/** Throws an Error that names what is missing. */
export async function requireDocker(): Promise<void> {
  const engine = await command('docker', ['info', '--format', '{{.ServerVersion}}']);
  if (engine.code !== 0)
    throw new Error(`The compose test needs a Docker engine, and none answers: ${firstLine(engine.stderr)}`);
  const plugin = await command('docker', ['compose', 'version', '--short']);
  if (plugin.code !== 0)
    throw new Error(
      'The compose test needs the plugin "docker compose" (version 2.24 or newer), which is not installed.',
    );
}

/** Images that are neither here nor to be had. */
export async function missingImages(names: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const name of names) {
    if ((await command('docker', ['image', 'inspect', name])).code === 0) continue;
    if ((await command('docker', ['pull', '--quiet', name])).code !== 0) missing.push(name);
  }
  return missing;
}

export interface ContainerState {
  readonly Service: string;
  readonly Name: string;
  readonly State: string;
  /** '' where nobody asks. */
  readonly Health: string;
  readonly ExitCode: number;
  readonly Publishers: readonly { readonly URL: string; readonly PublishedPort: number }[] | null;
}

export class ComposeProject {
  readonly name: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(name: string, settings: Readonly<Record<string, string>>) {
    this.name = name;
    // The classic builder is everywhere where an engine is; BuildKit needs a component of its own.
    this.#env = {
      ...process.env,
      ...settings,
      COMPOSE_PROJECT_NAME: name,
      DOCKER_BUILDKIT: '0',
      COMPOSE_BAKE: 'false',
    };
  }

  /** Standard output. Throws with the end of the command's own words when it fails. */
  async run(...args: readonly string[]): Promise<string> {
    const result = await this.try(...args);
    if (result.code !== 0)
      throw new Error(
        `docker compose ${args.join(' ')} ended with ${result.code}:\n${tail(result.stdout + result.stderr)}`,
      );
    return result.stdout;
  }

  try(...args: readonly string[]): Promise<CommandResult> {
    return command('docker', ['compose', ...args], this.#env);
  }

  /** A line for a shell, as a page has it, run against this project; no terminal is there. Throws as {@link run}. */
  async line(text: string): Promise<string> {
    const { code, stdout, stderr } = await command(
      'sh',
      ['-c', text.replace('compose exec ', 'compose exec -T ')],
      this.#env,
    );
    if (code !== 0) throw new Error(`${text} ended with ${code}:\n${tail(stdout + stderr)}`);
    return stdout;
  }

  /** All containers, also those that have ended. */
  async containers(): Promise<ContainerState[]> {
    const text = await this.run('ps', '--all', '--format', 'json');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as ContainerState);
  }

  /** The last lines of what services wrote. */
  async logs(...services: readonly string[]): Promise<string> {
    const { stdout, stderr } = await this.try('logs', '--no-color', '--tail', '40', ...services);
    return stdout + stderr;
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-40).join('\n');
}
