/** A range of offsets of one partition, under any name. */
export interface NamedRange {
  readonly partition: string;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/**
 * Splits ranges into map tasks so that there are about `minPartitions` of them: large ranges into parts of equal size,
 * small ones stay whole, empty ones are left out. Without a minimum, or when there are enough ranges, one task each.
 *
 * Source: Spark's KafkaOffsetRangeCalculator.
 */
export function splitRanges(ranges: readonly NamedRange[], minPartitions: number | null): NamedRange[] {
  const filled = ranges.filter(({ from, to }) => to > from);
  if (minPartitions === null || filled.length >= minPartitions) return filled;
  const total = sizeOf(filled);
  const whole = new Set(filled.filter((range) => partCount(range, total, minPartitions) === 1));
  const splitTotal = total - sizeOf([...whole]);
  const splitParts = Math.max(minPartitions - whole.size, 1);
  return filled.flatMap((range) =>
    whole.has(range) ? [range] : divide(range, partCount(range, splitTotal, splitParts)),
  );
}

function sizeOf(ranges: readonly NamedRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + (to - from), 0);
}

function partCount({ from, to }: NamedRange, total: number, parts: number): number {
  return Math.max(Math.round(((to - from) / total) * parts), 1);
}

/** The last part takes what division leaves over. */
function divide({ partition, from, to }: NamedRange, parts: number): NamedRange[] {
  const divided: NamedRange[] = [];
  for (let part = 0, start = from; part < parts; part++) {
    const end = start + Math.floor((to - start) / (parts - part));
    if (end > start) divided.push({ partition, from: start, to: end });
    start = end;
  }
  return divided;
}
