import { WeirError } from '../../core/errors.ts';

/**
 * Reads what the codecs of state wrote. `at` moves on with every read.
 * Throws: STATE_DAMAGED where a read would pass the end.
 */
export class ByteReader {
  bytes: Uint8Array = none;
  view: DataView = new DataView(none.buffer);
  at = 0;
  end = 0;

  /** Reads `bytes[start, end)` from now on. */
  reset(bytes: Uint8Array, start = 0, end = bytes.byteLength): this {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.at = start;
    this.end = end;
    return this;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** The position before `count` bytes, which are skipped. */
  skip(count: number): number {
    const at = this.at;
    this.at = at + count;
    if (this.at > this.end || count < 0) throw damaged();
    return at;
  }

  byte(): number {
    return this.bytes[this.skip(1)] as number;
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.skip(8), true);
  }

  /** Up to 2^31 - 1. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw damaged();
  }

  text(): string {
    const length = this.varint();
    const at = this.skip(length);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + at, length).toString('utf8');
  }
}

const none = new Uint8Array(0);

function damaged(): WeirError {
  return new WeirError(
    'STATE_DAMAGED',
    'A stored state ends too early or holds impossible lengths; restore the job from an older snapshot or savepoint.',
  );
}
