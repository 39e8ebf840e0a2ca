/** Functions that choose among values, NULL included. Arguments that are not needed are not computed. */
import type { Expr } from '../../../core/ast.ts';
import { BOOLEAN, castTo, DOUBLE, INT, isNumeric, NULL, STRING } from '../coercion.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type Typing,
  unify,
} from '../function-table.ts';
import { intLiteral } from '../literal.ts';
import { raiseExpressionFailed } from '../runtime/runtime.ts';
import { comparison, nullSafeEqual, typeComparison as typeEqual } from './operators.ts';

function typeChoice(args: readonly Expr[], least: number, most: number): Typing | Complaint {
  const fitted = fitAll(
    args,
    Array.from({ length: least }, () => 'any' as const),
    0,
    most > least ? 'any' : undefined,
  );
  if ('complaint' in fitted) return fitted;
  const unified = unify(args);
  if ('complaint' in unified) return unified;
  return { ...unified, nullable: args.every((arg) => arg.nullable) };
}

function coalesceFunction(
  name: string,
  aliases: readonly string[],
  usage: string,
  count: readonly [number, number],
): FunctionDef {
  return customFunction({
    name,
    aliases,
    group: 'conditional',
    usage,
    about: 'The first argument that is not NULL.',
    type: (args) => typeChoice(args, count[0], count[1]),
    emit(g, call) {
      const out = g.declare(call.type, true);
      let depth = 0;
      for (const [index, arg] of call.args.entries()) {
        if (index > 0) {
          g.line(`if (${out.nul}) {`);
          depth++;
        }
        g.assign(out, g.expr(arg));
        if (!arg.nullable) break;
      }
      g.line('}'.repeat(depth));
      return call.nullable ? out : { ...out, nul: 'false' };
    },
  });
}

function extremeFunction(name: 'greatest' | 'least'): FunctionDef {
  return customFunction({
    name,
    group: 'conditional',
    usage: `${name}(a, b, …)`,
    about: `The ${name === 'greatest' ? 'largest' : 'smallest'} argument; NULLs are left out.`,
    type: (args) => typeChoice(args, 2, Infinity),
    emit(g, call) {
      const out = g.declare(call.type, true);
      for (const arg of call.args) {
        const val = g.expr(arg);
        const better = comparison(
          g,
          name === 'greatest' ? '>' : '<',
          { ...val, nul: 'false' },
          { ...out, nul: 'false' },
        );
        if (val.nul === 'true') continue;
        const there = val.nul === 'false' ? '' : `!(${val.nul}) && `;
        g.line(`if (${there}(${out.nul} || ${better})) {`);
        g.assign(out, { ...val, nul: 'false' });
        g.line('}');
      }
      return call.nullable ? out : { ...out, nul: 'false' };
    },
  });
}

export const conditionalFunctions: readonly FunctionDef[] = [
  coalesceFunction('coalesce', [], 'coalesce(a, b, …)', [1, Infinity]),
  coalesceFunction('nvl', ['ifnull'], 'nvl(a, b)', [2, 2]),
  extremeFunction('greatest'),
  extremeFunction('least'),
  customFunction({
    name: 'equal_null',
    group: 'conditional',
    usage: 'equal_null(a, b)',
    about: 'True when both are equal or both NULL; never NULL.',
    type: (args, context) => nullSafeEqual.type(args, context),
    emit: (g, call) => nullSafeEqual.emit(g, call),
  }),
  customFunction({
    name: 'isnan',
    group: 'conditional',
    usage: 'isnan(number)',
    about: 'True when the number is NaN; false for NULL.',
    type(args) {
      const fitted = fitAll(args, ['numeric']);
      if ('complaint' in fitted) return fitted;
      const [arg] = fitted as [Expr];
      return { args: [arg.type.kind === 'float' ? arg : castTo(arg, DOUBLE)], type: BOOLEAN, nullable: false };
    },
    emit(g, call) {
      const val = g.expr(call.args[0] as Expr);
      return g.scalar(BOOLEAN, 'false', val.nul === 'true' ? 'false' : `(!(${val.nul}) && ${val.v} !== ${val.v})`);
    },
  }),
  customFunction({
    name: 'nanvl',
    group: 'conditional',
    usage: 'nanvl(a, b)',
    about: 'The first number unless it is NaN, then the second.',
    type(args) {
      const fitted = fitAll(args, [DOUBLE, DOUBLE]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: DOUBLE, nullable: anyNullable(fitted) };
    },
    emit: (g, call) => g.strict(call.args, DOUBLE, ([a, b]) => ({ value: `${a?.v} !== ${a?.v} ? ${b?.v} : ${a?.v}` })),
  }),
  customFunction({
    name: 'assert_true',
    group: 'misc',
    usage: 'assert_true(condition [, message])',
    about: 'NULL when the condition is true; raises otherwise.',
    type(args) {
      const fitted = fitAll(args, [BOOLEAN, STRING], 1);
      return 'complaint' in fitted ? fitted : { args: fitted, type: NULL, nullable: true };
    },
    emit(g, call) {
      const val = g.expr(call.args[0] as Expr);
      g.fails();
      g.line(`if (!(${g.isTrue(val)})) ${g.fn(raiseExpressionFailed)}();`);
      return g.nullVal(NULL);
    },
  }),
  customFunction({
    name: 'raise_error',
    group: 'misc',
    usage: 'raise_error(message)',
    about: 'Makes the record a dead letter.',
    type(args) {
      const fitted = fitAll(args, [STRING]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: NULL, nullable: true };
    },
    emit(g) {
      g.fails();
      g.line(`${g.fn(raiseExpressionFailed)}();`);
      return g.nullVal(NULL);
    },
  }),
  customFunction({
    name: 'nullifzero',
    group: 'conditional',
    usage: 'nullifzero(number)',
    about: 'NULL for zero, else the number or text.',
    type(args) {
      const fitted = fitAll(args, ['any']);
      if ('complaint' in fitted) return fitted;
      const [arg] = fitted as [Expr];
      if (arg.type.kind === 'null') return { args: [castTo(arg, INT)], type: INT, nullable: true };
      const same = typeEqual([arg, intLiteral(0)]);
      return 'complaint' in same ? same : { args: [arg, ...same.args], type: arg.type, nullable: true };
    },
    emit(g, call) {
      const [arg, left, right] = call.args as [Expr, Expr?, Expr?];
      if (left === undefined || right === undefined) return g.nullVal(call.type);
      const out = g.declare(call.type, true);
      const value = g.expr(arg);
      g.line(`if (!(${value.nul})) {`);
      g.line(`if (!(${comparison(g, '===', { ...g.expr(left), nul: 'false' }, g.expr(right))})) {`);
      g.assign(out, value);
      g.line('}}');
      return out;
    },
  }),
  customFunction({
    name: 'zeroifnull',
    group: 'conditional',
    usage: 'zeroifnull(number)',
    about: 'Zero for NULL, else the number.',
    type(args) {
      const fitted = fitAll(args, ['any']);
      if ('complaint' in fitted) return fitted;
      const unified = unify([...fitted, intLiteral(0)]);
      if ('complaint' in unified || !isNumeric(unified.type)) return { complaint: 'takes a number here', arg: 0 };
      return { args: unified.args.slice(0, 1), type: unified.type, nullable: false };
    },
    emit(g, call) {
      const out = g.declare(call.type, true);
      g.assign(out, g.expr(call.args[0] as Expr));
      return {
        ...out,
        nul: 'false',
        v: `(${out.nul} ? ${call.type.kind === 'bigint' || call.type.kind === 'decimal' ? '0n' : '0'} : ${out.v})`,
      };
    },
  }),
];
