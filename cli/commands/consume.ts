/** `weir consume`: the records of a topic, as they stand there or as they come. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import type { DecodedRecord } from '../../master/lab.ts';
import { MasterClient } from '../client.ts';
import { wholeNumber } from '../names.ts';
import { printLine, tell } from '../output.ts';
import { RowTable } from '../row-table.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';
import { stopSignal } from '../stop-signal.ts';

export interface ConsumeOptions extends GlobalOptions {
  readonly from: string;
  readonly partition?: string;
  readonly limit: string;
  readonly follow?: boolean;
  readonly records?: string;
}

interface Records {
  readonly records: readonly DecodedRecord[];
  readonly next: Readonly<Record<string, number>>;
}

/** What a master gives at most. */
const AT_A_TIME = 1000;
const FOLLOW_INTERVAL_MS = 500;

/**
 * `weir consume TOPIC [--from earliest|latest|OFFSET|TIME] [--partition N] [--limit N] [-f] [--records N]`. With -f until
 * Ctrl-C, or until there were --records of them. Throws: USAGE, TOPIC_NOT_FOUND.
 */
export async function consume(topic: string, options: ConsumeOptions): Promise<void> {
  const json = outputFormat(options, ['table', 'json']) === 'json';
  const follows = options.follow === true || options.records !== undefined;
  const limit = wholeNumber(options.limit, '--limit', 0, AT_A_TIME);
  let left = options.records === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.records, '--records', 1);
  const place = fromOf(options.from);
  const partition = options.partition === undefined ? 'all' : String(wholeNumber(options.partition, '--partition'));
  const client = new MasterClient(target(options));
  const ask = async (query: Readonly<Record<string, string>>): Promise<Records> =>
    await client.request(
      'GET',
      `/v1/topics/${encodeURIComponent(topic)}/records?${new URLSearchParams({ partition, ...query }).toString()}`,
    );
  const table = new RowTable();
  const show = (records: readonly DecodedRecord[]): void => {
    const shown = records.slice(0, Math.min(records.length, left));
    left -= shown.length;
    if (json) for (const record of shown) printLine(documentOf(topic, record));
    else if (shown.length > 0) table.print(heads, shown.map(rowOf));
  };
  const first = await ask({ from: place, limit: String(Math.max(1, limit)) });
  // Of the newest ones the last, of those from a place on the first; who follows from a place on misses none.
  if (place === 'latest') show(limit === 0 ? [] : first.records.slice(-limit));
  else show(follows ? first.records : first.records.slice(0, limit));
  if (!follows) {
    if (first.records.length === 0) tell(`no records in ${topic}`);
    return;
  }
  const stop = stopSignal();
  let { next } = first;
  let caughtUp = place === 'latest';
  while (left > 0 && !stop.aborted) {
    if (caughtUp) await sleep(FOLLOW_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) return;
    const after = Object.entries(next)
      .map(([one, at]) => `${one}:${at}`)
      .join(',');
    const news = await ask({ after, limit: String(AT_A_TIME) });
    next = news.next;
    // Fewer than one partition may give at a time: none has more.
    caughtUp = news.records.length < Math.ceil(AT_A_TIME / Math.max(1, Object.keys(next).length));
    show(news.records);
  }
}

/** As REST takes it. Throws: USAGE. */
function fromOf(text: string): string {
  if (text === 'earliest' || text === 'latest' || /^\d{1,15}$/.test(text)) return text;
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw new WeirError(
      'USAGE',
      `--from ${text} is no place in a topic; write earliest, latest, an offset or a time: 2024-05-01T12:00:00Z.`,
    );
  return `ts:${time}`;
}

const heads = ['PARTITION', 'OFFSET', 'TIME', 'KEY', 'VALUE'];

function rowOf({ partition, offset, timestampMs, key, value }: DecodedRecord): string[] {
  return [
    String(partition),
    String(offset),
    timeOf(timestampMs) ?? '-',
    textOf(key)?.text ?? '-',
    textOf(value)?.text ?? 'null',
  ];
}

/** Bytes that are no text stand there as base64, under a name that says so. */
function documentOf(topic: string, record: DecodedRecord): object {
  const { partition, offset, timestampMs, headers, valueBytes } = record;
  const [key, value] = [textOf(record.key), textOf(record.value)];
  return {
    topic,
    partition,
    offset,
    time: timeOf(timestampMs),
    ...(key?.isText === false ? { keyBase64: key.text } : { key: key?.text ?? null }),
    ...(value?.isText === false ? { valueBase64: value.text } : { value: value?.text ?? null }),
    valueBytes,
    headers,
  };
}

function timeOf(ms: number): string | null {
  return ms < 0 ? null : new Date(ms).toISOString();
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** base64 as text, where it is text. */
function textOf(base64: string | null): { readonly text: string; readonly isText: boolean } | null {
  if (base64 === null) return null;
  try {
    return { text: utf8.decode(Buffer.from(base64, 'base64')), isText: true };
  } catch {
    return { text: base64, isText: false };
  }
}
