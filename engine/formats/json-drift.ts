/**
 * How JSON records differ from the schema of their source. Keys that no column has are looked for in one record of every
 * chunk, so that looking costs nothing worth measuring; a policy that must not let any through looks at every record.
 * Values of another type and required fields that are missing are told by whoever scans the record.
 */
import { deadLetterReasons } from '../../core/errors.ts';
import { formatType } from '../../core/types.ts';
import type { Schema } from '../../core/types.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import { unreadField, visitUnsettled } from './drift-walk.ts';
import type { DriftPlan } from './field-drift.ts';
import { DriftNotes, shortName } from './field-drift.ts';
import { ALL_KNOWN, ObjectKeys } from './object-keys.ts';
import type { FailRecord, RecordDrift } from './record-drift.ts';

/** So many records in a row that were looked at lack a field that may be NULL: it is not just left out now and then. */
const MISSING_AFTER = 100;

const SCHEMA_CHANGED = deadLetterReasons.indexOf('RECORD_SCHEMA_CHANGED');
const WRONG_TYPE = deadLetterReasons.indexOf('FIELD_WRONG_TYPE');
const MISSING = deadLetterReasons.indexOf('FIELD_MISSING');

/** SQL types of JSON values: as wide as can be told from one of them. Objects and arrays can be read as their text. */
export function typeOfJson(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return 'STRING';
    case 'boolean':
      return 'BOOLEAN';
    case 'number':
      return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? 'BIGINT' : 'DOUBLE';
    case 'object':
      return value === null ? null : 'STRING';
    default:
      return null;
  }
}

export class JsonDrift implements RecordDrift {
  readonly notes = new DriftNotes();
  readonly #fields: Schema;
  readonly #isStrict: boolean;
  readonly #keys: ObjectKeys;
  /** By field: records in a row without it. */
  readonly #absent: number[];

  constructor({ policy, fields }: DriftPlan) {
    this.#fields = fields;
    this.#isStrict = policy === 'deadLetter' || policy === 'fail';
    this.#keys = new ObjectKeys(fields.map(({ name }) => name));
    this.#absent = fields.map(() => 0);
  }

  learn(): void {
    // Records of JSON say themselves what they hold.
  }

  inspect(
    bytes: Uint8Array,
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    isSettled: (record: number) => boolean,
    fail: FailRecord,
  ): void {
    if (this.#isStrict) this.#inspectAll(bytes, records, partition, from, to, isSettled, fail);
    else this.#inspectOne(bytes, records, partition, to - 1);
  }

  failed(
    bytes: Uint8Array,
    records: RecordIndex,
    partition: number,
    record: number,
    reason: number,
    place: string,
  ): void {
    if (reason !== WRONG_TYPE && reason !== MISSING) return;
    const kind = reason === MISSING ? 'missing' : 'retyped';
    if (this.notes.full || this.notes.has(kind, place)) return;
    const value = reason === MISSING ? undefined : valueAt(parsed(bytes, records, record), place);
    const after = typeof value === 'object' && value !== null ? 'an object or a list' : typeOfJson(value);
    this.notes.note(unreadField(this.#fields, kind, place, after, partition, records.offset[record]!));
  }

  #inspectAll(
    bytes: Uint8Array,
    records: RecordIndex,
    partition: number,
    from: number,
    to: number,
    isSettled: (record: number) => boolean,
    fail: FailRecord,
  ): void {
    visitUnsettled(records, from, to, isSettled, (record, start, end) => {
      const key = this.#keys.unexpected(bytes, start, end);
      if (key === ALL_KNOWN) return;
      this.#noteNew(key, parsed(bytes, records, record), partition, records.offset[record]!);
      fail(record, SCHEMA_CHANGED, shortName(key));
    });
  }

  #inspectOne(bytes: Uint8Array, records: RecordIndex, partition: number, record: number): void {
    const length = records.valueLength[record] ?? -1;
    if (length < 0 || this.notes.full) return;
    const start = records.valueStart[record]!;
    const offset = records.offset[record]!;
    if (this.#keys.unexpected(bytes, start, start + length) === ALL_KNOWN) {
      this.#lookForMissing(partition, offset);
      return;
    }
    const value = parsed(bytes, records, record);
    if (value === null) return;
    for (const [key, each] of Object.entries(value)) {
      if (this.#fields.some(({ name }) => name === key) || this.notes.has('new', key)) continue;
      // NULL has no type yet: the key is looked at again with another record.
      if (each !== null && this.#noteNew(key, value, partition, offset)) this.#keys.add(key);
    }
  }

  #noteNew(key: string, value: Readonly<Record<string, unknown>> | null, partition: number, offset: number): boolean {
    const after = value === null ? null : typeOfJson(valueOf(value, key));
    if (after !== null) this.notes.note({ kind: 'new', column: key, before: null, after, partition, offset });
    return after !== null;
  }

  #lookForMissing(partition: number, offset: number): void {
    for (const [index, { name, type }] of this.#fields.entries()) {
      if (this.#keys.wasSeen(index)) this.#absent[index] = 0;
      else if (++this.#absent[index]! === MISSING_AFTER)
        this.notes.note({ kind: 'missing', column: name, before: formatType(type), after: null, partition, offset });
    }
  }
}

function parsed(bytes: Uint8Array, records: RecordIndex, record: number): Readonly<Record<string, unknown>> | null {
  const start = records.valueStart[record]!;
  try {
    const text = Buffer.from(bytes.subarray(start, start + records.valueLength[record]!)).toString('utf8');
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

/** Own properties alone: a key may be called like something that every object has. */
function valueOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined;
}

function valueAt(value: unknown, place: string): unknown {
  return place.split('.').reduce(valueOf, value);
}
