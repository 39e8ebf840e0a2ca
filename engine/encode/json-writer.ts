/**
 * Rows as JSON text, as Spark's to_json writes them: fields that are NULL are left out (elements are `null`), NaN and
 * infinities are strings, times are ISO 8601 in the session time zone, BINARY is base64.
 */
import type { DataType, Field, Schema } from '../../core/types.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import type { BytesColumn, Column } from '../column-batch.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { appendDate, appendInteger, appendText, appendTimestamp, decimalText } from './text.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const HEX_DIGITS = new TextEncoder().encode('0123456789abcdef');
const BASE64_DIGITS = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
/** Second letter of the escapes that have one: `\b`, `\t`, `\n`, `\f`, `\r`. */
const shortEscapes: ReadonlyMap<number, number> = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
]);

/** `"name":` of each field, by the struct's fields. */
type Labels = readonly Uint8Array[];

export class JsonWriter {
  readonly #timeZone: TimeZone;
  readonly #labels = new Map<readonly Field[], Labels>();

  constructor(timeZone: TimeZone) {
    this.#timeZone = timeZone;
  }

  /** Appends `{…}` with the row's columns; those that are null are left out, as Spark's to_json does. */
  writeRow(out: ByteBuffer, schema: Schema, columns: readonly Column[], row: number): void {
    const labels = this.#labelsOf(schema);
    appendByte(out, 0x7b);
    let first = true;
    for (let index = 0; index < schema.length; index++) {
      const column = columns[index]!;
      if (isNull(column, row)) continue;
      if (!first) appendByte(out, COMMA);
      first = false;
      out.append(labels[index]!);
      this.write(out, schema[index]!.type, column, row);
    }
    appendByte(out, 0x7d);
  }

  /** Appends one value; `null` where there is none. */
  write(out: ByteBuffer, type: DataType, column: Column, row: number): void {
    if (isNull(column, row)) {
      appendText(out, 'null');
      return;
    }
    switch (column.kind) {
      case 'bytes':
        if (type.kind === 'binary') appendBase64(out, column, row);
        else appendString(out, column.data, column.start[row]!, column.length[row]!);
        return;
      case 'list':
        if (type.kind === 'array')
          this.#list(out, type.element, column.element, column.start[row]!, column.length[row]!);
        return;
      case 'map':
        if (type.kind === 'map') this.#map(out, type, column, row);
        return;
      case 'struct':
        if (type.kind === 'struct') this.writeRow(out, type.fields, column.fields, row);
        return;
      default:
        this.#scalar(out, type, column.values[row]!);
    }
  }

  /** Appends a scalar as text without quotes, the way a key is written; bytes as they are. */
  writePlain(out: ByteBuffer, type: DataType, column: Column, row: number): void {
    if (column.kind === 'bytes') {
      const start = column.start[row]!;
      out.append(column.data, start, start + column.length[row]!);
      return;
    }
    const start = out.length;
    this.write(out, type, column, row);
    if (out.bytes[start] !== QUOTE) return;
    out.bytes.copyWithin(start, start + 1, out.length - 1);
    out.length -= 2;
  }

  #scalar(out: ByteBuffer, type: DataType, value: number | bigint): void {
    switch (type.kind) {
      case 'boolean':
        appendText(out, value === 0 ? 'false' : 'true');
        return;
      case 'tinyint':
      case 'smallint':
      case 'int':
        appendInteger(out, Number(value));
        return;
      case 'bigint': {
        const small = Number(value);
        if (Number.isSafeInteger(small)) appendInteger(out, small);
        else appendText(out, String(value));
        return;
      }
      case 'decimal':
        appendText(out, decimalText(BigInt(value), type.scale));
        return;
      case 'date':
        appendByte(out, QUOTE);
        appendDate(out, Number(value));
        appendByte(out, QUOTE);
        return;
      case 'timestamp':
        appendByte(out, QUOTE);
        appendTimestamp(out, Number(value), this.#timeZone.offsetAtUtc(Number(value)));
        appendByte(out, QUOTE);
        return;
      default: {
        const number = Number(value);
        appendText(out, Number.isFinite(number) ? floatText(type, number) : `"${number}"`);
      }
    }
  }

  #list(out: ByteBuffer, type: DataType, element: Column, start: number, count: number): void {
    appendByte(out, 0x5b);
    for (let index = 0; index < count; index++) {
      if (index > 0) appendByte(out, COMMA);
      this.write(out, type, element, start + index);
    }
    appendByte(out, 0x5d);
  }

  #map(
    out: ByteBuffer,
    type: Extract<DataType, { kind: 'map' }>,
    column: Extract<Column, { kind: 'map' }>,
    row: number,
  ): void {
    const start = column.start[row]!;
    appendByte(out, 0x7b);
    for (let entry = start; entry < start + column.length[row]!; entry++) {
      if (entry > start) appendByte(out, COMMA);
      if (column.keys.kind === 'bytes') {
        appendString(out, column.keys.data, column.keys.start[entry]!, column.keys.length[entry]!);
      } else {
        appendByte(out, QUOTE);
        this.writePlain(out, type.key, column.keys, entry);
        appendByte(out, QUOTE);
      }
      appendByte(out, 0x3a);
      this.write(out, type.value, column.values, entry);
    }
    appendByte(out, 0x7d);
  }

  #labelsOf(fields: readonly Field[]): Labels {
    const known = this.#labels.get(fields);
    if (known !== undefined) return known;
    const encoder = new TextEncoder();
    const labels = fields.map((field) => encoder.encode(`${JSON.stringify(field.name)}:`));
    this.#labels.set(fields, labels);
    return labels;
  }
}

/** Whether the row has no value. */
export function isNull(column: Column, row: number): boolean {
  switch (column.kind) {
    case 'bytes':
    case 'list':
    case 'map':
      return column.length[row]! < 0;
    default:
      return column.valid[row] === 0;
  }
}

/** A float in as few digits as tell it from its neighbours of the same width. */
function floatText(type: DataType, value: number): string {
  if (type.kind !== 'float') return String(value);
  for (let digits = 6; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(value);
}

function appendByte(out: ByteBuffer, byte: number): void {
  out.reserve(1);
  out.bytes[out.length++] = byte;
}

function appendString(out: ByteBuffer, data: Uint8Array, start: number, length: number): void {
  out.reserve(length * 6 + 2);
  const { bytes } = out;
  let to = out.length;
  bytes[to++] = QUOTE;
  for (let at = start; at < start + length; at++) {
    const byte = data[at]!;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
      bytes[to++] = byte;
      continue;
    }
    bytes[to++] = BACKSLASH;
    const short = byte >= 0x20 ? byte : shortEscapes.get(byte);
    if (short !== undefined) {
      bytes[to++] = short;
      continue;
    }
    bytes[to++] = 0x75;
    bytes[to++] = 0x30;
    bytes[to++] = 0x30;
    bytes[to++] = HEX_DIGITS[byte >>> 4]!;
    bytes[to++] = HEX_DIGITS[byte & 15]!;
  }
  bytes[to++] = QUOTE;
  out.length = to;
}

function appendBase64(out: ByteBuffer, column: BytesColumn, row: number): void {
  const { data } = column;
  const start = column.start[row]!;
  const end = start + column.length[row]!;
  out.reserve((column.length[row]! / 3 + 1) * 4 + 2);
  const { bytes } = out;
  let to = out.length;
  bytes[to++] = QUOTE;
  for (let at = start; at < end; at += 3) {
    const group = (data[at]! << 16) | ((at + 1 < end ? data[at + 1]! : 0) << 8) | (at + 2 < end ? data[at + 2]! : 0);
    bytes[to++] = BASE64_DIGITS[group >>> 18]!;
    bytes[to++] = BASE64_DIGITS[(group >>> 12) & 63]!;
    bytes[to++] = at + 1 < end ? BASE64_DIGITS[(group >>> 6) & 63]! : 0x3d;
    bytes[to++] = at + 2 < end ? BASE64_DIGITS[group & 63]! : 0x3d;
  }
  bytes[to++] = QUOTE;
  out.length = to;
}
