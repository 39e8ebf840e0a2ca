/**
 * Snappy (format description of the reference implementation), as raw blocks and in the framing of snappy-java
 * ("xerial"), which is what Java's Kafka client writes: magic, version i32, compatible i32, then (length i32, block)*.
 */
import type { ByteBuffer } from '../byte-buffer.ts';
import { BATCH_BYTES_MAX, corrupt, tooLarge } from './corrupt.ts';
import { decompressByKernel } from './kernel-block.ts';
import { copyMatch } from './lz4.ts';

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00] as const;
const XERIAL_HEADER_BYTES = 16;
const BLOCK_BYTES = 32 * 1024;
const OTHER_SIZE = 'has a Snappy block of another size than it says';

/** Appends the decompressed bytes of `source[start, end)`. Throws: BATCH_CORRUPT. */
export function snappyDecompress(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
  if (!isXerial(source, start, end)) {
    decompressBlock(source, start, end, target, target.length);
    return;
  }
  const origin = target.length;
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  for (let at = start + XERIAL_HEADER_BYTES; at < end;) {
    if (end - at < 4) throw corrupt('has a Snappy stream that ends early');
    // Streams that were appended to one another repeat the header.
    if (isXerial(source, at, end)) {
      at += XERIAL_HEADER_BYTES;
      continue;
    }
    const bytes = view.getInt32(at);
    at += 4;
    if (bytes < 0 || bytes > end - at) throw corrupt('has a Snappy block that ends early');
    decompressBlock(source, at, at + bytes, target, origin);
    at += bytes;
  }
}

function isXerial(source: Uint8Array, start: number, end: number): boolean {
  return end - start >= XERIAL_HEADER_BYTES && XERIAL_MAGIC.every((byte, index) => source[start + index] === byte);
}

function decompressBlock(source: Uint8Array, start: number, end: number, target: ByteBuffer, origin: number): void {
  let at = start;
  let size = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = source[at++] ?? 0;
    if (at > end || factor > 2 ** 28) throw corrupt('has a Snappy block without a length');
    size += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  if (target.length - origin + size > BATCH_BYTES_MAX) throw tooLarge();
  target.reserve(size);
  const out = target.bytes;
  const window = target.length;
  const limit = window + size;
  if (decompressByKernel('snappyBlock', source, at, end, target, window, limit)) {
    if (target.length !== limit) throw corrupt(OTHER_SIZE);
    return;
  }
  let to = window;
  while (at < end) {
    const tag = source[at++]!;
    if ((tag & 3) === 0) {
      let length = (tag >>> 2) + 1;
      if (length > 60) {
        const lengthBytes = length - 60;
        if (lengthBytes > end - at) throw corrupt('has a Snappy block that ends early');
        length = 1;
        for (let index = 0, factor = 1; index < lengthBytes; index++, factor *= 256) length += source[at++]! * factor;
      }
      if (length > end - at || length > limit - to) throw corrupt('has a Snappy literal that runs over its end');
      if (length > 64) {
        out.set(source.subarray(at, at + length), to);
        at += length;
        to += length;
      } else {
        for (const stop = at + length; at < stop;) out[to++] = source[at++]!;
      }
      continue;
    }
    const operandBytes = (tag & 3) === 3 ? 4 : tag & 3;
    if (operandBytes > end - at) throw corrupt('has a Snappy block that ends early');
    let length: number;
    let distance: number;
    if (operandBytes === 1) {
      length = ((tag >>> 2) & 7) + 4;
      distance = ((tag >>> 5) << 8) | source[at]!;
    } else {
      length = (tag >>> 2) + 1;
      distance = source[at]! | (source[at + 1]! << 8);
      if (operandBytes === 4) distance += source[at + 2]! * 0x10000 + source[at + 3]! * 0x1000000;
    }
    at += operandBytes;
    if (distance === 0 || distance > to - window || length > limit - to)
      throw corrupt('has a Snappy match outside of its window');
    to = copyMatch(out, to, distance, length);
  }
  if (to !== limit) throw corrupt(OTHER_SIZE);
  target.length = to;
}

const HASH_BITS = 13;
const MATCH_MIN = 4;

/** Compresses into the framing of snappy-java; greedy, one candidate per hash. Holds its hash table between calls. */
export class SnappyCompressor {
  readonly #table = new Int32Array(1 << HASH_BITS);

  /** Appends one stream with `source[start, end)`. */
  compress(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
    target.reserve(XERIAL_HEADER_BYTES);
    target.bytes.set(XERIAL_MAGIC, target.length);
    target.view.setInt32(target.length + 8, 1);
    target.view.setInt32(target.length + 12, 1);
    target.length += XERIAL_HEADER_BYTES;
    for (let at = start; at < end; at += BLOCK_BYTES) {
      const stop = Math.min(end, at + BLOCK_BYTES);
      // Literals cost at most one tag of three bytes per block here, matches only ever shrink it.
      target.reserve(4 + 5 + (stop - at) + ((stop - at) >>> 3) + 16);
      const lengthAt = target.length;
      target.length += 4;
      this.#compressBlock(source, at, stop, target);
      target.view.setInt32(lengthAt, target.length - lengthAt - 4);
    }
  }

  #compressBlock(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
    const table = this.#table.fill(-1);
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    const out = target.bytes;
    let to = target.length;
    let size = end - start;
    for (; size >= 0x80; size >>>= 7) out[to++] = (size & 0x7f) | 0x80;
    out[to++] = size;
    let literalStart = start;
    let misses = 0;
    for (let at = start; at + MATCH_MIN <= end;) {
      const word = view.getInt32(at, true);
      const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
      const candidate = table[slot]!;
      table[slot] = at;
      if (candidate < 0 || view.getInt32(candidate, true) !== word) {
        at += 1 + (misses++ >>> 6);
        continue;
      }
      misses = 0;
      let stop = at + MATCH_MIN;
      for (let from = candidate + MATCH_MIN; stop < end && source[stop] === source[from]; from++) stop++;
      to = writeLiteral(source, literalStart, at, out, to);
      to = writeCopies(out, to, at - candidate, stop - at);
      at = stop;
      literalStart = stop;
    }
    target.length = writeLiteral(source, literalStart, end, out, to);
  }
}

function writeLiteral(source: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  const length = end - start;
  if (length === 0) return to;
  if (length <= 60) {
    out[to++] = (length - 1) << 2;
  } else if (length <= 256) {
    out[to++] = 60 << 2;
    out[to++] = length - 1;
  } else {
    out[to++] = 61 << 2;
    out[to++] = (length - 1) & 0xff;
    out[to++] = (length - 1) >>> 8;
  }
  for (let at = start; at < end;) out[to++] = source[at++]!;
  return to;
}

/** Copies of at most 64 bytes with a two-byte distance. */
function writeCopies(out: Uint8Array, to: number, distance: number, length: number): number {
  while (length > 0) {
    const part = Math.min(length, 64);
    out[to++] = ((part - 1) << 2) | 2;
    out[to++] = distance & 0xff;
    out[to++] = distance >>> 8;
    length -= part;
  }
  return to;
}
