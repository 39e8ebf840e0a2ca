/**
 * Memory that frames are written into, over and over. The driver copies a frame into what it hands to the socket in the
 * same turn in which it asked for it; a fresh piece of memory for each would be garbage right after, outside of the heap,
 * where it makes V8 start full collections.
 */
import { assert } from '../../core/assert.ts';

/**
 * The driver's queue asks for frames until they have so many bytes together, and then copies them: its option
 * `coalescingThreshold`.
 */
export const COALESCED_BYTES = 64 * 1024;
/** Larger frames get memory of their own. */
const FRAME_BYTES_MAX = 128 * 1024;
/** What the queue may ask for before it copies, a frame that begins right after it, and what is left over at the end. */
const RING_BYTES = COALESCED_BYTES + 3 * FRAME_BYTES_MAX;

export class FrameRing {
  #memory: ArrayBuffer | null = null;
  #next = 0;

  /**
   * So many bytes with anything in them. They are used again once frames of {@link COALESCED_BYTES} bytes or more were
   * taken after this one.
   */
  take(bytes: number): Buffer {
    assert(bytes > 0, () => `a frame of ${bytes} bytes`);
    if (bytes > FRAME_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes);
    this.#memory ??= new ArrayBuffer(RING_BYTES);
    const start = this.#next + bytes > RING_BYTES ? 0 : this.#next;
    this.#next = start + bytes;
    return Buffer.from(this.#memory, start, bytes);
  }
}
