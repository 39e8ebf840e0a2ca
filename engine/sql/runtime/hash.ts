/**
 * Hashes. `hash` and `xxhash64` give Spark's values (Murmur3_x86_32 and XXH64 with seed 42 over each value's binary
 * form, org.apache.spark.sql.catalyst.expressions.HashExpression); the digests are the standard ones.
 */
import type { DataType } from '../../../core/types.ts';
import type { BoxedMap, BoxedValue } from './boxed.ts';
import { raiseExpressionFailed } from './runtime.ts';

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}

// ---- Murmur3 ----------------------------------------------------------------------------------------------------

function mixK1(k1: number): number {
  const mixed = Math.imul(k1, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function mixH1(h1: number, k1: number): number {
  const mixed = h1 ^ k1;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(h1: number, length: number): number {
  let hash = h1 ^ length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

function murmurInt(value: number, seed: number): number {
  return finish(mixH1(seed, mixK1(value)), 4);
}

function murmurLong(value: bigint, seed: number): number {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return finish(mixH1(mixH1(seed, mixK1(low)), mixK1(high)), 8);
}

/** Whole words little-endian, then each byte left over as a signed word of its own: Spark's variant. */
function murmurBytes(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const aligned = bytes.length - (bytes.length % 4);
  let hash = seed;
  for (let at = 0; at < aligned; at += 4) hash = mixH1(hash, mixK1(view.getInt32(at, true)));
  for (let at = aligned; at < bytes.length; at++) hash = mixH1(hash, mixK1(view.getInt8(at)));
  return finish(hash, bytes.length);
}

interface Hasher<H> {
  int(value: number, seed: H): H;
  long(value: bigint, seed: H): H;
  bytes(bytes: Uint8Array, seed: H): H;
}

const murmur: Hasher<number> = { int: murmurInt, long: murmurLong, bytes: murmurBytes };

// ---- XXH64 ------------------------------------------------------------------------------------------------------

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, by: bigint): bigint => u64((value << by) | (value >> (64n - by)));

function avalanche(hash: bigint): bigint {
  let mixed = u64((hash ^ (hash >> 33n)) * P2);
  mixed = u64((mixed ^ (mixed >> 29n)) * P3);
  return mixed ^ (mixed >> 32n);
}

function round(accumulator: bigint, input: bigint): bigint {
  return u64(rotate(u64(accumulator + input * P2), 31n) * P1);
}

function xxInt(value: number, seed: bigint): bigint {
  const hash = u64(seed + P5 + 4n) ^ u64(BigInt(value >>> 0) * P1);
  return avalanche(u64(rotate(hash, 23n) * P2 + P3));
}

function xxLong(value: bigint, seed: bigint): bigint {
  const hash = u64(seed + P5 + 8n) ^ u64(rotate(u64(u64(value) * P2), 31n) * P1);
  return avalanche(u64(rotate(hash, 27n) * P1 + P4));
}

function xxBytes(bytes: Uint8Array, seed: bigint): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { length } = bytes;
  let at = 0;
  let hash: bigint;
  if (length >= 32) {
    let v1 = u64(seed + P1 + P2);
    let v2 = u64(seed + P2);
    let v3 = seed;
    let v4 = u64(seed - P1);
    for (; at <= length - 32; at += 32) {
      v1 = round(v1, view.getBigUint64(at, true));
      v2 = round(v2, view.getBigUint64(at + 8, true));
      v3 = round(v3, view.getBigUint64(at + 16, true));
      v4 = round(v4, view.getBigUint64(at + 24, true));
    }
    hash = u64(rotate(v1, 1n) + rotate(v2, 7n) + rotate(v3, 12n) + rotate(v4, 18n));
    for (const lane of [v1, v2, v3, v4]) hash = u64((hash ^ round(0n, lane)) * P1 + P4);
  } else {
    hash = u64(seed + P5);
  }
  hash = u64(hash + BigInt(length));
  for (; at <= length - 8; at += 8) hash = u64(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
  if (at <= length - 4) {
    hash = u64(rotate(hash ^ u64(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < length; at++) hash = u64(rotate(hash ^ u64(BigInt(view.getUint8(at)) * P5), 11n) * P1);
  return avalanche(hash);
}

const xx: Hasher<bigint> = { int: xxInt, long: xxLong, bytes: xxBytes };

// ---- values -----------------------------------------------------------------------------------------------------

const scratch = new DataView(new ArrayBuffer(8));

/** The hash of a value, begun with `seed`; NULL leaves the seed as it is. */
function hashValue<H>(hasher: Hasher<H>, value: BoxedValue, type: DataType, seed: H): H {
  if (value === null) return seed;
  switch (type.kind) {
    case 'boolean':
      return hasher.int(value === true ? 1 : 0, seed);
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'date':
      return hasher.int(value as number, seed);
    case 'bigint':
      return hasher.long(value as bigint, seed);
    case 'timestamp':
    case 'interval':
      return hasher.long(BigInt(value as number), seed);
    case 'float':
      scratch.setFloat32(0, value === 0 ? 0 : (value as number));
      return hasher.int(scratch.getInt32(0), seed);
    case 'double':
      scratch.setFloat64(0, value === 0 ? 0 : (value as number));
      return hasher.long(scratch.getBigInt64(0), seed);
    case 'decimal':
      return type.precision <= 18
        ? hasher.long(value as bigint, seed)
        : hasher.bytes(bigIntegerBytes(value as bigint), seed);
    case 'string':
    case 'binary':
      return hasher.bytes(bytesOf(value as string | Uint8Array), seed);
    case 'array':
      return (value as readonly BoxedValue[]).reduce<H>(
        (hash, element) => hashValue(hasher, element, type.element, hash),
        seed,
      );
    case 'struct':
      return type.fields.reduce<H>(
        (hash, field, index) => hashValue(hasher, (value as readonly BoxedValue[])[index] ?? null, field.type, hash),
        seed,
      );
    case 'map': {
      const map = value as BoxedMap;
      return map.keys.reduce<H>(
        (hash, key, index) =>
          hashValue(hasher, map.values[index] ?? null, type.value, hashValue(hasher, key, type.key, hash)),
        seed,
      );
    }
    case 'null':
      return seed;
  }
}

/** Two's complement, big-endian, in as few bytes as hold the sign: java.math.BigInteger.toByteArray. */
function bigIntegerBytes(value: bigint): Uint8Array {
  let size = 1;
  while (BigInt.asIntN(size * 8, value) !== value) size++;
  return Uint8Array.from({ length: size }, (_, index) => Number((value >> BigInt((size - 1 - index) * 8)) & 0xffn));
}

/** hash(a, b, …): the arguments, then their types. */
export function murmurOf(...args: readonly unknown[]): number {
  const types = args.at(-1) as readonly DataType[];
  return types.reduce((hash, type, index) => hashValue(murmur, args[index] as BoxedValue, type, hash), 42);
}

/** xxhash64(a, b, …): the arguments, then their types. */
export function xxHashOf(...args: readonly unknown[]): bigint {
  const types = args.at(-1) as readonly DataType[];
  return BigInt.asIntN(
    64,
    types.reduce((hash, type, index) => hashValue(xx, args[index] as BoxedValue, type, hash), 42n),
  );
}

// ---- digests ----------------------------------------------------------------------------------------------------

const crcTable = Int32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export function crc32(input: string | Uint8Array): bigint {
  let crc = -1;
  for (const byte of bytesOf(input)) crc = (crcTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return BigInt((crc ^ -1) >>> 0);
}

/** The message with a 1 bit, zeros and its length in bits behind it, a whole number of blocks long. */
function padded(bytes: Uint8Array, block: number, lengthBytes: number, littleEndian: boolean): DataView {
  const total = Math.ceil((bytes.length + 1 + lengthBytes) / block) * block;
  const message = new Uint8Array(total);
  message.set(bytes);
  message[bytes.length] = 0x80;
  const view = new DataView(message.buffer);
  const bits = BigInt(bytes.length) * 8n;
  if (littleEndian) view.setBigUint64(total - 8, bits, true);
  else view.setBigUint64(total - 8, bits);
  return view;
}

function hexOf(words: Iterable<number>): string {
  let text = '';
  for (const word of words) text += (word >>> 0).toString(16).padStart(8, '0');
  return text;
}

const md5Shifts = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const md5Constants = Int32Array.from(
  { length: 64 },
  (_, index) => Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0,
);

/** RFC 1321. */
export function md5(input: string | Uint8Array): string {
  const view = padded(bytesOf(input), 64, 8, true);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let block = 0; block < view.byteLength; block += 64) {
    let [a, b, c, d] = state as unknown as [number, number, number, number];
    for (let step = 0; step < 64; step++) {
      const turn = step >> 4;
      const mixed =
        turn === 0 ? (b & c) | (~b & d) : turn === 1 ? (d & b) | (~d & c) : turn === 2 ? b ^ c ^ d : c ^ (b | ~d);
      const word = [step, 5 * step + 1, 3 * step + 5, 7 * step][turn] as number;
      const sum = (a + mixed + (md5Constants[step] as number) + view.getInt32(block + (word % 16) * 4, true)) | 0;
      const shift = md5Shifts[turn * 4 + (step % 4)] as number;
      [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
  }
  const out = new DataView(new ArrayBuffer(16));
  state.forEach((word, index) => out.setInt32(index * 4, word, true));
  return hexOf([0, 4, 8, 12].map((at) => out.getUint32(at)));
}

/** FIPS 180-4. */
export function sha1(input: string | Uint8Array): string {
  const view = padded(bytesOf(input), 64, 8, false);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  const words = new Int32Array(80);
  for (let block = 0; block < view.byteLength; block += 64) {
    for (let step = 0; step < 80; step++) {
      if (step < 16) words[step] = view.getInt32(block + step * 4);
      else {
        const mixed =
          (words[step - 3] as number) ^
          (words[step - 8] as number) ^
          (words[step - 14] as number) ^
          (words[step - 16] as number);
        words[step] = (mixed << 1) | (mixed >>> 31);
      }
    }
    let [a, b, c, d, e] = state as unknown as [number, number, number, number, number];
    for (let step = 0; step < 80; step++) {
      const turn = Math.floor(step / 20);
      const mixed = turn === 0 ? (b & c) | (~b & d) : turn === 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      const constant = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6][turn] as number;
      const next = (((a << 5) | (a >>> 27)) + mixed + e + constant + (words[step] as number)) | 0;
      [e, d, c, b, a] = [d, c, (b << 30) | (b >>> 2), a, next];
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
  }
  return hexOf(state);
}

/** The first `count` primes. */
function primes(count: number): readonly number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++)
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  return found;
}

/** The first 64 bits behind the point of the `root`-th root of a number. */
function rootBits(value: number, root: 2 | 3): bigint {
  const scaled = BigInt(value) << BigInt(64 * root);
  let low = 0n;
  let high = 1n << 72n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(root) <= scaled) low = middle;
    else high = middle;
  }
  return u64(low);
}

const sha512Constants = primes(80).map((prime) => rootBits(prime, 3));
const sha256Constants = Int32Array.from(sha512Constants.slice(0, 64), (value) =>
  Number(BigInt.asIntN(32, value >> 32n)),
);
const sha512Start = primes(8).map((prime) => rootBits(prime, 2));
const sha384Start = primes(16)
  .slice(8)
  .map((prime) => rootBits(prime, 2));
const sha256Start = sha512Start.map((value) => Number(BigInt.asIntN(32, value >> 32n)));
const sha224Start = sha384Start.map((value) => Number(BigInt.asIntN(32, value)));

const turn32 = (value: number, by: number): number => (value >>> by) | (value << (32 - by));

function sha256Words(input: Uint8Array, start: readonly number[]): Int32Array {
  const view = padded(input, 64, 8, false);
  const state = Int32Array.from(start);
  const words = new Int32Array(64);
  for (let block = 0; block < view.byteLength; block += 64) {
    for (let step = 0; step < 64; step++) {
      if (step < 16) {
        words[step] = view.getInt32(block + step * 4);
        continue;
      }
      const w15 = words[step - 15] as number;
      const w2 = words[step - 2] as number;
      const s0 = turn32(w15, 7) ^ turn32(w15, 18) ^ (w15 >>> 3);
      const s1 = turn32(w2, 17) ^ turn32(w2, 19) ^ (w2 >>> 10);
      words[step] = ((words[step - 16] as number) + s0 + (words[step - 7] as number) + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let step = 0; step < 64; step++) {
      const s1 = turn32(e, 6) ^ turn32(e, 11) ^ turn32(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (sha256Constants[step] as number) + (words[step] as number)) | 0;
      const s0 = turn32(a, 2) ^ turn32(a, 13) ^ turn32(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] = ((state[index] as number) + word) | 0));
  }
  return state;
}

const turn64 = (value: bigint, by: bigint): bigint => u64((value >> by) | (value << (64n - by)));

function sha512Words(input: Uint8Array, start: readonly bigint[]): readonly bigint[] {
  const view = padded(input, 128, 16, false);
  const state = [...start];
  const words: bigint[] = new Array<bigint>(80).fill(0n);
  const word = (index: number): bigint => words[index] as bigint;
  for (let block = 0; block < view.byteLength; block += 128) {
    for (let step = 0; step < 80; step++) {
      if (step < 16) {
        words[step] = view.getBigUint64(block + step * 8);
        continue;
      }
      const s0 = turn64(word(step - 15), 1n) ^ turn64(word(step - 15), 8n) ^ (word(step - 15) >> 7n);
      const s1 = turn64(word(step - 2), 19n) ^ turn64(word(step - 2), 61n) ^ (word(step - 2) >> 6n);
      words[step] = u64(word(step - 16) + s0 + word(step - 7) + s1);
    }
    let [a, b, c, d, e, f, g, h] = state as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
    for (let step = 0; step < 80; step++) {
      const s1 = turn64(e, 14n) ^ turn64(e, 18n) ^ turn64(e, 41n);
      const t1 = u64(h + s1 + ((e & f) ^ (u64(~e) & g)) + (sha512Constants[step] as bigint) + word(step));
      const s0 = turn64(a, 28n) ^ turn64(a, 34n) ^ turn64(a, 39n);
      const t2 = u64(s0 + ((a & b) ^ (a & c) ^ (b & c)));
      [h, g, f, e, d, c, b, a] = [g, f, e, u64(d + t1), c, b, a, u64(t1 + t2)];
    }
    [a, b, c, d, e, f, g, h].forEach((value, index) => (state[index] = u64((state[index] as bigint) + value)));
  }
  return state;
}

/** sha2(input, bits): 224, 256 (also 0), 384 or 512; NULL for other numbers. */
export function sha2(input: string | Uint8Array, bits: number): string | null {
  const bytes = bytesOf(input);
  const hex64 = (words: readonly bigint[]): string => words.map((word) => word.toString(16).padStart(16, '0')).join('');
  switch (bits) {
    case 0:
    case 256:
      return hexOf(sha256Words(bytes, sha256Start));
    case 224:
      return hexOf(sha256Words(bytes, sha224Start).subarray(0, 7));
    case 384:
      return hex64(sha512Words(bytes, sha384Start)).slice(0, 96);
    case 512:
      return hex64(sha512Words(bytes, sha512Start));
    default:
      return null;
  }
}

// ---- values of a record's own -----------------------------------------------------------------------------------

/**
 * 64 bits that depend on nothing but the record's place, the row's index within it and the place of the call in the
 * query: the same whenever the record is read again.
 */
function recordBits(topic: string, partition: number, offset: number, index: number, site: number): bigint {
  let hash = xxBytes(bytesOf(topic), BigInt(site));
  hash = xxInt(partition, hash);
  hash = xxLong(BigInt(offset), hash);
  return xxInt(index, hash);
}

/** A version 4 UUID (RFC 9562) made of {@link recordBits}. */
export function recordUuid(topic: string, partition: number, offset: number, index: number, site: number): string {
  const first = recordBits(topic, partition, offset, index, site);
  const second = xxLong(first, 0x9e3779b9n);
  const high = (first & ~0xf000n) | 0x4000n;
  const low = (second & ~(3n << 62n)) | (2n << 62n);
  const hex = u64(high).toString(16).padStart(16, '0') + u64(low).toString(16).padStart(16, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A number in [0, 1) made of {@link recordBits}. */
export function recordRandom(topic: string, partition: number, offset: number, index: number, site: number): number {
  return Number(recordBits(topic, partition, offset, index, site) >> 11n) / 2 ** 53;
}

/** A number of the standard normal distribution made of {@link recordBits} (Box and Muller's transform). */
export function recordNormal(topic: string, partition: number, offset: number, index: number, site: number): number {
  const bits = recordBits(topic, partition, offset, index, site);
  const radius = (Number(u64(bits) >> 11n) + 1) / 2 ** 53;
  const angle = Number(u64(xxLong(bits, 0x9e3779b9n)) >> 11n) / 2 ** 53;
  return Math.sqrt(-2 * Math.log(radius)) * Math.cos(2 * Math.PI * angle);
}

const OFFSET_BITS = 38n;
const INDEX_BITS = 10n;

/** Partition, offset and index side by side in 63 bits; raises for places beyond. */
export function recordNumber(partition: number, offset: number, index: number): bigint {
  if (partition >= 2 ** 15 || offset >= 2 ** 38 || index >= 2 ** 10) return raiseExpressionFailed();
  return (BigInt(partition) << (OFFSET_BITS + INDEX_BITS)) | (BigInt(offset) << INDEX_BITS) | BigInt(index);
}
