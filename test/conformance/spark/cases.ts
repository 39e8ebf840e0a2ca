/** The format of conformance cases: facts on Structured Streaming's semantics, as input rows and what must come out. */
export type CaseExpr = string;

export type CaseQuery =
  | { readonly op?: undefined; readonly source: string }
  | { readonly op?: undefined; readonly table: string }
  | { readonly op: 'project'; readonly input: CaseQuery; readonly columns: readonly (readonly [string, CaseExpr])[] }
  | { readonly op: 'filter'; readonly input: CaseQuery; readonly condition: CaseExpr }
  | { readonly op: 'watermark'; readonly input: CaseQuery; readonly column: string; readonly delayMs: number }
  | {
      readonly op: 'assignWindow';
      readonly input: CaseQuery;
      readonly on: CaseExpr;
      readonly sizeMs: number;
      readonly slideMs?: number;
      readonly startMs?: number;
      readonly as: string;
    }
  | {
      readonly op: 'aggregate';
      readonly input: CaseQuery;
      readonly keys: readonly CaseExpr[];
      readonly window?: CaseWindow;
      readonly aggregates: readonly CaseAggregate[];
    }
  | {
      readonly op: 'dedup';
      readonly input: CaseQuery;
      readonly columns: readonly string[] | null;
      readonly withinWatermark: boolean;
    }
  | {
      readonly op: 'join';
      readonly type: string;
      readonly left: CaseQuery;
      readonly right: CaseQuery;
      readonly on: CaseExpr;
      readonly select?: readonly (readonly [string, CaseExpr])[];
    }
  | { readonly op: 'union'; readonly inputs: readonly CaseQuery[] }
  | { readonly op: 'limit'; readonly input: CaseQuery; readonly n: number }
  | {
      readonly op: 'sort';
      readonly input: CaseQuery;
      readonly by: string | readonly string[];
      readonly descending?: boolean;
    };

export interface CaseWindow {
  readonly kind: 'tumbling' | 'sliding' | 'session';
  readonly on: CaseExpr;
  readonly sizeMs?: number;
  readonly slideMs?: number;
  readonly startMs?: number;
  readonly gapMs?: number;
  readonly gapExpr?: CaseExpr;
}

export interface CaseAggregate {
  readonly as: string;
  readonly fn: string;
  readonly arg?: CaseExpr;
  readonly filter?: CaseExpr;
}

export type CaseColumn = readonly [name: string, type: string];

export interface CaseStep {
  readonly input?: Readonly<Record<string, readonly (readonly unknown[])[]>>;
  readonly restart?:
    | true
    | {
        readonly forgetLastCommit?: boolean;
        readonly inputWhileDown?: Readonly<Record<string, readonly (readonly unknown[])[]>>;
      };
  readonly expectedOutput?: readonly (readonly unknown[])[];
  readonly watermarkAfterMs?: number;
}

export interface StreamCase {
  readonly name: string;
  readonly kind: 'micro-batch';
  readonly streams: Readonly<Record<string, readonly CaseColumn[]>>;
  readonly staticTables?: Readonly<
    Record<string, { readonly columns: readonly CaseColumn[]; readonly rows: readonly (readonly unknown[])[] }>
  >;
  readonly query: CaseQuery;
  readonly outputMode: 'append' | 'update' | 'complete';
  readonly output?: readonly (readonly [string, CaseExpr])[];
  readonly conf?: {
    readonly noDataBatches?: boolean;
    readonly watermarkPolicy?: 'min' | 'max';
    readonly partitions?: number;
  };
  readonly steps: readonly CaseStep[];
  readonly ordered?: boolean;
  readonly anyOf?: unknown;
  readonly expectedRefusal?: string;
  readonly sparkLimit?: boolean;
  readonly sparkQuirk?: boolean;
}

/** Judged on the planner of offset ranges alone. */
export interface KafkaPlanCase {
  readonly name: string;
  readonly kind: 'kafkaPlan';
  readonly options: Readonly<Record<string, string | number>>;
  readonly [facts: string]: unknown;
}

export type ConformanceCase = StreamCase | KafkaPlanCase;

/** A number of more digits than JavaScript's hold, as it was written; JSON.stringify writes it so again. */
export interface LongNumber {
  readonly rawJSON: string;
}

export function isLongNumber(value: unknown): value is LongNumber {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'rawJSON');
}

/** The cases of a file's text, whole numbers of all lengths as they are written. */
export function parseCases(text: string): readonly ConformanceCase[] {
  const raw = (JSON as unknown as { rawJSON: (text: string) => LongNumber }).rawJSON;
  const kept = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && context?.source !== undefined
      ? raw(context.source)
      : value;
  return (JSON.parse(text, kept) as { readonly cases: readonly ConformanceCase[] }).cases;
}
