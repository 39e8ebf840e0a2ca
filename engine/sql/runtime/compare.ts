import type { DataType } from '../../../core/types.ts';
import type { BoxedValue } from './boxed.ts';
import { compareDouble } from './numbers.ts';

/** Order of two boxed values of one type, neither null at the top; nulls within come first. Maps have no order. */
export function compareBoxed(a: BoxedValue, b: BoxedValue, type: DataType): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  switch (type.kind) {
    case 'string':
      return compareText(a as string, b as string);
    case 'binary':
      return Buffer.compare(a as Uint8Array, b as Uint8Array);
    case 'float':
    case 'double':
      return compareDouble(a as number, b as number);
    case 'array': {
      const left = a as readonly BoxedValue[];
      const right = b as readonly BoxedValue[];
      const length = Math.min(left.length, right.length);
      for (let index = 0; index < length; index++) {
        const order = compareBoxed(left[index] ?? null, right[index] ?? null, type.element);
        if (order !== 0) return order;
      }
      return left.length - right.length;
    }
    case 'struct': {
      const left = a as readonly BoxedValue[];
      const right = b as readonly BoxedValue[];
      for (const [index, field] of type.fields.entries()) {
        const order = compareBoxed(left[index] ?? null, right[index] ?? null, field.type);
        if (order !== 0) return order;
      }
      return 0;
    }
    default:
      return a < b ? -1 : a > b ? 1 : 0;
  }
}

/** Order of UTF-8 bytes, which is the order of code points and not of UTF-16 units. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left === right) continue;
    // Surrogates stand for code points above all others.
    const leftHigh = left >= 0xd800 && left <= 0xdfff;
    const rightHigh = right >= 0xd800 && right <= 0xdfff;
    if (leftHigh !== rightHigh) return leftHigh ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}
