import { inputsOf } from '../sql/analyze/tree.ts';
import type { EpochStage, MapStage, OutputMode, StatePlan, StaticTable, WatermarkPlan } from './epoch-plan.ts';
import type { Rows, StageInput } from './flows.ts';
import type { LogicalKind, LogicalPlan, OperatorId } from './logical-plan.ts';
import type { PlannedLookup } from './lookup-plan.ts';
import type { InputColumn } from './stage-plan.ts';

/** A node of the query of one kind. */
export type NodeOf<K extends LogicalKind> = Extract<LogicalPlan, { readonly kind: K }>;

/** The stages of a query, sources first, and what they need of the job. */
export interface PlannedStages {
  readonly stages: readonly EpochStage[];
  readonly watermarks: readonly WatermarkPlan[];
  /** An operator forgets state when the watermark passes. */
  readonly evicts: boolean;
  /** Static tables that are read, each once. */
  readonly tables: readonly string[];
  /** What queries make of them, each behind those that it reads. */
  readonly queries: readonly StaticTable[];
}

/** What the stages of a query need besides its tree. */
export interface StageContext {
  readonly outputMode: OutputMode;
  readonly timeZone: string;
  /** All columns of a source, in the order of its node's output. */
  readonly columnsOf: (source: string) => readonly InputColumn[];
  /** The scan of a source without its columns. */
  readonly scanOf: (source: string) => Omit<MapStage['scan'], 'columns'>;
  /** Tables that are looked up; absent = none. */
  readonly lookups?: ReadonlyMap<string, PlannedLookup>;
  /** The rows of a query over static tables are all there: every group is final. */
  readonly whole?: true;
  /** Says what cannot be run: message and, where there is one, what to write instead. */
  readonly refuse: (node: LogicalPlan, message: string, hint?: string) => void;
}

/** The stages of a query on their way: what the planners of its nodes need of each other. */
export interface StageDraft {
  readonly context: StageContext;
  readonly watermarks: WatermarkPlan[];
  readonly tables: Set<string>;
  /** The rows that queries over static tables make, by their names; those that others read come first. */
  readonly queries: Map<string, StaticTable>;
  /** An operator forgets state when the watermark passes. */
  evicts: boolean;
  /** The rows of a node; only the columns `needed` of its output are sure to be there. */
  rows(node: LogicalPlan, needed: ReadonlySet<number>, mode: OutputMode): Rows;
  /** The stages of a query of its own. */
  apart(root: LogicalPlan, context: StageContext): PlannedStages;
  /** Opens the stage of a stateful node. Its inputs are sent to it before. */
  state(operatorId: OperatorId, state: StatePlan, output: Omit<Rows, 'flows'>, inputs: readonly StageInput[]): Rows;
}

/** The sources below a node, each once. */
export function sourcesOf(node: LogicalPlan): string[] {
  const below = inputsOf(node).flatMap(sourcesOf);
  return [...new Set(node.kind === 'source' ? [node.source] : below)];
}
