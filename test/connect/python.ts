/**
 * A Python with what tests ask other programs for, DuckDB and moto's S3 server: the one that WEIR_TEST_PYTHON names, else a
 * virtual environment that is made once, in the cache of the test services.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDir, lock } from '../services/jars.ts';

const run = promisify(execFile);
/** Versions that the tests are known to pass with. */
const duckdbAndMoto = ['duckdb==2.0.0', 'moto[server,s3]==5.2.5'];
const INSTALL_MS_MAX = 600_000;

/** Its command; `packages`: others than DuckDB and moto. Throws: what is missing on the machine, and how to get it. */
export async function testPython(packages: readonly string[] = duckdbAndMoto): Promise<string> {
  const given = process.env['WEIR_TEST_PYTHON'];
  if (given !== undefined && given !== '') return given;
  const name = `python-${packages.join('-').replaceAll(/[^a-z0-9.]+/g, '-')}`;
  const folder = join(cacheDir(), name);
  const python = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'complete'))) return python;
  await mkdir(cacheDir(), { recursive: true });
  const unlock = await lock(`${folder}.lock`);
  try {
    if (!existsSync(join(folder, 'complete'))) await make(folder, python, packages);
    return python;
  } finally {
    await unlock();
  }
}

/** What DuckDB answers, as JSON shows its rows; dates and decimals have to be CAST to VARCHAR. Throws: as {@link testPython}. */
export async function askDuckdb(sql: string): Promise<unknown[][]> {
  // A query that takes long would draw a bar into the answer.
  const code =
    'import duckdb, json, sys; duckdb.sql("SET enable_progress_bar = false"); print(json.dumps(duckdb.sql(sys.argv[1]).fetchall()))';
  const { stdout } = await run(await testPython(), ['-c', code, sql], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as unknown[][];
}

async function make(folder: string, python: string, packages: readonly string[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
  } catch (error) {
    const hint =
      'install it with "apt-get install python3-venv", or name a Python that has the packages in WEIR_TEST_PYTHON';
    throw new Error(`"python3 -m venv", for ${packages.join(', ')}, is missing: ${hint} (${said(error)})`, {
      cause: error,
    });
  }
  try {
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages];
    await run(python, args, { timeout: INSTALL_MS_MAX, maxBuffer: 1 << 26 });
  } catch (error) {
    throw new Error(`pip could not install ${packages.join(' and ')}: ${said(error)}`, { cause: error });
  }
  await writeFile(join(folder, 'complete'), '');
}

/** The last line of what a command said before it failed. */
function said(error: unknown): string {
  const { stderr = '', stdout = '', message = '' } = error as Partial<Record<'stderr' | 'stdout' | 'message', string>>;
  return `${stderr}\n${stdout}`.trim().split('\n').at(-1) || message;
}
