/** What calls with lambdas share: the lambda's type and the call of a kernel with it. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { Gen, Val } from '../codegen.ts';
import { canImplicitlyCast, castTo } from '../coercion.ts';
import type { LambdaInput } from '../function-table.ts';

/** The lambda with its body cast, or undefined where that cannot be. */
export function givingType(lambda: Expr, type: DataType): Expr | undefined {
  if (lambda.kind !== 'lambda') return undefined;
  if (!canImplicitlyCast(lambda.body.type, type)) return undefined;
  const body = castTo(lambda.body, type);
  return { ...lambda, body, type, nullable: body.nullable };
}

/** A call of `call` with the arguments in their order, values boxed and lambdas as functions of boxed values. */
export function emitWithLambdas(
  g: Gen,
  args: readonly Expr[],
  type: DataType,
  call: (...args: never[]) => unknown,
  mayBeNull: boolean,
): Val {
  g.fails();
  const values = args.filter((arg) => arg.kind !== 'lambda');
  return g.strict(
    values,
    type,
    (vals) => {
      let next = 0;
      const passed = args.map((arg) => (arg.kind === 'lambda' ? g.lambda(arg) : g.boxed(vals[next++] as Val)));
      return { boxed: `${g.fn(call)}(${passed.join(', ')})` };
    },
    { mayBeNull },
  );
}

/** What a lambda over the elements of the array gets; undefined when it is none. */
export const elementInput = (expr: Expr | undefined): LambdaInput | undefined =>
  expr?.type.kind === 'array' ? { type: expr.type.element, nullable: expr.type.containsNull } : undefined;
