/**
 * Rows of epochs as files, exactly once. Every worker writes its files where nobody looks; the one that finds the parts of
 * all workers of its attempt there names them in the log, which is created once per epoch: of two attempts that are whole
 * the first counts, and both hold the same rows.
 *
 *   files → this worker's part → are the parts of all there? → entry of the log (created, never replaced) → last names
 *
 * Nobody has to tell a worker that the epoch was committed: before the last worker is done, the entry is there, and
 * whoever does the epoch again finds it.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { assert, must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { SinkStats } from '../../core/ports.ts';
import type { BatchPart, EpochPlace, RowBatch, RowFormat, RowSink } from '../../core/row-sink.ts';
import { fileFailure } from './failures.ts';
import type { CompactorParts } from './compactor.ts';
import { Compactor } from './compactor.ts';
import type { FilePlace } from './file-place.ts';
import type { LogEntry, LoggedFile } from './files-log.ts';
import { entryName, entryOf, giveName, padded, readEntry, stagingFolder } from './files-log.ts';
import { joinParquet } from './join-files.ts';

const compressed = promisify(gzip);

export interface FilesSinkParts {
  readonly job: string;
  readonly place: FilePlace;
  readonly format: RowFormat;
  readonly gzip: boolean;
  /** Absent = small files stay as they are. */
  readonly compact?: Pick<CompactorParts, 'below' | 'everyMs' | 'onMerged' | 'onFailure'>;
  readonly clock: Clock;
  readonly rng: Rng;
}

export class FilesSink implements RowSink {
  readonly #parts: FilesSinkParts;
  readonly #compactor: Compactor | null;
  readonly #closing = new AbortController();
  #inFlight = 0;
  #retries = 0;
  #blockedBy: string | null = null;

  constructor(parts: FilesSinkParts) {
    this.#parts = parts;
    const { job, place, format, gzip: isGzip, compact, clock, rng } = parts;
    if (compact === undefined || format.kind === 'postgres') {
      this.#compactor = null;
      return;
    }
    const kind = { format: format.kind === 'json' ? 'ndjson' : format.kind, gzip: isGzip } as const;
    this.#compactor = new Compactor({ job, place, kind, suffix: this.#suffix, ...compact, clock, rng });
  }

  async write({ place, parts }: RowBatch, permit: WritePermit): Promise<void> {
    assert(place.kind === 'epoch', () => `job ${this.#parts.job} writes files, which needs epochs`);
    if (place.worker === 0) this.#compactor?.tick();
    if (place.workers === 1 && parts.length === 0) return;
    const { clock, rng } = this.#parts;
    this.#inFlight++;
    try {
      for (let attempt = 0; ; attempt++) {
        permit.check();
        this.#closing.signal.throwIfAborted();
        try {
          await this.#attempt(place, parts, permit);
          this.#blockedBy = null;
          return;
        } catch (error) {
          const failure = fileFailure(error, this.#name());
          if (!failure.retryable) throw failure;
          this.#retries++;
          this.#blockedBy = failure.message;
          await clock.sleep(backoffMs(rng, attempt), this.#closing.signal);
        }
      }
    } finally {
      this.#inFlight--;
    }
  }

  stats(): SinkStats {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: this.#blockedBy };
  }

  async close(): Promise<void> {
    this.#closing.abort(new WeirError('FENCED', `${this.#name()} was closed`));
    await this.#compactor?.close();
  }

  async #attempt(place: EpochPlace, parts: readonly BatchPart[], permit: WritePermit): Promise<void> {
    const own = await this.#writeFiles(place, parts);
    permit.check();
    const files = place.workers === 1 ? own : await this.#partsOfAll(place, own);
    if (files === null) return;
    if (files.length > 0) await this.#publish(place, files);
    if (place.workers > 1) await this.#removeParts(place);
  }

  async #writeFiles(place: EpochPlace, parts: readonly BatchPart[]): Promise<LoggedFile[]> {
    const byDirectory = new Map<string, BatchPart[]>();
    for (const part of parts) byDirectory.set(part.directory, [...(byDirectory.get(part.directory) ?? []), part]);
    const files: LoggedFile[] = [];
    for (const [directory, some] of byDirectory) {
      const bytes = await this.#fileOf(some);
      const file = {
        ...this.#nameOf(place, directory, files.length),
        rows: some.reduce((sum, { rowCount }) => sum + rowCount, 0),
        bytes: bytes.byteLength,
      };
      await this.#parts.place.write(file.staged ?? file.name, bytes);
      files.push(file);
    }
    return files;
  }

  /** Where files move, only files that count have names that readers look at; elsewhere the name tells attempts apart. */
  #nameOf(place: EpochPlace, directory: string, index: number): Pick<LoggedFile, 'name' | 'staged'> {
    const { job, run, epoch, token, attempt, worker } = place;
    const folder = directory === '' ? '' : `${directory}/`;
    const base = `${folder}${job}-r${padded(run, 4)}-e${padded(epoch, 9)}-${worker}`;
    if (!this.#parts.place.moves) return { name: `${base}-t${token}a${attempt}${this.#suffix}` };
    return { name: `${base}${this.#suffix}`, staged: `${stagingFolder(place)}${worker}-${index}.staged` };
  }

  get #suffix(): string {
    const { format, gzip: isGzip } = this.#parts;
    const kind = { json: '.ndjson', csv: '.csv', parquet: '.parquet', postgres: '.bin' }[format.kind];
    return `${kind}${isGzip ? '.gz' : ''}`;
  }

  async #fileOf(parts: readonly BatchPart[]): Promise<Uint8Array> {
    const { format, gzip: isGzip } = this.#parts;
    const pieces = parts.map(({ bytes }) => bytes);
    if (format.kind === 'parquet') return joinParquet(pieces);
    const header =
      format.kind === 'csv'
        ? [Buffer.from(`${format.columns.map(({ name }) => csvName(name, format.delimiter)).join(format.delimiter)}\n`)]
        : [];
    const whole = Buffer.concat([...header, ...pieces]);
    return isGzip ? await compressed(whole) : whole;
  }

  /** The files of all workers of the attempt; null while some are not there: the last one to come sees all. */
  async #partsOfAll(place: EpochPlace, own: readonly LoggedFile[]): Promise<readonly LoggedFile[] | null> {
    const { place: files } = this.#parts;
    const folder = stagingFolder(place);
    await files.write(`${folder}${place.worker}.json`, Buffer.from(JSON.stringify(entryOf(place, own))));
    const names = (await files.list(folder)).map(({ name }) => name).filter((name) => name.endsWith('.json'));
    if (names.length < place.workers) return null;
    const entries = await Promise.all(names.map((name) => readEntry(files, name)));
    // Gone again: somebody else saw all of them and is through.
    if (entries.includes(undefined)) return null;
    return entries.flatMap((entry) => must(entry, () => 'a part that is gone').files);
  }

  async #publish(place: EpochPlace, files: readonly LoggedFile[]): Promise<void> {
    const { place: there } = this.#parts;
    const entry = entryOf(place, files);
    const name = entryName(entry);
    const isFirst = await there.create(name, Buffer.from(`${JSON.stringify(entry)}\n`));
    const counts: LogEntry = isFirst
      ? entry
      : must(await readEntry(there, name), () => `the entry ${name} is there and cannot be read`);
    for (const file of counts.files) await giveName(there, place.job, file);
    if (isFirst) return;
    const kept = new Set(counts.files.flatMap(({ name: own, staged }) => [own, staged]));
    const others = files.map((file) => file.staged ?? file.name).filter((own) => !kept.has(own));
    await there.remove(others);
  }

  async #removeParts(place: EpochPlace): Promise<void> {
    const folder = stagingFolder(place);
    await this.#parts.place.remove(Array.from({ length: place.workers }, (_, worker) => `${folder}${worker}.json`));
  }

  #name(): string {
    return `job ${this.#parts.job}, files ${this.#parts.place.description}`;
  }
}

function csvName(name: string, delimiter: string): string {
  return name.includes(delimiter) || /["\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
