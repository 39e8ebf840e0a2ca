/** Below this a loop is faster than a view of the source and a call. */
const SHORT_BYTES = 32;

/**
 * A growing byte buffer that is used again and again: decompressed batches, unescaped text and encoded rows go into
 * one. Positions stay valid when it grows; `bytes` and `view` do not, so read them again after `reserve`.
 */
export class ByteBuffer {
  /** The storage; only the first `length` bytes mean something. */
  bytes: Uint8Array;
  /** Over the same memory, positions as in `bytes`. */
  view: DataView;
  /** Bytes in use; writers move it themselves. */
  length = 0;
  #own: Uint8Array;

  constructor(initialBytes = 256) {
    this.#own = new Uint8Array(initialBytes);
    this.bytes = this.#own;
    this.view = viewOf(this.#own);
  }

  /** Makes room for `extra` more bytes behind `length`. */
  reserve(extra: number): void {
    const needed = this.length + extra;
    if (needed > this.bytes.byteLength) this.#grow(needed);
  }

  /** Copies `source[start, end)` to the end; the position where it begins. */
  append(source: Uint8Array, start = 0, end = source.byteLength): number {
    const length = end - start;
    this.reserve(length);
    const at = this.length;
    if (length < SHORT_BYTES)
      for (let index = 0; index < length; index++) this.bytes[at + index] = source[start + index]!;
    else this.bytes.set(source.subarray(start, end), at);
    this.length = at + length;
    return at;
  }

  /** Empties it; the memory stays. */
  clear(): void {
    this.length = 0;
    if (this.bytes !== this.#own) this.#use(this.#own);
  }

  /** Takes foreign bytes as the content, without a copy. They are copied when more must be appended, never changed. */
  adopt(source: Uint8Array): void {
    this.#use(source);
    this.length = source.byteLength;
  }

  /** A copy of the content with a memory of its own, fit to be transferred. */
  copy(): Uint8Array<ArrayBuffer> {
    // Unpooled and not zeroed first: all of it is written.
    const target = new Uint8Array(Buffer.allocUnsafeSlow(this.length).buffer);
    target.set(this.bytes.subarray(0, this.length));
    return target;
  }

  /** Gives memory back after an unusually large batch. */
  shrink(maxBytes: number): void {
    if (this.#own.byteLength <= maxBytes) return;
    this.#own = new Uint8Array(maxBytes);
    this.clear();
    this.#use(this.#own);
  }

  #grow(needed: number): void {
    const target =
      this.#own.byteLength >= needed ? this.#own : new Uint8Array(Math.max(needed, this.bytes.byteLength * 2));
    if (target !== this.bytes) target.set(this.bytes.subarray(0, this.length));
    this.#own = target;
    this.#use(target);
  }

  #use(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = viewOf(bytes);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
