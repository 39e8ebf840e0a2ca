/**
 * A job run step by step on a {@link SteppedCluster}: its sources become topics of its own, its sinks one topic whose
 * records are read back, its trigger `manual`. What runs is otherwise the job as written. `weir test` and the conformance
 * cases use it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { partition } from '../../core/ids.ts';
import type { JobDocument } from '../../core/job/document.ts';
import { asTopic } from '../../core/job/feed-topics.ts';
import { formatJobDocument, parseJobDocument } from '../../core/job/document.ts';
import type { Source } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { JobView } from '../../master/views.ts';
import { JobRefused } from './job-refused.ts';
import { readLog } from './read-log.ts';
import type { TableFixtures } from './table-fixtures.ts';
import { withFixtures } from './table-fixtures.ts';
import type { SteppedCluster } from './stepped-cluster.ts';

/** A row as JSON carries it, by column; columns that are NULL are absent. */
export type JsonRow = Readonly<Record<string, unknown>>;

/** A record to append: a row (becomes a JSON object), or text as it stands. null = a record without a value. */
export type InputRecord = JsonRow | string | null;

export type StepInput = ReadonlyMap<string, readonly InputRecord[]>;

export interface EmittedRow {
  readonly row: JsonRow;
  /** Number of the epoch that emitted it. */
  readonly epoch: number;
}

export interface StepResult {
  /** Rows emitted, each once however often it was written. */
  readonly rows: readonly EmittedRow[];
  /** Epochs that ran. */
  readonly epochs: number;
}

export interface DeadLetter {
  readonly reason: string;
  readonly place: string;
}

const SETTLE_MS = 30_000;
const POLL_MS = 10;
/** Record times count up from here, a ms a record: reproducible, and never from the future. */
const RECORD_TIME_MS = Date.UTC(2024, 0, 1);

export class SteppedJob {
  readonly name: string;
  readonly outputMode: 'append' | 'update' | 'complete';
  readonly #cluster: SteppedCluster;
  readonly #source: Source;
  readonly #topics: ReadonlyMap<string, string>;
  readonly #outputTopic: string;
  readonly #seen = new Set<string>();
  #read = 0;
  #appended = 0;

  /**
   * Submits the job file `text` under a name of its own, with `tables` in the place of those outside, and waits until it
   * runs. `tag` is unique in the cluster.
   *
   * Throws: JobRefused; what the master answers.
   */
  static async submit(
    cluster: SteppedCluster,
    text: string,
    tag: string,
    tables: TableFixtures = {},
  ): Promise<SteppedJob> {
    const document = withFixtures(parseJobDocument(text), tables);
    const job = new SteppedJob(cluster, document, tag);
    await job.#submit(document, tag);
    return job;
  }

  private constructor(cluster: SteppedCluster, document: JobDocument, tag: string) {
    this.name = `${document.name.slice(0, 40)}-${tag}`;
    this.outputMode = document.outputMode ?? 'append';
    this.#cluster = cluster;
    this.#source = cluster.connections.source('kafka', {});
    this.#topics = new Map(Object.keys(document.sources).map((name) => [name, `${tag}.${name}`]));
    this.#outputTopic = `${tag}.output`;
  }

  async #submit(document: JobDocument, tag: string): Promise<void> {
    const writer = this.#cluster.connections.logWriter('kafka', {});
    for (const topic of [...this.#topics.values(), this.#outputTopic]) await writer.createTopic(topic, 1);
    const sources = Object.entries(document.sources).map(([name, { brokers: _brokers, ...source }]) => [
      name,
      { ...asTopic(source), topic: this.#topics.get(name), startingOffsets: 'earliest' },
    ]);
    const { schedule: _schedule, ...unscheduled } = document;
    const changed = {
      ...unscheduled,
      name: this.name,
      sources: Object.fromEntries(sources) as JobDocument['sources'],
      sinks: [{ connector: 'kafka', topic: `${tag}.output`, compression: 'none' }],
      trigger: 'manual',
    };
    const outcome = await this.#cluster.client.apply(this.name, formatJobDocument(changed), { dryRun: false });
    if (outcome.kind === 'refused') throw new JobRefused(outcome.problems);
    await this.#until('running');
  }

  /** Appends records to the sources, all before the next epoch is planned. */
  async append(input: StepInput): Promise<void> {
    const writer = this.#cluster.connections.logWriter('kafka', {});
    const appends = [...input].flatMap(([source, records]) => {
      const topic = this.#topics.get(source);
      if (topic === undefined) throw new WeirError('NOT_FOUND', `job ${this.name} has no source ${source}`);
      if (records.length === 0) return [];
      const batch = encodeRecordBatch(
        records.map((record) => ({
          key: null,
          value: bytesOf(record),
          timestampMs: RECORD_TIME_MS + this.#appended++,
        })),
      );
      return [{ topic, partition: partition(0), batch }];
    });
    if (appends.length > 0) await writer.append(appends, { valid: () => true, check: () => undefined });
  }

  /** Appends, runs until nothing is left to do, and gives what came out. Throws: what the master answers. */
  async step(input: StepInput = new Map()): Promise<StepResult> {
    await this.append(input);
    const before = (await this.view()).epochs;
    // A step that a change of leaders cut short goes on where it was: what was planned stays planned.
    const { epochs } = await this.#patiently(() => this.#cluster.client.step(this.name));
    const after = (await this.view()).epochs;
    const planned = before === null || after === null ? epochs : after.planned - before.planned;
    return { rows: await this.#emitted(), epochs: planned };
  }

  /** On a machine that is out of breath the master may lose its lease and take it again. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    const end = performance.now() + SETTLE_MS;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isWeirError(error, 'MASTER_UNREACHABLE') || performance.now() > end) throw error;
        this.#cluster.check();
        await sleep(POLL_MS);
      }
    }
  }

  /** Stops the job and starts it where it stood. */
  async restart(): Promise<void> {
    await this.#cluster.client.act(this.name, 'stop');
    await this.#until('stopped');
    await this.#cluster.client.act(this.name, 'start');
    await this.#until('running');
  }

  async view(): Promise<JobView> {
    return await this.#patiently(() => this.#cluster.client.job(this.name));
  }

  /** All dead letters of the job so far, in no order. */
  async deadLetters(): Promise<DeadLetter[]> {
    const { columns, rows } = await this.#cluster.client.query('SELECT * FROM weir.dead_letters');
    const at = (name: string): number => columns.findIndex((column) => column.name === name);
    const [job, code, place] = [at('job'), at('code'), at('place')];
    return rows
      .filter((row) => row[job] === this.name)
      .map((row) => ({ reason: String(row[code]), place: String(row[place] ?? '') }));
  }

  /** Stops the job and takes it out of sight. */
  async remove(): Promise<void> {
    await this.#cluster.client.act(this.name, 'cancel').catch(() => undefined);
    await this.#until('stopped').catch(() => undefined);
    await this.#cluster.client.remove(this.name).catch(() => undefined);
  }

  async #emitted(): Promise<EmittedRow[]> {
    const records = await readLog(this.#source, this.#outputTopic, this.#read);
    this.#read = (records.at(-1)?.offset ?? this.#read - 1) + 1;
    const fresh = records.filter((record) => {
      const id = record.headers.get('weir-id') ?? `offset ${record.offset}`;
      if (this.#seen.has(id)) return false;
      this.#seen.add(id);
      return true;
    });
    return fresh.flatMap((record) => {
      if (record.value === null) return [];
      const epoch = Number((record.headers.get('weir-id') ?? '').split('/')[2] ?? -1);
      return [{ row: JSON.parse(record.value) as JsonRow, epoch }];
    });
  }

  async #until(state: string): Promise<JobView> {
    const end = performance.now() + SETTLE_MS;
    for (;;) {
      this.#cluster.check();
      const view = await this.view();
      if (view.row.state === state) return view;
      if (view.row.state === 'failed')
        throw new WeirError('CONFLICT', view.row.reason?.message ?? `job ${this.name} failed`);
      if (performance.now() > end)
        throw new WeirError('TIMED_OUT', `job ${this.name} is still ${view.row.state}, not ${state}, after 30 s`);
      await sleep(POLL_MS);
    }
  }
}

function bytesOf(record: InputRecord): Uint8Array | null {
  if (record === null) return null;
  return new TextEncoder().encode(typeof record === 'string' ? record : JSON.stringify(record));
}
