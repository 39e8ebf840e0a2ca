/** Blocks of LZ4 and Snappy by the kernels, where both sides stand in their memory. */
import type { ByteBuffer } from '../byte-buffer.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';

/**
 * Appends the decompressed bytes of the block `source[start, end)`. `window` is the first position a match may reach
 * back to, `limit` where output must end at the latest; room for that was reserved. False, with nothing appended, when
 * the kernels cannot or the block is damaged: the twin then finds the words for it.
 */
export function decompressByKernel(
  kernel: 'lz4Block' | 'snappyBlock',
  source: Uint8Array,
  start: number,
  end: number,
  target: ByteBuffer,
  window: number,
  limit: number,
): boolean {
  if (!(target instanceof KernelArena)) return false;
  const { kernels, base } = target;
  const address = kernels?.addressOf(source, start) ?? -1;
  if (kernels === null || address < 0) return false;
  const behind = kernels.run[kernel](address, address + end - start, base + target.length, base + window, base + limit);
  if (behind === 0) return false;
  target.length = behind - base;
  return true;
}
