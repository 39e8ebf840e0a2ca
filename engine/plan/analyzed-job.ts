/** A job whose query has a meaning, and what its options say for both protocols. */
import type { ConnectorManifest } from '../../core/job/connector-manifest.ts';
import { durationMs } from '../../core/duration.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { JobSpec, SourceSpec } from '../../core/job/spec.ts';
import type { SinkTable } from '../../core/row-sink.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { SchemaText } from '../formats/value-format.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import type { SourceColumn } from '../sql/analyzer.ts';
import type { StaticTable } from './epoch-plan.ts';
import type { Trigger } from './job-plan.ts';
import type { PlannedLookup } from './lookup-plan.ts';
import type { AnalyzedPlan } from './logical-plan.ts';
import type { BadRecordPolicy } from './stage-plan.ts';

/** What planning knows of the world. */
export interface PlanFacts {
  /** Existing tables by `keyspace.table`; null when nothing is known, as without a cluster. */
  readonly tables: ReadonlyMap<string, TableSchema> | null;
  /** Existing tables of other sinks, by the sink's index; a sink that is not named has none. null or absent = nothing is known. */
  readonly sinkTables?: ReadonlyMap<number, SinkTable> | null;
  /** Latest schemas of records by the name of their source, as registries have them; absent = none is known. */
  readonly recordSchemas?: ReadonlyMap<string, SchemaText>;
  /** Connectors of packages that jobs may use, by name; absent = none. */
  readonly connectors?: ReadonlyMap<string, ConnectorManifest>;
}

/** Deeper JSON than this is refused. */
export const RECORD_DEPTH_MAX = 64;

/** What is known of a job once its query has a meaning. */
export interface AnalyzedJob {
  readonly spec: JobSpec;
  readonly facts: PlanFacts;
  readonly analyzed: AnalyzedPlan;
  readonly sources: ReadonlyMap<string, readonly SourceColumn[]>;
  readonly tables: ReadonlyMap<string, StaticTable>;
  readonly lookups: ReadonlyMap<string, PlannedLookup>;
  readonly timeZone: TimeZone;
  /** What is wrong is added here. */
  readonly problems: JobProblem[];
}

/** Whether some rows go to functions of the job. */
export function hasFunctionSink({ sinks }: JobSpec): boolean {
  return sinks.some(({ connector }) => connector === 'forEachBatch');
}

/** What becomes of records that cannot be processed. */
export function badRecordPolicy(spec: JobSpec): BadRecordPolicy {
  return typeof spec.onBadRecord === 'string' ? spec.onBadRecord : 'deadLetter';
}

/** The topic that gets copies of dead letters; null = none. */
export function deadLetterTopic(spec: JobSpec): string | null {
  return typeof spec.onBadRecord === 'string' ? null : (spec.onBadRecord.deadLetter.topic ?? null);
}

/** Options of the connection that a source is read by; none = the default one. */
export function connectionOptions(source: SourceSpec): Record<string, string> {
  return source.brokers === undefined ? {} : { brokers: source.brokers };
}

/** What to do when records are gone before they were read. */
export function dataLossPolicy(source: SourceSpec): 'fail' | 'skip' {
  return source.failOnDataLoss === false ? 'skip' : source.onDataLoss;
}

/** The trigger in the plan's words. */
export function triggerOf(spec: JobSpec): Trigger {
  const { trigger } = spec;
  if (trigger === 'asap' || trigger === 'availableNow' || trigger === 'manual') return { kind: trigger };
  if (typeof trigger === 'object' && 'availableNow' in trigger) return { kind: 'availableNow' };
  const everyMs = durationMs(typeof trigger === 'string' ? trigger : trigger.processingTime);
  return everyMs === 0 ? { kind: 'asap' } : { kind: 'interval', everyMs };
}
