/** The operators of expressions. They are functions like any other; only the parser knows how they are written. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { CallExpr, Gen, Result, Val } from '../codegen.ts';
import { reprOf } from '../repr.ts';
import {
  asDecimal,
  BIGINT,
  BOOLEAN,
  boundedDecimal,
  castTo,
  commonType,
  DATE,
  DOUBLE,
  INT,
  isFractional,
  isIntegral,
  isNumeric,
  TIMESTAMP,
} from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  literalDigits,
  strictFunction,
  type Typing,
  unify,
} from '../function-table.ts';
import { compareBoxed } from '../runtime/compare.ts';
import { bytesCompare, bytesEqual } from '../runtime/bytes.ts';
import {
  checkByte,
  checkDecimal,
  checkInt,
  checkLong,
  checkShort,
  compareDouble,
  divideDecimal,
  divideDecimalWhole,
  divideDouble,
  divideLong,
  pmod,
  pmodLong,
  remainder,
  remainderLong,
  rescale,
} from '../runtime/numbers.ts';
import {
  addDayTime,
  addMonthsToDate,
  addMonthsToTimestamp,
  checkMicroseconds,
  checkMonths,
  localDifference,
} from '../runtime/time.ts';

// ---- comparisons ------------------------------------------------------------------------------------------------

/** JS condition for `a <op> b` over values of one type that are both there. */
export function comparison(g: Gen, op: '===' | '<' | '<=' | '>' | '>=', a: Val, b: Val): string {
  const { type } = a;
  switch (reprOf(type)) {
    case 'text':
      if (op === '===') return `${g.fn(bytesEqual)}(${g.bytes(a)}, ${g.bytes(b)})`;
      return `${g.fn(bytesCompare)}(${g.bytes(a)}, ${g.bytes(b)}) ${op} 0`;
    case 'box':
      return `${g.fn(compareBoxed)}(${a.v}, ${b.v}, ${g.constant(type)}) ${op} 0`;
    case 'num':
      return isFractional(type) ? `${g.fn(compareDouble)}(${a.v}, ${b.v}) ${op} 0` : `${a.v} ${op} ${b.v}`;
    default:
      return `${a.v} ${op} ${b.v}`;
  }
}

/** A comparison of two values, brought to the type they have in common. */
export function typeComparison(args: readonly Expr[]): Typing | Complaint {
  const count = fitAll(args, ['any', 'any']);
  if ('complaint' in count) return count;
  const unified = unify(args);
  if ('complaint' in unified) {
    const [left, right] = args as [Expr, Expr];
    return { complaint: `cannot compare ${formatType(left.type)} with ${formatType(right.type)}` };
  }
  if (containsMap(unified.type)) return { complaint: 'cannot compare values of type MAP' };
  return { args: unified.args, type: BOOLEAN, nullable: anyNullable(args) };
}

function containsMap(type: DataType): boolean {
  if (type.kind === 'map') return true;
  if (type.kind === 'array') return containsMap(type.element);
  return type.kind === 'struct' && type.fields.some((field) => containsMap(field.type));
}

function comparisonFunction(
  name: string,
  about: string,
  op: '===' | '<' | '<=' | '>' | '>=',
  negated = false,
): FunctionDef {
  return customFunction({
    name,
    group: 'operator',
    usage: `a ${name} b`,
    about,
    type: typeComparison,
    emit: (g, call) =>
      g.strict(call.args, BOOLEAN, ([a, b]) => {
        const condition = comparison(g, op, a as Val, b as Val);
        return { value: negated ? `!(${condition})` : condition };
      }),
  });
}

export const nullSafeEqual = customFunction({
  name: '<=>',
  group: 'operator',
  usage: 'a <=> b',
  about: 'True when both are equal or both NULL; never NULL itself.',
  type: (args) => {
    const typing = typeComparison(args);
    return 'complaint' in typing ? typing : { ...typing, nullable: false };
  },
  emit(g, call) {
    const [left, right] = call.args as [Expr, Expr];
    const out = g.declare(BOOLEAN, false);
    const a = g.expr(left);
    const b = g.expr(right);
    g.line(`if (${a.nul} || ${b.nul}) { ${out.v} = (${a.nul}) && (${b.nul}); } else {`);
    g.assign(out, g.scalar(BOOLEAN, 'false', comparison(g, '===', a, b)));
    g.line('}');
    return out;
  },
});

// ---- logic ------------------------------------------------------------------------------------------------------

function logicFunction(name: 'and' | 'or'): FunctionDef {
  // The value that decides alone, without a look at the other side.
  const decisive = name === 'and' ? 'false' : 'true';
  return customFunction({
    name,
    group: 'operator',
    usage: `a ${name.toUpperCase()} b`,
    about:
      name === 'and'
        ? 'True when both are; false when one is false, also beside a NULL.'
        : 'True when one is, also beside a NULL.',
    type(args) {
      const fitted = fitAll(args, [BOOLEAN, BOOLEAN]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: BOOLEAN, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      const [left, right] = call.args as [Expr, Expr];
      const nullable = anyNullable(call.args);
      const out = g.declare(BOOLEAN, nullable);
      const a = g.expr(left);
      const decides = (val: Val): string =>
        name === 'and' ? `!(${val.nul}) && !${val.v}` : `!(${val.nul}) && ${val.v}`;
      const settle = `${nullable ? `${out.nul} = false; ` : ''}${out.v} = ${decisive};`;
      g.line(`if (${decides(a)}) { ${settle} } else {`);
      const b = g.expr(right);
      g.line(`if (${decides(b)}) { ${settle} } else {`);
      if (nullable) g.line(`${out.nul} = (${a.nul}) || (${b.nul});`);
      g.line(`${out.v} = ${name === 'and' ? 'true' : 'false'}; }}`);
      return out;
    },
  });
}

const not = strictFunction({
  name: 'not',
  group: 'operator',
  usage: 'NOT a',
  about: 'The other truth value; NULL of NULL.',
  params: [BOOLEAN],
  returns: BOOLEAN,
  body: (_g, [a]) => ({ value: `!${a?.v}` }),
});

function nullTest(name: 'isnull' | 'isnotnull'): FunctionDef {
  return customFunction({
    name,
    group: 'conditional',
    usage: `${name}(a)`,
    about: name === 'isnull' ? 'True when the value is NULL.' : 'True when there is a value.',
    type(args) {
      const fitted = fitAll(args, ['any']);
      return 'complaint' in fitted ? fitted : { args: fitted, type: BOOLEAN, nullable: false };
    },
    emit(g, call) {
      const val = g.expr(call.args[0] as Expr);
      return g.scalar(BOOLEAN, 'false', name === 'isnull' ? `(${val.nul})` : `!(${val.nul})`);
    },
  });
}

const inList = customFunction({
  name: 'in',
  group: 'operator',
  usage: 'a IN (b, c, …)',
  about: 'True when a is one of the list; NULL when it is not, but a or a member of the list is NULL.',
  type(args) {
    const unified = unify(args);
    if ('complaint' in unified)
      return { complaint: `compares values of one type with IN, but ${unified.complaint.replace(/^.*, but /, '')}` };
    return { args: unified.args, type: BOOLEAN, nullable: anyNullable(unified.args) };
  },
  emit(g, call) {
    const [input, ...list] = call.args as [Expr, ...Expr[]];
    const out = g.declare(BOOLEAN, call.nullable);
    const value = g.expr(input);
    if (value.nul !== 'false') g.line(`if (!(${value.nul})) {`);
    const label = g.fresh('search');
    const unknown = g.fresh('unknown');
    g.line(`let ${unknown} = false;`);
    g.line(`${label}: {`);
    for (const member of list) {
      const val = g.expr(member);
      const hit = `{ ${out.v} = true; ${call.nullable ? `${out.nul} = false; ` : ''}break ${label}; }`;
      if (val.nul === 'false') g.line(`if (${comparison(g, '===', value, val)}) ${hit}`);
      else if (val.nul === 'true') g.line(`${unknown} = true;`);
      else g.line(`if (${val.nul}) ${unknown} = true; else if (${comparison(g, '===', value, val)}) ${hit}`);
    }
    if (call.nullable) g.line(`${out.nul} = ${unknown};`);
    g.line('}');
    if (value.nul !== 'false') g.line('}');
    return out;
  },
});

// ---- arithmetic -------------------------------------------------------------------------------------------------

type Arithmetic = '+' | '-' | '*' | '/' | '%' | 'div' | 'pmod';

function typeArithmetic(op: Arithmetic, args: readonly Expr[]): Typing | Complaint {
  const count = fitAll(args, ['any', 'any']);
  if ('complaint' in count) return count;
  const [left, right] = args as [Expr, Expr];
  const typing = typeTimeArithmetic(op, left, right) ?? typeNumbers(op, left, right);
  return typing ?? { complaint: `cannot compute ${formatType(left.type)} ${op} ${formatType(right.type)}` };
}

function typeNumbers(op: Arithmetic, left: Expr, right: Expr): Typing | undefined {
  // A text becomes a number only beside one.
  if (left.type.kind === 'string' && right.type.kind === 'string') return undefined;
  const [a, b] = promoteStrings(left, right);
  if ((!isNumeric(a.type) && a.type.kind !== 'null') || (!isNumeric(b.type) && b.type.kind !== 'null'))
    return undefined;
  const nullable = a.nullable || b.nullable;
  const both = (type: DataType, result = type): Typing => ({
    args: [castTo(a, type), castTo(b, type)],
    type: result,
    nullable,
  });
  if ((a.type.kind === 'decimal' || b.type.kind === 'decimal') && !isFractional(a.type) && !isFractional(b.type)) {
    return typeDecimals(op, a, b, nullable);
  }
  if (op === '/') return both(DOUBLE);
  if (op === 'div') {
    if (isFractional(a.type) || isFractional(b.type)) return undefined;
    return both(BIGINT);
  }
  const type = commonType(a.type, b.type);
  if (type === undefined) return undefined;
  return both(type.kind === 'null' ? INT : type);
}

function promoteStrings(left: Expr, right: Expr): readonly [Expr, Expr] {
  const promote = (expr: Expr, other: Expr): Expr => {
    if (expr.type.kind !== 'string') return expr;
    return castTo(expr, isIntegral(other.type) ? BIGINT : DOUBLE);
  };
  return [promote(left, right), promote(right, left)];
}

function typeDecimals(op: Arithmetic, a: Expr, b: Expr, nullable: boolean): Typing | undefined {
  const left = literalDigits(a) ?? asDecimal(a.type) ?? { precision: 1, scale: 0 };
  const right = literalDigits(b) ?? asDecimal(b.type) ?? { precision: 1, scale: 0 };
  const args = [castTo(a, { kind: 'decimal', ...left }), castTo(b, { kind: 'decimal', ...right })];
  const { precision: p1, scale: s1 } = left;
  const { precision: p2, scale: s2 } = right;
  const scale = Math.max(s1, s2);
  switch (op) {
    case '+':
    case '-':
      return { args, type: boundedDecimal(Math.max(p1 - s1, p2 - s2) + scale + 1, scale), nullable };
    case '*':
      return { args, type: boundedDecimal(p1 + p2 + 1, s1 + s2), nullable };
    case '/': {
      const quotientScale = Math.max(6, s1 + p2 + 1);
      return { args, type: boundedDecimal(p1 - s1 + s2 + quotientScale, quotientScale), nullable };
    }
    case '%':
    case 'pmod':
      return { args, type: boundedDecimal(Math.min(p1 - s1, p2 - s2) + scale, scale), nullable };
    case 'div':
      return { args, type: BIGINT, nullable };
  }
}

/** The code of `a op b` over numbers whose arguments are cast as {@link typeNumbers} says. */
function numbers(g: Gen, op: Arithmetic, a: Val, b: Val, type: DataType): Result {
  if (a.type.kind === 'decimal' && b.type.kind === 'decimal') return decimals(g, op, a, b, type);
  const long = reprOf(a.type) === 'big';
  const call = (kernel: (...args: never[]) => unknown): string => {
    g.fails();
    return `${g.fn(kernel)}(${a.v}, ${b.v})`;
  };
  switch (op) {
    case '/':
      return { value: call(divideDouble) };
    case 'div':
      return { value: call(divideLong) };
    case '%':
      return { value: fitted(g, long ? call(remainderLong) : call(remainder), type, false) };
    case 'pmod':
      return { value: fitted(g, long ? call(pmodLong) : call(pmod), type, false) };
    default:
      return { value: fitted(g, `${a.v} ${op} ${b.v}`, type, true) };
  }
}

/** A result brought into its type; `checked` when it can be too large. */
function fitted(g: Gen, value: string, type: DataType, checked: boolean): string {
  const check = (kernel: (...args: never[]) => unknown): string => {
    g.fails();
    return `${g.fn(kernel)}(${value})`;
  };
  switch (type.kind) {
    case 'tinyint':
      return checked ? check(checkByte) : `(${value} | 0)`;
    case 'smallint':
      return checked ? check(checkShort) : `(${value} | 0)`;
    case 'int':
      return checked ? check(checkInt) : `(${value} | 0)`;
    case 'bigint':
      return checked ? check(checkLong) : value;
    case 'float':
      return `Math.fround(${value})`;
    default:
      return value;
  }
}

function decimals(g: Gen, op: Arithmetic, a: Val, b: Val, type: DataType): Result {
  if (a.type.kind !== 'decimal' || b.type.kind !== 'decimal') throw new TypeError('not decimals');
  const s1 = a.type.scale;
  const s2 = b.type.scale;
  const scale = Math.max(s1, s2);
  g.fails();
  const at = (val: Val, from: number): string =>
    from === scale ? val.v : `${val.v} * ${g.constant(10n ** BigInt(scale - from))}`;
  if (op === 'div' || type.kind !== 'decimal')
    return { value: `${g.fn(divideDecimalWhole)}(${at(a, s1)}, ${at(b, s2)})` };
  const { precision: p1 } = a.type;
  const { precision: p2 } = b.type;
  // Types that were not cut at the most digits hold every result.
  const holds = (digits: number, exact: number): boolean => exact === type.scale && digits <= type.precision;
  const checked = (value: string, from: number): Result => {
    const rescaled = from === type.scale ? value : `${g.fn(rescale)}(${value}, ${from}, ${type.scale})`;
    return { value: `${g.fn(checkDecimal)}(${rescaled}, ${type.precision})` };
  };
  switch (op) {
    case '+':
    case '-':
      if (holds(Math.max(p1 - s1, p2 - s2) + scale + 1, scale)) return { value: `${at(a, s1)} ${op} ${at(b, s2)}` };
      return checked(`${at(a, s1)} ${op} ${at(b, s2)}`, scale);
    case '*':
      if (holds(p1 + p2, s1 + s2)) return { value: `${a.v} * ${b.v}` };
      return checked(`${a.v} * ${b.v}`, s1 + s2);
    case '/':
      return checked(`${g.fn(divideDecimal)}(${a.v}, ${s1}, ${b.v}, ${s2}, ${type.scale})`, type.scale);
    case '%':
      return checked(`${g.fn(remainderLong)}(${at(a, s1)}, ${at(b, s2)})`, scale);
    case 'pmod':
      return checked(`${g.fn(pmodLong)}(${at(a, s1)}, ${at(b, s2)})`, scale);
  }
}

// ---- dates, times and intervals ---------------------------------------------------------------------------------

const DAY_US = 86_400_000_000;
const MICROSECONDS: DataType = { kind: 'interval', unit: 'microseconds' };

function isTime(type: DataType): boolean {
  return type.kind === 'date' || type.kind === 'timestamp';
}

function typeTimeArithmetic(op: Arithmetic, left: Expr, right: Expr): Typing | undefined {
  const nullable = left.nullable || right.nullable;
  const a = left.type;
  const b = right.type;
  if (op === '+' && isTime(b) && !isTime(a)) return typeTimeArithmetic(op, right, left);
  if (a.kind === 'null' && (isTime(b) || b.kind === 'interval') && op !== '/')
    return typeTimeArithmetic(op, castTo(left, b), right);
  if (b.kind === 'null' && (a.kind === 'interval' || a.kind === 'timestamp')) {
    if (op === '*' || op === '/') return typeTimeArithmetic(op, left, castTo(right, DOUBLE));
    return typeTimeArithmetic(op, left, castTo(right, a.kind === 'interval' ? a : op === '-' ? a : MICROSECONDS));
  }
  if (isTime(a) && b.kind === 'interval' && (op === '+' || op === '-')) {
    if (a.kind === 'date' && b.unit === 'microseconds' && !isWholeDays(right)) {
      return { args: [castTo(left, TIMESTAMP), right], type: TIMESTAMP, nullable };
    }
    return { args: [left, right], type: a, nullable };
  }
  if (a.kind === 'date' && (isIntegral(b) || b.kind === 'null') && b.kind !== 'bigint' && (op === '+' || op === '-')) {
    return { args: [left, castTo(right, INT)], type: DATE, nullable };
  }
  if (isTime(a) && (isTime(b) || b.kind === 'string') && op === '-') {
    const type = a.kind === 'date' && b.kind === 'date' ? DATE : TIMESTAMP;
    return { args: [castTo(left, type), castTo(right, type)], type: MICROSECONDS, nullable };
  }
  if (a.kind === 'string' && isTime(b) && op === '-') {
    return { args: [castTo(left, b), right], type: MICROSECONDS, nullable };
  }
  if (a.kind === 'interval' && b.kind === 'interval' && a.unit === b.unit && (op === '+' || op === '-')) {
    return { args: [left, right], type: a, nullable };
  }
  if (a.kind === 'interval' && b.kind === 'interval' && a.unit === b.unit && op === 'div')
    return { args: [left, right], type: BIGINT, nullable };
  if (a.kind === 'interval' && (isNumeric(b) || b.kind === 'string') && (op === '*' || op === '/'))
    return { args: [left, castTo(right, DOUBLE)], type: a, nullable };
  if ((isNumeric(a) || a.kind === 'string') && b.kind === 'interval' && op === '*')
    return { args: [right, castTo(left, DOUBLE)], type: b, nullable };
  return undefined;
}

/** Only a literal can be known to hold whole days. */
function isWholeDays(expr: Expr): boolean {
  return expr.kind === 'literal' && typeof expr.value === 'number' && expr.value % DAY_US === 0;
}

function times(g: Gen, op: Arithmetic, a: Val, b: Val, type: DataType): Result | undefined {
  const sign = op === '-' ? '-' : '';
  if (isTime(a.type) && isTime(b.type)) {
    if (a.type.kind === 'date') return { value: `(${a.v} - ${b.v}) * ${DAY_US}` };
    return { value: `${g.fn(localDifference)}(${a.v}, ${b.v}, rt.zone)` };
  }
  if (isTime(a.type) && b.type.kind === 'interval') {
    g.fails();
    if (b.type.unit === 'months') {
      const months = `${sign}${b.v}`;
      if (type.kind === 'date') return { value: `${g.fn(addMonthsToDate)}(${a.v}, ${months})` };
      return { value: `${g.fn(addMonthsToTimestamp)}(${a.v}, ${months}, rt.zone)` };
    }
    if (type.kind === 'date') return { value: `${g.fn(checkInt)}(${a.v} ${op} ${b.v} / ${DAY_US})` };
    return { value: `${g.fn(addDayTime)}(${a.v}, ${sign}${b.v}, rt.zone)` };
  }
  if (a.type.kind === 'date') return { value: fitted(g, `${a.v} ${op} ${b.v}`, INT, true) };
  if (a.type.kind !== 'interval') return undefined;
  g.fails();
  const check = g.fn(a.type.unit === 'months' ? checkMonths : checkMicroseconds);
  if (op === 'div') return { value: `BigInt(Math.trunc(${g.fn(divideDouble)}(${a.v}, ${b.v})))` };
  if (b.type.kind === 'interval') return { value: `${check}(${a.v} ${op} ${b.v})` };
  const value = op === '*' ? `${a.v} * ${b.v}` : `${g.fn(divideDouble)}(${a.v}, ${b.v})`;
  return { value: `${check}(${g.fn(roundHalfUp)}(${value}))` };
}

/** The nearest whole number, halves away from zero. */
function roundHalfUp(value: number): number {
  return value < 0 ? -Math.round(-value) : Math.round(value);
}

function arithmeticFunction(op: Arithmetic, name: string, about: string, guarded: boolean): FunctionDef {
  return customFunction({
    name,
    group: guarded || op === 'pmod' ? 'number' : 'operator',
    usage: name === op && op !== 'pmod' ? `a ${op} b` : `${name}(a, b)`,
    about,
    type(args) {
      const typing = typeArithmetic(op, args);
      return 'complaint' in typing || !guarded ? typing : { ...typing, nullable: true };
    },
    emit: (g, call) =>
      g.strict(
        call.args,
        call.type,
        (vals) => {
          const [a, b] = vals as readonly [Val, Val];
          return times(g, op, a, b, call.type) ?? numbers(g, op, a, b, call.type);
        },
        { guarded },
      ),
  });
}

const negative = customFunction({
  name: 'negative',
  group: 'operator',
  usage: '-a',
  about: 'The number with the other sign.',
  type(args) {
    const [arg] = args;
    if (args.length === 1 && arg?.type.kind === 'interval') return { args, type: arg.type, nullable: arg.nullable };
    const fitted = fitAll(args, ['numeric']);
    return 'complaint' in fitted
      ? fitted
      : { args: fitted, type: (fitted[0] as Expr).type, nullable: anyNullable(fitted) };
  },
  emit: (g, call) =>
    g.strict(call.args, call.type, ([a]) => ({
      value: isFractional(call.type)
        ? `-${a?.v}`
        : fitted(g, reprOf(call.type) === 'big' ? `-${a?.v}` : `0 - ${a?.v}`, call.type, true),
    })),
});

const positive = customFunction({
  name: 'positive',
  group: 'operator',
  usage: '+a',
  about: 'The number itself.',
  type(args) {
    const fitted = args[0]?.type.kind === 'interval' ? fitAll(args, ['any']) : fitAll(args, ['numeric']);
    return 'complaint' in fitted
      ? fitted
      : { args: fitted, type: (fitted[0] as Expr).type, nullable: anyNullable(fitted) };
  },
  emit: (g, call) => g.expr(call.args[0] as Expr),
});

// ---- bits -------------------------------------------------------------------------------------------------------

function bitFunction(name: '&' | '|' | '^', about: string): FunctionDef {
  return customFunction({
    name,
    group: 'operator',
    usage: `a ${name} b`,
    about,
    type(args) {
      const fitted = fitAll(args, ['integral', 'integral']);
      if ('complaint' in fitted) return fitted;
      const unified = unify(fitted);
      return 'complaint' in unified ? unified : { ...unified, nullable: anyNullable(fitted) };
    },
    emit: (g, call: CallExpr) => g.strict(call.args, call.type, ([a, b]) => ({ value: `(${a?.v} ${name} ${b?.v})` })),
  });
}

const bitNot = strictFunction({
  name: '~',
  group: 'operator',
  usage: '~a',
  about: 'All bits the other way.',
  params: ['integral'],
  returns: ([arg]) => (arg as Expr).type,
  body: (_g, [a]) => ({ value: `~${a?.v}` }),
});

export const operators: readonly FunctionDef[] = [
  comparisonFunction('=', 'True when both are equal.', '==='),
  comparisonFunction('<>', 'True when they differ.', '===', true),
  comparisonFunction('<', 'True when a comes before b.', '<'),
  comparisonFunction('<=', 'True when a comes before b or is equal.', '<='),
  comparisonFunction('>', 'True when a comes behind b.', '>'),
  comparisonFunction('>=', 'True when a comes behind b or is equal.', '>='),
  nullSafeEqual,
  logicFunction('and'),
  logicFunction('or'),
  not,
  nullTest('isnull'),
  nullTest('isnotnull'),
  inList,
  arithmeticFunction('+', '+', 'The sum; raises on overflow.', false),
  arithmeticFunction('-', '-', 'The difference; raises on overflow.', false),
  arithmeticFunction('*', '*', 'The product; raises on overflow.', false),
  arithmeticFunction('/', '/', 'The quotient, DOUBLE or DECIMAL; raises on division by zero.', false),
  arithmeticFunction('%', '%', 'The remainder, with the sign of a.', false),
  arithmeticFunction('div', 'div', 'The whole part of the quotient.', false),
  arithmeticFunction('pmod', 'pmod', 'The remainder, not negative for a positive b.', false),
  arithmeticFunction('%', 'mod', 'The remainder, with the sign of a.', false),
  arithmeticFunction('+', 'try_add', 'The sum, NULL on overflow.', true),
  arithmeticFunction('-', 'try_subtract', 'The difference, NULL on overflow.', true),
  arithmeticFunction('*', 'try_multiply', 'The product, NULL on overflow.', true),
  arithmeticFunction('/', 'try_divide', 'The quotient, NULL on division by zero.', true),
  arithmeticFunction('%', 'try_mod', 'The remainder, NULL on division by zero.', true),
  negative,
  positive,
  bitFunction('&', 'Bits set in both.'),
  bitFunction('|', 'Bits set in one or both.'),
  bitFunction('^', 'Bits set in one only.'),
  bitNot,
];
