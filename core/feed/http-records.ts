/** The records in an answer of an HTTP API. */
import { WeirError, messageOf } from '../errors.ts';
import type { HttpSpec } from '../job/feed-spec.ts';
import { csvObjects } from './csv-rows.ts';
import type { FeedRow } from './feed.ts';
import { parseJson, textOf, valueAt } from './json-path.ts';
import { xmlValue } from './xml-value.ts';

const encoder = new TextEncoder();

export interface HttpRecords {
  /** All of it as one value, for the paths of paging; undefined where it is none. */
  readonly whole: unknown;
  readonly records: readonly unknown[];
}

/** Throws: FEED_MALFORMED for an answer that is not what the options say. */
export function recordsOf(place: string, spec: HttpSpec, text: string): HttpRecords {
  try {
    return read(spec, text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `${place} answered something that is not ${spec.response}: ${messageOf(error)}.`;
    throw new WeirError('FEED_MALFORMED', message, { cause: error });
  }
}

function read(spec: HttpSpec, text: string): HttpRecords {
  switch (spec.response) {
    case 'json':
      return fromWhole(parseJson(text), spec.records);
    case 'xml':
      return fromWhole(xmlValue(text), spec.records);
    case 'csv':
      return { whole: undefined, records: csvObjects(text) };
    case 'ndjson':
      return { whole: undefined, records: linesOf(text).map(parseJson) };
    case 'text':
      return { whole: undefined, records: linesOf(text) };
  }
}

function fromWhole(whole: unknown, path: string): HttpRecords {
  const found = valueAt(whole, path);
  if (found === undefined) throw new SyntaxError(`it has no ${path}`);
  if (found === null) return { whole, records: [] };
  return { whole, records: Array.isArray(found) ? found : [found] };
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** A record as a row of the log: text as it is, everything else as JSON. */
export function rowOf(record: unknown, idPath: string | undefined): FeedRow {
  const id = idPath === undefined ? undefined : textOf(valueAt(record, idPath));
  const text = typeof record === 'string' ? record : JSON.stringify(record);
  return { id: id ?? null, value: encoder.encode(text) };
}
