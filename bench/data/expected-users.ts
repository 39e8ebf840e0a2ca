/** What the jobs of the benches make of the users, computed row by row from the generator with JSON.parse. */
import { crc32 } from 'node:zlib';
import { remembered } from '../cache.ts';
import { RowHash } from './row-hash.ts';
import { BenchUsers } from './users.ts';

export interface ExpectedRows {
  readonly passed: number;
  /** Xor over the rows of the blackhole's hash, unsigned. */
  readonly hash: number;
  /** Xor over the rows of the CRC-32 of their values in UTF-8, joined by `|`, unsigned. */
  readonly crc: number;
}

/** `SELECT id, first_name, last_name, post_code, email FROM users WHERE post_code IS NOT NULL` */
export function expectedProjection(seed: number, records: number): ExpectedRows {
  return remembered(`projection-${seed}-${records}`, () => {
    const users = new BenchUsers(seed);
    const row = new RowHash();
    let passed = 0;
    let hash = 0;
    let crc = 0;
    for (let index = 0; index < records; index++) {
      const { id, first_name, last_name, post_code, email } = users.at(index);
      if (post_code === null) continue;
      passed++;
      hash ^= row.text(id).text(first_name).text(last_name).int(post_code).text(email).finish();
      crc ^= crc32(`${id}|${first_name}|${last_name}|${post_code}|${email}`);
    }
    return { passed, hash: hash >>> 0, crc: crc >>> 0 };
  });
}

export const COUNT_WINDOW_MS = 10_000;
/** Delay of the watermark over registrations. */
export const COUNT_DELAY_MS = 20_000;

/** Post codes are below. */
const POST_CODES = 1e9;
const FIRST_WINDOW = Math.floor(Date.UTC(2025, 0, 1) / COUNT_WINDOW_MS);

export interface ExpectedCounts {
  /** Users with a post code. */
  readonly passed: number;
  /** Groups in all. */
  readonly groups: number;
  /** Groups whose window ends at or before the last watermark. */
  readonly closed: number;
  /** Xor over the closed groups of the blackhole's hash of (start, post_code, n, newest), unsigned. */
  readonly hash: number;
  /** Xor over all groups of the CRC-32 of the same values, joined by `|`, unsigned. */
  readonly crc: number;
}

/** Users with a post code by 10 s of their registration and post code: number and newest registration. */
export function expectedCounts(seed: number, records: number): ExpectedCounts {
  return remembered(`registrations-${COUNT_DELAY_MS}-${seed}-${records}`, () => {
    const users = new BenchUsers(seed);
    const groups = new Map<number, { n: number; newest: number }>();
    let newestOfAll = 0;
    let passed = 0;
    for (let index = 0; index < records; index++) {
      const { post_code, registered_date } = users.at(index);
      if (post_code === null) continue;
      passed++;
      const time = Date.parse(registered_date);
      newestOfAll = Math.max(newestOfAll, time);
      const key = (Math.floor(time / COUNT_WINDOW_MS) - FIRST_WINDOW) * POST_CODES + post_code;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { n: 1, newest: time });
      else {
        group.n++;
        group.newest = Math.max(group.newest, time);
      }
    }
    const row = new RowHash();
    let closed = 0;
    let hash = 0;
    let crc = 0;
    for (const [key, { n, newest }] of groups) {
      const postCode = key % POST_CODES;
      const start = ((key - postCode) / POST_CODES + FIRST_WINDOW) * COUNT_WINDOW_MS;
      crc ^= crc32(`${start}|${postCode}|${n}|${newest}`);
      if (start + COUNT_WINDOW_MS > newestOfAll - COUNT_DELAY_MS) continue;
      closed++;
      hash ^= row.bigint(BigInt(start)).int(postCode).bigint(BigInt(n)).bigint(BigInt(newest)).finish();
    }
    return { passed, groups: groups.size, closed, hash: hash >>> 0, crc: crc >>> 0 };
  });
}

/** A row of the main job as its sinks show it: see {@link mainJobRow}. */
export interface ExpectedTable {
  readonly passed: number;
  /** Xor of the CRC-32 of {@link mainJobRow}, unsigned. */
  readonly crc: number;
}

/** Values of a row of the main job joined by `|`; times in ms. */
export function mainJobRow(values: {
  readonly id: string;
  readonly last_name: string;
  readonly post_code: number | null;
  readonly email: string;
  readonly registeredMs: number;
  readonly picture: string;
}): string {
  const { id, last_name, post_code, email, registeredMs, picture } = values;
  return `${id}|${last_name}|${post_code}|${email}|${registeredMs}|${picture}`;
}

/** As `strings.ToUpper` of Go: letters without a capital of one letter, such as ß, stay as they are. */
function simpleUpperCase(text: string): string {
  return Array.from(text, (letter) =>
    letter.toUpperCase().length > letter.length ? letter : letter.toUpperCase(),
  ).join('');
}

/** The main job: users with a post code, their last names in capitals, letter by letter or (`full`) as Unicode has it. */
export function expectedTable(seed: number, records: number, capitals: 'full' | 'simple' = 'full'): ExpectedTable {
  const upperCase = capitals === 'full' ? (text: string) => text.toUpperCase() : simpleUpperCase;
  const kind = capitals === 'full' ? 'table' : 'table-simple';
  return remembered(`${kind}-${seed}-${records}`, () => {
    const users = new BenchUsers(seed);
    let passed = 0;
    let crc = 0;
    for (let index = 0; index < records; index++) {
      const user = users.at(index);
      if (user.post_code === null) continue;
      passed++;
      const registeredMs = Date.parse(user.registered_date);
      crc ^= crc32(mainJobRow({ ...user, last_name: upperCase(user.last_name), registeredMs }));
    }
    return { passed, crc: crc >>> 0 };
  });
}
