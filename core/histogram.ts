/**
 * Log-linear histogram of latencies in ms: 8 linear buckets per doubling, from 1/8 ms to about 65 s; relative error of
 * a quantile ≤ 12.5 %. Small enough to travel in every heartbeat and to be added up over workers.
 */
const SUB_BUCKETS = 8;
const DOUBLINGS = 19;
export const LATENCY_BUCKETS = SUB_BUCKETS * DOUBLINGS;
const UNIT_MS = 1 / 8;

export function latencyBucket(ms: number): number {
  const units = Math.max(0, ms) / UNIT_MS;
  if (units < SUB_BUCKETS) return Math.floor(units);
  const doubling = Math.floor(Math.log2(units / SUB_BUCKETS));
  const within = Math.floor(units / 2 ** doubling) - SUB_BUCKETS;
  return Math.min(LATENCY_BUCKETS - 1, (doubling + 1) * SUB_BUCKETS + within);
}

/** Upper edge of a bucket, ms. */
function bucketUpperMs(bucket: number): number {
  if (bucket < SUB_BUCKETS) return (bucket + 1) * UNIT_MS;
  const doubling = Math.floor(bucket / SUB_BUCKETS) - 1;
  return (SUB_BUCKETS + (bucket % SUB_BUCKETS) + 1) * 2 ** doubling * UNIT_MS;
}

/** The `q`-quantile (0..1) of counts by bucket, ms; null when empty. */
export function quantileMs(counts: ArrayLike<number>, q: number): number | null {
  let total = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) total += counts[bucket] ?? 0;
  if (total === 0) return null;
  let rest = q * total;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    rest -= counts[bucket] ?? 0;
    if (rest <= 0) return bucketUpperMs(bucket);
  }
  return bucketUpperMs(counts.length - 1);
}
