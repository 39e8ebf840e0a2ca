/** What a log sink's values are that are Protobuf: their bytes, and which rows have none. */
import { assert, must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column, ColumnBatch } from '../column-batch.ts';
import { messageNamed, parseProto, pathOfMessage } from '../formats/proto-schema.ts';
import { protoTarget } from '../formats/proto-target.ts';
import type { SchemaValue } from '../plan/stage-plan.ts';
import { writeSchemaId } from './avro-writer.ts';
import { CELL_OK } from './cells.ts';
import { ProtobufWriter, writeMessagePath } from './protobuf-writer.ts';
import type { EncodeContext, RowCheck } from './sink-encoder.ts';

export class ProtobufValues implements RowCheck {
  readonly #writer: ProtobufWriter;
  readonly #registration: SchemaValue['registration'];
  readonly #path: readonly number[];
  /** Confluent's wire format: the id of the schema and the way to the message; nothing without a registry. */
  readonly #head = new ByteBuffer(16);

  /** `columns`: those of the rows, which the plan has found to go with the message. */
  constructor({ schema, references = [], message: name, registration }: SchemaValue, columns: Schema) {
    const file = parseProto({ schema, references });
    const message = messageNamed(file, name ?? null);
    const { message: target, problems } = protoTarget(columns, message, schema);
    assert(problems.length === 0, () => `rows are none of ${message.name}: ${problems[0]?.message}`);
    this.#writer = new ProtobufWriter(target);
    this.#registration = registration;
    this.#path = registration === null ? [] : must(pathOfMessage(file, message), () => `${message.name} is imported`);
  }

  /** Whether some rows may be none of the message. */
  get isFallible(): boolean {
    return this.#writer.isFallible;
  }

  /** Whether the row is one that the message can hold. */
  fits(columns: readonly Column[], row: number): boolean {
    return !this.isFallible || this.#writer.check(columns, row) === CELL_OK;
  }

  append(out: ByteBuffer, columns: readonly Column[], row: number): void {
    if (this.#registration !== null && this.#head.length === 0) this.#writeHead(this.#registration);
    out.append(this.#head.bytes, 0, this.#head.length);
    this.#writer.write(out, columns, row);
  }

  #writeHead({ id, subject }: NonNullable<SchemaValue['registration']>): void {
    writeSchemaId(
      this.#head,
      must(id, () => `the schema of ${subject} is not registered`),
    );
    writeMessagePath(this.#head, this.#path);
  }

  // ---- a row that does not fit is a bad record for all sinks ------------------------------------------------------

  encode({ rowCount, columns, origins }: ColumnBatch, context: EncodeContext): void {
    const { deletes } = context;
    for (let row = 0; row < rowCount; row++) {
      const record = origins.record[row]!;
      if (context.isDead(record) || (deletes !== null && deletes[record] !== 0)) continue;
      const failure = this.#writer.check(columns, row);
      if (failure !== CELL_OK) context.fail(record, failure, this.#writer.failedAt);
    }
  }

  /** Nothing is kept of what was looked at. */
  mark(): void {}

  rollback(): void {}
}
