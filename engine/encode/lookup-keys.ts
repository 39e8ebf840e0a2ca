/** The keys of a task's rows, each once: what is to be looked up for it. */
import type { DataType } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import type { ColumnBatch } from '../column-batch.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SinkOutput } from '../stage.ts';
import { KeyDictionary } from '../state/key-dictionary.ts';
import { KeyEncoder } from '../state/key-encoder.ts';
import { isNull, JsonWriter } from './json-writer.ts';
import type { EncodeContext, SinkEncoder } from './sink-encoder.ts';
import { appendText } from './text.ts';

const TEXT: DataType = { kind: 'string' };

export class KeysEncoder implements SinkEncoder {
  readonly #json: JsonWriter;
  readonly #encoder: KeyEncoder;
  readonly #key = new ByteBuffer();
  readonly #out = new ByteBuffer();
  #seen = new KeyDictionary();

  /** `width`: columns of a key, all of them text. */
  constructor(width: number, timeZone: TimeZone) {
    this.#json = new JsonWriter(timeZone);
    this.#encoder = new KeyEncoder(Array.from({ length: width }, () => TEXT));
  }

  begin(): void {
    this.#seen = new KeyDictionary();
    this.#out.clear();
  }

  encode({ rowCount, columns, origins }: ColumnBatch, context: EncodeContext): void {
    this.#encoder.bind(columns);
    for (let row = 0; row < rowCount; row++) {
      if (context.isDead(origins.record[row] as number)) continue;
      // NULL equals nothing.
      if (columns.some((column) => isNull(column, row))) continue;
      this.#key.clear();
      this.#encoder.encode(row, this.#key);
      const known = this.#seen.size;
      this.#seen.add(this.#key.bytes, 0, this.#key.length);
      if (this.#seen.size === known) continue;
      columns.forEach((column, index) => {
        appendText(this.#out, index > 0 ? ',' : known === 0 ? '[' : ',[');
        this.#json.write(this.#out, TEXT, column, row);
      });
      appendText(this.#out, ']');
    }
  }

  finish(): SinkOutput {
    const keys = new TextDecoder().decode(this.#out.bytes.subarray(0, this.#out.length));
    return { kind: 'keys', rowCount: this.#seen.size, text: `[${keys}]` };
  }
}
