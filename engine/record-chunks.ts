/**
 * Record batches of a task as chunks of about a megabyte, decoded one after another into the same memory, so that the
 * bytes stay in the processor's cache.
 */
import { isWeirError, WeirError } from '../core/errors.ts';
import { COMPRESSION_MASK } from '../core/record-batch.ts';
import { ByteBuffer } from './byte-buffer.ts';
import { decodeBatch, RecordIndex } from './codecs/decode-records.ts';
import { BATCH_STRIDE } from './stage.ts';
import type { StageTask } from './stage.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Memory kept between tasks for decoded bytes. */
const ARENA_KEPT_BYTES = 16 * 1024 * 1024;

/** What decoding needs of a task. */
export type ChunkTask = Pick<StageTask, 'bytes' | 'batches' | 'fromOffset' | 'toOffset' | 'partition' | 'stride'>;

/** One per stage and thread: records and bytes are those of the chunk decoded last. */
export class RecordChunks {
  readonly records = new RecordIndex();
  readonly arena = new ByteBuffer();
  readonly #job: string;
  readonly #topic: string;

  constructor(job: string, topic: string) {
    this.#job = job;
    this.#topic = topic;
  }

  /**
   * Decodes the chunk that begins with the batch at `first` (an index into the task's table of batches); the index
   * where the next one begins. Throws: BATCH_CORRUPT, naming topic, partition and offset.
   */
  decode(task: ChunkTask, first: number): number {
    const end = chunkEnd(task, first);
    const { batches } = task;
    const start = batches[first]!;
    const stop = batches[end - BATCH_STRIDE + 1]!;
    const source = task.bytes.subarray(start, stop);
    this.records.clear();
    this.arena.clear();
    if (isPlain(task.bytes, start)) this.arena.adopt(source);
    for (let batch = first; batch < end; batch += BATCH_STRIDE) {
      const baseOffset = batches[batch + 2]!;
      try {
        decodeBatch(
          source,
          {
            // As machine integers: the loops over bytes start from them.
            start: (batches[batch]! - start) | 0,
            end: (batches[batch + 1]! - start) | 0,
            baseOffset,
            baseTimeUs: batches[batch + 3]!,
            stride: task.stride,
            fromOffset: task.fromOffset,
            toOffset: task.toOffset,
          },
          this.arena,
          this.records,
        );
      } catch (error) {
        if (!isWeirError(error, 'BATCH_CORRUPT')) throw error;
        throw new WeirError(
          'BATCH_CORRUPT',
          `job ${this.#job}: topic ${this.#topic}, partition ${task.partition}: the record batch at offset ${baseOffset} cannot be read: ${error.message}`,
          { cause: error, facts: { topic: this.#topic, partition: task.partition, offset: baseOffset } },
        );
      }
    }
    return end;
  }

  /** Lets go of the task's bytes and of what an unusually large one needed. */
  release(): void {
    this.arena.shrink(ARENA_KEPT_BYTES);
    this.arena.clear();
  }
}

/** Batches of one chunk: about a megabyte, all of them compressed or all of them not. */
function chunkEnd(task: ChunkTask, first: number): number {
  const start = task.batches[first]!;
  const plain = isPlain(task.bytes, start);
  let next = first + BATCH_STRIDE;
  while (
    next < task.batches.length &&
    task.batches[next + 1]! - start <= (plain ? CHUNK_BYTES : CHUNK_BYTES / 4) &&
    isPlain(task.bytes, task.batches[next]!) === plain
  ) {
    next += BATCH_STRIDE;
  }
  return next;
}

function isPlain(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + 22]! & COMPRESSION_MASK) === 0;
}
