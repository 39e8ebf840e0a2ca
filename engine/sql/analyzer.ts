/**
 * Names to columns, types to every node, conversions made explicit. Collects all mistakes it can find; a query with any
 * mistake gives no result.
 */
import type {
  BinaryOp,
  Expr,
  Identifier,
  LambdaParam,
  Query,
  QueryBody,
  Relation,
  Select,
  SelectItem,
  Span,
  SqlExpr,
  SqlLiteral,
} from '../../core/ast.ts';
import { collectColumns } from '../../core/ast.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { DataType, Field, Schema } from '../../core/types.ts';
import { formatType } from '../../core/types.ts';
import { generatedColumns } from '../operators/generate.ts';
import type { ProjectedColumn, StageOperator } from '../plan/stage-plan.ts';
import { BOOLEAN, canCast, castTo, INT, isIntegral, STRING, TIMESTAMP } from './coercion.ts';
import { joinConjuncts, splitConjuncts } from './conjuncts.ts';
import { callableNames, functionByName } from './functions.ts';
import { type FunctionDef, isComplaint, unify } from './function-table.ts';
import { booleanLiteral, nullLiteral, stringLiteral } from './literal.ts';
import { didYouMean, problemAt } from './problems.ts';
import { parseDate, parseTimestamp } from './runtime/time.ts';
import type { TimeZone } from '../scan/time-zone.ts';

/** A column that a source offers; hidden ones are not part of `*`. */
export interface SourceColumn extends Field {
  readonly hidden: boolean;
}

export interface AnalyzerInput {
  /** The query's text, for names of columns that have none. */
  readonly text: string;
  /** Path of the query in the document. */
  readonly path: string;
  readonly sources: ReadonlyMap<string, readonly SourceColumn[]>;
  readonly zone: TimeZone;
  /** Mistakes are appended here. */
  readonly problems: JobProblem[];
}

export interface AnalyzedQuery {
  /** The one source that the query reads. */
  readonly source: string;
  /** Over all columns of the source, in its order; ends with a projection. */
  readonly operators: readonly StageOperator[];
  readonly output: Schema;
  readonly deterministic: boolean;
}

/** The operators of a query over one source, or undefined when there are mistakes. */
export function analyzeQuery(query: Query, input: AnalyzerInput): AnalyzedQuery | undefined {
  return new Analyzer(input).analyze(query);
}

interface ScopeColumn extends Field {
  readonly qualifier: string | null;
  readonly hidden: boolean;
  readonly index: number;
}

/** A chain of operators over a source, and the columns it ends with. */
interface Pipeline {
  readonly source: string;
  readonly operators: readonly StageOperator[];
  readonly columns: readonly ScopeColumn[];
}

type Ctes = ReadonlyMap<string, { readonly query: Query; readonly outer: Ctes }>;

/** What names mean while one expression is looked at. */
interface Scope {
  readonly columns: readonly ScopeColumn[];
  /** Columns of the same select list that stand further left; only names that are no column look here. */
  readonly aliases: ReadonlyMap<string, Expr>;
  readonly lambdas: ReadonlyMap<string, LambdaParam>;
}

const NO_ALIASES: ReadonlyMap<string, Expr> = new Map();
const NO_LAMBDAS: ReadonlyMap<string, LambdaParam> = new Map();

type GeneratorName = 'explode' | 'posexplode' | 'inline';
const generators = new Map<string, { readonly generator: GeneratorName; readonly outer: boolean }>([
  ['explode', { generator: 'explode', outer: false }],
  ['explode_outer', { generator: 'explode', outer: true }],
  ['posexplode', { generator: 'posexplode', outer: false }],
  ['posexplode_outer', { generator: 'posexplode', outer: true }],
  ['inline', { generator: 'inline', outer: false }],
  ['inline_outer', { generator: 'inline', outer: true }],
]);

const aggregates = new Set(
  'count sum avg mean min max first first_value last last_value collect_list collect_set min_by max_by any_value count_if bool_and bool_or every some any stddev stddev_samp stddev_pop variance var_samp var_pop percentile percentile_approx approx_percentile approx_count_distinct median mode corr covar_pop covar_samp sum_distinct array_agg kurtosis skewness listagg string_agg'.split(
    ' ',
  ),
);
const windowFunctions = new Set(
  'row_number rank dense_rank percent_rank ntile lag lead cume_dist nth_value'.split(' '),
);
const timeWindows = new Set(['window', 'session_window', 'window_time']);

const castFunctions = new Map<string, DataType>([
  ['boolean', BOOLEAN],
  ['tinyint', { kind: 'tinyint' }],
  ['smallint', { kind: 'smallint' }],
  ['int', INT],
  ['bigint', { kind: 'bigint' }],
  ['float', { kind: 'float' }],
  ['double', { kind: 'double' }],
  ['decimal', { kind: 'decimal', precision: 10, scale: 0 }],
  ['string', STRING],
  ['binary', { kind: 'binary' }],
  ['date', { kind: 'date' }],
  ['timestamp', TIMESTAMP],
]);

class Analyzer {
  readonly #input: AnalyzerInput;
  readonly #before: number;
  #sites = 0;
  #variables = 0;
  #deterministic = true;

  constructor(input: AnalyzerInput) {
    this.#input = input;
    this.#before = input.problems.length;
  }

  analyze(query: Query): AnalyzedQuery | undefined {
    const pipeline = this.#query(query, new Map());
    if (pipeline === undefined || this.#input.problems.length > this.#before) return undefined;
    const output = pipeline.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
    return { source: pipeline.source, operators: pipeline.operators, output, deterministic: this.#deterministic };
  }

  #problem(span: Span, message: string, hint?: string): undefined {
    this.#input.problems.push(problemAt(this.#input.path, span, message, hint));
    return undefined;
  }

  #unsupported(span: Span, what: string, hint?: string): undefined {
    return this.#problem(span, `${what} is not supported yet`, hint);
  }

  // ---- queries --------------------------------------------------------------------------------------------------

  #query(query: Query, outer: Ctes): Pipeline | undefined {
    let ctes = outer;
    for (const { name, query: inner } of query.ctes)
      ctes = new Map(ctes).set(name.text.toLowerCase(), { query: inner, outer: ctes });
    if (query.orderBySpan !== null)
      this.#unsupported(
        query.orderBySpan,
        'ORDER BY',
        'rows of a stream have no end to sort towards; the table orders them by its clustering key',
      );
    if (query.limit !== null) this.#unsupported(query.limit, 'LIMIT');
    return this.#body(query.body, ctes);
  }

  #body(body: QueryBody, ctes: Ctes): Pipeline | undefined {
    switch (body.kind) {
      case 'select':
        return this.#select(body, ctes);
      case 'nested':
        return this.#query(body.query, ctes);
      case 'set':
        this.#body(body.left, ctes);
        this.#body(body.right, ctes);
        return this.#unsupported(
          body,
          body.op === 'unionAll' ? 'UNION ALL' : body.op.toUpperCase(),
          'submit one job for each of the queries: they may write the same table',
        );
    }
  }

  #select(select: Select, ctes: Ctes): Pipeline | undefined {
    if (select.distinct)
      this.#unsupported(
        { offset: select.offset, length: 6 },
        'SELECT DISTINCT',
        'a table keeps one row per primary key',
      );
    if (select.groupBySpan !== null) this.#unsupported(select.groupBySpan, 'GROUP BY');
    if (select.having !== null) this.#unsupported(select.having, 'HAVING');
    if (select.from === null)
      return this.#problem(
        select,
        'this SELECT reads nothing',
        `add FROM and the name of a source: ${this.#sourceNames()}`,
      );
    const from = this.#relation(select.from, ctes);
    if (from === undefined) return undefined;
    return this.#project(select, this.#where(select, this.#lateralViews(select, from), from));
  }

  #sourceNames(): string {
    return [...this.#input.sources.keys()].join(', ');
  }

  #relation(relation: Relation, ctes: Ctes): Pipeline | undefined {
    switch (relation.kind) {
      case 'join':
        this.#relation(relation.left, ctes);
        this.#relation(relation.right, ctes);
        return this.#unsupported(relation, 'JOIN');
      case 'subquery': {
        const inner = this.#query(relation.query, ctes);
        return inner && requalified(inner, relation.alias?.text ?? null);
      }
      case 'table':
        return this.#table(relation, ctes);
    }
  }

  #table(relation: Extract<Relation, { kind: 'table' }>, ctes: Ctes): Pipeline | undefined {
    const name = relation.name.map(({ text }) => text).join('.');
    const alias = relation.alias?.text ?? relation.name.at(-1)?.text ?? name;
    const cte = ctes.get(name.toLowerCase());
    if (cte !== undefined) {
      const inner = this.#query(cte.query, cte.outer);
      return inner && requalified(inner, alias);
    }
    for (const [source, columns] of this.#input.sources) {
      if (source.toLowerCase() !== name.toLowerCase()) continue;
      return {
        source,
        operators: [],
        columns: columns.map((column, index) => ({ ...column, qualifier: alias, index })),
      };
    }
    const candidates = [...this.#input.sources.keys(), ...ctes.keys()];
    return this.#problem(
      relation,
      `there is no source ${name}`,
      didYouMean(name, candidates) ?? `the job's sources are: ${this.#sourceNames()}`,
    );
  }

  #lateralViews(select: Select, from: Pipeline): Pipeline {
    let pipeline = from;
    for (const view of select.lateralViews) {
      const { call } = view;
      const known = call.kind === 'call' ? generators.get(call.name.text.toLowerCase()) : undefined;
      if (call.kind !== 'call' || known === undefined) {
        this.#problem(
          call,
          'LATERAL VIEW takes explode, posexplode or inline',
          call.kind === 'call' ? didYouMean(call.name.text, generators.keys()) : undefined,
        );
        continue;
      }
      const qualifier = view.tableAlias?.text ?? null;
      pipeline =
        this.#generate(pipeline, call, known.generator, known.outer || view.outer, view.columnAliases, qualifier) ??
        pipeline;
    }
    return pipeline;
  }

  /** The pipeline with a generator behind it: the new columns come last. */
  #generate(
    pipeline: Pipeline,
    call: Extract<SqlExpr, { kind: 'call' }>,
    generator: GeneratorName,
    outer: boolean,
    aliases: readonly Identifier[],
    qualifier: string | null,
  ): Pipeline | undefined {
    const [argument] = call.args;
    if (argument === undefined || call.args.length !== 1)
      return this.#problem(call, `${call.name.text} takes 1 argument, not ${call.args.length}`);
    const input = this.#expr(argument, { columns: pipeline.columns, aliases: NO_ALIASES, lambdas: NO_LAMBDAS });
    if (input === undefined) return undefined;
    const generated = generatedColumns(generator, input.type, outer);
    if (generated === undefined) {
      const wanted = generator === 'inline' ? 'an ARRAY of STRUCTs' : 'an ARRAY or a MAP';
      return this.#problem(argument, `${call.name.text} takes ${wanted}, not ${formatType(input.type)}`);
    }
    if (aliases.length > 0 && aliases.length !== generated.length) {
      return this.#problem(
        call,
        `${call.name.text} gives ${generated.length} columns here, but ${aliases.length} names are given`,
      );
    }
    const output = generated.map((field, index) => ({ ...field, name: aliases[index]?.text ?? field.name }));
    const first = pipeline.columns.reduce((most, { index }) => Math.max(most, index + 1), 0);
    return {
      source: pipeline.source,
      operators: [...pipeline.operators, { kind: 'generate', generator, outer, input, output }],
      columns: [
        ...pipeline.columns,
        ...output.map((field, index) => ({ ...field, qualifier, hidden: false, index: first + index })),
      ],
    };
  }

  /**
   * WHERE behind the lateral views; conditions that only look at columns from before go in front of them, where they
   * spare the work.
   */
  #where(select: Select, pipeline: Pipeline, before: Pipeline): Pipeline {
    if (select.where === null) return pipeline;
    const predicate = this.#boolean(
      select.where,
      { columns: pipeline.columns, aliases: NO_ALIASES, lambdas: NO_LAMBDAS },
      'WHERE',
    );
    if (predicate === undefined) return pipeline;
    const width = before.columns.length;
    const early: Expr[] = [];
    const late: Expr[] = [];
    for (const condition of splitConjuncts(predicate))
      (late.length === 0 && readsOnlyBelow(condition, width) ? early : late).push(condition);
    const added = pipeline.operators.slice(before.operators.length);
    const operators = [...before.operators];
    if (early.length > 0) operators.push({ kind: 'filter', predicate: joinConjuncts(early) });
    operators.push(...added);
    if (late.length > 0) operators.push({ kind: 'filter', predicate: joinConjuncts(late) });
    const present = new Set(splitConjuncts(predicate).map(columnKnownPresent));
    const columns = pipeline.columns.map((column) =>
      present.has(column.index) ? { ...column, nullable: false } : column,
    );
    return { ...pipeline, operators, columns };
  }

  #boolean(expr: SqlExpr, scope: Scope, where: string): Expr | undefined {
    const condition = this.#expr(expr, scope);
    if (condition === undefined) return undefined;
    if (condition.type.kind === 'null') return castTo(condition, BOOLEAN);
    if (condition.type.kind === 'boolean') return condition;
    return this.#problem(
      expr,
      `${where} takes a BOOLEAN, not ${formatType(condition.type)}`,
      'compare the value with something',
    );
  }

  #project(select: Select, input: Pipeline): Pipeline {
    let pipeline = input;
    let generatorItem: SelectItem | undefined;
    let generatedFrom = 0;
    for (const item of select.items) {
      const known = item.expr.kind === 'call' ? generators.get(item.expr.name.text.toLowerCase()) : undefined;
      if (item.expr.kind !== 'call' || known === undefined) continue;
      if (generatorItem !== undefined) {
        this.#problem(item.expr, 'a select list takes one generator', 'use LATERAL VIEW for the others');
        continue;
      }
      generatorItem = item;
      generatedFrom = pipeline.columns.length;
      const aliases = item.alias === null ? item.aliases : [item.alias];
      pipeline = this.#generate(pipeline, item.expr, known.generator, known.outer, aliases, null) ?? pipeline;
    }
    const columns: ProjectedColumn[] = [];
    const aliases = new Map<string, Expr>();
    // Names in the list mean what they mean without the generator; it adds none.
    const visible = generatorItem === undefined ? pipeline.columns : input.columns;
    for (const item of select.items) {
      if (item === generatorItem) {
        columns.push(...pipeline.columns.slice(generatedFrom).map(columnOf));
      } else if (item.expr.kind === 'star') {
        columns.push(...this.#star(item.expr, visible));
      } else {
        const expr = this.#expr(item.expr, { columns: visible, aliases, lambdas: NO_LAMBDAS });
        if (expr === undefined) continue;
        if (expr.kind === 'lambda') {
          this.#problem(item.expr, 'a lambda stands only as an argument of a function like transform');
          continue;
        }
        const name = item.alias?.text ?? this.#nameOf(item.expr);
        columns.push({ name, type: expr.type, nullable: expr.nullable, expr });
        if (item.alias !== null) aliases.set(name.toLowerCase(), expr);
      }
    }
    return {
      source: pipeline.source,
      operators: [...pipeline.operators, { kind: 'project', columns }],
      columns: columns.map(({ name, type, nullable }, index) => ({
        name,
        type,
        nullable,
        qualifier: null,
        hidden: false,
        index,
      })),
    };
  }

  #star(star: Extract<SqlExpr, { kind: 'star' }>, columns: readonly ScopeColumn[]): ProjectedColumn[] {
    const shown = columns.filter(({ hidden }) => !hidden);
    const [qualifier] = star.qualifier;
    if (qualifier === undefined) return shown.map(columnOf);
    const of = shown.filter((column) => column.qualifier?.toLowerCase() === qualifier.text.toLowerCase());
    if (of.length > 0) return of.map(columnOf);
    const struct = this.#expr(
      { kind: 'name', parts: star.qualifier, offset: star.offset, length: star.length },
      { columns, aliases: NO_ALIASES, lambdas: NO_LAMBDAS },
    );
    if (struct === undefined) return [];
    if (struct.type.kind !== 'struct') {
      this.#problem(star, `only a source or a STRUCT has columns to list, not ${formatType(struct.type)}`);
      return [];
    }
    return struct.type.fields.map((field, index) => {
      const expr = fieldOf(struct, index);
      return { name: field.name, type: field.type, nullable: expr.nullable, expr };
    });
  }

  /** The name of a column without an alias: its own, or the text it was written as. */
  #nameOf(expr: SqlExpr): string {
    if (expr.kind === 'name') return expr.parts.at(-1)?.text ?? '';
    if (expr.kind === 'field') return expr.field.text;
    return this.#input.text.slice(expr.offset, expr.offset + expr.length).replace(/\s+/g, ' ');
  }

  // ---- expressions ----------------------------------------------------------------------------------------------

  #expr(expr: SqlExpr, scope: Scope): Expr | undefined {
    switch (expr.kind) {
      case 'literal':
        return this.#literal(expr, expr.literal);
      case 'name':
        return this.#name(expr, scope);
      case 'star':
        return this.#problem(expr, '* stands only in a select list');
      case 'field': {
        const input = this.#expr(expr.input, scope);
        return input && this.#field(input, expr.field);
      }
      case 'index':
        return this.#index(expr, scope);
      case 'call':
        return this.#call(expr, scope);
      case 'unary': {
        const input = this.#expr(expr.input, scope);
        return (
          input &&
          this.#apply(
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
        const above = this.#apply('>=', [input, low], expr, [expr.input, expr.low]);
        const below = this.#apply('<=', [input, high], expr, [expr.input, expr.high]);
        return above && below && this.#negatedIf(expr.negated, this.#apply('and', [above, below], expr, []), expr);
      }
      case 'in': {
        const args = this.#all([expr.input, ...expr.list], scope);
        if (args.some((arg) => arg === undefined)) return undefined;
        return this.#negatedIf(expr.negated, this.#apply('in', args as Expr[], expr, [expr.input, ...expr.list]), expr);
      }
      case 'like':
        return this.#like(expr, scope);
      case 'is': {
        const input = this.#expr(expr.input, scope);
        if (input === undefined) return undefined;
        if (expr.what === 'null')
          return this.#apply(expr.negated ? 'isnotnull' : 'isnull', [input], expr, [expr.input]);
        const same = this.#apply('<=>', [input, booleanLiteral(expr.what === 'true')], expr, [expr.input, expr]);
        return this.#negatedIf(expr.negated, same, expr);
      }
      case 'case':
        return this.#case(expr, scope);
      case 'cast': {
        const input = this.#expr(expr.input, scope);
        return input && this.#cast(input, expr.type, expr.mode, expr);
      }
      case 'lambda':
        return this.#problem(expr, 'a lambda stands only as an argument of a function like transform');
      case 'subquery':
      case 'inQuery':
      case 'exists':
        return this.#unsupported(expr, 'a query within an expression');
    }
  }

  /** All of them, so that every mistake is found. */
  #all(exprs: readonly SqlExpr[], scope: Scope): (Expr | undefined)[] {
    return exprs.map((expr) => this.#expr(expr, scope));
  }

  #negatedIf(negated: boolean, expr: Expr | undefined, span: SqlExpr): Expr | undefined {
    return negated && expr !== undefined ? this.#apply('not', [expr], span, [span]) : expr;
  }

  #literal(span: Span, literal: SqlLiteral): Expr | undefined {
    switch (literal.kind) {
      case 'null':
        return nullLiteral({ kind: 'null' });
      case 'boolean':
        return booleanLiteral(literal.value);
      case 'string':
        return stringLiteral(literal.value);
      case 'number':
        return this.#number(span, literal.text, literal.suffix);
      case 'interval':
        return this.#interval(span, literal.months, literal.microseconds);
      case 'typed':
        return this.#typed(span, literal.type, literal.text);
    }
  }

  #interval(span: Span, months: number, microseconds: number): Expr | undefined {
    if (months !== 0 && microseconds !== 0)
      return this.#unsupported(
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

  #number(span: Span, text: string, suffix: string): Expr | undefined {
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
      return this.#problem(span, `${text} is not a ${kind.toUpperCase()}`);
    };
    switch (suffix) {
      case 'Y':
        return range('tinyint', 128);
      case 'S':
        return range('smallint', 32768);
      case 'L': {
        if (whole && BigInt.asIntN(64, BigInt(text)) === BigInt(text))
          return literal({ kind: 'bigint' }, BigInt(text).toString());
        return this.#problem(span, `${text} is not a BIGINT`);
      }
      case 'F':
        return literal({ kind: 'float' }, Math.fround(Number(text)));
      case 'D':
        return literal({ kind: 'double' }, Number(text));
    }
    if (suffix === '' && whole) {
      const value = BigInt(text);
      if (BigInt.asIntN(32, value) === value) return literal(INT, Number(value));
      if (BigInt.asIntN(64, value) === value) return literal({ kind: 'bigint' }, value.toString());
    }
    if (suffix === '' && /e/i.test(text)) return literal({ kind: 'double' }, Number(text));
    return this.#decimal(span, text);
  }

  #decimal(span: Span, text: string): Expr | undefined {
    const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
    const [wholePart = '', fraction = ''] = mantissa.split('.');
    const scale = fraction.length - Number(exponent);
    const digits = BigInt(`${wholePart}${fraction}`);
    const unscaled = scale < 0 ? digits * 10n ** BigInt(-scale) : digits;
    const length = unscaled.toString().replace('-', '').length;
    const precision = Math.max(length, scale, 1);
    if (precision > 38) return this.#problem(span, `${text} has more than the 38 digits of a DECIMAL`);
    return {
      kind: 'literal',
      type: { kind: 'decimal', precision, scale: Math.max(0, scale) },
      nullable: false,
      value: unscaled.toString(),
    };
  }

  #typed(span: Span, type: 'date' | 'timestamp' | 'binary', text: string): Expr | undefined {
    if (type === 'binary') {
      if (!/^[0-9a-fA-F]*$/.test(text)) return this.#problem(span, 'a binary literal is hexadecimal digits');
      return {
        kind: 'literal',
        type: { kind: 'binary' },
        nullable: false,
        value: text.length % 2 === 0 ? text : `0${text}`,
      };
    }
    const value = type === 'date' ? parseDate(text) : parseTimestamp(text, this.#input.zone);
    if (value === null)
      return this.#problem(
        span,
        `'${text}' is not a ${type.toUpperCase()}`,
        type === 'date' ? "write DATE '2024-01-31'" : "write TIMESTAMP '2024-01-31 10:20:30'",
      );
    return { kind: 'literal', type: { kind: type }, nullable: false, value };
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
    return this.#problem(wrong, `there is no column ${wrong.text}`, hint);
  }

  #columnHint(scope: Scope): string | undefined {
    const names = scope.columns.filter(({ hidden }) => !hidden).map(({ name }) => name);
    return names.length === 0 || names.length > 20 ? undefined : `the columns are: ${names.join(', ')}`;
  }

  #column(found: readonly ScopeColumn[], name: Identifier, fields: readonly Identifier[]): Expr | undefined {
    const [column] = found;
    if (column === undefined || found.length > 1) {
      return this.#problem(
        name,
        `the name ${name.text} stands for ${found.length} columns`,
        'write the table or alias in front of it',
      );
    }
    return this.#fields(columnOf(column).expr, fields);
  }

  #fields(input: Expr, fields: readonly Identifier[]): Expr | undefined {
    let expr: Expr | undefined = input;
    for (const field of fields) expr = expr && this.#field(expr, field);
    return expr;
  }

  #field(input: Expr, name: Identifier): Expr | undefined {
    const { type } = input;
    if (type.kind === 'map')
      return this.#apply('element_at', [input, stringLiteral(name.text)], name, [name, name].map(asSqlName));
    const list = type.kind === 'array' ? type : null;
    const struct = list?.element ?? type;
    if (struct.kind !== 'struct') return this.#problem(name, `${formatType(type)} has no field ${name.text}`);
    const index = struct.fields.findIndex((field) => field.name.toLowerCase() === name.text.toLowerCase());
    if (index < 0) {
      const names = struct.fields.map((field) => field.name);
      return this.#problem(
        name,
        `there is no field ${name.text}`,
        didYouMean(name.text, names) ?? `the fields are: ${names.join(', ')}`,
      );
    }
    if (list === null) return fieldOf(input, index);
    // A field of an array of structs is the array of the fields.
    const param: LambdaParam = { id: this.#variables++, name: 'x', type: struct, nullable: list.containsNull };
    const body = fieldOf({ kind: 'variable', ...param }, index);
    const lambda: Expr = { kind: 'lambda', type: body.type, nullable: body.nullable, params: [param], body };
    return this.#apply('transform', [input, lambda], name, []);
  }

  #index(expr: Extract<SqlExpr, { kind: 'index' }>, scope: Scope): Expr | undefined {
    const [input, index] = this.#all([expr.input, expr.index], scope);
    if (input === undefined || index === undefined) return undefined;
    if (input.type.kind === 'map') return this.#apply('element_at', [input, index], expr, [expr.input, expr.index]);
    if (input.type.kind === 'struct' && index.kind === 'literal' && index.type.kind === 'string') {
      return this.#field(input, { text: String(index.value), offset: expr.index.offset, length: expr.index.length });
    }
    if (input.type.kind !== 'array')
      return this.#problem(expr.input, `only an ARRAY or a MAP has elements, not ${formatType(input.type)}`);
    if (!isIntegral(index.type))
      return this.#problem(expr.index, `the index of an ARRAY is a whole number, not ${formatType(index.type)}`);
    return this.#apply('[]', [input, index], expr, [expr.input, expr.index]);
  }

  #binary(op: BinaryOp, expr: Extract<SqlExpr, { kind: 'binary' }>, scope: Scope): Expr | undefined {
    const [left, right] = this.#all([expr.left, expr.right], scope);
    if (left === undefined || right === undefined) return undefined;
    return this.#apply(op, [left, right], expr, [expr.left, expr.right]);
  }

  #like(expr: Extract<SqlExpr, { kind: 'like' }>, scope: Scope): Expr | undefined {
    const [input, pattern] = this.#all([expr.input, expr.pattern], scope);
    if (input === undefined || pattern === undefined) return undefined;
    const args = expr.escape === null ? [input, pattern] : [input, pattern, stringLiteral(expr.escape)];
    return this.#negatedIf(
      expr.negated,
      this.#apply(expr.op, args, expr, [expr.input, expr.pattern, expr.pattern]),
      expr,
    );
  }

  #case(expr: Extract<SqlExpr, { kind: 'case' }>, scope: Scope): Expr | undefined {
    const operand = expr.operand === null ? null : this.#expr(expr.operand, scope);
    const whens = expr.branches.map(({ when }) => {
      if (expr.operand === null) return this.#boolean(when, scope, 'WHEN');
      const value = this.#expr(when, scope);
      return operand && value && this.#apply('=', [operand, value], when, [expr.operand, when]);
    });
    const thens = expr.branches.map(({ then }) => this.#expr(then, scope));
    const otherwise = expr.otherwise === null ? nullLiteral({ kind: 'null' }) : this.#expr(expr.otherwise, scope);
    if (operand === undefined || otherwise === undefined || [...whens, ...thens].some((part) => part === undefined))
      return undefined;
    return this.#conditional(whens as Expr[], thens as Expr[], otherwise, expr, [
      ...expr.branches.map(({ then }) => then),
      expr.otherwise ?? expr,
    ]);
  }

  #conditional(
    whens: readonly Expr[],
    thens: readonly Expr[],
    otherwise: Expr,
    span: Span,
    places: readonly Span[],
  ): Expr | undefined {
    const unified = unify([...thens, otherwise]);
    if ('complaint' in unified) return this.#problem(places[unified.arg ?? 0] ?? span, `CASE ${unified.complaint}`);
    const results = unified.args;
    return {
      kind: 'case',
      type: unified.type,
      nullable: results.some((result) => result.nullable),
      branches: whens.map((when, index) => ({ when, then: results[index] as Expr })),
      otherwise: results.at(-1) ?? null,
    };
  }

  #cast(input: Expr, type: DataType, mode: 'ansi' | 'try', span: Span): Expr | undefined {
    if (canCast(input.type, type)) return castTo(input, type, mode);
    return this.#problem(span, `${formatType(input.type)} cannot be cast to ${formatType(type)}`);
  }

  #call(expr: Extract<SqlExpr, { kind: 'call' }>, scope: Scope): Expr | undefined {
    const name = expr.name.text.toLowerCase();
    const refused = this.#refusedCall(expr, name);
    if (refused) return undefined;
    const definition = functionByName(name);
    const castType = castFunctions.get(name);
    if (definition === undefined && castType === undefined && !specialForms.has(name)) {
      const hint = didYouMean(name, [...callableNames(), ...specialForms]);
      return this.#problem(expr.name, `there is no function ${expr.name.text}`, hint);
    }
    if (name === 'struct') return this.#struct(expr, scope);
    const args = this.#arguments(expr, definition, scope);
    if (args === undefined) return undefined;
    if (castType !== undefined && definition === undefined) {
      const [input] = args;
      if (input === undefined || args.length !== 1)
        return this.#problem(expr, `${name} takes 1 argument, not ${args.length}`);
      return this.#cast(input, castType, 'ansi', expr);
    }
    return specialForms.has(name) ? this.#specialForm(name, args, expr) : this.#apply(name, args, expr, expr.args);
  }

  #refusedCall(expr: Extract<SqlExpr, { kind: 'call' }>, name: string): boolean {
    const refuse = (what: string, hint?: string): boolean => {
      this.#unsupported(expr, what, hint);
      return true;
    };
    if (expr.over !== null || windowFunctions.has(name)) return refuse(`the window function ${name}`);
    if (timeWindows.has(name)) return refuse(`${name}()`);
    if (aggregates.has(name)) return refuse(`the aggregate function ${name}`);
    if (expr.filter !== null) return refuse('FILTER');
    if (expr.distinct) return refuse('DISTINCT within a function');
    if (generators.has(name)) {
      this.#problem(expr, `${name} stands only by itself in the select list or in LATERAL VIEW`);
      return true;
    }
    return false;
  }

  /** Arguments in order; lambdas are looked at when the types of the others are known. */
  #arguments(
    expr: Extract<SqlExpr, { kind: 'call' }>,
    definition: FunctionDef | undefined,
    scope: Scope,
  ): readonly Expr[] | undefined {
    const args = expr.args.map((arg) => (arg.kind === 'lambda' ? undefined : this.#expr(arg, scope)));
    if (expr.args.some((arg, index) => arg.kind !== 'lambda' && args[index] === undefined)) return undefined;
    for (const [index, arg] of expr.args.entries()) {
      if (arg.kind !== 'lambda') continue;
      const inputs = definition?.lambdaParams?.(index, args);
      if (inputs === undefined) return this.#problem(arg, `${expr.name.text} takes no lambda here`);
      if (arg.params.length > inputs.length)
        return this.#problem(
          arg,
          `${expr.name.text} calls this lambda with ${inputs.length} values, not ${arg.params.length}`,
        );
      const params = arg.params.map((param, place): LambdaParam => {
        const { type, nullable } = inputs[place] ?? { type: { kind: 'null' }, nullable: true };
        return { id: this.#variables++, name: param.text, type, nullable };
      });
      const lambdas = new Map(scope.lambdas);
      for (const param of params) lambdas.set(param.name.toLowerCase(), param);
      const body = this.#expr(arg.body, { ...scope, lambdas });
      if (body === undefined) return undefined;
      args[index] = { kind: 'lambda', type: body.type, nullable: body.nullable, params, body };
    }
    return args as Expr[];
  }

  #specialForm(name: string, args: readonly Expr[], expr: Extract<SqlExpr, { kind: 'call' }>): Expr | undefined {
    const [a, b, c] = args;
    const wrongCount = (takes: string): undefined => this.#problem(expr, `${name} takes ${takes}, not ${args.length}`);
    switch (name) {
      case 'if':
      case 'iff': {
        if (a === undefined || b === undefined || c === undefined || args.length !== 3)
          return wrongCount('3 arguments');
        if (a.type.kind !== 'boolean' && a.type.kind !== 'null')
          return this.#problem(expr.args[0] ?? expr, `${name} takes a BOOLEAN first, not ${formatType(a.type)}`);
        return this.#conditional([castTo(a, BOOLEAN)], [b], c, expr, expr.args.slice(1));
      }
      case 'nullif': {
        if (a === undefined || b === undefined || args.length !== 2) return wrongCount('2 arguments');
        const same = this.#apply('=', [a, b], expr, expr.args);
        return same && this.#conditional([same], [nullLiteral({ kind: 'null' })], a, expr, expr.args);
      }
      case 'nvl2': {
        if (a === undefined || b === undefined || c === undefined || args.length !== 3)
          return wrongCount('3 arguments');
        const there = this.#apply('isnotnull', [a], expr, expr.args);
        return there && this.#conditional([there], [b], c, expr, expr.args.slice(1));
      }
      case 'typeof':
        if (a === undefined || args.length !== 1) return wrongCount('1 argument');
        return stringLiteral(formatType(a.type).toLowerCase());
      case 'current_date':
      case 'curdate': {
        if (args.length !== 0) return wrongCount('no argument');
        const now = this.#apply('current_timestamp', [], expr, []);
        return now && castTo(now, { kind: 'date' });
      }
      default:
        return this.#problem(expr.name, `there is no function ${name}`);
    }
  }

  #struct(expr: Extract<SqlExpr, { kind: 'call' }>, scope: Scope): Expr | undefined {
    const args: Expr[] = [];
    for (const [index, arg] of expr.args.entries()) {
      const aliased = arg.kind === 'call' && arg.name.text === '$alias' ? arg : null;
      const value = aliased?.args[0] ?? arg;
      const typed = this.#expr(value, scope);
      if (typed === undefined) return undefined;
      const alias = aliased === null ? null : arg.kind === 'call' ? arg.args[1] : null;
      const given = alias?.kind === 'literal' && alias.literal.kind === 'string' ? alias.literal.value : null;
      const own = value.kind === 'name' || value.kind === 'field' ? this.#nameOf(value) : `col${index + 1}`;
      args.push(stringLiteral(given ?? own), typed);
    }
    return this.#apply('named_struct', args, expr, []);
  }

  /** A call of the function table over typed arguments; `places` are where the arguments stand. */
  #apply(name: string, args: readonly Expr[], span: Span, places: readonly Span[]): Expr | undefined {
    const definition = functionByName(name);
    if (definition === undefined) return this.#problem(span, `there is no function ${name}`);
    const typing = definition.type(args, { nextSite: () => this.#sites++ });
    if (isComplaint(typing)) {
      const place = typing.arg === undefined ? span : (places[typing.arg] ?? span);
      const isOperator = !/^[a-z_][a-z0-9_]*$/.test(name) || definition.group === 'operator';
      return this.#problem(
        place,
        isOperator ? `${name.toUpperCase()}: ${typing.complaint}` : `${name} ${typing.complaint}`,
        `usage: ${definition.usage}`,
      );
    }
    if (!definition.deterministic) this.#deterministic = false;
    return { kind: 'call', name: definition.name, type: typing.type, nullable: typing.nullable, args: typing.args };
  }
}

const specialForms = new Set(['if', 'iff', 'nullif', 'nvl2', 'typeof', 'current_date', 'curdate', 'struct']);

function asSqlName(name: Identifier): SqlExpr {
  return { kind: 'name', parts: [name], offset: name.offset, length: name.length };
}

function requalified(pipeline: Pipeline, qualifier: string | null): Pipeline {
  return { ...pipeline, columns: pipeline.columns.map((column) => ({ ...column, qualifier })) };
}

function columnOf(column: ScopeColumn): ProjectedColumn {
  const { name, type, nullable, index } = column;
  return { name, type, nullable, expr: { kind: 'column', type, nullable, index, name } };
}

function fieldOf(input: Expr, index: number): Expr {
  const field = input.type.kind === 'struct' ? input.type.fields[index] : undefined;
  if (field === undefined) throw new TypeError(`no field ${index} in ${formatType(input.type)}`);
  return { kind: 'field', type: field.type, nullable: input.nullable || field.nullable, input, index };
}

function findColumns(columns: readonly ScopeColumn[], name: string, qualifier: string | null): readonly ScopeColumn[] {
  const wanted = name.toLowerCase();
  const of = qualifier?.toLowerCase() ?? null;
  const found = columns.filter(
    (column) => column.name.toLowerCase() === wanted && (of === null || column.qualifier?.toLowerCase() === of),
  );
  // A record's own columns step back where the schema has one of that name.
  const shown = found.filter(({ hidden }) => !hidden);
  return shown.length > 0 ? shown : found;
}

/** The column that a condition `x IS NOT NULL` is about. */
function columnKnownPresent(condition: Expr): number | undefined {
  if (condition.kind !== 'call' || condition.name !== 'isnotnull') return undefined;
  const [arg] = condition.args;
  return arg?.kind === 'column' ? arg.index : undefined;
}

function readsOnlyBelow(expr: Expr, width: number): boolean {
  const columns = new Set<number>();
  collectColumns(expr, columns);
  return [...columns].every((index) => index < width);
}
