/** Dead letters for people: listed, sent again to where they came from, deleted. */
import { WeirError, errorTable } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { partition as partitionOf } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import { ROW_HEADER_BYTES, ROW_OP_DELETE } from '../core/row-block.ts';
import type { Connections, QueryResult, TableStore } from '../core/ports.ts';
import { DEAD_LETTER_BUCKET_OFFSETS, deadLetterShape, deadLetterTable } from '../engine/dead-letters.ts';
import type { Clock } from '../core/clock.ts';
import type { JobView } from './views.ts';

/** Names one dead letter of a job. */
export interface LetterKey {
  readonly run: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface DeadLetterView extends LetterKey {
  readonly code: string;
  /** What the code means. */
  readonly reason: string;
  readonly place: string;
  /** ms since 1970. */
  readonly recordTime: number | null;
  /** base64; the value is cut at 1 MiB. */
  readonly key: string | null;
  readonly value: string | null;
  /** Of the whole value. */
  readonly valueBytes: number | null;
}

export interface LetterFilter {
  readonly limit: number;
  readonly topic?: string;
  readonly partition?: number;
  readonly run?: number;
  /** Only offsets below. */
  readonly before?: number;
}

/** A place of the table. */
interface Bucket {
  readonly run: number;
  readonly topic: string;
  readonly partition: number;
  readonly bucket: number;
}

const TABLE = `${deadLetterTable.keyspace}.${deadLetterTable.table}`;
const BUCKET_COLUMNS = 'job, run, topic, "partition", bucket';
const LETTER_COLUMNS = 'run, topic, "partition", "offset", code, place, record_time, "key", value, value_bytes';
/** Rows looked through for the places where a job has dead letters, where DISTINCT is not to be had. */
const SCAN_ROWS_MAX = 50_000;
/** Produced again, a record says where it was. */
const REPLAY_HEADER = 'weir-replayed';

const always: WritePermit = { valid: () => true, check: () => undefined };

export class DeadLetterDesk {
  readonly #tables: TableStore;
  readonly #connections: Connections;
  readonly #clock: Clock;

  constructor(connections: Connections, clock: Clock) {
    this.#connections = connections;
    this.#tables = connections.tables('cassandra', {});
    this.#clock = clock;
  }

  /** Newest first. `more`: there are others. Throws: STORE_UNAVAILABLE, SINK_UNAVAILABLE. */
  async list(
    job: string,
    filter: LetterFilter,
  ): Promise<{ readonly letters: DeadLetterView[]; readonly more: boolean }> {
    const wanted = filter.limit + 1;
    const letters: DeadLetterView[] = [];
    for (const place of places(await this.#buckets(job), filter)) {
      const found: DeadLetterView[] = [];
      for (const bucket of place) {
        const before = filter.before === undefined ? '' : ` AND "offset" < ${filter.before}`;
        const cql =
          `SELECT ${LETTER_COLUMNS} FROM ${TABLE} WHERE ${bucketCondition(job, bucket)}${before} ` +
          `ORDER BY "offset" DESC LIMIT ${wanted - found.length}`;
        found.push(...(await this.#tables.query(cql)).rows.map(letterOf));
        if (found.length >= wanted) break;
      }
      letters.push(...found);
    }
    letters.sort((a, b) => b.run - a.run || (b.recordTime ?? 0) - (a.recordTime ?? 0) || b.offset - a.offset);
    return { letters: letters.slice(0, filter.limit), more: letters.length > filter.limit };
  }

  /**
   * Produces records again to their partition of their topic, the value replaced where one is given; how many, and to
   * which topics. The dead letters stay. Throws: NOT_FOUND, CONFLICT for a value that was cut, what the log throws.
   */
  async replay(
    view: JobView,
    letters: readonly (LetterKey & { readonly value?: string | undefined })[],
  ): Promise<{ readonly replayed: number; readonly to: string[] }> {
    const job = view.row.name;
    const records = [];
    for (const letter of letters) {
      const found = await this.#letter(job, letter);
      const source = view.sources.find(({ topic }) => topic === letter.topic);
      if (source === undefined)
        throw new WeirError('CONFLICT', `Job ${job} does not read topic ${letter.topic} any more; nothing was sent.`);
      const edited = letter.value === undefined ? undefined : Buffer.from(letter.value, 'base64');
      const stored = found.value === null ? null : Buffer.from(found.value, 'base64');
      if (edited === undefined && stored !== null && stored.byteLength !== found.valueBytes)
        throw new WeirError(
          'CONFLICT',
          `The record at offset ${letter.offset} of ${letter.topic}/${letter.partition} has ${found.valueBytes} bytes, of which ` +
            `${stored.byteLength} were kept; send its whole value along. Nothing was sent.`,
        );
      records.push({ letter, source, key: found.key, value: edited ?? stored });
    }
    for (const { letter, source, key, value } of records) {
      const where = `${job}/${letter.run}/${letter.topic}/${letter.partition}/${letter.offset}`;
      const batch = encodeRecordBatch([
        {
          key: key === null ? null : Buffer.from(key, 'base64'),
          value,
          headers: [[REPLAY_HEADER, Buffer.from(where)]],
          timestampMs: this.#clock.now(),
        },
      ]);
      const writer = this.#connections.logWriter(source.connector, source.options);
      await writer.append([{ topic: letter.topic, partition: partitionOf(letter.partition), batch }], always);
    }
    return { replayed: records.length, to: [...new Set(records.map(({ letter }) => letter.topic))] };
  }

  /** Deletes dead letters; how many there were. Throws: STORE_UNAVAILABLE, SINK_UNAVAILABLE. */
  async purge(job: string, letters: readonly LetterKey[]): Promise<number> {
    const rows: Uint8Array[] = [];
    for (const letter of letters) {
      const { rows: found } = await this.#tables.query(
        `SELECT writetime(code) FROM ${TABLE} WHERE ${letterCondition(job, letter)}`,
      );
      const written = found[0]?.[0];
      if (written === undefined) continue;
      // Above the row's own time, which follows its record's and may be ahead of the clock.
      const time = Math.max(this.#clock.now() * 1000, Number(written ?? 0) + 1);
      rows.push(deleteRow(job, letter, time));
    }
    if (rows.length === 0) return 0;
    const table = await this.#tables.open(deadLetterShape);
    try {
      await table.write({ bytes: Buffer.concat(rows), rowCount: rows.length }, always);
    } finally {
      await table.close();
    }
    return rows.length;
  }

  async #letter(job: string, letter: LetterKey): Promise<DeadLetterView> {
    const cql = `SELECT ${LETTER_COLUMNS} FROM ${TABLE} WHERE ${letterCondition(job, letter)}`;
    const [row] = (await this.#tables.query(cql)).rows;
    if (row !== undefined) return letterOf(row);
    throw new WeirError(
      'NOT_FOUND',
      `Job ${job} has no dead letter of run ${letter.run} at offset ${letter.offset} of ${letter.topic}/${letter.partition}; nothing was sent.`,
    );
  }

  /** Where the job has dead letters. */
  async #buckets(job: string): Promise<Bucket[]> {
    if ((await this.#tables.describe(deadLetterTable.keyspace, deadLetterTable.table)) === undefined) return [];
    let result: QueryResult;
    if (this.#connections.describe().tables.startsWith('cassandra'))
      result = await this.#tables.query(`SELECT DISTINCT ${BUCKET_COLUMNS} FROM ${TABLE}`);
    else
      result = await this.#tables.query(
        `SELECT ${BUCKET_COLUMNS} FROM ${TABLE} WHERE job = ${text(job)} LIMIT ${SCAN_ROWS_MAX} ALLOW FILTERING`,
      );
    const seen = new Map<string, Bucket>();
    for (const [owner, run, topic, partition, bucket] of result.rows) {
      if (owner !== job) continue;
      const found = { run: Number(run), topic: String(topic), partition: Number(partition), bucket: Number(bucket) };
      seen.set(`${found.run}/${found.topic}/${found.partition}/${found.bucket}`, found);
    }
    return [...seen.values()];
  }
}

/** Buckets by run and partition, newest first within each, newest run first. */
function places(buckets: readonly Bucket[], filter: LetterFilter): Bucket[][] {
  const groups = new Map<string, Bucket[]>();
  for (const bucket of buckets) {
    if (filter.run !== undefined && bucket.run !== filter.run) continue;
    if (filter.topic !== undefined && bucket.topic !== filter.topic) continue;
    if (filter.partition !== undefined && bucket.partition !== filter.partition) continue;
    if (filter.before !== undefined && bucket.bucket * DEAD_LETTER_BUCKET_OFFSETS >= filter.before) continue;
    const key = `${bucket.run}/${bucket.topic}/${bucket.partition}`;
    groups.set(key, [...(groups.get(key) ?? []), bucket]);
  }
  return [...groups.values()]
    .map((group) => group.toSorted((a, b) => b.bucket - a.bucket))
    .toSorted((a, b) => (b[0]?.run ?? 0) - (a[0]?.run ?? 0));
}

function letterOf(row: readonly unknown[]): DeadLetterView {
  const [run, topic, partition, offset, code, place, time, key, value, valueBytes] = row;
  const recordTime = time === null ? Number.NaN : Date.parse(String(time));
  const known = Object.hasOwn(errorTable, String(code)) ? errorTable[String(code) as ErrorCode].text : '';
  return {
    run: Number(run),
    topic: String(topic),
    partition: Number(partition),
    offset: Number(offset),
    code: String(code),
    reason: known,
    place: place === null ? '' : String(place),
    recordTime: Number.isNaN(recordTime) ? null : recordTime,
    key: base64(key),
    value: base64(value),
    valueBytes: valueBytes === null ? null : Number(valueBytes),
  };
}

/** Queries print a blob as 0x and hex digits. */
function base64(blob: unknown): string | null {
  return typeof blob === 'string' ? Buffer.from(blob.replace(/^0x/, ''), 'hex').toString('base64') : null;
}

function bucketCondition(job: string, { run, topic, partition, bucket }: Bucket): string {
  return `job = ${text(job)} AND run = ${run} AND topic = ${text(topic)} AND "partition" = ${partition} AND bucket = ${bucket}`;
}

function bucketOf(offset: number): number {
  return Math.floor(offset / DEAD_LETTER_BUCKET_OFFSETS);
}

function letterCondition(job: string, letter: LetterKey): string {
  const bucket = bucketOf(letter.offset);
  return `${bucketCondition(job, { ...letter, bucket })} AND "offset" = ${letter.offset}`;
}

/** A text literal of CQL. */
function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** A row of a RowBlock that deletes one dead letter. `timeUs` is its write time. */
function deleteRow(job: string, letter: LetterKey, timeUs: number): Buffer {
  const body = Buffer.concat([
    sized(Buffer.from(job)),
    sized(int(letter.run)),
    sized(Buffer.from(letter.topic)),
    sized(int(letter.partition)),
    sized(long(bucketOf(letter.offset))),
    sized(long(letter.offset)),
    sized(long(timeUs)),
  ]);
  const head = Buffer.alloc(ROW_HEADER_BYTES);
  head.writeUInt32BE(body.byteLength, 0);
  head.writeUInt8(ROW_OP_DELETE, 4);
  return Buffer.concat([head, body]);
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([int(bytes.byteLength), bytes]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
