import type { DataType } from '../../core/types.ts';

/**
 * How a value lives in generated code. `bool`, `num`, `big`: a JS boolean, number, bigint. `text`: bytes (string and
 * binary) as data, start, length and non-ASCII flag. `box`: array, map and struct as `runtime/boxed.ts` has them.
 */
export type Repr = 'bool' | 'num' | 'big' | 'text' | 'box';

export function reprOf(type: DataType): Repr {
  switch (type.kind) {
    case 'boolean':
      return 'bool';
    case 'bigint':
    case 'decimal':
      return 'big';
    case 'string':
    case 'binary':
      return 'text';
    case 'array':
    case 'map':
    case 'struct':
      return 'box';
    default:
      return 'num';
  }
}
