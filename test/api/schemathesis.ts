/** Schemathesis, a tester of HTTP interfaces by their OpenAPI document, in a Python environment of its own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const VERSION = '4.32.5';
const OUTPUT_BYTES_MAX = 64 << 20;

export interface Ended {
  readonly code: number;
  readonly output: string;
}

interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

function run(file: string, args: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(file, args, { ...surroundings, maxBuffer: OUTPUT_BYTES_MAX }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127;
      resolve({ code, output: stdout + stderr + (code === 127 ? String(error) : '') });
    });
  });
}

/**
 * Path of the program: SCHEMATHESIS, or one that is installed once in the user's cache. Throws a sentence that says what
 * is missing.
 */
export async function schemathesis(): Promise<string> {
  const named = process.env['SCHEMATHESIS'];
  if (named !== undefined && named !== '') return named;
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weir');
  const folder = join(cache, `schemathesis-${VERSION}`);
  const program = join(folder, 'bin', 'schemathesis');
  if (existsSync(program)) return program;
  const advice =
    `The tests of the REST interface need Schemathesis ${VERSION}: Python 3.10 or newer with venv and a package index ` +
    'that pip reaches, or SCHEMATHESIS set to the path of the program.';
  await mkdir(cache, { recursive: true });
  // The folder's name stands in its programs, so it is made in its place; half of one must not pass for whole.
  await rm(folder, { recursive: true, force: true });
  const made = await run('python3', ['-m', 'venv', folder]);
  if (made.code !== 0) throw new Error(`${advice}\npython3 -m venv: ${made.output}`);
  const installed = await run(join(folder, 'bin', 'pip'), ['install', '-q', `schemathesis==${VERSION}`]);
  if (installed.code === 0) return program;
  await rename(folder, `${folder}.broken`).catch(() => undefined);
  await rm(`${folder}.broken`, { recursive: true, force: true });
  throw new Error(`${advice}\npip install: ${installed.output}`);
}

/** Runs it on a document. `settings`: a configuration file of Schemathesis. */
export async function test(
  program: string,
  settings: string,
  document: string,
  more: readonly string[],
): Promise<Ended> {
  return await run(program, ['--config-file', settings, 'run', document, ...more], {
    env: { ...process.env, NO_COLOR: '1', PYTHONWARNINGS: 'ignore' },
    // It keeps what it found beside where it runs.
    cwd: dirname(settings),
  });
}
