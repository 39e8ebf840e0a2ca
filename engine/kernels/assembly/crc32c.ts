/**
 * CRC-32C without a table for most of the bytes. The byte-wise identity `y^209 = y^144 + y^54 + y^39 + y^14 + 1` holds
 * modulo the polynomial (y = x^8): what stands at a byte may be moved to the bytes 65, 155, 170, 195 and 209 behind it
 * without changing the checksum. Every move is farther than 64 bytes, so four vectors are folded at a time with nothing
 * but loads and xors. (The idea of folding by sparse multiples: Hajdarbegovic et al., "Chorba".) The last few hundred
 * bytes and short inputs go through sixteen tables.
 */
const POLYNOMIAL: u32 = 0x82f63b78;
const SLICES: u32 = 16;
const TABLES: usize = memory.data(16 * 1024, 16);
/** Folded bytes that later ones still need: 209, in whole vectors. */
const HISTORY: usize = 224;
/** Bytes folded before the history is moved to the front. */
const TILE: usize = 8192;
const FOLDED: usize = memory.data(224 + 8192 + 64, 16);
/** The bytes behind the folded ones, joined with what was moved there. */
const JOINED: usize = memory.data(224, 16);
/** Shorter inputs gain nothing from folding. */
const FOLD_BYTES_MIN: usize = 1024;

buildTables();

function buildTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    store<u32>(TABLES + ((<usize>byte) << 2), crc);
  }
  for (let at: usize = 256; at < 256 * SLICES; at++) {
    const previous = load<u32>(TABLES + ((at - 256) << 2));
    store<u32>(TABLES + (at << 2), (previous >>> 8) ^ load<u32>(TABLES + ((<usize>(previous & 0xff)) << 2)));
  }
}

/** The CRC-32C of `[at, at + bytes)` after bytes whose checksum is `seed`. */
export function crc32c(at: usize, bytes: usize, seed: u32): u32 {
  if (bytes < FOLD_BYTES_MIN) return ~byTables(at, at + bytes, ~seed);
  const foldBytes = (bytes - 256) & ~63;
  const stop = at + foldBytes;
  memory.fill(FOLDED, 0, HISTORY);
  let first = ~seed;
  let to: usize = 0;
  let from = at;
  while (from < stop) {
    const tileEnd = from + min<usize>(TILE, stop - from);
    to = FOLDED + HISTORY;
    fold(from, to, first);
    first = 0;
    from += 64;
    to += 64;
    while (from < tileEnd) {
      fold(from, to, 0);
      from += 64;
      to += 64;
    }
    memory.copy(FOLDED, to - HISTORY, HISTORY);
  }
  // What was moved behind the folded bytes joins the bytes that stand there, which are not folded themselves.
  to = FOLDED + HISTORY;
  memory.fill(to, 0, HISTORY + 64);
  for (let done: usize = 0; done < HISTORY; done += 16) {
    v128.store(JOINED + done, v128.xor(v128.load(from + done), moved(to + done)));
  }
  let crc = byTables(JOINED, JOINED + HISTORY, 0);
  crc = byTables(from + HISTORY, at + bytes, crc);
  return ~crc;
}

/** What earlier bytes moved to the vector at `to`. */
function moved(to: usize): v128 {
  return v128.xor(
    v128.xor(v128.xor(v128.load(to - 65), v128.load(to - 155)), v128.xor(v128.load(to - 170), v128.load(to - 195))),
    v128.load(to - 209),
  );
}

function fold(from: usize, to: usize, first: u32): void {
  const start = v128.xor(v128.load(from), i32x4.replace_lane(i32x4.splat(0), 0, first));
  const a = v128.xor(start, moved(to));
  const b = v128.xor(v128.load(from, 16), moved(to + 16));
  const c = v128.xor(v128.load(from, 32), moved(to + 32));
  const d = v128.xor(v128.load(from, 48), moved(to + 48));
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

function slice(table: usize, byte: u32): u32 {
  return load<u32>(TABLES + (table << 10) + ((<usize>(byte & 0xff)) << 2));
}

function byTables(at: usize, end: usize, crc: u32): u32 {
  for (; at + 16 <= end; at += 16) {
    const a = load<u32>(at) ^ crc;
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    crc =
      slice(15, a) ^
      slice(14, a >>> 8) ^
      slice(13, a >>> 16) ^
      slice(12, a >>> 24) ^
      slice(11, b) ^
      slice(10, b >>> 8) ^
      slice(9, b >>> 16) ^
      slice(8, b >>> 24) ^
      slice(7, c) ^
      slice(6, c >>> 8) ^
      slice(5, c >>> 16) ^
      slice(4, c >>> 24) ^
      slice(3, d) ^
      slice(2, d >>> 8) ^
      slice(1, d >>> 16) ^
      slice(0, d >>> 24);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ slice(0, crc ^ load<u8>(at));
  return crc;
}
