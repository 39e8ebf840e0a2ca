import type { Expr, LiteralValue } from '../../core/ast.ts';
import type { DataType } from '../../core/types.ts';

/** A literal as the value that generated code and the interpreter work with; texts as bytes. */
export type ConstantValue = boolean | number | bigint | Uint8Array;

export function literalToValue(type: DataType, value: Exclude<LiteralValue, null>): ConstantValue {
  switch (type.kind) {
    case 'bigint':
    case 'decimal':
      return BigInt(String(value));
    case 'string':
      return Buffer.from(String(value), 'utf8');
    case 'binary':
      return Buffer.from(String(value), 'hex');
    case 'boolean':
      return value === true;
    default:
      return Number(value);
  }
}

/** The inverse of {@link literalToValue}, for boxed values: texts are JS strings. Undefined where there is no literal. */
export function valueToLiteral(type: DataType, value: unknown): Expr | undefined {
  const literal = (plain: LiteralValue): Expr => ({ kind: 'literal', type, nullable: plain === null, value: plain });
  if (value === null) return literal(null);
  if (typeof value === 'bigint') return literal(value.toString());
  if (typeof value === 'number')
    return literal(Number.isFinite(value) && !Object.is(value, -0) ? value : numberText(value));
  if (typeof value === 'string' || typeof value === 'boolean') return literal(value);
  if (value instanceof Uint8Array) return literal(Buffer.from(value).toString('hex'));
  return undefined;
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

export function nullLiteral(type: DataType): Expr {
  return { kind: 'literal', type, nullable: true, value: null };
}

export function booleanLiteral(value: boolean): Expr {
  return { kind: 'literal', type: { kind: 'boolean' }, nullable: false, value };
}

export function stringLiteral(value: string): Expr {
  return { kind: 'literal', type: { kind: 'string' }, nullable: false, value };
}

export function intLiteral(value: number): Expr {
  return { kind: 'literal', type: { kind: 'int' }, nullable: false, value };
}
