import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Expr } from '../../core/ast.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { RowFailure } from '../column-batch.ts';
import { compileProgram } from '../operators/program.ts';
import { batchOf, rowsOfBatch } from '../operators/test-batch.ts';
import { splitConjuncts } from './conjuncts.ts';
import type { BoxedValue } from './runtime/boxed.ts';

const INT: DataType = { kind: 'int' };
const BIGINT: DataType = { kind: 'bigint' };
const DOUBLE: DataType = { kind: 'double' };
const STRING: DataType = { kind: 'string' };
const BOOLEAN: DataType = { kind: 'boolean' };

const schema: Schema = [
  { name: 'i', type: INT, nullable: true },
  { name: 'j', type: INT, nullable: false },
  { name: 'l', type: BIGINT, nullable: true },
  { name: 'd', type: DOUBLE, nullable: true },
  { name: 's', type: STRING, nullable: true },
  { name: 't', type: STRING, nullable: false },
  { name: 'b', type: BOOLEAN, nullable: true },
];

// ---- a second opinion: the same trees walked over values ----------------------------------------------------------

class Failed extends Error {}

function fail(code: string): never {
  throw new Failed(code);
}

function fitsInt(value: number): number {
  return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31 ? value + 0 : fail('ARITHMETIC_OVERFLOW');
}

function interpret(expr: Expr, row: readonly BoxedValue[]): BoxedValue {
  switch (expr.kind) {
    case 'column':
      return row[expr.index] ?? null;
    case 'literal':
      return expr.value !== null && expr.type.kind === 'bigint' ? BigInt(String(expr.value)) : expr.value;
    case 'case': {
      for (const { when, then } of expr.branches) if (interpret(when, row) === true) return interpret(then, row);
      return expr.otherwise === null ? null : interpret(expr.otherwise, row);
    }
    case 'cast': {
      const value = interpret(expr.input, row);
      if (value === null) return null;
      if (expr.type.kind === 'string') return String(value);
      if (expr.type.kind === 'bigint') return BigInt(value as number);
      if (/^\s*[+-]?\d+\s*$/.test(String(value)) && Number(value) >= -(2 ** 31) && Number(value) < 2 ** 31)
        return Number(value) + 0;
      return expr.mode === 'try' ? null : fail('CAST_INVALID');
    }
    case 'call':
      return interpretCall(expr.name, expr.args, row);
    default:
      throw new Error(`no ${expr.kind} here`);
  }
}

function interpretCall(name: string, args: readonly Expr[], row: readonly BoxedValue[]): BoxedValue {
  const [first, second] = args as [Expr, Expr];
  switch (name) {
    case 'and':
    case 'or': {
      const decisive = name === 'or';
      const a = interpret(first, row);
      if (a === decisive) return decisive;
      const b = interpret(second, row);
      return b === decisive ? decisive : a === null || b === null ? null : !decisive;
    }
    case 'isnull':
      return interpret(first, row) === null;
    case 'isnotnull':
      return interpret(first, row) !== null;
    case 'coalesce': {
      for (const arg of args) {
        const value = interpret(arg, row);
        if (value !== null) return value;
      }
      return null;
    }
    case '<=>': {
      const a = interpret(first, row);
      const b = interpret(second, row);
      return a === null || b === null ? a === b : order(a, b) === 0;
    }
    case 'in': {
      const value = interpret(first, row);
      if (value === null) return null;
      let unknown = false;
      for (const member of args.slice(1)) {
        const candidate = interpret(member, row);
        if (candidate === null) unknown = true;
        else if (order(candidate, value) === 0) return true;
      }
      return unknown ? null : false;
    }
  }
  const values: BoxedValue[] = [];
  for (const arg of args) {
    const value = interpret(arg, row);
    if (value === null) return null;
    values.push(value);
  }
  const [a, b] = values as [never, never];
  switch (name) {
    case 'not':
      return !(a as boolean);
    case '=':
      return order(a, b) === 0;
    case '<>':
      return order(a, b) !== 0;
    case '<':
      return order(a, b) < 0;
    case '>=':
      return order(a, b) >= 0;
    case '+':
    case '-':
    case '*': {
      const [x, y] = [a, b] as [number, number];
      const result = name === '+' ? x + y : name === '-' ? x - y : x * y;
      if (typeof result === 'bigint')
        return BigInt.asIntN(64, result) === result ? result : fail('ARITHMETIC_OVERFLOW');
      return args[0]?.type.kind === 'int' ? fitsInt(result) : result;
    }
    case '%':
      return (b as number) === 0 ? fail('DIVIDE_BY_ZERO') : ((a as number) % (b as number)) + 0;
    case 'upper':
      return (a as string).toUpperCase();
    case 'trim':
      return (a as string).replace(/^ +| +$/g, '');
    case 'concat':
      return values.join('');
    case 'length':
      return [...(a as string)].length;
    case 'substring': {
      const chars = [...(a as string)];
      const [position, count] = [values[1] as number, values[2] as number];
      const start = position > 0 ? position - 1 : position < 0 ? chars.length + position : 0;
      const end = Math.min(chars.length, start + count);
      return end <= Math.max(0, start) ? '' : chars.slice(Math.max(0, start), end).join('');
    }
    case 'contains':
      return (a as string).includes(b);
    default:
      throw new Error(`no function ${name} here`);
  }
}

function order(a: BoxedValue, b: BoxedValue): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

// ---- random trees and rows --------------------------------------------------------------------------------------

const texts = fc.oneof(
  fc.constantFrom('', ' ', 'a', ' Ab ', 'ß', '12', '-3', ' 7 ', '日本', '😀x', 'longer than the others by far, really'),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
);
const ints = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(2147483647, -2147483648, 65536));
const longs = fc.oneof(fc.bigInt({ min: -3n, max: 3n }), fc.constantFrom(9223372036854775807n, -9223372036854775808n));
const doubles = fc.oneof(fc.constantFrom(0, -0, Number.NaN, Infinity, 1.5, -1e300), fc.integer({ min: -2, max: 2 }));

const nullable = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4 });
const rowArbitrary = fc.tuple(
  nullable(ints),
  ints,
  nullable(longs),
  nullable(doubles),
  nullable(texts),
  texts,
  nullable(fc.boolean()),
);

const call = (
  name: string,
  type: DataType,
  args: readonly Expr[],
  nullable = args.some((arg) => arg.nullable),
): Expr => ({ kind: 'call', name, type, nullable, args });
const literal = (type: DataType, value: string | number | boolean | null): Expr => ({
  kind: 'literal',
  type,
  nullable: value === null,
  value,
});
const columnsOf = (type: DataType): fc.Arbitrary<Expr> =>
  fc.constantFrom(
    ...schema.flatMap((field, index): Expr[] =>
      field.type.kind === type.kind ? [{ kind: 'column', index, ...field }] : [],
    ),
  );

interface Trees {
  readonly int: Expr;
  readonly long: Expr;
  readonly double: Expr;
  readonly text: Expr;
  readonly boolean: Expr;
}

const trees = fc.letrec<Trees>((tie: fc.LetrecTypedTie<Trees>) => {
  const [int, long, double, text, boolean] = [tie('int'), tie('long'), tie('double'), tie('text'), tie('boolean')];
  const common = (type: DataType, self: fc.Arbitrary<Expr>): fc.Arbitrary<Expr>[] => [
    fc.tuple(boolean, self, fc.option(self)).map(([when, then, otherwise]) => ({
      kind: 'case',
      type,
      nullable: then.nullable || otherwise === null || otherwise.nullable,
      branches: [{ when, then }],
      otherwise,
    })),
    fc.tuple(self, self).map((args) =>
      call(
        'coalesce',
        type,
        args,
        args.every((arg) => arg.nullable),
      ),
    ),
  ];
  const arithmetic = (type: DataType, self: fc.Arbitrary<Expr>): fc.Arbitrary<Expr> =>
    fc.tuple(fc.constantFrom('+', '-', '*'), self, self).map(([op, a, b]) => call(op, type, [a, b]));
  const compare = (self: fc.Arbitrary<Expr>): fc.Arbitrary<Expr> =>
    fc.oneof(
      fc.tuple(fc.constantFrom('=', '<>', '<', '>='), self, self).map(([op, a, b]) => call(op, BOOLEAN, [a, b])),
      fc.tuple(self, self).map((args) => call('<=>', BOOLEAN, args, false)),
      fc.array(self, { minLength: 2, maxLength: 4 }).map((args) => call('in', BOOLEAN, args)),
      self.map((arg) => call('isnull', BOOLEAN, [arg], false)),
    );
  const node = (leaves: fc.Arbitrary<Expr>[], inner: fc.Arbitrary<Expr>[]): fc.Arbitrary<Expr> =>
    fc.oneof({ depthSize: 'small', withCrossShrink: true }, ...leaves, ...inner);
  return {
    int: node(
      [columnsOf(INT), nullable(ints).map((value) => literal(INT, value))],
      [
        arithmetic(INT, int),
        fc.tuple(int, int).map((args) => call('%', INT, args)),
        text.map((arg) => call('length', INT, [arg])),
        fc.tuple(text, fc.constantFrom('ansi' as const, 'try' as const)).map(([input, mode]) => ({
          kind: 'cast',
          type: INT,
          nullable: input.nullable || mode === 'try',
          input,
          mode,
        })),
        ...common(INT, int),
      ],
    ),
    long: node(
      [columnsOf(BIGINT), longs.map((value) => literal(BIGINT, String(value)))],
      [
        arithmetic(BIGINT, long),
        int.map((input) => ({ kind: 'cast', type: BIGINT, nullable: input.nullable, input, mode: 'ansi' })),
        ...common(BIGINT, long),
      ],
    ),
    double: node(
      [columnsOf(DOUBLE), fc.constantFrom(1.5, 0, -2).map((value) => literal(DOUBLE, value))],
      [arithmetic(DOUBLE, double), ...common(DOUBLE, double)],
    ),
    text: node(
      [columnsOf(STRING), nullable(texts).map((value) => literal(STRING, value))],
      [
        text.map((arg) => call('upper', STRING, [arg])),
        text.map((arg) => call('trim', STRING, [arg])),
        fc.array(text, { minLength: 1, maxLength: 3 }).map((args) => call('concat', STRING, args)),
        fc.tuple(text, int, int).map((args) => call('substring', STRING, args)),
        int.map((input) => ({ kind: 'cast', type: STRING, nullable: input.nullable, input, mode: 'ansi' })),
        ...common(STRING, text),
      ],
    ),
    boolean: node(
      [columnsOf(BOOLEAN), nullable(fc.boolean()).map((value) => literal(BOOLEAN, value))],
      [
        fc.tuple(fc.constantFrom('and', 'or'), boolean, boolean).map(([op, a, b]) => call(op, BOOLEAN, [a, b])),
        boolean.map((arg) => call('not', BOOLEAN, [arg])),
        fc.tuple(text, text).map((args) => call('contains', BOOLEAN, args)),
        compare(int),
        compare(long),
        compare(double),
        compare(text),
      ],
    ),
  };
});

function outcome(expr: Expr, row: readonly BoxedValue[]): { readonly value: BoxedValue } | { readonly code: string } {
  try {
    return { value: interpret(expr, row) };
  } catch (error) {
    if (error instanceof Failed) return { code: error.message };
    throw error;
  }
}

/** A filter ends at the first condition that does not hold, be it false or NULL. */
function outcomeOfFilter(predicate: Expr, row: readonly BoxedValue[]): ReturnType<typeof outcome> {
  for (const condition of splitConjuncts(predicate)) {
    const held = outcome(condition, row);
    if ('code' in held || held.value !== true) return held;
  }
  return { value: true };
}

const shown = (value: BoxedValue): unknown =>
  typeof value === 'bigint' ? `${value}n` : typeof value === 'string' ? value.toWellFormed() : value;

test('generated code gives what walking the tree gives, for filters and projections', () => {
  const anyTree = fc.oneof(trees.int, trees.long, trees.double, trees.text, trees.boolean);
  fc.assert(
    fc.property(
      trees.boolean,
      fc.array(anyTree, { minLength: 1, maxLength: 3 }),
      fc.array(rowArbitrary, { maxLength: 8 }),
      (predicate, exprs, rows) => {
        const output = exprs.map((expr, index) => ({ name: `x${index}`, type: expr.type, nullable: expr.nullable }));
        const program = compileProgram({
          columns: schema.map(({ name, type, nullable }) => ({
            kind: 'field' as const,
            name,
            path: name,
            type,
            required: !nullable,
          })),
          operators: [
            { kind: 'filter', predicate },
            {
              kind: 'project',
              columns: exprs.map((expr, index) => ({ ...(output[index] as (typeof output)[number]), expr })),
            },
          ],
          output,
          timeZone: 'UTC',
        });
        const failures: RowFailure[] = [];
        const result = rowsOfBatch(output, program.run(batchOf(schema, rows), failures));

        const expectedRows: unknown[][] = [];
        const expectedFailures = new Map<number, string>();
        rows.forEach((row, record) => {
          const values = row.map((value) => (typeof value === 'string' ? value.toWellFormed() : value));
          const kept = outcomeOfFilter(predicate, values);
          if ('code' in kept) expectedFailures.set(record, kept.code);
          if (!('value' in kept) || kept.value !== true) return;
          const outcomes = exprs.map((expr) => outcome(expr, values));
          const failed = outcomes.find((each) => 'code' in each);
          if (failed !== undefined && 'code' in failed) expectedFailures.set(record, failed.code);
          else expectedRows.push(outcomes.map((each) => ('value' in each ? shown(each.value) : null)));
        });
        assert.deepEqual(
          result.map((row) => row.map(shown)),
          expectedRows,
        );
        assert.deepEqual(
          new Map(failures.map(({ record, reason }) => [record, deadLetterReasons[reason]])),
          expectedFailures,
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('what a user wrote never reaches the source of generated code', () => {
  const nasty = "'); throw new Error(`x`); ('${process.exit()}\\u2028";
  const program = compileProgram({
    columns: [{ kind: 'field', name: nasty, path: nasty, type: STRING, required: false }],
    operators: [
      {
        kind: 'project',
        columns: [
          {
            name: nasty,
            type: STRING,
            nullable: true,
            expr: call('concat', STRING, [
              { kind: 'column', type: STRING, nullable: true, index: 0, name: nasty },
              literal(STRING, nasty),
            ]),
          },
        ],
      },
    ],
    output: [{ name: nasty, type: STRING, nullable: true }],
    timeZone: 'UTC',
  });
  const input = batchOf([{ name: nasty, type: STRING, nullable: true }], [['a']]);
  assert.deepEqual(rowsOfBatch(program.output, program.run(input, [])), [[`a${nasty}`]]);
});
