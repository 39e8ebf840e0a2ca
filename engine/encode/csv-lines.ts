/** Rows as lines of values: RFC 4180, with line feeds alone. Nested values are JSON. */
import { must } from '../../core/assert.ts';
import type { RowFormat } from '../../core/row-sink.ts';
import type { Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { Column } from '../column-batch.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { isNull, JsonWriter } from './json-writer.ts';
import { appendText } from './text.ts';

type CsvFormat = Extract<RowFormat, { kind: 'csv' }>;

const QUOTE = 0x22;

export class CsvLines {
  readonly #format: CsvFormat;
  readonly #schema: Schema;
  readonly #json: JsonWriter;
  readonly #delimiter: number;
  readonly #value = new ByteBuffer(256);
  readonly #nullText: Buffer;

  constructor(format: CsvFormat, schema: Schema, timeZone: TimeZone) {
    this.#format = format;
    this.#schema = schema;
    this.#json = new JsonWriter(timeZone);
    this.#delimiter = format.delimiter.charCodeAt(0);
    this.#nullText = Buffer.from(format.nullText);
  }

  write(out: ByteBuffer, columns: readonly Column[], row: number): void {
    this.#format.columns.forEach(({ input, name }, index) => {
      if (index > 0) appendText(out, this.#format.delimiter);
      const column = columns[input]!;
      if (isNull(column, row)) {
        out.append(this.#nullText);
        return;
      }
      const value = this.#value;
      value.clear();
      this.#json.writePlain(value, must(this.#schema[input], () => `no column ${name}`).type, column, row);
      this.#append(out, value);
    });
    appendText(out, '\n');
  }

  #append(out: ByteBuffer, { bytes, length }: ByteBuffer): void {
    if (!this.#mustQuote(bytes, length)) {
      out.append(bytes, 0, length);
      return;
    }
    out.reserve(2 * length + 2);
    out.bytes[out.length++] = QUOTE;
    for (let at = 0; at < length; at++) {
      if (bytes[at] === QUOTE) out.bytes[out.length++] = QUOTE;
      out.bytes[out.length++] = bytes[at]!;
    }
    out.bytes[out.length++] = QUOTE;
  }

  /** Also what would be read as NULL. */
  #mustQuote(bytes: Uint8Array, length: number): boolean {
    for (let at = 0; at < length; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE || byte === this.#delimiter || byte === 0x0a || byte === 0x0d) return true;
    }
    return this.#nullText.equals(bytes.subarray(0, length));
  }
}
