/** Random numbers for drawing faults: core's seeded stream with a few conveniences. */
import type { Rng } from '../../core/clock.ts';
import { seededRng } from '../../core/random.ts';

export class SimRng implements Rng {
  readonly #stream: Rng;

  constructor(stream: Rng | number) {
    this.#stream = typeof stream === 'number' ? seededRng(stream) : stream;
  }

  u32(): number {
    return this.#stream.u32();
  }

  uuid(): string {
    return this.#stream.uuid();
  }

  fork(label: string): SimRng {
    return new SimRng(this.#stream.fork(label));
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.u32() / 2 ** 32;
  }

  /** Uniform integer in [from, to), `from < to`. */
  int(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from));
  }

  /** True with probability `p`. Draws nothing when `p` is 0, so that a fault that is off leaves the stream alone. */
  chance(p: number): boolean {
    return p > 0 && this.unit() < p;
  }

  /** One of a list that is not empty. */
  pick<T>(values: readonly T[]): T {
    return values[this.int(0, values.length)] as T;
  }
}
