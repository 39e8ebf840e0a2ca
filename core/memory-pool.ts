/**
 * Memory that goes round: fetched bytes are received into it, travel to a thread and come back empty. Fresh megabytes
 * for every fetch would be paid three times: the system clears them page by page, the processor's cache never holds
 * them, and the garbage collector is called for memory outside of its heap.
 */
import { must } from './assert.ts';

/** Smaller pieces are cheap to make, and to collect. */
const POOLED_BYTES_MIN = 1024;
const POOLED_BYTES_MAX = 8 * 1024 * 1024;
const IDLE_BYTES_MAX = 64 * 1024 * 1024;

export class MemoryPool {
  readonly #idleBytesMax: number;
  /** By size, a power of two. The last given is the first taken: it is the most likely to be in a cache. */
  readonly #idle = new Map<number, ArrayBuffer[]>();
  #idleBytes = 0;

  /** Keeps up to `idleBytesMax` bytes for later; more is left to the garbage collector. */
  constructor(idleBytesMax = IDLE_BYTES_MAX) {
    this.#idleBytesMax = idleBytesMax;
  }

  /** Bytes that wait to be taken. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** At least so many bytes, with anything in them. They are the caller's, to give back or to forget. */
  take(bytes: number): ArrayBuffer {
    if (bytes < POOLED_BYTES_MIN || bytes > POOLED_BYTES_MAX) return new ArrayBuffer(bytes);
    const size = 2 ** Math.ceil(Math.log2(bytes));
    const idle = this.#idle.get(size)?.pop();
    if (idle === undefined) return Buffer.allocUnsafeSlow(size).buffer;
    this.#idleBytes -= size;
    return idle;
  }

  /** Whoever gives memory has no view of it left. Any memory may come; what does not fit is forgotten. */
  give(memory: ArrayBuffer): void {
    const size = memory.byteLength;
    if (size < POOLED_BYTES_MIN || size > POOLED_BYTES_MAX || (size & (size - 1)) !== 0) return;
    if (this.#idleBytes + size > this.#idleBytesMax) return;
    if (!this.#idle.has(size)) this.#idle.set(size, []);
    must(this.#idle.get(size), () => 'no list of a size').push(memory);
    this.#idleBytes += size;
  }
}
