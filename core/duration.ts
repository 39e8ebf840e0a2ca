/** Durations of job files and commands: `50ms`, `10s`, and what Spark's options take: `10 seconds`, `1 hour 30 minutes`. */
import { intervalOfText } from './interval.ts';

/** What a duration looks like; {@link durationUs} decides. */
export const durationPattern =
  /^(\d+(ms|s|m|h|d)|([iI][nN][tT][eE][rR][vV][aA][lL]\s+)?(\d+(\.\d+)?\s+[A-Za-z]+\s*)+)$/;

const shortUnits = new Map([
  ['ms', 1000],
  ['s', 1_000_000],
  ['m', 60_000_000],
  ['h', 3_600_000_000],
  ['d', 86_400_000_000],
]);

/** Spark counts a month of a watermark's delay as 31 days. */
const MONTH_US = 31 * 86_400_000_000;

/** µs of a duration; undefined where the text is none, or less than nothing. */
export function durationUs(text: string): number | undefined {
  const short = /^(\d+)(ms|s|m|h|d)$/.exec(text);
  if (short !== null) return Number(short[1]) * (shortUnits.get(short[2] ?? '') ?? Number.NaN);
  if (!durationPattern.test(text)) return undefined;
  const interval = intervalOfText(text);
  return interval === undefined ? undefined : interval.months * MONTH_US + interval.microseconds;
}

/** ms of a duration, rounded up. Throws for a text that is none: those of a checked job are. */
export function durationMs(text: string): number {
  const us = durationUs(text);
  if (us === undefined) throw new Error(`not a duration: ${text}`);
  return Math.ceil(us / 1000);
}

/** The shortest text for a duration: `10s`, `1500ms`, `30us`. */
export function formatDurationUs(us: number): string {
  if (us === 0) return '0s';
  for (const [unit, size] of [...shortUnits].toReversed()) {
    if (us % size === 0) return `${us / size}${unit}`;
  }
  return `${us}us`;
}
