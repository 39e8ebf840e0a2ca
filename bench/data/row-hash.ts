/**
 * The hash of a row as the blackhole sink defines it (engine/encode/blackhole.ts), from values instead of columns: an
 * answer from other code than the engine's. Mix the values of a row in order, then {@link RowHash.finish}.
 */
const MULTIPLIER = 0x5bd1e995;
const NULL_WORD = 0x6e756c6c;

const words = new DataView(new ArrayBuffer(8));
let scratch = Buffer.alloc(4096);

export class RowHash {
  #hash = 0;

  text(text: string): this {
    if (scratch.length < text.length * 3) scratch = Buffer.alloc(text.length * 6);
    return this.#bytes(scratch, scratch.write(text));
  }

  #bytes(bytes: Buffer, length: number): this {
    let mixed = mix(this.#hash, length);
    let at = 0;
    for (; at + 4 <= length; at += 4)
      mixed = mix(mixed, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    for (; at < length; at++) mixed = mix(mixed, bytes[at]!);
    this.#hash = mixed;
    return this;
  }

  null(): this {
    this.#hash = mix(this.#hash, NULL_WORD);
    return this;
  }

  int(value: number): this {
    this.#hash = mix(this.#hash, value);
    return this;
  }

  /** DOUBLE and TIMESTAMP, whose column holds microseconds as a double. */
  double(value: number): this {
    words.setFloat64(0, value);
    this.#hash = mix(mix(this.#hash, words.getInt32(0)), words.getInt32(4));
    return this;
  }

  /** BIGINT: low word, then high word. */
  bigint(value: bigint): this {
    words.setBigInt64(0, value);
    this.#hash = mix(mix(this.#hash, words.getInt32(4)), words.getInt32(0));
    return this;
  }

  /** The hash of the row, signed; the next one begins. */
  finish(): number {
    const hash = this.#hash;
    this.#hash = 0;
    const mixed = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
    return mixed ^ (mixed >>> 15);
  }
}

/** One round of MurmurHash2. */
function mix(hash: number, word: number): number {
  const product = Math.imul(word, MULTIPLIER);
  return Math.imul(hash, MULTIPLIER) ^ Math.imul(product ^ (product >>> 24), MULTIPLIER);
}
