/**
 * Fills the topic of a feed. It runs beside the reader of the topic's first partition, so there is one while everything
 * is well; that never two of them append is the log's doing (ExclusiveWriter). `run` is the whole of it:
 *
 *   take the log → read its tail (cursor, latest rows) → step, drop what is known, append rows and cursor → wait → …
 *
 * Any failure to append begins at the top: the log says how far the feed really is.
 */
import { createHash } from 'node:crypto';
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError, codeOf, isWeirError, messageOf } from '../../core/errors.ts';
import { pauseAfterFailure } from '../../core/feed/backoff.ts';
import type { Feed, FeedStep, Json } from '../../core/feed/feed.ts';
import { CURSOR_HEADER } from '../../core/feed/feed.ts';
import { SeenRows } from '../../core/feed/seen.ts';
import type { PlannedFeed } from '../../core/job/feed-topics.ts';
import type { Offset } from '../../core/ids.ts';
import { partition } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { Connections, ExclusiveWriter, Log } from '../../core/ports.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import { must } from '../../core/assert.ts';
import type { PlannedSource } from '../../engine/plan/job-plan.ts';
import type { FeedObserver } from './feed-observer.ts';
import { readTail } from './read-tail.ts';

/** Feeds append to the first partition. */
const PARTITION = partition(0);
/** Bytes of rows appended at once. */
const APPEND_BYTES_MAX = 4 * 1024 * 1024;
/** A row beyond would be refused by most brokers, with all that come after it. */
const ROW_BYTES_MAX = 900 * 1024;
/** While this worker may not write, or the job is far behind, it looks again so often, ms. */
const LOOK_INTERVAL_MS = 200;
/** The feed waits while the job has more than about so many bytes of it before it: logs in memory are bounded. */
const BEHIND_BYTES_MAX = 64 * 1024 * 1024;
/** What a row takes in the log beside its value, about. */
const ROW_OVERHEAD_BYTES = 50;

export interface FeederParts {
  readonly job: string;
  readonly source: PlannedSource;
  readonly feed: PlannedFeed;
  readonly connections: Connections;
  /** Opens the place that is read. */
  readonly open: (feed: PlannedFeed) => Promise<Feed>;
  /** Absent: the log alone decides who may write. */
  readonly permit?: WritePermit;
  /** Records of the topic that the job has not processed yet, as far as it is known. */
  readonly behind?: () => number;
  /** Called when {@link Feeder.blockedBy} became another reason. */
  readonly onBlocked?: () => void;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly observer: FeedObserver;
}

/** What is open between two failures. */
interface OpenLog {
  readonly writer: ExclusiveWriter;
  readonly seen: SeenRows;
  cursor: Json;
  /** Where the log ended when it was opened; null once something was appended. */
  end: Offset | null;
}

export class Feeder {
  readonly #parts: FeederParts;
  readonly #encoder = new TextEncoder();
  /** Cursors of another place are not this one's. */
  readonly #place: string;
  /** Rows appended by this feeder, and their bytes. */
  #rows = 0;
  #bytes = 0;
  #feed: Feed | null = null;
  #log: OpenLog | null = null;
  #blockedBy: WeirError | null = null;
  #failures = 0;

  constructor(parts: FeederParts) {
    this.#parts = parts;
    this.#place = placeOf(parts.feed);
  }

  /** Why nothing is read at the moment; null while all is well. */
  get blockedBy(): { readonly code: string; readonly message: string } | null {
    return this.#blockedBy;
  }

  /** Runs until the signal is aborted. Failures are met with another attempt, for ever. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#run(signal, () => false);
  }

  /**
   * As {@link run}, but only until everything that is there has been appended. Where the partition ends then: all of it
   * is before that offset, and readers will see it. null when the signal was aborted before.
   */
  async fetchAll(signal: AbortSignal): Promise<Offset | null> {
    return await this.#run(signal, ({ caughtUp }) => caughtUp);
  }

  async #run(signal: AbortSignal, isLast: (step: FeedStep) => boolean): Promise<Offset | null> {
    const { clock, rng, permit } = this.#parts;
    try {
      while (!signal.aborted) {
        if ((permit !== undefined && !permit.valid()) || this.#isFarAhead()) {
          await clock.sleep(LOOK_INTERVAL_MS, signal);
          continue;
        }
        try {
          const step = await this.#step(signal);
          const end = isLast(step) ? await this.#end(signal) : null;
          this.#unblock();
          if (end !== null) return end;
          if (step.waitMs > 0) await clock.sleep(step.waitMs, signal);
        } catch (error) {
          if (signal.aborted) break;
          this.#blocked(error);
          await clock.sleep(pauseAfterFailure(error, this.#failures++, rng), signal);
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#parts.log.error({ err: error }, messageOf(error));
    } finally {
      await this.#closeLog();
      await this.#feed?.close().catch(() => undefined);
      this.#feed = null;
      this.#parts.observer.left();
    }
    return null;
  }

  async #step(signal: AbortSignal): Promise<FeedStep> {
    const { observer, clock } = this.#parts;
    this.#log ??= await this.#openLog(signal);
    const open = this.#log;
    this.#feed ??= await this.#parts.open(this.#parts.feed);
    const step = await this.#feed.next(open.cursor, signal, (id) => open.seen.knows(id));
    const fresh = await this.#append(open, step);
    open.cursor = step.cursor;
    await this.#feed.appended?.(step.cursor);
    observer.polled(fresh, step.rows.length - fresh, clock.now());
    return step;
  }

  async #openLog(signal: AbortSignal): Promise<OpenLog> {
    const { connections, source, feed } = this.#parts;
    const { connector, options, topic } = source;
    const writer = await this.#openWriter();
    try {
      const seen = new SeenRows(feed.remember);
      const place = connections.source(connector, options);
      const { cursor, records } = await readTail(place, topic, PARTITION, writer.end, feed.remember, signal);
      for (const { key, value } of records) {
        const print = fingerprint(value);
        seen.add(key ?? print, print);
      }
      return { writer, seen, cursor: this.#ownCursor(cursor), end: writer.end };
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  /** Takes the log from whoever wrote to it. */
  async #openWriter(): Promise<ExclusiveWriter> {
    const { connections, source, job } = this.#parts;
    const { connector, options, topic, name } = source;
    const logWriter = connections.logWriter(connector, options);
    if (logWriter.openExclusive === undefined)
      throw new WeirError('UNSUPPORTED', `job ${job}: the log of source ${name} has no writer for feeds`);
    return await logWriter.openExclusive(topic, PARTITION, `weir.${job}.${name}`);
  }

  /**
   * Where the log ends with all that was appended. The end as readers see it may still be before a transaction that was
   * committed a moment ago; opening the log anew waits for it.
   */
  async #end(signal: AbortSignal): Promise<Offset> {
    const appendedTo = this.#log;
    if (appendedTo !== null && appendedTo.end !== null) return appendedTo.end;
    await this.#closeLog();
    signal.throwIfAborted();
    const writer = await this.#openWriter();
    await writer.close();
    return writer.end;
  }

  #ownCursor(kept: Json): Json {
    if (typeof kept !== 'object' || kept === null || !('place' in kept) || kept['place'] !== this.#place) return null;
    return kept['cursor'] ?? null;
  }

  /** Appends what is new of a step, with its cursor; how many rows that was. */
  async #append(open: OpenLog, { rows, cursor }: FeedStep): Promise<number> {
    const { writer, seen } = open;
    const { clock, feed, permit, observer, log } = this.#parts;
    const timestampMs = clock.now();
    const records: RecordToEncode[] = [];
    const prints = new Map<string, string>();
    for (const { id, value } of rows) {
      if (value.byteLength > ROW_BYTES_MAX) {
        observer.refused();
        log.warn({ bytes: value.byteLength }, `${this.#name()}: a row of more than ${ROW_BYTES_MAX} bytes is left out`);
        continue;
      }
      const print = feed.remember === 0 && id !== null ? '' : fingerprint(value);
      const key = id ?? print;
      if (feed.remember > 0 && (prints.get(key) === print || (!prints.has(key) && seen.has(key, print)))) continue;
      prints.set(key, print);
      records.push({ key: this.#encoder.encode(key), value, timestampMs });
    }
    const last = records.at(-1);
    if (last === undefined) return 0;
    const header = this.#encoder.encode(JSON.stringify({ place: this.#place, cursor }));
    records[records.length - 1] = { ...last, headers: [[CURSOR_HEADER, header]] };
    try {
      // Only the last part has the cursor: after a crash between them the first ones are known by their ids.
      for (const part of parts(records)) {
        permit?.check();
        open.end = null;
        await writer.append(part);
        this.#rows += part.length;
        for (const { value } of part) this.#bytes += (value?.byteLength ?? 0) + ROW_OVERHEAD_BYTES;
      }
    } catch (error) {
      await this.#closeLog();
      throw error;
    }
    if (feed.remember > 0) for (const [key, print] of prints) seen.add(key, print);
    return records.length;
  }

  #isFarAhead(): boolean {
    const { behind } = this.#parts;
    if (behind === undefined || this.#rows === 0) return false;
    return behind() * (this.#bytes / this.#rows) > BEHIND_BYTES_MAX;
  }

  async #closeLog(): Promise<void> {
    const open = this.#log;
    this.#log = null;
    await open?.writer.close().catch(() => undefined);
  }

  #blocked(error: unknown): void {
    const { log, observer } = this.#parts;
    const code = codeOf(error);
    observer.failed(code);
    // Said once, and again when it is for another reason.
    if (this.#blockedBy?.code !== code) {
      if (isWeirError(error)) log.warn({ source: this.#parts.source.name, code }, `${this.#name()}: ${error.message}`);
      else log.error({ source: this.#parts.source.name, err: error }, `${this.#name()}: ${messageOf(error)}`);
    }
    const before = this.#blockedBy;
    this.#blockedBy = isWeirError(error) ? error : new WeirError('INTERNAL', messageOf(error), { cause: error });
    if (before?.message !== this.#blockedBy.message) this.#parts.onBlocked?.();
  }

  #unblock(): void {
    this.#failures = 0;
    if (this.#blockedBy === null) return;
    this.#blockedBy = null;
    this.#parts.onBlocked?.();
  }

  #name(): string {
    return `job ${this.#parts.job}, source ${this.#parts.source.name}`;
  }
}

/** The same for as long as the cursor means the same. */
function placeOf({ spec }: PlannedFeed): string {
  switch (spec.connector) {
    case 'generator':
      return `generator ${spec.seed}`;
    case 'http':
      return `http ${spec.url} ${Object.keys(spec.paging ?? {}).join()}`;
    case 'file':
      return `file ${spec.path}`;
    case 'websocket':
    case 'browser':
      return `${spec.connector} ${spec.url}`;
    case 'package':
      return `${spec.name} ${JSON.stringify(spec.options)}`;
  }
}

/** 132 bits of the content's hash. */
function fingerprint(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('base64url').slice(0, 22);
}

function parts(records: readonly RecordToEncode[]): RecordToEncode[][] {
  const all: RecordToEncode[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const record of records) {
    const size = must(record.value, () => 'rows of feeds have values').byteLength;
    bytes += size;
    if (bytes > APPEND_BYTES_MAX) {
      all.push([]);
      bytes = size;
    }
    all.at(-1)?.push(record);
  }
  return all;
}
