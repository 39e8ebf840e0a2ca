/** Confluent's wire format: a zero byte, the id of the writer's schema in four bytes, big-endian, then the value. */
import type { RecordIndex } from '../codecs/decode-records.ts';
import { WeirError } from '../../core/errors.ts';

export const FRAME_BYTES = 5;

/** The id at the start of the value; -1 when it does not begin so. Ids are positive. */
export function schemaIdAt(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < FRAME_BYTES || bytes[start] !== 0) return -1;
  return (bytes[start + 1]! << 24) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 8) | bytes[start + 4]!;
}

/** Adds the ids of the records `[from, to)` that are not `known`. */
export function addWantedIds(
  bytes: Uint8Array,
  records: RecordIndex,
  from: number,
  to: number,
  known: (id: number) => boolean,
  wanted: Set<number>,
): void {
  let last = -1;
  for (let record = from; record < to; record++) {
    const start = records.valueStart[record]!;
    const id = schemaIdAt(bytes, start, start + records.valueLength[record]!);
    if (id === last || id < 0) continue;
    last = id;
    if (!known(id)) wanted.add(id);
  }
}

/** Ids in one answer of a thread. */
const WANTED_MAX = 256;

/** What a stage throws when records name schemas that it does not know: the task is to be run again with them. */
export function schemasWanted(registry: string, wanted: ReadonlySet<number>): WeirError {
  const ids = [...wanted].slice(0, WANTED_MAX);
  return new WeirError(
    'SCHEMA_UNKNOWN',
    `Records were written with the schema ${ids.join(', ')}, and nothing here asks a schema registry for it.`,
    { facts: { registry, ids: ids.join(',') } },
  );
}

/** The ids of {@link schemasWanted}. */
export function wantedIds({ facts }: WeirError): number[] {
  return String(facts['ids'] ?? '')
    .split(',')
    .map(Number);
}
