/**
 * LZ4 frames (LZ4 Frame Format 1.6) as Kafka uses them (KIP-57), and LZ4 blocks. Reads every frame a client may write:
 * several blocks, stored blocks, linked blocks, checksums, content size, skippable and concatenated frames. Writes
 * independent blocks of 64 KiB.
 */
import { ByteBuffer } from '../byte-buffer.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BATCH_BYTES_MAX, corrupt, tooLarge } from './corrupt.ts';
import { decompressByKernel } from './kernel-block.ts';
import { xxh32 } from './xxh32.ts';

const FRAME_MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const FLAG_VERSION_1 = 0x40;
const FLAG_INDEPENDENT = 0x20;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_DICTIONARY = 0x01;
const STORED_BLOCK = 0x80000000;
/** Block size code 4 in bits 4-6. */
const BLOCK_64_KIB = 0x40;
const BLOCK_BYTES = 64 * 1024;
/** Magic, flags, block size and the checksum of these. */
const FRAME_HEADER_BYTES = 7;

/** Appends the decompressed bytes of the frames in `source[start, end)`. Throws: BATCH_CORRUPT. */
export function lz4Decompress(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
  const origin = target.length;
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  let at = start;
  while (at < end) {
    if (end - at < 7) throw corrupt('has an LZ4 frame that ends within its header');
    const magic = view.getUint32(at, true);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + view.getUint32(at + 4, true);
      if (at > end) throw corrupt('has an LZ4 frame that ends early');
      continue;
    }
    if (magic !== FRAME_MAGIC) throw corrupt('does not begin with an LZ4 frame');
    at = decompressFrame(source, view, at, end, target, origin);
  }
}

function decompressFrame(
  source: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  target: ByteBuffer,
  origin: number,
): number {
  const flags = view.getUint8(start + 4);
  if ((flags & 0xc0) !== FLAG_VERSION_1) throw corrupt('has an LZ4 frame of an unknown version');
  if ((flags & FLAG_DICTIONARY) !== 0) throw corrupt('has an LZ4 frame that needs a dictionary');
  const blockCode = (view.getUint8(start + 5) >>> 4) & 7;
  if (blockCode < 4) throw corrupt('has an LZ4 frame with an unknown block size');
  const blockBytesMax = 1 << (8 + 2 * blockCode);
  let at = start + 6;
  let contentBytes = -1;
  if ((flags & FLAG_CONTENT_SIZE) !== 0) {
    if (end - at < 9) throw corrupt('has an LZ4 frame that ends within its header');
    contentBytes = Number(view.getBigUint64(at, true));
    if (contentBytes > BATCH_BYTES_MAX) throw tooLarge();
    at += 8;
  }
  if (((xxh32(source, start + 4, at) >>> 8) & 0xff) !== view.getUint8(at))
    throw corrupt('has an LZ4 frame with a wrong header checksum');
  at += 1;
  const frameStart = target.length;
  const trailer = (flags & FLAG_BLOCK_CHECKSUM) !== 0 ? 4 : 0;
  for (;;) {
    if (end - at < 4) throw corrupt('has an LZ4 frame that ends early');
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const bytes = word & 0x7fffffff;
    if (bytes > end - at - trailer) throw corrupt('has an LZ4 block that ends early');
    if (trailer > 0 && xxh32(source, at, at + bytes) !== view.getUint32(at + bytes, true)) {
      throw corrupt('has an LZ4 block with a wrong checksum');
    }
    if (word >= STORED_BLOCK) {
      target.append(source, at, at + bytes);
    } else {
      const window = (flags & FLAG_INDEPENDENT) !== 0 ? target.length : frameStart;
      target.reserve(blockBytesMax);
      const limit = target.length + blockBytesMax;
      if (!decompressByKernel('lz4Block', source, at, at + bytes, target, window, limit))
        decompressBlock(source, at, at + bytes, target, window, limit);
    }
    if (target.length - origin > BATCH_BYTES_MAX) throw tooLarge();
    at += bytes + trailer;
  }
  if ((flags & FLAG_CONTENT_CHECKSUM) !== 0) {
    if (end - at < 4 || xxh32(target.bytes, frameStart, target.length) !== view.getUint32(at, true)) {
      throw corrupt('has an LZ4 frame with a wrong content checksum');
    }
    at += 4;
  }
  if (contentBytes >= 0 && contentBytes !== target.length - frameStart)
    throw corrupt('has an LZ4 frame of another size than it says');
  return at;
}

/** `window` is the first position a match may reach back to, `limit` where output must end at the latest. */
function decompressBlock(
  source: Uint8Array,
  start: number,
  end: number,
  target: ByteBuffer,
  window: number,
  limit: number,
): void {
  const out = target.bytes;
  let at = start;
  let to = target.length;
  while (at < end) {
    const token = source[at++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= end) throw corrupt('has an LZ4 block that ends early');
        more = source[at++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > end - at || literals > limit - to) throw corrupt('has an LZ4 block that runs over its end');
    if (literals > 64) {
      out.set(source.subarray(at, at + literals), to);
      at += literals;
      to += literals;
    } else {
      for (const stop = at + literals; at < stop;) out[to++] = source[at++]!;
    }
    if (at >= end) break;
    if (end - at < 2) throw corrupt('has an LZ4 block that ends early');
    const distance = source[at]! | (source[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + 4;
    if (length === 19) {
      let more: number;
      do {
        if (at >= end) throw corrupt('has an LZ4 block that ends early');
        more = source[at++]!;
        length += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > to - window || length > limit - to)
      throw corrupt('has an LZ4 match outside of its window');
    to = copyMatch(out, to, distance, length);
  }
  target.length = to;
}

/** Repeats what stands `distance` before `to`; source and target may overlap, then the pattern repeats. */
export function copyMatch(out: Uint8Array, to: number, distance: number, length: number): number {
  let from = to - distance;
  const stop = to + length;
  if (length > 64 && distance >= length) {
    out.copyWithin(to, from, from + length);
    return stop;
  }
  while (to < stop) out[to++] = out[from++]!;
  return stop;
}

/** Most bytes that a frame of so many bytes takes, with what {@link lz4FrameByKernel} overwrites behind it. */
export function lz4FrameBytesMax(bytes: number): number {
  return bytes + Math.ceil(bytes / BLOCK_BYTES) * (4 + BLOCK_BYTES / 255 + 16) + FRAME_HEADER_BYTES + 4 + 16;
}

/** Writes the bytes at the addresses `[start, end)` as one frame at `to`, as {@link Lz4Compressor} does; where it ends. */
export function lz4FrameByKernel({ run, bytes, view }: Kernels, start: number, end: number, to: number): number {
  let at = writeFrameHeader(bytes, view, to);
  for (let from = start; from < end; from += BLOCK_BYTES) {
    const stop = Math.min(end, from + BLOCK_BYTES);
    const blockBytes = run.lz4Compress(from, stop, at + 4) - at - 4;
    const stored = blockBytes >= stop - from;
    if (stored) bytes.copyWithin(at + 4, from, stop);
    view.setUint32(at, stored ? STORED_BLOCK + (stop - from) : blockBytes, true);
    at += 4 + (stored ? stop - from : blockBytes);
  }
  view.setUint32(at, 0, true);
  return at + 4;
}

/** Independent blocks of 64 KiB, without checksums of their content; where it ends. */
function writeFrameHeader(bytes: Uint8Array, view: DataView, at: number): number {
  view.setUint32(at, FRAME_MAGIC, true);
  bytes[at + 4] = FLAG_VERSION_1 | FLAG_INDEPENDENT;
  bytes[at + 5] = BLOCK_64_KIB;
  bytes[at + 6] = (xxh32(bytes, at + 4, at + 6) >>> 8) & 0xff;
  return at + FRAME_HEADER_BYTES;
}

const HASH_BITS = 14;
const MATCH_MIN = 4;
/** The format keeps the last five bytes literal, and starts no match in the last twelve. */
const LAST_LITERALS = 5;
const MATCH_START_MARGIN = 12;

/** Compresses into one frame; greedy, one candidate per hash. Holds its hash table between calls. */
export class Lz4Compressor {
  readonly #table = new Int32Array(1 << HASH_BITS);
  readonly #block = new ByteBuffer(BLOCK_BYTES + BLOCK_BYTES / 128);

  /** Appends one frame with `source[start, end)`. */
  compress(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
    target.reserve(FRAME_HEADER_BYTES + 4);
    target.length = writeFrameHeader(target.bytes, target.view, target.length);
    for (let at = start; at < end; at += BLOCK_BYTES) {
      this.#appendBlock(source, at, Math.min(end, at + BLOCK_BYTES), target);
    }
    target.reserve(4);
    target.view.setUint32(target.length, 0, true);
    target.length += 4;
  }

  #appendBlock(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
    const block = this.#block;
    block.clear();
    this.#compressBlock(source, start, end);
    const stored = block.length >= end - start;
    target.reserve(4);
    target.view.setUint32(target.length, stored ? STORED_BLOCK + (end - start) : block.length, true);
    target.length += 4;
    if (stored) target.append(source, start, end);
    else target.append(block.bytes, 0, block.length);
  }

  #compressBlock(source: Uint8Array, start: number, end: number): void {
    const table = this.#table.fill(-1);
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    const matchEnd = end - LAST_LITERALS;
    let literalStart = start;
    let misses = 0;
    for (let at = start; at < end - MATCH_START_MARGIN;) {
      const word = view.getInt32(at, true);
      const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
      const candidate = table[slot]!;
      table[slot] = at;
      if (candidate < 0 || view.getInt32(candidate, true) !== word) {
        // Step faster through bytes that do not compress.
        at += 1 + (misses++ >>> 6);
        continue;
      }
      misses = 0;
      let stop = at + MATCH_MIN;
      for (let from = candidate + MATCH_MIN; stop < matchEnd && source[stop] === source[from]; from++) stop++;
      this.#sequence(source, literalStart, at, at - candidate, stop - at);
      at = stop;
      literalStart = stop;
    }
    this.#sequence(source, literalStart, end, 0, 0);
  }

  /** Literals, then a match; a match length of 0 ends the block. */
  #sequence(source: Uint8Array, literalStart: number, literalEnd: number, distance: number, length: number): void {
    const block = this.#block;
    const literals = literalEnd - literalStart;
    block.reserve(literals + 16 + ((literals + length) >>> 7));
    const out = block.bytes;
    let at = block.length;
    const extra = length - MATCH_MIN;
    out[at++] = (Math.min(literals, 15) << 4) | (length === 0 ? 0 : Math.min(extra, 15));
    if (literals >= 15) at = writeLength(out, at, literals - 15);
    for (let from = literalStart; from < literalEnd;) out[at++] = source[from++]!;
    if (length > 0) {
      out[at++] = distance & 0xff;
      out[at++] = distance >>> 8;
      if (extra >= 15) at = writeLength(out, at, extra - 15);
    }
    block.length = at;
  }
}

function writeLength(out: Uint8Array, at: number, rest: number): number {
  for (; rest >= 255; rest -= 255) out[at++] = 255;
  out[at] = rest;
  return at + 1;
}
