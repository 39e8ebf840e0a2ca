/** A real Prometheus and promtool for tests, with the project's own configuration. */
import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../services/java-server.ts';
import { until } from '../support/cluster.ts';

const ops = fileURLToPath(new URL('../../ops/prometheus/', import.meta.url));

/** Path of a program. Throws a sentence that says what is missing. */
export function findProgram(name: 'prometheus' | 'promtool'): string {
  const named = process.env[name.toUpperCase()];
  const places = [
    ...(named === undefined ? [] : [named]),
    ...(process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, name)),
  ];
  const found = places.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    `The tests of metrics need ${name} and there is none on this machine: apt-get install prometheus (it has both), ` +
      `or set ${name.toUpperCase()} to the path of the program.`,
  );
}

/** Runs promtool; gives what it wrote. Throws with its words when it is not content. */
export function promtool(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(findProgram('promtool'), args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`));
    });
  });
}

/** One series of an answer: labels, and the value as text. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

export interface Target {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: string;
  readonly lastError: string;
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly state: string;
}

/**
 * The configuration of ops/prometheus in `directory`, for a master at another address and with a token of its own. Gives
 * the path of the file. Throws when a place that has to be changed is not in it.
 */
export async function configIn(directory: string, master: string, token: string): Promise<string> {
  const tokenFile = join(directory, 'token');
  let text = await readFile(join(ops, 'prometheus.yml'), 'utf8');
  const places: readonly (readonly [string, string])[] = [
    ['http://master:7080', master],
    ['http://master-2:7080', master],
    ['/var/lib/weir/metrics-token/token', tokenFile],
  ];
  for (const [place, instead] of places) {
    if (!text.includes(place)) throw new Error(`ops/prometheus/prometheus.yml does not name ${place}`);
    text = text.replaceAll(place, instead);
  }
  await mkdir(directory, { recursive: true });
  await writeFile(tokenFile, token);
  await writeFile(join(directory, 'prometheus.yml'), text);
  await cp(join(ops, 'rules'), join(directory, 'rules'), { recursive: true });
  return join(directory, 'prometheus.yml');
}

export class Prometheus {
  readonly #child: ChildProcess;
  readonly #address: string;

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.#address = address;
  }

  /** Its data are kept in `directory`. Resolves when it answers. */
  static async start(config: string, directory: string): Promise<Prometheus> {
    const [port = 0] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    const child = spawn(
      findProgram('prometheus'),
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=${address}`,
        '--log.level=warn',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let words = '';
    child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
    await until('Prometheus answers', 30_000, async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}:\n${words}`);
      return (await fetch(`http://${address}/-/ready`)).ok;
    });
    return new Prometheus(child, `http://${address}`);
  }

  /** Throws with Prometheus' own words. */
  async query(expr: string): Promise<readonly Series[]> {
    return (await this.#get<{ result: Series[] }>(`query?query=${encodeURIComponent(expr)}`)).result;
  }

  /** What is scraped under the job `weir`. */
  async targets(): Promise<readonly Target[]> {
    const { activeTargets } = await this.#get<{ activeTargets: Target[] }>('targets?state=active');
    return activeTargets.filter(({ labels }) => labels['job'] === 'weir');
  }

  async rules(): Promise<readonly Rule[]> {
    return (await this.#get<{ groups: { rules: Rule[] }[] }>('rules')).groups.flatMap(({ rules }) => rules);
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#address}/api/v1/${path}`);
    const body = (await response.json()) as { readonly status: string; readonly data: T; readonly error?: string };
    if (body.status !== 'success') throw new Error(`${path}: ${body.error}`);
    return body.data;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGTERM');
    await ended;
  }
}
