/** Intervals as SQL writes them: months, or microseconds. */
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

function unitOf(name: string): Interval | undefined {
  return units.get(name) ?? units.get(name.replace(/S$/, ''));
}

/** Is this word, in capitals, a unit: MINUTE, MINUTES? */
export function isIntervalUnit(name: string): boolean {
  return unitOf(name) !== undefined;
}

/** `5` + MINUTE, `1-2` + YEAR TO MONTH, `1 02:03:04.5` + DAY TO SECOND; undefined where that makes no interval. */
export function intervalOfUnits(text: string, from: string, to: string | null): Interval | undefined {
  const unit = unitOf(from);
  if (unit === undefined) return undefined;
  if (to !== null) return rangeInterval(text.trim(), from.replace(/S$/, ''), to.replace(/S$/, ''));
  return scaled(text, unit);
}

function scaled(text: string, unit: Interval): Interval | undefined {
  const value = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(value)) return undefined;
  const amount = Number(value);
  if (unit.months > 0) return Number.isInteger(amount) ? { months: amount * unit.months, microseconds: 0 } : undefined;
  return { months: 0, microseconds: Math.round(amount * unit.microseconds) };
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
    const unit = unitOf((match?.[2] ?? '').toUpperCase());
    const part = unit === undefined ? undefined : scaled((match?.[1] ?? '').replace(/\s/g, ''), unit);
    if (part === undefined) return undefined;
    months += part.months;
    microseconds += part.microseconds;
    at = pattern.lastIndex;
  }
  return text === '' ? undefined : { months, microseconds };
}

const clockUnits = ['DAY', 'HOUR', 'MINUTE', 'SECOND'];

function rangeInterval(text: string, from: string, to: string): Interval | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  if (from === 'YEAR' && to === 'MONTH') {
    const match = /^(\d+)-(\d+)$/.exec(body);
    if (match === null || Number(match[2]) > 11) return undefined;
    return { months: sign * (Number(match[1]) * 12 + Number(match[2])), microseconds: 0 };
  }
  const first = clockUnits.indexOf(from);
  const last = clockUnits.indexOf(to);
  const parts = body.split(/[ :]/);
  if (first < 0 || last <= first || parts.length !== last - first + 1) return undefined;
  let microseconds = 0;
  for (const [index, part] of parts.entries()) {
    const unit = units.get(clockUnits[first + index] as string);
    const value = unit === undefined || !/^\d+(\.\d+)?$/.test(part) ? undefined : scaled(part, unit);
    if (value === undefined) return undefined;
    microseconds += value.microseconds;
  }
  return { months: 0, microseconds: sign * microseconds };
}
