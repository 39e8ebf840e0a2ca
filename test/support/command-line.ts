/** The `weir` command as a process, a cluster of real processes on embedded services for it, and records for its topics. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import type { Connections, LogWriter } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { Cluster, TOKEN, until } from './cluster.ts';

export const commandMain = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string;
  /** Ctrl-C as soon as what was printed matches. */
  readonly endWhen?: RegExp;
  /** Told all that was printed, whenever there is more. */
  readonly onOut?: (out: string) => void;
}

export class CommandLine {
  /** Home directory of who types; deleted at the end. */
  readonly home: string;
  readonly cluster: Cluster;
  readonly #writer: LogWriter;
  readonly #connections: Connections;

  private constructor(home: string, cluster: Cluster, writer: LogWriter, connections: Connections) {
    this.home = home;
    this.cluster = cluster;
    this.#writer = writer;
    this.#connections = connections;
  }

  /** A master, a worker, and a topic. */
  static async open(topic: string, partitions: number): Promise<CommandLine> {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    const cluster = await Cluster.create(services);
    const embedded = cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    const writer = connections.logWriter('kafka', {});
    const line = new CommandLine(mkdtempSync(join(tmpdir(), 'weir-cli-')), cluster, writer, connections);
    await until('the embedded process answers', 30_000, async () => {
      if (!embedded.alive) throw new Error(await embedded.log());
      await writer.createTopic(topic, partitions);
      return true;
    });
    await cluster.startMaster();
    await cluster.startWorker();
    return line;
  }

  async close(): Promise<void> {
    await this.#connections.close();
    await this.cluster.close();
    rmSync(this.home, { recursive: true });
  }

  /** What the command is run with. */
  get environment(): NodeJS.ProcessEnv {
    const { WEIR_CONTEXT: _, ...env } = process.env;
    return { ...env, HOME: this.home, WEIR_ADDRESS: this.cluster.address, WEIR_TOKEN: TOKEN };
  }

  /** Runs one command line to its end. */
  weir(args: readonly string[], { input = '', endWhen, onOut }: RunOptions = {}): Promise<Ended> {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', commandMain, ...args], {
      env: this.environment,
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      onOut?.(out);
      if (endWhen?.test(out) === true) child.kill('SIGINT');
    });
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.stdin.end(input);
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  }

  /** What a command that ends well prints. */
  async good(args: readonly string[]): Promise<string> {
    const { code, out, err } = await this.weir(args);
    assert.equal(code, 0, `${args.join(' ')}: ${err}`);
    return out;
  }

  /** Records with these values, dated in 2023. */
  async append(topic: string, to: number, values: readonly string[]): Promise<void> {
    const records = values.map((value, at) => ({
      key: null,
      value: Buffer.from(value),
      timestampMs: 1_700_000_000_000 + at,
    }));
    const permit = { valid: () => true, check: () => undefined };
    await this.#writer.append([{ topic, partition: partition(to), batch: encodeRecordBatch(records) }], permit);
  }
}
