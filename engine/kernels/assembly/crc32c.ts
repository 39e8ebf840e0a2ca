/**
 * CRC-32C without a table for most of the bytes. Modulo the polynomial (y = x^8) these identities hold:
 *
 *     y^5275 = y^4508 + y^2751 + 1
 *     y^209  = y^144 + y^54 + y^39 + y^14 + 1
 *
 * By the first, what stands at a byte may be moved to the bytes 767, 2524 and 5275 behind it without changing the
 * checksum; by the second, to those 65, 155, 170, 195 and 209 behind it. So vectors are folded with nothing but loads
 * and xors: with three moves while there are many bytes, then with five, nearer ones; the last few hundred bytes and
 * short inputs go through sixteen tables. Far moves are quicker than their number says: what they read was stored long
 * before, while a load of what two stores have just left behind waits for both. (The idea of folding by sparse
 * multiples: Hajdarbegovic et al., "Chorba".)
 */
const POLYNOMIAL: u32 = 0x82f63b78;
const SLICES: u32 = 16;
const TABLES: usize = memory.data(16 * 1024, 16);
/** Folded bytes that later ones still need, in whole vectors: of far and of near moves. */
const FAR_HISTORY: usize = 5280;
const NEAR_HISTORY: usize = 224;
/** Bytes folded before the history is moved to the front. */
const TILE: usize = 16384;
const FOLDED: usize = memory.data(5280 + 16384 + 64, 16);
/** The bytes behind the folded ones, joined with what was moved there. */
const FAR_JOINED: usize = memory.data(5280, 16);
const NEAR_JOINED: usize = memory.data(224, 16);
/** Shorter inputs gain nothing from far and from near moves. */
const FAR_BYTES_MIN: usize = 12288;
const NEAR_BYTES_MIN: usize = 1024;

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
  return ~(bytes < FAR_BYTES_MIN ? byNearMoves(at, at + bytes, ~seed) : byFarMoves(at, at + bytes, ~seed));
}

function byFarMoves(at: usize, end: usize, crc: u32): u32 {
  const stop = at + ((end - at - FAR_HISTORY) & ~63);
  let from = at;
  let to: usize = FOLDED + FAR_HISTORY;
  memory.fill(FOLDED, 0, FAR_HISTORY);
  while (from < stop) {
    const tileEnd = from + min<usize>(TILE, stop - from);
    to = FOLDED + FAR_HISTORY;
    while (from < tileEnd) {
      const a = v128.xor(first(from, crc), movedFar(to));
      const b = v128.xor(v128.load(from, 16), movedFar(to + 16));
      const c = v128.xor(v128.load(from, 32), movedFar(to + 32));
      const d = v128.xor(v128.load(from, 48), movedFar(to + 48));
      v128.store(to, a);
      v128.store(to, b, 16);
      v128.store(to, c, 32);
      v128.store(to, d, 48);
      crc = 0;
      from += 64;
      to += 64;
    }
    memory.copy(FOLDED, to - FAR_HISTORY, FAR_HISTORY);
  }
  // What was moved behind the folded bytes joins the bytes that stand there, which are not folded themselves.
  to = FOLDED + FAR_HISTORY;
  memory.fill(to, 0, FAR_HISTORY);
  for (let done: usize = 0; done < FAR_HISTORY; done += 16)
    v128.store(FAR_JOINED + done, v128.xor(v128.load(from + done), movedFar(to + done)));
  crc = byNearMoves(FAR_JOINED, FAR_JOINED + FAR_HISTORY, 0);
  return byTables(from + FAR_HISTORY, end, crc);
}

function byNearMoves(at: usize, end: usize, crc: u32): u32 {
  if (end - at < NEAR_BYTES_MIN) return byTables(at, end, crc);
  const stop = at + ((end - at - NEAR_HISTORY) & ~63);
  let from = at;
  let to: usize = FOLDED + NEAR_HISTORY;
  memory.fill(FOLDED, 0, NEAR_HISTORY);
  while (from < stop) {
    const a = v128.xor(first(from, crc), movedNear(to));
    const b = v128.xor(v128.load(from, 16), movedNear(to + 16));
    const c = v128.xor(v128.load(from, 32), movedNear(to + 32));
    const d = v128.xor(v128.load(from, 48), movedNear(to + 48));
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
    crc = 0;
    from += 64;
    to += 64;
  }
  memory.fill(to, 0, NEAR_HISTORY);
  for (let done: usize = 0; done < NEAR_HISTORY; done += 16)
    v128.store(NEAR_JOINED + done, v128.xor(v128.load(from + done), movedNear(to + done)));
  crc = byTables(NEAR_JOINED, NEAR_JOINED + NEAR_HISTORY, 0);
  return byTables(from + NEAR_HISTORY, end, crc);
}

/** The vector at `from` with the checksum of what stands before it. */
function first(from: usize, crc: u32): v128 {
  return v128.xor(v128.load(from), i32x4.replace_lane(i32x4.splat(0), 0, crc));
}

/** What earlier bytes moved to the vector at `to`. */
function movedFar(to: usize): v128 {
  return v128.xor(v128.xor(v128.load(to - 767), v128.load(to - 2524)), v128.load(to - 5275));
}

function movedNear(to: usize): v128 {
  return v128.xor(
    v128.xor(v128.xor(v128.load(to - 65), v128.load(to - 155)), v128.xor(v128.load(to - 170), v128.load(to - 195))),
    v128.load(to - 209),
  );
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
