/** Intervals as SQL writes them with a unit behind the text. */
import { type Interval, intervalUnit, scaledInterval } from '../../core/interval.ts';

/** Is this word, in capitals, a unit: MINUTE, MINUTES? */
export function isIntervalUnit(name: string): boolean {
  return intervalUnit(name) !== undefined;
}

/** `5` + MINUTE, `1-2` + YEAR TO MONTH, `1 02:03:04.5` + DAY TO SECOND; undefined where that makes no interval. */
export function intervalOfUnits(text: string, from: string, to: string | null): Interval | undefined {
  const unit = intervalUnit(from);
  if (unit === undefined) return undefined;
  if (to !== null) return rangeInterval(text.trim(), from.replace(/S$/, ''), to.replace(/S$/, ''));
  return scaledInterval(text.trim().replace(/^([+-])\s+/, '$1'), unit);
}

const clockUnits = ['DAY', 'HOUR', 'MINUTE', 'SECOND'];

function rangeInterval(text: string, from: string, to: string): Interval | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  // Blanks part days from hours only.
  if (/ /.test(body) !== (from === 'DAY')) return undefined;
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
    const unit = intervalUnit(clockUnits[first + index] as string);
    const value = unit === undefined || !/^\d+(\.\d+)?$/.test(part) ? undefined : scaledInterval(part, unit);
    if (value === undefined) return undefined;
    microseconds += value.microseconds;
  }
  return { months: 0, microseconds: sign * microseconds };
}
