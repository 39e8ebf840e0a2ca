/** What all that look for drift do alike: which records they look at, and how a field is called that could not be read. */
import { formatType } from '../../core/types.ts';
import type { Schema } from '../../core/types.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import type { FieldDrift } from './field-drift.ts';

/** Calls `visit` for each record of [from, to) that is not settled, with where its value begins and ends. */
export function visitUnsettled(
  records: RecordIndex,
  from: number,
  to: number,
  isSettled: (record: number) => boolean,
  visit: (record: number, start: number, end: number) => void,
): void {
  for (let record = from; record < to; record++) {
    if (isSettled(record)) continue;
    const start = records.valueStart[record]!;
    visit(record, start, start + records.valueLength[record]!);
  }
}

/** The note of a field whose value in a record was missing or of another type than its column; `after`: of which. */
export function unreadField(
  fields: Schema,
  kind: 'missing' | 'retyped',
  column: string,
  after: string | null,
  partition: number,
  offset: number,
): FieldDrift {
  const field = fields.find(({ name }) => name === column);
  return { kind, column, before: field === undefined ? null : formatType(field.type), after, partition, offset };
}
