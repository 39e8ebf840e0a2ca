/** Seeded random numbers: the same seed gives the same stream on every machine. */
import type { Rng } from '../../core/clock.ts';

/** FNV-1a over the UTF-16 units of a text, mixed with a seed. */
export function hashText(text: string, seed = 0x811c9dc5): number {
  let hash = seed | 0;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  hash ^= hash >>> 12;
  return hash >>> 0;
}

/** Small fast generator (Chris Doty-Humphrey's sfc32) with a few conveniences for drawing faults. */
export class SeededRng implements Rng {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    this.#a = seed | 0;
    this.#b = Math.imul(seed, 0x9e3779b1) | 0;
    this.#c = 0x2545f491;
    for (let round = 0; round < 12; round++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  uuid(): string {
    const hex = [this.u32(), this.u32(), this.u32(), this.u32()].map((word) => word.toString(16).padStart(8, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  fork(label: string): SeededRng {
    return new SeededRng(hashText(label, this.#seed ^ 0x5bd1e995));
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.u32() / 2 ** 32;
  }

  /** Uniform integer in [from, to), `from < to`. */
  int(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from));
  }

  /** True once in 1/p. Draws nothing when p is 0, so that a fault that is off leaves the stream alone. */
  chance(p: number): boolean {
    return p > 0 && this.unit() < p;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(0, values.length)] as T;
  }
}
