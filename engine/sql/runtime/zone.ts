/** Time zones: IANA names through Intl, fixed offsets by arithmetic, UTC without either. */

/** How far a place's clocks are ahead of UTC. All times in µs. */
export interface Zone {
  readonly name: string;
  /** Local time minus UTC at a moment. */
  offsetAt(utc: number): number;
  /** The moment a local time stands for; the earlier one where clocks go back, later by the gap where they go forward. */
  toUtc(local: number): number;
}

const MINUTE_US = 60_000_000;
const HOUR_US = 3_600_000_000;
const DAY_US = 86_400_000_000;
/** Offsets change at whole quarters of an hour, all over the world and since there are zones. */
const QUARTER_US = 15 * MINUTE_US;
const CACHED_QUARTERS_MAX = 4096;

function fixedZone(name: string, offset: number): Zone {
  return { name, offsetAt: () => offset, toUtc: (local) => local - offset };
}

export const utcZone: Zone = fixedZone('UTC', 0);

class NamedZone implements Zone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  /** Throws RangeError for a name that Intl does not know. */
  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  offsetAt(utc: number): number {
    const quarter = Math.floor(utc / QUARTER_US);
    const known = this.#offsets.get(quarter);
    if (known !== undefined) return known;
    if (this.#offsets.size >= CACHED_QUARTERS_MAX) this.#offsets.clear();
    const offset = this.#lookUp(quarter * QUARTER_US);
    this.#offsets.set(quarter, offset);
    return offset;
  }

  toUtc(local: number): number {
    const before = this.offsetAt(local - DAY_US);
    const after = this.offsetAt(local + DAY_US);
    if (before === after && this.offsetAt(local - before) === before) return local - before;
    // The offset before a change wins where both fit (clocks go back) and where none does (clocks go forward).
    if (this.offsetAt(local - before) === before) return local - before;
    if (this.offsetAt(local - after) === after) return local - after;
    return local - before;
  }

  #lookUp(utc: number): number {
    const date = new Date(utc / 1000);
    if (Number.isNaN(date.getTime())) return 0;
    const parts = new Map(this.#format.formatToParts(date).map(({ type, value }) => [type, value]));
    const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type) ?? 0);
    const year = parts.get('era') === 'BC' ? 1 - number('year') : number('year');
    const shown = new Date(0);
    shown.setUTCFullYear(year, number('month') - 1, number('day'));
    shown.setUTCHours(number('hour'), number('minute'), number('second'));
    return Math.round((shown.getTime() - Math.floor(date.getTime() / 1000) * 1000) * 1000);
  }
}

const zones = new Map<string, Zone>();
const ZONES_MAX = 1024;
const offsetPattern = /^(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?$/;

/** The zone of a name or offset (`Europe/Berlin`, `UTC`, `Z`, `+02:00`, `GMT+2`), or undefined. */
export function zoneOf(name: string): Zone | undefined {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const zone = makeZone(name);
  // Names may come from records; what they fill must not grow without end.
  if (zone !== undefined && zones.size < ZONES_MAX) zones.set(name, zone);
  return zone;
}

function makeZone(name: string): Zone | undefined {
  if (/^(UTC|GMT|UT|Z|Etc\/UTC)$/.test(name)) return utcZone;
  const match = offsetPattern.exec(name);
  if (match !== null) {
    const [, sign, hours = '0', minutes = '0', seconds = '0'] = match;
    const size = Number(hours) * HOUR_US + Number(minutes) * MINUTE_US + Number(seconds) * 1_000_000;
    if (Number(minutes) > 59 || Number(seconds) > 59 || size > 18 * HOUR_US) return undefined;
    return fixedZone(name, sign === '-' ? -size : size);
  }
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return undefined;
  try {
    return new NamedZone(name);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
