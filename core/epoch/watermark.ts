/** The watermark of a job: what it is after an epoch, and whether an epoch without data has to follow. */

/** One declaration of a watermark, as planned. */
export interface WatermarkRule {
  readonly delayUs: number;
  /** Sources below it. */
  readonly sources: readonly string[];
}

export interface WatermarkFacts {
  readonly rules: readonly WatermarkRule[];
  readonly policy: 'min' | 'max';
  /** Greatest event time seen so far under each rule, µs; null = none. */
  readonly eventTimes: readonly (number | null)[];
  /** Sources that do not hold the watermark back at present. */
  readonly idle: ReadonlySet<string>;
  /** The watermark so far, µs; null = none yet. */
  readonly current: number | null;
}

/**
 * The watermark in force in the next epoch, µs; null = none yet (minus infinity). Under `min` it waits for every rule
 * that has a source which is not idle; when all are idle, none holds back the others and the greatest counts. It never
 * goes back. Whole milliseconds, as Spark's.
 *
 * Source: Spark's WatermarkTracker, which knows no idle sources and starts at 0.
 */
export function nextWatermark(facts: WatermarkFacts): number | null {
  const candidate = facts.policy === 'max' ? greatest(facts) : smallest(facts);
  if (candidate === null) return facts.current;
  return facts.current === null ? candidate : Math.max(facts.current, candidate);
}

function smallest(facts: WatermarkFacts): number | null {
  let watermark: number | null = null;
  let holding = 0;
  for (const [index, rule] of facts.rules.entries()) {
    if (rule.sources.length > 0 && rule.sources.every((source) => facts.idle.has(source))) continue;
    holding += 1;
    const value = valueOf(facts, index);
    if (value === null) return null;
    watermark = watermark === null ? value : Math.min(watermark, value);
  }
  return holding === 0 ? greatest(facts) : watermark;
}

function greatest(facts: WatermarkFacts): number | null {
  let watermark: number | null = null;
  for (const index of facts.rules.keys()) {
    const value = valueOf(facts, index);
    if (value !== null) watermark = watermark === null ? value : Math.max(watermark, value);
  }
  return watermark;
}

function valueOf({ rules, eventTimes }: WatermarkFacts, index: number): number | null {
  const eventTime = eventTimes[index] ?? null;
  const rule = rules[index];
  return eventTime === null || rule === undefined ? null : Math.floor(eventTime / 1000) * 1000 - rule.delayUs;
}

/** Per rule the greater of two. */
export function mergeEventTimes(
  a: readonly (number | null)[],
  b: readonly (number | null)[],
): readonly (number | null)[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, index) => {
    const left = a[index] ?? null;
    const right = b[index] ?? null;
    return left === null ? right : right === null ? left : Math.max(left, right);
  });
}

/** Whether the watermark has moved since the last epoch that evicted by it. */
export function needsNoDataEpoch(
  wanted: { readonly noDataEpochs: boolean; readonly evicts: boolean },
  evictUs: number | null,
  watermarkUs: number | null,
): boolean {
  if (!wanted.noDataEpochs || !wanted.evicts || watermarkUs === null) return false;
  return evictUs === null || watermarkUs > evictUs;
}
