/** Numbers in text after a format. */
import type { Expr } from '../../../core/ast.ts';
import { formatType } from '../../../core/types.ts';
import type { Gen, Val } from '../codegen.ts';
import { asDecimal, castTo, isFractional, isNumeric, STRING, TIMESTAMP } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type Typing,
} from '../function-table.ts';
import { compileDatePattern, datePatternOf, formatDatePattern } from '../runtime/date-patterns.ts';
import {
  compileNumberFormat,
  formatWithFormat,
  type NumberFormat,
  parseWithFormat,
  typeOfFormat,
} from '../runtime/number-formats.ts';
import { raiseCastInvalid, raiseExpressionFailed } from '../runtime/runtime.ts';
import { decodeText } from '../runtime/text.ts';
import type { TimeZone } from '../../scan/time-zone.ts';

function textOf(expr: Expr | undefined): string | undefined {
  return expr?.kind === 'literal' && typeof expr.value === 'string' ? expr.value : undefined;
}

function formatOf(expr: Expr | undefined): NumberFormat | Complaint {
  const text = textOf(expr);
  if (text === undefined) return { complaint: 'takes a format that is written out', arg: 1 };
  const format = compileNumberFormat(text);
  return typeof format === 'string' ? { complaint: `cannot use this format: ${format}`, arg: 1 } : format;
}

const parseOrRaise = (text: string, format: NumberFormat): bigint =>
  parseWithFormat(text, format) ?? raiseCastInvalid();

function toNumber(name: string, about: string, parse: typeof parseWithFormat, tries: boolean): FunctionDef {
  return customFunction({
    name,
    group: 'number',
    usage: `${name}(text, '99,999.99')`,
    about,
    type(args) {
      const fitted = fitAll(args, [STRING, STRING]);
      if ('complaint' in fitted) return fitted;
      const format = formatOf(fitted[1]);
      if ('complaint' in format) return format;
      return { args: fitted, type: typeOfFormat(format), nullable: tries || anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      const format = formatOf(call.args[1]);
      return g.strict(
        call.args.slice(0, 1),
        call.type,
        ([text]) => ({ boxed: `${g.fn(parse)}(${g.boxed(text as Val)}, ${g.constant(format)})` }),
        { mayBeNull: tries },
      );
    },
  });
}

function formatTime(timestamp: number, pattern: string, zone: TimeZone): string {
  return formatDatePattern(datePatternOf(pattern) ?? raiseExpressionFailed(), timestamp, zone);
}

function formatBytes(bytes: Uint8Array, format: string): string {
  switch (format.toLowerCase()) {
    case 'hex':
      return Buffer.from(bytes).toString('hex').toUpperCase();
    case 'base64':
      return Buffer.from(bytes).toString('base64');
    case 'utf-8':
      return decodeText(bytes, 'UTF-8');
    default:
      return raiseExpressionFailed();
  }
}

function typeToChar(args: readonly Expr[]): Typing | Complaint {
  const fitted = fitAll(args, ['any', STRING]);
  if ('complaint' in fitted) return fitted;
  const [input, format] = fitted as [Expr, Expr];
  const nullable = anyNullable(fitted);
  if (input.type.kind === 'binary') return { args: fitted, type: STRING, nullable };
  if (input.type.kind === 'date' || input.type.kind === 'timestamp') {
    const wrong = compileDatePattern(textOf(format) ?? '');
    if (typeof wrong === 'string') return { complaint: `cannot use this pattern: ${wrong}`, arg: 1 };
    return { args: [castTo(input, TIMESTAMP), format], type: STRING, nullable };
  }
  if (!isNumeric(input.type) && input.type.kind !== 'null')
    return { complaint: `takes a number, DATE, TIMESTAMP or BINARY, not ${formatType(input.type)}`, arg: 0 };
  const compiled = formatOf(format);
  if ('complaint' in compiled) return compiled;
  // A fractional number has as many digits as the format shows, and one more to be rounded to.
  const digits = isFractional(input.type)
    ? { precision: 38, scale: Math.min(18, compiled.scale + 6) }
    : asDecimal(input.type);
  return {
    args: [castTo(input, { kind: 'decimal', ...(digits ?? { precision: 38, scale: 0 }) }), format],
    type: STRING,
    nullable,
  };
}

function emitToChar(g: Gen, input: Val, format: Expr, pattern: Val): string {
  if (input.type.kind === 'timestamp') return `${g.fn(formatTime)}(${input.v}, ${g.boxed(pattern)}, rt.zone)`;
  if (input.type.kind === 'binary') return `${g.fn(formatBytes)}(${g.boxed(input)}, ${g.boxed(pattern)})`;
  const scale = input.type.kind === 'decimal' ? input.type.scale : 0;
  return `${g.fn(formatWithFormat)}(${input.v}, ${scale}, ${g.constant(formatOf(format))})`;
}

export const numberFormatFunctions: readonly FunctionDef[] = [
  toNumber(
    'to_number',
    'The number that a text in a format stands for; raises when it does not fit.',
    parseOrRaise,
    false,
  ),
  toNumber(
    'try_to_number',
    'The number that a text in a format stands for, NULL when it does not fit.',
    parseWithFormat,
    true,
  ),
  customFunction({
    name: 'to_char',
    aliases: ['to_varchar'],
    group: 'number',
    usage: "to_char(number, '99,999.99'), to_char(time, 'yyyy-MM-dd'), to_char(binary, 'hex' | 'base64' | 'utf-8')",
    about: 'The number, time or bytes as text in a format; # stands for digits that do not fit.',
    type: typeToChar,
    emit(g, call) {
      g.fails();
      return g.strict(call.args, STRING, ([input, pattern]) => ({
        boxed: emitToChar(g, input as Val, call.args[1] as Expr, pattern as Val),
      }));
    },
  }),
];
