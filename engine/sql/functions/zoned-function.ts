import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import { anyNullable, customFunction, fitAll, type FunctionDef, type Param } from '../function-table.ts';

/** A function over values that also gets the session time zone. */
export function zonedFunction(spec: {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly about: string;
  readonly params: readonly Param[];
  readonly optional?: readonly Expr[];
  readonly returns: DataType;
  readonly mayBeNull?: boolean;
  readonly call: (...args: never[]) => unknown;
}): FunctionDef {
  const defaults = spec.optional ?? [];
  return customFunction({
    name: spec.name,
    aliases: spec.aliases ?? [],
    group: 'time',
    usage: spec.usage,
    about: spec.about,
    type(args) {
      const fitted = fitAll(args, spec.params, defaults.length);
      if ('complaint' in fitted) return fitted;
      const missing = spec.params.length - fitted.length;
      const complete = missing === 0 ? fitted : [...fitted, ...defaults.slice(-missing)];
      return { args: complete, type: spec.returns, nullable: spec.mayBeNull === true || anyNullable(fitted) };
    },
    emit(g, call) {
      g.fails();
      return g.strict(
        call.args,
        call.type,
        (vals) => ({ boxed: `${g.fn(spec.call)}(${[...vals.map((val) => g.boxed(val)), 'rt.zone'].join(', ')})` }),
        { mayBeNull: spec.mayBeNull === true },
      );
    },
  });
}
