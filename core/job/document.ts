/** A job file as a plain value and back: for those who change a few keys of it and leave the rest as written. */
import { parse, stringify } from 'yaml';

export interface JobDocument {
  name: string;
  sources: Record<string, Record<string, unknown>>;
  sinks?: unknown;
  trigger?: unknown;
  outputMode?: 'append' | 'update' | 'complete';
  [other: string]: unknown;
}

/** Of a job file that is known to parse; what it holds is not checked. */
export function parseJobDocument(text: string): JobDocument {
  return parse(text) as JobDocument;
}

export function formatJobDocument(document: JobDocument): string {
  return stringify(document);
}
