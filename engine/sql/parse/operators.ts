/** Operators of two operands and how strongly they bind. */
import type { BinaryOp } from '../../../core/ast.ts';

/** Binding powers; a greater one binds stronger. */
export const POWER = {
  or: 1,
  and: 2,
  not: 3,
  predicate: 4,
  comparison: 5,
  bitOr: 6,
  bitXor: 7,
  bitAnd: 8,
  shift: 9,
  sum: 10,
  product: 11,
  unary: 12,
  postfix: 13,
};

/** By symbol or word in capitals. */
export const binaryOperators = new Map<string, { readonly op: BinaryOp; readonly power: number }>([
  ['OR', { op: 'or', power: POWER.or }],
  ['AND', { op: 'and', power: POWER.and }],
  ['=', { op: '=', power: POWER.comparison }],
  ['==', { op: '=', power: POWER.comparison }],
  ['<=>', { op: '<=>', power: POWER.comparison }],
  ['<>', { op: '<>', power: POWER.comparison }],
  ['!=', { op: '<>', power: POWER.comparison }],
  ['<', { op: '<', power: POWER.comparison }],
  ['<=', { op: '<=', power: POWER.comparison }],
  ['>', { op: '>', power: POWER.comparison }],
  ['>=', { op: '>=', power: POWER.comparison }],
  ['!>', { op: '<=', power: POWER.comparison }],
  ['!<', { op: '>=', power: POWER.comparison }],
  ['|', { op: '|', power: POWER.bitOr }],
  ['^', { op: '^', power: POWER.bitXor }],
  ['&', { op: '&', power: POWER.bitAnd }],
  ['+', { op: '+', power: POWER.sum }],
  ['-', { op: '-', power: POWER.sum }],
  ['||', { op: '||', power: POWER.sum }],
  ['*', { op: '*', power: POWER.product }],
  ['/', { op: '/', power: POWER.product }],
  ['%', { op: '%', power: POWER.product }],
  ['DIV', { op: 'div', power: POWER.product }],
]);
