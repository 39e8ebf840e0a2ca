/** What all parts of one analysis share: where mistakes go, and numbers that are unique within the query. */
import type { Expr, Span } from '../../../core/ast.ts';
import type { JobProblem } from '../../../core/job/problem.ts';
import type { KeyedStateSpec } from '../../../core/job/spec.ts';
import type { Field, Schema } from '../../../core/types.ts';
import type { OutputMode } from '../../plan/epoch-plan.ts';
import type { TimeZone } from '../../scan/time-zone.ts';
import { problemAt } from '../problems.ts';

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

/** A watermark as the job's document declares it, in place of a WATERMARK clause. */
export interface DeclaredWatermark {
  readonly column: string;
  readonly delayUs: number;
}

/** What a query may read and how its result is wanted. */
export interface PlanInput extends AnalyzerInput {
  /** Static tables by name. */
  readonly tables: ReadonlyMap<string, Schema>;
  readonly outputMode: OutputMode;
  /** By source. */
  readonly watermarks: ReadonlyMap<string, DeclaredWatermark>;
  /** Functions of the job that the query's rows go to. */
  readonly keyedState?: KeyedStateSpec;
}

/** Kinds of stateful operators; ids are numbered within each. */
export type OperatorKind = 'aggregate' | 'dedup' | 'join' | 'limit' | 'sort' | 'rank' | 'user';

/** One analysis of one query. */
export class Analysis {
  readonly input: PlanInput;
  readonly warnings: string[] = [];
  /** Sources read, in the order that they are met. */
  readonly sources = new Set<string>();
  deterministic = true;
  readonly #before: number;
  readonly #said = new Set<string>();
  readonly #operators = new Map<OperatorKind, number>();
  readonly #places = new WeakMap<Expr, Span>();
  #sites = 0;
  #tables = 0;
  #variables = 0;

  constructor(input: PlanInput) {
    this.input = input;
    this.#before = input.problems.length;
  }

  get failed(): boolean {
    return this.input.problems.length > this.#before;
  }

  /** Says a mistake, once for each place: a common table expression that is read twice is looked at twice. */
  problem(span: Span, message: string, hint?: string): undefined {
    const key = `${span.offset} ${message}`;
    if (this.#said.has(key)) return undefined;
    this.#said.add(key);
    this.input.problems.push(problemAt(this.input.path, span, message, hint));
    return undefined;
  }

  unsupported(span: Span, what: string, hint?: string): undefined {
    return this.problem(span, `${what} is not supported yet`, hint);
  }

  warn(message: string): void {
    if (!this.warnings.includes(message)) this.warnings.push(message);
  }

  nextSite(): number {
    return this.#sites++;
  }

  /** `(query 1)`: the name of a table that a query makes. */
  nextTable(): string {
    return `(query ${++this.#tables})`;
  }

  nextVariable(): number {
    return this.#variables++;
  }

  /** `aggregate-1`: counted by kind, so that other operators come and go without renaming it. */
  nextOperator(kind: OperatorKind): string {
    const number = (this.#operators.get(kind) ?? 0) + 1;
    this.#operators.set(kind, number);
    return `${kind}-${number}`;
  }

  /** How far operators are counted: for {@link recount}. */
  get counted(): ReadonlyMap<OperatorKind, number> {
    return new Map(this.#operators);
  }

  /** Counts on from there: operators of queries over static tables keep no state, and number apart from those that do. */
  recount(counted: ReadonlyMap<OperatorKind, number>): void {
    this.#operators.clear();
    for (const [kind, count] of counted) this.#operators.set(kind, count);
  }

  /** Remembers where an expression was written. */
  placed<E extends Expr>(expr: E, span: Span): E {
    this.#places.set(expr, span);
    return expr;
  }

  /** Where the expression was written, if it is known. */
  placeOf(expr: Expr): Span | undefined {
    return this.#places.get(expr);
  }

  /** The text at a place, on one line. */
  textOf(span: Span): string {
    return this.input.text.slice(span.offset, span.offset + span.length).replace(/\s+/g, ' ');
  }

  sourceNames(): string {
    return [...this.input.sources.keys()].join(', ');
  }
}
