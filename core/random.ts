/** Random numbers from a seed, the same on every machine. */
import type { Rng } from './clock.ts';
import { murmur2 } from './murmur2.ts';

const textEncoder = new TextEncoder();

/**
 * A stream of random numbers that the seed decides: sfc32 (Chris Doty-Humphrey, PractRand). Not for secrets.
 */
export function seededRng(seed: number | string): Rng {
  return new Sfc32(
    typeof seed === 'number' ? seed : hashOf(seed),
    typeof seed === 'number' ? Math.floor(seed / 4294967296) : 0,
  );
}

class Sfc32 implements Rng {
  readonly #seedLow: number;
  readonly #seedHigh: number;
  #a: number;
  #b: number;
  #c = 0x2545f491;
  #counter = 1;

  constructor(seedLow: number, seedHigh: number) {
    this.#seedLow = seedLow | 0;
    this.#seedHigh = seedHigh | 0;
    this.#a = this.#seedLow;
    this.#b = this.#seedHigh;
    // The author's advice: so many steps until every bit of the seed has reached every bit of the state.
    for (let step = 0; step < 15; step++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  uuid(): string {
    return formatUuid(this.u32(), this.u32(), this.u32(), this.u32());
  }

  fork(label: string): Rng {
    return new Sfc32(
      this.#seedLow ^ hashOf(label),
      Math.imul(this.#seedHigh ^ 0x9e3779b9, 0x85ebca6b) ^ hashOf(`${label}/`),
    );
  }
}

function hashOf(text: string): number {
  return murmur2(textEncoder.encode(text));
}

const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A version 4 UUID of 122 of the 128 bits given. */
export function formatUuid(a: number, b: number, c: number, d: number): string {
  const pair = (value: number, shift: number): string => hexPairs[(value >>> shift) & 0xff] ?? '';
  const version = (b & 0xffff0fff) | 0x4000;
  const variant = (c & 0x3fffffff) | 0x80000000;
  return (
    `${pair(a, 24)}${pair(a, 16)}${pair(a, 8)}${pair(a, 0)}-${pair(version, 24)}${pair(version, 16)}-` +
    `${pair(version, 8)}${pair(version, 0)}-${pair(variant, 24)}${pair(variant, 16)}-` +
    `${pair(variant, 8)}${pair(variant, 0)}${pair(d, 24)}${pair(d, 16)}${pair(d, 8)}${pair(d, 0)}`
  );
}
