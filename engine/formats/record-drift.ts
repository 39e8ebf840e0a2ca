/** Watches the records of a source for a shape that its schema does not have. */
import type { RecordIndex } from '../codecs/decode-records.ts';
import type { DriftNotes, DriftPlan } from './field-drift.ts';
import { JsonDrift } from './json-drift.ts';
import type { ValueFormat, WriterSchema } from './value-format.ts';
import { registryOf } from './value-format.ts';
import { WriterDrift } from './writer-drift.ts';

/** `reason`: index into `deadLetterReasons`; `place`: the field. */
export type FailRecord = (record: number, reason: number, place: string) => void;

export interface RecordDrift {
  readonly notes: DriftNotes;
  /** Takes the schemas that a task brings for its records. */
  learn(schemas: readonly WriterSchema[]): void;
  /** Looks at the records `[from, to)`, before they are read; under a policy that says so, those of another shape fail. */
  inspect(
    bytes: Uint8Array,
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    isSettled: (record: number) => boolean,
    fail: FailRecord,
  ): void;
  /** A record could not be read. */
  failed(
    bytes: Uint8Array,
    records: RecordIndex,
    partition: number,
    record: number,
    reason: number,
    place: string,
  ): void;
}

/** null where nobody asked, or where records of the format do not tell. */
export function makeRecordDrift(plan: DriftPlan | undefined, format: ValueFormat): RecordDrift | null {
  if (plan === undefined) return null;
  if (format === 'json') return new JsonDrift(plan);
  if (typeof format === 'object' && format.kind !== 'csv' && registryOf(format) !== null)
    return new WriterDrift(plan, format);
  return null;
}
