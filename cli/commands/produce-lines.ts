/** `weir produce TOPIC`: lines of a file, or of standard input, become records of a topic. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { LogWriter } from '../../core/ports.ts';
import type { ProducerRecord } from '../../sdk/producer.ts';
import { pause } from '../../sdk/producer.ts';
import { RecordBatcher } from '../record-batcher.ts';

export interface ProduceLinesOptions {
  readonly topic: string;
  /** Made with so many partitions where it is missing. */
  readonly partitions: number;
  /** null = standard input. */
  readonly file: string | null;
  /** Field of each line, a JSON object, whose text is the record's key; null = records without a key. */
  readonly key: string | null;
  /** Records per second; 0 = as fast as the log takes them. */
  readonly rate: number;
  /** Most lines that are taken; Infinity = all. */
  readonly count: number;
  readonly writer: LogWriter;
  readonly clock: Clock;
  /** Ends it; what was read until then is still written. */
  readonly signal: AbortSignal;
}

/** Lines that are handed over together. */
const STEP_LINES_MAX = 1000;

/**
 * Resolves with the number of records, all of them acknowledged. Lines without anything in them are left out.
 *
 * Throws: NOT_FOUND for a file that cannot be read; CONFIG_INVALID with the line that has no key; SINK_UNAVAILABLE,
 * SINK_REFUSED, UNAUTHORIZED from the log.
 */
export async function produceLines(options: ProduceLinesOptions): Promise<number> {
  const { topic, partitions, file, rate, count, writer, clock, signal } = options;
  const input = file === null ? process.stdin : await opened(file);
  const ended = new AbortController();
  try {
    await writer.createTopic(topic, partitions);
    const batcher = new RecordBatcher(writer, topic, await writer.partitionCount(topic), clock);
    const startedAt = clock.mono();
    let sent = 0;
    const stepMax = rate > 0 ? Math.min(STEP_LINES_MAX, Math.max(1, Math.floor(rate / 20))) : STEP_LINES_MAX;
    const lines = recordsOf(input, { ...options, signal: AbortSignal.any([signal, ended.signal]) });
    try {
      for await (const records of inSteps(lines, stepMax)) {
        const due = records.slice(0, count - sent);
        await batcher.send(due);
        sent += due.length;
        if (sent >= count || signal.aborted) break;
        if (rate > 0) await pause(clock, Math.max(0, startedAt + (sent * 1000) / rate - clock.mono()), signal);
      }
    } finally {
      await batcher.flush();
    }
    return batcher.sentRecords;
  } finally {
    // Closes the reader of lines: standard input would keep the process.
    ended.abort();
    if (file !== null) input.destroy();
  }
}

async function opened(file: string): Promise<Readable> {
  const stream = createReadStream(file);
  return await new Promise((resolve, reject) => {
    stream.once('open', () => resolve(stream));
    stream.once('error', (error) =>
      reject(new WeirError('NOT_FOUND', `The file ${file} cannot be read: ${messageOf(error)}.`, { cause: error })),
    );
  });
}

async function* recordsOf(input: Readable, options: ProduceLinesOptions): AsyncGenerator<ProducerRecord> {
  const { file, key, signal } = options;
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, signal });
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === '') continue;
    yield { key: key === null ? null : keyOf(line, key, `line ${number} of ${file ?? 'standard input'}`), value: line };
  }
}

function keyOf(line: string, field: string, place: string): string {
  let object: Readonly<Record<string, unknown>> | null = null;
  try {
    object = JSON.parse(line) as Readonly<Record<string, unknown>> | null;
  } catch {
    // Said below.
  }
  const value = typeof object === 'object' ? object?.[field] : undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new WeirError(
    'CONFIG_INVALID',
    `${place} is not a JSON object with a text or a number in ${field}, which --key names; the lines before it were produced.`,
  );
}

/** What is there at once, up to `max`: somebody who types sees each line go. What comes before a failure is given first. */
async function* inSteps<T>(items: AsyncGenerator<T>, max: number): AsyncGenerator<T[]> {
  const failures: unknown[] = [];
  // Nobody may be waiting when it fails.
  const ask = (): Promise<IteratorResult<T>> =>
    items.next().catch((error: unknown) => {
      failures.push(error);
      return { done: true, value: undefined };
    });
  let step: T[] = [];
  for (let next = ask(); ;) {
    // A turn of the event loop in which nothing comes ends the step.
    const idle = step.length === 0 ? null : new Promise<null>((resolve) => setImmediate(resolve, null));
    const item = await (idle === null ? next : Promise.race([next, idle]));
    if (item === null) {
      yield step;
      step = [];
      continue;
    }
    if (item.done === true) break;
    step.push(item.value);
    next = ask();
    if (step.length < max) continue;
    yield step;
    step = [];
  }
  if (step.length > 0) yield step;
  if (failures.length > 0) throw failures[0];
}
