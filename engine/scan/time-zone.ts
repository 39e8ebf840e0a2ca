/**
 * Time zones: offsets of UTC and of local times. Fixed offsets cost nothing; named zones are asked from the platform's
 * tables once per quarter of an hour of UTC (every change of a zone since 1900 falls on one) and remembered.
 */
export interface TimeZone {
  /** `UTC`, `+01:00`, `Europe/Paris`. */
  readonly id: string;
  /** Local time minus UTC, µs, where it is always the same; else null. */
  readonly fixedOffsetUs: number | null;
  /** Local time minus UTC at the instant, µs. */
  offsetAtUtc(utcUs: number): number;
  /**
   * Local time minus UTC for a local time, µs, as java.time: in an overlap the earlier offset, in a gap the one before
   * the gap (so the time is moved later by the length of the gap).
   */
  offsetAtLocal(localUs: number): number;
  /** What people call it at the instant, in English: CET, or Central European Standard Time. */
  nameAt(utcUs: number, short: boolean): string;
}

const SECOND_US = 1_000_000;
const HOUR_US = 3600 * SECOND_US;
const DAY_US = 24 * HOUR_US;
const QUARTER_US = 15 * 60 * SECOND_US;
/** Entries of one zone's memory before it is emptied. */
const REMEMBERED_MAX = 65_536;

class FixedZone implements TimeZone {
  readonly id: string;
  readonly fixedOffsetUs: number;

  constructor(id: string, offsetUs: number) {
    this.id = id;
    this.fixedOffsetUs = offsetUs;
  }

  nameAt(_: number, short: boolean): string {
    return this.id === 'UTC' && !short ? 'Coordinated Universal Time' : this.id;
  }

  offsetAtUtc(): number {
    return this.fixedOffsetUs;
  }

  offsetAtLocal(): number {
    return this.fixedOffsetUs;
  }
}

/** Names like CET are known to the English of the countries that use them. */
const LOCALES = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-ZA', 'ja', 'ko'];

class NamedZone implements TimeZone {
  readonly id: string;
  readonly fixedOffsetUs = null;
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();
  readonly #names = new Map<string, string>();
  readonly #nameFormats = new Map<boolean, readonly Intl.DateTimeFormat[]>();

  constructor(name: string) {
    this.id = name;
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  }

  offsetAtUtc(utcUs: number): number {
    const quarter = Math.floor(utcUs / QUARTER_US);
    const known = this.#offsets.get(quarter);
    if (known !== undefined) return known;
    if (this.#offsets.size >= REMEMBERED_MAX) this.#offsets.clear();
    const offset = this.#ask((quarter * QUARTER_US) / 1000);
    this.#offsets.set(quarter, offset);
    return offset;
  }

  offsetAtLocal(localUs: number): number {
    const before = this.offsetAtUtc(localUs - DAY_US);
    const after = this.offsetAtUtc(localUs + DAY_US);
    if (before === after) return before;
    if (this.offsetAtUtc(localUs - before) === before) return before;
    if (this.offsetAtUtc(localUs - after) === after) return after;
    return before;
  }

  nameAt(utcUs: number, short: boolean): string {
    const key = `${Math.floor(utcUs / QUARTER_US)} ${short}`;
    let name = this.#names.get(key);
    if (name === undefined) {
      name = this.#askName(utcUs / 1000, short);
      if (this.#names.size >= REMEMBERED_MAX) this.#names.clear();
      this.#names.set(key, name);
    }
    return name;
  }

  #askName(utcMs: number, short: boolean): string {
    const formats = this.#nameFormats.get(short) ?? nameFormats(this.id, short);
    this.#nameFormats.set(short, formats);
    const names = formats.map(
      (format) => format.formatToParts(utcMs).find((part) => part.type === 'timeZoneName')?.value ?? this.id,
    );
    return names.find((name) => /^[A-Z]{2,5}$/.test(name)) ?? names[0] ?? this.id;
  }

  #ask(utcMs: number): number {
    const name = this.#format
      .formatToParts(Math.max(-8.64e15, Math.min(8.64e15, utcMs)))
      .find((part) => part.type === 'timeZoneName');
    const match = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name?.value ?? '');
    if (match === null || match[1] === undefined) return 0;
    const seconds = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
    return (match[1] === '-' ? -seconds : seconds) * SECOND_US;
  }
}

function nameFormats(id: string, short: boolean): readonly Intl.DateTimeFormat[] {
  const locales = short ? LOCALES : ['en-US'];
  return locales.map(
    (locale) => new Intl.DateTimeFormat(locale, { timeZone: id, timeZoneName: short ? 'short' : 'long' }),
  );
}

const zones = new Map<string, TimeZone>();
const OFFSET_PATTERN = /^(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d\d)(?::?(\d\d))?)?$/;

/**
 * The zone of a name or offset as Spark takes them: `UTC`, `Z`, `+01:00`, `GMT+1`, `Europe/Paris`; undefined when
 * there is none.
 */
export function timeZoneOf(name: string): TimeZone | undefined {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const zone = makeZone(name);
  // Names come out of records: only as many as there are zones are worth remembering.
  if (zone !== undefined && zones.size < 1000) zones.set(name, zone);
  return zone;
}

function makeZone(name: string): TimeZone | undefined {
  if (/^(Z|UTC|GMT|UT)$/i.test(name)) return new FixedZone(/^GMT$/i.test(name) ? 'GMT' : 'UTC', 0);
  const match = OFFSET_PATTERN.exec(name);
  if (match !== null) {
    const minutes = Number(match[3] ?? 0);
    const seconds = Number(match[4] ?? 0);
    const total = Number(match[2]) * 3600 + minutes * 60 + seconds;
    if (total > 18 * 3600 || minutes > 59 || seconds > 59) return undefined;
    const parts = [Number(match[2]), minutes, ...(seconds === 0 ? [] : [seconds])];
    const id = `${match[1]}${parts.map((part) => String(part).padStart(2, '0')).join(':')}`;
    return new FixedZone(total === 0 ? 'UTC' : id, (match[1] === '-' ? -total : total) * SECOND_US);
  }
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return undefined;
  try {
    return new NamedZone(name);
  } catch {
    return undefined;
  }
}
