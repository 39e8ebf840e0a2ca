/**
 * The keys of one kind of JSON object and the order they came in last time. Producers write their keys in one order,
 * so the key after `a` is nearly always the one that followed `a` before: one comparison of a few words instead of a
 * search. Keys that no column needs are learned as well, up to a limit.
 */
import { ByteBuffer } from '../byte-buffer.ts';

const LEARNED_KEYS_MAX = 128;
/** Longer keys are looked up each time. */
const LEARNED_BYTES_MAX = 64;
const BUCKETS = 256;
const QUOTE = 0x22;
const COLON = 0x3a;
/** What precedes an object's first key. */
export const BEFORE_FIRST_KEY = 0;

export class KeyLayout {
  /** Index of the field a key fills, -1 = none; by key id. */
  readonly fieldOf: Int32Array;
  /** The id that followed an id last time; -1 = unknown. */
  readonly successor: Int32Array;
  /** `"key":` with quotes and colon as little-endian words, the last one filled up with zeros; by {@link patternStart}. */
  readonly pattern: Int32Array;
  readonly patternStart: Int32Array;
  /** Bytes of `"key":`; 0 = the key cannot be written without escapes. */
  readonly patternBytes: Int32Array;
  readonly #names: Uint8Array[] = [new Uint8Array(0)];
  readonly #buckets = new Int32Array(BUCKETS);
  readonly #next: Int32Array;
  readonly #keysMax: number;
  #patternWords = 0;

  /** `names` in the order of the fields they fill. */
  constructor(names: readonly string[]) {
    const keysMax = names.length + LEARNED_KEYS_MAX + 1;
    this.#keysMax = keysMax;
    this.fieldOf = new Int32Array(keysMax).fill(-1);
    this.successor = new Int32Array(keysMax).fill(-1);
    this.patternStart = new Int32Array(keysMax);
    this.patternBytes = new Int32Array(keysMax);
    this.#next = new Int32Array(keysMax);
    const encoder = new TextEncoder();
    const encoded = names.map((name) => encoder.encode(name));
    const words = encoded.reduce((sum, name) => sum + ((name.byteLength + 6) >>> 2), 0);
    this.pattern = new Int32Array(words + LEARNED_KEYS_MAX * (LEARNED_BYTES_MAX / 4 + 2));
    encoded.forEach((name, field) => {
      const id = this.#add(name);
      this.fieldOf[id] = field;
      // A first guess: the order of the schema.
      this.successor[id - 1] = id;
    });
  }

  /** Id of the key with the name `bytes[start, end)`, learning it if it is new; -1 when there is no more room. */
  find(bytes: Uint8Array, start: number, end: number, learn: boolean): number {
    for (let id = this.#buckets[hashOf(bytes, start, end)]!; id > 0; id = this.#next[id]!) {
      if (sameBytes(this.#names[id]!, bytes, start, end)) return id;
    }
    if (!learn || this.#names.length >= this.#keysMax || end - start > LEARNED_BYTES_MAX) return -1;
    return this.#add(bytes.slice(start, end));
  }

  #add(name: Uint8Array): number {
    const id = this.#names.length;
    this.#names.push(name);
    const bucket = hashOf(name, 0, name.byteLength);
    this.#next[id] = this.#buckets[bucket]!;
    this.#buckets[bucket] = id;
    if (name.every((byte) => byte >= 0x20 && byte !== QUOTE && byte !== 0x5c)) this.#addPattern(id, name);
    return id;
  }

  #addPattern(id: number, name: Uint8Array): void {
    const text = new ByteBuffer(name.byteLength + 8);
    text.length = 1;
    text.append(name);
    text.bytes[0] = QUOTE;
    text.bytes[text.length++] = QUOTE;
    text.bytes[text.length++] = COLON;
    this.patternStart[id] = this.#patternWords;
    this.patternBytes[id] = text.length;
    for (let at = 0; at < text.length; at += 4) this.pattern[this.#patternWords++] = text.view.getInt32(at, true);
  }
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = Math.imul(hash, 31) + bytes[at]!;
  return (hash ^ (hash >>> 8)) & (BUCKETS - 1);
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.byteLength !== end - start) return false;
  for (let index = 0; index < name.byteLength; index++) if (name[index] !== bytes[start + index]) return false;
  return true;
}
