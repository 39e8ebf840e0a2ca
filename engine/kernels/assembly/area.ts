/** Where the memory begins that is not the kernels' own: their tables stand below. */
export function areaStart(): usize {
  return (__heap_base + 4095) & ~4095;
}
