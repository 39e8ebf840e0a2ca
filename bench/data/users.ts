/**
 * Users as the benches read them: those of the producer, but registered one after the other as they would be live, so
 * that windows over `registered_date` open and end. The bytes of a user are a function of (seed, index).
 */
import { UserGenerator } from '../../jobs/producers/random-user.ts';
import type { User } from '../../jobs/producers/random-user.ts';

/** Registrations per second of event time. */
export const USERS_PER_SECOND = 20_000;
/** Event times are out of order by less than so much, ms. */
export const USER_JITTER_MS = 2000;
const BASE_MS = Date.UTC(2025, 0, 1);
const FIELD = Buffer.from('"registered_date":"');
const ISO_BYTES = 24;

export class BenchUsers {
  readonly #users: UserGenerator;
  readonly #seed: number;

  constructor(seed: number) {
    this.#users = new UserGenerator(seed);
    this.#seed = seed;
  }

  /** Registration of the user, ms since 1970. */
  timeMsAt(index: number): number {
    const jitter = (Math.imul(index ^ this.#seed, 0x9e3779b1) >>> 16) % USER_JITTER_MS;
    return BASE_MS + Math.floor((index * 1000) / USERS_PER_SECOND) + jitter;
  }

  /** Key and JSON of a user. */
  bytesAt(index: number): { readonly key: Uint8Array; readonly value: Uint8Array } {
    const { key, value } = this.#users.bytesAt(index);
    const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const at = buffer.indexOf(FIELD);
    writeIso(buffer, at + FIELD.length, this.timeMsAt(index));
    return { key, value };
  }

  /** What JSON.parse makes of it. */
  at(index: number): User {
    const { value } = this.bytesAt(index);
    return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()) as User;
  }
}

let secondKnown = -1;
const prefix = Buffer.alloc(ISO_BYTES);

/** As toISOString, which is too slow for millions. */
function writeIso(target: Buffer, at: number, ms: number): void {
  const second = Math.floor(ms / 1000);
  if (second !== secondKnown) {
    secondKnown = second;
    prefix.write(new Date(second * 1000).toISOString(), 'latin1');
  }
  prefix.copy(target, at);
  const rest = ms - second * 1000;
  target[at + 20] = 48 + Math.floor(rest / 100);
  target[at + 21] = 48 + (Math.floor(rest / 10) % 10);
  target[at + 22] = 48 + (rest % 10);
}
