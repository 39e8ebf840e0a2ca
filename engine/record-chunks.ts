/**
 * Record batches of a task as chunks of about a megabyte, decoded one after another into the same memory, so that the
 * bytes stay in the processor's cache. That is the memory of the thread's kernels, from the first chunk to the release.
 */
import { isWeirError, WeirError } from '../core/errors.ts';
import { COMPRESSION_MASK } from '../core/record-batch.ts';
import { decodeBatch, RecordIndex } from './codecs/decode-records.ts';
import { KernelArena } from './kernels/kernel-arena.ts';
import { KERNEL_SLACK_BYTES } from './kernels/kernels.ts';
import { BATCH_STRIDE } from './stage.ts';
import type { StageTask } from './stage.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Memory kept between tasks for decoded bytes. */
const ARENA_KEPT_BYTES = 16 * 1024 * 1024;
/** Fewer bytes gain nothing from the kernels. */
const KERNEL_BYTES_MIN = 4096;

/** What decoding needs of a task. */
export type ChunkTask = Pick<StageTask, 'bytes' | 'batches' | 'fromOffset' | 'toOffset' | 'partition' | 'stride'>;

/** One per stage and thread: records and bytes are those of the chunk decoded last. */
export class RecordChunks {
  readonly records = new RecordIndex();
  readonly arena = new KernelArena();
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
    this.records.clear();
    const { source, at } = this.#place(task.bytes, start, stop);
    for (let batch = first; batch < end; batch += BATCH_STRIDE) {
      const baseOffset = batches[batch + 2]!;
      try {
        decodeBatch(
          source,
          {
            // As machine integers: the loops over bytes start from them.
            start: (batches[batch]! - start + at) | 0,
            end: (batches[batch + 1]! - start + at) | 0,
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
        this.release();
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

  /**
   * Empties the arena and puts the chunk's bytes where the kernels reach them: a compressed one beside the arena, a
   * plain one as its content. Where they stand, and at which position they begin.
   */
  #place(bytes: Uint8Array, start: number, stop: number): { readonly source: Uint8Array; readonly at: number } {
    const source = bytes.subarray(start, stop);
    const { arena } = this;
    const plain = isPlain(bytes, start);
    if (source.byteLength < KERNEL_BYTES_MIN || !arena.enter()) {
      arena.leave();
      if (plain) arena.adopt(source);
      return { source, at: 0 };
    }
    if (plain) {
      arena.append(source);
      return { source: arena.bytes, at: 0 };
    }
    const at = arena.allocate(source.byteLength + KERNEL_SLACK_BYTES);
    if (at === 0 || arena.memory === null) return { source, at: 0 };
    arena.memory.bytes.set(source, at);
    return { source: arena.memory.bytes, at };
  }

  /** Lets go of the task's bytes and of what an unusually large one needed. */
  release(): void {
    this.records.clear();
    this.arena.leave();
    this.arena.shrink(ARENA_KEPT_BYTES);
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
