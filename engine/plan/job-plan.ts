/** A job as it runs: the outcome of planning, stored with the revision, read by the workers. Plain data. */
import type { JobName } from '../../core/ids.ts';
import type { PlannedFeed } from '../../core/job/feed-topics.ts';
import type { Labels } from '../../core/job/labels.ts';
import type { Schedule } from '../../core/schedule/decide.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { EpochsPlan } from './epoch-plan.ts';
import type { LookupPlan } from './lookup-plan.ts';
import type { SinkPlan, StagePlan } from './stage-plan.ts';

export const PLAN_FORMAT_VERSION = 1;

export type Trigger =
  | { readonly kind: 'asap' }
  | { readonly kind: 'interval'; readonly everyMs: number }
  | { readonly kind: 'availableNow' }
  /** Epochs run when asked for (`weir step`): tests use it. */
  | { readonly kind: 'manual' };

export type StartingOffsets =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'timestamp'; readonly timestampMs: number };

/** What a source is in every protocol. */
export interface PlannedSource {
  readonly name: string;
  readonly connector: string;
  /** Connection options of the spec (brokers, …); empty = the default connection. */
  readonly options: Readonly<Record<string, string>>;
  readonly topic: string;
  readonly startingOffsets: StartingOffsets;
  readonly onDataLoss: 'fail' | 'skip';
  /** Set where the topic is filled by the worker that has its first partition. */
  readonly feed?: PlannedFeed;
}

/** One source of a job that runs as lanes, with the stage that its records go through. */
export interface LaneSource extends PlannedSource {
  readonly onFutureTimestamp: 'fail' | 'ignoreTimes';
  readonly stage: StagePlan;
  /** Tables that its rows are joined with by key, in the order of the joins; absent = none. */
  readonly lookups?: readonly LookupPlan[];
}

/** Where rows go; in the order of `StagePlan.sinks`. */
export interface SinkTarget {
  readonly connector: string;
  readonly options: Readonly<Record<string, string>>;
  /** For people: `spark_streams.created_users`. */
  readonly description: string;
  /** Topic sinks: create with so many partitions when missing. */
  readonly createPartitions?: number;
}

/** A job whose output is a function of each record alone. Protocol: lanes. */
export interface LanesPlan {
  readonly formatVersion: number;
  readonly job: JobName;
  readonly protocol: 'lanes';
  /** Why this protocol, for `explain`. */
  readonly protocolReason: string;
  readonly trigger: Trigger;
  readonly schedule?: Schedule;
  /** As the job file gives them; absent = none. */
  readonly labels?: Labels;
  readonly sources: readonly LaneSource[];
  readonly sinks: readonly SinkTarget[];
  /** Tables (and keyspaces) to create before the first run. */
  readonly tables: readonly TableSchema[];
  /** Topic that gets copies of dead letters, if any. */
  readonly deadLetterTopic: string | null;
  /** True when a new table was asked for that did not exist: its first run starts at time 0. */
  readonly createsTables: boolean;
  /** Things worth a look that do not keep the job from running. */
  readonly warnings: readonly string[];
}

/** A job as it runs, by one of the two protocols. */
export type JobPlan = LanesPlan | EpochsPlan;

/** How the rows of each of `plan.sinks` are encoded. */
export function sinkPlansOf(plan: JobPlan): readonly SinkPlan[] {
  if (plan.protocol === 'epochs') return plan.sinkPlans;
  return plan.sources[0]?.stage.sinks ?? [];
}
