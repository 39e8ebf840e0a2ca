/** Judges cases on the planner of offset ranges: admission limits of epochs, and the split of ranges into map tasks. */
import { mustWait, proRata, sizeOf } from '../../../core/epoch/admission.ts';
import type { Admission, Pending } from '../../../core/epoch/admission.ts';
import { splitRanges } from '../../../core/epoch/split-ranges.ts';
import { durationMs } from '../../../core/duration.ts';
import type { LaneId } from '../../../core/ids.ts';
import { offset } from '../../../core/ids.ts';
import type { KafkaPlanCase } from './cases.ts';
import type { Verdict } from './judge.ts';

type NamedRange = readonly [partition: string, from: number, to: number];

interface PlanStep {
  readonly newRecords?: number | Readonly<Record<string, number>>;
  readonly elapsedMs?: number;
  readonly runs?: boolean;
  readonly pending?: number;
  readonly until?: Readonly<Record<string, number>>;
}

interface PlanFacts {
  readonly ranges?: readonly NamedRange[];
  readonly expectedRanges?: readonly NamedRange[];
  readonly available?: Readonly<Record<string, readonly [from: number, end: number]>>;
  readonly plan?: readonly PlanStep[];
  readonly steps?: readonly PlanStep[];
}

const OK: Verdict = { kind: 'ok', note: '' };
/** Spark's default. */
const MAX_TRIGGER_DELAY = '15m';

export function judgeKafkaPlan(one: KafkaPlanCase): Verdict {
  const facts = one as unknown as PlanFacts;
  if (facts.ranges !== undefined) return judgeSplit(one, facts);
  const steps = facts.plan ?? facts.steps;
  if (steps === undefined) return { kind: 'fail', what: 'the case has neither ranges nor steps' };
  return judgeAdmission(one, facts, steps);
}

function judgeSplit(one: KafkaPlanCase, { ranges = [], expectedRanges = [] }: PlanFacts): Verdict {
  const minimum = one.options['minPartitions'];
  const split = splitRanges(
    ranges.map(([partition, from, to]) => ({ partition, from, to })),
    minimum === undefined ? null : Number(minimum),
  ).map(({ partition, from, to }) => [partition, from, to]);
  const [wanted, got] = [JSON.stringify(expectedRanges), JSON.stringify(split)];
  return wanted === got ? OK : { kind: 'fail', what: `expected ${wanted}, got ${got}` };
}

function judgeAdmission({ options }: KafkaPlanCase, facts: PlanFacts, steps: readonly PlanStep[]): Verdict {
  const limits: Admission = {
    maxOffsetsPerTrigger: limitOf(options['maxOffsetsPerTrigger']),
    minOffsetsPerTrigger: limitOf(options['minOffsetsPerTrigger']),
    maxTriggerDelayMs: durationMs(String(options['maxTriggerDelay'] ?? MAX_TRIGGER_DELAY)),
  };
  const pending = new Map<LaneId, Pending>(
    Object.entries(facts.available ?? { '0': [0, 0] }).map(([partition, [from, end]]) => [
      partition as LaneId,
      { from: offset(from), end: offset(end) },
    ]),
  );
  let sinceLastMs: number | null = null;
  for (const [index, step] of steps.entries()) {
    const fail = (what: string): Verdict => ({ kind: 'fail', what: `step ${index + 1}: ${what}` });
    add(pending, step.newRecords ?? {});
    if (sinceLastMs !== null) sinceLastMs += step.elapsedMs ?? 0;
    if (step.pending !== undefined && sizeOf(pending) !== step.pending)
      return fail(`${step.pending} records should wait, ${sizeOf(pending)} do`);
    const runs = !mustWait(pending, limits, sinceLastMs);
    if (runs !== (step.runs ?? true)) return fail(runs ? 'an epoch runs and should not' : 'no epoch runs');
    if (!runs) continue;
    const { maxOffsetsPerTrigger: max } = limits;
    const ends = max === null ? new Map([...pending].map(([lane, { end }]) => [lane, end])) : proRata(pending, max);
    for (const [lane, end] of Object.entries(step.until ?? {})) {
      if (ends.get(lane as LaneId) !== end)
        return fail(`partition ${lane} should be read until ${end}, it is until ${ends.get(lane as LaneId) ?? '?'}`);
    }
    for (const [lane, { end }] of pending) pending.set(lane, { from: ends.get(lane) ?? end, end });
    sinceLastMs = 0;
  }
  return OK;
}

function limitOf(value: string | number | undefined): number | null {
  return value === undefined ? null : Number(value);
}

function add(pending: Map<LaneId, Pending>, records: number | Readonly<Record<string, number>>): void {
  const entries = typeof records === 'number' ? [['0', records] as const] : Object.entries(records);
  for (const [lane, count] of entries) {
    const { from, end } = pending.get(lane as LaneId) ?? { from: offset(0), end: offset(0) };
    pending.set(lane as LaneId, { from, end: offset(end + count) });
  }
}
