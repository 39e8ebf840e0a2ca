/**
 * How many batches may be under way: additive increase, multiplicative decrease, as TCP's congestion control (Chiu and
 * Jain 1989). More in flight than the nodes can work on only makes their queues longer. Also bounds the bytes under way.
 */
import { assert } from '../../core/assert.ts';

const START = 4;
const LIMIT_MAX = 32;
/** Answers slower than so many times the quickest mean that the nodes are busy: no increase. */
const BUSY_FACTOR = 4;
/** The quickest answer is forgotten slowly, by this factor per answer. */
const FORGET = 1.002;

export type SendResult =
  | { readonly kind: 'answered'; readonly ms: number }
  | { readonly kind: 'pushedBack' }
  | { readonly kind: 'other' };

export class SendWindow {
  readonly #bytesMax: number;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];
  #limit = START;
  #inFlight = 0;
  #bytes = 0;
  #quickestMs = Number.POSITIVE_INFINITY;

  constructor(bytesMax = 32 * 1024 * 1024) {
    this.#bytesMax = bytesMax;
  }

  get limit(): number {
    return this.#limit;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Resolves when one more may be sent, first come, first served. Each acquired slot is released once. */
  acquire(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#take(bytes);
      return undefined;
    }
    return new Promise((go) => this.#waiting.push({ bytes, go }));
  }

  release(bytes: number, result: SendResult): void {
    assert(this.#inFlight > 0, () => 'a slot was released twice');
    this.#inFlight--;
    this.#bytes -= bytes;
    if (result.kind === 'pushedBack') this.#limit = Math.max(1, this.#limit / 2);
    if (result.kind === 'answered') {
      this.#quickestMs = Math.min(result.ms, this.#quickestMs * FORGET);
      if (result.ms <= this.#quickestMs * BUSY_FACTOR || this.#limit < START)
        this.#limit = Math.min(LIMIT_MAX, this.#limit + 1 / this.#limit);
    }
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(next.bytes);
      next.go();
    }
  }

  /** One is always let through, however large. */
  #fits(bytes: number): boolean {
    return this.#inFlight === 0 || (this.#inFlight < Math.floor(this.#limit) && this.#bytes + bytes <= this.#bytesMax);
  }

  #take(bytes: number): void {
    this.#inFlight++;
    this.#bytes += bytes;
  }
}
