/** Intervals as SQL and job files write them, in text: the one grammar of both. */
/** Months, or microseconds. */
export interface Interval {
  readonly months: number;
  readonly microseconds: number;
}

const units = new Map<string, Interval>([
  ['YEAR', { months: 12, microseconds: 0 }],
  ['MONTH', { months: 1, microseconds: 0 }],
  ['WEEK', { months: 0, microseconds: 604_800_000_000 }],
  ['DAY', { months: 0, microseconds: 86_400_000_000 }],
  ['HOUR', { months: 0, microseconds: 3_600_000_000 }],
  ['MINUTE', { months: 0, microseconds: 60_000_000 }],
  ['SECOND', { months: 0, microseconds: 1_000_000 }],
  ['MILLISECOND', { months: 0, microseconds: 1000 }],
  ['MICROSECOND', { months: 0, microseconds: 1 }],
]);

/** What one of this unit, in capitals, is: MINUTE, MINUTES. */
export function intervalUnit(name: string): Interval | undefined {
  return units.get(name) ?? units.get(name.replace(/S$/, ''));
}

/** `1.5` of a unit; undefined for what is no number, and for parts of a month. */
export function scaledInterval(text: string, unit: Interval): Interval | undefined {
  const value = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(value)) return undefined;
  const amount = Number(value);
  if (unit.months > 0) return Number.isInteger(amount) ? { months: amount * unit.months, microseconds: 0 } : undefined;
  if (unit.microseconds !== 1_000_000) return { months: 0, microseconds: Math.round(amount * unit.microseconds) };
  // Digits beyond microseconds fall away.
  const [whole = '', fraction = ''] = value.replace(/^[+-]/, '').split('.');
  const microseconds = Number(whole) * 1_000_000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
  return { months: 0, microseconds: value.startsWith('-') ? -microseconds : microseconds };
}

/** `1 day 2 hours`: what `window` and INTERVAL '…' take. Also `interval 10 minutes`, as Spark allows. */
export function intervalOfText(input: string): Interval | undefined {
  const text = input.trim().replace(/^interval\s+/i, '');
  const pattern = /([+-]?\s*(?:\d+\.?\d*|\.\d+))\s*([A-Za-z]+)\s*/y;
  let months = 0;
  let microseconds = 0;
  let at = 0;
  while (at < text.length) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    const unit = intervalUnit((match?.[2] ?? '').toUpperCase());
    const part = unit === undefined ? undefined : scaledInterval((match?.[1] ?? '').replace(/\s/g, ''), unit);
    if (part === undefined) return undefined;
    months += part.months;
    microseconds += part.microseconds;
    at = pattern.lastIndex;
  }
  return text === '' ? undefined : { months, microseconds };
}
