/**
 * The records of a RecordBatch v2, after decompression, as arrays of positions. The layout of a record is in
 * core/record-batch-encoder.ts; the plain-TypeScript twin is decodeRecords in engine/codecs/decode-records.ts.
 */

/** Where the arrays stand, element by element as in RecordIndex of engine/codecs/decode-records.ts. */
@unmanaged
class Index {
  keyStart: usize;
  keyLength: usize;
  valueStart: usize;
  valueLength: usize;
  headersStart: usize;
  timestampType: usize;
  offset: usize;
  timestampMs: usize;
  writeTimeUs: usize;
}

/** Fewest bytes of a record after its length. */
const RECORD_BYTES_MIN: i64 = 6;
/** Differences a double holds exactly. */
const SAFE_MAX: i64 = 9007199254740991;

/** Where reading goes on, after {@link readVarint}; 0 when there was no integer. */
let behind: usize = 0;

/** A zigzag variable-length integer of at most `bytesMax` bytes at `at`. */
function readVarint(at: usize, bytesMax: u32): i64 {
  let byte: u64 = load<u8>(at++);
  let value: u64 = byte & 0x7f;
  if (byte > 0x7f) {
    let shift: u64 = 7;
    const shiftEnd = <u64>bytesMax * 7;
    do {
      if (shift == shiftEnd) {
        behind = 0;
        return 0;
      }
      byte = load<u8>(at++);
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte > 0x7f);
  }
  behind = at;
  // Of a short one 32 bits count.
  if (bytesMax == 5) value &= 0xffffffff;
  return <i64>(value >>> 1) ^ -(<i64>(value & 1));
}

/**
 * Adds the records in `[from, to)` whose offset is within `[fromOffset, toOffset)` to the arrays at `index`, from
 * element `row` on, positions relative to `base`. The number of elements then, or -1 when the bytes are no `records`
 * records: the twin then finds the words for what is wrong. Sixteen bytes behind `to` are readable.
 */
export function decodeRecords(
  from: usize,
  to: usize,
  base: usize,
  records: u32,
  index: usize,
  row: u32,
  baseOffset: f64,
  baseTimeUs: f64,
  stride: f64,
  fromOffset: f64,
  toOffset: f64,
  baseTimestampMs: f64,
  appendTime: u32,
): i32 {
  const out = changetype<Index>(index);
  let at = from;
  for (let record: u32 = 0; record < records; record++) {
    if (at >= to) return -1;
    const size = readVarint(at, 5);
    at = behind;
    if (at == 0 || size < RECORD_BYTES_MIN || size > <i64>(to - at)) return -1;
    const end = at + <usize>size;
    const timestampDelta = readVarint(at + 1, 10);
    if (behind == 0 || timestampDelta > SAFE_MAX || timestampDelta < -SAFE_MAX) return -1;
    const offsetDelta = readVarint(behind, 5);
    if (behind == 0) return -1;
    const keyBytes = readVarint(behind, 5);
    const keyAt = behind;
    if (keyAt == 0 || keyAt >= end || keyBytes < -1 || keyBytes >= <i64>(end - keyAt)) return -1;
    const valueBytes = readVarint(keyBytes > 0 ? keyAt + <usize>keyBytes : keyAt, 5);
    const valueAt = behind;
    if (valueAt == 0 || valueAt >= end || valueBytes < -1 || valueBytes >= <i64>(end - valueAt)) return -1;
    const offset = baseOffset + <f64>offsetDelta;
    if (offset >= fromOffset && offset < toOffset) {
      const word: usize = (<usize>row) << 2;
      const long: usize = (<usize>row) << 3;
      store<i32>(out.keyStart + word, <i32>(keyAt - base));
      store<i32>(out.keyLength + word, <i32>keyBytes);
      store<i32>(out.valueStart + word, <i32>(valueAt - base));
      store<i32>(out.valueLength + word, <i32>valueBytes);
      store<i32>(out.headersStart + word, <i32>(valueAt - base) + (valueBytes > 0 ? <i32>valueBytes : 0));
      store<u8>(out.timestampType + <usize>row, <u8>appendTime);
      store<f64>(out.offset + long, offset);
      store<f64>(out.timestampMs + long, appendTime != 0 ? baseTimestampMs : baseTimestampMs + <f64>timestampDelta);
      store<f64>(out.writeTimeUs + long, baseTimeUs + <f64>offsetDelta * stride);
      row++;
    }
    at = end;
  }
  return at == to ? <i32>row : -1;
}
