/** The five compressions of Kafka's record batches, into and out of growing buffers. */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressionCodes } from '../../core/record-batch-encoder.ts';
import type { Compression } from '../../core/record-batch-encoder.ts';
import type { ByteBuffer } from '../byte-buffer.ts';
import { BATCH_BYTES_MAX, corrupt, tooLarge } from './corrupt.ts';
import { Lz4Compressor, lz4Decompress } from './lz4.ts';
import { SnappyCompressor, snappyDecompress } from './snappy.ts';

/** zlib's output grows by chunks; few large ones cost less than many small ones. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Appends the decompressed bytes of `source[start, end)`. `codec` is the number in the batch's attributes.
 *
 * Throws: BATCH_CORRUPT for bytes that do not decompress, an unknown codec, or more than 64 MiB.
 */
export function decompress(codec: number, source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
  switch (codec) {
    case compressionCodes.none:
      target.append(source, start, end);
      return;
    case compressionCodes.gzip:
      target.append(
        unzip(() =>
          gunzipSync(source.subarray(start, end), { maxOutputLength: BATCH_BYTES_MAX, chunkSize: CHUNK_BYTES }),
        ),
      );
      return;
    case compressionCodes.snappy:
      snappyDecompress(source, start, end, target);
      return;
    case compressionCodes.lz4:
      lz4Decompress(source, start, end, target);
      return;
    case compressionCodes.zstd:
      target.append(
        unzip(() =>
          zstdDecompressSync(source.subarray(start, end), { maxOutputLength: BATCH_BYTES_MAX, chunkSize: CHUNK_BYTES }),
        ),
      );
      return;
    default:
      throw corrupt(`names compression ${codec}, which does not exist`);
  }
}

function unzip(run: () => Uint8Array): Uint8Array {
  try {
    return run();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw corrupt('cannot be decompressed', error);
  }
}

/** Compresses for one sink; keeps its tables between calls. */
export class Compressor {
  readonly compression: Compression;
  readonly #lz4: Lz4Compressor | undefined;
  readonly #snappy: SnappyCompressor | undefined;

  constructor(compression: Compression) {
    this.compression = compression;
    this.#lz4 = compression === 'lz4' ? new Lz4Compressor() : undefined;
    this.#snappy = compression === 'snappy' ? new SnappyCompressor() : undefined;
  }

  /** Appends the compressed bytes of `source[start, end)`. */
  compress(source: Uint8Array, start: number, end: number, target: ByteBuffer): void {
    switch (this.compression) {
      case 'none':
        target.append(source, start, end);
        break;
      case 'gzip':
        target.append(gzipSync(source.subarray(start, end)));
        break;
      case 'zstd':
        target.append(zstdCompressSync(source.subarray(start, end)));
        break;
      case 'snappy':
        this.#snappy?.compress(source, start, end, target);
        break;
      case 'lz4':
        this.#lz4?.compress(source, start, end, target);
        break;
    }
  }
}
