/** Topics, tables and rows for people: what the connected systems hold, and what a query makes of it. */
import { WeirError } from '../core/errors.ts';
import { partition as partitionOf } from '../core/ids.ts';
import type { Source } from '../core/ports.ts';
import type { TableSchema } from '../core/table/schema.ts';
import { formatCqlType } from '../core/table/schema.ts';
import { messageOf } from '../core/errors.ts';
import { deadLetterTable } from '../engine/dead-letters.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { DecodedRecord, Lab, LogPiece, SampleRows, TapPlace } from './lab.ts';
import type { ReadFrom } from './read-records.ts';
import { readPieces } from './read-records.ts';
import type { JobService } from './service.ts';
import type { JobView } from './views.ts';

export interface TopicSummary {
  readonly name: string;
  readonly partitions: number;
  /** Between the first offset and the end, over all partitions. */
  readonly records: number;
  /** Jobs that read it, and that write it. */
  readonly jobs: readonly string[];
  readonly sinks: readonly string[];
  /** Why nothing more is known of it. */
  readonly problem: string | null;
}

export interface TopicPartition {
  readonly partition: number;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly lags: readonly { readonly job: string; readonly committedOffset: number; readonly lag: number }[];
}

export interface TableView {
  readonly keyspace: string;
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly partitionKey: readonly string[];
  readonly clusteringKey: readonly string[];
  /** Jobs that write it. */
  readonly jobs: readonly string[];
}

/** Rows at a place of a job, and where to go on. */
export interface TappedRows extends Pick<SampleRows, 'columns' | 'rows'> {
  /** For `after` of the next look. */
  readonly next: string;
  /** Records that were left out because there were more than are looked at. */
  readonly skipped: number;
}

/** Offsets by source and partition. */
export type TapPosition = ReadonlyMap<string, ReadonlyMap<number, number>>;

const VALUE_BYTES_MAX = 64 * 1024;
/** Records looked at for a row that is wanted: filters leave some out. */
const FILTERED_FACTOR = 4;
/** Of new records all rows are shown, unless each becomes very many. */
const ROWS_PER_RECORD_MAX = 10;
const TOPIC_SINK = 'topic ';

export class DataDesk {
  readonly #service: JobService;
  readonly #lab: Lab | null;

  /** Without a lab records cannot be decoded. */
  constructor(service: JobService, lab: Lab | null) {
    this.#service = service;
    this.#lab = lab;
  }

  /** Topics that jobs read and write, by name. Never throws for a topic that cannot be read. */
  async topics(): Promise<TopicSummary[]> {
    const readers = new Map<string, Set<string>>();
    const writers = new Map<string, Set<string>>();
    const add = (to: Map<string, Set<string>>, topic: string, job: string): void => {
      to.set(topic, (to.get(topic) ?? new Set()).add(job));
    };
    for (const { row, topics, sinks } of this.#service.jobs()) {
      for (const topic of topics) add(readers, topic, row.name);
      for (const { description } of sinks)
        if (description.startsWith(TOPIC_SINK)) add(writers, description.slice(TOPIC_SINK.length), row.name);
    }
    const names = [...new Set([...readers.keys(), ...writers.keys()])].toSorted();
    return await Promise.all(
      names.map(async (name): Promise<TopicSummary> => {
        const facts = { name, jobs: [...(readers.get(name) ?? [])], sinks: [...(writers.get(name) ?? [])] };
        try {
          const partitions = await this.#partitions(name);
          const records = partitions.reduce((sum, { start, end }) => sum + end - start, 0);
          return { ...facts, partitions: partitions.length, records, problem: null };
        } catch (error) {
          return { ...facts, partitions: 0, records: 0, problem: messageOf(error) };
        }
      }),
    );
  }

  /** Throws: TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE. */
  async topic(name: string): Promise<{ readonly name: string; readonly partitions: readonly TopicPartition[] }> {
    const readers = this.#service.jobs().filter(({ topics }) => topics.includes(name));
    const partitions = await this.#partitions(name);
    return {
      name,
      partitions: partitions.map(({ partition, start, end }) => ({
        partition,
        startOffset: start,
        endOffset: end,
        lags: readers.map((view) => {
          const committedOffset = committedOf(view, name, partition);
          return { job: view.row.name, committedOffset, lag: Math.max(0, end - Math.max(committedOffset, start)) };
        }),
      })),
    };
  }

  /** `partition` null = all of them. Throws: TOPIC_NOT_FOUND, NOT_FOUND, SOURCE_UNAVAILABLE, TIMED_OUT. */
  async records(
    name: string,
    asked: { readonly partition: number | null; readonly from: ReadFrom; readonly limit: number },
  ): Promise<{ readonly records: readonly DecodedRecord[]; readonly next: Readonly<Record<string, number>> }> {
    const log = this.#log(name);
    const topic = await log.describe(name);
    const partitions = asked.partition === null ? topic.partitions : [partitionOf(asked.partition)];
    const each = Math.max(1, Math.ceil(asked.limit / Math.max(1, partitions.length)));
    const { pieces, next } = await readPieces(log, topic, partitions, asked.from, each);
    const nextDocument = Object.fromEntries([...next].map(([partition, at]) => [String(partition), at]));
    if (pieces.length === 0) return { records: [], next: nextDocument };
    const records = await this.#needLab().decode(pieces, {
      bytesMax: VALUE_BYTES_MAX,
      limit: each * partitions.length,
    });
    records.sort((a, b) => a.timestampMs - b.timestampMs || a.partition - b.partition || a.offset - b.offset);
    return { records, next: nextDocument };
  }

  async tables(): Promise<TableView[]> {
    const writers = new Map<string, Set<string>>([[qualified(deadLetterTable), new Set()]]);
    for (const { row, sinks } of this.#service.jobs())
      for (const { connector, description } of sinks)
        if (connector === 'cassandra')
          writers.set(description, (writers.get(description) ?? new Set<string>()).add(row.name));
    const store = this.#service.connections.tables('cassandra', {});
    const found = await Promise.all(
      [...writers].map(async ([name, jobs]): Promise<TableView[]> => {
        const [keyspace = '', table = ''] = name.split('.');
        const schema = await store.describe(keyspace, table);
        return schema === undefined ? [] : [viewTable(schema, [...jobs])];
      }),
    );
    return found.flat().toSorted((a, b) => (qualified(a) < qualified(b) ? -1 : 1));
  }

  /**
   * The last records of the job's topics, run through its plan up to a place; with `after` those that came since, as an
   * answer before said. Throws: NOT_FOUND, TIMED_OUT; UNSUPPORTED for what a sample cannot show.
   */
  async tap(name: string, at: TapPlace, limit: number, after: TapPosition | null): Promise<TappedRows> {
    const { plan } = await this.#service.definition(name);
    if (after !== null) requireNoState(plan, at);
    const pieces: LogPiece[] = [];
    const next: string[] = [];
    let skipped = 0;
    for (const { name: source, connector, options, topic } of plan.sources) {
      const log = this.#service.connections.source(connector, options);
      const described = await log.describe(topic);
      const records = after === null ? limit * FILTERED_FACTOR : limit;
      const each = Math.max(1, Math.ceil(records / Math.max(1, described.partitions.length)));
      const from = after === null ? 'latest' : { next: after.get(source) ?? new Map<number, number>(), newest: true };
      const read = await readPieces(log, described, described.partitions, from, each, source);
      pieces.push(...read.pieces);
      next.push(...[...read.next].map(([partition, offset]) => `${source}/${partition}:${offset}`));
      skipped += read.skipped;
    }
    const cursor = { next: next.join(','), skipped };
    // While nothing comes nobody is asked.
    if (after !== null && pieces.length === 0) return { columns: [], rows: [], ...cursor };
    const rowsMax = after === null ? limit : limit * ROWS_PER_RECORD_MAX;
    const { columns, rows } = await this.#needLab().run(plan, pieces, at, rowsMax);
    return { columns, rows, ...cursor };
  }

  /** Rows of the table of a sink. Throws: NOT_FOUND, CONFLICT for a sink that is no table. */
  async sinkRows(view: JobView, index: number, limit: number): Promise<Pick<SampleRows, 'columns' | 'rows'>> {
    const sink = view.sinks[index];
    if (sink === undefined)
      throw new WeirError('NOT_FOUND', `Job ${view.row.name} has no sink ${index}; it has ${view.sinks.length}.`);
    if (sink.connector !== 'cassandra')
      throw new WeirError('CONFLICT', `Sink ${index} of job ${view.row.name} is ${sink.description}, no table.`);
    return await this.#service.query(`SELECT * FROM ${sink.description} LIMIT ${limit}`);
  }

  /** Runs a plan on records given by source. Throws: UNSUPPORTED, TIMED_OUT. */
  async tryPlan(plan: JobPlan, rows: Parameters<Lab['runRecords']>[1], limit: number): Promise<SampleRows> {
    return await this.#needLab().runRecords(plan, rows, null, limit);
  }

  #needLab(): Lab {
    if (this.#lab !== null) return this.#lab;
    throw new WeirError('UNSUPPORTED', 'This master was started without what it takes to look into records.');
  }

  /** By the connection of a job that reads it, else the default one. */
  #log(topic: string): Source {
    const { connections } = this.#service;
    for (const view of this.#service.jobs()) {
      const source = view.sources.find((one) => one.topic === topic);
      if (source !== undefined) return connections.source(source.connector, source.options);
    }
    return connections.source('kafka', {});
  }

  async #partitions(
    topic: string,
  ): Promise<{ readonly partition: number; readonly start: number; readonly end: number }[]> {
    const log = this.#log(topic);
    const { partitions } = await log.describe(topic);
    const [starts, ends] = await Promise.all([
      log.offsets(topic, partitions, 'earliest'),
      log.offsets(topic, partitions, 'latest'),
    ]);
    return partitions.map((partition) => ({
      partition,
      start: starts.get(partition) ?? 0,
      end: ends.get(partition) ?? 0,
    }));
  }
}

/** Throws: UNSUPPORTED. */
function requireNoState(plan: JobPlan, { stage }: TapPlace): void {
  if (plan.protocol === 'lanes' || plan.stages[stage] === undefined || plan.stages[stage].kind === 'map') return;
  throw new WeirError(
    'UNSUPPORTED',
    `Rows of stage ${stage} of job ${plan.job} come from its state, which a look at new records does not have; follow a ` +
      'stage before it, or look at a sink.',
  );
}

function committedOf(view: JobView, topic: string, partition: number): number {
  const lane = view.lanes.find((one) => one.topic === topic && one.partition === partition);
  if (lane !== undefined) return lane.committedOffset;
  const sources = new Set(view.sources.filter((one) => one.topic === topic).map(({ name }) => name));
  for (const [id, at] of Object.entries(view.epochs?.positions ?? {})) {
    const [source = '', , index] = id.split('/');
    if (sources.has(source) && Number(index) === partition) return at;
  }
  return -1;
}

function qualified({ keyspace, table }: { readonly keyspace: string; readonly table: string }): string {
  return `${keyspace}.${table}`;
}

function viewTable({ keyspace, table, columns, partitionKey, clusteringKey }: TableSchema, jobs: string[]): TableView {
  return {
    keyspace,
    table,
    columns: columns.map(({ name, type }) => ({ name, type: formatCqlType(type) })),
    partitionKey,
    clusteringKey,
    jobs,
  };
}
