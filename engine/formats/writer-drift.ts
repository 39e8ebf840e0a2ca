/**
 * How the schemas that records were written with differ from the one that a job was planned with. A schema is compared
 * once, when its text comes from the registry; of the records only the ids are looked at.
 */
import { deadLetterReasons, isWeirError } from '../../core/errors.ts';
import type { Schema } from '../../core/types.ts';
import type { RecordIndex } from '../codecs/decode-records.ts';
import { avroColumns, parseAvro } from './avro-schema.ts';
import type { ColumnChange } from './column-changes.ts';
import { columnChanges } from './column-changes.ts';
import { unreadField, visitUnsettled } from './drift-walk.ts';
import type { DriftPlan, FieldDrift } from './field-drift.ts';
import { DriftNotes, shortName } from './field-drift.ts';
import { messageNamed, parseProto, protoColumns } from './proto-schema.ts';
import type { FailRecord, RecordDrift } from './record-drift.ts';
import type { AvroFormat, ProtobufFormat, WriterSchema } from './value-format.ts';
import { schemaIdAt } from './wire-format.ts';

const SCHEMA_CHANGED = deadLetterReasons.indexOf('RECORD_SCHEMA_CHANGED');
const WRONG_TYPE = deadLetterReasons.indexOf('FIELD_WRONG_TYPE');

/** Types that a value of another is read as without a loss, as Avro's resolution of schemas has them. */
const promotions: ReadonlyMap<string, readonly string[]> = new Map([
  ['INT', ['BIGINT', 'FLOAT', 'DOUBLE']],
  ['BIGINT', ['FLOAT', 'DOUBLE']],
  ['FLOAT', ['DOUBLE']],
  ['STRING', ['BINARY']],
  ['BINARY', ['STRING']],
]);

type Difference = Pick<FieldDrift, 'kind' | 'column' | 'before' | 'after'>;

export class WriterDrift implements RecordDrift {
  readonly notes = new DriftNotes();
  readonly #fields: Schema;
  readonly #format: AvroFormat | ProtobufFormat;
  readonly #isStrict: boolean;
  /** Of the schemas that differ, by id. */
  readonly #changed = new Map<number, readonly Difference[]>();
  readonly #compared = new Set<number>();
  /** Ids in {@link #changed} of which no record was seen yet. */
  readonly #untold = new Set<number>();

  constructor({ policy, fields }: DriftPlan, format: AvroFormat | ProtobufFormat) {
    this.#fields = fields;
    this.#format = format;
    this.#isStrict = policy === 'deadLetter' || policy === 'fail';
  }

  learn(schemas: readonly WriterSchema[]): void {
    for (const schema of schemas) {
      if (schema.type === 'UNKNOWN' || this.#compared.has(schema.id)) continue;
      this.#compared.add(schema.id);
      const columns = columnsOf(schema, this.#format);
      const differences = columns === undefined ? [] : columnChanges(this.#fields, columns).flatMap(differenceOf);
      if (differences.length === 0) continue;
      this.#changed.set(schema.id, differences);
      this.#untold.add(schema.id);
    }
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
    if (this.#untold.size === 0 && (!this.#isStrict || this.#changed.size === 0)) return;
    visitUnsettled(records, from, to, isSettled, (record, start, end) => {
      const id = schemaIdAt(bytes, start, end);
      const differences = this.#changed.get(id);
      if (differences === undefined) return;
      if (this.#untold.delete(id))
        for (const each of differences) this.notes.note({ ...each, partition, offset: records.offset[record]! });
      if (this.#isStrict) fail(record, SCHEMA_CHANGED, shortName(differences[0]?.column ?? ''));
    });
  }

  failed(_: Uint8Array, records: RecordIndex, partition: number, record: number, reason: number, place: string): void {
    if (reason !== WRONG_TYPE) return;
    this.notes.note(unreadField(this.#fields, 'retyped', place, null, partition, records.offset[record]!));
  }
}

/** undefined where the schema is of another format or cannot be read, which reading its records tells. */
function columnsOf(
  schema: Exclude<WriterSchema, { type: 'UNKNOWN' }>,
  format: AvroFormat | ProtobufFormat,
): Schema | undefined {
  try {
    if (format.kind === 'avro') return schema.type === 'AVRO' ? avroColumns(parseAvro(schema)) : undefined;
    return schema.type === 'PROTOBUF' ? protoColumns(messageNamed(parseProto(schema), format.message)) : undefined;
  } catch (error) {
    if (isWeirError(error)) return undefined;
    throw error;
  }
}

/** What readers notice: NULL where there was none, and wider types that the former are read as, are no difference. */
function differenceOf({ kind, column, before, after }: ColumnChange): Difference[] {
  if (kind === 'nullable' || kind === 'required') return [];
  if (kind === 'retyped' && promotions.get(after ?? '')?.includes(before ?? '') === true) return [];
  return [{ kind, column, before, after }];
}
