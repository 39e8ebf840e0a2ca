/**
 * Rows as JSON lines, for people who look at a job's output. A row that is taken away has a minus before it; none that
 * is given anew with other values, or is no part of a whole result.
 */
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { JsonWriter } from './json-writer.ts';
import type { EncodeContext, SinkEncoder } from './sink-encoder.ts';
import { appendText } from './text.ts';

export class ConsoleEncoder implements SinkEncoder {
  readonly #schema: Schema;
  readonly #json: JsonWriter;
  readonly #out = new ByteBuffer();
  #rowCount = 0;

  constructor(schema: Schema, timeZone: TimeZone) {
    this.#schema = schema;
    this.#json = new JsonWriter(timeZone);
  }

  begin(): void {
    this.#out.clear();
    this.#rowCount = 0;
  }

  encode(rows: ColumnBatch, context: EncodeContext): void {
    const { deletes, change } = context;
    for (let row = 0; row < rows.rowCount; row++) {
      const record = rows.origins.record[row]!;
      if (context.isDead(record)) continue;
      if (deletes !== null && deletes[record] !== 0) {
        if (change !== undefined && (change.isWhole || change.replaced[record] === 1)) continue;
        appendText(this.#out, '-');
      }
      this.#json.writeRow(this.#out, this.#schema, rows.columns, row);
      appendText(this.#out, '\n');
      this.#rowCount++;
    }
  }

  finish(): SinkOutput {
    return {
      kind: 'console',
      rowCount: this.#rowCount,
      text: new TextDecoder().decode(this.#out.bytes.subarray(0, this.#out.length)),
    };
  }
}
