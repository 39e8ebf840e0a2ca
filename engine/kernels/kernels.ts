/**
 * The kernels: WebAssembly with SIMD, one instance and one memory per thread. The memory has a fixed size, so views of
 * it stay valid; only the pages that were written cost memory. Where there is no WebAssembly with SIMD there are no
 * kernels, and their plain-TypeScript twins do the work with the same results.
 */
import { KERNELS_BASE64 } from './kernels-wasm.ts';

/** What engine/kernels/assembly exports. Addresses and lengths are bytes; results are signed 32-bit integers. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  areaStart(): number;
  crc32c(at: number, bytes: number, seed: number): number;
  decodeRecords(
    from: number,
    to: number,
    base: number,
    records: number,
    index: number,
    row: number,
    baseOffset: number,
    baseTimeUs: number,
    stride: number,
    fromOffset: number,
    toOffset: number,
    baseTimestampMs: number,
    appendTime: number,
  ): number;
  encodeRecords(context: number, rows: number, count: number): number;
  lz4Block(at: number, end: number, to: number, window: number, limit: number): number;
  lz4Compress(at: number, end: number, to: number): number;
  partitionRows(
    context: number,
    rows: number,
    count: number,
    partitions: number,
    fixed: number,
    places: number,
    starts: number,
    sorted: number,
  ): void;
  snappyBlock(at: number, end: number, to: number, window: number, limit: number): number;
  scanRows(context: number, rows: number, starts: number, lengths: number, status: number): number;
}

/** What the platform offers; its types belong to the browser's library. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Exports };
}

/** Bytes behind a range that kernels may read or overwrite. */
export const KERNEL_SLACK_BYTES = 64;

export class Kernels {
  readonly run: Exports;
  readonly buffer: ArrayBuffer;
  /** The whole memory: index = address. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The part of the memory that is lent to arenas. */
  readonly areaStart: number;
  readonly area: Uint8Array;

  constructor(exports: Exports) {
    this.run = exports;
    this.buffer = exports.memory.buffer;
    this.bytes = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
    this.areaStart = exports.areaStart();
    this.area = new Uint8Array(this.buffer, this.areaStart);
  }

  /** Address of a position in `bytes`; -1 when they do not stand in this memory. */
  addressOf(bytes: Uint8Array, position: number): number {
    return bytes.buffer === this.buffer ? bytes.byteOffset + position : -1;
  }
}

function instantiate(): Kernels | null {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly?: WebAssemblyApi };
  if (WebAssembly === undefined) return null;
  try {
    const module = new WebAssembly.Module(Buffer.from(KERNELS_BASE64, 'base64'));
    return new Kernels(new WebAssembly.Instance(module).exports);
  } catch {
    // No SIMD on this processor, or no address space for the memory.
    return null;
  }
}

let kernels: Kernels | null | undefined;
/** Who has them; weak, because a holder may end with an error before it gives them back. */
let holder: WeakRef<object> | undefined;

/** The kernels of this thread; null where they cannot run. */
export function threadKernels(): Kernels | null {
  if (kernels === undefined) kernels = instantiate();
  return kernels;
}

/** Lends the thread's kernels with their whole area, to one at a time; null when another has them or they cannot run. */
export function borrowKernels(by: WeakRef<object>): Kernels | null {
  const now = holder?.deref();
  if (now !== undefined && now !== by.deref()) return null;
  const borrowed = threadKernels();
  if (borrowed !== null) holder = by;
  return borrowed;
}

/** Gives back what {@link borrowKernels} lent. */
export function returnKernels(): void {
  holder = undefined;
}
