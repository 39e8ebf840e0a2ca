/** Constants of a query as typed expressions. */
import type { Expr, Span, SqlLiteral } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { INT } from '../coercion.ts';
import { booleanLiteral, nullLiteral, stringLiteral } from '../literal.ts';
import { parseDate, parseTimestamp } from '../runtime/time.ts';
import type { Analysis } from './context.ts';

/** A constant as a typed expression; undefined when there is none such, which is then among the problems. */
export function literalExpr(span: Span, literal: SqlLiteral, analysis: Analysis): Expr | undefined {
  switch (literal.kind) {
    case 'null':
      return nullLiteral({ kind: 'null' });
    case 'boolean':
      return booleanLiteral(literal.value);
    case 'string':
      return stringLiteral(literal.value);
    case 'number':
      return number(span, literal.text, literal.suffix, analysis);
    case 'interval':
      return interval(span, literal.months, literal.microseconds, analysis);
    case 'typed':
      return typed(span, literal.type, literal.text, analysis);
  }
}

function interval(span: Span, months: number, microseconds: number, analysis: Analysis): Expr | undefined {
  if (months !== 0 && microseconds !== 0)
    return analysis.unsupported(
      span,
      'an interval of months and days together',
      'add two intervals one after the other',
    );
  const unit = months === 0 ? 'microseconds' : 'months';
  return {
    kind: 'literal',
    type: { kind: 'interval', unit },
    nullable: false,
    value: months === 0 ? microseconds : months,
  };
}

function number(span: Span, text: string, suffix: string, analysis: Analysis): Expr | undefined {
  const literal = (type: DataType, value: number | string): Expr => ({
    kind: 'literal',
    type,
    nullable: false,
    value,
  });
  const whole = /^-?\d+$/.test(text);
  const range = (kind: 'tinyint' | 'smallint', limit: number): Expr | undefined => {
    const value = Number(text);
    if (whole && value >= -limit && value < limit) return literal({ kind }, value);
    return analysis.problem(span, `${text} is not a ${kind.toUpperCase()}`);
  };
  const finite = (kind: 'float' | 'double', value: number): Expr | undefined =>
    Number.isFinite(value)
      ? literal({ kind }, value)
      : analysis.problem(span, `${text} is too large for a ${kind.toUpperCase()}`);
  switch (suffix) {
    case 'Y':
      return range('tinyint', 128);
    case 'S':
      return range('smallint', 32768);
    case 'L': {
      if (whole && BigInt.asIntN(64, BigInt(text)) === BigInt(text))
        return literal({ kind: 'bigint' }, BigInt(text).toString());
      return analysis.problem(span, `${text} is not a BIGINT`);
    }
    case 'F':
      return finite('float', Math.fround(Number(text)));
    case 'D':
      return finite('double', Number(text));
  }
  if (suffix === '' && whole) {
    const value = BigInt(text);
    if (BigInt.asIntN(32, value) === value) return literal(INT, Number(value));
    if (BigInt.asIntN(64, value) === value) return literal({ kind: 'bigint' }, value.toString());
  }
  if (suffix === '' && /e/i.test(text)) return finite('double', Number(text));
  return decimal(span, text, analysis);
}

function decimal(span: Span, text: string, analysis: Analysis): Expr | undefined {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [wholePart = '', fraction = ''] = mantissa.split('.');
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(`${wholePart}${fraction}`);
  const unscaled = scale < 0 ? digits * 10n ** BigInt(-scale) : digits;
  const length = unscaled.toString().replace('-', '').length;
  const precision = Math.max(length, scale, 1);
  if (precision > 38) return analysis.problem(span, `${text} has more than the 38 digits of a DECIMAL`);
  return {
    kind: 'literal',
    type: { kind: 'decimal', precision, scale: Math.max(0, scale) },
    nullable: false,
    value: unscaled.toString(),
  };
}

function typed(span: Span, type: 'date' | 'timestamp' | 'binary', text: string, analysis: Analysis): Expr | undefined {
  if (type === 'binary') {
    if (!/^[0-9a-fA-F]*$/.test(text)) return analysis.problem(span, 'a binary literal is hexadecimal digits');
    return {
      kind: 'literal',
      type: { kind: 'binary' },
      nullable: false,
      value: text.length % 2 === 0 ? text : `0${text}`,
    };
  }
  const value = type === 'date' ? parseDate(text) : parseTimestamp(text, analysis.input.zone);
  if (value === null)
    return analysis.problem(
      span,
      `'${text}' is not a ${type.toUpperCase()}`,
      type === 'date' ? "write DATE '2024-01-31'" : "write TIMESTAMP '2024-01-31 10:20:30'",
    );
  return { kind: 'literal', type: { kind: type }, nullable: false, value };
}
