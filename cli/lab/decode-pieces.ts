/** Records of fetched batches as people look at them. */
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { RecordIndex, decodeBatch, visitHeaders } from '../../engine/codecs/decode-records.ts';
import type { DecodedRecord, LogPiece } from '../../master/lab.ts';

/** In the order of the pieces; keys and values cut at `bytesMax`. Throws: BATCH_CORRUPT. */
export function decodePieces(pieces: readonly LogPiece[], bytesMax: number, limit: number): DecodedRecord[] {
  const decoded: DecodedRecord[] = [];
  for (const { partition, bytes, batches, from, to } of pieces) {
    for (const { start, end, baseOffset } of batches) {
      if (decoded.length >= limit) return decoded;
      const arena = new ByteBuffer();
      const records = new RecordIndex();
      decodeBatch(
        bytes,
        { start, end, baseOffset, baseTimeUs: 0, stride: 1, fromOffset: from, toOffset: to },
        arena,
        records,
      );
      for (let row = 0; row < records.count && decoded.length < limit; row++)
        decoded.push(recordAt(arena, records, row, partition, bytesMax));
    }
  }
  return decoded;
}

function recordAt(
  arena: ByteBuffer,
  records: RecordIndex,
  row: number,
  partition: number,
  bytesMax: number,
): DecodedRecord {
  const base64 = (start: number, length: number): string =>
    Buffer.from(arena.bytes.buffer, arena.bytes.byteOffset + start, Math.min(length, bytesMax)).toString('base64');
  const at = (starts: ArrayLike<number>, lengths: ArrayLike<number>): string | null => {
    const length = lengths[row] ?? -1;
    return length < 0 ? null : base64(starts[row] ?? 0, length);
  };
  const headers: [string, string][] = [];
  visitHeaders(arena.bytes, records.headersStart[row] ?? 0, arena.length, (nameStart, nameLength, start, length) => {
    const name = Buffer.from(arena.bytes.buffer, arena.bytes.byteOffset + nameStart, nameLength).toString();
    headers.push([name, length < 0 ? '' : base64(start, length)]);
  });
  const valueLength = records.valueLength[row] ?? -1;
  return {
    partition,
    offset: records.offset[row] ?? -1,
    timestampMs: records.timestampMs[row] ?? -1,
    key: at(records.keyStart, records.keyLength),
    value: at(records.valueStart, records.valueLength),
    valueBytes: valueLength < 0 ? null : valueLength,
    headers,
  };
}
