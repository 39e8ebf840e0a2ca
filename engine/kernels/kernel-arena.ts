/**
 * A byte buffer in kernel memory: decompressed bytes and unescaped text grow from the bottom of the area, arrays that
 * kernels fill from its top. When it does not fit any more the content moves to memory of its own, and whoever uses the
 * arena goes on with the plain-TypeScript twins; arrays taken before stay.
 *
 * The area is the thread's only one. It is borrowed for as long as one task runs, which never waits for anything.
 */
import { ByteBuffer } from '../byte-buffer.ts';
import type { Kernels } from './kernels.ts';
import { borrowKernels, KERNEL_SLACK_BYTES, returnKernels } from './kernels.ts';

/** Arrays begin at multiples of this. */
const ALIGNMENT = 16;

export class KernelArena extends ByteBuffer {
  readonly #self = new WeakRef<object>(this);
  #borrowed: Kernels | null = null;
  /** Whether the content stands in the area. */
  #inside = false;
  /** Address where the arrays begin. */
  #top = 0;
  /** Grows with every {@link clear}: arrays taken before are gone then. */
  generation = 0;

  /** Moves the empty buffer into kernel memory; false when that cannot be had. */
  enter(): boolean {
    this.#borrowed ??= borrowKernels(this.#self);
    this.clear();
    return this.#inside;
  }

  /** Gives the kernel memory back, and with it all content and arrays. */
  leave(): void {
    if (this.#borrowed !== null) returnKernels();
    this.#borrowed = null;
    this.clear();
  }

  /** The kernels, while the content stands in their memory. */
  get kernels(): Kernels | null {
    return this.#inside ? this.#borrowed : null;
  }

  /** The memory that {@link allocate} gives addresses of; null outside of {@link enter} and {@link leave}. */
  get memory(): Kernels | null {
    return this.#borrowed;
  }

  /** Address of the content's first byte. */
  get base(): number {
    return this.#borrowed?.areaStart ?? 0;
  }

  /** Address behind the last byte the content may have. */
  get limit(): number {
    return this.#top - KERNEL_SLACK_BYTES;
  }

  /** Address of `bytes` bytes for arrays, not cleared; 0 when there is no room. Valid until {@link clear}. */
  allocate(bytes: number): number {
    if (this.#borrowed === null) return 0;
    const used = this.#inside ? this.length : 0;
    const at = Math.floor((this.#top - bytes) / ALIGNMENT) * ALIGNMENT;
    if (at - KERNEL_SLACK_BYTES < this.base + used) return 0;
    this.#top = at;
    return at;
  }

  /** What {@link reset} goes back to. */
  mark(): number {
    return this.#top;
  }

  /** Gives up the arrays taken since a mark of this generation. */
  reset(mark: number): void {
    this.#top = mark;
  }

  override reserve(extra: number): void {
    if (this.#inside) {
      if (this.base + this.length + extra <= this.limit) return;
      this.#inside = false;
      super.adopt(this.bytes.subarray(0, this.length));
    }
    super.reserve(extra);
  }

  override clear(): void {
    super.clear();
    this.generation++;
    const kernels = this.#borrowed;
    this.#inside = kernels !== null;
    if (kernels === null) return;
    super.adopt(kernels.area);
    this.length = 0;
    this.#top = kernels.buffer.byteLength - KERNEL_SLACK_BYTES;
  }

  override adopt(source: Uint8Array): void {
    this.#inside = false;
    super.adopt(source);
  }
}
