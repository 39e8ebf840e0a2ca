/**
 * Expressions: names to columns, a type to every node, conversions made explicit. What is no function of one row's
 * values (aggregates, windows, OVER) goes to the scope's call handler.
 */
import type { BinaryOp, Expr, Identifier, LambdaParam, Span, SqlExpr } from '../../../core/ast.ts';
import { type DataType, formatType } from '../../../core/types.ts';
import type { ProjectedColumn } from '../../plan/stage-plan.ts';
import { BIGINT, BOOLEAN, canCast, castTo, isIntegral, STRING, TIMESTAMP } from '../coercion.ts';
import { type FunctionDef, isComplaint, unify } from '../function-table.ts';
import { INTERVAL_SECONDS } from '../functions/intervals.ts';
import { callableNames, functionByName } from '../functions.ts';
import { booleanLiteral, intLiteral, nullLiteral, stringLiteral } from '../literal.ts';
import { didYouMean } from '../problems.ts';
import { generators, isAggregateName, rankFunctions, timeWindows } from './calls.ts';
import type { Analysis } from './context.ts';
import { literalExpr } from './literals.ts';
import { isShort, type MixedInterval, mixedInterval, timeOf, unmixedInterval } from './mixed-intervals.ts';
import {
  asSqlName,
  type CallNode,
  columnExpr,
  columnOf,
  fieldOf,
  findColumns,
  type Scope,
  type ScopeColumn,
  scopeOf,
} from './scope.ts';
import { castFunctions, decodeForm, specialForm, specialForms } from './special-forms.ts';
import { spanOf } from './syntax.ts';

/** Types the expressions of one query. */
export class ExpressionAnalyzer {
  readonly #analysis: Analysis;

  constructor(analysis: Analysis) {
    this.#analysis = analysis;
  }

  /** The condition, which must be a BOOLEAN; `where` is the clause that takes it. */
  boolean(expr: SqlExpr, scope: Scope, where: string): Expr | undefined {
    const condition = this.expr(expr, scope);
    if (condition === undefined) return undefined;
    if (condition.type.kind === 'null') return castTo(condition, BOOLEAN);
    if (condition.type.kind === 'boolean') return condition;
    return this.#analysis.problem(
      expr,
      `${where} takes a BOOLEAN, not ${formatType(condition.type)}`,
      'compare the value with something',
    );
  }

  /** The columns that a star of a select list stands for. */
  star(star: Extract<SqlExpr, { kind: 'star' }>, columns: readonly ScopeColumn[]): ProjectedColumn[] {
    const all = this.#starred(star, columns);
    const except = star.except ?? [];
    for (const name of except)
      if (!all.some((column) => sameName(column, name)))
        this.#analysis.problem(
          name,
          `there is no column ${name.text}`,
          didYouMean(
            name.text,
            all.map((column) => column.name),
          ),
        );
    return all.filter((column) => !except.some((name) => sameName(column, name)));
  }

  #starred(star: Extract<SqlExpr, { kind: 'star' }>, columns: readonly ScopeColumn[]): ProjectedColumn[] {
    const shown = columns.filter(({ hidden }) => !hidden);
    const [qualifier] = star.qualifier;
    if (qualifier === undefined) return shown.map(columnOf);
    const of = shown.filter((column) => column.qualifier?.toLowerCase() === qualifier.text.toLowerCase());
    if (of.length > 0) return of.map(columnOf);
    const struct = this.expr(
      { kind: 'name', parts: star.qualifier, offset: star.offset, length: star.length },
      scopeOf(columns),
    );
    if (struct === undefined) return [];
    if (struct.type.kind !== 'struct') {
      this.#analysis.problem(star, `only a source or a STRUCT has columns to list, not ${formatType(struct.type)}`);
      return [];
    }
    return struct.type.fields.map((field, index) => {
      const expr = fieldOf(struct, index);
      return { name: field.name, type: field.type, nullable: expr.nullable, expr };
    });
  }

  /** The name of a column without an alias: its own, or the text it was written as. */
  nameOf(expr: SqlExpr): string {
    if (expr.kind === 'call' && timeWindows.has(expr.name.text.toLowerCase())) return expr.name.text.toLowerCase();
    if (expr.kind === 'name') return expr.parts.at(-1)?.text ?? '';
    if (expr.kind === 'field') return expr.field.text;
    return this.#analysis.textOf(expr);
  }

  /** The expression typed; undefined when it has a mistake, which is then among the problems. */
  expr(expr: SqlExpr, scope: Scope): Expr | undefined {
    switch (expr.kind) {
      case 'literal':
        return literalExpr(expr, expr.literal, this.#analysis);
      case 'name':
        return this.#name(expr, scope);
      case 'star':
        return this.#analysis.problem(expr, '* stands only in a select list');
      case 'field': {
        const input = this.expr(expr.input, scope);
        return input && this.#field(input, expr.field);
      }
      case 'index':
        return this.#index(expr, scope);
      case 'call':
        return this.#call(expr, scope);
      case 'unary': {
        const input = this.expr(expr.input, scope);
        return (
          input &&
          this.apply(
            expr.op === 'not' ? 'not' : expr.op === '~' ? '~' : expr.op === '-' ? 'negative' : 'positive',
            [input],
            expr,
            [expr.input],
          )
        );
      }
      case 'binary':
        return this.#binary(expr.op, expr, scope);
      case 'between': {
        const [input, low, high] = this.#all([expr.input, expr.low, expr.high], scope);
        if (input === undefined || low === undefined || high === undefined) return undefined;
        const above = this.apply('>=', [input, low], expr, [expr.input, expr.low]);
        const below = this.apply('<=', [input, high], expr, [expr.input, expr.high]);
        return above && below && this.#negatedIf(expr.negated, this.apply('and', [above, below], expr, []), expr);
      }
      case 'in': {
        const args = this.#all([expr.input, ...expr.list], scope);
        if (args.some((arg) => arg === undefined)) return undefined;
        return this.#negatedIf(expr.negated, this.apply('in', args as Expr[], expr, [expr.input, ...expr.list]), expr);
      }
      case 'like':
        return this.#like(expr, scope);
      case 'is': {
        const input = this.expr(expr.input, scope);
        if (input === undefined) return undefined;
        if (expr.what === 'null') return this.apply(expr.negated ? 'isnotnull' : 'isnull', [input], expr, [expr.input]);
        const same = this.apply('<=>', [input, booleanLiteral(expr.what === 'true')], expr, [expr.input, expr]);
        return this.#negatedIf(expr.negated, same, expr);
      }
      case 'case':
        return this.#case(expr, scope);
      case 'cast': {
        const input = this.expr(expr.input, scope);
        return input && this.#cast(input, expr.type, expr.mode, expr);
      }
      case 'lambda':
        return this.#analysis.problem(expr, 'a lambda stands only as an argument of a function like transform');
      case 'subquery':
        return this.#analysis.unsupported(
          expr,
          'a query in the place of a value',
          'join with the other query in FROM: the value of a stream changes while rows come',
        );
      case 'inQuery':
      case 'exists':
        return this.#analysis.unsupported(
          expr,
          'IN (SELECT …) or EXISTS (SELECT …) within another expression',
          'let it stand by itself in WHERE, beside other conditions with AND; for OR write two queries with UNION',
        );
    }
  }

  /** All of them, so that every mistake is found. */
  #all(exprs: readonly SqlExpr[], scope: Scope): (Expr | undefined)[] {
    return exprs.map((expr) => this.expr(expr, scope));
  }

  #negatedIf(negated: boolean, expr: Expr | undefined, span: SqlExpr): Expr | undefined {
    return negated && expr !== undefined ? this.apply('not', [expr], span, [span]) : expr;
  }

  #name(expr: Extract<SqlExpr, { kind: 'name' }>, scope: Scope): Expr | undefined {
    const [first, second] = expr.parts as readonly [Identifier, Identifier?];
    const lambda = scope.lambdas.get(first.text.toLowerCase());
    if (lambda !== undefined) {
      const { type, nullable, id, name } = lambda;
      return this.#fields({ kind: 'variable', type, nullable, id, name }, expr.parts.slice(1));
    }
    if (second !== undefined) {
      const qualified = findColumns(scope.columns, second.text, first.text);
      if (qualified.length > 0) return this.#column(qualified, second, expr.parts.slice(2));
    }
    const plain = findColumns(scope.columns, first.text, null);
    if (plain.length > 0) return this.#column(plain, first, expr.parts.slice(1));
    const alias = scope.aliases.get(first.text.toLowerCase());
    if (alias !== undefined) return this.#fields(alias, expr.parts.slice(1));
    const isQualifier = scope.columns.some(({ qualifier }) => qualifier?.toLowerCase() === first.text.toLowerCase());
    const wrong = isQualifier && second !== undefined ? second : first;
    const hint =
      didYouMean(wrong.text, [...scope.columns.map(({ name }) => name), ...scope.aliases.keys()]) ??
      this.#columnHint(scope);
    return this.#analysis.problem(wrong, `there is no column ${wrong.text}`, hint);
  }

  #columnHint(scope: Scope): string | undefined {
    const names = scope.columns.filter(({ hidden }) => !hidden).map(({ name }) => name);
    return names.length === 0 || names.length > 20 ? undefined : `the columns are: ${names.join(', ')}`;
  }

  #column(found: readonly ScopeColumn[], name: Identifier, fields: readonly Identifier[]): Expr | undefined {
    const [column] = found;
    if (column === undefined || found.length > 1) {
      return this.#analysis.problem(
        name,
        `the name ${name.text} stands for ${found.length} columns`,
        ambiguityHint(found),
      );
    }
    return this.#fields(this.#analysis.placed(columnExpr(column, column.index), name), fields);
  }

  #fields(input: Expr, fields: readonly Identifier[]): Expr | undefined {
    let expr: Expr | undefined = input;
    for (const field of fields) expr = expr && this.#field(expr, field);
    return expr;
  }

  #field(input: Expr, name: Identifier): Expr | undefined {
    const { type } = input;
    if (type.kind === 'map')
      return this.apply('element_at', [input, stringLiteral(name.text)], name, [name, name].map(asSqlName));
    const list = type.kind === 'array' ? type : null;
    const struct = list?.element ?? type;
    if (struct.kind !== 'struct') return this.#analysis.problem(name, `${formatType(type)} has no field ${name.text}`);
    const index = struct.fields.findIndex((field) => field.name.toLowerCase() === name.text.toLowerCase());
    if (index < 0) {
      const names = struct.fields.map((field) => field.name);
      return this.#analysis.problem(
        name,
        `there is no field ${name.text}`,
        didYouMean(name.text, names) ?? `the fields are: ${names.join(', ')}`,
      );
    }
    if (list === null) return fieldOf(input, index);
    // A field of an array of structs is the array of the fields.
    const param: LambdaParam = {
      id: this.#analysis.nextVariable(),
      name: 'x',
      type: struct,
      nullable: list.containsNull,
    };
    const body = fieldOf({ kind: 'variable', ...param }, index);
    const lambda: Expr = { kind: 'lambda', type: body.type, nullable: body.nullable, params: [param], body };
    return this.apply('transform', [input, lambda], name, []);
  }

  #index(expr: Extract<SqlExpr, { kind: 'index' }>, scope: Scope): Expr | undefined {
    const [input, index] = this.#all([expr.input, expr.index], scope);
    if (input === undefined || index === undefined) return undefined;
    if (input.type.kind === 'map') return this.apply('element_at', [input, index], expr, [expr.input, expr.index]);
    if (input.type.kind === 'struct' && index.kind === 'literal' && index.type.kind === 'string') {
      return this.#field(input, { text: String(index.value), offset: expr.index.offset, length: expr.index.length });
    }
    if (input.type.kind !== 'array')
      return this.#analysis.problem(expr.input, `only an ARRAY or a MAP has elements, not ${formatType(input.type)}`);
    if (!isIntegral(index.type) && index.type.kind !== 'null')
      return this.#analysis.problem(
        expr.index,
        `the index of an ARRAY is a whole number, not ${formatType(index.type)}`,
      );
    return this.apply('[]', [input, index], expr, [expr.input, expr.index]);
  }

  #binary(op: BinaryOp, expr: Extract<SqlExpr, { kind: 'binary' }>, scope: Scope): Expr | undefined {
    const moved = op === '+' || op === '-' ? this.#movedTime(op, expr, scope) : null;
    if (moved !== null) return moved;
    const [left, right] = this.#all([expr.left, expr.right], scope);
    if (left === undefined || right === undefined) return undefined;
    const places = [expr.left, expr.right];
    // A text beside an interval is a time, and the sum a text again.
    const isText = (a: Expr, b: Expr): boolean => a.type.kind === 'string' && b.type.kind === 'interval';
    if ((op === '+' || op === '-') && isText(left, right)) {
      const moved = this.apply(op, [castTo(left, TIMESTAMP), right], expr, places);
      return moved && castTo(moved, STRING);
    }
    if (op === '+' && isText(right, left)) {
      const moved = this.apply(op, [left, castTo(right, TIMESTAMP)], expr, places);
      return moved && castTo(moved, STRING);
    }
    return this.apply(op, [left, right], expr, places);
  }

  /** A time and an interval of months and days, months before days and days before hours; null where it is none such. */
  #movedTime(op: '+' | '-', expr: Extract<SqlExpr, { kind: 'binary' }>, scope: Scope): Expr | undefined | null {
    const behind = mixedInterval(expr.right);
    const interval = behind ?? (op === '+' ? mixedInterval(expr.left) : undefined);
    if (interval === undefined) return null;
    const [place, by] = behind === undefined ? [expr.right, expr.left] : [expr.left, expr.right];
    const time = this.expr(place, scope);
    if (time === undefined) return undefined;
    const isText = time.type.kind === 'string';
    const isDate = time.type.kind === 'date';
    const { months, days, ...shorter } = interval;
    if (isDate && (shorter.hours ?? shorter.minutes ?? shorter.seconds) !== null)
      return this.#analysis.problem(
        by,
        'hours, minutes and seconds cannot be added to a DATE',
        'write CAST(… AS TIMESTAMP) + make_interval(…)',
      );
    const at = spanOf(by);
    const none: MixedInterval = { months: null, days: null, hours: null, minutes: null, seconds: null, time: null };
    const moved = (from: Expr | undefined, step: SqlExpr | null): Expr | undefined => {
      if (from === undefined || step === null) return from;
      const typed = this.expr(step, scope);
      return typed && this.apply(op, [from, typed], expr, [place, by]);
    };
    const later = (from: Expr | undefined, unit: string, count: SqlExpr | null): Expr | undefined => {
      if (from === undefined || count === null) return from;
      const typed = this.expr(op === '-' ? { kind: 'unary', op: '-', input: count, ...at } : count, scope);
      return typed && this.apply('timestampadd', [stringLiteral(unit), typed, from], expr, [by, count, place]);
    };
    const start = moved(isText ? castTo(time, TIMESTAMP) : time, months);
    if (isDate) return moved(moved(start, days), shorter.time);
    if (!isText && time.type.kind !== 'timestamp') return moved(start, timeOf(interval, at));
    const inDays = moved(start, timeOf({ ...none, days }, at));
    const inMinutes = later(later(inDays, 'HOUR', shorter.hours), 'MINUTE', shorter.minutes);
    const inSeconds = timeOf({ ...none, seconds: shorter.seconds }, at);
    // As an interval whole days of seconds would move the local time.
    const all = isShort(shorter.seconds)
      ? moved(inMinutes, inSeconds ?? shorter.time)
      : this.#movedMoment(op, inMinutes, inSeconds, expr, scope);
    return isText ? all && castTo(all, STRING) : all;
  }

  #like(expr: Extract<SqlExpr, { kind: 'like' }>, scope: Scope): Expr | undefined {
    const [input, pattern] = this.#all([expr.input, expr.pattern], scope);
    if (input === undefined || pattern === undefined) return undefined;
    const args = expr.escape === null ? [input, pattern] : [input, pattern, stringLiteral(expr.escape)];
    return this.#negatedIf(
      expr.negated,
      this.apply(expr.op, args, expr, [expr.input, expr.pattern, expr.pattern]),
      expr,
    );
  }

  #case(expr: Extract<SqlExpr, { kind: 'case' }>, scope: Scope): Expr | undefined {
    const operand = expr.operand === null ? null : this.expr(expr.operand, scope);
    const whens = expr.branches.map(({ when }) => {
      if (expr.operand === null) return this.boolean(when, scope, 'WHEN');
      const value = this.expr(when, scope);
      return operand && value && this.apply('=', [operand, value], when, [expr.operand, when]);
    });
    const thens = expr.branches.map(({ then }) => this.expr(then, scope));
    const otherwise = expr.otherwise === null ? nullLiteral({ kind: 'null' }) : this.expr(expr.otherwise, scope);
    if (operand === undefined || otherwise === undefined || [...whens, ...thens].some((part) => part === undefined))
      return undefined;
    return this.conditional(whens as Expr[], thens as Expr[], otherwise, expr, [
      ...expr.branches.map(({ then }) => then),
      expr.otherwise ?? expr,
    ]);
  }

  /** A CASE whose values get one type; `spans` are where they stand. */
  conditional(
    whens: readonly Expr[],
    thens: readonly Expr[],
    otherwise: Expr,
    span: Span,
    places: readonly Span[],
  ): Expr | undefined {
    const unified = unify([...thens, otherwise]);
    if ('complaint' in unified)
      return this.#analysis.problem(places[unified.arg ?? 0] ?? span, `CASE ${unified.complaint}`);
    const results = unified.args;
    return {
      kind: 'case',
      type: unified.type,
      nullable: results.some((result) => result.nullable),
      branches: whens.map((when, index) => ({ when, then: results[index] as Expr })),
      otherwise: results.at(-1) ?? null,
    };
  }

  /** The moment so much time later or earlier, however many hours its days have. */
  #movedMoment(
    op: '+' | '-',
    from: Expr | undefined,
    time: SqlExpr | null,
    expr: Extract<SqlExpr, { kind: 'binary' }>,
    scope: Scope,
  ): Expr | undefined {
    const interval = time === null ? undefined : this.expr(time, scope);
    if (from === undefined || interval === undefined) return undefined;
    const places = [expr.left, expr.right];
    const scaled = this.apply('*', [castTo(interval, INTERVAL_SECONDS), intLiteral(1_000_000)], expr, places);
    const moment = this.apply('unix_micros', [from], expr, places);
    if (scaled === undefined || moment === undefined) return undefined;
    const moved = this.apply(op, [moment, castTo(scaled, BIGINT)], expr, places);
    return moved && this.apply('timestamp_micros', [moved], expr, places);
  }

  #cast(input: Expr, type: DataType, mode: 'ansi' | 'try', span: Span): Expr | undefined {
    // A cast that was written keeps a literal from counting as one beside decimals.
    if (input.kind === 'literal' && isIntegral(input.type) && input.type.kind === type.kind)
      return { kind: 'cast', type, nullable: input.nullable, input, mode };
    if (canCast(input.type, type)) return castTo(input, mode === 'try' ? withNullableParts(type) : type, mode);
    return this.#analysis.problem(span, `${formatType(input.type)} cannot be cast to ${formatType(type)}`);
  }

  #call(call: CallNode, scope: Scope): Expr | undefined {
    const name = call.name.text.toLowerCase();
    const expr = name === 'count' ? call : this.#withoutStars(call, scope);
    if (expr === undefined) return undefined;
    const handled = scope.calls?.(expr, name, scope);
    if (handled !== undefined && handled !== null) return handled;
    if (handled === undefined && scope.calls !== null) return undefined;
    if (name === 'window_time') return this.#windowTime(expr, scope);
    if (this.#refusedCall(expr, name)) return undefined;
    if (name === 'make_interval') return this.#makeInterval(expr, scope);
    const definition = functionByName(name);
    const castType = castFunctions.get(name);
    if (definition === undefined && castType === undefined && !specialForms.has(name)) {
      const hint =
        insteadOfMethods.get(name) ?? didYouMean(name, [...callableNames(), ...specialForms, ...timeWindows]);
      return this.#analysis.problem(expr.name, `there is no function ${expr.name.text}`, hint);
    }
    if (name === 'struct') return this.#struct(expr, scope);
    if (name === 'decode' && expr.args.length > 2) {
      const args = this.#all(expr.args, scope);
      return args.includes(undefined) ? undefined : decodeForm(args as [Expr, ...Expr[]], expr, this);
    }
    const args = this.#arguments(expr, definition, scope);
    if (args === undefined) return undefined;
    if (castType !== undefined && definition === undefined) {
      const [input] = args;
      if (input === undefined || args.length !== 1)
        return this.#analysis.problem(expr, `${name} takes 1 argument, not ${args.length}`);
      return this.#cast(input, castType, 'ansi', expr);
    }
    return specialForms.has(name)
      ? specialForm(name, args, expr, this, this.#analysis)
      : this.apply(name, args, expr, expr.args);
  }

  /** make_interval where it is no sum with a time. */
  #makeInterval(call: CallNode, scope: Scope): Expr | undefined {
    const interval = unmixedInterval(call);
    if (interval !== undefined) return this.expr(interval, scope);
    return this.#analysis.problem(
      call,
      mixedInterval(call) === undefined
        ? `make_interval takes 1 to 7 arguments, not ${call.args.length}`
        : 'make_interval of months and days together stands behind + or - of a time: an interval is of months, or of days and time',
      'write ts + make_interval(years, months, weeks, days, hours, minutes, seconds)',
    );
  }

  /** The call with the columns that stars among its arguments stand for. */
  #withoutStars(call: CallNode, scope: Scope): CallNode | undefined {
    if (!call.args.some(({ kind }) => kind === 'star')) return call;
    const args: SqlExpr[] = [];
    for (const arg of call.args) {
      const columns = arg.kind === 'star' ? this.#starNames(arg, scope) : [arg];
      if (columns === undefined) return undefined;
      args.push(...columns);
    }
    return { ...call, args };
  }

  #starNames(star: Extract<SqlExpr, { kind: 'star' }>, scope: Scope): SqlExpr[] | undefined {
    const { offset, length } = star;
    const nameOf = (...texts: readonly string[]): SqlExpr => ({
      kind: 'name',
      parts: texts.map((text) => ({ text, offset, length })),
      offset,
      length,
    });
    const shown = scope.columns.filter(({ hidden }) => !hidden);
    const [first] = star.qualifier;
    const of =
      first === undefined
        ? shown
        : star.qualifier.length > 1
          ? []
          : shown.filter((column) => column.qualifier?.toLowerCase() === first.text.toLowerCase());
    if (first === undefined || of.length > 0)
      return of.map(({ qualifier, name }) => (qualifier === null ? nameOf(name) : nameOf(qualifier, name)));
    const struct = this.expr({ kind: 'name', parts: star.qualifier, offset, length }, scope);
    if (struct === undefined) return undefined;
    if (struct.type.kind !== 'struct')
      return this.#analysis.problem(
        star,
        `only a source or a STRUCT has columns to list, not ${formatType(struct.type)}`,
      );
    return struct.type.fields.map((field) => nameOf(...star.qualifier.map(({ text }) => text), field.name));
  }

  /** Calls that are no functions of one row's values, where nothing gives them a meaning. */
  #refusedCall(expr: CallNode, name: string): boolean {
    const refuse = (message: string, hint?: string): boolean => {
      this.#analysis.problem(expr, message, hint);
      return true;
    };
    if (expr.over !== null || rankFunctions.has(name))
      return refuse(
        `the window function ${name} stands only in a select list`,
        'compute it in a sub-query in FROM, and use its column outside',
      );
    if (timeWindows.has(name))
      return refuse(
        `${name}() stands only in a select list or in GROUP BY`,
        'compute it in a sub-query in FROM, and use its column outside',
      );
    if (isAggregateName(name))
      return refuse(
        `the aggregate function ${name} stands only in a select list, in HAVING or in ORDER BY`,
        'filter groups with HAVING',
      );
    if (expr.filter !== null) return refuse(`FILTER belongs to an aggregate function, and ${name} is none`);
    if (expr.distinct) return refuse(`DISTINCT belongs to an aggregate function, and ${name} is none`);
    if (generators.has(name)) return refuse(`${name} stands only by itself in the select list or in LATERAL VIEW`);
    return false;
  }

  /** Arguments in order; lambdas are looked at when the types of the others are known. */
  #arguments(expr: CallNode, definition: FunctionDef | undefined, scope: Scope): readonly Expr[] | undefined {
    const args = expr.args.map((arg) => (arg.kind === 'lambda' ? undefined : this.expr(arg, scope)));
    if (expr.args.some((arg, index) => arg.kind !== 'lambda' && args[index] === undefined)) return undefined;
    for (const [index, arg] of expr.args.entries()) {
      if (arg.kind !== 'lambda') continue;
      const inputs = definition?.lambdaParams?.(index, args);
      if (inputs === undefined) return this.#analysis.problem(arg, `${expr.name.text} takes no lambda here`);
      if (arg.params.length > inputs.length)
        return this.#analysis.problem(
          arg,
          `${expr.name.text} calls this lambda with ${inputs.length} values, not ${arg.params.length}`,
        );
      const params = arg.params.map((param, place): LambdaParam => {
        const { type, nullable } = inputs[place] ?? { type: { kind: 'null' }, nullable: true };
        return { id: this.#analysis.nextVariable(), name: param.text, type, nullable };
      });
      const lambdas = new Map(scope.lambdas);
      for (const param of params) lambdas.set(param.name.toLowerCase(), param);
      const body = this.expr(arg.body, { ...scope, lambdas });
      if (body === undefined) return undefined;
      args[index] = { kind: 'lambda', type: body.type, nullable: body.nullable, params, body };
    }
    // What is no lambda where one belongs gives its value whatever the lambda would be called with.
    for (const [index, arg] of args.entries()) {
      if (arg === undefined || arg.kind === 'lambda' || definition?.lambdaParams?.(index, args) === undefined) continue;
      args[index] = { kind: 'lambda', type: arg.type, nullable: arg.nullable, params: [], body: arg };
    }
    return args as Expr[];
  }

  #struct(expr: CallNode, scope: Scope): Expr | undefined {
    const args: Expr[] = [];
    for (const [index, arg] of expr.args.entries()) {
      const aliased = arg.kind === 'call' && arg.name.text === '$alias' ? arg : null;
      const value = aliased?.args[0] ?? arg;
      const typed = this.expr(value, scope);
      if (typed === undefined) return undefined;
      const alias = aliased === null ? null : arg.kind === 'call' ? arg.args[1] : null;
      const given = alias?.kind === 'literal' && alias.literal.kind === 'string' ? alias.literal.value : null;
      const own = value.kind === 'name' || value.kind === 'field' ? this.nameOf(value) : `col${index + 1}`;
      args.push(stringLiteral(given ?? own), typed);
    }
    return this.apply('named_struct', args, expr, []);
  }

  /** A call of the function table over typed arguments; `places` are where the arguments stand. */
  apply(name: string, args: readonly Expr[], span: Span, places: readonly Span[]): Expr | undefined {
    const definition = functionByName(name);
    if (definition === undefined) return this.#analysis.problem(span, `there is no function ${name}`);
    const typing = definition.type(args, { nextSite: () => this.#analysis.nextSite() });
    if (isComplaint(typing)) {
      const place = typing.arg === undefined ? span : (places[typing.arg] ?? span);
      const isOperator = !/^[a-z_][a-z0-9_]*$/.test(name) || definition.group === 'operator';
      return this.#analysis.problem(
        place,
        isOperator ? `${name.toUpperCase()}: ${typing.complaint}` : `${name} ${typing.complaint}`,
        definition.instead === undefined ? `usage: ${definition.usage}` : `instead: ${definition.instead}`,
      );
    }
    if (!definition.deterministic) this.#analysis.deterministic = false;
    return { kind: 'call', name: definition.name, type: typing.type, nullable: typing.nullable, args: typing.args };
  }

  /** window_time(window): the last moment of the window. */
  #windowTime(call: CallNode, scope: Scope): Expr | undefined {
    const [arg] = call.args;
    if (arg === undefined || call.args.length !== 1)
      return this.#analysis.problem(call, `window_time takes 1 argument, not ${call.args.length}`);
    const window = this.expr(arg, scope);
    return window && this.windowTime(window, arg);
  }

  /** The last moment of a window; `span` is where the window stands. */
  windowTime(window: Expr, span: Span): Expr | undefined {
    const end = endOfWindow(window);
    if (end === undefined)
      return this.#analysis.problem(
        span,
        `window_time takes the column of a window, not ${formatType(window.type)}`,
        'window(time, size) makes one',
      );
    const moment: Expr = {
      kind: 'literal',
      type: { kind: 'interval', unit: 'microseconds' },
      nullable: false,
      value: 1,
    };
    return this.apply('-', [end, moment], span, []);
  }
}

/** The end of a window's struct; undefined for what is no window. */
export function endOfWindow(window: Expr): Expr | undefined {
  if (window.type.kind !== 'struct') return undefined;
  const [start, end] = window.type.fields;
  if (window.type.fields.length !== 2 || start?.type.kind !== 'timestamp' || end?.type.kind !== 'timestamp')
    return undefined;
  return start.name.toLowerCase() === 'start' && end.name.toLowerCase() === 'end' ? fieldOf(window, 1) : undefined;
}

function sameName({ name }: ProjectedColumn, { text }: Identifier): boolean {
  return name.toLowerCase() === text.toLowerCase();
}

/** Functions of the DataFrame API that SQL has no need of. */
const insteadOfMethods = new Map([
  ['col', 'SQL names the column alone'],
  ['column', 'SQL names the column alone'],
  ['lit', 'SQL writes the value alone'],
  ['when', 'write CASE WHEN condition THEN value ELSE other END'],
  ['expr', 'the whole query is SQL: write the expression alone'],
  ['isin', 'write value IN (a, b)'],
  ['udf', 'functions of SQL and lambdas do it, or keyedState of a job in TypeScript'],
]);

/** The type with NULLs allowed within: what of an array or struct cannot be converted is NULL there. */
function withNullableParts(type: DataType): DataType {
  switch (type.kind) {
    case 'array':
      return { ...type, element: withNullableParts(type.element), containsNull: true };
    case 'map':
      return { ...type, value: withNullableParts(type.value), valueContainsNull: true };
    case 'struct':
      return {
        ...type,
        fields: type.fields.map((field) => ({ ...field, type: withNullableParts(field.type), nullable: true })),
      };
    default:
      return type;
  }
}

function ambiguityHint(found: readonly ScopeColumn[]): string {
  const candidates = found.map(({ qualifier, name }) => (qualifier === null ? name : `${qualifier}.${name}`));
  return new Set(candidates).size === candidates.length
    ? `write the table or alias in front of it: ${candidates.join(' or ')}`
    : 'give the columns different names where they come from';
}
