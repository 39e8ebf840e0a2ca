/**
 * Peers install themselves into the benches' cache, through the usual clients: pip, Maven, Go. What is missing on the
 * machine is named in one sentence.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchCache } from '../cache.ts';

/** A peer that cannot run here. */
export class PeerMissing extends Error {}

/** `groupId:artifactId:version` */
export type Coordinate = `${string}:${string}:${string}`;

function note(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** Runs a command to its end. Throws {@link PeerMissing} when there is no such command or it fails. */
export function runOrMissing(
  purpose: string,
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): void {
  const outcome = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 27, ...options });
  if (outcome.error !== undefined)
    throw new PeerMissing(`${purpose} needs the \`${command}\` command, which is not here`);
  if (outcome.status === 0) return;
  const lines = `${outcome.stderr}\n${outcome.stdout}`.trim().split('\n').slice(-4).join(' | ');
  throw new PeerMissing(`${purpose}: \`${command} ${args.join(' ')}\` failed: ${lines}`);
}

/** The folder `name` of the cache, filled by `fill` the first time; it appears only when it is whole. */
export function installed(name: string, fill: (directory: string) => void): string {
  const directory = join(benchCache(), name);
  if (existsSync(directory)) return directory;
  note(`installing ${name}`);
  const scratch = mkdtempSync(join(benchCache(), 'part-'));
  try {
    fill(scratch);
    try {
      renameSync(scratch, directory);
    } catch (error) {
      // Another bench was quicker.
      if (!existsSync(directory)) throw error;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return directory;
}

/** A virtual environment of Python with the packages; path of its `python`. Not movable, so made in place. */
export function pythonWith(name: string, packages: readonly string[]): string {
  const directory = join(benchCache(), name);
  const python = join(directory, 'bin', 'python');
  const whole = join(directory, 'whole');
  if (existsSync(whole)) return python;
  note(`installing ${packages.join(', ')} from PyPI`);
  rmSync(directory, { recursive: true, force: true });
  runOrMissing(name, 'python3', ['-m', 'venv', directory]);
  runOrMissing(name, python, ['-m', 'pip', 'install', '-q', ...packages]);
  writeFileSync(whole, '');
  return python;
}

/** Folder with the jars, and, unless they are to come alone, all they need at run time. */
export function mavenJars(name: string, coordinates: readonly Coordinate[], alone = false): string {
  return installed(join('jars', name).replaceAll('/', '-'), (scratch) => {
    const dependencies = coordinates.map((coordinate) => {
      const [groupId, artifactId, version] = coordinate.split(':');
      const exclusions = alone
        ? '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>'
        : '';
      return `<dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version>${exclusions}</dependency>`;
    });
    const pom = join(scratch, 'pom.xml');
    writeFileSync(
      pom,
      `<project><modelVersion>4.0.0</modelVersion><groupId>weir.bench</groupId><artifactId>peer</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>${dependencies.join('\n')}</dependencies></project>`,
    );
    mkdirSync(join(scratch, 'lib'));
    runOrMissing(name, 'mvn', [
      '-q',
      '-B',
      '-f',
      pom,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${join(scratch, 'lib')}`,
      '-DincludeScope=runtime',
    ]);
  });
}
