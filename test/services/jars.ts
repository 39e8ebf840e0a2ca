/**
 * Jars of the real servers, from Maven Central through the `mvn` command, kept outside the repository so that a clean
 * clone finds them again. Two processes may ask at once: one downloads, the other waits for it.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

const MAVEN_TIMEOUT_MS = 8 * 60_000;

/** A Maven artifact: `groupId:artifactId:version`. */
export type Coordinate = `${string}:${string}:${string}`;

/** Folder of everything the tests keep between runs: $WEIR_CACHE, or `~/.cache/weir`. */
export function cacheDir(): string {
  return process.env['WEIR_CACHE'] ?? join(homedir(), '.cache', 'weir');
}

/** Path of the `java` command. Throws a sentence that names what is missing or too old. */
export function javaCommand(purpose: string): string {
  const home = process.env['JAVA_HOME'];
  const command = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java');
  const answer = spawnSync(command, ['-version'], { encoding: 'utf8' });
  if (answer.error !== undefined) {
    throw new Error(
      `${purpose} needs Java 17, and there is no \`${command}\` command: install a JDK 17 or give the address of a running server`,
    );
  }
  const major = Number(/version "(\d+)/.exec(answer.stderr)?.[1] ?? Number.NaN);
  if (!(major >= 17)) {
    throw new Error(
      `${purpose} needs Java 17, and \`${command}\` is version ${major}: install a JDK 17 or set JAVA_HOME to one`,
    );
  }
  return command;
}

/**
 * Folder that holds the artifacts and all they need at run time; downloaded the first time. `name` says which set, its
 * versions included: it names the folder.
 */
export async function jars(name: string, coordinates: readonly Coordinate[]): Promise<string> {
  const services = join(cacheDir(), 'services');
  const directory = join(services, name);
  if (existsSync(directory)) return directory;
  await mkdir(services, { recursive: true });
  const unlock = await lock(join(services, `${name}.lock`));
  try {
    if (!existsSync(directory)) await download(name, coordinates, services, directory);
    return directory;
  } finally {
    await unlock();
  }
}

/**
 * Folder with the unpacked content of one archive (`groupId:artifactId:version:tar.gz:classifier`); downloaded the first
 * time. `name` names the folder.
 */
export async function archive(name: string, artifact: string): Promise<string> {
  const services = join(cacheDir(), 'services');
  const directory = join(services, name);
  if (existsSync(directory)) return directory;
  await mkdir(services, { recursive: true });
  const unlock = await lock(join(services, `${name}.lock`));
  try {
    if (!existsSync(directory)) await unpack(name, artifact, services, directory);
    return directory;
  } finally {
    await unlock();
  }
}

async function unpack(name: string, artifact: string, services: string, directory: string): Promise<void> {
  const scratch = await mkdtemp(join(services, `${name}.part-`));
  try {
    const packed = join(scratch, 'packed');
    const goal = ['dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${packed}`];
    await run('mvn', ['-q', '-B', ...goal], { cwd: scratch, timeout: MAVEN_TIMEOUT_MS, maxBuffer: 1 << 26 });
    const [file = ''] = await readdir(packed);
    await mkdir(join(scratch, 'whole'));
    await run('tar', ['-xzf', join(packed, file), '-C', join(scratch, 'whole')]);
    // Appears under its name only when it is whole.
    await rename(join(scratch, 'whole'), directory);
  } catch (error) {
    throw new Error(downloadFailure(name, error), { cause: error });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function download(
  name: string,
  coordinates: readonly Coordinate[],
  services: string,
  directory: string,
): Promise<void> {
  const scratch = await mkdtemp(join(services, `${name}.part-`));
  try {
    await writeFile(join(scratch, 'pom.xml'), pom(coordinates));
    const goal = [
      'dependency:copy-dependencies',
      `-DoutputDirectory=${join(scratch, 'lib')}`,
      '-DincludeScope=runtime',
    ];
    await run('mvn', ['-q', '-B', '-f', join(scratch, 'pom.xml'), ...goal], {
      timeout: MAVEN_TIMEOUT_MS,
      maxBuffer: 1 << 26,
    });
    // Appears under its name only when it is whole.
    await rename(join(scratch, 'lib'), directory);
  } catch (error) {
    throw new Error(downloadFailure(name, error), { cause: error });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function downloadFailure(name: string, error: unknown): string {
  const failure = error as { readonly code?: unknown; readonly stdout?: string; readonly message?: string };
  if (failure.code === 'ENOENT') {
    return `the jars of ${name} are not in ${cacheDir()} yet and there is no \`mvn\` command to fetch them: install Maven`;
  }
  const lines = (failure.stdout ?? '').split('\n').filter((line) => line.startsWith('[ERROR]'));
  return `Maven could not fetch the jars of ${name}: ${lines[0] ?? failure.message ?? 'no reason given'}`;
}

function pom(coordinates: readonly Coordinate[]): string {
  const dependencies = coordinates.map((coordinate) => {
    const [groupId, artifactId, version] = coordinate.split(':');
    return `<dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir.test</groupId><artifactId>services</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>${dependencies.join('')}</dependencies>
</project>
`;
}

/** An exclusive lock as a file that holds its owner's pid; the lock of a dead owner is taken over. Gives what releases it. */
export async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return () => unlink(path);
    } catch (error) {
      if ((error as { readonly code?: string }).code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && !isAlive(owner)) await rm(path, { force: true });
    else await sleep(200);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
