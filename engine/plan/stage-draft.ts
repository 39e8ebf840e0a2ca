import { inputsOf } from '../sql/analyze/tree.ts';
import type { MapStage, OutputMode, StatePlan, WatermarkPlan } from './epoch-plan.ts';
import type { Rows, StageInput } from './flows.ts';
import type { LogicalKind, LogicalPlan, OperatorId } from './logical-plan.ts';
import type { InputColumn } from './stage-plan.ts';

/** A node of the query of one kind. */
export type NodeOf<K extends LogicalKind> = Extract<LogicalPlan, { readonly kind: K }>;

/** What the stages of a query need besides its tree. */
export interface StageContext {
  readonly outputMode: OutputMode;
  readonly timeZone: string;
  /** All columns of a source, in the order of its node's output. */
  readonly columnsOf: (source: string) => readonly InputColumn[];
  /** The scan of a source without its columns. */
  readonly scanOf: (source: string) => Omit<MapStage['scan'], 'columns'>;
  /** Says what cannot be run: message and, where there is one, what to write instead. */
  readonly refuse: (node: LogicalPlan, message: string, hint?: string) => void;
}

/** The stages of a query on their way: what the planners of its nodes need of each other. */
export interface StageDraft {
  readonly context: StageContext;
  readonly watermarks: WatermarkPlan[];
  readonly tables: Set<string>;
  /** An operator forgets state when the watermark passes. */
  evicts: boolean;
  /** The rows of a node; only the columns `needed` of its output are sure to be there. */
  rows(node: LogicalPlan, needed: ReadonlySet<number>, mode: OutputMode): Rows;
  /** Opens the stage of a stateful node. Its inputs are sent to it before. */
  state(operatorId: OperatorId, state: StatePlan, output: Omit<Rows, 'flows'>, inputs: readonly StageInput[]): Rows;
}

/** The sources below a node, each once. */
export function sourcesOf(node: LogicalPlan): string[] {
  const below = inputsOf(node).flatMap(sourcesOf);
  return [...new Set(node.kind === 'source' ? [node.source] : below)];
}
