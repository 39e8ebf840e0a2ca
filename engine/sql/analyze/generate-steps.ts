/** LATERAL VIEW and generators of the select list: functions that make rows. */
import type { Expr, Identifier, LateralView, Span, SqlExpr } from '../../../core/ast.ts';
import { formatType, type Schema } from '../../../core/types.ts';
import { generatedColumns } from '../../operators/generate.ts';
import { didYouMean } from '../problems.ts';
import { type GeneratorName, generators } from './calls.ts';
import type { Analysis } from './context.ts';
import type { ExpressionAnalyzer } from './expressions.ts';
import { type CallNode, type Rows, scopeOf } from './scope.ts';
import { spanOf, wholeNumber } from './syntax.ts';

/** A lateral view or a generator of the select list, on its way into the plan. */
export interface GenerateStep {
  readonly generator: GeneratorName;
  readonly outer: boolean;
  readonly expr: Expr;
  readonly generated: Schema;
  readonly qualifier: string | null;
  readonly span: Span;
}

/** How a generator is used. */
interface GeneratorUse {
  readonly generator: GeneratorName;
  /** Rows for which it makes none stay, with NULLs. */
  readonly outer: boolean;
  /** Names of its columns; none = its own. */
  readonly aliases: readonly Identifier[];
  readonly qualifier: string | null;
}

/** The step that a call of a generator is; undefined when a mistake was said. */
export function generateStep(
  rows: Rows,
  call: CallNode,
  { generator, outer, aliases, qualifier }: GeneratorUse,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): GenerateStep | undefined {
  const made = rowsOf(call);
  const usage = usages.get(call.name.text.toLowerCase());
  if (made === undefined && usage !== undefined)
    return analysis.problem(call, `${call.name.text} cannot make rows of these arguments`, `write ${usage}`);
  const [argument] = made ?? call.args;
  if (argument === undefined || (call.args.length !== 1 && argument === call.args[0]))
    return analysis.problem(call, `${call.name.text} takes 1 argument, not ${call.args.length}`);
  const expr = expressions.expr(argument, scopeOf(rows.columns));
  if (expr === undefined) return undefined;
  const columns = generatedColumns(generator, expr.type, outer);
  if (columns === undefined) {
    const wanted = generator === 'inline' ? 'an ARRAY of STRUCTs' : 'an ARRAY or a MAP';
    return analysis.problem(argument, `${call.name.text} takes ${wanted}, not ${formatType(expr.type)}`);
  }
  if (aliases.length > 0 && aliases.length !== columns.length) {
    return analysis.problem(
      call,
      `${call.name.text} gives ${columns.length} columns here, but ${aliases.length} names are given`,
    );
  }
  const named = columns.map((field, index) => ({ ...field, name: aliases[index]?.text ?? field.name }));
  return { generator, outer, expr, generated: named, qualifier, span: spanOf(call) };
}

/** The step that LATERAL is, VIEW or not; undefined when a mistake was said. */
export function lateralStep(
  rows: Rows,
  { call, outer, tableAlias, columnAliases }: LateralView,
  expressions: ExpressionAnalyzer,
  analysis: Analysis,
): GenerateStep | undefined {
  const known = call.kind === 'call' ? generators.get(call.name.text.toLowerCase()) : undefined;
  if (call.kind !== 'call' || known === undefined)
    return analysis.problem(
      call,
      'LATERAL takes explode, posexplode, inline, json_tuple or stack',
      call.kind === 'call' ? didYouMean(call.name.text, generators.keys()) : undefined,
    );
  const use = {
    generator: known.generator,
    outer: known.outer || outer,
    aliases: columnAliases,
    qualifier: tableAlias?.text ?? null,
  };
  return generateStep(rows, call, use, expressions, analysis);
}

const usages: ReadonlyMap<string, string> = new Map([
  ['json_tuple', "json_tuple(text, 'a', 'b')"],
  ['stack', 'stack(2, a, b, c, d), with the number of rows in front'],
]);

/**
 * json_tuple and stack as the array of structs that they make rows of; undefined for other generators, and for calls that
 * are none of theirs.
 */
function rowsOf(call: CallNode): readonly SqlExpr[] | undefined {
  const [first, ...others] = call.args;
  if (first === undefined || others.length === 0) return undefined;
  const at = spanOf(call);
  const struct = (values: readonly SqlExpr[], prefix: string): SqlExpr =>
    calling(
      'named_struct',
      values.flatMap((value, index) => [textOf(`${prefix}${index}`, at), value]),
      at,
    );
  switch (call.name.text.toLowerCase()) {
    case 'json_tuple': {
      const values = others.map((name) => {
        const path = calling('concat', [textOf("$['", at), name, textOf("']", at)], at);
        return calling('get_json_object', [first, path], at);
      });
      return [calling('array', [struct(values, 'c')], at)];
    }
    case 'stack': {
      const count = wholeNumber(first);
      if (count === undefined || count < 1) return undefined;
      const width = Math.ceil(others.length / count);
      const missing: SqlExpr = { kind: 'literal', literal: { kind: 'null' }, ...at };
      const rows = Array.from({ length: count }, (_, row) =>
        struct(
          Array.from({ length: width }, (__, column) => others[row * width + column] ?? missing),
          'col',
        ),
      );
      return [calling('array', rows, at)];
    }
    default:
      return undefined;
  }
}

function calling(name: string, args: readonly SqlExpr[], at: Span): SqlExpr {
  return { kind: 'call', name: { text: name, ...at }, args, distinct: false, filter: null, over: null, ...at };
}

function textOf(value: string, at: Span): SqlExpr {
  return { kind: 'literal', literal: { kind: 'string', value }, ...at };
}

/** The rows with the columns of a generator behind them. */
export function generated(rows: Rows, step: GenerateStep): Rows {
  const { generator, outer, expr, qualifier, span } = step;
  const first = rows.plan.output.length;
  return {
    ...rows,
    plan: {
      kind: 'generate',
      input: rows.plan,
      generator,
      outer,
      expr,
      generated: step.generated,
      output: [...rows.plan.output, ...step.generated],
      span,
    },
    columns: [
      ...rows.columns,
      ...step.generated.map((field, index) => ({ ...field, qualifier, hidden: false, index: first + index })),
    ],
    times: [...rows.times, ...step.generated.map(() => null)],
  };
}
