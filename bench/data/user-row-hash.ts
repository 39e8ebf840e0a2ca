/**
 * The hash that a blackhole sink should come to for users, computed row by row from the generator with JSON.parse: an
 * answer from other code than the engine's. See engine/encode/blackhole.ts for the definition.
 */
import type { User } from '../jobs/producers/random-user.ts';
import type { UserGenerator } from '../jobs/producers/random-user.ts';

const MULTIPLIER = 0x5bd1e995;
const textEncoder = new TextEncoder();

export interface ExpectedRows {
  readonly passed: number;
  /** Xor over the rows that pass, unsigned. */
  readonly hash: number;
}

/** Of the users 0 to `count` - 1, through the query of the main job. */
export function expectedRows(users: UserGenerator, count: number): ExpectedRows {
  let passed = 0;
  let hash = 0;
  for (let index = 0; index < count; index++) {
    const user = JSON.parse(users.at(index).value) as User;
    if (user.post_code === null) continue;
    passed++;
    hash ^= rowHash(user);
  }
  return { passed, hash: hash >>> 0 };
}

function rowHash(user: User): number {
  let hash = 0;
  for (const value of [user.id, user.first_name, user.last_name.toUpperCase(), user.gender, user.address])
    hash = mixText(hash, value);
  hash = mix(hash, user.post_code ?? 0);
  for (const value of [user.email, user.username]) hash = mixText(hash, value);
  for (const value of [user.dob, user.registered_date]) hash = mixMicroseconds(hash, Date.parse(value) * 1000);
  for (const value of [user.phone, user.picture]) hash = mixText(hash, value);
  const mixed = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return mixed ^ (mixed >>> 15);
}

function mixText(hash: number, text: string): number {
  const bytes = textEncoder.encode(text);
  let mixed = mix(hash, bytes.length);
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4)
    mixed = mix(mixed, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  for (; at < bytes.length; at++) mixed = mix(mixed, bytes[at]!);
  return mixed;
}

const doubleWords = new DataView(new ArrayBuffer(8));

function mixMicroseconds(hash: number, value: number): number {
  doubleWords.setFloat64(0, value);
  return mix(mix(hash, doubleWords.getInt32(0)), doubleWords.getInt32(4));
}

function mix(hash: number, word: number): number {
  const product = Math.imul(word, MULTIPLIER);
  return Math.imul(hash, MULTIPLIER) ^ Math.imul(product ^ (product >>> 24), MULTIPLIER);
}
