/**
 * Kafka's primitive types on the wire (the protocol guide's "Protocol Primitive Types"), big-endian. The compact forms
 * and tag buffers belong to the flexible versions of KIP-482.
 */
import { assert } from '../../core/assert.ts';

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

export class WireWriter {
  #bytes: Buffer;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** What was written so far; valid until the next write. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  i8(value: number): this {
    this.#room(1);
    this.#at = this.#bytes.writeInt8(value, this.#at);
    return this;
  }

  i16(value: number): this {
    this.#room(2);
    this.#at = this.#bytes.writeInt16BE(value, this.#at);
    return this;
  }

  i32(value: number): this {
    this.#room(4);
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
    return this;
  }

  /** A safe integer. */
  i64(value: number): this {
    this.#room(8);
    this.#at = this.#bytes.writeBigInt64BE(BigInt(value), this.#at);
    return this;
  }

  boolean(value: boolean): this {
    return this.i8(value ? 1 : 0);
  }

  string(value: string): this {
    const bytes = textEncoder.encode(value);
    return this.i16(bytes.byteLength).raw(bytes);
  }

  nullString(): this {
    return this.i16(-1);
  }

  compactString(value: string): this {
    const bytes = textEncoder.encode(value);
    return this.uvarint(bytes.byteLength + 1).raw(bytes);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.i32(items.length);
    for (const item of items) write(item);
    return this;
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  noTags(): this {
    return this.i8(0);
  }

  uvarint(value: number): this {
    let rest = value;
    while (rest > 0x7f) {
      this.i8(((rest & 0x7f) | 0x80) - 0x100);
      rest = Math.floor(rest / 0x80);
    }
    return this.i8(rest);
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.byteLength);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.byteLength;
    return this;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.byteLength * 2, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

/** Reads what {@link WireWriter} and brokers write. Reading past the end is an invariant error. */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  i8(): number {
    return this.#bytes.readInt8(this.#take(1));
  }

  i16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  bigI64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  /** An i64 that is known to be a safe integer: offsets and times. */
  i64(): number {
    const at = this.#take(8);
    return this.#bytes.readInt32BE(at) * 4294967296 + this.#bytes.readUInt32BE(at + 4);
  }

  string(): string | null {
    const length = this.i16();
    return length < 0 ? null : this.#text(length);
  }

  compactString(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.#text(length);
  }

  /** A null array reads as an empty one. */
  array<T>(read: () => T): T[] {
    return this.#items(this.i32(), read);
  }

  compactArray<T>(read: () => T): T[] {
    return this.#items(this.uvarint() - 1, read);
  }

  /** A view into the message. Null bytes read as empty ones. */
  compactBytes(): Buffer {
    const length = Math.max(this.uvarint() - 1, 0);
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A view into the message. */
  raw(length: number): Buffer {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint();
      this.#take(this.uvarint());
    }
  }

  uvarint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes.readUInt8(this.#take(1));
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  #items<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let index = 0; index < count; index++) items.push(read());
    return items;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return textDecoder.decode(this.#bytes.subarray(start, start + length));
  }

  #take(bytes: number): number {
    const start = this.#at;
    assert(
      start + bytes <= this.#bytes.byteLength,
      () => `an answer of Kafka ends at byte ${this.#bytes.byteLength}, within a field`,
    );
    this.#at = start + bytes;
    return start;
  }
}
