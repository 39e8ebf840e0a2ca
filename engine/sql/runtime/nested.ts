/** Functions over boxed arrays and maps. */
import type { BoxedValue } from './boxed.ts';

export function concatArrays(arrays: readonly (readonly BoxedValue[])[]): readonly BoxedValue[] {
  return arrays.flat();
}
