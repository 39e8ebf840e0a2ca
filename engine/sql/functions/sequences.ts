/** sequence(): arrays of whole numbers, dates or times at equal steps. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { CallExpr, Gen, Val } from '../codegen.ts';
import {
  anyNullable,
  type Complaint,
  customFunction,
  fitAll,
  type FunctionDef,
  type Typing,
  unify,
} from '../function-table.ts';
import { dateSequence, sequence, timestampSequence } from '../runtime/nested.ts';
import { arrayOf } from './nested-typing.ts';

/** The function of both kinds. */
export const sequenceFunction: FunctionDef = customFunction({
  name: 'sequence',
  group: 'nested',
  usage: 'sequence(start, stop [, step])',
  about:
    'The whole numbers, dates or times from start to stop, both included; by one or by days, up or down, unless told.',
  type(args) {
    if (args[0]?.type.kind === 'date' || args[0]?.type.kind === 'timestamp') return typeTimeSequence(args);
    const fitted = fitAll(args, ['integral', 'integral', 'integral'], 1);
    if ('complaint' in fitted) return fitted;
    const unified = unify(fitted);
    if ('complaint' in unified) return unified;
    return { args: unified.args, type: arrayOf(unified.type, false), nullable: anyNullable(fitted) };
  },
  emit(g, call) {
    g.fails();
    if (call.args[0]?.type.kind === 'date' || call.args[0]?.type.kind === 'timestamp') return emitTimeSequence(g, call);
    return g.strict(call.args, call.type, ([start, stop, step]) => ({
      boxed: `${g.fn(sequence)}(${start?.v}, ${stop?.v}, ${step?.v ?? 'null'})`,
    }));
  },
});

/** Dates and times go by days unless an interval says otherwise. */
function typeTimeSequence(args: readonly Expr[]): Typing | Complaint {
  if (args.length < 2 || args.length > 3) return { complaint: `takes 2 to 3 arguments, not ${args.length}` };
  const [start, stop, step] = args as [Expr, Expr, Expr?];
  const type: DataType =
    start.type.kind === 'date' && stop.type.kind === 'date' ? { kind: 'date' } : { kind: 'timestamp' };
  const fitted = fitAll([start, stop], [type, type]);
  if ('complaint' in fitted) return fitted;
  const typing = { type: arrayOf(type, false), nullable: anyNullable(args) };
  if (step === undefined) return { ...typing, args: fitted };
  if (step.type.kind !== 'interval') return { complaint: 'takes an INTERVAL as its step', arg: 2 };
  if (type.kind === 'date' && step.type.unit === 'microseconds' && !isWholeDays(step))
    return { complaint: 'takes a step of whole days, months or years between dates', arg: 2 };
  return { ...typing, args: [...fitted, step] };
}

const DAY_US = 86_400_000_000;
function isWholeDays(step: Expr): boolean {
  return step.kind === 'literal' && typeof step.value === 'number' && step.value % DAY_US === 0;
}

function emitTimeSequence(g: Gen, call: CallExpr): Val {
  const [from, , step] = call.args as [Expr, Expr, Expr?];
  const isMonths = step?.type.kind === 'interval' && step.type.unit === 'months';
  const kernel = from.type.kind === 'date' ? dateSequence : timestampSequence;
  return g.strict(call.args, call.type, ([start, stop, by]) => ({
    boxed: `${g.fn(kernel)}(${start?.v}, ${stop?.v}, ${by?.v ?? `(${start?.v} <= ${stop?.v} ? ${DAY_US} : -${DAY_US})`}, ${isMonths}, rt.zone)`,
  }));
}
