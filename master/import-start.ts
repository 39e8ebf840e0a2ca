/**
 * The start of a job that goes on where another system stood, as Spark's checkpoints tell it: offsets by topic and
 * partition, and a watermark. State stays behind.
 */
import { WeirError } from '../core/errors.ts';
import type { LaneId, Offset } from '../core/ids.ts';
import { laneId, offset as offsetOf } from '../core/ids.ts';
import type { StartWatermark } from '../core/meta.ts';
import type { Connections } from '../core/ports.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import type { ImportedStart } from './job-definition.ts';
import type { WantedOffset } from './offset-desk.ts';

export interface ImportRequest {
  readonly offsets: readonly WantedOffset[];
  /** ms since 1970; null = none was reached. `formerMs`: the one in force before `currentMs`. */
  readonly watermark: { readonly currentMs: number; readonly formerMs: number | null } | null;
  /** A stateful job begins without state; refused unless this is so. */
  readonly dropState: boolean;
}

/** Where one partition of the job begins. */
export interface ImportedPartition {
  readonly source: string;
  readonly topic: string;
  readonly partition: number;
  /** Next offset to process. */
  readonly offset: number;
  readonly earliest: number;
  readonly end: number;
  /** The other system did not know the partition: it is read from its beginning, as Spark does with new ones. */
  readonly isNew: boolean;
}

export interface ImportPlan {
  readonly start: ImportedStart;
  readonly partitions: readonly ImportedPartition[];
  readonly warnings: readonly string[];
}

/**
 * Every offset must name a partition that the job reads and lie within it, so that nothing is left out and nothing is
 * read twice. Topics of the job that the request does not name begin as the job file says.
 *
 * Throws: STATE_INCOMPATIBLE for a stateful job without `dropState`; NOT_FOUND; OFFSET_OUT_OF_RANGE; USAGE;
 * TOPIC_NOT_FOUND, SOURCE_UNAVAILABLE.
 */
export async function planImport(
  plan: JobPlan,
  connections: Pick<Connections, 'source'>,
  request: ImportRequest,
): Promise<ImportPlan> {
  if (keepsState(plan) && !request.dropState)
    throw new WeirError(
      'STATE_INCOMPATIBLE',
      `Job ${plan.job} keeps state, and the state of another system cannot be read: windows and joins that were open there would begin empty here. With --drop-state it begins without state at these offsets, and rows behind the imported watermark are late; without losing any of it, begin with --from earliest.`,
    );
  const partitions: ImportedPartition[] = [];
  const warnings: string[] = [];
  const offsets = new Map<LaneId, Offset>();
  const unused = new Set(request.offsets);
  for (const source of plan.sources) {
    const { name, topic } = source;
    const named = request.offsets.filter((at) => at.topic === topic && (at.source ?? name) === name);
    if (named.length === 0) {
      warnings.push(`nothing is known of topic ${topic}: source ${name} begins as the job file says`);
      continue;
    }
    const log = connections.source(source.connector, source.options);
    const { topicId, partitions: present } = await log.describe(topic);
    const [lows, ends] = await Promise.all([
      log.offsets(topic, present, 'earliest'),
      log.offsets(topic, present, 'latest'),
    ]);
    for (const partition of present) {
      const [earliest, end] = [Number(lows.get(partition) ?? 0), Number(ends.get(partition) ?? 0)];
      const [at, ...more] = named.filter((one) => one.partition === partition);
      if (more.length > 0)
        throw new WeirError('USAGE', `Partition ${partition} of ${topic} is given ${more.length + 1} offsets.`);
      const offset = at?.offset ?? earliest;
      if (at !== undefined) unused.delete(at);
      requireHeld(plan, source.onDataLoss, { topic, partition, offset, earliest, end });
      offsets.set(laneId({ source: name, topicId, partition }), offsetOf(offset));
      partitions.push({ source: name, topic, partition, offset, earliest, end, isNew: at === undefined });
    }
  }
  const [lost] = unused;
  if (lost !== undefined)
    throw new WeirError(
      'NOT_FOUND',
      `Job ${plan.job} does not read partition ${lost.partition} of ${lost.topic}${lost.source === undefined ? '' : ` as ${lost.source}`}, and what follows offset ${lost.offset} there would be left out; nothing was changed.`,
    );
  const watermark = watermarkOf(plan, request);
  return {
    start: { offsets: Object.fromEntries(offsets) as Record<LaneId, Offset>, ...(watermark && { watermark }) },
    partitions,
    warnings,
  };
}

/** Whether something of one epoch is needed in the next. */
function keepsState(plan: JobPlan): boolean {
  return plan.protocol === 'epochs' && plan.stages.some((stage) => stage.kind === 'state');
}

function watermarkOf(plan: JobPlan, { watermark }: ImportRequest): StartWatermark | undefined {
  if (plan.protocol !== 'epochs' || plan.watermarks.length === 0 || watermark === null) return undefined;
  const { currentMs, formerMs } = watermark;
  return { currentUs: currentMs * 1000, formerUs: formerMs === null ? null : formerMs * 1000 };
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly earliest: number;
  readonly end: number;
}

function requireHeld(plan: JobPlan, onDataLoss: 'fail' | 'skip', place: Place): void {
  const { topic, partition, offset, earliest, end } = place;
  const isLost = offset < earliest;
  if ((!isLost || onDataLoss === 'skip') && offset <= end) return;
  const why = isLost
    ? 'what is missing was deleted by the retention of the topic; with "onDataLoss: skip" the job begins at the earliest one'
    : 'it is another topic of that name, or another cluster';
  throw new WeirError(
    'OFFSET_OUT_OF_RANGE',
    `Job ${plan.job}: partition ${partition} of ${topic} holds offsets ${earliest} to ${end}, not ${offset}: ${why}; nothing was changed.`,
    { facts: { low: earliest, high: end } },
  );
}
