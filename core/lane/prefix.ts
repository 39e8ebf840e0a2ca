/**
 * The contiguous-prefix rule: a lane may commit a position only when everything before it is acknowledged. Batches are
 * opened in offset order and acknowledged in any order; `committable` is the end of the acknowledged prefix.
 */
import { assert } from '../assert.ts';
import type { LanePosition } from './position.ts';

interface Pending {
  readonly end: LanePosition;
  acknowledged: boolean;
}

export class AcknowledgedPrefix {
  readonly #pending: Pending[] = [];
  #committable: LanePosition;
  #opened: LanePosition;

  constructor(start: LanePosition) {
    this.#committable = start;
    this.#opened = start;
  }

  /** Opens the work up to `end`; the returned function acknowledges it, once. */
  open(end: LanePosition): () => void {
    assert(
      end.nextOffset >= this.#opened.nextOffset,
      () => `batch ends at ${end.nextOffset}, before ${this.#opened.nextOffset}`,
    );
    this.#opened = end;
    const entry: Pending = { end, acknowledged: false };
    this.#pending.push(entry);
    return () => {
      assert(!entry.acknowledged, () => `batch up to ${end.nextOffset} acknowledged twice`);
      entry.acknowledged = true;
      this.#advance();
    };
  }

  /** Everything before this position is acknowledged. */
  get committable(): LanePosition {
    return this.#committable;
  }

  /** Batches opened and not yet part of the prefix. */
  get openCount(): number {
    return this.#pending.length;
  }

  #advance(): void {
    for (let first = this.#pending[0]; first?.acknowledged === true; first = this.#pending[0]) {
      this.#committable = first.end;
      this.#pending.shift();
    }
  }
}
